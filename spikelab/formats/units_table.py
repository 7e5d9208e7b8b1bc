"""The table of units that goes with a table of spikes: one row per unit."""

import contextlib
import math
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats.base import StrPath
from spikelab.formats.reading import RecordingOptions, build, refuse_options
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TIME_UNITS, TimeUnit
from spikelab.spikedata.unit_table import ELECTRODE_KEYS
from spikelab.storage.publish import local_copy

WINDOW = ("start_time_ms", "length_ms")
OWN = ("unit", "n_spikes", "mean_rate_Hz", *WINDOW, "fs_Hz")
"""Columns of the table of units that are not attributes of the units."""

AXES = ("x", "y", "z")
PLACES = ("location", "position")

TIME_COLUMNS = ("time", *(f"time_{unit}" for unit in TIME_UNITS))
"""Names of a column of times; the first does not say their unit."""

MOST_UNITS = 1_000_000
"""Unit numbers that a file may name without a table of units that vouches for them."""


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
    columns: dict[str, list[Any]] = {"unit": list(range(sd.N))}
    others: dict[str, Sequence[Any]] = dict(own)
    if not set(ELECTRODE_KEYS[1:]) & set(own):
        columns["electrode"] = list(others.pop("electrode", [None] * sd.N))
    elif "electrode" not in own:
        several = [isinstance(electrode, list) for electrode in table.electrodes]
        pairs = zip(several, table.electrodes, strict=True)
        columns["electrode"] = [None if many else one for many, one in pairs]
    places = [(*(place or ()), None, None, None)[:3] for place in table.locations]
    derived = {axis: [p[i] for p in places] for i, axis in enumerate(AXES)}
    if set(AXES) & set(own):
        # Where some units have the attribute x, y or z, the others' places join them.
        empty = [None] * sd.N
        known = list(zip(*(own.get(axis, empty) for axis in AXES), strict=True))
        joined = [
            k if any(v is not None for v in k) else place
            for k, place in zip(known, places, strict=True)
        ]
        cells = {axis: [row[i] for row in joined] for i, axis in enumerate(AXES)}
        others |= {a: v for a, v in cells.items() if any(x is not None for x in v)}
    columns |= {axis: derived[axis] for axis in AXES if axis not in others}
    columns["n_spikes"] = counts
    rates = [count * 1000 / sd.length if sd.length else None for count in counts]
    columns["mean_rate_Hz"] = rates
    for name, value in zip(WINDOW, (sd.start_time, sd.length), strict=True):
        columns[name] = [float(value)] * sd.N
    if fs_Hz is not None:
        columns["fs_Hz"] = [float(fs_Hz)] * sd.N
    return columns | {key: list(values) for key, values in others.items()}


@attrs.frozen(kw_only=True)
class TableOptions(RecordingOptions):
    """What the caller of a reader says about a table.

    Parameters
    ----------
    time_unit : {"ms", "s", "samples"}, optional
        Unit of the times, for a column that is called ``time`` only.
    fs_Hz : float, optional
        Sampling rate, needed for samples if no file holds it.
    """

    time_unit: TimeUnit | None = attrs.field(
        default=None, validator=attrs.validators.optional(time_units.is_time_unit)
    )
    fs_Hz: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(validate.is_positive)
    )

    def unit_of(self, column: str) -> str:
        """Return the unit of the times in a column, by its name."""
        named = column.removeprefix("time_")
        if named not in TIME_UNITS:
            if self.time_unit is None:
                raise FormatError(
                    f"time_unit must be given, because the column {column!r} does not "
                    "say it"
                )
            return self.time_unit
        if self.time_unit not in (None, named):
            raise ValueError(
                f"time_unit must be {named!r}, as the column {column!r} says, "
                f"got {self.time_unit!r}"
            )
        return named

    def to_ms(
        self, times: NDArray[Any], unit: str, fs_Hz: float | None = None
    ) -> NDArray[np.float64]:
        """Return times in ms; `fs_Hz` is the rate that a file holds."""
        rate = fs_Hz if self.fs_Hz is None else self.fs_Hz
        if unit == "samples" and rate is None:
            raise FormatError("fs_Hz must be given, because the times are samples")
        return time_units.to_ms(times, unit, rate)


@attrs.frozen(kw_only=True)
class UnitsTable:
    """What a table of units says about a recording; None is not known."""

    n_units: int | None = None
    n_spikes: Sequence[Any] = ()
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

    def recording(
        self,
        units: NDArray[np.int64],
        times: NDArray[Any],
        time_column: str,
        options: TableOptions,
    ) -> SpikeData:
        """Return the recording of which this is the table of units.

        Parameters
        ----------
        units, times : ndarray, shape (n_spikes,)
            Unit and time of each spike, in any order.
        time_column : str
            The name of the column of the times.
        options : TableOptions
            What the caller says.

        Raises
        ------
        FormatError
            If the spikes are not those of these units.
        """
        largest = int(units.max()) if units.size else -1
        most = MOST_UNITS if self.n_units is None else self.n_units
        if units.size and not 0 <= int(units.min()) <= largest < most:
            raise FormatError(
                f"column 'unit' must lie in 0..{most - 1}, got {units.min()} to {largest}"
            )
        n_units = largest + 1 if self.n_units is None else self.n_units
        found = SpikeTrains.from_pairs(units, times, n_units)
        for unit, (wanted, count) in enumerate(
            zip(self.n_spikes, found.counts.tolist(), strict=False)
        ):
            if wanted not in (None, count):
                raise FormatError(
                    f"spikes and table of units do not belong together: unit {unit} has "
                    f"{count} spikes in the one and {wanted} in the other"
                )
        unit_of_times = options.unit_of(time_column)
        flat = options.to_ms(found.flat, unit_of_times, self.fs_Hz)
        return self.in_window(SpikeTrains(flat, found.ends), unit_of_times, options)

    def in_window(
        self, trains: SpikeTrains, unit: str, options: TableOptions
    ) -> SpikeData:
        """Return the recording of spike times in ms that were written in `unit`."""
        start, length = options.start_time_ms, options.length_ms
        if start is None:
            start = self.start_time_ms
        if start is None:
            first, _ = trains.extremes()
            start = first if first < 0 else 0.0  # also if it is NaN
        if length is None:
            length = self.length_ms
        if length is not None:
            rate = self.fs_Hz if options.fs_Hz is None else options.fs_Hz
            slack = time_units.rounding_ms(unit, rate, trains.largest_ms())
            trains = trains.moved_into(start, length, slack)
        return build(
            SpikeData,
            train=trains,
            start_time=start,
            length=length,
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


def read_files(
    read: Callable[[Path, Path | None, TableOptions], DataObject],
    filepath: StrPath,
    units_table: StrPath | None,
    options: TableOptions,
    storage_options: Mapping[str, Any] | None,
    *,
    progress: bool,
) -> DataObject:
    """Return what `read` makes of a table, and of a table of units if there is one."""
    sources = [filepath] if units_table is None else [filepath, units_table]
    with contextlib.ExitStack() as files:
        path, *more = (
            files.enter_context(local_copy(source, storage_options, progress=progress))
            for source in sources
        )
        found = read(path, more[0] if more else None, options)
    if isinstance(found, SpikeData):
        source = os.fspath(filepath)
        found.metadata = options.metadata_with({}, source_file=source)
        return found
    refuse_options(type(found).__name__, units_table=units_table)
    if not isinstance(found, PairwiseCompMatrix | PairwiseCompMatrixStack):
        options = attrs.evolve(options, time_unit=None, fs_Hz=None)
    options.refuse_unless_recording(found)
    return found
