"""Spikes as rows of a CSV file, and the fast way to read columns of numbers."""

import math
import reprlib
import warnings
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import trains, units
from spikelab.errors import FormatError
from spikelab.formats.csv import cells as csv_cells
from spikelab.formats.csv import decimals
from spikelab.formats.csv import file as csv_file

_MOST_UNITS = 1_000_000
"""Unit numbers a file may name without a table of units that vouches for them."""


def write(file: IO[bytes], sd: Any, time_unit: str, fs_Hz: float | None) -> None:
    """Write one row per spike: its unit and its time, unit after unit."""
    file.write(csv_cells.line(["unit", f"time_{time_unit}"]).encode())
    for unit, times in _blocks(sd, time_unit, fs_Hz):
        file.write(decimals.lines(unit, times))


def write_slices(
    file: IO[bytes], stack: Any, time_unit: str, fs_Hz: float | None
) -> None:
    """Write one row per spike: its slice, its unit, its time on the slice's clock."""
    file.write(csv_cells.line(["slice", "unit", f"time_{time_unit}"]).encode())
    for i, sd in enumerate(stack.spike_stack):
        for unit, times in _blocks(sd, time_unit, fs_Hz):
            file.write(decimals.lines(np.full(len(unit), i), unit, times))


def _blocks(
    sd: Any, time_unit: str, fs_Hz: float | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield units and times of some spikes at a time."""
    ends, start = trains.ends(sd.train), 0
    for block in trains.blocks(sd.train, decimals.BLOCK):
        unit = trains.unit_indices(ends, start, start + len(block))
        yield unit, units.from_ms(block, time_unit, fs_Hz)
        start += len(block)


def checksums(train: Any, time_unit: str, fs_Hz: float | None) -> list[int]:
    """Return for each unit the checksum of its times as they stand in the file."""
    return [
        checksum(
            (
                units.from_ms(block, time_unit, fs_Hz)
                for block in trains.blocks([times], trains.CACHED)
            ),
            time_unit,
            fs_Hz,
        )
        for times in train
    ]


def checksum(times: Iterable[NDArray[Any]], time_unit: str, fs_Hz: float | None) -> int:
    """Return the CRC-32 of the unit of the times, and of ascending times.

    The unit is its name, in samples with the sampling rate; the times are float64,
    little-endian.
    """
    rate = f" {float(fs_Hz or 0)}" if time_unit == "samples" else ""
    crc = zlib.crc32(f"{time_unit}{rate}".encode())
    for block in times:
        # Adding zero makes -0.0 the 0.0 that it equals.
        crc = zlib.crc32((block + 0.0).astype("<f8").tobytes(), crc)
    return crc


def read(
    path: Path, columns: list[str], time_column: str, n_units: int | None
) -> list[NDArray[Any]]:
    """Return the times in the column `time_column`, one array per unit.

    Parameters
    ----------
    path : Path
        The file.
    columns : list of str
        Its header.
    time_column : str
        The column of the times.
    n_units : int, optional
        Number of units; by default the largest number of a unit plus one.
    """
    unit, times = read_columns(path, columns, ["unit", time_column])
    largest = int(unit.max()) if unit.size else -1
    most = _MOST_UNITS if n_units is None else n_units
    if unit.size and not 0 <= int(unit.min()) <= largest < most:
        raise FormatError(
            f"{path}: column 'unit' must lie in 0..{most - 1}, "
            f"got {unit.min()} to {largest}"
        )
    return trains.gather(unit, times, largest + 1 if n_units is None else n_units)


def read_slices(path: Path, time_column: str) -> list[NDArray[Any]]:
    """Return the columns that :func:`write_slices` wrote: slice, unit and time."""
    columns = ["slice", "unit", time_column]
    return read_columns(path, columns, columns)


def read_columns(
    path: Path, columns: list[str], wanted: list[str]
) -> list[NDArray[Any]]:
    """Return columns of numbers: int64, but float64 for times, rates and values.

    Raises
    ------
    FormatError
        If the file lacks a column, or holds something else than numbers in it.
    """
    if missing := [name for name in wanted if name not in columns]:
        raise FormatError(
            f"{path} has no column {missing[0]!r}, only {reprlib.repr(columns)}"
        )
    whole = ("slice", "unit", "time_samples", "window")
    dtype = [np.int64 if name in whole else np.float64 for name in wanted]
    with csv_file.opened(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        try:
            table = np.loadtxt(
                file,
                dtype=[(f"column{i}", kind) for i, kind in enumerate(dtype)],
                delimiter=",",
                skiprows=1,
                usecols=[columns.index(name) for name in wanted],
                quotechar='"',
                comments=None,
                ndmin=1,
            )
        except (ValueError, OverflowError) as error:
            places = {name: columns.index(name) for name in wanted}
            return _read_with_gaps(path, places, dtype, str(error))
    return [np.ascontiguousarray(table[name]) for name in table.dtype.names or ()]


def _number(cell: Any) -> Any:
    """Return what a cell holds, NaN if it is empty; quotes make no number a text."""
    value = csv_cells.inferred(cell) if isinstance(cell, str) else cell
    return math.nan if value is None else value


def _read_with_gaps(
    path: Path, places: dict[str, int], dtype: list[Any], cause: str
) -> list[NDArray[Any]]:
    """Return columns in which cells are empty, or floats stand for integers.

    This is what other programs make of a table with NaN; it takes ten times as long.
    """
    with csv_file.opened(path) as file:
        _, *rows = csv_cells.rows(file.read(), str(path))
        rows = [row for row in rows if row != [None]]
    try:
        found = [[_number(row[place]) for row in rows] for place in places.values()]
        if not all(type(v) in (int, float) for column in found for v in column):
            raise ValueError(cause)
        arrays = [np.array(column, dtype=np.float64) for column in found]
        for name, array, kind in zip(places, arrays, dtype, strict=True):
            if kind is np.int64 and not np.array_equal(array, np.rint(array)):
                raise ValueError(cause)
            if name.startswith("time") and not np.isfinite(array).all():
                raise ValueError(cause)
    except (ValueError, LookupError, OverflowError) as error:
        raise FormatError(f"{path} does not hold numbers: {error}") from error
    return [array.astype(kind) for array, kind in zip(arrays, dtype, strict=True)]
