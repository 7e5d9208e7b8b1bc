"""Spikes in bins, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikelab.spikedata import binning


def test_bins_are_closed_on_the_right():
    """A spike on an edge belongs to the bin before it, one at the start to bin 0."""
    found = binning.counts([np.array([0, 1, 1.5, 2, 5.0])], 0.0, 1.0, 5)
    assert found.tolist() == [[2, 2, 0, 0, 1]]
    assert found.dtype == np.int64


def test_counts_are_relative_to_the_origin():
    """The origin is where bin 0 opens, negative or late."""
    train = [np.array([-5, -4.5, 0, 4.9, 5])]
    expected = [[2, 0, 0, 0, 1, 0, 0, 0, 0, 2]]
    assert binning.counts(train, -5.0, 1.0, 10).tolist() == expected
    assert binning.counts([train[0] + 1000], 995.0, 1.0, 10).tolist() == expected


def test_counts_without_units_or_bins():
    """Shapes hold when there is nothing to count."""
    assert binning.counts([], 0.0, 1.0, 4).shape == (0, 4)
    assert binning.counts([np.array([0.0])], 0.0, 1.0, 0).shape == (1, 0)
    assert binning.counts([np.empty(0)], 0.0, 1.0, 2).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("length", "bin_size", "expected"),
    [
        (10.0, 1.0, 10),
        (4.5, 1.0, 5),
        (0.0, 1.0, 0),
        (0.1 * 3, 0.1, 3),
        (1.1, 0.1, 11),
        (4.4 - 4.1, 0.1, 3),
        (5000.4 - 5000.1, 0.1, 3),
        (10.0001, 1.0, 11),
        (1.000001, 1.0, 2),
        (0.3, 1.0, 1),
        (1e-12, 1.0, 1),
        (36_000_000.0, 0.1, 360_000_000),
    ],
)
def test_number_of_bins(length, bin_size, expected):
    """The number is rounded up, but float drift adds no bin."""
    assert binning.n_bins(length, bin_size) == expected


@given(st.integers(0, 10**7), st.sampled_from([0.1, 0.3, 1.0, 0.05, 7.0, 1 / 30]))
def test_whole_numbers_of_bins(bins, bin_size):
    """Whatever the rounding of the product, the number of bins comes back."""
    assert binning.n_bins(bins * bin_size, bin_size) == bins


def slow_raster(times, start, bin_size, bins):
    """Count spike by spike, as the convention is worded."""
    counts = [0] * bins
    for time in times:
        ratio = (time - start) / bin_size
        index = int(ratio) - 1 if ratio == int(ratio) else int(ratio)
        counts[min(max(index, 0), bins - 1)] += 1
    return counts


@given(
    st.lists(st.integers(0, 4000).map(lambda quarter: quarter / 4), max_size=30),
    st.sampled_from([-500.0, 0.0, 4096.0]),
    st.sampled_from([0.25, 0.5, 1.0, 3.0, 40.0, 2000.0]),
)
def test_counts_against_a_slow_reference(times, start, bin_size):
    """Whole-array counting agrees with counting spike by spike."""
    bins = binning.n_bins(1000.0, bin_size)
    train = [np.array(times) + start]
    expected = slow_raster(train[0], start, bin_size, bins)
    assert binning.counts(train, start, bin_size, bins).tolist() == [expected]


def test_spread_divides_a_bin_evenly():
    """One spike lies in the centre, two at the thirds; what is negative is none."""
    train = binning.spread(np.array([[1, 0, 2], [0, -3, 0]]), 100.0, 10.0)
    np.testing.assert_allclose(train[0], [105, 100 + 20 + 10 / 3, 100 + 20 + 20 / 3])
    assert train[1].size == 0


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), max_size=4),
    st.floats(-1e5, 1e5),
    st.sampled_from([0.1, 1.0, 7.3]),
)
def test_spread_and_count(raster, start, bin_size):
    """Counting what was spread gives the same counts."""
    counts = np.array(raster, dtype=np.int64).reshape(-1, 4)
    train = binning.spread(counts, start, bin_size)
    np.testing.assert_array_equal(binning.counts(train, start, bin_size, 4), counts)
