"""Recordings: made, counted, sliced."""

import builtins
import inspect
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, recordings

from spikelab.errors import MissingExtraError
from spikelab.spikedata import binning
from spikelab.spikedata.spikedata import SpikeData

PUBLISHED = [
    "train",
    "start_time",
    "length",
    "N",
    "raw_data",
    "raw_time",
    "metadata",
    "neuron_attributes",
]


def test_attributes_are_those_of_the_published_class():
    """Pickles hold the attributes by name, and must load in either package."""
    assert set(vars(SpikeData([[1.0]]))) == set(PUBLISHED)


def test_pickle_round_trip():
    """A recording comes back from a pickle as it was."""
    sd = SpikeData([[1.0], []], length=5.0, metadata={"a": 1})
    assert_same_recording(pickle.loads(pickle.dumps(sd)), sd)


def test_defaults():
    """Without a window the recording runs from 0 to the last spike."""
    sd = SpikeData([[3, 1], [2.5]])
    assert [times.tolist() for times in sd.train] == [[1.0, 3.0], [2.5]]
    assert all(times.dtype == np.float64 for times in sd.train)
    assert (sd.N, sd.start_time, sd.length) == (2, 0.0, 3.0)
    assert sd.metadata == {}
    assert sd.neuron_attributes is None
    assert sd.raw_data.shape == (0, 0)
    assert sd.raw_time.shape == (0,)


def test_repr():
    """The summary names units and window."""
    sd = SpikeData([[1.0]], length=3, start_time=0)
    assert repr(sd) == "SpikeData(N=1, spikes=1, window=0.0 to 3.0 ms)"


@given(recordings())
def test_a_window_holds_what_it_was_made_for(sd):
    """The window found from the spikes admits them, also when given explicitly."""
    found = SpikeData(sd.train, start_time=sd.start_time)
    again = SpikeData(found.train, start_time=found.start_time, length=found.length)
    assert_same_recording(again, found)


@given(st.floats(-1e15, 1e15), st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=5))
def test_a_window_over_any_magnitude(start, times):
    """Rounding of start plus length never throws out the last spike."""
    times = [time for time in times if time >= start]
    sd = SpikeData([times], start_time=start)
    SpikeData(sd.train, start_time=start, length=sd.length)


def test_from_idces_times_sorts():
    """Spikes come in any order of units and times."""
    sd = SpikeData.from_idces_times([2, 0, 2, 0], [5.0, 3.0, 1.0, 2.0], length=9.0)
    assert [times.tolist() for times in sd.train] == [[2.0, 3.0], [], [1.0, 5.0]]
    assert sd.length == 9.0


def test_from_idces_times_keeps_silent_units():
    """N adds units after the last that fired."""
    assert SpikeData.from_idces_times([0.0], [1], N=3).N == 3
    assert SpikeData.from_idces_times([], []).N == 0
    assert SpikeData.from_idces_times([], [], N=np.int64(2)).N == 2


@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1e6)), max_size=60),
    st.booleans(),
)
def test_from_idces_times_against_a_loop(spikes, unit_major):
    """The radix sort gathers what a loop over the spikes would."""
    if unit_major:
        spikes.sort()
    expected = [[] for _ in range(301)]
    for unit, time in spikes:
        expected[unit].append(time)
    idces, times = [unit for unit, _ in spikes], [time for _, time in spikes]
    sd = SpikeData.from_idces_times(idces, times, N=301, length=1e6)
    assert [found.tolist() for found in sd.train] == [sorted(each) for each in expected]
    assert_same_recording(SpikeData.from_events(spikes, 301, length=1e6), sd)


