"""What only the user knows travels with the recording: session, subject, time of day."""

import copy
from datetime import UTC, datetime, timedelta, timezone

import attrs
import h5py
import numpy as np
import pytest
from recordings import simulated

from spikelab import AnalysisWorkspace, SpikeData, load
from spikelab.formats import NWBSession, NWBSubject, NWBWriter
from spikelab.spikedata.pairwise import PairwiseCompMatrix

START = "2024-05-17T14:03:00+02:00"
SESSION = NWBSession(
    session_start_time=START,
    session_description="A rat runs.",
    identifier="mine",
    session_id="track-1",
    experimenter="Berger, Hans",
    keywords=["place cells", "theta"],
    electrode_location="CA1",
)
SUBJECT = NWBSubject(
    subject_id="r7",
    species="Rattus norvegicus",
    sex="F",
    date_of_birth="2024-02-01T00:00:00Z",
)
KNOWN = {
    "nwb_session": {
        "session_start_time": START,
        "session_description": "A rat runs.",
        "session_id": "track-1",
        "experimenter": ["Berger, Hans"],
        "keywords": ["place cells", "theta"],
    },
    "nwb_subject": {
        "subject_id": "r7",
        "species": "Rattus norvegicus",
        "sex": "F",
        "date_of_birth": "2024-02-01T00:00:00+00:00",
    },
}


@pytest.fixture
def loaded(tmp_path):
    """A recording from a file that says all about session and subject."""
    path = simulated().to_nwb(
        tmp_path / "first.nwb", session=SESSION, subject=SUBJECT, fs_Hz=30_000.0
    )
    return load(path)


def header(path):
    """The texts at the root of a file, and those of general and of the subject."""
    found = {}
    with h5py.File(path) as file:

        def visit(name, data):
            if h5py.check_string_dtype(getattr(data, "dtype", np.dtype(int))):
                found[name.removeprefix("general/")] = data.asstr()[()]

        visit("identifier", file["identifier"])
        for name in ("session_start_time", "timestamps_reference_time"):
            visit(name, file[name])
        file["general"].visititems(lambda n, d: visit(f"general/{n}", d))
        visit("session_description", file["session_description"])
    return found


def test_metadata_hold_the_fields(loaded):
    """As plain dictionaries; another file has another identifier."""
    assert {key: loaded.metadata[key] for key in KNOWN} == KNOWN
    expected = attrs.evolve(SESSION, identifier=None, electrode_location=None)
    assert NWBSession.of(loaded) == expected
    assert NWBSubject.of(loaded) == SUBJECT


WAYS = {
    "as it is": lambda sd, folder: sd,
    "subset": lambda sd, folder: sd.subset([0, 2]),
    "subtime": lambda sd, folder: sd.subtime(0, 5000),
    "copy": lambda sd, folder: copy.deepcopy(sd),
    "pickle": lambda sd, folder: load(sd.to_pickle(folder / "a.pkl")),
    "workspace": lambda sd, folder: through_a_workspace(sd, folder),
    "frames": lambda sd, folder: sd.frames(2000),
}


def through_a_workspace(sd, folder):
    """The recording as a workspace gives it back."""
    workspace = AnalysisWorkspace("w")
    workspace.store("a", "b", sd)
    workspace.save(folder / "w.h5")
    return AnalysisWorkspace.load(folder / "w.h5").get("a", "b")


@pytest.mark.parametrize("way", WAYS)
def test_session_and_subject_are_written_again(way, loaded, tmp_path):
    """Whatever was done with the recording in between."""
    path = WAYS[way](loaded, tmp_path).to_nwb(tmp_path / "again.nwb")
    found = header(path)
    assert found["session_start_time"] == START
    assert found["session_description"] == "A rat runs."
    assert found["session_id"] == "track-1"
    assert found["keywords"].tolist() == ["place cells", "theta"]
    assert found["subject/subject_id"] == "r7"
    assert found["identifier"] != "mine"
    again = load(path).metadata
    assert {key: again[key] for key in KNOWN} == KNOWN
    assert again["fs_Hz"] == 30_000.0


