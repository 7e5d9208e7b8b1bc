"""What is known about the units, as the columns of ``cluster_*.tsv`` tables."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.formats.phy import cluster_tables
from spikelab.formats.phy.cluster_tables import TableColumn, as_text
from spikelab.formats.phy.facts import SI_UNIT_ID
from spikelab.spikedata.differences import equal
from spikelab.spikedata.unit_table import MISSING, Column, UnitTable

LARGEST_ID = 2**24
"""Ids are below this number: SpikeInterface allocates a table of this size."""

GROUP_FILE = "cluster_group.tsv"

PHY_COLUMNS = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")
"""Columns that Phy fills itself. A table with such a column would override it."""

_RENAMED = (*PHY_COLUMNS, "group", SI_UNIT_ID)
"""Attributes that are written as ``unit_<name>``."""

_LOCATION_KEYS = ("location", "position")
_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold.

    Parameters
    ----------
    columns : list of TableColumn
        One for each attribute, with the labels and the ids for SpikeInterface.
    left_out : list
        Attributes that have no form in a table.
    renamed : list of str
        Attributes that are written under another name, because Phy has a column of
        their own.
    bad_labels : list of str
        Labels that Phy or neo cannot read.
    unit_ids : list of int or str
        The attribute ``unit_id`` of each unit when it is read.
    id_key : str, optional
        The attribute from which these come.
    """

    columns: list[TableColumn]
    left_out: list[Any]
    renamed: list[str]
    bad_labels: list[str]
    unit_ids: list[Any]
    id_key: str | None

    def write(self, folder: Path, clusters: Sequence[int]) -> None:
        """Write each column as a table that lists every unit by its cluster."""
        used: set[str] = set()
        for column in self.columns:
            name = _file_name(column.name, used)
            used.add(name.lower())
            cluster_tables.write_column(folder / name, column, clusters)


def unit_columns(
    table: UnitTable, cluster_ids: Sequence[int] | None, taken: Collection[Any]
) -> UnitColumns:
    """Return the columns of a recording.

    Parameters
    ----------
    table : UnitTable
        What is known about the units.
    cluster_ids : sequence of int, optional
        Ids for SpikeInterface that the user gave.
    taken : collection
        Attributes that are written in another way.
    """
    labels, bad_labels = label_column(table)
    id_key, unit_ids, ids = _ids(table, cluster_ids)
    columns, left_out, renamed = [labels, ids], [], []
    names = {*map(str, table.columns), "group", SI_UNIT_ID}
    for key, column in table.columns.items():
        if key is not None and key in (*taken, table.label_key, id_key):
            continue
        made = [] if key == "unit_id" else list(_made(column, names))
        columns += made
        names.update(column.name for column in made)
        if made and key in PHY_COLUMNS:
            renamed.append(key)
        if not made and column.known:
            left_out.append(key)
    return UnitColumns(columns, left_out, renamed, bad_labels, unit_ids, id_key)


def label_column(table: UnitTable) -> tuple[TableColumn, list[str]]:
    """Return the labels of the units, and those that Phy or neo cannot read."""
    labels = [label or "" for label in table.labels]
    bad = [label for label in labels if as_text(label) is None]
    cells = tuple("" if label in bad else label for label in labels)
    key = table.label_key or "group"
    return TableColumn("group", key, "label", cells), list(dict.fromkeys(bad))


def _ids(
    table: UnitTable, given: Sequence[int] | None
) -> tuple[str | None, list[Any], TableColumn]:
    """Return the attribute with the ids of the units, the ids, and their column.

    The column holds positions where the units have no ids that SpikeInterface takes.
    """
    key, found = (None, list(given)) if given is not None else _known_ids(table)
    fit = found is not None and all(is_small_id(i) for i in found)
    if not fit and key != "unit_id":
        key, found = None, None
    positions = list(range(len(table)))
    ids = positions if found is None else found
    cells = map(str, ids if fit else positions)
    return key, ids, TableColumn(SI_UNIT_ID, "unit_id", "id", tuple(cells))


def _known_ids(table: UnitTable) -> tuple[str | None, list[Any] | None]:
    return table.id_key, table.unit_ids


def is_small_id(value: Any) -> bool:
    """Return whether SpikeInterface and phylib can take a number for an id."""
    return isinstance(value, int) and 0 <= value < LARGEST_ID


