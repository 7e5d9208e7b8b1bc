"""Slices of recordings."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, recordings

from spikelab.spikedata.differences import equal
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

ATTRIBUTES = [{"a": 1}, {"a": 2}]


def recording(**changes):
    """Return two units over 20 ms, with attributes."""
    arguments = {"length": 20.0, "neuron_attributes": ATTRIBUTES}
    return SpikeData([[1, 5, 12, 14.5], [2, 3, 13.0]], **{**arguments, **changes})


def spikes(stack, unit=0):
    """Return the spike times of one unit, slice by slice."""
    return [sd.train[unit].tolist() for sd in stack]


def test_attributes_are_those_of_the_published_class():
    """Pickles hold the attributes by name, and must load in either package."""
    published = {"times", "spike_stack", "N", "neuron_attributes"}
    assert set(vars(SpikeSliceStack(recording(), [(0, 5)]))) == published
    assert set(vars(SpikeSliceStack(spike_stack=[recording()]))) == published


def test_positional_arguments():
    """The order of the arguments is the published one."""
    stack = SpikeSliceStack(None, [(3, 23)], None, None, [recording()], [{}, {}], False)
    assert stack.times == [(3, 23)]
    assert stack.neuron_attributes == [{}, {}]
    assert stack.spike_stack[0].neuron_attributes == ATTRIBUTES


def test_pickle_round_trip():
    """A stack comes back from a pickle as it was."""
    stack = SpikeSliceStack(recording(), [(0, 5), (3, 8)])
    assert equal(pickle.loads(pickle.dumps(stack)), stack)


def test_windows_of_a_recording():
    """Slices are half open and start at 0; windows may overlap."""
    stack = SpikeSliceStack(recording(), [(0, 5), (3, 8), (10, 15)])
    assert spikes(stack) == [[1], [2], [2, 4.5]]
    assert spikes(stack, 1) == [[2, 3], [0], [3]]
    assert {(sd.start_time, sd.length) for sd in stack} == {(0.0, 5.0)}
    assert stack.times == [(0, 5), (3, 8), (10, 15)]
    assert (stack.N, len(stack)) == (2, 3)
    assert repr(stack) == "SpikeSliceStack(N=2, S=3, spikes=8, times=0.0 to 15.0 ms)"


def test_windows_around_events():
    """The event is 0; all slices have the very same window."""
    stack = SpikeSliceStack(
        recording(), time_peaks=np.array([12.7, 5.3]), time_bounds=(2.1, 3.2)
    )
    assert {(sd.start_time, sd.length) for sd in stack} == {(-2.1, 2.1 + 3.2)}
    assert spikes(stack) == [[5 - 5.3], [12 - 12.7, 14.5 - 12.7]]
    assert stack.times[1] == (12.7 - 2.1, 12.7 + 3.2)


def test_an_event_at_a_spike():
    """The spike comes out at exactly 0."""
    sd = SpikeData([[100.3]], length=200.0)
    stack = SpikeSliceStack(sd, time_peaks=[100.3], time_bounds=(2.1, 3.2))
    assert spikes(stack) == [[0.0]]


def test_an_end_that_rounding_moved():
    """A window may overshoot the recording by a rounding, but holds no more for it."""
    sd = SpikeData([[0.1, 0.3]], length=0.3)
    assert spikes(SpikeSliceStack(sd, [(0.0, 0.1 * 3)])) == [[0.1]]


@pytest.mark.parametrize("before", [2.1, 0.7, -0.1])
def test_spikes_at_the_start_of_a_window_around_an_event(before):
    """Rounding of the difference to the event does not throw them out."""
    peaks = 1000 + np.arange(100) * 31 / 7
    sd = SpikeData([peaks - before], length=2000.0)
    stack = SpikeSliceStack(sd, time_peaks=peaks, time_bounds=(before, 0.13))
    for part in stack:
        assert part.train[0][0] >= -before
        np.testing.assert_allclose(part.train[0], [-before], atol=1e-12)


def test_windows_of_an_event_centred_recording():
    """Negative times are times, not counted from the end."""
    sd = SpikeData([[-4, 1.0]], start_time=-5.0, length=20.0)
    assert spikes(SpikeSliceStack(sd, [(-5, 0), (0, 5)])) == [[1], [1]]


def test_unsorted_windows_of_a_recording():
    """Slices come in the order of their start."""
    with pytest.warns(UserWarning, match="put into that order"):
        stack = SpikeSliceStack(recording(), [(10, 15), (0, 5)])
    assert stack.times == [(0, 5), (10, 15)]
    assert spikes(stack) == [[1], [2, 4.5]]


def test_slices_carry_metadata_and_raw_data():
    """Each has its part of the raw data, on its own clock, and says where that is."""
    sd = recording(metadata={"m": 1}, raw_data=np.arange(20.0), raw_time=1.0)
    stack = SpikeSliceStack(sd, [(0, 5), (10, 15)])
    first, second = stack
    assert first.metadata == {"m": 1}
    assert second.metadata == {"m": 1, "time_zero_ms": 10.0}
    assert stack.spike_stack[1].raw_data.tolist() == [10, 11, 12, 13, 14]
    assert stack.spike_stack[1].raw_time.tolist() == [0, 1, 2, 3, 4]


KNOWN = {"nwb_session": {"session_start_time": "2024-05-17T14:03:00+02:00"}}


@pytest.mark.parametrize(
    ("stack", "zeros"),
    [
        (recording().frames(5.0), [0.0, 5.0, 10.0, 15.0]),
        (recording(metadata=KNOWN).frames(5.0), [0.0, 5.0, 10.0, 15.0]),
        (recording(metadata=KNOWN).align_to_events([5, 12], 2, 3), [5.0, 12.0]),
        (recording(metadata={"time_zero_ms": 100.0}).frames(10.0), [100.0, 110.0]),
        (recording(metadata=KNOWN).frames(10.0).subtime_by_index(2, 6), [2.0, 12.0]),
        (recording(metadata=KNOWN).frames(5.0).subslice([1, 3]), [5.0, 15.0]),
        (recording(metadata=KNOWN).frames(10.0).subset(1), [0.0, 10.0]),
    ],
)
def test_slices_keep_the_absolute_time(stack, zeros):
    """Each says where its time 0 lies in the session, as a part by subtime does."""
    assert [sd.metadata.get("time_zero_ms", 0.0) for sd in stack] == zeros
    again = pickle.loads(pickle.dumps(stack))
    assert again == stack


def test_slices_cut_what_is_known_of_single_spikes():
    """Where slices have attributes of their own; those of the stack are the whole ones."""
    rows = [{"amplitudes": np.arange(4.0)}, {"amplitudes": np.arange(3.0)}]
    sd = recording(neuron_attributes=rows)
    stack = SpikeSliceStack(sd, [(0, 5), (10, 15)], drop_slice_attributes=False)
    found = [part.neuron_attributes[0]["amplitudes"].tolist() for part in stack]
    assert found == [[0.0], [2.0, 3.0]]
    assert stack.neuron_attributes[0] is rows[0]


@given(recordings(), st.data())
def test_any_windows_fit(sd, data):
    """No rounding throws a spike out of its slice."""
    if not sd.length > 1e-3:
        return
    length = data.draw(st.floats(sd.length / 50, sd.length))
    overlap = data.draw(st.sampled_from([0.0, length / 3]))
    stack = sd.frames(length, overlap)
    assert {part.length for part in stack} == {stack.times[0][1] - stack.times[0][0]}
    for part, (start, end) in zip(stack, stack.times, strict=True):
        # The end of the last window may be rounded beyond that of the recording.
        stop = min(end, sd.start_time + sd.length)
        inside = [int(((t >= start) & (t < stop)).sum()) for t in sd.train]
        assert [len(t) for t in part.train] == inside


def test_attributes_live_in_the_stack():
    """Slices have them too only if asked."""
    sd = recording()
    stack = SpikeSliceStack(sd, [(0, 5)])
    assert stack.neuron_attributes == ATTRIBUTES
    assert stack.neuron_attributes[0] is ATTRIBUTES[0]
    assert stack.spike_stack[0].neuron_attributes is None
    assert sd.neuron_attributes == ATTRIBUTES
    kept = SpikeSliceStack(sd, [(0, 5)], drop_slice_attributes=False)
    assert kept.spike_stack[0].neuron_attributes == ATTRIBUTES
    own = SpikeSliceStack(sd, [(0, 5)], neuron_attributes=[{"b": 1}, {}])
    assert own.neuron_attributes == [{"b": 1}, {}]


def test_given_slices_are_not_changed():
    """Their attributes are lifted into the stack and stay with the caller's objects."""
    first, second = recording(), recording(neuron_attributes=None)
    stack = SpikeSliceStack(spike_stack=[second, first])
    assert stack.neuron_attributes == ATTRIBUTES
    assert [sd.neuron_attributes for sd in stack] == [None, None]
    assert first.neuron_attributes == ATTRIBUTES
    assert stack.spike_stack[0] is second
    assert_same_recording(stack.spike_stack[1], first)


