"""Columns of a table of units: from attributes into the file, and back."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import MISSING, Column, UnitTable, is_nan

_MEANINGS = {"absent": MISSING, "none": None, "nan": float("nan")}
"""What NaN, an empty str or an empty row of a column can stand for."""

_NOTES = ("container", "value_dtype", "missing", "padded", "scalars")
"""Attributes of a column in the file; see :class:`StoredColumn`."""

_KINDS: dict[str, tuple[type, ...]] = {
    "truth values": (bool, np.bool_),
    "numbers": (int, float, np.integer, np.floating),
    "text": (str,),
}
"""What a column can hold: values of one kind."""


class UnstorableError(ValueError):
    """The values of an attribute do not make a column; the message says why."""


@attrs.frozen(kw_only=True, eq=False)
class StoredColumn:
    """One column of a table, ready to be written, or as it was read."""

    name: str  # in the file
    key: str  # in ``neuron_attributes``
    # one row per unit, or the rows of all units, if it is ragged; str as objects
    data: NDArray[Any]
    ends: NDArray[np.int64] | None = None  # of a ragged one: where those of a unit end
    container: str = ""  # "list" or "tuple", if values are no scalars or arrays
    value_dtype: str = ""  # of the values, if missing ones made it another one here
    missing: str = ""  # what NaN, "" or an empty row means: a key of `_MEANINGS`
    padded: bool = False  # whether NaN fills up arrays of several shapes
    scalars: bool = False  # whether a row of one value is a scalar

    def values(self) -> list[Any]:
        """Return the value of each unit; MISSING where it has none."""
        if self.data.ndim == 1 and self.ends is None and not self.missing:
            plain: list[Any] = self.data.tolist()
            return plain
        if self.ends is None:
            return [self._value(row) for row in self.data]
        edges = pairwise([0, *self.ends.tolist()])
        return [self._value(self.data[start:stop]) for start, stop in edges]

    def _value(self, row: Any) -> Any:
        """Return the value of a unit from its row, or rows, of the column."""
        if self.missing and looks_missing(row):
            return _MEANINGS[self.missing]
        if isinstance(row, str):
            return row
        if self.value_dtype:
            row = row.astype(self.value_dtype)
        if self.padded:  # with NaN at the end of each axis
            known = np.nonzero(~np.isnan(row))
            row = row[tuple(slice(int(axis.max(initial=-1)) + 1) for axis in known)]
        if row.ndim and not self.container:
            value = row.astype(str) if row.dtype == object else row
        else:
            value = row.tolist()
        if self.scalars and len(value) == 1:
            return value[0]
        return tuple(value) if self.container == "tuple" else value

    def write(self, table: h5py.Group) -> None:
        """Write the column, and what is needed to give the units' attributes back."""
        notes: dict[str, Any] = {} if self.key == self.name else {"key": self.key}
        for name in _NOTES:
            if note := getattr(self, name):
                notes[name] = note
        what = f"Attribute {self.key!r} of each unit."
        schema.column(table, self.name, self.data, what, self.ends, **notes)


def add_values(units: list[dict[str, Any]], columns: Iterable[StoredColumn]) -> None:
    """Add to the dictionary of each unit the values that it has in the columns."""
    for column in columns:
        for unit, value in zip(units, column.values(), strict=True):
            if value is not MISSING:
                unit[column.key] = value


def looks_missing(value: Any) -> bool:
    """Return whether a value looks like the ones that are missing."""
    if not isinstance(value, np.ndarray | list | tuple):
        return is_nan(value) or (isinstance(value, str) and value == "")
    array = np.asarray(value)
    return not array.size or (array.dtype.kind == "f" and bool(np.isnan(array).all()))


