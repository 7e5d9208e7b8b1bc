"""Values in the groups of an HDF5 file, and in the JSON beside them."""

import json
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from siblings import ANY_OBJECT, DICTIONARIES, assert_same_object, recording

from spikelab import AnalysisWorkspace, SpikeData
from spikelab.errors import FormatError
from spikelab.formats.hdf5.values import identical


def saved(value, folder):
    """The file of a workspace that holds a value."""
    workspace = AnalysisWorkspace()
    workspace.store("n", "layout", value)
    return workspace.save(Path(folder) / "w.h5", verify=True)


def there_and_back(value):
    """Save a value and load it."""
    with tempfile.TemporaryDirectory() as folder:
        return AnalysisWorkspace.load_item(saved(value, folder), "n", "layout")


def exact_of(file):
    """What the group of the value does not say, as JSON."""
    return json.loads(file["__exact__/index"][()])["items"][0][5]


@given(obj=ANY_OBJECT)
@settings(max_examples=50)
def test_any_object_comes_back(obj):
    """Of any of the six classes."""
    assert_same_object(there_and_back(obj), obj)


@given(value=DICTIONARIES)
@settings(max_examples=50)
def test_any_dictionary_comes_back(value):
    """With anything in it, and its keys in their order."""
    assert identical(there_and_back(value), value)


@pytest.mark.parametrize(
    "dtype",
    [
        *("<f8", ">i4", "<c8", "?", "<U3", "S2", "<M8[s]", "<f2"),
        [("sample", "<i8"), ("ok", "?"), ("xy", ">f4", (2,))],
        [("in", [("a", "u1"), ("b", "<c8")])],
        np.dtype([("a", "u1"), ("b", "f8")], align=True),
        [(("title", "a"), "f8")],
        [("label", "S2"), ("when", "M8[s]")],
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (40, 50)])
def test_arrays_come_back(dtype, shape):
    """Of any dtype and shape, single numbers included."""
    array = np.zeros(shape, dtype)
    data = array.reshape(-1).view(np.uint8) if array.dtype.names else array.reshape(-1)
    data[:] = np.arange(data.size) % 2 if array.dtype.names else np.arange(data.size)
    assert identical(there_and_back(array), array)
    assert identical(there_and_back({"part": array})["part"], array)


@pytest.mark.parametrize(
    "dtype", ["S3", [("sample", "<i8"), ("value", "<f4")]], ids=str
)
def test_fields_and_bytes_lie_in_the_layout(dtype, tmp_path):
    """For h5py and the published package to see, and in the file once."""
    array = np.array([(3, 1.5) if isinstance(dtype, list) else b"a\0b"] * 200, dtype)
    with h5py.File(saved(array, tmp_path)) as file:
        assert identical(file["n/layout/data"][()], array)
        assert exact_of(file) is None
        assert list(file["__exact__"]) == ["index"]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 1_000_000, 1), (2, 3, 500_000), (1_500_000, 2)])
def test_large_arrays_of_any_layout_come_back(shape, order, tmp_path):
    """They are written in blocks along their slowest axis."""
    array = np.zeros(shape, order=order)
    array.reshape(-1, order="A")[:] = np.arange(array.size)
    with h5py.File(saved(array, tmp_path)) as file:
        assert exact_of(file) is None
        np.testing.assert_array_equal(file["n/layout/data"][()], array)


def test_what_the_layout_says_is_not_said_again(tmp_path):
    """JSON tells of the rest only, here of nothing but the names of the attributes."""
    attributes = [{"n": 1, "good": True, "wave": np.ones((2, 3))}, {"n": 2}]
    sd = SpikeData([[1.0], []], neuron_attributes=attributes, metadata={"a": [1, "b"]})
    columns = [["n", True, {}], ["good", True, {}], ["wave", True, {}]]
    for value, exact in (
        (sd, {"neuron_attributes": columns}),
        (SpikeData([[1.0]], metadata={"a": 1.5}), None),
        ({"a": 1, "b": {"c": "text", "d": np.arange(3)}}, None),
        ({"a": [1]}, [["a", {"value": [1]}]]),
    ):
        with h5py.File(saved(value, tmp_path)) as file:
            assert exact_of(file) == exact


def test_arrays_that_units_share_in_shape_are_stacked_once(tmp_path):
    """One dataset for all units; those of different shapes apart."""
    waveforms = np.random.default_rng(0).random((3, 40, 50))
    attributes = [{"waveform": w, "ragged": np.zeros(100 + len(w))} for w in waveforms]
    attributes[1]["ragged"] = np.zeros(7)
    del attributes[2]["waveform"]
    sd = SpikeData([[], [], []], neuron_attributes=attributes)
    path = saved(sd, tmp_path)
    with h5py.File(path) as file:
        stacked = file["n/layout/neuron_attributes/waveform"]
        assert stacked.shape == (3, 40, 50)
        assert stacked.attrs["__missing_unit_indices__"].tolist() == [2]
        assert "ragged" not in file["n/layout/neuron_attributes"]
        assert sorted(file["__exact__"]) == ["0", "1", "index"]
    assert_same_object(AnalysisWorkspace.load_item(path, "n", "layout"), sd)


def test_units_have_columns_where_one_fits(tmp_path):
    """Numbers with NaN, str with an empty one for what is missing."""
    attributes = [
        {"n": 1, "good": True, "x": 1, "name": "a", "mixed": 1, "large": 2**60},
        {"n": None, "good": False, "x": 2.5, "mixed": "b", "large": 2},
    ]
    path = saved(SpikeData([[], []], neuron_attributes=attributes), tmp_path)
    with h5py.File(path) as file:
        table = file["n/layout/neuron_attributes"]
        assert sorted(table) == ["good", "n", "name", "x"]
        np.testing.assert_array_equal(table["n"][()], [1.0, np.nan])
        assert table["n"].attrs["__scalar_kind__"] == "int"
        assert table["good"].attrs["__scalar_kind__"] == "bool"
        assert "__scalar_kind__" not in table["x"].attrs
        assert table["name"].asstr()[()].tolist() == ["a", ""]


def test_the_attributes_of_units_come_back_in_their_order():
    """That of their first appearance; keys may be anything that a dictionary takes."""
    attributes = [{"b": 1, "a": 2}, {"b": 3, "a": 1, "c": 2}, {}, {3: "x"}]
    sd = SpikeData([[]] * 4, neuron_attributes=attributes)
    found = there_and_back(sd).neuron_attributes
    assert [list(row.items()) for row in found] == [
        list(row.items()) for row in attributes
    ]


@pytest.mark.parametrize("column", [None, np.zeros((1, 2, 3))], ids=["gone", "short"])
def test_a_column_that_is_cut_short_is_a_format_error(column, tmp_path):
    """As is one that is not there."""
    path = saved(recording(), tmp_path)
    with h5py.File(path, "r+") as file:
        del file["n/layout/neuron_attributes/waveform"]
        if column is not None:
            file["n/layout/neuron_attributes/waveform"] = column
    with pytest.raises(FormatError, match="waveform"):
        AnalysisWorkspace.load(path)
