"""KiloSort and Phy folders in phylib, SpikeInterface and neo, and theirs here."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from neo.io import PhyIO
from neo.rawio import PhyRawIO
from phylib.io.model import TemplateModel, get_template_params
from recordings import assert_same_recording, linear_track, simulated
from sorted_folders import sorted_folder
from spikeinterface import NumpySorting, create_sorting_analyzer, generate_recording
from spikeinterface.exporters import export_to_phy
from spikeinterface.extractors import read_kilosort, read_phy

from spikelab import SpikeData, differences, load, load_spikedata_from_kilosort
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

FS = 30_000.0


def attributed(seed=0):
    """Every kind of attribute, templates on several channels, silent units."""
    sd = simulated(seed, n_units=5)
    rng = np.random.default_rng(seed)
    kinds = [
        {"depth_um": 1e-7 * u, "n": u, "area": f"CA{u}", "sorted": u > 2}
        for u in range(5)
    ]
    for unit, (attributes, more) in enumerate(
        zip(sd.neuron_attributes, kinds, strict=True)
    ):
        attributes |= more | {
            "template": rng.normal(size=(40, 3)),
            "unit_id": 70 + unit,
        }
        attributes["info score"] = None if unit == 0 else 0.5
        attributes["note"] = 'two\tcells, "maybe"' if unit == 3 else None
    return sd


def recorded(channels=4, seed=0, dtype=np.int16):
    """A recording with raw voltages in which the spikes can be seen."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(scale=5, size=(channels, 90_000))
    shape = -200 * np.exp(-0.5 * (np.arange(-15, 15) / 4) ** 2)
    trains = []
    for unit in range(3):
        samples = np.sort(rng.choice(np.arange(100, 89_900, 60), 40, replace=False))
        for sample in samples:
            raw[unit, sample - 15 : sample + 15] += shape
        trains.append(samples / FS * 1000)
    return SpikeData(
        [*trains, []],
        length=3000.0,
        raw_data=raw.astype(dtype),
        raw_time=np.arange(90_000) / FS * 1000,
        neuron_attributes=[
            {"electrode": u, "location": [0.0, 20.0 * u]} for u in range(4)
        ],
    )


def one_unit_of_many_channels():
    """A model of phylib drops axes of length 1."""
    template = np.random.default_rng(0).normal(size=(30, 4))
    return SpikeData(
        [[1.0, 2.0, 3.0]], length=5.0, neuron_attributes=[{"template": template}]
    )


MORE = {
    "attributes": attributed,
    "raw data": recorded,
    "one unit of many channels": one_unit_of_many_channels,
    "large electrode numbers": lambda: SpikeData(
        [[1.0], [2.0]],
        length=5.0,
        neuron_attributes=[{"electrode": 2**40}, {"electrode": -1}],
    ),
    "no electrodes but locations": lambda: SpikeData(
        [[1.0], [2.0], [2.0]],
        length=5.0,
        neuron_attributes=[{"x": x, "y": 0.0, "z": 1.0} for x in (0.0, 10.0, 10.0)],
    ),
    "many units": lambda: simulated(n_units=300, length=1000.0),
}


@pytest.fixture(params=MORE)
def more(request):
    """Recordings that only a Phy folder can tell apart."""
    return MORE[request.param]()


def samples_of(sd):
    """What each unit must hold: sample numbers as the docs promise them."""
    first = min(round(sd.start_time * FS / 1000), 0)
    return [np.rint(t * (FS / 1000)).astype(np.int64) - first for t in sd.train]


def assert_same_spikes(found, expected):
    """Compare spike by spike; units with none may be missing if there are any."""
    assert set(found) <= set(expected)
    for unit, samples in expected.items():
        np.testing.assert_array_equal(found.get(unit, []), samples, err_msg=str(unit))


def in_phylib(folder):
    """Spike samples by cluster, and what phylib knows beside them."""
    with closing(TemplateModel(**get_template_params(folder / "params.py"))) as model:
        samples = np.asarray(model.spike_samples).astype(np.int64)
        spikes = {
            int(c): samples[model.get_cluster_spikes(c)] for c in model.cluster_ids
        }
        templates = [model.get_template(int(t)) for t in model.template_ids]
        about = {
            "metadata": model.metadata,
            "positions": model.channel_positions,
            "channels": np.asarray(model.channel_mapping),
            "templates": {
                int(t): bunch
                for t, bunch in zip(model.template_ids, templates, strict=True)
            },
            "traces": None if model.traces is None else np.asarray(model.traces[:]),
        }
    return spikes, about


