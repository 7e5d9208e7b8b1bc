"""Times with a unit are converted by it, wherever a time is taken."""

import datetime

import numpy as np
import pytest

from spikelab import RateData, SpikeData, SpikeSliceStack, differences, load
from spikelab.spikedata.quantity import in_ms, in_unit

SECOND, HALF = np.timedelta64(1, "s"), np.timedelta64(500, "ms")


def spikes(sd):
    """The spike times of each unit as lists."""
    return [times.tolist() for times in sd.train]


class PintLike:
    """A value with `to` and `units`, as pint has it."""

    units = "second"

    def __init__(self, magnitude):
        self.magnitude = magnitude

    def to(self, unit):
        """Convert."""
        if unit != "ms":
            raise TypeError(f"Cannot convert from 'second' to {unit!r}")
        return PintLike(self.magnitude * 1000.0)


class AstropyLike(np.ndarray):
    """An array with `to` and `unit`, as astropy has it."""

    unit = "s"

    def to(self, unit):
        """Convert."""
        self.value = np.asarray(self) * 1000.0
        return self


class BrianLike(np.ndarray):
    """An array in SI units with `dim`, as brian2 has it."""

    dim = "s"


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        (np.timedelta64(5, "us"), 0.005),
        (datetime.timedelta(seconds=1.5), 1500.0),
        (PintLike(0.5), 500.0),
        (np.array(0.5).view(BrianLike), 500.0),
        (np.array([1, 2], "m8[s]"), [1000.0, 2000.0]),
        (np.array([0.25, 0.5]).view(AstropyLike), [250.0, 500.0]),
        ([SECOND, 5.0], [1000.0, 5.0]),
        ((1.0, PintLike(2.0)), [1.0, 2000.0]),
    ],
)
def test_values_with_a_unit(given, ms):
    """Of any package that says the unit, one value or many."""
    assert np.asarray(in_ms("x", given)).tolist() == ms


@pytest.mark.parametrize("given", [5, 2.5, None, "abc", (1, 2), [1.0], np.arange(3.0)])
def test_values_without_a_unit_are_not_touched(given):
    """It is the same object."""
    assert in_ms("x", given) is given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([1, 2], "m8[Y]"), "x must be in a unit of time"),
    ],
)
def test_units_that_are_not_known(given, message):
    """The error names the parameter and what is needed."""
    with pytest.raises(ValueError, match=message):
        in_ms("x", given)


@pytest.mark.filterwarnings("ignore:The 'generic' unit:DeprecationWarning")
def test_a_timedelta_without_a_unit_is_refused():
    """NumPy is about to refuse it too."""
    with pytest.raises(ValueError, match="timedelta64 without unit"):
        in_ms("x", np.timedelta64(5))


def test_a_time_is_no_rate():
    """Where a rate is needed, a time is refused."""
    with pytest.raises(ValueError, match="raw_time must be in a unit of frequency"):
        SpikeData([[]], raw_data=np.zeros((1, 3)), raw_time=SECOND)
    with pytest.raises(ValueError, match="Cannot convert from 'second'"):
        in_unit("x", PintLike(1.0), "kHz")


def test_a_missing_time_is_refused():
    """NaT is NaN, and a spike time must be finite."""
    with pytest.raises(ValueError, match="unit 0: spike times must be finite"):
        SpikeData([np.array(["NaT"], "m8[s]")], length=5.0)


def test_every_time_of_a_recording():
    """Spikes, window, cuts, bins, events, windows and rates."""
    sd = SpikeData([[SECOND, 2 * SECOND]], length=3 * SECOND, start_time=-HALF)
    assert (spikes(sd), sd.length, sd.start_time) == ([[1000, 2000]], 3000.0, -500.0)
    plain = SpikeData([[1000.0, 2000.0]], length=3000.0)
    assert plain.subtime(SECOND, None) == plain.subtime(1000.0, None)
    assert plain.subtime(0, 2 * SECOND, shift_to=SECOND).start_time == -1000.0
    assert plain.append(plain, offset=SECOND).length == 7000.0
    assert plain.frames(SECOND).times == plain.frames(1000.0).times
    assert plain.raster(SECOND).tolist() == [[1, 1, 0]]
    assert plain.binned(SECOND).tolist() == [1, 1, 0]
    aligned = plain.align_to_events(np.array([1, 2]) * SECOND, SECOND, HALF)
    assert aligned.times == [(0.0, 1500.0), (1000.0, 2500.0)]
    stack = SpikeSliceStack(plain, [(0 * SECOND, SECOND)])
    assert stack.times == [(0.0, 1000.0)]
    assert stack.to_raster_array(SECOND).shape == (1, 1, 1)
    rates = RateData([[1.0, 2.0]], np.array([0, 1]) * SECOND)
    assert rates.times.tolist() == [0.0, 1000.0]
    assert rates.subtime(SECOND, None).times.tolist() == [1000.0]
    pairs = SpikeData.from_idces_times([0, 1], np.array([1, 2]) * SECOND)
    assert spikes(pairs) == [[1000.0], [2000.0]]
    assert spikes(SpikeData.from_events([(0, SECOND)])) == [[1000.0]]
    counted = SpikeData.from_raster([[0, 1]], SECOND)
    assert (spikes(counted), counted.length) == ([[1500.0]], 2000.0)