@pytest.mark.parametrize(
    ("idces", "times", "N", "error", "message"),
    [
        ([0, 1], [1.0], None, ValueError, "equal length, got shapes"),
        ([[0]], [[1.0]], None, ValueError, "1-D"),
        ([-1], [1.0], None, ValueError, "idces must not be negative.*got -1"),
        ([3], [1.0], 3, ValueError, r"below N \(3\), got 3"),
        ([0.5], [1.0], None, ValueError, "whole numbers, got 0.5"),
        ([np.nan], [1.0], None, ValueError, "whole numbers, got nan"),
        ([np.inf], [1.0], None, ValueError, "whole numbers, got inf"),
        (["a"], [1.0], None, TypeError, "idces must be integers"),
        ([0], [1.0], 1.5, TypeError, "N must be an integer, got 1.5"),
    ],
)
def test_from_idces_times_refuses(idces, times, N, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        SpikeData.from_idces_times(idces, times, N)


def test_from_events_takes_a_generator():
    """Pairs may come one by one; a fraction of a unit is refused."""
    sd = SpikeData.from_events(((unit, 1.0 + unit) for unit in (1, 0)), length=5.0)
    assert [times.tolist() for times in sd.train] == [[1.0], [2.0]]
    with pytest.raises(ValueError, match=r"got 0\.5"):
        SpikeData.from_events([(0.5, 1.0)])


def test_from_raster_places_spikes_in_their_bins():
    """The window covers all bins, from the start time on."""
    sd = SpikeData.from_raster([[1, 0, 2], [0, 0, 0]], 10.0, start_time=100.0)
    np.testing.assert_allclose(sd.train[0], [105, 120 + 10 / 3, 120 + 20 / 3])
    assert (sd.N, sd.start_time, sd.length) == (2, 100.0, 30.0)
    assert sd.raster(10.0).tolist() == [[1, 0, 2], [0, 0, 0]]


def test_from_raster_takes_a_sparse_one():
    """What `sparse_raster` returns."""
    sd = SpikeData([[0.5, 1.5, 1.5], [2.5]], length=3.0)
    made = SpikeData.from_raster(sd.sparse_raster(1.0), 1.0)
    assert made.raster(1.0).tolist() == [[1, 2, 0], [0, 0, 1]]


def test_channels_may_have_names():
    """They come in alphabetical order."""
    known = [{"channel": "B"}, {"channel": "A"}, {}, {"channel": "B"}]
    sd = SpikeData([[1.0], [2.0], [3.0], [3.0]], length=4.0, neuron_attributes=known)
    assert sd.channel_raster(bin_size=2.0).tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize(
    ("raster", "bin_size", "error", "message"),
    [
        ([1, 2], 1.0, ValueError, r"raster must be 2-D .* got shape \(2,\)"),
        (
            [[1.0, np.nan]],
            1.0,
            ValueError,
            "raster must hold numbers of spikes.* got nan",
        ),
        ([["a"]], 1.0, TypeError, "raster must hold numbers"),
        ([[1]], 0.0, ValueError, "bin_size_ms must be positive and finite, got 0.0"),
        ([[1]], None, TypeError, "bin_size_ms must be a number, got None"),
    ],
)
def test_from_raster_refuses(raster, bin_size, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        SpikeData.from_raster(raster, bin_size)


def test_chronological_spikes():
    """`times` and `events` run through all units in order of time."""
    sd = SpikeData([[5, 10, 15.0], [5, 12]], length=30)
    assert list(sd.times) == [5, 5, 10, 12, 15]
    assert list(sd.events) == [(0, 5), (1, 5), (0, 10), (1, 12), (0, 15)]


def test_simultaneous_events_are_in_the_order_of_the_units():
    """However many there are."""
    sd = SpikeData([[0.0, 1.0]] * 100)
    assert [unit for unit, _ in sd.events] == [*range(100)] * 2


def test_idces_times_are_unit_after_unit():
    """The flat form keeps the units together."""
    idces, times = SpikeData([[5, 10.0], [], [1.0]]).idces_times()
    assert idces.tolist() == [0, 0, 2]
    assert times.tolist() == [5, 10, 1]
    assert (idces.dtype, times.dtype) == (np.int64, np.float64)
    assert SpikeData([]).idces_times()[1].size == 0


@given(recordings(), st.sampled_from([0.5, 1.0, 1000.0]))
def test_rasters_agree(sd, bin_size):
    """The raster, its sparse form, and the sum over units count alike."""
    bin_size = max(bin_size, sd.length / 1000)
    raster = sd.raster(bin_size)
    assert raster.shape == (sd.N, binning.n_bins(sd.length, bin_size, sd.start_time))
    if sd.length:
        assert raster.sum(axis=1).tolist() == [len(times) for times in sd.train]
    assert sd.binned(bin_size).tolist() == raster.sum(axis=0).tolist()
    sparse = sd.sparse_raster(bin_size)
    assert sparse.dtype == np.int64
    np.testing.assert_array_equal(sparse.toarray(), raster)


def test_raster_offset():
    """A positive offset adds bins in front, a negative one piles up in bin 0."""
    sd = SpikeData([[0, 1, 1.5, 2, 5.0]], length=5.0)
    assert sd.raster(1.0, 2.0).tolist() == [[0, 1, 1, 2, 0, 0, 1]]
    assert sd.raster(1.0, -2.0).tolist() == [[4, 0, 1]]
    with pytest.raises(ValueError, match=r"time_offset must not be below.*got -6"):
        sd.raster(1.0, -6.0)


@pytest.mark.parametrize("bin_size", [0, -1.0, np.nan, np.inf])
def test_raster_refuses_a_bin_size(bin_size):
    """A bin has a positive and finite width."""
    with pytest.raises(ValueError, match="bin_size must be positive and finite, got"):
        SpikeData([[1.0]]).raster(bin_size)


def test_a_part_has_the_bins_of_its_length():
    """Cutting at decimal times does not add a bin by float drift."""
    sd = SpikeData([[]], length=10_000.0)
    for start in np.arange(1, 9000, 37) / 10:
        assert sd.subtime(start, start + 0.3).raster(0.1).shape == (1, 3)


def test_sparse_raster_without_scipy(monkeypatch):
    """A missing extra is named, with the command that installs it."""
    real_import = builtins.__import__

    def without_scipy(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(MissingExtraError, match=r"spikelab\[sparse\]"):
        SpikeData([[1.0]]).sparse_raster()


def test_binned_counts_the_population():
    """The last bin may be incomplete."""
    sd = SpikeData([[0, 39, 40, 41.0], [80.0]], length=100.0)
    assert sd.binned().tolist() == [3, 2, 0]
    assert SpikeData([[0.0]], length=0.0).binned().tolist() == []


def test_mean_rates():
    """Rates are per ms, or per second on request."""
    sd = SpikeData([[0, 1, 2.0], []], length=10.0)
    assert sd.rates().tolist() == [0.3, 0.0]
    assert sd.rates("Hz").tolist() == [300.0, 0.0]
    assert SpikeData([[0.0]], length=0.0).rates().tolist() == [0.0]
    with pytest.raises(ValueError, match="unit must be 'kHz' or 'Hz', got 'mHz'"):
        sd.rates("mHz")


def test_interspike_intervals():
    """There is one interval fewer than spikes."""
    found = SpikeData([[1, 3, 3.5], [1.0], []]).interspike_intervals()
    assert [intervals.tolist() for intervals in found] == [[2, 0.5], [], []]


def test_resampled_isi():
    """Rates are in Hz and keep the attributes."""
    sd = SpikeData([[10, 20, 40.0]], length=50.0, neuron_attributes=[{"a": 1}])
    rates = sd.resampled_isi(np.arange(0.0, 50, 10), sigma_ms=0)
    assert rates.inst_Frate_data.tolist() == [[0, 100, 50, 50, 0]]
    assert rates.rate_unit == "Hz"
    assert rates.neuron_attributes == [{"a": 1}]


def test_getitem():
    """A slice is a time window, all else chooses units."""
    sd = SpikeData([[1, 5.0], [7.0]], length=10.0)
    assert sd[4:8].train[0].tolist() == [1.0]
    assert sd[1].train[0].tolist() == [7.0]
    assert sd[[True, False]].N == 1
    with pytest.raises(ValueError, match="no step, got 2"):
        sd[0:8:2]
    with pytest.raises(TypeError, match=r"integers or a mask, got 0\.5"):
        sd[0.5]


def test_neuron_attributes_are_set_and_read():
    """One value for all, one for each, or for some."""
    sd = SpikeData([[], [], []])
    assert sd.get_neuron_attribute("area", "?") == ["?", "?", "?"]
    sd.set_neuron_attribute("area", "CA1")
    sd.set_neuron_attribute("wave", [[1], [1, 2], []])
    sd.set_neuron_attribute("good", [True, False], [0, -1])
    assert sd.neuron_attributes == [
        {"area": "CA1", "wave": [1], "good": True},
        {"area": "CA1", "wave": [1, 2]},
        {"area": "CA1", "wave": [], "good": False},
    ]
    assert sd.get_neuron_attribute("good") == [True, None, False]


def test_neuron_attributes_refuse_what_does_not_fit():
    """A wrong call changes nothing."""
    sd = SpikeData([[], []], neuron_attributes=[{}, {}])
    with pytest.raises(ValueError, match="one value per unit, got 3 for 2"):
        sd.set_neuron_attribute("a", [1, 2, 3])
    with pytest.raises(IndexError, match=r"neuron_indices must lie in -2\.\.1, got 5"):
        sd.set_neuron_attribute("a", [1, 2], [0, 5])
    assert sd.neuron_attributes == [{}, {}]


def test_electrodes_and_locations():
    """They come from the attributes, under any of their names."""
    sd = SpikeData(
        [[], []],
        neuron_attributes=[
            {"electrode": 4, "channel": 9, "location": [1.0, 2.0]},
            {"ch": 7, "x": 3.0, "y": 4.0},
        ],
    )
    assert sd.electrodes.tolist() == [4, 7]
    assert sd.unit_locations.tolist() == [[1, 2], [3, 4]]
    assert SpikeData([[]]).electrodes is None
    assert SpikeData([[]]).unit_locations is None


def test_frames_cover_the_recording():
    """An incomplete last window is left out; a last one to the very end is not."""
    sd = SpikeData([[0.05, 0.25]], length=0.1 * 3)
    assert [len(part.train[0]) for part in sd.frames(0.1)] == [1, 0, 1]
    late = SpikeData([[101.0]], start_time=100.0, length=10.0)
    assert late.frames(4.0, overlap=1.0).times == [(100, 104), (103, 107), (106, 110)]
    assert late.frames(4.0, overlap=1.0).spike_stack[0].train[0].tolist() == [1.0]


def test_align_to_events():
    """The event is 0 of its slice; events too near the edge are left out."""
    sd = SpikeData([[4, 5, 12.5]], length=20.0, metadata={"stim": [12.0, 5.0, 19.5]})
    with pytest.warns(UserWarning, match="1 of 3 events left out") as warned:
        stack = sd.align_to_events("stim", 2, 3)
    assert warned[0].filename == __file__
    assert stack.times == [(3, 8), (10, 15)]
    assert [part.train[0].tolist() for part in stack] == [[-1, 0], [0.5]]
    assert {(part.start_time, part.length) for part in stack} == {(-2.0, 5.0)}
    rates = sd.align_to_events(5.0, 2, 3, kind="rate", bin_size_ms=0.5, sigma_ms=0)
    assert rates.event_stack.shape == (1, 10, 1)
    assert rates.step_size == 0.5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nope", 1, 1), KeyError, "events must be a key of metadata"),
        (([np.nan], 1, 1), ValueError, "events must be finite, got nan"),
        (([900.0], 1, 1e9), ValueError, "events must hold a time whose window"),
        (
            (np.ma.masked_less([1.0], 2), 1, 1),
            ValueError,
            "events must not hold masked",
        ),
        (([5.0], 0, 0), ValueError, r"must .* span some time, got \(0\.0, 0\.0\)"),
        (([5.0], np.nan, 1), ValueError, "pre_ms must be finite, got nan"),
        ((["a"], 1, 1), TypeError, "events must be numbers"),
    ],
)
def test_align_to_events_refuses(arguments, error, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(error, match=message):
        SpikeData([[1.0]], length=10.0).align_to_events(*arguments)


def test_align_to_events_refuses_a_kind():
    """Spikes or rates, nothing else."""
    with pytest.raises(ValueError, match="kind must be 'spike' or 'rate', got 'x'"):
        SpikeData([[1.0]], length=10.0).align_to_events([5], 1, 1, kind="x")


def test_recordings_from_the_published_package():
    """Its pickles hold trains of integers and a length that is a NumPy scalar."""
    sd = SpikeData([[1, 2], [3]], length=5.0)
    sd.train = [times.astype(np.int64) for times in sd.train]
    sd.length = np.float64(5.0)
    assert sd.raster().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert sd.subtime(1, 3).train[0].tolist() == [0.0, 1.0]
    assert sd.idces_times()[1].dtype == np.float64
    assert sd.spike_trains.extremes() == (1.0, 3.0)


def test_help_begins_with_a_signature_that_one_can_read():
    """Names and defaults; a class of the user shows its own."""

    class Tagged(SpikeData):
        def __init__(self, tag, train):
            super().__init__(train)

    assert str(inspect.signature(SpikeData)) == (
        "(train, *, N=None, length=None, start_time=0.0, neuron_attributes=None, "
        "metadata=None, raw_data=None, raw_time=None)"
    )
    assert str(inspect.signature(Tagged)) == "(tag, train)"


def test_units_one_after_the_other():
    """Each is a recording."""
    sd = SpikeData([[1.0, 2.0], [3.0]], length=5.0)
    assert list(sd) == [sd[0], sd[1]]
