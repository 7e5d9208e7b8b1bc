"""Mean waveforms and amplitudes: out of a folder, and into one again."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sorted_folders import known, sorted_folder, warned

from spikelab import SpikeData, differences, load
from spikelab.formats import PhyWriter

FS = 30_000.0
RNG = np.random.default_rng(0)


def without(sd, *keys):
    """The recording without some attributes."""
    rows = [{k: v for k, v in a.items() if k not in keys} for a in sd.neuron_attributes]
    return SpikeData(
        sd.train,
        length=sd.length,
        start_time=sd.start_time,
        neuron_attributes=rows,
        metadata=sd.metadata,
    )


def written_again(sd, folder, **options):
    """What is loaded of a recording after `to_phy`, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.to_phy(folder, fs_Hz=FS, verify=True, **options)
        return load(folder)


def full(attributes, electrodes):
    """A waveform with a column for each of the electrodes."""
    waveform, where = attributes["waveform_mean"], attributes["waveform_channels"]
    found = np.zeros((len(waveform), len(electrodes)), waveform.dtype)
    for column, electrode in enumerate(where.tolist()):
        found[:, electrodes.index(electrode)] = waveform[:, column]
    return found


class TestReading:
    """templates.npy and amplitudes.npy of a sorter."""

    def test_dense_templates(self, tmp_path):
        """A column for each channel of the map."""
        templates = RNG.normal(size=(3, 5, 4)).astype(np.float32)
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=templates,
            channel_map__npy=np.array([12, 10, 11, 13]),
        )
        sd = load(folder)
        for unit in range(3):
            attributes = sd.neuron_attributes[unit]
            np.testing.assert_array_equal(attributes["waveform_mean"], templates[unit])
            assert attributes["waveform_mean"].dtype == np.float32
            assert attributes["waveform_channels"].tolist() == [12, 10, 11, 13]

    @pytest.mark.parametrize("name", ["template_ind", "templates_ind"])
    @pytest.mark.parametrize("unused", [-1, 4])
    def test_sparse_templates(self, name, unused, tmp_path):
        """Unused columns are left out, the others stand in the order of channels."""
        templates = RNG.normal(size=(3, 5, 2)).astype(np.float32)
        where = np.array([[3, 1], [0, unused], [2, 3]])
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=templates,
            channel_map__npy=np.arange(10, 14),
            **{f"{name}__npy": where},
        )
        one, two, three = load(folder).neuron_attributes
        assert one["waveform_channels"].tolist() == [11, 13]
        np.testing.assert_array_equal(one["waveform_mean"], templates[0][:, ::-1])
        assert two["waveform_channels"].tolist() == [10]
        np.testing.assert_array_equal(two["waveform_mean"], templates[1][:, :1])
        assert three["waveform_channels"].tolist() == [12, 13]

    def test_a_merged_cluster_has_the_mean_weighted_by_spikes(self, tmp_path):
        """And the electrode of most of its spikes, as in Phy."""
        templates = np.zeros((3, 5, 4), np.float32)
        templates[[0, 1, 2], 2, [1, 2, 3]] = [-8.0, -2.0, -4.0]
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=templates,
            spike_templates__npy=np.array([0, 1, 1, 1, 2, 2]),
            spike_clusters__npy=np.array([5, 5, 5, 5, 2, 2]),
        )
        sd = load(folder)
        assert sd.metadata["cluster_ids"] == [2, 5]
        assert known(sd, "electrode") == [3, 2]
        mean = known(sd, "waveform_mean")[1]
        assert mean[2].tolist() == [0.0, -2.0, -1.5, 0.0]

    def test_a_merged_cluster_of_sparse_templates(self, tmp_path):
        """On all channels of any of them; one that says nothing counts for nothing."""
        templates = np.zeros((4, 3, 1), np.float32)
        templates[:, 1, 0] = [4.0, 8.0, 1.0, np.nan]
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=templates,
            template_ind__npy=np.array([[3], [1], [0], [0]]),
            spike_templates__npy=np.array([0, 0, 0, 1, 3, 2]),
            spike_clusters__npy=np.array([4, 4, 4, 4, 4, 2]),
        )
        merged = load(folder).neuron_attributes[1]
        assert merged["waveform_channels"].tolist() == [1, 3]
        assert merged["waveform_mean"][1].tolist() == [2.0, 3.0]

    def test_amplitudes_of_each_unit(self, tmp_path):
        """In the order of its spikes, as they are in the file."""
        folder = sorted_folder(tmp_path / "ks", amplitudes__npy=np.arange(6.0)[:, None])
        found = known(load(folder), "amplitudes")
        assert [a.tolist() for a in found] == [[0, 3], [1, 4], [2, 5]]
        assert found[0].dtype == np.float64

    def test_without_a_channel_map(self, tmp_path):
        """Channels count from 0."""
        sd = load(sorted_folder(tmp_path / "ks", channel_map__npy=None))
        assert known(sd, "waveform_channels")[0].tolist() == [0, 1, 2, 3]
        assert known(sd, "electrode") == [None] * 3

    def test_a_channel_map_that_is_too_short(self, tmp_path):
        """The columns that it does not name are not used."""
        folder = sorted_folder(tmp_path / "ks", channel_map__npy=np.arange(2))
        assert known(load(folder), "waveform_channels")[0].tolist() == [0, 1]


