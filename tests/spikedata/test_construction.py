"""What a recording is made of, and what it refuses."""

import functools
import io

import h5py
import numpy as np
import pytest

from spikelab import (
    PairwiseCompMatrix,
    PairwiseCompMatrixStack,
    RateData,
    RateSliceStack,
    SpikeData,
    SpikeSliceStack,
)
from spikelab.data_loaders.data_exporters import export_spikedata_to_hdf5


@pytest.mark.parametrize(
    ("train", "arguments", "message"),
    [
        ([[1.0], [np.nan]], {}, "unit 1: spike times must be finite .* got nan"),
        ([[1.0, np.nan]], {}, "unit 0: spike times must be finite .* got nan"),
        ([[np.inf]], {"length": 9.0}, "unit 0: .* got inf"),
        ([[1.0], [-np.inf, 2]], {}, "unit 1: .* got -inf"),
        ([[-1.0]], {}, "unit 0: .* got -1.0"),
        ([[], [5.0]], {"start_time": 10.0}, "unit 1: .* got 5.0"),
        (
            [[1.0], [10.5]],
            {"length": 10},
            r"unit 1: .* window \[0.0, 10.0\] ms, got 10.5",
        ),
        ([[[1.0, 2.0]]], {}, r"unit 0: spike times must be 1-D, got shape \(1, 2\)"),
        ([1.0], {}, r"unit 0: spike times must be 1-D, got shape \(\)"),
        ([], {"length": -1.0}, "length must not be negative, got -1.0"),
        ([], {"length": np.nan}, "length must be finite, got nan"),
        ([], {"length": np.inf}, "length must be finite, got inf"),
        ([], {"start_time": np.nan}, "start_time must be finite, got nan"),
        ([[1e308]], {"start_time": -1e308}, "length must be finite, got inf"),
        ([[]], {"neuron_attributes": []}, "got 0 for 1 units"),
        ([[]], {"raw_data": [1.0]}, "raw_time is None"),
        ([[]], {"raw_time": [1.0]}, "raw_data is None"),
        (
            [[]],
            {"raw_data": np.zeros((2, 3)), "raw_time": [0, 1]},
            r"\(2,\) for \(2, 3",
        ),
        (
            [[]],
            {"raw_data": np.zeros((1, 1, 1)), "raw_time": 1.0},
            "raw_data must have",
        ),
        ([[]], {"raw_data": [1.0], "raw_time": 0.0}, "raw_time must be positive"),
    ],
)
def test_values_that_are_refused(train, arguments, message):
    """The error names the unit or parameter, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        SpikeData(train, **arguments)


def test_the_unit_of_a_time_that_is_not_finite_is_named():
    """Whatever the spikes are made of."""
    for time in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"unit 1: spike times must be finite"):
            SpikeData.from_idces_times([0, 1, 1], [1.0, 2.0, time])
        with pytest.raises(ValueError, match=r"unit 1: spike times must be finite"):
            SpikeData.from_events([(0, 1.0), (1, time)])


@pytest.mark.parametrize(
    ("train", "arguments", "message"),
    [
        (None, {}, "train must be a sequence of arrays"),
        (5.0, {}, "train must be a sequence of arrays of spike times, got 5.0"),
        ("abc", {}, "train must be a sequence of arrays"),
        ({0: [1.0]}, {}, "train must be a sequence of arrays"),
        ([["a"]], {}, "unit 0: spike times must be numbers"),
        ([[1.0], [[1.0], [1.0, 2.0]]], {}, "unit 1: spike times must be numbers"),
        ([], {"N": 2.5}, "N must be an integer, got 2.5"),
        ([], {"length": "5"}, "length must be a number, got '5'"),
        ([], {"start_time": None}, "start_time must be a number, got None"),
        ([[]], {"neuron_attributes": [None]}, "unit 0: .* a dictionary, got None"),
        ([], {"metadata": "abc"}, "metadata must be a mapping, got 'abc'"),
    ],
)
def test_types_that_are_refused(train, arguments, message):
    """The error names the unit or parameter, the rule and the value."""
    with pytest.raises(TypeError, match=message):
        SpikeData(train, **arguments)


def test_the_edges_of_the_window_belong_to_it():
    """Spikes at the start and at the end are in the recording."""
    sd = SpikeData([[-5.0, 10.0]], start_time=-5.0, length=15.0)
    assert sd.train[0].tolist() == [-5.0, 10.0]
    assert SpikeData([[0.0]], length=0).length == 0.0


def test_one_rounding_beyond_the_end_is_admitted():
    """Seconds times 1000 can end beyond a length that was computed otherwise."""
    assert SpikeData([[0.1 * 3]], length=0.3).train[0].tolist() == [0.1 * 3]
    with pytest.raises(ValueError, match="unit 0"):
        SpikeData([[0.3 + 1e-12]], length=0.3)


def test_spikes_are_copied():
    """What is done to the arrays given does not reach the recording."""
    times = np.array([1.0, 2.0])
    sd = SpikeData([times])
    times[0] = 99.0
    assert sd.train[0].tolist() == [1.0, 2.0]


def test_flat_spikes_are_copied():
    """Also where the units come sorted, so that nothing has to move."""
    times = np.array([2.0, 1.0, 3.0])
    sd = SpikeData.from_idces_times([0, 0, 1], times)
    assert times.tolist() == [2.0, 1.0, 3.0]
    times[:] = 99.0
    assert [found.tolist() for found in sd.train] == [[1.0, 2.0], [3.0]]


def test_a_part_has_spikes_of_its_own():
    """What is done to it does not reach the whole."""
    sd = SpikeData([[1.0, 2.0]])
    sd.subset(0).train[0][:] = 99.0
    sd.subtime(0, 2, shift_to=0).train[0][:] = 99.0
    assert sd.train[0].tolist() == [1.0, 2.0]


def test_any_iterable_of_trains():
    """Generators and 2-D arrays are trains too."""
    assert SpikeData([t] for t in (1.0, 2.0)).N == 2
    assert SpikeData(np.array([[2.0, 1.0], [3.0, 4.0]])).train[0].tolist() == [1, 2]


def test_silent_units():
    """N adds silent units; one that is too small has no effect."""
    assert [len(t) for t in SpikeData([[1.0]], N=3).train] == [1, 0, 0]
    assert SpikeData([[1.0], [2.0]], N=1).N == 2


def test_length_is_a_float():
    """Whatever number it was given as."""
    for length in (5, np.int64(5), np.float32(5)):
        assert type(SpikeData([[]], length=length).length) is float


def test_containers_are_copied_but_not_dictionaries_of_units():
    """Attributes of units are shared with the caller, as published."""
    attributes, metadata = ({"a": 1},), {"b": 2}
    sd = SpikeData([[]], neuron_attributes=attributes, metadata=metadata)
    assert sd.neuron_attributes[0] is attributes[0]
    assert sd.metadata == metadata
    assert sd.metadata is not metadata


def test_raw_data_are_not_copied(tmp_path):
    """A memory-mapped file stays one; a rate in kHz makes the times."""
    raw = np.memmap(tmp_path / "raw", dtype=np.int16, mode="w+", shape=(2, 4))
    sd = SpikeData([[]], raw_data=raw, raw_time=2.0)
    assert sd.raw_data is raw
    assert sd.raw_time.tolist() == [0, 0.5, 1.0, 1.5]
    assert SpikeData([[]], raw_data=[1, 2], raw_time=[0, 1]).raw_data.shape == (2,)


@pytest.mark.parametrize("raster", [[[-1, 2]], [[0.5, 2.0]]])
def test_a_raster_holds_whole_numbers_of_spikes(raster):
    """What is no number of spikes is not rounded to one."""
    with pytest.raises(ValueError, match="raster must hold numbers of spikes"):
        SpikeData.from_raster(raster, 1.0)


def test_masked_spikes_are_refused():
    """Without their mask they would be spikes again."""
    hidden = np.ma.array([1, 2], mask=[0, 1])
    with pytest.raises(TypeError, match="got MaskedArray"):
        SpikeData([hidden])
    with pytest.raises(ValueError, match="raster must not hold masked"):
        SpikeData.from_raster(hidden[None], 1.0)
    with pytest.raises(ValueError, match="times must not hold masked"):
        SpikeData.from_idces_times([0, 0], hidden)
    with pytest.raises(ValueError, match="idces must not hold masked"):
        SpikeData.from_idces_times(hidden, [0, 0])


class DataFrame:
    """A table, as pandas, polars and others call it."""

    def __iter__(self):
        return iter(["a", "b"])


def of_package(name, cls="Sorting"):
    """An object of a class of another package, which need not be installed."""
    return type(cls, (), {"__module__": f"{name}.core.sorting"})()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([1.0, 2.0], "unit 0: .* one for each unit.*from_idces_times"),
        (np.arange(3.0), "one for each unit"),
        (DataFrame(), "got a DataFrame: SpikeData.from_idces_times"),
        ("cells.h5", "spikelab.load reads a file"),
        ({0: [1.0]}, "got a dict: list"),
        (of_package("spikeinterface"), "SpikeData.from_spikeinterface"),
        ([of_package("neo")], "SpikeData.from_neo"),
        (of_package("pynapple"), "SpikeData.from_pynapple"),
        (of_package("pynwb"), "spikelab.load"),
    ],
)
def test_what_to_call_instead(train, message):
    """What people hold after sorting is no train; the error says where it goes."""
    with pytest.raises((TypeError, ValueError), match=message):
        SpikeData(train)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            of_package("pynapple", "TsdFrame"),
            r"a TsdFrame: take tsd\.values\.T.* in ms",
        ),
        (of_package("neo", "AnalogSignal"), r"an AnalogSignal: .*magnitude\.T"),
        (of_package("neo", "Segment"), "SpikeData.from_neo"),
        (of_package("xarray", "DataArray"), "its values are an array"),
        (DataFrame(), "a DataFrame: .*to_numpy"),
        ("rates.h5", "spikelab.load reads a file"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        RateData,
        lambda given: RateData(given, [0.0, 1.0]),
        RateSliceStack,
        lambda given: RateSliceStack(event_matrix=given),
        lambda given: SpikeSliceStack(given, [(0.0, 1.0)]),
        lambda given: SpikeSliceStack(spike_stack=[given]),
        PairwiseCompMatrix,
        PairwiseCompMatrixStack,
        lambda given: export_spikedata_to_hdf5(given, "x.h5"),
    ],
)
def test_what_to_call_instead_of_an_array(make, given, message):
    """The other classes and the exports say it too."""
    if make is RateSliceStack:
        make = functools.partial(make, times_start_to_end=[(0.0, 1.0)])
    with pytest.raises(TypeError, match=message):
        make(given)


def test_signals_as_raw_data_and_recordings_as_rates():
    """Signals of neo and pynapple have time first."""
    with pytest.raises(TypeError, match="raw_data must be an array, got an AnalogSig"):
        SpikeData([[]], raw_data=of_package("neo", "AnalogSignal"), raw_time=1.0)
    with pytest.raises(TypeError, match="resampled_isi returns a RateData"):
        RateData(SpikeData([[1.0]]))


def test_tables_that_are_arrays_of_the_right_shape():
    """A table with a row for each unit, and columns as spike times, are taken."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    rates = RateData(table, [0.0, 1.0, 2.0])
    assert rates.inst_Frate_data.tolist() == table.to_numpy().tolist()
    with pytest.raises(TypeError, match="to_numpy"):
        RateData(table.T, [0.0, 1.0, 2.0])
    assert SpikeData([table[0], table[1]]).train[1].tolist() == [2.0, 5.0]
    raw = SpikeData([[]], raw_data=table, raw_time=1.0).raw_data
    assert np.shape(raw) == (2, 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (DataFrame(), "one per unit, got a DataFrame: to_dict"),
        ({"area": ["CA1", "CA3"]}, r"one per unit, got {'area'"),
        (5, "one per unit, got 5"),
        ("CA1", "one per unit, got 'CA1'"),
    ],
)
def test_attributes_in_another_form(rows, message):
    """A table of units is turned by its own method."""
    for make in (
        lambda: SpikeData([[], []], neuron_attributes=rows),
        lambda: RateData([[1.0], [2.0]], [0.0], rows),
        lambda: RateSliceStack(event_matrix=np.ones((2, 1, 1)), neuron_attributes=rows),
        lambda: SpikeSliceStack(spike_stack=[SpikeData([[]])], neuron_attributes=rows),
    ):
        with pytest.raises(TypeError, match=message):
            make()


