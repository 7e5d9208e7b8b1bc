"""Validators: what they accept, and that they name parameter, rule and value."""

import pytest

from spikelab import validate


@pytest.mark.parametrize("name", ["", "/abs", "a//b", "a/../b", ".", "a/", "a\0b"])
def test_names_that_hdf5_would_misread_are_refused(name):
    """Empty, absolute and climbing names are errors."""
    with pytest.raises(ValueError, match="raster_dataset must"):
        validate.dataset_name("raster_dataset", name)


@pytest.mark.parametrize("name", ["times", "sorted/times", "Zeiten µs", "..."])
def test_names_that_hdf5_takes_are_accepted(name):
    """Relative paths and any Unicode are fine."""
    assert validate.dataset_name("raster_dataset", name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "../x", "/x"])
def test_file_names_stay_in_their_folder(name):
    """What could leave the folder is an error."""
    with pytest.raises(ValueError, match="spike_times_file must be a file name"):
        validate.file_name("spike_times_file", name)


@pytest.mark.parametrize(
    "names",
    [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("x", "a", "x")],
)
def test_the_same_place_twice_is_refused(names):
    """Two datasets cannot have one name, nor lie inside one another."""
    with pytest.raises(ValueError, match="must name different datasets"):
        validate.distinct(**dict(zip("pqr", names, strict=False)))


def test_different_places_and_missing_ones_are_accepted():
    """Names that only begin alike differ, and None is no name."""
    validate.distinct(p="a", q="ab", r=None, s=None)


@pytest.mark.parametrize("value", [True, "1", None, 1j])
def test_what_is_no_number_is_a_type_error(value):
    """Numbers are asked for by type first."""
    with pytest.raises(TypeError, match="fs_Hz must be a number"):
        validate.positive("fs_Hz", value)
