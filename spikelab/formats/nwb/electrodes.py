"""The electrodes of the units as a table of their own, and back."""

import contextlib
from collections.abc import Iterable
from itertools import pairwise, takewhile
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import read_column
from spikelab.formats.nwb.schema import UNKNOWN
from spikelab.spikedata.unit_table import UnitTable

_AXES = ("x", "y", "z")
_RELATIVE = ("rel_x", "rel_y", "rel_z")

NAME = "electrode_name"
"""The column for names of electrodes that have no numbers."""

PEAK = "peak_channel_id"
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

    labels: list[Any]  # the name of each electrode, or its number
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
    places: list[tuple[int, Any]] = []
    areas: list[tuple[int, Any]] = []
    units = zip(rows, table.locations, table.brain_areas, strict=True)
    for unit, place, of_unit in units:
        if place and len(unit) == 1:
            places.append((unit[0], place))
        # One for all electrodes, or each its own.
        several = of_unit if isinstance(of_unit, list) else [of_unit] * len(unit)
        if len(several) == len(unit):
            areas += zip(unit, several, strict=True)
    coordinates = np.full((len(labels), len(_AXES)), np.nan)
    for row, place in _agreed(places).items():
        coordinates[row, : len(place)] = place
    said = _agreed((row, a) for row, a in areas if h5.is_text(a) and _is_area(a))
    columns: dict[str, Any] = {
        "location": [said.get(row, area or UNKNOWN) for row in range(len(labels))]
    }
    axes = zip(_AXES, coordinates.T, strict=True)
    columns |= {axis: column for axis, column in axes if not np.isnan(column).all()}
    ids = labels
    if isinstance(labels[0], str):
        columns[NAME], ids = labels, list(range(len(labels)))
    return Electrodes(
        labels=labels,
        ids=np.array(ids, dtype=np.int64),
        columns=columns,
        rows=np.array([row for unit in rows for row in unit], dtype=np.int64),
        ends=np.cumsum([len(unit) for unit in rows], dtype=np.int64),
    )


def _labels(electrode: Any) -> list[Any]:
    """Return the int64 or str of each electrode of a unit, none if one is neither."""
    several = electrode if isinstance(electrode, list) else [electrode]
    if all(type(e) is int and -(2**63) <= e < 2**63 for e in several):
        return several
    return [str(e) for e in several] if all(map(h5.is_text, several)) else []


def _is_area(value: Any) -> bool:
    return isinstance(value, str) and value.strip() not in ("", UNKNOWN)


def _agreed(pairs: Iterable[tuple[int, Any]]) -> dict[int, Any]:
    """Return the one value of each row; rows that have several are left out."""
    found: dict[int, set[Any]] = {}
    for row, value in pairs:
        found.setdefault(row, set()).add(value)
    return {row: values.pop() for row, values in found.items() if len(values) == 1}


def read_electrodes(units: h5py.Group, n_units: int) -> list[dict[str, Any]] | None:
    """Return what the electrodes of each unit say, None if the column is not readable.

    A warning says if their table cannot be read, or which columns of it are not.
    """
    names = [name for name in ("electrodes", PEAK) if schema.has_link(units, name)]
    known: dict[int, dict[str, Any]] = {}
    unread: list[str] = []
    try:
        column = read_column(units, names[0], n_units, own=False) if names else None
        if column is None or column.data.ndim > 1 or column.data.dtype.kind not in "iu":
            return None if names[:1] == ["electrodes"] else []
        numbers = column.data.astype(np.int64).tolist()
        region = h5.member(units, column.name)
        is_region = "table" in region.attrs
        if is_region:
            rows, unread = _rows(_table(region))
            known = dict(enumerate(rows))
        elif h5.has_member(region.file, schema.ELECTRODES):
            # Ids: of the Allen Institute, or as spikelab 0.1 wrote them.
            rows, unread = _rows(h5.member(region.file, schema.ELECTRODES))
            known = {row["electrode"]: row for row in rows}
    except FormatError as error:
        why, _, _ = str(error).partition(";")  # which lists all datasets of the file
        warn(f"the electrodes of the units are not read: {why}")
        return []
    unknown = [number for number in numbers if number not in known]
    if unknown and column.name == PEAK:
        return []  # it means anything else
    if unknown and is_region:
        warn(f"the electrodes of the units are not read: there is no row {unknown[0]}")
        return []
    if unread:
        warn(f"columns of the electrodes not read: {', '.join(unread)}")
    several = [known.get(number, {"electrode": number}) for number in numbers]
    ends = range(1, n_units + 1) if column.ends is None else column.ends.tolist()
    return [_of_unit(several[start:stop]) for start, stop in pairwise([0, *ends])]


def _table(region: h5py.Dataset) -> h5py.Group:
    """Return the table that a column refers to; if it is gone, that of the file."""
    file, usual = region.file, None
    with contextlib.suppress(FormatError):
        usual = h5.member(file, schema.ELECTRODES)
    with contextlib.suppress(KeyError, RuntimeError, TypeError, ValueError):
        found = file[region.attrs["table"]]
        # One that was deleted has no name; HDF5 searches the file for names.
        if isinstance(found, h5py.Group) and (found == usual or found.name):
            return found
    return h5.member(file, schema.ELECTRODES)


def _rows(table: h5py.Group) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what is known about each row of a table, and the columns that are not read."""
    ids = h5.dataset(table, "id")[()].tolist()
    columns = {}
    for name in {NAME, *_AXES, *_RELATIVE, "location"} & set(schema.names_in(table)):
        column = read_column(table, name, len(ids), own=False)
        if column is not None and column.ends is None and column.data.ndim == 1:
            columns[name] = column
    labels = columns[NAME].values() if NAME in columns else ids
    rows: list[dict[str, Any]] = [{"electrode": label} for label in labels]
    is_axis = {n: c.data.dtype.kind in "iuf" for n, c in columns.items()}
    names_of_axes = _AXES if is_axis.get("x") else _RELATIVE
    axes = list(takewhile(is_axis.get, names_of_axes))
    places = np.transpose([columns[axis].data for axis in axes])
    for row, place in zip(rows, places.tolist(), strict=False):
        if coordinates := list(takewhile(lambda x: x == x, place)):
            row["location"] = coordinates
    areas = columns["location"].values() if "location" in columns else []
    for row, area in zip(rows, areas, strict=False):
        if _is_area(area):
            row["brain_area"] = area
    read = {"id", "group", "group_name", *axes, *({"location", NAME} & columns.keys())}
    names = schema.names_in(table)
    return rows, [
        n for n in names if n not in read and not schema.is_part_of_column(table, n)
    ]


def _of_unit(electrodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes of a unit that has these electrodes."""
    if len(electrodes) < 2:
        return dict(*electrodes)
    found: dict[str, Any] = {"electrode": [row["electrode"] for row in electrodes]}
    areas = [known.get("brain_area") for known in electrodes]
    if any(areas):
        one = len(set(areas)) == 1
        found["brain_area"] = areas[0] if one else [area or UNKNOWN for area in areas]
    return found
