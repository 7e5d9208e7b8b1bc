"""Sortings and analyzers of SpikeInterface, both ways."""

import numpy as np
import pytest
from bridge_contract import FS, BridgeContract, known, on_grid, quietly, warnings_of

from spikelab import SpikeData, load, registry
from spikelab.cli import main
from spikelab.errors import FormatError, MissingExtraError

core = pytest.importorskip("spikeinterface.core")


class TestSpikeInterface(BridgeContract):
    """Times go to samples; a sorting has a start and no end."""

    package = "spikeinterface"
    atol_ms = 1e-9
    keeps_window = False
    loses = ("raw_data", "length of the recording")

    def test_any_recording_comes_back(self):
        """See :func:`test_times_go_to_the_nearest_sample`, which knows the rate."""


def sorting(segments=1):
    """A sorting of another program."""
    spikes = {7: np.array([30, 60]), 3: np.array([], np.int64), 5: np.array([90])}
    return core.NumpySorting.from_unit_dict([spikes] * segments, FS)


@pytest.fixture(scope="module")
def analyzer():
    """An analyzer of 12 units on 8 channels, computed by SpikeInterface."""
    recording, truth = core.generate_ground_truth_recording(
        durations=[3.0], num_units=12, num_channels=8, seed=0
    )
    made = quietly(
        core.create_sorting_analyzer, truth, recording, format="memory", sparse=False
    )
    pytest.importorskip("scipy")
    steps = [
        "random_spikes",
        "noise_levels",
        "waveforms",
        "templates",
        "unit_locations",
    ]
    quietly(made.compute, [*steps, "quality_metrics"], verbose=False)
    return made


def test_a_sorting():
    """Spikes, order, ids and rate."""
    sd = SpikeData.from_spikeinterface(sorting())
    assert [times.tolist() for times in sd.train] == [[1.0, 2.0], [], [3.0]]
    assert known(sd, "unit_id") == [7, 3, 5]
    assert sd.metadata == {"fs_Hz": FS}
    assert (sd.start_time, sd.length) == (0.0, 3.0)


def test_times_go_to_the_nearest_sample():
    """Not to the one before; a spike between samples is said."""
    times = np.sort(np.random.default_rng(0).uniform(0, 1000, 500))
    sd = SpikeData([times, [1000.0]], metadata={"fs_Hz": FS})
    made = quietly(sd.to_spikeinterface)
    found = made.get_unit_spike_train(0, segment_index=0)
    assert found.tolist() == np.rint(times * FS / 1000).astype(int).tolist()
    (text,) = warnings_of(sd.to_spikeinterface)
    assert "times between samples" in text


@pytest.mark.parametrize("start", [0.0, 500.0, -500.0, 0.01])
def test_spikeinterface_shows_the_same_seconds(start):
    """The start of the segment is set."""
    train = start + np.array([1.0, 2.0, 50.0])
    sd = SpikeData([train], start_time=start, metadata={"fs_Hz": FS})
    made = quietly(sd.to_spikeinterface)
    seconds = made.get_unit_spike_train(0, segment_index=0, return_times=True)
    np.testing.assert_allclose(seconds, train / 1000, atol=1e-12)


def test_a_start_between_samples_moves_no_spike():
    """Sample 0 is then the one before the start."""
    sd = on_grid([50], start=300)
    cut = SpikeData(sd.train, start_time=9.99, length=sd.length, metadata=sd.metadata)
    back = quietly(lambda: SpikeData.from_spikeinterface(cut.to_spikeinterface()))
    np.testing.assert_allclose(back.train[0], cut.train[0], atol=1e-9)


@pytest.mark.parametrize("fs_Hz", [0, -1.0, "fast", np.nan])
def test_rates_that_are_refused(fs_Hz):
    """And a recording without any."""
    with pytest.raises((ValueError, TypeError), match="fs_Hz must be"):
        on_grid([1]).to_spikeinterface(fs_Hz)
    with pytest.raises(ValueError, match="fs_Hz must be given"):
        SpikeData([[1.0]]).to_spikeinterface()


def test_a_rate_that_may_be_in_khz():
    """As exports do, it is asked."""
    texts = warnings_of(SpikeData([[1000.0]]).to_spikeinterface, fs_Hz=30)
    assert any("kHz" in text for text in texts)


