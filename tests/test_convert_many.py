"""Many conversions: targets, reports, and what is kept in a second run."""

import csv
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from recordings import simulated
from s3_server import S3Server

from spikelab import Conversion, SpikeData, convert_many, load
from spikelab.cli import main
from spikelab.errors import FormatError, OptionError, SpikelabError
from spikelab.registry import FORMATS


def recording(n=2):
    """A recording with `n` spikes of the first unit."""
    return SpikeData([[float(i) for i in range(n)], []], length=1000.0)


@pytest.fixture
def sources(tmp_path):
    """Five recordings as pickles."""
    (tmp_path / "in").mkdir()
    return [recording(i).to_pickle(tmp_path / "in" / f"rat{i}.pkl") for i in range(5)]


def statuses(rows):
    """The status of each row."""
    return [row.status for row in rows]


def files(folder):
    """The names of all files in a folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_each_recording_is_a_row_in_the_order_of_the_sources(sources, tmp_path):
    """With what it holds, how large it is and how long it took."""
    rows = convert_many(sources[::-1], tmp_path / "out", to="hdf5")
    assert [row.source for row in rows] == sources[::-1]
    assert [row.n_spikes for row in rows] == [4, 3, 2, 1, 0]
    for row in rows:
        path = tmp_path / "out" / Path(row.source).with_suffix(".h5").name
        assert row.target == str(path)
        assert (row.status, row.n_units, row.error) == ("written", 2, None)
        assert row.n_bytes == path.stat().st_size
        assert row.seconds > 0
        assert row.losses == []
        assert load(row.target) == load(row.source)


def test_rows_cannot_be_changed():
    """They say what was."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Conversion("a", "b", "failed").status = "written"


def test_patterns_are_expanded(sources, tmp_path, monkeypatch):
    """Those of glob; one that matches nothing is an error."""
    monkeypatch.chdir(tmp_path)
    rows = convert_many(["in/rat[0-2].pkl", "in/rat4.pkl"], "out/{stem}.h5")
    assert [row.source for row in rows] == [f"in/rat{i}.pkl" for i in (0, 1, 2, 4)]
    assert len(convert_many("**/rat*.pkl", "more/{stem}.h5")) == 5
    with pytest.raises(
        FileNotFoundError, match=r"no file or folder matches 'in/\*\.h5'"
    ):
        convert_many(["in/*.pkl", "in/*.h5"], "none/{stem}.nwb")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match="sources must name at least one"):
        convert_many([], "none/{stem}.nwb")


def test_a_file_may_be_called_like_a_pattern(tmp_path):
    """A name that is there is a name."""
    source = recording().to_pickle(tmp_path / "rat[1].pkl")
    (row,) = convert_many(source, tmp_path / "{stem}.h5")
    assert row.target == str(tmp_path / "rat[1].h5")


def test_targets_are_templates(tmp_path):
    """With the stem, the folder and the number of each source."""
    for rat in ("a", "b"):
        recording().to_kilosort(tmp_path / rat / "sorted.v1", fs_Hz=20_000)
    rows = convert_many(
        tmp_path / "*" / "sorted.v1",
        tmp_path / "out" / "{parent}-{stem}-{index:03}.nwb",
    )
    assert [Path(row.target).name for row in rows] == [
        "a-sorted.v1-000.nwb",
        "b-sorted.v1-001.nwb",
    ]
    assert files(tmp_path / "out")[-1] == "spikelab-conversions.jsonl"


def test_the_suffix_of_a_format_is_no_part_of_the_stem(tmp_path):
    """Also one with two dots, and in capitals."""
    SpikeData([[1.0]], length=9.0).to_csv(tmp_path / "one.csv.gz")
    recording().to_hdf5(tmp_path / "two.v2.H5")
    rows = convert_many(
        [tmp_path / "one.csv.gz", tmp_path / "two.v2.H5"],
        tmp_path / "out/",
        to="pickle",
    )
    assert [Path(row.target).name for row in rows] == ["one.pkl", "two.v2.pkl"]


