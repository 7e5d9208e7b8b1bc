"""KiloSort folders: what is on the disk, and what comes back from where."""

import json
import tracemalloc
import warnings

import numpy as np
import pytest
from contract import FolderContract
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, linear_track, simulated, with_raw

from spikelab import SpikeData, load, load_spikedata_from_kilosort
from spikelab.data_loaders.data_exporters import export_spikedata_to_kilosort
from spikelab.errors import FormatError, IncompleteExportError, LossError
from spikelab.formats import KiloSortWriter
from spikelab.spikedata.spike_trains import CACHED

FS = 30_000.0
NAN, INF = float("nan"), float("inf")

WRONG = (
    *({"fs_Hz": rate} for rate in (NAN, INF, 0, -1.0, "30 kHz", None, True)),
    {"time_unit": "min"},
    {"spike_order": "random"},
    {"spike_times_file": ""},
    {"spike_times_file": "../spike_times.npy"},
    {"spike_times_file": "/tmp/spike_times.npy"},
    {"spike_times_file": "spike_clusters.npy"},
    {"spike_times_file": "Spike_Clusters.npy"},
    {"spike_clusters_file": "spikelab.json"},
    {"spike_clusters_file": "params.py"},
    {"cluster_ids": [1, 2]},
    {"cluster_ids": []},
    {"cluster_ids": [0, 1, 2, 3, 4, 4]},
    {"cluster_ids": [0, 1, 2, 3, 4, 5.0]},
    {"cluster_ids": [0, 1, 2, 3, 4, True]},
    {"cluster_ids": "012345"},
    {"cluster_ids": 6},
    {"cluster_ids": [0, 1, 2, 3, 4, 2**63]},
    {"verify": 1},
)


def on_the_grid(sd):
    """How far rounding to samples may move a time of `sd`."""
    last = max(abs(sd.start_time), abs(sd.start_time + sd.length))
    return 500 / FS + 4 * float(np.spacing(last))


class TestUnitOrder(FolderContract):
    """The order of the specification."""

    method, target = "to_kilosort", "sorted"
    options = {"fs_Hz": FS}
    wrong_options = WRONG

    def slack_ms(self, sd):
        """Times off the sampling grid move to it."""
        return on_the_grid(sd)


class TestTimeOrder(FolderContract):
    """Chronological, for SpikeInterface."""

    method, target = "to_kilosort", "sorted"
    options = {"fs_Hz": FS, "spike_order": "time"}

    def slack_ms(self, sd):
        """Times off the sampling grid move to it."""
        return on_the_grid(sd)


class TestMilliseconds(FolderContract):
    """Exact times under names and ids of one's own, read without repeating them."""

    method, target = "to_kilosort", "sorted"
    options = {
        "fs_Hz": 1000,
        "time_unit": "ms",
        "spike_times_file": "t.npy",
        "spike_clusters_file": "c.npy",
        "spike_order": "time",
    }


class TestSeconds(FolderContract):
    """Seconds, which are not always the same float."""

    method, target = "to_kilosort", "sorted"
    options = {"fs_Hz": FS, "time_unit": "s"}

    def slack_ms(self, sd):
        """What dividing by 1000 and multiplying again may change."""
        return float(
            np.spacing(max(abs(sd.start_time), abs(sd.start_time + sd.length)))
        )


def test_the_arrays_are_those_of_the_specification(tmp_path):
    """Samples int64, clusters int32 as KiloSort has them, and nothing more."""
    sd = SpikeData([[1.0, 50.0], [], [2.0]], length=60.0)
    paths = sd.to_kilosort(tmp_path / "ks", fs_Hz=FS)
    assert paths == (
        str(tmp_path / "ks" / "spike_times.npy"),
        str(tmp_path / "ks" / "spike_clusters.npy"),
    )
    times, clusters = map(np.load, paths)
    assert (times.dtype, clusters.dtype) == (np.int64, np.int32)
    assert times.tolist() == [30, 1500, 60]
    assert clusters.tolist() == [0, 0, 2]
    assert sorted(p.name for p in (tmp_path / "ks").iterdir()) == [
        "spike_clusters.npy",
        "spike_times.npy",
        "spikelab.json",
    ]


def test_the_bytes_are_those_of_numpy_save(tmp_path):
    """Writing in blocks changes nothing, header included."""
    sd = simulated()
    sd.to_kilosort(tmp_path / "ks", fs_Hz=FS)
    flat = np.concatenate(sd.train)
    np.save(tmp_path / "floor.npy", np.rint(flat * 30).astype(np.int64))
    written = (tmp_path / "ks" / "spike_times.npy").read_bytes()
    assert written == (tmp_path / "floor.npy").read_bytes()