def in_spikeinterface(sorting):
    """Spike samples by unit."""
    return {int(u): sorting.get_unit_spike_train(u) for u in sorting.unit_ids}


def in_neo(folder):
    """Spike samples by cluster, as numbers and through times in seconds."""
    raw = PhyRawIO(dirname=str(folder))
    raw.parse_header()
    exact = {
        int(channel["id"]): raw.get_spike_timestamps(0, 0, i, None, None)
        for i, channel in enumerate(raw.header["spike_channels"])
    }
    (segment,) = PhyIO(dirname=str(folder)).read_block().segments
    for train in segment.spiketrains:
        unit = int(train.annotations["cluster_id"])
        times = np.rint(train.rescale("s").magnitude * FS).astype(np.int64)
        np.testing.assert_array_equal(times, exact[unit])
    return exact, {int(t.annotations["cluster_id"]): t for t in segment.spiketrains}


def opens(sd):
    """Whether Phy can open a recording at all."""
    return sum(map(len, sd.train)) >= 2


def clusters_of(folder):
    """The cluster of each unit."""
    return load(folder).metadata["cluster_ids"]


def check_phy_folder(sd, folder, copies):
    """Open a folder in each reader, a copy in those that write into it."""
    clusters = clusters_of(folder)
    by_cluster = dict(zip(clusters, samples_of(sd), strict=True))
    assert np.load(folder / "spike_clusters.npy").max() == max(clusters) == sd.N - 1
    spikes, about = in_phylib(shutil.copytree(folder, copies / "phylib"))
    assert_same_spikes(spikes, by_cluster)
    assert list(about["metadata"]["group"]) == clusters
    ids = enumerate(sd.get_neuron_attribute("unit_id"))
    by_id = {
        unit if unit_id is None else unit_id: by_cluster[clusters[unit]]
        for unit, unit_id in ids
    }
    sorting = read_phy(folder)
    assert list(sorting.unit_ids) == list(by_id)
    assert sorting.get_sampling_frequency() == FS
    assert_same_spikes(in_spikeinterface(sorting), by_id)
    everything = read_kilosort(folder, remove_empty_units=False)
    assert list(everything.unit_ids) == list(by_id)
    assert_same_spikes(in_spikeinterface(everything), by_id)
    assert_same_spikes(in_spikeinterface(read_kilosort(folder)), by_id)
    vector = sorting.to_spike_vector()
    assert len(vector) == sum(map(len, sd.train))
    assert np.all(np.diff(vector["sample_index"]) >= 0)
    assert_same_spikes(in_neo(folder)[0], by_cluster)
    assert list(in_neo(folder)[0]) == sorted(
        cluster for cluster, train in zip(clusters, sd.train, strict=True) if len(train)
    )
    return about


def test_phy_folders_open_everywhere(recording, tmp_path, quietly):
    """The real recording, simulated ones, and the edge cases that Phy can open."""
    if not opens(recording):
        with pytest.raises(ValueError, match="Phy cannot open"):
            recording.to_phy(tmp_path / "phy", fs_Hz=FS)
        return
    quietly(recording.to_phy, tmp_path / "phy", fs_Hz=FS)
    check_phy_folder(recording, tmp_path / "phy", tmp_path)


def test_more_phy_folders_open_everywhere(more, tmp_path, quietly):
    """Templates, channels and attributes of all kinds."""
    more.to_phy(tmp_path / "phy", fs_Hz=FS)
    check_phy_folder(more, tmp_path / "phy", tmp_path)
    found = load(tmp_path / "phy")
    assert_same_recording(found, more, 500 / FS)