def test_slices_that_differ_in_attributes():
    """What would be lost without a word is warned of."""
    slices = [recording(), recording(neuron_attributes=[{"a": 1}, {"a": 3}])]
    with pytest.warns(UserWarning, match="slices differ in neuron_attributes"):
        stack = SpikeSliceStack(spike_stack=slices)
    assert stack.neuron_attributes == ATTRIBUTES
    kept = SpikeSliceStack(spike_stack=slices, drop_slice_attributes=False)
    assert kept.spike_stack[1].neuron_attributes == [{"a": 1}, {"a": 3}]


def test_given_slices_follow_one_another():
    """Without windows; their lengths may differ."""
    slices = [SpikeData([[1.0]], length=5.0), SpikeData([[2.0]], length=7.0)]
    stack = SpikeSliceStack(spike_stack=slices)
    assert stack.times == [(0.0, 5.0), (5.0, 12.0)]
    assert stack.subset(0).times == stack.times
    slices.clear()
    assert len(stack) == 2


def test_given_slices_are_sorted_along_with_their_windows():
    """Each slice keeps its window."""
    slices = [SpikeData([[float(i)]], length=5.0) for i in range(3)]
    with pytest.warns(UserWarning, match="each with its own window"):
        stack = SpikeSliceStack(
            spike_stack=slices, times_start_to_end=[(20, 25), (0, 5), (10, 15)]
        )
    assert stack.times == [(0, 5), (10, 15), (20, 25)]
    assert spikes(stack) == [[1], [2], [0]]


