"""What is known about the units, made into columns of a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.nwb import column_names as nwb_names
from spikelab.formats.nwb.columns import MISSING, Column

_MAX_NDIM = 3
"""Dimensions of one unit's array; with the units a column has one more, the most allowed."""

_KINDS = {
    "b": "truth values",
    "i": "numbers",
    "u": "numbers",
    "f": "numbers",
    "U": "text",
}

_NAN = object()
"""Stands for NaN where it says that there is no value, as pandas writes it."""

_GAPS = {MISSING: "absent", None: "none", _NAN: "nan"}

_Data = tuple[NDArray[Any], NDArray[np.int64] | None, str]
"""The data of a column, the ends if it is ragged, and the dtype to restore."""


class _UnstorableError(ValueError):
    """The values of an attribute do not make a column; the message says why."""


@attrs.frozen
class Columns:
    """The attributes of the units that make columns, and those that do not.

    Parameters
    ----------
    stored : list of Column
        The columns.
    left_out : dict of str to str
        For each other key, why it makes none.
    blurred : list of str
        Keys of which the column cannot tell a missing value from another one.
    """

    stored: list[Column]
    left_out: dict[str, str]
    blurred: list[str]

    @property
    def renamed(self) -> dict[str, str]:
        """The keys that no column can have as its name, and the names they got."""
        return {c.key: c.name for c in self.stored if c.key != c.name}


def columns_of(
    attributes: Sequence[Mapping[Any, Any]] | None, taken: Iterable[str] = ()
) -> Columns:
    """Return the columns that hold `attributes`.

    Parameters
    ----------
    attributes : sequence of dict, optional
        What is known about each unit.
    taken : iterable of str
        Names that no column may have.
    """
    found = Columns([], {}, [])
    units = attributes or []
    used = set(taken)
    for key, name in _names(units, used):
        values = _with_nan_as_gap([unit.get(key, MISSING) for unit in units])
        try:
            column = _column(name, key, values)
        except _UnstorableError as error:
            found.left_out[str(key)] = str(error)
            continue
        found.stored.append(column)
        if not column.fill and any(map(_is_gap, values)):
            found.blurred.append(key)
    return found


def _names(
    units: Sequence[Mapping[Any, Any]], used: set[str]
) -> Iterator[tuple[Any, str]]:
    """Yield each key and the name of its column.

    A key that can be a name keeps it, whatever other keys are changed into.
    """
    keys = list(dict.fromkeys(key for unit in units for key in unit))
    kept = {k for k in keys if isinstance(k, str) and nwb_names.safe(k, used) == k}
    used |= kept
    for key in keys:
        name = key if key in kept else nwb_names.safe(str(key), used)
        used.add(name)
        yield key, name


def _is_gap(value: Any) -> bool:
    return value is MISSING or value is None or value is _NAN


def _with_nan_as_gap(values: list[Any]) -> list[Any]:
    """Mark NaN as no value among texts or truth values, of which it is none."""
    values = [_unwrapped(value) for value in values]
    others = [value for value in values if not (_is_gap(value) or _is_nan(value))]
    if not others or not all(isinstance(v, str | bool | np.bool_) for v in others):
        return values
    return [_NAN if _is_nan(value) else value for value in values]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating) and bool(np.isnan(value))


def _column(name: str, key: Any, values: list[Any]) -> Column:
    if not isinstance(key, str):
        raise _UnstorableError("the key is not a text")
    _check_text([key])
    if any(np.ma.is_masked(value) for value in values):
        raise _UnstorableError("it holds masked values")
    gaps = np.array([_is_gap(value) for value in values], dtype=bool)
    present = [value for value in values if not _is_gap(value)]
    if not present:
        raise _UnstorableError("no unit has a value")
    make = _of_arrays if any(map(_is_array, present)) else _of_scalars
    data, ends, dtype = make(present, gaps)
    missing = {_GAPS[value] for value in values if _is_gap(value)}
    told_apart = len(missing) == 1 and not any(map(_looks_missing, present))
    return Column(
        name=name,
        key=key,
        data=data,
        ends=ends,
        container=_container(present),
        dtype=dtype,
        fill=missing.pop() if told_apart else "",
    )


