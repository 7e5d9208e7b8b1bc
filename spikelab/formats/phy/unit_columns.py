"""What is known about the units, as the columns of ``cluster_*.tsv`` tables."""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.errors import warn
from spikelab.formats.phy import cluster_tables
from spikelab.formats.phy.cluster_tables import Table, TableColumn, as_text, guessed
from spikelab.formats.phy.facts import SI_UNIT_ID
from spikelab.formats.phy.spike_arrays import Units
from spikelab.spikedata.unit_table import (
    ELECTRODE_KEYS,
    LABEL_KEYS,
    MISSING,
    Column,
    UnitTable,
)

# Ids are below this number: SpikeInterface allocates a table of this size.
LARGEST_ID = 2**24

GROUP_FILE = "cluster_group.tsv"

# Columns that Phy fills itself. A table with such a column would override it.
PHY_COLUMNS = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")

# Attributes that are written as ``unit_<name>``.
_RENAMED = (*PHY_COLUMNS, "group", SI_UNIT_ID)

# Attributes that are lists where a unit has several electrodes.
_LISTS = (*ELECTRODE_KEYS, "brain_area")
_LIST = (list, tuple, np.ndarray)

_NAME = re.compile(r"[A-Za-z][\w .()/%+-]{,99}")

_CAUTIONS = (
    "unit_id left out: {}",
    "neuron_attributes {} left out: tables of Phy hold numbers, booleans, and texts that "
    "begin with a letter, under names that do",
    "neuron_attributes {} left out: a cell of a table holds one value",
    "labels {} become 'unsorted': Phy and neo read texts that begin with a letter",
    "neuron_attributes {} are written as unit_<name>, because Phy has columns of these "
    "names; spikelab reads them under their own",
)


@attrs.frozen
class UnitColumns:
    """The columns of a recording, and what they cannot hold."""

    columns: list[TableColumn]  # labels, ids for SpikeInterface, and attributes
    unit_ids: list[Any]  # the attribute ``unit_id`` of each unit when it is read
    left_out: dict[Any, str]  # attributes that have no form in a table, and why
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
                name, copy = f"{stem}_{copy}", copy + 1
            used.add(name.lower())
            column.write(folder / f"cluster_{name}.tsv", clusters)


def unit_columns(
    table: UnitTable, cluster_ids: Sequence[int] | None, taken: Collection[Any]
) -> UnitColumns:
    """Return the columns of a recording.

    `cluster_ids` are ids for SpikeInterface that the user gave, `taken` the attributes
    that are written in another way. Raises ValueError for ids that no program takes.
    """
    label_key, labels, bad_labels = label_column(table)
    unit_ids, si_unit_ids, id_problem = _ids(table, cluster_ids)
    ids = TableColumn(SI_UNIT_ID, "unit_id", "id", list(map(str, si_unit_ids)))
    columns = [labels, ids]
    left_out, renamed, several = [], [], []
    names = {*map(str, table.columns), "group", SI_UNIT_ID}
    elsewhere = {*taken, label_key, "unit_id"} - {None}
    for key, column in table.columns.items():
        if key in elsewhere:
            continue
        made = _coordinates(column, names) or _cells(column, names)
        columns += made
        names.update([column.name for column in made])
        if made and key in PHY_COLUMNS:
            renamed.append(key)
        if made and key in _LISTS:
            known = column.known.items()
            several += [f"{key} of unit {u}" for u, v in known if isinstance(v, _LIST)]
        if not made and column.known:
            left_out.append(key)
    is_problem = id_problem and table.columns["unit_id"].known
    found = [id_problem] * bool(is_problem), left_out, several, bad_labels, renamed
    cautions = [
        f"to_phy: {text.format(', '.join(map(str, names)))}"
        for text, names in zip(_CAUTIONS, found, strict=True)
        if names
    ]
    lost = dict.fromkeys(left_out, "no table of Phy can hold it")
    return UnitColumns(columns, unit_ids, {**lost, "unit_id": id_problem}, cautions)


