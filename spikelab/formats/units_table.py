"""The table of units that goes with a table of spikes: one row per unit."""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.reading import build
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TIME_UNITS
from spikelab.spikedata.unit_table import ELECTRODE_KEYS

WINDOW = ("start_time_ms", "length_ms")
OWN = ("unit", "n_spikes", "mean_rate_Hz", *WINDOW, "fs_Hz")
"""Columns of the table of units that are not attributes of the units."""

AXES = ("x", "y", "z")
PLACES = ("location", "position")

TIME_COLUMNS = ("time", *(f"time_{unit}" for unit in TIME_UNITS))
"""Names of a column of times; the first does not say their unit."""

INDEX = re.compile(r"(?:unnamed: \d+|__index_level_\d+__)?", re.IGNORECASE)
"""Names of the column that pandas and R make of their index, and of an empty column."""

_MOST_UNITS = 1_000_000
"""Unit numbers that a file may name without a table of units that vouches for them."""

_APART = "spikes and table of units do not belong together"


def unit_columns(
    sd: SpikeData, own: Mapping[str, Sequence[Any]], fs_Hz: float | None
) -> dict[str, list[Any]]:
    """Return the table of units by column; None is a missing value.

    Before ``n_spikes`` stand the unit and what is known of its electrode and place, if
    no attribute has that name; the attributes come last.

    Parameters
    ----------
    sd : SpikeData
        The recording.
    own : mapping
        The attributes that have a column of their own: the value of each unit.
    fs_Hz : float, optional
        The sampling rate.
    """
    table, counts = sd.unit_table, sd.spike_trains.counts.tolist()
    attributes = {key: list(values) for key, values in own.items()}
    columns: dict[str, list[Any]] = {"unit": list(range(sd.N))}
    if not own.keys() & set(ELECTRODE_KEYS[1:]):
        columns["electrode"] = attributes.pop("electrode", [None] * sd.N)
    elif "electrode" not in own:
        electrodes = table.electrodes
        columns["electrode"] = [None if isinstance(e, list) else e for e in electrodes]
    places = [(*(place or ()), None, None, None)[:3] for place in table.locations]
    axes = [axis for axis in AXES if axis in own]
    if axes:
        # Where some units have numbers as x, y and z, the places of others join them.
        joins = all(table.columns[axis].kind in ("int", "float") for axis in axes)
        known = zip(*(own.get(axis, [None] * sd.N) for axis in AXES), strict=True)
        places = [
            place if joins and mine == (None, None, None) else mine
            for mine, place in zip(known, places, strict=True)
        ]
    for i, axis in enumerate(AXES):
        cells = [place[i] for place in places]
        is_attribute = axes and any(cell is not None for cell in cells)
        (attributes if is_attribute else columns)[axis] = cells
    columns["n_spikes"] = counts
    rates = [count * 1000 / sd.length if sd.length else None for count in counts]
    columns["mean_rate_Hz"] = rates
    for name, value in zip(WINDOW, (sd.start_time, sd.length), strict=True):
        columns[name] = [float(value)] * sd.N
    if fs_Hz is not None:
        columns["fs_Hz"] = [float(fs_Hz)] * sd.N
    return columns | attributes


def named_columns(names: Sequence[str]) -> list[str]:
    """Return names of the columns of a table of units, as this module calls them.

    Raises
    ------
    FormatError
        If there is not one column ``unit``, or the table is one of spikes.
    """
    columns = list(names)
    if not {"unit", "n_spikes", *WINDOW} <= set(columns):
        # Not of ours, where an attribute may be called Unit.
        known = {name.lower(): name for name in (*OWN, "electrode", *AXES)}
        stripped = [name.strip() for name in columns]
        columns = [known.get(name.lower(), name) for name in stripped]
    if "unit" in columns and set(columns) & set(TIME_COLUMNS):
        raise FormatError("it is a table of spikes, not of units")
    if columns.count("unit") != 1 or len(set(columns)) < len(columns):
        raise FormatError(
            f"it must have one column 'unit', got columns {reprlib.repr(columns)}"
        )
    return columns


