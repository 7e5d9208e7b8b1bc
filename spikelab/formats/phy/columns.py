"""What is known about the units, as the ``cluster_*.tsv`` tables of a Phy folder."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.formats.kilosort import tables as cluster_tables
from spikelab.formats.kilosort.folder import GROUP_FILE

_LOCATION_KEYS = ("location", "position")
_ID_KEYS = ("unit_id", "cluster_id", "si_unit_id")
_RENAMED = {
    "cluster_id": "unit_cluster_id",
    "id": "unit_own_id",
    "group": "unit_group",
    "si_unit_id": "unit_si_unit_id",
}
"""Columns that mean something else to Phy or SpikeInterface."""

_LARGEST_ID = 2**24
"""SpikeInterface allocates a table of this size."""


@attrs.frozen
class Column:
    """One table: its column, the attribute that it holds, its type, and its cells."""

    name: str
    attribute: str
    kind: str
    cells: list[str]


def columns(sd: Any, taken: Sequence[str | None]) -> tuple[list[Column], list[str]]:
    """Return a column for each attribute that has a form in text, and the others.

    Parameters
    ----------
    sd : SpikeData
        The recording.
    taken : sequence
        Attributes that are written in another way.

    Returns
    -------
    columns : list of Column
        Numbers, booleans and texts of one line; a location as ``x``, ``y``, ``z``.
    left_out : list of str
        Names of the attributes that are none of these.
    """
    found: list[Column] = []
    left_out = []
    for key in attribute_names(sd):
        if key is not None and key in taken:
            continue
        if key == "unit_id":  # some units have none: the loader numbers them
            left_out.append(key)
            continue
        values = [a.get(key) for a in sd.neuron_attributes]
        made = list(_made(key, values, {column.name for column in found}))
        found += made
        if not made and any(value is not None for value in values):
            left_out.append(str(key))
    return found, left_out


def attribute_names(sd: Any) -> list[Any]:
    """Return the names of all attributes, in the order of their appearance."""
    return list(dict.fromkeys(name for a in sd.neuron_attributes or () for name in a))


def _made(key: Any, values: list[Any], used: set[str]) -> Iterator[Column]:
    name = _RENAMED.get(key, key)
    if not isinstance(name, str) or not re.fullmatch(
        r"[A-Za-z][\w .()/%+-]{,99}", name
    ):
        return
    if key in _LOCATION_KEYS and (places := _coordinates(values)):
        for axis, cells in zip("xyz", zip(*places, strict=True), strict=False):
            free = axis if axis not in used else f"{key}_{axis}"
            yield Column(free, key, "coordinate", list(cells))
        return
    texts = [cluster_tables.as_text(value) for value in values]
    known = [text for text in texts if text is not None]
    if len(known) == len(texts) and any(known) and name not in used:
        is_text = all(value is None or isinstance(value, str) for value in values)
        if is_text or not any(map(_looks_like_another, values)):
            yield Column(name, key, "text" if is_text else "value", known)


def _looks_like_another(value: Any) -> bool:
    """Tell whether a text would be read as a number or a truth value."""
    return isinstance(value, str) and cluster_tables.guessed(value) != value


def faded(sd: Any, others: Sequence[str]) -> list[str]:
    """Return the attributes, but for `others`, of which some values are empty cells."""
    return [
        str(key)
        for key in attribute_names(sd)
        if str(key) not in others
        and any(key in a and not has_cell(a[key]) for a in sd.neuron_attributes)
    ]


def has_cell(value: Any) -> bool:
    """Tell whether a value is one, and not an empty cell."""
    return bool(np.ndim(value) or cluster_tables.as_text(value))


def _coordinates(values: list[Any]) -> list[list[str]] | None:
    """Return the coordinates of each unit as text, empty where it has none.

    None if any is not an array or list of one to three numbers, or they differ in
    how many.
    """
    try:
        places = {
            unit: np.asarray(value)
            for unit, value in enumerate(values)
            if value is not None
        }
    except ValueError:
        return None
    shapes = {place.shape for place in places.values()}
    if len(shapes) != 1 or not shapes <= {(1,), (2,), (3,)}:
        return None
    if not all(place.dtype.kind in "iuf" for place in places.values()):
        return None
    if not all(np.all(np.isfinite(place)) for place in places.values()):
        return None
    unknown = [""] * shapes.pop()[0]
    return [
        [str(cluster_tables.as_text(x)) for x in places[unit]]
        if unit in places
        else unknown
        for unit in range(len(values))
    ]


def original_ids(sd: Any, given: Sequence[int] | None) -> tuple[str | None, list[int]]:
    """Return the ids that the units had, and the attribute that holds them.

    Those that the user gave come first, then the first attribute that is an id.
    """
    if given is not None:
        return None, list(given)
    for key in _ID_KEYS:
        values = [a.get(key) for a in sd.neuron_attributes or ()]
        whole = all(
            isinstance(v, int | np.integer)
            and not isinstance(v, bool)
            and 0 <= v < _LARGEST_ID
            for v in values
        )
        if values and whole and len(set(values)) == len(values):
            return key, [int(value) for value in values]
    return None, []


def write(folder: Path, found: Sequence[Column], n_units: int) -> None:
    """Write each column as a table that lists every unit."""
    used = {GROUP_FILE, "cluster_si_unit_id.tsv"}
    for column in found:
        name = _file_name(column.name, used)
        used.add(name.lower())
        cluster_tables.write_column(
            folder / name, column.name, range(n_units), column.cells
        )


def _file_name(column: str, used: set[str]) -> str:
    # Phy saves a column that was changed as cluster_<column>.tsv.
    stem = column.replace("/", "_")
    if stem.lower().startswith("info"):
        # SpikeInterface reads no other table beside one called cluster_info*.
        stem = f"unit_{stem}"
    name, number = f"cluster_{stem}.tsv", 2
    while name.lower() in used:
        name, number = f"cluster_{stem}_{number}.tsv", number + 1
    return name
