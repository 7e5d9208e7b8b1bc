"""The table of units that goes with a table of spikes: one row per unit."""

import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.reading import build
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TIME_UNITS
from spikelab.spikedata.unit_selection import MOST_UNITS
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

_APART = "spikes and table of units do not belong together"


def unit_columns(
    sd: SpikeData, own: Mapping[str, Sequence[Any]], fs_Hz: float | None
) -> dict[str, list[Any]]:
    """Return the table of units by column; None is a missing value.

    Before ``n_spikes`` stand the unit and what is known of its electrode and place, if
    no attribute has that name; the attributes in `own`, one value per unit, come last.
    """
    table, nothing = sd.unit_table, [None] * sd.N
    attributes = {key: list(values) for key, values in own.items()}
    columns: dict[str, list[Any]] = {"unit": list(range(sd.N))}
    if own.keys().isdisjoint(ELECTRODE_KEYS[1:]):
        columns["electrode"] = attributes.pop("electrode", nothing)
    elif "electrode" not in own:
        electrodes = table.electrodes
        columns["electrode"] = [None if isinstance(e, list) else e for e in electrodes]
    for i, axis in enumerate(AXES):
        if own.keys().isdisjoint(AXES):
            columns[axis] = [_coordinate(place, i) for place in table.locations]
        elif axis not in own:
            columns[axis] = nothing
    counts = sd.spike_trains.counts.tolist()
    columns["n_spikes"] = counts
    rates = [count * 1000 / sd.length if sd.length else None for count in counts]
    columns["mean_rate_Hz"] = rates
    window = {"start_time_ms": sd.start_time, "length_ms": sd.length, "fs_Hz": fs_Hz}
    for name, value in window.items():
        if value is not None:
            columns[name] = [float(value)] * sd.N
    return columns | attributes


def _coordinate(place: tuple[float, ...] | None, axis: int) -> float | None:
    """Return one coordinate of a place, None if it is not known."""
    return None if place is None or len(place) <= axis else place[axis]


@attrs.frozen(kw_only=True)
class RecordingFacts:
    """What is known about a recording beside its spikes; None is not known."""

    n_units: int | None = None
    n_spikes: Sequence[Any] | None = None  # of each unit, in a table of units only
    start_time_ms: float | None = None
    length_ms: float | None = None
    fs_Hz: float | None = None
    neuron_attributes: list[dict[str, Any]] | None = None

    @classmethod
    def of_rows(
        cls, header: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> "RecordingFacts":
        """Return what a table of units says; None is a missing cell."""
        names = _own_names(header)
        # The index of pandas or R is the first column, or ends with two underscores.
        kept = {
            i: name
            for i, name in enumerate(names)
            if not INDEX.fullmatch(name) or (i > 0 and not name.startswith("__"))
        }
        table = [{name: row[i] for i, name in kept.items()} for row in rows]
        # pandas makes floats of integers beside an empty cell.
        named = [row for row in table if row["unit"] is not None]
        units = {row["unit"]: row for row in named if type(row["unit"]) in (int, float)}
        if sorted(units) != list(range(len(named))):
            raise FormatError(
                f"column 'unit' must hold each of 0..{len(named) - 1} once"
            )
        derived: set[str] = set()
        if "n_spikes" in names:
            derived.update(AXES)
            if not set(names).isdisjoint(ELECTRODE_KEYS[1:]):
                derived.add("electrode")
            derived &= set(names[: names.index("n_spikes")])
        attributes = [_attributes(units[i], derived) for i in range(len(units))]
        return cls(
            n_units=len(units),
            n_spikes=[units[unit].get("n_spikes") for unit in range(len(units))],
            neuron_attributes=attributes if any(attributes) else None,
            **{name: _common(name, table) for name in (*WINDOW, "fs_Hz")},
        )

    def joined(self, other: "RecordingFacts") -> "RecordingFacts":
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
        """Return the spike trains of parallel arrays of units and times, in any order."""
        lowest, largest = (units.min(), units.max()) if units.size else (0, -1)
        if lowest < 0 or largest >= MOST_UNITS:
            raise FormatError(
                f"column 'unit' must lie in 0..{MOST_UNITS - 1}, "
                f"got {lowest} to {largest}"
            )
        if self.n_units is not None and largest >= self.n_units:
            raise FormatError(
                f"{_APART}: there are spikes of unit {largest} in the one, and "
                f"{self.n_units} units in the other"
            )
        n_units = int(largest) + 1 if self.n_units is None else self.n_units
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
            start = trains.assumed_start()
        if self.length_ms is not None:
            trains = trains.moved_into(start, self.length_ms, slack_ms)
        return build(
            SpikeData,
            train=trains,
            start_time=start,
            length=self.length_ms,
            neuron_attributes=self.neuron_attributes,
            metadata={} if self.fs_Hz is None else {"fs_Hz": self.fs_Hz},
        )


def _own_names(header: Sequence[str]) -> list[str]:
    """Return the names of the columns of a table of units, as this module has them."""
    names = list(header)
    if not {"unit", "n_spikes", *WINDOW} <= set(names):
        # Not of ours, where an attribute may be called Unit.
        known = {name.lower(): name for name in (*OWN, "electrode", *AXES)}
        names = [known.get(n.strip().lower(), n.strip()) for n in names]
    if "unit" in names and set(names) & set(TIME_COLUMNS):
        raise FormatError("it is a table of spikes, not of units")
    if names.count("unit") != 1 or len(set(names)) < len(names):
        raise FormatError(
            f"it must have one column 'unit', got columns {reprlib.repr(names)}"
        )
    return names


def _common(name: str, table: list[dict[str, Any]]) -> float | None:
    """Return the number that a column holds in every row, None if there is none."""
    found: set[Any] = {row.get(name) for row in table} - {None}
    if len(found) > 1 or not {type(value) for value in found} <= {int, float}:
        raise FormatError(f"column {name!r} must hold one number throughout")
    return float(found.pop()) if found else None


def _attributes(row: dict[str, Any], derived: set[str]) -> dict[str, Any]:
    """Return the attributes of a unit.

    The `derived` columns were made of other attributes: the electrode comes back with
    these, and ``x``, ``y`` and ``z`` as ``location``.
    """
    found = {
        name: value
        for name, value in row.items()
        if name not in OWN and name not in derived and value is not None
    }
    place = [row[axis] if axis in derived else None for axis in AXES]
    while place and place[-1] is None:
        place.pop()
    if place and all(isinstance(found.get(key, ""), str) for key in PLACES):
        key = "position" if "location" in found else "location"
        found[key] = [math.nan if x is None else x for x in place]
    return found
