"""The arrays with one number per spike, unit after unit or chronologically."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.phy import npy
from spikelab.formats.phy.facts import Facts
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import CACHED, SpikeTrains
from spikelab.spikedata.unit_table import UnitTable

AMPLITUDES = "amplitudes"  # the attribute that holds that of each spike of a unit

# A function that returns times in ms in the unit of the file.
_Convert = Callable[[NDArray[np.float64]], NDArray[Any]]

# Functions of a number of spikes that return a block of those that follow: times in the
# unit of the file, and clusters.
_Blocks = tuple[Callable[[int], NDArray[Any]], Callable[[int], NDArray[Any]]]


def write(
    folder: Path, trains: SpikeTrains, facts: Facts, copies: Sequence[str] = ()
) -> None:
    """Write the time and the cluster of each spike, the clusters also as `copies`.

    `facts` say file names, order, time unit and clusters. In chronological order, spikes
    at the same time stand in the order of the units.
    """
    ids = facts.cluster_ids
    fits = min(ids, default=0) >= -(2**31) and max(ids, default=0) < 2**31
    clusters = np.array(ids, dtype=np.int32 if fits else np.int64)
    dtype = time_units.dtype(facts.time_unit)
    cached = np.empty(CACHED, dtype=dtype)

    def convert(times: NDArray[np.float64]) -> NDArray[Any]:
        out = cached[: len(times)] if len(times) <= CACHED else None
        found = time_units.from_ms(times, facts.time_unit, facts.fs_Hz, out)
        return found - facts.first_sample if facts.first_sample else found

    def write_file(name: str, dtype: Any, block: Callable[[int], NDArray[Any]]) -> None:
        with npy.created(
            folder / name, dtype, (trains.n_spikes,), flush=True
        ) as append:
            for start in range(0, trains.n_spikes, CACHED):
                append(block(start))

    ordered = _in_time_order if facts.spike_order == "time" else _in_unit_order
    times, of_spikes = ordered(trains, convert, clusters)
    names = (facts.spike_clusters_file, *copies)
    # One file is computed while the disk is busy with another.
    with ThreadPoolExecutor(1 + len(names)) as pool:
        writes = [pool.submit(write_file, facts.spike_times_file, dtype, times)]
        for name in names:
            writes.append(pool.submit(write_file, name, clusters.dtype, of_spikes))
    for done in writes:
        done.result()


def _in_unit_order(
    trains: SpikeTrains, convert: _Convert, clusters: NDArray[Any]
) -> _Blocks:
    """Return the spikes unit after unit."""
    flat, n_spikes = trains.flat, trains.n_spikes
    return (
        lambda start: convert(flat[start : start + CACHED]),
        lambda i: trains.repeated(clusters, i, min(i + CACHED, n_spikes)),
    )


def _in_time_order(
    trains: SpikeTrains, convert: _Convert, clusters: NDArray[Any]
) -> _Blocks:
    """Return the spikes chronologically, those at the same time by unit.

    Where sample and unit fit together into 64 bits, numbers that hold the sample in
    their high and the unit in their low bits are sorted: some 9 bytes a spike, instead
    of 20.
    """
    bits = max(len(trains) - 1, 1).bit_length()
    low, high = convert(np.array(trains.extremes())).tolist()
    room = 2 ** (62 - bits)
    if isinstance(low, int) and -room < low and high < room:
        keys = np.empty(trains.n_spikes, dtype=np.int64)
        times, units = _in_unit_order(trains, convert, np.arange(len(trains)))
        for start in range(0, len(keys), CACHED):
            part = keys[start : start + CACHED]
            np.left_shift(times(start), bits, out=part)
            part |= units(start)
        keys.sort()  # equal keys are equal spikes, so no stable sort is needed
        return (
            lambda start: keys[start : start + CACHED] >> bits,
            lambda i: clusters[keys[i : i + CACHED] & ((1 << bits) - 1)],
        )
    flat = np.empty(trains.n_spikes, dtype=convert(np.empty(0)).dtype)
    for start in range(0, len(flat), CACHED):
        block = slice(start, start + CACHED)
        flat[block] = convert(trains.flat[block])
    order = np.argsort(flat, kind="stable")

    def clusters_at(start: int) -> NDArray[Any]:
        chosen = order[start : start + CACHED]
        return clusters[np.searchsorted(trains.ends, chosen, side="right")]

    return lambda start: flat[order[start : start + CACHED]], clusters_at


def amplitudes_of(
    table: UnitTable, counts: NDArray[np.int64]
) -> list[NDArray[Any]] | None:
    """Return the amplitude of each spike of each unit, None if any is not known."""
    if AMPLITUDES not in table.columns:
        return None
    found = []
    for value, count in zip(table.columns[AMPLITUDES].values, counts, strict=True):
        is_array = isinstance(value, np.ndarray | list | tuple)
        array = np.asarray(value if is_array else [], dtype=None if is_array else "f4")
        if array.dtype.kind not in "iuf" or array.shape != (count,):
            return None
        found.append(array)
    dtype = np.result_type(np.float32, *[a.dtype for a in found if a.size])
    return [array.astype(dtype, copy=False) for array in found]


def write_amplitudes(
    folder: Path, amplitudes: Sequence[NDArray[Any]], clusters: Sequence[int]
) -> None:
    """Write the amplitudes of each unit in the order of ``spike_clusters.npy``."""
    flat = np.concatenate([amplitudes[unit] for unit in np.argsort(clusters)])
    of_spikes = npy.read_column(folder / "spike_clusters.npy")
    # A stable sort keeps the order of the spikes of a cluster; it is fastest of small
    # integers.
    narrow = of_spikes.astype(np.min_scalar_type(max(clusters)))
    in_time = np.empty_like(flat)
    in_time[np.argsort(narrow, kind="stable")] = flat
    np.save(folder / "amplitudes.npy", in_time)


def n_together(trains: SpikeTrains, convert: _Convert) -> int:
    """Return how many spikes get the time of an earlier spike of their unit."""
    together = 0
    for start in range(0, trains.n_spikes, CACHED):
        # One spike more than the block, so that no neighbours are missed.
        block = trains.flat[start : start + CACHED + 1]
        same = (np.diff(convert(block)) == 0) & (np.diff(block) > 0)
        inside = slice(*np.searchsorted(trains.ends, (start + 1, start + len(block))))
        same[trains.ends[inside] - start - 1] = False
        together += int(np.count_nonzero(same))
    return together


@attrs.frozen(eq=False)
class Units:
    """The units of a folder, and their spikes."""

    folder: Path
    facts: Facts  # what is known about it
    ids: list[int]  # the cluster of each unit
    exported: dict[int, int]  # position of each cluster that is as it was exported
    clusters: NDArray[np.int64]  # the cluster of each spike
    rows: NDArray[Any]  # the unit of each spike, a position in `ids`
    trains: SpikeTrains  # the spike times in ms

    def moved_into(self, start_ms: float, length_ms: float, slack_ms: float) -> "Units":
        """Return the units with times that rounding carried out of the window inside."""
        trains = self.trains.moved_into(start_ms, length_ms, slack_ms)
        return attrs.evolve(self, trains=trains)

    def add_amplitudes(self, rows: list[dict[str, Any]]) -> None:
        """Add the amplitude of each spike of a unit, and sort both by time."""
        path, n_spikes = self.folder / "amplitudes.npy", len(self.clusters)
        found = npy.optional(npy.read_column, path, n_spikes)
        if found is None:
            return
        of_units = SpikeTrains.from_pairs(self.rows, np.array(found), len(rows))
        for row, times, values in zip(rows, self.trains, of_units, strict=True):
            is_sorted = not np.any(times[1:] < times[:-1])
            order = slice(None) if is_sorted else np.argsort(times, kind="stable")
            row[AMPLITUDES] = values[order]
        self.trains.sort()


def read(folder: Path, facts: Facts) -> Units:
    """Return the units: those of the export that are still there, then others."""
    path = folder / facts.spike_times_file
    samples = npy.read_column(path)
    name = facts.spike_clusters_file
    if name == "spike_clusters.npy" and not (folder / name).exists():
        name = "spike_templates.npy"
    clusters = npy.read_whole(folder / name)
    if samples.shape != clusters.shape:
        raise FormatError(
            f"{facts.spike_times_file} and {name} must have the same length, "
            f"got {samples.size} and {clusters.size} in {folder}"
        )
    if samples.size and samples.max() >= 2**63:
        raise FormatError(
            f"{path} must hold int64 numbers, got {samples.max()}: beyond any recording, "
            "or a negative one that was stored as uint64"
        )
    times = np.empty(len(samples))
    for start in range(0, len(samples), CACHED):
        part = slice(start, start + CACHED)
        block = samples[part]
        if facts.first_sample:
            block = block.astype(np.int64) + facts.first_sample
        time_units.to_ms(block, facts.time_unit, facts.fs_Hz, out=times[part])
    present = npy.counted(clusters)
    # A cluster that had spikes and has none was merged or split in Phy, which may give
    # the number of a silent one to the cluster that it makes.
    exported = {
        cluster: i
        for i, (cluster, count) in enumerate(facts.counts.items())
        if (count > 0) == (cluster in present)
    }
    ids = [*exported, *sorted(present.keys() - exported)]
    rows: NDArray[Any] = clusters
    if ids != list(range(len(ids))):
        order = np.argsort(ids)
        rows = order[np.searchsorted(np.array(ids, dtype=np.int64)[order], clusters)]
    trains = SpikeTrains.from_pairs(rows, times, len(ids))
    return Units(folder, facts, ids, exported, clusters, rows, trains)
