"""The command line, run as a user runs it."""

import json
import os
import re
import subprocess
import sys

import pytest
from recordings import assert_same_recording, linear_track, simulated

import spikelab
from spikelab import SpikeData, cli, demo, load
from spikelab.batch.options import options_of
from spikelab.registry import FORMATS


def run(*arguments, **options):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "spikelab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_demo_shows_every_format(tmp_path):
    """Each format is written, read back, and found to hold the same."""
    done = run("demo", tmp_path / "demo")
    assert (done.returncode, done.stderr) == (0, "")
    header, *rows = done.stdout.splitlines()
    assert header.split() == ["format", "file", "bytes", "time", "read", "back"]
    assert len(rows) == len(demo.CASES)
    assert {case.format for case in demo.CASES} == set(FORMATS)
    for row, case in zip(rows, demo.CASES, strict=True):
        assert row.startswith(case.title)
        assert row.endswith("exact") or " within " in row
        assert (tmp_path / "demo" / case.target).exists()


def test_demo_fails_if_a_format_does(tmp_path, monkeypatch, capsys):
    """A recording that comes back otherwise is named, and the status is 1."""
    wrong = simulated()
    monkeypatch.setattr(demo, "load", lambda target, **_: wrong)
    assert cli.main(["demo", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("FAILED: N differs") == len(demo.CASES)


def test_demo_goes_on_after_a_format_that_fails(tmp_path):
    """A file in the way of one export is told in its row; the others are tried."""
    (tmp_path / "phy").write_text("mine")
    done = run("demo", tmp_path)
    failed = [row for row in done.stdout.splitlines() if "FAILED" in row]
    assert (done.returncode, done.stderr, len(failed)) == (1, "", 1)
    assert "NotADirectoryError" in failed[0]
    assert (
        done.stdout.count("exact") + done.stdout.count("within") == len(demo.CASES) - 1
    )


CIRCLE = (
    ("ragged.h5", ["--spike-times-unit", "samples", "--fs-Hz", "30000"]),
    ("ks", ["--to", "kilosort", "--fs-Hz", "30000"]),
    ("cells.nwb", []),
    ("phy", ["--to", "phy", "--fs-Hz", "30000"]),
    ("group.hdf5", ["--style", "group", "--group-time-unit", "ms"]),
    ("paired.h5", ["--style", "PAIRED"]),
    ("again.pkl", []),
)


def test_the_real_recording_goes_round_in_a_circle(tmp_path):
    """From format to format and back: all units, spikes and the window."""
    sd = linear_track()
    source = tmp_path / "start.pkl"
    sd.to_pickle(source)
    for name, options in CIRCLE:
        done = run("convert", source, tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
        source = tmp_path / name
    # Two of the formats divide by 1000 and multiply again.
    assert_same_recording(load(source), sd, slack_ms=4e-9)


def test_convert_says_where_it_wrote(tmp_path):
    """The path is the only output, so that scripts can use it."""
    source = SpikeData([[1.0], []], length=10.0).to_pickle(tmp_path / "x.pkl")
    target = str(tmp_path / "y.h5")
    done = run("convert", source, target)
    assert (done.returncode, done.stdout, done.stderr) == (0, target + "\n", "")


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["missing.h5", "x.nwb"], "no such file", 1),
        (["x.pkl", "x.unknown"], "--to must be given", 2),
        (["x.pkl", "x.nwb", "--style", "group"], "--style is no option of nwb", 2),
        (["x.pkl", "ks", "--to", "kilosort"], "--fs-Hz must be given", 2),
        (["x.pkl", "y.h5", "--fs-Hz", "nan"], "fs_Hz must be positive", 1),
        (["x.pkl", "y.h5", "--style", "round"], "style must be one of", 1),
        (["notes.txt", "y.h5"], "none of the formats", 1),
    ],
)
def test_errors_are_one_line(arguments, message, status, tmp_path):
    """Whatever goes wrong is one line on stderr, and no traceback."""
    simulated().to_pickle(tmp_path / "x.pkl")
    (tmp_path / "notes.txt").write_text("cell 3 is lovely")
    before = sorted(tmp_path.iterdir())
    done = run("convert", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("spikelab: error: ")
    assert message in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--session", "missing.json"], "No such file"),
        (["--session", "list.json"], "must be a JSON object"),
        (["--subject", "wrong.json"], "unexpected keyword argument 'wings'"),
        (["--storage-options", "[1]"], "storage-options"),
        (["--fs-Hz", "thirty"], "invalid float value"),
        (["--unknown"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_one_line_too(arguments, message, tmp_path):
    """No page of usage and no traceback: what is wrong, and where the help is."""
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "wrong.json").write_text('{"wings": 2}')
    done = run("convert", "x.pkl", "x.nwb", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("spikelab: error: ")
    assert message in line


def test_an_error_without_a_text_is_called_by_its_name(monkeypatch, capsys):
    """As Python's own of too little memory is."""

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(cli, "show", fail)
    assert cli.main(["show", "x.pkl"]) == 1
    assert capsys.readouterr().err == "spikelab: error: MemoryError\n"


def test_warnings_are_one_line_too(tmp_path):
    """A late start that KiloSort's arrays cannot tell is said on stderr."""
    late = simulated(start_time=1000.0)
    late.to_pickle(tmp_path / "x.pkl")
    done = run(
        "convert", "x.pkl", "ks", "--to", "kilosort", "--fs-Hz", "30000", cwd=tmp_path
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert lines
    assert all(line.startswith("spikelab: warning: ") for line in lines)
    assert len(set(lines)) == len(lines)


def test_each_loss_is_a_line(tmp_path):
    """HDF5 styles hold neither attributes nor metadata."""
    simulated().to_pickle(tmp_path / "x.pkl")
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = run("convert", "x.pkl", "x.h5", cwd=tmp_path, env=environment)
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert len(lines) == 2
    for line, name in zip(lines, ("neuron_attributes", "metadata"), strict=True):
        assert line.startswith(f"spikelab: warning: x.h5: {name}")


def test_the_source_is_not_replaced_if_something_would_be_lost(tmp_path):
    """It is the only copy."""
    simulated().to_pickle(tmp_path / "x.h5")
    before = (tmp_path / "x.h5").read_bytes()
    done = run("convert", "x.h5", "./x.h5", cwd=tmp_path)
    assert done.returncode == 1
    assert "is source and target" in done.stderr.splitlines()[-1]
    assert (tmp_path / "x.h5").read_bytes() == before


@pytest.mark.parametrize("target", ["out/", "out"])
def test_a_folder_as_target_means_a_file_in_it(target, tmp_path):
    """For formats that are files; a folder of KiloSort is the target itself."""
    SpikeData([[1.0, 2.0], []], length=10.0).to_pickle(tmp_path / "x.v2.pkl")
    if target == "out":
        (tmp_path / "out").mkdir()
    done = run("convert", "x.v2.pkl", target, "--to", "hdf5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out/x.v2.h5\n"), done.stderr
    options = ["--to", "kilosort", "--fs-Hz", "20000"]
    done = run("convert", "x.v2.pkl", "ks/", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "ks").N == 2


def test_many_recordings_are_one_command(tmp_path):
    """A line for each, a report, and nothing to do the second time."""
    for i in range(3):
        SpikeData([[float(i)]], length=10.0).to_pickle(tmp_path / f"{i}.pkl")
    done = run("convert", "0.pkl", "1.pkl", "2.pkl", "out/{stem}.h5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert lines == [f"written  out/{i}.h5" for i in range(3)]
    assert last == "3 written, 0 kept, 0 failed; report: out/spikelab-conversions.jsonl"
    again = run("convert", "*.pkl", "out/{stem}.h5", cwd=tmp_path)
    assert again.stdout.splitlines()[-1].startswith("0 written, 3 kept, 0 failed")
    lost = "tcp://127.0.0.1:9"
    idle = run("convert", "*.pkl", "out/{stem}.h5", "--dask", lost, cwd=tmp_path)
    assert idle.stdout == again.stdout, idle.stderr
    anew = run("convert", "*.pkl", "out/{stem}.h5", "--no-resume", cwd=tmp_path)
    assert anew.stdout.splitlines()[-1].startswith("3 written, 0 kept, 0 failed")


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["*.h5", "out/", "--to", "nwb"], "no file or folder matches '*.h5'", 1),
        (["*.pkl", "out/"], "--to must be given", 2),
        (["*.pkl", "{name}.h5"], "TARGET has the unknown field {name}", 2),
        (["*.pkl", "all.h5"], "TARGET must differ for each recording", 2),
        (["*.pkl", "{stem}.h5", "--jobs", "0"], "must be a number from 1", 2),
        (["*.pkl", "{stem}.h5", "--jobs", "2", "--dask", "x"], "not allowed with", 2),
        (["*.pkl", "{stem}.h5", "--report", "x.txt"], "report must end with", 1),
        (["x.pkl"], "SOURCE must be given", 2),
        (["missing.pkl", "*.pkl", "{stem}.h5"], None, 1),
    ],
)
def test_errors_of_many_are_one_line(arguments, message, status, tmp_path):
    """And nothing is written, but where a single recording fails."""
    for name in ("a", "b"):
        SpikeData([[1.0]], length=10.0).to_pickle(tmp_path / f"{name}.pkl")
    done = run("convert", *arguments, cwd=tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == status
    assert line.startswith("spikelab: error: ")
    if message is None:
        assert "missing.pkl: FileNotFoundError" in line
        assert (tmp_path / "a.h5").exists()
    else:
        assert message in line
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pkl", "b.pkl"]


def test_show_prints_what_a_file_holds(tmp_path):
    """And exits with 1 if it cannot be read."""
    SpikeData([[1.0, 2.0], []], length=10.0).to_pickle(tmp_path / "x.pkl")
    done = run("show", "x.pkl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Units       2, 1 of them silent" in done.stdout
    assert run("show", "missing.pkl", cwd=tmp_path).returncode == 1
    assert run("show", cwd=tmp_path).returncode == 2


def test_show_takes_arguments_of_the_loader(tmp_path):
    """A silent unit is only in the table of units."""
    sd = SpikeData([[1.0], []], length=5.0)
    sd.to_csv(tmp_path / "x.csv", units_table=tmp_path / "u.csv")
    options = ["--source-options", '{"units_table": "u.csv"}']
    assert "Units       2, 1 of" in run("show", "x.csv", *options, cwd=tmp_path).stdout
    done = run("show", "x.csv", "--source-options", '{"unit": 1}', cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("spikelab: error: ")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_show_makes_the_index_of_a_batch(suffix, tmp_path):
    """From a report of either kind; another CSV file is shown as what it is."""
    SpikeData([[1.0, 2.0]], length=10.0).to_csv(tmp_path / "x.csv")
    report = f"rows.{suffix}"
    run("convert", "x.csv", "{stem}.h5", "--report", report, cwd=tmp_path)
    done = run("show", report, "--html", "index.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "written  x.h5  1 units, 2 spikes"
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert html.count('href="x.h5"') == 1
    assert "Spikes      2" in run("show", "x.csv", cwd=tmp_path).stdout


def test_session_facts_come_from_json_files(tmp_path):
    """What only the user knows about an NWB session is given as a file."""
    simulated().to_pickle(tmp_path / "x.pkl")
    facts = {
        "session_description": "open field",
        "session_start_time": "2020-01-02T03:04:05+00:00",
    }
    (tmp_path / "session.json").write_text(json.dumps(facts))
    done = run("convert", "x.pkl", "x.nwb", "--session", "session.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    import h5py

    with h5py.File(tmp_path / "x.nwb") as file:
        assert file["session_description"].asstr()[()] == "open field"


def test_options_of_all_formats_are_in_the_help():
    """Each keyword of each export function is an option, but for credentials."""
    text = run("convert", "--help").stdout
    for entry in FORMATS.values():
        for name in options_of(entry):
            flag = f"--{name.replace('_', '-')}"
            assert len(re.findall(rf"^  {flag}\b(?!-)", text, re.MULTILINE)) == 1, flag
    assert "aws" not in text
    assert not re.search(r":\w+:|`", text)
    assert text.count("\n  spikelab convert ") == 2
    names = [name for entry in FORMATS.values() for name in options_of(entry)]
    own = [
        name
        for name, entry in FORMATS.items()
        if any(names.count(option) == 1 for option in options_of(entry))
    ]
    groups = ["every format", "several formats", *own]
    found = [text.index(f"options of {name}:") for name in groups]
    assert found == sorted(found)


def test_a_source_may_need_arguments(tmp_path):
    """Spikes as CSV with their table of units come back whole."""
    sd = simulated(start_time=1000.0)
    spikes, units = tmp_path / "s.csv", tmp_path / "u.csv"
    sd.to_csv(spikes, units_table=units)
    options = json.dumps({"units_table": str(units)})
    done = run("convert", spikes, tmp_path / "a.pkl", "--source-options", options)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same_recording(load(tmp_path / "a.pkl"), sd)
    wrong = run("convert", spikes, tmp_path / "b.pkl", "--source-options", "{")
    assert wrong.returncode == 2
    assert "--source-options: not JSON" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_every_option_has_a_text():
    """The help says what an option is."""
    for entry in FORMATS.values():
        for name, option in options_of(entry).items():
            assert option.text, (entry.name, name)
    assert "ragged, raster, group, paired" in options_of(FORMATS["hdf5"])["style"].text


def test_numbers_of_clusters_are_a_list(tmp_path):
    """Ids stand one after another, as in the help."""
    source = SpikeData([[1.0], [2.0]], length=5.0).to_pickle(tmp_path / "x.pkl")
    rest = ("--to", "kilosort", "--fs-Hz", "30000", "--cluster-ids", "7", "4")
    done = run("convert", source, tmp_path / "sorted", *rest)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "sorted").get_neuron_attribute("unit_id") == [7, 4]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--fshz", "--fs-Hz"),
        ("--stlye=group", "--style"),
        ("--no-resum", "--no-resume"),
    ],
)
def test_a_wrong_option_gets_a_suggestion(typed, meant, tmp_path):
    """The option that is spelled much alike is named."""
    done = run("convert", "x.pkl", "x.nwb", typed, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"did you mean {meant}?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_may_be_written_with_underscores(tmp_path):
    """As they are in Python."""
    simulated().to_pickle(tmp_path / "x.pkl")
    done = run(
        "convert", "x.pkl", "ks", "--to", "kilosort", "--fs_Hz=30000", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "ks").metadata["fs_Hz"] == 30_000


def test_the_version_is_told():
    """As the package says it."""
    assert run("--version").stdout == f"spikelab {spikelab.__version__}\n"


@pytest.mark.parametrize("rate", ["30000", "30 kHz", "30kHz", "3e4Hz"])
def test_rates_and_times_may_have_a_unit(rate, tmp_path):
    """As values of quantities have one in Python; other units are errors."""
    simulated().to_pickle(tmp_path / "x.pkl")
    done = run(
        "convert", "x.pkl", "ks", "--to=kilosort", f"--fs-Hz={rate}", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "ks").metadata["fs_Hz"] == 30_000
    raster = options_of(FORMATS["hdf5"])["raster_bin_size_ms"]
    assert [raster.parsed(text) for text in ("0.5", "2 ms", "0.1s")] == [0.5, 2, 100]
    for text in ("3 kHz", "ms", "3 m"):
        with pytest.raises(ValueError, match="invalid float value"):
            raster.parsed(text)


@pytest.mark.parametrize(
    "order",
    [
        ["x.pkl", "--to", "hdf5", "out/"],
        ["--to", "hdf5", "x.pkl", "out/"],
        ["x.pkl", "--no-verify", "out/", "--to=hdf5"],
    ],
)
def test_options_may_stand_anywhere(order, tmp_path):
    """Also between SOURCE and TARGET."""
    SpikeData([[1.0]], length=5.0).to_pickle(tmp_path / "x.pkl")
    done = run("convert", *order, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out/x.h5\n", "")


def test_braces_of_a_target_may_be_meant(tmp_path):
    """The error says how they are written."""
    simulated().to_pickle(tmp_path / "x{1}.pkl")
    done = run("convert", "x{1}.pkl", "x{1}.nwb", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "unknown field {1}; fields are {stem}, {parent}, {index}, and {{ is a brace"
        in (done.stderr)
    )
    done = run("convert", "x{1}.pkl", "x{{1}}.nwb", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x{1}.nwb").exists()
