"""Parquet: typed, compressed tables for pandas, polars, DuckDB, Spark and R."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.arrow_tables import (
    UNITS,
    Columns,
    about_of,
    arrow_table,
    held,
    labels_of,
    names_of,
    opened_table,
    parsed_units_table,
    pyarrow_modules,
    read_table,
    repeated,
    units_of,
    window_of,
    write_file,
)
from spikelab.formats.base import StrPath
from spikelab.formats.csv_parts import check_labels
from spikelab.formats.functions import export_function, spikedata_loader
from spikelab.formats.reading import build, errors_naming
from spikelab.formats.table_writer import TableWriter, bin_starts
from spikelab.formats.units_table import OWN, TableOptions, UnitsTable, read_files
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit

__all__ = [
    "ParquetWriter",
    "export_spikedata_to_parquet",
    "load_spikedata_from_parquet",
]

_ROWS = 2**17
"""Rows of spikes in a row group; a unit is read from the few groups that hold it."""

_VALUES = 2**22
"""Values in a row group of another table (32 MB as float64)."""


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

    def _check_format(self, obj: DataObject) -> None:
        super()._check_format(obj)
        pyarrow_modules(self.method)
        for name in ("event_stack", "matrix", "stack"):
            dtype = np.asarray(getattr(obj, name, 0)).dtype
            if dtype.kind not in "biuf" or dtype.itemsize > 8:
                raise ValueError(
                    f"{name} must hold real numbers to fit into Parquet, got {dtype}"
                )
        check_labels(labels_of(obj), where="Parquet")

    def _write(self, obj: DataObject, staged: Path) -> None:
        about = {"class": data_class(obj).__name__, **about_of(obj)}
        if self.fs_Hz is not None:
            about["fs_Hz"] = float(self.fs_Hz)
        write_file(staged, self._columns(obj), about)

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        columns, arrays = units_of(sd, self.fs_Hz)
        about = {"class": UNITS, **about_of(sd), "arrays": arrays}
        write_file(staged, iter([columns]), about)

    def _columns(self, obj: DataObject) -> Iterator[Columns]:
        """Yield the columns of a table, a row group at a time, at least one."""
        time = f"time_{self.time_unit}"
        if isinstance(obj, SpikeData):
            yield from self._spikes(obj, time)
        elif isinstance(obj, SpikeSliceStack):
            for i, sd in enumerate(obj):
                for columns in self._spikes(sd, time):
                    yield {"slice": repeated(i, len(columns["unit"])), **columns}
        elif isinstance(obj, RateData):
            step = max(_VALUES // (obj.N + 1), 1)
            for first in range(0, max(len(obj.times), 1), step):
                times = self._in_unit(obj.times[first : first + step])
                rates = obj.inst_Frate_data[:, first : first + step]
                yield {time: times} | {f"unit_{u}": row for u, row in enumerate(rates)}
        elif isinstance(obj, RateSliceStack):
            n_units, n_bins, _ = obj.event_stack.shape
            for i, starts in enumerate(bin_starts(obj)):
                yield {
                    "slice": repeated(i, n_units * n_bins),
                    time: np.repeat(self._in_unit(starts), n_units),
                    "unit": np.tile(np.arange(n_units, dtype=np.int32), n_bins),
                    "rate": obj.event_stack[:, :, i].T.ravel(),
                }
        elif isinstance(obj, PairwiseCompMatrix):
            names = names_of(obj)
            yield {"label": np.array(names, dtype=object)} | dict(
                zip(names, obj.matrix.T, strict=True)
            )
        elif isinstance(obj, PairwiseCompMatrixStack):
            edge = np.array(names_of(obj), dtype=object)
            for i in range(max(len(obj), 1)):
                values = obj.stack[:, :, i : i + 1].ravel()
                count = len(edge) if values.size else 0
                yield {
                    "window": repeated(i, count**2),
                    "row": np.repeat(edge[:count], count),
                    "column": np.tile(edge[:count], count),
                    "value": values,
                }

    def _spikes(self, sd: SpikeData, time: str) -> Iterator[Columns]:
        trains = sd.spike_trains
        for first in range(0, max(trains.n_spikes, 1), _ROWS):
            times = trains.flat[first : first + _ROWS]
            units = trains.unit_indices(first, first + len(times)).astype(np.int32)
            yield {"unit": units, time: self._in_unit(times)}

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None = None
    ) -> DataObject:
        return _read_files(staged, units, TableOptions())

    def _carried(self, obj: DataObject) -> DataObject:
        if isinstance(obj, SpikeData):
            known = UnitsTable(**window_of(obj))
            if self.units_table is not None:
                columns, arrays = units_of(obj, self.fs_Hz)
                known = parsed_units_table(arrow_table(columns), arrays)
            trains = SpikeTrains(obj.spike_trains.flat, obj.spike_trains.ends)
            return attrs.evolve(known, **window_of(obj)).in_window(
                trains, "ms", TableOptions()
            )
        arguments = obj.arguments()
        changed: dict[str, Any] = {"neuron_attributes": None, "metadata": {}}
        if isinstance(obj, SpikeSliceStack):
            bare = attrs.evolve(self, units_table=None)
            changed["spike_stack"] = [bare._carried(sd) for sd in obj]
        elif isinstance(obj, RateData):
            changed["times"] = obj.times.astype(np.float64)
        elif isinstance(obj, RateSliceStack):
            changed["event_matrix"] = held(obj.event_stack)
        elif isinstance(obj, PairwiseCompMatrix):
            changed |= {"matrix": held(obj.matrix), "labels": labels_of(obj)}
        elif isinstance(obj, PairwiseCompMatrixStack):
            changed |= {"stack": held(obj.stack), "labels": labels_of(obj)}
        return build(
            data_class(obj), **{k: changed.get(k, arguments[k]) for k in arguments}
        )

    def _reason(self, obj: DataObject, path: tuple[Any, ...]) -> str:
        is_unit = path[0] == "neuron_attributes" and self.units_table is not None
        if not is_unit or not isinstance(obj, SpikeData):
            return super()._reason(obj, path)
        _, key, unit = path
        row = obj.unit_table.rows[unit]
        reason = "a column holds bool, int64, float64, str, or lists of one of these"
        if key not in row:  # it is there instead of another one
            return ""
        if not isinstance(key, str):
            reason = "the name of a column is a str"
        elif key in OWN:
            reason = "the table has a column of this name for itself"
        elif row[key] is None:
            reason = "None is null, as if the attribute were missing"
        return f"neuron_attributes[{key!r}] ({reason})"

    def _dtype(self, array: NDArray[Any]) -> str:
        return "float64" if array.ndim == 1 else str(held(array).dtype)


export_spikedata_to_parquet = export_function(
    ParquetWriter, "export_spikedata_to_parquet"
)


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file begins as Parquet."""
    return head[:4] == b"PAR1"


