"""What is known about units: read, set, and checked."""

import numpy as np
import pytest

from spikelab.spikedata import attributes

UNITS = [
    {"area": "CA1", "depth": 10, "ids": [1, 2]},
    {"area": "CA3", "depth": 20, "ids": np.array([3, 4])},
    {"area": "CA1"},
]


def select(units, *, by=None, preserve_order=False, known=UNITS):
    """Choose among three units."""
    return attributes.select_units(
        units, 3, known, by=by, preserve_order=preserve_order
    )


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (1, [1]),
        (np.int32(1), [1]),
        (np.array(1), [1]),
        ([2, 0, 2], [0, 2]),
        (np.array([2, 1]), [1, 2]),
        ((unit for unit in (2, 1)), [1, 2]),
        (range(3), [0, 1, 2]),
        ([], []),
        (np.empty(0), []),
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
    ],
)
def test_units_by_index(units, expected):
    """Units are chosen once each, in their order; a mask is a mask."""
    assert select(units) == expected


def test_units_in_the_order_asked_for():
    """Repeated ones still come once."""
    assert select([2, 0, 2], preserve_order=True) == [2, 0]


@pytest.mark.parametrize(
    ("units", "error", "message"),
    [
        (3, ValueError, r"units must lie in 0\.\.2, got 3"),
        (-1, ValueError, r"units must lie in 0\.\.2, got -1"),
        ([True], ValueError, "units must have 3 entries as a mask, got 1"),
        (1.0, TypeError, r"integers or a mask, got 1\.0"),
        ([0.5], TypeError, r"integers or a mask, got 0\.5"),
        ("a", TypeError, "integers or a mask, got 'a'"),
        (None, TypeError, "integers or a mask, got None"),
        (True, TypeError, "integers or a mask, got True"),
        (np.array(0.5), TypeError, "integers or a mask"),
    ],
)
def test_units_that_are_refused(units, error, message):
    """The error names the rule and the value."""
    with pytest.raises(error, match=message):
        select(units)


def test_no_units_to_choose_from():
    """The error does not speak of an empty range."""
    with pytest.raises(ValueError, match="there are none, got 0"):
        attributes.select_units(0, 0, None, by=None, preserve_order=False)


@pytest.mark.parametrize(
    ("wanted", "by", "expected"),
    [
        ("CA1", "area", [0, 2]),
        (["CA3", "CA1"], "area", [0, 1, 2]),
        (20, "depth", [1]),
        ([[1, 2]], "ids", [0]),
        ([[3, 4]], "ids", [1]),
        ("CA2", "area", []),
    ],
)
def test_units_by_attribute(wanted, by, expected):
    """Units that lack the attribute are not chosen."""
    assert select(wanted, by=by) == expected


def test_units_by_attribute_warn():
    """An attribute that no unit has, and an order that has no meaning."""
    with pytest.warns(UserWarning, match="no unit has the attribute 'layer'"):
        assert select(1, by="layer") == []
    with pytest.warns(UserWarning, match="preserve_order=True has no effect"):
        assert select(["CA3", "CA1"], by="area", preserve_order=True) == [0, 1, 2]


def test_units_by_attribute_without_any():
    """There is nothing to look in."""
    with pytest.raises(ValueError, match="by='area' needs neuron_attributes"):
        select("CA1", by="area", known=None)


@pytest.mark.parametrize(
    ("slices", "expected"),
    [(1, [1]), (-1, [2]), ([2, 0, -1], [0, 2]), ([True, False, False], [0])],
)
def test_slices(slices, expected):
    """Slices are chosen once each, ascending; negative ones count from the end."""
    assert attributes.select_slices(slices, 3) == expected


@pytest.mark.parametrize("slices", [3, -4, []])
def test_slices_that_are_refused(slices):
    """The error names what there is."""
    with pytest.raises(ValueError, match="slices must"):
        attributes.select_slices(slices, 3)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([{"electrode": 1}, {"channel": 2}], [1, 2]),
        ([{"ch": "a"}], ["a"]),
        ([{"electrode": None, "channel": 3}], [3]),
        ([{"electrode": None}, {"electrode": 2}], None),
        ([{"electrode_id": 1}], None),
        ([], None),
        (None, None),
    ],
)
def test_electrodes(known, expected):
    """None if that of any unit is unknown."""
    found = attributes.electrodes(known)
    assert (found if found is None else found.tolist()) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([{"location": [1, 2], "x": 9, "y": 9}], [[1, 2]]),
        ([{"location": None, "x": 1, "y": 2}], [[1, 2]]),
        ([{"x": 1, "y": 2, "z": 3, "position": [0, 0, 0]}], [[1, 2, 3]]),
        ([{"position": (1.5, 2)}, {"location": np.array([3, 4])}], [[1.5, 2], [3, 4]]),
        ([{"x": 1}], None),
        ([{"location": [1, 2]}, {}], None),
        ([], None),
        (None, None),
    ],
)
def test_locations(known, expected):
    """Location comes before x and y, and those before position."""
    found = attributes.locations(known)
    assert (found if found is None else found.tolist()) == expected


def test_locations_of_mixed_dimensions():
    """Two coordinates for one unit and three for another make no array."""
    known = [{"location": [1, 2]}, {"location": [1, 2, 3]}]
    with pytest.raises(ValueError, match=r"same number of coordinates .* \[2, 3\]"):
        attributes.locations(known)
