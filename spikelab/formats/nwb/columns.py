"""Columns of a table of units: from attributes into the file, and back."""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import MISSING, Column, UnitTable, is_nan

_MAX_NDIM = 3
"""Dimensions of one unit's array; a column has one more, and NWB allows four."""

_FILLS = {"absent": MISSING, "none": None, "nan": float("nan")}
"""What a filled place in a column can stand for."""

_INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}

_NOTES: dict[str, set[Any]] = {
    "container": {"list", "tuple"},
    "value_dtype": {"bool", *_INTEGERS},
    "missing": {*_FILLS},
    "padded": {True},
    "scalars": {True},
}
"""Attributes of a column in a file, and what they may be; see :class:`StoredColumn`."""

_KINDS = {
    "truth values": (bool, np.bool_),
    "numbers": (int, float, np.integer, np.floating),
    "text": (str,),
}


class UnstorableError(ValueError):
    """The values of an attribute do not make a column; the message says why."""


@attrs.frozen(kw_only=True, eq=False)
class StoredColumn:
    """One column of a table, ready to be written, or as it was read."""

    name: str  # in the file
    key: str  # in ``neuron_attributes``
    # one row per unit, or the rows of all units, if it is ragged; text as objects
    data: NDArray[Any]
    ends: NDArray[np.int64] | None = None  # of a ragged one: where those of a unit end
    container: str = ""  # "list" or "tuple", if values are no scalars or arrays
    value_dtype: str = ""  # of the values, if missing ones made it another one here
    missing: str = ""  # what NaN, "" or an empty row stands for: a key of `_FILLS`
    padded: bool = False  # whether NaN fills up arrays of several shapes
    scalars: bool = False  # whether a row of one value is a scalar

    def values(self) -> list[Any]:
        """Return the value of each unit; MISSING where it has none."""
        data, ends = self.data, self.ends
        is_scalar = ends is None and data.ndim == 1
        rows: list[Any] = list(data)
        if ends is not None:
            rows = [data[start:stop] for start, stop in pairwise([0, *ends.tolist()])]
        gaps = [bool(self.missing) and looks_missing(row) for row in rows]
        if self.value_dtype and ends is None:
            known = ~np.array(gaps, dtype=bool)
            whole = np.zeros(data.shape, dtype=self.value_dtype)
            with np.errstate(invalid="ignore"):
                whole[known] = data[known]
            # Another program may have put fractions in the place of integers.
            if np.array_equal(whole[known], data[known]):
                data, rows = whole, list(whole)
        if is_scalar:
            rows = data.tolist()
        elif self.container:
            rows = [row.tolist() for row in rows]
            rows = [tuple(row) for row in rows] if self.container == "tuple" else rows
        elif data.dtype == object:
            rows = [np.array(row.tolist(), dtype=str) for row in rows]
        if self.padded:
            rows = [_without_padding(row) for row in rows]
        if self.scalars:
            rows = [row[0] if len(row) == 1 else row for row in rows]
        fill = _FILLS.get(self.missing)
        return [fill if gap else row for row, gap in zip(rows, gaps, strict=True)]

    def write(self, table: h5py.Group) -> None:
        """Write the column, and what is needed to give the units' attributes back."""
        notes: dict[str, Any] = {} if self.key == self.name else {"key": self.key}
        notes |= {name: note for name in _NOTES if (note := getattr(self, name))}
        what = f"Attribute {self.key!r} of each unit."
        schema.column(table, self.name, self.data, what, self.ends, **notes)


