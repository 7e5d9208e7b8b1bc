"""Writing tables: the columns of each class, and what CSV and Parquet have in common."""

import abc
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import FileWriter, recordings_of
from spikelab.formats.csv_text import fits
from spikelab.formats.reading import build
from spikelab.formats.units_table import OWN, RecordingFacts
from spikelab.spikedata import time_units
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.differences import NOT_LOST, compare
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit
from spikelab.spikedata.unit_table import UnitTable
from spikelab.storage.urls import StrPath, expanded, is_s3_url, located

Columns = list[tuple[str, NDArray[Any]]]
"""Names of columns and their values."""

REASONS = {
    "train": "silent units after the last that has spikes (no units_table)",
    "start_time": "the recording window (no units_table)",
    "length": "the recording window (no units_table)",
    "metadata": "metadata",
    "raw_data": "raw data",
    "raw_time": "raw data",
    "rate_unit": "rate_unit (the table holds values only)",
}
"""What is lost, in words, by the argument of a class."""

ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "PairwiseCompMatrix": ("matrix", (0, 1)),
    "PairwiseCompMatrixStack": ("stack", (2, 0, 1)),
    "RateSliceStack": ("event_stack", (2, 1, 0)),
}
"""The array that a class holds, and the order of its axes in the rows of its table."""


