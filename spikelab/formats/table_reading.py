"""Reading tables: what the readers of CSV and Parquet have in common."""

import contextlib
import os
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.csv_text import inferred
from spikelab.formats.reading import (
    RecordingKeywords,
    RecordingOptions,
    build,
    refuse_options,
)
from spikelab.formats.units_table import INDEX, TIME_COLUMNS, WINDOW, RecordingFacts
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TimeUnit
from spikelab.storage.publish import local_copy
from spikelab.storage.urls import StrPath

ReadColumns = Callable[[Mapping[int, type]], Sequence[NDArray[Any]]]
"""Returns the columns at some places, each as int64, as float64, or, for object, as it is."""

_TIME = re.compile(
    r"(?:spike[ _]?)?time(?:s|stamps?)?"
    r"(?:[ _]*[(\[]? *(ms|msec|milliseconds|s|sec|seconds|samples)[)\]]?)?"
)
"""Names of a column of times, and the unit that they say."""

_TIME_UNITS = {"msec": "ms", "milliseconds": "ms", "sec": "s", "seconds": "s"}

_UNITS = re.compile("(?:unit|cluster|neuron|cell)(?:[ _](?:id|name))?")
"""What other programs call the column of units, whose values need not be 0, 1, 2..."""

_OF_SPIKES = {"units", "channel", "ch", "electrode", "amplitude"}
"""Columns that are rather facts about spikes than rates."""


class TableKeywords(RecordingKeywords, total=False):
    """The fields of :class:`TableOptions`, as keywords."""

    units_table: StrPath | None
    time_unit: TimeUnit | None
    fs_Hz: float | None


@attrs.frozen(kw_only=True)
class TableOptions(RecordingOptions):
    """What the caller of a reader says about a table.

    Parameters
    ----------
    units_table : path or S3 URL, optional
        The table of units that was written with spikes.
    time_unit : {"ms", "s", "samples"}, optional
        Unit of the times, for a column that is called ``time`` only.
    fs_Hz : float, optional
        Sampling rate, needed for samples if no file holds it.
    """

    units_table: StrPath | None = None
    time_unit: TimeUnit | None = attrs.field(
        default=None, validator=attrs.validators.optional(time_units.is_time_unit)
    )
    fs_Hz: float | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(time_units.fs_in_hz),
        validator=attrs.validators.optional(time_units.is_sampling_rate),
    )


def read_files(
    read: Callable[[Path, Path | None, TableOptions], DataObject],
    filepath: StrPath,
    options: TableOptions,
) -> DataObject:
    """Return what `read` makes of a table, and of a table of units if there is one."""
    with contextlib.ExitStack() as files:

        def local(source: StrPath) -> Path:
            s3 = options.storage_options
            copy = local_copy(source, s3, progress=options.progress)
            return files.enter_context(copy)

        path = local(filepath)
        units = None if options.units_table is None else local(options.units_table)
        found = read(path, units, options)
    if isinstance(found, SpikeData):
        source = os.fspath(filepath)
        found.metadata = options.metadata_with(found.metadata, source_file=source)
        return found
    kind = type(found).__name__
    refuse_options(kind, units_table=options.units_table)
    if isinstance(found, PairwiseCompMatrix | PairwiseCompMatrixStack):
        refuse_options(kind, time_unit=options.time_unit, fs_Hz=options.fs_Hz)
    options.refuse_unless_recording(found)
    return found


def folded(names: Sequence[str]) -> list[str]:
    """Return names of columns as they are compared: ``Time (s)`` as ``time_s``.

    Surrounding blanks and capitals do not count.
    """
    found = []
    for name in names:
        plain = name.strip().lower()
        if time := _TIME.fullmatch(plain):
            unit = _TIME_UNITS.get(time[1], time[1])
            plain = f"time_{unit}" if unit else "time"
        found.append(plain)
    return found


def time_column(names: Sequence[str]) -> str | None:
    """Return the name of the column of times, None if there is none.

    The first that says its unit goes before one that does not.
    """
    with_unit = [n for n in names if n in TIME_COLUMNS and n != "time"]
    if with_unit:
        return with_unit[0]
    return "time" if "time" in names else None


