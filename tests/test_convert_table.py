"""A dandiset from one table: sessions, subjects, options and names of files."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spikelab import SpikeData, convert_many, load
from spikelab.batch.table import read_table
from spikelab.formats import NWBSession, NWBSubject

TARGET = "sub-{subject_id}/sub-{subject_id}_ses-{session_id}_ecephys.nwb"


@pytest.fixture(autouse=True)
def recordings(tmp_path, monkeypatch):
    """Five recordings in the working folder."""
    monkeypatch.chdir(tmp_path)
    for i in range(5):
        SpikeData([[1.0, 2.5], []], length=10.0).to_pickle(f"rat{i}.pkl")


def table(n=5, **changes):
    """Rows that are right, but for `changes` in the third."""
    rows = [
        {
            "source": f"rat{i}.pkl",
            "session_id": f"day{i}",
            "session_start_time": "2024-05-17T14:03:00+02:00",
            "session_description": "Running on a track.",
            "experimenter": "Curie, Marie; Joliot, Irène",
            "subject_id": i,
            "species": "Rattus norvegicus",
            "sex": "F",
            "age": "P90D",
            "strain": None,
        }
        for i in range(n)
    ]
    rows[2].update(changes)
    return rows


def test_each_row_is_a_session_and_a_subject(tmp_path):
    """Cells become fields, several people are parted by semicolons."""
    rows = convert_many(None, TARGET, table=table())
    assert [row.status for row in rows] == ["written"] * 5
    assert rows[3].target == "sub-3/sub-3_ses-day3_ecephys.nwb"
    metadata = load(rows[3].target).metadata
    session, subject = metadata["nwb_session"], metadata["nwb_subject"]
    assert session["session_id"] == "day3"
    assert list(session["experimenter"]) == ["Curie, Marie", "Joliot, Irène"]
    start = datetime.fromisoformat(str(session["session_start_time"]))
    assert start == datetime(2024, 5, 17, 12, 3, tzinfo=UTC)
    assert subject["subject_id"] == "3"
    assert "strain" not in subject
    assert not rows[3].losses


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"species": "rat"}, r"row 3 \(rat2.pkl\), column species .* got 'rat'"),
        ({"sex": "female"}, r"row 3 .* column sex .* got 'female'"),
        ({"session_start_time": "May"}, r"row 3 .* session_start_time .* 'May'"),
        ({"session_start_time": ""}, r"row 3 .* session_start_time must be given"),
        ({"age": None}, r"row 3 .* age or date_of_birth must be given"),
        ({"source": " "}, r"row 3: column source must be given"),
        ({"source": "rat9.pkl"}, r"row 3 .* column source: no such .* got 'rat9.pkl'"),
        ({"fs_Hz": "fast"}, r"row 3 .* column fs_Hz.* 'fast'"),
        ({"fs_Hz": -1.0}, r"row 3 .* fs_Hz must be positive .* -1"),
        ({"subject_id": "a/b"}, r"row 3 .* column subject_id .* 'a/b'"),
        ({"session_id": None}, r"row 3 .* column session_id must be given"),
        ({"session_id": "day1", "subject_id": 1}, r"target must differ"),
        ({"speceis": "Rattus rattus"}, r"column 'speceis' .* did you mean species"),
        ({"verify": "perhaps"}, r"row 3 .* column verify: must be true or false"),
    ],
)
def test_what_is_wrong_is_found_before_the_first_file(changes, problem, tmp_path):
    """The error names row, column and value, and nothing is written."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=problem):
        convert_many(None, TARGET, table=table(**changes))
    assert sorted(tmp_path.iterdir()) == before


def test_a_column_that_nothing_uses_is_warned_of():
    """It may be a note of the lab."""
    with pytest.warns(UserWarning, match="column 'weather' is not used"):
        rows = convert_many(None, TARGET, table=table(weather="fine"))
    assert [row.status for row in rows] == ["written"] * 5


def test_columns_can_be_options_and_names():
    """Each row has its own; the options of all stay where it says nothing."""
    rows = [
        {"source": "rat0.pkl", "style": "group", "probe": "A"},
        {"source": "rat1.pkl", "probe": "B", "verify": "false"},
    ]
    done = convert_many(None, "{probe}.h5", table=rows, style="paired")
    assert [row.target for row in done] == ["A.h5", "B.h5"]
    assert load("A.h5") == load("B.h5") == load("rat0.pkl")
    import h5py

    styles = []
    for name in ("A.h5", "B.h5"):
        with h5py.File(name) as file:
            styles.append(file.attrs["style"])
    assert styles == ["group", "paired"]


