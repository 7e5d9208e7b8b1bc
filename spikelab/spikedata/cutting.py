"""Parts and chains of recordings, as arguments of a new recording."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.spikedata.quantity import finite_ms
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import Attributes

if TYPE_CHECKING:
    from spikelab.spikedata.spikedata import SpikeData
    from spikelab.spikedata.spikeslicestack import SpikeSliceStack

TIME_ZERO = "time_zero_ms"
"""Key of ``metadata``: where time 0 of a recording lies on the clock of its session."""

ABSOLUTE_TIME = (TIME_ZERO, "nwb_session")
"""Keys of ``metadata`` that say when, in absolute time, a recording was made."""


def window_times(recording: "SpikeData", start: Any, end: Any) -> tuple[float, float]:
    """Return start and end on the clock of `recording`, or raise ValueError.

    None and ``...`` are its edges; in a recording that starts at 0 or later,
    negative times count from its end.
    """
    opening = recording.start_time
    closing = opening + recording.length
    edges = []
    for name, given, edge in (("start", start, opening), ("end", end, closing)):
        time = edge if given is None or given is ... else finite_ms(name, given)
        edges.append(time + closing if time < 0 <= opening else time)
    first, last = edges
    if not opening <= first < last <= closing:
        raise ValueError(
            f"start must be before end, and both in the recording "
            f"[{opening}, {closing}] ms, got {start} and {end}"
        )
    return first, last


def cut(
    recording: "SpikeData",
    first: float,
    last: float,
    *,
    zero: float,
    window: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return the arguments of the part from `first` up to, and without, `last`.

    `zero` is the time, on the clock of `recording`, that becomes 0; `window` are start
    and length of the part on its own clock, if they are known without rounding.
    Rounding moves no spike out of it.
    """
    start_time, length = window or (first - zero, last - first)
    spikes = [slice(*t.searchsorted((first, last))) for t in recording.train]
    parts = [t[part] for t, part in zip(recording.train, spikes, strict=True)]
    flat = np.concatenate([np.empty(0), *parts]) - zero
    trains = SpikeTrains(flat, np.cumsum(list(map(len, parts)), dtype=np.int64))
    samples = _inside(recording.raw_time, first, last)
    return {
        "train": trains.moved_into(start_time, length, _slack(first, last, zero)),
        "start_time": start_time,
        "length": length,
        "neuron_attributes": _cut_attributes(recording, spikes),
        "metadata": with_time_zero(recording.metadata, zero),
        "raw_data": recording.raw_data[..., samples],
        "raw_time": recording.raw_time[samples] - zero,
    }


def knows_time(metadata: Mapping[str, Any]) -> bool:
    """Return whether the absolute time of a recording is known."""
    return any(key in metadata for key in ABSOLUTE_TIME)


def recording_metadata(stack: "SpikeSliceStack") -> dict[str, Any]:
    """Return the metadata of the recording that slices were cut from."""
    first, (start, _) = stack.spike_stack[0], stack.times[0]
    if not knows_time(first.metadata):
        return dict(first.metadata)
    return with_time_zero(first.metadata, first.start_time - start)


def with_time_zero(metadata: Mapping[str, Any], zero: float) -> dict[str, Any]:
    """Return metadata that say where the new time 0 lies in the session, in ms."""
    time_zero = validate.finite(TIME_ZERO, metadata.get(TIME_ZERO, 0.0)) + zero
    others = {key: value for key, value in metadata.items() if key != TIME_ZERO}
    return {**others, TIME_ZERO: time_zero} if time_zero else others


def _per_spike(recording: "SpikeData") -> list[Any]:
    """Return the keys of attributes that are arrays with one value for each spike.

    All units that have such an attribute hold as many values as spikes. Where these are
    equally many in all units, other arrays can be as long by chance: then the key must
    be ``amplitudes``.
    """
    counts = recording.spike_trains.counts.tolist()
    found = []
    for key, column in recording.unit_table.columns.items():
        known = column.known.items()
        fits = all(_is_array(v) and len(v) == counts[unit] for unit, v in known)
        differ = len({counts[unit] for unit, _ in known}) > 1
        if known and fits and (differ or key == "amplitudes"):
            found.append(key)
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _cut_attributes(recording: "SpikeData", spikes: list[slice]) -> Attributes:
    """Return the attributes of the units, values of single spikes cut with these."""
    rows = recording.neuron_attributes
    if rows is None or not (keys := _per_spike(recording)):
        return rows
    return [
        {**row, **{k: row[k][part] for k in keys if _is_array(row.get(k))}}
        for row, part in zip(rows, spikes, strict=True)
    ]


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

    `following` starts `offset` ms after the end of `recording`. Attributes are those of
    `recording`, or of `following` if only that has them.
    """
    if following.N != recording.N:
        raise ValueError(
            f"spikeData must have the same number of units, "
            f"got {following.N} for {recording.N}"
        )
    start = recording.start_time + recording.length + offset
    shift = start - following.start_time
    train = [
        np.concatenate((times, others - following.start_time + start))
        for times, others in zip(recording.train, following.train, strict=True)
    ]
    length = recording.length + offset + following.length
    slack = _slack(recording.start_time, following.start_time, length)
    others = {k: v for k, v in following.metadata.items() if k != TIME_ZERO}
    data, time = recording.raw_data, recording.raw_time
    if not data.size:
        data, time = following.raw_data, following.raw_time + shift
    elif following.raw_data.size:
        if data.shape[:-1] != following.raw_data.shape[:-1]:
            raise ValueError(
                f"raw_data must have the same channels in both recordings, "
                f"got shapes {data.shape} and {following.raw_data.shape}"
            )
        data = np.concatenate((data, following.raw_data), axis=-1)
        time = np.concatenate((time, following.raw_time + shift))
    return {
        "train": SpikeTrains.from_arrays(train).moved_into(
            recording.start_time, length, slack
        ),
        "length": length,
        "start_time": recording.start_time,
        "neuron_attributes": _joined_attributes(recording, following),
        "metadata": {**others, **recording.metadata},
        "raw_data": data,
        "raw_time": time,
    }


def _joined_attributes(recording: "SpikeData", following: "SpikeData") -> Attributes:
    rows, more = recording.neuron_attributes, following.neuron_attributes
    if not rows or not more:
        return rows or more
    also = _per_spike(following)
    keys = [key for key in _per_spike(recording) if key in also]
    if not keys:
        return rows
    joined_rows = []
    for row, other in zip(rows, more, strict=True):
        both = [k for k in keys if _is_array(row.get(k)) and _is_array(other.get(k))]
        chains = {k: np.concatenate((row[k], other[k])) for k in both}
        joined_rows.append({**row, **chains})
    return joined_rows
