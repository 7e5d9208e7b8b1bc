"""CSV: tables for pandas, R and spreadsheets."""

import gzip
import io
import os
import reprlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, VerificationError, warn
from spikelab.formats import csv_text
from spikelab.formats.base import Loss, StrPath
from spikelab.formats.csv_parts import (
    STACKS,
    check_labels,
    check_real,
    losses_of_stack,
    matrices_text,
    matrix_text,
    parsed_matrix,
    parsed_units,
    reason_of_attribute,
    units_text,
)
from spikelab.formats.functions import export_function, spikedata_loader
from spikelab.formats.reading import build, errors_naming
from spikelab.formats.table_writer import TableWriter, bin_starts
from spikelab.formats.units_table import (
    TIME_COLUMNS,
    TableOptions,
    UnitsTable,
    read_files,
)
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit

__all__ = ["CSVWriter", "export_spikedata_to_csv", "load_spikedata_from_csv"]

_BLOCK = 2**15
"""Number of rows whose text is made at a time, in a few megabytes."""

_OF_MATRICES = ["window", "row", "column", "value"]


@attrs.frozen(kw_only=True)
class CSVWriter(TableWriter):
    r"""Write a data object as a CSV table.

    Plain UTF-8 text with one header line, ``\n`` at the end of each line, no index and
    no comments. Times, rates and values are the shortest decimals that give back the
    same float. A name that ends with ``.gz`` compresses.

    ============================ ================================================
    Object                       Columns
    ============================ ================================================
    ``SpikeData``                ``unit,time_ms``: a row per spike, unit after unit
    ``SpikeSliceStack``          ``slice,unit,time_ms``, on the clock of each slice
    ``RateData``                 ``time_ms,unit_0,unit_1,...``
    ``RateSliceStack``           ``slice,time_ms,unit,rate``, times of the recording
    ``PairwiseCompMatrix``       ``label,<labels>``, or ``unit,0,1,...``: a square
    ``PairwiseCompMatrixStack``  ``window,row,column,value``, by label or number
    ============================ ================================================

    The three stacks are written, and not read back: their windows are not in the file.

    Notes
    -----
    A str is written as it is, quoted as RFC 4180 says. A spreadsheet runs a cell that
    starts with ``=``, ``+``, ``-`` or ``@`` as a formula: look at attributes and labels
    from people that you do not know before you open them there.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import CSVWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_csv("spikes.csv", units_table="units.csv")
    'spikes.csv'
    >>> CSVWriter(units_table="units.csv").write(sd, "spikes.csv")
    'spikes.csv'
    """

    method: ClassVar[str] = "to_csv"

    def _check_format(self, obj: DataObject) -> None:
        super()._check_format(obj)
        if isinstance(obj, RateSliceStack):
            check_real(obj.event_stack)
        elif isinstance(obj, PairwiseCompMatrix):
            check_real(obj.matrix)
            check_labels(obj.labels, in_header=True)
        elif isinstance(obj, PairwiseCompMatrixStack):
            check_real(obj.stack)
            check_labels(obj.labels, in_header=False)

    def _write(self, obj: DataObject, staged: Path) -> None:
        if isinstance(obj, SpikeData) and self.units_table is None:
            _warn_of_missing_table(obj)
        with staged.open("wb") as file:
            file.writelines(text.encode() for text in self._text(obj))

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        with staged.open("wb") as file:
            file.write(units_text(sd, self.fs_Hz).encode())

    def _finish(self, staged: Path, target: StrPath) -> None:
        """Compress a staged file whose target has the name of a compressed one."""
        if not os.fspath(target).lower().endswith(".gz"):
            return
        with tempfile.TemporaryFile(dir=staged.parent) as packed:
            with (
                staged.open("rb") as plain,
                gzip.GzipFile("", "wb", 6, packed, mtime=0) as file,
            ):
                shutil.copyfileobj(plain, file)
            packed.seek(0)
            with staged.open("wb") as finished:
                shutil.copyfileobj(packed, finished)

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None = None
    ) -> DataObject:
        if not isinstance(obj, STACKS):
            return _read_files(staged, units, TableOptions(fs_Hz=self.fs_Hz))
        with csv_text.opened(staged) as file:
            same = all(file.read(len(text)) == text for text in self._text(obj))
            if not same or file.read(1):
                raise VerificationError(
                    "to_csv: the staged file differs from the object, nothing was "
                    "published: its rows are others"
                )
        return obj

    def _text(self, obj: DataObject) -> Iterator[str]:
        """Yield the text of a table in parts, the header first."""
        time = f"time_{self.time_unit}"
        if isinstance(obj, SpikeData):
            yield f"unit,{time}\n"
            yield from self._spikes(obj, "")
        elif isinstance(obj, SpikeSliceStack):
            yield f"slice,unit,{time}\n"
            for i, sd in enumerate(obj):
                yield from self._spikes(sd, f"{i},")
        elif isinstance(obj, RateData):
            yield csv_text.line([time, *(f"unit_{unit}" for unit in range(obj.N))])
            step = max(_BLOCK // (obj.N + 1), 1)
            for first in range(0, len(obj.times), step):
                part = slice(first, first + step)
                yield _lines(
                    self._in_unit(obj.times[part]), *obj.inst_Frate_data[:, part]
                )
        elif isinstance(obj, RateSliceStack):
            yield f"slice,{time},unit,rate\n"
            yield from self._rate_slices(obj)
        elif isinstance(obj, PairwiseCompMatrix):
            yield from matrix_text(obj)
        elif isinstance(obj, PairwiseCompMatrixStack):
            yield from matrices_text(obj)

    def _spikes(self, sd: SpikeData, prefix: str) -> Iterator[str]:
        """Yield one line per spike: `prefix`, unit and time, unit after unit."""
        for unit, times in enumerate(sd.spike_trains):
            begin = f"{prefix}{unit},"
            for first in range(0, len(times), _BLOCK):
                values = self._in_unit(times[first : first + _BLOCK]).tolist()
                yield begin + f"\n{begin}".join(map(repr, values)) + "\n"

    def _rate_slices(self, stack: RateSliceStack) -> Iterator[str]:
        """Yield one line per slice, time bin and unit."""
        n_units, n_bins, _ = stack.event_stack.shape
        step = max(_BLOCK // max(n_units, 1), 1)
        for i, starts in enumerate(bin_starts(stack)):
            for first in range(0, n_bins, step):
                rates = stack.event_stack[:, first : first + step, i]
                times = self._in_unit(starts[first : first + step])
                yield _lines(
                    np.full(rates.size, i),
                    np.repeat(times, n_units),
                    np.tile(np.arange(n_units), len(times)),
                    rates.T.astype(np.float64).ravel(),
                )

    def _carried(self, obj: DataObject) -> DataObject:
        if isinstance(obj, SpikeData):
            trains, n_units, known = obj.spike_trains, obj.N, UnitsTable()
            if self.units_table is not None:
                known = parsed_units(io.StringIO(units_text(obj, self.fs_Hz)))
            else:
                with_spikes = np.flatnonzero(trains.counts)
                n_units = int(with_spikes[-1]) + 1 if with_spikes.size else 0
            trains = SpikeTrains(trains.flat, trains.ends[:n_units])
            return known.in_window(trains, "ms", TableOptions())
        if isinstance(obj, RateData):
            return RateData(obj.inst_Frate_data, obj.times.astype(np.float64))
        if isinstance(obj, PairwiseCompMatrix):
            file = io.StringIO("".join(matrix_text(obj)))
            return parsed_matrix(csv_text.header(file), file)
        return obj

    def _losses(self, obj: DataObject) -> list[Loss]:
        losses = super()._losses(obj)
        if isinstance(obj, STACKS):
            return losses + losses_of_stack(obj)
        if losses and isinstance(obj, SpikeData) and self.units_table is None:
            # The window is inferred from the times, which may be rounded.
            losses += [Loss(("start_time",)), Loss(("length",))]
        return losses

    def _reason(self, obj: DataObject, path: tuple[Any, ...]) -> str:
        is_unit = path[0] == "neuron_attributes" and self.units_table is not None
        if is_unit and isinstance(obj, SpikeData):
            return reason_of_attribute(obj.unit_table, *path[1:])
        return super()._reason(obj, path)

    def _dtype(self, array: NDArray[Any]) -> str:
        return "int64 or float64" if array.ndim > 1 else "float64"


export_spikedata_to_csv = export_function(CSVWriter, "export_spikedata_to_csv")


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is compressed, or has the name of a CSV table."""
    name = path.name.lower()
    return head[:2] == b"\x1f\x8b" or name.endswith((".csv", ".csv.gz"))


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
    """Load a CSV table of spikes, of rates, or of a comparison.

    The header says what the table holds, see :class:`.CSVWriter`. Names of columns are
    compared without surrounding blanks and capitals. Spikes may be in any order, among
    further columns.

    Parameters
    ----------
    filepath : path or S3 URL
        The file, compressed or not.
    units_table : path or S3 URL, optional
        The table of units that was written with spikes. Without it there are as many
        units as the largest number of a unit plus one, and the recording goes from 0,
        or the first spike if that is negative, to the last spike.
    time_unit : {"ms", "s", "samples"}, optional
        Unit of the times, for a column that is called ``time`` only.
    fs_Hz : float, optional
        Sampling rate, needed for samples if the table of units does not hold it.
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
        A SpikeData, RateData or PairwiseCompMatrix.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not such a table, holds a stack or a table of units, or does not
        belong to the table of units.
    ValueError
        If an argument is wrong or missing.

    Examples
    --------
    >>> from spikelab import SpikeData, load_spikedata_from_csv
    >>> SpikeData([[12.5, 430.0]]).to_csv("spikes.csv")
    'spikes.csv'
    >>> load_spikedata_from_csv("spikes.csv", length_ms=1000.0)
    SpikeData(N=1, spikes=2, window=0.0 to 1000.0 ms)
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


load_spikedata_from_csv = spikedata_loader(read, "load_spikedata_from_csv")


def _read_files(path: Path, units: Path | None, options: TableOptions) -> DataObject:
    """Read a table by what its header says."""
    known = UnitsTable()
    if units is not None:
        with errors_naming(units), csv_text.opened(units) as file:
            known = parsed_units(file)
    with errors_naming(path), csv_text.opened(path) as file:
        columns = csv_text.header(file)
        names = csv_text.folded(columns)
        time = next((name for name in names if name in TIME_COLUMNS), None)
        if names == _OF_MATRICES or (time and "slice" in names):
            raise FormatError(
                "it holds the rows of a stack without its windows, so that the stack "
                "cannot be loaded; to_hdf5 and to_pickle keep it"
            )
        if time and "unit" in names:
            places = [names.index("unit"), names.index(time)]
            unit = np.int64 if time == "time_samples" else np.float64
            units_, times = csv_text.numbers(file, places, (np.int64, unit))
            return known.recording(units_, times, time, options)
        if time and names[0] == time:
            return _rates(file, names, options)
        if names[0] == "label" or columns == ["unit", *map(str, range(len(names) - 1))]:
            return parsed_matrix(columns, file)
        if not time and "unit" in names:
            raise FormatError(
                "it is a table of units; load the file of their spikes, and name this "
                "one as units_table"
            )
        wanted = "'unit'" if time else "time_ms, time_s or time_samples"
        raise FormatError(
            f"it must have a column {wanted}, got {reprlib.repr(columns)}"
        )


def _rates(file: IO[str], names: list[str], options: TableOptions) -> RateData:
    """Read a column of times, and the rates in those after it, in the order of units."""
    if len(set(names)) < len(names):
        raise FormatError("it must have columns of different names")
    in_order = [f"unit_{unit}" for unit in range(len(names) - 1)]
    if set(in_order) != set(names[1:]):
        in_order = names[1:]
    places = [0, *(names.index(name) for name in in_order)]
    is_whole = names[0] == "time_samples"
    dtypes = [np.int64 if is_whole else np.float64, *[np.float64] * len(in_order)]
    times, *rates = csv_text.numbers(file, places, dtypes)
    unit = options.unit_of(names[0])
    return build(
        RateData,
        inst_Frate_data=np.array(rates).reshape(len(rates), len(times)),
        times=options.to_ms(times, unit),
    )


def _lines(*columns: NDArray[Any]) -> str:
    """Return the rows of columns of numbers as text."""
    texts = [map(repr, column.tolist()) for column in columns]
    text = "\n".join(map(",".join, zip(*texts, strict=True)))
    return f"{text}\n" if text else ""


def _warn_of_missing_table(sd: SpikeData) -> None:
    """Say what of a recording a reader of its spikes alone would not know."""
    with_spikes = np.flatnonzero(sd.spike_trains.counts)
    silent = sd.N - (int(with_spikes[-1]) + 1 if with_spikes.size else 0)
    missing = [f"{silent} silent units after the last one with spikes"] * (silent > 0)
    if sd.start_time:
        missing.append(f"the start of the recording at {sd.start_time} ms")
    if missing:
        text = " and ".join(missing)
        warn(f"to_csv: {text} are not in the file; units_table keeps them")