@pytest.mark.parametrize(
    ("target", "options", "problem"),
    [
        ("out/all.h5", {}, "target must differ for each recording"),
        ("out/{parent}.h5", {}, "target must differ for each recording"),
        ("out/{name}.h5", {}, "unknown field {name}; fields are {stem}, {parent}, "),
        ("out/{stme}.h5", {}, "did you mean stem"),
        ("out/{stem.__class__}.h5", {}, "unknown field"),
        ("out/{stem:d}.h5", {}, "target cannot be made"),
        ("out/{stem.h5", {}, "must be a template"),
        ("out/", {}, "to must be given for a folder"),
        ("out/{stem}.h5", {"fsHz": 1}, "fsHz is no option of hdf5, did you mean fs_Hz"),
        ("out/{stem}.h5", {"style": "round"}, "style must be one of"),
        ("out/{stem}.h5", {"report": "out/rows.txt"}, "report must end with .jsonl"),
        ("out/{stem}.h5", {"report": "s3://lab/r.csv"}, "report must be a local path"),
        ("out/{stem}.h5", {"on_error": "ignore"}, "on_error must be"),
        ("in/rat1.pkl", {}, "target must differ"),
        ("out/{stem}.csv", {"units_table": "out/u.csv"}, "target must differ"),
        (
            "out/{stem}.csv",
            {"units_table": "./out/{stem}.csv"},
            "units_table must be another file than the target",
        ),
    ],
)
def test_what_is_wrong_is_found_before_the_first_byte(
    target, options, problem, sources, tmp_path, monkeypatch
):
    """Nothing is written, no folder made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=problem):
        convert_many(["in/*.pkl"], target, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(list((tmp_path / "in").iterdir())) == 5


def test_a_target_is_not_the_source_of_another(sources, tmp_path):
    """What is written first would depend on the order."""
    (tmp_path / "rat0.pkl").symlink_to(sources[1])
    with pytest.raises(ValueError, match="must not be the source of another"):
        convert_many([sources[0], sources[1]], tmp_path / "{stem}.pkl")


def test_each_recording_has_its_own_table_of_units(sources, tmp_path):
    """The option is a template as the target is."""
    table = str(tmp_path / "out" / "{stem}_units.csv")
    rows = convert_many(sources, tmp_path / "out/{stem}.csv", units_table=table)
    assert statuses(rows) == ["written"] * 5
    assert (tmp_path / "out" / "rat3_units.csv").exists()


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_second_run_writes_what_is_missing_changed_or_failed(
    suffix, sources, tmp_path
):
    """And nothing else; a report of either kind resumes."""
    report = tmp_path / f"rows.{suffix}"
    bad = tmp_path / "in" / "bad.pkl"
    bad.write_bytes(b"\x80 is no pickle")
    every = [*sources, bad]

    def again(**options):
        return convert_many(every, tmp_path / "out/{stem}.h5", report=report, **options)

    assert statuses(again()) == ["written"] * 5 + ["failed"]
    before = {
        f: (tmp_path / "out" / f).stat().st_mtime_ns for f in files(tmp_path / "out")
    }
    first = again()
    assert statuses(first) == ["kept"] * 5 + ["failed"]
    assert [row.n_spikes for row in first[:5]] == [0, 1, 2, 3, 4]
    assert before == {f: (tmp_path / "out" / f).stat().st_mtime_ns for f in before}
    (tmp_path / "out" / "rat1.h5").unlink()
    recording(9).to_pickle(sources[2])
    recording(9).to_pickle(bad)
    rows = again()
    assert statuses(rows) == ["kept", "written", "written", "kept", "kept", "written"]
    assert statuses(again()) == ["kept"] * 6
    assert statuses(again(style="group")) == ["written"] * 6
    assert statuses(again(style="group", resume=False)) == ["written"] * 6


def test_a_folder_by_any_of_its_files(tmp_path):
    """What changes in the folder is seen, whichever file of it names the source."""
    pair = SpikeData([[100.0, 600.0]], length=1000.0).frames(500)
    pair.to_kilosort(tmp_path / "in", fs_Hz=20_000)
    names = (tmp_path / "in" / "windows.tsv", tmp_path / "{index}.pkl")
    assert statuses(convert_many(*names)) == ["written"]
    assert statuses(convert_many(*names)) == ["kept"]
    (tmp_path / "in" / "slice_0000" / "cluster_note.tsv").write_text("cluster_id")
    assert statuses(convert_many(*names)) == ["written"]


def test_credentials_and_bars_are_not_part_of_the_options(sources, tmp_path):
    """Other credentials do not make another file, and never stand in a report."""
    target = tmp_path / "out/{stem}.pkl"
    convert_many(sources, target, aws_secret_access_key="hush", protocol=4)
    rows = convert_many(sources, target, aws_secret_access_key="else", protocol=4)
    assert statuses(rows) == ["kept"] * 5
    report = (tmp_path / "out" / "spikelab-conversions.jsonl").read_text()
    assert "hush" not in report


def test_the_report_is_a_table(sources, tmp_path):
    """Of the same columns as JSON and CSV."""
    for suffix in ("jsonl", "csv"):
        convert_many(
            [*sources, tmp_path / "missing, or not.pkl"],
            tmp_path / suffix / "{stem}.h5",
            report=tmp_path / f"rows.{suffix}",
        )
    rows = [json.loads(t) for t in (tmp_path / "rows.jsonl").read_text().splitlines()]
    with (tmp_path / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    names = [field.name for field in attrs.fields(Conversion)]
    assert [list(row)[: len(names)] for row in (rows[0], table[0])] == [names, names]
    assert [row["n_spikes"] for row in rows] == [0, 1, 2, 3, 4, None]
    assert [row["n_spikes"] for row in table] == ["0", "1", "2", "3", "4", ""]
    assert rows[5]["error"].startswith("FileNotFoundError: ")
    assert table[5]["error"] == rows[5]["error"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_passed_over(suffix, cut, sources, tmp_path):
    """A driver that was killed while it wrote a row costs that row."""
    report = tmp_path / f"rows.{suffix}"
    convert_many(sources, tmp_path / "out/{stem}.h5", report=report)
    report.write_bytes(report.read_bytes()[:-cut])
    rows = convert_many(sources, tmp_path / "out/{stem}.h5", report=report)
    assert statuses(rows) == ["kept"] * 4 + ["written"]
    rows = convert_many(sources, tmp_path / "out/{stem}.h5", report=report)
    assert statuses(rows) == ["kept"] * 5


@pytest.mark.parametrize(
    ("name", "text"),
    [("x.csv", "unit,depth\n1,20\n"), ("x.jsonl", '{"a": 1}\n'), ("x.jsonl", "[1]\n")],
)
def test_another_file_is_not_taken_for_a_report(name, text, sources, tmp_path):
    """It stays as it is."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match="report must be a new file or a report"):
        convert_many(sources, tmp_path / "{stem}.h5", report=tmp_path / name)
    assert (tmp_path / name).read_text() == text


