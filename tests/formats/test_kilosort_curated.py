"""Exported folders that were curated since: what comes back, and what is protected."""

import json
import os
import warnings
from collections import namedtuple

import numpy as np
import pytest
from contract import snapshot
from recordings import simulated
from sorted_folders import known, saved_by_phy, sorted_folder, warned

from spikelab import SpikeData, SpikeSliceStack, differences, load
from spikelab.formats import KiloSortWriter, PhyWriter

FS = 30_000.0


def units(*attributes, spikes=2):
    """A unit for each dictionary; one with ``spikes`` has as many."""
    rows = [dict(a) for a in attributes]
    counts = [row.pop("spikes", spikes) for row in rows]
    train = [[1.0 + u + 10 * k for k in range(n)] for u, n in enumerate(counts)]
    return SpikeData(train, length=100.0, neuron_attributes=rows)


def quietly(sd, folder, **options):
    """Export without the warning of a start that is not 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return sd.to_phy(folder, fs_Hz=FS, **options)


FACTS = [
    {
        "unit_id": 100 + u,
        "quality": "good",
        "snr": 8.25 - u,
        "serial": f"00{u}",
        "electrode": u,
        "location": (0.0, 20.0 * u),
        "region": "CA1",
        "is_fast": u > 0,
        "spikes": 0 if u % 2 else 2,
    }
    for u in range(4)
]


class TestComesBack:
    """What was known of the units, after Phy saved."""

    def test_silent_units_keep_their_attributes(self, tmp_path):
        """Phy drops their rows from every table."""
        sd = units(*FACTS)
        sd.to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path)
        found = load(tmp_path)
        assert found.neuron_attributes == sd.neuron_attributes
        assert [len(t) for t in found.train] == [2, 0, 2, 0]

    def test_what_was_typed_in_phy_counts(self, tmp_path):
        """A label that was changed, one that was removed, a new column."""
        sd = units({"group": "good"}, {"group": "sua", "spikes": 0}, {"group": "mua"})
        sd.to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, group={0: "noise"})
        (tmp_path / "cluster_note.tsv").write_text("cluster_id\tnote\n0\tfast\n")
        found = load(tmp_path)
        assert known(found, "group") == ["noise", "sua", "mua"]
        assert known(found, "note") == ["fast", None, None]
        saved_by_phy(tmp_path, group={2: "unsorted"})
        assert known(load(tmp_path), "group") == ["noise", "sua", "unsorted"]

    @pytest.mark.parametrize(
        ("rows", "electrodes"),
        [
            ([{}, {}], None),
            ([{"fr": 7.5, "ch": 9}, {"fr": 8.5, "ch": 4}], [9, 4]),
        ],
    )
    def test_what_phy_counts_itself(self, rows, electrodes, tmp_path):
        """No placeholder becomes an electrode, no attribute of that name is replaced."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            units(*rows).to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path)
        ch = np.load(tmp_path / "channel_map.npy")[0]
        (tmp_path / "cluster_info.tsv").write_text(
            f"cluster_id\tch\tfr\tn_spikes\n0\t{ch}\t1.5\t2\n1\t{ch}\t1.5\t2\n"
        )
        found = load(tmp_path)
        assert known(found, "n_spikes") == [2, 2]
        assert known(found, "fr") == [row.get("fr", 1.5) for row in rows]
        assert known(found, "ch") == [row.get("ch") for row in rows]
        is_known = found.electrodes is not None
        assert (found.electrodes.tolist() if is_known else None) == electrodes

    def test_numbers_that_phy_wrote_otherwise(self, tmp_path):
        """It reads all cells as numbers and writes them again."""
        values = [
            {"depth_um": 1e-7, "serial": "007"},
            {"depth_um": 2.0, "serial": "1.50"},
        ]
        sd = units(*values)
        sd.to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, depth_um={0: "1e-07", 1: "2"}, serial={0: "7", 1: "1.5"})
        found = load(tmp_path)
        assert [known(found, k) for k in values[0]] == [[1e-7, 2.0], ["007", "1.50"]]

    def test_a_merged_cluster_has_the_id_that_phy_gave_it(self, tmp_path):
        """That of its largest part: SpikeInterface shows it under the same."""
        sd = units({"unit_id": 30}, {"unit_id": 10}, {"unit_id": 20})
        sd.to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, [3, 2, 3, 3, 2, 3], si_unit_id={3: 30})
        found, told = warned(lambda: load(tmp_path))
        assert (known(found, "unit_id"), told) == ([20, 30], [])

    def test_ids_that_are_names(self, tmp_path):
        """SpikeInterface cannot take them: it shows positions."""
        ids = ["a", "b", "c"]
        sd = units(*({"unit_id": i} for i in ids))
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        table = (tmp_path / "cluster_si_unit_id.tsv").read_text()
        assert table == "cluster_id\tsi_unit_id\n0\t0\n1\t1\n2\t2\n"
        assert known(load(tmp_path), "unit_id") == ids
        saved_by_phy(tmp_path, [3, 3, 2, 3, 3, 2], si_unit_id={3: 1})
        assert known(load(tmp_path), "unit_id") == [ids[2], ids[1]]

    def test_halves_of_a_split_have_different_ids(self, tmp_path):
        """Phy copies the id to both."""
        units({"unit_id": 10}, {"unit_id": 20}).to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, [2, 1, 3, 1], si_unit_id={2: 10, 3: 10})
        found, told = warned(lambda: load(tmp_path))
        assert known(found, "unit_id") == [20, 2, 3]
        assert len(told) == 1

    def test_names_that_are_numbers(self, tmp_path):
        """A new cluster does not get the name of another unit."""
        units({"unit_id": "2"}, {"unit_id": "1"}).to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, [0, 2, 0, 2])
        assert known(load(tmp_path), "unit_id") == ["2", "0"]

    def test_arrays_of_merged_clusters(self, tmp_path):
        """The mean of their waveforms, all of their amplitudes."""
        waveform = np.zeros((4, 1), np.float32)
        waveform[1] = 6.0
        sd = units(
            {"waveform_mean": waveform, "amplitudes": [1.0, 2.0]},
            {"waveform_mean": 2 * waveform, "amplitudes": [3.0], "spikes": 1},
            {"waveform_mean": -waveform, "amplitudes": [], "spikes": 0},
        )
        sd.to_phy(tmp_path, fs_Hz=FS)
        saved_by_phy(tmp_path, [3, 3, 3])
        silent, merged = load(tmp_path).neuron_attributes
        assert merged["waveform_mean"][1].tolist() == [8.0]
        assert merged["amplitudes"].tolist() == [1.0, 3.0, 2.0]
        assert silent["waveform_mean"][1].tolist() == [-6.0]
        assert silent["amplitudes"].size == 0


