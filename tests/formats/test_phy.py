"""Phy folders: what is on the disk, and what comes back, also after a curation."""

import json
import re
import warnings

import numpy as np
import pytest
from contract import FolderContract, snapshot
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, linear_track, simulated

from spikelab import SpikeData, SpikeSliceStack, load
from spikelab.data_loaders.data_exporters import export_spikedata_to_phy
from spikelab.errors import LossError, VerificationError
from spikelab.formats import KiloSortWriter, PhyWriter
from spikelab.formats.phy import raw

FS = 30_000.0


class TestPhy(FolderContract):
    """The contract of every format."""

    method, target = "to_phy", "phy"
    options = {"fs_Hz": FS}
    wrong_options = (
        *(
            {"fs_Hz": rate}
            for rate in (float("nan"), float("inf"), 0, -1.0, "30", None)
        ),
        {"cluster_ids": [1, 2]},
        {"cluster_ids": [0, 1, 2, 3, 4, 4]},
        {"cluster_ids": [0, 1, 2, 3, 4, 5.0]},
        {"cluster_ids": [0, 1, 2, 3, 4, -5]},
        {"raw_data": 1},
        {"raw_data": True},
    )

    def slack_ms(self, sd):
        """Times off the sampling grid move to it."""
        last = max(abs(sd.start_time), abs(sd.start_time + sd.length))
        return 500 / FS + 4 * float(np.spacing(last))

    def writes(self, sd):
        """Phy opens nothing with fewer than two spikes."""
        return sum(map(len, sd.train)) >= 2


def pair(**arguments):
    """Two units of which little is known."""
    return SpikeData([[1.0, 3.0], [1.0, 2.0]], length=5.0, **arguments)


def with_attribute(name, values):
    """As many units as values, each with two spikes."""
    return SpikeData(
        [[1.0, 2.0] for _ in values],
        length=5.0,
        neuron_attributes=[{name: value} for value in values],
    )


def array(folder, name):
    """One of the arrays of a folder."""
    return np.load(folder / f"{name}.npy")


def recorded(
    n_channels=3, start_ms=0.0, dtype=np.float32, fs_kHz=30.0, attributes=True
):
    """Voltages in which unit u fires on channel u."""
    rng = np.random.default_rng(0)
    raw = rng.normal(scale=0.1, size=(n_channels, 3000)) + 100
    samples = np.array([[300, 900, 1500], [600, 1200, 2100]])
    for unit, fired in enumerate(samples):
        raw[unit, fired] -= 50
    return SpikeData(
        [s / fs_kHz + start_ms for s in samples],
        start_time=start_ms,
        length=200.0,
        raw_data=raw.astype(dtype),
        raw_time=np.arange(3000) / fs_kHz + start_ms,
        neuron_attributes=[{"electrode": 0}, {"electrode": 1}] if attributes else None,
    )


class TestOnTheDisk:
    """Names, dtypes and shapes that phylib, SpikeInterface and neo read."""

    def test_the_smallest_folder(self, tmp_path):
        """Two units of which nothing is known."""
        assert pair().to_phy(tmp_path / "phy", fs_Hz=FS) == str(
            tmp_path / "phy" / "params.py"
        )
        names = sorted(p.name for p in (tmp_path / "phy").iterdir())
        assert names == [
            "channel_map.npy",
            "channel_positions.npy",
            "cluster_group.tsv",
            "cluster_si_unit_id.tsv",
            "params.py",
            "spike_clusters.npy",
            "spike_templates.npy",
            "spike_times.npy",
            "spikelab.json",
            "template_ind.npy",
            "templates.npy",
        ]
        arrays = {p.stem: np.load(p) for p in (tmp_path / "phy").glob("*.npy")}
        assert {n: (a.dtype.name, a.shape) for n, a in arrays.items()} == {
            "channel_map": ("int32", (1,)),
            "channel_positions": ("float32", (1, 2)),
            "spike_clusters": ("int32", (4,)),
            "spike_templates": ("int32", (4,)),
            "spike_times": ("int64", (4,)),
            "template_ind": ("int32", (2, 1)),
            "templates": ("float32", (2, 2, 1)),
        }
        assert arrays["spike_times"].tolist() == [30, 30, 60, 90]
        assert arrays["spike_clusters"].tolist() == [0, 1, 1, 0]
        assert (tmp_path / "phy" / "params.py").read_text() == (
            "dat_path = []\nn_channels_dat = 1\ndtype = 'int16'\noffset = 0\n"
            "sample_rate = 30000.0\nhp_filtered = False\n"
        )

    @pytest.mark.parametrize("train", [[], [[]], [[], []], [[1.0], []]])
    def test_fewer_than_two_spikes(self, train, tmp_path):
        """Phy cannot open it, and the error says so."""
        sd = SpikeData(train, length=5.0)
        with pytest.raises(
            ValueError, match=r"Phy cannot open .* fewer than two spikes"
        ):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS)
        assert list(tmp_path.iterdir()) == []

    def test_a_late_start_stays_on_its_samples(self, tmp_path):
        """The real recording: exact, and read back exactly."""
        sd = linear_track()
        with pytest.warns(UserWarning, match="cannot hold start_time=4396997.5 ms"):
            sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        first = min(times[0] for times in sd.train if len(times))
        assert array(tmp_path, "spike_times")[0] == round(first * 30)
        assert_same_recording(load(tmp_path), sd)

    def test_an_event_centred_recording_starts_at_sample_0(self, tmp_path):
        """Nothing that neo refuses, and nothing changed when it is read back."""
        sd = SpikeData([[-2.0, 1.0]], start_time=-5.0, length=10.0)
        with pytest.warns(UserWarning, match="cannot hold start_time") as caught:
            sd.to_phy(tmp_path, fs_Hz=FS)
        assert caught[0].filename == __file__
        assert array(tmp_path, "spike_times").tolist() == [90, 180]
        assert_same_recording(load(tmp_path), sd)

    def test_no_path_is_absolute(self, tmp_path):
        """A folder can be moved."""
        recorded().to_phy(tmp_path / "phy", fs_Hz=FS, raw_data=True)
        for name, content in snapshot(tmp_path / "phy").items():
            assert str(tmp_path).encode() not in content, name


