"""Rates in NWB, and their slices."""

import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from siblings import (
    any_rate_slices,
    any_rates,
    few_rate_slices,
    few_rates,
    rate_slices,
    rates,
)

from spikelab import load
from spikelab.errors import FormatError, VerificationError
from spikelab.formats import NWBWriter
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack

RANDOM = settings(max_examples=25)


def quietly(obj, path, writer=NWBWriter):
    """Export without the warnings about attributes that no column holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return writer(verify=True).write(obj, path)


def assert_same_rates(found, expected):
    """Rates exactly, times to their rounding."""
    assert type(found) is RateData
    np.testing.assert_array_equal(found.inst_Frate_data, expected.inst_Frate_data)
    np.testing.assert_allclose(found.times, expected.times, rtol=1e-15, atol=1e-300)
    if "\0" not in (expected.rate_unit or ""):
        assert found.rate_unit == expected.rate_unit


def test_rates_are_a_time_series(tmp_path):
    """The time comes first; uneven times are written one by one, in seconds."""
    quietly(rates(), tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        series = file["processing/ecephys/firing_rates"]
        np.testing.assert_array_equal(series["data"], rates().inst_Frate_data.T)
        np.testing.assert_array_equal(series["timestamps"], rates().times / 1000)
        assert series["data"].attrs["unit"] == "Hz"
        known = file["processing/ecephys/unit_attributes"]
        assert known["quality"].asstr()[:].tolist() == ["good", ""]
        assert known["id"][:].tolist() == [0, 1]
        # A table of this name without spikes is refused by archives.
        assert "units" not in file


def test_even_times_are_a_rate(tmp_path):
    """And come back as the same floats."""
    obj = RateData(np.ones((2, 50)), np.arange(50) * 0.25 - 2.5)
    quietly(obj, tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        start = file["processing/ecephys/firing_rates/starting_time"]
        assert (start[()], start.attrs["rate"]) == (-0.0025, 4000.0)
        assert file["processing/ecephys/firing_rates/data"].attrs["unit"] == "unknown"
    found = load(tmp_path / "a.nwb")
    np.testing.assert_array_equal(found.times, obj.times)
    assert_same_rates(found, obj)


@given(obj=any_rates())
@RANDOM
def test_any_rates_come_back(obj, tmp_path):
    """NaN, infinite ones, none at all."""
    quietly(obj, tmp_path / "a.nwb")
    assert_same_rates(load(tmp_path / "a.nwb"), obj)


@given(stack=any_rate_slices())
@RANDOM
def test_any_rate_slices_come_back(stack, tmp_path):
    """Rates as they were; windows and step within the rounding to seconds."""
    quietly(stack, tmp_path / "a.nwb")
    found = load(tmp_path / "a.nwb")
    assert type(found) is RateSliceStack
    np.testing.assert_array_equal(found.event_stack, stack.event_stack)
    np.testing.assert_allclose(found.times, stack.times, rtol=1e-15, atol=1e-300)
    assert found.step_size == stack.step_size
    if not NWBWriter().losses(stack):
        assert_same_attributes(found.neuron_attributes, stack.neuron_attributes)


def assert_same_attributes(found, expected):
    """Compare the values of attributes, beside the number that NWB gives each unit."""
    units = [{k: v for k, v in unit.items() if k != "unit_id"} for unit in found or []]
    for unit, wanted in zip(units, expected or [{}] * len(units), strict=True):
        assert unit.keys() == wanted.keys() - {"unit_id"}
        for key, value in unit.items():
            np.testing.assert_equal(value, wanted[key])


def test_slices_follow_one_another(tmp_path):
    """Each trial says which rows of the series are its own."""
    stack = rate_slices()
    quietly(stack, tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        series, trials = (
            file["processing/ecephys/firing_rates"],
            file["intervals/trials"],
        )
        assert trials["start_time"][:].tolist() == [-0.004, -0.002, 0.010]
        assert trials["stop_time"][:].tolist() == [0.0, 0.002, 0.014]
        for i, (first, count, reference) in enumerate(trials["timeseries"]):
            rows = slice(first, first + count)
            assert file[reference] == series
            np.testing.assert_array_equal(
                series["data"][rows].T, stack.event_stack[:, :, i]
            )
            expected = stack.times[i][0] + np.array([0.0, 2.0])
            np.testing.assert_allclose(series["timestamps"][rows], expected / 1000)


@pytest.mark.parametrize("shape", [(2, 2, 3), (1, 1, 1), (0, 2, 3), (3, 4, 1)])
def test_slices_come_back(shape, tmp_path):
    """One or several, also without units."""
    windows = [(10.0 * i, 10.0 * i + shape[1] * 2.5) for i in range(shape[2])]
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    stack = RateSliceStack(
        event_matrix=values, times_start_to_end=windows, step_size=2.5
    )
    quietly(stack, tmp_path / "a.nwb")
    found = load(tmp_path / "a.nwb")
    np.testing.assert_array_equal(found.event_stack, values)
    assert found.event_stack.dtype == np.float32
    assert (found.step_size, found.times) == (2.5, windows)


def test_the_same_rates_give_the_same_bytes(tmp_path, monkeypatch):
    """Other rates another identifier."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for make in (rates, rate_slices):
        for name in "ab":
            quietly(make(), tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    changed = rates()
    changed.inst_Frate_data[0, 0] += 1
    identifiers = set()
    for obj in (rates(), changed):
        with h5py.File(quietly(obj, tmp_path / "a")) as file:
            identifiers.add(file["identifier"][()])
    assert len(identifiers) == 2


def test_fewer_times_than_units_are_rows_of_a_table(tmp_path):
    """The inspector takes a series of this shape for one with its axes exchanged."""
    few_rates().to_nwb(tmp_path / "a.nwb", verify=True)
    with h5py.File(tmp_path / "a.nwb") as file:
        table = file["processing/ecephys/firing_rates"]
        assert table.attrs["neurodata_type"] == "DynamicTable"
        assert table["timestamps"][:].tolist() == [0.0025, 0.007]
        np.testing.assert_array_equal(table["data"], few_rates().inst_Frate_data.T)
        assert table["data"].attrs["unit"] == "Hz"
    few_rate_slices().to_nwb(tmp_path / "b.nwb", verify=True)
    with h5py.File(tmp_path / "b.nwb") as file:
        assert "timeseries" not in file["intervals/trials"]


def test_complex_rates_are_refused(tmp_path):
    """NWB has no type for them."""
    stack = RateSliceStack(event_matrix=np.ones((1, 2, 1), dtype=complex))
    with pytest.raises(ValueError, match=r"real numbers .* got complex128"):
        stack.to_nwb(tmp_path / "a.nwb")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [rates, rate_slices])