def test_losses_and_warnings_stand_in_the_row_of_each_recording(tmp_path, recwarn):
    """Not only in that of the first, and no warning is shown."""
    for i in range(3):
        simulated(seed=i).to_pickle(tmp_path / f"{i}.pkl")
    rows = convert_many(tmp_path / "*.pkl", tmp_path / "{stem}.h5")
    for row in rows:
        assert any("neuron_attributes" in text for text in row.losses)
        assert len(set(row.losses)) == len(row.losses)
    assert not recwarn.list


def test_one_bad_recording_stops_nobody(sources, tmp_path):
    """A failure is a row, or, if asked for, raised as it is."""
    bad = tmp_path / "in" / "bad.pkl"
    bad.write_bytes(b"\x80 is no pickle")
    rows = convert_many([bad, *sources], tmp_path / "out/{stem}.h5")
    assert statuses(rows) == ["failed"] + ["written"] * 5
    assert (rows[0].n_units, rows[0].n_bytes) == (None, None)
    assert rows[0].error.startswith("FormatError: ")
    with pytest.raises(FormatError, match="is not a pickle"):
        convert_many(
            [sources[0], bad, *sources[1:]], tmp_path / "o/{stem}.h5", on_error="raise"
        )
    assert files(tmp_path / "o") == ["rat0.h5", "spikelab-conversions.jsonl"]


def test_an_error_that_cannot_be_sent_is_a_row(sources, tmp_path, monkeypatch):
    """As those of other packages may be; it is raised in words."""

    class OddError(Exception):
        def __init__(self, code, text):
            super().__init__(text)

    def fail(*args, **options):
        raise OddError(7, "no luck")

    monkeypatch.setattr(FORMATS["pickle"].module, "read", fail)
    rows = convert_many(sources[:1], tmp_path / "{stem}.h5")
    assert rows[0].error == "OddError: no luck"
    with pytest.raises(SpikelabError, match="OddError: no luck"):
        convert_many(sources[:1], tmp_path / "{stem}.h5", on_error="raise")