class TestWriting:
    """What was loaded is written again."""

    @pytest.mark.parametrize(
        "channel_map", [[0, 1, 2, 3], [12, 10, 11, 13], [3, 2, 1, 0]]
    )
    def test_a_folder_survives(self, channel_map, tmp_path):
        """Waveforms to the bit, their channels, amplitudes, electrodes."""
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=RNG.normal(size=(3, 5, 4)).astype(np.float32),
            channel_map__npy=np.array(channel_map),
            amplitudes__npy=RNG.normal(size=6),
            cluster_group__tsv="cluster_id\tgroup\n0\tgood\n1\tsua\n",
        )
        sd = load(folder)
        again = written_again(sd, tmp_path / "phy")
        assert differences(sd, again) == []
        assert not list((tmp_path / "phy").glob("whitening*"))
        assert PhyWriter(fs_Hz=FS).losses(sd) == [
            f"places of {4 - len(set(known(sd, 'electrode')))} channels are not known: "
            "above the others",
        ]

    def test_a_sparse_folder_survives(self, tmp_path):
        """Each unit on channels of its own."""
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=RNG.normal(size=(3, 5, 2)).astype(np.float32),
            template_ind__npy=np.array([[3, 1], [0, -1], [2, 3]]),
            channel_map__npy=np.array([7, 5, 9, 2]),
        )
        sd = load(folder)
        again = written_again(sd, tmp_path / "phy")
        electrodes = [7, 5, 9, 2]
        for one, other in zip(
            sd.neuron_attributes, again.neuron_attributes, strict=True
        ):
            np.testing.assert_array_equal(
                full(one, electrodes), full(other, electrodes)
            )
        skipped = ("waveform_mean", "waveform_channels")
        assert differences(without(sd, *skipped), without(again, *skipped)) == []

    def test_a_curated_folder_survives(self, tmp_path):
        """Merged clusters have their mean, silent units nothing."""
        folder = sorted_folder(
            tmp_path / "ks",
            templates__npy=RNG.normal(size=(3, 5, 4)).astype(np.float32),
            spike_clusters__npy=np.array([7, 7, 2, 7, 7, 2]),
        )
        sd = load(folder)
        assert differences(sd, written_again(sd, tmp_path / "phy")) == [
            "metadata['cluster_ids'] differs: [2, 7] and [0, 1]"
        ]

    @pytest.mark.parametrize(
        "key", ["waveform_mean", "template", "avg_waveform", "waveform"]
    )
    @pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 3)])
    def test_synonyms(self, key, shape, tmp_path):
        """Whatever the attribute is called, it comes back as waveform_mean."""
        waveforms = [RNG.normal(size=shape).astype(np.float32) for _ in range(2)]
        sd = SpikeData(
            [[1.0, 2.0], [3.0]],
            length=5.0,
            neuron_attributes=[{key: waveform} for waveform in waveforms],
        )
        found = written_again(sd, tmp_path / "phy")
        for waveform, back in zip(
            waveforms, known(found, "waveform_mean"), strict=True
        ):
            np.testing.assert_array_equal(back, waveform.reshape(6, -1))
        told = PhyWriter(fs_Hz=FS).losses(sd)
        assert told == (
            []
            if key == "waveform_mean"
            else [f"neuron_attributes['{key}'] (it comes back as 'waveform_mean')"]
        )

    def test_the_units_own_attribute_comes_first(self, tmp_path):
        """A second one is left out, with a warning."""
        attributes = {"template": np.eye(3), "waveform_mean": np.eye(3)[::-1]}
        sd = SpikeData([[1.0, 2.0]], neuron_attributes=[attributes])
        with pytest.warns(UserWarning, match="template left out"):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS)
        found = known(load(tmp_path / "phy"), "waveform_mean")[0]
        np.testing.assert_array_equal(found, np.eye(3)[::-1])

    @pytest.mark.parametrize(
        ("value", "told"),
        [
            (np.array([[1.1], [2.0]]), "(templates are finite float32 of one length)"),
            (np.array([[np.nan], [2.0]]), "(templates are finite float32"),
            (np.ones((5, 1), np.float32), "(templates are finite float32"),
            (np.zeros((2, 1), np.float32), "templates of 1 units are not known"),
            (None, "templates of 1 units are not known"),
        ],
    )
    def test_what_changes_is_told(self, value, told, tmp_path):
        """Digits beyond float32, NaN, another length, zeros."""
        attributes = [{"waveform_mean": w} for w in (value, np.eye(7, 1, dtype="f4"))]
        sd = SpikeData([[1.0, 2.0], [3.0]], neuron_attributes=attributes)
        assert any(told in line for line in PhyWriter(fs_Hz=FS).losses(sd))
        written_again(sd, tmp_path / "phy")

    def test_channels_of_another_probe(self, tmp_path):
        """Electrodes of waveforms and of units make the channel map."""
        attributes = [
            {
                "electrode": 5,
                "location": [0.0, 50.0],
                "waveform_mean": np.eye(3, 2, dtype=np.float32),
                "waveform_channels": [5, 8],
            },
            {"electrode": 9, "location": [0.0, 90.0]},
        ]
        sd = SpikeData([[1.0, 2.0], [3.0]], length=4.0, neuron_attributes=attributes)
        found = written_again(sd, tmp_path / "phy")
        assert np.load(tmp_path / "phy" / "channel_map.npy").tolist() == [5, 8, 9]
        positions = np.load(tmp_path / "phy" / "channel_positions.npy").tolist()
        assert positions == [[0, 50], [0, 91], [0, 90]]
        assert known(found, "waveform_channels")[0].tolist() == [5, 8]
        assert known(found, "electrode") == [5, 9]

    @pytest.mark.parametrize(
        "channels", [[5], [5, 5], ["a", "b"], [0.5, 1], [[1], [2, 3]]]
    )
    def test_channels_that_are_none(self, channels, tmp_path):
        """They are left out, with a warning."""
        attributes = {"waveform_mean": np.eye(3, 2), "waveform_channels": channels}
        sd = SpikeData([[1.0, 2.0]], neuron_attributes=[attributes])
        with pytest.warns(UserWarning, match="waveform_channels left out"):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS, verify=True)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
    def test_amplitudes_are_written(self, dtype, tmp_path):
        """In the order of the spikes of all units, silent ones without any."""
        train = [np.sort(RNG.uniform(0, 1000, 300)) for _ in range(3)]
        train[1] = train[0][::3]
        sd = SpikeData(
            [*train, []],
            length=1000.0,
            neuron_attributes=[
                {"amplitudes": (100 * RNG.normal(size=len(times))).astype(dtype)}
                for times in (*train, [])
            ],
        )
        found = written_again(sd, tmp_path / "phy")
        for one, other in zip(
            known(sd, "amplitudes"), known(found, "amplitudes"), strict=True
        ):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("value", [[1.0], [1.0, 2.0, 3.0], "large", None, [[1, 2]]])
    def test_amplitudes_that_are_not_one_for_each_spike(self, value, tmp_path):
        """They are left out, with a warning."""
        attributes = [{"amplitudes": [1.0, 2.0]}, {"amplitudes": value}]
        sd = SpikeData([[1.0, 2.0], [3.0, 4.0]], neuron_attributes=attributes)
        with pytest.warns(UserWarning, match="amplitudes left out"):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS, verify=True)
        assert not (tmp_path / "phy" / "amplitudes.npy").exists()

    def test_amplitudes_of_a_part(self, tmp_path):
        """They are those of the spikes that are left, of the units that are left."""
        folder = sorted_folder(tmp_path / "ks", amplitudes__npy=np.arange(6.0))
        part = load(folder).subset([0, 2]).subtime(0.0, 4.5)
        found = written_again(part, tmp_path / "phy")
        assert [a.tolist() for a in known(found, "amplitudes")] == [[0, 3], [2]]

    def test_raw_averages_come_back(self, tmp_path):
        """They are what is known of the waveforms."""
        raw = RNG.normal(size=(3, 3000)).astype(np.float32)
        sd = SpikeData(
            [[10.0, 20.0], [30.0]], length=100.0, raw_data=raw, raw_time=30.0
        )
        found = written_again(sd, tmp_path / "phy")
        assert [w.shape for w in known(found, "waveform_mean")] == [(60, 3)] * 2
        assert known(found, "waveform_channels")[0].tolist() == [0, 1, 2]

    def test_placeholders_do_not_come_back(self, tmp_path):
        """They say nothing; a constant waveform of the user is one."""
        waveforms = [np.ones((4, 1), np.float32), None]
        sd = SpikeData(
            [[1.0, 2.0], [3.0]],
            neuron_attributes=[{"waveform_mean": w} for w in waveforms],
        )
        found = written_again(sd, tmp_path / "phy")
        assert known(found, "waveform_mean")[0].tolist() == [[1.0]] * 4
        assert "waveform_mean" not in found.neuron_attributes[1]
        facts = json.loads((tmp_path / "phy" / "spikelab.json").read_text())
        assert facts["placeholders"] == [1]


