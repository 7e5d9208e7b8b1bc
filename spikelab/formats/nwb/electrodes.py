"""The electrodes of the units as a table of their own, and back."""

from collections.abc import Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import read_column
from spikelab.spikedata.unit_table import MISSING, UnitTable

_AXES = ("x", "y", "z")

NAME = "electrode_name"
"""The column for names of electrodes that have no numbers."""

DEVICE = "recording_device"
GROUP = "recording_electrodes"
GROUP_DESCRIPTION = "All electrodes that units of this recording are assigned to."

_UNKNOWN = "unknown"
"""What NWB writes for an electrode of which the place in the brain is not known."""


@attrs.frozen(eq=False)
class Electrodes:
    """The distinct electrodes of a recording, and which of them each unit has.

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
    areas : list of str
        Brain area of each electrode.
    """

    ids: NDArray[np.int64]
    names: list[str] | None
    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    coordinates: dict[str, NDArray[np.float64]]
    areas: list[str]

    @property
    def group_area(self) -> str:
        """The brain area of all electrodes together."""
        areas = set(self.areas)
        return areas.pop() if len(areas) == 1 else "several, see the electrodes table"

    def of_units(self) -> list[Any]:
        """Return the electrode of each unit as a reader gives it, MISSING without one."""
        labels = self.ids.tolist() if self.names is None else self.names
        units = np.split(self.rows, self.ends[:-1])
        return [_one_or_all([labels[row] for row in rows]) for rows in units]

    def write(self, file: h5py.File) -> h5py.Group:
        """Write the table, its electrode group and its device; return the table."""
        device = schema.typed(
            file.create_group(f"general/devices/{DEVICE}"),
            "Device",
            description="The device that recorded; the export knows nothing more about it.",
        )
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
        columns: dict[str, tuple[Any, str]] = {
            "location": (self.areas, "Part of the brain that it lies in."),
            "group": (references, "Its electrode group."),
            "group_name": ([GROUP] * n_rows, "Name of its group."),
        }
        for axis, values in self.coordinates.items():
            columns[axis] = values, f"Its {axis} coordinate, as given with the units."
        if self.names is not None:
            columns[NAME] = self.names, "Its name."
        what = "One row for each electrode."
        table = schema.table(ephys, "electrodes", self.ids, columns, what)
        for name, (values, description) in columns.items():
            schema.column(table, name, values, description)
        return table


def electrodes_of(table: UnitTable, area: str | None) -> Electrodes | None:
    """Return the electrodes that the attributes of the units name, None if none do.

    An electrode has the coordinates of the units that have it alone, and the brain area
    of all its units, where they agree; `area` where they do not say any.
    """
    known = [_listed(electrode) for electrode in table.electrodes]
    distinct = {label for unit in known for label in unit}
    if not distinct or len(set(map(type, distinct))) > 1:
        return None
    labels = sorted(distinct)
    row_of = {label: row for row, label in enumerate(labels)}
    rows = [[row_of[label] for label in unit] for unit in known]
    alone = [unit if len(unit) == 1 else [] for unit in rows]
    places = np.full((len(labels), len(_AXES)), np.nan)
    for row, place in enumerate(_agreed(len(labels), alone, table.locations)):
        places[row, : len(place or ())] = place or ()
    areas = [a if h5.is_text(a) else None for a in table.brain_areas]
    numbered = isinstance(labels[0], int)
    columns = zip(_AXES, places.T, strict=True)
    return Electrodes(
        ids=np.array(labels if numbered else range(len(labels)), dtype=np.int64),
        names=None if numbered else labels,
        rows=np.array([row for unit in rows for row in unit], dtype=np.int64),
        ends=np.cumsum([len(unit) for unit in rows], dtype=np.int64),
        coordinates={axis: x for axis, x in columns if not np.isnan(x).all()},
        areas=[a or area or _UNKNOWN for a in _agreed(len(labels), rows, areas)],
    )


def _listed(electrode: Any) -> list[Any]:
    """Return the int64 or str of each electrode of a unit, none if one is neither."""
    several = electrode if isinstance(electrode, list) else [electrode]
    if all(type(e) is int and -(2**63) <= e < 2**63 for e in several):
        return several
    return [str(e) for e in several] if all(map(h5.is_text, several)) else []