def test_attributes_arrive(tmp_path):
    """Numbers as numbers, texts as texts, missing ones missing, in every reader."""
    sd = attributed()
    sd.to_phy(tmp_path / "phy", fs_Hz=FS)
    about = in_phylib(shutil.copytree(tmp_path / "phy", tmp_path / "copy"))[1]
    clusters = clusters_of(tmp_path / "phy")
    numbered = list(enumerate(clusters))
    assert about["metadata"]["snr"] == {c: 1.5 + u for u, c in numbered}
    assert about["metadata"]["area"] == {c: f"CA{u}" for u, c in numbered}
    assert about["metadata"]["si_unit_id"] == {c: 70 + u for u, c in numbered}
    assert about["metadata"]["note"] == {clusters[3]: 'two\tcells, "maybe"'}
    sorting = read_phy(tmp_path / "phy")
    assert sorting.get_property("quality").tolist() == ["mua", "good"] * 2 + ["mua"]
    assert sorting.get_property("depth_um").tolist() == [1e-7 * u for u in range(5)]
    assert sorting.get_property("sorted").tolist() == [False] * 3 + [True] * 2
    assert sorting.get_property("x").tolist() == [0.0, 0.0, 20.0, 20.0, 40.0]
    np.testing.assert_equal(
        sorting.get_property("info score"), [np.nan, 0.5, 0.5, 0.5, 0.5]
    )
    trains = in_neo(tmp_path / "phy")[1]
    assert trains[2].annotations["snr"] == 3.5
    assert trains[2].annotations["area"] == "CA2"
    assert trains[2].annotations["note"] is None
    assert trains[2].annotations["electrode"] == 1
    expected = [
        {k: v for k, v in a.items() if v is not None and k != "template"}
        for a in sd.neuron_attributes
    ]
    found = load(tmp_path / "phy").neuron_attributes
    for attributes, known in zip(found, sd.neuron_attributes, strict=True):
        mean = attributes.pop("waveform_mean")
        np.testing.assert_array_equal(mean, known["template"].astype(np.float32))
    assert found == expected


