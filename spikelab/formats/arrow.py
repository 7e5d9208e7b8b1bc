"""Arrow tables, and the Parquet files that hold them."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, MissingExtraError
from spikelab.formats.table_reading import folded, time_column
from spikelab.formats.tables import Columns, has_column
from spikelab.formats.units_table import (
    TIME_COLUMNS,
    UnitsTable,
    named_columns,
    unit_columns,
)
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import Column

_KEY = b"spikelab"
"""Key of the schema's metadata: JSON of what is in no row."""


def pyarrow_modules(feature: str) -> tuple[Any, Any]:
    """Import and return pyarrow and its module of Parquet files."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError(feature, "pyarrow", "parquet") from error
    return pyarrow, parquet


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as Arrow has it: in this machine's byte order, not float16."""
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype
    return array.astype(dtype.newbyteorder("="), copy=False)


def arrow_table(columns: Columns) -> Any:
    """Return a block of columns as an Arrow table."""
    pa, _ = pyarrow_modules("to_parquet")
    return pa.table(
        {
            name: pa.array(v.tolist(), pa.string()) if v.dtype == object else native(v)
            for name, v in columns
        }
    )


def write_file(staged: Path, tables: Iterable[Any], about: Mapping[str, Any]) -> None:
    """Write a file with one row group per table."""
    pa, pq = pyarrow_modules("to_parquet")
    blocks = iter(tables)
    first = next(blocks)
    text = json.dumps(about, default=lambda value: value.item())
    schema = first.schema.with_metadata({_KEY: text})
    encodings = {
        # Of sorted times, two bytes of eight are nearly constant.
        f.name: "BYTE_STREAM_SPLIT"
        for f in schema
        if pa.types.is_floating(f.type)
    }
    if "time_samples" in schema.names:
        encodings["time_samples"] = "DELTA_BINARY_PACKED"
    # A file of Python is closed whatever happens; one of Arrow is not on a full disk.
    with (
        staged.open("wb") as sink,
        pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=[name for name in schema.names if name not in encodings],
            column_encoding=encodings or None,
        ) as file,
    ):
        for table in itertools.chain([first], blocks):
            group = table.replace_schema_metadata(schema.metadata)
            file.write_table(group, row_group_size=max(len(table), 1))


def units_of(sd: SpikeData, fs_Hz: float | None) -> tuple[Any, list[str]]:
    """Return the table of units, and the names of attributes that are NumPy arrays."""
    pa, own, arrays = pyarrow_modules("to_parquet")[0], {}, []
    for key, column in sd.unit_table.columns.items():
        array = _attribute(column) if has_column(key) else None
        if array is not None:
            own[key] = array
            if any(isinstance(value, np.ndarray) for value in column.known.values()):
                arrays.append(key)
    values = {key: array.to_pylist() for key, array in own.items()}
    made = {}
    for name, cells in unit_columns(sd, values, fs_Hz).items():
        kind = pa.int64() if name in ("unit", "n_spikes", "electrode") else pa.float64()
        if any(isinstance(cell, str) for cell in cells):
            kind = pa.string()
        made[name] = own[name] if values.get(name) == cells else pa.array(cells, kind)
    return pa.table(made), arrays


def _attribute(column: Column) -> Any:
    """Return an attribute of all units as an Arrow array, None if it has no type."""
    pa, _ = pyarrow_modules("to_parquet")
    known = column.known
    kinds = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    kind = {**kinds, "str": pa.string()}.get(column.kind)
    values = [known.get(unit) for unit in range(len(column.values))]
    if column.kind == "array":
        dtypes = {getattr(value, "dtype", None) for value in known.values()}
        if dtypes != {None}:
            dtype = dtypes.pop()
            if dtypes or dtype is None or dtype.kind not in "biuf":
                return None
            kind = pa.from_numpy_dtype(dtype)
            for _ in range(max(np.ndim(value) for value in known.values())):
                kind = pa.list_(kind)
            values = [None if value is None else value.tolist() for value in values]
        elif not all(isinstance(value, list) for value in known.values()):
            return None
    elif kind is None:
        return None
    try:
        return pa.array(values, kind)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None


def parsed_units(table: Any, arrays: Sequence[str]) -> UnitsTable:
    """Return what an Arrow table of units says."""
    pa, _ = pyarrow_modules("load")
    columns = {}
    names = named_columns(table.column_names)
    for name, column in zip(names, table.columns, strict=True):
        values = column.to_pylist()
        if name in arrays:
            leaf = column.type
            while hasattr(leaf, "value_type"):
                leaf = leaf.value_type
            # Old versions of pyarrow need pandas for the dtype of a type, not of an array.
            dtype = pa.array([], leaf).to_numpy(zero_copy_only=False).dtype
            values = [None if v is None else np.array(v, dtype=dtype) for v in values]
        columns[name] = values
    return UnitsTable.of_columns(columns)


def opened_table(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a table, of spikes only the columns that are needed, and our metadata."""
    pa, pq = pyarrow_modules("load")
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            about = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
            if not isinstance(about, dict):
                raise ValueError("its metadata are no JSON object")
            names = folded(schema.names)
            wanted = None
            if "unit" in names and time_column(names):
                used = {"slice", "unit", "rate", "rate_hz", *TIME_COLUMNS}
                pairs = zip(schema.names, names, strict=True)
                wanted = [column for column, name in pairs if name in used]
            return file.read(wanted), about
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"it cannot be read as Parquet: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise FormatError(f"it is damaged: {error}") from error


def numbers_of(column: Any, dtype: type) -> NDArray[Any]:
    """Return a column as int64 or float64, NaN for missing floats, or as it is."""
    pa, _ = pyarrow_modules("load")
    if dtype is np.object_:
        return np.asarray(column.to_numpy())
    try:
        numbers = column.cast(pa.from_numpy_dtype(dtype))
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise FormatError(f"a column does not hold numbers: {error}") from error
    if dtype is np.int64 and numbers.null_count:
        raise FormatError("a column of whole numbers has missing values")
    found: NDArray[Any] = numbers.to_numpy()
    return found if found.flags.writeable else found.copy()