class TestChannels:
    """Channel map and positions."""

    def test_electrodes(self, tmp_path):
        """Their numbers are kept, their places come from the units on them."""
        attributes = [
            {"electrode": e, "location": [x, 1.0, 7.0]}
            for e, x in ((9, 0.5), (4, 3.0), (9, 0.6))
        ]
        sd = SpikeData([[1.0]] * 3, length=5.0, neuron_attributes=attributes)
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "channel_map").tolist() == [4, 9]
        assert array(tmp_path, "channel_positions").tolist() == [[3, 1], [0.5, 1]]
        assert array(tmp_path, "template_ind").tolist() == [[1], [0], [1]]
        assert "n_channels_dat = 10\n" in (tmp_path / "params.py").read_text()

    @pytest.mark.parametrize("numbers", [(-1, 5), (0, 2**40), ("a", "b"), (1.5, 2)])
    def test_electrodes_that_no_map_can_hold(self, numbers, tmp_path):
        """Channels are numbered from 0; the table has the electrodes."""
        sd = with_attribute("electrode", numbers)
        sd.to_phy(tmp_path, fs_Hz=FS)
        channel_map = array(tmp_path, "channel_map")
        assert channel_map.tolist() == list(range(len(channel_map)))
        assert load(tmp_path).get_neuron_attribute("electrode") == list(numbers)

    def test_locations_alone(self, tmp_path):
        """A channel per place."""
        sd = with_attribute("location", [[1.0, 2.0], [5.0, 6.0], [1.0, 2.0]])
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "channel_positions").tolist() == [[1, 2], [5, 6]]
        assert array(tmp_path, "template_ind").tolist() == [[0], [1], [0]]
        assert load(tmp_path).unit_locations.tolist() == [[1, 2], [5, 6], [1, 2]]
        assert load(tmp_path).electrodes is None

    @pytest.mark.parametrize(
        "locations",
        [
            [[1.0, 2.0], [np.nan, 2.0]],
            [[1.0], [2.0, 3.0]],
            ["left", "right"],
            [[1.0, 2.0], [1.0, 2.0, 3.0]],
        ],
    )
    def test_places_that_are_no_places(self, locations, tmp_path):
        """Not finite, not numbers: (0, 0), (0, 1) ... instead."""
        sd = with_attribute("location", locations)
        sd.set_neuron_attribute("electrode", [3, 8])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "channel_positions").tolist() == [[0, 0], [0, 1]]

    def test_places_that_are_not_known_lie_above_the_others(self, tmp_path):
        """A channel without a unit, or at the place of another one, costs no place."""
        two = recorded(n_channels=4)
        sd = SpikeData(
            [*two.train, [20.0]],
            length=two.length,
            raw_data=two.raw_data,
            raw_time=two.raw_time,
            neuron_attributes=[
                {"electrode": 0, "location": [1.0, 20.0]},
                {"electrode": 1, "location": [5.0, 10.0]},
                {"electrode": 2, "location": [5.0, 10.0]},
            ],
        )
        sd.to_phy(tmp_path, fs_Hz=FS, raw_data=True, verify=True)
        expected = [[1, 20], [5, 10], [5, 21], [5, 22]]
        assert array(tmp_path, "channel_positions").tolist() == expected
        lost = PhyWriter(fs_Hz=FS, raw_data=True).losses(sd)
        assert "places of 2 channels are not known: above the others" in lost

    @pytest.mark.parametrize(
        "electrodes", [[5, None, 7], ["A", None, "B"], [float("nan"), 5.0, 7.0]]
    )
    def test_no_electrode_is_invented(self, electrodes, tmp_path):
        """A unit whose electrode is not known has none when it is read, either."""
        sd = SpikeData([[1.0], [2.0], [3.0]], length=5.0)
        sd.neuron_attributes = [
            {} if e is None or e != e else {"electrode": e} for e in electrodes
        ]
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        found = [a.get("electrode") for a in load(tmp_path).neuron_attributes]
        assert found == [a.get("electrode") for a in sd.neuron_attributes]