def test_they_are_no_loss(loaded):
    """Nor is the sampling rate, nor what loaders add."""
    assert not any("metadata" in lost for lost in NWBWriter().losses(loaded))
    loaded.metadata["rig"] = 3
    lost = [line for line in NWBWriter().losses(loaded) if "metadata" in line]
    assert lost == ["metadata (NWB has no place for 'rig')"]


def test_what_is_given_counts_before_metadata(loaded, tmp_path):
    """Of session and subject each alone."""
    other = NWBSession(session_start_time=START, session_description="Another.")
    path = loaded.to_nwb(tmp_path / "a.nwb", session=other, verify=True)
    found = header(path)
    assert found["session_description"] == "Another."
    assert "session_id" not in found
    assert found["subject/subject_id"] == "r7"


def test_comparisons_carry_them_too(tmp_path):
    """They have metadata of their own."""
    obj = PairwiseCompMatrix(SpikeData([[1.0]]).raster(), metadata=KNOWN)
    obj.to_nwb(tmp_path / "a.nwb", verify=True, strict=True)
    assert load(tmp_path / "a.nwb").metadata == KNOWN


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("nwb_subject", "species", "mouse"),
        ("nwb_subject", "sex", "female"),
        ("nwb_subject", "date_of_birth", "2025-01-01T00:00:00Z"),
        ("nwb_session", "experimenter", ["Hans Berger"]),
        ("nwb_session", "session_start_time", "2024-05-17T14:03:00"),
        ("nwb_session", "session_start_time", 5),
        ("nwb_session", "weather", "fine"),
    ],
)
def test_what_our_classes_refuse_is_left_out_with_a_warning(
    key, field, value, loaded, tmp_path
):
    """All else is written; there is no exception."""
    loaded.metadata[key][field] = value
    with pytest.warns(UserWarning, match=f"written without: .*{field}"):
        path = loaded.to_nwb(tmp_path / "a.nwb")
    found = header(path)
    assert found["subject/subject_id"] == "r7"
    assert found["session_id"] == "track-1"
    assert str(value) not in map(str, found.values())


@pytest.mark.parametrize("value", [None, 3, "a session", []])
def test_metadata_that_are_no_fields(value, tmp_path):
    """Of is None; an export warns, and writes a placeholder."""
    sd = SpikeData([[1.0]], metadata={"nwb_session": value, "nwb_subject": {}})
    assert NWBSession.of(sd) is None
    assert NWBSubject.of(sd) is None
    with pytest.warns(UserWarning, match="nwb_session must be a mapping"):
        sd.to_nwb(tmp_path / "a.nwb", verify=True)
    assert "nwb_session" not in load(tmp_path / "a.nwb").metadata


def test_a_placeholder_is_not_known(tmp_path):
    """Without a session, none comes back."""
    simulated().to_nwb(tmp_path / "a.nwb")
    found = load(tmp_path / "a.nwb")
    assert NWBSession.of(found) is None
    assert not KNOWN.keys() & found.metadata.keys()


def test_a_start_that_is_the_placeholder_is_not_known(tmp_path):
    """Whoever gave it."""
    session = attrs.evolve(SESSION, session_start_time="1970-01-01T00:00:00Z")
    path = simulated().to_nwb(tmp_path / "a.nwb", session=session, verify=True)
    found = load(path).metadata["nwb_session"]
    assert "session_start_time" not in found
    assert found["session_id"] == "track-1"


def test_fields_of_another_program_that_are_not_valid(tmp_path):
    """They are left out of the metadata, and one warning says why."""
    path = simulated().to_nwb(tmp_path / "a.nwb", session=SESSION, subject=SUBJECT)
    with h5py.File(path, "r+") as file:
        for name, value in (
            ("subject/species", "mouse"),
            ("experimenter", "Hans"),
            ("lab", ""),
        ):
            file.pop(f"general/{name}", None)
            file[f"general/{name}"] = value
        file["general/surgery"] = h5py.ExternalLink("gone.nwb", "/general/surgery")
    named = r"read without: .*experimenter.*species.*surgery' must not lead"
    with pytest.warns(UserWarning, match=named) as w:
        sd = load(path)
    assert len(w) == 1
    assert NWBSession.of(sd).session_id == "track-1"
    assert NWBSubject.of(sd) is None
    assert "species" not in sd.metadata["nwb_subject"]
    sd.to_nwb(tmp_path / "b.nwb")
    assert header(tmp_path / "b.nwb")["subject/subject_id"] == "r7"


