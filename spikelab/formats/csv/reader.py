"""Read CSV tables of spikes, rates and comparisons, by what their header says."""

import contextlib
import functools
import os
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab import checks, destinations, trains, units
from spikelab.errors import FormatError
from spikelab.formats import reading
from spikelab.formats.csv import file as csv_file
from spikelab.formats.csv import spikes as csv_spikes
from spikelab.formats.csv import tables as csv_tables
from spikelab.formats.csv import units as csv_units
from spikelab.formats.reading import RecordingOptions
from spikelab.kinds import Contents
from spikelab.units import TimeUnit

_OF_STACK = ["window", "row", "column", "value"]
"""The header of a stack of comparisons."""


@attrs.frozen(kw_only=True)
class Options(RecordingOptions):
    """What the caller of the reader says about a file."""

    time_unit: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(units.is_time_unit)
    )
    fs_Hz: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_positive)
    )


def read(
    filepath: str | os.PathLike[str],
    *,
    units_table: str | os.PathLike[str] | None = None,
    time_unit: TimeUnit | None = None,
    fs_Hz: float | None = None,
    length_ms: float | None = None,
    start_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Contents:
    """Read a CSV table of spikes, rates or comparisons.

    The header tells what the table holds, see
    :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_csv`.
    Spikes may be in any order, among further columns.

    Parameters
    ----------
    filepath : path or S3 URL
        The file, compressed or not.
    units_table : path or S3 URL, optional
        The table of units that was written with spikes. Without it there are
        as many units as the largest number of a unit plus one, and
        the recording goes from 0, or the first spike if that is negative, to
        the last spike.
    time_unit : {"ms", "s", "samples"}, optional
        Unit of the times, for a column that is called ``time`` only.
    fs_Hz : float, optional
        Sampling rate, needed for samples if there is no table of units.
    length_ms, start_time_ms : float, optional
        The recording window in ms; goes before what the files say.
    metadata : mapping, optional
        Metadata of the recording; ``source_file`` is added.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

    Returns
    -------
    data object
        A SpikeData, RateData, RateSliceStack, PairwiseCompMatrix or
        PairwiseCompMatrixStack.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not such a table, does not hold the whole object, or
        does not belong to the table of units.
    ValueError
        If an argument is wrong or missing.
    """
    options = Options(
        time_unit=time_unit,
        fs_Hz=fs_Hz,
        length_ms=length_ms,
        start_time_ms=start_time_ms,
        metadata=metadata,
    )
    with contextlib.ExitStack() as stack:
        copies = [
            stack.enter_context(
                destinations.local_copy(source, storage_options, progress=progress)
            )
            for source in (filepath, units_table)
            if source is not None
        ]
        contents = read_files(copies[0], copies[1] if copies[1:] else None, options)
    if contents.kind.startswith("Pairwise"):
        reading.check_unused(contents.kind, time_unit=time_unit, fs_Hz=fs_Hz)
    return options.described(contents, source_file=os.fspath(filepath))


def read_files(path: Path, table: Path | None, options: Options) -> Contents:
    """Read by what the header says."""
    if path.is_dir():
        raise IsADirectoryError(f"filepath must name a file, got a folder: {path}")
    before = destinations.identity(path)
    contents = _read_by_header(path, table, options)
    # The header and the rows are read one after the other.
    if destinations.identity(path) != before:
        raise FormatError(f"{path} was replaced while it was read; load it again")
    return contents


def _read_by_header(path: Path, table: Path | None, options: Options) -> Contents:
    columns = csv_file.header(path)
    time_column = csv_tables.time_column(columns)
    if not _holds_spikes(columns, time_column):
        contents = _read_other(path, columns, time_column, options)
        reading.check_unused(contents.kind, units_table=table)
        return contents
    if time_column is None:
        raise FormatError(
            f"{path} must have a column time_ms, time_s or time_samples, "
            f"got {reprlib.repr(columns)}"
        )
    return _read_spikes(path, columns, time_column, table, options)


def _holds_spikes(columns: list[str], time_column: str | None) -> bool:
    """Tell whether a header is that of spikes, or of nothing that is known."""
    if time_column is None:
        return columns[0] not in ("label", "unit") and columns != _OF_STACK
    return csv_tables.looks_like_spikes(columns) and "slice" not in columns


def _read_other(
    path: Path, columns: list[str], time_column: str | None, options: Options
) -> Contents:
    if columns == _OF_STACK:
        return csv_tables.read_matrices(path)
    if time_column is None or columns[0] == "label":
        return csv_tables.read_matrix(path)
    if columns == ["slice", time_column, "unit", "rate"]:
        to_ms = _to_ms(time_column, options.fs_Hz, options)
        return csv_tables.read_rate_slices(path, columns, to_ms)
    if "slice" in columns:
        raise FormatError(
            f"{path} holds the spikes of slices without their windows, so a "
            "SpikeSliceStack cannot be made of it; to_hdf5 and to_pickle keep them"
        )
    if columns[0] == time_column:
        to_ms = _to_ms(time_column, options.fs_Hz, options)
        return csv_tables.read_rates(path, columns, to_ms)
    raise FormatError(
        f"{path} must have a column 'unit' beside {time_column!r}, or begin with that, "
        f"got {reprlib.repr(columns)}"
    )


def _to_ms(
    time_column: str, fs_Hz: float | None, options: Options
) -> Callable[[Any], Any]:
    unit = _unit_of(time_column, options)
    if unit == "samples" and fs_Hz is None:
        raise FormatError("fs_Hz must be given, because the times are samples")
    units.sampling_rate(fs_Hz, unit)
    return functools.partial(units.to_ms, unit=unit, fs_Hz=fs_Hz)


def _unit_of(time_column: str, options: Options) -> str:
    told = time_column.removeprefix("time_")
    if told in units.TIME_UNITS:
        if options.time_unit not in (None, told):
            raise ValueError(
                f"time_unit must be {told!r}, as the column {time_column!r} says, "
                f"got {options.time_unit!r}"
            )
        return told
    if options.time_unit is None:
        raise FormatError(
            "time_unit must be given, because the column 'time' does not tell it"
        )
    return options.time_unit


def _read_spikes(
    path: Path,
    columns: list[str],
    time_column: str,
    table: Path | None,
    options: Options,
) -> Contents:
    told = csv_units.read_file(table) if table is not None else csv_units.UNKNOWN
    fs_Hz = options.fs_Hz if options.fs_Hz is not None else told.fs_Hz
    to_ms = _to_ms(time_column, fs_Hz, options)
    train = csv_spikes.read(path, columns, time_column, told.n_units)
    unit = _unit_of(time_column, options)
    told.check_spikes(train, unit, fs_Hz, f"{table} and {path}")
    train = [to_ms(times) for times in train]
    start, length = _window(train, told, options)
    slack = units.rounding_ms(
        _unit_of(time_column, options), fs_Hz, trains.largest_ms(train)
    )
    if length is not None:
        train = trains.into_window(train, start, length, slack)
    arguments = {"train": train, "start_time": start, "length": length}
    attributes = {"neuron_attributes": told.neuron_attributes}
    return Contents("SpikeData", {**arguments, **attributes})


def _window(
    train: Any, told: csv_units.UnitsTable, options: Options
) -> tuple[float, float | None]:
    start = options.start_time_ms
    if start is None:
        start = told.start_time_ms
    if start is None:
        start = min(trains.extremes(train)[0], 0.0)
    length = options.length_ms
    return start, told.length_ms if length is None else length
