"""Arrow tables: how Parquet files hold spikes, units, rates and comparisons."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, MissingExtraError
from spikelab.formats.reading import build
from spikelab.formats.units_table import (
    OWN,
    TIME_COLUMNS,
    TableOptions,
    UnitsTable,
    named_columns,
    unit_columns,
)
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import Column

Columns = dict[str, Any]
"""Arrays of NumPy or Arrow by the name of their column."""

UNITS = "units of a SpikeData"
"""What a table of units calls itself in the place of a class."""

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


def window_of(sd: SpikeData) -> dict[str, Any]:
    """Return what of a recording is in no row of its spikes."""
    return {"n_units": sd.N, "start_time_ms": sd.start_time, "length_ms": sd.length}


def about_of(obj: DataObject) -> dict[str, Any]:
    """Return what of an object is in no row of its table."""
    if isinstance(obj, SpikeData):
        return window_of(obj)
    if isinstance(obj, SpikeSliceStack):
        slices = [window_of(sd) for sd in obj]
        return {"n_units": obj.N, "times": obj.times, "slices": slices}
    if isinstance(obj, RateData):
        return {"rate_unit": obj.rate_unit}
    if isinstance(obj, RateSliceStack):
        shape = obj.event_stack.shape
        return {"times": obj.times, "step_size": obj.step_size, "shape": shape}
    if isinstance(obj, PairwiseCompMatrixStack):
        return {"labels": labels_of(obj), "times": obj.times, "shape": obj.stack.shape}
    if isinstance(obj, PairwiseCompMatrix):
        return {"labels": labels_of(obj), "dtype": held(obj.matrix).dtype.str}
    raise TypeError(f"a {type(obj).__name__} has no table")


def labels_of(obj: DataObject) -> list[Any] | None:
    """Return the labels of a comparison as Python's own values."""
    labels = getattr(obj, "labels", None)
    if labels is None:
        return None
    return [x.item() if isinstance(x, np.generic) else x for x in labels]


def names_of(pcm: PairwiseCompMatrix | PairwiseCompMatrixStack) -> list[str]:
    """Return distinct names of the units: their labels, or their numbers."""
    size = (pcm.matrix if isinstance(pcm, PairwiseCompMatrix) else pcm.stack).shape[0]
    labels = labels_of(pcm)
    names = list(map(str, range(size) if labels is None else labels))
    is_distinct = len({*names, "label"}) > size
    return names if is_distinct else list(map(str, range(size)))


