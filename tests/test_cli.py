"""The command line, run as a user runs it."""

import json
import re
import subprocess
import sys

import pytest
from recordings import assert_same_recording, linear_track, simulated

import spikelab
from spikelab import cli, demo, load
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
    source = simulated().to_pickle(tmp_path / "x.pkl")
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
    assert text.count("\n  spikelab convert ") == 2
    groups = ["every format", "several formats", *FORMATS]
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