def test_a_rate_of_raw_data_that_may_be_in_hz():
    """No recording has a million samples in a ms."""
    with pytest.warns(UserWarning, match="raw_time is 30000 kHz; is that a rate in Hz"):
        SpikeData([[]], raw_data=np.zeros((1, 3)), raw_time=30_000)


def test_a_table_of_windows():
    """Its columns may have any order and names."""
    with pytest.raises(TypeError, match="got a DataFrame: to_numpy"):
        SpikeSliceStack(SpikeData([[1.0]]), DataFrame())


def test_what_is_assigned_is_taken_as_the_constructor_takes_it():
    """Lists, values with a unit, and nothing in the place of raw data."""
    pq = pytest.importorskip("quantities")
    sd = SpikeData([[1.0]], length=5.0, raw_data=np.ones((1, 2)), raw_time=[0.0, 1.0])
    sd.raw_data, sd.raw_time = [[3, 4]], [0, 1] * pq.s
    sd.neuron_attributes = ({"area": "CA1"},)
    sd.check()
    assert (sd.raw_data.tolist(), sd.raw_time.tolist()) == ([[3, 4]], [0.0, 1000.0])
    assert sd.neuron_attributes == [{"area": "CA1"}]
    sd.raw_data = None
    sd.check()
    assert sd == SpikeData([[1.0]], length=5.0, neuron_attributes=[{"area": "CA1"}])
    rates = RateData([[1.0, 2.0]], [0.0, 1.0])
    rates.inst_Frate_data, rates.times = [[3, 4]] * pq.kHz, [1, 2] * pq.s
    rates.check()
    assert rates == RateData([[3000, 4000]], np.array([1000.0, 2000.0]), rate_unit="Hz")
    stack = RateSliceStack(event_matrix=np.ones((1, 2, 1)))
    stack.step_size = 0.5 * pq.s
    stack.check()
    assert stack.step_size == 500.0
    sd.train = {0: [1.0]}
    with pytest.raises(TypeError, match="got a dict: list"):
        sd.check()


def test_ids_are_no_numbers_of_units():
    """They would take gigabytes."""
    with pytest.raises(ValueError, match=r"idces must be below .*, got 1000000000; np"):
        SpikeData.from_idces_times([10**9], [1.0])


def test_values_of_spikes_that_were_not_in_order_cost_a_warning():
    """Only the times are sorted."""
    known = [{"amplitudes": np.array([30.0, 10.0, 20.0])}]
    with pytest.warns(UserWarning, match=r"not in the order of time .*'amplitudes'"):
        sd = SpikeData([[3.0, 1.0, 2.0]], neuron_attributes=known)
    assert sd.train[0].tolist() == [1.0, 2.0, 3.0]


def test_rates_are_copied_whatever_holds_them():
    """Datasets of HDF5, and what shares its memory."""
    given = np.ones((2, 3))
    with h5py.File(io.BytesIO(), "w") as file:
        file["rates"], file["times"] = given, [0.0, 1.0, 2.0]
        made = [RateData(file["rates"], file["times"])]
    made += [RateData(rates, [0.0, 1.0, 2.0]) for rates in (given, memoryview(given))]
    given[0, 0] = 9.0
    for rates in made:
        assert rates.inst_Frate_data.tolist() == [[1.0] * 3] * 2