def held(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as Arrow has it: in this machine's byte order, not float16."""
    dtype = np.dtype(np.float32) if array.dtype == np.float16 else array.dtype
    return array.astype(dtype.newbyteorder("="), copy=False)


def repeated(number: int, count: int) -> NDArray[np.int32]:
    """Return the column of one number in all of so many rows."""
    return np.full(count, number, dtype=np.int32)


def arrow_table(columns: Columns) -> Any:
    """Return an Arrow table."""
    pa, _ = pyarrow_modules("to_parquet")
    arrays = {}
    for name, values in columns.items():
        if not isinstance(values, np.ndarray):
            arrays[name] = values
        elif values.dtype == object:
            arrays[name] = pa.array(values.tolist(), pa.string())
        else:
            arrays[name] = pa.array(held(values))
    return pa.table(arrays)


def write_file(
    staged: Path, tables: Iterator[Columns], about: Mapping[str, Any]
) -> None:
    """Write a file with one row group per table."""
    pa, pq = pyarrow_modules("to_parquet")
    first = arrow_table(next(tables))
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
        for table in itertools.chain([first], map(arrow_table, tables)):
            group = table.replace_schema_metadata(schema.metadata)
            file.write_table(group, row_group_size=max(len(table), 1))


def units_of(sd: SpikeData, fs_Hz: float | None) -> tuple[Columns, list[str]]:
    """Return the table of units, and the names of attributes that are NumPy arrays."""
    pa, own, arrays = pyarrow_modules("to_parquet")[0], {}, []
    for key, column in sd.unit_table.columns.items():
        array = _attribute(column) if isinstance(key, str) and key not in OWN else None
        if array is not None:
            own[key] = array
            is_array = any(isinstance(v, np.ndarray) for v in column.known.values())
            arrays += [key] * is_array
    values = {key: array.to_pylist() for key, array in own.items()}
    columns = unit_columns(sd, values, fs_Hz)
    made = {}
    for name, cells in columns.items():
        kind = pa.int64() if name in ("unit", "n_spikes", "electrode") else pa.float64()
        if any(isinstance(cell, str) for cell in cells):
            kind = pa.string()
        made[name] = own[name] if values.get(name) == cells else pa.array(cells, kind)
    return made, arrays


def _attribute(column: Column) -> Any:
    """Return an attribute of all units as an Arrow array, None if it has no type."""
    pa, _ = pyarrow_modules("to_parquet")
    known = column.known
    kinds = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    kind = {**kinds, "str": pa.string()}.get(column.kind)
    values = [known.get(unit) for unit in range(len(column.values))]
    if column.kind == "array":
        dtypes = {getattr(value, "dtype", None) for value in known.values()}
        kind = None
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


def parsed_units_table(table: Any, arrays: Sequence[str]) -> UnitsTable:
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
            used = {"slice", "unit", "rate", *TIME_COLUMNS}
            found = {n: n.strip().lower() for n in schema.names}
            is_tall = "unit" in found.values() and bool(
                set(found.values()) & set(TIME_COLUMNS)
            )
            wanted = [n for n, name in found.items() if name in used]
            return file.read(wanted if is_tall else None), about
    except (pa.ArrowException, ValueError) as error:
        raise FormatError(f"it cannot be read as Parquet: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise FormatError(f"it is damaged: {error}") from error


def read_table(
    table: Any,
    about: Mapping[str, Any],
    known: UnitsTable | None,
    options: TableOptions,
) -> DataObject:
    """Return the object in an Arrow table, of which `about` is what is in no row."""
    names = [name.strip().lower() for name in table.column_names]
    time = next((name for name in names if name in TIME_COLUMNS), "")
    kind = about.get("class", "SpikeData" if "unit" in names else "RateData")
    columns = dict(zip(names, table.columns, strict=True))
    if kind == UNITS or (kind in ("SpikeData", "RateData") and not time):
        what = "is a table of units" if "unit" in names else "has no column of times"
        raise FormatError(
            f"it {what}; spikes have the columns unit and time_ms, and another file as "
            "units_table"
        )
    if kind == "SpikeData":
        table_of_units = _known_units(about, known)
        units, times = _numbers(columns["unit"], "i"), _times(columns[time], time)
        return table_of_units.recording(units, times, time, options)
    if kind == "SpikeSliceStack":
        return _spike_slices(columns, time, about, options)
    if kind == "RateData":
        return _rates(table, names, about, options)
    if kind == "RateSliceStack":
        n_units, n_bins, n_slices = _shape_of(about)
        _check_order(columns["slice"], n_slices, n_units * n_bins)
        stack = _shaped(columns["rate"], n_slices, n_bins, n_units)
        return build(
            RateSliceStack,
            event_matrix=np.ascontiguousarray(stack.transpose(2, 1, 0)),
            times_start_to_end=list(map(tuple, about["times"])),
            step_size=about["step_size"],
        )
    if kind == "PairwiseCompMatrixStack":
        n_units, _, n_windows = _shape_of(about)
        _check_order(columns["window"], n_windows, n_units**2)
        stack = _shaped(columns["value"], n_windows, n_units, n_units)
        return build(
            PairwiseCompMatrixStack,
            stack=np.ascontiguousarray(stack.transpose(1, 2, 0)),
            labels=about["labels"],
            times=about["times"] and list(map(tuple, about["times"])),
        )
    if kind == "PairwiseCompMatrix":
        values = [_shaped(column, len(table)) for column in table.columns[1:]]
        matrix = (
            np.array(values, dtype=about["dtype"]).reshape(len(values), len(table)).T
        )
        return build(PairwiseCompMatrix, matrix=matrix, labels=about["labels"])
    raise FormatError(f"it holds a {kind!r:.80}, which is not a class of spikelab")


def _known_units(about: Mapping[str, Any], known: UnitsTable | None) -> UnitsTable:
    """Return what the metadata of spikes, and a table of their units, say together."""
    window: dict[str, Any] = {
        n: about.get(n) for n in ("n_units", "start_time_ms", "length_ms")
    }
    own = UnitsTable(**window, fs_Hz=about.get("fs_Hz"))
    if known is None:
        return own
    for name, value in window.items():
        other = getattr(known, name)
        if None not in (value, other) and value != other:
            raise FormatError(
                f"spikes and table of units do not belong together: {name} is {value} "
                f"in the one and {other} in the other"
            )
    told = {
        n: v for n, v in attrs.asdict(own, recurse=False).items() if v not in (None, ())
    }
    return attrs.evolve(known, **told)


def _spike_slices(
    columns: Columns, time: str, about: Mapping[str, Any], options: TableOptions
) -> SpikeSliceStack:
    n_units, windows = about["n_units"], [UnitsTable(**w) for w in about["slices"]]
    slices, units = _numbers(columns["slice"], "i"), _numbers(columns["unit"], "i")
    for name, found, count in (
        ("slice", slices, len(windows)),
        ("unit", units, n_units),
    ):
        if found.size and not 0 <= found.min() <= found.max() < count:
            raise FormatError(f"column {name!r} must lie in 0..{count - 1}")
    unit_of_times = options.unit_of(time)
    times = options.to_ms(
        _times(columns[time], time), unit_of_times, about.get("fs_Hz")
    )
    rows = slices * n_units + units
    trains = SpikeTrains.from_pairs(rows, times, len(windows) * n_units)
    of_slice = TableOptions(fs_Hz=options.fs_Hz or about.get("fs_Hz"))
    stack, first = [], 0
    for i, window in enumerate(windows):
        ends = trains.ends[i * n_units : (i + 1) * n_units]
        last = int(ends[-1]) if n_units else first
        part = SpikeTrains(trains.flat[first:last], ends - first)
        stack.append(window.in_window(part, unit_of_times, of_slice))
        first = last
    return build(
        SpikeSliceStack,
        spike_stack=stack,
        times_start_to_end=list(map(tuple, about["times"])),
    )


def _rates(
    table: Any, names: list[str], about: Mapping[str, Any], options: TableOptions
) -> RateData:
    time, *units = names
    if time not in TIME_COLUMNS or len(set(names)) < len(names):
        raise FormatError(f"it must begin with a column of times, got {names!r:.200}")
    in_order = [f"unit_{unit}" for unit in range(len(units))]
    order = in_order if set(in_order) == set(units) else units
    rates = [_numbers(table.column(names.index(name)), "f") for name in order]
    times = _times(table.column(0), time)
    return build(
        RateData,
        inst_Frate_data=np.array(rates).reshape(len(rates), len(times)),
        times=options.to_ms(times, options.unit_of(time), about.get("fs_Hz")),
        rate_unit=about.get("rate_unit"),
    )


def _times(column: Any, name: str) -> NDArray[Any]:
    return _numbers(column, "i" if name == "time_samples" else "f")


def _numbers(column: Any, kind: str) -> NDArray[Any]:
    """Return a column as int64 or float64; NaN is a missing float."""
    pa, _ = pyarrow_modules("load")
    try:
        numbers = column.cast(pa.int64() if kind == "i" else pa.float64())
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise FormatError(f"a column does not hold numbers: {error}") from error
    if kind == "i" and numbers.null_count:
        raise FormatError("a column of whole numbers has missing values")
    found: NDArray[Any] = numbers.to_numpy()
    return found if found.flags.writeable else found.copy()


def _shape_of(about: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the shape of a stack that the metadata say."""
    shape = about["shape"]
    if len(shape) != 3 or any(type(n) is not int or n < 0 for n in shape):
        raise FormatError(f"its metadata say the shape {shape!r:.80}")
    return (*shape,)


def _shaped(column: Any, *shape: int) -> NDArray[Any]:
    """Return a column as an array of the shape that the metadata say."""
    try:
        values: NDArray[Any] = column.to_numpy().reshape(shape)
    except (TypeError, ValueError) as error:
        raise FormatError(f"its values do not have the shape {shape}") from error
    return values


def _check_order(column: Any, count: int, rows: int) -> None:
    """Raise FormatError if a column is not each number in turn, `rows` times."""
    numbers = _numbers(column, "i")
    expected = np.repeat(np.arange(count if rows else 0), rows)
    if not np.array_equal(numbers, expected):
        raise FormatError("its rows must be in the order in which they were written")
