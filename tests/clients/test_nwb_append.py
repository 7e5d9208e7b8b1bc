"""Units added to sessions of other programs with pynwb."""

import warnings
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import h5py
import numpy as np
import pynwb
import pytest

from spikelab import SpikeData, load
from spikelab.formats.nwb.append import add_to_nwbfile, append_to_file

START = datetime(2024, 5, 17, 14, 3, tzinfo=UTC)
MEAN = np.random.default_rng(0).random((6, 2)).astype(np.float32)


def new_session(**facts):
    """A session with raw data and trials, to be written."""
    file = pynwb.NWBFile(
        session_description="d",
        identifier="i",
        session_start_time=START,
        **facts,
    )
    raw = np.random.default_rng(1).random((50, 3))
    file.add_acquisition(pynwb.TimeSeries(name="raw", data=raw, unit="V", rate=1e3))
    file.add_trial(start_time=0.5, stop_time=1.5)
    return file


def with_electrodes(file):
    """A probe with the ids 100 to 103."""
    device = file.create_device(name="probe")
    group = file.create_electrode_group(
        name="shank", description="d", location="CA1", device=device
    )
    for i in range(4):
        x = float(i)
        file.add_electrode(id=100 + i, x=x, y=0.0, z=0.0, location="CA1", group=group)
    return file


def saved(file, path):
    """Write a file with pynwb."""
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def errors_in(path):
    """What pynwb's validator finds."""
    if int(version("pynwb").split(".")[0]) >= 3:
        return pynwb.validate(path=str(path))
    errors, status = pynwb.validate(paths=[str(path)])
    assert status == 0
    return errors


def values_in(path):
    """The bytes of every dataset of numbers or text."""
    found = {}
    with h5py.File(path) as file:

        def visit(name, data):
            if isinstance(data, h5py.Dataset) and data.dtype != h5py.ref_dtype:
                found[name] = np.asarray(data[()]).tolist()

        file.visititems(visit)
    return found


def recording(**more):
    """Three units, one silent, with attributes of every kind."""
    attributes = [
        {"electrode": 101, "quality": "good", "snr": 1.5, "ok": True, "isi": [1, 2]},
        {"electrode": [100, 103], "quality": "mua", "ok": False, "isi": []},
        {"electrode": 101, "quality": "", "snr": 2.5, "ok": True, "isi": [3]},
    ]
    for unit in (0, 2):
        attributes[unit].update(waveform_mean=MEAN + unit, waveform_sd=MEAN)
    return SpikeData(
        [[1.25, 2.5], [], [40.0]],
        length=50.0,
        neuron_attributes=attributes,
        **{"metadata": {"fs_Hz": 30_000.0}, **more},
    )


@pytest.mark.parametrize("make", [with_electrodes, lambda file: file])
def test_all_else_stays_and_the_file_is_valid(make, tmp_path):
    """With electrodes that are there, and without."""
    path = saved(make(new_session()), tmp_path / "session.nwb")
    before = values_in(path)
    assert append_to_file(recording(), path) == str(path)
    after = values_in(path)
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} <= {
        "units",
        "general",
        "specifications",
    }
    assert errors_in(path) == []
    assert list(tmp_path.iterdir()) == [path]


def test_units_are_those_of_the_recording(tmp_path):
    """For pynwb, and for our own loader."""
    path = saved(with_electrodes(new_session()), tmp_path / "session.nwb")
    append_to_file(recording(), path)
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        units = file.units
        assert units.get_unit_spike_times(0).tolist() == [0.00125, 0.0025]
        assert len(units.get_unit_spike_times(1)) == 0
        assert units.get_unit_obs_intervals(2).tolist() == [[0.0, 0.05]]
        assert units["electrodes"][1].index.tolist() == [100, 103]
        assert (units.resolution, units.waveform_rate) == (1 / 30_000.0, 30_000.0)
        np.testing.assert_array_equal(units["waveform_mean"][2], MEAN + 2)
        assert np.isnan(units["waveform_mean"][1]).all()
        assert units["ok"][:].tolist() == [True, False, True]
        assert [list(unit) for unit in units["isi"][:]] == [[1, 2], [], [3]]
    found = load(path)
    assert found.spike_trains.counts.tolist() == [2, 0, 1]
    assert [unit["quality"] for unit in found.neuron_attributes] == ["good", "mua", ""]
    assert found.neuron_attributes[1]["electrode"] == [100, 103]
    assert found.metadata["fs_Hz"] == pytest.approx(30_000)