def meaning_of_gaps(gaps: Sequence[Any], present: Iterable[Any]) -> str:
    """Return what a filled place in a column means, "" if that is ambiguous."""
    if gaps and not any(map(looks_missing, present)):
        for meaning, value in _MEANINGS.items():
            if all(equal(given, value) for given in gaps):
                return meaning
    return ""


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
    """Return the column that holds an attribute, `given` for each unit, or MISSING.

    A value is a number, bool or str, or an array or list of them. Raises
    UnstorableError if values are of several kinds or of another one.
    """
    if not isinstance(key, str):
        raise UnstorableError("the key is not a text")
    if reason := h5.why_no_text(key):
        raise UnstorableError(f"it holds {reason}")
    values = [_unwrapped(v) if isinstance(v, np.ndarray) else v for v in given]
    known = Column(key, values).known
    if not known:
        raise UnstorableError("no unit has a value")
    present = list(known.values())
    has_value = np.array([unit in known for unit in range(len(values))])
    containers = {type(v) for v in present if isinstance(v, list | tuple | np.ndarray)}
    ends, scalars = None, False
    if containers:
        arrays = [_as_array(value) for value in present]
        # One value beside rows of several, as the electrodes of units can be.
        scalars = {array.ndim for array in arrays} == {0, 1}
        data, ends = _joined([np.atleast_1d(a) for a in arrays], has_value)
    else:
        (data,) = _of_one_type([_as_array(present)])
    is_list = containers in ({list}, {tuple})
    gaps = [value for unit, value in enumerate(values) if unit not in known]
    missing, value_dtype = meaning_of_gaps(gaps, present), ""
    if ends is None and gaps:
        if data.dtype.kind in "biu":
            value_dtype = data.dtype.name if missing else ""
            data = _as_type(data, np.dtype(np.float64))
        fill = "" if data.dtype.kind == "O" else np.nan
        filled = np.full((len(values), *data.shape[1:]), fill, dtype=data.dtype)
        filled[has_value] = data
        data = filled
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        ends=ends,
        container=containers.pop().__name__ if is_list else "",
        value_dtype=value_dtype,
        missing=missing,
        scalars=scalars,
    )


def _unwrapped(array: NDArray[Any]) -> Any:
    """Return what an array of objects, or one without dimensions, holds."""
    if array.dtype == object:
        return array.tolist()
    return array if array.ndim else array[()]


def _as_array(value: Any) -> NDArray[Any]:
    """Return an array as it is; a value, or lists nested evenly, as one of objects."""
    if np.ma.is_masked(value):
        raise UnstorableError("it holds masked values")
    try:
        return value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
    except ValueError as error:
        raise UnstorableError("its lists are nested unevenly") from error