def read(
    filepath: StrPath,
    *,
    units_table: StrPath | None = None,
    time_unit: TimeUnit | None = None,
    fs_Hz: float | None = None,
    length_ms: float | None = None,
    start_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> DataObject:
    """Load a Parquet table of spikes, rates or comparisons.

    Files of other programs need columns ``unit`` and ``time_ms``, ``time_s`` or
    ``time_samples``, in any order of rows, or begin with the times of rates.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    units_table : path or S3 URL, optional
        The table of units that was written with spikes.
    time_unit : {"ms", "s", "samples"}, optional
        Unit of the times, for a column that is called ``time`` only.
    fs_Hz : float, optional
        Sampling rate, needed for samples if the file does not hold it.
    length_ms, start_time_ms : float, optional
        The recording window in ms; goes before what the files say.
    metadata : mapping, optional
        Metadata of the recording; ``source_file`` is added.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

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
    options = TableOptions(
        time_unit=time_unit,
        fs_Hz=fs_Hz,
        length_ms=length_ms,
        start_time_ms=start_time_ms,
        metadata=metadata,
    )
    return read_files(
        _read_files, filepath, units_table, options, storage_options, progress=progress
    )


def _read_files(path: Path, units: Path | None, options: TableOptions) -> DataObject:
    """Read a table by what its metadata say, or by the names of its columns."""
    known: UnitsTable | None = None
    if units is not None:
        with errors_naming(units):
            table, about = opened_table(units)
            known = parsed_units_table(table, about.get("arrays", ()))
    with errors_naming(path):
        table, about = opened_table(path)
        try:
            return read_table(table, about, known, options)
        except (KeyError, TypeError, AttributeError, MemoryError) as error:
            raise FormatError(f"its metadata do not fit: {error!r:.200}") from error


load_spikedata_from_parquet = spikedata_loader(read, "load_spikedata_from_parquet")