def _one_or_all(ids: list[Any]) -> Any:
    """Return one electrode as a number, several as a list."""
    return ids if len(ids) > 1 else next(iter(ids), MISSING)


def _agreed(n_rows: int, rows: list[list[int]], values: Sequence[Any]) -> list[Any]:
    """Return for each row the one value that its units have, None if they differ."""
    found: list[set[Any]] = [set() for _ in range(n_rows)]
    for unit, value in zip(rows, values, strict=True):
        for row in unit if value is not None else ():
            found[row].add(value)
    return [values.pop() if len(values) == 1 else None for values in found]


@attrs.frozen(eq=False)
class FoundElectrodes:
    """The electrodes of all units, unit after unit, as a file describes them.

    Parameters
    ----------
    labels : list
        Number of each electrode, or, in our own files, its name if it has one.
    places : ndarray of float64, shape (..., 0 to 3)
        Its coordinates; NaN where they are not known.
    areas : list of str or None
        Its brain area.
    unread : list of str
        Columns of the table that are not read.
    """

    labels: list[Any]
    places: NDArray[np.float64]
    areas: list[str | None]
    unread: list[str]

    def of_rows(self, rows: slice, *, own: bool) -> dict[str, Any]:
        """Return the attributes of a unit that has these electrodes.

        A file of our own holds all but the electrode as columns of the units.
        """
        ids = self.labels[rows]
        found = {"electrode": _one_or_all(ids)} if ids else {}
        if own or not ids:
            return found
        areas = set(self.areas[rows])
        if len(areas) == 1 and None not in areas:
            found["brain_area"] = areas.pop()
        known = ~np.isnan(self.places[rows][0])
        n_axes = int(np.argmin(known)) if not known.all() else len(known)
        if len(ids) == 1 and n_axes:
            found["location"] = self.places[rows][0][:n_axes].tolist()
        return found


def read_electrodes(
    region: h5py.Dataset, numbers: NDArray[np.int64], *, own: bool
) -> FoundElectrodes:
    """Return what the electrodes table says about the electrodes of the units.

    `numbers` are the values of `region`: rows of the table that it refers to, or, if it
    refers to none (as spikelab 0.1 wrote it), ids.
    """
    file, reference = region.file, region.attrs.get("table")
    table = file[reference] if reference else None
    if table is None and h5.has_member(file, schema.ELECTRODES):
        table = h5.member(file, schema.ELECTRODES)
    names = [n for n in table or () if not n.endswith("_index")]
    ids = h5.dataset(table, "id")[()] if "id" in names else np.empty(0, dtype=np.int64)
    rows = numbers
    if reference is None:
        row_of = {number: row for row, number in enumerate(ids.tolist())}
        rows = np.array([row_of.get(n, -1) for n in numbers.tolist()], dtype=np.int64)
    elif numbers.size and not (numbers.min() >= 0 and numbers.max() < len(ids)):
        wrong = numbers[(numbers < 0) | (numbers >= len(ids))][0]
        raise FormatError(
            f"electrodes must lie in the {len(ids)} rows, got row {wrong}"
        )
    columns = {n: c for n in names if (c := read_column(table, n, len(ids), own=False))}
    is_named = own and NAME in columns
    labels = columns[NAME].values() if is_named else ids.tolist()
    axes = [a for a in _AXES if a in columns] or [f"rel_{a}" for a in _AXES]
    numeric = [a for a in axes if a in columns and columns[a].data.dtype.kind in "iuf"]
    # The last row is that of an id that the table does not have.
    places = np.full((len(ids) + 1, len(numeric)), np.nan)
    for i, axis in enumerate(numeric):
        places[:-1, i] = columns[axis].data
    areas: list[str | None] = [None] * (len(ids) + 1)
    if "location" in columns:
        known = columns["location"].values()
        areas[:-1] = [a if _is_area(a) else None for a in known]
    read = {"id", "group", "group_name", "location", *numeric}
    return FoundElectrodes(
        labels=[labels[n] for n in numbers.tolist()] if reference else numbers.tolist(),
        places=places[rows],
        areas=[areas[row] for row in rows],
        unread=[name for name in names if name not in read],
    )


def _is_area(value: Any) -> bool:
    return isinstance(value, str) and value.strip() not in ("", _UNKNOWN)
