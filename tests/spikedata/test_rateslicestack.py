"""Rates in windows of one length."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.spikedata.differences import equal
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData

ATTRIBUTES = [{"a": 1}, {"a": 2}]
MATRIX = np.arange(12.0).reshape(2, 3, 2)


def rates(step=1.0):
    """Return rates of two units from 5 ms on, which equal their column."""
    data = np.stack([np.arange(20.0), np.arange(20.0) + 100])
    return RateData(data, np.arange(20.0) * step + 5, ATTRIBUTES, "Hz")


def columns(stack):
    """Return the rates of the first unit, slice by slice."""
    return stack.event_stack[0].T.tolist()


def test_attributes_are_those_of_the_published_class():
    """Pickles hold the attributes by name, and must load in either package."""
    published = {"step_size", "event_stack", "times", "neuron_attributes"}
    assert set(vars(RateSliceStack(rates(), [(6, 9)]))) == published
    assert set(vars(RateSliceStack(event_matrix=MATRIX))) == published


def test_positional_arguments():
    """The order of the arguments is the published one."""
    stack = RateSliceStack(
        None, [(0, 1.5), (1, 2.5)], None, None, 10, MATRIX, 0.5, ATTRIBUTES
    )
    assert (stack.step_size, stack.neuron_attributes) == (0.5, ATTRIBUTES)


def test_pickle_round_trip():
    """A stack comes back from a pickle as it was."""
    stack = RateSliceStack(event_matrix=MATRIX)
    assert equal(pickle.loads(pickle.dumps(stack)), stack)


def test_from_rates():
    """Each slice holds the columns from the start up to and without the end."""
    stack = RateSliceStack(rates(), [(6, 9), (8, 11)])
    assert stack.event_stack.shape == (2, 3, 2)
    assert columns(stack) == [[1, 2, 3], [3, 4, 5]]
    assert stack.times == [(6, 9), (8, 11)]
    assert stack.step_size == 1.0
    assert stack.neuron_attributes == ATTRIBUTES
    assert stack.neuron_attributes[0] is ATTRIBUTES[0]


def test_from_rates_of_another_step():
    """The step is that of the data; windows may lie between their times."""
    stack = RateSliceStack(rates(0.5), [(5.75, 6.75), (10, 11)], step_size=7)
    assert columns(stack) == [[2, 3], [10, 11]]
    assert stack.step_size == 0.5


@given(st.integers(0, 15), st.integers(1, 4), st.sampled_from([0.1, 0.3, 1 / 30]))
def test_from_rates_in_spite_of_rounding(first, count, step):
    """A window that starts on a time holds it, however that was computed."""
    data = RateData([np.arange(20.0)], 5 + np.arange(20) * step)
    windows = [(5 + i * step, 5 + i * step + count * step) for i in (first, 16)]
    assert columns(RateSliceStack(data, windows)) == [
        [float(i + offset) for offset in range(count)] for i in (first, 16)
    ]


def test_from_rates_around_events():
    """Events may come in any order."""
    stack = RateSliceStack(rates(), time_peaks=[15, 10], time_bounds=(2, 3))
    assert stack.times == [(8, 13), (13, 18)]
    assert columns(stack) == [[3, 4, 5, 6, 7], [8, 9, 10, 11, 12]]


def test_to_the_very_end():
    """The last time lasts as long as the others."""
    assert columns(RateSliceStack(rates(), [(22, 25)])) == [[17, 18, 19]]
    with pytest.raises(ValueError, match=r"window 0 must lie .*\[5.0, 25.0\] ms, got"):
        RateSliceStack(rates(), [(23, 26)])


def test_from_rates_at_uneven_times():
    """Their mean distance is a guess, which is said."""
    data = RateData([[1.0, 2.0, 3.0]], [0, 1, 5.0])
    with pytest.warns(UserWarning, match=r"not evenly spaced.*2\.5 ms"):
        stack = RateSliceStack(data, [(0, 2)])
    assert (stack.step_size, columns(stack)) == (2.5, [[1.0, 2.0]])


def test_from_rates_whose_windows_hold_different_counts():
    """Windows of a length between two steps can hold one time more or less."""
    with pytest.raises(ValueError, match=r"same number of times .* got 3 to 4"):
        RateSliceStack(rates(), [(5.5, 9), (10, 13.5)])
    with pytest.raises(ValueError, match="at least one, got 0 to 0"):
        RateSliceStack(rates(), [(5.5, 5.75)])


def test_from_spikes():
    """The rates of a window are those of the recording: it is smoothed as a whole."""
    sd = SpikeData(
        [[1, 5, 12, 14.5], [2, 3, 13.0]], length=20.0, neuron_attributes=ATTRIBUTES
    )
    stack = RateSliceStack(sd, [(2, 5), (10, 13)], sigma_ms=2, step_size=0.5)
    assert stack.event_stack.shape == (2, 6, 2)
    whole = sd.resampled_isi(np.arange(40) / 2, 2).inst_Frate_data
    for i, start in enumerate((4, 20)):
        found = stack.event_stack[..., i]
        np.testing.assert_allclose(found, whole[:, start : start + 6], rtol=1e-12)
    assert (stack.step_size, stack.neuron_attributes) == (0.5, ATTRIBUTES)


def test_from_event_centred_spikes():
    """Windows before 0 are windows like any other; the last bin may be cut."""
    sd = SpikeData([[-4, 1.0], []], start_time=-5.0, length=20.0)
    stack = RateSliceStack(sd, [(-3, -0.5), (0, 2.5)], sigma_ms=0)
    assert columns(stack) == [[200, 200, 200], [200, 0, 0]]
    assert stack.event_stack[1].any() is np.False_


def test_from_a_matrix():
    """The matrix is neither copied nor converted; NaN stays."""
    matrix = np.array([[[np.nan], [1.0]]])
    stack = RateSliceStack(event_matrix=matrix, step_size=2)
    assert stack.event_stack is matrix
    assert (stack.times, stack.step_size) == ([(0.0, 4.0)], 2.0)
    assert stack.neuron_attributes is None
    assert RateSliceStack(event_matrix=np.ones((1, 4, 2), int)).event_stack.dtype == int
    assert RateSliceStack(event_matrix=MATRIX).times == [(0.0, 3.0), (3.0, 6.0)]


def test_a_matrix_is_sorted_along_with_its_windows():
    """Each slice keeps its window."""
    with pytest.warns(UserWarning, match="each with its own window") as warned:
        stack = RateSliceStack(event_matrix=MATRIX, times_start_to_end=[(4, 7), (0, 3)])
    assert warned[0].filename == __file__
    assert stack.times == [(0, 3), (4, 7)]
    assert columns(stack) == [[1, 3, 5], [0, 2, 4]]
    peaks = RateSliceStack(event_matrix=MATRIX, time_peaks=[5, 1], time_bounds=(1, 2))
    assert peaks.times == [(0, 3), (4, 7)]
    assert columns(peaks) == [[1, 3, 5], [0, 2, 4]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "exactly one of data_obj and event_matrix .* got neither"),
        ({"data_obj": rates(), "event_matrix": MATRIX}, ValueError, "got both"),
        ({"data_obj": rates()}, ValueError, "must be given with data_obj"),
        (
            {"data_obj": MATRIX, "times_start_to_end": [(0, 1)]},
            TypeError,
            "data_obj must be a SpikeData or RateData, got ndarray",
        ),
        ({"event_matrix": [[[1.0]]]}, TypeError, "must be a numpy array, got list"),
        ({"event_matrix": np.ones((2, 3))}, ValueError, r"got \(2, 3\)"),
        ({"event_matrix": np.ones((2, 3, 0))}, ValueError, r"got \(2, 3, 0\)"),
        ({"event_matrix": np.ones((2, 0, 3))}, ValueError, r"got \(2, 0, 3\)"),
        (
            {"event_matrix": MATRIX, "times_start_to_end": [(0, 3)]},
            ValueError,
            r"one window per slice of event_matrix \(2\), got 1",
        ),
        ({"event_matrix": MATRIX, "step_size": 0}, ValueError, "step_size must be pos"),
        (
            {"event_matrix": MATRIX, "neuron_attributes": [{}]},
            ValueError,
            "got 1 for 2 units",
        ),
    ],
)
def test_what_is_refused(arguments, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        RateSliceStack(**arguments)


def test_slices_as_rates():
    """They have the times of the recording, on the steps of the window."""
    stack = RateSliceStack(rates(0.5), [(6, 7), (10, 11)])
    found = stack.convert_to_list_of_RateData()
    assert len(stack) == len(found) == 2
    assert [data.times.tolist() for data in found] == [[6, 6.5], [10, 10.5]]
    assert found[1].inst_Frate_data.tolist() == [[10, 11], [110, 111]]
    assert found[1].neuron_attributes == ATTRIBUTES
    assert all(map(equal, stack, found))


def test_subset():
    """Windows and step stay, attributes come along."""
    stack = RateSliceStack(rates(0.5), [(6, 7), (10, 11)])
    part = stack.subset(2, by="a")
    assert columns(part) == [[102, 103], [110, 111]]
    assert (part.times, part.step_size) == (stack.times, 0.5)
    assert part.neuron_attributes == [{"a": 2}]
    assert columns(stack.subset([1, 0], preserve_order=True))[0] == [102, 103]
    assert (
        repr(stack.subset([])) == "RateSliceStack(U=0, T=2, S=2, times=6.0 to 11.0 ms)"
    )


def test_subslice():
    """Slices stay in the order of their windows, each once."""
    stack = RateSliceStack(rates(), [(6, 9), (8, 11), (10, 13)])
    for chosen, expected in (
        ([2, 0, 2], [0, 2]),
        (-1, [2]),
        ([False, True, False], [1]),
    ):
        part = stack.subslice(chosen)
        assert part.times == [stack.times[i] for i in expected]
        assert columns(part) == [columns(stack)[i] for i in expected]
        assert part.neuron_attributes == ATTRIBUTES
    with pytest.raises(ValueError, match=r"slices must lie in -3\.\.2, got 3"):
        stack.subslice(3)


def test_subtime_by_index():
    """The same steps of every slice, negative ones from the end."""
    stack = RateSliceStack(
        event_matrix=np.arange(24.0).reshape(2, 4, 3),
        times_start_to_end=[(0, 2), (4, 6), (8, 10)],
        step_size=0.5,
    )
    part = stack.subtime_by_index(1, -1)
    np.testing.assert_array_equal(part.event_stack, stack.event_stack[:, 1:3])
    assert part.times == [(0.5, 1.5), (4.5, 5.5), (8.5, 9.5)]
    assert part.step_size == 0.5
    with pytest.raises(ValueError, match=r"both lie in 0\.\.4, got 2 and 5"):
        stack.subtime_by_index(2, 5)
