"""What is known about units as columns that other packages hold, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import warn
from spikelab.spikedata.unit_table import Column, is_missing, is_nan

LISTS = ("location", "electrode")
"""Attributes that come back as lists, as spikelab's loaders give them."""


def as_array(column: Column, missing_text: str | None = None) -> NDArray[Any]:
    """Return an attribute of all units as an array with one row per unit.

    It is of bool, int, float or str if all values are that; missing numbers are NaN,
    missing strings are `missing_text`. Else, and where this does not say what is
    missing, it holds objects, None for missing ones.
    """
    known, kind = column.known, column.kind
    values = [known.get(unit) for unit in range(len(column.values))]
    if column.is_complete and kind in ("bool", "int", "str"):
        return np.array(values)
    if kind == "float" or (kind == "int" and max(map(abs, known.values())) <= 2**53):
        return np.array([np.nan if v is None else v for v in values], np.float64)
    if kind == "str" and missing_text not in (None, *known.values()):
        return np.array([missing_text if v is None else v for v in values])
    objects = np.empty(len(values), dtype=object)
    for unit, value in enumerate(values):
        objects[unit] = value
    return objects


def stacked(objects: NDArray[Any]) -> NDArray[Any]:
    """Return an array of arrays of one shape and dtype as one array, else as given."""
    if objects.dtype != "O" or not all(
        isinstance(v, np.ndarray | list | tuple) for v in objects
    ):
        return objects
    try:
        arrays = [np.asarray(value) for value in objects]
    except ValueError:  # lists nested unevenly
        return objects
    alike = {(array.shape, array.dtype) for array in arrays}
    return np.stack(arrays) if len(alike) == 1 and arrays[0].dtype != "O" else objects


def as_attributes(
    columns: Mapping[Any, Any], n_units: int, missing_text: str | None = None
) -> list[dict[str, Any]]:
    """Return columns with one row per unit as one dictionary per unit.

    Missing values (None, NaN, ``pandas.NA``, rows of NaN, `missing_text` in arrays of
    strings) are left out. Numbers become those of Python.
    """
    rows: list[dict[str, Any]] = [{} for _ in range(n_units)]
    for key, values in columns.items():
        column = values
        if not isinstance(values, np.ndarray):
            column = np.asarray(values, dtype=object)
        as_lists = column.ndim == 1 or (key in LISTS and column.ndim == 2)
        cells = column.tolist() if as_lists else column.copy()
        for row, value in zip(rows, cells, strict=True):
            is_empty = column.dtype.kind == "U" and value == missing_text
            if not (is_empty or holds_nothing(value)):
                row[key] = value
    return rows


def holds_nothing(value: Any) -> bool:
    """Return whether a value is missing, or an array of NaN throughout."""
    if isinstance(value, list | np.ndarray):
        array = value if isinstance(value, np.ndarray) else np.asarray(value, dtype="O")
        return array.size > 0 and all(map(is_nan, array.ravel().tolist()))
    return is_missing(value)


def warn_of(method: str, kind: str, names: list[str]) -> None:
    """Warn once of all that an object of another package does not hold."""
    if names:
        warn(f"{method}: a {kind} does not hold {', '.join(names)}")
