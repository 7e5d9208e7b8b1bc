"""The flat form of spike trains."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab import SpikeData, trains
from spikelab.errors import FormatError

TRAINS = st.lists(
    st.lists(st.floats(0, 1e6), max_size=12).map(lambda t: np.array(t, dtype=float)),
    max_size=6,
)


@given(TRAINS, st.integers(1, 5))
def test_blocks_are_the_flat_form_in_pieces(train, size):
    """Blocks of any size, joined, are all times; none is larger than asked."""
    pieces = list(trains.blocks(train, size))
    assert all(0 < len(piece) <= size for piece in pieces)
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0), *pieces]), np.concatenate([np.empty(0), *train])
    )


@given(TRAINS)
def test_split_undoes_the_flat_form(train):
    """Cutting the flat form at the ends gives the trains again."""
    flat = np.concatenate([np.empty(0), *train])
    again = trains.split(flat, trains.ends(train), "index")
    assert len(again) == len(train)
    for found, expected in zip(again, train, strict=True):
        np.testing.assert_array_equal(found, expected)


@given(TRAINS, st.data())
def test_unit_indices_of_any_part(train, data):
    """The unit of each spike of a part is that of the whole, cut."""
    ends = trains.ends(train)
    whole = np.repeat(np.arange(len(train)), [len(times) for times in train])
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    np.testing.assert_array_equal(
        trains.unit_indices(ends, start, stop), whole[start:stop]
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100))))
def test_gather_sorts_by_unit_and_keeps_the_order(events):
    """Parallel arrays become what a loop over the spikes would append."""
    expected = [[time for unit, time in events if unit == i] for i in range(5)]
    idces = np.array([unit for unit, _ in events], dtype=np.int64)
    times = np.array([time for _, time in events], dtype=np.float64)
    found = trains.gather(idces, times, 5)
    assert [list(part) for part in found] == expected


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([2, 1, 3], "must not decrease"),
        ([-1, 3], "not be negative"),
        ([1, 2], "must end at the number of spikes, 3, got 2"),
        ([1, 4], "must end at the number of spikes, 3, got 4"),
        ([1.0, 3.0], "must be a 1-D array of integers"),
        ([[3]], "must be a 1-D array of integers"),
    ],
)
def test_an_index_that_cannot_be_is_refused(ends, message):
    """A file with a broken index gives an error, not other spikes."""
    with pytest.raises(FormatError, match=message):
        trains.split(np.arange(3.0), ends, "spike_times_index")


def test_the_window_admits_its_own_last_spike():
    """Start + (last - start) may round below last; the spike still belongs there."""
    start, last = -1e9, 0.1
    trains.check_window([np.array([last])], start, last - start)


@pytest.mark.parametrize("time", [np.nan, np.inf, -0.001, 10.001])
def test_a_time_outside_the_window_is_named(time):
    """The error names the unit and the value."""
    with pytest.raises(ValueError, match=f"unit 1: .* got {time}"):
        trains.check_window([np.array([5.0]), np.array([time])], 0.0, 10.0)


def test_only_rounding_is_moved_into_the_window():
    """Times just outside move to the edge; those further out stay to be refused."""
    train = [np.array([-1e-9, 5.0, 10.0 + 1e-9, 11.0])]
    (moved,) = trains.into_window(train, 0.0, 10.0, slack_ms=1e-6)
    assert moved.tolist() == [0.0, 5.0, 10.0, 11.0]


def test_pieces_know_when_they_are_no_longer_whole():
    """Exchanged, added or removed arrays are found, and what is written has them."""
    train = trains.join([np.array([1.0, 2.0]), np.empty(0), np.array([3.0])])
    assert train.intact()
    train[1] = np.array([7.0])
    assert not train.intact()
    assert trains.ends(train).tolist() == [2, 3, 4]
    assert np.concatenate(list(trains.blocks(train))).tolist() == [1, 2, 7, 3]
    del train[1:]
    assert trains.extremes(train) == (1.0, 2.0)


def test_pieces_changed_in_place_are_seen():
    """A value written into an array is what is exported, and is checked."""
    train = trains.join([np.array([1.0, 2.0]), np.array([3.0])])
    train[1][0] = np.nan
    with pytest.raises(ValueError, match=r"unit 1: .* got nan"):
        trains.check_window(train, 0.0, 10.0)


@given(TRAINS)
def test_sort_units_sorts_within_units_only(train):
    """Units keep their spikes, each in order, in one array."""
    joined = trains.join(train)
    trains.sort_units(joined)
    assert [part.tolist() for part in joined] == [sorted(times) for times in train]
    assert joined.flat.tolist() == [time for times in train for time in sorted(times)]


@given(TRAINS)
def test_extremes_are_those_of_any_form(train):
    """Joined, sorted or neither: the smallest and the largest time are the same."""
    joined = trains.join(train)
    expected = trains.extremes(train)
    assert trains.extremes(joined) == expected
    trains.sort_units(joined)
    assert trains.extremes(joined) == expected


def test_pieces_pickle_as_a_list():
    """Nobody who unpickles trains needs this class."""
    again = pickle.loads(pickle.dumps(trains.join([np.array([1.0])])))
    assert type(again) is list
    assert again[0].tolist() == [1.0]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("N", 5, ValueError, "train must hold one array per unit, got 2 for N=5"),
        ("length", np.nan, ValueError, "length must be finite"),
        ("length", -1.0, ValueError, "length must not be negative"),
        ("length", None, TypeError, "length must be a number"),
        ("start_time", np.inf, ValueError, "start_time must be finite"),
        ("neuron_attributes", [{}], ValueError, "one dictionary per unit, got 1"),
        ("train", [np.array([1.0]), [2.0]], TypeError, "unit 1: .* 1-D array"),
        ("train", [np.ones((1, 1)), np.empty(0)], TypeError, "unit 0: .* 1-D array"),
    ],
)
def test_a_recording_that_was_changed_is_checked_again(name, value, error, message):
    """Attributes can be set to anything; an export finds what does not fit."""
    sd = SpikeData([[1.0], []], length=5.0)
    trains.check_recording(sd)
    setattr(sd, name, value)
    with pytest.raises(error, match=message):
        trains.check_recording(sd)
