"""Equality of whole objects."""

import numpy as np
import pytest

from spikelab import SpikeData, comparison
from spikelab.kinds import Contents


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), True),
        (np.array([1.0]), np.array([1]), False),
        (np.array([1.0]), np.array([[1.0]]), False),
        ({"a": [1, (2.0, "x")]}, {"a": [1, (2.0, "x")]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ([1, 2], (1, 2), False),
        (1, 1.0, False),
        (float("nan"), float("nan"), True),
        (
            np.array(["a", None], dtype=object),
            np.array(["a", None], dtype=object),
            True,
        ),
        (SpikeData([[1.0]]), SpikeData([[1.0]]), True),
        (SpikeData([[1.0]]), SpikeData([[1.0]], length=2.0), False),
        ("abc", "abd", False),
        (None, None, True),
    ],
)
def test_same(first, second, equal):
    """Types, dtypes, shapes and order count; NaN equals NaN."""
    assert comparison.same(first, second) is equal


def _read(train, **changes):
    arguments = {"train": train, "start_time": 0.0, "length": 10.0, **changes}
    return Contents("SpikeData", arguments)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (_read([np.array([1.0]), np.array([])], length=11.0), "length is 11.0"),
        (_read([np.array([1.0])]), "1 units were read, not 2"),
        (_read([np.array([1.5]), np.array([])]), "moved by up to 0.5 ms"),
        (_read([np.array([]), np.array([1.0])]), "moved by up to inf ms"),
        (Contents("RateData", {}), "a RateData was read"),
    ],
)
def test_differences_are_said_in_words(contents, message):
    """Each way in which a file can be wrong is found and named."""
    sd = SpikeData([[1.0], []], length=10.0)
    (found,) = comparison.differences(sd, contents)
    assert message in found


def test_no_difference_is_an_empty_list():
    """A shift within the slack is none."""
    sd = SpikeData([[1.0], []], length=10.0)
    read = _read([np.array([1.25]), np.array([])])
    assert comparison.differences(sd, read, slack_ms=0.25) == []


def test_a_nan_is_a_shift_whatever_unit_it_is_in():
    """Not a number is not within any slack."""
    written = [np.array([1.0]), np.array([2.0]), np.array([3.0])]
    for unit in range(3):
        read = [times.copy() for times in written]
        read[unit][0] = np.nan
        assert np.isnan(comparison.largest_shift_ms(written, read))


def test_sets_are_compared_whatever_the_order_of_their_parts():
    """Also sets of sets, and NaN in them."""
    assert comparison.same(
        {frozenset([8, 0]), frozenset([5])}, {frozenset([0, 8]), frozenset([5])}
    )
    assert comparison.same({float("nan"), 1.0}, {1.0, float("nan")})
    assert not comparison.same({1, 2}, {1, 3})
    assert not comparison.same({1}, frozenset([1]))