class TestSeveralElectrodes:
    """A unit that was recorded with two contacts, as a tetrode's are."""

    def test_costs_that_unit_only(self, tmp_path):
        """The others keep electrode, brain area and place."""
        rows = [
            {"electrode": e, "brain_area": area, "location": place}
            for e, area, place in (
                (4, "CA1", [0.0, 80.0]),
                ([5, 7], ["CA1", "CA3"], None),
                (9, "CA3", [0.0, 180.0]),
            )
        ]
        del rows[1]["location"]
        sd = SpikeData([[1.0], [2.0], [3.0]], length=5.0, neuron_attributes=rows)
        with pytest.warns(UserWarning, match="left out") as caught:
            sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        assert [str(warning.message) for warning in caught] == [
            "to_phy: neuron_attributes electrode of unit 1, brain_area of unit 1 left "
            "out: a cell of a table holds one value"
        ]
        assert [
            line for line in PhyWriter(fs_Hz=FS).losses(sd) if "neuron" in line
        ] == [
            "neuron_attributes['electrode'] [5, 7] (Phy and neo cannot read it)",
            "neuron_attributes['brain_area'] ['CA1', 'CA3'] (Phy and neo cannot read it)",
        ]
        assert array(tmp_path, "channel_map").tolist() == [4, 5, 9]
        positions = array(tmp_path, "channel_positions").tolist()
        assert positions == [[0, 80], [0, 181], [0, 180]]
        del rows[1]["electrode"], rows[1]["brain_area"]
        found = load(tmp_path).neuron_attributes
        assert found == [{"unit_id": unit, **row} for unit, row in enumerate(rows)]


class TestGaps:
    """What is known about units, with gaps and names that others use."""

    @pytest.mark.parametrize(
        "locations", [[[1.0, 2.0], None, [3.0, 4.5]], [[10.0], [20.0], None]]
    )
    def test_a_location_may_be_missing_or_a_single_number(self, locations, tmp_path):
        """The others keep theirs."""
        sd = SpikeData([[1.0], [2.0], [3.0]], length=5.0)
        sd.neuron_attributes = [
            {} if place is None else {"location": place} for place in locations
        ]
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        found = [a.get("location") for a in load(tmp_path).neuron_attributes]
        assert found == locations

    def test_two_kinds_of_ids_stay_apart(self, tmp_path):
        """One is what SpikeInterface shows, the other an attribute like any other."""
        sd = with_attribute("unit_id", [100, 101])
        sd.set_neuron_attribute("si_unit_id", [50, 51])
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        found = load(tmp_path)
        assert found.get_neuron_attribute("unit_id") == [100, 101]
        assert found.get_neuron_attribute("si_unit_id") == [50, 51]
        table = (tmp_path / "cluster_si_unit_id.tsv").read_text()
        assert table == "cluster_id\tsi_unit_id\n0\t100\n1\t101\n"

    def test_names_that_make_no_file_are_left_out(self, tmp_path):
        """Longer than file names are, or none at all."""
        sd = with_attribute("x" * 300, [1, 2])
        sd.set_neuron_attribute(None, ["good", "mua"])
        with pytest.warns(UserWarning, match=r"x+, None left out"):
            sd.to_phy(tmp_path, fs_Hz=FS)
        groups = (tmp_path / "cluster_group.tsv").read_text()
        assert groups == "cluster_id\tgroup\n0\tunsorted\n1\tunsorted\n"


