"""What is known about units: read, set, and checked."""

import numpy as np
import pytest

from spikelab import SpikeData
from spikelab.spikedata.unit_table import UnitTable

UNITS = [
    {"area": "CA1", "depth": 10, "ids": [1, 2]},
    {"area": "CA3", "depth": 20, "ids": np.array([3, 4])},
    {"area": "CA1"},
]

SLICES = SpikeData([[]], length=3.0).frames(1.0)


def select(units, *, by=None, preserve_order=False, known=UNITS):
    """Choose among three units, each of which fires at its number."""
    sd = SpikeData([[0.0], [1.0], [2.0]], neuron_attributes=known)
    chosen = sd.subset(units, by=by, preserve_order=preserve_order)
    return [int(times[0]) for times in chosen.train]


def subslice(slices):
    """Choose among three slices, each of which begins at its number."""
    return [int(start) for start, _ in SLICES.subslice(slices).times]


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
        ([0.5], TypeError, r"integers or a mask, got \[0\.5\]"),
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
        SpikeData([]).subset(0)


@pytest.mark.parametrize(
    ("wanted", "by", "expected"),
    [
        ("CA1", "area", [0, 2]),
        (["CA3", "CA1"], "area", [0, 1, 2]),
        (20, "depth", [1]),
        ([[1, 2]], "ids", [0]),
        ([[3, 4]], "ids", [1]),
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


def test_a_value_that_no_unit_has_warns_with_those_that_there_are():
    """A label typed in another way finds nothing, and the warning says why."""
    with pytest.warns(UserWarning, match=r"among \['ca1'\], .* 'CA1', 'CA3'"):
        assert select("ca1", by="area") == []
    with pytest.warns(UserWarning, match=r"the values are 10, 20"):
        assert select([11, 12], by="depth") == []


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
    assert subslice(slices) == expected


@pytest.mark.parametrize("slices", [3, -4, []])
def test_slices_that_are_refused(slices):
    """The error names what there is."""
    with pytest.raises(ValueError, match="slices must"):
        subslice(slices)


def recording(known):
    """Silent units with these attributes."""
    return SpikeData([[]] * len(known or []), neuron_attributes=known)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([{"electrode": 1}, {"channel": 2}], [1, 2]),
        ([{"ch": "a"}], ["a"]),
        ([{"electrode": None, "channel": 3}], [3]),
        ([{"electrode": 3.0}, {"electrode": float("nan"), "ch": 4}], [3, 4]),
        ([{"electrode": [1, 2]}, {"electrode": (3,)}], [[1, 2], 3]),
        ([{"electrode": None}, {"electrode": 2}], None),
        ([{"electrode_id": 1}], None),
        ([], None),
        (None, None),
    ],
)
def test_electrodes(known, expected):
    """None if that of any unit is unknown."""
    found = recording(known).electrodes
    assert (found if found is None else found.tolist()) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([{"location": [1, 2], "x": 9, "y": 9}], [[1, 2]]),
        ([{"location": None, "x": 1, "y": 2}], [[1, 2]]),
        ([{"x": 1, "y": 2, "z": 3, "position": [0, 0, 0]}], [[1, 2, 3]]),
        ([{"position": (1.5, 2)}, {"location": np.array([3, 4])}], [[1.5, 2], [3, 4]]),
        ([{"x": 1}], [[1]]),
        ([{"location": [50.0]}, {"location": 70.0}], [[50], [70]]),
        ([{"location": "CA1", "x": 3.0, "y": 4.0}], [[3, 4]]),
        ([{"location": [1, 2]}, {}], None),
        ([], None),
        (None, None),
    ],
)
def test_locations(known, expected):
    """Location comes before x and y, and those before position."""
    found = recording(known).unit_locations
    assert (found if found is None else found.tolist()) == expected


def test_locations_of_mixed_dimensions():
    """Two coordinates for one unit and three for another make no array."""
    known = [{"location": [1, 2]}, {"location": [1, 2, 3]}]
    with pytest.raises(ValueError, match=r"same number of coordinates .* \[2, 3\]"):
        _ = recording(known).unit_locations


def test_columns_know_their_type_and_what_is_missing():
    """One answer for every format: the type of the known values, and who has none."""
    nan = float("nan")
    rows = [
        {
            "snr": 1,
            "good": True,
            "area": "CA1",
            "n": 3,
            "w": [1, 2],
            "mix": 1,
            "no": None,
        },
        {"snr": nan, "good": nan, "area": None, "n": 4, "w": np.ones(2), "mix": "a"},
        {"snr": 2.5, "good": False, "area": nan, "n": 5, "w": (1,), "mix": 2.0},
    ]
    table = UnitTable(rows, 3)
    assert {key: column.kind for key, column in table.columns.items()} == {
        "snr": "float",
        "good": "bool",
        "area": "str",
        "n": "int",
        "w": "array",
        "mix": "object",
        "no": "empty",
    }
    assert {key: list(column.known) for key, column in table.columns.items()} == {
        "snr": [0, 1, 2],
        "good": [0, 2],
        "area": [0],
        "n": [0, 1, 2],
        "w": [0, 1, 2],
        "mix": [0, 1, 2],
        "no": [],
    }
    assert [c.is_complete for c in table.columns.values()] == [1, 0, 0, 1, 1, 1, 0]


def test_labels_and_ids_and_areas():
    """Each has one place to come from, whatever the format."""
    table = UnitTable(
        [
            {"quality": "good", "unit_id": 7, "location": "CA1"},
            {"quality": " ", "unit_id": np.int64(9), "brain_area": "CA3"},
            {"unit_id": 8},
        ],
        3,
    )
    assert (table.label_key, table.labels) == ("quality", ["good", None, None])
    assert (table.id_key, table.unit_ids) == ("unit_id", [7, 9, 8])
    assert table.brain_areas == ["CA1", "CA3", None]
    assert (
        UnitTable([{"quality": 0.9, "unit_id": 1}, {"unit_id": 1}], 2).labels
        == [None] * 2
    )
    assert UnitTable([{"unit_id": 1}, {"unit_id": 1}], 2).unit_ids is None
