"""Recordings that the tests write, and the comparison of what comes back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from spikelab import SpikeData

LINEAR_TRACK = Path(__file__).parents[2] / "shared" / "data" / "linear-track.npz"


def simulated(seed=0, n_units=6, length=10_000.0, start_time=0.0, fs_Hz=30_000.0):
    """A recording on a sampling grid, with attributes and two silent units."""
    rng = np.random.default_rng(seed)
    n_samples = int(length / 1000 * fs_Hz)
    first = round(start_time / 1000 * fs_Hz)
    train = [
        np.sort(rng.choice(n_samples, size=rng.integers(5, 60), replace=False) + first)
        / fs_Hz
        * 1000
        for _ in range(n_units)
    ]
    train[1] = train[-1] = np.empty(0)
    attributes = [
        {
            "electrode": unit // 2,
            "location": [float(unit // 2) * 20, 5.0],
            "quality": "good" if unit % 2 else "mua",
            "snr": 1.5 + unit,
        }
        for unit in range(n_units)
    ]
    return SpikeData(
        train,
        length=length,
        start_time=start_time,
        neuron_attributes=attributes,
        metadata={"subject": "rat"},
    )


def with_raw(channels=2, fs_kHz=10.0):
    """A short recording with raw voltages."""
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(channels, 1000)).astype(np.float32)
    return SpikeData(
        [[1.0, 20.5], [], [50.25]], length=100.0, raw_data=raw, raw_time=fs_kHz
    )


def linear_track():
    """The real recording, or a skipped test where it is absent."""
    if not LINEAR_TRACK.exists():
        pytest.skip("the real recording is not there")
    with np.load(LINEAR_TRACK) as data:
        start, stop = data["start_s"] * 1000, data["stop_s"] * 1000
        ends = data["spike_times_index"]
        attributes = [
            {"electrode": int(tetrode), "cell": int(cell)}
            for tetrode, cell in zip(data["tetrode"], data["cell"], strict=True)
        ]
        return SpikeData(
            np.split(data["spike_times_s"] * 1000, ends[:-1]),
            start_time=start,
            length=stop - start,
            neuron_attributes=attributes,
        )


EDGE_CASES = {
    "no units": lambda: SpikeData([], length=50.0),
    "all silent": lambda: SpikeData([[], [], []], length=50.0),
    "one spike": lambda: SpikeData([[12.5]], length=50.0),
    "zero length": lambda: SpikeData([[], []], length=0.0),
    "spike at zero length": lambda: SpikeData([[0.0]], length=0.0),
    "silent first and last": lambda: SpikeData([[], [1.0, 2.5], []], length=5.0),
    "event-centred": lambda: SpikeData(
        [[-50.0, 0.0, 49.5], [-0.5]], start_time=-50.0, length=100.0
    ),
    "late start": lambda: SpikeData(
        [[4_396_997.5, 4_396_998.0], []], start_time=4_396_997.5, length=1.0
    ),
    "simultaneous spikes": lambda: SpikeData([[3.0, 3.0], [3.0]], length=5.0),
    "simulated": simulated,
}


@st.composite
def recordings(draw, max_units=5, max_spikes=20):
    """Any valid recording: silent units, repeated times, any start and length."""
    start = draw(st.floats(-1e6, 1e6))
    length = draw(st.floats(0, 1e6))
    times = st.floats(start, max(start + length, start))
    trains = draw(st.lists(st.lists(times, max_size=max_spikes), max_size=max_units))
    return SpikeData(trains, start_time=start, length=length)


def assert_same_recording(found, expected, slack_ms=0.0):
    """Compare units, window and spikes as a whole; times within `slack_ms`."""
    assert type(found) is type(expected)
    assert found.N == expected.N == len(found.train)
    assert found.start_time == expected.start_time
    assert found.length == expected.length
    assert [len(t) for t in found.train] == [len(t) for t in expected.train]
    everything = [np.concatenate([np.empty(0), *sd.train]) for sd in (found, expected)]
    # Times of 1e-308 ms cannot be written in seconds without rounding.
    atol = slack_ms + 1e-300
    np.testing.assert_allclose(everything[0], everything[1], rtol=0, atol=atol)


def large(megabytes=40, seed=0):
    """A recording that goes up in several parts."""
    raw = np.random.default_rng(seed).integers(
        -9999, 9999, (4, megabytes * 2**20 // 8), dtype=np.int16
    )
    return SpikeData(
        [[1.0]], length=2.0, raw_data=raw, raw_time=np.zeros(raw.shape[1], np.int8)
    )