def test_quantities_and_neo():
    """Sorters and neo give seconds, microseconds or samples; the unit counts."""
    pq, neo = pytest.importorskip("quantities"), pytest.importorskip("neo")
    samples = pq.CompoundUnit("1/30000*s")
    trains = (
        [1.0, 2.0] * pq.s,
        [1e6, 2e6] * pq.us,
        [30_000, 60_000] * samples,
        neo.SpikeTrain([1.0, 2.0] * pq.s, t_stop=3.0 * pq.s),
    )
    for train in trains:
        assert spikes(SpikeData([train])) == [[1000.0, 2000.0]]
    raw = SpikeData([[]], raw_data=np.zeros((1, 4)), raw_time=2_000 * pq.Hz).raw_time
    assert raw.tolist() == [0.0, 0.5, 1.0, 1.5]
    event = neo.Event([1.5] * pq.s, labels=["go"])
    sd = SpikeData([[1000.0]], length=3000.0, metadata={"go": event})
    assert sd.align_to_events("go", 100 * pq.ms, 0.1 * pq.s).times == [(1400, 1600)]
    for wrong in ([[1.0] * pq.mV], [[1.0] * pq.dimensionless]):
        with pytest.raises(
            ValueError, match=r"unit 0: .* a unit of time.*(mV|dimension)"
        ):
            SpikeData(wrong)


def test_rates_with_a_unit():
    """They are Hz, or the rate_unit that is asked for."""
    pq = pytest.importorskip("quantities")
    rates = RateData([[1.0, 2.0]] * pq.kHz, [0.0, 1.0])
    assert (rates.inst_Frate_data.tolist(), rates.rate_unit) == ([[1000, 2000]], "Hz")
    rates = RateData([[1.0, 2.0]] * pq.Hz, [0.0, 1.0], rate_unit="kHz")
    assert rates.inst_Frate_data.tolist() == [[0.001, 0.002]]
    rates = RateData([[1.0, 2.0] * pq.kHz, [3.0, 4.0] * pq.Hz], [0.0, 1.0])
    assert rates.inst_Frate_data.tolist() == [[1000, 2000], [3, 4]]
    with pytest.raises(ValueError, match="inst_Frate_data must be in a unit of freq"):
        RateData([[1.0]] * pq.mV, [0.0])
    with pytest.raises(ValueError, match="rate_unit must be 'Hz' or 'kHz'"):
        RateData([[1.0]] * pq.Hz, [0.0], rate_unit="spikes per bin")


def test_a_time_in_us_is_right_to_the_last_bit():
    """Dividing by 1000, not multiplying by 0.001."""
    pq = pytest.importorskip("quantities")
    microseconds = np.arange(1.0, 10_000.0)
    assert np.array_equal(in_ms("x", microseconds * pq.us), microseconds / 1000.0)


def test_options_of_exports_may_have_a_unit(tmp_path):
    """Rates and sizes of bins, in every format and reader that takes them."""
    pq = pytest.importorskip("quantities")
    sd = SpikeData([[1.0, 2.5]], length=10.0)
    rate, path = 30 * pq.kHz, tmp_path / "s.csv"
    sd.to_csv(path, time_unit="samples", fs_Hz=rate)
    assert path.read_text() == "unit,time_samples\n0,30\n0,75\n"
    assert spikes(load(path, fs_Hz=rate)) == spikes(sd)
    for method, name in (("to_hdf5", "a.h5"), ("to_nwb", "a.nwb"), ("to_phy", "a")):
        found = load(getattr(sd, method)(tmp_path / name, fs_Hz=rate))
        assert spikes(found) == spikes(sd)
    assert load(tmp_path / "a").metadata["fs_Hz"] == 30_000.0
    assert spikes(load(tmp_path / "a", fs_Hz=rate * 2)) == [[0.5, 1.25]]
    size = 0.001 * pq.s
    for name in ("one.h5", "two.h5"):
        sd.to_hdf5(tmp_path / name, style="raster", raster_bin_size_ms=size)
        size = 1.0
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_an_option_of_another_unit_is_refused(tmp_path):
    """The error names the option."""
    pq = pytest.importorskip("quantities")
    sd = SpikeData([[1.0]], length=10.0)
    with pytest.raises(ValueError, match="fs_Hz must be in a unit of frequency"):
        sd.to_phy(tmp_path / "a", fs_Hz=3 * pq.s)
    with pytest.raises(
        ValueError, match="raster_bin_size_ms must be in a unit of time"
    ):
        sd.to_hdf5(tmp_path / "a", style="raster", raster_bin_size_ms=3 * pq.Hz)
    assert not any(tmp_path.iterdir())


def test_values_of_different_units_are_not_equal():
    """Whatever the unit; a number without one is another value too."""
    pq = pytest.importorskip("quantities")
    first, *others = (
        SpikeData([[1.0]], metadata={"threshold": value})
        for value in (5.0 * pq.mV, 5.0 * pq.uV, 5.0)
    )
    assert first == SpikeData([[1.0]], metadata={"threshold": 5.0 * pq.mV})
    for other in others:
        assert first != other
        assert len(differences(first, other)) == 1
