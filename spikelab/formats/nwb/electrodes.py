"""The electrodes that units were recorded with, as a table of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import tables as nwb_tables

TABLE = "general/extracellular_ephys/electrodes"

_AXES = ("x", "y", "z")
_UNKNOWN = "unknown"


@attrs.frozen(eq=False)
class Electrodes:
    """The unique electrodes, and which of them each unit has.

    Parameters
    ----------
    ids : ndarray of int64, shape (E,)
        Number of each electrode.
    names : list of str or None
        Name of each electrode, if they have names and no numbers.
    rows : ndarray of int64
        Rows of the table, unit after unit.
    ends : ndarray of int64, shape (N,)
        Where the rows of each unit end.
    coordinates : dict of str to ndarray of float64, shape (E,)
        For each known axis, the position; NaN where it is not known.
    locations : list of str
        The part of the brain that each electrode lies in.
    """

    ids: NDArray[np.int64]
    names: list[str] | None
    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    coordinates: dict[str, NDArray[np.float64]]
    locations: list[str]


def electrodes_of(
    attributes: Sequence[Mapping[str, Any]] | None, location: str | None = None
) -> Electrodes | None:
    """Return the electrodes named in the attributes of the units, None if none is.

    Parameters
    ----------
    attributes : sequence of dict, optional
        What is known about each unit: its electrode as ``electrode``,
        ``channel`` or ``ch``, a number, a name, or several of either; its place
        as ``location``, as ``x``, ``y``, ``z`` or as ``position``; the part of
        the brain as ``brain_area`` or as a ``location`` that is a text.
    location : str, optional
        The part of the brain where the units do not say.
    """
    units = attributes or []
    per_unit = [_labels(kinds.electrode_of(unit)) for unit in units]
    known = [labels for labels in per_unit if labels is not None]
    if any(known) and len({type(label) for unit in known for label in unit}) == 1:
        return _table(units, [labels or [] for labels in per_unit], location)
    return None


def _labels(value: Any) -> list[int] | list[str] | None:
    """Return the numbers or the names of a unit's electrodes, None if it has none."""
    if value is None:
        return None
    array = np.asarray(value) if not isinstance(value, list | tuple) else _listed(value)
    if array is None or array.ndim > 1:
        return None
    values = np.atleast_1d(array)
    if values.dtype.kind == "f" and np.all(np.isfinite(values)):
        whole = values.astype(np.int64)
        values = whole if np.array_equal(whole, values) else values
    if values.dtype.kind in "iu" and (not values.size or values.max() <= 2**63 - 1):
        return [int(v) for v in values]
    texts = values.dtype.kind == "U" and all(map(h5.is_text, values.tolist()))
    return [str(v) for v in values] if texts else None


def _listed(value: Any) -> NDArray[Any] | None:
    try:
        return np.asarray(value)
    except ValueError:
        return None


def _table(
    units: Sequence[Mapping[str, Any]], per_unit: list[Any], location: str | None
) -> Electrodes:
    labels = sorted({label for unit in per_unit for label in unit})
    row_of = {label: row for row, label in enumerate(labels)}
    numbered = isinstance(labels[0], int)
    places = [_place(unit) for unit in units]
    areas = [_area(unit) for unit in units]
    alone = [row_of[unit[0]] if len(unit) == 1 else -1 for unit in per_unit]
    return Electrodes(
        ids=np.array(labels if numbered else range(len(labels)), dtype=np.int64),
        names=None if numbered else [str(label) for label in labels],
        rows=np.array([row_of[x] for unit in per_unit for x in unit], dtype=np.int64),
        ends=np.cumsum([len(unit) for unit in per_unit], dtype=np.int64),
        coordinates=_coordinates(len(labels), alone, places),
        locations=[
            area or location or _UNKNOWN for area in _agreed(len(labels), alone, areas)
        ],
    )


def _agreed(n_rows: int, row_of_unit: list[int], values: list[Any]) -> list[Any]:
    """Return for each row the value that all its units have, None if they differ."""
    found: list[set[Any]] = [set() for _ in range(n_rows)]
    for row, value in zip(row_of_unit, values, strict=True):
        if row >= 0 and value is not None:
            found[row].add(value)
    return [values.pop() if len(values) == 1 else None for values in found]


def _coordinates(
    n_rows: int, row_of_unit: list[int], places: list[Any]
) -> dict[str, NDArray[np.float64]]:
    agreed = _agreed(n_rows, row_of_unit, places)
    found = np.full((n_rows, len(_AXES)), np.nan)
    for row, place in enumerate(agreed):
        if place is not None:
            found[row, : len(place)] = place
    return {
        axis: column
        for axis, column in zip(_AXES, found.T, strict=True)
        if not np.all(np.isnan(column))
    }


