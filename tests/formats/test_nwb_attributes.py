"""Attributes of units become columns of a file and attributes again."""

import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from siblings import VALUES as VALUES_OF_ANY_KIND

from spikelab import SpikeData, load
from spikelab.errors import FormatError
from spikelab.formats import NWBWriter
from spikelab.spikedata.differences import equal as same

RANDOM = settings(max_examples=40)

SPECIAL = (
    *("id", "spike_times", "electrodes", "obs_intervals", "x_index", "waveform_mean"),
    *("description", "colnames", "columns", "name", "rate", "items", "get", "copy"),
)
"""Names of columns that mean something else to a reader."""


def read_back(units, folder):
    """What one unit per dictionary is known by after an export, beside its number."""
    sd = SpikeData([[]] * len(units), length=1.0, neuron_attributes=units)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sd.to_nwb(folder / "a.nwb", verify=True)
    found = load(folder / "a.nwb").neuron_attributes or []
    return [{k: v for k, v in unit.items() if k != "unit_id"} for unit in found]


def losses(units):
    """What an export of units with these attributes would lose, in words."""
    sd = SpikeData([[]] * len(units), length=1.0, neuron_attributes=units)
    return NWBWriter().losses(sd)


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
)
NUMBERS = st.floats(allow_nan=False)
INTEGERS = st.integers(-(2**53), 2**53)

VALUES = st.sampled_from([st.booleans(), INTEGERS, NUMBERS, TEXT.filter(bool)])
"""One kind of value; without those that a missing one looks like."""

KINDS = st.one_of(
    VALUES, VALUES.map(lambda value: st.lists(value, min_size=1, max_size=3))
)


@st.composite
def attributes(draw):
    """A few units with a few attributes, each of one kind, missing here and there."""
    n_units = draw(st.integers(1, 5))
    units = [{} for _ in range(n_units)]
    for key in draw(st.lists(TEXT, unique=True, max_size=4)):
        values = draw(st.lists(draw(KINDS), min_size=n_units, max_size=n_units))
        gap = draw(st.sampled_from(["absent", None]))
        gaps = draw(st.lists(st.booleans(), min_size=n_units, max_size=n_units))
        gaps[0] = False
        for unit, value, missing in zip(units, values, gaps, strict=True):
            if not missing:
                unit[key] = value
            elif gap is None:
                unit[key] = None
    return units


@given(units=attributes())
@RANDOM
def test_attributes_of_one_kind_come_back(units, tmp_path):
    """With their types, and missing where they were."""
    assert not losses(units)
    assert same(read_back(units, tmp_path), units)


NO_ELECTRODE = TEXT.filter(lambda key: key != "ch")
"""Keys that add no column of electrodes."""


@given(keys=st.lists(NO_ELECTRODE | st.sampled_from(SPECIAL), unique=True, max_size=20))
@RANDOM
def test_names_are_unique_and_safe(keys, tmp_path):
    """Whatever the keys are."""
    read_back([dict.fromkeys(keys, 1)], tmp_path)
    with h5py.File(tmp_path / "a.nwb") as file:
        names = list(file["units"].attrs["colnames"])
    assert names[:2] == ["spike_times", "obs_intervals"]
    assert len(set(names)) == 2 + len(keys)
    for name in names[2:]:
        assert name not in SPECIAL
        assert name.isidentifier()
        assert not name.endswith("_index")


def test_a_missing_value_that_looks_like_another_is_said(tmp_path):
    """NaN for nothing cannot be told from NaN for a measured NaN."""
    units = [{"a": np.nan, "b": "x"}, {"a": 1.0}, {"b": None}]
    assert losses(units) == [
        f"which units lack neuron_attributes[{key!r}] (NaN or empty in the file)"
        for key in "ab"
    ]
    assert read_back(units, tmp_path)[2]["b"] == ""


def test_missing_values_of_two_kinds_are_nan_among_integers(tmp_path):
    """One column cannot tell None from nothing; no other number takes their place."""
    units = [{"n": 1, "ok": True}, {"n": None, "ok": None}, {}]
    found = read_back(units, tmp_path)
    assert same(found, [{"n": 1, "ok": 1.0}] + [{"n": np.nan, "ok": np.nan}] * 2)
    assert len(losses(units)) == 2


