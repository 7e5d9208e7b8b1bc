"""What an NWB file holds of an object, computed once: of recordings and their slices."""

import abc
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.nwb import schema
from spikelab.formats.nwb.header import Header
from spikelab.formats.nwb.units import UnitFacts, UnitsNames, write_units
from spikelab.spikedata import time_units
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

_Times = NDArray[np.float64]

_SAME_MS = 1e-6
"""Closer than this, spikes of two slices are one: a nanosecond, far below a sample."""

WINDOWS = "windows"
"""Key of the metadata in which `verify` finds the windows of slices.

They are trials of the file, for which the recording that is read has no field.
"""

O = TypeVar("O", bound=DataObject)  # noqa: E741


class Plan(abc.ABC, Generic[O]):
    """All that a file of one object will hold, for checks, losses and writing.

    Making one raises ValueError if the object holds what NWB cannot.
    """

    windows: NDArray[np.float64] = np.empty((0, 2))
    """Start and end in ms of each trial in the file."""

    def __init__(self, obj: O, header: Header, units: UnitFacts | None) -> None:
        self.obj, self.name = obj, data_class(obj).__name__
        self.header, self.units = header, units

    def losses(self) -> Iterator[str]:
        """Yield in words what the file does not carry."""
        if self.units is not None:
            yield from self.units.losses()
        if "metadata" in data_class(self.obj).FIELDS:
            yield from self.header.losses(getattr(self.obj, "metadata", {}))
        yield from rounding_losses("windows", self.windows)

    def largest_ms(self) -> float:
        """Return the largest magnitude among the times in the file."""
        return float(np.abs(self.windows).max(initial=0.0))

    @abc.abstractmethod
    def carried(self) -> DataObject:
        """Return the object that a reader makes, its times not rounded."""

    @abc.abstractmethod
    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write all but the header."""


class RecordingPlan(Plan[SpikeData]):
    """Spike trains: the Units table holds them all, the root the window in ms."""

    units: UnitFacts

    def losses(self) -> Iterator[str]:
        """Yield in words what the file does not carry."""
        yield from super().losses()
        if np.size(self.obj.raw_data):
            yield "raw data (only spikes are written)"
        yield from rounding_losses("spike times", self.obj.spike_trains.flat)

    def largest_ms(self) -> float:
        """Return the largest magnitude among the times in the file."""
        return max(super().largest_ms(), self.obj.spike_trains.largest_ms())

    def carried(self) -> SpikeData:
        """Return the recording with what the file holds of attributes and metadata."""
        trains = self.obj.spike_trains
        return SpikeData(
            SpikeTrains(trains.flat, trains.ends),  # shared, not copied
            start_time=self.obj.start_time,
            length=self.obj.length,
            neuron_attributes=self.units.attributes(),
            metadata=self.header.metadata(),
        )

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write the Units table, the window, and names that are not those of NWB."""
        file.attrs.update({"n_units": self.obj.N, **names.own()})
        write_units(file, names, self.units, self.obj, self.header)
        file.attrs["start_time"] = float(self.obj.start_time)
        file.attrs["length_ms"] = float(self.obj.length)


