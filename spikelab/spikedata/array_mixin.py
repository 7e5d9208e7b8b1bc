"""Recordings from plain arrays."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata import binning
from spikelab.spikedata.quantity import finite_ms, in_ms
from spikelab.spikedata.spike_trains import SpikeTrains

if TYPE_CHECKING:
    from spikelab.spikedata.spikedata import SpikeData


class ArrayMixin:
    """Methods that make a recording from arrays of units and times, or of counts."""

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

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData.from_idces_times([0, 1, 0], [12.5, 77.0, 430.0], N=3, length=1000.0)
        SpikeData(N=3, spikes=3, window=0.0 to 1000.0 ms)
        """
        from spikelab.spikedata.spikedata import SpikeData

        return SpikeData(_train_of_pairs(idces, times, N), **kwargs)

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
        idces = np.array([unit for unit, _ in pairs])
        return ArrayMixin.from_idces_times(idces, times, N, **kwargs)

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
            Further arguments of :class:`SpikeData`; `length` is by default that of
            all bins.

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
        from spikelab.spikedata.spikedata import SpikeData

        counts = _checked_counts(raster)
        size = validate.positive("bin_size_ms", in_ms("bin_size_ms", bin_size_ms))
        start = finite_ms("start_time", kwargs.get("start_time", 0.0))
        train = binning.spread(counts, start, size)
        length = counts.shape[1] * size
        return SpikeData(train, **{"N": len(train), "length": length, **kwargs})


def _train_of_pairs(
    idces: ArrayLike, times: ArrayLike, n_units: int | None
) -> SpikeTrains:
    """Sort parallel arrays of units and times into one train per unit."""
    validate.unmasked("idces", idces)
    validate.unmasked("times", times)
    units = np.asarray(idces)
    flat = np.asarray(in_ms("times", times), dtype=np.float64)
    if units.ndim != 1 or units.shape != flat.shape:
        raise ValueError(
            f"idces and times must be 1-D and of equal length, "
            f"got shapes {units.shape} and {flat.shape}"
        )
    units = _whole_numbers(units)
    smallest, largest = (units.min(), units.max()) if units.size else (0, -1)
    count = int(largest) + 1 if n_units is None else validate.index("N", n_units)
    if smallest < 0 or largest >= count:
        wrong = smallest if smallest < 0 else largest
        raise ValueError(
            f"idces must not be negative and be below N ({count}), got {wrong}"
        )
    train = SpikeTrains.from_pairs(units, flat, count)
    train.owned = train.flat is flat  # units were sorted: the caller has these times
    return train


def _whole_numbers(units: NDArray[Any]) -> NDArray[Any]:
    """Return unit indices as integers; floats are taken if they are whole."""
    if units.dtype.kind in "iu":
        return units
    if units.size and units.dtype.kind != "f":
        raise TypeError(f"idces must be integers, got dtype {units.dtype}")
    fractions = ~(np.isfinite(units) & (units == np.rint(units)))
    if fractions.any():
        raise ValueError(f"idces must be whole numbers, got {units[fractions][0]}")
    return units.astype(np.int64)


def _checked_counts(raster: ArrayLike) -> NDArray[Any]:
    """Return numbers of spikes as an array, or raise if they are none."""
    validate.unmasked("raster", raster)
    counts = np.asarray(raster)
    if counts.ndim != 2:
        raise ValueError(f"raster must be 2-D (units, bins), got shape {counts.shape}")
    if counts.dtype.kind not in "biuf":
        raise TypeError(f"raster must hold numbers, got dtype {counts.dtype}")
    if counts.dtype.kind == "f" and not np.isfinite(counts).all():
        raise ValueError("raster must be finite, got NaN or infinity")
    if (wrong := (counts < 0) | (counts % 1 != 0)).any():
        raise ValueError(
            f"raster must hold numbers of spikes, not negative and whole, "
            f"got {counts[wrong][0]}"
        )
    return counts
