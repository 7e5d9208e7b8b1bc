"""Recordings from arrays of times or counts, and the arrays of a recording."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import MissingExtraError
from spikelab.spikedata import binning
from spikelab.spikedata.data_object import UnitObject
from spikelab.spikedata.quantity import array_in_ms, finite_ms, in_ms
from spikelab.spikedata.ratedata import RateData, isi_rates
from spikelab.spikedata.spike_trains import SpikeTrains, checked_trains
from spikelab.spikedata.unit_selection import numbered_units
from spikelab.spikedata.unit_table import is_nan

if TYPE_CHECKING:
    from spikelab.spikedata.spikedata import SpikeData


class ArrayMixin(UnitObject):
    """Base of :class:`.SpikeData`: made from arrays, flat forms, counts and rates."""

    train: Sequence[NDArray[np.float64]]
    length: float
    start_time: float

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
            below `N` (without it, a million), or :class:`SpikeData` refuses the times.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_idces_times([0, 1, 0], [12.5, 77.0, 430.0], N=3, length=1000.0)
        SpikeData(N=3, spikes=3, window=0.0 to 1000.0 ms)
        """
        from spikelab.spikedata.spikedata import SpikeData

        validate.unmasked("idces", idces)
        # The constructor names the unit of a time that is not finite.
        units, flat = np.asarray(idces), array_in_ms("times", times)
        if units.ndim != 1 or units.shape != flat.shape:
            raise ValueError(
                f"idces and times must be 1-D and of equal length, "
                f"got shapes {units.shape} and {flat.shape}"
            )
        units, n_units = numbered_units(units, N)
        train = SpikeTrains.from_pairs(units, flat, n_units)
        if train.flat is flat:  # sorted by unit, and maybe the caller's own array
            train = SpikeTrains(flat.copy(), train.ends)
        return SpikeData(train, **kwargs)

    @staticmethod
    def from_events(
        events: Iterable[tuple[int, float]], N: int | None = None, **kwargs: Any
    ) -> "SpikeData":
        """Make a recording from ``(unit, time in ms)`` pairs, in any order.

        `N` and `kwargs` are those of :meth:`from_idces_times`.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_events([(0, 12.5), (1, 77.0), (0, 430.0)], length=1000.0)
        SpikeData(N=2, spikes=3, window=0.0 to 1000.0 ms)
        """
        pairs = list(events)
        times = in_ms("events", [time for _, time in pairs])
        return ArrayMixin.from_idces_times(
            [unit for unit, _ in pairs], times, N, **kwargs
        )

    @staticmethod
    def from_raster(raster: Any, bin_size_ms: float, **kwargs: Any) -> "SpikeData":
        """Make a recording that has these spike counts.

        The k spikes of a bin are placed so that they divide it evenly.

        Parameters
        ----------
        raster : array-like, shape (units, bins)
            Spike counts; scipy's sparse arrays too.
        bin_size_ms : float
            Width of a bin in ms.
        **kwargs
            Further arguments of :class:`SpikeData`; `length` is by default that of
            all bins.

        Raises
        ------
        ValueError
            If the counts are not whole, negative or not 2-D, or `bin_size_ms` is not
            positive.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_raster([[0, 2], [1, 0]], bin_size_ms=10.0).train[0]
        array([13.33333333, 16.66666667])
        """
        from spikelab.spikedata.spikedata import SpikeData

        validate.unmasked("raster", raster)
        counts = np.asarray(raster.toarray() if hasattr(raster, "toarray") else raster)
        if counts.ndim != 2:
            shape = counts.shape
            raise ValueError(f"raster must be 2-D (units, bins), got shape {shape}")
        if counts.size and counts.dtype.kind not in "biuf":
            raise TypeError(f"raster must hold numbers, got dtype {counts.dtype}")
        is_wrong = (counts < 0) | (counts % 1 != 0)
        if is_wrong.any():
            raise ValueError(
                f"raster must hold numbers of spikes, not negative and whole, "
                f"got {counts[is_wrong][0]}"
            )
        size = validate.positive("bin_size_ms", in_ms("bin_size_ms", bin_size_ms))
        start = finite_ms("start_time", kwargs.get("start_time", 0.0))
        train = binning.spread(counts, start, size)
        return SpikeData(train, **{"length": counts.shape[1] * size, **kwargs})

    @property
    def spike_trains(self) -> SpikeTrains:
        """The spike times in flat form: `train`, or a sorted copy if that is a list.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0], [77.0]]).spike_trains.counts
        array([2, 1])
        """
        if isinstance(self.train, SpikeTrains):
            return self.train
        trains = checked_trains(self.train)
        trains.sort()
        return trains

    @property
    def times(self) -> Iterator[float]:
        """All spike times in ms, in chronological order.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> list(SpikeData([[12.5, 430.0], [77.0]]).times)
        [12.5, 77.0, 430.0]
        """
        return iter(np.sort(self.spike_trains.flat).tolist())

    @property
    def events(self) -> Iterator[tuple[int, float]]:
        """All spikes as ``(unit, time in ms)``, in chronological order.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> list(SpikeData([[12.5, 430.0], [77.0]]).events)
        [(0, 12.5), (1, 77.0), (0, 430.0)]
        """
        units, times = self.idces_times()
        order = np.argsort(times, kind="stable")
        return zip(units[order].tolist(), times[order].tolist(), strict=True)

    def idces_times(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return unit indices (int64) and times in ms (float64), unit after unit.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0], [77.0]]).idces_times()
        (array([0, 0, 1]), array([ 12.5, 430. ,  77. ]))
        """
        trains = self.spike_trains
        units = trains.unit_indices(0, trains.n_spikes, np.int64)
        return units, trains.flat.copy()

    def raster(
        self, bin_size: float = 1.0, time_offset: float = 0.0
    ) -> NDArray[np.int64]:
        """Count the spikes of each unit in each bin.

        Bins begin at ``start_time``, and are open on the left and closed on the right,
        but that a spike at ``start_time`` counts in bin 0.

        Parameters
        ----------
        bin_size : float
            Width of a bin in ms.
        time_offset : float
            Added to all times, in ms: positive, it puts empty bins in front; negative,
            what comes before the first bin counts in it.

        Returns
        -------
        ndarray
            Counts, int64, shape (N, ceil((length + time_offset) / bin_size)).

        Raises
        ------
        ValueError
            If the width is not positive, or there would be no bin.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[1.0, 1.5, 4.0]]).raster(bin_size=2.0)
        array([[2, 1]])
        """
        return binning.counts(self.spike_trains, *self._bins(bin_size, time_offset))

    def channel_raster(
        self, bin_size: float = 1.0, channel_attr: str | None = None
    ) -> NDArray[np.int64]:
        """Count the spikes on each channel in each bin, those of all its units together.

        Parameters
        ----------
        bin_size : float
            Width of a bin in ms; bins are those of :meth:`raster`.
        channel_attr : str, optional
            The attribute that holds the channel, by default ``channel``,
            ``channel_id``, ``channel_index``, ``ch`` or ``electrode``. Units without
            it are left out.

        Returns
        -------
        ndarray
            Counts, int64, shape (channels, bins), channels in ascending order.

        Raises
        ------
        ValueError
            If no unit has a channel.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [3.0]], neuron_attributes=[{"ch": 7}, {"ch": 7}])
        >>> sd.channel_raster(bin_size=2.0)
        array([[1, 1]])
        """
        names = ("channel", "channel_id", "channel_index", "ch")
        key = channel_attr
        if key is None and self.neuron_attributes:
            first_row = self.neuron_attributes[0]
            key = next((name for name in names if name in first_row), None)
        given = self.unit_table.electrodes
        if key is not None:
            given = self.get_neuron_attribute(key)
        known = {u: v for u, v in enumerate(given) if not (v is None or is_nan(v))}
        if not known:
            raise ValueError(
                f"neuron_attributes must hold the channel of a unit "
                f"({channel_attr or ', '.join(names)}), got none"
            )
        channels, rows = np.unique(list(known.values()), return_inverse=True)
        counts = self.raster(bin_size)[list(known)]
        raster = np.zeros((len(channels), counts.shape[1]), dtype=np.int64)
        np.add.at(raster, rows, counts)
        return raster

    def _bins(self, bin_size: Any, time_offset: Any) -> tuple[float, float, int]:
        """Return where bins begin and how wide they are, in ms, and how many."""
        size = validate.positive("bin_size", in_ms("bin_size", bin_size))
        offset = finite_ms("time_offset", time_offset)
        if offset < -self.length:
            raise ValueError(
                f"time_offset must not be below -length ({-self.length}), got {offset}"
            )
        origin = self.start_time - offset
        return origin, size, binning.n_bins(self.length + offset, size, origin)

    def sparse_raster(self, bin_size: float = 1.0, time_offset: float = 0.0) -> Any:
        """Count as :meth:`raster`, into a ``scipy.sparse.csr_matrix`` (int64).

        Raises
        ------
        MissingExtraError
            If scipy, of the extra ``sparse``, is not installed.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[1.0, 1.5, 4.0]]).sparse_raster(bin_size=2.0).toarray()
        array([[2, 1]])
        """
        try:
            from scipy.sparse import csr_matrix
        except ImportError as error:
            raise MissingExtraError("sparse_raster", "scipy", "sparse") from error
        origin, size, bins = self._bins(bin_size, time_offset)
        if bins == 0:
            return csr_matrix((self.N, 0), dtype=np.int64)
        units, times = self.idces_times()
        columns = binning.bin_indices(times - origin, size, bins)
        ones = np.ones_like(units)
        return csr_matrix((ones, (units, columns)), shape=(self.N, bins))

    def binned(self, bin_size: float = 40.0) -> NDArray[np.int64]:
        """Count the spikes of all units together in each bin, as :meth:`raster` does.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[1.0, 1.5], [4.0]], length=4.0).binned(bin_size=2.0)
        array([2, 1])
        """
        origin, size, bins = self._bins(bin_size, 0.0)
        counts = np.zeros(bins, dtype=np.int64)
        for times in self.spike_trains.blocks():
            counts += binning.counts([times], origin, size, bins)[0]
        return counts

    def rates(self, unit: Literal["kHz", "Hz"] = "kHz") -> NDArray[np.float64]:
        """Return the mean rate of each unit in kHz or Hz; 0 if the length is 0.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0], []], length=1000.0).rates("Hz")
        array([2., 0.])
        """
        if unit not in ("kHz", "Hz"):
            raise ValueError(f"unit must be 'kHz' or 'Hz', got {unit!r}")
        if not self.length:
            return np.zeros(self.N)
        per_ms = self.spike_trains.counts / self.length
        return per_ms * 1000.0 if unit == "Hz" else per_ms

    def interspike_intervals(self) -> list[NDArray[np.float64]]:
        """Return the intervals between the spikes of each unit in ms.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 15.0, 430.0]]).interspike_intervals()
        [array([  2.5, 415. ])]
        """
        return [np.diff(times) for times in self.spike_trains]

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
            If `times` are not finite, ascending and even, or `sigma_ms` not finite.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[0.0, 10.0, 30.0]])
        >>> sd.resampled_isi([5.0, 15.0, 25.0], sigma_ms=0).inst_Frate_data
        array([[100.,  50.,  50.]])
        """
        return RateData(
            *isi_rates(self.spike_trains, times, sigma_ms),
            neuron_attributes=self.neuron_attributes,
            rate_unit="Hz",
        )
