"""What is known about the units, as the columns of ``cluster_*.tsv`` tables."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.errors import warn
from spikelab.formats.phy import cluster_tables
from spikelab.formats.phy.cluster_tables import (
    UNSORTED,
    Table,
    TableColumn,
    are_same,
    as_text,
    guessed,
    is_missing,
)
from spikelab.formats.phy.facts import SI_UNIT_ID, Facts
from spikelab.formats.phy.spike_arrays import Units
from spikelab.spikedata.differences import equal
from spikelab.spikedata.unit_table import LABEL_KEYS, MISSING, Column, UnitTable

LARGEST_ID = 2**24
"""Ids are below this number: SpikeInterface allocates a table of this size."""

GROUP_FILE = "cluster_group.tsv"

PHY_COLUMNS = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")
"""Columns that Phy fills itself. A table with such a column would override it."""

_RENAMED = (*PHY_COLUMNS, "group", SI_UNIT_ID)
"""Attributes that are written as ``unit_<name>``."""

_ID_COLUMNS = (SI_UNIT_ID, "unit_id")
"""The columns by which other programs number the units."""

_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold."""

    columns: list[TableColumn]  # labels, ids for SpikeInterface, and attributes
    left_out: dict[Any, str]  # attributes that have no form in a table, and why
    renamed: list[str]  # attributes called as columns that Phy has itself
    bad_labels: list[str]  # labels that Phy or neo cannot read
    unit_ids: list[Any]  # the attribute ``unit_id`` of each unit when it is read

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

    `cluster_ids` are ids for SpikeInterface that the user gave, `taken` the attributes
    that are written in another way.
    """
    labels, bad_labels = label_column(table)
    unit_ids, ids, id_problem = _ids(table, cluster_ids)
    columns, renamed = [labels, ids], []
    left_out: dict[Any, str] = {}
    names = {*map(str, table.columns), "group", SI_UNIT_ID}
    elsewhere = {*taken, label_key_of(table)} - {None}
    for key, column in table.columns.items():
        if key in elsewhere:
            continue
        if key == "unit_id":
            if id_problem and column.known:
                left_out[key] = id_problem
            continue
        made = list(_made(column, names))
        columns += made
        names.update([column.name for column in made])
        if made and key in PHY_COLUMNS:
            renamed.append(key)
        if not made and column.known:
            left_out[key] = "no table of Phy can hold it"
    return UnitColumns(columns, left_out, renamed, bad_labels, unit_ids)


def label_column(table: UnitTable) -> tuple[TableColumn, list[str]]:
    """Return the labels of the units, and those that Phy or neo cannot read."""
    key = label_key_of(table)
    values = [MISSING] * len(table) if key is None else table.columns[key].values
    cells: list[str] = []
    bad: dict[str, None] = {}
    for value in values:
        is_label = isinstance(value, str) and as_text(value) is not None
        cells.append(str(value) if is_label and value.strip() else "")
        if not (is_label or _is_no_label(value)):
            bad[repr(str(value) if isinstance(value, str) else value)] = None
    return TableColumn("group", key or "group", "label", cells), list(bad)


def label_key_of(table: UnitTable) -> str | None:
    """Return the attribute of the labels: the first that is a text for any unit."""
    for key in LABEL_KEYS:
        column = table.columns.get(key)
        texts = [v for v in column.values if isinstance(v, str)] if column else []
        if key == table.label_key or any(text.strip() for text in texts):
            return key
    return None


def _is_no_label(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is MISSING or is_missing(value)


def _ids(
    table: UnitTable, given: Sequence[int] | None
) -> tuple[list[Any], TableColumn, str]:
    """Return the ids of the units, their column, why they are not those of ``unit_id``.

    The column holds positions where the units have no ids that SpikeInterface takes.
    """
    ids: list[Any] | None
    own, problem = _own_ids(table)
    if given is not None:
        ids, problem = list(given), "cluster_ids takes its place"
        problem = "" if ids == own else problem
    else:
        ids = own if own is not None else table.unit_ids
    positions = list(range(len(table)))
    fit = ids is not None and all(map(is_small_id, ids))
    if ids is None or not (fit or ids is own):
        ids = positions
    column = TableColumn(SI_UNIT_ID, "unit_id", "id", ids if fit else positions)
    return ids, column, problem


def _own_ids(table: UnitTable) -> tuple[list[Any] | None, str]:
    """Return the attribute ``unit_id`` of the units, or why it numbers none.

    Whole floats, as pandas makes them of integers, are int.
    """
    column = table.columns.get("unit_id")
    if column is None:
        return None, ""
    if any(value is MISSING or is_missing(value) for value in column.values):
        return None, "some units have none"
    ids = [
        str(value)
        if isinstance(value, str)
        else int(value)
        if column.kind in ("int", "float") and float(value).is_integer()
        else None
        for value in column.values
    ]
    if len(set(map(type, ids))) > 1 or None in ids:
        return None, "ids are all whole numbers or all texts"
    if twice := [i for i, times in Counter(ids).items() if times > 1]:
        return None, f"{twice[0]!r} is there more than once"
    return ids, ""


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
                if cell and not is_missing(value := column.value(cell)):
                    row[column.attribute] = value
    for (attribute, container), axes in places.items():
        for row, *texts in zip(rows, *axes, strict=True):
            if (place := _location(texts, container)) is not None:
                row[attribute] = place


def read_cells(
    table: Table, facts: Facts, units: Units
) -> list[tuple[TableColumn, list[str]]]:
    """Return all columns with the cell of each unit, those that were exported first.

    Phy drops the cells of silent units when it saves: theirs are the exported ones. What
    it counts itself does not replace attributes of the same names, and in a folder that
    `to_phy` wrote, a channel may be a placeholder.
    """
    columns = {column.name: column for column in facts.columns}
    by_phy = {column.attribute for column in facts.columns}.intersection(PHY_COLUMNS)
    by_phy |= {"ch"} if facts.format == "phy" else set()
    for name in table:
        if name not in (*_ID_COLUMNS, *columns, *by_phy):
            columns[name] = TableColumn(name, name, "", ())
    silent = {cluster for cluster, count in facts.counts.items() if not count}
    found = []
    for name, column in columns.items():
        given, cells = table.get(name, {}), []
        for cluster in units.ids:
            exported = ""
            if column.cells and cluster in units.exported:
                exported = column.cells[units.exported[cluster]]
            cell = given.get(cluster, exported if cluster in silent else "")
            if cell == UNSORTED and column.kind == "label" and not exported:
                cell = ""
            is_same = cell == exported or are_same(cell, exported)
            cells.append(exported if is_same else cell)
        found.append((column, cells))
    return found


def read_ids(table: Table, facts: Facts, units: Units) -> list[Any]:
    """Return the id of each unit; one that has none gets a new one.

    No two units get the same: of halves of a cluster that was split, neither has the id
    that Phy copied to both.
    """
    name = next((name for name in _ID_COLUMNS if name in table), "")
    cells = table.get(name, {})
    wanted = {i: _as_id(cells[i]) for i in units.ids if i in cells}
    if facts.format is not None:
        written = facts.column(SI_UNIT_ID)
        numbers = map(_as_id, written.cells) if written else facts.cluster_ids
        names = dict(zip(numbers, facts.unit_ids, strict=True))
        wanted = {i: names.get(unit_id) for i, unit_id in wanted.items()}
        wanted |= {i: facts.unit_ids[at] for i, at in units.exported.items()}
    times = Counter(unit_id for unit_id in wanted.values() if unit_id is not None)
    if twice := [unit_id for unit_id, n in times.items() if n > 1]:
        warn(
            f"unit_id {', '.join(map(str, twice[:10]))} stands for several clusters in "
            f"the column {name}; they get new ids"
        )
    known = {
        i: unit_id
        for i, unit_id in wanted.items()
        if unit_id is not None and (unit_id not in twice or i in units.exported)
    }
    used = set(known.values())
    for i in units.ids:
        if i not in known:
            new = i
            if new in used:
                new = max([-1, *(u for u in used if isinstance(u, int))]) + 1
            known[i] = str(new) if any(isinstance(u, str) for u in used) else new
            used.add(known[i])
    return [known[i] for i in units.ids]


def _as_id(text: str) -> int | str | None:
    """Return the id in a cell: an int, also of "3.0", or a str."""
    number = cluster_tables.whole_number(text)
    if number is not None:
        return number
    return None if text.strip().lower() in ("", "nan") else text


def losses_of_cells(column: Column, read: Sequence[dict[str, Any]]) -> list[str]:
    """Return in words what is lost of the values of an attribute in a table."""
    name = f"neuron_attributes[{column.key!r}]"
    lost: dict[str, None] = {}
    for unit in changed_units(column, read):
        value = column.values[unit]
        text = as_text(value)
        if text == "" or (isinstance(value, str) and value.isspace()):
            lost[f"{name} where it is None, NaN or '' (an empty cell)"] = None
        else:
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
