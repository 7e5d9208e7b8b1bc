"""What ``spikelab.json`` holds about a KiloSort or Phy folder beyond its arrays."""

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
    cluster_ids : tuple of int
        Cluster of each unit, in the order of the recording.
    unit_ids : tuple of int or str
        The attribute ``unit_id`` of each unit.
    spike_counts : tuple of int
        Number of spikes of each unit. A unit that had some and has none any more was
        merged or split in Phy.
    spike_order : {"unit", "time"}
        Order of the spikes.
    spike_times_file, spike_clusters_file : str
        Names of the arrays.
    columns : dict of TableColumn
        The columns of the ``cluster_*.tsv`` by name, with the cells of all units: Phy
        drops those of units without spikes when it saves.
    templates : str, optional
        Where the templates come from.
    placeholders : tuple of int
        Clusters whose template is a placeholder.
    waveform_channels : bool
        Whether the units have the attribute ``waveform_channels``.
    """

    format: str | None = None
    fs_Hz: float | None = None
    time_unit: str = "samples"
    start_time_ms: float | None = None
    length_ms: float | None = None
    first_sample: int = 0
    cluster_ids: tuple[int, ...] = ()
    unit_ids: tuple[int | str, ...] = ()
    spike_counts: tuple[int, ...] = ()
    spike_order: str = "unit"
    spike_times_file: str = "spike_times.npy"
    spike_clusters_file: str = "spike_clusters.npy"
    columns: dict[str, TableColumn] = attrs.field(factory=dict)
    templates: str | None = None
    placeholders: tuple[int, ...] = ()
    waveform_channels: bool = True

    @property
    def silent(self) -> set[int]:
        """The clusters that were exported without spikes."""
        pairs = zip(self.cluster_ids, self.spike_counts, strict=True)
        return {cluster for cluster, count in pairs if not count}

    def write(self, folder: Path, **more: Any) -> None:
        """Write the facts, and `more`, as the manifest that completes a folder."""
        about = {**attrs.asdict(self), "n_units": len(self.cluster_ids), **more}
        about["columns"] = [attrs.asdict(column) for column in self.columns.values()]
        write_manifest(folder, about)


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
        return _checked(manifest)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{where} is damaged: {error}") from error


def _checked(facts: dict[str, Any]) -> Facts:
    cluster_ids = _whole("cluster_ids", facts["cluster_ids"])
    counts = _whole("spike_counts", facts["spike_counts"])
    unit_ids = tuple(facts["unit_ids"])
    columns = [
        TableColumn(**{**column, "cells": tuple(map(str, column["cells"]))})
        for column in facts["columns"]
    ]
    per_unit = {"spike_counts": counts, "unit_ids": unit_ids}
    per_unit |= {f"columns[{column.name!r}]": column.cells for column in columns}
    for name, values in per_unit.items():
        if len(values) != len(cluster_ids):
            raise ValueError(f"{name} must hold one value per unit, got {len(values)}")
    if min(counts, default=0) < 0 or sum(counts) >= 2**63:
        raise ValueError("spike_counts must not be negative, nor too large")
    if len(set(cluster_ids)) != len(cluster_ids):
        raise ValueError("cluster_ids must be distinct")
    if not all(type(unit_id) in (int, str) for unit_id in unit_ids):
        raise TypeError("unit_ids must be integers or strings")
    for name in ("spike_times_file", "spike_clusters_file"):
        if facts[name] not in facts["files"]:
            raise ValueError(f"{name} must be one of the files, got {facts[name]!r}")
    return Facts(
        format=facts["format"],
        fs_Hz=validate.positive("fs_Hz", facts["fs_Hz"]),
        time_unit=time_units.time_unit("time_unit", facts["time_unit"]),
        start_time_ms=validate.finite("start_time_ms", facts["start_time_ms"]),
        length_ms=validate.finite("length_ms", facts["length_ms"]),
        first_sample=_whole("first_sample", [facts["first_sample"]])[0],
        cluster_ids=cluster_ids,
        unit_ids=unit_ids,
        spike_counts=counts,
        spike_order=str(facts["spike_order"]),
        spike_times_file=facts["spike_times_file"],
        spike_clusters_file=facts["spike_clusters_file"],
        columns={column.name: column for column in columns},
        templates=facts["templates"],
        placeholders=_whole("placeholders", facts["placeholders"]),
        waveform_channels=bool(facts["waveform_channels"]),
    )


def _whole(name: str, values: Any) -> tuple[int, ...]:
    for value in values:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise ValueError(f"{name} must be 64-bit integers, got {value!r}")
    return tuple(values)