def _place(unit: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Return one, two or three coordinates of a unit, None if it has none."""
    separate = []
    for axis in _AXES:
        if unit.get(axis) is None:
            break
        separate.append(unit[axis])
    for value in (unit.get("location"), separate or None, unit.get("position")):
        if value is None or isinstance(value, str):
            continue
        try:
            place = np.atleast_1d(np.asarray(value, dtype=np.float64))
        except (TypeError, ValueError):
            continue
        if (
            place.ndim == 1
            and 1 <= place.size <= len(_AXES)
            and np.all(np.isfinite(place))
        ):
            return tuple(place.tolist())
    return None


def _area(unit: Mapping[str, Any]) -> str | None:
    for key in ("brain_area", "location"):
        value = unit.get(key)
        if isinstance(value, str) and value.strip() and h5.is_text(value):
            return value
    return None


def write(file: h5py.File, electrodes: Electrodes) -> None:
    """Write the table of electrodes, their group and their device."""
    device = nwb_tables.typed(
        file.create_group("general/devices/recording_device"),
        "Device",
        description="The device that recorded; the export knows nothing more about it.",
    )
    ephys = file.create_group("general/extracellular_ephys")
    areas = set(electrodes.locations)
    group = nwb_tables.typed(
        ephys.create_group("recording_electrodes"),
        "ElectrodeGroup",
        description="All electrodes that units of this recording are assigned to.",
        location=areas.pop()
        if len(areas) == 1
        else "several, see the electrodes table",
    )
    group["device"] = h5py.SoftLink(device.name)
    _write_table(ephys, electrodes, group)


def _write_table(ephys: h5py.Group, electrodes: Electrodes, group: h5py.Group) -> None:
    n_rows = len(electrodes.ids)
    names = ["location", "group", "group_name", *electrodes.coordinates]
    if electrodes.names is not None:
        names.append("electrode_name")
    table = nwb_tables.table(
        ephys, "electrodes", electrodes.ids, names, "One row for each electrode."
    )
    nwb_tables.vector(
        table, "location", electrodes.locations, "Part of the brain that it lies in."
    )
    created = table.create_dataset("group", (n_rows,), dtype=h5py.ref_dtype)
    created[:] = [group.ref] * n_rows
    nwb_tables.typed(
        created, "VectorData", nwb_tables.COMMON, description="Its electrode group."
    )
    nwb_tables.vector(
        table,
        "group_name",
        [group.name.split("/")[-1]] * n_rows,
        "Name of its electrode group.",
    )
    for axis, values in electrodes.coordinates.items():
        what = f"Its {axis} coordinate, as given with the units."
        nwb_tables.vector(table, axis, values, what)
    if electrodes.names is not None:
        nwb_tables.vector(table, "electrode_name", electrodes.names, "Its name.")


def write_region(units: h5py.Group, electrodes: Electrodes, table: h5py.Group) -> None:
    """Write for each unit the rows of its electrodes."""
    created = nwb_tables.typed(
        units.create_dataset("electrodes", data=electrodes.rows),
        "DynamicTableRegion",
        nwb_tables.COMMON,
        description="Rows of the electrodes table.",
        table=table.ref,
    )
    nwb_tables.index(units, "electrodes_index", created, electrodes.ends)


def read(
    table: Mapping[str, h5py.Dataset],
    region: tuple[h5py.Dataset, h5py.Dataset | None],
    units: list[dict[str, Any]],
) -> None:
    """Add the id and the place of its first electrode to each unit's attributes.

    Parameters
    ----------
    table : dict of str to h5py.Dataset
        The columns of the electrodes table.
    region : (dataset, index or None)
        The electrodes of the units: rows of the table, or ids if the dataset
        is not marked as a region (as spikelab 0.1 wrote it).
    units : list of dict
        The attributes.
    """
    data, index = region
    if data.dtype.kind not in "iu" or data.ndim != 1:
        return
    numbers = nwb_tables.values(data).astype(np.int64)
    stops = (
        np.arange(1, len(numbers) + 1) if index is None else nwb_tables.read_ends(index)
    )
    per_unit = trains.split(numbers, stops, data.name)
    if len(per_unit) != len(units):
        raise FormatError(
            f"{data.name} must have {len(units)} rows, got {len(per_unit)}"
        )
    ids = nwb_tables.values(table["id"]) if "id" in table else np.empty(0, np.int64)
    places = _places(table, len(ids))
    row_of = (
        None if "table" in data.attrs else {int(n): row for row, n in enumerate(ids)}
    )
    for unit, electrodes in zip(units, per_unit, strict=True):
        if len(electrodes):
            unit.update(_described(int(electrodes[0]), row_of, ids, places))


def _described(
    number: int,
    row_of: Mapping[int, int] | None,
    ids: NDArray[Any],
    places: NDArray[np.float64],
) -> dict[str, Any]:
    if row_of is None:
        row, number = number, _id(ids, number)
    else:
        row = row_of.get(number, -1)
    place = [x for x in places[row].tolist() if x == x] if row >= 0 else []
    return {"electrode": number, "location": place} if place else {"electrode": number}


def _id(ids: NDArray[Any], row: int) -> int:
    if not 0 <= row < len(ids):
        raise FormatError(f"electrodes must lie in the {len(ids)} rows, got row {row}")
    return int(ids[row])


def _places(table: Mapping[str, h5py.Dataset], n_rows: int) -> NDArray[np.float64]:
    """Return the coordinates of the electrodes, shape (E, 0 to 3)."""
    for prefix in ("", "rel_"):
        columns = [
            nwb_tables.values(table[prefix + axis]).astype(np.float64)
            for axis in _AXES
            if prefix + axis in table
            and table[prefix + axis].dtype.kind in "iuf"
            and table[prefix + axis].shape == (n_rows,)
        ]
        if columns:
            return np.stack(columns, axis=1)
    return np.empty((n_rows, 0))