def dtype_of(time: str) -> type:
    """Return the dtype of a column of times."""
    return time_units.dtype(time.removeprefix("time_"))


def to_ms(
    times: NDArray[Any], column: str, options: TableOptions, fs_Hz: float | None
) -> tuple[NDArray[np.float64], float]:
    """Return the times of a column in ms, and how far rounding may have moved them.

    `fs_Hz` is the sampling rate that a file holds.
    """
    unit, rate = column.removeprefix("time_"), options.fs_Hz or fs_Hz
    if unit == "time":
        if options.time_unit is None:
            raise FormatError(
                f"time_unit must be given, because the column {column!r} does not say it"
            )
        unit = options.time_unit
    elif options.time_unit not in (None, unit):
        raise ValueError(
            f"time_unit must be {unit!r}, as the column {column!r} says, "
            f"got {options.time_unit!r}"
        )
    if unit == "samples" and rate is None:
        raise FormatError("fs_Hz must be given, because the times are samples")
    found = time_units.to_ms(times, unit, rate)
    largest = SpikeTrains(found, np.array([found.size])).largest_ms()
    return found, time_units.rounding_ms(unit, rate, largest)


def recording(
    known: RecordingFacts, trains: SpikeTrains, column: str, options: TableOptions
) -> SpikeData:
    """Return the recording of spike trains that hold a column of times as it stands."""
    times, slack_ms = to_ms(trains.flat, column, options, known.fs_Hz)
    given = {n: getattr(options, n) for n in WINDOW if getattr(options, n) is not None}
    trains = SpikeTrains(times, trains.ends)
    start, length = known.start_time_ms, known.length_ms
    if trains.n_spikes and start is not None and length is not None:
        window = _widened(start, start + length, *trains.extremes(), slack_ms)
        known = attrs.evolve(known, **window)
    return attrs.evolve(known, **given).recording(trains, slack_ms)


def _widened(
    start: float, end: float, first: float, last: float, slack: float
) -> dict[str, Any]:
    """Return the window, wider if the first or the last spike is a rounding beyond it.

    Excel, R and MATLAB write 10 to 15 digits of the window, or of the spikes.
    """
    largest = max(abs(start), abs(end))
    least, most = max(slack, np.spacing(largest)), 1e-9 * largest
    is_early = least < start - first <= most
    is_late = least < last - end <= most
    if is_early:
        start = first
    if is_late:
        end = last
    if is_early or is_late:
        return {"start_time_ms": start, "length_ms": end - start}
    return {}


def spikes_or_rates(
    names: list[str],
    read_columns: ReadColumns,
    known: RecordingFacts,
    options: TableOptions,
) -> SpikeData | RateData:
    """Return the recording, or the rates, in columns with these folded names."""
    time = time_column(names)
    if time is None:
        others = [n for n in names if re.match("t_|.*time", n) and n not in WINDOW]
        if "unit" in names and not others:
            raise FormatError(
                "it is a table of units; load the file of their spikes, and name this "
                "one as units_table"
            )
        raise FormatError(
            "it has no column of times: it must have a column time_ms, time_s or "
            f"time_samples, got {reprlib.repr(names)}"
        )
    known = attrs.evolve(known, fs_Hz=options.fs_Hz or known.fs_Hz)
    table = _TimeTable(names, time, read_columns, known, options)
    if "unit" in names:
        return table.spikes()
    from_elsewhere = table.spikes_of_named_units()
    return table.rates() if from_elsewhere is None else from_elsewhere


