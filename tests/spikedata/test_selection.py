"""Parts and chains of recordings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, recordings

from spikelab.spikedata.spikedata import SpikeData


def recording(**changes):
    """Return a recording with attributes, metadata and raw data."""
    arguments = {
        "length": 20.0,
        "neuron_attributes": [{"a": 1}, {"a": 2}],
        "metadata": {"m": 1},
        "raw_data": np.arange(40).reshape(2, 20),
        "raw_time": np.arange(20.0),
    }
    return SpikeData([[0, 5, 10, 15, 20.0], [12.0]], **{**arguments, **changes})


def test_subset_keeps_everything_else():
    """Window, metadata and raw data are those of the whole recording."""
    sd = recording()
    part = sd.subset([1])
    assert part.train[0].tolist() == [12.0]
    assert (part.start_time, part.length, part.metadata) == (0.0, 20.0, {"m": 1})
    assert part.neuron_attributes == [{"a": 2}]
    assert part.raw_data is sd.raw_data
    assert sd.subset([]).neuron_attributes == []


def test_subtime_starts_anew():
    """The part starts at 0, half open, with its raw data."""
    part = recording().subtime(5, 15)
    assert [times.tolist() for times in part.train] == [[0, 5], [7]]
    assert (part.start_time, part.length) == (0.0, 10.0)
    assert part.neuron_attributes == [{"a": 1}, {"a": 2}]
    assert part.metadata == {"m": 1, "time_zero_ms": 5.0}
    assert part.raw_data[0].tolist() == list(range(5, 15))
    assert part.raw_time.tolist() == list(range(10))


def test_subtime_with_another_zero():
    """shift_to is the time that becomes 0."""
    part = recording().subtime(5, 15, shift_to=0)
    assert (part.start_time, part.train[0].tolist()) == (5.0, [5, 10])
    part = recording().subtime(5, 15, shift_to=12)
    assert (part.start_time, part.train[1].tolist()) == (-7.0, [0.0])
    assert part.raw_time[0] == -7


def test_subtime_shares_raw_data():
    """A window of raw data is a view, of a memory-mapped file too."""
    sd = recording()
    assert np.shares_memory(sd.subtime(5, 15).raw_data, sd.raw_data)
    unordered = recording(raw_time=np.arange(20.0)[::-1])
    assert unordered.subtime(0, 2).raw_data[0].tolist() == [18, 19]
    assert recording(raw_time=np.arange(20.0) + 50).subtime(0, 5).raw_data.shape == (
        2,
        0,
    )


def test_subtime_with_open_ends():
    """None and ... are the edges; the spike at the very end is left out."""
    assert recording().subtime(None, 10).train[0].tolist() == [0, 5]
    assert recording().subtime(10, ...).train[0].tolist() == [0, 5]
    assert recording().subtime(None, None).train[0].tolist() == [0, 5, 10, 15]


@pytest.mark.parametrize(
    ("start_time", "window", "expected"),
    [
        (0.0, (-10, -5), (10.0, 15.0)),
        (0.0, (0, -5), (0.0, 15.0)),
        (10.0, (-8, -2), (22.0, 28.0)),
        (-10.0, (-8, -2), (-8.0, -2.0)),
    ],
)
def test_subtime_with_negative_times(start_time, window, expected):
    """They count from the end, unless the recording has negative times."""
    sd = SpikeData([[]], start_time=start_time, length=20.0)
    part = sd.subtime(*window, shift_to=0)
    assert (part.start_time, part.start_time + part.length) == expected


@pytest.mark.parametrize("window", [(5, 5), (6, 5), (0, 21), (-21, 5), (20, None)])
def test_subtime_refuses(window):
    """A window starts before it ends, inside the recording."""
    with pytest.raises(ValueError, match=r"in the recording \[0.0, 20.0\] ms, got"):
        recording().subtime(*window)


def test_subtime_refuses_what_is_no_time():
    """The error names the parameter."""
    with pytest.raises(ValueError, match="start must be finite, got nan"):
        recording().subtime(np.nan, 5)
    with pytest.raises(TypeError, match="end must be a number, got 'x'"):
        recording().subtime(0, "x")


@given(recordings(), st.data())
def test_parts_make_up_the_whole(sd, data):
    """A recording cut at some time and joined again is the same, but for rounding."""
    stop = sd.start_time + sd.length
    cut = data.draw(st.floats(sd.start_time, stop))
    slack = 64 * np.spacing(max(abs(sd.start_time), abs(stop)))
    if not sd.start_time < cut < stop:
        return
    first, last = sd.subtime(None, cut, shift_to=0), sd.subtime(cut, None)
    joined = first.append(last)
    assert joined.start_time == sd.start_time
    assert joined.length == pytest.approx(sd.length, abs=slack)
    for found, times in zip(joined.train, sd.train, strict=True):
        expected = times[times < stop]
        assert len(found) == len(expected)
        np.testing.assert_allclose(found, expected, rtol=0, atol=slack)


@given(recordings(), st.data())
def test_any_part_fits_its_window(sd, data):
    """No rounding of a cut or shift throws a spike out of the new window."""
    stop = sd.start_time + sd.length
    times = sorted(data.draw(st.tuples(*[st.floats(sd.start_time, stop)] * 2)))
    if not sd.start_time <= times[0] < times[1] <= stop or times[0] < 0:
        return
    shift = data.draw(st.none() | st.floats(-1e12, 1e12))
    part = sd.subtime(*times, shift_to=shift)
    inside = [int(((t >= times[0]) & (t < times[1])).sum()) for t in sd.train]
    assert [len(t) for t in part.train] == inside


def test_append_puts_one_after_the_other():
    """The other starts where this one ends, after the gap."""
    sd, other = (
        SpikeData([[1, 2.0], [3]], length=5),
        SpikeData([[0, 1.0], [4]], length=6),
    )
    joined = sd.append(other)
    assert [times.tolist() for times in joined.train] == [[1, 2, 5, 6], [3, 9]]
    assert joined.length == 11.0
    assert sd.append(other, offset=10).train[0].tolist() == [1, 2, 15, 16]
    assert sd.append(other, offset=10).length == 21.0
    assert sd.length == 5.0


def test_append_to_an_event_centred_recording():
    """The start stays that of the first, the other's own start is forgotten."""
    sd = SpikeData([[-5.0]], start_time=-5.0, length=10.0)
    joined = sd.append(SpikeData([[101.0]], start_time=100.0, length=3.0))
    assert joined.train[0].tolist() == [-5.0, 6.0]
    assert (joined.start_time, joined.length) == (-5.0, 13.0)


