"""Rates from intervals between spikes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.spikedata.ratedata import isi_rates


def slow_rate(spikes, time):
    """Return the inverse of the interval that holds `time`, in Hz."""
    unique = sorted(set(spikes))
    for before, after in itertools.pairwise(unique):
        if before <= time < after:
            return 1000.0 / (after - before)
    return 0.0


@given(
    st.lists(st.integers(0, 50).map(float), max_size=10).map(sorted),
    st.integers(1, 40),
)
def test_rates_against_a_slow_reference(spikes, count):
    """Repeated spikes count once, and there is no rate outside the spikes."""
    grid = np.arange(count) * 1.5 - 2
    rates, times = isi_rates([np.array(spikes)], grid, 0.0)
    assert rates[0].tolist() == [slow_rate(spikes, time) for time in grid]
    assert times.tolist() == grid.tolist()


def test_smoothing_keeps_a_constant_rate():
    """The edges are mirrored, so that nothing leaks out, for any width."""
    for sigma in (0.5, 3.0, 200.0):
        rates, _ = isi_rates([np.arange(0.0, 200.0)], np.arange(10.0, 50.0), sigma)
        np.testing.assert_allclose(rates, 1000.0)


def test_smoothing_is_gaussian():
    """A single bin spreads as the normal distribution of that width."""
    rates, times = isi_rates([np.array([50.0, 51.0])], np.arange(101.0), 5.0)
    expected = np.exp(-0.5 * ((times - 50) / 5) ** 2)
    expected[np.abs(times - 50) > 20] = 0
    np.testing.assert_allclose(rates[0], 1000 * expected / expected.sum(), atol=1e-9)


@pytest.mark.parametrize("times", [[], [3.0]])
def test_few_times(times):
    """An empty grid and a single time have no spacing."""
    rates, _ = isi_rates([np.array([1.0, 5.0]), np.empty(0)], times, 10.0)
    assert rates.shape == (2, len(times))
    assert rates.tolist() == [[250.0] * len(times), [0.0] * len(times)]


@pytest.mark.parametrize(
    ("times", "sigma", "message"),
    [
        ([1, 2, 4], 1, "ascending and evenly spaced, got steps from 1.0 to 2.0 ms"),
        ([2, 1, 0], 1, "ascending and evenly spaced"),
        ([1, 1], 1, "ascending and evenly spaced"),
        ([[1, 2]], 1, r"times must be 1-D, got shape \(1, 2\)"),
        ([np.nan], 1, "times must be finite, got nan"),
        ([1, 2], -1, "sigma_ms must not be negative, got -1"),
        ([1, 2], np.nan, "sigma_ms must be finite, got nan"),
    ],
)
def test_what_is_refused(times, sigma, message):
    """The error names the parameter, the rule and the value."""
    with pytest.raises(ValueError, match=message):
        isi_rates([np.array([1.0])], times, sigma)