@attrs.frozen(kw_only=True)
class UnitsTable:
    """What is known about a recording beside its spikes; None is not known.

    Parameters
    ----------
    n_units : int, optional
        Number of units.
    n_spikes : sequence, optional
        Number of spikes of each unit, of a table of units only.
    start_time_ms, length_ms : float, optional
        The recording window in ms.
    fs_Hz : float, optional
        Sampling rate of times in samples.
    neuron_attributes : list of dict, optional
        The attributes of each unit.
    """

    n_units: int | None = None
    n_spikes: Sequence[Any] | None = None
    start_time_ms: float | None = None
    length_ms: float | None = None
    fs_Hz: float | None = None
    neuron_attributes: list[dict[str, Any]] | None = None

    @classmethod
    def of_columns(cls, columns: Mapping[str, Sequence[Any]]) -> "UnitsTable":
        """Return what the columns of a table say, in which None is missing.

        Raises
        ------
        FormatError
            If the column ``unit`` does not hold the numbers from 0, or the rows differ
            in what must be the same in all.
        """
        # A table of ours begins with the unit; pandas puts an index first or last.
        columns = {
            name: values
            for i, (name, values) in enumerate(columns.items())
            if not (INDEX.fullmatch(name) and (i == 0 or name.startswith("__")))
        }
        rows = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
        units = _in_order([row for row in rows if row["unit"] is not None])
        attributes = [_attributes(row) for row in units]
        window = {n: _common(n, columns.get(n, ())) for n in (*WINDOW, "fs_Hz")}
        return cls(
            n_units=len(units),
            n_spikes=[row.get("n_spikes") for row in units],
            neuron_attributes=attributes if any(attributes) else None,
            **window,
        )

    def joined(self, other: "UnitsTable") -> "UnitsTable":
        """Return what both say; `other` is what the file of the spikes says itself."""
        known = {n: v for n, v in attrs.asdict(other).items() if v is not None}
        for name in ("n_units", *WINDOW):
            mine = getattr(self, name)
            if mine is not None and known.get(name, mine) != mine:
                raise FormatError(
                    f"{_APART}: {name} is {known[name]} in the one and {mine} in the "
                    "other"
                )
        return attrs.evolve(self, **known)

    def spike_trains(
        self, units: NDArray[np.int64], times: NDArray[Any]
    ) -> SpikeTrains:
        """Return the spike trains of parallel arrays of units and times, in any order.

        Raises
        ------
        FormatError
            If the spikes are not those of these units.
        """
        lowest, largest = (
            (int(units.min()), int(units.max())) if units.size else (0, -1)
        )
        most = _MOST_UNITS if self.n_units is None else self.n_units
        if lowest < 0 or (largest >= most and self.n_spikes is None):
            raise FormatError(
                f"column 'unit' must lie in 0..{most - 1}, got {lowest} to {largest}"
            )
        if largest >= most:
            raise FormatError(
                f"{_APART}: there are spikes of unit {largest} in the one, and "
                f"{most} units in the other"
            )
        n_units = largest + 1 if self.n_units is None else self.n_units
        trains = SpikeTrains.from_pairs(units, times, n_units)
        if self.n_units is None and lowest == 1 and trains.counts[1:].all():
            warn("column 'unit' counts from 1, as R does: unit 0 is there, and silent")
        wanted = self.n_spikes or [None] * n_units
        for unit, count in enumerate(trains.counts.tolist()):
            if wanted[unit] not in (None, count):
                raise FormatError(
                    f"{_APART}: unit {unit} has {count} spikes in the one and "
                    f"{wanted[unit]} in the other"
                )
        return trains

    def recording(self, trains: SpikeTrains, slack_ms: float = 0.0) -> SpikeData:
        """Return the recording with these spike times in ms.

        Times that lie outside of the window by no more than `slack_ms` are moved into
        it. If the window is not known, it goes from 0, or the first spike if that is
        negative, to the last spike.
        """
        start = self.start_time_ms
        if start is None:
            first, _ = trains.extremes()
            start = first if first < 0 else 0.0  # also if it is NaN
        if self.length_ms is not None:
            trains = trains.moved_into(start, self.length_ms, slack_ms)
        return build(
            SpikeData,
            train=trains,
            start_time=start,
            length=self.length_ms,
            neuron_attributes=self.neuron_attributes,
        )


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the units in their order."""
    # pandas makes floats of integers beside an empty cell.
    by_unit = {int(n): row for row in rows if _is_whole(n := row["unit"])}
    if sorted(by_unit) != list(range(len(rows))):
        raise FormatError(f"column 'unit' must hold each of 0..{len(rows) - 1} once")
    return [by_unit[unit] for unit in range(len(rows))]


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _common(name: str, values: Sequence[Any]) -> float | None:
    """Return the number that a column holds in every row, None if there is none."""
    found = {value for value in values if value is not None}
    if not found:
        return None
    value = found.pop()
    if found or type(value) not in (int, float):
        raise FormatError(f"column {name!r} must hold one number throughout")
    return float(value)


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a unit: what is known, and stands for itself."""
    names = list(row)
    first = names.index("n_spikes") if "n_spikes" in names else 0
    derived = {name for name in names[:first] if name in AXES}
    if set(names) & set(ELECTRODE_KEYS[1:]) and "electrode" in names[:first]:
        derived.add("electrode")
    found = {
        name: value
        for name, value in row.items()
        if name not in OWN and name not in derived and value is not None
    }
    place = [row[axis] if axis in derived else None for axis in AXES]
    while place and place[-1] is None:
        place.pop()
    if place and all(isinstance(found.get(key, ""), str) for key in PLACES):
        place = [math.nan if x is None else x for x in place]
        found["position" if "location" in found else "location"] = place
    return found
