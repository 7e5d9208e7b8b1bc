"""Reading KiloSort and Phy folders, of spikelab or from elsewhere."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, trains
from spikelab import units as time_units
from spikelab.errors import FormatError, warn
from spikelab.formats.kilosort import npy
from spikelab.formats.kilosort import sidecar as cluster_sidecar
from spikelab.formats.kilosort import tables as cluster_tables
from spikelab.formats.kilosort import units as cluster_units
from spikelab.formats.kilosort.sidecar import Sidecar
from spikelab.formats.kilosort.tables import Table
from spikelab.formats.kilosort.units import Units
from spikelab.formats.reading import RecordingOptions
from spikelab.kinds import Contents

_is_optional_file = attrs.validators.optional(checks.is_file_name)


@attrs.frozen(kw_only=True)
class ClusterReader(RecordingOptions):
    """One way to read a folder; the options are those of :func:`kilosort.read`."""

    folder: Path
    fs_Hz: float | None = attrs.field(
        validator=attrs.validators.optional(checks.is_positive)
    )
    spike_times_file: str | None = attrs.field(validator=_is_optional_file)
    spike_clusters_file: str | None = attrs.field(validator=_is_optional_file)
    cluster_info_tsv: str | os.PathLike[str] | None
    time_unit: str | None = attrs.field(
        validator=attrs.validators.optional(time_units.is_time_unit)
    )
    include_noise: bool = attrs.field(validator=checks.is_flag)
    channel_map_file: str = attrs.field(validator=checks.is_file_name)
    channel_positions_file: str = attrs.field(validator=checks.is_file_name)

    def read(self) -> Contents:
        """Return the recording in the folder."""
        if not self.folder.is_dir():
            raise NotADirectoryError(f"folder must name a folder, got {self.folder}")
        sidecar = self._facts(cluster_sidecar.read(self.folder))
        times, clusters = self._spikes(sidecar)
        units, train = _sorted_into_units(times, clusters, sidecar)
        start, length = self._window(train, sidecar)
        if length is not None:
            slack = time_units.rounding_ms(
                sidecar.time_unit, sidecar.fs_Hz, trains.largest_ms(train)
            )
            train = trains.into_window(train, start, length, slack)
        table = cluster_tables.read_tables(self.folder)
        named = self._named_table()
        files = (self.channel_map_file, self.channel_positions_file)
        attributes = cluster_units.attributes(
            self.folder, units, {**table, **named}, files, sidecar
        )
        kept = self._kept(units.ids, named)
        metadata = {
            "source_format": "KiloSort",
            "cluster_ids": [units.ids[unit] for unit in kept],
            "fs_Hz": sidecar.fs_Hz,
        }
        arguments = {
            "train": _chosen(train, kept),
            "start_time": start,
            "length": length,
            "neuron_attributes": [attributes[unit] for unit in kept],
            "metadata": metadata,
        }
        return Contents("SpikeData", arguments)

    def _facts(self, sidecar: Sidecar) -> Sidecar:
        """Return what is known of the folder: the arguments, the sidecar, params.py."""
        given = {
            name: getattr(self, name)
            for name in (
                "fs_Hz",
                "time_unit",
                "spike_times_file",
                "spike_clusters_file",
            )
            if getattr(self, name) is not None
        }
        facts = attrs.evolve(sidecar, **given)
        if facts.fs_Hz is None:
            params = cluster_tables.read_params(self.folder / "params.py")
            rate = params.get("sample_rate")
            facts = attrs.evolve(
                facts, fs_Hz=None if rate is None else _rate(rate, self.folder)
            )
        if facts.fs_Hz is None and facts.time_unit == "samples":
            raise FormatError(
                "fs_Hz must be given: the folder has no params.py that assigns a number "
                f"to sample_rate, got {self.folder}"
            )
        return facts

    def _spikes(
        self, sidecar: Sidecar
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the time in ms and the cluster of each spike."""
        values = npy.read_column(self.folder / sidecar.spike_times_file, kinds="iuf")
        name = sidecar.spike_clusters_file
        if name == "spike_clusters.npy" and not (self.folder / name).exists():
            name = "spike_templates.npy"
        clusters = _whole(
            npy.read_column(self.folder / name, "iuf"), self.folder / name
        )
        if values.shape != clusters.shape:
            raise FormatError(
                f"{sidecar.spike_times_file} and {name} must have the same length, "
                f"got {values.size} and {clusters.size} in {self.folder}"
            )
        return _in_ms(values, sidecar), clusters

    def _window(
        self, train: list[NDArray[np.float64]], sidecar: Sidecar
    ) -> tuple[float, float | None]:
        first, _ = trains.extremes(train)
        start, length = self.start_time_ms, self.length_ms
        if start is None:
            start = sidecar.start_time_ms or 0.0
        if length is None:
            length = sidecar.length_ms
        if sidecar.format is None and self.start_time_ms is None and first < 0:
            raise FormatError(
                f"{self.folder} holds a spike at {first} ms, before 0; "
                "give start_time_ms, the start of the recording"
            )
        return start, length

    def _named_table(self) -> Table:
        """Return the table that the caller named, an empty one if it is not there."""
        if self.cluster_info_tsv is None:
            return {}
        path = self.folder / os.fspath(self.cluster_info_tsv)
        return cluster_tables.read_table(path) if path.is_file() else {}

    def _kept(self, ids: Sequence[int], named: Table) -> list[int]:
        """Return the positions of the units that the caller wants."""
        labels = {**named.get("KSLabel", {}), **named.get("group", {})}
        if self.cluster_info_tsv is not None and not labels:
            there = (self.folder / os.fspath(self.cluster_info_tsv)).is_file()
            lacking = "no column group or KSLabel in" if there else "there is no file"
            warn(
                f"cluster_info_tsv: {lacking} {self.cluster_info_tsv}, "
                "so all units are read"
            )
        if not labels:
            return list(range(len(ids)))
        wanted = {"good", "mua", *(["noise"] if self.include_noise else [])}
        return [u for u, i in enumerate(ids) if labels.get(i, "").lower() in wanted]


