"""The values of an attribute of all units, made into a column of a table."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.nwb.columns import StoredColumn, looks_missing
from spikelab.spikedata.unit_table import MISSING, UnitTable

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


STRUCTURE = frozenset(
    {"id", "spike_times", "spike_times_index", "obs_intervals", "obs_intervals_index"}
    | {"electrodes", "electrodes_index"}
)
"""Members of the Units table that carry the spikes, the window and the electrodes."""

# To these the NWB schema gives a type and a unit of its own.
_SCHEMA = """
    electrode_group electrode_group_index waveform_mean waveform_mean_index waveform_sd
    waveform_sd_index waveforms waveforms_index waveforms_index_index
"""
# A column of one of these names makes the reader warn or fail, because it
# would hide an attribute of the object that the reader returns.
_PYNWB = """
    add_child add_column add_meanings_table add_row add_unit all_children
    all_objects children colnames columns container_source copy create_region
    css_style data_type description fields from_dataframe generate_html_repr
    generate_new_id get get_ancestor get_ancestors get_duration get_fields_conf
    get_foreign_columns get_linked_tables get_meanings_for_column get_meanings_table
    get_read_io get_starting_time get_unit_obs_intervals get_unit_spike_times
    has_foreign_columns js_script meanings_tables modified name namespace
    neurodata_type object_id parent read_io reset_parent resolution set_data_io
    set_modified to_dataframe type_hierarchy waveform_rate
    waveform_time_before_peak_in_ms waveform_unit waveforms_desc
"""
_PYNAPPLE = """
    clear copy count data drop_info fromkeys get get_info getby_category
    getby_intervals getby_threshold groupby groupby_apply index items keys merge
    merge_group metadata metadata_columns metadata_index nap_class pop popitem rate
    rates restrict restrict_info save set_info setdefault subsample time_diff
    time_support to_tsd trial_count update value_from values
"""

_RESERVED = STRUCTURE | {*(_SCHEMA + _PYNWB + _PYNAPPLE).split()}


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
    kept = {k for k in keys if isinstance(k, str) and _safe(k, used) == k}
    used |= kept
    columns, left_out = [], {}
    for key in keys:
        name = key if key in kept else _safe(str(key), used)
        used.add(name)
        try:
            columns.append(stored_column(name, key, table.columns[key].values))
        except UnstorableError as error:
            left_out[key] = str(error)
    return columns, left_out


def _safe(key: str, taken: Iterable[str]) -> str:
    """Return `key`, or the nearest name that readers take and that is not in `taken`.

    What cannot be in an identifier becomes an underscore, underscores at the
    start go, ``unit_`` is put before a digit, and an underscore is added to a
    reserved name and to one that ends like the index of a column.
    """
    letters = [c if f"_{c}".isidentifier() else "_" for c in key]
    name = "".join(letters).lstrip("_") or "attribute"
    if not name[0].isidentifier():
        name = f"unit_{name}"
    if name in _RESERVED or name.endswith("_index"):
        name += "_"
    used = set(taken)
    while name in used:
        name += "_"
    return name


def stored_column(name: str, key: Any, given: Sequence[Any]) -> StoredColumn:
    """Return the column that holds the values of an attribute, or raise."""
    if not isinstance(key, str):
        raise UnstorableError("the key is not a text")
    _check_text(key)
    values = [_unwrapped(v) if isinstance(v, np.ndarray) else v for v in given]
    missing = {u: v for u, v in enumerate(values) if v is MISSING or v is None}
    floats = {u: v for u, v in enumerate(values) if isinstance(v, float | np.floating)}
    if nans := {unit: value for unit, value in floats.items() if value != value}:
        unknown = missing | nans
        others = [v for u, v in enumerate(values) if u not in unknown]
        if _Leaves(list(map(_array, others))).kind in ("text", "truth values"):
            # Among these, NaN says that there is no value, as pandas writes it.
            missing |= nans
    present = [v for u, v in enumerate(values) if u not in missing]
    if not present:
        raise UnstorableError("no unit has a value")
    gaps = np.isin(np.arange(len(values)), [*missing])
    arrays = list(map(_array, present))
    # One value beside rows of several, as the electrodes of units can be.
    scalars = {array.ndim for array in arrays} == {0, 1}
    several = [v for v, array in zip(present, arrays, strict=True) if array.ndim]
    types = set(map(type, several))
    if scalars:
        arrays = list(map(np.atleast_1d, arrays))
    data, ends, value_dtype = _joined(arrays, gaps)
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        ends=ends,
        container=types.pop().__name__ if types in ({list}, {tuple}) else "",
        value_dtype=value_dtype,
        missing=gap_note([*missing.values()], present),
        scalars=scalars,
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
    """The single values in arrays: their types, their one kind, their range."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        if any(map(np.ma.is_masked, arrays)):
            raise UnstorableError("it holds masked values")
        in_objects = [a.ravel().tolist() for a in arrays if a.dtype.kind in "OU"]
        leaves = list(itertools.chain.from_iterable(in_objects))
        others = [a for a in arrays if a.dtype.kind not in "OU" and a.size]
        self.types = set(map(type, leaves)) | {a.dtype.type for a in others}
        self.kind = _kind(self.types)
        integers = [int(n) for n in leaves if isinstance(n, int | np.integer)]
        for array in others:
            if array.dtype.kind in "iu":
                integers += [int(array.min()), int(array.max())]
        self.low, self.high = min([0, *integers]), max([0, *integers])
        _check_text("".join(text for text in leaves if isinstance(text, str)))

    def dtype(self) -> np.dtype[Any]:
        """Return a dtype that holds all values, integers exactly."""
        if self.kind == "text":
            return np.dtype(object)
        dtype = np.result_type(*map(np.dtype, self.types))
        if any(issubclass(kind, float | np.floating) for kind in self.types):
            if dtype.itemsize > 8:
                raise UnstorableError(f"it holds values of type {dtype}")
            self.check_floats_hold()
            return dtype
        if max(-self.low, self.high) >= 2**64:
            raise UnstorableError("its integers are objects of more than 64 bits")
        for wide in (dtype, np.dtype(np.int64), np.dtype(np.uint64)):
            if wide.kind == "b" or (wide.kind in "iu" and self._fit(wide)):
                return wide
        raise UnstorableError("its integers do not fit in 64 bits together")

    def _fit(self, dtype: np.dtype[Any]) -> bool:
        limits = np.iinfo(dtype)
        return limits.min <= self.low and self.high <= limits.max

    def check_floats_hold(self) -> None:
        """Raise if one of the integers is too large for a column of floats."""
        if max(-self.low, self.high) > 2**53:
            raise UnstorableError("its integers do not fit beside NaN or fractions")


