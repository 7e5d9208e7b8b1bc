"""Values as HDF5 datasets, in the way of the workspaces of spikelab 0.1.2."""

import math
from collections.abc import Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from h5py import h5t
from numpy.typing import NDArray

from spikelab.formats import h5

_EXACT = 2**53
"""Integers up to here are floats too."""

_MOST_NDIM = 32
"""Dimensions that HDF5 allows, and functions of h5py."""


@attrs.define
class Column:
    """An array of a native dtype, or of text, and the attributes of its dataset."""

    values: NDArray[Any]
    attributes: dict[str, Any] = attrs.Factory(dict)

    def write(self, group: h5py.Group, name: str) -> None:
        """Write the dataset into an open group."""
        if self.values.dtype == object:
            created = group.create_dataset(
                name, data=self.values, dtype=h5py.string_dtype()
            )
        elif self.values.size and self.values.ndim:
            h5.write_array(group, name, self.values)
            created = group[name]
        else:
            created = group.create_dataset(name, data=self.values)
        for key, value in self.attributes.items():
            created.attrs[key] = value


def is_native(dtype: np.dtype[Any]) -> bool:
    """Tell whether HDF5 stores numbers of this dtype as they are."""
    return (dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.char in "FD"


def is_stored(array: NDArray[Any]) -> bool:
    """Tell whether HDF5 stores an array of numbers, bytes or named fields as it is."""
    dtype = array.dtype
    if array.ndim > _MOST_NDIM or not dtype.itemsize:
        return False
    if dtype.names is None:
        return is_native(dtype) or dtype.kind == "S"
    return (
        _has_native_fields(dtype) and h5t.py_create(dtype, logical=True).dtype == dtype
    )


def _has_native_fields(dtype: np.dtype[Any]) -> bool:
    fields = (dtype[name].base for name in dtype.names or ())
    return all(
        _has_native_fields(field) if field.names else is_native(field)
        for field in fields
    )


def is_link_name(name: Any) -> bool:
    """Tell whether a group can have a member of this name."""
    return (
        type(name) is str
        and h5.is_text(name)
        and name not in ("", ".")
        and "/" not in name
    )


def _of_texts(values: Sequence[str], shape: tuple[int, ...]) -> Column | None:
    """Return texts as a column; None if HDF5 cannot store one of them."""
    if not all(map(h5.is_text, values)):
        return None
    array = np.empty(len(values), dtype=object)
    array[:] = [str(value) for value in values]
    return Column(array.reshape(shape))


def of_values(values: Any) -> Column | None:
    """Return numbers, or text, of one shape; None for anything else."""
    array = values if isinstance(values, np.ndarray) else _array(values)
    if array is None or array.ndim > _MOST_NDIM:
        return None
    if is_native(array.dtype):
        return Column(array)
    texts = array.ravel().tolist()
    column = _of_texts(texts, array.shape) if array.dtype.kind == "U" else None
    if column is not None:
        column.attributes["__string_array__"] = True
    return column


def _array(values: Any) -> NDArray[Any] | None:
    """Return a sequence of numbers, or of text, as an array; None for others."""
    try:
        array = np.array(list(values))
    except (TypeError, ValueError, OverflowError):
        return None
    if array.dtype.kind == "U" and not all(isinstance(v, str) for v in _leaves(values)):
        return None
    return array


def _leaves(values: Any) -> list[Any]:
    if not isinstance(values, list | tuple | set | frozenset):
        return [values]
    return [leaf for value in values for leaf in _leaves(value)]


def of_labels(labels: list[Any]) -> Column | None:
    """Return labels as numbers, or as text if any is text."""
    if any(isinstance(label, str) for label in labels):
        if all(isinstance(label, str | int | float | bool) for label in labels):
            texts = list(map(str, labels))
            return _of_texts(texts, (len(texts),))
        return None
    column = of_values(labels)
    return column if column is not None and column.values.ndim == 1 else None


def of_windows(windows: Sequence[Any]) -> Column | None:
    """Return windows in ms as float64 of shape (S, 2)."""
    try:
        array = np.array(windows, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if not len(array):
        array = array.reshape(0, 2)
    return Column(array) if array.ndim == 2 and array.shape[1] == 2 else None


def of_units(key: Any, values: list[Any]) -> Column | None:
    """Return an attribute of all units, None standing for a missing value.

    Numbers become float64 with NaN for missing, and an attribute that tells
    whether they were integers or truth values; text has "" for missing; arrays
    of one shape are stacked, and an attribute lists the units without.
    """
    known = [value for value in values if value is not None]
    if not is_link_name(key) or not known:
        return None
    if all(isinstance(value, str) for value in known):
        texts = ["" if value is None else value for value in values]
        return _of_texts(texts, (len(texts),))
    if all(isinstance(value, np.ndarray | list | tuple) for value in known):
        return _stacked(values)
    return _numbers(values, known)


def _numbers(values: list[Any], known: list[Any]) -> Column | None:
    truths = [isinstance(value, bool | np.bool_) for value in known]
    if any(isinstance(value, np.timedelta64) for value in known):
        return None
    whole = [isinstance(value, int | np.integer) for value in known]
    real = [isinstance(value, float | np.floating) for value in known]
    if any(truths) and not all(truths):
        return None
    if all(truths) or all(whole):
        if any(abs(int(value)) > _EXACT for value in known):
            return None
        kind = {"__scalar_kind__": "bool" if all(truths) else "int"}
    elif all(w or r for w, r in zip(whole, real, strict=True)):
        kind = {}
    else:
        return None
    try:
        floats = [math.nan if value is None else float(value) for value in values]
    except OverflowError:
        return None
    return Column(np.array(floats), kind)


def _stacked(values: list[Any]) -> Column | None:
    arrays = [None if value is None else _array_or_none(value) for value in values]
    known = [array for array in arrays if array is not None]
    missing = [unit for unit, value in enumerate(values) if value is None]
    if len(known) + len(missing) < len(values):
        return None
    first = known[0]
    if (
        not is_native(first.dtype)
        or not 0 < first.ndim < _MOST_NDIM
        or any(
            (array.dtype, array.shape) != (first.dtype, first.shape) for array in known
        )
    ):
        return None
    fill = math.nan if first.dtype.kind in "fc" else 0
    stacked = np.full((len(values), *first.shape), fill, dtype=first.dtype)
    for unit, array in enumerate(arrays):
        if array is not None:
            stacked[unit] = array
    return Column(stacked, {"__missing_unit_indices__": missing} if missing else {})


def _array_or_none(value: Any) -> NDArray[Any] | None:
    return value if isinstance(value, np.ndarray) else _array(value)
