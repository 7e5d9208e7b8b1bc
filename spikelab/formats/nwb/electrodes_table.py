"""The electrodes of the units as a table of their own, and back."""

from collections.abc import Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.spikedata.unit_table import UnitTable

AXES = ("x", "y", "z")

UNKNOWN = "unknown"
"""What NWB writes for an electrode of which the place in the brain is not known."""


@attrs.frozen(eq=False)
class Electrodes:
    """The distinct electrodes, and which of them each unit has.

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

    def of_units(self) -> list[Any]:
        """Return the electrode of each unit as a reader gives it; None if it has none."""
        return read_as(np.split(self.ids[self.rows], self.ends[:-1]))


def read_as(ids: Sequence[NDArray[Any]]) -> list[Any]:
    """Return one electrode as a number, several as a list of numbers, none as None."""
    lists = [unit.tolist() for unit in ids]
    return [unit if len(unit) > 1 else next(iter(unit), None) for unit in lists]


def electrodes_of(table: UnitTable, area: str | None = None) -> Electrodes | None:
    """Return the electrodes that the attributes of the units name, None if none do.

    An electrode has the coordinates of the units that have it alone, and the brain area
    of all its units, where they agree.

    Parameters
    ----------
    table : UnitTable
        What is known about each unit.
    area : str, optional
        The brain area where the units do not say.
    """
    known = [_listed(electrode) for electrode in table.electrodes]
    distinct = {label for unit in known for label in unit}
    if not distinct or len(set(map(type, distinct))) > 1:
        return None
    labels = sorted(distinct)
    row_of = {label: row for row, label in enumerate(labels)}
    rows = [[row_of[label] for label in unit] for unit in known]
    alone = [unit if len(unit) == 1 else [] for unit in rows]
    places = np.full((len(labels), len(AXES)), np.nan)
    for row, place in enumerate(_agreed(len(labels), alone, table.locations)):
        places[row, : len(place or ())] = place or ()
    areas = [a if h5.is_text(a) else None for a in table.brain_areas]
    numbered = isinstance(labels[0], int)
    return Electrodes(
        ids=np.array(labels if numbered else range(len(labels)), dtype=np.int64),
        names=None if numbered else labels,
        rows=np.array([row for unit in rows for row in unit], dtype=np.int64),
        ends=np.cumsum([len(unit) for unit in rows], dtype=np.int64),
        coordinates={
            axis: column
            for axis, column in zip(AXES, places.T, strict=True)
            if not np.isnan(column).all()
        },
        areas=[a or area or UNKNOWN for a in _agreed(len(labels), rows, areas)],
    )


def _listed(electrode: Any) -> list[Any]:
    """Return the int64 or str of each electrode of a unit, none if one is neither."""
    several = electrode if isinstance(electrode, list) else [electrode]
    numbers = [e for e in several if type(e) is int and -(2**63) <= e < 2**63]
    texts = [str(e) for e in several if h5.is_text(e)]
    return next((known for known in (numbers, texts) if len(known) == len(several)), [])


def _agreed(n_rows: int, rows: list[list[int]], values: Sequence[Any]) -> list[Any]:
    """Return for each row the one value that its units have, None if they differ."""
    found: list[set[Any]] = [set() for _ in range(n_rows)]
    for unit, value in zip(rows, values, strict=True):
        for row in unit if value is not None else ():
            found[row].add(value)
    return [values.pop() if len(values) == 1 else None for values in found]


def write(file: h5py.File, electrodes: Electrodes) -> h5py.Group:
    """Write the table of electrodes, their group and their device; return the table."""
    device = schema.typed(
        file.create_group("general/devices/recording_device"),
        "Device",
        description="The device that recorded; the export knows nothing more about it.",
    )
    ephys = file.create_group("general/extracellular_ephys")
    areas = sorted(set(electrodes.areas))
    group = schema.typed(
        ephys.create_group("recording_electrodes"),
        "ElectrodeGroup",
        description="All electrodes that units of this recording are assigned to.",
        location=areas[0] if len(areas) == 1 else "several, see the electrodes table",
    )
    group["device"] = h5py.SoftLink(device.name)
    n_rows = len(electrodes.ids)
    columns: dict[str, tuple[Any, str]] = {
        "location": (electrodes.areas, "Part of the brain that it lies in."),
        "group": ([group.ref] * n_rows, "Its electrode group."),
        "group_name": (["recording_electrodes"] * n_rows, "Name of its group."),
    }
    for axis, values in electrodes.coordinates.items():
        columns[axis] = values, f"Its {axis} coordinate, as given with the units."
    if electrodes.names is not None:
        columns["electrode_name"] = electrodes.names, "Its name."
    what = "One row for each electrode."
    table = schema.table(ephys, "electrodes", electrodes.ids, columns, what)
    for name, (values, description) in columns.items():
        if name == "group":
            refs = np.array(values, dtype=h5py.ref_dtype)
            created = table.create_dataset(name, data=refs, dtype=h5py.ref_dtype)
            schema.typed(
                created, "VectorData", schema.COMMON, description=description
            )
        else:
            schema.vector(table, name, values, description)
    return table