def test_time_order_is_stable_and_complete(tmp_path):
    """Chronological, at one time by unit, with params.py and every unit's label."""
    sd = SpikeData(
        [[1.0, 3.0], [], [1.0, 2.0]],
        length=5.0,
        neuron_attributes=[{"quality": "good"}, {}, {"quality": "mua"}],
    )
    sd.to_kilosort(tmp_path, fs_Hz=FS, spike_order="time")
    assert np.load(tmp_path / "spike_times.npy").tolist() == [30, 30, 60, 90]
    assert np.load(tmp_path / "spike_clusters.npy").tolist() == [0, 2, 2, 0]
    assert (tmp_path / "params.py").read_text() == (
        "dat_path = []\nn_channels_dat = 1\ndtype = 'int16'\noffset = 0\n"
        "sample_rate = 30000.0\nhp_filtered = False\n"
    )
    assert (tmp_path / "cluster_group.tsv").read_text() == (
        "cluster_id\tgroup\n0\tgood\n1\tunsorted\n2\tmua\n"
    )
    attributes = load(tmp_path).neuron_attributes
    assert attributes == [
        {"unit_id": 0, "quality": "good"},
        {"unit_id": 1},
        {"unit_id": 2, "quality": "mua"},
    ]


@pytest.mark.parametrize(
    "options", [{"time_unit": "ms"}, {"spike_times_file": "my_times.npy"}]
)
def test_no_params_where_they_would_mislead(options, tmp_path):
    """params.py promises samples under the standard names."""
    simulated().to_kilosort(tmp_path, fs_Hz=FS, spike_order="time", **options)
    assert not (tmp_path / "params.py").exists()


@pytest.mark.parametrize(
    ("key", "lost"),
    [("electrode", []), ("channel", ["'electrode'"]), ("ch", ["'electrode'"])],
)
def test_the_key_of_electrodes_is_told_to_change(key, lost, tmp_path):
    """Their numbers come back, as attribute ``electrode``."""
    sd = SpikeData([[1.0], [2.0]], neuron_attributes=[{key: 3}, {key: 4}])
    told = KiloSortWriter(fs_Hz=1000.0).losses(sd)
    assert [line.split(" as ")[-1].rstrip(")") for line in told] == lost
    sd.to_kilosort(tmp_path, fs_Hz=1000.0)
    assert load(tmp_path).electrodes.tolist() == [3, 4]


def test_cluster_ids_may_be_a_column_of_pandas(tmp_path):
    """A series, its values of any dtype of integers, or an index."""
    pd = pytest.importorskip("pandas")
    for ids in (pd.Series([7, 3]), pd.Index([7, 3]), pd.array([7, 3], dtype="Int64")):
        SpikeData([[1.0], [2.0]]).to_kilosort(tmp_path, fs_Hz=FS, cluster_ids=ids)
        assert load(tmp_path).get_neuron_attribute("unit_id") == [7, 3]


def test_electrodes_become_the_channel_map(tmp_path):
    """One entry per unit, silent ones too, and back."""
    sd = simulated()
    sd.to_kilosort(tmp_path, fs_Hz=FS, cluster_ids=[9, 8, 7, 3, 2, -1])
    channel_map = np.load(tmp_path / "channel_map.npy")
    assert channel_map.tolist() == [0, 0, 1, 1, 2, 2]
    found = load(tmp_path)
    assert found.electrodes.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.get_neuron_attribute("unit_id") == [9, 8, 7, 3, 2, -1]
    assert found.metadata["cluster_ids"] == [9, 8, 7, 3, 2, -1]
    assert found.metadata["source_folder"] == str(tmp_path)
    assert_same_recording(found, sd, on_the_grid(sd))


def test_the_real_recording_is_exact_at_30_kHz(tmp_path):
    """Detected at 30 kHz, so sample numbers lose nothing."""
    sd = linear_track()
    with pytest.warns(UserWarning, match="cannot hold start_time=4396997.5 ms"):
        sd.to_kilosort(tmp_path, fs_Hz=FS, verify=True)
    assert_same_recording(load(tmp_path), sd)
    assert KiloSortWriter(fs_Hz=FS).losses(sd) == [
        "start_time 4396997.5 ms (kept in spikelab.json, for spikelab only)",
        "neuron_attributes['cell'] (no array holds it)",
    ]