def test_fields_in_other_forms(loaded, tmp_path):
    """A list of one, one text for a list, and what is neither text nor number."""
    path = loaded.to_nwb(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        general = file["general"]
        for name, value in (("session_id", ["s1"]), ("keywords", "theta")):
            del general[name]
            general[name] = value
        general["lab"] = np.array(file["units"].ref, dtype=h5py.ref_dtype)
    session = load(path).metadata["nwb_session"]
    assert (session["session_id"], session["keywords"]) == ("s1", ["theta"])
    assert "lab" not in session


def test_an_age_that_counts_from_conception_is_named(loaded, tmp_path):
    """It would be written as one that counts from birth."""
    path = loaded.to_nwb(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        file["general/subject/age"] = "P15D"
        file["general/subject/age"].attrs["reference"] = "birth"
    assert load(path).metadata["nwb_subject"]["age"] == "P15D"
    with h5py.File(path, "r+") as file:  # of fixed length, as in C
        file["general/subject/age"].attrs["reference"] = np.bytes_(b"birth")
    assert load(path).metadata["nwb_subject"]["age"] == "P15D"
    with h5py.File(path, "r+") as file:
        file["general/subject/age"].attrs["reference"] = "gestational"
    with pytest.warns(UserWarning, match="age, which counts from 'gestational'"):
        assert "age" not in load(path).metadata["nwb_subject"]


def test_a_start_that_replaces_the_placeholder_is_time_zero(tmp_path):
    """Also if the reference of all times was left as it was."""
    path = simulated().to_nwb(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        del file["session_start_time"]
        file["session_start_time"] = START
    found = load(path).metadata
    assert found["nwb_session"]["session_start_time"] == START
    assert "time_zero_ms" not in found


def test_fields_that_no_class_has_are_named(loaded, tmp_path):
    """Of a lab, or of NWB; but for the program that wrote the file."""
    path = loaded.to_nwb(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        for name in ("slices", "was_generated_by", "subject/specimen_name"):
            file[f"general/{name}"] = "some text"
    names = "no field 'slices'.* no field 'specimen_name'"
    with pytest.warns(UserWarning, match=f"read without: .*{names}") as said:
        load(path)
    assert "was_generated_by" not in str(said[0].message)


def test_a_part_tells_the_true_time(tmp_path):
    """Also a part of a part, and through a file; the spikes count from time 0."""
    sd = SpikeData([[1000.0, 4_405_897.0]], length=5_000_000.0)
    part = sd.subtime(4_000_000.0, 4_800_000.0)
    path = part.to_nwb(tmp_path / "a.nwb", session=SESSION, verify=True)
    loaded = load(path)
    assert loaded.metadata["time_zero_ms"] == 4_000_000.0
    path = loaded.subtime(400_000.0, 500_000.0).to_nwb(tmp_path / "b.nwb", verify=True)
    found = header(path)
    assert found["session_start_time"] == START
    with h5py.File(path) as file:
        spike = timedelta(seconds=float(file["units/spike_times"][0]))
    seen = datetime.fromisoformat(found["timestamps_reference_time"]) + spike
    true = datetime.fromisoformat(START) + timedelta(seconds=4405.897)
    assert abs(seen - true) < timedelta(milliseconds=1)


@pytest.mark.parametrize("zero_ms", [7250.0, -1500.0])
def test_time_zero_of_another_program(zero_ms, tmp_path):
    """The reference of all times may differ from the start; it is written again."""
    path = simulated().to_nwb(tmp_path / "a.nwb", session=SESSION)
    reference = datetime.fromisoformat(START) + timedelta(milliseconds=zero_ms)
    with h5py.File(path, "r+") as file:
        del file["timestamps_reference_time"], file.attrs["creator"]
        file["timestamps_reference_time"] = reference.astimezone(UTC).isoformat()
    sd = load(path)
    assert sd.metadata["time_zero_ms"] == zero_ms
    for obj, moved in (
        (sd, 0.0),
        (sd.subtime(400.0, 900.0), 400.0),
        (sd.frames(500.0), 0.0),
        (sd.frames(500.0).spike_stack[1], 500.0),
    ):
        found = header(obj.to_nwb(tmp_path / "b.nwb", verify=True))
        true = reference + timedelta(milliseconds=moved)
        assert datetime.fromisoformat(found["timestamps_reference_time"]) == true
        assert found["session_start_time"] == START


@pytest.mark.parametrize("zero", ["noon", True, None])
def test_a_time_zero_that_is_none(zero, tmp_path):
    """It is lost, and said to be."""
    sd = SpikeData([[1.0]], metadata={"time_zero_ms": zero})
    assert "metadata (NWB has no place for 'time_zero_ms')" in NWBWriter().losses(sd)
    found = header(sd.to_nwb(tmp_path / "a.nwb", verify=True))
    assert found["timestamps_reference_time"] == found["session_start_time"]


@pytest.mark.parametrize("offset", [timedelta(hours=1, minutes=19, seconds=32)])
def test_offsets_with_seconds_are_written_in_utc(offset, tmp_path):
    """Of the start, the birth and the reference; validators know minutes only."""
    zone = timezone(offset)
    when, born = (
        datetime(1930, 6, 1, 12, tzinfo=zone),
        datetime(1929, 1, 1, tzinfo=zone),
    )
    session = attrs.evolve(SESSION, session_start_time=when)
    subject = attrs.evolve(SUBJECT, date_of_birth=born)
    sd = SpikeData([[1.0, 9.0]], length=10.0).subtime(5.0, 10.0)
    found = header(sd.to_nwb(tmp_path / "a.nwb", session=session, subject=subject))
    for name, time in (
        ("session_start_time", when),
        ("subject/date_of_birth", born),
        ("timestamps_reference_time", when + timedelta(milliseconds=5)),
    ):
        written = datetime.fromisoformat(found[name])
        assert written == time
        assert written.utcoffset() == timedelta(0)
    assert NWBSession.of(load(tmp_path / "a.nwb")).session_start_time == when


def test_the_sampling_rate_of_metadata_is_written(tmp_path):
    """Unless another one is given; a rate that is none is lost."""
    sd = SpikeData([[1.0]], metadata={"fs_Hz": 20_000})
    assert load(sd.to_nwb(tmp_path / "a.nwb")).metadata["fs_Hz"] == 20_000
    path = sd.to_nwb(tmp_path / "b.nwb", fs_Hz=30_000, verify=True)
    assert load(path).metadata["fs_Hz"] == 30_000
    (lost,) = NWBWriter(fs_Hz=30_000).losses(sd)
    assert lost.startswith("metadata['fs_Hz']")
    for rate in (-1, "20 kHz", float("nan")):
        sd.metadata["fs_Hz"] = rate
        assert "fs_Hz" not in load(sd.to_nwb(tmp_path / "c.nwb", verify=True)).metadata


def test_utc_is_utc():
    """A time in UTC stays as it is."""
    fields = NWBSession(
        session_start_time=datetime(2024, 5, 17, tzinfo=UTC), session_description="d"
    ).fields()
    assert fields["session_start_time"] == "2024-05-17T00:00:00+00:00"


def test_a_text_on_the_stimulus(tmp_path):
    """It shares its name with a group of the root, and stands elsewhere."""
    pynwb = pytest.importorskip("pynwb")
    path, again = tmp_path / "a.nwb", tmp_path / "b.nwb"
    file = pynwb.NWBFile(
        session_description="d",
        identifier="i",
        session_start_time=datetime(2024, 5, 17, tzinfo=UTC),
        stimulus_notes="gratings",
    )
    file.add_unit(spike_times=[0.1])
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    load(path).subset([0]).to_nwb(again, verify=True)
    with pynwb.NWBHDF5IO(again, "r") as io:
        assert io.read().stimulus_notes == "gratings"
    assert load(again).metadata["nwb_session"]["stimulus"] == "gratings"
