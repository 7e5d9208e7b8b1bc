"""The writer of CSV tables, and its export function."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import destinations, kinds, s3, trains, units
from spikelab.errors import warn
from spikelab.formats.csv import file as csv_file
from spikelab.formats.csv import losses as csv_losses
from spikelab.formats.csv import reader as csv_reader
from spikelab.formats.csv import spikes as csv_spikes
from spikelab.formats.csv import tables as csv_tables
from spikelab.formats.csv import units as csv_units
from spikelab.formats.csv.reader import read
from spikelab.formats.writer import FileWriter
from spikelab.kinds import Contents, kind_of
from spikelab.units import TimeUnit

__all__ = ["CSVWriter", "export_spikedata_to_csv", "read"]


def export_spikedata_to_csv(
    sd: Any,
    filepath: str | os.PathLike[str],
    *,
    time_unit: TimeUnit = "ms",
    fs_Hz: float | None = None,
    units_table: str | os.PathLike[str] | None = None,
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    r"""Write a data object as a CSV table.

    Plain UTF-8 text with one header line, ``\n`` at the end of each line, no
    index and no comments. Times, rates and values are the shortest decimals
    that give back the same float. A name that ends with ``.gz`` compresses.

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

    Parameters
    ----------
    sd : data object
        What to write, an object of one of these classes.
    filepath : path or S3 URL
        The file; replaced if it exists.
    time_unit : {"ms", "s", "samples"}
        Unit of the times; the name of their column tells it.
    fs_Hz : float, optional
        Sampling rate, needed for ``"samples"``.
    units_table : path or S3 URL, optional
        For a SpikeData, a second file with one row per unit: ``unit``,
        ``electrode``, ``x``, ``y``, ``z``, ``n_spikes``, ``mean_rate_Hz``, the
        recording window ``start_time_ms`` and ``length_ms`` (the same in every
        row), ``fs_Hz`` if it is given, ``spike_times_crc32``, and every
        attribute that is a number, a truth value or text. With it the recording
        reads back whole, silent units included. Both files are complete before
        either replaces an earlier one; the table goes first, and is put back as
        it was if the spikes cannot follow it. Should a killed process leave the
        new table beside old spikes, the loader refuses the pair: the checksum
        is the CRC-32 of the name of the time unit, in samples with the sampling
        rate, and of the times of the unit as they stand in the file (as
        little-endian float64).
    verify : bool
        Read the files back and compare, before they replace earlier ones.
    strict : bool
        Raise an error if the files cannot carry all that the object holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.

    Returns
    -------
    str
        `filepath`.

    Raises
    ------
    TypeError
        If `sd` is not a data object.
    ValueError
        If an option is wrong or missing, or values are complex or labels
        neither numbers, truth values nor text.
    OSError
        If a file cannot be written.

    Notes
    -----
    Text is written as it is, quoted as RFC 4180 says. A spreadsheet runs a cell
    that starts with ``=``, ``+``, ``-`` or ``@`` as a formula: look at
    attributes and labels from people that you do not know before you open them
    there.
    """
    writer = CSVWriter(
        time_unit=time_unit,
        fs_Hz=fs_Hz,
        units_table=units_table,
        verify=verify,
        strict=strict,
        storage_options=storage_options,
        progress=progress,
    )
    return writer.write(sd, filepath)


def _is_optional_path(
    instance: Any, attribute: "attrs.Attribute[Any]", value: Any
) -> None:
    if value is not None and not isinstance(value, str | os.PathLike):
        raise TypeError(f"{attribute.name} must be a path or None, got {value!r}")


@attrs.frozen
class _Files:
    """Whether the file is compressed; the staged table of units, and whether it is."""

    packed: bool
    table: Path | None = None
    table_packed: bool = False


@attrs.frozen(kw_only=True)
class CSVWriter(FileWriter):
    """Write a table of spikes, rates or comparisons.

    See :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_csv` for the columns.

    Parameters
    ----------
    time_unit : {"ms", "s", "samples"}
        Unit of the times.
    fs_Hz : float, optional
        Sampling rate, needed for ``"samples"``.
    units_table : path or S3 URL, optional
        For a SpikeData, a second file with one row per unit.
    """

    method: ClassVar[str] = "to_csv"

    time_unit: str = attrs.field(default="ms", validator=units.is_time_unit)
    fs_Hz: float | None = None
    units_table: str | os.PathLike[str] | None = attrs.field(
        default=None, validator=_is_optional_path
    )

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        units.sampling_rate(self.fs_Hz, self.time_unit)

    def write(self, obj: Any, filepath: str | os.PathLike[str]) -> str:
        """Write `obj` to `filepath`, and its units to the table of units.

        See :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_csv`.
        """
        self.check(obj)
        packed = csv_file.is_compressed(filepath)
        if self.units_table is None:
            with destinations.staged_file(
                filepath, self.storage_options, progress=self.progress
            ) as staged:
                self._fill(obj, staged, _Files(packed))
            return os.fspath(filepath)
        _check_different(filepath, self.units_table)
        with destinations.staged_pair(
            filepath, self.units_table, self.storage_options, progress=self.progress
        ) as (staged, table):
            is_packed = csv_file.is_compressed(self.units_table)
            self._fill(obj, staged, _Files(packed, table, is_packed))
        return os.fspath(filepath)

    def _write(self, obj: Any, path: Path, prepared: _Files) -> None:
        with csv_file.created(path, compressed=prepared.packed) as file:
            self._write_rows(obj, file)
        if prepared.table is not None:
            checksums = csv_spikes.checksums(obj.train, self.time_unit, self.fs_Hz)
            with csv_file.created(
                prepared.table, compressed=prepared.table_packed
            ) as file:
                file.write(csv_units.text(obj, self.fs_Hz, checksums).encode())

    def _read_back(self, path: Path, table: Path | None = None) -> Contents:
        return csv_reader.read_files(path, table, csv_reader.Options(fs_Hz=self.fs_Hz))

    def _found_wrong(self, obj: Any, staged: Path, prepared: _Files) -> list[str]:
        if kind_of(obj) == "SpikeSliceStack":
            column = f"time_{self.time_unit}"
            to_ms = functools.partial(
                units.to_ms, unit=self.time_unit, fs_Hz=self.fs_Hz
            )
            return csv_losses.slice_differences(
                obj,
                csv_spikes.read_slices(staged, column),
                to_ms,
                self._rounding_ms(obj),
            )
        if kind_of(obj) == "RateSliceStack" and not obj.event_stack.size:
            return []  # a header tells no windows, without which there is no stack
        return self._differences(obj, self._read_back(staged, prepared.table))

    def _prepare(self, obj: Any) -> None:
        kind = kind_of(obj)
        if self.units_table is not None and kind != "SpikeData":
            raise ValueError(
                f"units_table must be None for a {kind}, got {self.units_table!r}"
            )
        if kind.startswith("Pairwise"):
            csv_tables.check_values(obj)
        if kind == "RateSliceStack":
            csv_tables.check_dtype(obj.event_stack)
        if self.time_unit == "samples":
            units.fits_int64("times", trains.largest_ms(_times(obj)), self.fs_Hz)
        if kind == "SpikeData" and self.units_table is None:
            _warn_of_missing_table(obj)

    def _losses(self, obj: Any) -> list[str]:
        lost = csv_losses.of(obj, with_units=self.units_table is not None)
        moved = trains.moved_ms(
            _times(obj), lambda t: units.there_and_back(t, self.time_unit, self.fs_Hz)
        )
        if moved:
            lost.append(f"times are rounded by up to {moved:.3g} ms")
        return lost

    def _rounding_ms(self, obj: Any) -> float:
        largest = trains.largest_ms(_times(obj))
        return units.rounding_ms(self.time_unit, self.fs_Hz, largest)

    def _write_rows(self, obj: Any, file: IO[bytes]) -> None:
        kind = kind_of(obj)
        if kind.startswith("Pairwise"):
            _WRITE_COMPARISONS[kind](file, obj)
        else:
            _WRITE_TIMES[kind](file, obj, self.time_unit, self.fs_Hz)

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        kind, slack_ms = kind_of(obj), self._rounding_ms(obj)
        if contents.kind != kind:
            return [f"a {kind} was written, a {contents.kind} was read"]
        if kind == "SpikeData":
            return csv_losses.spike_differences(
                obj, contents, slack_ms, with_units=self.units_table is not None
            )
        return csv_losses.differences(obj, contents, slack_ms)


_WRITE_TIMES: dict[str, Callable[..., None]] = {
    "SpikeData": csv_spikes.write,
    "SpikeSliceStack": csv_spikes.write_slices,
    "RateData": csv_tables.write_rates,
    "RateSliceStack": csv_tables.write_rate_slices,
}

_WRITE_COMPARISONS: dict[str, Callable[..., None]] = {
    "PairwiseCompMatrix": csv_tables.write_matrix,
    "PairwiseCompMatrixStack": csv_tables.write_matrices,
}


def _warn_of_missing_table(sd: Any) -> None:
    """Say what of a recording a reader of its spikes alone would not know."""
    counts = [len(times) for times in sd.train]
    silent = sd.N - max((unit + 1 for unit, n in enumerate(counts) if n), default=0)
    missing = [f"{silent} silent units after the last one with spikes"] * (silent > 0)
    missing += [f"the start of the recording at {sd.start_time} ms"] * bool(
        sd.start_time
    )
    if missing:
        warn(
            f"to_csv: {' and '.join(missing)} are not in the file; units_table keeps them"
        )


def _check_different(*targets: str | os.PathLike[str]) -> None:
    first, second = map(_place, targets)
    if first == second or (
        first[0] is None and second[1].startswith(first[1] + os.sep)
    ):
        raise ValueError(
            f"units_table must not be filepath itself, nor below it, got {second[1]}"
        )


def _place(target: str | os.PathLike[str]) -> tuple[str | None, str]:
    """Return bucket and key of what is in S3, or None and the path of a file."""
    if s3.is_s3_url(target):
        return s3.parse_s3_url(os.fspath(target))
    return None, os.path.realpath(target)


def _times(obj: Any) -> list[NDArray[np.float64]]:
    """Return the times in ms that a table of `obj` holds, in any order."""
    kind = kind_of(obj)
    if kind == "RateData":
        return [np.asarray(obj.times, dtype=np.float64)]
    if kind == "RateSliceStack":
        bins = np.arange(obj.event_stack.shape[1]) * float(obj.step_size)
        return [start + bins for start, _ in obj.times]
    return [times for sd in kinds.recordings_of(obj) for times in sd.train]