def _unwrapped(value: Any) -> Any:
    """Return what an array without dimensions, or one of objects, holds."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.tolist()
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def _is_array(value: Any) -> bool:
    return isinstance(value, list | tuple) or np.ndim(value) > 0


def _container(present: list[Any]) -> str:
    for kind in (list, tuple):
        if all(isinstance(value, kind) for value in present):
            return kind.__name__
    return ""


def _looks_missing(value: Any) -> bool:
    """Tell whether a value looks like the ones that are missing."""
    if isinstance(value, str):
        return value == ""
    array = np.asarray(value)
    return array.size == 0 or (
        array.dtype.kind == "f" and bool(np.all(np.isnan(array)))
    )


def _of_scalars(present: list[Any], gaps: NDArray[np.bool_]) -> _Data:
    leaves = [_leaf_kind(value) for value in present]
    _check_one(set(leaves))
    if leaves[0] == "text":
        _check_text(present)
        texts = [str.__str__(v) for v in present]  # str() of an Enum is its name
        return _with_gaps(np.array(texts, dtype=object), gaps)
    return _with_gaps(_exact(present, present), gaps)


def _of_arrays(present: list[Any], gaps: NDArray[np.bool_]) -> _Data:
    arrays = [_array(value) for value in present]
    filled = [array for array in arrays if array.size]
    _check_one({_KINDS[array.dtype.kind] for array in filled})
    ndims = {array.ndim for array in filled}
    if len(ndims) > 1 or max(ndims, default=1) not in range(1, _MAX_NDIM + 1):
        raise _UnstorableError(
            "its arrays differ in dimensions, or have more than three"
        )
    if any(array.ndim > 1 and not array.size for array in arrays):
        raise _UnstorableError("it holds arrays of several dimensions without values")
    dtype = _common_dtype(filled or arrays[:1])
    dtype = np.dtype(object) if dtype.kind == "U" else dtype
    even = len(filled) == len(arrays) and len({array.shape for array in arrays}) == 1
    if even and (dtype.kind in "iuf" or not gaps.any()):
        values = np.stack([array.astype(dtype) for array in arrays])
        return _with_gaps(values, gaps)
    return _ragged(arrays, gaps, dtype)


def _ragged(
    arrays: list[NDArray[Any]], gaps: NDArray[np.bool_], dtype: np.dtype[Any]
) -> _Data:
    filled = [array for array in arrays if array.size]
    if len({array.shape[1:] for array in filled}) > 1:
        raise _UnstorableError("its arrays differ in more than their length")
    lengths = np.zeros(len(gaps), dtype=np.int64)
    lengths[~gaps] = [len(array) if array.size else 0 for array in arrays]
    data = np.concatenate(filled or arrays[:1]).astype(dtype)
    return data, np.cumsum(lengths), ""


def _with_gaps(values: NDArray[Any], gaps: NDArray[np.bool_]) -> _Data:
    """Return one row per unit, NaN or empty where the value is missing."""
    if not gaps.any():
        return values, None, ""
    dtype, restored = values.dtype, ""
    if dtype.kind in "biu":
        _check_floats_hold(*_bounds([values]))
        dtype, restored = np.dtype(np.float64), dtype.name
    fill = "" if dtype.kind == "O" else np.nan
    data = np.full((len(gaps), *values.shape[1:]), fill, dtype=dtype)
    data[~gaps] = values
    return data, None, restored


def _array(value: Any) -> NDArray[Any]:
    """Return one unit's value as an array of truth values, numbers or text."""
    if isinstance(value, list | tuple):
        _check_one({_leaf_kind(leaf) for leaf in _leaves(value)})
    try:
        array = _exact(value, _leaves(value))
    except ValueError as error:
        if isinstance(error, _UnstorableError):
            raise
        raise _UnstorableError("its lists are nested unevenly") from error
    if array.dtype.kind == "U":
        _check_text(array.ravel().tolist())
    return array


def _exact(values: Any, leaves: Iterable[Any]) -> NDArray[Any]:
    """Return `values` as an array that holds all integers among its `leaves` exactly."""
    array = np.asarray(values)
    if array.size and array.dtype.kind == "f" and not isinstance(values, np.ndarray):
        # NumPy turns integers into floats that round them, without a word.
        known = list(leaves)
        others = [
            np.asarray(v) for v in known if not isinstance(v, float | np.floating)
        ]
        floats = [array] * (len(others) < len(known))
        array = np.asarray(values, _common_dtype(others + floats))
    _check_dtype(array.dtype)
    return array


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _leaf_kind(value: Any) -> str:
    if isinstance(value, str):
        _check_text([value])
        return "text"
    if isinstance(value, bool | np.bool_):
        return "truth values"
    if isinstance(value, int | float | np.integer | np.floating):
        return "numbers"
    if isinstance(value, np.ndarray):
        return _KINDS.get(value.dtype.kind, "objects")
    raise _UnstorableError(f"it holds values of type {type(value).__name__}")


def _check_one(kinds: set[str]) -> None:
    if len(kinds) > 1:
        raise _UnstorableError(f"it mixes {' and '.join(sorted(kinds))}")


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in _KINDS or (dtype.itemsize > 8 and dtype.kind != "U"):
        raise _UnstorableError(f"it holds values of type {dtype}")


def _check_text(texts: list[str]) -> None:
    if reason := h5.why_no_text("".join(texts)):
        raise _UnstorableError(f"it holds {reason}")


def _common_dtype(arrays: list[NDArray[Any]]) -> np.dtype[Any]:
    """Return a dtype that holds the values of all arrays, the integers exactly."""
    dtype = np.result_type(*{array.dtype for array in arrays})
    if dtype.kind != "f":
        return dtype
    smallest, largest = _bounds(arrays)
    if all(array.dtype.kind in "iu" for array in arrays):
        return _integer_dtype(smallest, largest)
    _check_floats_hold(smallest, largest)
    return dtype


def _bounds(arrays: list[NDArray[Any]]) -> tuple[int, int]:
    """Return the smallest and the largest of all integers, 0 included."""
    # As Python integers: a comparison with a float would round as well.
    integers = [array for array in arrays if array.dtype.kind in "iu" and array.size]
    smallest = min((int(array.min()) for array in integers), default=0)
    largest = max((int(array.max()) for array in integers), default=0)
    return min(smallest, 0), max(largest, 0)


def _integer_dtype(smallest: int, largest: int) -> np.dtype[Any]:
    for dtype in (np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if limits.min <= smallest and largest <= limits.max:
            return np.dtype(dtype)
    raise _UnstorableError("its integers do not fit in 64 bits together")


def _check_floats_hold(smallest: int, largest: int) -> None:
    """Raise if one of the integers is too large for a column of floats."""
    if max(-smallest, largest) > 2**53:
        raise _UnstorableError("its integers do not fit beside NaN or fractions")