class TestTemplates:
    """templates.npy and template_ind.npy."""

    def test_placeholders_say_what_they_are(self, tmp_path):
        """Flat, in the sidecar, and in what would be lost."""
        pair().to_phy(tmp_path, fs_Hz=FS)
        assert np.all(array(tmp_path, "templates") == 1)
        sidecar = json.loads((tmp_path / "spikelab.json").read_text())
        assert sidecar["templates"] == "placeholder"
        assert PhyWriter(fs_Hz=FS).losses(pair()) == [
            "templates are not known: flat placeholders"
        ]

    def test_of_one_channel(self, tmp_path):
        """On the electrode of the unit; padded to the longest; silent for none."""
        sd = with_attribute("template", [[1.0, -3.0, 2.0], None, [4.0, np.nan]])
        sd.set_neuron_attribute("electrode", [5, 5, 2])
        sd.to_phy(tmp_path, fs_Hz=FS)
        found = array(tmp_path, "templates")[:, :, 0].tolist()
        assert found == [[1, -3, 2], [1, 1, 1], [4, 0, 0]]
        assert array(tmp_path, "template_ind").tolist() == [[1], [1], [0]]
        assert PhyWriter(fs_Hz=FS).losses(sd) == [
            "templates of 1 units are not known: flat placeholders",
            "neuron_attributes['template'] (it comes back as 'waveform_mean')",
            "neuron_attributes['template'] of 1 units (templates are finite float32 of "
            "one length)",
        ]

    def test_of_all_electrodes_of_a_probe(self, tmp_path):
        """A column for each electrode, units on only some of them."""
        template = np.zeros((5, 4))
        template[2] = [-1.0, -9.0, -3.0, 0.5]
        sd = with_attribute("template", [template, np.roll(template, 1, axis=1)])
        sd.set_neuron_attribute("electrode", [1, 2])
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        assert array(tmp_path, "channel_map").tolist() == [0, 1, 2, 3]
        assert array(tmp_path, "template_ind").tolist() == [[1, 2, 0, 3], [2, 3, 1, 0]]
        assert [line.split(" (")[0] for line in PhyWriter(fs_Hz=FS).losses(sd)] == [
            "neuron_attributes['template']"
        ]
        assert load(tmp_path).electrodes.tolist() == [1, 2]

    def test_of_all_channels(self, tmp_path):
        """Every one of them, the largest first, as phylib expects it."""
        template = np.zeros((20, 30))
        template[10] = np.arange(30)
        sd = with_attribute("waveform", [template, -template])
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "templates").shape == (2, 20, 30)
        assert array(tmp_path, "template_ind")[0].tolist() == list(range(29, -1, -1))
        assert array(tmp_path, "templates")[1, 10, 0] == -29
        found = load(tmp_path).neuron_attributes[0]["waveform_mean"]
        np.testing.assert_array_equal(found, template.astype(np.float32))

    def test_of_channels_nobody_knows(self, tmp_path):
        """The largest column, on the electrode of the unit."""
        template = np.array([[0, 0, 0], [1, 9, 2], [0, 0, 0.0]])
        sd = with_attribute("template", [template, template])
        sd.set_neuron_attribute("electrode", [3, 8])
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "templates")[0, :, 0].tolist() == [0, 9, 0]
        assert array(tmp_path, "template_ind")[:, 0].tolist() == [0, 1]
        assert "other than their largest channel" in PhyWriter(fs_Hz=FS).losses(sd)[0]

    def test_channels_first_if_only_that_fits_the_raw_data(self, tmp_path):
        """(channels, samples) is turned; (samples, channels) is taken as it is."""
        sd = recorded()
        template = np.zeros((3, 8))
        template[2, 4] = -1
        sd.set_neuron_attribute("template", [template, template])
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "templates").shape[1] == 8

    def test_a_single_unit_on_several_channels(self, tmp_path):
        """An unused template follows, because phylib drops axes of length 1."""
        sd = with_attribute("template", [np.eye(4)])
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert array(tmp_path, "templates").shape == (2, 4, 4)
        assert load(tmp_path).N == 1

    def test_averages_of_raw_data(self, tmp_path):
        """Where the unit fires, less the mean, 1 ms to either side."""
        sd = recorded(attributes=False)
        sd.to_phy(tmp_path, fs_Hz=FS)
        templates, where = (array(tmp_path, n) for n in ("templates", "template_ind"))
        assert templates.shape == (2, 60, 3)
        assert where[:, 0].tolist() == [0, 1]
        assert np.argmin(templates[0, :, 0]) == 30
        np.testing.assert_allclose(templates[:, 30, 0], -50, atol=1.5)
        np.testing.assert_allclose(templates.mean(axis=1), 0, atol=1e-4)
        assert not (tmp_path / "recording.dat").exists()

    def test_raw_data_at_another_rate_are_not_averaged(self, tmp_path):
        """Samples of spikes would not be samples of voltages."""
        recorded(fs_kHz=20.0).to_phy(tmp_path, fs_Hz=FS)
        assert np.all(array(tmp_path, "templates") == 1)

    def test_what_is_no_template_stays_an_attribute(self, tmp_path):
        """A number, or a text, is a column like any other."""
        with_attribute("template", [3, 4]).to_phy(tmp_path, fs_Hz=FS)
        assert load(tmp_path).get_neuron_attribute("template") == [3, 4]


