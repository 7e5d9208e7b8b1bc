"""Parquet: typed, compressed tables for pandas, polars, DuckDB, Spark and R."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.arrow import (
    arrow_table,
    native,
    numbers_of,
    opened,
    pyarrow,
    write_file,
)
from spikelab.formats.functions import export_function, show_options, spikedata_loader
from spikelab.formats.reading import build, errors_naming
from spikelab.formats.table_reading import (
    TableKeywords,
    TableOptions,
    dtype_of,
    folded,
    read_files,
    recording,
    spikes_or_rates,
    time_column,
)
from spikelab.formats.tables import (
    ARRAYS,
    TableWriter,
    has_column,
    labels_of,
    values_of,
    window_of,
)
from spikelab.formats.units_table import RecordingFacts, unit_columns
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject, data_class
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import Column
from spikelab.storage.urls import StrPath

__all__ = [
    "ParquetWriter",
    "export_spikedata_to_parquet",
    "load_spikedata_from_parquet",
]

_UNITS = "units of a SpikeData"
"""What a table of units calls itself in the place of a class."""


@attrs.frozen(kw_only=True)
class ParquetWriter(TableWriter):
    """Write a data object as a Parquet table.

    ============================ ==================================================
    Object                       Columns
    ============================ ==================================================
    ``SpikeData``                ``unit``, ``time_ms``: a row per spike, by unit
    ``SpikeSliceStack``          ``slice``, ``unit``, ``time_ms`` in the slice
    ``RateData``                 ``time_ms``, ``unit_0``, ``unit_1``, ...
    ``RateSliceStack``           ``slice``, ``time_ms``, ``unit``, ``rate``
    ``PairwiseCompMatrix``       ``label``, and a column per label: a square
    ``PairwiseCompMatrixStack``  ``window``, ``row``, ``column``, ``value``
    ============================ ==================================================

    Numbers of units, slices and windows are int32, times float64 (in samples int64);
    values keep their type. The key ``spikelab`` of the schema's metadata is JSON of what
    is in no row (number of units, windows, labels), so that silent units and windows
    come back without a second file. In the table of units, attributes are columns of
    bool, int64, float64, str, or lists of these; missing ones are null.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import ParquetWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_parquet("spikes.parquet")
    'spikes.parquet'
    >>> ParquetWriter(verify=True).write(sd, "spikes.parquet")
    'spikes.parquet'
    """

    method: ClassVar[str] = "to_parquet"
    title: ClassVar[str] = "Parquet"
    rows_per_block: ClassVar[int] = 2**17  # a row group; a unit is in few of them
    values_per_block: ClassVar[int] = 2**22
    missing_is: ClassVar[str] = "null"
    cells_hold: ClassVar[str] = (
        "a column holds bool, int64, float64, str, or lists of one"
    )

    def _prepared(self, obj: DataObject) -> DataObject:
        pyarrow(self.method)
        return super()._prepared(obj)

    def _write(self, obj: DataObject, staged: Path) -> None:
        about = _about(obj)
        if self.fs_Hz is not None:
            about["fs_Hz"] = float(self.fs_Hz)
        write_file(staged, map(arrow_table, self._columns(obj)), about)

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        table, arrays = _units_of(sd, self.fs_Hz)
        about = {"class": _UNITS, **window_of(sd), "arrays": arrays}
        write_file(staged, [table], about)

    def _names(
        self, pcm: PairwiseCompMatrix | PairwiseCompMatrixStack
    ) -> tuple[str, NDArray[Any]]:
        numbers = list(map(str, range(len(values_of(pcm)))))
        labels = labels_of(pcm)
        names = numbers if labels is None else list(map(str, labels))
        is_distinct = len({*names, "label"}) > len(names)
        return "label", np.array(names if is_distinct else numbers, dtype=object)

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None
    ) -> DataObject:
        return _read_files(staged, units, TableOptions())

    def _known(self, sd: SpikeData) -> RecordingFacts:
        known = RecordingFacts(**window_of(sd))
        if self.units_table is None:
            return known
        return _parsed_units(*_units_of(sd, self.fs_Hz)).joined(known)

    def _held(self, values: NDArray[Any]) -> NDArray[Any]:
        return native(values) if values.ndim > 1 else values.astype(np.float64)


export_spikedata_to_parquet = export_function(
    ParquetWriter, "export_spikedata_to_parquet"
)


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file begins as Parquet."""
    return head[:4] == b"PAR1"