def test_a_session_without_electrodes_gets_them(tmp_path):
    """With place and brain area, also by name."""
    for labels in ([7, 9], ["A1", "B2"]):
        attributes = [
            {"electrode": label, "location": [1.0, 2.0 * i], "brain_area": "CA3"}
            for i, label in enumerate(labels)
        ]
        sd = SpikeData([[1.0], [2.0]], neuron_attributes=attributes)
        file = add_to_nwbfile(sd, new_session())
        table = file.electrodes.to_dataframe()
        assert table["y"].tolist() == [0.0, 2.0]
        assert set(table["location"]) == {"CA3"}
        names = table.get("electrode_name", table.index.to_series())
        assert names.tolist() == labels
        saved(file, tmp_path / "a.nwb")
        assert errors_in(tmp_path / "a.nwb") == []


def test_what_cannot_be_added_leaves_the_file_as_it_was(tmp_path):
    """Units that are there, an electrode that is not; nothing is half added."""
    path = saved(with_electrodes(new_session()), tmp_path / "session.nwb")
    before = path.read_bytes()
    sd = recording()
    sd.neuron_attributes[2]["electrode"] = 55
    with pytest.raises(ValueError, match=r"hold all of ours by their id, .* \[55\]"):
        append_to_file(sd, path)
    assert path.read_bytes() == before
    file = with_electrodes(new_session())
    with pytest.raises(ValueError, match="electrodes of nwbfile"):
        add_to_nwbfile(sd, file)
    assert file.units is None
    sd.neuron_attributes[2]["electrode"] = "A1"
    with pytest.raises(ValueError, match="electrode"):
        add_to_nwbfile(SpikeData([[1.0]], neuron_attributes=[{"ch": "A1"}]), file)
    append_to_file(recording(), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="must have no units yet, got a table of 3"):
        append_to_file(recording(), path)
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="no such file"):
        append_to_file(recording(), tmp_path / "nothing.nwb")
    assert list(tmp_path.iterdir()) == [path]


def test_spikes_keep_their_time_of_day():
    """Where the session counts from a later moment, or the recording was cut."""
    later = timedelta(seconds=2)
    file = new_session(timestamps_reference_time=START + later)
    sd = SpikeData([[3000.0]], length=5000.0).subtime(1000.0, 5000.0)
    add_to_nwbfile(sd, file)
    assert file.units.get_unit_spike_times(0).tolist() == [1.0]
    assert file.units.get_unit_obs_intervals(0).tolist() == [[-1.0, 3.0]]
    sd = SpikeData([[3000.0]], metadata={"time_zero_ms": "noon"})
    file = add_to_nwbfile(sd, new_session())
    assert file.units.get_unit_spike_times(0).tolist() == [3.0]


def test_another_start_of_the_session_is_said():
    """The times stay as they are; the same moment in another zone is the same start."""
    fields = {"session_start_time": "2024-05-17T16:03:00+02:00"}
    sd = SpikeData([[3000.0]], metadata={"nwb_session": fields})
    add_to_nwbfile(sd, new_session())
    fields["session_start_time"] = "2024-05-17T16:03:30+02:00"
    with pytest.warns(UserWarning, match="started at 2024-05-17T16:03:30"):
        file = add_to_nwbfile(sd, new_session())
    assert file.units.get_unit_spike_times(0).tolist() == [3.0]
    sd.neuron_attributes = [{"electrode": 4}]
    file = new_session()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="started at 2024-05-17T16:03:30"):
            add_to_nwbfile(sd, file)
    assert file.electrodes is file.units is None


def test_attributes_that_make_no_column_are_named():
    """As in an export."""
    sd = SpikeData([[1.0]], neuron_attributes=[{"fit": {}, "a/b": 1}])
    with pytest.warns(UserWarning, match="'fit' is left out.*'a/b' is written as"):
        file = add_to_nwbfile(sd, new_session())
    assert "a_b" in file.units.colnames


def test_zarr(tmp_path):
    """The same file goes to hdmf_zarr."""
    zarr = pytest.importorskip("hdmf_zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zarr.NWBZarrIO(str(tmp_path / "a.zarr"), mode="w") as io:
            io.write(add_to_nwbfile(recording(), with_electrodes(new_session())))
        with zarr.NWBZarrIO(str(tmp_path / "a.zarr"), mode="r") as io:
            units = io.read().units
            assert units["spike_times"][0].tolist() == [0.00125, 0.0025]
            assert list(units["quality"][:]) == ["good", "mua", ""]
            np.testing.assert_array_equal(units["waveform_mean"][0], MEAN)
    with pytest.raises(ValueError, match="Zarr"):
        load(tmp_path / "a.zarr")
