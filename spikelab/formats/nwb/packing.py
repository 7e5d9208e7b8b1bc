"""The values of an attribute of all units, made into a column of a table."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.nwb.column_names import safe
from spikelab.formats.nwb.columns import StoredColumn, looks_missing
from spikelab.spikedata.unit_table import MISSING, UnitTable, is_nan

_MAX_NDIM = 3
"""Dimensions of one unit's array; a column has one more, and NWB allows four."""

_DIMENSIONS = "its arrays differ in dimensions, or have more than three"

_NESTED = (list, tuple, np.ndarray)

_KINDS = {
    "truth values": (bool, np.bool_),
    "numbers": (int, float, np.integer, np.floating),
    "text": (str,),
}

_Data = tuple[NDArray[Any], NDArray[np.int64] | None, str]
"""The data of a column, the ends if it is ragged, and the dtype to restore."""


class UnstorableError(ValueError):
    """The values of an attribute do not make a column; the message says why."""


def packed(
    table: UnitTable, taken: Iterable[str], without: Iterable[Any]
) -> tuple[list[StoredColumn], dict[Any, str]]:
    """Return the columns that hold the attributes, and why others have none.

    No column has one of the names `taken`; the keys `without` are stored elsewhere.
    """
    used, elsewhere = set(taken), set(without)
    keys = [key for key in table.columns if key not in elsewhere]
    # A key that can be a name keeps it, whatever other keys are changed into.
    kept = {k for k in keys if isinstance(k, str) and safe(k, used) == k}
    used |= kept
    columns, left_out = [], {}
    for key in keys:
        name = key if key in kept else safe(str(key), used)
        used.add(name)
        try:
            columns.append(stored_column(name, key, table.columns[key].values))
        except UnstorableError as error:
            left_out[key] = str(error)
    return columns, left_out


def stored_column(name: str, key: Any, given: Sequence[Any]) -> StoredColumn:
    """Return the column that holds the values of an attribute, or raise."""
    if not isinstance(key, str):
        raise UnstorableError("the key is not a text")
    _check_text(key)
    values = [_unwrapped(v) if isinstance(v, np.ndarray) else v for v in given]
    leaves = _Leaves([v for v in values if v is not MISSING and v is not None])
    gaps = np.array([v is MISSING or v is None for v in values], dtype=bool)
    if leaves.kind in ("text", "truth values"):
        # Among these, NaN says that there is no value, as pandas writes it.
        gaps |= np.fromiter(map(is_nan, values), dtype=bool, count=len(values))
    if gaps.all():
        raise UnstorableError("no unit has a value")
    present = [value for value, gap in zip(values, gaps, strict=True) if not gap]
    types = set(map(type, present))
    is_nested = any(issubclass(t, _NESTED) for t in types)
    data, ends, value_dtype = (_of_arrays if is_nested else _of_scalars)(
        present, leaves, gaps
    )
    missing = [value for value, gap in zip(values, gaps, strict=True) if gap]
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        ends=ends,
        container=types.pop().__name__ if types in ({list}, {tuple}) else "",
        value_dtype=value_dtype,
        missing=gap_note(missing, present),
    )


def gap_note(missing: Sequence[Any], present: Iterable[Any]) -> str:
    """Return what a filled place in a column stands for, "" if it is ambiguous."""
    if not missing:
        return ""
    kinds = {
        "absent" if v is MISSING else "none" if v is None else "nan" for v in missing
    }
    distinct = len(kinds) == 1 and not any(map(looks_missing, present))
    return kinds.pop() if distinct else ""


class _Leaves:
    """The single values in the values of an attribute: their kind and their range.

    NaN among the values themselves is of no kind.
    """

    def __init__(self, values: list[Any]) -> None:
        leaves = list(_flat([v for v in values if not is_nan(v)]))
        arrays = [leaf for leaf in leaves if isinstance(leaf, np.ndarray) and leaf.size]
        scalars = [leaf for leaf in leaves if not isinstance(leaf, np.ndarray)]
        self.types = set(map(type, scalars)) | {a.dtype.type for a in arrays}
        integers = [int(i) for i in scalars if isinstance(i, int | np.integer)]
        texts = [text for text in scalars if isinstance(text, str)]
        for array in arrays:
            if np.ma.is_masked(array):
                raise UnstorableError("it holds masked values")
            if array.dtype.kind in "iu":
                integers += [int(array.min()), int(array.max())]
            if array.dtype.kind == "U":
                texts += array.ravel().tolist()
        self.low, self.high = min([0, *integers]), max([0, *integers])
        self.kind = _kind(self.types)
        _check_text("".join(texts))

    def dtype_of(self, arrays: Iterable[NDArray[Any]]) -> np.dtype[Any]:
        """Return a dtype that holds the values of all arrays, integers exactly."""
        dtype = np.result_type(*{array.dtype for array in arrays})
        if self.kind == "text" or dtype.kind == "U":
            return np.dtype(object)
        has_floats = any(issubclass(kind, float | np.floating) for kind in self.types)
        if self.kind == "numbers" and dtype.kind in "fO" and not has_floats:
            return self._integer_dtype()
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise UnstorableError(f"it holds values of type {dtype}")
        if dtype.kind == "f":
            self.check_floats_hold()
        return dtype

    def _integer_dtype(self) -> np.dtype[Any]:
        if max(-self.low, self.high) >= 2**64:
            raise UnstorableError("its integers are objects of more than 64 bits")
        for dtype in (np.int64, np.uint64):
            limits = np.iinfo(dtype)
            if limits.min <= self.low and self.high <= limits.max:
                return np.dtype(dtype)
        raise UnstorableError("its integers do not fit in 64 bits together")

    def check_floats_hold(self) -> None:
        """Raise if one of the integers is too large for a column of floats."""
        if max(-self.low, self.high) > 2**53:
            raise UnstorableError("its integers do not fit beside NaN or fractions")


