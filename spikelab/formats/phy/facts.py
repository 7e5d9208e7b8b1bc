"""What ``spikelab.json`` holds about a KiloSort or Phy folder, and what changed since."""

import hashlib
import os
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import attrs

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats.phy import cluster_tables, npy
from spikelab.formats.phy.cluster_tables import TableColumn
from spikelab.spikedata import time_units
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    write_manifest,
)
from spikelab.storage.remote import Existing, RemoteFolder

SI_UNIT_ID = "si_unit_id"  # the column by which SpikeInterface numbers the units

HASHED = 2**20  # files of more bytes are known by their size only

_CACHES = (".phy", "whitening_mat_inv.npy")  # what Phy writes when it opens a folder


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

    def write(self, folder: Path, **more: Any) -> None:
        """Write the facts, and `more`, as the manifest that completes a folder."""
        about = attrs.asdict(self, recurse=False)
        about["columns"] = [attrs.asdict(c, recurse=False) for c in self.columns]
        about |= {"n_units": len(self.cluster_ids), **more}
        write_manifest(folder, {**about, "fingerprints": fingerprints(folder)})


def read(folder: Path) -> Facts:
    """Return the facts about a folder; of another program's, nothing is known."""
    manifest = read_manifest(folder)
    return Facts() if manifest is None else _parsed(manifest, folder / MANIFEST)


def _parsed(manifest: dict[str, Any], where: Path) -> Facts:
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
    for per_unit in (counts, facts.unit_ids, *[c.cells for c in facts.columns]):
        if len(per_unit) != len(ids) or len(set(ids)) != len(ids):
            raise ValueError("units must have one value each, and distinct ids")
    numbers = [facts.first_sample, *facts.placeholders, *ids, *counts, sum(counts)]
    if not set(map(type, numbers)) | set(map(type, facts.unit_ids)) <= {int, str}:
        raise TypeError("numbers must be integers, and unit_ids integers or names")
    if (
        min(counts, default=0) < 0
        or not -(2**63) <= min(numbers) <= max(numbers) < 2**63
    ):
        raise ValueError("numbers must be int64, and spike_counts not negative")


def fingerprints(folder: Path) -> dict[str, list[Any]]:
    """Return the size of each file in a folder, and its SHA-256, None if it is large."""
    found: dict[str, list[Any]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != MANIFEST:
            content = path.read_bytes() if path.stat().st_size <= HASHED else None
            digest = None if content is None else hashlib.sha256(content).hexdigest()
            found[path.name] = [path.stat().st_size, digest]
    return found


def changes(existing: Existing, conflicting: Sequence[str]) -> list[str]:
    """Return the names of what was changed in a folder since spikelab exported it.

    That Phy opened the folder changes nothing, nor that it saved tables which hold the
    same for all clusters that have spikes. A folder without a complete manifest holds
    nothing of the kind. `conflicting` are glob patterns of files that an export removes.
    """
    if isinstance(existing, RemoteFolder):
        return _remote_changes(existing, conflicting)
    folder = Path(existing)
    manifest = load_manifest(folder) if folder.is_dir() else None
    if manifest is None or not manifest["complete"]:
        return []
    is_stack = "cluster_ids" not in manifest
    known = Facts() if is_stack else _parsed(manifest, folder / MANIFEST)
    recorded, prints = manifest.get("fingerprints", {}), fingerprints(folder)
    added = {e.name for pattern in conflicting for e in folder.glob(pattern)}
    found = sorted(added - {*manifest["files"], *_CACHES})
    for name in manifest["files"]:
        now = prints.get(name)
        # Of large files nothing else is known; of clusters how many spikes each has.
        is_known = now and (now[1] or name != known.spike_clusters_file)
        is_same = is_known and now == recorded.get(name)
        if (folder / name).is_dir():
            found += [
                f"{name}/{inner}" for inner in changes(folder / name, conflicting)
            ]
        elif now and not is_same and _is_changed(folder / name, known):
            found.append(name)
    return found


def _remote_changes(remote: RemoteFolder, conflicting: Sequence[str]) -> list[str]:
    """Of large files only the clusters are downloaded: of the others the size counts."""
    if remote.in_manifest is None or remote.is_untouched:
        return []
    with tempfile.TemporaryDirectory(prefix="spikelab-") as name:
        folder = Path(name).resolve()
        for file, entry in remote.entries.items():
            path = folder.joinpath(*file.split("/")).resolve()
            if not path.is_relative_to(folder):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.size <= HASHED or path.name == "spike_clusters.npy":
                remote.store.inside(file).download(path)
            else:
                path.touch()
                os.truncate(path, entry.size)
        return changes(folder, conflicting)


def _is_changed(path: Path, exported: Facts) -> bool:
    """Return whether a file tells something else than what was exported.

    Clusters tell how many spikes each has, tables the cells of those that have any.
    """
    try:
        if path.name == exported.spike_clusters_file:
            counts = {i: count for i, count in exported.counts.items() if count}
            return npy.counted(npy.read_whole(path)) != counts
        if not path.name.startswith("cluster_"):
            return True
        table = cluster_tables.read_table(path, {})
    except FormatError:
        return True
    for name, found in table.items():
        column = next((c for c in exported.columns if c.name == name), None)
        if column is None or not found.keys() <= exported.counts.keys():
            return True
        for (cluster, count), cell in zip(
            exported.counts.items(), column.written(), strict=True
        ):
            cell_now = found.get(cluster, "" if count else cell)
            if not cluster_tables.are_same(cell_now, cell):
                return True
    return not table
