"""The smaller tables in CSV: units of a recording, comparisons of units."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import csv_text
from spikelab.formats.base import Loss
from spikelab.formats.csv_text import fits, line
from spikelab.formats.reading import build
from spikelab.formats.units_table import (
    AXES,
    OWN,
    PLACES,
    TIME_COLUMNS,
    UnitsTable,
    named_columns,
    unit_columns,
)
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import UnitTable

STACKS = (SpikeSliceStack, RateSliceStack, PairwiseCompMatrixStack)
"""The classes whose tables are not read back."""


def units_text(sd: SpikeData, fs_Hz: float | None) -> str:
    """Return the table of units of a recording.

    A recording without units has one row, without a unit, for its window.
    """
    own = {
        key: [value if fits(value) else None for value in column.values]
        for key, column in sd.unit_table.columns.items()
        if _has_column(key) and any(map(fits, column.values))
    }
    columns = unit_columns(sd, own, fs_Hz)
    rows = list(zip(*columns.values(), strict=True))
    if not sd.N:
        known = {"start_time_ms": sd.start_time, "length_ms": sd.length, "fs_Hz": fs_Hz}
        rows = [tuple(map(known.get, columns))]
    return "".join(map(line, [columns, *rows]))


def _has_column(key: Any) -> bool:
    return isinstance(key, str) and fits(key) and key not in OWN


def reason_of_attribute(table: UnitTable, key: Any, unit: int) -> str:
    """Return in words why an attribute of a unit does not come back."""
    if key not in table.rows[unit]:  # it is there instead of another one
        return ""
    value, reason = table.rows[unit][key], "cells hold numbers, bool and str"
    if not isinstance(key, str) or not fits(key):
        reason = "the name of a column is a str"
    elif key in OWN:
        reason = "the table has a column of this name for itself"
    elif value is None:
        reason = "None is an empty cell, as if the attribute were missing"
    elif key in PLACES and table.locations[unit] is not None:
        has_axes = any(_has_column(axis) and axis in table.columns for axis in AXES)
        reason = "it comes back as a list of numbers"
        if has_axes:
            reason = "x, y and z are attributes themselves"
        elif key == "position" and not isinstance(
            table.rows[unit].get("location"), str
        ):
            is_other = table.rows[unit].get("location") is not None
            reason = (
                "the unit has a location, which comes back"
                if is_other
                else "it comes back as 'location'"
            )
    return f"neuron_attributes[{key!r}] ({reason})"


def parsed_units(file: IO[str]) -> UnitsTable:
    """Return what a table of units says.

    Raises
    ------
    FormatError
        If it has no column ``unit`` with the numbers from 0, or rows contradict one
        another.
    """
    columns = named_columns(csv_text.header(file))
    body = [row for row in csv_text.rows(file.read()) if row != [None]]
    if wrong := [i for i, row in enumerate(body) if len(row) != len(columns)]:
        raise FormatError(f"row {wrong[0]} must have {len(columns)} cells")
    cells = zip(*body, strict=True) if body else [[] for _ in columns]
    return UnitsTable.of_columns(dict(zip(columns, cells, strict=True)))


def matrix_text(pcm: PairwiseCompMatrix) -> Iterator[str]:
    """Yield the lines of a square with the labels, or numbers, along two edges."""
    names = _names(pcm.labels, len(pcm.matrix))
    yield line(["unit" if pcm.labels is None else "label", *names])
    for name, row in zip(names, pcm.matrix, strict=True):
        yield line([name, *row.tolist()])


def matrices_text(pcms: PairwiseCompMatrixStack) -> Iterator[str]:
    """Yield one line per window and pair of units, with the value."""
    names = _names(pcms.labels, len(pcms.stack))
    yield line(["window", "row", "column", "value"])
    for window, i in itertools.product(range(len(pcms)), range(len(names))):
        values = pcms.stack[i, :, window].tolist()
        cells = zip(names, values, strict=True)
        yield "".join(line([window, names[i], *cell]) for cell in cells)


def _names(labels: Sequence[Any] | None, count: int) -> list[Any]:
    return list(range(count)) if labels is None else list(labels)


def parsed_matrix(columns: Sequence[str], file: IO[str]) -> PairwiseCompMatrix:
    """Return the comparison in the rows below a header."""
    body = [row for row in csv_text.rows(file.read()) if row != [None]]
    labels = [row[0] for row in body]
    edge = [("" if label is None else str(label)).strip() for label in labels]
    if edge != [name.strip() for name in columns[1:]] or any(
        len(row) != len(columns) for row in body
    ):
        raise FormatError("it must have the same labels at both edges")
    values = _values([row[1:] for row in body]).reshape(len(labels), len(labels))
    named = None if columns[0].strip().lower() == "unit" else labels
    return build(PairwiseCompMatrix, matrix=values, labels=named)


def _values(rows: list[list[Any]]) -> NDArray[Any]:
    """Return cells as bool if all are, int64 or uint64 if integers, else float64.

    A missing number is NaN.
    """
    cells = [math.nan if v is None else v for row in rows for v in row]
    kinds = {type(value) for value in cells}
    if not kinds <= {bool, int, float} or (bool in kinds and len(kinds) > 1):
        raise FormatError("it must hold numbers as its values")
    dtypes: list[Any] = [np.bool_] if kinds == {bool} else [np.float64]
    if kinds == {int}:
        dtypes = [np.int64, np.uint64, np.float64]
    for dtype in dtypes:
        try:
            return np.array(cells, dtype=dtype)
        except OverflowError:
            continue
    raise FormatError("it must hold numbers of at most 64 bits")


def check_real(values: NDArray[Any]) -> None:
    """Raise ValueError for values that have no place in a cell."""
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise ValueError(
            f"values must be real numbers to fit into CSV, got {values.dtype}"
        )


def check_labels(
    labels: Sequence[Any] | None, *, in_header: bool = False, where: str = "CSV"
) -> None:
    """Raise ValueError for labels that have no place in a cell, or in the header."""
    found = [] if labels is None else list(labels)
    names = {name.strip().lower() for name in found if isinstance(name, str)}
    if in_header and "unit" in names and names & set(TIME_COLUMNS):
        raise ValueError(
            "labels must not hold 'unit' beside the name of a column of times, by "
            f"which a table of spikes is known, got {labels!r:.80}"
        )
    for label in found:
        if not fits(label):
            raise ValueError(
                f"labels must be numbers, bool or str to fit into {where}, "
                f"got {' '.join(repr(label).split()):.80}"
            )


def losses_of_stack(stack: DataObject) -> list[Loss]:
    """Return what a table does not carry of a stack, which is never read back."""
    lost = ["that it is a stack: its windows are not in the table, so it is not loaded"]
    if getattr(stack, "neuron_attributes", None):
        lost.append("neuron_attributes (a stack has no table of units)")
    if getattr(stack, "metadata", None):
        lost.append("metadata (the table holds values and labels only)")
    if isinstance(stack, SpikeSliceStack):
        if any(sd.neuron_attributes for sd in stack):
            lost.append("neuron_attributes of slices")
        if any(sd.metadata for sd in stack):
            lost.append("metadata of slices")
        if any(np.size(sd.raw_data) for sd in stack):
            lost.append("raw data of slices")
    return [Loss(("class",), text) for text in lost]