def test_electrodes_arrive(tmp_path):
    """As channels at their places, units on theirs."""
    sd = simulated()
    sd.to_phy(tmp_path, fs_Hz=FS)
    about = in_phylib(tmp_path)[1]
    assert about["channels"].tolist() == [0, 1, 2]
    assert about["positions"].tolist() == [[0, 5], [20, 5], [40, 5]]
    best = {cluster: int(t.best_channel) for cluster, t in about["templates"].items()}
    clusters = clusters_of(tmp_path)
    assert best == {clusters[u]: u // 2 for u in (0, 2, 3, 4)}


def test_templates_arrive(tmp_path):
    """With their values, on their channels."""
    sd = attributed()
    sd.to_phy(tmp_path, fs_Hz=FS)
    templates = in_phylib(tmp_path)[1]["templates"]
    unit_of = {cluster: unit for unit, cluster in enumerate(clusters_of(tmp_path))}
    for cluster, bunch in templates.items():
        unit = unit_of[cluster]
        expected = sd.neuron_attributes[unit]["template"][:, bunch.channel_ids]
        np.testing.assert_allclose(bunch.template, expected, rtol=1e-6)
        assert len(bunch.channel_ids) == 3


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_raw_data_arrive(dtype, tmp_path):
    """As they are, under the spikes, and averaged to templates."""
    sd = recorded(dtype=dtype)
    sd.to_phy(tmp_path, fs_Hz=FS, raw_data=True)
    about = in_phylib(tmp_path)[1]
    np.testing.assert_array_equal(about["traces"].T, sd.raw_data.astype(np.float32))
    clusters = clusters_of(tmp_path)[:3]
    best = [int(about["templates"][cluster].best_channel) for cluster in clusters]
    assert best == [0, 1, 2]
    assert -205 < about["templates"][clusters[1]].template.min() < -120


def test_time_order_opens_in_spikeinterface(recording, tmp_path, quietly):
    """A chronological KiloSort folder, units without spikes included."""
    quietly(recording.to_kilosort, tmp_path, fs_Hz=FS, spike_order="time")
    if not recording.N:
        return
    sorting = read_kilosort(tmp_path, remove_empty_units=False)
    expected = [np.rint(t * (FS / 1000)) for t in recording.train]
    assert list(sorting.unit_ids) == list(range(recording.N))
    assert_same_spikes(in_spikeinterface(sorting), dict(enumerate(expected)))
    assert np.all(np.diff(sorting.to_spike_vector()["sample_index"]) >= 0)


def test_ids_of_the_user_arrive_in_spikeinterface(tmp_path):
    """KiloSort folders keep them, Phy folders name them."""
    sd, ids = simulated(), [12, 7, 3, 40, 5, 6]
    sd.to_kilosort(tmp_path / "ks", fs_Hz=FS, spike_order="time", cluster_ids=ids)
    sd.to_phy(tmp_path / "phy", fs_Hz=FS, cluster_ids=ids)
    expected = dict(zip(ids, samples_of(sd), strict=True))
    for sorting in (
        read_kilosort(tmp_path / "ks", remove_empty_units=False),
        read_phy(tmp_path / "phy"),
    ):
        assert list(sorting.unit_ids) == ids
        assert_same_spikes(in_spikeinterface(sorting), expected)


# The other way round


def in_samples(sorting):
    """The spikes of a SpikeInterface sorting, in ms."""
    return {
        int(u): sorting.get_unit_spike_train(u) / FS * 1000 for u in sorting.unit_ids
    }


def test_what_spikeinterface_exports_loads_here(tmp_path):
    """Its export_to_phy: same units, spikes, channels, places."""
    recording = generate_recording(
        num_channels=4, sampling_frequency=FS, durations=[2.0]
    )
    rng = np.random.default_rng(0)
    times = {
        str(unit): np.sort(rng.choice(np.arange(100, 59_000), 40, replace=False))
        for unit in (3, 7, 11)
    }
    sorting = NumpySorting.from_unit_dict([times], FS)
    analyzer = create_sorting_analyzer(sorting, recording, sparse=False)
    analyzer.compute(["random_spikes", "waveforms", "templates", "noise_levels"])
    analyzer.compute("spike_amplitudes")
    export_to_phy(
        analyzer,
        tmp_path / "phy",
        copy_binary=False,
        compute_pc_features=False,
        verbose=False,
    )
    sd = load(tmp_path / "phy")
    assert sd.N == 3
    assert sd.metadata["fs_Hz"] == FS
    for train, samples in zip(sd.train, times.values(), strict=True):
        np.testing.assert_array_equal(train, samples / FS * 1000)
    assert sd.electrodes is not None
    positions = recording.get_channel_locations()
    for electrode, location in zip(sd.electrodes, sd.unit_locations, strict=True):
        np.testing.assert_allclose(location, positions[electrode], rtol=1e-6)


def test_what_phylib_saves_loads_here(tmp_path):
    """A curation: two units merged, one labelled, the rest as it was."""
    sd = linear_track()
    with pytest.warns(UserWarning, match="cannot hold start_time"):
        sd.to_phy(tmp_path, fs_Hz=FS)
    with closing(TemplateModel(**get_template_params(tmp_path / "params.py"))) as model:
        clusters = model.spike_clusters.copy()
        merged = np.isin(clusters, [2, 3])
        clusters[merged] = sd.N
        model.save_spike_clusters(clusters)
        groups = dict.fromkeys(range(sd.N), "unsorted") | {sd.N: "good", 5: "noise"}
        model.save_metadata("group", groups)
    found = load(tmp_path)
    kept = [u for u in range(sd.N) if u not in (2, 3)]
    assert found.metadata["cluster_ids"] == [*kept, sd.N]
    together = np.sort(np.concatenate([sd.train[2], sd.train[3]]))
    expected = SpikeData(
        [*(sd.train[u] for u in kept), together],
        start_time=sd.start_time,
        length=sd.length,
    )
    assert_same_recording(found, expected)
    labels = found.get_neuron_attribute("group")
    assert (labels[-1], labels[kept.index(5)]) == ("good", "noise")
    assert set(labels) == {None, "good", "noise"}
    assert found.electrodes is not None


def templates_in_phylib(folder, copy):
    """For each template, its voltages by electrode, as phylib shows them."""
    about = in_phylib(shutil.copytree(folder, copy))[1]
    return {
        template: dict(
            zip(
                about["channels"][bunch.channel_ids].tolist(),
                bunch.template.T,
                strict=True,
            )
        )
        for template, bunch in about["templates"].items()
    }


@pytest.mark.parametrize("is_whitened", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_templates_of_a_sorter_survive(is_whitened, is_sparse, tmp_path):
    """A folder is loaded and written again: phylib shows the same, unwhitened."""
    rng = np.random.default_rng(0)
    templates = rng.normal(size=(3, 30, 4)) * np.hanning(30)[:, None]
    more = {"amplitudes__npy": rng.normal(size=6)}
    if is_whitened:
        matrix = rng.normal(size=(4, 4)) + 4 * np.eye(4)
        more["whitening_mat__npy"] = matrix
        more["whitening_mat_inv__npy"] = np.linalg.inv(matrix)
    if is_sparse:
        more["template_ind__npy"] = np.array([[2, 0, 3], [1, 3, 0], [0, 1, 2]])
        templates = templates[..., :3]
    folder = sorted_folder(
        tmp_path / "ks",
        templates__npy=templates.astype(np.float32),
        channel_map__npy=np.array([3, 1, 0, 2], dtype=np.int32),
        **more,
    )
    sd = load(folder)
    sd.to_phy(tmp_path / "phy", fs_Hz=FS, verify=True)
    before, after = (
        templates_in_phylib(tmp_path / name, tmp_path / f"copy of {name}")
        for name in ("ks", "phy")
    )
    assert list(before) == list(after)
    for template, shown in before.items():
        waveform = sd.neuron_attributes[template]["waveform_mean"]
        electrodes = sd.neuron_attributes[template]["waveform_channels"].tolist()
        assert set(shown) <= set(electrodes) == set(after[template])
        for electrode, voltages in shown.items():
            np.testing.assert_allclose(
                waveform[:, electrodes.index(electrode)], voltages, atol=1e-6
            )
            np.testing.assert_allclose(after[template][electrode], voltages, atol=1e-6)
    with closing(TemplateModel(**get_template_params(folder / "params.py"))) as model:
        for unit, shown in enumerate(map(model.get_template, range(3))):
            electrode = int(model.channel_mapping[shown.best_channel])
            assert sd.neuron_attributes[unit]["electrode"] == electrode
    assert np.load(tmp_path / "phy" / "amplitudes.npy").tolist() == (
        np.load(folder / "amplitudes.npy").tolist()
    )


def in_phy(folder, *actions):
    """Do what a scientist does in the window of the real Phy, and close it."""
    python = os.environ.get("SPIKELAB_PHY_PYTHON", sys.executable)
    check = [python, "-c", "import phy.apps, PyQt5"]
    if subprocess.run(check, check=False, capture_output=True).returncode:
        pytest.skip("Phy is not installed")
    script = Path(__file__).with_name("curate_in_phy.py")
    home = {**os.environ, "HOME": str(folder.parent), "PYTHONPATH": ""}
    done = subprocess.run(
        [python, str(script), str(folder), json.dumps(actions)],
        env=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def curated_units():
    """Six units with labels, ids and waveforms, the third and the last silent."""
    rng = np.random.default_rng(0)
    labels = ("good", "sua", "mua", "noise", "good", "mua")
    shape = -np.exp(-((np.arange(40) - 15) ** 2) / 20.0)[:, None]
    train = [np.sort(rng.integers(0, 300_000, 200)) / FS * 1000 for _ in labels]
    train[2] = train[5] = np.empty(0)
    return SpikeData(
        train,
        length=10_000.0,
        neuron_attributes=[
            {
                "unit_id": 100 + u,
                "quality": label,
                "snr": 1.5 + u,
                "area": "CA1" if u % 2 else "CA3",
                "electrode": u,
                "location": [5.0, 20.0 * u],
                "waveform_mean": (shape * (10.0 + u) * np.eye(6)[u]).astype(np.float32),
                "waveform_channels": np.arange(6),
            }
            for u, label in enumerate(labels)
        ],
    )


def test_the_real_phy_merges_splits_and_saves(tmp_path):
    """The right neuron with the right label, here and in SpikeInterface."""
    sd, folder = curated_units(), tmp_path / "phy"
    sd.to_phy(folder, fs_Hz=FS)
    assert clusters_of(folder) == [0, 1, 2, 3, 5, 4]
    in_phy(
        folder,
        ("merge", [0, 1]),
        ("split", [3], 50),
        ("label", [5], "sua"),
        ("save",),
    )
    with pytest.warns(UserWarning, match="unit_id 103 stands for several clusters"):
        found = load(folder)
    # Silent units first, which Phy did not see, then what came of the others.
    assert found.metadata["cluster_ids"] == [2, 5, 4, 6, 7, 8]
    silent, kept, last, merged, *halves = found.neuron_attributes
    for attributes, unit in ((silent, 2), (last, 5)):
        assert attributes.keys() == sd.neuron_attributes[unit].keys()
        for key, value in sd.neuron_attributes[unit].items():
            np.testing.assert_array_equal(attributes[key], value)
    assert (kept["unit_id"], kept["quality"], kept["snr"]) == (104, "sua", 5.5)
    assert (merged["unit_id"], merged["quality"], merged["area"]) == (
        100,
        "good",
        "CA3",
    )
    assert [half["quality"] for half in halves] == ["noise", "noise"]
    assert [half["electrode"] for half in halves] == [3, 3]
    np.testing.assert_array_equal(
        found.train[3], np.sort(np.concatenate([sd.train[0], sd.train[1]]))
    )
    np.testing.assert_array_equal(found.train[1], sd.train[4])
    both = sd.neuron_attributes[0], sd.neuron_attributes[1]
    mean = sum(attributes["waveform_mean"] for attributes in both) / 2
    np.testing.assert_allclose(merged["waveform_mean"], mean, rtol=1e-6)
    sorting = read_phy(folder)
    labels = dict(zip(sorting.unit_ids, sorting.get_property("quality"), strict=True))
    for unit_id, unit in ((104, 1), (100, 3)):
        samples = np.rint(found.train[unit] * 30).astype(np.int64)
        np.testing.assert_array_equal(sorting.get_unit_spike_train(unit_id), samples)
        assert labels[unit_id] == found.neuron_attributes[unit]["quality"]
    with pytest.raises(FileExistsError, match=r"spike_clusters\.npy.*overwrite=True"):
        sd.to_phy(folder, fs_Hz=FS)


def test_the_real_phy_only_looks(tmp_path):
    """A folder that was opened and closed is as good as untouched."""
    sd, folder = curated_units(), tmp_path / "phy"
    sd.to_phy(folder, fs_Hz=FS)
    in_phy(folder)
    assert (folder / ".phy").exists()
    sd.to_phy(tmp_path / "other", fs_Hz=FS)
    assert differences(load(folder), load(tmp_path / "other")) == []
    sd.to_phy(folder, fs_Hz=FS)


def test_the_real_phy_saves_what_it_was_given(tmp_path):
    """Nothing changes for us, although it rewrites all tables."""
    sd, folder = curated_units(), tmp_path / "phy"
    sd.to_phy(folder, fs_Hz=FS)
    in_phy(folder, ("save",))
    found = load(folder)
    for attributes, known in zip(
        found.neuron_attributes, sd.neuron_attributes, strict=True
    ):
        for key, value in known.items():
            np.testing.assert_array_equal(attributes[key], value)


PUBLISHED = """
import sys, warnings
import numpy as np
from spikelab import SpikeData
from spikelab.data_loaders.data_exporters import export_spikedata_to_kilosort
from spikelab.data_loaders.data_loaders import load_spikedata_from_kilosort
attributes = [{"electrode": 4}, {"electrode": 9}, {"electrode": 2}]
folder = sys.argv[2]
if sys.argv[1] == "write":
    sd = SpikeData([[1.0, 40.0], [2.5], [3.0]], length=50.0, neuron_attributes=attributes)
    export_spikedata_to_kilosort(sd, folder, fs_Hz=30000.0)
else:
    sd = load_spikedata_from_kilosort(folder, fs_Hz=30000.0, length_ms=10000.0)
    np.savez(sys.argv[3], *sd.train)
"""


def published(*arguments):
    """Run the published package, which lives in an environment of its own."""
    python = os.environ["SPIKELAB_PUBLISHED_PYTHON"]
    subprocess.run([python, "-I", "-c", PUBLISHED, *map(str, arguments)], check=True)


def test_a_folder_of_the_published_package_loads_here(tmp_path):
    """Spikes, units, electrodes."""
    published("write", tmp_path / "ks")
    sd = load_spikedata_from_kilosort(tmp_path / "ks", fs_Hz=FS)
    assert [t.tolist() for t in sd.train] == [[1.0, 40.0], [2.5], [3.0]]
    assert sd.electrodes.tolist() == [4, 9, 2]


@pytest.mark.parametrize("order", ["unit", "time"])
def test_our_folder_loads_in_the_published_package(order, tmp_path):
    """Every unit that has spikes."""
    sd = simulated()
    sd.to_kilosort(tmp_path / "ks", fs_Hz=FS, spike_order=order)
    published("read", tmp_path / "ks", tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        trains = [found[name] for name in found.files]
    expected = [t for t in sd.train if len(t)]
    for train, times in zip(trains, expected, strict=True):
        np.testing.assert_allclose(train, times, rtol=0, atol=1e-9)


def test_slices_open_everywhere(tmp_path, quietly):
    """Each is a folder of its own, event-centred ones too."""
    stack = SpikeSliceStack(
        simulated(), time_peaks=[3000.0, 7000.0], time_bounds=(2000.0, 2500.0)
    )
    quietly(stack.to_phy, tmp_path / "stack", fs_Hz=FS)
    for i, sd in enumerate(stack):
        copies = tmp_path / f"copies {i}"
        copies.mkdir()
        check_phy_folder(sd, tmp_path / "stack" / f"slice_000{i}", copies)
