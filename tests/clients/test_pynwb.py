"""NWB files in pynwb, from its lowest supported version on, in both directions."""

from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import pynwb
import pytest
from recordings import assert_same_recording, simulated
from siblings import SIBLINGS, few_rate_slices, few_rates

from spikelab import SpikeData, load, load_spikedata_from_nwb
from spikelab.spikedata.differences import equal

START = datetime(2024, 5, 17, 14, 3, tzinfo=UTC)


def errors_in(path):
    """What pynwb's validator finds."""
    if int(version("pynwb").split(".")[0]) >= 3:
        return pynwb.validate(path=str(path))
    errors, status = pynwb.validate(paths=[str(path)])
    assert status == 0
    return errors


def units_in(path):
    """Ids and spike times in seconds, windows, and the table, as pynwb reads them."""
    with pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
        units = io.read().units
        rows = range(len(units))
        return (
            units.id[:].tolist(),
            [np.asarray(units.get_unit_spike_times(row)) for row in rows],
            [np.asarray(units.get_unit_obs_intervals(row)).tolist() for row in rows],
            units.to_dataframe(),
        )


def test_our_files_are_valid_and_hold_the_same(
    recording, tmp_path, quietly, session, subject
):
    """No error, and the same units, spikes and window."""
    path = tmp_path / "a.nwb"
    quietly(recording.to_nwb, path, session=session, subject=subject, fs_Hz=30_000.0)
    assert errors_in(path) == []
    ids, trains, windows, _ = units_in(path)
    assert ids == list(range(recording.N))
    assert len(trains) == recording.N
    for found, expected in zip(trains, recording.train, strict=True):
        np.testing.assert_array_equal(found, expected / 1000)
    start, stop = recording.start_time, recording.start_time + recording.length
    for (window,) in windows:
        np.testing.assert_allclose(window, [start / 1000, stop / 1000], rtol=1e-15)


def test_our_files_are_valid_without_a_session(recording, tmp_path, quietly):
    """And their start says that it is a placeholder."""
    quietly(recording.to_nwb, tmp_path / "a.nwb")
    assert errors_in(tmp_path / "a.nwb") == []
    with pynwb.NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        file = io.read()
        assert file.session_start_time == datetime(1970, 1, 1, tzinfo=UTC)
        assert "placeholder" in file.session_description


def test_attributes_are_columns(tmp_path):
    """Numbers, truth values, text, arrays of both kinds, missing ones, odd names."""
    attributes = [
        {
            "snr": 1.5 * unit,
            "n": unit,
            "good": unit > 0,
            "half": np.float16(unit),
            "label": f"é{unit}",
            "wave": np.full((2, 3), unit, dtype=np.float32),
            "isi": np.arange(unit),
            "tags": ["a"] * unit,
            "a/b": unit,
            "description": "d",
        }
        for unit in range(3)
    ]
    attributes[1].pop("snr")
    attributes[2].pop("label")
    sd = SpikeData([[1.0], [], [2.0]], length=5.0, neuron_attributes=attributes)
    with pytest.warns(UserWarning, match="'a/b' is written as 'a_b'"):
        sd.to_nwb(tmp_path / "a.nwb")
    assert errors_in(tmp_path / "a.nwb") == []
    *_, table = units_in(tmp_path / "a.nwb")
    np.testing.assert_array_equal(table["snr"], [0.0, np.nan, 3.0])
    assert table["n"].tolist() == [0, 1, 2]
    assert table["good"].tolist() == [False, True, True]
    assert table["half"].tolist() == [0, 1, 2]
    assert table["label"].tolist() == ["é0", "é1", ""]
    assert [w.tolist() for w in table["wave"]] == [[[u] * 3] * 2 for u in range(3)]
    assert [list(i) for i in table["isi"]] == [[], [0], [0, 1]]
    assert [list(t) for t in table["tags"]] == [[], ["a"], ["a", "a"]]
    assert table["a_b"].tolist() == [0, 1, 2]
    assert table["description_"].tolist() == ["d"] * 3