def test_negative_samples_are_written_as_they_are(tmp_path):
    """Event-centred recordings have times before 0."""
    sd = SpikeData([[-2.0, 1.0]], start_time=-5.0, length=10.0)
    with pytest.warns(UserWarning, match="cannot hold start_time") as caught:
        sd.to_kilosort(tmp_path, fs_Hz=FS)
    assert caught[0].filename == __file__
    assert np.load(tmp_path / "spike_times.npy").tolist() == [-60, 30]


def test_sample_numbers_past_int64_are_refused(tmp_path):
    """Before the folder is made."""
    sd = SpikeData([[1e18]], length=1e18)
    with pytest.raises(ValueError, match="must fit into int64 as sample numbers"):
        sd.to_kilosort(tmp_path / "ks", fs_Hz=FS)
    assert not (tmp_path / "ks").exists()


def test_losses_are_told_in_words():
    """Rounding and by how much, spikes that meet, attributes, raw data."""
    sd = with_raw()
    sd.train[0] = np.array([1.0, 1.01, 20.5])
    sd.metadata["subject"] = "rat"
    assert KiloSortWriter(fs_Hz=1000).losses(sd) == [
        "spike times are rounded to samples, by up to 0.5 ms",
        "1 spikes fall on the same sample as the spike before them",
        "metadata",
        "raw data",
    ]
    with pytest.raises(LossError, match=r"to_kilosort would lose .* raw data"):
        KiloSortWriter(fs_Hz=1000, strict=True).check(sd)


def test_losses_see_across_blocks():
    """Two spikes of one sample in two blocks are still two of one sample."""
    times = np.arange(3 * CACHED, dtype=float)
    times[CACHED] = times[CACHED - 1] + 0.1
    sd = SpikeData([times, times[-1:] + 0.1], length=len(times) + 1.0)
    assert "1 spikes fall" in KiloSortWriter(fs_Hz=1000).losses(sd)[1]


