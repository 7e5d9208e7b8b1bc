"""Slices of a recording in NWB: the recording they cover, and their windows."""

from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import comparison, trains
from spikelab.formats.nwb import file as nwb_file
from spikelab.formats.nwb import parts as nwb_parts
from spikelab.formats.nwb import trials as nwb_trials
from spikelab.formats.nwb import units as nwb_units
from spikelab.kinds import Contents

_SAME_MS = 1e-6
"""Closer than this, spikes of two slices are one: a nanosecond, far below a sample."""


@attrs.frozen(eq=False)
class Covered:
    """The part of a recording that slices cover, with what the export asks of it."""

    train: list[NDArray[np.float64]]
    start_time: float
    length: float
    neuron_attributes: nwb_units.Attributes


class SpikeSlices(nwb_parts.Part):
    """Spikes in the time of the recording, each once, and a trial for each window."""

    kind = "SpikeSliceStack"

    def check(self, obj: Any) -> None:
        """Raise ValueError for windows that are none."""
        nwb_trials.windows_ms(obj.times)

    def identifier(self, obj: Any) -> str:
        """Return a text made from spikes and windows."""
        spikes = nwb_parts.identifier_of_spikes(self.recording(obj))
        return nwb_file.identifier(f"{spikes} {obj.times}")

    def recording(self, obj: Any) -> Covered:
        """Return the spikes of all slices in the time of the recording, each once."""
        windows = nwb_trials.windows_ms(obj.times)
        absolute = [_on_recording_clock(obj, i) for i in range(len(windows))]
        train = [
            _union([times[unit] for times in absolute], windows)
            for unit in range(obj.N)
        ]
        low, high = trains.extremes(train)
        start, stop = float(windows[:, 0].min()), float(windows[:, 1].max())
        if any(map(len, train)):
            start, stop = min(start, low), max(stop, high)
        return Covered(train, start, stop - start, obj.neuron_attributes)

    def losses(self, obj: Any) -> list[str]:
        """Return what units and windows do not tell."""
        lost = ["the slices as such (the file is read as the recording they cover)"]
        if differing := self._inconsistent(obj):
            lost.append(
                f"{differing} of {len(obj.spike_stack)} slices as they are (they disagree "
                "with others that overlap them)"
            )
        slices = obj.spike_stack
        if any(piece.neuron_attributes for piece in slices):
            lost.append(
                "neuron_attributes of single slices (those of the stack are kept)"
            )
        if any(piece.metadata for piece in slices):
            lost.append("metadata of the slices (NWB has no place for it)")
        if any(np.size(piece.raw_data) for piece in slices):
            lost.append("raw data of the slices (only spikes are written)")
        return lost + nwb_parts.moved("spike times", self.recording(obj).train)

    def _inconsistent(self, obj: Any) -> int:
        """Count the slices that cannot be cut again from the spikes of all."""
        train = self.recording(obj).train
        windows = nwb_trials.windows_ms(obj.times)
        return sum(
            not all(
                _is_cut(whole, part, *window)
                for whole, part in zip(train, _on_recording_clock(obj, i), strict=True)
            )
            for i, window in enumerate(windows)
        )

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write units and trials."""
        nwb_parts.write_recording(file, self.recording(obj), table)
        windows = nwb_trials.windows_ms(obj.times)
        offsets = np.array([piece.start_time for piece in obj.spike_stack], dtype=float)
        zeros = windows[:, 0] - offsets if np.any(offsets) else None
        nwb_trials.write(file, windows, zeros)

    def found_wrong(self, file: h5py.File, obj: Any) -> list[str]:
        """Compare the windows, which are not part of the recording that is read."""
        windows = nwb_trials.windows_ms(obj.times)
        differ = nwb_trials.differ(windows, nwb_trials.read(file))
        return ["windows differ"] * differ

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare the spikes."""
        covered = self.recording(obj)
        shift = comparison.largest_shift_ms(covered.train, contents.arguments["train"])
        slack = nwb_parts.slack_ms(covered)
        found = [] if shift <= slack else [f"spike times moved by up to {shift} ms"]
        return found + [
            f"{name} is {contents.arguments[name]}, not {getattr(covered, name)}"
            for name in ("start_time", "length")
            if contents.arguments[name] != getattr(covered, name)
        ]


def _on_recording_clock(stack: Any, i: int) -> list[NDArray[np.float64]]:
    piece, (start, _) = stack.spike_stack[i], stack.times[i]
    return [times - piece.start_time + start for times in piece.train]


def _union(
    pieces: list[NDArray[np.float64]], windows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the spikes of one unit, those of overlapping windows once.

    A spike is taken from the first window that covers it.
    """
    taken: list[NDArray[np.float64]] = []
    covered_to = -np.inf
    for times, (_, stop) in zip(pieces, windows, strict=True):
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
    """Tell whether `part` is what lies in a window of `whole`.

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
