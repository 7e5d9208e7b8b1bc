"""Parts and chains of recordings, as arguments of a new recording."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.spikedata.quantity import finite_ms
from spikelab.spikedata.spike_trains import SpikeTrains

if TYPE_CHECKING:
    from spikelab.spikedata.spikedata import SpikeData

TIME_ZERO = "time_zero_ms"
"""Key of ``metadata``: where time 0 of a recording lies on the clock of its session."""


def window_times(recording: "SpikeData", start: Any, end: Any) -> tuple[float, float]:
    """Return start and end on the clock of `recording`, or raise ValueError.

    None and ``...`` are its edges; in a recording that starts at 0 or later,
    negative times count from its end.
    """
    opening = recording.start_time
    closing = opening + recording.length
    first = opening if _is_open(start) else _time(recording, "start", start)
    last = closing if _is_open(end) else _time(recording, "end", end)
    if not opening <= first < last <= closing:
        raise ValueError(
            f"start must be before end, and both in the recording "
            f"[{opening}, {closing}] ms, got {start} and {end}"
        )
    return first, last


def _is_open(edge: Any) -> bool:
    return edge is None or edge is ...


def _time(recording: "SpikeData", name: str, value: Any) -> float:
    time = finite_ms(name, value)
    if time < 0 <= recording.start_time:
        return time + recording.start_time + recording.length
    return time


def cut(
    recording: "SpikeData",
    first: float,
    last: float,
    *,
    zero: float,
    start_time: float,
    length: float,
) -> dict[str, Any]:
    """Return the arguments of the part from `first` up to, and without, `last`.

    Parameters
    ----------
    recording : SpikeData
        What to cut from.
    first, last : float
        The window on the clock of `recording`, in ms.
    zero : float
        The time on that clock that becomes 0.
    start_time, length : float
        The same window on the new clock; rounding moves no spike out of it.
    """
    train = [
        times[slice(*times.searchsorted((first, last)))] - zero
        for times in recording.train
    ]
    samples = _inside(recording.raw_time, first, last)
    return {
        **recording.arguments(),
        "train": SpikeTrains.from_arrays(train).moved_into(
            start_time, length, _slack(first, last, zero)
        ),
        "start_time": start_time,
        "length": length,
        "raw_data": recording.raw_data[..., samples],
        "raw_time": recording.raw_time[samples] - zero,
    }


def with_time_zero(metadata: dict[str, Any], zero: float) -> dict[str, Any]:
    """Return metadata that say where the new time 0 lies in the session, in ms."""
    time_zero = validate.finite(TIME_ZERO, metadata.get(TIME_ZERO, 0.0)) + zero
    others = {key: value for key, value in metadata.items() if key != TIME_ZERO}
    return {**others, TIME_ZERO: time_zero} if time_zero else others


def _inside(times: NDArray[Any], first: float, last: float) -> slice | NDArray[np.intp]:
    """Return the samples in a window: a slice, which copies nothing, if it can be."""
    samples = np.flatnonzero((times >= first) & (times < last))
    if samples.size and samples[-1] - samples[0] + 1 == samples.size:
        return slice(int(samples[0]), int(samples[-1]) + 1)
    return samples


def _slack(*times: float) -> float:
    """Return how far rounding may carry a spike when these times are combined."""
    return 16 * float(np.spacing(max(map(abs, times))))


def joined(
    recording: "SpikeData", following: "SpikeData", offset: float
) -> dict[str, Any]:
    """Return the arguments of a recording that `following` continues.

    `following` starts `offset` ms after the end of `recording`.
    """
    if following.N != recording.N:
        raise ValueError(
            f"spikeData must have the same number of units, "
            f"got {following.N} for {recording.N}"
        )
    start = recording.start_time + recording.length + offset
    train = [
        np.concatenate((times, others - following.start_time + start))
        for times, others in zip(recording.train, following.train, strict=True)
    ]
    length = recording.length + offset + following.length
    data, time = _joined_raw(recording, following, start - following.start_time)
    return {
        "train": SpikeTrains.from_arrays(train).moved_into(
            recording.start_time,
            length,
            _slack(recording.start_time, following.start_time, length),
        ),
        "length": length,
        "start_time": recording.start_time,
        "metadata": {
            **{k: v for k, v in following.metadata.items() if k != TIME_ZERO},
            **recording.metadata,
        },
        "raw_data": data,
        "raw_time": time,
    }


def _joined_raw(
    recording: "SpikeData", following: "SpikeData", shift: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    if not following.raw_data.size:
        return recording.raw_data, recording.raw_time
    if not recording.raw_data.size:
        return following.raw_data, following.raw_time + shift
    if recording.raw_data.shape[:-1] != following.raw_data.shape[:-1]:
        raise ValueError(
            f"raw_data must have the same channels in both recordings, "
            f"got shapes {recording.raw_data.shape} and {following.raw_data.shape}"
        )
    return (
        np.concatenate((recording.raw_data, following.raw_data), axis=-1),
        np.concatenate((recording.raw_time, following.raw_time + shift)),
    )
