"""The electrodes of the units as a table of their own, and back."""

import math
from collections import defaultdict
from itertools import pairwise, takewhile
from typing import Any, TypeGuard

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import StoredColumn, read_column
from spikelab.formats.nwb.schema import UNKNOWN
from spikelab.spikedata.unit_table import UnitTable

_AXES = ("x", "y", "z")
_RELATIVE = ("rel_x", "rel_y", "rel_z")

NAME = "electrode_name"
"""The column for names of electrodes that have no numbers."""

_PEAK = "peak_channel_id"
"""A column of units, in files of the Allen Institute, with the ids of electrodes."""

DEVICE = "recording_device"
GROUP = "recording_electrodes"
GROUP_DESCRIPTION = "All electrodes that units of this recording are assigned to."

_DESCRIPTIONS = {
    "location": "Part of the brain that it lies in.",
    "group": "Its electrode group.",
    "group_name": "Name of its group.",
    **{axis: f"Its {axis} coordinate, as given with the units." for axis in _AXES},
    NAME: "Its name.",
}


@attrs.frozen(eq=False)
class Electrodes:
    """The distinct electrodes of a recording, and which of them each unit has."""

    ids: NDArray[np.int64]  # number of each electrode, shape (E,)
    columns: dict[str, Any]  # brain area, those of x, y and z that are known, and names
    rows: NDArray[np.int64]  # rows of the table, unit after unit
    ends: NDArray[np.int64]  # where the rows of each unit end, shape (N,)

    @property
    def group_area(self) -> str:
        """The brain area of all electrodes together."""
        areas = set(self.columns["location"])
        return areas.pop() if len(areas) == 1 else "several, see the electrodes table"

    def write(self, file: h5py.File) -> h5py.Group:
        """Write the table, its electrode group and its device; return the table."""
        device = file.create_group(f"general/devices/{DEVICE}")
        what = "The device that recorded; the export knows nothing more about it."
        schema.typed(device, "Device", description=what)
        ephys = file.create_group("general/extracellular_ephys")
        group = schema.typed(
            ephys.create_group(GROUP),
            "ElectrodeGroup",
            description=GROUP_DESCRIPTION,
            location=self.group_area,
        )
        group["device"] = h5py.SoftLink(device.name)
        n_rows = len(self.ids)
        references = np.array([group.ref] * n_rows, dtype=h5py.ref_dtype)
        columns = {
            **self.columns,
            "group": references,
            "group_name": [GROUP] * n_rows,
        }
        what = "One row for each electrode."
        table = schema.table(ephys, "electrodes", self.ids, columns, what)
        for name, values in columns.items():
            schema.column(table, name, values, _DESCRIPTIONS[name])
        return table


def electrodes_of(table: UnitTable, area: str | None) -> Electrodes | None:
    """Return the electrodes that the attributes of the units name, None if none do.

    An electrode has the coordinates of the units that have it alone, and the brain area
    of all its units, where they agree; `area` where they do not say any.
    """
    known = [_labels(electrode) for electrode in table.electrodes]
    distinct = {label for unit in known for label in unit}
    if not distinct or len(set(map(type, distinct))) > 1:
        return None
    labels = sorted(distinct)
    row_of = {label: row for row, label in enumerate(labels)}
    rows = [[row_of[label] for label in unit] for unit in known]
    columns: dict[str, Any] = {
        "location": _areas(table, rows, len(labels), area or UNKNOWN),
        **_coordinates(table, rows, len(labels)),
    }
    ids = labels
    if isinstance(labels[0], str):
        columns[NAME], ids = labels, list(range(len(labels)))
    return Electrodes(
        ids=np.array(ids, dtype=np.int64),
        columns=columns,
        rows=np.array([row for unit in rows for row in unit], dtype=np.int64),
        ends=np.cumsum([len(unit) for unit in rows], dtype=np.int64),
    )


def _labels(electrode: Any) -> list[Any]:
    """Return the int64 or str of each electrode of a unit, none if one is neither."""
    if electrode is None:
        return []
    several = electrode if isinstance(electrode, list) else [electrode]
    if all(type(e) is int and -(2**63) <= e < 2**63 for e in several):
        return several
    return [str(e) for e in several] if all(map(h5.is_text, several)) else []


def _areas(
    table: UnitTable, rows: list[list[int]], n_electrodes: int, default: str
) -> list[str]:
    """Return the brain area of each electrode; `rows` are the electrodes of each unit."""
    found: dict[int, set[str]] = defaultdict(set)
    for given, unit in zip(table.brain_areas, rows, strict=True):
        # One for all electrodes, or each its own.
        areas = given if isinstance(given, list) else [given] * len(unit)
        if len(areas) == len(unit):
            for row, area in zip(unit, areas, strict=True):
                if _is_area(area):
                    found[row].add(area)
    agreed = {row: areas.pop() for row, areas in found.items() if len(areas) == 1}
    return [agreed.get(row, default) for row in range(n_electrodes)]


