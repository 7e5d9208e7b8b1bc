"""Which electrode a unit of a KiloSort or Phy folder lies on, and where that is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.errors import FormatError
from spikelab.formats.kilosort import npy
from spikelab.formats.kilosort.sidecar import Sidecar

LOCATION_KEYS = ("location", "position", "x")
"""The attributes that may hold its location."""


def add_places(
    found: list[dict[str, Any]],
    ids: NDArray[np.int64],
    rows: NDArray[Any],
    folder: Path,
    files: tuple[str, str],
    sidecar: Sidecar,
) -> None:
    """Add ``electrode`` and ``location`` to the attributes of each unit, if known.

    Parameters
    ----------
    found : list of dict
        The attributes, changed in place.
    ids : ndarray, shape (N,)
        Cluster ids of the units.
    rows : ndarray, shape (spikes,)
        Position of each spike's unit.
    folder : Path
        The folder.
    files : tuple of str
        Names of the arrays of electrodes and of positions.
    sidecar : Sidecar
        What the folder says about itself.
    """
    electrodes, positions = None, None
    if (folder / files[0]).exists() and _have_all(found, ids, sidecar, _has_electrode):
        electrodes = npy.read_column(folder / files[0], "iuf")
        if not np.array_equal(electrodes, np.rint(electrodes)) or (
            electrodes.size and np.abs(electrodes).max() >= 2**63
        ):
            raise FormatError(f"{folder / files[0]} must hold whole numbers")
    if (folder / files[1]).exists() and _have_all(found, ids, sidecar, _has_location):
        positions = npy.read(folder / files[1], "iuf", ndim=2)
    if electrodes is None and positions is None:
        return
    channels = _channels(ids, rows, folder, sidecar)
    exported = set(sidecar.cluster_ids) if sidecar.format == "phy" else set()
    for attributes, cluster, channel in zip(
        found, ids.tolist(), channels.tolist(), strict=True
    ):
        if electrodes is not None:
            # The attributes of a unit that was exported come back as they were.
            named = cluster in exported
            channel = _add_electrode(attributes, channel, electrodes, named)
        if positions is None or not 0 <= channel < len(positions):
            continue
        if not _has_location(attributes):
            attributes["location"] = positions[channel].astype(float).tolist()


def _have_all(
    found: list[dict[str, Any]],
    ids: NDArray[np.int64],
    sidecar: Sidecar,
    has: Callable[[dict[str, Any]], bool],
) -> bool:
    """Tell whether channels are what each unit that was exported has.

    Phy needs channels and positions also where none are known.
    """
    if sidecar.format != "phy":
        return True
    exported = set(sidecar.cluster_ids)
    pairs = zip(found, ids.tolist(), strict=True)
    known = [has(attributes) for attributes, cluster in pairs if cluster in exported]
    return bool(known) and all(known)


def _has_electrode(attributes: dict[str, Any]) -> bool:
    return type(kinds.electrode_of(attributes)) is int


def _has_location(attributes: dict[str, Any]) -> bool:
    return any(key in attributes for key in LOCATION_KEYS)


def _add_electrode(
    attributes: dict[str, Any], channel: int, electrodes: NDArray[Any], named: bool
) -> int:
    """Add the electrode, or find the channel of the one that is already known.

    One that is known under another key is added unless it is `named` as it was.
    """
    known = kinds.electrode_of(attributes)
    if known is not None:
        if not named:
            attributes.setdefault("electrode", known)
        if type(known) is not int:
            return channel
        matching = np.flatnonzero(electrodes == known).tolist()
        return int(matching[0]) if matching else channel
    if 0 <= channel < len(electrodes):
        attributes["electrode"] = int(electrodes[channel])
    return channel


def _channels(
    ids: NDArray[np.int64], rows: NDArray[Any], folder: Path, sidecar: Sidecar
) -> NDArray[np.int64]:
    """Return the channel of each unit, -1 where it is not known."""
    if sidecar.format == "kilosort":
        # Here the arrays have an entry for each unit, not for each channel.
        position = {cluster: i for i, cluster in enumerate(sidecar.cluster_ids)}
        return np.array([position.get(i, -1) for i in ids.tolist()], dtype=np.int64)
    if (folder / "templates.npy").exists():
        peaks = _peak_channels(folder)
        template = _templates(ids, rows, folder, len(peaks))
        return np.where(template < 0, -1, np.append(peaks, -1)[template])
    # Other exporters write an entry for each cluster too, but no params.py.
    nowhere = np.full(len(ids), -1)
    return nowhere if (folder / "params.py").exists() else ids


def _peak_channels(folder: Path) -> NDArray[np.int64]:
    """Return the channel on which each template is largest, from peak to peak."""
    templates = npy.read(folder / "templates.npy", "f", ndim=3)
    n_templates, n_samples, n_channels = templates.shape
    if not (n_samples and n_channels):
        return np.full(n_templates, -1)
    step = max(trains.BLOCK // (n_samples * n_channels), 1)
    columns = [
        np.argmax(np.ptp(templates[i : i + step], axis=1), axis=1)
        for i in range(0, n_templates, step)
    ]
    column = np.concatenate([np.empty(0, dtype=np.int64), *columns])
    for name in ("template_ind.npy", "templates_ind.npy"):
        if (folder / name).exists():
            channels = npy.read(folder / name, "iuf", ndim=2).astype(np.int64)
            if channels.shape != (n_templates, n_channels):
                raise FormatError(
                    f"{folder / name} must have shape {(n_templates, n_channels)}, "
                    f"as the templates do, got {channels.shape}"
                )
            column = channels[np.arange(n_templates), column]
            break
    return column


def _templates(
    ids: NDArray[np.int64], rows: NDArray[Any], folder: Path, n_templates: int
) -> NDArray[np.int64]:
    """Return the template of most of a unit's spikes, -1 where there is none."""
    template = np.where((ids >= 0) & (ids < n_templates), ids, -1)
    if not (folder / "spike_templates.npy").exists():
        return template
    used = npy.read_column(folder / "spike_templates.npy", "iuf").astype(np.int64)
    if used.shape != rows.shape or (
        used.size and not 0 <= used.min() <= used.max() < n_templates
    ):
        raise FormatError(
            f"{folder / 'spike_templates.npy'} must hold a template from 0 to "
            f"{n_templates - 1} for each of {len(rows)} spikes"
        )
    pairs, counts = np.unique(rows * n_templates + used, return_counts=True)
    # The last assignment to an element counts, that of the largest number of spikes.
    pairs = pairs[np.argsort(counts, kind="stable")]
    template[pairs // n_templates] = pairs % n_templates
    return template
