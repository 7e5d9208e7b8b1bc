"""Values as HDF5 datasets and attributes, and back, in the layout of spikelab 0.1.2.

That version has datasets of numbers and of strings only. Each function ``encode_...`` puts
a value into this form as far as that goes, and returns None if it has no form there. The
function ``decode_...`` below it reads what the form holds; the two values need not be the
same.
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
from spikelab.spikedata.unit_table import MISSING, Column

_EXACT = 2**53
"""Integers up to here are floats too."""

_MOST_VALUES = 2**16
"""Numbers of an array that are written into JSON."""


@attrs.frozen(eq=False)
class StoredArray:
    """The array of a dataset, and the attributes of that dataset.

    Parameters
    ----------
    values : ndarray or list of ndarray
        Numbers, bytes, named fields, or, as objects, str. A list holds the rows of a
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
        group[name].attrs.update(self.attributes)

    @classmethod
    def read(cls, group: h5py.Group, name: str) -> "StoredArray":
        """Read a dataset of numbers, bytes, strings, or fields of numbers.

        FormatError if there is no such dataset.
        """
        stored = h5.dataset(group, name, ndim=range(33), kinds="biufcSVO")
        attributes = h5.plain_attributes(stored)
        is_text = h5py.check_string_dtype(stored.dtype) is not None
        if is_text and stored.dtype.kind == "O":
            return cls(h5.texts(stored), attributes)
        if stored.dtype.hasobject:
            raise FormatError(f"{stored.name!r} must hold plain numbers or strings")
        return cls(on_disk.read_array(stored), attributes)


def is_number_dtype(dtype: np.dtype[Any]) -> bool:
    """Return whether HDF5 stores numbers of this dtype as they are."""
    return (dtype.kind in "biuf" and dtype.itemsize <= 8) or dtype.char in "FD"


def is_hdf5_array(value: Any) -> bool:
    """Return whether HDF5 stores an array as it is: numbers, bytes, or named fields."""
    if type(value) not in (np.ndarray, np.memmap) or not value.dtype.itemsize:
        return False
    dtype = value.dtype
    if dtype.names is None:
        return is_number_dtype(dtype) or dtype.kind == "S"
    try:
        return not dtype.hasobject and bool(
            h5t.py_create(dtype, logical=True).dtype == dtype
        )
    except TypeError:  # a field of text or dates
        return False


def is_link_name(name: Any) -> bool:
    """Return whether a group can have a member of this name."""
    is_text = type(name) is str and h5.is_text(name)
    return is_text and name not in ("", ".") and "/" not in name


def encode_array(values: Any) -> StoredArray | None:
    """Return an array, or a sequence of numbers or of str, of one shape."""
    if is_hdf5_array(values):
        return StoredArray(values)
    array = values
    if not isinstance(values, np.ndarray):
        array = _array_of_sequence(values)
    if type(array) is not np.ndarray:  # none, or masked: a dataset has no mask
        return None
    if is_number_dtype(array.dtype):
        return StoredArray(array)
    if array.dtype.kind == "U" and all(map(h5.is_text, array.ravel().tolist())):
        return StoredArray(array.astype(object), {"__string_array__": True})
    return None


def decode_array(stored: StoredArray) -> NDArray[Any]:
    """Return the array; strings have a fixed width if they had one."""
    values: Any = stored.values
    if values.dtype == object and stored.attributes.get("__string_array__", False):
        values = values.astype(str)
    array: NDArray[Any] = values
    return array


def _array_of_sequence(values: Any) -> NDArray[Any] | None:
    try:
        return np.array(list(values))
    except (TypeError, ValueError, OverflowError):
        return None


def encode_labels(labels: Any) -> StoredArray | None:
    """Return labels as numbers, or as str if any is one."""
    labels = list(labels)
    if any(isinstance(label, str) for label in labels):
        return _encode_texts(labels)
    stored = encode_array(labels)
    return stored if stored is not None and np.ndim(stored.values) == 1 else None


def decode_labels(stored: StoredArray) -> list[Any]:
    """Return labels as a list."""
    labels: list[Any] = decode_array(stored).tolist()
    return labels


def _encode_texts(texts: list[Any]) -> StoredArray | None:
    texts = list(map(str, texts))
    if not all(map(h5.is_text, texts)):
        return None
    return StoredArray(np.array(texts, dtype=object))


def encode_windows(windows: Any) -> StoredArray:
    """Return pairs of start and end as an array of shape (windows, 2)."""
    return StoredArray(np.array(windows, dtype=np.float64).reshape(-1, 2))


def decode_windows(stored: StoredArray) -> list[tuple[float, float]]:
    """Return pairs of start and end."""
    pairs = np.asarray(stored.values, np.float64).tolist()
    return [(start, end) for start, end in pairs]


def encode_column(column: Column) -> StoredArray | None:
    """Return one attribute of all units.

    Numbers become float64 with NaN for a missing one, and an attribute of the dataset
    says whether they were integers or bool; str has "" for a missing one; arrays of one
    shape are stacked, and an attribute of the dataset lists the units without.
    """
    if not is_link_name(column.key):
        return None
    units, known = range(len(column.values)), column.known
    if column.kind == "str":
        return _encode_texts([known.get(unit, "") for unit in units])
    if column.kind == "array":
        return _stacked(known, len(units))
    if column.kind not in ("bool", "int", "float"):
        return None
    whole = [value for value in known.values() if isinstance(value, int | np.integer)]
    if any(abs(int(value)) > _EXACT for value in whole):
        return None
    floats = np.array([float(known.get(unit, math.nan)) for unit in units])
    if column.kind == "float":
        return StoredArray(floats)
    return StoredArray(floats, {"__scalar_kind__": column.kind})


