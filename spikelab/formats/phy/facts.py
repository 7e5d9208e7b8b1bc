"""What ``spikelab.json`` holds about a KiloSort or Phy folder beyond its arrays."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import attrs

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats.phy.cluster_tables import TableColumn
from spikelab.spikedata import time_units
from spikelab.storage.manifest import MANIFEST, read_manifest, write_manifest

FORMATS = ("kilosort", "phy")

SI_UNIT_ID = "si_unit_id"
"""The column by which SpikeInterface numbers the units."""

HASHED = 2**20
"""Files of more bytes are known by their size only."""


@attrs.frozen(kw_only=True)
class Facts:
    """The facts that the arrays of a folder cannot hold.

    Without arguments it is what is known about a folder of another program.
    """

    # The export that wrote the folder, one of FORMATS; None if another program did.
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

    def column(self, name: str) -> TableColumn | None:
        """Return the exported column of this name, None if there is none."""
        return next((c for c in self.columns if c.name == name), None)

    def write(self, folder: Path, **more: Any) -> None:
        """Write the facts, and `more`, as the manifest that completes a folder."""
        about = {
            **attrs.asdict(self, recurse=False),
            "cluster_ids": list(self.cluster_ids),
            "columns": [attrs.asdict(c, recurse=False) for c in self.columns],
            "n_units": len(self.cluster_ids),
            **more,
        }
        write_manifest(folder, {**about, "fingerprints": fingerprints(folder)})


def read(folder: Path) -> Facts:
    """Return the facts about a folder; of another program's, nothing is known."""
    manifest = read_manifest(folder)
    return Facts() if manifest is None else parsed(manifest, folder / MANIFEST)


def parsed(manifest: dict[str, Any], where: Path) -> Facts:
    """Return the facts in a manifest, which is called `where` in errors."""
    if manifest.get("format") not in FORMATS:
        raise FormatError(
            f"{where} must name one of the formats {FORMATS}, "
            f"got {manifest.get('format')!r}"
        )
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
    validate.positive("fs_Hz", facts.fs_Hz)
    validate.finite("start_time_ms", facts.start_time_ms)
    validate.finite("length_ms", facts.length_ms)
    time_units.time_unit("time_unit", facts.time_unit)
    for name in ("spike_times_file", "spike_clusters_file"):
        if getattr(facts, name) not in files:
            raise ValueError(f"{name} must be one of the files")
    ids, counts = facts.cluster_ids, facts.spike_counts
    for per_unit in (counts, facts.unit_ids, *(c.cells for c in facts.columns)):
        if len(per_unit) != len(ids) or len(set(ids)) != len(ids):
            raise ValueError("units must have one value each, and distinct ids")
    numbers = [facts.first_sample, *facts.placeholders, *ids, *counts, sum(counts)]
    are_int = set(map(type, numbers)) == {int}
    if not are_int or min(numbers) < -(2**63) or max(numbers) >= 2**63:
        raise ValueError("ids and counts must be int64 numbers")
    if min(counts, default=0) < 0:
        raise ValueError("spike_counts must not be negative")
    if not set(map(type, facts.unit_ids)) <= {int, str}:
        raise TypeError("unit_ids must be integers or strings")


def fingerprints(folder: Path) -> dict[str, list[Any]]:
    """Return the fingerprint of each file in a folder by its name."""
    files = sorted([path for path in folder.iterdir() if path.is_file()])
    return {path.name: fingerprint(path) for path in files if path.name != MANIFEST}


def fingerprint(path: Path) -> list[Any]:
    """Return the size of a file, and its SHA-256, None if it is large."""
    size = path.stat().st_size
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if size <= HASHED else None
    return [size, digest]