WAVEFORMS = arrays(
    np.float32,
    st.tuples(st.just(4), st.integers(1, 3)),
    elements=st.floats(-100, 100, width=32),
)


@given(
    units=st.lists(
        st.tuples(
            WAVEFORMS,
            st.lists(st.integers(0, 9), min_size=3, max_size=3, unique=True),
            st.lists(st.floats(0, 100), max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_waveform_comes_back(units, tmp_path):
    """On its electrodes, whatever those of the others are."""
    sd = SpikeData(
        [[1.0, 2.0], *(times for _, _, times in units)],
        length=200.0,
        neuron_attributes=[
            {"electrode": 3},
            *(
                {
                    "electrode": where[0],
                    "waveform_mean": waveform,
                    "waveform_channels": where[: waveform.shape[1]],
                }
                for waveform, where, _ in units
            ),
        ],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # if all are zeros
        sd.to_phy(tmp_path / "phy", fs_Hz=FS, verify=True, overwrite=True)
    found = load(tmp_path / "phy").neuron_attributes[1:]
    for attributes, (waveform, where, _) in zip(found, units, strict=True):
        if not waveform.any():
            assert "waveform_mean" not in attributes
            continue
        expected = np.zeros((4, 10), np.float32)
        expected[:, where[: waveform.shape[1]]] = waveform
        np.testing.assert_array_equal(full(attributes, list(range(10))), expected)


def test_the_sources_of_a_folder_do_not_warn(tmp_path):
    """A folder of a sorter is read and written again without a warning."""
    folder = sorted_folder(tmp_path / "ks", amplitudes__npy=np.ones(6))
    sd, told = warned(lambda: load(folder))
    assert told == []
    written_again(sd, tmp_path / "phy")
