"""Reading tables: what the readers of CSV and Parquet have in common."""

import contextlib
import os
import re
import reprlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats.base import StrPath
from spikelab.formats.csv_text import inferred
from spikelab.formats.reading import (
    RecordingKeywords,
    RecordingOptions,
    build,
    refuse_options,
)
from spikelab.formats.units_table import INDEX, TIME_COLUMNS, UnitsTable
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TIME_UNITS, TimeUnit
from spikelab.storage.publish import local_copy

Numbers = Callable[[Sequence[int], Sequence[type]], Sequence[NDArray[Any]]]
"""Returns the columns at some places of a table, as int64, float64, or what is there."""

_TIME = re.compile(
    r"(?:spike[ _]?)?times?(?:[ _]*[(\[]? *(ms|msec|milliseconds|s|sec|seconds|samples)[)\]]?)?"
)
"""Names of a column of times, and the unit that they say."""

_TIME_UNITS = {"msec": "ms", "milliseconds": "ms", "sec": "s", "seconds": "s"}

_UNITS = (
    *("unit_id", "unit_name", "cluster_id", "cluster", "neuron", "neuron_id"),
    *("cell", "cell_id"),
)
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
        default=None, validator=attrs.validators.optional(validate.is_positive)
    )

    def unit_of(self, column: str) -> str:
        """Return the unit of the times in a column, by its name."""
        named = column.removeprefix("time_")
        if named not in TIME_UNITS:
            if self.time_unit is None:
                raise FormatError(
                    f"time_unit must be given, because the column {column!r} does not "
                    "say it"
                )
            return self.time_unit
        if self.time_unit not in (None, named):
            raise ValueError(
                f"time_unit must be {named!r}, as the column {column!r} says, "
                f"got {self.time_unit!r}"
            )
        return named

    def to_ms(
        self, times: NDArray[Any], column: str, fs_Hz: float | None
    ) -> NDArray[np.float64]:
        """Return the times of a column in ms; `fs_Hz` is the rate that a file holds."""
        unit = self.unit_of(column)
        if unit == "samples" and (self.fs_Hz or fs_Hz) is None:
            raise FormatError("fs_Hz must be given, because the times are samples")
        return time_units.to_ms(times, unit, self.fs_Hz or fs_Hz)

    def recording(
        self, known: UnitsTable, trains: SpikeTrains, column: str
    ) -> SpikeData:
        """Return the recording of spike trains that hold a column of times.

        Parameters
        ----------
        known : UnitsTable
            What the files say about it.
        trains : SpikeTrains
            The times as they stand in the column.
        column : str
            Its name.
        """
        rate = self.fs_Hz or known.fs_Hz
        times = SpikeTrains(self.to_ms(trains.flat, column, known.fs_Hz), trains.ends)
        slack = time_units.rounding_ms(self.unit_of(column), rate, times.largest_ms())
        if self.start_time_ms is not None:
            known = attrs.evolve(known, start_time_ms=self.start_time_ms)
        if self.length_ms is not None:
            known = attrs.evolve(known, length_ms=self.length_ms)
        return known.recording(times, slack)


def read_files(
    read: Callable[[Path, Path | None, TableOptions], DataObject],
    filepath: StrPath,
    options: TableOptions,
) -> DataObject:
    """Return what `read` makes of a table, and of a table of units if there is one."""
    time_units.sampling_rate(options.fs_Hz)
    sources = [filepath]
    if options.units_table is not None:
        sources.append(options.units_table)
    with contextlib.ExitStack() as files:
        path, *more = (
            files.enter_context(
                local_copy(s, options.storage_options, progress=options.progress)
            )
            for s in sources
        )
        found = read(path, more[0] if more else None, options)
    if isinstance(found, SpikeData):
        source = os.fspath(filepath)
        found.metadata = options.metadata_with({}, source_file=source)
        return found
    refuse_options(type(found).__name__, units_table=options.units_table)
    if not isinstance(found, PairwiseCompMatrix | PairwiseCompMatrixStack):
        options = attrs.evolve(options, time_unit=None, fs_Hz=None)
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
    """Return the name of the first column of times, None if there is none."""
    return next((name for name in names if name in TIME_COLUMNS), None)