class TestLabels:
    """cluster_group.tsv."""

    @pytest.mark.parametrize("key", ["group", "quality"])
    @pytest.mark.parametrize("missing", [None, float("nan"), "", " "])
    def test_cell_by_cell(self, key, missing, tmp_path):
        """As they stand; only missing ones are unsorted, and said to be lost."""
        labels = ["good", "sua", "Good", "unsorted"]
        sd = units(*({key: label} for label in (*labels, missing)), {})
        told = PhyWriter(fs_Hz=FS).losses(sd)
        assert any(f"neuron_attributes['{key}'] where it is" in line for line in told)
        _, warnings_ = warned(lambda: sd.to_phy(tmp_path, fs_Hz=FS, verify=True))
        assert warnings_ == []
        rows = (tmp_path / "cluster_group.tsv").read_text().splitlines()[1:]
        cells = [row.split("\t")[1] for row in rows]
        assert cells == [*labels, "unsorted", "unsorted"]
        assert known(load(tmp_path), key) == [*labels, None, None]

    def test_a_numeric_quality_is_a_column(self, tmp_path):
        """It is no label."""
        sd = units({"quality": 0.5}, {"quality": 1.0})
        sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        assert "unsorted" in (tmp_path / "cluster_group.tsv").read_text()
        assert known(load(tmp_path), "quality") == [0.5, 1.0]

    @pytest.mark.parametrize("label", ["3b", "été", "1e-3", "two\nlines"])
    def test_a_label_that_no_reader_takes(self, label, tmp_path):
        """It becomes unsorted, and is named; the others stay."""
        sd = units({"group": "good"}, {"group": label})
        assert any(repr(label) in line for line in PhyWriter(fs_Hz=FS).losses(sd))
        with pytest.warns(UserWarning, match="become 'unsorted'") as caught:
            sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        assert repr(label) in str(caught[0].message)
        assert known(load(tmp_path), "group") == ["good", None]

    def test_in_a_kilosort_folder(self, tmp_path):
        """The same table, in chronological order."""
        sd = units({"group": "good"}, {"group": "sua"}, {})
        options = {"fs_Hz": FS, "spike_order": "time", "verify": True}
        sd.to_kilosort(tmp_path, **options)
        assert known(load(tmp_path), "group") == ["good", "sua", None]


