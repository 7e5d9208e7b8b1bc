"""What ``spikelab.json`` holds about a KiloSort or Phy folder."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats.phy.cluster_tables import TableColumn
from spikelab.spikedata import time_units
from spikelab.storage.manifest import MANIFEST, read_manifest, write_manifest

HASHED = 2**20  # files of more bytes are known by their size only


@attrs.frozen(kw_only=True)
class Facts:
    """The facts that the arrays of a folder cannot hold.

    Without arguments it is what is known about a folder of another program.
    """

    # The export that wrote the folder, "kilosort" or "phy"; None if another program did.
    format: str | None = None
    # Sampling rate in Hz, time unit of the spike times, recording window.
    fs_Hz: float | None = None
    time_unit: str = "samples"
    start_time_ms: float | None = None
    length_ms: float | None = None
    # What must be added to the sample numbers in the folder.
    first_sample: int = 0
    # Of each unit, in the order of the recording: its cluster and number of spikes. One
    # that had some and has none any more was merged or split in Phy.
    cluster_ids: Sequence[int] = ()
    spike_counts: Sequence[int] = ()
    # The attribute ``unit_id`` of each unit, int or str.
    unit_ids: Sequence[Any] = ()
    # Order of the spikes, "unit" or "time", and the names of the arrays.
    spike_order: str = "unit"
    spike_times_file: str = "spike_times.npy"
    spike_clusters_file: str = "spike_clusters.npy"
    # The columns of the tables with the cells of all units: Phy drops those of units
    # without spikes when it saves.
    columns: Sequence[TableColumn] = ()
    # Where the templates come from, and the clusters whose template is a placeholder.
    templates: str | None = None
    placeholders: Sequence[int] = ()
    # Whether the units have the attribute ``waveform_channels``.
    waveform_channels: bool = True

    @property
    def counts(self) -> dict[int, int]:
        """Number of spikes of each cluster when it was exported."""
        return dict(zip(self.cluster_ids, self.spike_counts, strict=True))

    def write(self, folder: Path) -> None:
        """Write the facts as the manifest that completes a folder."""
        about = attrs.asdict(self, recurse=False)
        about["columns"] = [attrs.asdict(c, recurse=False) for c in self.columns]
        about["n_units"] = len(self.cluster_ids)
        about["fingerprints"] = fingerprints(folder)
        write_manifest(folder, about)


def read(folder: Path) -> Facts:
    """Return the facts about a folder; of another program's, nothing is known."""
    manifest = read_manifest(folder)
    return Facts() if manifest is None else parsed(manifest, folder / MANIFEST)


def parsed(manifest: dict[str, Any], where: Path) -> Facts:
    """Return the facts in a manifest, which is called `where` in errors."""
    try:
        known = {name: manifest[name] for name in attrs.fields_dict(Facts)}
        known["columns"] = [TableColumn(**column) for column in known["columns"]]
        facts = Facts(**known)
        _check(facts, manifest["files"])
    except (TypeError, ValueError, KeyError) as error:
        raise FormatError(f"{where} is damaged: {error}") from error
    return facts


def _check(facts: Facts, files: Collection[str]) -> None:
    """Raise TypeError or ValueError for facts that no export wrote."""
    if facts.format not in ("kilosort", "phy"):
        raise ValueError(f"format must be 'kilosort' or 'phy', got {facts.format!r}")
    validate.positive("fs_Hz", facts.fs_Hz)
    for name in ("start_time_ms", "length_ms"):
        validate.finite(name, getattr(facts, name))
    time_units.time_unit("time_unit", facts.time_unit)
    for name in ("spike_times_file", "spike_clusters_file"):
        if getattr(facts, name) not in files:
            raise ValueError(f"{name} must be one of the files")
    ids, counts = facts.cluster_ids, facts.spike_counts
    sizes = {len(counts), len(facts.unit_ids), *(len(c.cells) for c in facts.columns)}
    if sizes != {len(ids)} or len(set(ids)) < len(ids):
        raise ValueError("units must have one value each, and distinct ids")
    numbers = [facts.first_sample, *facts.placeholders, *ids, *counts, sum(counts)]
    if set(map(type, numbers)) != {int}:
        raise TypeError("cluster_ids, spike_counts and placeholders must be integers")
    if not -(2**63) <= min(numbers) <= max(numbers) < 2**63 or min([0, *counts]) < 0:
        raise ValueError("numbers must be int64, and spike_counts not negative")
    if not {type(unit_id) for unit_id in facts.unit_ids} <= {int, str}:
        raise TypeError("unit_ids must be integers or names")
    for column in facts.columns:
        if not {type(cell) for cell in (column.name, *column.cells)} <= {str}:
            raise TypeError("columns must have a name and cells that are str")
        if column.container not in ("list", "tuple"):
            np.dtype(column.container)


def fingerprints(folder: Path) -> dict[str, list[Any]]:
    """Return the size of each file in a folder, and its SHA-256, None if it is large."""
    found: dict[str, list[Any]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != MANIFEST:
            content = path.read_bytes() if path.stat().st_size <= HASHED else None
            digest = None if content is None else hashlib.sha256(content).hexdigest()
            found[path.name] = [path.stat().st_size, digest]
    return found