def spikes_or_rates(
    names: list[str], numbers: Numbers, known: UnitsTable, options: TableOptions
) -> SpikeData | RateData:
    """Return the recording, or the rates, in the rows of a table.

    Parameters
    ----------
    names : list of str
        Names of the columns, folded.
    numbers : function
        Gives the columns.
    known : UnitsTable
        What the files say about the recording.
    options : TableOptions
        What the caller says.
    """
    time = time_column(names)
    if time is None:
        if "unit" in names:
            raise FormatError(
                "it is a table of units; load the file of their spikes, and name this "
                "one as units_table"
            )
        raise FormatError(
            "it has no column of times: it must have a column time_ms, time_s or "
            f"time_samples, got {reprlib.repr(names)}"
        )
    kind = dtype_of(time)
    if "unit" in names:
        if {"rate", "rate_hz"} & set(names):
            raise FormatError(
                "it holds a rate for each time and unit; a table of rates must have "
                "one row for each time, and a column for each unit"
            )
        places = [names.index("unit"), names.index(time)]
        units, times = numbers(places, [np.int64, kind])
        return options.recording(known, known.spike_trains(units, times), time)
    for name in names:
        if name.replace(" ", "_") in _UNITS:
            places = [names.index(name), names.index(time)]
            cells, times = numbers(places, [np.object_, kind])
            if ids := _ids_of(cells, is_number=known.n_units is not None):
                warn(
                    f"column {name!r} is taken for the units of spikes; call it 'unit' "
                    "if it holds their numbers from 0, otherwise if it holds rates"
                )
                known = attrs.evolve(known, **ids[0])
                trains = known.spike_trains(ids[1], times)
                return options.recording(known, trains, time)
    return _rates(names, time, numbers, known, options)


def _ids_of(
    cells: NDArray[Any], *, is_number: bool
) -> tuple[dict[str, Any], NDArray[np.int64]] | None:
    """Return what is known of the units that a column names, and the unit of each row.

    They are its distinct values in order, which are whole numbers or texts; None if
    there is another. If a table of units says how many there are, they are its numbers.
    """
    try:
        distinct, places = np.unique(cells, return_inverse=True)
    except TypeError:  # a missing value among texts
        return None
    values = [inferred(x.strip()) if type(x) is str else x for x in distinct.tolist()]
    values = [int(x) if type(x) is float and x.is_integer() else x for x in values]
    kinds = {type(value) for value in values}
    if not kinds <= {int, str} or (is_number and kinds != {int}):
        return None
    if len(kinds) > 1:
        values = list(map(str, values))
    if is_number:
        return {}, np.array(values, dtype=np.int64)[places.reshape(-1)]
    ids = sorted(set(values))
    units = np.array([ids.index(value) for value in values], dtype=np.int64)
    known = {"n_units": len(ids), "neuron_attributes": [{"unit_id": x} for x in ids]}
    return known, units[places.reshape(-1)]


def _rates(
    names: list[str],
    time: str,
    numbers: Numbers,
    known: UnitsTable,
    options: TableOptions,
) -> RateData:
    """Return the rates in a table that begins with their times."""
    named = [name for name in names if not INDEX.fullmatch(name)]
    if named[0] != time:
        raise FormatError(
            "it must have a column 'unit' beside the times, or, with rates, it must "
            f"begin with a column of times, got {reprlib.repr(names)}"
        )
    if len(set(named)) < len(named):
        raise FormatError("it must have columns of different names")
    in_order = [f"unit_{unit}" for unit in range(len(named) - 1)]
    if set(in_order) != set(named[1:]):
        in_order = named[1:]
    kinds = [dtype_of(time), *[np.float64] * len(in_order)]
    times, *rates = numbers([names.index(name) for name in (time, *in_order)], kinds)
    is_one = len(rates) == 1 and in_order != ["unit_0"] and _are_whole(rates[0])
    if is_one or _OF_SPIKES & set(in_order):
        warn(
            f"columns {reprlib.repr(in_order)} are taken for the rates of one unit each; "
            "if a column says the unit of each spike, call it 'unit'"
        )
    return build(
        RateData,
        inst_Frate_data=np.array(rates).reshape(len(rates), len(times)),
        times=options.to_ms(times, time, known.fs_Hz),
    )


def _are_whole(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    return bool(known.size) and np.array_equal(known, np.rint(known))


def dtype_of(time: str) -> type:
    """Return the dtype of a column of times."""
    return np.int64 if time == "time_samples" else np.float64