class SpikeSlicesPlan(RecordingPlan):
    """Slices: each spike once, on the clock of the recording, and a trial per window."""

    def __init__(self, obj: SpikeSliceStack, header: Header, units: UnitFacts) -> None:
        self.stack, self.windows = obj, windows_ms(obj.times)
        starts = np.array([sd.start_time for sd in obj.spike_stack], dtype=float)
        # The time that is 0 in each slice, and its spikes on that clock, unit by unit.
        self.zeros = self.windows[:, 0] - starts
        self.absolute: list[list[_Times]] = [
            [times - sd.start_time + start for times in sd.train]
            for sd, (start, _) in zip(obj.spike_stack, obj.times, strict=True)
        ]
        by_unit = zip(*self.absolute, strict=True)
        train = [_union(slices, self.windows) for slices in by_unit]
        flat = np.concatenate([self.windows.ravel(), *train])
        start, stop = float(flat.min()), float(flat.max())
        recording = SpikeData(train, start_time=start, length=stop - start)
        super().__init__(recording, header, units)
        self.name = "SpikeSliceStack"

    def losses(self) -> Iterator[str]:
        """Yield in words what the file does not carry."""
        yield from super().losses()
        yield "the slices as such (the file is read as the recording they cover)"
        slices = self.stack.spike_stack
        differing = 0
        for absolute, (start, stop) in zip(self.absolute, self.windows, strict=True):
            pairs = zip(self.obj.train, absolute, strict=True)
            if not all(_is_cut(whole, part, start, stop) for whole, part in pairs):
                differing += 1
        if differing:
            yield (
                f"{differing} of {len(slices)} slices as they are (they disagree with "
                "others that overlap them)"
            )
        if any(sd.neuron_attributes for sd in slices):
            yield "neuron_attributes of single slices (those of the stack are kept)"
        # The windows say where time 0 of each slice lies.
        if any(sd.metadata.keys() - {TIME_ZERO} for sd in slices):
            yield "metadata of the slices (NWB has no place for it)"
        if any(np.size(sd.raw_data) for sd in slices):
            yield "raw data of the slices (only spikes are written)"

    def carried(self) -> SpikeData:
        """Return the recording, with the windows for `verify`."""
        recording = super().carried()
        windows = time_units.there_and_back(self.windows, "s", None)
        recording.metadata[WINDOWS] = windows
        return recording

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write units and windows."""
        super().write(file, names)
        from_starts = np.array_equal(self.zeros, self.windows[:, 0])
        schema.write_trials(file, self.windows, None if from_starts else self.zeros)


def rounding_losses(name: str, times_ms: Any) -> Iterator[str]:
    """Yield how far seconds move times in ms, if it is not negligible."""
    shift = time_units.moved_ms(np.ravel(times_ms), "s", None)
    if shift >= time_units.NEGLIGIBLE_MS:
        yield f"{name} are rounded by up to {shift:.3g} ms"


def windows_ms(times: Any) -> NDArray[np.float64]:
    """Return windows as an array (S, 2) of starts and ends in ms."""
    try:
        windows = np.array(times, dtype=np.float64).reshape(len(times), 2)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"times must hold a start and an end in ms for each window: {error}"
        ) from error
    if not np.all(np.isfinite(windows)):
        raise ValueError("times must be finite to be written as trials")
    return windows


def _union(slices: Iterable[_Times], windows: NDArray[np.float64]) -> _Times:
    """Return the spikes of one unit, each from the first window that covers it."""
    taken: list[_Times] = [np.empty(0)]
    covered_to = -np.inf
    for times, (_, stop) in zip(slices, windows, strict=True):
        fresh = times[times >= covered_to - _SAME_MS]
        n_at_edge = int(np.searchsorted(fresh, covered_to + _SAME_MS))
        if n_at_edge:
            # As many of them as are known there already are the same spikes.
            known = _near(np.sort(np.concatenate(taken)), covered_to, covered_to)
            fresh = fresh[min(n_at_edge, len(known)) :]
        taken.append(fresh)
        covered_to = max(covered_to, stop)
    return np.sort(np.concatenate(taken))


def _is_cut(whole: _Times, part: _Times, start: float, stop: float) -> bool:
    """Return whether `part` is what lies in a window of `whole`.

    A spike at the end may be in it or not; at the start it must be.
    """
    if len(_near(part, start, stop)) < len(part):
        return False
    if np.count_nonzero(whole == start) > len(_near(part, start, start)):
        return False
    inside = _between(whole, start + _SAME_MS, stop - _SAME_MS)
    cut = _between(part, start + _SAME_MS, stop - _SAME_MS)
    return len(inside) == len(cut) and bool(np.all(np.abs(inside - cut) <= _SAME_MS))


def _near(times: _Times, first: float, last: float) -> _Times:
    """Return the times in a window, and those as close to it as to be the same."""
    return _between(times, first - _SAME_MS, last + _SAME_MS)


def _between(times: _Times, first: float, last: float) -> _Times:
    return times[slice(*np.searchsorted(times, (first, last)))]
