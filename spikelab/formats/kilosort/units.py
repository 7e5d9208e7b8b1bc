"""What a KiloSort or Phy folder tells about its units beside their spikes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.kilosort import channels as cluster_channels
from spikelab.formats.kilosort import tables as cluster_tables
from spikelab.formats.kilosort.sidecar import Sidecar
from spikelab.formats.kilosort.tables import Table


@attrs.frozen(eq=False)
class Units:
    """The units of a folder.

    Parameters
    ----------
    ids : tuple of int
        Their cluster ids.
    rows : ndarray, shape (spikes,)
        Position in `ids` of each spike's unit.
    taken : frozenset of int
        Ids that were those of silent units when the folder was exported.
    """

    ids: tuple[int, ...]
    rows: NDArray[Any]
    taken: frozenset[int]


def attributes(
    folder: Path, units: Units, table: Table, files: tuple[str, str], sidecar: Sidecar
) -> list[dict[str, Any]]:
    """Return what the folder tells about each unit.

    Parameters
    ----------
    folder : Path
        The folder.
    units : Units
        The units.
    table : dict
        All columns of its tables.
    files : tuple of str
        Names of the arrays of electrodes and of positions.
    sidecar : Sidecar
        What the folder says about itself.
    """
    found: list[dict[str, Any]] = [
        {"unit_id": unit_id} for unit_id in _unit_ids(units, table, sidecar)
    ]
    for column, cells in table.items():
        if column != "si_unit_id":
            _add_column(found, units, column, cells, sidecar)
    _add_locations(found, units, table, sidecar)
    ids = np.array(units.ids, dtype=np.int64)
    cluster_channels.add_places(found, ids, units.rows, folder, files, sidecar)
    return found


def _unit_ids(units: Units, table: Table, sidecar: Sidecar) -> list[int]:
    """Return the id that each unit had before it was exported.

    A unit that was made since keeps its cluster id, or gets the next free one.
    """
    if sidecar.unit_ids is not None:
        known = dict(zip(sidecar.cluster_ids, sidecar.unit_ids, strict=True))
    else:
        cells = table.get("si_unit_id", {}) if sidecar.format is None else {}
        numbers = {i: cluster_tables.number(text) for i, text in cells.items()}
        known = {i: int(n) for i, n in numbers.items() if n is not None}
    found = {i: known[i] for i in units.ids if i in known and i not in units.taken}
    used = set(found.values())
    for cluster in units.ids:
        if cluster not in found:
            found[cluster] = cluster if cluster not in used else max(used) + 1
            used.add(found[cluster])
    return [found[cluster] for cluster in units.ids]


def _add_column(
    found: list[dict[str, Any]],
    units: Units,
    column: str,
    cells: Mapping[int, str],
    sidecar: Sidecar,
) -> None:
    """Add the cells of a column to the attributes of the units that have one."""
    name, kind = sidecar.columns.get(column, (column, ""))
    if kind == "coordinate":
        return
    for attributes, cluster in zip(found, units.ids, strict=True):
        text = cells.get(cluster, "")
        if not text or (kind == "label" and text == "unsorted"):
            continue
        # What the export said about a silent unit is not true of its successor.
        if cluster in units.taken and column in sidecar.columns and column != "group":
            continue
        typed = text if kind in ("text", "label") else cluster_tables.guessed(text)
        attributes[name] = typed


def _add_locations(
    found: list[dict[str, Any]], units: Units, table: Table, sidecar: Sidecar
) -> None:
    """Put coordinates together again, where all of a unit are there."""
    places: dict[str, list[str]] = {}
    for column, (attribute, kind) in sidecar.columns.items():
        if kind == "coordinate":
            places.setdefault(attribute, []).append(column)
    for attribute, columns in places.items():
        for attributes, cluster in zip(found, units.ids, strict=True):
            texts = [table.get(column, {}).get(cluster, "") for column in columns]
            numbers = [cluster_tables.number(text) for text in texts]
            if None not in numbers and cluster not in units.taken:
                attributes[attribute] = numbers