def test_threads_do_it_too(tmp_path):
    """Each thread collects the warnings of its own recordings."""
    for i in range(20):
        sd = simulated(seed=i) if i % 2 else recording()
        sd.to_pickle(tmp_path / f"{i:02}.pkl")
    with ThreadPoolExecutor(4) as threads:
        rows = convert_many(
            tmp_path / "*.pkl", tmp_path / "{stem}.h5", executor=threads
        )
    assert [bool(row.losses) for row in rows] == [False, True] * 10


def test_an_executor_is_an_executor(sources, tmp_path):
    """A Dask client, say, is none, and the error says how to get it."""
    with pytest.raises(TypeError, match=r"client\.get_executor\(\)"):
        convert_many(sources, tmp_path / "{stem}.h5", executor=object())


def test_a_progress_bar_is_shown(sources, tmp_path, capsys):
    """On stderr, one step for each recording."""
    pytest.importorskip("tqdm")
    convert_many(sources, tmp_path / "{stem}.h5", progress=True)
    assert "5/5" in capsys.readouterr().err


def test_recordings_in_s3(sources, tmp_path, monkeypatch):
    """Sources, patterns and targets may be in a bucket; the report is here."""
    monkeypatch.chdir(tmp_path)
    with S3Server() as server:
        bucket, options = server.bucket("lab"), server.storage_options
        recording(3).to_pickle(sources[1])
        rows = convert_many(
            sources, "s3://lab/raw/{stem}/cells.pkl", storage_options=options
        )
        assert statuses(rows) == ["written"] * 5
        sizes = {key: len(data) for key, data in server.objects(bucket).items()}
        assert [row.n_bytes for row in rows] == list(sizes.values())

        def again():
            return convert_many(
                "s3://lab/raw/rat[1-3]/*.pkl",
                "s3://lab/phy/{parent}",
                to="phy",
                fs_Hz=20_000,
                report="phy.csv",
                storage_options=options,
            )

        rows = again()
        assert statuses(rows) == ["written"] * 3
        assert rows[0].target == "s3://lab/phy/rat1"
        stored = server.objects(bucket)
        assert rows[0].n_bytes == sum(
            len(data) for key, data in stored.items() if key.startswith("phy/rat1/")
        )
        assert statuses(again()) == ["kept"] * 3
        server.client().delete_object(Bucket=bucket, Key="raw/rat3/cells.pkl")
        assert statuses(again()) == ["kept"] * 2
        local = convert_many("s3://lab/phy/*", "{stem}.h5", storage_options=options)
        assert [row.n_spikes for row in local] == [3, 2, 3]
        with pytest.raises(FileNotFoundError, match="no file or folder matches"):
            convert_many("s3://lab/none/*", "{stem}.h5", storage_options=options)
        odd = recording().to_pickle("s3://lab/a b[1].pkl", storage_options=options)
        (row,) = convert_many(odd, "{stem}.h5", storage_options=options)
        assert (row.status, row.target) == ("written", "a b[1].h5")
        monkeypatch.setattr("os.environ", os.environ | server.environment())
        command = ["convert", odd, "s3://lab/odd", "--to=phy", "--fs-Hz=2e4"]
        assert main(command) == 0
        assert "odd/params.py" in server.objects(bucket)
    assert files(tmp_path)[-1] == "spikelab-conversions.jsonl"


def test_a_bucket_is_a_folder(sources, tmp_path):
    """Of which the root may be source and target."""
    with S3Server() as server:
        for name in ("phy", "copy"):
            server.bucket(name)
        options = {"storage_options": server.storage_options}
        recording(3).to_phy("s3://phy", fs_Hz=20_000, **options)

        def again():
            names = {"to": "phy", "report": tmp_path / "rows.jsonl"}
            return convert_many("s3://phy", "s3://copy", **names, **options)

        assert statuses(again()) == ["written"]
        (row,) = again()
        stored = server.objects("copy").values()
        assert (row.status, row.n_bytes) == ("kept", sum(map(len, stored)))
        recording(4).to_phy("s3://phy", fs_Hz=20_000, **options)
        assert statuses(again()) == ["written"]


def test_two_targets_in_s3_with_one_name(sources):
    """Found before there is a connection."""
    with pytest.raises(OptionError, match="target must differ"):
        convert_many(sources, "s3://lab/{parent}/x.h5")