@given(
    samples=st.lists(
        st.lists(st.integers(-(2**50), 2**50), max_size=8), min_size=1, max_size=5
    ),
    scale=st.sampled_from([1, 2**9, 2**12]),
)
def test_time_order_is_a_stable_sort(samples, scale, tmp_path):
    """With a packed key, and where sample and unit do not fit into 64 bits."""
    train = [np.sort(np.array(s, dtype=np.float64) * scale) for s in samples]
    start = min([0.0, *(times[0] for times in train if len(times))])
    sd = SpikeData(train, start_time=start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        paths = sd.to_kilosort(tmp_path / "ks", fs_Hz=1000, spike_order="time")
    times, clusters = (np.load(path).tolist() for path in paths)
    expected = [(int(t), u) for u, times in enumerate(train) for t in times]
    assert list(zip(times, clusters, strict=True)) == sorted(
        expected, key=lambda spike: spike[0]
    )


def peak_of(action):
    """The largest amount of memory that was in use while `action` ran."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("options", "bytes_per_spike"),
    [
        ({}, 0),
        ({"spike_order": "time"}, 12),
        ({"spike_order": "time", "time_unit": "s"}, 24),
    ],
)
def test_memory_is_bounded(options, bytes_per_spike, tmp_path):
    """A few blocks, and the sort where one is needed."""
    n = 2**21
    sd = SpikeData([np.arange(n / 8) for _ in range(8)], length=n / 8)
    peak = peak_of(lambda: sd.to_kilosort(tmp_path, fs_Hz=FS, **options))
    assert peak < n * bytes_per_spike + 12 * 8 * CACHED


# Folders from elsewhere


def write_folder(folder, times, clusters, **params):
    """A folder as a sorter leaves it."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "spike_times.npy", times)
    np.save(folder / "spike_clusters.npy", clusters)
    if params:
        text = "".join(f"{name} = {value!r}\n" for name, value in params.items())
        (folder / "params.py").write_text(text)
    return folder


def test_columns_unsigned_and_gaps(tmp_path):
    """(n, 1) arrays, unsigned integers, and cluster ids with gaps."""
    times = np.array([[30], [60], [90], [3000]], dtype=np.uint64)
    clusters = np.array([[7], [2], [7], [40]], dtype=np.uint32)
    write_folder(tmp_path, times, clusters, sample_rate=30000.0)
    sd = load_spikedata_from_kilosort(tmp_path)
    assert [t.tolist() for t in sd.train] == [[2.0], [1.0, 3.0], [100.0]]
    assert sd.metadata["cluster_ids"] == [2, 7, 40]
    assert sd.length == 100.0
    assert sd.get_neuron_attribute("unit_id") == [2, 7, 40]


def test_ids_of_any_size(tmp_path):
    """A huge id costs no memory."""
    write_folder(tmp_path, [1, 2, 3], [2**62, -5, 2**62])
    sd = load_spikedata_from_kilosort(tmp_path, fs_Hz=1000)
    assert [t.tolist() for t in sd.train] == [[2.0], [1.0, 3.0]]


def test_arguments_go_before_what_the_folder_says(tmp_path):
    """Time unit, sampling rate, window and names."""
    write_folder(tmp_path, [0.5, 0.75], [0, 0], sample_rate=10.0)
    (tmp_path / "spike_times.npy").rename(tmp_path / "t.npy")
    sd = load_spikedata_from_kilosort(
        tmp_path,
        fs_Hz=2000,
        spike_times_file="t.npy",
        time_unit="s",
        start_time_ms=100,
        length_ms=1000,
    )
    assert sd.train[0].tolist() == [500.0, 750.0]
    assert (sd.start_time, sd.length, sd.metadata["fs_Hz"]) == (100.0, 1000.0, 2000)


def test_a_rate_is_needed_for_samples_only(tmp_path):
    """No params.py: say what is missing; seconds need none."""
    write_folder(tmp_path, [1, 2], [0, 0])
    with pytest.raises(
        ValueError, match=r"fs_Hz must be given: the folder has no params"
    ):
        load_spikedata_from_kilosort(tmp_path)
    assert load_spikedata_from_kilosort(tmp_path, time_unit="s").length == 2000.0


def test_params_are_parsed_and_never_run(tmp_path):
    """Code in params.py stays text."""
    write_folder(tmp_path, [30], [0])
    proof = tmp_path / "ran"
    (tmp_path / "params.py").write_text(
        f"open({str(proof)!r}, 'w')\nsample_rate = 15000.  # Hz\n"
        f"n = __import__('os').system('touch {proof}')\n"
    )
    assert load_spikedata_from_kilosort(tmp_path).length == 2.0
    assert not proof.exists()


@pytest.mark.parametrize(
    "text", ["sample_rate = -1", "sample_rate = 'fast'", "sample_rate = True"]
)
def test_a_wrong_rate_in_params_is_named(text, tmp_path):
    """The file and the value."""
    write_folder(tmp_path, [30], [0])
    (tmp_path / "params.py").write_text(text)
    with pytest.raises(FormatError, match=r"params.py: sample_rate must be"):
        load_spikedata_from_kilosort(tmp_path)


@pytest.mark.parametrize("text", ["sample_rate = ", "\0", "(" * 9000, "-" * 9000 + "1"])
def test_a_broken_params_tells_nothing(text, tmp_path):
    """Not Python, or too deep: as if it were not there."""
    write_folder(tmp_path, [30], [0])
    (tmp_path / "params.py").write_text(text)
    with pytest.raises(ValueError, match="fs_Hz must be given"):
        load_spikedata_from_kilosort(tmp_path)


def test_labels_become_attributes(tmp_path):
    """Every cluster table counts; cluster_info fills what the others leave."""
    write_folder(tmp_path, [30, 60, 90], [0, 1, 5], sample_rate=30000.0)
    (tmp_path / "cluster_group.tsv").write_text(
        "cluster_id\tgroup\n0\tgood\n5\tnoise\n"
    )
    (tmp_path / "cluster_KSLabel.tsv").write_text(
        "cluster_id\tKSLabel\n1\tmua\n99\tmua\n"
    )
    (tmp_path / "cluster_info.tsv").write_text(
        "id\tgroup\tch\tAmplitude\n0\tmua\t3\t12.5\n1\tmua\t4\t\n"
    )
    np.save(tmp_path / "channel_map.npy", np.arange(8))
    places = {"ch": 3, "electrode": 3}
    assert load(tmp_path).neuron_attributes == [
        {"unit_id": 0, "group": "good", "Amplitude": 12.5, **places},
        {"unit_id": 1, "group": "mua", "KSLabel": "mua", "ch": 4, "electrode": 4},
        {"unit_id": 5, "group": "noise"},
    ]


def test_a_named_table_chooses_units(tmp_path):
    """Good and mua, and noise where asked for."""
    write_folder(tmp_path, [30, 60, 90, 120], [0, 1, 2, 3], sample_rate=30000.0)
    table = "cluster_id\tgroup\n0\tgood\n1\tnoise\n2\tmua\n3\tunsorted\n"
    (tmp_path / "cluster_group.tsv").write_text(table)

    def ids(**options):
        sd = load_spikedata_from_kilosort(tmp_path, **options)
        return sd.metadata["cluster_ids"]

    assert ids() == [0, 1, 2, 3]
    assert ids(cluster_info_tsv="cluster_group.tsv") == [0, 2]
    assert ids(cluster_info_tsv=tmp_path / "cluster_group.tsv") == [0, 2]
    assert ids(cluster_info_tsv="cluster_group.tsv", include_noise=True) == [0, 1, 2]
    with pytest.warns(UserWarning, match="all units are read") as caught:
        assert ids(cluster_info_tsv="missing.tsv") == [0, 1, 2, 3]
    assert caught[0].filename == __file__


def test_electrodes_and_locations_of_a_sorter(tmp_path):
    """The channel where the template is largest, through map and positions."""
    write_folder(tmp_path, [30, 60, 90], [0, 1, 9], sample_rate=30000.0)
    templates = np.zeros((3, 4, 3), dtype=np.float32)
    templates[0, 1, 2] = -5
    templates[1, 2, 0] = -5
    templates[2, 2, 1] = 4
    np.save(tmp_path / "templates.npy", templates)
    np.save(tmp_path / "spike_templates.npy", np.array([0, 1, 2], dtype=np.uint32))
    np.save(tmp_path / "channel_map.npy", np.array([[10], [11], [12]]))
    np.save(tmp_path / "channel_positions.npy", np.array([[0.0, 0], [0, 20], [0, 40]]))
    sd = load(tmp_path)
    assert sd.electrodes.tolist() == [12, 10, 11]
    assert sd.unit_locations.tolist() == [[0, 40], [0, 0], [0, 20]]


def test_sparse_templates_know_their_channels(tmp_path):
    """template_ind.npy says which channel a column is."""
    write_folder(tmp_path, [30, 60], [0, 1], sample_rate=30000.0)
    np.save(tmp_path / "templates.npy", np.eye(2, dtype=np.float32)[:, :, None])
    np.save(tmp_path / "template_ind.npy", np.array([[3], [1]]))
    np.save(tmp_path / "channel_map.npy", np.arange(4) + 100)
    assert load(tmp_path).electrodes.tolist() == [103, 101]


def test_templates_stand_in_for_missing_clusters(tmp_path):
    """A sorter's folder that nobody opened in Phy yet."""
    write_folder(tmp_path, [30, 60], [1, 0], sample_rate=30000.0)
    (tmp_path / "spike_clusters.npy").rename(tmp_path / "spike_templates.npy")
    assert load(tmp_path).train[1].tolist() == [1.0]


def test_a_time_before_zero_asks_for_the_start(tmp_path):
    """Nobody can know the start of an event-centred recording from elsewhere."""
    write_folder(tmp_path, [-30, 60], [0, 0], sample_rate=30000.0)
    with pytest.raises(
        FormatError, match=r"spike at -1.0 ms, before 0; give start_time_ms"
    ):
        load(tmp_path)
    assert load_spikedata_from_kilosort(tmp_path, start_time_ms=-5).start_time == -5.0


# Curated after the export


def test_a_folder_curated_since_counts_as_it_is(tmp_path):
    """Units merged and split in Phy replace the old ones; silent ones stay."""
    sd = SpikeData([[1.0], [], [2.0], [3.0, 4.0]], start_time=0.5, length=60.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sd.to_kilosort(tmp_path, fs_Hz=FS, spike_order="time")
    np.save(tmp_path / "spike_clusters.npy", np.array([4, 4, 6, 5], dtype=np.int32))
    (tmp_path / "cluster_group.tsv").write_text("cluster_id\tgroup\n4\tgood\n6\tmua\n")
    found = load(tmp_path)
    assert [t.tolist() for t in found.train] == [[], [1.0, 2.0], [4.0], [3.0]]
    assert found.metadata["cluster_ids"] == [1, 4, 5, 6]
    assert (found.start_time, found.length) == (0.5, 60.0)
    assert found.get_neuron_attribute("group") == [None, "good", None, "mua"]


# Broken and hostile folders


def exported(folder):
    """A folder to break."""
    simulated().to_kilosort(folder, fs_Hz=FS)
    return folder


def test_a_missing_array_is_incomplete(tmp_path):
    """The sidecar lists what belongs to the export."""
    (exported(tmp_path) / "spike_clusters.npy").unlink()
    with pytest.raises(IncompleteExportError, match=r"spike_clusters.npy"):
        load(tmp_path)


def test_lengths_must_agree(tmp_path):
    """Both counts are named."""
    write_folder(tmp_path, [1, 2, 3], [0, 0], sample_rate=1.0)
    with pytest.raises(FormatError, match="same length, got 3 and 2"):
        load(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}], dtype=object),
        np.array(["1"]),
        np.ones((2, 2)),
        np.array([0.5]),
        np.array([NAN]),
        np.array([2**64 - 1], dtype=np.uint64),
    ],
)
def test_arrays_that_are_no_clusters(array, tmp_path):
    """Nothing is unpickled, nothing is guessed."""
    write_folder(tmp_path, np.zeros(array.size, dtype=int), [0], sample_rate=1.0)
    np.save(tmp_path / "spike_clusters.npy", array, allow_pickle=True)
    with pytest.raises(FormatError, match="spike_clusters"):
        load(tmp_path)