def test_fields_that_only_name_the_target_need_no_others():
    """An id of the subject in a path makes no subject in the file."""
    rows = [{"source": "rat0.pkl", "subject_id": "r0"}]
    (done,) = convert_many(None, "{subject_id}.nwb", table=rows)
    assert done.status == "written"
    assert "nwb_subject" not in load("r0.nwb").metadata


def test_sources_choose_rows():
    """Each needs one."""
    rows = convert_many(["rat[13].pkl"], TARGET, table=table())
    assert [row.source for row in rows] == ["rat1.pkl", "rat3.pkl"]
    with pytest.raises(ValueError, match=r"a row for each source, none for rat4"):
        convert_many("rat*.pkl", TARGET, table=table(4))


def test_what_all_rows_have_in_common_may_be_given_once():
    """A session of all, of which a row says more."""
    common = NWBSession(
        session_start_time="2024-01-01T00:00:00+00:00",
        session_description="All day.",
        lab="Buzsáki",
    )
    rows = [{"source": "rat0.pkl", "session_description": "Sleep."}]
    convert_many(None, "{stem}.nwb", table=rows, session=common)
    session = load("rat0.nwb").metadata["nwb_session"]
    assert (session["lab"], session["session_description"]) == ("Buzsáki", "Sleep.")


def test_a_data_frame_is_a_table():
    """With missing values of its own, numbers for ids, and times with a zone."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table())
    frame["session_start_time"] = pandas.to_datetime(frame["session_start_time"])
    frame.loc[1, "subject_id"] = 11.0
    frame["strain"] = [None, "Wistar", float("nan"), pandas.NA, pandas.NaT]
    rows = convert_many(None, TARGET, table=frame)
    assert [row.status for row in rows] == ["written"] * 5, [r.error for r in rows]
    assert rows[1].target == "sub-11/sub-11_ses-day1_ecephys.nwb"
    assert load(rows[1].target).metadata["nwb_subject"]["strain"] == "Wistar"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_csv_file_is_a_table(delimiter, encoding):
    """Of any of the usual delimiters, as spreadsheets save it."""
    header = delimiter.join(["source", " name ", "style"])
    lines = [header, delimiter.join(["rat0.pkl", '"a b"', ""]), "", "rat1.pkl"]
    Path("t.csv").write_text("\r\n".join(lines), encoding=encoding)
    assert read_table("t.csv") == [
        {"source": "rat0.pkl", "name": "a b", "style": None},
        {"source": "rat1.pkl", "name": None, "style": None},
    ]


@pytest.mark.parametrize("wrong", [[], {"source": ["rat0.pkl"]}, ["rat0.pkl"]])
def test_what_is_no_table(wrong):
    """Nothing, columns, names: the error says what it takes."""
    with pytest.raises((TypeError, ValueError), match="table must"):
        convert_many(None, "{stem}.h5", table=wrong)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"source,a\nx,1,2\n", "row 1 has more cells than the header"),
        (b"source,a,a\nx,1,2\n", "must have each column once"),
        ("source,ä\n".encode("latin-1"), "must be a CSV file in UTF-8"),
    ],
)
def test_a_csv_file_that_is_no_table(data, problem):
    """The error says why."""
    Path("t.csv").write_bytes(data)
    with pytest.raises(ValueError, match=problem):
        read_table("t.csv")


def test_the_command_takes_a_table():
    """Without SOURCE, all of its rows."""
    names = list(table()[0])
    lines = [",".join(names)]
    for row in table():
        cells = ["" if row[name] is None else str(row[name]) for name in names]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    Path("sessions.csv").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "spikelab", "convert", TARGET]
    command += ["--table", "sessions.csv", "--report", "report.csv"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == (
        "5 written, 0 kept, 0 failed; report: report.csv"
    )
    text = Path("sessions.csv").read_text(encoding="utf-8")
    Path("sessions.csv").write_text(text.replace("Rattus norvegicus", "rat", 3))
    done = subprocess.run(command, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "row 1 (rat0.pkl), column species" in line


def test_subjects_and_sessions_are_classes_of_the_package():
    """A table makes what a user would make by hand."""
    assert NWBSubject(subject_id="1", species="Mus musculus", sex="M", age="P1D")
