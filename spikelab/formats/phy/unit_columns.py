"""What is known about the units, as the columns of ``cluster_*.tsv`` tables."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.formats.phy import cluster_tables
from spikelab.formats.phy.cluster_tables import TableColumn, as_text, guessed
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

_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold.

    Parameters
    ----------
    columns : list of TableColumn
        The labels, the ids for SpikeInterface, and one or more for each attribute.
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
            column.write(folder / name, clusters)


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
    elsewhere = {*taken, table.label_key, id_key} - {None}
    for key, column in table.columns.items():
        if key in elsewhere:
            continue
        made = [] if key == "unit_id" else list(_made(column, names))
        columns += made
        names.update([column.name for column in made])
        if made and key in PHY_COLUMNS:
            renamed.append(key)
        if not made and column.known:
            left_out.append(key)
    return UnitColumns(columns, left_out, renamed, bad_labels, unit_ids, id_key)


def label_column(table: UnitTable) -> tuple[TableColumn, list[str]]:
    """Return the labels of the units, and those that Phy or neo cannot read."""
    labels = [label or "" for label in table.labels]
    bad = {label: None for label in labels if as_text(label) is None}
    cells = ["" if label in bad else label for label in labels]
    return TableColumn("group", table.label_key or "group", "label", cells), list(bad)


def _ids(
    table: UnitTable, given: Sequence[int] | None
) -> tuple[str | None, list[Any], TableColumn]:
    """Return the attribute with the ids of the units, the ids, and their column.

    The column holds positions where the units have no ids that SpikeInterface takes.
    """
    key, ids = (table.id_key, table.unit_ids) if given is None else (None, list(given))
    positions = list(range(len(table)))
    fit = ids is not None and all(map(is_small_id, ids))
    if ids is None or not (fit or key == "unit_id"):
        key, ids = None, positions
    return key, ids, TableColumn(SI_UNIT_ID, "unit_id", "id", ids if fit else positions)


def is_small_id(value: Any) -> bool:
    """Return whether SpikeInterface and phylib can take a number for an id."""
    return isinstance(value, int) and 0 <= value < LARGEST_ID


def _made(column: Column, names: Collection[str]) -> Iterator[TableColumn]:
    """Yield the table columns of an attribute, none if it has no form in text."""
    key = column.key
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        return
    if key in ("location", "position") and (places := _coordinates(column, names)):
        yield from places
        return
    cells = [as_text(None if v is MISSING else v) for v in column.values]
    if None in cells or not any(cells):
        return
    name = _free(f"unit_{key}", names) if key in _RENAMED else key
    if column.kind == "str":
        yield TableColumn(name, key, "text", cells)
    elif all(guessed(v) == v for v in column.values if isinstance(v, str)):
        yield TableColumn(name, key, "value", cells)


def _free(name: str, names: Collection[str]) -> str:
    """Return a name that no other column has."""
    while name in names:
        name += "_"
    return name


def _coordinates(column: Column, names: Collection[str]) -> list[TableColumn]:
    """Return one column per coordinate of a location, empty where a unit has none.

    None if any location is not an array, list or tuple of one to three finite numbers,
    or they differ in how many.
    """
    try:
        places = {unit: np.asarray(value) for unit, value in column.known.items()}
    except ValueError:  # lists nested unevenly
        return []
    sizes = {
        place.shape if place.dtype.kind in "iuf" and np.isfinite(place).all() else None
        for place in places.values()
    }
    if len(sizes) != 1 or not sizes <= {(1,), (2,), (3,)}:
        return []
    containers = {
        value.dtype.str if isinstance(value, np.ndarray) else type(value).__name__
        for value in column.known.values()
    }
    container = containers.pop() if len(containers) == 1 else "list"
    columns = []
    for i, axis in enumerate("xyz"[: next(iter(places.values())).size]):
        cells = [
            as_text(places[unit][i]) if unit in places else ""
            for unit in range(len(column.values))
        ]
        name = axis if axis not in names else _free(f"{column.key}_{axis}", names)
        columns.append(TableColumn(name, column.key, "coordinate", cells, container))
    return columns


def _location(texts: Sequence[str], container: str) -> Any:
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


def add_cells(
    rows: list[dict[str, Any]], columns: Iterable[tuple[TableColumn, Sequence[str]]]
) -> None:
    """Add to the attributes of each unit what the cells of columns stand for."""
    places: dict[tuple[str, str], list[Sequence[str]]] = {}
    for column, cells in columns:
        if column.kind == "coordinate":
            places.setdefault((column.attribute, column.container), []).append(cells)
        elif column.kind != "id":
            for row, cell in zip(rows, cells, strict=True):
                if cell:
                    row[column.attribute] = column.value(cell)
    for (attribute, container), axes in places.items():
        for row, *texts in zip(rows, *axes, strict=True):
            if (place := _location(texts, container)) is not None:
                row[attribute] = place


def losses_of_cells(column: Column, read: Sequence[dict[str, Any]]) -> list[str]:
    """Return in words what is lost of the values of an attribute in a table."""
    name = f"neuron_attributes[{column.key!r}]"
    lost: dict[str, None] = {}
    for unit in changed_units(column, read):
        value = column.values[unit]
        text = as_text(value)
        if text == "" or (isinstance(value, str) and value.isspace()):
            lost[f"{name} where it is None, NaN or '' (an empty cell)"] = None
        elif text is None:
            lost[f"{name} {value!r:.40} (Phy and neo cannot read it)"] = None
    return list(lost)


def changed_units(column: Column, read: Sequence[dict[str, Any]]) -> list[int]:
    """Return the units whose value is read as another one, or not at all."""
    return [
        unit
        for unit, value in enumerate(column.values)
        if value is not MISSING
        and not equal(value, read[unit].get(column.key, MISSING))
    ]


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
