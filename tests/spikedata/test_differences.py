"""Where two objects differ, in words."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from siblings import ANY_OBJECT, SIBLINGS, recording, spike_slices

from spikelab import RateData, SpikeData, SpikeSliceStack, differences
from spikelab.spikedata.differences import compare, equal

NAN = float("nan")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (np.array([1.0, NAN]), np.array([1.0, NAN]), True),
        (np.array([1.0]), np.array([1]), False),
        (np.array([1.0]), np.array([[1.0]]), False),
        (np.array([1.0]), [1.0], False),
        (np.zeros((0, 3)), np.zeros((0, 3)), True),
        (np.float64(2.0).reshape(()), np.float64(2.0).reshape(()), True),
        ({"a": [1, (2.0, "x")]}, {"a": [1, (2.0, "x")]}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], (1, 2), False),
        (1, 1.0, True),
        (np.float32(0.5), 0.5, True),
        (True, 1, False),
        (NAN, np.float32(NAN), True),
        (
            np.array(["a", None], dtype=object),
            np.array(["a", None], dtype=object),
            True,
        ),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 1]), True),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 1]), False),
        (np.ma.array([1, 2], mask=[0, 1]), np.array([1, 2]), False),
        ("abc", np.str_("abc"), True),
        ("abc", b"abc", False),
        (None, None, True),
        (None, 0, False),
        (
            {frozenset([8, 0]), frozenset([5])},
            {frozenset([0, 8]), frozenset([5])},
            True,
        ),
        ({NAN, 1.0}, {1.0, float("nan")}, True),
        ({1, 2}, {1, 3}, False),
        ({1}, frozenset([1]), False),
        (np.datetime64("NaT", "s"), np.datetime64("NaT", "s"), True),
        (np.timedelta64(1, "s"), 1, False),
    ],
)
def test_values(first, second, expected):
    """Dtypes and types of sequences count, those of single numbers do not."""
    assert equal(first, second) is expected
    assert equal(second, first) is expected


def changed(**changes):
    """The recording of the tests, with other arguments."""
    return SpikeData(**{**recording().arguments(), **changes})


@pytest.mark.parametrize(
    ("changes", "path", "text"),
    [
        ({"length": 51.0}, ("length",), "length differs: 50.0 and 51.0"),
        ({"start_time": -1.0}, ("start_time",), "start_time differs: 0.0 and -1.0"),
        (
            {"train": [[1.0, 5.5, 12.0, 40.5], [2.25, 3.0]]},
            ("train",),
            "spike times of unit 0 differ by up to 0.5 ms",
        ),
        (
            {"train": [[1.0, 5.5, 12.0, 40.0], [2.25]]},
            ("train",),
            "unit 1 has 2 and 1 spikes",
        ),
        (
            {"train": [[]], "neuron_attributes": recording().neuron_attributes[:1]},
            ("train",),
            "N differs: 2 and 1 units",
        ),
        ({"raw_time": np.arange(50)}, ("raw_time",), "dtype float64 and int64"),
        ({"raw_time": np.arange(50) + 0.25}, ("raw_time",), "raw_time differs"),
        (
            {"raw_data": np.zeros((2, 50), np.int16)},
            ("raw_data",),
            "raw_data differs: values of an array of shape (2, 50)",
        ),
        (
            {"metadata": {**recording().metadata, "more": 1}},
            ("metadata", "more"),
            "metadata['more'] differs: nothing and 1",
        ),
    ],
)
def test_each_part_of_a_recording(changes, path, text):
    """Each difference says where it is, and what the two values are."""
    found = list(compare(recording(), changed(**changes)))
    assert found[0].path == path
    assert text in found[0].text
    assert recording() != changed(**changes)


def test_attributes_of_units_are_one_line_each():
    """However many units differ, the first is shown."""
    one = SpikeData([[], [], []], neuron_attributes=[{"a": 1}, {"a": 2}, {"b": 3}])
    two = SpikeData([[], [], []], neuron_attributes=[{"a": 1}, {"a": 3}, {"a": 3}])
    assert differences(one, two) == [
        "neuron_attributes[1]['a'] differs: 2 and 3 (and in 1 more units)",
        "neuron_attributes[2]['b'] differs: 3 and nothing",
    ]
    nothing = SpikeData([[], [], []])
    assert differences(nothing, SpikeData([[]] * 3, neuron_attributes=[{}] * 3)) == []


def test_times_within_the_tolerance_are_equal():
    """Spike times, windows and raw times; a NaN is within none."""
    one = SpikeData([[1.0], []], length=10.0)
    two = SpikeData([[1.25], []], length=10.25)
    assert differences(one, two, atol_ms=0.25) == []
    assert len(differences(one, two, atol_ms=0.2)) == 2
    two.train[0][0] = np.nan
    assert "spike times of unit 0" in differences(one, two, atol_ms=1e9)[0]


def test_what_loaders_add_does_not_count():
    """The path of the file is not part of the data."""
    loaded = changed(metadata={**recording().metadata, "source_file": np.arange(3)})
    assert differences(recording(), loaded) == []
    assert recording() == loaded


def test_slices_are_compared_one_by_one():
    """The text names the slice, the path says that it is inside of one."""
    stack = spike_slices()
    other = SpikeSliceStack(spike_stack=[*stack.spike_stack[:2], SpikeData([[], []])])
    paths = {d.path[:2] for d in compare(stack, other)}
    assert {("spike_stack", "train"), ("spike_stack", "length"), ("times",)} <= paths
    assert any(
        text.startswith("slice 2: unit 0 has") for text in differences(stack, other)
    )


def test_slices_that_differ_alike_are_one_line():
    """The line counts slices, and another key of the metadata is another line."""
    stacks = [
        SpikeSliceStack(
            spike_stack=[SpikeData([[]], metadata=known) for _ in range(3)],
            times_start_to_end=[(0.0, 1.0)] * 3,
        )
        for known in ({"a": 1}, {"a": 2})
    ]
    expected = ["slice 0: metadata['a'] differs: 1 and 2 (and in 2 more slices)"]
    assert differences(*stacks) == expected
    for stack in stacks:
        del stack.spike_stack[1:], stack.times[1:]
    stacks[0].spike_stack[0].metadata["b"] = 3
    assert differences(*stacks) == [
        "slice 0: metadata['a'] differs: 1 and 2",
        "slice 0: metadata['b'] differs: 3 and nothing",
    ]


def test_objects_of_two_classes():
    """A difference, not an error; anything else is a TypeError."""
    rates = RateData([[1.0]], [0.0])
    assert differences(SpikeData([[]]), rates) == ["a SpikeData and a RateData"]
    assert SpikeData([[]]) != rates
    assert SpikeData([[]]) != 3
    with pytest.raises(TypeError, match="Expected a spikelab data object"):
        differences(rates, 3)


@pytest.mark.parametrize("make", SIBLINGS.values(), ids=SIBLINGS)
def test_equal_objects_are_equal_and_have_no_hash(make):
    """Made twice, copied, or pickled."""
    obj = make()
    for same in (
        make(),
        copy.copy(obj),
        copy.deepcopy(obj),
        pickle.loads(pickle.dumps(obj)),
    ):
        assert obj == same
        assert differences(obj, same) == []
    with pytest.raises(TypeError, match="unhashable"):
        hash(obj)


@given(ANY_OBJECT)
def test_any_object_equals_its_copy(obj):
    """Whatever attributes and metadata hold."""
    assert differences(obj, copy.deepcopy(obj)) == []
    assert pickle.loads(pickle.dumps(obj)) == obj
