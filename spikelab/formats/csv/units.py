"""The table of units that goes with a CSV file of spikes: one row per unit.

Before ``n_spikes`` stand ``unit`` and what is known of its electrode, after it
the recording window in ms, the checksum of the times and the other attributes.
"""

import math
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds
from spikelab.errors import FormatError
from spikelab.formats.csv import cells as csv_cells
from spikelab.formats.csv import file as csv_file
from spikelab.formats.csv import spikes as csv_spikes

_AXES = ("x", "y", "z")
_PLACES = ("location", "position")
_ELECTRODES = kinds.ELECTRODE_KEYS
_WINDOW = ("start_time_ms", "length_ms")
_CHECKSUM = "spike_times_crc32"
_OWN = ("unit", "n_spikes", "mean_rate_Hz", *_WINDOW, "fs_Hz", _CHECKSUM)

_Row = dict[str, Any]


@attrs.frozen
class UnitsTable:
    """What a table of units tells of a recording."""

    n_units: int | None = None
    n_spikes: list[Any] = attrs.Factory(list)
    checksums: list[Any] = attrs.Factory(list)
    start_time_ms: float | None = None
    length_ms: float | None = None
    fs_Hz: float | None = None
    neuron_attributes: list[dict[str, Any]] | None = None

    def check_spikes(
        self,
        train: Sequence[NDArray[Any]],
        time_unit: str,
        fs_Hz: float | None,
        files: str,
    ) -> None:
        """Raise FormatError if units have other spikes than the table was written with.

        Parameters
        ----------
        train : sequence of ndarray
            The times of each unit as they stand in the file.
        time_unit : str
            Their unit.
        fs_Hz : float, optional
            The sampling rate, if the table does not tell it.
        files : str
            The names of both files, for the error.
        """
        rate = fs_Hz if self.fs_Hz is None else self.fs_Hz
        told = zip(self.n_spikes, self.checksums, train, strict=False)
        for unit, (n_spikes, checksum, times) in enumerate(told):
            if n_spikes not in (None, len(times)):
                raise FormatError(
                    f"{files} do not belong together: unit {unit} has {n_spikes} spikes "
                    f"in the one and {len(times)} in the other"
                )
            if checksum is None:
                continue
            if checksum != csv_spikes.checksum([np.sort(times)], time_unit, rate):
                raise FormatError(
                    f"{files} do not belong together: the times of unit {unit} are not "
                    f"those of {_CHECKSUM}; if you changed them, remove that column"
                )


UNKNOWN = UnitsTable()
"""What is known without a table."""


def text(sd: Any, fs_Hz: float | None, checksums: Sequence[int]) -> str:
    """Return the table of units of a recording.

    A recording without units has one row, without a unit, for its window.

    Parameters
    ----------
    sd : SpikeData
        The recording.
    fs_Hz : float, optional
        The sampling rate, if it is known.
    checksums : sequence of int
        For each unit the checksum of its times, as they stand in the file of spikes.
    """
    attributes = sd.neuron_attributes or [{}] * sd.N
    own = _own_columns(attributes)
    first = _derived_columns(own)
    rows = [
        {
            **_electrode_and_place(known, first),
            **cells,
            **_measures(sd, unit),
            _CHECKSUM: checksum,
        }
        for unit, (known, cells, checksum) in enumerate(
            zip(attributes, own, checksums, strict=True)
        )
    ]
    window = {"start_time_ms": float(sd.start_time), "length_ms": float(sd.length)}
    rate = {"fs_Hz": fs_Hz} if fs_Hz is not None else {}
    keys = [k for k in dict.fromkeys(k for row in own for k in row) if k not in first]
    columns = [
        "unit",
        *first,
        "n_spikes",
        "mean_rate_Hz",
        *window,
        *rate,
        _CHECKSUM,
        *keys,
    ]
    lines = [csv_cells.line(columns)]
    for row in rows or [{}]:
        cells = {**row, **window, **rate}
        lines.append(csv_cells.line(map(cells.get, columns)))
    return "".join(lines)


def losses(neuron_attributes: Sequence[_Row] | None) -> list[str]:
    """Return, in words, which attributes of the units the table does not hold."""
    attributes = neuron_attributes or []
    has_axes = _have_axes(attributes)
    lost = {
        f"neuron_attributes[{key!r}] ({reason})": None
        for known in attributes
        for key in known
        if (reason := _why_lost(known, key, has_axes))
    }
    return list(lost)


def _why_lost(known: _Row, key: Any, has_axes: bool) -> str | None:
    """Return why an attribute of a unit does not come back; None if it does."""
    value = known[key]
    if not csv_cells.is_scalar(key) or not isinstance(key, str):
        return "the name of a column is text"
    if key in _OWN:
        return "the table has a column of this name for itself"
    if csv_cells.is_scalar(value):
        return None
    if value is None:
        return "None is an empty cell, as if the attribute were missing"
    if key in _PLACES and _coordinates(value):
        return _why_place_lost(known, key, has_axes)
    return "cells hold numbers, truth values and text"


def _why_place_lost(known: _Row, key: str, has_axes: bool) -> str | None:
    if has_axes:
        return "x, y and z are attributes themselves"
    location = known.get("location")
    if key == "position" and not csv_cells.is_scalar(location):
        if _coordinates(location):
            return "the unit has a location, which comes back"
        return "it comes back as 'location'"
    if isinstance(known[key], list) and len(known[key]) <= len(_AXES):
        return None
    return "it comes back as a list of up to three numbers"


def _fits(key: Any, value: Any) -> bool:
    is_name = isinstance(key, str) and csv_cells.is_scalar(key)
    return is_name and key not in _OWN and csv_cells.is_scalar(value)


