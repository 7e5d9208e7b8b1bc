"""Time windows that slices are cut from."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata.quantity import finite_ms, in_ms

Window = tuple[float, float]
"""Start and end in ms."""


@attrs.frozen
class Windows:
    """Windows in the order of their start, in ms on the clock of the recording."""

    times: list[Window]
    zeros: list[float]
    """The time that is 0 on the clock of each slice: its start, or its event."""
    start_ms: float
    """Start of every slice on its own clock."""
    length_ms: float
    order: list[int]
    """For each window, its position among those that were given."""

    def check_inside(self, first: float, last: float) -> None:
        """Raise ValueError for a window that leaves the recording."""
        slack = _rounding(first, last)
        for i, (start, end) in enumerate(self.times):
            if start < first - slack or end > last + slack:
                raise ValueError(
                    f"window {i} must lie in the recording [{first}, {last}] ms, "
                    f"got ({start}, {end})"
                )


def chosen_windows(
    times_start_to_end: list[Window] | None,
    time_peaks: ArrayLike | None,
    time_bounds: Window | None,
    *,
    equal_lengths: bool = True,
) -> Windows | None:
    """Return the windows that the arguments of a slice stack describe.

    None if they describe none. ``times_start_to_end`` comes before peaks.
    """
    if times_start_to_end is not None:
        return _given_windows(times_start_to_end, equal_lengths)
    if time_peaks is None and time_bounds is None:
        return None
    if time_peaks is None or time_bounds is None:
        missing = "time_peaks" if time_peaks is None else "time_bounds"
        raise ValueError(
            f"time_peaks and time_bounds must be given together, {missing} is None"
        )
    return _windows_around(time_peaks, time_bounds)


def required(found: Windows | None) -> Windows:
    """Return `found`, or raise ValueError if there are no windows."""
    if found is None:
        raise ValueError(
            "times_start_to_end, or time_peaks and time_bounds, must be given "
            "with data_obj, got None"
        )
    return found


def _given_windows(given: Any, equal_lengths: bool) -> Windows:
    if not isinstance(given, list):
        raise TypeError(
            f"times_start_to_end must be a list of (start, end) tuples, got {given!r}"
        )
    if not given:
        raise ValueError("times_start_to_end must hold at least one window, got []")
    times = [_window(f"times_start_to_end[{i}]", w) for i, w in enumerate(given)]
    length = times[0][1] - times[0][0]
    for i, (start, end) in enumerate(times if equal_lengths else ()):
        if start == end:
            raise ValueError(
                f"times_start_to_end[{i}] must start before it ends, got {given[i]}"
            )
        if abs(end - start - length) > _rounding(start, end, *times[0]):
            raise ValueError(
                f"times_start_to_end must hold windows of equal length, "
                f"got {length} ms for window 0 and {end - start} ms for window {i}"
            )
    order = sorted(range(len(times)), key=lambda i: times[i][0])
    if order != list(range(len(times))):
        warn(
            "times_start_to_end is not in the order of the starts: the slices are "
            "put into that order, each with its own window",
        )
    times = [times[i] for i in order]
    starts = [start for start, _ in times]
    return Windows(times, starts, 0.0, float(times[0][1] - times[0][0]), order)


def _window(name: str, given: Any) -> Window:
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(f"{name} must be a (start, end) tuple, got {given!r}")
    start, end = in_ms(name, given)
    if validate.finite(name, start) > validate.finite(name, end):
        raise ValueError(f"{name} must start before it ends, got {given}")
    return start, end


def _windows_around(time_peaks: ArrayLike, time_bounds: Any) -> Windows:
    if not isinstance(time_bounds, tuple) or len(time_bounds) != 2:
        raise TypeError(
            f"time_bounds must be a (before, after) tuple, got {time_bounds!r}"
        )
    before, after = (finite_ms("time_bounds", value) for value in time_bounds)
    if not before + after > 0:
        raise ValueError(f"time_bounds must span some time, got {time_bounds}")
    validate.unmasked("time_peaks", time_peaks)
    peaks = np.asarray(in_ms("time_peaks", time_peaks))
    if peaks.ndim != 1 or not peaks.size:
        raise ValueError(
            f"time_peaks must be 1-D and hold at least one time, got {time_peaks!r}"
        )
    zeros = [validate.finite("time_peaks", peak) for peak in peaks.tolist()]
    order = sorted(range(len(zeros)), key=zeros.__getitem__)
    zeros = [zeros[i] for i in order]
    times = [(zero - before, zero + after) for zero in zeros]
    # Not -before, which is -0.0 for 0.
    return Windows(times, zeros, 0.0 - before, before + after, order)


def of_slices(
    name: str, found: Windows | None, lengths: Sequence[float]
) -> tuple[list[int], list[Window]]:
    """Return the order of slices of these lengths, and the window of each.

    Without windows they follow one another from 0. `name` is what errors call them.
    """
    if found is None:
        ends = np.cumsum(lengths, dtype=np.float64).tolist()
        times = list(zip([0.0, *ends[:-1]], ends, strict=True))
        return list(range(len(lengths))), times
    if len(found.times) != len(lengths):
        raise ValueError(
            f"times_start_to_end must hold one window per slice of {name} "
            f"({len(lengths)}), got {len(found.times)}"
        )
    return found.order, found.times


def frame_windows(
    start_time: float, recording_length: float, length: float, overlap: float
) -> list[Window]:
    """Return the consecutive windows that fit into a recording, all times in ms."""
    length = validate.positive("length", in_ms("length", length))
    overlap = finite_ms("overlap", overlap)
    if not 0 <= overlap < length:
        raise ValueError(
            f"overlap must not be negative and be below length ({length:g}), "
            f"got {overlap:g}"
        )
    stop = start_time + recording_length
    # Rounding must not cost the frame that ends with the recording.
    slack = _rounding(start_time, stop)
    if length > recording_length + slack:
        raise ValueError(
            f"length must not exceed that of the recording ({recording_length} ms), "
            f"got {length}"
        )
    step = length - overlap
    # What rounding the step has cost adds up with each of them.
    slack += float(np.spacing(length)) * recording_length / step
    count = int((recording_length + slack - length) / step) + 1
    latest = max(stop - length, start_time)
    starts = [float(min(start_time + i * step, latest)) for i in range(count)]
    return [(start, float(start + length)) for start in starts]


def _rounding(*times: float) -> float:
    """Return how far rounding may carry a sum of these times."""
    return 8 * float(np.spacing(max(map(abs, times))))


def events_inside(
    events: Any,
    metadata: Mapping[str, Any],
    bounds: tuple[float, float],
    extent: Window,
) -> list[float]:
    """Return the event times, ascending, whose windows lie in a recording.

    Warns of those that do not. `events` may be the key of `metadata` that holds them,
    `bounds` are how far the window reaches before and after each.
    """
    (before, after), (first, last) = bounds, extent
    if not before + after > 0:
        raise ValueError(
            f"pre_ms and post_ms must span some time, got {before:g} and {after:g}"
        )
    if isinstance(events, str):
        if events not in metadata:
            raise KeyError(
                f"events must be a key of metadata ({sorted(map(str, metadata))}), "
                f"got {events!r}"
            )
        events = metadata[events]
    validate.unmasked("events", events)
    try:
        times = np.sort(np.asarray(in_ms("events", events), dtype=np.float64).ravel())
    except (TypeError, ValueError) as error:
        raise TypeError(f"events must be numbers: {error}") from error
    if not np.isfinite(times).all():
        raise ValueError(f"events must be finite, got {times[~np.isfinite(times)][0]}")
    inside = (times - before >= first) & (times + after <= last)
    if not inside.any():
        raise ValueError(
            f"events must hold a time whose window lies in the recording "
            f"[{first}, {last}] ms, got none among {times.size}"
        )
    if dropped := int(np.count_nonzero(~inside)):
        warn(
            f"{dropped} of {times.size} events left out: the window "
            f"[-{before}, +{after}] ms around them leaves the recording "
            f"[{first}, {last}] ms",
        )
    return [float(time) for time in times[inside]]


def step_of(times: NDArray[Any]) -> float:
    """Return the mean distance of times in ms, 1.0 if there is but one."""
    if times.size < 2:
        return 1.0
    return float(times[-1] - times[0]) / (times.size - 1)


def extent_of(times: NDArray[Any]) -> Window:
    """Return the first time and the end of the last one's step, in ms."""
    if not times.size:
        raise ValueError("times must not be empty to be cut into windows, got size 0")
    return float(times[0]), float(times[-1]) + step_of(times)


def index_range(start_idx: int, end_idx: int, count: int) -> tuple[int, int]:
    """Return two positions among `count`, or raise; negative ones count from the end."""
    first, last = (i + count if i < 0 else i for i in (start_idx, end_idx))
    if not 0 <= first < last <= count:
        raise ValueError(
            f"start_idx must be before end_idx, and both lie in 0..{count}, "
            f"got {start_idx} and {end_idx}"
        )
    return first, last
