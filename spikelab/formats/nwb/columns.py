"""Columns of a table of units: what they hold, and how files keep them."""

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import MISSING, is_nan

WAVEFORMS = ("waveform_mean", "waveform_sd")
"""The columns of mean waveforms, and the attributes that they hold."""

_FILLS = {"absent": MISSING, "none": None, "nan": float("nan")}
"""What a filled place in a column can stand for."""

_NOTES: dict[str, set[Any]] = {
    "container": {"list", "tuple"},
    "value_dtype": {
        "bool",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    },
    "missing": {*_FILLS},
    "padded": {True},
    "scalars": {True},
}
"""Attributes of a column in a file, and what they may be; see :class:`StoredColumn`."""


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

    def notes(self) -> dict[str, Any]:
        """Return what a file needs to say to give the attributes back."""
        notes: dict[str, Any] = {} if self.key == self.name else {"key": self.key}
        return notes | {n: note for n in _NOTES if (note := getattr(self, n))}

    def values(self) -> list[Any]:
        """Return the value of each unit; MISSING where it has none."""
        is_scalar = self.ends is None and self.data.ndim == 1
        rows: list[Any] = list(self.data)
        if self.ends is not None:
            edges = [0, *self.ends.tolist()]
            rows = [self.data[start:stop] for start, stop in pairwise(edges)]
        gaps = [bool(self.missing) and looks_missing(row) for row in rows]
        restored = self._restored(np.array(gaps, dtype=bool))
        if is_scalar:
            rows = restored.tolist()
        elif restored is not self.data:
            rows = list(restored)
        if self.container and not is_scalar:
            rows = [row.tolist() for row in rows]
            rows = [tuple(row) for row in rows] if self.container == "tuple" else rows
        elif self.data.dtype == object and not is_scalar:
            rows = [np.array(row.tolist(), dtype=str) for row in rows]
        if self.padded:
            rows = [_without_padding(row) for row in rows]
        if self.scalars:
            rows = [row[0] if len(row) == 1 else row for row in rows]
        fill = _FILLS.get(self.missing)
        return [fill if gap else row for row, gap in zip(rows, gaps, strict=True)]

    def _restored(self, gaps: NDArray[np.bool_]) -> NDArray[Any]:
        """Return the data with the dtype of the values, if that holds all of them."""
        if not self.value_dtype or self.ends is not None:
            return self.data
        known = self.data[~gaps]
        with np.errstate(invalid="ignore"):
            restored = known.astype(self.value_dtype)
        if not np.array_equal(restored, known):
            return self.data
        whole = np.zeros(self.data.shape, dtype=self.value_dtype)
        whole[~gaps] = restored
        return whole

    def write(self, table: h5py.Group) -> None:
        """Write the column, and what is needed to give the units' attributes back."""
        what = f"Attribute {self.key!r} of each unit."
        schema.column(table, self.name, self.data, what, self.ends, **self.notes())


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
        stops = h5.dataset(table, index, kinds="iu") if has_link(table, index) else None
    except FormatError:
        return None
    is_text = h5py.check_string_dtype(data.dtype) is not None
    if (data.dtype.kind == "O" and not is_text) or has_link(table, f"{index}_index"):
        return None
    values = _named(data, h5.texts(data) if is_text else data[()])
    if values is None:
        return None
    ends = None
    if stops is not None:
        ends = SpikeTrains.from_flat(values, stops[()], str(stops.name)).ends
    n_rows = len(values if ends is None else ends)
    if n_rows != n_units:
        raise FormatError(f"{data.name} must have {n_units} rows, got {n_rows}")
    notes: dict[str, Any] = {}
    if own:
        said = h5.scalar_attributes(data)
        notes = {n: said[n] for n, allowed in _NOTES.items() if said.get(n) in allowed}
        notes["key"] = str(said.get("key", name))
    elif values.dtype == object:
        notes["container"] = "list"
    elif name in WAVEFORMS:  # NaN for a unit without one
        notes["missing"] = "absent"
        values = values if values.dtype.kind == "f" else values.astype(np.float32)
    return StoredColumn(
        **{"name": name, "key": name, "data": values, **notes}, ends=ends
    )


def column_names(table: h5py.Group, names: Iterable[str]) -> list[str]:
    """Return those of the names that are no index, nor the elements, of a column."""
    ends = re.compile("(.+)_(?:index|elements)")
    return [n for n in names if not ((m := ends.fullmatch(n)) and m[1] in table)]


def has_link(group: h5py.Group, name: str) -> bool:
    """Return whether a group has a member of this name, dangling links included."""
    return bool(group.id.links.exists(name.encode()))


def _named(data: h5py.Dataset, values: NDArray[Any]) -> NDArray[Any] | None:
    """Return the names that the codes of an enumeration stand for, else `values`.

    None if the names are gone.
    """
    names: dict[Any, Any] = {}
    if data.attrs.get("neurodata_type") == "EnumData" and "elements" in data.attrs:
        try:
            elements = data.file[data.attrs["elements"]]
        except (KeyError, RuntimeError, TypeError, ValueError):
            return None
        names = dict(enumerate(h5.texts(elements).tolist()))
    elif found := h5py.check_enum_dtype(data.dtype):
        names = {code: name for name, code in found.items()}
    if not names:
        return values
    codes = values.ravel().tolist()
    unknown = sorted(set(codes) - set(names))
    if unknown:
        raise FormatError(f"{data.name} must hold codes of its names, got {unknown[0]}")
    flat = np.array([names[code] for code in codes], dtype=object)
    return flat.reshape(values.shape)


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
