"""Recordings in NWB, and slices of a recording: the recording that they cover."""

from collections.abc import Iterator

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import Loss
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.object_part import ObjectPart, rounding_losses, windows_ms
from spikelab.spikedata.cutting import recording_metadata
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

_SAME_MS = 1e-6
"""Closer than this, spikes of two slices are one: a nanosecond, far below a sample."""


class RecordingPart(ObjectPart[SpikeData]):
    """Spike trains: the Units table holds them all, the root the window in ms."""

    cls = SpikeData

    def recording(self, obj: SpikeData) -> SpikeData:
        """Return the object."""
        return obj

    def losses(self, obj: SpikeData) -> Iterator[Loss]:
        """Yield what no table holds."""
        if np.size(obj.raw_data):
            yield Loss(("raw_data",), "raw data (only spikes are written)")
            yield Loss(("raw_time",))
        yield from rounding_losses("spike times", "train", obj.spike_trains.flat)

    def write(self, file: h5py.File, obj: SpikeData) -> None:
        """Write the window."""
        file.attrs["start_time"] = float(obj.start_time)
        file.attrs["length_ms"] = float(obj.length)


class SpikeSlicesPart(ObjectPart[SpikeSliceStack]):
    """Spikes on the clock of the recording, each once, and a trial for each window."""

    cls = SpikeSliceStack

    def check(self, obj: SpikeSliceStack) -> None:
        """Raise ValueError for windows that are none."""
        windows_ms(obj.times)

    def recording(self, obj: SpikeSliceStack) -> SpikeData:
        """Return the spikes of all slices on the clock of the recording, each once."""
        windows = windows_ms(obj.times)
        absolute = [_on_recording_clock(obj, i) for i in range(len(windows))]
        train = [
            _union([times[unit] for times in absolute], windows)
            for unit in range(obj.N)
        ]
        flat = np.concatenate([windows.ravel(), *train])
        start, stop = float(flat.min()), float(flat.max())
        return SpikeData(
            train,
            start_time=start,
            length=stop - start,
            neuron_attributes=obj.neuron_attributes,
            metadata=recording_metadata(obj),
        )

    def losses(self, obj: SpikeSliceStack) -> Iterator[Loss]:
        """Yield what units and windows do not tell."""
        covered, slices = self.recording(obj), obj.spike_stack
        lost = ["the slices as such (the file is read as the recording they cover)"]
        windows = windows_ms(obj.times)
        cut_again = (
            all(
                _is_cut(whole, part, *window)
                for whole, part in zip(
                    covered.train, _on_recording_clock(obj, i), strict=True
                )
            )
            for i, window in enumerate(windows)
        )
        if differing := len(windows) - sum(cut_again):
            lost.append(
                f"{differing} of {len(slices)} slices as they are (they disagree "
                "with others that overlap them)"
            )
        if any(sd.neuron_attributes for sd in slices):
            lost.append(
                "neuron_attributes of single slices (those of the stack are kept)"
            )
        if any(sd.metadata for sd in slices):
            lost.append("metadata of the slices (NWB has no place for it)")
        if any(np.size(sd.raw_data) for sd in slices):
            lost.append("raw data of the slices (only spikes are written)")
        yield from (Loss(("spike_stack",), text) for text in lost)
        flat = covered.spike_trains.flat
        yield from rounding_losses("spike times", "spike_stack", flat)

    def write(self, file: h5py.File, obj: SpikeSliceStack) -> None:
        """Write the windows."""
        windows = windows_ms(obj.times)
        offsets = np.array([sd.start_time for sd in obj.spike_stack], dtype=float)
        zeros = windows[:, 0] - offsets if np.any(offsets) else None
        schema.write_trials(file, windows, zeros)


def _on_recording_clock(stack: SpikeSliceStack, i: int) -> list[NDArray[np.float64]]:
    sd, (start, _) = stack.spike_stack[i], stack.times[i]
    return [times - sd.start_time + start for times in sd.train]


def _union(
    slices: list[NDArray[np.float64]], windows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the spikes of one unit, those of overlapping windows once.

    A spike is taken from the first window that covers it.
    """
    taken: list[NDArray[np.float64]] = []
    covered_to = -np.inf
    for times, (_, stop) in zip(slices, windows, strict=True):
        fresh = times[times >= covered_to - _SAME_MS]
        if n_at_edge := np.searchsorted(fresh, covered_to + _SAME_MS):
            # As many of them as are known there already are the same spikes.
            edge = (covered_to - _SAME_MS, covered_to + _SAME_MS)
            known = np.searchsorted(np.sort(np.concatenate(taken)), edge)
            fresh = fresh[min(n_at_edge, known[1] - known[0]) :]
        taken.append(fresh)
        covered_to = max(covered_to, stop)
    return np.sort(np.concatenate([np.empty(0), *taken]))


def _is_cut(
    whole: NDArray[np.float64], part: NDArray[np.float64], start: float, stop: float
) -> bool:
    """Return whether `part` is what lies in a window of `whole`.

    A spike at the end may be in it or not; at the start it must be.
    """
    inner = [
        _between(times, start + _SAME_MS, stop - _SAME_MS) for times in (whole, part)
    ]
    at_start = len(_between(part, start - _SAME_MS, start + _SAME_MS))
    return (
        len(_between(part, start - _SAME_MS, stop + _SAME_MS)) == len(part)
        and bool(np.count_nonzero(whole == start) <= at_start)
        and len(inner[0]) == len(inner[1])
        and bool(np.all(np.abs(inner[0] - inner[1]) <= _SAME_MS))
    )


def _between(
    times: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    return times[slice(*np.searchsorted(times, (low, high)))]