def _kind(types: Iterable[type]) -> str:
    """Return the one kind of values of these types, "" if there are none."""
    kinds = set()
    for found in types:
        if issubclass(found, _NESTED):
            raise UnstorableError("its lists are nested unevenly")
        names = [name for name, known in _KINDS.items() if issubclass(found, known)]
        if not names or found is np.timedelta64:
            raise UnstorableError(f"it holds values of type {found.__name__}")
        kinds.add(names[0])
    if len(kinds) > 1:
        raise UnstorableError(f"it mixes {' and '.join(sorted(kinds))}")
    return kinds.pop() if kinds else ""


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


def _joined(arrays: list[NDArray[Any]], gaps: NDArray[np.bool_]) -> _Data:
    """Return the values stacked if their shapes agree, else one after another."""
    filled = [array for array in arrays if array.size]
    leaves = _Leaves(filled)
    n_empty, ndims = len(arrays) - len(filled), {array.ndim for array in filled}
    if len(ndims) > 1 or max(ndims, default=1) > _MAX_NDIM or (n_empty and 0 in ndims):
        raise UnstorableError(_DIMENSIONS)
    if any(array.ndim > 1 and not array.size for array in arrays):
        raise UnstorableError("it holds arrays of several dimensions without values")
    if filled:
        dtype = leaves.dtype()
    else:
        dtypes = {array.dtype for array in arrays if array.dtype.kind in "biuf"}
        dtype = np.result_type(*dtypes) if dtypes else np.dtype(np.float64)
    if leaves.kind == "text":
        # str() of an Enum is its name.
        as_text = np.frompyfunc(str.__str__, 1, 1)
        rows = [np.asarray(as_text(array), dtype=object) for array in filled]
    else:
        rows = [array.astype(dtype) for array in filled]
        rows = rows or [np.empty(arrays[0].shape, dtype)]
    is_even = len({row.shape for row in rows}) == 1 and filled and not n_empty
    if is_even and (not gaps.any() or dtype.kind in "iuf" or ndims == {0}):
        return _with_gaps(np.stack(rows), leaves, gaps)
    if len({row.shape[1:] for row in rows}) > 1:
        raise UnstorableError("its arrays differ in more than their length")
    lengths = np.zeros(len(gaps), dtype=np.int64)
    lengths[~gaps] = [len(array) for array in arrays]
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