def test_segments():
    """The first is taken with a warning; there must be such a segment."""
    two = sorting(segments=2)
    assert "2 segments" in warnings_of(SpikeData.from_spikeinterface, two)[0]
    assert SpikeData.from_spikeinterface(two, segment_index=1).train[0].size == 2
    with pytest.raises(ValueError, match=r"segment_index must lie in 0\.\.1, got 2"):
        SpikeData.from_spikeinterface(two, segment_index=2)


def test_start_and_length_that_are_given():
    """Sample 0 is at start_time."""
    sd = SpikeData.from_spikeinterface(sorting(), start_time=100.0, length=50.0)
    assert [times.tolist() for times in sd.train] == [[101.0, 102.0], [], [103.0]]
    assert (sd.start_time, sd.length) == (100.0, 50.0)
    with pytest.raises(ValueError, match="unit 2: spike times must"):
        SpikeData.from_spikeinterface(sorting(), length=2.5)


def recording(seconds=2.0):
    """A recording of SpikeInterface."""
    return core.NumpyRecording([np.zeros((int(seconds * FS), 2), np.int16)], FS)


def test_a_registered_recording():
    """Length and start are those of the recording."""
    made, known_recording = sorting(), recording()
    quietly(known_recording.set_times, 10.0 + np.arange(60_000) / FS)
    made.register_recording(known_recording)
    sd = SpikeData.from_spikeinterface(made)
    assert (sd.start_time, sd.length) == (10_000.0, pytest.approx(2000.0))
    np.testing.assert_allclose(sd.train[0], [10_001.0, 10_002.0])
    moved = SpikeData.from_spikeinterface(made, start_time=0.0)
    np.testing.assert_allclose(moved.train[0], [1.0, 2.0])


def test_uneven_times_of_a_recording():
    """A clock that drifts is followed."""
    made, drifting = sorting(), recording()
    times = 1.0 + np.arange(60_000) / FS * 1.001
    quietly(drifting.set_times, times)
    made.register_recording(drifting)
    np.testing.assert_allclose(
        SpikeData.from_spikeinterface(made).train[0], 1000 * times[[30, 60]]
    )


def test_spikes_after_the_end_of_the_recording():
    """Sorters give them; the window is extended, and that is said."""
    made = sorting()
    quietly(made.register_recording, recording(seconds=0.0025))
    (text,) = warnings_of(SpikeData.from_spikeinterface, made)
    assert "outside of its recording" in text
    assert quietly(SpikeData.from_spikeinterface, made).length == 3.0


def test_properties_and_annotations():
    """Missing values of SpikeInterface are attributes that a unit does not have."""
    made = sorting()
    made.set_property("snr", [1.5, np.nan, 2.0])
    made.set_property("area", np.array(["CA1", "", "CA3"]))
    made.set_property("pair", np.array([[1, 2], [3, 4], [5, 6]]))
    made.annotate(day=3)
    sd = SpikeData.from_spikeinterface(made)
    assert known(sd, "snr") == [1.5, None, 2.0]
    assert known(sd, "area") == ["CA1", None, "CA3"]
    assert sd.neuron_attributes[1]["pair"].tolist() == [3, 4]
    assert sd.metadata["day"] == 3


def test_a_sorting_can_be_saved(tmp_path):
    """With its properties and annotations, as SpikeInterface does it."""
    rows = [{"snr": 1.5, "q": "a", "n": 3, "place": [0.0, 1.0]}, {"q": "b"}]
    sd = on_grid([2, 3], neuron_attributes=rows)
    sd.metadata |= {"day": "monday", "odd": object()}
    quietly(quietly(sd.to_spikeinterface).save, folder=tmp_path / "saved")
    back = quietly(load, tmp_path / "saved")
    assert [known(back, k) for k in ("snr", "q", "n")] == [
        [1.5, None],
        ["a", "b"],
        [3, None],
    ]
    assert back.metadata["day"] == "monday"
    assert back.metadata["source_folder"] == str(tmp_path / "saved")