def _rate(value: Any, folder: Path) -> float:
    try:
        return checks.positive("sample_rate", value)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{folder / 'params.py'}: {error}") from error


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int64]:
    """Return cluster ids as int64."""
    if values.dtype.kind == "i":
        return values.astype(np.int64, copy=False)
    limit = 2.0**63
    if values.size and not (values.min() >= -limit and values.max() < limit):
        raise FormatError(f"{path} must hold cluster ids, got {values.max()}")
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not np.array_equal(whole, values):
        raise FormatError(f"{path} must hold whole numbers")
    return whole


def _in_ms(values: NDArray[Any], sidecar: Sidecar) -> NDArray[np.float64]:
    """Return times in ms, converted in blocks that stay in the cache."""
    times = np.empty(len(values))
    for start in range(0, len(values), trains.CACHED):
        part = slice(start, start + trains.CACHED)
        block = values[part]
        if sidecar.first_sample:
            block = _signed(block) + sidecar.first_sample
        time_units.to_ms(block, sidecar.time_unit, sidecar.fs_Hz, out=times[part])
    return times


def _signed(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.kind == "f" else values.astype(np.int64)


def _sorted_into_units(
    times: NDArray[np.float64], clusters: NDArray[np.int64], sidecar: Sidecar
) -> tuple[Units, list[NDArray[np.float64]]]:
    """Return the units and the times of each."""
    stops = np.cumsum(sidecar.spike_counts, dtype=np.int64)
    if sidecar.format is not None and _is_as_exported(clusters, stops, sidecar):
        units = Units(sidecar.cluster_ids, clusters, frozenset())
        return units, trains.split(times, stops, "spike_counts")
    units = _units(clusters, sidecar)
    return units, trains.gather(units.rows, times, len(units.ids))


def _is_as_exported(
    clusters: NDArray[np.int64], stops: NDArray[np.int64], sidecar: Sidecar
) -> bool:
    """Tell whether the spikes are still unit after unit, those that were exported."""
    if sidecar.spike_order != "unit" or not len(stops) or stops[-1] != len(clusters):
        return False
    ids = np.array(sidecar.cluster_ids, dtype=np.int64)
    edges = [*range(0, len(clusters), trains.CACHED), len(clusters)]
    return all(
        np.array_equal(clusters[i:j], ids[trains.unit_indices(stops, i, j)])
        for i, j in itertools.pairwise(edges)
    )


def _chosen(
    train: list[NDArray[np.float64]], kept: list[int]
) -> list[NDArray[np.float64]]:
    # All of them can stay one array.
    return train if len(kept) == len(train) else [train[unit] for unit in kept]


def _units(clusters: NDArray[np.int64], sidecar: Sidecar) -> Units:
    """Return the units: those of the export that are still there, then others."""
    present = set(_distinct(clusters).tolist())
    counts = dict(zip(sidecar.cluster_ids, sidecar.spike_counts, strict=True))
    # One that had spikes and has none was merged or split in Phy, which may give
    # the id of a silent unit to the cluster that it makes.
    kept = [i for i, count in counts.items() if (count > 0) == (i in present)]
    ids = np.array([*kept, *sorted(present.difference(kept))], dtype=np.int64)
    taken = frozenset(i for i, count in counts.items() if not count and i in present)
    if np.array_equal(ids, np.arange(len(ids))):
        return Units(tuple(ids.tolist()), clusters, taken)
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids[order], clusters)]
    return Units(tuple(ids.tolist()), rows, taken)


def _distinct(clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct ids, without sorting where they are small."""
    if (
        clusters.size
        and clusters.min() >= 0
        and clusters.max() <= max(clusters.size, 2**20)
    ):
        return np.flatnonzero(np.bincount(clusters))
    return np.unique(clusters)
