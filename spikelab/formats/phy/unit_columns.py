"""Attributes of units as columns of ``cluster_*.tsv`` tables, and back."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
    is_missing,
    number,
)
from spikelab.formats.phy.spike_arrays import Units
from spikelab.formats.phy.unit_ids import (
    SI_UNIT_ID,
    exported_ids,
    numbers_for_spikeinterface,
)
from spikelab.spikedata.unit_table import (
    ELECTRODE_KEYS,
    LABEL_KEYS,
    MISSING,
    Column,
    UnitTable,
)

GROUP_FILE = "cluster_group.tsv"

# Columns that Phy fills itself. A table with such a column would override it.
PHY_COLUMNS = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")

# Attributes that are written as ``unit_<name>``.
_RENAMED = (*PHY_COLUMNS, "group", SI_UNIT_ID)

# Attributes that are lists where a unit has several electrodes.
_OF_ELECTRODES = (*ELECTRODE_KEYS, "brain_area")

_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold."""

    columns: list[TableColumn]  # labels, ids for SpikeInterface, and attributes
    unit_ids: Sequence[int | str]  # the attribute ``unit_id`` when it is read
    id_problem: str  # why that is not the one of the recording, "" if it is
    unreadable_labels: list[str]  # labels that Phy or neo cannot read
    renamed: list[Any] = attrs.field(factory=list)  # attributes with names of Phy's own
    left_out: list[Any] = attrs.field(factory=list)  # attributes that fit no table
    lists: list[str] = attrs.field(factory=list)  # lists of electrodes: "ch of unit 3"

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

    def cautions(self) -> Iterator[str]:
        """Yield what the user should know."""
        if self.id_problem:
            yield f"unit_id left out: {self.id_problem}"
        if self.left_out:
            yield (
                f"neuron_attributes {_listed(self.left_out)} left out: tables of Phy "
                "hold numbers, booleans, and texts that begin with a letter, under names "
                "that do"
            )
        if self.lists:
            yield (
                f"neuron_attributes {_listed(self.lists)} left out: a cell of a table "
                "holds one value"
            )
        if self.unreadable_labels:
            yield (
                f"labels {_listed(self.unreadable_labels)} become 'unsorted': Phy and "
                "neo read texts that begin with a letter"
            )
        if self.renamed:
            yield (
                f"neuron_attributes {_listed(self.renamed)} are written as unit_<name>, "
                "because Phy has columns of these names; spikelab reads them under their "
                "own"
            )


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names))


def unit_columns(
    table: UnitTable, cluster_ids: Sequence[int] | None, in_arrays: Collection[Any]
) -> UnitColumns:
    """Return the columns of a recording.

    `cluster_ids` are ids for SpikeInterface that the user gave, `in_arrays` the attributes
    that are written as arrays. Raises ValueError for ids that no program takes.
    """
    unit_ids, id_problem = exported_ids(table, cluster_ids)
    numbers = [str(number) for number in numbers_for_spikeinterface(unit_ids)]
    ids = TableColumn(SI_UNIT_ID, "unit_id", "id", numbers)
    labels, unreadable = label_column(table)
    found = UnitColumns([labels, ids], unit_ids, id_problem, unreadable)
    names = {*map(str, table.columns), "group", SI_UNIT_ID}
    written = {*in_arrays, "unit_id"}
    if (key_of_labels := label_key(table)) is not None:
        written.add(key_of_labels)
    for key, column in table.columns.items():
        if key in written:
            continue
        columns = _coordinate_columns(column, names) or _value_column(column, names)
        found.columns.extend(columns)
        names.update(made.name for made in columns)
        if not columns and column.known:
            found.left_out.append(key)
        if columns and key in PHY_COLUMNS:
            found.renamed.append(key)
        if columns and key in _OF_ELECTRODES:
            units = [u for u, value in column.known.items() if _is_list(value)]
            found.lists.extend(f"{key} of unit {unit}" for unit in units)
    return found


def label_column(table: UnitTable) -> tuple[TableColumn, list[str]]:
    """Return the column of the labels, and those that Phy or neo cannot read."""
    key = label_key(table)
    values = table.columns[key].values if key else [MISSING] * len(table)
    cells: list[str] = []
    unreadable: list[str] = []
    for value in values:
        cell = None
        if isinstance(value, str):
            is_blank = not value.strip()
            cell = as_text(value)
        else:
            is_blank = value is MISSING or is_missing(value)
        cells.append("" if is_blank or cell is None else cell)
        if cell is None and not is_blank:
            shown = repr(str(value) if isinstance(value, str) else value)
            if shown not in unreadable:
                unreadable.append(shown)
    return TableColumn("group", key or "group", "label", cells), unreadable


def label_key(table: UnitTable) -> str | None:
    """Return the first attribute of labels that is a str for any unit, if there is one.

    Numbers, as measures of quality, are no labels.
    """
    for key in LABEL_KEYS:
        column = table.columns.get(key)
        if column and any(isinstance(value, str) for value in column.values):
            return key
    return None


def _value_column(column: Column, names: Collection[str]) -> list[TableColumn]:
    """Return the table column of an attribute, none if it has no form in text.

    A unit with several electrodes has an empty cell.
    """
    key, values = column.key, column.values
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        return []
    if key in _OF_ELECTRODES:
        values = [MISSING if _is_list(value) else value for value in values]
    cells = []
    for value in values:
        cell = "" if value is MISSING else as_text(value)
        if cell is None:
            return []
        cells.append(cell)
    known = [value for value, cell in zip(values, cells, strict=True) if cell]
    texts = [value for value in known if isinstance(value, str)]
    if not known:
        return []
    if len(texts) < len(known) and any(guessed(text) != text for text in texts):
        return []  # a text among numbers that would be read as one
    name = _free(f"unit_{key}", names) if key in _RENAMED else key
    kind: ColumnKind = "text" if len(texts) == len(known) else "value"
    return [TableColumn(name, key, kind, cells)]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray)


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
    counts = facts.counts
    return [
        attrs.evolve(
            column, cells=_cells_now(column, table.get(name, {}), units, counts)
        )
        for name, column in columns.items()
    ]


def _cells_now(
    column: TableColumn,
    given: Mapping[int, str],
    units: Units,
    exported_counts: Mapping[int, int],
) -> list[str]:
    """Return the cell of each unit in a table, or that of the export where it counts.

    Phy drops the cells of silent units when it saves, and writes numbers in another way.
    """
    cells = []
    for cluster in units.ids:
        at = units.exported.get(cluster)
        exported = column.cells[at] if column.cells and at is not None else ""
        had_spikes = bool(exported_counts.get(cluster))
        cell = given.get(cluster, "" if had_spikes else exported)
        if column.kind == "label" and cell == UNSORTED and not exported:
            cell = ""
        cells.append(exported if are_same(cell, exported) else cell)
    return cells
