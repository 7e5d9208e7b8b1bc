"""Values as HDF5 datasets and attributes, and back, in the layout of spikelab 0.1.2.

That version has datasets of numbers and of strings only. Each function ``of_...`` puts a
value into this form as far as that goes, and the function beside it reads what the form
says; the two values need not be the same.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import attrs
import h5py
import numpy as np
from h5py import h5t
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import on_disk

_EXACT = 2**53
"""Integers up to here are floats too."""

_MOST_VALUES = 2**16
"""Numbers of an array that are written into JSON."""


@attrs.frozen(eq=False)
class Column:
    """What a dataset holds, and its attributes.

    Parameters
    ----------
    values : ndarray or list of ndarray
        Numbers, bytes, named fields, or, as objects, str. A list is the rows of a
        dataset, which are not put together in memory.
    attributes : dict
        Attributes of the dataset.
    """

    values: NDArray[Any] | list[NDArray[Any]]
    attributes: dict[str, Any] = attrs.Factory(dict)

    def write(self, group: h5py.Group, name: str) -> None:
        """Write the dataset into an open group."""
        values = self.values
        if isinstance(values, list):
            shape = (len(values), *values[0].shape)
            rows = (row[np.newaxis] for row in values)
            h5.write_blocks(group, name, shape, values[0].dtype, rows)
        elif values.dtype == object:
            group.create_dataset(name, data=values, dtype=h5py.string_dtype())
        else:
            h5.write_array(group, name, values)
        for key, value in self.attributes.items():
            group[name].attrs[key] = value


def read_column(group: h5py.Group, name: str) -> Column:
    """Return a dataset of numbers, bytes, strings, or fields of numbers.

    FormatError if there is no such dataset.
    """
    stored = h5.dataset(group, name, ndim=range(33), kinds="biufcSVO")
    attributes = h5.plain_attributes(stored)
    if h5py.check_string_dtype(stored.dtype) is not None and stored.dtype.kind == "O":
        return Column(h5.texts(stored), attributes)
    if stored.dtype.hasobject:
        raise FormatError(f"{stored.name!r} must hold plain numbers or strings")
    # h5py notes in the dtype how bytes are encoded; and of a single number it gives a
    # scalar, which forgets the order of its bytes.
    plain = np.dtype(stored.dtype.str) if stored.dtype.kind == "S" else stored.dtype
    return Column(np.asarray(on_disk.values(stored), dtype=plain), attributes)


def is_native(dtype: np.dtype[Any]) -> bool:
    """Return whether HDF5 stores numbers of this dtype as they are."""
    return (dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.char in "FD"


def is_stored(value: Any) -> bool:
    """Return whether HDF5 stores an array as it is: numbers, bytes, or named fields."""
    if type(value) not in (np.ndarray, np.memmap) or not value.dtype.itemsize:
        return False
    dtype = value.dtype
    if dtype.names is None:
        return is_native(dtype) or dtype.kind == "S"
    if dtype.type is np.record or dtype.hasobject:
        return False
    try:
        return bool(h5t.py_create(dtype, logical=True).dtype == dtype)
    except TypeError:  # a field of text or dates
        return False


def is_link_name(name: Any) -> bool:
    """Return whether a group can have a member of this name."""
    is_text = type(name) is str and h5.is_text(name)
    return is_text and name not in ("", ".") and "/" not in name


def of_values(values: Any) -> Column | None:
    """Return numbers, or str, of one shape; None for anything else."""
    if is_stored(values):
        return Column(values)
    array = values if isinstance(values, np.ndarray) else _array(values)
    if array is None or is_native(array.dtype):
        return None if array is None else Column(array)
    if array.dtype.kind != "U" or not all(map(h5.is_text, array.ravel().tolist())):
        return None
    return Column(array.astype(object), {"__string_array__": True})


def values_of(column: Column) -> NDArray[Any]:
    """Return the array of a column; strings have a fixed width if they had one."""
    values = np.asarray(column.values)
    if values.dtype == object and column.attributes.get("__string_array__", False):
        return values.astype(str)
    return values


def _array(values: Any) -> NDArray[Any] | None:
    """Return a sequence of numbers, or of str, as an array; None for others."""
    try:
        array = np.array(list(values))
    except (TypeError, ValueError, OverflowError):
        return None
    if array.dtype.kind == "U":
        leaves = np.array(list(values), dtype=object).ravel()
        return array if all(isinstance(leaf, str) for leaf in leaves) else None
    return array


def of_labels(labels: Any) -> Column | None:
    """Return labels as numbers, or as str if any is one."""
    labels = list(labels)
    if any(isinstance(label, str) for label in labels):
        known = all(isinstance(label, str | int | float) for label in labels)
        return _of_texts(list(map(str, labels))) if known else None
    column = of_values(labels)
    return column if column is not None and np.ndim(column.values) == 1 else None


def _of_texts(values: list[Any]) -> Column | None:
    """Return str as a column; None if HDF5 cannot store one of them."""
    if not all(map(h5.is_text, values)):
        return None
    return Column(np.array(list(map(str, values)), dtype=object))


def of_units(key: Any, values: list[Any]) -> Column | None:
    """Return an attribute of all units, None standing for a missing value.

    Numbers become float64 with NaN for missing, and an attribute that says whether they
    were integers or bool; str has "" for missing; arrays of one shape are stacked, and
    an attribute lists the units without.
    """
    known = [value for value in values if value is not None]
    kinds = set(map(type, known))  # few, whatever the number of units
    if not is_link_name(key) or not known:
        return None
    if all(issubclass(kind, str) for kind in kinds):
        return _of_texts(["" if value is None else value for value in values])
    if all(issubclass(kind, np.ndarray | list | tuple) for kind in kinds):
        return _stacked(values)
    numbers = int | float | np.bool_ | np.integer | np.floating
    if np.timedelta64 in kinds or not all(issubclass(kind, numbers) for kind in kinds):
        return None
    are_bool = {issubclass(kind, bool | np.bool_) for kind in kinds}
    are_whole = [issubclass(kind, int | np.bool_ | np.integer) for kind in kinds]
    whole = [v for v in known if isinstance(v, int | np.integer)]
    if len(are_bool) > 1 or any(abs(int(value)) > _EXACT for value in whole):
        return None
    described = {"__scalar_kind__": "bool" if True in are_bool else "int"}
    floats = np.array([math.nan if v is None else float(v) for v in values])
    return Column(floats, described if all(are_whole) else {})


def _stacked(values: list[Any]) -> Column | None:
    arrays = [v if isinstance(v, np.ndarray | None) else _array(v) for v in values]
    missing = [unit for unit, value in enumerate(values) if value is None]
    known = [array for array in arrays if array is not None]
    alike = {(array.dtype, array.shape) for array in known}
    if len(known) + len(missing) < len(values) or len(alike) > 1:
        return None
    ((dtype, shape),) = alike
    if not is_native(dtype) or not shape:
        return None
    blank = np.full(shape, math.nan if dtype.kind in "fc" else 0, dtype=dtype)
    rows = [blank if array is None else array for array in arrays]
    return Column(rows, {"__missing_unit_indices__": missing} if missing else {})


def units_of(column: Column) -> list[Any]:
    """Return one attribute of each unit, None where it is missing."""
    described, values = column.attributes, column.values
    if isinstance(values, list) or values.ndim > 1:
        missing = set(np.ravel(described.get("__missing_unit_indices__", [])).tolist())
        # Of an array that was read, each unit gets a part of its own.
        rows = values if isinstance(values, list) else map(np.array, values)
        return [None if unit in missing else row for unit, row in enumerate(rows)]
    items = values.tolist()
    if values.dtype.kind in "OSU":
        return [item if item else None for item in items]
    kinds: dict[str, Any] = {"int": int, "bool": bool}
    convert = kinds.get(str(described.get("__scalar_kind__")), lambda item: item)
    return [None if math.isnan(item) else convert(item) for item in items]


def of_metadata(metadata: Any) -> str:
    """Return metadata as JSON, without what has no form there."""
    known = _jsonable(metadata or {})
    return json.dumps(known if isinstance(known, dict) else {})


def _jsonable(value: Any) -> Any:
    """Return what JSON has for a value, or an Ellipsis if it has nothing."""
    if isinstance(value, np.ndarray) and is_native(value.dtype):
        if value.dtype.kind == "c" or value.size > _MOST_VALUES:
            return ...
        described = {"dtype": str(value.dtype), "shape": list(value.shape)}
        return {"__ndarray__": True, **described, "values": value.tolist()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        parts = {str(key): _jsonable(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not ...}
    if isinstance(value, list | tuple):
        items = [_jsonable(item) for item in value]
        return ... if any(item is ... for item in items) else items
    return value if isinstance(value, str | int | float | None) else ...


def metadata_of(text: str | None) -> dict[str, Any]:
    """Return the metadata that JSON says, none without it."""
    metadata: dict[str, Any] = json.loads(text or "{}", object_hook=_array_of_json)
    return metadata


def _array_of_json(parts: dict[str, Any]) -> Any:
    if parts.get("__ndarray__") is not True:
        return parts
    dtype = np.dtype(str(parts["dtype"]))
    return np.array(parts["values"], dtype=dtype).reshape(parts["shape"])


def of_plain(value: Any) -> tuple[dict[str, Any], Column | None] | None:
    """Return attributes and dataset of a number, str, None, or sequence of these.

    None for any other value. The layout has no lists, only arrays.
    """
    kind = type(value).__name__
    if value is None:
        return {"__type__": "none"}, None
    if type(value) is str:
        text = {"__type__": "scalar_str", "__scalar_value__": value}
        return (text, None) if h5.is_text(value) else None
    if isinstance(value, bool | int | float | np.generic):
        if isinstance(value, np.generic):
            kind = value.dtype.name
            is_known = is_native(value.dtype) and value.dtype.kind != "c"
        else:
            is_known = isinstance(value, float) or -(2**63) <= value < 2**63
        scalar = {"__scalar_value__": value, "__scalar_kind__": kind}
        return ({"__type__": "scalar", **scalar}, None) if is_known else None
    if not isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return None
    column = of_values(sorted(value, key=repr) if "set" in kind else value)
    named = {"__type__": kind if kind in _SEQUENCES else "ndarray"}
    return None if column is None else (named, column)


def plain_of(attributes: Mapping[str, Any], column: Column | None) -> Any:
    """Return the value that attributes and dataset say; LookupError if they say none."""
    kind = attributes["__type__"]
    if kind == "none":
        return None
    if kind in ("scalar", "scalar_str"):
        value = attributes["__scalar_value__"]
        is_plain = attributes.get("__scalar_kind__") in ("int", "float", "bool")
        return value.item() if is_plain and isinstance(value, np.generic) else value
    if column is None:
        raise LookupError("there is no dataset 'data'")
    items = values_of(column)
    return items if kind == "ndarray" else _SEQUENCES[kind](items.tolist())


_SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}

PLAIN_TYPES = ("none", "scalar", "scalar_str", "ndarray", *_SEQUENCES)
"""The values of ``__type__`` of which :func:`plain_of` knows the value."""