class TestRawData:
    """recording.dat."""

    @pytest.mark.parametrize(
        ("dtype", "written"),
        [
            ("int16", "int16"),
            ("float32", "float32"),
            ("float64", "float32"),
            ("int32",) * 2,
        ],
    )
    def test_samples_by_channels_without_scaling(
        self, dtype, written, tmp_path, monkeypatch
    ):
        """Block by block, the numbers as they are."""
        monkeypatch.setattr(raw, "BLOCK", 1000)
        written = "float32" if dtype == "int32" else written
        sd = recorded(dtype=dtype)
        sd.to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        found = np.fromfile(tmp_path / "recording.dat", dtype=written).reshape(-1, 3)
        np.testing.assert_array_equal(found.T, sd.raw_data.astype(written))
        params = (tmp_path / "params.py").read_text()
        assert (
            f"dat_path = 'recording.dat'\nn_channels_dat = 3\ndtype = '{written}'"
            in params
        )

    def test_one_channel(self, tmp_path):
        """Of shape (samples,)."""
        sd = recorded(n_channels=2)
        sd.raw_data = sd.raw_data[0]
        sd.to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        found = np.fromfile(tmp_path / "recording.dat", dtype=np.float32)
        np.testing.assert_array_equal(found, sd.raw_data)

    def test_sample_0_is_the_first_raw_sample(self, tmp_path):
        """So that spikes lie on their voltages; read back on their times."""
        sd = recorded(start_ms=5000.0)
        with pytest.warns(UserWarning, match="cannot hold start_time"):
            sd.to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        assert array(tmp_path, "spike_times")[0] == 300
        assert_same_recording(load(tmp_path), sd, 1e-9)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda sd: {"raw_time": sd.raw_time * 1.001}, "must be spaced by 1/fs_Hz"),
            (
                lambda sd: {"raw_time": sd.raw_time * np.nan},
                "must be spaced by 1/fs_Hz",
            ),
            (
                lambda sd: {"raw_time": np.append(sd.raw_time[:-1], 1e3)},
                "at sample 2999",
            ),
            (
                lambda sd: {"raw_time": sd.raw_time + 50},
                r"cover all spikes, from 10\.0 to 70\.0 ms",
            ),
            (
                lambda sd: {
                    "raw_time": sd.raw_time[:1500],
                    "raw_data": sd.raw_data[:, :1500],
                },
                "cover all spikes",
            ),
            (lambda sd: {"raw_time": None, "raw_data": None}, "a recording without"),
        ],
    )
    def test_what_would_not_lie_under_the_spikes(self, change, message, tmp_path):
        """Another rate, gaps, a late start, none at all."""
        sd = recorded()
        changed = {"raw_data": sd.raw_data, "raw_time": sd.raw_time} | change(sd)
        sd = SpikeData(sd.train, length=sd.length, **changed)
        with pytest.raises(ValueError, match=message):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS, raw_data=True)
        assert list(tmp_path.iterdir()) == []

    def test_a_recording_that_lies_there_is_never_replaced(self, tmp_path):
        """It may be the only copy."""
        (tmp_path / "recording.dat").write_text("irreplaceable")
        with pytest.raises(FileExistsError, match=r"recording\.dat"):
            recorded().to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        assert snapshot(tmp_path) == {"recording.dat": b"irreplaceable"}

    def test_our_own_recording_is_replaced(self, tmp_path):
        """And goes with the export that it belonged to."""
        recorded().to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        recorded(n_channels=5).to_phy(tmp_path, fs_Hz=FS, raw_data=True)
        assert (tmp_path / "recording.dat").stat().st_size == 4 * 5 * 3000
        recorded().to_phy(tmp_path, fs_Hz=FS)
        assert not (tmp_path / "recording.dat").exists()

    def test_a_memmap_is_not_loaded(self, tmp_path):
        """It is read block by block, in its own dtype."""
        values = np.lib.format.open_memmap(
            tmp_path / "raw.npy", mode="w+", dtype=np.int16, shape=(2, 3000)
        )
        values[:] = np.arange(6000).reshape(2, 3000)
        sd = SpikeData([[1.0, 2.0]], length=100.0, raw_data=values, raw_time=30.0)
        sd.to_phy(tmp_path / "phy", fs_Hz=FS, raw_data=True)
        found = np.fromfile(tmp_path / "phy" / "recording.dat", dtype=np.int16)
        np.testing.assert_array_equal(found.reshape(-1, 2).T, values)


