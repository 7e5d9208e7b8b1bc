"""Time units and their conversion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.spikedata import time_units


def test_samples_on_a_grid_come_back_as_the_same_floats():
    """Times that a sorter made as samples / fs seconds survive the way over samples."""
    samples = np.arange(131_909_925, 131_909_925 + 100_000)
    times_ms = samples / 30_000.0 * 1000
    written = time_units.from_ms(times_ms, "samples", 30_000.0)
    np.testing.assert_array_equal(written, samples)
    assert written.dtype == np.int64
    np.testing.assert_array_equal(
        time_units.to_ms(written, "samples", 30_000.0), times_ms
    )


@given(st.lists(st.floats(-1e9, 1e9)), st.sampled_from(["ms", "s", "samples"]))
def test_no_time_moves_further_than_its_unit_admits(times, unit):
    """The promised rounding is an upper bound for every unit."""
    before = np.array(times, dtype=np.float64)
    after = time_units.to_ms(
        time_units.from_ms(before, unit, 24_414.0625), unit, 24_414.0625
    )
    largest = float(np.abs(before).max(initial=0))
    bound = time_units.rounding_ms(unit, 24_414.0625, largest)
    assert np.abs(after - before).max(initial=0) <= bound


def test_milliseconds_are_not_touched():
    """The unit that spikelab counts in needs no conversion and no copy."""
    times = np.array([0.1, 0.2])
    assert time_units.from_ms(times, "ms", None) is times
    assert time_units.rounding_ms("ms", None, 1e9) == 0.0


@pytest.mark.parametrize("fs_Hz", [0, -1.0, float("nan"), float("inf")])
def test_a_wrong_sampling_rate_is_named(fs_Hz):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(
        ValueError, match=f"fs_Hz must be positive and finite, got {fs_Hz}"
    ):
        time_units.sampling_rate(fs_Hz)


def test_samples_need_a_sampling_rate():
    """A unit of samples without a rate is an error before anything is converted."""
    with pytest.raises(ValueError, match="fs_Hz must be given"):
        time_units.sampling_rate(None, "s", "samples")
    assert time_units.sampling_rate(None, "s", "ms") is None


def test_an_unknown_unit_is_named():
    """The error names the parameter and what it may be."""
    with pytest.raises(ValueError, match=r"times_unit must be one of .*, got 'min'"):
        time_units.time_unit("times_unit", "min")


def test_sample_numbers_past_int64_are_refused():
    """A product that int64 cannot hold is an error, not a wrapped number."""
    with pytest.raises(ValueError, match="must fit into int64"):
        time_units.fits_int64("spike times", 1e18, 30_000.0)
    time_units.fits_int64("spike times", 1e12, 30_000.0)