def _joined(
    arrays: list[NDArray[Any]], has_value: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Return arrays stacked if their shapes agree, else one after another.

    In the second case also where the rows of each unit end; a unit without a value has
    none.
    """
    filled = [array for array in arrays if array.size]
    rows = _of_one_type(filled or [array.ravel() for array in arrays])
    is_even = len({array.shape for array in arrays}) == 1 and len(filled) > 0
    # NaN can take the place of a row of numbers, nothing that of bool or str.
    if is_even and (has_value.all() or rows[0].dtype.kind in "iuf"):
        if rows[0].ndim > 3:  # and the column more than NWB allows
            raise UnstorableError("its arrays have more than three dimensions")
        return np.stack(rows), None
    lengths = np.zeros(len(has_value), dtype=np.int64)
    lengths[has_value] = [len(array) if array.size else 0 for array in arrays]
    try:
        return np.concatenate(rows), np.cumsum(lengths)
    except ValueError as error:
        raise UnstorableError("its arrays differ in more than their length") from error


def _of_one_type(arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return arrays converted to a type that holds the values of all, str as objects."""
    types: set[type] = set()
    for array in arrays:
        is_typed = array.dtype != object
        types |= {array.dtype.type} if is_typed else set(map(type, array.flat))
    kinds = set(map(_kind_of, types))
    if len(kinds) > 1:
        raise UnstorableError(f"it mixes {' and '.join(sorted(kinds))}")
    if kinds == {"text"}:
        for array in arrays:
            if reason := h5.why_no_text("".join(array.flat)):
                raise UnstorableError(f"it holds {reason}")
        # str() of an Enum is its name.
        as_text = np.frompyfunc(str.__str__, 1, 1)
        return [np.asarray(as_text(array.astype(object)), object) for array in arrays]
    numbers = [_numbers(a) if a.dtype == object else a for a in arrays]
    dtype = np.result_type(*{array.dtype for array in numbers})
    return [_as_type(array, dtype) for array in numbers]


def _kind_of(found: type) -> str:
    if issubclass(found, list | tuple | np.ndarray):
        raise UnstorableError("its lists are nested unevenly")
    for kind, known in _KINDS.items():
        # For NumPy, a timedelta64 is an integer.
        if issubclass(found, known) and not issubclass(found, np.timedelta64):
            return kind
    raise UnstorableError(f"it holds values of type {found.__name__}")


def _numbers(objects: NDArray[Any]) -> NDArray[Any]:
    """Return objects that are numbers, or bool, as an array of them."""
    values = objects.ravel().tolist()
    if len(set(map(type, values))) > 1:
        # NumPy would make floats of its signed and unsigned integers together.
        values = [v.item() if isinstance(v, np.generic) else v for v in values]
    array = np.array(values)
    pairs = zip(array.tolist(), values, strict=True)
    if array.dtype == object or any(new != v and v == v for new, v in pairs):
        raise UnstorableError("its large integers do not fit beside other numbers")
    return array.reshape(objects.shape)


def _as_type(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return numbers as another type that holds them exactly."""
    if dtype.kind == "f" and array.dtype.kind in "iu" and np.any(np.abs(array) > 2**53):
        raise UnstorableError("its large integers do not fit beside other numbers")
    return array.astype(dtype, copy=False)


def read_column(
    table: h5py.Group, name: str, n_units: int, *, own: bool
) -> StoredColumn | None:
    """Return a column, None if it holds no numbers, bool or str in this file.

    `own` says whether spikelab wrote it, so that its notes mean something. Raises
    FormatError if the column does not have `n_units` rows.
    """
    try:
        data = h5.dataset(table, name, ndim=(1, 2, 3, 4), kinds="biufOS")
        stops = None
        if schema.has_link(table, f"{name}_index"):
            stops = h5.dataset(table, f"{name}_index", kinds="iu")
    except FormatError:
        return None
    values = _values_in(data)
    if values is None or schema.has_link(table, f"{name}_index_index"):
        return None
    ends = None
    if stops is not None:
        ends = SpikeTrains.from_flat(values, stops[()], str(stops.name)).ends
    n_rows = len(values if ends is None else ends)
    if n_rows != n_units:
        raise FormatError(f"{data.name} must have {n_units} rows, got {n_rows}")
    notes: dict[str, Any] = {"key": name}
    if own:
        found = h5.scalar_attributes(data)
        notes |= {note: found[note] for note in ("key", *_NOTES) if note in found}
    elif values.dtype == object:
        notes["container"] = "list"
    elif name in schema.WAVEFORMS:  # NaN for a unit without one
        notes["missing"] = "absent"
        values = values if values.dtype.kind == "f" else values.astype(np.float32)
    return StoredColumn(name=name, data=values, ends=ends, **notes)


def _values_in(data: h5py.Dataset) -> NDArray[Any] | None:
    """Return numbers, bool, str as objects, or the names of codes; else None."""
    if h5py.check_string_dtype(data.dtype) is not None:
        return h5.texts(data)
    if data.dtype.kind == "O":  # references, say
        return None
    values: NDArray[Any] = data[()]
    if data.attrs.get("neurodata_type") != "EnumData":
        return values
    try:
        names: NDArray[Any] = h5.texts(data.file[data.attrs["elements"]])
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError):
        return None  # the names are gone
    if np.any(unknown := (values < 0) | (values >= len(names))):
        got = values[unknown][0]
        raise FormatError(f"{data.name} must hold codes of its names, got {got}")
    named: NDArray[Any] = names[values]
    return named
