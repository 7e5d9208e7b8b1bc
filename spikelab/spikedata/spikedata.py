"""Spike trains of simultaneously recorded units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata import construction, cutting, unit_selection, windows
from spikelab.spikedata.bridge_mixin import BridgeMixin
from spikelab.spikedata.published_mixin import PublishedMixin
from spikelab.spikedata.quantity import finite_ms, in_ms
from spikelab.spikedata.spike_counts import SpikeCounts
from spikelab.spikedata.unit_table import Attributes

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack
    from spikelab.spikedata.spikeslicestack import SpikeSliceStack


class SpikeData(BridgeMixin, PublishedMixin, SpikeCounts):
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

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> SpikeData([[12.5, 430.0], [77.0], []], length=1000.0)
    SpikeData(N=3, spikes=3, window=0.0 to 1000.0 ms)
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
        self.start_time = finite_ms("start_time", start_time)
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[12.5, 430.0]], length=1000.0)
        >>> sd.N = 2
        >>> sd.check()
        Traceback (most recent call last):
            ...
        ValueError: train must hold one array per unit, got 1 for N=2
        """
        trains = self.spike_trains
        self.train = trains
        self.start_time = finite_ms("start_time", self.start_time)
        self.length = validate.not_negative("length", in_ms("length", self.length))
        if len(trains) != self.N:
            raise ValueError(
                f"train must hold one array per unit, got {len(trains)} for N={self.N}"
            )
        trains.sort()
        trains.check_window(self.start_time, self.length)
        trains.owned = True
        construction.checked_metadata(self.metadata)
        self.check_units(self.N)
        if np.size(self.raw_data):
            construction.check_raw(self.raw_data, self.raw_time)

    @staticmethod
    def from_idces_times(
        idces: ArrayLike, times: ArrayLike, N: int | None = None, **kwargs: Any
    ) -> SpikeData:
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_idces_times([0, 1, 0], [12.5, 77.0, 430.0], N=3, length=1000.0)
        SpikeData(N=3, spikes=3, window=0.0 to 1000.0 ms)
        """
        n_units = None if N is None else validate.index("N", N)
        return SpikeData(construction.train_of_flat(idces, times, n_units), **kwargs)

    @staticmethod
    def from_events(
        events: Iterable[tuple[int, float]], N: int | None = None, **kwargs: Any
    ) -> SpikeData:
        """Make a recording from ``(unit, time in ms)`` pairs.

        Parameters
        ----------
        events : iterable of (int, float)
            One pair per spike, in any order.
        N : int, optional
            Number of units; by default the largest index plus one.
        **kwargs
            Further arguments of :class:`SpikeData`.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_events([(0, 12.5), (1, 77.0), (0, 430.0)], length=1000.0)
        SpikeData(N=2, spikes=3, window=0.0 to 1000.0 ms)
        """
        pairs = list(events)
        idces = np.array([unit for unit, _ in pairs])
        times = in_ms("events", [time for _, time in pairs])
        return SpikeData.from_idces_times(idces, times, N, **kwargs)

    @staticmethod
    def from_raster(raster: ArrayLike, bin_size_ms: float, **kwargs: Any) -> SpikeData:
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_raster([[0, 2], [1, 0]], bin_size_ms=10.0).train[0]
        array([13.33333333, 16.66666667])
        """
        validate.unmasked("raster", raster)
        counts = np.asarray(raster)
        start = kwargs.get("start_time", 0.0)
        train = construction.train_of_raster(counts, bin_size_ms, start)
        length = counts.shape[1] * float(bin_size_ms)
        return SpikeData(train, **{"N": counts.shape[0], "length": length, **kwargs})

    @property
    def electrodes(self) -> NDArray[Any] | None:
        """Electrode of each unit, shape (N,), or None if any is unknown.

        Taken from the attribute ``electrode``, ``channel`` or ``ch``. Where a unit has
        several, the array holds objects, and for that unit a list.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> known = [{"electrode": 4}, {"electrode": 7}]
        >>> SpikeData([[1.0], [2.0]], neuron_attributes=known).electrodes
        array([4, 7])
        """
        return self.unit_table.electrode_array()

    @property
    def unit_locations(self) -> NDArray[Any] | None:
        """Location of each unit, shape (N, 1 to 3), or None if any is unknown.

        Taken from the attribute ``location``, from ``x`` and maybe ``y`` and ``z``, or
        from ``position``, in this order. A single number is x.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> where = [{"location": [0.0, 20.0]}, {"x": 0.0, "y": 60.0}]
        >>> SpikeData([[1.0], [2.0]], neuron_attributes=where).unit_locations
        array([[ 0., 20.],
               [ 0., 60.]])
        """
        return self.unit_table.location_array()

    def get_neuron_attribute(self, key: str, default: Any = None) -> list[Any]:
        """Return the attribute `key` of each unit, `default` where it has none.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [2.0]], neuron_attributes=[{"quality": "good"}, {}])
        >>> sd.get_neuron_attribute("quality", default="unsorted")
        ['good', 'unsorted']
        """
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [2.0]])
        >>> sd.set_neuron_attribute("area", ["CA1", "CA3"])
        >>> sd.neuron_attributes
        [{'area': 'CA1'}, {'area': 'CA3'}]
        """
        units: Sequence[int] = range(self.N)
        if neuron_indices is not None:
            units = unit_selection.as_indices(
                "neuron_indices",
                neuron_indices,
                self.N,
                from_end=True,
                error=IndexError,
            )
        is_one = unit_selection.is_one_value(values)
        each = [values] * len(units) if is_one else list(values)
        if len(each) != len(units):
            raise ValueError(
                f"values must hold one value per unit, got {len(each)} for {len(units)}"
            )
        if self.neuron_attributes is None:
            self.neuron_attributes = [{} for _ in range(self.N)]
        for unit, value in zip(units, each, strict=True):
            self.neuron_attributes[unit][key] = value

    def _of_units(self, units: list[int], known: Attributes) -> SpikeData:
        train = self.spike_trains.of_units(units)
        return self._replaced(train=train, neuron_attributes=known)

    def subtime(self, start: Any, end: Any, shift_to: float | None = None) -> SpikeData:
        """Return the recording from `start` up to, and without, `end`.

        A spike at exactly `end` is left out, also at the end of the recording,
        so that parts that follow one another hold each spike once.
        ``metadata["time_zero_ms"]`` keeps where the new time 0 lies in the session: the
        sum over all cuts, absent if it is 0.

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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[12.5, 430.0], [77.0]], length=1000.0)
        >>> sd.subtime(50, 500)
        SpikeData(N=2, spikes=2, window=0.0 to 450.0 ms)
        >>> sd.subtime(50, 500).train[0]
        array([380.])
        """
        first, last = cutting.window_times(self, start, end)
        zero = first if shift_to is None else finite_ms("shift_to", shift_to)
        part = cutting.cut(self, first, last, zero=zero)
        metadata = cutting.with_time_zero(self.metadata, zero)
        return SpikeData(**{**part, "metadata": metadata})

    def __getitem__(self, key: Any) -> SpikeData:
        """Return ``subtime`` for a slice, ``subset`` for anything else."""
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError(f"a slice of time must have no step, got {key.step}")
            return self.subtime(key.start, key.stop)
        return self.subset(key)

    def append(
        self,
        spikeData: SpikeData,
        offset: float = 0,
        drop_neuron_attributes: bool = False,
    ) -> SpikeData:
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[5.0]], length=10.0)
        >>> sd.append(SpikeData([[2.0]], length=10.0)).train[0]
        array([ 5., 12.])
        """
        if not isinstance(spikeData, SpikeData):
            raise TypeError(f"spikeData must be a SpikeData, got {spikeData!r:.80}")
        offset = validate.not_negative("offset", in_ms("offset", offset))
        joined = cutting.joined(self, spikeData, offset)
        if drop_neuron_attributes:
            joined["neuron_attributes"] = None
        elif self.neuron_attributes is None and spikeData.neuron_attributes:
            warn(
                "this recording has no neuron_attributes: those of spikeData are taken",
                RuntimeWarning,
            )
        return SpikeData(**joined)

    def frames(self, length: float, overlap: float = 0) -> SpikeSliceStack:
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0]], length=1000.0).frames(250)
        SpikeSliceStack(N=1, S=4, spikes=2, times=0.0 to 1000.0 ms)
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
    ) -> SpikeSliceStack | RateSliceStack:
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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[95.0, 103.0, 204.0]], length=300.0)
        >>> [part.train[0].tolist() for part in sd.align_to_events([100, 200], 10, 20)]
        [[-5.0, 3.0], [4.0]]
        """
        # Stacks are made of recordings, and import this module.
        from spikelab.spikedata.rateslicestack import RateSliceStack
        from spikelab.spikedata.spikeslicestack import SpikeSliceStack

        if kind not in ("spike", "rate"):
            raise ValueError(f"kind must be 'spike' or 'rate', got {kind!r}")
        bounds = (finite_ms("pre_ms", pre_ms), finite_ms("post_ms", post_ms))
        extent = (self.start_time, self.start_time + self.length)
        peaks = windows.events_inside(events, self.metadata, bounds, extent)
        if kind == "spike":
            return SpikeSliceStack(self, time_peaks=peaks, time_bounds=bounds)
        return RateSliceStack(
            self,
            time_peaks=peaks,
            time_bounds=bounds,
            sigma_ms=sigma_ms,
            step_size=bin_size_ms,
        )
