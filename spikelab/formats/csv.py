"""CSV: tables for pandas, R and spreadsheets."""

import gzip
import io
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Unpack

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, VerificationError, collected_warnings
from spikelab.formats import csv_text
from spikelab.formats.base import recordings_of
from spikelab.formats.csv_text import cell, fits, line
from spikelab.formats.functions import export_function, show_options, spikedata_loader
from spikelab.formats.reading import build, errors_naming
from spikelab.formats.table_reading import (
    TableKeywords,
    TableOptions,
    folded,
    read_files,
    spikes_or_rates,
    time_column,
)
from spikelab.formats.tables import (
    REASONS,
    Columns,
    TableWriter,
    has_column,
    labels_of,
    values_of,
    window_of,
)
from spikelab.formats.units_table import AXES, PLACES, RecordingFacts, unit_columns
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import UnitTable
from spikelab.storage.urls import StrPath

__all__ = ["CSVWriter", "export_spikedata_to_csv", "load_spikedata_from_csv"]

_STACKS = (SpikeSliceStack, RateSliceStack, PairwiseCompMatrixStack)
"""The classes whose tables are not read back."""


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
    title: ClassVar[str] = "CSV"
    rows_per_block: ClassVar[int] = 2**15
    values_per_block: ClassVar[int] = 2**15
    missing_is: ClassVar[str] = "an empty cell"
    cells_hold: ClassVar[str] = "cells hold numbers, bool and str"
    not_written: ClassVar[tuple[str, ...]] = (*TableWriter.not_written, "rate_unit")

    def _not_in_file(self, obj: DataObject) -> dict[str, str]:
        """Return what the spikes alone do not tell of a recording, by its reason."""
        missing: dict[str, str] = {}
        if isinstance(obj, SpikeData) and self.units_table is None:
            silent = obj.N - _n_known(obj)
            if silent:
                reason = REASONS["train"]
                missing[reason] = f"{silent} {reason}"
            if obj.start_time:
                reason = REASONS["start_time"]
                missing[reason] = f"{reason} from its start at {obj.start_time} ms"
        return missing

    def _cautions(self, obj: DataObject) -> Iterator[str]:
        missing = self._not_in_file(obj)
        if missing:
            yield f"to_csv: {' and '.join(missing.values())} are not in the file"

    def _warned_losses(self, obj: DataObject) -> list[str]:
        return list(self._not_in_file(obj))

    def _write(self, obj: DataObject, staged: Path) -> None:
        with staged.open("wb") as file:
            file.writelines(text.encode() for text in self._text(obj))

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        staged.write_bytes(_units_text(sd, self.fs_Hz).encode())

    def _compress(self, staged: Path, target: StrPath) -> None:
        """Compress a staged file whose target has the name of a compressed one."""
        if os.fspath(target).lower().endswith(".gz"):
            with tempfile.TemporaryFile(dir=staged.parent) as plain:
                with staged.open("rb") as file:
                    shutil.copyfileobj(file, plain)
                plain.seek(0)
                with (
                    staged.open("wb") as packed,
                    gzip.GzipFile("", "wb", 6, packed, mtime=0) as sink,
                ):
                    shutil.copyfileobj(plain, sink)

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None
    ) -> DataObject:
        if not isinstance(obj, _STACKS):
            with collected_warnings(shown=False):  # they are for files of others
                return _read_files(staged, units, TableOptions(fs_Hz=self.fs_Hz))
        with csv_text.opened(staged) as file:
            same = all(file.read(len(text)) == text for text in self._text(obj))
            if not same or file.read(1):
                raise VerificationError(
                    "to_csv: the staged file differs from the object, nothing was "
                    "published: its rows are others"
                )
        return self._carried(obj)

    def _text(self, obj: DataObject) -> Iterator[str]:
        """Yield the text of a table in parts, the header first."""
        blocks = self._columns(obj)
        first = next(blocks)
        yield line(name for name, _ in first)
        recordings = recordings_of(obj)
        for i, sd in enumerate(recordings):
            # Unit after unit, which is faster than by columns: only times differ.
            for unit, times in enumerate(sd.spike_trains):
                begin = f"{unit}," if sd is obj else f"{i},{unit},"
                for start in range(0, len(times), self.rows_per_block):
                    values = self._in_unit(
                        times[start : start + self.rows_per_block]
                    ).tolist()
                    yield begin + f"\n{begin}".join(map(repr, values)) + "\n"
        if not recordings:
            yield from map(_rows, itertools.chain([first], blocks))

    def _names(
        self, pcm: PairwiseCompMatrix | PairwiseCompMatrixStack
    ) -> tuple[str, NDArray[Any]]:
        labels = labels_of(pcm)
        if labels is None:
            return "unit", np.arange(len(values_of(pcm)))
        return "label", np.array(labels, dtype=object)

    def _known(self, sd: SpikeData) -> RecordingFacts:
        if self.units_table is not None:
            return _parsed_units(io.StringIO(_units_text(sd, self.fs_Hz)))
        return RecordingFacts(n_units=_n_known(sd))

    def _held(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.ndim == 3:  # of a stack, which is not read
            return values
        if values.dtype.kind == "f" or values.ndim == 1:
            return values.astype(np.float64, copy=False)
        return csv_text.values(values.ravel().tolist()).reshape(values.shape)

    def _losses(self, obj: DataObject) -> list[str]:
        losses = super()._losses(obj)
        if isinstance(obj, _STACKS):
            why = "its windows are not in the table, so it is not loaded"
            losses.insert(0, f"that it is a stack: {why}")
        return losses

    def _reason_of_cell(self, table: UnitTable, key: Any, unit: int) -> str:
        row, place = table.rows[unit], table.locations[unit]
        if key not in PLACES or row.get(key) is None or place is None:
            return super()._reason_of_cell(table, key, unit)
        if any(axis in table.columns for axis in AXES):
            return "x, y and z are attributes themselves"
        location = row.get("location")
        if key == "location" or isinstance(location, str):
            return "it comes back as a list of numbers"
        if location is None:
            return "it comes back as 'location'"
        return "the unit has a location, which comes back"


export_spikedata_to_csv = export_function(CSVWriter, "export_spikedata_to_csv")


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is compressed, or has the name of a CSV table."""
    name = path.name.lower()
    return head[:2] == b"\x1f\x8b" or name.endswith((".csv", ".csv.gz"))


def read(filepath: StrPath, **options: Unpack[TableKeywords]) -> DataObject:
    """Load a CSV table of spikes, of rates, or of a comparison.

    The header says what the table holds, see :class:`.CSVWriter`. Names of columns are
    compared without surrounding blanks and capitals. Spikes may be in any order, among
    further columns. A column such as ``neuron`` or ``cluster_id`` is taken for ``unit``,
    with a warning, and its values become ids of the units. Without the table of units
    there are as many units as the largest number of a unit plus one, and the recording
    goes from 0, or the first spike if that is negative, to the last spike.

    Parameters
    ----------
    filepath : path or S3 URL
        The file, compressed or not.
    {options}

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
    return read_files(_read_files, filepath, TableOptions(**options))


show_options(read, TableKeywords, [TableOptions])
load_spikedata_from_csv = spikedata_loader(read, "load_spikedata_from_csv")


def _read_files(path: Path, units: Path | None, options: TableOptions) -> DataObject:
    """Read a table by what its header says."""
    known = RecordingFacts()
    if units is not None:
        with errors_naming(units), csv_text.opened(units) as file:
            known = _parsed_units(file)
    with errors_naming(path), csv_text.opened(path) as file:
        columns = csv_text.header(file)
        names = folded(columns)
        time = time_column(names)
        if names == ["window", "row", "column", "value"] or (time and "slice" in names):
            raise FormatError(
                "it holds the rows of a stack without its windows, so that the stack "
                "cannot be loaded; to_hdf5 and to_pickle keep it"
            )
        if _is_matrix(columns):
            return _parsed_matrix(columns, file)
        start = file.tell()

        def read_columns(wanted: Mapping[int, type]) -> list[NDArray[Any]]:
            file.seek(start)
            return csv_text.read_columns(file, len(columns), wanted)

        return spikes_or_rates(names, read_columns, known, options)


def _is_matrix(columns: list[str]) -> bool:
    """Return whether a header is that of a square of values with labels at its edges."""
    names = folded(columns)
    has_time, has_units = time_column(names) is not None, "unit" in names
    if names[0] == "label":
        return not (has_time and has_units)
    if names[0] == "":  # pandas and R write no name over the labels
        return len(names) > 1 and not has_time and not has_units
    return columns == ["unit", *map(str, range(len(columns) - 1))]


def _units_text(sd: SpikeData, fs_Hz: float | None) -> str:
    """Return the table of units of a recording.

    A recording without units has one row, without a unit, for its window.
    """
    own = {}
    for key, column in sd.unit_table.columns.items():
        cells = [value if fits(value) else None for value in column.values]
        if has_column(key) and cells.count(None) < len(cells):
            own[key] = cells
    columns = unit_columns(sd, own, fs_Hz)
    rows = list(zip(*columns.values(), strict=True))
    if not sd.N:
        known = {**window_of(sd), "fs_Hz": fs_Hz}
        rows = [tuple(map(known.get, columns))]
    return "".join(map(line, [columns, *rows]))


def _parsed_units(file: IO[str]) -> RecordingFacts:
    """Return what a table of units says."""
    names = csv_text.header(file)
    rows = csv_text.filled_rows(file)
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise FormatError(f"row {i} must have {len(names)} cells")
    return RecordingFacts.of_rows(names, rows)


def _parsed_matrix(columns: list[str], file: IO[str]) -> PairwiseCompMatrix:
    """Return the comparison in the rows below a header."""
    rows = csv_text.filled_rows(file)
    labels = [row[0] for row in rows]
    edge = [("" if label is None else str(label)).strip() for label in labels]
    if edge != [name.strip() for name in columns[1:]] or any(
        len(row) != len(columns) for row in rows
    ):
        raise FormatError(
            "it must have the same labels at both edges; a table of rates must begin "
            "with a column time_ms, time_s or time_samples"
        )
    values = csv_text.values([cell for row in rows for cell in row[1:]])
    return build(
        PairwiseCompMatrix,
        matrix=values.reshape(len(labels), len(labels)),
        labels=None if columns[0].strip().lower() == "unit" else labels,
    )


def _rows(columns: Columns) -> str:
    """Return the rows of a block of columns as text."""
    texts = []
    for name, values in columns:
        if name == "rate":
            values = values.astype(np.float64)
        as_text = cell if values.dtype == object else repr
        texts.append(map(as_text, values.tolist()))
    return "".join(f"{','.join(row)}\n" for row in zip(*texts, strict=True))


def _n_known(sd: SpikeData) -> int:
    """Return the number of units up to the last that has spikes."""
    with_spikes = np.flatnonzero(sd.spike_trains.counts)
    return int(with_spikes[-1]) + 1 if with_spikes.size else 0
