"""Arrow tables, and the Parquet files that hold them."""

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, MissingExtraError
from spikelab.formats.table_reading import folded, time_column
from spikelab.formats.tables import Columns
from spikelab.formats.units_table import TIME_COLUMNS

_KEY = b"spikelab"
"""Key of the schema's metadata: JSON of what is in no row."""


def pyarrow(feature: str) -> Any:
    """Import and return pyarrow, with its module of Parquet files."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(feature, "pyarrow", "parquet") from error
    return pyarrow


def native(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as Arrow has it: in this machine's byte order, not float16."""
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype
    return array.astype(dtype.newbyteorder("="), copy=False)


def arrow_table(columns: Columns) -> Any:
    """Return a block of columns as an Arrow table."""
    pa = pyarrow("to_parquet")
    return pa.table(
        {
            name: pa.array(v.tolist(), pa.string()) if v.dtype == object else native(v)
            for name, v in columns
        }
    )


def write_file(staged: Path, tables: Iterable[Any], about: Mapping[str, Any]) -> None:
    """Write a file with one row group per table; `about` is what is in no row."""
    pa = pyarrow("to_parquet")
    blocks = iter(tables)
    first = next(blocks)
    text = json.dumps(about, default=lambda value: value.tolist())
    schema = first.schema.with_metadata({_KEY: text})
    # Of sorted times, two bytes of eight are nearly constant.
    floats = [field.name for field in schema if pa.types.is_floating(field.type)]
    encodings = dict.fromkeys(floats, "BYTE_STREAM_SPLIT")
    if "time_samples" in schema.names:
        encodings["time_samples"] = "DELTA_BINARY_PACKED"
    # A file of Python is closed whatever happens; one of Arrow is not on a full disk.
    with (
        staged.open("wb") as sink,
        pa.parquet.ParquetWriter(
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


def opened(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return a table, of spikes only the columns that are needed, and our metadata."""
    pa = pyarrow("load")
    try:
        with pa.parquet.ParquetFile(path) as file:
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
    pa = pyarrow("load")
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