class TestNames:
    """Columns that Phy fills itself."""

    def test_they_get_another_name(self, tmp_path):
        """A warning names them; they come back under their own."""
        names = ("id", "cluster_id", "n_spikes", "fr", "ch", "sh", "depth", "amp")
        sd = units(*(dict.fromkeys(names, 0.5 + u) for u in range(2)))
        with pytest.warns(UserWarning, match=", ".join(names)) as caught:
            sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        assert len(caught) == 1
        for table in tmp_path.glob("cluster_*.tsv"):
            column = table.read_text().split("\n")[0].split("\t")[1]
            assert not {column, table.stem.removeprefix("cluster_")} & set(names)
        found = load(tmp_path)
        assert [known(found, name) for name in names] == [[0.5, 1.5]] * 8

    def test_a_name_that_is_taken(self, tmp_path):
        """Another attribute may be called unit_depth."""
        sd = units({"depth": 1.0, "unit_depth": 2.0}, {"depth": 3.0, "unit_depth": 4.0})
        with pytest.warns(UserWarning, match="depth"):
            sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
        found = load(tmp_path)
        assert [known(found, k) for k in ("depth", "unit_depth")] == [[1, 3], [2, 4]]


class TestIds:
    """Numbers that no reader can take."""

    @pytest.mark.parametrize("ids", [[0, 2**24], [0, 2**40], [-1, 3]])
    def test_are_refused(self, ids, tmp_path):
        """Where other programs open the folder."""
        sd = units({}, {})
        with pytest.raises(ValueError, match=r"must lie in 0\.\.16777215"):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS, cluster_ids=ids)
        with pytest.raises(ValueError, match=r"must lie in 0\.\.16777215"):
            sd.to_kilosort(
                tmp_path / "ks", fs_Hz=FS, cluster_ids=ids, spike_order="time"
            )
        assert list(tmp_path.iterdir()) == []
        sd.to_kilosort(tmp_path / "ks", fs_Hz=FS, cluster_ids=ids, verify=True)
        assert known(load(tmp_path / "ks"), "unit_id") == ids

    @pytest.mark.parametrize("ids", [[0, 2**24], [0.0, 2.0**40], [-1, 3]])
    def test_are_refused_as_an_attribute_too(self, ids, tmp_path):
        """The error names the option that takes its place; others are no ids."""
        sd = units(*({"unit_id": i} for i in ids))
        with pytest.raises(ValueError, match=r"unit_id must lie in .* cluster_ids="):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS)
        assert list(tmp_path.iterdir()) == []
        with pytest.warns(UserWarning, match="cluster_ids takes its place"):
            sd.to_phy(tmp_path / "phy", fs_Hz=FS, cluster_ids=[4, 2**24 - 1])
        assert known(load(tmp_path / "phy"), "unit_id") == [4, 2**24 - 1]
        for attributes in sd.neuron_attributes:
            attributes["si_unit_id"] = attributes.pop("unit_id")
        sd.to_phy(tmp_path / "phy", fs_Hz=FS)
        assert known(load(tmp_path / "phy"), "unit_id") == [0, 1]

    @pytest.mark.parametrize(("largest", "dtype"), [(2**31 - 1, "i4"), (2**31, "i8")])
    def test_take_32_bits_where_they_fit(self, largest, dtype, tmp_path):
        """As KiloSort writes them."""
        _, clusters = units({}, {}).to_kilosort(
            tmp_path, fs_Hz=FS, cluster_ids=[-5, largest]
        )
        assert np.load(clusters).dtype == dtype