def test_slices_come_before_a_recording():
    """Both given is warned of, as published."""
    with pytest.warns(UserWarning, match="data_obj is not used"):
        stack = SpikeSliceStack(recording(), [(0, 5)], spike_stack=[recording()])
    assert stack.spike_stack[0].length == 20.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "data_obj must be a SpikeData, or spike_stack a list"),
        ({"data_obj": recording()}, ValueError, "must be given with data_obj"),
        (
            {"data_obj": RateData([[1.0]], [0.0]), "times_start_to_end": [(0, 1)]},
            TypeError,
            "got RateData and None",
        ),
        (
            {"data_obj": recording(), "times_start_to_end": [(0, 5), (16, 21)]},
            ValueError,
            r"window 1 must lie in the recording \[0.0, 20.0\] ms, got \(16.0, 21.0\)",
        ),
        (
            {"data_obj": recording(), "times_start_to_end": [(0, 5), (5, 9)]},
            ValueError,
            "windows of equal length",
        ),
        ({"spike_stack": (recording(),)}, TypeError, "must be a list of SpikeData"),
        ({"spike_stack": [1]}, TypeError, r"must be a list of SpikeData, got \[1\]"),
        ({"spike_stack": []}, ValueError, "at least one SpikeData"),
        (
            {"spike_stack": [recording(), SpikeData([[1.0]])]},
            ValueError,
            r"same number of units, got \[1, 2\]",
        ),
        (
            {"spike_stack": [recording()], "times_start_to_end": [(0, 1), (1, 2)]},
            ValueError,
            r"one window per slice of spike_stack \(1\), got 2",
        ),
        (
            {"spike_stack": [recording()], "neuron_attributes": [{}]},
            ValueError,
            "got 1 for 2 units",
        ),
    ],
)
def test_what_is_refused(arguments, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        SpikeSliceStack(**arguments)


def test_subset():
    """Windows stay, attributes of stack and slices come along."""
    stack = SpikeSliceStack(recording(), [(0, 5), (10, 15)])
    part = stack.subset(2, by="a")
    assert spikes(part) == [[2, 3], [3]]
    assert (part.N, part.times) == (1, stack.times)
    assert part.neuron_attributes == [{"a": 2}]
    assert spikes(stack.subset([1, 0], preserve_order=True), 1) == spikes(stack)
    assert stack.subset([]).N == 0
    kept = SpikeSliceStack(recording(), [(0, 5)], drop_slice_attributes=False)
    assert kept.subset(1).spike_stack[0].neuron_attributes == [{"a": 2}]


def test_subslice():
    """Slices stay in the order of their windows, each once."""
    stack = SpikeSliceStack(recording(), [(0, 5), (3, 8), (10, 15)])
    for chosen, expected in (
        ([2, 0, 2], [0, 2]),
        (-1, [2]),
        ([False, True, False], [1]),
    ):
        part = stack.subslice(chosen)
        assert part.times == [stack.times[i] for i in expected]
        assert spikes(part) == [spikes(stack)[i] for i in expected]
        assert part.neuron_attributes == ATTRIBUTES
    with pytest.raises(ValueError, match=r"slices must lie in -3\.\.2, got 3"):
        stack.subslice(3)


def test_raster_of_slices():
    """Each slice is counted from its own start."""
    stack = SpikeSliceStack(recording(), [(0, 5), (10, 15)])
    raster = stack.to_raster_array()
    assert raster.shape == (2, 5, 2)
    assert raster.dtype == np.int64
    assert raster[0].T.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 1]]
    for i, sd in enumerate(stack):
        np.testing.assert_array_equal(
            stack.to_raster_array(2.0)[..., i], sd.raster(2.0)
        )


