"""Attributes of units as columns of ``cluster_*.tsv`` tables, and back."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.formats.phy.cluster_tables import (
    UNSORTED,
    ColumnKind,
    Table,
    TableColumn,
    are_same,
    as_text,
    guessed,
    number,
)
from spikelab.formats.phy.spike_arrays import Units
from spikelab.formats.phy.unit_ids import SI_UNIT_ID, exported_ids
from spikelab.spikedata.unit_table import (
    ELECTRODE_KEYS,
    LABEL_KEYS,
    MISSING,
    Column,
    UnitTable,
    is_missing,
)

GROUP_FILE = "cluster_group.tsv"

# Columns that Phy fills itself. A table with such a column would override it.
PHY_COLUMNS = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")

# Attributes that are written as ``unit_<name>``.
_RENAMED = (*PHY_COLUMNS, "group", SI_UNIT_ID)

# Attributes that are lists where a unit has several electrodes.
_OF_ELECTRODES = (*ELECTRODE_KEYS, "brain_area")
_LIST = (list, tuple, np.ndarray)

_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold."""

    columns: list[TableColumn]  # labels, ids for SpikeInterface, and attributes
    unit_ids: Sequence[int | str]  # the attribute ``unit_id`` when it is read
    left_out: dict[Any, str]  # attributes that are in no table, and why
    cautions: list[str]  # what the user should know

    def write(self, folder: Path, clusters: Sequence[int]) -> None:
        """Write each column as a table that lists every unit by its cluster."""
        used: set[str] = set()
        for column in self.columns:
            # Phy saves a column that was changed as cluster_<column>.tsv.
            stem = column.name.replace("/", "_")
            if stem.lower().startswith("info"):
                # SpikeInterface reads no other table beside one called cluster_info*.
                stem = f"unit_{stem}"
            name, copy = stem, 2
            while name.lower() in used:
                name = f"{stem}_{copy}"
                copy += 1
            used.add(name.lower())
            column.write(folder / f"cluster_{name}.tsv", clusters)


def unit_columns(
    table: UnitTable, cluster_ids: Sequence[int] | None, in_arrays: Collection[Any]
) -> UnitColumns:
    """Return the columns of a recording.

    `cluster_ids` are ids for SpikeInterface that the user gave, `in_arrays` the attributes
    that are written as arrays. Raises ValueError for ids that no program takes.
    """
    unit_ids, id_problem = exported_ids(table, cluster_ids)
    are_numbers = all(isinstance(unit_id, int) for unit_id in unit_ids)
    numbers = unit_ids if are_numbers else range(len(unit_ids))
    labels, unreadable = label_column(table)
    cells = [str(number) for number in numbers]
    columns = [labels, TableColumn(SI_UNIT_ID, "unit_id", "id", cells)]
    left_out, renamed, lists = [], [], []
    key_of_labels = label_key(table)
    names = {*map(str, table.columns), "group", SI_UNIT_ID}
    for key, column in table.columns.items():
        is_label = key is not None and key == key_of_labels
        if key in in_arrays or key == "unit_id" or is_label:
            continue
        made = _coordinate_columns(column, names) or _value_column(column, names)
        columns += made
        names.update(made_column.name for made_column in made)
        if not made and column.known:
            left_out.append(key)
        if made and key in PHY_COLUMNS:
            renamed.append(key)
        if made and key in _OF_ELECTRODES:
            known = column.known.items()
            lists += [f"{key} of unit {u}" for u, v in known if isinstance(v, _LIST)]
    texts: dict[str, list[Any]] = {
        "neuron_attributes {} left out: tables of Phy hold numbers, booleans, and texts "
        "that begin with a letter, under names that do": left_out,
        "neuron_attributes {} left out: a cell of a table holds one value": lists,
        "labels {} become 'unsorted': Phy and neo read texts that begin with a letter": (
            unreadable
        ),
        "neuron_attributes {} are written as unit_<name>, because Phy has columns of these "
        "names; spikelab reads them under their own": renamed,
    }
    cautions = [t.format(", ".join(map(str, k))) for t, k in texts.items() if k]
    reasons = dict.fromkeys(left_out, "no table of Phy can hold it")
    if id_problem:
        reasons["unit_id"] = id_problem
        cautions.insert(0, f"unit_id left out: {id_problem}")
    return UnitColumns(columns, unit_ids, reasons, cautions)


def label_key(table: UnitTable) -> str | None:
    """Return the first attribute of labels that is a str for any unit, if there is one."""
    for key in LABEL_KEYS:
        column = table.columns.get(key)
        if column and any(isinstance(value, str) for value in column.values):
            return key
    return None