def _without_padding(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array without the NaN at the end of each axis."""
    known = np.nonzero(~np.isnan(array))
    return array[tuple(slice(int(axis.max(initial=-1)) + 1) for axis in known)]


def looks_missing(value: Any) -> bool:
    """Return whether a value looks like the ones that are missing."""
    if not isinstance(value, np.ndarray | list | tuple):
        return is_nan(value) or (isinstance(value, str) and value == "")
    array = np.asarray(value)
    return not array.size or (array.dtype.kind == "f" and bool(np.isnan(array).all()))


def read_column(
    table: h5py.Group, name: str, n_units: int, *, own: bool
) -> StoredColumn | None:
    """Return a column, None if it holds no numbers, bool or str in this file.

    `own` says whether spikelab wrote it, so that its notes mean something. Raises
    FormatError if the column does not have `n_units` rows.
    """
    index = f"{name}_index"
    try:
        data = h5.dataset(table, name, ndim=(1, 2, 3, 4), kinds="biufOS")
        is_ragged = schema.has_link(table, index)
        stops = h5.dataset(table, index, kinds="iu") if is_ragged else None
    except FormatError:
        return None
    is_text = h5py.check_string_dtype(data.dtype) is not None
    is_known = is_text or data.dtype.kind != "O"
    if not is_known or schema.has_link(table, f"{index}_index"):
        return None
    values: NDArray[Any] | None = h5.texts(data) if is_text else data[()]
    if data.dtype.kind in "iu":
        values = _named(data)
    if values is None:
        return None
    ends = None
    if stops is not None:
        ends = SpikeTrains.from_flat(values, stops[()], str(stops.name)).ends
    n_rows = len(values if ends is None else ends)
    if n_rows != n_units:
        raise FormatError(f"{data.name} must have {n_units} rows, got {n_rows}")
    notes: dict[str, Any] = {"key": name}
    if own:
        said = h5.scalar_attributes(data)
        notes |= {n: said[n] for n, allowed in _NOTES.items() if said.get(n) in allowed}
        notes["key"] = str(said.get("key", name))
    elif values.dtype == object:
        notes["container"] = "list"
    elif name in schema.WAVEFORMS:  # NaN for a unit without one
        notes["missing"] = "absent"
        values = values if values.dtype.kind == "f" else values.astype(np.float32)
    return StoredColumn(name=name, data=values, ends=ends, **notes)


def _named(codes: h5py.Dataset) -> NDArray[Any] | None:
    """Return the names that the codes of an enumeration stand for, else the integers.

    None if the names are gone.
    """
    names: dict[Any, Any] = {}
    if codes.attrs.get("neurodata_type") == "EnumData" and "elements" in codes.attrs:
        try:
            elements = codes.file[codes.attrs["elements"]]
        except (KeyError, RuntimeError, TypeError, ValueError):
            return None
        names = dict(enumerate(h5.texts(elements).tolist()))
    elif found := h5py.check_enum_dtype(codes.dtype):
        names = {code: name for name, code in found.items()}
    values: NDArray[Any] = codes[()]
    if not names:
        return values
    flat = values.ravel().tolist()
    if unknown := sorted(set(flat) - set(names)):
        raise FormatError(
            f"{codes.name} must hold codes of its names, got {unknown[0]}"
        )
    return np.array([names[code] for code in flat], dtype=object).reshape(values.shape)


def stored_columns(
    table: UnitTable, taken: Iterable[str], without: Iterable[Any]
) -> tuple[list[StoredColumn], dict[Any, str]]:
    """Return the columns that hold the attributes, and why others have none.

    No column has one of the names `taken`; the keys `without` are stored elsewhere.
    """
    used, elsewhere = set(taken), set(without)
    keys = [key for key in table.columns if key not in elsewhere]
    # A key that can be a name keeps it, whatever other keys are changed into.
    kept = {k for k in keys if isinstance(k, str) and _safe_name(k, used) == k}
    used |= kept
    columns, left_out = [], {}
    for key in keys:
        name = key if key in kept else _safe_name(str(key), used)
        used.add(name)
        try:
            columns.append(stored_column(name, key, table.columns[key].values))
        except UnstorableError as error:
            left_out[key] = str(error)
    return columns, left_out


def _safe_name(key: str, taken: set[str]) -> str:
    """Return `key`, or the nearest name that readers take and that is not in `taken`."""
    letters = [c if f"_{c}".isidentifier() else "_" for c in key]
    name = "".join(letters).lstrip("_") or "attribute"
    if not name[0].isidentifier():
        name = f"unit_{name}"
    if name in schema.RESERVED or name.endswith("_index"):
        name += "_"
    while name in taken:
        name += "_"
    return name


def stored_column(name: str, key: Any, given: Sequence[Any]) -> StoredColumn:
    """Return the column that holds the values of an attribute, or raise."""
    if not isinstance(key, str):
        raise UnstorableError("the key is not a text")
    if reason := h5.why_no_text(key):
        raise UnstorableError(f"it holds {reason}")
    values = [_plain(v) if isinstance(v, np.ndarray) else v for v in given]
    known = Column(key, values).known
    missing = [value for unit, value in enumerate(values) if unit not in known]
    present = list(known.values())
    if not present:
        raise UnstorableError("no unit has a value")
    gaps = ~np.isin(np.arange(len(values)), [*known])
    several = [v for v in present if isinstance(v, list | tuple | np.ndarray)]
    ends, scalars = None, False
    if several:
        arrays = [_array(value) for value in present]
        # One value beside rows of several, as the electrodes of units can be.
        scalars = {array.ndim for array in arrays} == {0, 1}
        if scalars:
            arrays = [np.atleast_1d(array) for array in arrays]
        data, ends, value_dtype = _joined(arrays, gaps)
    else:
        whole = np.empty(len(present), dtype=object)
        whole[:] = present
        dtype, largest = _type_of([whole])
        data, value_dtype = _with_gaps(_converted(whole, dtype), largest, gaps)
    types = {type(value) for value in several}
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        ends=ends,
        container=types.pop().__name__ if types in ({list}, {tuple}) else "",
        value_dtype=value_dtype,
        missing=gap_note(missing, present),
        scalars=scalars,
    )


def gap_note(missing: Sequence[Any], present: Iterable[Any]) -> str:
    """Return what a filled place in a column stands for, "" if it is ambiguous."""
    kinds = {
        "absent" if v is MISSING else "none" if v is None else "nan" for v in missing
    }
    if len(kinds) != 1 or any(looks_missing(value) for value in present):
        return ""
    return kinds.pop()


def _plain(array: NDArray[Any]) -> Any:
    """Return what an array of objects, or one without dimensions, holds."""
    if array.dtype == object:
        return array.tolist()
    return array if array.ndim else array[()]


def _array(value: Any) -> NDArray[Any]:
    """Return a value as an array, lists and scalars as an array of objects."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, list | tuple):
        try:
            return np.array(value, dtype=object)
        except ValueError as error:
            raise UnstorableError("its lists are nested unevenly") from error
    scalar = np.empty((), dtype=object)
    scalar[()] = value
    return scalar


def _type_of(arrays: Sequence[NDArray[Any]]) -> tuple[np.dtype[Any], int]:
    """Return a dtype that holds all values, and their largest integer."""
    if any(map(np.ma.is_masked, arrays)):
        raise UnstorableError("it holds masked values")
    plain = [a.ravel().tolist() for a in arrays if a.dtype.kind in "OU"]
    leaves = list(chain.from_iterable(plain))
    others = [a for a in arrays if a.dtype.kind not in "OU" and a.size]
    types = set(map(type, leaves)) | {a.dtype.type for a in others}
    kinds = set(map(_kind_of, types))
    if len(kinds) > 1:
        raise UnstorableError(f"it mixes {' and '.join(sorted(kinds))}")
    if kinds <= {"text"}:
        if reason := h5.why_no_text("".join(leaves)):
            raise UnstorableError(f"it holds {reason}")
        return np.dtype(object), 0
    is_float = {found: issubclass(found, float | np.floating) for found in types}
    integers = [0, *(int(leaf) for leaf in leaves if not is_float[type(leaf)])]
    for array in others:
        if array.dtype.kind in "iu":
            integers += [int(array.min()), int(array.max())]
    low, high = min(integers), max(integers)
    dtype, largest = np.result_type(*map(np.dtype, types)), max(-low, high)
    if any(is_float.values()):
        if dtype.itemsize > 8:
            raise UnstorableError(f"it holds values of type {dtype}")
        _check_floats_hold(largest)
        return dtype, largest
    if largest >= 2**64:
        raise UnstorableError("its integers are objects of more than 64 bits")
    # Integers of several types can promote to floats, which would round them.
    for wide in (dtype, np.dtype(np.int64), np.dtype(np.uint64)):
        limits = np.iinfo(wide) if wide.kind in "iu" else None
        fits = limits and limits.min <= low and high <= limits.max
        if fits or wide.kind == "b":
            return wide, largest
    raise UnstorableError("its integers do not fit in 64 bits together")


def _kind_of(found: type) -> str:
    if issubclass(found, list | tuple | np.ndarray):
        raise UnstorableError("its lists are nested unevenly")
    for kind, known in _KINDS.items():
        if issubclass(found, known) and not issubclass(found, np.timedelta64):
            return kind
    raise UnstorableError(f"it holds values of type {found.__name__}")


def _check_floats_hold(largest: int) -> None:
    """Raise if one of the integers is too large for a column of floats."""
    if largest > 2**53:
        raise UnstorableError("its integers do not fit beside NaN or fractions")


def _joined(
    arrays: list[NDArray[Any]], gaps: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.int64] | None, str]:
    """Return the values stacked if their shapes agree, else one after another.

    Beside them, the ends if they are ragged, and the dtype to restore.
    """
    filled = [array for array in arrays if array.size]
    dtype, largest = _type_of(filled)
    full = {array.shape for array in filled}
    empty = {array.shape for array in arrays} - full
    ndims = set(map(len, full))
    if len(ndims) > 1 or max(ndims, default=1) > _MAX_NDIM or (empty and 0 in ndims):
        raise UnstorableError(
            "its arrays differ in dimensions, or have more than three"
        )
    if max(map(len, empty), default=1) > 1:
        raise UnstorableError("it holds arrays of several dimensions without values")
    if filled:
        rows = [_converted(array, dtype) for array in filled]
    else:
        dtypes = {array.dtype for array in arrays if array.dtype.kind in "biuf"}
        dtype = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
        rows = [np.empty(arrays[0].shape, dtype)]
    is_even = len(full) == 1 and not empty
    if is_even and (not gaps.any() or dtype.kind in "iuf"):
        data, restored = _with_gaps(np.stack(rows), largest, gaps)
        return data, None, restored
    if len({shape[1:] for shape in full}) > 1:
        raise UnstorableError("its arrays differ in more than their length")
    lengths = np.zeros(len(gaps), dtype=np.int64)
    lengths[~gaps] = [len(array) for array in arrays]
    return np.concatenate(rows), np.cumsum(lengths), ""


def _converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values as a dtype; objects are text."""
    if dtype.kind != "O":
        return array.astype(dtype)
    # str() of an Enum is its name.
    return np.asarray(np.frompyfunc(str.__str__, 1, 1)(array), dtype=object)


def _with_gaps(
    values: NDArray[Any], largest: int, gaps: NDArray[np.bool_]
) -> tuple[NDArray[Any], str]:
    """Return one row per unit, NaN or "" in the gaps, and the dtype to restore.

    `largest` is the largest of the integers among the values.
    """
    if not gaps.any():
        return values, ""
    dtype, restored = values.dtype, ""
    if dtype.kind in "biu":
        _check_floats_hold(largest)
        dtype, restored = np.dtype(np.float64), dtype.name
    fill = "" if dtype.kind == "O" else np.nan
    data = np.full((len(gaps), *values.shape[1:]), fill, dtype=dtype)
    data[~gaps] = values
    return data, restored