class TestTables:
    """cluster_*.tsv."""

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (1, "1"),
            (np.int8(-3), "-3"),
            (True, "True"),
            (np.bool_(False), "False"),
            (0.5, "0.5"),
            (3.0, "3.0"),
            (1e-7, "0.0000001"),
            (-1e20, "-100000000000000000000.0"),
            (np.float32(0.1), "0.10000000149011612"),
            (np.array(2.5), "2.5"),
            ("CA1", "CA1"),
            ("", ""),
            (None, ""),
            (float("nan"), ""),
            ("12", "12"),
            ("-1.5", "-1.5"),
            (float("inf"), None),
            ("3b", None),
            ("-", None),
            ("1e-3", None),
            ("été", None),
            ("two\nlines", None),
            (b"bytes", None),
            ([1, 2], None),
            (1j, None),
        ],
    )
    def test_cells_that_every_reader_can_read(self, value, text, tmp_path):
        """Plain decimals, or text that starts with a letter."""
        sd = with_attribute("value", [value, value])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            sd.to_phy(tmp_path, fs_Hz=FS)
        table = tmp_path / "cluster_value.tsv"
        if text:
            assert table.read_text().splitlines()[1:] == [f"0\t{text}", f"1\t{text}"]
            return
        assert not table.exists()
        if text is None:
            lost = "neuron_attributes['value'] (no table of Phy can hold it)"
            assert lost in PhyWriter(fs_Hz=FS).losses(sd)

    @pytest.mark.parametrize(
        "value", [0.1, 1e-300, 1.7e308, 5e-324, -2.5, 3, 10**30, True]
    )
    def test_numbers_come_back_exactly(self, value, tmp_path):
        """However small or large."""
        with_attribute("value", [value, value]).to_phy(tmp_path, fs_Hz=FS)
        found = load(tmp_path).neuron_attributes[0]["value"]
        assert (found, type(found)) == (value, type(value))

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("snr", [1.5, 2.0]),
            ("n", [1, None]),
            ("area", ["CA1", "CA3"]),
            ("serial", ["12", "007"]),
            ("sorted", [True, False]),
            ("note", ['a\t"b"', None]),
            ("info score", [0.5, 0.25]),
            ("information", [1, 2]),
            ("rate (Hz)", [0.5, 0.25]),
            ("per/cent", [0.5, 0.25]),
            ("unit_id", [12, 99]),
            ("location", [[1.0, 2.0], [3.0, 4.0]]),
            ("position", [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]),
            ("group", ["good", "noise"]),
            ("group", ["pyramidal", "basket"]),
            ("quality", ["good", None]),
            ("quality", [0.5, 0.75]),
            ("quality", ["unsorted", "mua"]),
            ("x", [1.5, 2.5]),
        ],
    )
    def test_attributes_come_back(self, name, values, tmp_path):
        """With their names, types and gaps."""
        sd = with_attribute(name, values)
        sd.to_phy(tmp_path, fs_Hz=FS)
        found = load(tmp_path).neuron_attributes
        assert [a.get(name) for a in found] == values
        extra = {"unit_id", "electrode", name}
        assert all(set(a) <= extra for a in found)
        # SpikeInterface reads no other table beside one that is called so.
        assert not list(tmp_path.glob("cluster_info*"))

    def test_every_table_lists_every_unit(self, tmp_path):
        """A reader that joins them loses none, silent or not."""
        simulated().to_phy(tmp_path, fs_Hz=FS)
        tables = list(tmp_path.glob("cluster_*.tsv"))
        assert len(tables) == 6
        for table in tables:
            rows = table.read_text().splitlines()[1:]
            assert sorted(int(row.split("\t")[0]) for row in rows) == list(range(6))

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("psth", [[1, 2, 3], [4, 5, 6]]),
            ("nested", [{"a": 1}, None]),
            ("score", [float("inf"), 1.0]),
            ("label", ["3b", "x"]),
            ("tab\tname", [1, 2]),
            ("9lives", [1, 2]),
            (5, [1, 2]),
        ],
    )
    def test_what_has_no_form_is_left_out_with_one_warning(
        self, name, values, tmp_path
    ):
        """And is named in the losses."""
        sd = with_attribute(name, values)
        with pytest.warns(UserWarning, match="left out") as caught:
            sd.to_phy(tmp_path, fs_Hz=FS)
        assert len(caught) == 1
        assert f"neuron_attributes {name} left out" in str(caught[0].message)
        assert caught[0].filename == __file__
        lost = f"neuron_attributes[{str(name)!r}] (no table of Phy can hold it)"
        assert lost in PhyWriter(fs_Hz=FS).losses(sd)
        strictly = pytest.warns(UserWarning, match="left out")
        with strictly, pytest.raises(LossError, match=re.escape(lost)):
            sd.to_phy(tmp_path, fs_Hz=FS, strict=True)

    def test_ids_of_the_user_are_a_column(self, tmp_path):
        """Clusters are 0 to N - 1 all the same."""
        pair().to_phy(tmp_path, fs_Hz=FS, cluster_ids=[12, 7])
        assert array(tmp_path, "spike_clusters").tolist() == [0, 1, 1, 0]
        table = (tmp_path / "cluster_si_unit_id.tsv").read_text()
        assert table == "cluster_id\tsi_unit_id\n0\t12\n1\t7\n"
        assert load(tmp_path).get_neuron_attribute("unit_id") == [12, 7]
        assert load(tmp_path).metadata["cluster_ids"] == [0, 1]


class TestCurated:
    """Folders that Phy has saved since."""

    def test_a_merged_cluster_does_not_meet_a_silent_unit(self, tmp_path):
        """Phy counts from the largest id that has spikes, so that one is the last."""
        sd = SpikeData(
            [[1.0], [2.0], [], []],
            length=5.0,
            neuron_attributes=[{"area": f"CA{u}", "unit_id": 14 - u} for u in range(4)],
        )
        sd.to_phy(tmp_path, fs_Hz=FS)
        assert load(tmp_path).metadata["cluster_ids"] == [0, 3, 2, 1]
        assert load(tmp_path).get_neuron_attribute("unit_id") == [14, 13, 12, 11]
        np.save(tmp_path / "spike_clusters.npy", np.array([4, 4], dtype=np.int32))
        (tmp_path / "cluster_group.tsv").write_text("cluster_id\tgroup\n4\tgood\n")
        found = load(tmp_path)
        assert [t.tolist() for t in found.train] == [[], [], [1.0, 2.0]]
        assert found.neuron_attributes == [
            {"unit_id": 12, "area": "CA2"},
            {"unit_id": 11, "area": "CA3"},
            {"unit_id": 4, "group": "good"},
        ]

    def test_a_cluster_that_took_the_id_of_a_silent_unit(self, tmp_path):
        """In a folder whose highest id is that of a silent unit."""
        sd = SpikeData([[1.0], [2.0], []], length=5.0)
        sd.to_kilosort(tmp_path, fs_Hz=FS, spike_order="time")
        np.save(tmp_path / "spike_clusters.npy", np.array([2, 2], dtype=np.int32))
        found = load(tmp_path)
        assert [t.tolist() for t in found.train] == [[1.0, 2.0]]
        assert found.neuron_attributes == [{"unit_id": 2}]

    def test_new_units_get_ids_of_their_own(self, tmp_path):
        """The id of a split cluster may be one that another unit had before."""
        pair().to_phy(tmp_path, fs_Hz=FS, cluster_ids=[2, 9])
        np.save(tmp_path / "spike_clusters.npy", np.array([0, 2, 3, 0], dtype=np.int32))
        found = load(tmp_path)
        assert found.metadata["cluster_ids"] == [0, 2, 3]
        assert found.get_neuron_attribute("unit_id") == [2, 3, 4]

    def test_places_of_merged_units_come_from_their_templates(self, tmp_path):
        """The electrode of most of its spikes."""
        sd = simulated()
        sd.to_phy(tmp_path, fs_Hz=FS)
        clusters = array(tmp_path, "spike_clusters")
        clusters[np.isin(clusters, [0, 3])] = 6
        np.save(tmp_path / "spike_clusters.npy", clusters)
        found = load(tmp_path)
        assert found.metadata["cluster_ids"] == [1, 2, 5, 4, 6]
        larger = 0 if len(sd.train[0]) > len(sd.train[3]) else 3
        assert found.electrodes[-1] == sd.electrodes[larger]
        assert found.unit_locations[-1].tolist() == sd.unit_locations[larger].tolist()

    def test_the_next_export_removes_what_phy_saved(self, tmp_path):
        """Its tables and its cache would contradict the new spikes."""
        pair().to_phy(tmp_path, fs_Hz=FS)
        (tmp_path / "cluster_info.tsv").write_text("cluster_id\tgroup\n0\tgood\n")
        (tmp_path / ".phy").mkdir()
        (tmp_path / ".phy" / "spikes_per_cluster.pkl").write_text("old")
        (tmp_path / "whitening_mat_inv.npy").write_text("old")
        fresh = tmp_path / "fresh"
        pair().to_phy(fresh, fs_Hz=FS)
        pair().to_phy(tmp_path, fs_Hz=FS, overwrite=True)
        kept = {n: b for n, b in snapshot(tmp_path).items() if "fresh" not in n}
        assert kept == snapshot(fresh)


