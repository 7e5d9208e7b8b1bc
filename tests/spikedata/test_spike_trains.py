"""Spike trains in flat form."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab import SpikeData
from spikelab.errors import FormatError
from spikelab.spikedata.spike_trains import SpikeTrains, converted

TRAINS = st.lists(
    st.lists(st.floats(0, 1e6), max_size=12).map(lambda t: np.array(t, dtype=float)),
    max_size=6,
)


@given(TRAINS, st.integers(1, 5))
def test_blocks_are_the_flat_form_in_parts(train, size):
    """Blocks of any size, joined, are all times; none is larger than asked."""
    blocks = list(SpikeTrains.from_arrays(train).blocks(size))
    assert all(0 < len(block) <= size for block in blocks)
    np.testing.assert_array_equal(
        np.concatenate([np.empty(0), *blocks]), np.concatenate([np.empty(0), *train])
    )


@given(TRAINS)
def test_from_flat_undoes_the_flat_form(train):
    """Cutting the flat form at the ends gives the trains again."""
    made = SpikeTrains.from_arrays(train)
    again = SpikeTrains.from_flat(made.flat, made.ends, "index")
    assert len(again) == len(train)
    assert again.n_spikes == sum(map(len, train))
    assert again.counts.tolist() == list(map(len, train))
    for unit, (found, expected) in enumerate(zip(again, train, strict=True)):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(again[unit], expected)
        np.testing.assert_array_equal(again[unit - len(train)], expected)


@given(TRAINS, st.data())
def test_unit_indices_of_any_part(train, data):
    """The unit of each spike of a part is that of the whole, cut."""
    whole = np.repeat(np.arange(len(train)), [len(times) for times in train])
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    found = SpikeTrains.from_arrays(train).unit_indices(start, stop)
    np.testing.assert_array_equal(found, whole[start:stop])


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 100))))
def test_from_pairs_sorts_by_unit_and_keeps_the_order(events):
    """Parallel arrays become what a loop over the spikes would append."""
    expected = [[time for unit, time in events if unit == i] for i in range(5)]
    idces = np.array([unit for unit, _ in events], dtype=np.int64)
    times = np.array([time for _, time in events], dtype=np.float64)
    found = SpikeTrains.from_pairs(idces, times, 5)
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
        SpikeTrains.from_flat(np.arange(3.0), ends, "spike_times_index")


def test_the_window_admits_its_own_last_spike():
    """Start + (last - start) may round below last; the spike still belongs there."""
    start, last = -1e9, 0.1
    SpikeTrains.from_arrays([[last]]).check_window(start, last - start)


@pytest.mark.parametrize("time", [np.nan, np.inf, -0.001, 10.001])
def test_a_time_outside_the_window_is_named(time):
    """The error names the unit and the value."""
    with pytest.raises(ValueError, match=f"unit 1: .* got {time}"):
        SpikeTrains.from_arrays([[5.0], [time]]).check_window(0.0, 10.0)


def test_only_rounding_is_moved_into_the_window():
    """Times just outside move to the edge; those further out stay to be refused."""
    train = SpikeTrains.from_arrays([[-1e-9, 5.0, 10.0 + 1e-9, 11.0]])
    (moved,) = train.moved_into(0.0, 10.0, slack_ms=1e-6)
    assert moved.tolist() == [0.0, 5.0, 10.0, 11.0]


def test_an_assigned_train_is_what_is_held():
    """The flat form follows; a unit that is not there is an IndexError."""
    train = SpikeTrains.from_arrays([[1.0, 2.0], [], [3.0]])
    train[1] = [7, 8]
    assert [times.tolist() for times in train] == [[1, 2], [7, 8], [3]]
    assert train.flat.tolist() == [1, 2, 7, 8, 3]
    assert [times.tolist() for times in train[1:]] == [[7, 8], [3]]
    with pytest.raises(IndexError, match=r"unit must lie in 0\.\.2, got 3"):
        train[3]


@given(TRAINS)
def test_sort_sorts_within_units_only(train):
    """Units keep their spikes, each in order, in one array."""
    made = SpikeTrains.from_arrays(train)
    made.sort()
    assert [part.tolist() for part in made] == [sorted(times) for times in train]
    assert made.flat.tolist() == [time for times in train for time in sorted(times)]


def test_the_extremes_do_not_lose_a_nan():
    """A NaN is found whatever unit it is in; without spikes both are 0."""
    for unit in range(3):
        arrays = [[1.0], [2.0], [3.0]]
        arrays[unit] = [np.nan]
        assert np.isnan(SpikeTrains.from_arrays(arrays).extremes()).all()
    assert SpikeTrains.from_arrays([[3.0], [-4.0]]).extremes() == (-4.0, 3.0)
    assert SpikeTrains.from_arrays([[3.0], [-4.0]]).largest_ms() == 4.0
    assert SpikeTrains.from_arrays([[], []]).extremes() == (0.0, 0.0)


def test_trains_pickle_as_a_list():
    """Nobody who unpickles trains needs this class."""
    for arrays in ([[1.0], []], []):
        again = pickle.loads(pickle.dumps(SpikeTrains.from_arrays(arrays)))
        assert type(again) is list
        assert [times.tolist() for times in again] == arrays


def test_chosen_units_are_copies():
    """In the order given; all units too."""
    train = SpikeTrains.from_arrays([[1.0], [], [3.0]])
    for units, expected in (([2, 0], [[3], [1]]), ([0, 1, 2], [[1], [], [3]])):
        chosen = train.of_units(units)
        assert [times.tolist() for times in chosen] == expected
        chosen.flat[:] = 9
    assert train.flat.tolist() == [1, 3]


def test_converted_blocks():
    """Each block in one array, which the next one overwrites."""
    blocks = converted(
        [np.arange(3.0), np.arange(2.0)],
        lambda part, out: np.multiply(part, 2, out=out),
        np.float64,
    )
    assert [block.tolist() for block in blocks] == [[0, 2, 4], [0, 2]]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("N", 5, ValueError, "train must hold one array per unit, got 2 for N=5"),
        ("length", np.nan, ValueError, "length must be finite"),
        ("length", -1.0, ValueError, "length must not be negative"),
        ("length", None, TypeError, "length must be a number"),
        ("start_time", np.inf, ValueError, "start_time must be finite"),
        ("neuron_attributes", [{}], ValueError, "one dictionary per unit, got 1"),
        ("neuron_attributes", [{}, 3], TypeError, "unit 1: .* must be a dictionary"),
        ("metadata", 3, TypeError, "metadata must be a mapping"),
        ("train", [np.array([1.0]), ["a"]], TypeError, "unit 1: .* must be numbers"),
        ("train", [np.ones((1, 1)), np.empty(0)], ValueError, "unit 0: .* 1-D"),
        ("raw_data", np.ones((2, 3)), ValueError, "raw_time must hold one time per"),
    ],
)
def test_a_recording_that_was_changed_is_checked_again(name, value, error, message):
    """Attributes can be set to anything; an export finds what does not fit."""
    sd = SpikeData([[1.0], []], length=5.0)
    sd.check()
    setattr(sd, name, value)
    with pytest.raises(error, match=message):
        sd.check()


def test_a_list_of_trains_is_taken_and_sorted():
    """What a user assigns becomes spike trains again."""
    sd = SpikeData([[1.0], []], length=5.0)
    sd.train = [np.array([3, 2]), [4]]
    sd.check()
    assert isinstance(sd.train, SpikeTrains)
    assert [times.tolist() for times in sd.train] == [[2, 3], [4]]


def test_unsorted_times_that_were_assigned_are_sorted():
    """Whatever is done with the recording next."""
    sd = SpikeData([[1.0], [2.0]], length=9.0)
    sd.train[0] = [8.0, 3.0, 5.0]
    assert sd.train[0].tolist() == [3.0, 5.0, 8.0]
    sd.train = [[8.0, 3.0, 5.0], [2.0]]
    assert sd.subtime(3, 6).train[0].tolist() == [0.0, 2.0]
    assert sd.raster(3.0).tolist() == [[1, 1, 1], [1, 0, 0]]
    assert sd.interspike_intervals()[0].tolist() == [2.0, 3.0]
    rates = sd.resampled_isi([4.0, 6.0], sigma_ms=0).inst_Frate_data[0]
    assert rates.tolist() == [500.0, 1000 / 3]


def test_trains_are_added_as_lists():
    """As those of 0.1.2 are."""
    sd, more = SpikeData([[1.0], [2.0]]), [[3.0]]
    for train in (sd.train + more, sd.train + SpikeData([[3.0]]).train):
        assert SpikeData(train).train.flat.tolist() == [1.0, 2.0, 3.0]
    assert SpikeData(more + sd.train).train.flat.tolist() == [3.0, 1.0, 2.0]
