"""What ``spikelab.json`` says about a KiloSort or Phy folder beyond its arrays."""

from pathlib import Path
from typing import Any

import attrs

from spikelab import checks, destinations, units
from spikelab.errors import FormatError

FORMATS = ("kilosort", "phy")


@attrs.frozen(kw_only=True)
class Sidecar:
    """The facts that the arrays of a folder cannot hold.

    Without arguments it is what is known about a folder from elsewhere.

    Parameters
    ----------
    format : {"kilosort", "phy"}, optional
        The export that wrote the folder; None if it is from elsewhere.
    fs_Hz : float, optional
        Sampling rate.
    time_unit : {"samples", "ms", "s"}
        Time unit of the spike times.
    start_time_ms, length_ms : float, optional
        The recording window.
    first_sample : int
        What must be added to the sample numbers in the folder.
    cluster_ids : tuple of int
        Id of each unit in the folder, in the order of the recording.
    unit_ids : tuple of int, optional
        Id of each unit before it was exported, if that is another one.
    spike_counts : tuple of int
        Number of spikes of each unit. A unit that had some and has none any
        more was merged or split in Phy.
    spike_order : {"unit", "time"}
        Order of the spikes.
    spike_times_file, spike_clusters_file : str
        Names of the arrays.
    columns : dict
        For each column of the ``cluster_*.tsv``: the attribute that it holds
        and its type: ``value``, ``text``, ``coordinate``, or ``label`` where
        ``unsorted`` stands for none.
    templates : str, optional
        Where the templates come from.
    """

    format: str | None = None
    fs_Hz: float | None = None
    time_unit: str = "samples"
    start_time_ms: float | None = None
    length_ms: float | None = None
    first_sample: int = 0
    cluster_ids: tuple[int, ...] = ()
    unit_ids: tuple[int, ...] | None = None
    spike_counts: tuple[int, ...] = ()
    spike_order: str = "unit"
    spike_times_file: str = "spike_times.npy"
    spike_clusters_file: str = "spike_clusters.npy"
    columns: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    templates: str | None = None

    def write(self, folder: Path) -> None:
        """Write the sidecar, which is also the manifest that completes a folder."""
        facts = attrs.asdict(self)
        facts["n_units"] = len(self.cluster_ids)
        destinations.write_manifest(folder, facts)


def read(folder: Path) -> Sidecar:
    """Return the sidecar of a folder; that of a folder from elsewhere is empty.

    Raises
    ------
    IncompleteExportError
        If an export into the folder was interrupted.
    FormatError
        If the folder was exported in another format, or the sidecar is damaged.
    """
    manifest = destinations.read_manifest(folder)
    if manifest is None:
        return Sidecar()
    where = folder / destinations.MANIFEST
    if manifest.get("format") not in FORMATS:
        raise FormatError(
            f"{where} must name one of the formats {FORMATS}, "
            f"got {manifest.get('format')!r}"
        )
    try:
        return _checked(manifest)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f"{where} is damaged: {error}") from error


def _checked(facts: dict[str, Any]) -> Sidecar:
    cluster_ids = _whole("cluster_ids", facts["cluster_ids"])
    counts = _whole("spike_counts", facts["spike_counts"])
    unit_ids = facts.get("unit_ids")
    if unit_ids is not None:
        unit_ids = _whole("unit_ids", unit_ids)
    for name, values in (("spike_counts", counts), ("unit_ids", unit_ids)):
        if values is not None and len(values) != len(cluster_ids):
            raise ValueError(f"{name} must hold one number per unit, got {len(values)}")
    if min(counts, default=0) < 0 or sum(counts) >= 2**63:
        raise ValueError("spike_counts must not be negative, nor too large")
    for name in ("spike_times_file", "spike_clusters_file"):
        if facts[name] not in facts["files"]:
            raise ValueError(f"{name} must be one of the files, got {facts[name]!r}")
    if len(set(cluster_ids)) != len(cluster_ids):
        raise ValueError("cluster_ids must be distinct")
    return Sidecar(
        format=facts["format"],
        fs_Hz=checks.positive("fs_Hz", facts["fs_Hz"]),
        time_unit=units.time_unit("time_unit", facts["time_unit"]),
        start_time_ms=checks.finite("start_time_ms", facts["start_time_ms"]),
        length_ms=checks.finite("length_ms", facts["length_ms"]),
        first_sample=_whole("first_sample", [facts.get("first_sample", 0)])[0],
        cluster_ids=cluster_ids,
        unit_ids=unit_ids,
        spike_counts=counts,
        spike_order=str(facts.get("spike_order")),
        spike_times_file=checks.file_name(
            "spike_times_file", facts["spike_times_file"]
        ),
        spike_clusters_file=facts["spike_clusters_file"],
        columns={
            str(column): (str(attribute), str(kind))
            for column, (attribute, kind) in facts.get("columns", {}).items()
        },
        templates=facts.get("templates"),
    )


def _whole(name: str, values: Any) -> tuple[int, ...]:
    for value in values:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise ValueError(f"{name} must be 64-bit integers, got {value!r}")
    return tuple(values)
