"""A column of an NWB table, and the attributes of the units that it stands for."""

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import trains

MISSING = object()
"""Stands for the value of a unit that does not have the attribute."""

FILLS = {"absent": MISSING, "none": None, "nan": float("nan")}
"""What a filled place in a column can stand for."""


@attrs.frozen(kw_only=True, eq=False)
class Column:
    """One column of a table, ready to be written, or as it was read.

    Parameters
    ----------
    name : str
        Name in the file.
    key : str
        Name in ``neuron_attributes``.
    data : ndarray
        One row per unit; of a ragged column, the rows of all units together.
        Text is an object array of str.
    ends : ndarray, optional
        Of a ragged column: where the rows of each unit end, int64 (N,).
    container : {"", "list", "tuple"}
        What the value of each unit is, if not a scalar or an array.
    dtype : str
        The dtype of the values, if missing ones made it another one here.
    fill : {"", "absent", "none", "nan"}
        What NaN, an empty text or an empty row stands for: itself, a unit
        without the attribute, None, or NaN.
    """

    name: str
    key: str
    data: NDArray[Any]
    ends: NDArray[np.int64] | None = None
    container: str = ""
    dtype: str = ""
    fill: str = ""

    def content(self) -> list[NDArray[Any]]:
        """Return arrays that differ for any two columns that differ."""
        notes = (self.name, self.key, self.container, self.dtype, self.fill)
        data = self.data
        if data.dtype.kind == "O":
            data = np.array([repr(data.tolist())])
        return [np.array(notes), data, np.empty(0) if self.ends is None else self.ends]

    def values(self) -> list[Any]:
        """Return the value of each unit; MISSING where it has none."""
        if self.ends is not None:
            return [
                self._value(row)
                for row in trains.split(self.data, self.ends, self.name)
            ]
        rows = list(self.data) if self.data.ndim > 1 else self.data.tolist()
        if not (self.fill or self.dtype or self.container) and self.data.ndim == 1:
            return rows
        return [self._value(row) for row in rows]

    def _value(self, row: Any) -> Any:
        if self.fill and _is_fill(row):
            return FILLS[self.fill]
        value = self._as_it_was(row) if self.dtype else row
        if self.container and isinstance(value, np.ndarray):
            items = value.tolist()
            return tuple(items) if self.container == "tuple" else items
        return value

    def _as_it_was(self, row: Any) -> Any:
        """Return a row with the dtype of its values, unless it holds fractions or NaN."""
        array = np.asarray(row)
        with np.errstate(invalid="ignore"):
            restored = array.astype(self.dtype)
        if not np.array_equal(restored, array):
            return row
        return restored if isinstance(row, np.ndarray) else restored.item()


def _is_fill(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        numbers = value.dtype.kind == "f"
        return bool(np.all(np.isnan(value))) if numbers else value.size == 0
    return bool(value == "" or value != value)


def to_attributes(columns: Iterable[Column], units: list[dict[str, Any]]) -> None:
    """Add the values of the columns to the attributes of each unit."""
    for column in columns:
        for unit, value in zip(units, column.values(), strict=True):
            if value is not MISSING:
                unit[column.key] = value