@attrs.frozen(kw_only=True)
class TableWriter(FileWriter[DataObject]):
    """A writer of tables: a row per spike, or the values of an object without spikes.

    Parameters
    ----------
    time_unit : {"ms", "s", "samples"}
        Unit of the times; the name of their column says it.
    fs_Hz : float, optional
        Sampling rate, needed for ``"samples"``.
    units_table : path or S3 URL, optional
        For a SpikeData, a second file with one row per unit: ``unit``, ``electrode``,
        ``x``, ``y``, ``z``, ``n_spikes``, ``mean_rate_Hz``, the recording window
        ``start_time_ms`` and ``length_ms`` (the same in every row), ``fs_Hz`` if it is
        given, and the attributes of the units. Both files are complete before either
        is published, this one first; each replaces an earlier one whole. The reader
        refuses two files whose spikes per unit, or window, do not agree.
    """

    title: ClassVar[str]  # what errors call the format
    rows_per_block: ClassVar[int]  # of spikes and of stacks
    values_per_block: ClassVar[int]  # of a table with a column per unit
    missing_is: ClassVar[str]  # how a missing value is written, in words
    cells_hold: ClassVar[str]  # what a cell can hold, in words
    # Arguments of other classes than SpikeData that are not written.
    not_written: ClassVar[tuple[str, ...]] = ("neuron_attributes", "metadata")

    time_unit: TimeUnit = attrs.field(default="ms", validator=time_units.is_time_unit)
    fs_Hz: float | None = attrs.field(
        default=None, converter=attrs.converters.optional(time_units.fs_in_hz)
    )
    units_table: StrPath | None = None

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together, and the table of units."""
        time_units.sampling_rate(self.fs_Hz, self.time_unit)
        if not isinstance(self.units_table, str | os.PathLike | None):
            raise TypeError(
                f"units_table must be a path or None, got {self.units_table!r:.80}"
            )

    @abc.abstractmethod
    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        """Write the table of units."""

    @abc.abstractmethod
    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None
    ) -> DataObject:
        """Read staged files as the loader will; `obj` was written to them."""

    @abc.abstractmethod
    def _names(
        self, pcm: PairwiseCompMatrix | PairwiseCompMatrixStack
    ) -> tuple[str, NDArray[Any]]:
        """Return the name of the column of units, and the names of the units."""

    @abc.abstractmethod
    def _known(self, sd: SpikeData) -> RecordingFacts:
        """Return what a reader knows of a recording beside its spikes."""

    @abc.abstractmethod
    def _held(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return an array as a reader makes it."""

    def _compress(self, staged: Path, target: StrPath) -> None:
        """Compress a staged file if the name of its target says so."""

    def _publish(self, plan: DataObject, target: StrPath) -> None:
        if self.units_table and _resolved(self.units_table) == _resolved(target):
            raise ValueError(
                f"units_table must not be filepath itself, got {self.units_table}"
            )
        with contextlib.ExitStack() as files:
            spikes, units = files.enter_context(self._published(target)), None
            if self.units_table is not None:
                # The last of the stack is published first.
                units = files.enter_context(self._published(self.units_table))
            self._write(plan, spikes)
            self._compress(spikes, target)
            if isinstance(plan, SpikeData) and self.units_table and units:
                self._write_units(plan, units)
                self._compress(units, self.units_table)
            if self.verify:
                self._verify(plan, lambda: self._read_back(plan, spikes, units))

    def _read(self, staged: Path) -> DataObject:
        raise NotImplementedError  # there may be two files: _read_back takes both

    def _prepared(self, obj: DataObject) -> DataObject:
        if self.units_table is not None and not isinstance(obj, SpikeData):
            raise ValueError(
                f"units_table must be None for a {data_class(obj).__name__}, "
                f"got {self.units_table!r}"
            )
        if self.time_unit == "samples":
            time_units.fits_int64("times", _largest_ms(obj), self.fs_Hz)
        name = data_class(obj).__name__
        if name in ARRAYS:
            dtype = values_of(obj).dtype
            if dtype.kind not in "biuf" or dtype.itemsize > 8:
                raise ValueError(
                    f"{ARRAYS[name][0]} must hold real numbers of at most 64 bits to fit "
                    f"into {self.title}, got {dtype}"
                )
        for label in labels_of(obj) or ():
            if not fits(label):
                raise ValueError(
                    f"labels must be numbers, bool or str to fit into {self.title}, "
                    f"got {' '.join(repr(label).split()):.80}"
                )
        return obj

    def _in_unit(self, times_ms: NDArray[Any]) -> NDArray[Any]:
        """Return times in ms as they stand in the file."""
        times = np.asarray(times_ms, dtype=np.float64)
        return time_units.from_ms(times, self.time_unit, self.fs_Hz)

    def _columns(self, obj: DataObject) -> Iterator[Columns]:
        """Yield the columns of the table of an object in blocks of rows, at least one."""
        time = f"time_{self.time_unit}"
        if isinstance(obj, SpikeData):
            trains = obj.spike_trains
            for first in range(0, max(trains.n_spikes, 1), self.rows_per_block):
                times = trains.flat[first : first + self.rows_per_block]
                units = trains.unit_indices(first, first + len(times), np.int32)
                yield [("unit", units), (time, self._in_unit(times))]
        elif isinstance(obj, SpikeSliceStack):
            for i, sd in enumerate(obj.spike_stack):
                for columns in self._columns(sd):
                    slices = np.full(len(columns[0][1]), i, dtype=np.int32)
                    yield [("slice", slices), *columns]
        elif isinstance(obj, RateData):
            names = [f"unit_{unit}" for unit in range(obj.N)]
            times = self._in_unit(obj.times)
            yield from self._wide(time, times, names, obj.inst_Frate_data.T)
        elif isinstance(obj, PairwiseCompMatrix):
            header, labels = self._names(obj)
            yield from self._wide(header, labels, labels.tolist(), obj.matrix)
        elif isinstance(obj, RateSliceStack):
            numbers = np.arange(obj.event_stack.shape[0], dtype=np.int32)
            times = self._in_unit(_bin_starts(obj))
            yield from self._stack(obj, ("slice", time, "unit", "rate"), times, numbers)
        elif isinstance(obj, PairwiseCompMatrixStack):
            _, labels = self._names(obj)
            rows = np.broadcast_to(labels, (len(obj), len(labels)))
            of_pairs = ("window", "row", "column", "value")
            yield from self._stack(obj, of_pairs, rows, labels)

    def _wide(
        self, name: str, edge: NDArray[Any], names: list[Any], values: NDArray[Any]
    ) -> Iterator[Columns]:
        """Yield the column `name` of `edge`, and one for each column of an array."""
        step = max(self.values_per_block // (len(names) + 1), 1)
        for first in range(0, max(len(values), 1), step):
            part = slice(first, first + step)
            yield [(name, edge[part]), *zip(names, values[part].T, strict=True)]

    def _stack(
        self,
        obj: DataObject,
        header: Sequence[str],
        rows: NDArray[Any],
        columns: NDArray[Any],
    ) -> Iterator[Columns]:
        """Yield the values of a stack: for each slice, of `rows` and of `columns`.

        `rows` are the names of the second axis in each slice, shape (S, R), `columns`
        those of the third, shape (C,).
        """
        array = values_of(obj).transpose(ARRAYS[data_class(obj).__name__][1])
        if not len(array):
            cells = [np.empty(0, np.int32), rows.ravel(), columns[:0], array.ravel()]
            yield list(zip(header, cells, strict=True))
        for i, values in enumerate(array):
            step = max(self.rows_per_block // max(len(columns), 1), 1)
            for first in range(0, max(len(values), 1), step):
                part = slice(first, first + step)
                cells = [
                    np.full(values[part].size, i, dtype=np.int32),
                    np.repeat(rows[i, part], len(columns)),
                    np.tile(columns, len(values[part])),
                    values[part].ravel(),
                ]
                yield list(zip(header, cells, strict=True))

    def _carried(self, obj: DataObject) -> DataObject:
        if isinstance(obj, SpikeData):
            known = attrs.evolve(self._known(obj), fs_Hz=self.fs_Hz)
            ends = obj.spike_trains.ends[: known.n_units]
            return known.recording(SpikeTrains(obj.spike_trains.flat, ends))
        made = obj.arguments()
        for argument, value in made.items():
            if argument in self.not_written:
                made[argument] = {} if argument == "metadata" else None
            elif argument == "labels":
                made[argument] = labels_of(obj)
            elif argument == "spike_stack":
                made[argument] = list(map(_spikes_of, value))
            elif isinstance(value, np.ndarray):
                made[argument] = self._held(value)
        return build(data_class(obj), **made)

    def _losses(self, obj: DataObject) -> list[str]:
        moved = (
            time_units.moved_ms(trains.flat, self.time_unit, self.fs_Hz)
            for trains in _times_of(obj)
        )
        shift = max(moved, default=0.0)
        losses = []
        if shift >= time_units.NEGLIGIBLE_MS:
            losses.append(f"times are rounded by up to {shift:.3g} ms")
        for difference in compare(obj, self._carried(obj)):
            name, *keys = difference.path
            if name == "neuron_attributes":
                reason = self._reason_of_attribute(obj, *keys)
            else:
                reason = self._reason(obj, name, *keys)
            if reason and reason not in losses:
                losses.append(reason)
        return losses

    def _reason(self, obj: DataObject, name: str, *keys: Any) -> str:
        """Return in words what does not come back, "" if a reader only adds it."""
        value = getattr(obj, name)
        if name == "spike_stack":
            if keys[:2] == ("metadata", TIME_ZERO):
                return ""  # the windows say it
            return f"{REASONS.get(keys[0], keys[0])} of slices"
        if name == "metadata" and (keys[0] in NOT_LOST or keys[0] not in (value or ())):
            return ""
        if name in REASONS:
            return REASONS[name]
        if name == "labels":
            return f"labels as {type(value).__name__} (they come back as a list)"
        what = "times" if name == "times" else "values"
        return f"{what} as {value.dtype} (they come back as {self._held(value).dtype})"

    def _reason_of_attribute(self, obj: DataObject, key: Any, unit: int) -> str:
        """Return in words why an attribute of a unit does not come back."""
        name = "neuron_attributes"
        if isinstance(obj, SpikeData):
            if self.units_table is None:
                return f"{name} (no units_table)"
            reason = self._reason_of_cell(obj.unit_table, key, unit)
            return f"{name}[{key!r}] ({reason})" if reason else ""
        if isinstance(obj, SpikeSliceStack | RateSliceStack):
            return f"{name} (a stack has no table of units)"
        return f"{name} (the table holds values only)"

    def _reason_of_cell(self, table: UnitTable, key: Any, unit: int) -> str:
        """Return in words why a cell of the table of units is not the attribute."""
        row = table.rows[unit]
        if key not in row:  # it is there instead of another one
            return ""
        if not isinstance(key, str) or not fits(key):
            return "the name of a column is a str"
        if key in OWN:
            return "the table has a column of this name for itself"
        if row[key] is None:
            return f"None is {self.missing_is}, as if the attribute were missing"
        return self.cells_hold

    def _atol_ms(self, obj: DataObject) -> float:
        return time_units.rounding_ms(self.time_unit, self.fs_Hz, _largest_ms(obj))


def has_column(key: Any) -> bool:
    """Return whether an attribute may be a column of the table of units."""
    return isinstance(key, str) and fits(key) and key not in OWN


def labels_of(obj: DataObject) -> list[Any] | None:
    """Return the labels of a comparison as Python's own values."""
    labels: Sequence[Any] | None = getattr(obj, "labels", None)
    if labels is None:
        return None
    return [x.item() if isinstance(x, np.generic) else x for x in labels]


def values_of(obj: DataObject) -> NDArray[Any]:
    """Return the array that an object of one of the classes in `ARRAYS` holds."""
    values: NDArray[Any] = getattr(obj, ARRAYS[data_class(obj).__name__][0])
    return values


def window_of(sd: SpikeData) -> dict[str, Any]:
    """Return what of a recording is in no row of its spikes."""
    return {"n_units": sd.N, "start_time_ms": sd.start_time, "length_ms": sd.length}


def _times_of(obj: DataObject) -> list[SpikeTrains]:
    """Return the times in ms that a table of an object holds."""
    if isinstance(obj, RateData):
        return [SpikeTrains.from_arrays([obj.times])]
    if isinstance(obj, RateSliceStack):
        return [SpikeTrains.from_arrays(_bin_starts(obj))]
    return [sd.spike_trains for sd in recordings_of(obj)]


def _largest_ms(obj: DataObject) -> float:
    """Return the largest magnitude among the times of an object."""
    return max((trains.largest_ms() for trains in _times_of(obj)), default=0.0)


def _bin_starts(stack: RateSliceStack) -> NDArray[np.float64]:
    """Return where the time bins of each slice begin, in ms, shape (S, T)."""
    bins = np.arange(stack.event_stack.shape[1]) * float(stack.step_size)
    starts = np.array([start for start, _ in stack.times], dtype=np.float64)
    times: NDArray[np.float64] = starts[:, None] + bins
    return times


def _spikes_of(sd: SpikeData) -> SpikeData:
    """Return a recording with its spikes and its window only."""
    trains = SpikeTrains(sd.spike_trains.flat, sd.spike_trains.ends)
    return SpikeData(trains, start_time=sd.start_time, length=sd.length)


def _resolved(target: StrPath) -> str:
    """Return the URL or real path of a target, however it is spelled."""
    if is_s3_url(target):
        return located(target).url
    return os.path.realpath(expanded(target))