def test_raster_of_event_centred_slices():
    """The first bin starts with the slice, before the event."""
    stack = SpikeSliceStack(recording(), time_peaks=[5, 12], time_bounds=(2, 3))
    assert stack.to_raster_array()[0].T.tolist() == [[0, 1, 0, 0, 0], [0, 1, 0, 0, 1]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"times_start_to_end": [(1, 6), (10, 15)]},
        {"time_peaks": [3, 12], "time_bounds": (2, 3)},
    ],
)
def test_raster_in_time_of_the_recording(arguments):
    """The bins run from the first window to the last; spikes are where they were."""
    stack = SpikeSliceStack(recording(), **arguments)
    raster = stack.to_raster_array(1.0, absolute_times=True)
    assert raster.shape == (2, 14, 2)
    assert np.flatnonzero(raster[0, :, 0]).tolist() == [0, 3]
    assert np.flatnonzero(raster[0, :, 1]).tolist() == [10, 13]
    assert stack.to_raster_array(2.0, True).shape == (2, 7, 2)


def test_raster_of_unequal_slices():
    """They have no common shape, but they have a common time."""
    slices = [SpikeData([[1.0]], length=5.0), SpikeData([[2.0]], length=7.0)]
    stack = SpikeSliceStack(spike_stack=slices)
    with pytest.raises(ValueError, match=r"same number of bins .* got \[5, 7\]"):
        stack.to_raster_array()
    assert stack.to_raster_array(absolute_times=True).shape == (1, 12, 2)
    with pytest.raises(ValueError, match="bin_size must be positive"):
        stack.to_raster_array(0)


def test_subtime_by_index():
    """The same part of every slice in ms, moved to 0; windows move along."""
    sd = SpikeData([[1, 5, 12, 14.5, 33], [2, 3, 13.0]], length=40.0)
    stack = SpikeSliceStack(sd, [(0, 10), (10, 20), (30, 40)])
    for part in (stack.subtime_by_index(2, 6), stack.subtime_by_index(-8, -4)):
        trains = [[times.tolist() for times in piece.train] for piece in part]
        assert trains == [[[3.0], [0.0, 1.0]], [[0.0, 2.5], [1.0]], [[1.0], []]]
        assert [(piece.start_time, piece.length) for piece in part] == [(0.0, 4.0)] * 3
        assert part.times == [(2, 6), (12, 16), (32, 36)]
    with pytest.raises(ValueError, match=r"must be whole ms long, got 2\.5"):
        SpikeSliceStack(sd, [(0, 2.5)]).subtime_by_index(0, 1)