def test_verify_finds_a_changed_value(make, tmp_path):
    """And publishes nothing."""

    class Damaging(NWBWriter):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                file["processing/ecephys/firing_rates/data"][0, 1] += 1.0

    with pytest.raises(VerificationError, match="differs: values"):
        quietly(make(), tmp_path / "a.nwb", Damaging)
    assert not list(tmp_path.iterdir())


def test_a_series_that_contradicts_itself_is_refused(tmp_path):
    """Too few trials, or times, for its rows."""
    quietly(rate_slices(), tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb", "a") as file:
        file["processing/ecephys/firing_rates"].attrs["n_bins"] = 5
    with pytest.raises(FormatError, match="rows for each trial"):
        load(tmp_path / "a.nwb")
    quietly(rates(), tmp_path / "b.nwb")
    with h5py.File(tmp_path / "b.nwb", "a") as file:
        del file["processing/ecephys/firing_rates/timestamps"]
        file["processing/ecephys/firing_rates/timestamps"] = [1.0]
    with pytest.raises(FormatError, match="a time for each"):
        load(tmp_path / "b.nwb")


def test_losses_are_told_in_words():
    """What the series does not tell."""
    obj = RateData(np.ones((1, 2)), np.array([1, 2]), rate_unit=3)
    lost = "; ".join(NWBWriter().losses(obj))
    assert "rate_unit" in lost
    assert "times" in lost
    assert NWBWriter().losses(RateData(np.ones((1, 2)), [1.0, 2.0])) == []


SOON, LATE = 250.824, 250.824 * 2**33
"""Times in ms that seconds move: by 3e-14 ms, and by 2e-4 ms."""


def rates_at(time):
    """Rates at one time."""
    return RateData(np.ones((1, 1)), [time])


def rates_from(time):
    """Rates in one window."""
    windows = [(time, time + 1.0)]
    return RateSliceStack(event_matrix=np.ones((1, 1, 1)), times_start_to_end=windows)


@pytest.mark.parametrize(
    ("make", "name"), [(rates_at, "times"), (rates_from, "windows")]
)
def test_what_seconds_move_is_told(make, name, tmp_path):
    """By how much, if it is a nanosecond or more; even times do not move."""
    obj = make(LATE)
    (lost,) = NWBWriter().losses(obj)
    obj.to_nwb(tmp_path / "a.nwb", verify=True)
    found = load(tmp_path / "a.nwb")
    moved = np.abs(np.subtract(found.times, obj.times)).max()
    assert moved > 1e-6
    assert lost == f"{name} are rounded by up to {moved:.3g} ms"
    assert SOON / 1000.0 * 1000.0 != SOON
    make(SOON).to_nwb(tmp_path / "b.nwb", verify=True, strict=True)