@pytest.mark.parametrize("start", [-1e9 / 7, 1e9 / 3])
def test_append_spikes_on_the_edges(start):
    """The first and the last spike of the window stay in it, however it is rounded."""
    sd = SpikeData([[0.0, 0.3]], length=0.3)
    for length in np.arange(1, 200) / 7:
        other = SpikeData([[start, start + length]], start_time=start, length=length)
        assert len(sd.append(other, offset=0.1).train[0]) == 4


def test_append_joins_metadata_and_raw_data():
    """Metadata of the first recording win."""
    joined = recording().append(recording(metadata={"m": 2, "n": 3}), offset=5)
    assert joined.metadata == {"m": 1, "n": 3}
    assert joined.neuron_attributes == [{"a": 1}, {"a": 2}]
    assert joined.raw_data.shape == (2, 40)
    assert joined.raw_time[[19, 20]].tolist() == [19.0, 25.0]
    plain = SpikeData([[], []], length=20.0)
    with pytest.warns(RuntimeWarning, match="no neuron_attributes"):
        assert plain.append(recording()).raw_time[0] == 20.0
    assert recording().append(plain).raw_data.shape == (2, 20)


def test_append_and_attributes():
    """They are salvaged with a warning, or dropped on request without one."""
    plain, known = SpikeData([[]]), SpikeData([[]], neuron_attributes=[{"a": 1}])
    with pytest.warns(RuntimeWarning, match="those of spikeData are taken"):
        assert plain.append(known).neuron_attributes == [{"a": 1}]
    assert plain.append(known, drop_neuron_attributes=True).neuron_attributes is None
    assert known.append(known, drop_neuron_attributes=True).neuron_attributes is None


