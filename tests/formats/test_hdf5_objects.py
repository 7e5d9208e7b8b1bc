"""Values in two groups of an HDF5 file."""

import io

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from siblings import (
    ANY_OBJECT,
    DICTIONARIES,
    SIBLINGS,
    assert_same_object,
    recording,
)

from spikelab import SpikeData
from spikelab.comparison import same
from spikelab.errors import FormatError
from spikelab.formats.hdf5 import objects as hdf5_objects


def written(value, **options):
    """A file in memory that holds a value in the groups ``layout`` and ``exact``."""
    plan = hdf5_objects.plan(value, "value", **options)
    file = h5py.File(io.BytesIO(), "w")
    if plan.layout is not None:
        plan.layout.write(file.create_group("layout"))
    plan.write_tree(file.create_group("exact"))
    return file


def there_and_back(value):
    """Write a value and read it."""
    file = written(value)
    return hdf5_objects.read(file.get("layout"), file["exact"])


@given(obj=ANY_OBJECT)
@settings(max_examples=50)
def test_any_object_comes_back(obj):
    """Of any of the six classes."""
    assert_same_object(there_and_back(obj), obj)


@given(value=DICTIONARIES)
@settings(max_examples=50)
def test_any_dictionary_comes_back(value):
    """With anything in it, and its keys in their order."""
    assert same(there_and_back(value), value)


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
    found = there_and_back(array)
    assert same(found, array)
    assert same(there_and_back({"part": array})["part"], array)


@pytest.mark.parametrize(
    "dtype", ["S3", [("sample", "<i8"), ("value", "<f4")]], ids=str
)
def test_fields_and_bytes_lie_in_the_layout(dtype):
    """For h5py and the published package to see, and in the file once."""
    array = np.array([(3, 1.5) if isinstance(dtype, list) else b"a\0b"] * 200, dtype)
    file = written(array)
    assert same(file["layout/data"][()], array)
    assert sorted(file["exact"]) == ["value"]


def test_arrays_that_units_share_in_shape_are_stacked_once():
    """One dataset for all units; those of different shapes apart."""
    waveforms = np.random.default_rng(0).random((3, 40, 50))
    attributes = [{"waveform": w, "ragged": np.zeros(100 + len(w))} for w in waveforms]
    attributes[1]["ragged"] = np.zeros(7)
    del attributes[2]["waveform"]
    sd = SpikeData([[], [], []], neuron_attributes=attributes)
    file = written(sd)
    stacked = file["layout/neuron_attributes/waveform"]
    assert stacked.shape == (3, 40, 50)
    assert stacked.attrs["__missing_unit_indices__"].tolist() == [2]
    assert "ragged" not in file["layout/neuron_attributes"]
    assert sorted(file["exact"]) == ["0", "1", "value"]
    assert_same_object(hdf5_objects.read(file["layout"], file["exact"]), sd)


def test_an_array_that_is_there_twice_is_stored_once():
    """And comes back twice."""
    array = np.arange(1000.0)
    file = written({"first": array})
    assert len(file["exact"]) == 1
    found = there_and_back({"first": array, "list": [array]})
    assert same(found, {"first": array, "list": [array]})


def test_units_have_columns_where_one_fits():
    """Numbers with NaN, text with an empty string for what is missing."""
    attributes = [
        {"n": 1, "good": True, "x": 1, "name": "a", "mixed": 1, "large": 2**60},
        {"n": None, "good": False, "x": 2.5, "mixed": "b", "large": 2},
    ]
    file = written(SpikeData([[], []], neuron_attributes=attributes))
    table = file["layout/neuron_attributes"]
    assert sorted(table) == ["good", "n", "name", "x"]
    np.testing.assert_array_equal(table["n"][()], [1.0, np.nan])
    assert table["n"].attrs["__scalar_kind__"] == "int"
    assert table["good"].attrs["__scalar_kind__"] == "bool"
    assert "__scalar_kind__" not in table["x"].attrs
    assert table["name"].asstr()[()].tolist() == ["a", ""]


def test_names_of_datasets_can_be_chosen():
    """And the tree knows them."""
    rates = SIBLINGS["rates"]()
    file = written(rates, names={"inst_Frate_data": "rates"})
    assert "rates" in file["layout"]
    contents = hdf5_objects.read_contents(file["layout"], file["exact"])
    assert contents.kind == "RateData"
    assert same(contents.arguments["inst_Frate_data"], rates.inst_Frate_data)


def test_a_value_that_is_no_data_object_has_no_contents():
    """Nor has a tree that names an unknown class."""
    file = written({"a": 1})
    with pytest.raises(FormatError, match="does not hold a data object"):
        hdf5_objects.read_contents(file["layout"], file["exact"])
    for tree, message in (
        ({"$object": ["Secret", {}]}, "unknown kind"),
        ({"$object": ["RateData", []]}, "does not hold the parts"),
    ):
        del file["exact/value"]
        hdf5_objects.write_json(file["exact"], "value", tree)
        with pytest.raises(FormatError, match=message):
            hdf5_objects.read_contents(file["layout"], file["exact"])


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_a_format_error(text):
    """However it is broken."""
    file = written({"a": 1})
    del file["exact/value"]
    file["exact/value"] = np.bytes_(text)
    with pytest.raises(FormatError, match="is not JSON"):
        hdf5_objects.read(file["layout"], file["exact"])


def test_a_layout_that_is_gone_is_a_format_error():
    """The tree points to its arrays."""
    file = written(recording())
    with pytest.raises(FormatError, match="which is not there"):
        hdf5_objects.read(None, file["exact"])


def test_a_row_that_is_not_there_is_a_format_error():
    """As is a column cut short."""
    file = written(recording())
    del file["layout/neuron_attributes/waveform"]
    file["layout/neuron_attributes/waveform"] = np.zeros((1, 2, 3))
    with pytest.raises(FormatError):
        hdf5_objects.read(file["layout"], file["exact"])