def _stacked(known: Mapping[int, Any], n_units: int) -> StoredArray | None:
    """Return arrays of one shape, by unit, as the rows of a dataset."""
    arrays: dict[int, NDArray[Any]] = {}
    for unit, value in known.items():
        array = value if isinstance(value, np.ndarray) else _array_of_sequence(value)
        if array is None:
            return None
        arrays[unit] = array
    first = next(iter(arrays.values()))
    alike = {(array.dtype, array.shape) for array in arrays.values()}
    if len(alike) > 1 or not first.ndim or not is_number_dtype(first.dtype):
        return None
    fill = math.nan if first.dtype.kind in "fc" else 0
    blank = np.full(first.shape, fill, dtype=first.dtype)
    rows = [arrays.get(unit, blank) for unit in range(n_units)]
    missing = [unit for unit in range(n_units) if unit not in arrays]
    return StoredArray(rows, {"__missing_unit_indices__": missing} if missing else {})


def decode_column(stored: StoredArray) -> list[Any]:
    """Return one attribute of each unit, `MISSING` where there is none."""
    attributes, values = stored.attributes, stored.values
    if isinstance(values, list) or values.ndim > 1:
        missing = set(np.ravel(attributes.get("__missing_unit_indices__", [])).tolist())
        # Of an array that was read, each unit gets a part of its own.
        rows = values if isinstance(values, list) else map(np.array, values)
        return [MISSING if unit in missing else row for unit, row in enumerate(rows)]
    items = values.tolist()
    if values.dtype.kind in "OSU":
        return [item if item else MISSING for item in items]
    kind = attributes.get("__scalar_kind__")
    if kind in ("int", "bool"):
        convert = int if kind == "int" else bool
        return [MISSING if math.isnan(item) else convert(item) for item in items]
    return [MISSING if math.isnan(item) else item for item in items]


def encode_metadata(metadata: dict[Any, Any]) -> str:
    """Return metadata as JSON, with null for what has no form there."""
    return json.dumps(metadata, default=_jsonable, skipkeys=True)


def _jsonable(value: Any) -> Any:
    is_number = (
        isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf"
    )
    if not is_number or value.dtype.itemsize > 8 or value.size > _MOST_VALUES:
        return None
    if isinstance(value, np.generic):
        return value.item()
    described = {"dtype": str(value.dtype), "shape": list(value.shape)}
    return {"__ndarray__": True, **described, "values": value.tolist()}


def decode_metadata(text: str) -> dict[str, Any]:
    """Return the metadata of JSON."""
    metadata: dict[str, Any] = json.loads(text, object_hook=_array_of_json)
    return metadata


def _array_of_json(parts: dict[str, Any]) -> Any:
    if parts.get("__ndarray__") is not True:
        return parts
    dtype = np.dtype(str(parts["dtype"]))
    return np.array(parts["values"], dtype=dtype).reshape(parts["shape"])


_SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}

PLAIN_TYPES = ("none", "scalar", "scalar_str", "ndarray", *_SEQUENCES)
"""The values of ``__type__`` of which :func:`decode_plain` knows the value."""


def encode_plain(value: Any) -> tuple[dict[str, Any], StoredArray | None] | None:
    """Return the attributes of a group, and its dataset, of which the value is plain.

    That is a number, str, None, or a sequence of these. The layout has no lists, only
    arrays.
    """
    if value is None:
        return {"__type__": "none"}, None
    if type(value) is str:
        text = {"__type__": "scalar_str", "__scalar_value__": value}
        return (text, None) if h5.is_text(value) else None
    if type(value) in (bool, int, float) or isinstance(value, np.generic):
        return _encode_scalar(value)
    if not isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return None
    is_set = isinstance(value, set | frozenset)
    stored = encode_array(sorted(value, key=repr) if is_set else value)
    kind = type(value).__name__
    named = {"__type__": kind if kind in _SEQUENCES else "ndarray"}
    return None if stored is None else (named, stored)


def _encode_scalar(value: Any) -> tuple[dict[str, Any], None] | None:
    kind = type(value).__name__
    if isinstance(value, np.generic):
        kind = value.dtype.name
        if not is_number_dtype(value.dtype) or value.dtype.kind == "c":
            return None
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    named = {"__type__": "scalar", "__scalar_value__": value, "__scalar_kind__": kind}
    return named, None


def decode_plain(attributes: Mapping[str, Any], stored: StoredArray | None) -> Any:
    """Return the value of a group with these attributes, and of its dataset if any."""
    kind = attributes["__type__"]
    if kind == "none":
        return None
    if kind in ("scalar", "scalar_str"):
        value = attributes["__scalar_value__"]
        is_python = attributes.get("__scalar_kind__") in ("int", "float", "bool")
        return value.item() if is_python and isinstance(value, np.generic) else value
    if stored is None:
        raise LookupError("there is no dataset 'data'")
    array = decode_array(stored)
    return array if kind == "ndarray" else _SEQUENCES[kind](array.tolist())
