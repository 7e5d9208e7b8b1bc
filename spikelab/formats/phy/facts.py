"""What ``spikelab.json`` holds about a KiloSort or Phy folder beyond its arrays."""

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


def _are_int64(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    for number in value:
        if type(number) is not int or not -(2**63) <= number < 2**63:
            raise ValueError(f"{attribute.name} must be int64 numbers, got {number!r}")


def _as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


def _columns(columns: Iterable[Any]) -> tuple[TableColumn, ...]:
    """Return columns, also from the dictionaries that a manifest holds."""
    return tuple(TableColumn(**c) if isinstance(c, dict) else c for c in columns)


_is_optional_rate = attrs.validators.optional(validate.is_positive)
_is_optional_time = attrs.validators.optional(validate.is_finite)


@attrs.frozen(kw_only=True)
class Facts:
    """The facts that the arrays of a folder cannot hold.

    Without arguments it is what is known about a folder of another program.

    Parameters
    ----------
    format : {"kilosort", "phy"}, optional
        The export that wrote the folder; None if another program did.
    fs_Hz : float, optional
        Sampling rate.
    time_unit : {"samples", "ms", "s"}
        Time unit of the spike times.
    start_time_ms, length_ms : float, optional
        The recording window.
    first_sample : int
        What must be added to the sample numbers in the folder.
    cluster_ids, spike_counts : tuple of int
        Cluster of each unit, in the order of the recording, and its number of spikes. A
        unit that had some and has none any more was merged or split in Phy.
    unit_ids : tuple of int or str
        The attribute ``unit_id`` of each unit.
    spike_order : {"unit", "time"}
        Order of the spikes.
    spike_times_file, spike_clusters_file : str
        Names of the arrays.
    columns : tuple of TableColumn
        The columns of the ``cluster_*.tsv`` with the cells of all units: Phy drops those
        of units without spikes when it saves.
    templates : str, optional
        Where the templates come from.
    placeholders : tuple of int
        Clusters whose template is a placeholder.
    waveform_channels : bool
        Whether the units have the attribute ``waveform_channels``.
    """

    format: str | None = None
    fs_Hz: float | None = attrs.field(default=None, validator=_is_optional_rate)
    time_unit: str = attrs.field(default="samples", validator=time_units.is_time_unit)
    start_time_ms: float | None = attrs.field(default=None, validator=_is_optional_time)
    length_ms: float | None = attrs.field(default=None, validator=_is_optional_time)
    first_sample: int = attrs.field(
        default=0, validator=lambda i, a, value: _are_int64(i, a, [value])
    )
    cluster_ids: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    spike_counts: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    unit_ids: tuple[Any, ...] = attrs.field(default=(), converter=_as_tuple)
    spike_order: str = "unit"
    spike_times_file: str = "spike_times.npy"
    spike_clusters_file: str = "spike_clusters.npy"
    columns: tuple[TableColumn, ...] = attrs.field(default=(), converter=_columns)
    templates: str | None = None
    placeholders: tuple[int, ...] = attrs.field(
        default=(), converter=_as_tuple, validator=_are_int64
    )
    waveform_channels: bool = True

    def __attrs_post_init__(self) -> None:
        """Check that there is one value per unit, and that counts can be added."""
        per_unit = [("unit_ids", self.unit_ids), ("spike_counts", self.spike_counts)]
        per_unit += [(f"columns {c.name!r}", c.cells) for c in self.columns]
        for name, values in per_unit:
            if len(values) != len(self.cluster_ids):
                raise ValueError(f"{name} must be one per unit, got {len(values)}")
        if min(self.spike_counts, default=0) < 0 or sum(self.spike_counts) >= 2**63:
            raise ValueError("spike_counts must not be negative, nor too large")
        if len(set(self.cluster_ids)) != len(self.cluster_ids):
            raise ValueError("cluster_ids must be distinct")
        if not all(type(unit_id) in (int, str) for unit_id in self.unit_ids):
            raise TypeError("unit_ids must be integers or strings")

    @property
    def silent(self) -> set[int]:
        """The clusters that were exported without spikes."""
        pairs = zip(self.cluster_ids, self.spike_counts, strict=True)
        return {cluster for cluster, count in pairs if not count}

    def column(self, name: str) -> TableColumn | None:
        """Return the exported column of this name, None if there is none."""
        return next((c for c in self.columns if c.name == name), None)

    def write(self, folder: Path, **more: Any) -> None:
        """Write the facts, and `more`, as the manifest that completes a folder."""
        about = {**attrs.asdict(self), "n_units": len(self.cluster_ids)}
        write_manifest(folder, {**about, **more})


def read(folder: Path) -> Facts:
    """Return the facts about a folder; of another program's, nothing is known.

    Raises
    ------
    IncompleteExportError
        If an export into the folder was interrupted.
    FormatError
        If the folder was exported in another format, or the manifest is damaged.
    """
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
