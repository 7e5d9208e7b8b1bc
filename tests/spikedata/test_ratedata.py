"""Rates over time, and parts of them."""

import pickle

import numpy as np
import pytest

from spikelab.spikedata.differences import equal
from spikelab.spikedata.ratedata import RateData


def rates(**changes):
    """Return the rates of two units at six times from 5 ms on."""
    arguments = {
        "inst_Frate_data": np.arange(12.0).reshape(2, 6),
        "times": np.arange(6.0) + 5,
        "neuron_attributes": [{"a": 1}, {"a": 2}],
        "rate_unit": "Hz",
    }
    return RateData(**{**arguments, **changes})


def test_attributes_are_those_of_the_published_class():
    """Pickles hold the attributes by name, and must load in either package."""
    published = {"inst_Frate_data", "times", "rate_unit", "N", "neuron_attributes"}
    assert set(vars(rates())) == published


def test_positional_arguments():
    """The order of the arguments is the published one."""
    found = RateData([[1.0, np.nan]], [0, 1], [{"a": 1}], "kHz")
    assert found.neuron_attributes == [{"a": 1}]
    assert (found.N, found.rate_unit) == (1, "kHz")
    assert repr(found) == "RateData(shape=(1, 2), times=0 to 1 ms, rate_unit='kHz')"


def test_pickle_round_trip():
    """Rates come back from a pickle as they were."""
    found = pickle.loads(pickle.dumps(rates()))
    assert equal(found, rates())


def test_rates_are_copied_and_times_are_not():
    """Rates become float64; times keep their dtype and may be uneven."""
    data, times = np.ones((1, 3)), np.array([0, 1, 5])
    found = RateData(data, times)
    data[:] = 9
    assert found.inst_Frate_data.tolist() == [[1, 1, 1]]
    assert RateData([[1, 2, 3]], times).inst_Frate_data.dtype == np.float64
    assert found.times is times


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"inst_Frate_data": np.zeros(6)}, ValueError, r"must be 2-D .* shape \(6,\)"),
        ({"inst_Frate_data": [["a"]]}, TypeError, "inst_Frate_data must hold numbers"),
        ({"times": np.zeros(5)}, ValueError, r"column .*\(6\), got shape \(5,\)"),
        ({"times": None}, TypeError, "times must be numbers"),
        ({"times": list("abcdef")}, TypeError, "times must be numbers"),
        (
            {"times": [0, 1, 2, 3, 4, np.nan]},
            ValueError,
            "times must be finite, got nan",
        ),
        ({"times": [0, 1, 3, 2, 4, 5]}, ValueError, "not decrease, got 2 after 3"),
        ({"neuron_attributes": [{}]}, ValueError, "got 1 for 2 units"),
        (
            {"inst_Frate_data": np.ma.masked_less(np.eye(2, 6), 1)},
            ValueError,
            "inst_Frate_data must not hold masked",
        ),
        (
            {"times": np.ma.masked_less(np.arange(6), 1)},
            ValueError,
            "times must not hold masked",
        ),
    ],
)
def test_what_is_refused(changes, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        rates(**changes)


def test_no_times():
    """Rates without a column are allowed."""
    found = RateData(np.zeros((2, 0)), [])
    assert found.inst_Frate_data.shape == (2, 0)
    assert "there are none" in repr(found)
    with pytest.raises(ValueError, match="times must not be empty"):
        found.frames(1.0)


def test_subset():
    """Attributes, times and unit of the rate come along."""
    part = rates().subset([1])
    assert part.inst_Frate_data.tolist() == [[6, 7, 8, 9, 10, 11]]
    assert part.neuron_attributes == [{"a": 2}]
    assert part.rate_unit == "Hz"
    assert rates().subset([1, 0], preserve_order=True).inst_Frate_data[0, 0] == 6
    assert rates().subset(2, by="a").N == 1
    assert rates().subset([]).inst_Frate_data.shape == (0, 6)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ((6, 8), [6, 7]),
        ((None, 7), [5, 6]),
        ((9, ...), [9, 10]),
        ((None, None), [5, 6, 7, 8, 9, 10]),
        ((-100, 6), [5]),
        ((9.5, 100), [10]),
    ],
)
def test_subtime(window, expected):
    """The times stay as they are, from the start up to and without the end."""
    part = rates().subtime(*window)
    assert part.times.tolist() == expected
    assert part.inst_Frate_data[0].tolist() == [time - 5 for time in expected]
    assert (part.rate_unit, part.neuron_attributes) == ("Hz", [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize("window", [(8, 8), (8, 6), (5.2, 5.8), (100, None)])
def test_subtime_refuses(window):
    """A part holds at least one time."""
    with pytest.raises(ValueError, match=r"start must be before end, .*5\.0 to 10\.0"):
        rates().subtime(*window)


def test_subtime_by_index():
    """Negative positions count from the end."""
    assert rates().subtime_by_index(1, 3).times.tolist() == [6, 7]
    assert rates().subtime_by_index(-2, 6).times.tolist() == [9, 10]


@pytest.mark.parametrize("columns", [(3, 3), (3, 7), (-7, 3), (4, 2)])
def test_subtime_by_index_refuses(columns):
    """Nothing is cut off in silence."""
    with pytest.raises(ValueError, match=r"both lie in 0\.\.6, got"):
        rates().subtime_by_index(*columns)


def test_frames():
    """The last time lasts as long as the others, so that the frames fill up."""
    stack = rates().frames(3, overlap=1)
    assert stack.times == [(5, 8), (7, 10)]
    assert stack.event_stack[0].T.tolist() == [[0, 1, 2], [2, 3, 4]]
    assert len(rates().frames(2)) == 3
    with pytest.raises(ValueError, match=r"length must not exceed .*got 7"):
        rates().frames(7)


def test_complex_rates():
    """Their imaginary part would be lost."""
    with pytest.raises(TypeError, match="inst_Frate_data must hold real numbers"):
        RateData([[1 + 2j]], [0.0])