def relabel(folder):
    """Phy saved another label."""
    saved_by_phy(folder, group={0: "noise"})


def merge(folder):
    """Phy saved a merged cluster."""
    clusters = np.load(folder / "spike_clusters.npy")
    saved_by_phy(folder, np.where(clusters < 2, clusters.max() + 1, clusters))


def add(name):
    """Somebody put a file into the folder."""
    return lambda folder: (folder / name).write_text("cluster_id\tnote\n0\tfast\n")


def edit_params(folder):
    """Somebody named the raw file."""
    path = folder / "params.py"
    path.write_text(path.read_text().replace("dat_path = []", "dat_path = 'raw.dat'"))


CHANGES = {
    "label": (relabel, "cluster_group.tsv"),
    "merge": (merge, "spike_clusters.npy"),
    "new table": (add("cluster_note.tsv"), "cluster_note.tsv"),
    "saved": (add("cluster_info.tsv"), "cluster_info.tsv"),
    "features": (add("pc_features.npy"), "pc_features.npy"),
    "params": (edit_params, "params.py"),
}


class TestProtected:
    """A folder that holds what an export would not write again."""

    @pytest.mark.parametrize("change", CHANGES)
    @pytest.mark.parametrize("cls", [PhyWriter, KiloSortWriter])
    def test_a_curated_folder_is_not_replaced(self, change, cls, tmp_path):
        """The error names what would be lost, and how to replace it."""
        make, name = CHANGES[change]
        sd, folder = simulated(), tmp_path / "phy"
        sd.to_phy(folder, fs_Hz=FS)
        make(folder)
        before = snapshot(tmp_path)
        with pytest.raises(FileExistsError, match=r"overwrite=True") as caught:
            cls(fs_Hz=FS).write(sd, folder)
        assert name in str(caught.value)
        assert snapshot(tmp_path) == before
        cls(fs_Hz=FS, overwrite=True).write(sd, folder)
        fresh = cls(fs_Hz=FS).write(sd, tmp_path / "fresh")
        assert differences(load(fresh), load(folder)) == []
        assert {p.name for p in folder.iterdir()} == {
            p.name for p in (tmp_path / "fresh").iterdir()
        }

    def test_an_untouched_folder_is_replaced(self, tmp_path):
        """Also by another recording, and if Phy opened it, or saved the same again."""
        sd, folder = units(*FACTS), tmp_path / "phy"
        sd.to_phy(folder, fs_Hz=FS)
        simulated().to_phy(folder, fs_Hz=FS)
        sd.to_phy(folder, fs_Hz=FS)
        (folder / ".phy").mkdir()
        (folder / ".phy" / "cache.pkl").write_text("new")
        np.save(folder / "whitening_mat_inv.npy", np.eye(4))
        sd.to_phy(folder, fs_Hz=FS)
        assert not (folder / ".phy").exists()
        saved_by_phy(folder)
        (folder / "cluster_info.tsv").unlink()
        sd.to_phy(folder, fs_Hz=FS)
        for file in folder.iterdir():
            os.utime(file, (1, 1))
        sd.to_kilosort(folder, fs_Hz=FS)
        sd.to_phy(folder, fs_Hz=FS)

    def test_a_large_folder(self, tmp_path):
        """Clusters are counted where their bytes are too many to be kept in mind."""
        n = 2**19
        sd = SpikeData([np.arange(n / 2), np.arange(n / 2) + 0.5], length=n)
        folder = tmp_path / "phy"
        sd.to_phy(folder, fs_Hz=FS)
        sd.to_phy(folder, fs_Hz=FS)
        clusters = np.load(folder / "spike_clusters.npy")
        clusters[0] = 2
        np.save(folder / "spike_clusters.npy", clusters)
        with pytest.raises(FileExistsError, match=r"spike_clusters\.npy"):
            sd.to_phy(folder, fs_Hz=FS)

    def test_a_slice_that_was_curated(self, tmp_path):
        """The folders of slices are looked at, too."""
        stack = SpikeSliceStack(simulated(), [(0.0, 5000.0), (5000.0, 10_000.0)])
        stack.to_phy(tmp_path, fs_Hz=FS)
        stack.to_phy(tmp_path, fs_Hz=FS)
        relabel(tmp_path / "slice_0001")
        with pytest.raises(FileExistsError, match=r"slice_0001/cluster_group\.tsv"):
            stack.to_phy(tmp_path, fs_Hz=FS)
        with pytest.raises(FileExistsError, match=r"slice_0001/cluster_group\.tsv"):
            simulated().to_phy(tmp_path, fs_Hz=FS)

    def test_a_folder_of_another_program(self, tmp_path):
        """What conflicts is named, and replaced if the user says so."""
        folder = sorted_folder(tmp_path / "ks", similar_templates__npy=np.eye(3))
        (folder / "notes.txt").write_text("mine")
        before = snapshot(folder)
        with pytest.raises(FileExistsError, match=r"another program .*overwrite=True"):
            simulated().to_phy(folder, fs_Hz=FS)
        assert snapshot(folder) == before
        simulated().to_phy(folder, fs_Hz=FS, overwrite=True)
        assert (folder / "notes.txt").read_text() == "mine"
        assert not (folder / "similar_templates.npy").exists()
        assert load(folder).N == 6

    def test_an_export_that_did_not_end_is_replaced(self, tmp_path):
        """It holds nothing that anybody could have curated."""
        simulated().to_phy(tmp_path, fs_Hz=FS)
        manifest = json.loads((tmp_path / "spikelab.json").read_text())
        text = json.dumps({"complete": False, "files": manifest["files"]})
        (tmp_path / "spikelab.json").write_text(text)
        simulated().to_phy(tmp_path, fs_Hz=FS)
        assert load(tmp_path).N == 6


