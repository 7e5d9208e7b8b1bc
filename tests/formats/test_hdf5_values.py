"""Values as JSON and arrays, and back."""

import datetime
import enum
import json
import math
import tempfile
import zoneinfo
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siblings import VALUES, assert_same_object, recording

from spikelab import AnalysisWorkspace
from spikelab.errors import FormatError
from spikelab.formats.hdf5.values import identical
from spikelab.spikedata.ratedata import RateData


def saved(value, folder):
    """The file of a workspace that holds a value in a dictionary."""
    workspace = AnalysisWorkspace()
    workspace.store("n", "k", {"value": value})
    return workspace.save(Path(folder) / "w.h5")


def there_and_back(value):
    """Save a value and load it."""
    with tempfile.TemporaryDirectory() as folder:
        return AnalysisWorkspace.load_item(saved(value, folder), "n", "k")["value"]


def same(first, second):
    """Whether two values are equal in type, dtype, order, and every part."""
    return identical(first, second)


@given(VALUES)
def test_any_value_comes_back(value):
    """Types, dtypes, shapes, order of keys, NaN and all."""
    assert same(there_and_back(value), value)


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        5e-324,
        10**300,
        1 + 2j,
        complex(math.nan, -math.inf),
        "\ud800 lone, \0 and \N{RAT}",
        b"\0\xff",
        (1, (2, [3, (4,)])),
        {1: "one", "1": "text", (2, "b"): None, None: 0},
        {"$tuple": [1]},
        {"a": {"$x": 1, "b": 2}},
        {1, "a", (2,)},
        frozenset({b"x"}),
        datetime.datetime(2024, 2, 29, 12, 0, 0, 1),
        datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
        datetime.datetime(2024, 2, 29).astimezone(),
        datetime.date(1815, 12, 10),
        datetime.timedelta(-1, 3, 7),
        np.float32(0.1),
        np.longdouble("0.1"),
        np.int8(-3),
        np.bool_(True),
        np.str_(""),
        np.datetime64("2024-02-29T12", "ms"),
        np.timedelta64(3, "D"),
    ],
    ids=repr,
)
def test_values_come_back(value):
    """Each with its type."""
    assert same(there_and_back(value), value)
    assert same(there_and_back([value]), [value])


@pytest.mark.parametrize(
    "array",
    [
        np.arange(1000, dtype=">i2").reshape(10, 100),
        np.arange(1000.0).reshape(10, 100)[:, ::3].T,
        np.array(5),
        np.zeros((0, 3), dtype=np.float32),
        np.zeros(400, dtype=bool),
        np.linspace(0, 1, 300).astype(np.longdouble),
        np.array(["a", "\N{GREEK SMALL LETTER MU}m", ""] * 200),
        np.array([b"a\0b", b""]),
        np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
        np.array([(1, 2.5)] * 100, dtype=[("unit", "<i4"), ("time", "<f8")]),
        np.array([((1, 2), 3)], dtype=[("xy", "<i4", (2,)), ("q", "<u1")]),
        np.array([1, "a", None, (2,)], dtype=object),
        np.array([np.arange(2), np.arange(3)], dtype=object),
        np.array([], dtype=object).reshape(0, 2),
        np.array([math.nan, -0.0, math.inf] * 100, dtype=np.float16),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back(array):
    """Every dtype that holds values, and objects that hold what can be stored."""
    assert same(there_and_back(array), array)


def test_bytes_that_h5py_has_read_come_back():
    """It notes in the dtype how the file encodes them."""
    array = np.array([b"ab", b"c"], dtype=np.dtype("S2", metadata=ENCODING))
    assert same(there_and_back(array), array)


ENCODING = {"h5py_encoding": "ascii"}


class _Listed(list):
    pass


class _Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    "value",
    [
        object(),
        len,
        _Listed(),
        _Level.LOW,
        Path("x"),
        bytearray(b"x"),
        range(3),
        np.ma.masked_array([1, 2], [True, False]),
        np.array([len], dtype=object),
        np.zeros(2, dtype=[("a", object)]),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
        datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        type("RateData", (RateData,), {})(np.eye(2), [0, 1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused_by_name(value, tmp_path):
    """Nothing is turned into something else; the error says where it is."""
    with pytest.raises(TypeError, match=r"'k'\['value'\]\['a'\]\[1\] must"):
        saved({"a": [0, value]}, tmp_path)
    with pytest.raises(TypeError, match=r"'k'\['value'\](\['a'\])? must"):
        saved(value, tmp_path)


def test_data_objects_come_back_inside_other_values():
    """A recording in a tuple in a dictionary."""
    found = there_and_back({"pair": (recording(), 1)})
    assert_same_object(found["pair"][0], recording())


@pytest.mark.parametrize(
    "tree",
    [
        {"$unknown": 1},
        {"$tuple": 3},
        {"$set": [[1]]},
        {"$dict": [1]},
        {"$bytes": 7},
        {"$float": "x"},
        {"$datetime": "yesterday"},
        {"$array": "missing"},
        {"$array": ["a", "<f8", [7]]},
        {"$npy": "AAAA"},
        {"$object": ["os", {}]},
        {"$object": ["RateData", "a", {}]},
    ],
    ids=str,
)
def test_broken_trees_are_format_errors(tree, tmp_path):
    """Nothing is built of them."""
    path = saved([1], tmp_path)
    with h5py.File(path, "r+") as file:
        index = json.loads(file["__exact__/index"][()])
        assert index["items"][0][5] == [["value", {"value": [1]}]]
        index["items"][0][5] = [["value", {"value": tree}]]
        del file["__exact__/index"]
        file["__exact__/index"] = np.bytes_(json.dumps(index).encode())
    with pytest.raises(FormatError):
        AnalysisWorkspace.load(path)


def test_deep_trees_are_format_errors(tmp_path):
    """Instead of a crash."""
    path = saved([1], tmp_path)
    with h5py.File(path, "r+") as file:
        del file["__exact__/index"]
        file["__exact__/index"] = np.bytes_(b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(FormatError):
        AnalysisWorkspace.load(path)


@given(st.floats(), st.floats())
def test_no_float_changes(real, imaginary):
    """The decimals of JSON are those of repr."""
    assert same(there_and_back(real), real)
    assert same(there_and_back(complex(real, imaginary)), complex(real, imaginary))