def _coordinates(place: Any) -> list[Any]:
    """Return the numbers that a place is made of, none if it is anything else.

    A scalar, such as the name of a brain region, has its own column instead.
    """
    if isinstance(place, np.ndarray):
        place = place.ravel().tolist() if place.ndim else []
    if not isinstance(place, list | tuple):
        return []
    are_numbers = all(csv_cells.is_scalar(x) and not isinstance(x, str) for x in place)
    return list(place) if are_numbers else []


def _have_axes(attributes: Sequence[_Row]) -> bool:
    return any(_fits(axis, row.get(axis)) for row in attributes for axis in _AXES)


def _own_columns(attributes: Sequence[_Row]) -> list[_Row]:
    """Return for each unit what stands in columns under its own name.

    Where some units have the attributes x, y or z, the others' places join them.
    """
    own = [{k: v for k, v in row.items() if _fits(k, v)} for row in attributes]
    if not _have_axes(attributes):
        return own
    return [
        cells if cells.keys() & set(_AXES) else {**cells, **_place(known)}
        for known, cells in zip(attributes, own, strict=True)
    ]


def _derived_columns(own: Sequence[_Row]) -> list[str]:
    """Return the columns before ``n_spikes`` that are not attributes themselves."""
    names = {name for row in own for name in row}
    has_electrode = "electrode" in names and names & set(_ELECTRODES[1:])
    electrode = [] if has_electrode else ["electrode"]
    return electrode + [axis for axis in _AXES if axis not in names]


def _electrode_and_place(known: _Row, columns: Sequence[str]) -> _Row:
    """Return the electrode and the place of a unit, under whatever key they stand."""
    electrodes = (known.get(key) for key in _ELECTRODES)
    electrode = next((e for e in electrodes if csv_cells.is_scalar(e)), None)
    place = _place(known) if set(_AXES) <= set(columns) else {}
    return {"electrode": electrode if "electrode" in columns else None, **place}


def _place(known: _Row) -> _Row:
    places = (_coordinates(known.get(key)) for key in _PLACES)
    return dict(zip(_AXES, next(filter(None, places), []), strict=False))


def _measures(sd: Any, unit: int) -> _Row:
    n_spikes = len(sd.train[unit])
    rate = n_spikes * 1000 / sd.length if sd.length else None
    return {"unit": unit, "n_spikes": n_spikes, "mean_rate_Hz": rate}


def read_file(path: Path) -> UnitsTable:
    """Return what the table of units in a file tells."""
    with csv_file.opened(path) as file:
        return read(file.read(), str(path))


def read(content: str, name: str) -> UnitsTable:
    """Return what a table of units tells; `name` is the file in errors.

    Raises
    ------
    FormatError
        If the table has no column ``unit`` with the numbers from 0, or rows
        contradict one another.
    """
    header, *body = list(csv_cells.rows(content, name)) or [[]]
    columns = ["" if column is None else str(column) for column in header]
    if "unit" not in columns or len(set(columns)) < len(columns):
        raise FormatError(
            f"{name} must have one column 'unit', got columns {reprlib.repr(columns)}"
        )
    if wrong := [i for i, row in enumerate(body) if len(row) != len(columns)]:
        raise FormatError(f"{name}: row {wrong[0]} must have {len(columns)} cells")
    table = [dict(zip(columns, row, strict=True)) for row in body]
    units = _in_order([row for row in table if row["unit"] is not None], name)
    attributes = [_attributes(row, columns) for row in units]
    return UnitsTable(
        n_units=len(units),
        n_spikes=[row.get("n_spikes") for row in units],
        checksums=[row.get(_CHECKSUM) for row in units],
        start_time_ms=_common(table, "start_time_ms", name),
        length_ms=_common(table, "length_ms", name),
        fs_Hz=_common(table, "fs_Hz", name),
        neuron_attributes=attributes if any(attributes) else None,
    )


def _in_order(table: list[_Row], name: str) -> list[_Row]:
    # pandas makes floats of integers beside an empty cell.
    numbers = [
        int(number) if type(number) is float and number.is_integer() else number
        for number in (row["unit"] for row in table)
    ]
    whole = all(type(number) is int and 0 <= number < len(table) for number in numbers)
    if not whole or len(set(numbers)) < len(table):
        raise FormatError(
            f"{name}: column 'unit' must hold each of 0..{len(table) - 1} once"
        )
    by_unit = dict(zip(numbers, table, strict=True))
    return [by_unit[unit] for unit in range(len(table))]


def _common(table: list[_Row], column: str, name: str) -> float | None:
    """Return the number that a column holds in every row, None if there is none."""
    values = {row[column] for row in table if row.get(column) is not None}
    if not values:
        return None
    value = values.pop()
    if values or type(value) not in (int, float):
        raise FormatError(f"{name}: column {column!r} must hold one number throughout")
    return float(value)


def _attributes(row: _Row, columns: list[str]) -> _Row:
    """Return the attributes of a unit: what is known, and stands for itself."""
    first = columns.index("n_spikes") if "n_spikes" in columns else 0
    derived = set(columns[:first]) & {"electrode", *_AXES}
    found = {
        column: value
        for column, value in row.items()
        if column not in _OWN and column not in derived and value is not None
    }
    electrode = row.get("electrode") if "electrode" in derived else None
    if electrode is not None and not set(columns) & set(_ELECTRODES[1:]):
        found = {"electrode": electrode, **found}
    place = [row[axis] if axis in derived else None for axis in _AXES]
    while place and place[-1] is None:
        place.pop()
    if place:
        place = [math.nan if x is None else x for x in place]
        found["position" if "location" in found else "location"] = place
    return found