@attrs.frozen
class _TimeTable:
    """A table with a column of times, of spikes or of rates."""

    names: list[str]
    time: str
    read_columns: ReadColumns
    known: RecordingFacts
    options: TableOptions

    def spikes(self) -> SpikeData:
        """Return the recording in a table with a column of units."""
        if {"rate", "rate_hz"} & set(self.names):
            raise FormatError(
                "it holds a rate for each time and unit; a table of rates must have "
                "one row for each time, and a column for each unit"
            )
        units, times = self._beside_times(self.names.index("unit"), np.int64)
        trains = self.known.spike_trains(units, times)
        sd = recording(self.known, trains, self.time, self.options)
        read = ("unit", self.time)
        others = [n for n in self.names if n not in read and not INDEX.fullmatch(n)]
        if others:
            warn(
                f"columns beside unit and {self.time} are not read: "
                f"{reprlib.repr(others)}"
            )
        return sd

    def spikes_of_named_units(self) -> SpikeData | None:
        """Return the recording if another program's column of units is found."""
        for place, name in enumerate(self.names):
            if not _UNITS.fullmatch(name):
                continue
            cells, times = self._beside_times(place, np.object_)
            found = _units_named(cells, self.known)
            if found is not None:
                warn(
                    f"column {name!r} is taken for the units of spikes; call it 'unit' "
                    "if it holds their numbers from 0, otherwise if it holds rates"
                )
                known, units = found
                trains = known.spike_trains(units, times)
                return recording(known, trains, self.time, self.options)
        return None

    def rates(self) -> RateData:
        """Return the rates in a table that begins with their times."""
        first, *units = [name for name in self.names if not INDEX.fullmatch(name)]
        if first != self.time:
            raise FormatError(
                "it must have a column 'unit' beside the times, or, with rates, it must "
                f"begin with a column of times, got {reprlib.repr(self.names)}"
            )
        if len({first, *units}) <= len(units):
            raise FormatError("it must have columns of different names")
        in_order = [f"unit_{unit}" for unit in range(len(units))]
        if set(in_order) == set(units):
            units = in_order
        wanted = {self.names.index(self.time): dtype_of(self.time)}
        for unit in units:
            wanted[self.names.index(unit)] = np.float64
        times, *rates = self.read_columns(wanted)
        if not units:
            warn(
                f"a table of {self.time} only is taken for rates of no units; spikes "
                "need 'unit'"
            )
        is_doubtful = not _OF_SPIKES.isdisjoint(units)
        if len(units) == 1 and units != in_order and len(times):
            is_integer = np.array_equal(rates[0], np.rint(rates[0]), equal_nan=True)
            is_doubtful = is_doubtful or is_integer
        if is_doubtful:
            warn(
                f"columns {reprlib.repr(units)} are taken for the rates of one unit "
                "each; if a column says the unit of each spike, call it 'unit'"
            )
        times_ms, _ = to_ms(times, self.time, self.options, self.known.fs_Hz)
        return build(
            RateData,
            inst_Frate_data=np.array(rates).reshape(len(rates), len(times)),
            times=times_ms,
        )

    def _beside_times(self, place: int, dtype: type) -> Sequence[NDArray[Any]]:
        """Return the column at a place, and the times."""
        at_times = self.names.index(self.time)
        return self.read_columns({place: dtype, at_times: dtype_of(self.time)})


def _units_named(
    cells: NDArray[Any], known: RecordingFacts
) -> tuple[RecordingFacts, NDArray[np.int64]] | None:
    """Return what is known of the units that a column names, and the unit of each row.

    They are its distinct values in order, which are whole numbers or texts; None if
    there is another. If a table of units says how many there are, they are its numbers.
    """
    try:
        distinct, places = np.unique(cells, return_inverse=True)
    except TypeError:  # a missing value among texts
        return None
    places = places.reshape(-1)
    values = [inferred(x.strip()) if type(x) is str else x for x in distinct.tolist()]
    values = [int(x) if type(x) is float and x.is_integer() else x for x in values]
    kinds = {type(value) for value in values}
    if not kinds <= {int, str}:
        return None
    if known.n_units is not None:
        if kinds != {int}:
            return None
        return known, np.array(values, dtype=np.int64)[places]
    if len(kinds) > 1:
        values = list(map(str, values))
    ids = sorted(set(values))
    units = np.array([ids.index(value) for value in values], dtype=np.int64)
    rows = [{"unit_id": unit_id} for unit_id in ids]
    return attrs.evolve(known, n_units=len(ids), neuron_attributes=rows), units[places]