def _flat(values: Iterable[Any], depth: int = _MAX_NDIM) -> Iterator[Any]:
    """Yield the scalars and arrays in lists and tuples."""
    for value in values:
        if not isinstance(value, list | tuple):
            yield value
        elif depth:
            yield from _flat(value, depth - 1)
        else:
            raise UnstorableError(_DIMENSIONS)


def _kind(types: Iterable[type]) -> str:
    """Return the one kind of values of these types, "" if there are none."""
    kinds = set()
    for found in types:
        names = [name for name, known in _KINDS.items() if issubclass(found, known)]
        if not names or found is np.timedelta64:
            raise UnstorableError(f"it holds values of type {found.__name__}")
        kinds.add(names[0])
    if len(kinds) > 1:
        raise UnstorableError(f"it mixes {' and '.join(sorted(kinds))}")
    return kinds.pop() if kinds else ""


def _of_scalars(present: list[Any], leaves: _Leaves, gaps: NDArray[np.bool_]) -> _Data:
    if leaves.kind == "text":
        # str() of an Enum is its name.
        texts = [str.__str__(value) for value in present]
        return _with_gaps(np.array(texts, dtype=object), leaves, gaps)
    dtype = leaves.dtype_of([np.asarray(present)])
    return _with_gaps(np.array(present, dtype=dtype), leaves, gaps)


def _of_arrays(present: list[Any], leaves: _Leaves, gaps: NDArray[np.bool_]) -> _Data:
    """Return the values stacked if their shapes agree, else one after another."""
    try:
        arrays = [np.asarray(value) for value in present]
    except ValueError as error:
        raise UnstorableError("its lists are nested unevenly") from error
    filled = [i for i, array in enumerate(arrays) if array.size]
    ndims = {arrays[i].ndim for i in filled}
    if len(ndims) > 1 or max(ndims, default=1) not in range(1, _MAX_NDIM + 1):
        raise UnstorableError(_DIMENSIONS)
    if any(array.ndim > 1 and not array.size for array in arrays):
        raise UnstorableError("it holds arrays of several dimensions without values")
    shapes = {arrays[i].shape for i in filled}
    used = filled or [0]
    dtype = leaves.dtype_of(arrays[i] for i in used)
    # From the values: NumPy has made floats of integers of several types.
    rows = [np.array(present[i], dtype=dtype) for i in used]
    is_even = len(shapes) == 1 and len(filled) == len(present)
    if is_even and (dtype.kind in "iuf" or not gaps.any()):
        return _with_gaps(np.stack(rows), leaves, gaps)
    if len({shape[1:] for shape in shapes}) > 1:
        raise UnstorableError("its arrays differ in more than their length")
    lengths = np.zeros(len(gaps), dtype=np.int64)
    lengths[~gaps] = [len(value) for value in present]
    return np.concatenate(rows), np.cumsum(lengths), ""


def _with_gaps(values: NDArray[Any], leaves: _Leaves, gaps: NDArray[np.bool_]) -> _Data:
    """Return one row per unit, NaN or empty where the value is missing."""
    if not gaps.any():
        return values, None, ""
    dtype, restored = values.dtype, ""
    if dtype.kind in "biu":
        leaves.check_floats_hold()
        dtype, restored = np.dtype(np.float64), dtype.name
    fill = "" if dtype.kind == "O" else np.nan
    data = np.full((len(gaps), *values.shape[1:]), fill, dtype=dtype)
    data[~gaps] = values
    return data, None, restored


def _unwrapped(value: NDArray[Any]) -> Any:
    """Return what an array without dimensions, or one of objects, holds."""
    if value.dtype == object:
        return value.tolist()
    return value if value.ndim else value[()]


def _check_text(text: str) -> None:
    if reason := h5.why_no_text(text):
        raise UnstorableError(f"it holds {reason}")