def test_function_method_and_writer_are_one(tmp_path):
    """Three ways to the same bytes."""
    sd = simulated()
    sd.to_phy(tmp_path / "a", fs_Hz=FS)
    export_spikedata_to_phy(sd, tmp_path / "b", fs_Hz=FS)
    PhyWriter(fs_Hz=FS).write(sd, tmp_path / "c")
    assert (
        snapshot(tmp_path / "a") == snapshot(tmp_path / "b") == snapshot(tmp_path / "c")
    )


def test_losses_are_told_in_words():
    """Everything that the folder will not carry."""
    sd = recorded(dtype=np.float64)
    sd.train[0] = np.array([1.0, 1.001, 20.0])
    sd.metadata["subject"] = "rat"
    assert PhyWriter(fs_Hz=FS).losses(sd) == [
        "spike times are rounded to samples, by up to 0.001 ms",
        "1 spikes fall on the same sample as the spike before them",
        "metadata",
        "raw data (raw_data=True writes them)",
    ]
    assert PhyWriter(fs_Hz=FS, raw_data=True).losses(sd)[-1] == (
        "raw data are rounded from float64 to float32"
    )


def test_verify_compares_the_names_of_attributes(tmp_path):
    """That they come back under their own."""
    names = replacing('"attribute": "snr"', '"attribute": "s"')
    writer = damaging(PhyWriter, "spikelab.json", names)(fs_Hz=FS, verify=True)
    with pytest.raises(VerificationError, match=r"\['snr'\] differs"):
        writer.write(simulated(), tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


_VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-100, 100)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["good", "mua", "3", "True"])
    | st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4)
)
_NAMES = st.sampled_from(
    [
        *("electrode", "channel", "ch", "location", "position", "x", "z"),
        *("group", "quality", "label", "unit_id", "id", "a b"),
    ]
)


@given(attributes=st.lists(st.dictionaries(_NAMES, _VALUES), min_size=2, max_size=3))
def test_attributes_come_back_or_are_said_to_be_lost(attributes, tmp_path):
    """Whatever their names mean to Phy; each unit has a ``unit_id`` besides."""
    sd = SpikeData([[1.0, 2.0]] * len(attributes), neuron_attributes=attributes)
    writer = PhyWriter(fs_Hz=1000.0, verify=True)
    losses, refusal = [], ""
    try:
        losses = writer.losses(sd)
    except ValueError as error:  # ids that no program takes
        refusal = str(error)
    if refusal:
        assert refusal.startswith("unit_id must lie in 0..16777215 ")
        assert not all(0 <= row["unit_id"] < 2**24 for row in attributes)
        return
    if any("attributes" in line for line in losses):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that Phy has too
        writer.write(sd, tmp_path / "folder")
    found = load(tmp_path / "folder").neuron_attributes
    for unit, (known, wanted) in enumerate(zip(found, attributes, strict=True)):
        assert known == {"unit_id": unit, **wanted}


@pytest.mark.parametrize(
    ("attributes", "lost", "ids"),
    [
        ([{"unit_id": 1}, {}], ["neuron_attributes['unit_id']"], [0, 1]),
        (
            [{"cluster_id": 4}, {"cluster_id": 2}],
            [],
            [4, 2],
        ),
        ([{"unit_id": 4}, {"unit_id": 2}], [], [4, 2]),
        ([{"unit_id": 4.0}, {"unit_id": 2.0}], [], [4, 2]),
    ],
)
def test_ids_are_unique_and_what_becomes_of_them_is_told(
    attributes, lost, ids, tmp_path
):
    """Those of some units only would meet the numbers of the others."""
    sd = SpikeData([[1.0, 2.0]] * 2, neuron_attributes=attributes)
    told = PhyWriter(fs_Hz=FS).losses(sd)[1:]
    assert [line.split(" (")[0] for line in told] == lost
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    assert load(tmp_path).get_neuron_attribute("unit_id") == ids


