"""What spikelab 0.1.2 has under these names, compared with what was seen there."""

import numpy as np
import pytest

from spikelab import SpikeData
from spikelab.data_loaders.data_loaders import load_spikedata_from_spikeinterface


def trains(sd):
    """The spike times as lists."""
    return [times.tolist() for times in sd.train]


def recording(*train, **more):
    """Ten ms, if nothing else is said."""
    return SpikeData(train, **{"length": 10.0, **more})


def test_units_side_by_side():
    """Metadata of the other counts; raw data is that of the first."""
    raw = {"raw_data": np.zeros((2, 20)), "raw_time": 2.0}
    first = recording([1.0, 5.0], metadata={"a": 1, "k": "first"}, **raw)
    other = recording([2.0, 10.0], metadata={"b": 2, "k": "other"})
    both = first.concatenate_spike_data(other)
    assert trains(both) == [[1, 5], [2, 10]]
    assert both.metadata == {"a": 1, "k": "other", "b": 2}
    assert both.raw_data.shape == (2, 20)
    assert other.concatenate_spike_data(first).raw_data.size == 0


def test_units_side_by_side_have_one_absolute_time():
    """Session and time 0 are those of the first recording, if it knows either."""
    session = {"nwb_session": {"session_id": "a"}}
    first = recording([1.0], metadata={**session, "time_zero_ms": 50.0})
    other = recording([2.0], metadata={"nwb_session": {}, "time_zero_ms": 7.0})
    plain = recording([3.0], metadata={"k": 1})
    both = first.concatenate_spike_data(other)
    assert both.metadata == {**session, "time_zero_ms": 50.0}
    both = recording([1.0], metadata=session).concatenate_spike_data(other)
    assert both.metadata == session
    both = plain.concatenate_spike_data(first)
    assert both.metadata == {"k": 1, **session, "time_zero_ms": 50.0}


def test_another_window_is_cut():
    """To that of the first; what it does not cover is an error."""
    first, longer = recording([1.0]), recording([2.0], [8.0, 20.0], length=30.0)
    both = first.concatenate_spike_data(longer)
    assert (trains(both), both.length) == ([[1], [2], [8]], 10.0)
    with pytest.raises(ValueError, match="end"):
        longer.concatenate_spike_data(first)
    before = recording([-2.0, 3.0], length=20.0, start_time=-5.0)
    assert trains(first.concatenate_spike_data(before)) == [[1], [3]]
    with pytest.raises(TypeError, match="sd must be a SpikeData"):
        first.concatenate_spike_data(3)


def test_attributes_of_one_are_left_out():
    """With a warning; those of both stand side by side."""
    known = recording([1.0], neuron_attributes=[{"x": 1}])
    both = known.concatenate_spike_data(known)
    assert both.neuron_attributes == [{"x": 1}, {"x": 1}]
    for pair in ((known, recording([1.0])), (recording([1.0]), known)):
        with pytest.warns(RuntimeWarning, match="no neuron_attributes"):
            assert pair[0].concatenate_spike_data(pair[1]).neuron_attributes is None


@pytest.mark.parametrize(
    "key", ["channel", "channel_id", "channel_index", "ch", "electrode"]
)
def test_spikes_per_channel(key):
    """Units of one channel count together, channels ascend."""
    rows = [{key: 3}, {key: 1.0}, {key: np.int32(3)}, {}]
    sd = recording([1.0, 5.0], [3.0], [3.5], [9.0], neuron_attributes=rows)
    raster = sd.channel_raster(5)
    assert raster.tolist() == [[1, 0], [3, 0]]
    assert raster.dtype == np.int64
    assert sd.channel_raster().shape == (2, 10)


def test_which_attribute_is_the_channel():
    """The one that is named, else the first of unit 0."""
    rows = [{"ch": 0, "site": "7"}, {"channel": 1, "site": "8"}]
    sd = recording([1.0], [2.0], neuron_attributes=rows)
    assert sd.channel_raster(10).tolist() == [[1]]
    assert sd.channel_raster(10, "site").tolist() == [[1], [1]]
    for known in (None, [{}, {}], [{"channel": None}, {"channel": None}]):
        with pytest.raises(ValueError, match="channel of a unit"):
            recording([], [], neuron_attributes=known).channel_raster(5)


class Sorting:
    """What a sorting must have."""

    def __init__(self, **properties):
        self.properties = properties

    def get_unit_ids(self):
        """The ids."""
        return [7, 3]

    def get_sampling_frequency(self):
        """The rate."""
        return 30_000.0

    def get_unit_spike_train(self, unit_id, segment_index=0):
        """The samples."""
        return np.array({7: [30, 60], 3: [90]}[unit_id]) + segment_index

    def get_property(self, name):
        """A property, or None."""
        return self.properties.get(name)


def test_a_sorting():
    """From 0 to the last spike."""
    sd = load_spikedata_from_spikeinterface(Sorting())
    assert trains(sd) == [[1, 2], [3]]
    assert (sd.start_time, sd.length) == (0.0, pytest.approx(3.0))
    assert sd.neuron_attributes == [{"unit_id": 7}, {"unit_id": 3}]
    assert sd.metadata == {
        "source_format": "SpikeInterface",
        "unit_ids": [7, 3],
        "fs_Hz": 30_000.0,
    }
    faster = load_spikedata_from_spikeinterface(Sorting(), sampling_frequency=1000)
    assert trains(faster) == [[30, 60], [90]]


def test_chosen_units_and_what_is_known_of_them():
    """In the order given, each with its own properties."""
    sorting = Sorting(ch=[5, 6], electrode=[0, 0], location=[[0.0, 1.0], [2.0, 3.0]])
    sd = load_spikedata_from_spikeinterface(sorting, unit_ids=[3, 7], segment_index=0)
    assert trains(sd) == [[3], [1, 2]]
    assert sd.neuron_attributes == [
        {"unit_id": 3, "electrode": 6, "location": [2.0, 3.0]},
        {"unit_id": 7, "electrode": 5, "location": [0.0, 1.0]},
    ]


@pytest.mark.parametrize(
    ("sorting", "options", "message"),
    [
        (object(), {}, "sorting must have get_unit_ids"),
        (Sorting(), {"unit_ids": [99]}, r"unit_ids must be among \[7, 3\]"),
        (
            Sorting(),
            {"sampling_frequency": -1.0},
            "sampling_frequency must be positive",
        ),
    ],
)
def test_what_is_refused(sorting, options, message):
    """The error names what is missing or wrong."""
    with pytest.raises((TypeError, ValueError), match=message):
        load_spikedata_from_spikeinterface(sorting, **options)


def test_spike_trains_of_neo():
    """Only their times, converted by their unit; the rest are arguments."""
    neo = pytest.importorskip("neo")
    given = [neo.SpikeTrain([5.0, 6.0], units="s", t_start=4.0, t_stop=9.0, name="a")]
    sd = SpikeData.from_neo_spiketrains(given)
    assert (trains(sd), sd.start_time, sd.length) == ([[5000, 6000]], 0.0, 6000.0)
    assert sd.neuron_attributes is None
    more = SpikeData.from_neo_spiketrains(given, N=2, length=7000.0, metadata={"a": 1})
    assert (more.N, more.length, more.metadata) == (2, 7000.0, {"a": 1})
    assert SpikeData.from_neo_spiketrains([]).N == 0
    for wrong in ([[1.0]], neo.Segment()):
        with pytest.raises(TypeError):
            SpikeData.from_neo_spiketrains(wrong)