def _made(column: Column, names: Collection[str]) -> Iterator[TableColumn]:
    """Yield the table columns of an attribute, none if it has no form in text."""
    key = column.key
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        return
    if key in _LOCATION_KEYS and (coordinates := list(_coordinates(column, names))):
        yield from coordinates
        return
    cells = [as_text(None if v is MISSING else v) for v in column.values]
    known = tuple(cell for cell in cells if cell is not None)
    if len(known) < len(cells) or not any(known):
        return
    name = _free(f"unit_{key}", names) if key in _RENAMED else key
    if column.kind == "str":
        yield TableColumn(name, key, "text", known)
    elif not any(
        isinstance(v, str) and cluster_tables.guessed(v) != v for v in column.values
    ):
        yield TableColumn(name, key, "value", known)


def _free(name: str, names: Collection[str]) -> str:
    """Return a name that no other column has."""
    while name in names:
        name += "_"
    return name


def _coordinates(column: Column, names: Collection[str]) -> Iterator[TableColumn]:
    """Yield one column per coordinate of a location, empty where a unit has none.

    None if any location is not an array, list or tuple of one to three finite numbers,
    or they differ in how many.
    """
    known = column.known
    try:
        places = {unit: np.asarray(value) for unit, value in known.items()}
    except ValueError:  # lists nested unevenly
        return
    shapes = {place.shape for place in places.values()}
    if len(shapes) != 1 or not shapes <= {(1,), (2,), (3,)}:
        return
    for place in places.values():
        if place.dtype.kind not in "iuf" or not np.all(np.isfinite(place)):
            return
    containers = {_container(value) for value in known.values()}
    container = containers.pop() if len(containers) == 1 else "list"
    for i, axis in enumerate("xyz"[: shapes.pop()[0]]):
        cells = [
            str(as_text(places[unit][i])) if unit in places else ""
            for unit in range(len(column.values))
        ]
        name = axis if axis not in names else _free(f"{column.key}_{axis}", names)
        yield TableColumn(name, column.key, "coordinate", tuple(cells), container)


def _container(value: Any) -> str:
    return value.dtype.str if isinstance(value, np.ndarray) else type(value).__name__


def location(texts: Sequence[str], container: str) -> Any:
    """Return the location whose coordinates are `texts`, None if one is missing."""
    numbers = [cluster_tables.number(text) for text in texts]
    if None in numbers:
        return None
    if container == "tuple":
        return tuple(numbers)
    try:
        return numbers if container == "list" else np.array(numbers, dtype=container)
    except TypeError:  # no dtype: the manifest was changed
        return numbers


def as_read(found: UnitColumns) -> list[dict[str, Any]]:
    """Return the attributes of each unit as they are read from the tables."""
    rows: list[dict[str, Any]] = [{"unit_id": unit_id} for unit_id in found.unit_ids]
    places: dict[str, list[TableColumn]] = {}
    for column in found.columns:
        if column.kind == "coordinate":
            places.setdefault(column.attribute, []).append(column)
        elif column.kind != "id":
            for row, cell in zip(rows, column.cells, strict=True):
                if cell:
                    row[column.attribute] = column.value(cell)
    for attribute, columns in places.items():
        for row, *cells in zip(rows, *(c.cells for c in columns), strict=True):
            if all(cells):
                row[attribute] = location(cells, columns[0].container)
    return rows


def changed_units(column: Column, read: Sequence[dict[str, Any]]) -> list[int]:
    """Return the units whose value is read as another one, or not at all."""
    return [
        unit
        for unit, value in enumerate(column.values)
        if value is not MISSING
        and not equal(value, read[unit].get(column.key, MISSING))
    ]


def losses_of_cells(column: Column, changed: Sequence[int]) -> list[str]:
    """Return in words what is lost of the values of some units in a table."""
    name = f"neuron_attributes[{column.key!r}]"
    lost: dict[str, None] = {}
    for unit in changed:
        value = column.values[unit]
        text = as_text(value)
        if text == "" or (isinstance(value, str) and value.isspace()):
            lost[f"{name} where it is None, NaN or '' (an empty cell)"] = None
        elif text is None:
            lost[f"{name} {value!r:.40} (Phy and neo cannot read it)"] = None
    return list(lost)


def _file_name(column: str, used: Collection[str]) -> str:
    # Phy saves a column that was changed as cluster_<column>.tsv.
    stem = column.replace("/", "_")
    if stem.lower().startswith("info"):
        # SpikeInterface reads no other table beside one called cluster_info*.
        stem = f"unit_{stem}"
    name, number = f"cluster_{stem}.tsv", 2
    while name.lower() in used:
        name, number = f"cluster_{stem}_{number}.tsv", number + 1
    return name