WIDE = st.integers(-(2**63) - 1, 2**64) | st.integers(-1, 1)
AS_NUMPY = {
    "python": int,
    "signed": lambda n: np.int64(n) if -(2**63) <= n < 2**63 else n,
    "unsigned": lambda n: np.uint64(n) if 0 <= n < 2**64 else n,
}
SHAPES = {
    "scalars": lambda numbers: numbers[0],
    "lists": list,
    "arrays": lambda numbers: np.array(numbers[:1]),
    "lists of arrays": lambda numbers: [np.array([n]) for n in numbers],
}


def integers_in(value):
    """All numbers in a value, as Python has them."""
    if isinstance(value, list | np.ndarray):
        return [n for item in value for n in integers_in(item)]
    return [value.item() if isinstance(value, np.generic) else value]


@given(
    numbers=st.lists(
        st.lists(
            st.builds(lambda n, t: t(n), WIDE, st.sampled_from([*AS_NUMPY.values()])),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
        max_size=4,
    ),
    shape=st.sampled_from([*SHAPES.values()]),
    gap=st.booleans(),
)
@RANDOM
def test_integers_come_back_as_the_same_integers(numbers, shape, gap, tmp_path):
    """None is rounded, of whatever types they are; else the key is left out."""
    units = [{"n": shape(row)} for row in numbers]
    found = read_back(units + [{}] * gap, tmp_path)
    if not any(found):
        flat = [abs(n) for unit in units for n in integers_in(unit["n"])]
        assert max(flat) > 2**53
        return
    for unit, got in zip(units, found, strict=False):
        assert integers_in(got["n"]) == integers_in(unit["n"])


def test_integers_that_no_type_holds_are_left_out():
    """Floats would round them."""
    units = [{"n": 2**64 - 1, "m": [1]}, {"n": -1, "m": [2**60 + 1, 0.5]}]
    assert losses(units) == [
        f"neuron_attributes[{key!r}] (its large integers do not fit beside other numbers)"
        for key in "nm"
    ]


@pytest.mark.parametrize("present", [["a", "b"], [True, False]], ids=str)
@pytest.mark.parametrize("nan", [np.nan, np.float32("nan"), np.array(np.nan)], ids=repr)
def test_nan_among_texts_or_truth_values_is_a_missing_value(present, nan, tmp_path):
    """As pandas says that there is none; it comes back."""
    values = [present[0], nan, present[1]]
    found = read_back([{"a": value} for value in values], tmp_path)
    assert same([u["a"] for u in found], [present[0], float("nan"), present[1]])


@pytest.mark.parametrize(
    "values", [["", np.nan], ["a", np.nan, None], [True, np.nan, 0]]
)
def test_nan_that_cannot_be_told_apart_is_said(values):
    """From an empty text, or from None; and among numbers it is a number."""
    (lost,) = losses([{"a": value} for value in values])
    assert "neuron_attributes['a']" in lost


@given(
    units=st.lists(st.dictionaries(st.text(max_size=3), VALUES_OF_ANY_KIND), max_size=4)
)
@RANDOM
def test_any_values_are_stored_or_named(units, tmp_path):
    """Nothing is dropped without a word."""
    found = {key for unit in read_back(units, tmp_path) for key in unit}
    lost = losses(units)
    for key in {key for unit in units for key in unit} - found:
        assert any(f"neuron_attributes[{key!r}]" in line for line in lost)


@pytest.mark.parametrize(
    ("note", "value"),
    [("value_dtype", "integer"), ("missing", "maybe"), ("missing", 3)],
)
def test_notes_that_were_damaged_are_an_error_of_the_file(note, value, tmp_path):
    """Not of Python."""
    path = SpikeData([[], []], length=1.0, neuron_attributes=[{"n": 1}, {}]).to_nwb(
        tmp_path / "a.nwb"
    )
    with h5py.File(path, "r+") as file:
        file["units/n"].attrs[note] = value
    with pytest.raises(FormatError, match="damaged or not as expected"):
        load(path)