def damaging(cls, pattern, damage):
    """A writer on a disk that damages the files which a pattern finds."""

    class Damaging(cls):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            for file in staged.rglob(pattern):
                damage(file)

    return Damaging


def replacing(old, new):
    """A damage that replaces a text."""
    return lambda file: file.write_text(file.read_text().replace(old, new))


def changing(file):
    """A damage that changes an array."""
    np.save(file, np.load(file)[::-1])


@pytest.mark.parametrize(
    ("cls", "options"),
    [(KiloSortWriter, {"spike_order": "time"}), (PhyWriter, {})],
)
def test_verify_compares_labels_and_flags(cls, options, tmp_path):
    """The attribute that the labels are, and whether slices have their own."""
    writer = damaging(cls, "cluster_group.tsv", replacing("mua", "good"))
    with pytest.raises(VerificationError, match=r"\['quality'\] differs"):
        writer(fs_Hz=FS, verify=True, **options).write(simulated(), tmp_path / "a")
    stack = simulated().frames(5000)
    stack = SpikeSliceStack(
        spike_stack=list(stack),
        neuron_attributes=stack.neuron_attributes,
        drop_slice_attributes=False,
    )
    stack.spike_stack[0].neuron_attributes = stack.neuron_attributes
    flags = replacing('"slice_attributes": true', '"slice_attributes": false')
    writer = damaging(cls, "spikelab.json", flags)
    with pytest.raises(VerificationError, match=r"slice 0: neuron_attributes\[0\]"):
        writer(fs_Hz=FS, verify=True, **options).write(stack, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["templates.npy", "amplitudes.npy", "recording.dat"])
@pytest.mark.parametrize("is_stack", [False, True])
def test_verify_compares_arrays(name, is_stack, tmp_path):
    """Mean waveforms, amplitudes and raw data."""
    sd = recorded()
    waveform = np.eye(4, 3, dtype=np.float32)
    sd.set_neuron_attribute("waveform_mean", [waveform, 2 * waveform])
    obj = SpikeSliceStack(sd, [(0.0, 45.0), (25.0, 70.0)]) if is_stack else sd
    if not is_stack:
        for i, attributes in enumerate(sd.neuron_attributes):
            attributes["amplitudes"] = np.array([1.0, 2.0, 3.0]) + i
    elif name != "recording.dat":
        return
    damage = (
        changing
        if name.endswith(".npy")
        else lambda file: file.write_bytes(file.read_bytes()[::-1])
    )
    options = {"fs_Hz": FS, "verify": True, "raw_data": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        PhyWriter(**options).write(obj, tmp_path / "whole")
        with pytest.raises(VerificationError, match="differs"):
            damaging(PhyWriter, name, damage)(**options).write(obj, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("odd", [3, True, b"mua", ["mua"], 0.5, "m\ud800"])
def test_an_odd_label_costs_that_label(odd, tmp_path):
    """The others stay; a warning and the losses name it."""
    sd = with_attribute("group", ["good", odd])
    assert f"neuron_attributes['group'] {odd!r} (" in " ".join(
        PhyWriter(fs_Hz=FS).losses(sd)
    )
    with pytest.warns(UserWarning, match=f"labels {re.escape(repr(odd))} become"):
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    groups = (tmp_path / "cluster_group.tsv").read_text()
    assert groups == "cluster_id\tgroup\n0\tgood\n1\tunsorted\n"


def test_a_label_of_pandas_may_be_missing(tmp_path):
    """NA is as good as None."""
    pandas = pytest.importorskip("pandas")
    sd = with_attribute("group", ["good", pandas.NA])
    assert "where it is None" in PhyWriter(fs_Hz=FS).losses(sd)[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    assert load(tmp_path).neuron_attributes[0]["group"] == "good"
    assert "group" not in load(tmp_path).neuron_attributes[1]


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ([1, 1], "1 is there more than once"),
        ([None, 4], "some units have none"),
        ([float("nan"), 4.0], "some units have none"),
        (["a", 3], "ids are all whole numbers or all texts"),
        ([0.5, 3.0], "ids are all whole numbers or all texts"),
    ],
)
def test_why_an_id_is_left_out(ids, why, tmp_path):
    """The warning and the losses say what is wrong with it."""
    sd = with_attribute("unit_id", ids)
    assert f"neuron_attributes['unit_id'] ({why})" in PhyWriter(fs_Hz=FS).losses(sd)
    with pytest.warns(UserWarning, match=f"unit_id left out: {why}"):
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    assert load(tmp_path).get_neuron_attribute("unit_id") == [0, 1]


def test_cluster_id_comes_back_under_its_own_name(tmp_path):
    """A warning names it, as every name that is Phy's."""
    sd = with_attribute("cluster_id", [7, 3])
    with pytest.warns(UserWarning, match="cluster_id are written as unit_<name>"):
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    assert load(tmp_path).get_neuron_attribute("cluster_id") == [7, 3]
    table = (tmp_path / "cluster_si_unit_id.tsv").read_text()
    assert table == "cluster_id\tsi_unit_id\n0\t7\n1\t3\n"