def test_the_highest_cluster_has_spikes(tmp_path):
    """Phy numbers new clusters from there; the loader gives the order back."""
    counts = (2, 0, 3, 0, 0)
    sd = units(*({"unit_id": 9 - u, "spikes": n} for u, n in enumerate(counts)))
    quietly(sd, tmp_path, verify=True)
    clusters = np.load(tmp_path / "spike_clusters.npy")
    assert clusters.max() == 4
    table = (tmp_path / "cluster_group.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[0] for row in table] == ["0", "1", "4", "3", "2"]
    found = load(tmp_path)
    assert known(found, "unit_id") == [9, 8, 7, 6, 5]
    assert [len(t) for t in found.train] == list(counts)


def test_a_location_of_one_number(tmp_path):
    """It is x."""
    sd = units(
        {"electrode": 0, "location": [50.0]}, {"electrode": 1, "location": [70.0]}
    )
    sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    positions = np.load(tmp_path / "channel_positions.npy").tolist()
    assert positions == [[50.0, 0.0], [70.0, 0.0]]
    assert load(tmp_path).unit_locations.tolist() == [[50.0], [70.0]]


@pytest.mark.parametrize(
    "places",
    [
        [(0.0, 1.0), (2.0, 3.0)],
        [np.array([0.0, 1.0]), np.array([2.0, 3.0])],
        [np.array([0, 1], dtype=np.int16), np.array([2, 3], dtype=np.int16)],
        [[0, 1.5], [2.5, 3]],
    ],
)
def test_locations_come_back_as_what_they_were(places, tmp_path):
    """Lists, tuples, arrays."""
    sd = units(*({"location": place} for place in places))
    sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    for found, place in zip(known(load(tmp_path), "location"), places, strict=True):
        assert type(found) is type(place)
        np.testing.assert_array_equal(found, place)


def test_a_location_of_named_coordinates(tmp_path):
    """It comes back as a tuple."""
    point = namedtuple("Point", "x y")
    sd = units({"location": point(0.0, 1.0)}, {"location": point(2.0, 3.0)})
    sd.to_phy(tmp_path, fs_Hz=FS, verify=True)
    assert known(load(tmp_path), "location") == [(0.0, 1.0), (2.0, 3.0)]
