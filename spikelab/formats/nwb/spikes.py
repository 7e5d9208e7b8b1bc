"""What NWB files hold of objects, computed once: recordings, and slices of them."""

import abc
import functools
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.nwb import schema
from spikelab.formats.nwb.header import Header
from spikelab.formats.nwb.losses import Loss
from spikelab.formats.nwb.units import UnitFacts
from spikelab.spikedata import time_units
from spikelab.spikedata.cutting import TIME_ZERO, recording_metadata
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

_Times = NDArray[np.float64]

_SAME_MS = 1e-6
"""Closer than this, spikes of two slices are one: a nanosecond, far below a sample."""

O = TypeVar("O", bound=DataObject)  # noqa: E741


class Plan(abc.ABC, Generic[O]):
    """All that a file of one object will hold, for checks, losses and writing.

    Making one raises ValueError if the object holds what NWB cannot.
    """

    header: Header  # session, subject and time 0
    recording: SpikeData | None = None  # the spikes, if it has any
    units: UnitFacts | None = None  # what is known about the units

    def __init__(self, obj: O) -> None:
        self.obj, self.name = obj, data_class(obj).__name__
        # Of the recording that it is, or comes from.
        self.metadata: Mapping[Any, Any] = getattr(obj, "metadata", None) or {}

    @functools.cached_property
    def all_losses(self) -> list[Loss]:
        """What a reader of the file does not find, or finds beside it."""
        lost = [] if self.units is None else list(self.units.losses())
        if "metadata" in data_class(self.obj).FIELDS:
            lost += self.header.losses(self.metadata)
        return [*lost, *self.losses()]

    @abc.abstractmethod
    def losses(self) -> Iterator[Loss]:
        """Yield what the file does not carry beside attributes and metadata."""

    @abc.abstractmethod
    def write(self, file: h5py.File) -> None:
        """Write all but header, units and spikes."""


class RecordingPlan(Plan[SpikeData]):
    """Spike trains: the Units table holds them all, the root the window in ms."""

    def __init__(self, obj: SpikeData) -> None:
        super().__init__(obj)
        self.recording = obj

    def losses(self) -> Iterator[Loss]:
        """Yield what no table holds."""
        if np.size(self.obj.raw_data):
            yield Loss(("raw_data",), "raw data (only spikes are written)")
            yield Loss(("raw_time",))
        yield from rounding_losses("spike times", "train", self.obj.spike_trains.flat)

    def write(self, file: h5py.File) -> None:
        """Write the window."""
        file.attrs["start_time"] = float(self.obj.start_time)
        file.attrs["length_ms"] = float(self.obj.length)


def rounding_losses(name: str, path: str, times_ms: Any) -> Iterator[Loss]:
    """Yield how far seconds move times in ms, if it is not negligible."""
    flat = np.asarray(times_ms, dtype=np.float64).ravel()
    trains = SpikeTrains(flat, np.array([flat.size]))
    shift = trains.rounding(lambda t: time_units.there_and_back(t, "s", None))
    if shift >= time_units.NEGLIGIBLE_MS:
        yield Loss((path,), f"{name} are rounded by up to {shift:.3g} ms")


def windows_ms(times: Any) -> NDArray[np.float64]:
    """Return windows as an array (S, 2) of starts and ends in ms."""
    try:
        windows = np.asarray(list(times), dtype=np.float64).reshape(len(times), 2)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"times must hold a start and an end in ms for each window: {error}"
        ) from error
    if not np.all(np.isfinite(windows)):
        raise ValueError("times must be finite to be written as trials")
    return windows


class SpikeSlicesPlan(Plan[SpikeSliceStack]):
    """Spikes on the clock of the recording, each once, and a trial for each window."""

    recording: SpikeData

    def __init__(self, obj: SpikeSliceStack) -> None:
        super().__init__(obj)
        self.metadata, slices = recording_metadata(obj), obj.spike_stack
        self.windows = windows_ms(obj.times)
        starts = np.array([sd.start_time for sd in slices], dtype=float)
        # The time that is 0 in each slice, and its spikes on that clock, unit by unit.
        self.zeros = self.windows[:, 0] - starts
        self.absolute: list[list[_Times]] = [
            [times - sd.start_time + start for times in sd.train]
            for sd, (start, _) in zip(slices, obj.times, strict=True)
        ]
        train = [
            _union([slice_[unit] for slice_ in self.absolute], self.windows)
            for unit in range(obj.N)
        ]
        flat = np.concatenate([self.windows.ravel(), *train])
        start, stop = float(flat.min()), float(flat.max())
        self.recording = SpikeData(
            train,
            start_time=start,
            length=stop - start,
            neuron_attributes=obj.neuron_attributes,
            metadata=self.metadata,
        )

    def losses(self) -> Iterator[Loss]:
        """Yield what units and windows do not tell."""
        slices = self.obj.spike_stack
        differing = sum(
            not all(
                _is_cut(whole, part, *window)
                for whole, part in zip(self.recording.train, absolute, strict=True)
            )
            for absolute, window in zip(self.absolute, self.windows, strict=True)
        )
        # The windows say where time 0 of each slice lies.
        has_metadata = any(sd.metadata.keys() - {TIME_ZERO} for sd in slices)
        lost = {
            "the slices as such (the file is read as the recording they cover)": True,
            f"{differing} of {len(slices)} slices as they are (they disagree "
            "with others that overlap them)": differing,
            "neuron_attributes of single slices (those of the stack are kept)": any(
                sd.neuron_attributes for sd in slices
            ),
            "metadata of the slices (NWB has no place for it)": has_metadata,
            "raw data of the slices (only spikes are written)": any(
                np.size(sd.raw_data) for sd in slices
            ),
        }
        yield from (Loss(("spike_stack",), text) for text in lost if lost[text])
        flat = self.recording.spike_trains.flat
        yield from rounding_losses("spike times", "spike_stack", flat)

    def write(self, file: h5py.File) -> None:
        """Write the windows."""
        from_starts = np.array_equal(self.zeros, self.windows[:, 0])
        schema.write_trials(file, self.windows, None if from_starts else self.zeros)


def _union(slices: list[_Times], windows: NDArray[np.float64]) -> _Times:
    """Return the spikes of one unit, each from the first window that covers it."""
    taken: list[_Times] = [np.empty(0)]
    covered_to = -np.inf
    for times, (_, stop) in zip(slices, windows, strict=True):
        fresh = times[times >= covered_to - _SAME_MS]
        if n_at_edge := np.searchsorted(fresh, covered_to + _SAME_MS):
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
    inside, cut = (
        times[slice(*np.searchsorted(times, (start + _SAME_MS, stop - _SAME_MS)))]
        for times in (whole, part)
    )
    return (
        len(_near(part, start, stop)) == len(part)
        and bool(np.count_nonzero(whole == start) <= len(_near(part, start, start)))
        and len(inside) == len(cut)
        and bool(np.all(np.abs(inside - cut) <= _SAME_MS))
    )


def _near(times: _Times, first: float, last: float) -> _Times:
    """Return the times in a window, and those as close to it as to be the same."""
    return times[slice(*np.searchsorted(times, (first - _SAME_MS, last + _SAME_MS)))]