@pytest.mark.parametrize(
    ("other", "offset", "message"),
    [
        (SpikeData([[]]), 0, "same number of units, got 1 for 2"),
        (recording(), -1, "offset must not be negative, got -1"),
        (recording(), np.nan, "offset must be finite, got nan"),
        (recording(raw_data=np.zeros(20)), 0, "same channels in both recordings"),
    ],
)
def test_append_refuses(other, offset, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        recording().append(other, offset)


@given(recordings(), recordings(), st.floats(0, 1e9))
def test_append_never_leaves_the_window(sd, other, offset):
    """Rounding of the shift throws no spike out of the joined window."""
    size = min(sd.N, other.N)
    first, second = sd.subset(range(size)), other.subset(range(size))
    joined = first.append(second, offset)
    counts = [len(a) + len(b) for a, b in zip(first.train, second.train, strict=True)]
    assert [len(times) for times in joined.train] == counts
    assert_same_recording(joined.subset(range(size)), joined)


def test_the_place_of_time_0_in_the_session_adds_up():
    """Over cuts and shifts; absent where it is 0; a joined recording has the first one's."""
    sd = SpikeData([[1.0, 60.0]], length=100.0, metadata={"m": 1})
    part = sd.subtime(50, 90).subtime(5, 30)
    assert part.metadata == {"m": 1, "time_zero_ms": 55.0}
    assert sd.subtime(50, 90, shift_to=0).metadata == {"m": 1}
    assert part.subtime(1, 2, shift_to=-55).metadata == {"m": 1}
    assert part.subset([0]).metadata == part.metadata
    assert part.append(sd).metadata == part.metadata
    assert sd.append(part).metadata == {"m": 1}


def with_amplitudes(**changes):
    """A recording that knows two things about each spike, and others about its units."""
    rows = [
        {"amplitudes": np.arange(5.0), "side": np.arange(5), "shape": np.ones(5)},
        {"amplitudes": np.array([9.0]), "side": np.array([7]), "shape": np.ones(5)},
    ]
    return recording(**{"neuron_attributes": rows, **changes})


def test_what_is_known_of_single_spikes_is_cut_with_them():
    """An array with one value for each spike of its unit; no other one."""
    sd = with_amplitudes()
    first, second = sd.subtime(5, 15).neuron_attributes
    assert [first[key].tolist() for key in ("amplitudes", "side")] == [[1, 2], [1, 2]]
    assert second["amplitudes"].tolist() == [9.0]
    assert len(first["shape"]) == len(second["shape"]) == 5
    assert len(sd.neuron_attributes[0]["amplitudes"]) == 5
    assert sd.subtime(5, 9).neuron_attributes[1]["amplitudes"].size == 0


def test_arrays_that_are_as_long_by_chance_are_not_cut():
    """Of units with equally many spikes, only ``amplitudes`` are known to be theirs."""
    rows = [{"location": np.array([1.0, 2.0]), "amplitudes": np.array([3.0, 4.0])}]
    sd = SpikeData([[1.0, 12.0]], length=20.0, neuron_attributes=rows)
    (row,) = sd.subtime(0, 10).neuron_attributes
    assert row["location"].tolist() == [1.0, 2.0]
    assert row["amplitudes"].tolist() == [3.0]


def test_attributes_without_values_of_spikes_are_shared():
    """The dictionaries of the units are those of the recording."""
    sd = recording(neuron_attributes=[{"amplitudes": np.arange(3.0)}, {}])
    assert sd.subtime(5, 15).neuron_attributes[0] is sd.neuron_attributes[0]


def test_what_is_known_of_single_spikes_is_joined_with_them():
    """Recordings that follow one another; what only one knows stays as it is."""
    sd = with_amplitudes()
    first, second = sd.append(sd.subtime(5, 15)).neuron_attributes
    assert first["amplitudes"].tolist() == [0, 1, 2, 3, 4, 1, 2]
    assert second["side"].tolist() == [7, 7]
    assert len(sd.append(recording()).neuron_attributes[0]["amplitudes"]) == 5


@given(recordings(), st.data())
def test_amplitudes_stay_with_their_spikes(sd, data):
    """Wherever a recording is cut, and joined again."""
    rows = [{"amplitudes": times * 2} for times in sd.train]
    sd = SpikeData(**{**sd.arguments(), "neuron_attributes": rows})
    stop = sd.start_time + sd.length
    at = data.draw(st.floats(sd.start_time, stop))
    if not sd.start_time < at < stop:
        return
    head = sd.subtime(None, at if at > 0 else None, shift_to=0)
    for times, row in zip(head.train, head.neuron_attributes, strict=True):
        # Moving time 0 rounds the times.
        np.testing.assert_allclose(row["amplitudes"], times * 2, atol=1e-6)