def _is_area(value: Any) -> TypeGuard[str]:
    return h5.is_text(value) and value.strip() not in ("", UNKNOWN)


def _coordinates(
    table: UnitTable, rows: list[list[int]], n_electrodes: int
) -> dict[str, NDArray[np.float64]]:
    """Return the coordinates of the electrodes on each axis on which any is known."""
    found: dict[int, set[tuple[float, ...]]] = defaultdict(set)
    for place, unit in zip(table.locations, rows, strict=True):
        if place is not None and len(unit) == 1:
            found[unit[0]].add(place)
    coordinates = np.full((n_electrodes, len(_AXES)), np.nan)
    for row, places in found.items():
        if len(places) == 1:
            (place,) = places
            coordinates[row, : len(place)] = place
    axes = zip(_AXES, coordinates.T, strict=True)
    return {axis: column for axis, column in axes if not np.isnan(column).all()}


def read_electrodes(units: h5py.Group, n_units: int) -> list[dict[str, Any]] | None:
    """Return what the electrodes of each unit say, nothing if no unit has any.

    None if the column is not readable. A warning says if their table cannot be read, or
    which columns of it are not.
    """
    name = "electrodes" if schema.has_link(units, "electrodes") else _PEAK
    if not schema.has_link(units, name):
        return []
    known: dict[int, dict[str, Any]] = {}
    unread: list[str] = []
    try:
        column = read_column(units, name, n_units, own=False)
        if column is None or column.data.ndim > 1 or column.data.dtype.kind not in "iu":
            return None if name == "electrodes" else []
        numbers = column.data.astype(np.int64).tolist()
        is_region = "table" in h5.member(units, name).attrs
        if is_region or h5.has_member(units.file, schema.ELECTRODES):
            rows, unread = _read_table(h5.member(units.file, schema.ELECTRODES))
            if is_region:
                known = dict(enumerate(rows))
            else:  # ids: of the Allen Institute, or as spikelab 0.1 wrote them
                known = {row["electrode"]: row for row in rows}
    except FormatError as error:
        why, _, _ = str(error).partition(";")  # which lists all datasets of the file
        warn(f"the electrodes of the units are not read: {why}")
        return []
    unknown = [number for number in numbers if number not in known]
    if unknown and name == _PEAK:
        return []  # it means anything else
    if unknown and is_region:
        warn(f"the electrodes of the units are not read: there is no row {unknown[0]}")
        return []
    if unread:
        warn(f"columns of the electrodes not read: {', '.join(unread)}")
    several = [known.get(number, {"electrode": number}) for number in numbers]
    ends = range(1, n_units + 1) if column.ends is None else column.ends.tolist()
    return [_of_unit(several[start:stop]) for start, stop in pairwise([0, *ends])]


def _read_table(table: h5py.Group) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what is known about each row of a table, and the columns that are not read."""
    ids = h5.dataset(table, "id")[()].tolist()
    names = list(table)
    columns: dict[str, StoredColumn] = {}
    for name in {NAME, *_AXES, *_RELATIVE, "location"} & set(names):
        column = read_column(table, name, len(ids), own=False)
        if column is not None and column.ends is None and column.data.ndim == 1:
            columns[name] = column
    labels = columns[NAME].values() if NAME in columns else ids
    rows: list[dict[str, Any]] = [{"electrode": label} for label in labels]
    numeric = {name for name, c in columns.items() if c.data.dtype.kind in "iuf"}
    names_of_axes = _AXES if "x" in numeric else _RELATIVE
    axes = list(takewhile(numeric.__contains__, names_of_axes))
    places = zip(*(columns[axis].data.tolist() for axis in axes), strict=True)
    for row, place in zip(rows, places, strict=False):
        if coordinates := list(takewhile(lambda x: not math.isnan(x), place)):
            row["location"] = coordinates
    if "location" in columns:
        for row, area in zip(rows, columns["location"].values(), strict=True):
            if _is_area(area):
                row["brain_area"] = area
    read = {"id", "group", "group_name", *axes, *({"location", NAME} & columns.keys())}
    unread = [name for name in names if name not in read]
    return rows, [name for name in unread if not schema.is_part_of_column(table, name)]


def _of_unit(electrodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes of a unit that has these electrodes."""
    if not electrodes:
        return {}
    if len(electrodes) == 1:
        return electrodes[0]
    found: dict[str, Any] = {"electrode": [row["electrode"] for row in electrodes]}
    areas = [row.get("brain_area") for row in electrodes]
    if any(areas):
        one = len(set(areas)) == 1
        found["brain_area"] = areas[0] if one else [area or UNKNOWN for area in areas]
    return found
