"""The spikes of a KiloSort or Phy folder, unit after unit or chronologically."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import trains
from spikelab.formats.kilosort import npy

Train = Sequence[NDArray[np.float64]]
Convert = Callable[[NDArray[np.float64]], NDArray[Any]]

Stream = Iterator[tuple[NDArray[Any], NDArray[Any]]]
"""Blocks of times, and of the unit of each."""


def in_unit_order(train: Train, convert: Convert) -> Stream:
    """Yield the spikes unit after unit."""
    ends, position = trains.ends(train), 0
    for block in trains.blocks(train, trains.CACHED):
        stop = position + len(block)
        yield convert(block), trains.unit_indices(ends, position, stop)
        position = stop


def in_time_order(train: Train, convert: Convert) -> Stream:
    """Yield the spikes chronologically, those at the same time by unit.

    Takes some 9 bytes a spike where sample and unit fit together into 64 bits, and
    at most 24 where not.
    """
    bits = max(len(train) - 1, 1).bit_length()
    low, high = (convert(np.array([edge])) for edge in trains.extremes(train))
    room = 2 ** (62 - bits)
    if low.dtype.kind == "i" and -room < low[0] and high[0] < room:
        return _by_packed_key(train, convert, bits)
    return _by_argsort(train, convert)


def _by_packed_key(train: Train, convert: Convert, bits: int) -> Stream:
    """Sort numbers that hold the sample in the high and the unit in the low bits."""
    keys = np.empty(sum(map(len, train)), dtype=np.int64)
    position = 0
    for samples, units in in_unit_order(train, convert):
        part = keys[position : position + len(samples)]
        np.left_shift(samples, bits, out=part)
        part |= units
        position += len(samples)
    keys.sort()  # equal keys are the same spike, so no stable sort is needed
    for start in range(0, len(keys), trains.CACHED):
        block = keys[start : start + trains.CACHED]
        yield block >> bits, block & ((1 << bits) - 1)


def _by_argsort(train: Train, convert: Convert) -> Stream:
    values = [convert(block) for block in trains.blocks(train)]
    flat = np.concatenate(values) if values else np.empty(0)
    del values
    order = np.argsort(flat, kind="stable")
    ends = trains.ends(train)
    for start in range(0, len(order), trains.CACHED):
        block = order[start : start + trains.CACHED]
        yield flat[block], np.searchsorted(ends, block, side="right")


def write(
    folder: Path,
    stream: Stream,
    n_spikes: int,
    times: tuple[str, DTypeLike],
    clusters: tuple[Sequence[str], DTypeLike],
    ids: NDArray[np.int64],
) -> None:
    """Write a stream of spikes as one array of times and equal ones of clusters.

    Parameters
    ----------
    folder : Path
        The staged folder.
    stream : iterator
        Blocks of times and units.
    n_spikes : int
        How many there are.
    times, clusters : tuple
        File name(s) and dtype.
    ids : ndarray, shape (N,)
        The cluster id of each unit.
    """
    with contextlib.ExitStack() as files:
        add_times = files.enter_context(
            npy.created(folder / times[0], times[1], (n_spikes,))
        )
        add_clusters = [
            files.enter_context(npy.created(folder / name, clusters[1], (n_spikes,)))
            for name in clusters[0]
        ]
        renumbered = not np.array_equal(ids, np.arange(len(ids)))
        for values, units in stream:
            add_times(values)
            found = ids[units] if renumbered else units
            for add in add_clusters:
                add(found)


def rounding(train: Train, convert: Convert, back: Convert) -> tuple[float, int]:
    """Return by how much times move at most, and how many spikes fall together.

    A spike is counted if it shares its converted time with the spike before it
    in its unit although their times differ.
    """
    moved, together = 0.0, 0
    for times in train:
        for start in range(0, len(times), trains.CACHED):
            # One spike more than the block, so that no neighbours are missed.
            block = times[max(start - 1, 0) : start + trains.CACHED]
            converted = convert(block)
            moved = max(moved, float(np.abs(back(converted) - block).max()))
            together += int(
                np.count_nonzero((np.diff(converted) == 0) & (np.diff(block) > 0))
            )
    return moved, together
