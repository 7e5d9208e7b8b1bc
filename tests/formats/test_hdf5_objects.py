"""Values in the groups of an HDF5 file, and in the JSON beside them."""

import io
import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from siblings import ANY_OBJECT, DICTIONARIES, assert_same_object, recording

from spikelab import SpikeData
from spikelab.errors import FormatError
from spikelab.formats.hdf5.object_reader import ObjectReader
from spikelab.formats.hdf5.object_writer import ObjectWriter
from spikelab.formats.hdf5.values import check_storable, identical


def written(value):
    """A file in memory with the groups ``layout`` and ``apart``, and the JSON."""
    check_storable(value, "value")
    file = h5py.File(io.BytesIO(), "w")
    writer = ObjectWriter(file.create_group("apart"))
    exact = writer.write(file, "layout", value, "value")
    return file, json.loads(json.dumps(exact, allow_nan=False))


def read(file, exact):
    """What the file and the JSON hold."""
    return ObjectReader(file["apart"]).read(file.get("layout"), exact)


def there_and_back(value):
    """Write a value and read it."""
    return read(*written(value))


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
def test_fields_and_bytes_lie_in_the_layout(dtype):
    """For h5py and the published package to see, and in the file once."""
    array = np.array([(3, 1.5) if isinstance(dtype, list) else b"a\0b"] * 200, dtype)
    file, exact = written(array)
    assert identical(file["layout/data"][()], array)
    assert exact is None
    assert not list(file["apart"])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3, 1_000_000, 1), (2, 3, 500_000), (1_500_000, 2)])
def test_large_arrays_of_any_layout_come_back(shape, order):
    """They are written in blocks along their slowest axis."""
    array = np.zeros(shape, order=order)
    array.reshape(-1, order="A")[:] = np.arange(array.size)
    file, exact = written(array)
    assert exact is None
    np.testing.assert_array_equal(file["layout/data"][()], array)


def test_what_the_layout_says_is_not_said_again():
    """JSON tells of the rest only, here of nothing but the order of the attributes."""
    attributes = [{"n": 1, "good": True, "wave": np.ones((2, 3))}, {"n": 2}]
    sd = SpikeData([[1.0], []], neuron_attributes=attributes, metadata={"a": [1, "b"]})
    _, exact = written(sd)
    columns = [["n", True, {}], ["good", True, {}], ["wave", True, {}]]
    assert exact == {"neuron_attributes": {"columns": columns, "orders": {}}}
    assert written(SpikeData([[1.0]], metadata={"a": 1.5}))[1] is None
    assert written({"a": 1, "b": {"c": "text", "d": np.arange(3)}})[1] is None
    assert written({"a": [1]})[1] == [["a", {"value": [1]}]]


def test_arrays_that_units_share_in_shape_are_stacked_once():
    """One dataset for all units; those of different shapes apart."""
    waveforms = np.random.default_rng(0).random((3, 40, 50))
    attributes = [{"waveform": w, "ragged": np.zeros(100 + len(w))} for w in waveforms]
    attributes[1]["ragged"] = np.zeros(7)
    del attributes[2]["waveform"]
    sd = SpikeData([[], [], []], neuron_attributes=attributes)
    file, exact = written(sd)
    stacked = file["layout/neuron_attributes/waveform"]
    assert stacked.shape == (3, 40, 50)
    assert stacked.attrs["__missing_unit_indices__"].tolist() == [2]
    assert "ragged" not in file["layout/neuron_attributes"]
    assert sorted(file["apart"]) == ["0", "1"]
    assert_same_object(read(file, exact), sd)


def test_units_have_columns_where_one_fits():
    """Numbers with NaN, str with an empty one for what is missing."""
    attributes = [
        {"n": 1, "good": True, "x": 1, "name": "a", "mixed": 1, "large": 2**60},
        {"n": None, "good": False, "x": 2.5, "mixed": "b", "large": 2},
    ]
    file, _ = written(SpikeData([[], []], neuron_attributes=attributes))
    table = file["layout/neuron_attributes"]
    assert sorted(table) == ["good", "n", "name", "x"]
    np.testing.assert_array_equal(table["n"][()], [1.0, np.nan])
    assert table["n"].attrs["__scalar_kind__"] == "int"
    assert table["good"].attrs["__scalar_kind__"] == "bool"
    assert "__scalar_kind__" not in table["x"].attrs
    assert table["name"].asstr()[()].tolist() == ["a", ""]


def test_each_unit_keeps_the_order_of_its_attributes():
    """Also where two units have them in another order."""
    attributes = [{"b": 1, "a": 2}, {"a": 1, "c": 2, "b": 3}, {}, {3: "x"}]
    sd = SpikeData([[]] * 4, neuron_attributes=attributes)
    found = there_and_back(sd).neuron_attributes
    assert [list(row.items()) for row in found] == [
        list(row.items()) for row in attributes
    ]


def test_a_layout_that_is_gone_is_a_format_error():
    """It holds the arrays."""
    file, exact = written(recording())
    with pytest.raises(FormatError, match="no known __type__"):
        ObjectReader(file["apart"]).read(None, exact)


def test_a_column_that_is_cut_short_is_a_format_error():
    """As is one that is not there."""
    file, exact = written(recording())
    del file["layout/neuron_attributes/waveform"]
    with pytest.raises(FormatError, match="waveform"):
        read(file, exact)
    file["layout/neuron_attributes/waveform"] = np.zeros((1, 2, 3))
    with pytest.raises(FormatError, match="waveform"):
        read(file, exact)