def label_column(table: UnitTable) -> tuple[str | None, TableColumn, list[str]]:
    """Return the attribute of the labels, their column, and those that are no labels.

    The attribute is the first that is a text for any unit, None if there is none.
    """
    values, key = [MISSING] * len(table), None
    for name in LABEL_KEYS:
        column = table.columns.get(name)
        if column and any(isinstance(value, str) for value in column.values):
            values, key = column.values, name
            break
    cells: list[str] = []
    bad: dict[str, None] = {}
    for value in values:
        text = as_text(value) if isinstance(value, str) else None
        cells.append(text if text and text.strip() else "")
        is_blank = isinstance(value, str) and not value.strip()
        if not (
            cells[-1]
            or is_blank
            or value is MISSING
            or cluster_tables.is_missing(value)
        ):
            bad[repr(str(value) if isinstance(value, str) else value)] = None
    return key, TableColumn("group", key or "group", "label", cells), list(bad)


def _ids(
    table: UnitTable, given: Sequence[int] | None
) -> tuple[list[Any], list[int], str]:
    """Return the ids of the units, those for SpikeInterface, what is odd in ``unit_id``.

    Those for SpikeInterface are positions where the units have no numbers. Whole floats,
    as pandas makes them of integers, are int.
    """
    column = table.columns.get("unit_id", Column("unit_id", []))
    own: list[Any] = []
    problem = ""
    if any(
        value is MISSING or cluster_tables.is_missing(value) for value in column.values
    ):
        problem = "some units have none"
    elif column.kind == "str":
        own = list(map(str, column.values))
    elif column.kind in ("int", "float") and all(v == v // 1 for v in column.values):
        own = list(map(int, column.values))
    elif column.values:
        problem = "ids are all whole numbers or all texts"
    if twice := [unit_id for unit_id, n in Counter(own).items() if n > 1]:
        own, problem = [], f"{twice[0]!r} is there more than once"
    positions = list(range(len(table)))
    if given is not None:
        differ = column.values and own != list(given)
        return list(given), list(given), "cluster_ids takes its place" if differ else ""
    if own and isinstance(own[0], str):
        return own, positions, ""
    if own:
        check_small_ids("unit_id", own, "; cluster_ids= takes its place")
        return own, own, ""
    others = table.unit_ids or [""]  # those of other attributes
    fit = all(isinstance(i, int) and 0 <= i < LARGEST_ID for i in others)
    ids = others if fit else positions
    return ids, ids, problem


def check_small_ids(name: str, ids: Iterable[int], advice: str = "") -> None:
    """Raise ValueError for ids that SpikeInterface and phylib cannot take."""
    for unit_id in ids:
        if not 0 <= unit_id < LARGEST_ID:
            raise ValueError(
                f"{name} must lie in 0..{LARGEST_ID - 1} for a folder that "
                f"SpikeInterface opens, got {unit_id}{advice}"
            )


def _cells(column: Column, names: Collection[str]) -> list[TableColumn]:
    """Return the table column of an attribute, none if it has no form in text.

    A unit with several electrodes has an empty cell.
    """
    key, values = column.key, column.values
    if not isinstance(key, str) or not _NAME.fullmatch(key):
        return []
    if key in _LISTS:
        values = [MISSING if isinstance(v, _LIST) else v for v in values]
    cells = ["" if value is MISSING else as_text(value) for value in values]
    if None in cells or not any(cells):
        return []
    texts = [value for value in values if isinstance(value, str)]
    are_texts = all(isinstance(v, str) for v, c in zip(values, cells, strict=True) if c)
    if not are_texts and any(guessed(text) != text for text in texts):
        return []
    name = _free(f"unit_{key}", names) if key in _RENAMED else key
    kind = "text" if are_texts else "value"
    return [TableColumn(name, key, kind, [cell or "" for cell in cells])]


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
    if column.key not in ("location", "position"):
        return []
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
    for axis, coordinates in zip(
        "xyz", np.transpose(list(places.values())), strict=False
    ):
        texts = dict(zip(places, map(as_text, coordinates), strict=True))
        cells = [texts.get(unit) or "" for unit in range(len(column.values))]
        name = axis if axis not in names else _free(f"{column.key}_{axis}", names)
        columns.append(TableColumn(name, column.key, "coordinate", cells, container))
    return columns


def add_cells(
    rows: list[dict[str, Any]], columns: Iterable[tuple[TableColumn, Sequence[str]]]
) -> None:
    """Add to the attributes of each unit what the cells of columns stand for."""
    places: dict[tuple[str, str], list[Sequence[str]]] = {}
    for column, cells in columns:
        if column.kind == "coordinate":
            places.setdefault((column.attribute, column.container), []).append(cells)
        elif column.kind != "id":
            is_text = column.kind in ("text", "label")
            for row, cell in zip(rows, cells, strict=True):
                value = cell if is_text or not cell else guessed(cell)
                if cell and value == value:  # NaN stands for none
                    row[column.attribute] = value
    for (attribute, container), axes in places.items():
        for row, *texts in zip(rows, *axes, strict=True):
            place: Any = list(map(cluster_tables.number, texts))
            if None not in place:
                if container == "tuple":
                    place = tuple(place)
                elif container != "list":
                    place = np.array(place, dtype=container)
                row[attribute] = place


def read_cells(table: Table, units: Units) -> list[tuple[TableColumn, list[str]]]:
    """Return all columns with the cell of each unit, those that were exported first.

    Phy drops the cells of silent units when it saves: theirs are the exported ones. What
    it counts itself does not replace attributes of the same names, and in a folder that
    `to_phy` wrote, a channel may be a placeholder.
    """
    facts = units.facts
    columns = {column.name: column for column in facts.columns}
    ignored = {column.attribute for column in facts.columns}.intersection(PHY_COLUMNS)
    ignored |= {SI_UNIT_ID, "unit_id", *(["ch"] if facts.format == "phy" else [])}
    for name in table:
        if name not in ignored:
            columns.setdefault(name, TableColumn(name, name, ""))
    counts, found = facts.counts, []
    for name, column in columns.items():
        given, cells = table.get(name, {}), []
        for cluster in units.ids:
            at = units.exported.get(cluster)
            exported = column.cells[at] if column.cells and at is not None else ""
            cell = given.get(cluster, "" if counts.get(cluster) else exported)
            if (
                cell == cluster_tables.UNSORTED
                and column.kind == "label"
                and not exported
            ):
                cell = ""
            is_same = cell == exported or cluster_tables.are_same(cell, exported)
            cells.append(exported if is_same else cell)
        found.append((column, cells))
    return found


def read_ids(table: Table, units: Units) -> list[Any]:
    """Return the id of each unit; one that has none gets a new one.

    No two units get the same: of halves of a cluster that was split, neither has the id
    that Phy copied to both.
    """
    facts = units.facts
    name = SI_UNIT_ID if SI_UNIT_ID in table else "unit_id"
    cells = {i: table[name][i] for i in units.ids if i in table.get(name, {})}
    numbers = {i: cluster_tables.whole_number(cell) for i, cell in cells.items()}
    wanted: dict[int, Any] = {
        i: cell if numbers[i] is None else numbers[i]
        for i, cell in cells.items()
        if cell.strip().lower() != "nan"
    }
    if facts.format is not None:
        written = next((c for c in facts.columns if c.name == SI_UNIT_ID), None)
        ids = (
            map(cluster_tables.whole_number, written.cells)
            if written
            else facts.cluster_ids
        )
        names: dict[Any, Any] = dict(zip(ids, facts.unit_ids, strict=True))
        wanted = {
            i: names[unit_id] for i, unit_id in wanted.items() if unit_id in names
        }
        wanted |= {i: facts.unit_ids[at] for i, at in units.exported.items()}
    twice = [unit_id for unit_id, n in Counter(wanted.values()).items() if n > 1]
    if twice:
        warn(
            f"unit_id {', '.join(map(str, twice[:10]))} stands for several clusters in "
            f"the column {name}; they get new ids"
        )
    known = {i: u for i, u in wanted.items() if u not in twice or i in units.exported}
    used = set(known.values())
    used_numbers = [unit_id for unit_id in used if isinstance(unit_id, int)]
    has_names = len(used_numbers) < len(used)
    free = itertools.count(max([-1, *used_numbers]) + 1)
    for i in units.ids:
        if i not in known:
            new = next(n for n in free if n not in used) if i in used else i
            known[i] = str(new) if has_names else new
            used.add(new)
    return [known[i] for i in units.ids]