def test_an_analyzer(analyzer):
    """Length, templates, electrodes, places and metrics."""
    sd = SpikeData.from_spikeinterface(analyzer)
    assert (sd.N, sd.length) == (12, 3000.0)
    templates = analyzer.get_extension("templates").get_data(operator="average")
    places = analyzer.get_extension("unit_locations").get_data()
    metrics = analyzer.get_extension("quality_metrics").get_data()
    largest = np.ptp(templates, axis=1).argmax(axis=1)
    for unit, row in enumerate(sd.neuron_attributes):
        assert row["waveform_mean"].dtype == np.float32
        assert np.array_equal(row["waveform_mean"], templates[unit].astype(np.float32))
        assert row["waveform_sd"].shape == row["waveform_mean"].shape
        assert row["waveform_channels"].tolist() == list(range(8))
        assert row["electrode"] == largest[unit]
        assert row["location"] == places[unit].tolist()
        assert (
            row["num_spikes"] == metrics["num_spikes"].iloc[unit] == len(sd.train[unit])
        )
    assert sd.metadata["waveform_unit"] == "uV"


def test_channels_with_names():
    """Electrodes are then positions, and the names are kept."""
    made, truth = core.generate_ground_truth_recording(
        durations=[1.0], num_units=2, num_channels=2
    )
    made, truth = (
        made.rename_channels(["AP0", "AP1"]),
        core.NumpySorting.from_sorting(truth),
    )
    made = quietly(
        core.create_sorting_analyzer, truth, made, format="memory", sparse=False
    )
    quietly(made.compute, ["random_spikes", "templates"])
    sd = SpikeData.from_spikeinterface(made)
    assert sd.metadata["channel_ids"] == ["AP0", "AP1"]
    assert set(known(sd, "electrode")) <= {0, 1}
    assert (
        known(sd, "location")[0]
        == made.get_channel_locations()[known(sd, "electrode")[0]].tolist()
    )


@pytest.mark.parametrize("kind", ["binary_folder", "zarr"])
def test_an_analyzer_that_was_saved(kind, analyzer, tmp_path):
    """It is loaded as it is converted."""
    folder = tmp_path / ("saved.zarr" if kind == "zarr" else "saved")
    quietly(analyzer.save_as, format=kind, folder=folder)
    try:
        back = quietly(load, folder)
    except FormatError as error:
        # numcodecs no longer unpickles what SpikeInterface before 0.105 wrote.
        if "Pickle.decode is disabled" not in str(error):
            raise
        pytest.skip("this version of SpikeInterface writes pickles")
    sd = SpikeData.from_spikeinterface(analyzer)
    assert (back.N, back.length) == (sd.N, sd.length)
    for key in ("unit_id", "electrode", "location", "num_spikes"):
        assert known(back, key) == known(sd, key)
    for one, other in zip(back.neuron_attributes, sd.neuron_attributes, strict=True):
        assert np.array_equal(one["waveform_mean"], other["waveform_mean"])


@pytest.mark.parametrize("name", ["saved", "saved.zarr"])
def test_a_sorting_that_was_saved(name, tmp_path):
    """As a folder and as Zarr, with options of load."""
    kind = "zarr" if name.endswith("zarr") else "numpy_folder"
    quietly(sorting().save, folder=tmp_path / name, format=kind)
    assert load(tmp_path / name) == SpikeData.from_spikeinterface(sorting())
    longer = load(tmp_path / name, length_ms=50.0, metadata={"day": 3})
    assert (longer.length, longer.metadata["day"]) == (50.0, 3)


def test_the_command_line(tmp_path):
    """It converts the folder like any other source."""
    quietly(sorting().save, folder=tmp_path / "saved")
    target = tmp_path / "cells.nwb"
    assert main(["convert", str(tmp_path / "saved"), str(target)]) == 0
    assert known(load(target), "unit_id") == [7, 3, 5]


# SpikeInterface 0.102 leaves the file of a recording open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_folders_that_are_refused(tmp_path, monkeypatch):
    """A recording, a damaged folder, a name that promises NWB; without the package."""
    quietly(recording().save, folder=tmp_path / "raw", verbose=False)
    with pytest.raises(FormatError, match="must hold a sorting or a sorting analyzer"):
        load(tmp_path / "raw")
    quietly(sorting().save, folder=tmp_path / "cells.nwb")
    with pytest.raises(FormatError, match=r"named as a file of nwb.* SpikeInterface"):
        load(tmp_path / "cells.nwb")
    folder = (tmp_path / "cells.nwb").rename(tmp_path / "cells")
    (folder / "spikes.npy").unlink()
    with pytest.raises(FormatError, match="SpikeInterface cannot open it"):
        load(folder)
    monkeypatch.setitem(__import__("sys").modules, "spikeinterface.core", None)
    with pytest.raises(MissingExtraError, match=r"spikelab\[spikeinterface\]"):
        load(folder)
    assert registry.recognised(folder).name == "spikeinterface"
