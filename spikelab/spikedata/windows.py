"""Time windows that slices are cut from."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata.foreign import instead_of
from spikelab.spikedata.quantity import finite_array_in_ms, finite_ms, in_ms

Window = tuple[float, float]
"""Start and end in ms."""


@attrs.frozen
class Windows:
    """Windows of the same recording, in the order of their start."""

    times: list[Window]
    """Start and end of each, on the clock of the recording."""
    zeros: list[float]
    """The time that is 0 on the clock of each slice: its start, or its event."""
    start_ms: float
    """Start of every slice on its own clock."""
    length_ms: float
    order: list[int]
    """For each window, its position among those that were given."""


def chosen_windows(
    times_start_to_end: Any,
    time_peaks: Any,
    time_bounds: Any,
    *,
    equal_lengths: bool = True,
) -> Windows | None:
    """Return the windows that the arguments of a slice stack describe, if any.

    ``times_start_to_end`` comes before peaks.
    """
    if times_start_to_end is not None:
        return _windows_from_edges(times_start_to_end, equal_lengths)
    if time_peaks is None and time_bounds is None:
        return None
    if time_peaks is None or time_bounds is None:
        missing = "time_peaks" if time_peaks is None else "time_bounds"
        raise ValueError(
            f"time_peaks and time_bounds must be given together, {missing} is None"
        )
    return _windows_around_peaks(time_peaks, time_bounds)


def windows_inside(recording: Window, *given: Any) -> Windows:
    """Return the windows that a recording is cut into.

    `recording` is its start and end, `given` are the arguments of
    :func:`chosen_windows`. Raises ValueError without any, or for one that leaves the
    recording by more than a rounding.
    """
    found = chosen_windows(*given)
    if found is None:
        raise ValueError(
            "times_start_to_end, or time_peaks and time_bounds, must be given "
            "with data_obj, got None"
        )
    first, last = recording
    slack = rounding_of(first, last)
    for i, (start, end) in enumerate(found.times):
        if start < first - slack or end > last + slack:
            raise ValueError(
                f"window {i} must lie in the recording [{first}, {last}] ms, "
                f"got ({start}, {end})"
            )
    return found


def windows_of_slices(
    name: str, found: Windows | None, lengths: Sequence[float]
) -> tuple[list[Window], list[int]]:
    """Return the window of each of the given slices, and the order to put them into.

    Without windows the slices follow one another from 0. `lengths` are theirs in ms,
    `name` is what errors call them.
    """
    if found is None:
        ends = np.cumsum(lengths, dtype=np.float64).tolist()
        return list(zip([0.0, *ends[:-1]], ends, strict=True)), list(range(len(ends)))
    if len(found.times) != len(lengths):
        raise ValueError(
            f"times_start_to_end must hold one window per slice of {name} "
            f"({len(lengths)}), got {len(found.times)}"
        )
    return found.times, found.order


def _windows_from_edges(given: Any, equal_lengths: bool) -> Windows:
    edges = _checked_edges(given, equal_lengths)
    length = edges[0, 1] - edges[0, 0]
    order = np.argsort(edges[:, 0], kind="stable")
    if np.any(order[1:] < order[:-1]):
        warn(
            "times_start_to_end is not in the order of the starts: the slices are "
            "put into that order, each with its own window",
        )
    edges = edges[order]
    return Windows(
        times=[(start, end) for start, end in edges.tolist()],
        zeros=edges[:, 0].tolist(),
        start_ms=0.0,
        length_ms=float(length),
        order=order.tolist(),
    )


def _checked_edges(given: Any, equal_lengths: bool) -> NDArray[np.float64]:
    """Return start and end of each window, shape (S, 2)."""
    name = "times_start_to_end"
    if instead := instead_of(given):
        raise TypeError(f"{name} must be a list of (start, end) tuples, got {instead}")
    rows = [in_ms(name, row) for row in given] if np.iterable(given) else given
    edges = finite_array_in_ms(name, rows)
    if edges.ndim != 2 or edges.shape[1] != 2 or not len(edges):
        raise ValueError(
            f"{name} must be a list of (start, end) tuples with at least one window, "
            f"got {given!r:.80}"
        )
    lengths = edges[:, 1] - edges[:, 0]
    # Slices that are given may be empty, those that are cut out may not.
    is_wrong = lengths <= 0 if equal_lengths else lengths < 0
    if is_wrong.any():
        i = int(np.argmax(is_wrong))
        raise ValueError(f"{name}[{i}] must start before it ends, got {given[i]}")
    excess = np.abs(lengths - lengths[0])
    if equal_lengths and excess.max() > rounding_of(edges.min(), edges.max()):
        i = int(np.argmax(excess))
        raise ValueError(
            f"{name} must hold windows of equal length, "
            f"got {lengths[0]} ms for window 0 and {lengths[i]} ms for window {i}"
        )
    return edges


def _windows_around_peaks(time_peaks: Any, time_bounds: Any) -> Windows:
    peaks = finite_array_in_ms("time_peaks", time_peaks)
    if peaks.ndim != 1 or not peaks.size:
        raise ValueError(
            f"time_peaks must be 1-D and hold at least one time, got {time_peaks!r}"
        )
    bounds = finite_array_in_ms("time_bounds", time_bounds)
    if bounds.shape != (2,) or not bounds.sum() > 0:
        raise ValueError(
            f"time_bounds must be (before, after) and span some time, got {time_bounds}"
        )
    before, after = bounds.tolist()
    order = np.argsort(peaks, kind="stable")
    peaks_in_order = peaks[order].tolist()
    return Windows(
        times=[(peak - before, peak + after) for peak in peaks_in_order],
        zeros=peaks_in_order,
        start_ms=0.0 - before,  # not -before, which is -0.0 for 0
        length_ms=before + after,
        order=order.tolist(),
    )


def rounding_of(*times: float) -> float:
    """Return how far rounding may carry what is computed of these times, in ms."""
    return 16 * float(np.spacing(max(map(abs, times))))


def frame_windows(
    start_time: float, recording_length: float, length: Any, overlap: Any
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
    slack = rounding_of(start_time, stop)
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


def events_inside(
    events: Any, metadata: Mapping[str, Any], bounds: Window, extent: Window
) -> list[float]:
    """Return the event times, ascending, whose windows lie in a recording.

    Warns of those that do not. `events` may be the key of `metadata` that holds them,
    `bounds` are how far the window reaches before and after each.
    """
    (before, after), (first, last) = bounds, extent
    if isinstance(events, str):
        if events not in metadata:
            raise KeyError(
                f"events must be a key of metadata ({sorted(map(str, metadata))}), "
                f"got {events!r}"
            )
        events = metadata[events]
    times = np.sort(finite_array_in_ms("events", events), axis=None)
    inside = (times - before >= first) & (times + after <= last)
    if not inside.any():
        raise ValueError(
            f"events must hold a time whose window lies in the recording "
            f"[{first}, {last}] ms, got none among {times.size}"
        )
    if not inside.all():
        warn(
            f"{np.sum(~inside)} of {times.size} events left out: the window "
            f"[-{before}, +{after}] ms around them leaves the recording "
            f"[{first}, {last}] ms",
        )
    return list(times[inside].tolist())


def step_of(times: NDArray[Any]) -> float:
    """Return the mean distance of times in ms, 1.0 if there is but one."""
    return float(times[-1] - times[0]) / (times.size - 1) if times.size > 1 else 1.0


def extent_of(times: NDArray[Any]) -> Window:
    """Return the first time and the end of the last one's step, in ms."""
    if not times.size:
        raise ValueError("times must not be empty to be cut into windows, got size 0")
    return float(times[0]), float(times[-1]) + step_of(times)


def index_range(start_idx: int, end_idx: int, count: int) -> slice:
    """Return the positions among `count`, or raise; negative ones count from the end."""
    first, last = (i + count if i < 0 else i for i in (start_idx, end_idx))
    if not 0 <= first < last <= count:
        raise ValueError(
            f"start_idx must be before end_idx, and both lie in 0..{count}, "
            f"got {start_idx} and {end_idx}"
        )
    return slice(first, last)
