"""Floats as text, many at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikelab.formats.csv import decimals


def texts(values):
    """What `decimals` makes of floats, one by one."""
    return decimals.lines(np.asarray(values, dtype=np.float64)).decode().splitlines()


@given(arrays(np.float64, st.integers(1, 50), elements=st.floats()))
def test_floats_are_written_as_repr_writes_them(values):
    """NaN, infinities, subnormals and both zeros included."""
    assert texts(values) == [repr(value) for value in values.tolist()]


@given(
    arrays(np.int64, 30, elements=st.integers(0, 10**10)),
    st.sampled_from([20_000, 24_414.0625, 30_000, 32_000, 44_100]),
)
def test_times_of_samples_are_written_as_repr_writes_them(samples, fs_Hz):
    """The spike times that sorters give."""
    times = samples / fs_Hz * 1000
    assert texts(times) == [repr(time) for time in times.tolist()]


@given(st.floats(1e-3, 1e16), st.integers(0, 17))
def test_rounded_floats_are_written_as_repr_writes_them(value, digits):
    """Numbers with few decimals."""
    rounded = float(f"{value:.{digits}g}")
    assert texts([rounded, -rounded]) == [repr(rounded), repr(-rounded)]


@pytest.mark.parametrize("power", range(54))
def test_powers_of_two_and_their_neighbours(power):
    """Where the distance between floats changes."""
    middle = 2.0**power
    values = [np.nextafter(middle, 0), middle, np.nextafter(middle, np.inf)]
    assert texts(values) == [repr(float(value)) for value in values]


@given(
    arrays(np.int64, st.integers(1, 20), elements=st.integers(-(2**63) + 1, 2**63 - 1))
)
def test_integers(numbers):
    """Columns of integers, negative ones too."""
    expected = [f"{number},{number}" for number in numbers.tolist()]
    assert decimals.lines(numbers, numbers).decode().splitlines() == expected


def test_no_rows_are_no_text():
    """An empty column is an empty text."""
    assert decimals.lines(np.empty(0, dtype=np.int64), np.empty(0)) == b""
