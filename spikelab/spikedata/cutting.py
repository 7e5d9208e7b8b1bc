"""Parts and chains of recordings, as arguments of a new recording."""

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.spikedata.quantity import finite_ms
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import Attributes
from spikelab.spikedata.windows import Window, rounding_of

if TYPE_CHECKING:
    from spikelab.spikedata.spikedata import SpikeData
    from spikelab.spikedata.spikeslicestack import SpikeSliceStack

TIME_ZERO = "time_zero_ms"
"""Key of ``metadata``: where time 0 of a recording lies on the clock of its session."""

ABSOLUTE_TIME = (TIME_ZERO, "nwb_session")
"""Keys of ``metadata`` that say when, in absolute time, a recording was made."""


def window_times(recording: "SpikeData", start: Any, end: Any) -> Window:
    """Return start and end on the clock of `recording`, or raise ValueError.

    None and ``...`` are its edges; in a recording that starts at 0 or later,
    negative times count from its end.
    """
    opening = recording.start_time
    closing = opening + recording.length
    first = opening if start is None or start is ... else finite_ms("start", start)
    last = closing if end is None or end is ... else finite_ms("end", end)
    if opening >= 0 and first < 0:
        first += closing
    if opening >= 0 and last < 0:
        last += closing
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
    whole = recording.spike_trains
    spikes = [slice(*times.searchsorted((first, last))) for times in whole]
    parts = [times[part] for times, part in zip(whole, spikes, strict=True)]
    flat = np.concatenate([np.empty(0), *parts]) - zero
    trains = SpikeTrains(flat, np.cumsum(list(map(len, parts)), dtype=np.int64))
    slack = rounding_of(first, last, zero)
    rows = recording.neuron_attributes
    if rows and (keys := keys_of_spikes(recording)):
        rows = [
            {**row, **{k: row[k][part] for k in keys if row.get(k) is not None}}
            for row, part in zip(rows, spikes, strict=True)
        ]
    time = recording.raw_time
    samples: Any = np.flatnonzero((time >= first) & (time < last))
    if samples.size and samples[-1] - samples[0] + 1 == samples.size:
        samples = slice(samples[0], samples[-1] + 1)  # copies nothing
    return {
        "train": trains.moved_into(start_time, length, slack),
        "start_time": start_time,
        "length": length,
        "neuron_attributes": rows,
        "metadata": _with_time_zero(recording.metadata, zero),
        "raw_data": recording.raw_data[..., samples],
        "raw_time": time[samples] - zero,
    }


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
    trains = SpikeTrains.from_arrays(
        np.concatenate((times, others - following.start_time + start))
        for times, others in zip(recording.train, following.train, strict=True)
    )
    length = recording.length + offset + following.length
    slack = rounding_of(recording.start_time, following.start_time, length)
    raw_data, raw_time = _joined_raw(recording, following, start)
    metadata = {k: v for k, v in following.metadata.items() if k != TIME_ZERO}
    return {
        "train": trains.moved_into(recording.start_time, length, slack),
        "length": length,
        "start_time": recording.start_time,
        "neuron_attributes": _joined_attributes(recording, following),
        "metadata": {**metadata, **recording.metadata},
        "raw_data": raw_data,
        "raw_time": raw_time,
    }


def _joined_raw(
    recording: "SpikeData", following: "SpikeData", start: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return raw voltages and times of both; `following` starts at `start`."""
    data, time = recording.raw_data, recording.raw_time
    more_data = following.raw_data
    more_time = following.raw_time + (start - following.start_time)
    if not more_data.size:
        return data, time
    if not data.size:
        return more_data, more_time
    if data.shape[:-1] != more_data.shape[:-1]:
        raise ValueError(
            f"raw_data must have the same channels in both recordings, "
            f"got shapes {data.shape} and {more_data.shape}"
        )
    joined_data = np.concatenate((data, more_data), axis=-1)
    return joined_data, np.concatenate((time, more_time))


def _joined_attributes(recording: "SpikeData", following: "SpikeData") -> Attributes:
    """Return the attributes of the first, with the values of single spikes of both."""
    rows, more = recording.neuron_attributes, following.neuron_attributes
    if not rows or not more:
        return rows or more
    keys = set(keys_of_spikes(recording)).intersection(keys_of_spikes(following))
    joined_rows = []
    for row, other in zip(rows, more, strict=True):
        joined_values = {
            key: np.concatenate((row[key], other[key]))
            for key in keys
            if row.get(key) is not None and other.get(key) is not None
        }
        joined_rows.append({**row, **joined_values})
    return joined_rows


def knows_time(metadata: Mapping[str, Any]) -> bool:
    """Return whether the absolute time of a recording is known."""
    return any(key in metadata for key in ABSOLUTE_TIME)


def recording_metadata(stack: "SpikeSliceStack") -> dict[str, Any]:
    """Return the metadata of the recording that slices were cut from."""
    first, (start, _) = stack.spike_stack[0], stack.times[0]
    if not knows_time(first.metadata):
        return dict(first.metadata)
    return _with_time_zero(first.metadata, first.start_time - start)


def _with_time_zero(metadata: Mapping[str, Any], zero: float) -> dict[str, Any]:
    """Return metadata that say where the new time 0 lies in the session, in ms."""
    time_zero = validate.finite(TIME_ZERO, metadata.get(TIME_ZERO, 0.0)) + zero
    others = {key: value for key, value in metadata.items() if key != TIME_ZERO}
    return {**others, TIME_ZERO: time_zero} if time_zero else others


def keys_of_spikes(recording: "SpikeData") -> list[Any]:
    """Return the keys of attributes that are arrays with one value for each spike.

    All units that have such an attribute hold as many values as spikes. Where these are
    equally many in all units, other arrays can be as long by chance: then the key must
    be ``amplitudes``.
    """
    rows = recording.neuron_attributes or []
    counts = recording.spike_trains.counts.tolist()
    found = []
    for key in dict.fromkeys(chain(*rows)):
        known = [u for u, row in enumerate(rows) if row.get(key) is not None]
        fit = all(getattr(rows[u][key], "shape", 0) == (counts[u],) for u in known)
        lengths = {counts[u] for u in known}
        if fit and (len(lengths) > 1 or (known and key == "amplitudes")):
            found.append(key)
    return found
