"""The ids of units: those that an export writes, and those that a folder tells."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from spikelab.errors import warn
from spikelab.formats.phy.cluster_tables import Table, whole_number
from spikelab.formats.phy.spike_arrays import Units
from spikelab.spikedata.unit_table import MISSING, UnitTable, is_missing

SI_UNIT_ID = "si_unit_id"  # the column by which SpikeInterface numbers the units

# Ids are below this number: SpikeInterface allocates a table of this size.
LARGEST_ID = 2**24


def check_small_ids(name: str, ids: Iterable[int], advice: str = "") -> None:
    """Raise ValueError for ids that SpikeInterface and phylib cannot take."""
    for unit_id in ids:
        if not 0 <= unit_id < LARGEST_ID:
            raise ValueError(
                f"{name} must lie in 0..{LARGEST_ID - 1} for a folder that "
                f"SpikeInterface opens, got {unit_id}{advice}"
            )


def exported_ids(
    table: UnitTable, cluster_ids: Sequence[int] | None
) -> tuple[Sequence[int | str], str]:
    """Return the id of each unit, and why it is not its ``unit_id``, "" if it is.

    They are `cluster_ids` if the user gave some, else the attribute ``unit_id``, else
    another attribute that holds distinct ids, else positions. Raises ValueError for ids
    of units that no program takes.
    """
    own, problem = _own_ids(table)
    if cluster_ids is not None:
        if problem or (own and own != list(cluster_ids)):
            problem = "cluster_ids takes its place"
        return list(cluster_ids), problem
    if own:
        numbers = [unit_id for unit_id in own if isinstance(unit_id, int)]
        check_small_ids("unit_id", numbers, "; cluster_ids= takes its place")
        return own, ""
    others = table.unit_ids
    if others and all(isinstance(i, int) and 0 <= i < LARGEST_ID for i in others):
        return others, problem
    return list(range(len(table))), problem


def _own_ids(table: UnitTable) -> tuple[list[int | str], str]:
    """Return the attribute ``unit_id`` as int or str, and what is wrong with it, or "".

    Whole floats, as pandas makes them of integers, become int.
    """
    column = table.columns.get("unit_id")
    if column is None or not column.known:
        return [], ""
    if any(value is MISSING or is_missing(value) for value in column.values):
        return [], "some units have none"
    ids: list[int | str]
    if column.kind == "str":
        ids = [str(value) for value in column.values]
    elif column.kind in ("int", "float") and all(v % 1 == 0 for v in column.values):
        ids = [int(value) for value in column.values]
    else:
        return [], "ids are all whole numbers or all texts"
    most_frequent, count = Counter(ids).most_common(1)[0]
    if count > 1:
        return [], f"{most_frequent!r} is there more than once"
    return ids, ""


def read_ids(table: Table, units: Units) -> list[int | str]:
    """Return the id of each unit, all distinct.

    A unit that is as it was exported has the id that it had. Others have the one in the
    table, unless it stands for several clusters: Phy copies it to both halves of a split.
    One without an id gets the number of its cluster, or the next that is free.
    """
    facts = units.facts
    column = SI_UNIT_ID if SI_UNIT_ID in table else "unit_id"
    ids: dict[int, int | str] = {}
    cells = table.get(column, {})
    for cluster in units.ids:
        cell = cells.get(cluster)
        if cell is not None and cell.strip().lower() != "nan":
            number = whole_number(cell)
            ids[cluster] = cell if number is None else number
    if facts.format is not None:
        # Of a merged or split cluster, Phy keeps the number for SpikeInterface.
        written = next((c.cells for c in facts.columns if c.name == SI_UNIT_ID), ())
        numbered = dict(zip(map(whole_number, written), facts.unit_ids, strict=False))
        ids = {i: numbered[u] for i, u in ids.items() if u in numbered}
        ids |= {i: facts.unit_ids[at] for i, at in units.exported.items()}
    several = [unit_id for unit_id, n in Counter(ids.values()).items() if n > 1]
    if several:
        warn(
            f"unit_id {', '.join(map(str, several[:10]))} stands for several clusters in "
            f"the column {column}; they get new ids"
        )
    ids = {i: u for i, u in ids.items() if u not in several or i in units.exported}
    numbers = [unit_id for unit_id in ids.values() if isinstance(unit_id, int)]
    used = set(map(str, ids.values()))
    free = itertools.count(max(numbers, default=-1) + 1)
    has_names = len(numbers) < len(ids)
    for cluster in units.ids:
        if cluster not in ids:
            candidates = itertools.chain([cluster], free)
            new = next(number for number in candidates if str(number) not in used)
            ids[cluster] = str(new) if has_names else new
            used.add(str(new))
    return [ids[cluster] for cluster in units.ids]
