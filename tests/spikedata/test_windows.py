"""Windows of slices, as users give them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spikelab.spikedata import windows


def test_given_windows():
    """Each slice starts at 0."""
    found = windows.chosen_windows([(0, 5), (3, 8)], None, None)
    assert found.times == [(0, 5), (3, 8)]
    assert found.zeros == [0, 3]
    assert (found.start_ms, found.length_ms, found.order) == (0.0, 5.0, [0, 1])


@pytest.mark.parametrize(
    "given", [[[0, 5], [3, 8]], ((0, 5), (3, 8)), np.array([[0, 5], [3, 8]])]
)
def test_windows_as_lists_or_an_array(given):
    """They become tuples of floats."""
    found = windows.chosen_windows(given, None, None).times
    assert found == [(0.0, 5.0), (3.0, 8.0)]
    assert {type(time) for window in found for time in window} == {float}


def test_given_windows_come_before_peaks():
    """As in the published package."""
    assert windows.chosen_windows([(0, 5)], [7], (1, 1)).times == [(0, 5)]


def test_unsorted_windows_are_sorted():
    """The order tells what moved where."""
    with pytest.warns(UserWarning, match="put into that order"):
        found = windows.chosen_windows([(10, 15), (0, 5)], None, None)
    assert found.times == [(0, 5), (10, 15)]
    assert found.order == [1, 0]


def test_windows_around_peaks():
    """The event is the zero of its slice, exactly."""
    found = windows.chosen_windows(None, np.array([12.7, 5.3]), (2.1, 3.2))
    assert found.zeros == [5.3, 12.7]
    assert found.times == [(5.3 - 2.1, 5.3 + 3.2), (12.7 - 2.1, 12.7 + 3.2)]
    assert (found.start_ms, found.length_ms) == (-2.1, 2.1 + 3.2)
    assert found.order == [1, 0]


def test_no_windows():
    """Where windows are needed their absence is an error."""
    assert windows.chosen_windows(None, None, None) is None
    with pytest.raises(ValueError, match="must be given with data_obj, got None"):
        windows.windows_inside((0.0, 9.0), None, None, None)


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ([(0, 5, 6)], ValueError, r"\(start, end\) tuples .* got \[\(0, 5, 6\)\]"),
        ((0, 5), ValueError, "must be a list of"),
        (5, ValueError, "must be a list of"),
        ("cells", TypeError, "must be a list of"),
        ([("a", 5)], TypeError, "times_start_to_end must be numbers"),
        ([(0, np.nan)], ValueError, "times_start_to_end must be finite, got nan"),
        ([(5, 5)], ValueError, r"must start before it ends, got \(5, 5\)"),
        (
            [(0, 5), (6, 10)],
            ValueError,
            "equal length, got 5.0 ms .* and 4.0 ms for window 1",
        ),
        ([], ValueError, "at least one window"),
    ],
)
def test_windows_that_are_refused(times, error, message):
    """The error names the window, the rule and the value."""
    with pytest.raises(error, match=message):
        windows.chosen_windows(times, None, None)


@pytest.mark.parametrize(
    ("peaks", "bounds", "error", "message"),
    [
        ([5], None, ValueError, "time_bounds is None"),
        (None, (1, 1), ValueError, "time_peaks is None"),
        ([5], (1, 1, 1), ValueError, r"time_bounds must be \(before, after\)"),
        ([5], (0, 0), ValueError, r"time_bounds must .* span some time, got \(0, 0\)"),
        ([5], (np.inf, 0), ValueError, "time_bounds must be finite, got inf"),
        ([], (1, 1), ValueError, "time_peaks must be 1-D and hold at least one"),
        (5.0, (1, 1), ValueError, "time_peaks must be 1-D"),
        ([np.nan], (1, 1), ValueError, "time_peaks must be finite, got nan"),
        (["a"], (1, 1), TypeError, "time_peaks must be numbers"),
    ],
)
def test_peaks_that_are_refused(peaks, bounds, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        windows.chosen_windows(None, peaks, bounds)


def test_windows_leave_the_recording():
    """By more than a rounding."""
    given = ([(0, 5), (6, 11)], None, None)
    windows.windows_inside((0.0, 11.0 - 1e-15), *given)
    with pytest.raises(ValueError, match=r"window 1 must lie .*\[0.0, 10.0\] ms, got"):
        windows.windows_inside((0.0, 10.0), *given)


@given(
    st.integers(-10_000, 10_000),
    st.integers(1, 300),
    st.integers(1, 40),
    st.integers(0, 39),
    st.sampled_from([1.0, 10.0, 30.0]),
)
@example(-13, 172, 11, 10, 10.0)
@example(-12, 86, 11, 10, 10.0)
def test_frames_against_whole_numbers(start, total, length, overlap, parts):
    """Frames in fractions of a ms are those in whole numbers, at any start."""
    if not (overlap < length <= total):
        return
    found = windows.frame_windows(
        start / parts, total / parts, length / parts, overlap / parts
    )
    starts = range(start, start + total - length + 1, length - overlap)
    assert len(found) == len(starts)
    expected = [(first / parts, (first + length) / parts) for first in starts]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    recording = (start / parts, start / parts + total / parts)
    windows.windows_inside(recording, found, None, None)


@pytest.mark.parametrize(
    ("length", "overlap", "message"),
    [
        (0, 0, "length must be positive"),
        (11, 0, r"length must not exceed .*10\.0 ms\), got 11"),
        (5, 5, r"overlap must not be negative and be below length \(5\), got 5"),
        (5, -1, "overlap must not be negative"),
        (5, np.nan, "overlap must be finite"),
    ],
)
def test_frames_that_are_refused(length, overlap, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        windows.frame_windows(0.0, 10.0, length, overlap)


def test_consecutive_windows():
    """They follow one another from 0."""
    found = windows.windows_of_slices("spike_stack", None, [5, 7])
    assert found == ([(0.0, 5.0), (5.0, 12.0)], [0, 1])


def test_extent_of_times():
    """The last time lasts as long as the others."""
    assert windows.extent_of(np.array([5.0, 6.0, 7.0])) == (5.0, 8.0)
    assert windows.extent_of(np.array([5.0])) == (5.0, 6.0)
    with pytest.raises(ValueError, match="times must not be empty"):
        windows.extent_of(np.empty(0))
