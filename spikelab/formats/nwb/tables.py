"""Objects of the NWB schema as HDF5: typed groups, tables and their columns."""

from collections.abc import Iterable, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb.columns import FILLS, Column

CORE = "core"
COMMON = "hdmf-common"

TEXT = h5py.string_dtype()

_NOTES = {
    "container": frozenset({"list", "tuple"}),
    "value_dtype": frozenset(
        {
            "bool",
            *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        }
    ),
    "missing": frozenset(FILLS),
}
"""Attributes of a column that say what its values were, and what they may be."""


def typed(
    obj: Any, neurodata_type: str, namespace: str = CORE, **attributes: Any
) -> Any:
    """Mark a group or dataset as an object of the NWB schema and return it."""
    obj.attrs["neurodata_type"] = neurodata_type
    obj.attrs["namespace"] = namespace
    for name, value in attributes.items():
        obj.attrs[name] = value
    return obj


def texts(values: Sequence[str]) -> NDArray[Any]:
    """Return text as an array that h5py writes as UTF-8."""
    return np.array(list(values), dtype=TEXT)


def table(
    parent: h5py.Group,
    name: str,
    ids: ArrayLike,
    columns: Iterable[str],
    description: str,
    *,
    neurodata_type: str = "DynamicTable",
    namespace: str = COMMON,
) -> h5py.Group:
    """Create a table with its row ids; its columns are written next.

    Parameters
    ----------
    parent : h5py.Group
        Where the table goes.
    name : str
        Its name there.
    ids : array-like of int
        One id per row.
    columns : iterable of str
        Names of the columns, without their indices.
    description : str
        What a row is.
    neurodata_type, namespace : str
        Type of the table in the schema.
    """
    group = typed(
        parent.create_group(name), neurodata_type, namespace, description=description
    )
    group.attrs.create("colnames", texts(list(columns)), dtype=TEXT)
    typed(
        group.create_dataset("id", data=np.asarray(ids, dtype=np.int64)),
        "ElementIdentifiers",
        COMMON,
    )
    return group


def vector(group: h5py.Group, name: str, data: Any, description: str) -> h5py.Dataset:
    """Write one column, one row of `data` per row of the table."""
    array = np.asarray(data)
    dtype = TEXT if array.dtype.kind in "OU" else array.dtype
    if array.dtype.kind == "U":
        array = array.astype(object)
    created = group.create_dataset(name, data=array, dtype=dtype)
    return typed(created, "VectorData", COMMON, description=description)


def index(group: h5py.Group, name: str, target: h5py.Dataset, ends: ArrayLike) -> None:
    """Write where the rows of each unit end in the column `target`."""
    stops = np.asarray(ends)
    # Readers subtract and concatenate these; narrower ones would wrap around.
    wide = stops.size and stops[-1] > np.iinfo(np.uint32).max
    created = group.create_dataset(name, data=stops.astype("u8" if wide else "u4"))
    typed(
        created,
        "VectorIndex",
        COMMON,
        description=f"Where the rows of each unit end in '{target.name.split('/')[-1]}'.",
        target=target.ref,
    )


def write_column(group: h5py.Group, column: Column) -> None:
    """Write a column, and what is needed to give the units' attributes back."""
    what = f"Attribute {column.key!r} of each unit."
    created = vector(group, column.name, column.data, what)
    if column.key != column.name:
        created.attrs["key"] = column.key
    notes = {
        "container": column.container,
        "value_dtype": column.dtype,
        "missing": column.fill,
    }
    created.attrs.update({name: note for name, note in notes.items() if note})
    if column.ends is not None:
        index(group, f"{column.name}_index", created, column.ends)


def text(value: Any) -> str:
    """Return text that h5py may have given as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def values(dataset: h5py.Dataset) -> NDArray[Any]:
    """Return all values of a dataset; text as an object array of str.

    Raises
    ------
    FormatError
        If the dataset claims to be far larger than what the file stores of it.
    """
    if dataset.shape is None:
        raise FormatError(f"{dataset.name} must not be empty of shape")
    h5.check_size(dataset, str(dataset.name))
    if h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O":
        return h5.texts(dataset)
    if dataset.dtype.kind in "OS":
        texts = [text(value) for value in np.ravel(dataset[()])]
        return np.array(texts, dtype=object).reshape(dataset.shape)
    return np.asarray(dataset[()])


def read_ends(index: h5py.Dataset) -> NDArray[np.int64]:
    """Return where the rows of each unit end."""
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise FormatError(
            f"{index.name} must be 1-D and hold integers, got {index.shape} {index.dtype}"
        )
    h5.spend_on_units(len(index), str(index.name))
    return values(index).astype(np.int64)


def read_column(
    name: str,
    data: h5py.Dataset,
    index: h5py.Dataset | None,
    n_units: int,
    own: bool,
) -> Column | None:
    """Return a column; None if its values are not numbers, truth values or text.

    Parameters
    ----------
    name : str
        Its name.
    data, index : h5py.Dataset
        Its values, and where those of each unit end if it is ragged.
    n_units : int
        Rows of the table.
    own : bool
        Whether :func:`write_column` wrote it.
    """
    is_text = data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype) is not None
    if not (is_text or data.dtype.kind in "biuf") or not data.ndim:
        return None
    if index is not None and f"{name}_index_index" in index.parent:
        return None
    ends = None if index is None else read_ends(index)
    n_rows = data.shape[0] if ends is None else len(ends)
    if n_rows != n_units:
        raise FormatError(f"{data.name} must have {n_units} rows, got {n_rows}")
    found = h5.scalar_attributes(data) if own else {}
    notes = {n: found[n] for n, allowed in _NOTES.items() if found.get(n) in allowed}
    return Column(
        name=name,
        key=str(found.get("key", name)),
        data=values(data),
        ends=ends,
        container=notes.get("container", ""),
        dtype=notes.get("value_dtype", ""),
        fill=notes.get("missing", ""),
    )
