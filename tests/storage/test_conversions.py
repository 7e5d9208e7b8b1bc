"""Conversions from and to stores that fsspec opens, one by one and many at once."""

import json

import pytest
from recordings import assert_same_recording, simulated

from spikelab import convert, convert_many, load

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["memory", "file"])
def lab(request, memory, tmp_path):
    """The URL of a folder in a store."""
    return "memory://lab" if request.param == "memory" else f"file://{tmp_path}/lab"


def statuses(rows):
    """What became of each recording."""
    return [row.status for row in rows]


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Phy cannot hold
def test_one_file_goes_from_store_to_store(lab):
    """Through every kind of format: a file, a folder, a file again."""
    sd = simulated()
    source = sd.to_pickle(f"{lab}/a.pkl")
    folder = convert(source, f"{lab}/phy/", to="phy", fs_Hz=30_000.0)
    assert folder == f"{lab}/phy/params.py"
    assert convert(folder, f"{lab}/a.h5") == f"{lab}/a.h5"
    assert_same_recording(load(f"{lab}/a.h5"), sd, 500 / 30_000)


def test_many_files_are_converted_and_kept(lab, tmp_path):
    """What a pattern matches; a second run writes what has changed, and nothing else."""
    for seed in range(3):
        simulated(seed).to_pickle(f"{lab}/raw/{seed}.pkl")
    report = tmp_path / "report.jsonl"

    def run(**more):
        target = f"{lab}/nwb/{{stem}}.nwb"
        return convert_many(f"{lab}/raw/*.pkl", target, report=report, **more)

    rows = run()
    assert statuses(rows) == ["written"] * 3
    assert [row.target for row in rows] == [f"{lab}/nwb/{i}.nwb" for i in range(3)]
    assert all(row.n_bytes > 1000 for row in rows)
    for seed in range(3):
        assert_same_recording(load(f"{lab}/nwb/{seed}.nwb"), simulated(seed), 1e-9)
    assert statuses(run()) == ["kept"] * 3
    assert len(report.read_text().splitlines()) == 3
    simulated(7).to_pickle(f"{lab}/raw/1.pkl")
    assert statuses(run()) == ["kept", "written", "kept"]
    assert_same_recording(load(f"{lab}/nwb/1.nwb"), simulated(7), 1e-9)
    assert statuses(run(resume=False, overwrite=True)) == ["written"] * 3


def test_a_source_of_the_same_size_is_noticed(lab, tmp_path):
    """Its modification time is another."""
    report = tmp_path / "report.jsonl"

    def run():
        return convert_many(
            [f"{lab}/a.csv"], f"{lab}/h5/", to="hdf5", report=report, resume=True
        )

    fs, path = fsspec.core.url_to_fs(f"{lab}/a.csv")
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, b"unit,time_ms\n0,1.5\n")
    assert statuses(run()) == ["written"]
    fs.pipe_file(path, b"unit,time_ms\n0,2.5\n")
    assert statuses(run()) == ["written"]
    assert load(f"{lab}/h5/a.h5").train[0].tolist() == [2.5]


def test_folders_are_converted_and_kept(lab, tmp_path):
    """Those of Phy, as sources and as targets."""
    for seed in range(2):
        simulated(seed).to_phy(f"{lab}/sorted/{seed}", fs_Hz=30_000.0)

    def run():
        sources = [f"{lab}/sorted/{seed}" for seed in range(2)]
        target, report = f"{lab}/ks/{{stem}}", tmp_path / "report.csv"
        return convert_many(sources, target, to="kilosort", report=report)

    rows = run()
    assert statuses(rows) == ["written"] * 2, rows
    assert all(row.n_bytes > 1000 for row in rows)
    assert statuses(run()) == ["kept"] * 2
    for seed in range(2):
        found = load(f"{lab}/ks/{seed}")
        assert_same_recording(found, simulated(seed), 500 / 30_000)


def test_a_broken_file_is_a_row(lab, tmp_path):
    """The others are written, and nothing half is there."""
    simulated().to_pickle(f"{lab}/a.pkl")
    fs, path = fsspec.core.url_to_fs(f"{lab}/b.pkl")
    fs.pipe_file(path, b"no pickle")
    report = tmp_path / "report.jsonl"
    rows = convert_many(f"{lab}/*.pkl", f"{lab}/out/", to="hdf5", report=report)
    assert statuses(rows) == ["written", "failed"]
    assert f"{lab}/b.pkl" in rows[1].error
    assert len(fs.find(f"{path.rpartition('/')[0]}/out")) == 1
    kept = [json.loads(line)["status"] for line in report.read_text().splitlines()]
    assert kept == ["written", "failed"]


def test_a_pattern_that_matches_nothing(lab):
    """Is an error, as for local files."""
    simulated().to_pickle(f"{lab}/a.pkl")
    with pytest.raises(FileNotFoundError, match="matches"):
        convert_many(f"{lab}/*.nwb", f"{lab}/out/", to="hdf5")
