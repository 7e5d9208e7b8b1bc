"""Time bins: open on the left, closed on the right, counted from the window's start.

The published spikelab bins this way: a spike on an edge belongs to the bin that
ends there, and a spike at the very start to the first bin.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRIFT = 1e-8
"""Fraction of a bin by which a length may exceed whole bins without a further one.

A part of a recording has the rounding of the times that it was cut at, up to
1e-9 ms in hours of recording, but these times are not known any more.
"""


def n_bins(length_ms: float, bin_size_ms: float, origin_ms: float = 0.0) -> int:
    """Return how many bins cover `length_ms`: rounded up, float drift apart.

    A length that is a whole number of bins but for rounding, as in
    ``(0.1 + 0.2) / 0.1``, does not get a bin more. Far from 0, where bins begin at
    `origin_ms`, times are rounded more coarsely.
    """
    ratio = length_ms / bin_size_ms
    largest = max(abs(origin_ms), abs(origin_ms + length_ms))
    rounding = 4 * (np.spacing(largest) / bin_size_ms + np.spacing(ratio))
    nearest = round(ratio)
    if nearest > 0 and abs(ratio - nearest) <= max(rounding, _DRIFT):
        return nearest
    # A denormal length over a bin can underflow to 0.
    return max(math.ceil(ratio), int(length_ms > 0))


def bin_indices(
    since_start_ms: NDArray[np.float64], bin_size_ms: float, bins: int
) -> NDArray[np.int64]:
    """Return the bin, from 0 to ``bins - 1``, of times counted from the first edge."""
    indices = np.ceil(since_start_ms / bin_size_ms).astype(np.int64) - 1
    return np.clip(indices, 0, max(bins - 1, 0))


def counts(
    train: Sequence[NDArray[np.float64]],
    origin_ms: float,
    bin_size_ms: float,
    bins: int,
) -> NDArray[np.int64]:
    """Return the spike counts, int64 (units, bins), of bins that begin at `origin_ms`."""
    raster = np.zeros((len(train), bins), dtype=np.int64)
    for row, times in zip(raster, train, strict=True):
        if bins and times.size:
            indices = bin_indices(times - origin_ms, bin_size_ms, bins)
            row[:] = np.bincount(indices, minlength=bins)
    return raster


def spread(
    raster: NDArray[Any], origin_ms: float, bin_size_ms: float
) -> list[NDArray[np.float64]]:
    """Return the sorted spike times of each unit, in ms, that have these counts.

    `raster` has shape (units, bins); what is not positive is no spike. The k spikes of
    a bin divide it evenly.
    """
    trains = []
    for row in raster:
        bins = np.flatnonzero(row > 0)
        trains.append(placed(bins, row[bins], origin_ms, bin_size_ms))
    return trains


def placed(
    bins: NDArray[Any], counts: NDArray[Any], origin_ms: float, bin_size_ms: float
) -> NDArray[np.float64]:
    """Return spike times that divide each of `bins` evenly, `counts` in each."""
    spikes = counts.astype(np.int64)
    firsts = np.cumsum(spikes) - spikes
    nth = np.arange(spikes.sum()) - np.repeat(firsts, spikes) + 1
    inside = nth / np.repeat(spikes + 1, spikes)
    return np.asarray(origin_ms + (np.repeat(bins, spikes) + inside) * bin_size_ms)
