"""Attributes of units become columns and attributes again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from siblings import VALUES as VALUES_OF_ANY_KIND

from spikelab import SpikeData
from spikelab.formats import NWBWriter
from spikelab.formats.nwb.packing import RESERVED
from spikelab.formats.nwb.units import unit_facts
from spikelab.spikedata.differences import equal as same
from spikelab.spikedata.unit_table import MISSING, UnitTable


def columns_of(units):
    """The columns of a table of units, and what is left out."""
    return unit_facts(UnitTable(units, len(units)))


def to_attributes(columns, units):
    """Give the units what the columns hold."""
    for column in columns:
        for unit, value in zip(units, column.values(), strict=True):
            if value is not MISSING:
                unit[column.key] = value


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
def test_attributes_of_one_kind_come_back(units):
    """With their types, and missing where they were."""
    columns = columns_of(units)
    assert not columns.left_out
    assert not losses(units)
    found = [{} for _ in units]
    to_attributes(columns.columns, found)
    for wanted, got in zip(units, found, strict=True):
        assert same(dict(sorted(wanted.items())), dict(sorted(got.items())))


@given(
    keys=st.lists(TEXT | st.sampled_from(sorted(RESERVED)), unique=True, max_size=20)
)
def test_names_are_unique_and_safe(keys):
    """Whatever the keys are."""
    names = [column.name for column in columns_of([dict.fromkeys(keys, 1)]).columns]
    assert len(set(names)) == len(keys)
    for name in names:
        assert name not in RESERVED
        assert name.isidentifier()
        assert not name.endswith("_index")


def test_a_missing_value_that_looks_like_another_is_said():
    """NaN for nothing cannot be told from NaN for a measured NaN."""
    units = [{"a": np.nan, "b": "x"}, {"a": 1.0}, {"b": None}]
    columns = columns_of(units)
    assert losses(units) == [
        f"which units lack neuron_attributes[{key!r}] (NaN or empty in the file)"
        for key in "ab"
    ]
    found = [{}, {}, {}]
    to_attributes(columns.columns, found)
    assert found[2]["b"] == ""


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
def test_integers_come_back_as_the_same_integers(numbers, shape, gap):
    """Of whatever types they are; else the key is left out."""
    units = [{"n": shape(row)} for row in numbers] + [{}] * gap
    columns = columns_of(units)
    if columns.left_out:
        flat = [
            abs(n) for unit in units[: len(numbers)] for n in integers_in(unit["n"])
        ]
        assert max(flat) > 2**53
        return
    found = columns.columns[0].values()[: len(numbers)]
    for unit, got in zip(units, found, strict=False):
        assert all(isinstance(n, int) for n in integers_in(got))
        assert integers_in(got) == integers_in(unit["n"])


def test_integers_that_no_type_holds_are_left_out():
    """Floats would round them."""
    columns = columns_of([{"n": 2**64 - 1, "m": [1]}, {"n": -1, "m": [2**60, 0.5]}])
    assert columns.left_out == {
        "n": "its integers do not fit in 64 bits together",
        "m": "its integers do not fit beside NaN or fractions",
    }


@pytest.mark.parametrize("present", [["a", "b"], [True, False]], ids=str)
@pytest.mark.parametrize("nan", [np.nan, np.float32("nan"), np.array(np.nan)], ids=repr)
def test_nan_among_texts_or_truth_values_is_a_missing_value(present, nan):
    """As pandas says that there is none; it comes back."""
    columns = columns_of([{"a": v} for v in (present[0], nan, present[1])])
    assert not columns.left_out
    assert same(columns.columns[0].values(), [present[0], float("nan"), present[1]])


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
def test_any_values_are_stored_or_named(units):
    """Nothing is dropped without a word, and what is stored is as long as the units."""
    columns = columns_of(units)
    keys = {key for unit in units for key in unit}
    assert {c.key for c in columns.columns} | set(columns.left_out) == keys
    for column in columns.columns:
        assert len(column.values()) == len(units)