def test_electrodes_are_a_table(tmp_path):
    """Units point to the rows of unique electrodes."""
    sd = simulated()
    sd.to_nwb(tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        file = io.read()
        table = file.electrodes.to_dataframe()
        assert table.index.tolist() == [0, 1, 2]
        assert table["x"].tolist() == [0.0, 20.0, 40.0]
        assert table["y"].tolist() == [5.0] * 3
        (group,) = set(table["group"])
        assert group.device is file.devices["recording_device"]
        found = [file.units["electrodes"][unit].index.tolist() for unit in range(sd.N)]
        assert found == [[0], [0], [1], [1], [2], [2]]


def pynwb_file():
    """A file as its users begin it."""
    return pynwb.NWBFile(
        session_description="d", identifier="i", session_start_time=START
    )


def saved(file, path):
    """Write a file with pynwb."""
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def loaded_both_ways(path):
    """The file as we read it, which does not depend on `prefer_pynwb`."""
    with_pynwb = load_spikedata_from_nwb(path)
    without = load_spikedata_from_nwb(path, prefer_pynwb=False)
    assert_same_recording(with_pynwb, without)
    assert equal(with_pynwb.neuron_attributes, without.neuron_attributes)
    assert with_pynwb.metadata == without.metadata
    return with_pynwb


@pytest.mark.filterwarnings("ignore:columns of the units left out. electrode_group")
def test_units_of_pynwb_load(tmp_path):
    """Spikes, window, electrodes by their rows, and columns of every kind."""
    file = pynwb_file()
    device = file.create_device("d")
    group = file.create_electrode_group(
        "g", description="d", location="CA1", device=device
    )
    for number in (30, 10, 20):
        file.add_electrode(
            id=number, x=number / 10, y=2.0, z=3.0, location="CA1", group=group
        )
    file.add_unit_column("quality", "d")
    file.add_unit_column("depths", "d", index=True)
    trains = [[0.5, 1.25], [], [2.0]]
    for unit, times in enumerate(trains):
        file.add_unit(
            id=unit + 7,
            spike_times=times,
            obs_intervals=[[0.25, 1.0], [1.0, 3.0]],
            electrodes=[unit, 0],
            quality=f"q{unit}",
            depths=[1.5] * unit,
            waveform_mean=np.arange(4.0) + unit,
            electrode_group=group,
        )
    sd = loaded_both_ways(saved(file, tmp_path / "a.nwb"))
    assert [t.tolist() for t in sd.train] == [[500.0, 1250.0], [], [2000.0]]
    assert (sd.start_time, sd.length) == (250.0, 2750.0)
    for unit, (found, number) in enumerate(
        zip(sd.neuron_attributes, (30, 10, 20), strict=True)
    ):
        assert found.pop("depths").tolist() == [1.5] * unit
        assert found.pop("waveform_mean").tolist() == [
            unit,
            unit + 1,
            unit + 2,
            unit + 3,
        ]
        assert found == {
            "unit_id": unit + 7,
            "electrode": [number, 30],
            "brain_area": "CA1",
            "quality": f"q{unit}",
        }


def test_silent_units_of_pynwb_load(tmp_path):
    """Those without spikes, and a table without any spike times."""
    file = pynwb_file()
    for times in ([], [1.0], []):
        file.add_unit(spike_times=times)
    sd = loaded_both_ways(saved(file, tmp_path / "a.nwb"))
    assert [len(t) for t in sd.train] == [0, 1, 0]
    file = pynwb_file()
    file.add_unit_column("snr", "d")
    file.add_unit(snr=1.0)
    file.add_unit(snr=2.0)
    with pytest.warns(UserWarning, match="the units have no 'spike_times'"):
        sd = loaded_both_ways(saved(file, tmp_path / "b.nwb"))
    assert sd.neuron_attributes == [
        {"unit_id": 0, "snr": 1.0},
        {"unit_id": 1, "snr": 2.0},
    ]
    assert sd.N == 2


def test_the_sampling_rate_of_pynwb_loads(tmp_path):
    """From the resolution of the units."""
    file = pynwb_file()
    file.units = pynwb.misc.Units(name="units", description="d", resolution=1 / 30_000)
    file.add_unit(spike_times=[1.0, 2.0])
    sd = loaded_both_ways(saved(file, tmp_path / "a.nwb"))
    assert sd.metadata["fs_Hz"] == pytest.approx(30_000)


def test_a_file_of_pynwb_without_units_is_refused(tmp_path):
    """With the same error on both ways."""
    path = saved(pynwb_file(), tmp_path / "a.nwb")
    for prefer_pynwb in (True, False):
        with pytest.raises(ValueError, match="has no 'units'"):
            load_spikedata_from_nwb(path, prefer_pynwb=prefer_pynwb)


def test_pynwb_is_not_led_out_of_the_file(tmp_path):
    """A link to another file is an error also where pynwb would follow it."""
    file = pynwb_file()
    file.add_unit(spike_times=[1.0])
    saved(file, tmp_path / "other.nwb")
    path = saved(pynwb_file(), tmp_path / "a.nwb")
    import h5py

    with h5py.File(path, "a") as opened:
        opened["units"] = h5py.ExternalLink("other.nwb", "units")
    with pytest.raises(ValueError, match="must not lead out of the file"):
        load_spikedata_from_nwb(path)
    with h5py.File(path, "a") as opened:
        del opened["units"]
        opened["units"] = h5py.SoftLink("/units")
    with pytest.raises(ValueError, match="nor in a ring"):
        load_spikedata_from_nwb(path)


def test_a_circle_through_pynwb_ends_where_it_began(full_recording, tmp_path):
    """Ours, read and written again by pynwb, is still the same recording."""
    full_recording.to_nwb(tmp_path / "ours.nwb", fs_Hz=30_000.0)
    with pynwb.NWBHDF5IO(str(tmp_path / "ours.nwb"), "r") as source:
        file = source.read()
        with pynwb.NWBHDF5IO(str(tmp_path / "theirs.nwb"), "w") as target:
            target.export(src_io=source, nwbfile=file)
    sd = loaded_both_ways(tmp_path / "theirs.nwb")
    assert_same_recording(
        SpikeData(
            sd.train, start_time=full_recording.start_time, length=full_recording.length
        ),
        full_recording,
        slack_ms=1e-8,
    )
    assert sd.length == pytest.approx(full_recording.length)
    assert errors_in(tmp_path / "theirs.nwb") == []


@pytest.mark.parametrize("name", SIBLINGS)
def test_rates_comparisons_and_slices_are_valid(name, tmp_path, quietly):
    """And open: series with the time first, one row per unit, windows as trials."""
    obj = SIBLINGS[name]()
    quietly(obj.to_nwb, tmp_path / "a.nwb")
    assert errors_in(tmp_path / "a.nwb") == []
    with pynwb.NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        file = io.read()
        if (windows := getattr(obj, "times", None)) is not None and name != "rates":
            trials = file.trials.to_dataframe()
            np.testing.assert_allclose(
                trials[["start_time", "stop_time"]], np.array(windows) / 1000
            )
        SHOWN[type(obj).__name__](obj, file)


def shows_rates(obj, file):
    """A column of the series for each unit."""
    series = file.processing["ecephys"]["firing_rates"]
    np.testing.assert_array_equal(series.data[:], obj.inst_Frate_data.T)
    np.testing.assert_allclose(series.timestamps[:], obj.times / 1000)
    assert file.units is None
    assert len(file.processing["ecephys"]["unit_attributes"]) == obj.N


@pytest.mark.parametrize("make", [few_rates, few_rate_slices])
def test_rates_with_fewer_times_than_units_are_a_table(make, tmp_path):
    """A row for each time; it is valid, and comes back."""
    obj, path = make(), tmp_path / "a.nwb"
    obj.to_nwb(path, verify=True, strict=True)
    assert errors_in(path) == []
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        table = io.read().processing["ecephys"]["firing_rates"]
        rates = np.reshape(table["data"].data[:].T, (obj.N, -1), order="F")
        expected = getattr(obj, "inst_Frate_data", None)
        if expected is None:
            expected = obj.event_stack.transpose(0, 2, 1).reshape(obj.N, -1)
        np.testing.assert_array_equal(rates, expected)
        assert len(table["timestamps"]) == rates.shape[1]
    assert load(path) == obj


def shows_rate_slices(obj, file):
    """Each trial finds its rows of the series."""
    assert file.units is None
    for i in range(len(obj)):
        (rows,) = file.trials["timeseries"][i]
        np.testing.assert_array_equal(rows.data.T, obj.event_stack[:, :, i])


def shows_comparison(obj, file):
    """A row for each unit, with its label."""
    table = file.processing["ecephys"]["pairwise_comparison"]
    values = obj.matrix if hasattr(obj, "matrix") else obj.stack
    np.testing.assert_array_equal(table["comparison"].data[:], values)
    if obj.labels is not None:
        assert list(table["label"].data[:]) == list(map(str, obj.labels))


def shows_slices(obj, file):
    """Each spike of each window, once, in the time of the recording."""
    for unit in range(obj.N):
        times = np.asarray(file.units.get_unit_spike_times(unit)) * 1000
        for piece, (start, stop) in zip(obj, obj.times, strict=True):
            found = times[(times >= start) & (times < stop)]
            expected = piece.train[unit] - piece.start_time + start
            np.testing.assert_allclose(found, expected)


SHOWN = {
    "RateData": shows_rates,
    "RateSliceStack": shows_rate_slices,
    "PairwiseCompMatrix": shows_comparison,
    "PairwiseCompMatrixStack": shows_comparison,
    "SpikeSliceStack": shows_slices,
}
