"""What every bridge to another package owes its users; its tests inherit it."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from recordings import recordings, simulated

from spikelab import SpikeData, differences
from spikelab.errors import MissingExtraError

FS = 30_000.0

VALUES = {
    "ints": [3, -1, 2**40],
    "floats": [0.5, -1e300, 3.0],
    "texts": ["good", "größe", "multi unit"],
    "bools": [True, False, True],
    "some_floats": [0.5, None, 2.0],
    "some_texts": [None, "CA1", "CA3"],
    "some_bools": [None, None, False],
    "some_ints": [None, 7, 8],
    "location": [[0.0, 20.0], [1.5, 40.0], [0.0, 60.0]],
    "waveform_mean": [np.full((4, 2), i, np.float32) for i in range(3)],
}


def known(sd, key):
    """An attribute of each unit, None where a unit has none."""
    return [row.get(key) for row in sd.neuron_attributes or [{}] * sd.N]


def quietly(call, *args, **options):
    """The result of a call, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


def warnings_of(call, *args, **options):
    """The texts of the UserWarnings of a call."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(*args, **options)
    return [str(w.message) for w in found if issubclass(w.category, UserWarning)]


def on_grid(counts, start=0, seed=0, n_samples=3_000_000, **more):
    """Spikes on the samples of 30 kHz; silent units where a count is 0."""
    rng = np.random.default_rng(seed)
    samples = [np.sort(rng.choice(n_samples, n, replace=False)) for n in counts]
    train = [(start + s) / FS * 1000.0 for s in samples]
    window = {"start_time": start / FS * 1000.0, "length": n_samples / FS * 1000.0}
    return SpikeData(train, **{**window, "metadata": {"fs_Hz": FS}, **more})


class BridgeContract:
    """There and back, the same for every package; a subclass names the methods."""

    package: str
    """The package, which is also the name of the extra."""

    atol_ms = 0.0
    """How far the package may move a time."""

    keeps_window = True
    """Whether the object of the package has a start and an end."""

    loses = ("raw_data",)
    """What must be named when a recording with everything goes there."""

    def there(self, sd):
        """The object of the package."""
        return quietly(getattr(sd, f"to_{self.package}"))

    def back(self, obj):
        """The recording again."""
        return quietly(getattr(SpikeData, f"from_{self.package}"), obj)

    def assert_same(self, sd):
        """Units, order, spikes and window are the same after both ways."""
        back = self.back(self.there(sd))
        assert [len(t) for t in back.train] == [len(t) for t in sd.train]
        for one, other in zip(sd.train, back.train, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=self.atol_ms)
        if sd.N:
            assert back.start_time == pytest.approx(sd.start_time, abs=1e-6)
        if self.keeps_window and sd.N:
            assert back.length == pytest.approx(sd.length, rel=1e-9, abs=2e-3)
        return back

    @pytest.mark.parametrize("start", [0, 15_000, -15_000, 7])
    def test_no_spike_on_the_grid_moves(self, start):
        """Sample by sample, wherever the recording starts."""
        sd = on_grid([5_000, 0, 3_000], start=start)
        back = self.assert_same(sd)
        for one, other in zip(sd.train, back.train, strict=True):
            assert np.array_equal(np.rint(one * FS / 1e3), np.rint(other * FS / 1e3))

    def test_silent_units_and_order(self):
        """Also the first and the last unit; ids need not ascend."""
        ids = [{"unit_id": i} for i in (30, 10, 20, 5)]
        back = self.assert_same(on_grid([0, 5, 2, 0], neuron_attributes=ids))
        assert known(back, "unit_id") == [30, 10, 20, 5]

    @pytest.mark.parametrize("ids", [[4, 7, 100], ["a", "CH 2", "unit_10"]])
    def test_ids(self, ids):
        """Numbers and names."""
        rows = [{"unit_id": unit_id} for unit_id in ids]
        back = self.assert_same(on_grid([1, 2, 3], neuron_attributes=rows))
        assert known(back, "unit_id") == ids

    def test_units_without_ids(self):
        """None are invented, and nothing is known about them."""
        back = self.assert_same(on_grid([1, 2, 3]))
        assert back.neuron_attributes is None

    def test_ids_that_are_not_distinct(self):
        """They stay what they are: an attribute."""
        rows = [{"unit_id": 3}, {"unit_id": 3}, {}]
        back = self.assert_same(on_grid([1, 2, 3], neuron_attributes=rows))
        assert known(back, "unit_id") == [3, 3, None]

    def test_ids_under_another_key(self):
        """Ids of clusters are distinct, those of units are not: both stay."""
        rows = [{"unit_id": 1, "cluster_id": i} for i in (4, 9)]
        back = self.assert_same(on_grid([1, 2], neuron_attributes=rows))
        assert known(back, "unit_id") == [1, 1]
        assert known(back, "cluster_id") == [4, 9]

    @pytest.mark.parametrize("key", VALUES)
    def test_attributes(self, key):
        """Numbers, texts, bools, arrays; what is missing stays missing."""
        rows = [{} if value is None else {key: value} for value in VALUES[key]]
        sd = on_grid([1, 2, 3], neuron_attributes=rows)
        back = self.assert_same(sd)
        unknown = [unit for unit, value in enumerate(VALUES[key]) if value is None]
        assert [u for u, v in enumerate(known(back, key)) if v is None] == unknown
        assert not [d for d in differences(sd, back) if key in d]
        if key == "bools":
            assert all(isinstance(value, bool) for value in known(back, key))

    @pytest.mark.parametrize("counts", [[], [0], [0, 0], [1]])
    def test_few_units(self, counts):
        """No unit, one unit, only silent ones."""
        self.assert_same(on_grid(counts))

    def test_a_recording_of_length_0(self):
        """Its only spike is at its start."""
        self.assert_same(SpikeData([[0.0]], metadata={"fs_Hz": FS}))

    @given(sd=recordings())
    @settings(max_examples=25)
    def test_any_recording_comes_back(self, sd):
        """Whatever the trains and the window are, to the nearest sample."""
        sd.metadata["fs_Hz"] = 1e6
        if sd.length > 1e9 or abs(sd.start_time) > 1e9:
            return
        back = self.back(self.there(sd))
        assert [len(t) for t in back.train] == [len(t) for t in sd.train]
        for one, other in zip(sd.train, back.train, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-3)

    def test_what_is_left_out_is_named_in_one_warning(self):
        """Nothing is dropped without a word."""
        sd = simulated()
        sd.metadata |= {"made": object, "fs_Hz": FS}
        sd = SpikeData(**{**sd.arguments(), "raw_data": np.ones(5), "raw_time": 1.0})
        texts = warnings_of(getattr(sd, f"to_{self.package}"))
        assert len(texts) == 1
        for name in (*self.loses, "'made'"):
            assert name in texts[0]

    def test_nothing_is_warned_of_if_nothing_is_lost(self):
        """A plain recording that ends with its last spike."""
        sd = SpikeData(
            [[1.0, 2.0], [3.0]], neuron_attributes=[{"unit_id": 1}, {"unit_id": 2}]
        )
        call = getattr(sd, f"to_{self.package}")
        options = {"fs_Hz": FS} if self.package == "spikeinterface" else {}
        assert warnings_of(call, **options) == []

    def test_the_recording_is_not_changed(self):
        """Neither by the way there nor by changes of the object there."""
        sd, same = on_grid([3, 4]), on_grid([3, 4])
        back = self.back(self.there(sd))
        for times in back.train:
            times[:] = 0.0
        assert sd == same

    def test_what_went_wrong_later_is_refused(self):
        """A recording is checked before it goes."""
        sd = on_grid([3])
        sd.train[0][1] = np.nan
        with pytest.raises(ValueError, match="unit 0: spike times must be finite"):
            self.there(sd)

    def test_another_object_is_a_type_error(self):
        """The error says what is taken."""
        with pytest.raises(TypeError, match=f"from_{self.package} takes"):
            self.back(5)

    def test_without_the_package(self, monkeypatch):
        """The error names the extra that installs it."""
        import sys

        for name in [n for n in sys.modules if n.split(".")[0] == self.package]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, self.package, None)
        with pytest.raises(MissingExtraError, match=rf"spikelab\[{self.package}\]"):
            self.there(on_grid([1]))
        with pytest.raises(MissingExtraError, match=rf"spikelab\[{self.package}\]"):
            self.back(5)
