"""Spike trains of simultaneously recorded units."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import MissingExtraError, warn
from spikelab.spikedata import binning, construction, cutting, unit_selection, windows
from spikelab.spikedata.data_object import UnitObject
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rates import isi_rates
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import Attributes, UnitTable

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack
    from spikelab.spikedata.spikeslicestack import SpikeSliceStack


class SpikeData(UnitObject):
    """Spike times of N units over one recording window, in milliseconds.

    Parameters
    ----------
    train : iterable of array-like
        Spike times of each unit in ms. Stored sorted, as float64 copies.
    N : int, optional
        Number of units, if there are silent ones after the last of `train`.
    length : float, optional
        Length of the recording in ms; by default it ends with the last spike.
    start_time : float
        Start of the recording in ms: negative for event-centred data, positive
        for a recording that starts late.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; the dictionaries are not copied.
    metadata : dict, optional
        What is known about the recording.
    raw_data : array, optional
        Raw voltages, shape (channels, samples) or (samples,). Not copied, so
        that a :class:`numpy.memmap` stays on the disk.
    raw_time : array or float, optional
        Time of each raw sample in ms, in any order, or their sampling rate in kHz;
        the first sample is then at 0.

    Attributes
    ----------
    train : SpikeTrains
        Spike times of each unit, sorted, float64: a sequence of arrays.
    N : int
        Number of units, silent ones included.
    length, start_time : float
        The recording window in ms.
    neuron_attributes : list of dict or None
        One dictionary per unit.
    metadata : dict
        What is known about the recording.
    raw_data, raw_time : ndarray
        Raw voltages and their times in ms; of size 0 if there are none.

    Raises
    ------
    ValueError
        If a spike time is not finite or not in the window, the window is not
        finite or ends before it starts, or the number of attributes or of
        raw times does not fit.
    """

    FIELDS: ClassVar[Mapping[str, str]] = {
        "train": "train",
        "length": "length",
        "start_time": "start_time",
        "neuron_attributes": "neuron_attributes",
        "metadata": "metadata",
        "raw_data": "raw_data",
        "raw_time": "raw_time",
    }

    def __init__(
        self,
        train: Iterable[ArrayLike],
        *,
        N: int | None = None,
        length: float | None = None,
        start_time: float = 0.0,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        raw_data: ArrayLike | None = None,
        raw_time: ArrayLike | None = None,
    ) -> None:
        n_units = None if N is None else validate.index("N", N)
        trains = construction.checked_train(train, n_units)
        self.start_time = validate.finite("start_time", start_time)
        self.length = construction.checked_length(length, trains, self.start_time)
        self.train: Sequence[NDArray[np.float64]] = trains
        self.N = len(trains)
        self.raw_data, self.raw_time = construction.checked_raw(raw_data, raw_time)
        self.metadata = construction.checked_metadata(metadata)
        self.neuron_attributes = (
            None if neuron_attributes is None else list(neuron_attributes)
        )
        self.check()

    def check(self) -> None:
        """Raise if spikes, window, attributes or raw data do not fit together.

        Spike times that were changed are sorted; a list of arrays that was assigned to
        `train` becomes spike trains again.
        """
        trains = self.spike_trains
        self.train = trains
        self.start_time = validate.finite("start_time", self.start_time)
        self.length = validate.not_negative("length", self.length)
        if len(trains) != self.N:
            raise ValueError(
                f"train must hold one array per unit, got {len(trains)} for N={self.N}"
            )
        trains.check_window(self.start_time, self.length)
        trains.sort()
        trains.owned = True
        construction.checked_metadata(self.metadata)
        self.check_units(self.N)
        if np.size(self.raw_data):
            construction.check_raw(self.raw_data, self.raw_time)

    @property
    def spike_trains(self) -> SpikeTrains:
        """The spike times in flat form: `train`, or a copy if that is a list."""
        if isinstance(self.train, SpikeTrains):
            return self.train
        return SpikeTrains.from_arrays(self.train)

    @property
    def unit_table(self) -> UnitTable:
        """What is known about the units, as a table."""
        return UnitTable(self.neuron_attributes, self.N)

    @staticmethod
    def from_idces_times(
        idces: ArrayLike, times: ArrayLike, N: int | None = None, **kwargs: Any
    ) -> "SpikeData":
        """Make a recording from parallel arrays of unit indices and times.

        Parameters
        ----------
        idces : array-like of int
            Unit of each spike, from 0, in any order.
        times : array-like
            Time of each spike in ms.
        N : int, optional
            Number of units; by default the largest index plus one.
        **kwargs
            Further arguments of :class:`SpikeData`.

        Raises
        ------
        ValueError
            If the arrays differ in length, an index is no whole number or not
            below `N`, or :class:`SpikeData` refuses the times.
        """
        n_units = None if N is None else validate.index("N", N)
        return SpikeData(construction.train_of_flat(idces, times, n_units), **kwargs)

    @staticmethod
    def from_events(
        events: Iterable[tuple[int, float]], N: int | None = None, **kwargs: Any
    ) -> "SpikeData":
        """Make a recording from ``(unit, time in ms)`` pairs.

        Parameters
        ----------
        events : iterable of (int, float)
            One pair per spike, in any order.
        N : int, optional
            Number of units; by default the largest index plus one.
        **kwargs
            Further arguments of :class:`SpikeData`.
        """
        pairs = list(events)
        idces = np.array([unit for unit, _ in pairs])
        times = np.array([time for _, time in pairs], dtype=np.float64)
        return SpikeData.from_idces_times(idces, times, N, **kwargs)

    @staticmethod
    def from_raster(
        raster: ArrayLike, bin_size_ms: float, **kwargs: Any
    ) -> "SpikeData":
        """Make a recording that has these spike counts.

        The k spikes of a bin are placed so that they divide it evenly.

        Parameters
        ----------
        raster : array-like, shape (units, bins)
            Spike counts.
        bin_size_ms : float
            Width of a bin in ms.
        **kwargs
            Further arguments of :class:`SpikeData`; the length is by default
            that of all bins.

        Raises
        ------
        ValueError
            If the counts are not whole, negative or not 2-D, or the width is
            not positive.
        """
        validate.unmasked("raster", raster)
        counts = np.asarray(raster)
        start = kwargs.get("start_time", 0.0)
        train = construction.train_of_raster(counts, bin_size_ms, start)
        length = counts.shape[1] * float(bin_size_ms)
        return SpikeData(train, **{"N": counts.shape[0], "length": length, **kwargs})

    @property
    def times(self) -> Iterator[float]:
        """All spike times in ms, in chronological order."""
        return iter(np.sort(self.idces_times()[1]).tolist())

    @property
    def events(self) -> Iterator[tuple[int, float]]:
        """All spikes as ``(unit, time in ms)``, in chronological order."""
        units, times = self.idces_times()
        order = np.argsort(times, kind="stable")
        return zip(units[order].tolist(), times[order].tolist(), strict=True)

    def idces_times(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return unit indices (int64) and times in ms (float64), unit after unit."""
        trains = self.spike_trains
        idces = np.repeat(np.arange(self.N, dtype=np.int64), trains.counts)
        return idces, trains.flat.copy()

    @property
    def electrodes(self) -> NDArray[Any] | None:
        """Electrode of each unit, shape (N,), or None if any is unknown.

        Taken from the attribute ``electrode``, ``channel`` or ``ch``. Where a unit has
        several, the array holds objects, and for that unit a list.
        """
        found = self.unit_table.electrodes
        if not found or any(electrode is None for electrode in found):
            return None
        if not any(isinstance(electrode, list) for electrode in found):
            return np.array(found)
        several = np.empty(len(found), dtype=object)
        several[:] = found
        return several

    @property
    def unit_locations(self) -> NDArray[Any] | None:
        """Location of each unit, shape (N, 1 to 3), or None if any is unknown.

        Taken from the attribute ``location``, from ``x`` and maybe ``y`` and ``z``, or
        from ``position``, in this order. A single number is x.
        """
        found = self.unit_table.locations
        known = [location for location in found if location is not None]
        if not found or len(known) < len(found):
            return None
        sizes = {len(location) for location in known}
        if len(sizes) > 1:
            raise ValueError(
                f"locations must have the same number of coordinates for all units, "
                f"got {sorted(sizes)}"
            )
        return np.array(known)

    def get_neuron_attribute(self, key: str, default: Any = None) -> list[Any]:
        """Return the attribute `key` of each unit, `default` where it has none."""
        return [a.get(key, default) for a in self.neuron_attributes or [{}] * self.N]

    def set_neuron_attribute(
        self, key: str, values: Any, neuron_indices: Sequence[int] | None = None
    ) -> None:
        """Set the attribute `key` of all or the named units, in place.

        Parameters
        ----------
        key : str
            Name of the attribute.
        values : object or sequence
            One value for all units (a scalar, a string or a dictionary), or a
            sequence of one for each.
        neuron_indices : sequence of int, optional
            The units, negative ones from the end; by default all.
        """
        units: Iterable[int] = range(self.N)
        if neuron_indices is not None:
            units = unit_selection.as_indices("neuron_indices", neuron_indices, self.N)
        if self.neuron_attributes is None:
            self.neuron_attributes = [{} for _ in range(self.N)]
        unit_selection.set_values(self.neuron_attributes, key, values, list(units))

    def _of_units(self, units: list[int], known: Attributes) -> "SpikeData":
        train = self.spike_trains.of_units(units)
        return self._replaced(train=train, neuron_attributes=known)

    def subtime(
        self, start: Any, end: Any, shift_to: float | None = None
    ) -> "SpikeData":
        """Return the recording from `start` up to, and without, `end`.

        A spike at exactly `end` is left out, also at the end of the recording,
        so that parts that follow one another hold each spike once.

        Parameters
        ----------
        start, end : float, None or ...
            Times in ms; None or ``...`` is the edge of the recording. In a
            recording that starts at 0 or later, a negative time counts from
            its end.
        shift_to : float, optional
            The time that becomes 0; by default `start`. ``shift_to=0`` keeps the
            times as they are.

        Raises
        ------
        ValueError
            If `start` is not before `end`, or either lies outside the recording.
        """
        first, last = cutting.window_times(self, start, end)
        zero = first if shift_to is None else validate.finite("shift_to", shift_to)
        return SpikeData(
            **cutting.cut(
                self,
                first,
                last,
                zero=zero,
                start_time=first - zero,
                length=last - first,
            )
        )

    def __getitem__(self, key: Any) -> "SpikeData":
        """Return ``subtime`` for a slice, ``subset`` for anything else."""
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError(f"a slice of time must have no step, got {key.step}")
            return self.subtime(key.start, key.stop)
        return self.subset(key)

    def append(
        self,
        spikeData: "SpikeData",
        offset: float = 0,
        drop_neuron_attributes: bool = False,
    ) -> "SpikeData":
        """Return this recording followed by another one of the same units.

        Metadata are those of both, this recording's where both have a key; raw
        data are joined too.

        Parameters
        ----------
        spikeData : SpikeData
            The recording that follows; its start comes `offset` ms after the
            end of this one.
        offset : float
            Gap in ms.
        drop_neuron_attributes : bool
            Leave the attributes out. By default they are those of this
            recording, or of the other one if only that has them.

        Raises
        ------
        TypeError
            If `spikeData` is not a SpikeData.
        ValueError
            If the numbers of units or of raw channels differ.
        """
        if not isinstance(spikeData, SpikeData):
            raise TypeError(f"spikeData must be a SpikeData, got {spikeData!r:.80}")
        if spikeData.N != self.N:
            raise ValueError(
                f"spikeData must have the same number of units, "
                f"got {spikeData.N} for {self.N}"
            )
        validate.not_negative("offset", offset)
        known = self.neuron_attributes
        if known is None and spikeData.neuron_attributes and not drop_neuron_attributes:
            known = spikeData.neuron_attributes
            warn(
                "this recording has no neuron_attributes: those of spikeData are taken",
                RuntimeWarning,
            )
        return SpikeData(
            **cutting.joined(self, spikeData, offset),
            neuron_attributes=None if drop_neuron_attributes else known,
        )

    def raster(
        self, bin_size: float = 1.0, time_offset: float = 0.0
    ) -> NDArray[np.int64]:
        """Count the spikes of each unit in each bin.

        Bins are open on the left and closed on the right, counted from
        ``start_time``; a spike at ``start_time`` counts in bin 0.

        Parameters
        ----------
        bin_size : float
            Width of a bin in ms.
        time_offset : float
            Added to all times: positive, it puts empty bins in front; negative,
            what comes before the first bin counts in it.

        Returns
        -------
        ndarray
            Counts, int64, shape (N, ceil((length + time_offset) / bin_size)).

        Raises
        ------
        ValueError
            If the width is not positive, or there would be no bin.
        """
        origin, bins = self._bins(bin_size, time_offset)
        return binning.counts(self.train, origin, float(bin_size), bins)

    def _bins(self, bin_size: float, time_offset: float) -> tuple[float, int]:
        """Return where the bins begin, in ms, and how many there are."""
        size = validate.positive("bin_size", bin_size)
        offset = validate.finite("time_offset", time_offset)
        if offset < -self.length:
            raise ValueError(
                f"time_offset must not be below -length ({-self.length}), got {offset}"
            )
        origin = self.start_time - offset
        return origin, binning.n_bins(self.length + offset, size, origin)

    def sparse_raster(self, bin_size: float = 1.0, time_offset: float = 0.0) -> Any:
        """Count as :meth:`raster`, into a ``scipy.sparse.csr_matrix`` (int64).

        Raises
        ------
        MissingExtraError
            If scipy, of the extra ``sparse``, is not installed.
        """
        try:
            from scipy.sparse import csr_matrix
        except ImportError as error:
            raise MissingExtraError("sparse_raster", "scipy", "sparse") from error
        origin, bins = self._bins(bin_size, time_offset)
        units, times = self.idces_times()
        if bins == 0:
            return csr_matrix((self.N, 0), dtype=np.int64)
        columns = binning.bin_indices(times - origin, float(bin_size), bins)
        ones = np.ones(len(times), dtype=np.int64)
        return csr_matrix((ones, (units, columns)), shape=(self.N, bins))

    def binned(self, bin_size: float = 40.0) -> NDArray[np.int64]:
        """Count the spikes of all units together in each bin, as :meth:`raster` does."""
        origin, bins = self._bins(bin_size, 0.0)
        counts = np.zeros(bins, dtype=np.int64)
        for times in self.spike_trains.blocks() if bins else ():
            indices = binning.bin_indices(times - origin, float(bin_size), bins)
            counts += np.bincount(indices, minlength=bins)
        return counts

    def rates(self, unit: Literal["kHz", "Hz"] = "kHz") -> NDArray[np.float64]:
        """Return the mean rate of each unit in kHz or Hz; 0 if the length is 0."""
        if unit not in ("kHz", "Hz"):
            raise ValueError(f"unit must be 'kHz' or 'Hz', got {unit!r}")
        counts = self.spike_trains.counts.astype(np.float64)
        per_ms = counts / self.length if self.length > 0 else np.zeros_like(counts)
        return per_ms * 1000.0 if unit == "Hz" else per_ms

    def interspike_intervals(self) -> list[NDArray[np.float64]]:
        """Return the intervals between the spikes of each unit in ms."""
        return [np.diff(times) for times in self.train]

    def resampled_isi(self, times: ArrayLike, sigma_ms: float = 10.0) -> RateData:
        """Return the rate of each unit, in Hz, as the inverse of its interspike interval.

        The rate is 1000 / interval from one spike up to the next, and 0 before the
        first and after the last; a spike time that occurs twice counts once.

        Parameters
        ----------
        times : array-like
            Evenly spaced times in ms.
        sigma_ms : float
            Standard deviation of the Gaussian that smooths the rates, 0 for none.

        Returns
        -------
        RateData
            Rates of shape (N, number of times), with ``rate_unit="Hz"``.

        Raises
        ------
        ValueError
            If the times are not finite, ascending and evenly spaced, or
            `sigma_ms` is not finite.
        """
        return RateData(
            *isi_rates(self.train, times, sigma_ms),
            neuron_attributes=self.neuron_attributes,
            rate_unit="Hz",
        )

    def frames(self, length: float, overlap: float = 0) -> "SpikeSliceStack":
        """Cut the recording into windows of equal length; an incomplete last one is left out.

        Parameters
        ----------
        length : float
            Length of a window in ms.
        overlap : float
            How far, in ms, each window reaches into the next.

        Raises
        ------
        ValueError
            If the length is not positive or exceeds that of the recording, or
            the overlap is not below it.
        """
        # The stack is made of recordings, and imports this module.
        from spikelab.spikedata.spikeslicestack import SpikeSliceStack

        frames = windows.frame_windows(self.start_time, self.length, length, overlap)
        return SpikeSliceStack(self, times_start_to_end=frames)

    def align_to_events(
        self,
        events: Any,
        pre_ms: float,
        post_ms: float,
        *,
        kind: Literal["spike", "rate"] = "spike",
        bin_size_ms: float = 1.0,
        sigma_ms: float = 10,
    ) -> "SpikeSliceStack | RateSliceStack":
        """Cut a window around each event; the event is time 0 of its slice.

        Parameters
        ----------
        events : float, array-like or str
            Event times in ms, or the key of `metadata` that holds them. Events
            whose window leaves the recording are left out with a warning.
        pre_ms, post_ms : float
            How far a window reaches before and after its event, in ms.
        kind : {"spike", "rate"}
            Cut out spikes, or rates as :meth:`resampled_isi` gives them.
        bin_size_ms, sigma_ms : float
            Step and smoothing of the rates, in ms.

        Raises
        ------
        KeyError
            If `metadata` has no such key.
        ValueError
            If the window is empty, an event is not finite, or no window lies in
            the recording.

        Warns
        -----
        UserWarning
            If events are left out.
        """
        # Stacks are made of recordings, and import this module.
        from spikelab.spikedata.rateslicestack import RateSliceStack
        from spikelab.spikedata.spikeslicestack import SpikeSliceStack

        if kind not in ("spike", "rate"):
            raise ValueError(f"kind must be 'spike' or 'rate', got {kind!r}")
        peaks = self._events_inside(events, pre_ms, post_ms)
        bounds = (pre_ms, post_ms)
        if kind == "spike":
            return SpikeSliceStack(self, time_peaks=peaks, time_bounds=bounds)
        return RateSliceStack(
            self,
            time_peaks=peaks,
            time_bounds=bounds,
            sigma_ms=sigma_ms,
            step_size=bin_size_ms,
        )

    def _events_inside(self, events: Any, pre_ms: float, post_ms: float) -> list[float]:
        """Return the event times, sorted, whose windows lie in the recording."""
        if isinstance(events, str):
            if events not in self.metadata:
                raise KeyError(
                    f"events must be a key of metadata ({sorted(map(str, self.metadata))}), "
                    f"got {events!r}"
                )
            events = self.metadata[events]
        stop = self.start_time + self.length
        return windows.events_inside(events, pre_ms, post_ms, self.start_time, stop)

    def __repr__(self) -> str:
        return (
            f"SpikeData(N={self.N}, length={self.length}, start_time={self.start_time})"
        )
