"""What ``spikelab.json`` holds about a KiloSort or Phy folder beyond its arrays."""

import hashlib
from collections.abc import Iterable
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


def _are_int64(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    numbers = value if isinstance(value, tuple) else (value,)
    are_int = set(map(type, numbers)) <= {int}
    if (
        not are_int
        or not -(2**63) <= min(numbers, default=0) <= max(numbers, default=0) < 2**63
    ):
        raise ValueError(f"{attribute.name} must be int64 numbers, got {value!r:.80}")


def _as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


def _columns(columns: Iterable[Any]) -> tuple[TableColumn, ...]:
    """Return columns, also from the dictionaries that a manifest holds."""
    return tuple([TableColumn(**c) if isinstance(c, dict) else c for c in columns])


_optional = attrs.validators.optional


@attrs.frozen(kw_only=True)
class Facts:
    """The facts that the arrays of a folder cannot hold.

    Without arguments it is what is known about a folder of another program.
    """

    # The export that wrote the folder, one of FORMATS; None if another program did.
    format: str | None = None
    # Sampling rate in Hz.
    fs_Hz: float | None = attrs.field(
        default=None, validator=_optional(validate.is_positive)
    )
    # Time unit of the spike times.
    time_unit: str = attrs.field(default="samples", validator=time_units.is_time_unit)
    # The recording window.
    start_time_ms: float | None = attrs.field(
        default=None, validator=_optional(validate.is_finite)
    )
    length_ms: float | None = attrs.field(
        default=None, validator=_optional(validate.is_finite)
    )
    # What must be added to the sample numbers in the folder.
    first_sample: int = attrs.field(default=0, validator=_are_int64)
    # Of each unit, in the order of the recording: its cluster and number of spikes. One
    # that had some and has none any more was merged or split in Phy.
    cluster_ids: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    spike_counts: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    # The attribute ``unit_id`` of each unit, int or str.
    unit_ids: tuple[Any, ...] = attrs.field(default=(), converter=_as_tuple)
    # Order of the spikes, "unit" or "time", and the names of the arrays.
    spike_order: str = "unit"
    spike_times_file: str = "spike_times.npy"
    spike_clusters_file: str = "spike_clusters.npy"
    # The columns of the tables with the cells of all units: Phy drops those of units
    # without spikes when it saves.
    columns: tuple[TableColumn, ...] = attrs.field(default=(), converter=_columns)
    # Where the templates come from, and the clusters whose template is a placeholder.
    templates: str | None = None
    placeholders: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    # Whether the units have the attribute ``waveform_channels``.
    waveform_channels: bool = True

    def __attrs_post_init__(self) -> None:
        """Check that there is one value per unit, and that ids differ."""
        per_unit = [("unit_ids", self.unit_ids), ("spike_counts", self.spike_counts)]
        per_unit += [(f"columns {c.name!r}", c.cells) for c in self.columns]
        for name, values in per_unit:
            if len(values) != len(self.cluster_ids):
                raise ValueError(f"{name} must be one per unit, got {len(values)}")
        if min(self.spike_counts, default=0) < 0 or sum(self.spike_counts) >= 2**63:
            raise ValueError("spike_counts must not be negative, nor too large")
        if len(set(self.cluster_ids)) != len(self.cluster_ids):
            raise ValueError("cluster_ids must be distinct")
        if not set(map(type, self.unit_ids)) <= {int, str}:
            raise TypeError("unit_ids must be integers or strings")

    @property
    def counts(self) -> dict[int, int]:
        """Number of spikes of each cluster when it was exported."""
        return dict(zip(self.cluster_ids, self.spike_counts, strict=True))

    def column(self, name: str) -> TableColumn | None:
        """Return the exported column of this name, None if there is none."""
        return next((c for c in self.columns if c.name == name), None)

    def write(self, folder: Path, **more: Any) -> None:
        """Write the facts, and `more`, as the manifest that completes a folder."""
        about = attrs.asdict(self, recurse=False)
        about["columns"] = [attrs.asdict(c, recurse=False) for c in self.columns]
        about |= {"n_units": len(self.cluster_ids), **more}
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
        known = Facts(**{name: manifest[name] for name in attrs.fields_dict(Facts)})
        for name in ("fs_Hz", "start_time_ms", "length_ms"):
            validate.finite(name, manifest[name])
        for name in ("spike_times_file", "spike_clusters_file"):
            if manifest[name] not in manifest["files"]:
                raise ValueError(
                    f"{name} must be one of the files, got {manifest[name]!r}"
                )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{where} is damaged: {error}") from error
    return known


def fingerprints(folder: Path) -> dict[str, list[Any]]:
    """Return the fingerprint of each file in a folder by its name."""
    files = sorted([path for path in folder.iterdir() if path.is_file()])
    return {path.name: fingerprint(path) for path in files if path.name != MANIFEST}


def fingerprint(path: Path) -> list[Any]:
    """Return the size of a file, and its SHA-256, None if it is large."""
    size = path.stat().st_size
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if size <= HASHED else None
    return [size, digest]