def label_column(table: UnitTable) -> tuple[TableColumn, list[str]]:
    """Return the column of the labels, and those that Phy or neo cannot read."""
    key = label_key(table)
    values = table.columns[key].values if key else [MISSING] * len(table)
    cells: list[str] = []
    unreadable: list[str] = []
    for value in values:
        is_blank = value is MISSING or is_missing(value) or not str(value).strip()
        cell = as_text(value) if isinstance(value, str) and not is_blank else None
        cells.append(cell or "")
        if cell is None and not is_blank:
            unreadable.append(repr(str(value) if isinstance(value, str) else value))
    column = TableColumn("group", key or "group", "label", cells)
    return column, list(dict.fromkeys(unreadable))  # each once


def _value_column(column: Column, names: Collection[str]) -> list[TableColumn]:
    """Return the table column of an attribute, none if it has no form in text.

    A unit with several electrodes has an empty cell.
    """
    key, values = column.key, column.values
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        return []
    if key in _OF_ELECTRODES:
        values = [MISSING if isinstance(v, _LIST) else v for v in values]
    cells = ["" if value is MISSING else as_text(value) for value in values]
    known = [value for value, cell in zip(values, cells, strict=True) if cell]
    texts = [value for value in known if isinstance(value, str)]
    if None in cells or not known:
        return []
    if len(texts) < len(known) and any(guessed(text) != text for text in texts):
        return []  # a text among numbers that would be read as one
    name = _free(f"unit_{key}", names) if key in _RENAMED else key
    kind: ColumnKind = "text" if len(texts) == len(known) else "value"
    return [TableColumn(name, key, kind, [cell or "" for cell in cells])]


def _free(name: str, names: Collection[str]) -> str:
    """Return a name that no other column has."""
    while name in names:
        name += "_"
    return name


def _coordinate_columns(column: Column, names: Collection[str]) -> list[TableColumn]:
    """Return one column per coordinate of a location, empty where a unit has none.

    None if any location is not an array, list or tuple of one to three finite numbers,
    or they differ in how many.
    """
    if column.key not in ("location", "position"):
        return []
    try:
        places = np.array(list(column.known.values()))  # (units, coordinates)
    except ValueError:  # of different lengths
        return []
    is_place = places.dtype.kind in "iuf" and places.ndim == 2 and places.shape[1] <= 3
    if not is_place or not places.size or not np.isfinite(places).all():
        return []
    containers = {_container(value) for value in column.known.values()}
    container = containers.pop() if len(containers) == 1 else "list"
    columns = []
    for axis, coordinates in zip("xyz", places.T, strict=False):
        cells = [""] * len(column.values)
        for unit, coordinate in zip(column.known, coordinates, strict=True):
            cells[unit] = as_text(coordinate) or ""
        name = axis if axis not in names else _free(f"{column.key}_{axis}", names)
        columns.append(TableColumn(name, column.key, "coordinate", cells, container))
    return columns


def _container(place: Any) -> str:
    """Return "list", "tuple" or, of an array, its dtype."""
    if isinstance(place, np.ndarray):
        return str(place.dtype.str)
    return "tuple" if isinstance(place, tuple) else "list"


def add_cells(rows: Sequence[dict[str, Any]], columns: Iterable[TableColumn]) -> None:
    """Add to the attributes of each unit what the cells of columns stand for."""
    axes: dict[str, list[TableColumn]] = defaultdict(list)
    for column in columns:
        if column.kind == "coordinate":
            axes[column.attribute].append(column)
        elif column.kind != "id":
            is_text = column.kind in ("text", "label")
            for row, cell in zip(rows, column.cells, strict=True):
                value = cell if is_text else guessed(cell)
                if cell and value == value:  # NaN stands for none
                    row[column.attribute] = value
    for attribute, of_axes in axes.items():
        for unit, row in enumerate(rows):
            place: Any = [number(column.cells[unit]) for column in of_axes]
            if None not in place:
                container = of_axes[0].container
                if container == "tuple":
                    place = tuple(place)
                elif container != "list":
                    place = np.array(place, dtype=container)
                row[attribute] = place


def read_columns(table: Table, units: Units) -> list[TableColumn]:
    """Return all columns with the cell of each unit, those that were exported first.

    What Phy counts itself does not replace attributes of the same names, and in a folder
    that `to_phy` wrote, a channel may be a placeholder.
    """
    facts = units.facts
    ignored = {column.attribute for column in facts.columns}.intersection(PHY_COLUMNS)
    ignored |= {SI_UNIT_ID, "unit_id"}
    if facts.format == "phy":
        ignored.add("ch")
    columns = {column.name: column for column in facts.columns}
    for name in table:
        if name not in columns and name not in ignored:
            columns[name] = TableColumn(name, name, "value")
    counts, found = facts.counts, []
    for name, column in columns.items():
        given, cells = table.get(name, {}), []
        for cluster in units.ids:
            at = units.exported.get(cluster)
            exported = column.cells[at] if column.cells and at is not None else ""
            # Phy drops the cells of silent units when it saves: the exported ones count.
            cell = given.get(cluster, "" if counts.get(cluster) else exported)
            if column.kind == "label" and cell == UNSORTED and not exported:
                cell = ""
            cells.append(exported if are_same(cell, exported) else cell)
        found.append(attrs.evolve(column, cells=cells))
    return found