@pytest.mark.parametrize("cut", [0, 5, 60, 200])
def test_cut_arrays(cut, tmp_path):
    """A file cut short anywhere is one clear error."""
    file = exported(tmp_path) / "spike_times.npy"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(FormatError, match="spike_times"):
        load(tmp_path)


def test_a_promised_size_is_not_believed(tmp_path):
    """A header that promises petabytes allocates nothing."""
    file = exported(tmp_path) / "spike_times.npy"
    head = b"{'descr': '<i8', 'fortran_order': False, 'shape': (900000000000000,), }"
    file.write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + head.ljust(117) + b"\n")
    with pytest.raises(FormatError, match="spike_times"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["../x.npy", "/etc/passwd", "a/b.npy", "..", ""])
def test_names_that_leave_the_folder(name, tmp_path):
    """Neither from the caller nor from the sidecar."""
    exported(tmp_path)
    with pytest.raises(ValueError, match="must be a file name"):
        load_spikedata_from_kilosort(tmp_path, spike_times_file=name)
    sidecar = tmp_path / "spikelab.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**facts, "spike_times_file": name}))
    with pytest.raises(FormatError, match="spike_times_file must be one of the files"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "csv"),
        ("fs_Hz", -1),
        ("fs_Hz", "fast"),
        ("time_unit", "weeks"),
        ("cluster_ids", [0, 0, 1, 2, 3, 4]),
        ("cluster_ids", "012345"),
        ("cluster_ids", [1e99] * 6),
        ("cluster_ids", None),
        ("spike_counts", [1]),
        ("spike_counts", [-1, 0, 0, 0, 0, 1]),
        ("spike_counts", [2**62] * 6),
        ("start_time_ms", NAN),
        ("length_ms", None),
        ("columns", [1]),
        ("columns", {"a": "b"}),
        ("columns", [{"name": "a", "attribute": "a", "kind": "text", "cells": []}]),
        (
            "columns",
            [{"name": "a", "attribute": "a", "kind": "value", "cells": [1] * 6}],
        ),
        ("unit_ids", [0.5] * 6),
        ("unit_ids", [1]),
        ("placeholders", ["a"]),
        ("first_sample", 0.5),
    ],
)
def test_a_damaged_sidecar_is_named(name, value, tmp_path):
    """One clear error that names the file."""
    sidecar = exported(tmp_path) / "spikelab.json"
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**facts, name: value}))
    with pytest.raises(FormatError, match=r"spikelab.json"):
        load(tmp_path)


def test_a_file_is_no_folder(tmp_path):
    """The error says what was expected."""
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="must name a folder"):
        load_spikedata_from_kilosort(tmp_path / "file", fs_Hz=1000)


def test_function_method_and_writer_are_one(tmp_path):
    """Three ways to the same bytes."""
    sd = simulated()
    written = [
        sd.to_kilosort(tmp_path / "a", fs_Hz=FS),
        export_spikedata_to_kilosort(sd, tmp_path / "b", fs_Hz=FS),
        KiloSortWriter(fs_Hz=FS).write(sd, tmp_path / "c"),
    ]
    assert len({np.load(times).tobytes() for times, _ in written}) == 1
