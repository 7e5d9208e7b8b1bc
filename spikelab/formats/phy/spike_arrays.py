"""The arrays with one number per spike, unit after unit or chronologically."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab.formats.phy import npy
from spikelab.spikedata.spike_trains import BLOCK, CACHED, SpikeTrains
from spikelab.spikedata.unit_table import UnitTable

Convert = Callable[[NDArray[np.float64]], NDArray[Any]]
"""A function that returns times in ms in the unit of the file."""

AMPLITUDES = "amplitudes"
"""The attribute that holds the amplitude of each spike of a unit."""

Stream = Iterator[tuple[NDArray[Any], NDArray[np.int64]]]
"""Blocks of times in the unit of the file, and of the unit of each spike."""


def cluster_dtype(ids: Sequence[int]) -> type[np.int32] | type[np.int64]:
    """Return int32, which KiloSort and Phy write, or int64 for ids that do not fit."""
    fits = min(ids, default=0) >= -(2**31) and max(ids, default=0) < 2**31
    return np.int32 if fits else np.int64


def write_in_unit_order(
    folder: Path,
    trains: SpikeTrains,
    convert: Convert,
    times: tuple[str, DTypeLike],
    clusters_file: str,
    ids: Sequence[int],
) -> None:
    """Write times and cluster ids unit after unit.

    Parameters
    ----------
    folder : Path
        The staged folder.
    trains : SpikeTrains
        The spikes.
    convert : callable
        From ms to the unit of the file.
    times : tuple of str and dtype
        File name and dtype of the times.
    clusters_file : str
        File name of the cluster ids.
    ids : sequence of int
        The cluster id of each unit.
    """
    n_spikes, dtype = trains.n_spikes, cluster_dtype(ids)
    with npy.created(folder / times[0], times[1], (n_spikes,)) as append:
        for start in range(0, n_spikes, CACHED):
            append(convert(trains.flat[start : start + CACHED]))
    of_unit = np.array(ids, dtype=dtype)
    with npy.created(folder / clusters_file, dtype, (n_spikes,)) as append:
        for start in range(0, n_spikes, CACHED):
            append(of_unit[trains.unit_indices(start, min(start + CACHED, n_spikes))])


def write_in_time_order(
    folder: Path,
    trains: SpikeTrains,
    convert: Convert,
    times: tuple[str, DTypeLike],
    clusters_files: Sequence[str],
    ids: Sequence[int],
) -> None:
    """Write times, and equal arrays of cluster ids, in chronological order.

    Spikes at the same time stand in the order of the units. Parameters are those of
    :func:`write_in_unit_order`.
    """
    shape, dtype = (trains.n_spikes,), cluster_dtype(ids)
    of_unit = np.array(ids, dtype=dtype)
    with ExitStack() as files:
        append_times = files.enter_context(
            npy.created(folder / times[0], times[1], shape)
        )
        append_clusters = [
            files.enter_context(npy.created(folder / name, dtype, shape))
            for name in clusters_files
        ]
        for block, units in _in_time_order(trains, convert):
            append_times(block)
            clusters = of_unit[units]
            for append in append_clusters:
                append(clusters)


def _in_time_order(trains: SpikeTrains, convert: Convert) -> Stream:
    """Yield the spikes chronologically, those at the same time by unit.

    Takes some 9 bytes a spike where sample and unit fit together into 64 bits, and at
    most 24 where not.
    """
    bits = max(len(trains) - 1, 1).bit_length()
    low, high = convert(np.array(trains.extremes()))
    room = 2 ** (62 - bits)
    if isinstance(low, np.integer) and -room < low and high < room:
        return _by_packed_key(trains, convert, bits)
    return _by_argsort(trains, convert)


def _by_packed_key(trains: SpikeTrains, convert: Convert, bits: int) -> Stream:
    """Sort numbers that hold the sample in the high and the unit in the low bits."""
    keys = np.empty(trains.n_spikes, dtype=np.int64)
    for start in range(0, len(keys), CACHED):
        part = keys[start : start + CACHED]
        np.left_shift(convert(trains.flat[start : start + CACHED]), bits, out=part)
        part |= trains.unit_indices(start, start + len(part))
    keys.sort()  # equal keys are equal spikes, so no stable sort is needed
    for start in range(0, len(keys), CACHED):
        block = keys[start : start + CACHED]
        yield block >> bits, block & ((1 << bits) - 1)


def _by_argsort(trains: SpikeTrains, convert: Convert) -> Stream:
    flat = np.concatenate([convert(np.empty(0)), *map(convert, trains.blocks(BLOCK))])
    order = np.argsort(flat, kind="stable")
    for start in range(0, len(order), CACHED):
        block = order[start : start + CACHED]
        yield flat[block], np.searchsorted(trains.ends, block, side="right")


def amplitudes_of(
    table: UnitTable, counts: NDArray[np.int64]
) -> list[NDArray[Any]] | None:
    """Return the amplitude of each spike of each unit, None if any is not known."""
    if AMPLITUDES not in table.columns:
        return None
    found = []
    for value, count in zip(
        table.columns[AMPLITUDES].values, counts.tolist(), strict=True
    ):
        is_array = isinstance(value, np.ndarray | list | tuple)
        if not count and not is_array:
            value = np.empty(0, dtype=np.float32)
        elif not is_array:
            return None
        array = np.asarray(value)
        if array.dtype.kind not in "iuf" or array.shape != (count,):
            return None
        found.append(array)
    dtype = np.result_type(np.float32, *(a.dtype for a in found if a.size))
    return [array.astype(dtype) for array in found]


def write_amplitudes(
    folder: Path, amplitudes: Sequence[NDArray[Any]], ids: Sequence[int]
) -> None:
    """Write ``amplitudes.npy`` beside ``spike_clusters.npy`` in chronological order.

    Parameters
    ----------
    folder : Path
        The staged folder.
    amplitudes : sequence of ndarray
        The amplitude of each spike of each unit, in the order of its spikes.
    ids : sequence of int
        The cluster id of each unit.
    """
    by_cluster = [amplitudes[unit] for unit in np.argsort(ids)]
    flat = np.concatenate(by_cluster)
    clusters = npy.read_column(folder / "spike_clusters.npy")
    # A stable sort keeps the order of the spikes of a cluster; it is fastest of small
    # integers.
    narrow = clusters.astype(np.min_scalar_type(max(ids)))
    in_time = np.empty_like(flat)
    in_time[np.argsort(narrow, kind="stable")] = flat
    npy.write(folder / "amplitudes.npy", in_time)


def n_together(trains: SpikeTrains, convert: Convert) -> int:
    """Return how many spikes get the time of the spike before them in their unit.

    Spikes that are at the same time already do not count.
    """
    together = 0
    for start in range(0, trains.n_spikes, CACHED):
        # One spike more than the block, so that no neighbours are missed.
        block = trains.flat[start : start + CACHED + 1]
        same = (np.diff(convert(block)) == 0) & (np.diff(block) > 0)
        ends = trains.ends[
            slice(*np.searchsorted(trains.ends, (start + 1, start + len(block))))
        ]
        same[ends - start - 1] = False
        together += int(np.count_nonzero(same))
    return together