def read(filepath: StrPath, **options: Unpack[TableKeywords]) -> DataObject:
    """Load a Parquet table of spikes, rates or comparisons.

    Files of other programs need columns ``unit`` and ``time_ms``, ``time_s`` or
    ``time_samples``, in any order of rows, or begin with the times of rates.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    {options}

    Returns
    -------
    data object
        One of the six data classes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not such a table, or does not belong to the table of units.
    ValueError
        If an argument is wrong or missing.
    MissingExtraError
        If pyarrow is not installed.

    Examples
    --------
    >>> from spikelab import SpikeData, load_spikedata_from_parquet
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load_spikedata_from_parquet(sd.to_parquet("spikes.parquet"))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    return read_files(_read_files, filepath, TableOptions(**options))


show_options(read, TableKeywords, [TableOptions])
load_spikedata_from_parquet = spikedata_loader(read, "load_spikedata_from_parquet")


def _about(obj: DataObject) -> dict[str, Any]:
    """Return what of an object is in no row of its table."""
    about: dict[str, Any] = {"class": data_class(obj).__name__}
    if isinstance(obj, SpikeData):
        return about | window_of(obj)
    if isinstance(obj, SpikeSliceStack):
        slices = [window_of(sd) for sd in obj.spike_stack]
        return about | {"n_units": obj.N, "times": obj.times, "slices": slices}
    if isinstance(obj, RateData):
        return about | {"rate_unit": obj.rate_unit}
    array = values_of(obj)
    about |= {"shape": array.shape, "dtype": native(array).dtype.str}
    for name in ("times", "step_size"):
        if hasattr(obj, name):
            about[name] = getattr(obj, name)
    if hasattr(obj, "labels"):
        about["labels"] = labels_of(obj)
    return about


def _units_of(sd: SpikeData, fs_Hz: float | None) -> tuple[Any, list[str]]:
    """Return the table of units, and the names of attributes that are NumPy arrays."""
    pa = pyarrow("to_parquet")
    own, arrays = {}, []
    for key, column in sd.unit_table.columns.items():
        array = _attribute(column) if has_column(key) else None
        if array is not None:
            own[key] = array
            if any(isinstance(value, np.ndarray) for value in column.known.values()):
                arrays.append(key)
    values = {key: array.to_pylist() for key, array in own.items()}
    columns = {}
    for name, cells in unit_columns(sd, values, fs_Hz).items():
        if name in own:
            columns[name] = own[name]
        elif any(isinstance(cell, str) for cell in cells):
            columns[name] = pa.array(cells, pa.string())
        elif name in ("unit", "n_spikes", "electrode"):
            columns[name] = pa.array(cells, pa.int64())
        else:
            columns[name] = pa.array(cells, pa.float64())
    return pa.table(columns), arrays


def _attribute(column: Column) -> Any:
    """Return an attribute of all units as an Arrow array, None if it has no type."""
    pa = pyarrow("to_parquet")
    kinds = {
        "bool": pa.bool_(),
        "int": pa.int64(),
        "float": pa.float64(),
        "str": pa.string(),
    }
    known = list(column.known.values())
    if column.kind in kinds:
        kind = kinds[column.kind]
    elif column.kind != "array":
        return None
    elif all(isinstance(value, list) for value in known):
        kind = None  # Arrow finds the type
    else:
        dtype, *others = {getattr(value, "dtype", np.dtype(object)) for value in known}
        if others or dtype.kind not in "biuf":
            return None
        kind = pa.from_numpy_dtype(dtype)
        for _ in range(max(map(np.ndim, known))):
            kind = pa.list_(kind)
    cells = [column.known.get(unit) for unit in range(len(column.values))]
    plain = [x.tolist() if isinstance(x, np.ndarray) else x for x in cells]
    try:
        return pa.array(plain, kind)
    except (ValueError, TypeError, OverflowError, NotImplementedError):
        return None


def _parsed_units(table: Any, arrays: Sequence[str]) -> RecordingFacts:
    """Return what an Arrow table of units says."""
    pa = pyarrow("load")
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_pylist()
        if name in arrays:
            leaf = column.type
            while hasattr(leaf, "value_type"):
                leaf = leaf.value_type
            # Old versions of pyarrow need pandas for the dtype of a type, not of an array.
            dtype = pa.array([], leaf).to_numpy(zero_copy_only=False).dtype
            values = [None if v is None else np.array(v, dtype=dtype) for v in values]
        columns.append(values)
    return RecordingFacts.of_rows(table.column_names, zip(*columns, strict=True))


def _read_files(path: Path, units: Path | None, options: TableOptions) -> DataObject:
    """Read a table by what its metadata say, or by the names of its columns."""
    known = RecordingFacts()
    if units is not None:
        with errors_naming(units):
            table, about = opened(units)
            known = _parsed_units(table, about.get("arrays", ()))
    with errors_naming(path):
        table, about = opened(path)
        try:
            return _object_of(table, about, known, options)
        except FormatError:
            raise
        except (KeyError, TypeError, AttributeError, MemoryError) as error:
            raise FormatError(f"its metadata do not fit: {error!r:.200}") from error


def _object_of(
    table: Any, about: Mapping[str, Any], known: RecordingFacts, options: TableOptions
) -> DataObject:
    """Return the object in an Arrow table, of which `about` is what is in no row."""
    kind = about.get("class", "SpikeData")
    if kind == "SpikeSliceStack":
        return _spike_slices(table, about, options)
    if kind in ARRAYS:
        return _of_array(table, kind, about)
    if kind not in ("SpikeData", "RateData", _UNITS):
        raise FormatError(f"it holds a {kind!r:.80}, which is not a class of spikelab")
    own = ("n_units", "start_time_ms", "length_ms", "fs_Hz")
    known = known.joined(RecordingFacts(**{name: about.get(name) for name in own}))

    def read_columns(wanted: Mapping[int, type]) -> list[NDArray[Any]]:
        return [numbers_of(table.column(at), dtype) for at, dtype in wanted.items()]

    found = spikes_or_rates(folded(table.column_names), read_columns, known, options)
    if isinstance(found, RateData) and about.get("rate_unit") is not None:
        return build(RateData, **found.arguments() | {"rate_unit": about["rate_unit"]})
    return found


def _spike_slices(
    table: Any, about: Mapping[str, Any], options: TableOptions
) -> SpikeSliceStack:
    """Return the stack whose spikes are the rows of a table."""
    n_units, windows = about["n_units"], about["slices"]
    columns = dict(zip(folded(table.column_names), table.columns, strict=True))
    time = time_column(list(columns)) or "time_ms"
    slices, units = (numbers_of(columns[name], np.int64) for name in ("slice", "unit"))
    for name, found, count in (
        ("slice", slices, len(windows)),
        ("unit", units, n_units),
    ):
        if found.size and not 0 <= found.min() <= found.max() < count:
            raise FormatError(f"column {name!r} must lie in 0..{count - 1}")
    times = numbers_of(columns[time], dtype_of(time))
    # The trains of all slices, one after the other.
    rows = slices * n_units + units
    trains = SpikeTrains.from_pairs(rows, times, len(windows) * n_units)
    edges = [0, *trains.ends.tolist()]
    options = TableOptions(fs_Hz=options.fs_Hz or about.get("fs_Hz"))
    stack = []
    for i, window in enumerate(windows):
        first, last = edges[i * n_units], edges[(i + 1) * n_units]
        ends = trains.ends[i * n_units : (i + 1) * n_units] - first
        part = SpikeTrains(trains.flat[first:last], ends)
        stack.append(recording(RecordingFacts(**window), part, time, options))
    windows = list(map(tuple, about["times"]))
    return build(SpikeSliceStack, spike_stack=stack, times_start_to_end=windows)


def _of_array(table: Any, kind: str, about: Mapping[str, Any]) -> DataObject:
    """Return the object of a class that holds one array, from the rows of its values."""
    name, axes = ARRAYS[kind]
    cls, shape = DATA_CLASSES[kind], tuple(about["shape"])
    if kind == "PairwiseCompMatrix":
        columns = [column.to_numpy() for column in table.columns[1:]]
        values = np.array(columns, dtype=about["dtype"]).T
    else:
        values = table.columns[-1].to_numpy()
    is_shape = len(shape) == len(axes) and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape or values.size != math.prod(shape):
        raise FormatError(f"its values do not have the shape {shape!r:.80}")
    in_rows = values.reshape([shape[axis] for axis in axes])
    if in_rows.ndim == 3:
        slices = table.columns[0].to_numpy().reshape(in_rows.shape)
        if np.any(slices != np.arange(len(slices))[:, None, None]):
            raise FormatError(
                "its rows must be in the order in which they were written"
            )
    times = about.get("times")
    made = {
        name: np.ascontiguousarray(in_rows.transpose(np.argsort(axes))),
        "labels": about.get("labels"),
        "step_size": about.get("step_size"),
        "times": times if times is None else list(map(tuple, times)),
    }
    arguments = {a: made[field] for a, field in cls.FIELDS.items() if field in made}
    return build(cls, **arguments)
