"""The writer of tables: what CSV and Parquet have in common."""

import contextlib
import os
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import FileWriter, Loss, OnLosses, StrPath, recordings_of
from spikelab.formats.protect import refuse_loss
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.differences import compare
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TimeUnit
from spikelab.storage.publish import publish
from spikelab.storage.urls import is_s3_url, located

_REASONS = {
    "train": "silent units after the last that has spikes (no units_table)",
    "start_time": "the recording window (no units_table)",
    "length": "the recording window (no units_table)",
    "metadata": "metadata",
    "raw_data": "raw data",
    "raw_time": "raw data",
    "rate_unit": "rate_unit (the table holds values only)",
}


@attrs.frozen(kw_only=True)
class TableWriter(FileWriter):
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

    time_unit: TimeUnit = attrs.field(default="ms", validator=time_units.is_time_unit)
    fs_Hz: float | None = None
    units_table: StrPath | None = attrs.field(default=None)

    @units_table.validator
    def _is_path(self, attribute: "attrs.Attribute[Any]", value: Any) -> None:
        if value is not None and not isinstance(value, str | os.PathLike):
            raise TypeError(f"units_table must be a path or None, got {value!r}")

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        time_units.sampling_rate(self.fs_Hz, self.time_unit)

    def write(
        self, obj: DataObject, filepath: StrPath, *, on_losses: OnLosses | None = None
    ) -> str:
        """Write an object, and its units to the table of units, whole or not at all.

        Parameters
        ----------
        obj : data object
            What to write.
        filepath : path or S3 URL
            The file; replaced if it exists. Parent folders are made.
        on_losses : callable, optional
            Called with what :meth:`losses` returns, before the target is touched.

        Returns
        -------
        str
            `filepath`.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> from spikelab.formats import CSVWriter
        >>> CSVWriter().write(SpikeData([[12.5, 430.0]]), "spikes.csv")
        'spikes.csv'
        """
        self._checked_losses(obj, self._checked(obj), on_losses)
        targets = [filepath]
        if self.units_table is not None:
            targets.append(self.units_table)
            _check_different(filepath, self.units_table)
        for target in () if self.overwrite else targets:
            refuse_loss(target, self._would_be_lost(target))
        with contextlib.ExitStack() as files:
            # Published in the opposite order.
            staged = [
                files.enter_context(
                    publish(target, self.storage_options, progress=self.progress)
                )
                for target in targets
            ]
            self._write(obj, staged[0])
            if isinstance(obj, SpikeData) and self.units_table is not None:
                self._write_units(obj, staged[1])
            for path, target in zip(staged, targets, strict=True):
                self._finish(path, target)
            if self.verify:
                # What is carried is known exactly: no loss explains a difference.
                self._verify(obj, [], lambda: self._read_back(obj, *staged))
        return os.fspath(filepath)

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        """Write the table of units."""
        raise NotImplementedError

    def _finish(self, staged: Path, target: StrPath) -> None:
        """Make the staged file what the name of its target asks for."""

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None = None
    ) -> DataObject:
        """Read staged files as the loader will; `obj` was written to them."""
        raise NotImplementedError

    def _read(self, staged: Path) -> DataObject:
        raise NotImplementedError

    def _check_format(self, obj: DataObject) -> None:
        if self.units_table is not None and not isinstance(obj, SpikeData):
            raise ValueError(
                f"units_table must be None for a {data_class(obj).__name__}, "
                f"got {self.units_table!r}"
            )
        if self.time_unit == "samples":
            largest = max((t.largest_ms() for t in times_of(obj)), default=0.0)
            time_units.fits_int64("times", largest, self.fs_Hz)

    def _losses(self, obj: DataObject) -> list[Loss]:
        shift = max(
            (t.rounding(self._there_and_back) for t in times_of(obj)), default=0
        )
        text = f"times are rounded by up to {shift:.3g} ms"
        losses = [Loss(("time_unit",), text)] if shift else []
        texts = set()
        for difference in compare(obj, self._carried(obj)):
            text = self._reason(obj, difference.path)
            losses.append(Loss(difference.path, "" if text in texts else text))
            texts.add(text)
        return losses

    def _reason(self, obj: DataObject, path: tuple[Any, ...]) -> str:
        """Return in words what the table does not carry at a place of an object."""
        name = path[0]
        if name == "spike_stack":
            return f"{_REASONS.get(path[1], path[1])} of slices"
        if name == "neuron_attributes":
            has_spikes = isinstance(obj, SpikeData)
            why = "no units_table" if has_spikes else "the table holds values only"
            return f"{name} ({why})"
        if name == "labels":
            found = type(getattr(obj, name)).__name__
            return f"labels as {found} (they come back as a list)"
        if name in _REASONS:
            return _REASONS[name]
        array = getattr(obj, name)
        what = name if name == "times" else "values"
        return f"{what} as {array.dtype} (they come back as {self._dtype(array)})"

    def _dtype(self, array: NDArray[Any]) -> str:
        """Return in words as which type the values of an array come back."""
        return "float64"

    def _atol_ms(self, obj: DataObject) -> float:
        largest = max((trains.largest_ms() for trains in times_of(obj)), default=0.0)
        return time_units.rounding_ms(self.time_unit, self.fs_Hz, largest)

    def _in_unit(self, times_ms: NDArray[Any]) -> NDArray[Any]:
        """Return times in ms as they stand in the file."""
        times = np.asarray(times_ms, dtype=np.float64)
        return time_units.from_ms(times, self.time_unit, self.fs_Hz)

    def _there_and_back(self, times_ms: NDArray[Any]) -> NDArray[Any]:
        return time_units.there_and_back(times_ms, self.time_unit, self.fs_Hz)


def times_of(obj: DataObject) -> list[SpikeTrains]:
    """Return the times in ms that a table of an object holds."""
    if isinstance(obj, RateData):
        return [SpikeTrains.from_arrays([obj.times])]
    if isinstance(obj, RateSliceStack):
        return [SpikeTrains.from_arrays(bin_starts(obj))]
    return [sd.spike_trains for sd in recordings_of(obj)]


def bin_starts(stack: RateSliceStack) -> NDArray[np.float64]:
    """Return where the time bins of each slice begin, in ms, shape (S, T)."""
    bins = np.arange(stack.event_stack.shape[1]) * float(stack.step_size)
    starts = np.array([start for start, _ in stack.times], dtype=np.float64)
    times: NDArray[np.float64] = starts[:, None] + bins
    return times


def _check_different(*targets: StrPath) -> None:
    """Raise ValueError if the second target is the first, or would lie below it."""
    first, second = (_absolute(target) for target in targets)
    if first == second or second.startswith(f"{first}{os.sep}"):
        raise ValueError(
            f"units_table must not be filepath itself, nor below it, got {targets[1]}"
        )


def _absolute(target: StrPath) -> str:
    if is_s3_url(target):
        return located(target).url
    return os.path.realpath(Path(target).expanduser())
