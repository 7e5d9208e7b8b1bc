"""NWB files: what is in them, and what comes back."""

import enum
import re
import warnings

import attrs
import h5py
import numpy as np
import pytest
from contract import FileContract
from recordings import assert_same_recording, simulated

from spikelab import SpikeData, load, load_spikedata_from_nwb
from spikelab.errors import FormatError, LossError, VerificationError
from spikelab.formats import NWBSession, NWBSubject, NWBWriter
from spikelab.spikedata.differences import equal

NAN, INF = float("nan"), float("inf")

SESSION = NWBSession(
    session_start_time="2024-05-17T14:03:00+02:00",
    session_description="Running on a linear track",
    experimenter=["Berger, Hans", "Adrian, Edgar"],
    keywords=["place cells"],
    session_id="ses-3",
)
SUBJECT = NWBSubject(
    subject_id="r7", species="Rattus norvegicus", sex="F", age="P90D", weight="0.25 kg"
)


def rounding_ms(sd):
    """What dividing by 1000 and multiplying again may change."""
    return float(np.spacing(max(abs(sd.start_time), abs(sd.start_time + sd.length))))


class TestNWBOwnNames(FileContract):
    """Names of one's own, and everything that can be said about the session."""

    method, target = "to_nwb", "cells.nwb"
    options = {
        "group": "sorted/units",
        "spike_times_dataset": "flat/times",
        "spike_times_index_dataset": "flat/ends",
        "session": SESSION,
        "subject": SUBJECT,
        "fs_Hz": 30_000.0,
    }
    wrong_options = (
        *({"group": name} for name in ("", "/units", "general", "processing/x", 3)),
        {"spike_times_dataset": "id"},
        {"spike_times_index_dataset": "obs_intervals"},
        {"spike_times_dataset": "flat/ends"},
        {"spike_times_dataset": "../x"},
        {"session": "yesterday"},
        {"subject": SESSION},
        {"fs_Hz": True},
    )

    def slack_ms(self, sd):
        """Seconds and back is not always the same float."""
        return rounding_ms(sd)


def written(sd, path, **options):
    """The file of an export, opened, without the warnings of the export."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sd.to_nwb(path, **options)
    return h5py.File(path, "r")


def round_trip(attributes, tmp_path):
    """What one unit per dictionary is known by after an export."""
    sd = SpikeData([[]] * len(attributes), length=1.0, neuron_attributes=attributes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sd.to_nwb(tmp_path / "a.nwb", verify=True)
    return load(tmp_path / "a.nwb").neuron_attributes


def test_layout_is_that_of_the_specification_and_the_schema(tmp_path):
    """Times in seconds, ends, ids, one window per unit, and the window in ms."""
    sd = simulated(start_time=500.0)
    with written(sd, tmp_path / "a.nwb", fs_Hz=30_000.0) as file:
        flat = np.concatenate(sd.train)
        np.testing.assert_array_equal(file["units/spike_times"][:], flat / 1000)
        ends = file["units/spike_times_index"]
        assert ends[:].tolist() == np.cumsum([len(t) for t in sd.train]).tolist()
        assert ends.dtype.kind == "u"
        assert file["units/id"][:].tolist() == list(range(sd.N))
        assert file["units/obs_intervals"][:].tolist() == [[0.5, 10.5]] * sd.N
        assert file["units/obs_intervals_index"][:].tolist() == [1, 2, 3, 4, 5, 6]
        assert file["units/spike_times"].attrs["resolution"] == 1 / 30_000
        assert (file.attrs["start_time"], file.attrs["length_ms"]) == (500.0, 10_000.0)
        assert file.attrs["nwb_version"] == "2.7.0"
        assert list(file["units"].attrs["colnames"]) == [
            "spike_times",
            "obs_intervals",
            "electrodes",
            "electrode",
            "location",
            "quality",
            "snr",
        ]


def test_the_window_covers_every_spike(tmp_path):
    """Also where the end of the window, start plus length, was rounded down."""
    start_time, last = 2414.203, 8058.085
    length = last - start_time
    assert start_time + length < last
    sd = SpikeData([[last]], start_time=start_time, length=length)
    with written(sd, tmp_path / "a.nwb") as file:
        start, stop = file["units/obs_intervals"][0]
        times = file["units/spike_times"][:]
        assert start <= times.min()
        assert times.max() <= stop


def test_units_point_to_rows_of_unique_electrodes(tmp_path):
    """Rows, not ids; coordinates where the units of an electrode agree."""
    attributes = [
        {"channel": 40, "x": 1.0},
        {"channel": 7, "x": 2.0},
        {"channel": 40, "x": 1.0},
        {"channel": [7, 90]},
        {},
    ]
    sd = SpikeData([[]] * 5, length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb") as file:
        table = file["general/extracellular_ephys/electrodes"]
        assert table["id"][:].tolist() == [7, 40, 90]
        np.testing.assert_array_equal(table["x"][:], [2.0, 1.0, np.nan])
        assert "y" not in table
        assert file["units/electrodes"][:].tolist() == [1, 0, 1, 0, 2]
        assert file["units/electrodes_index"][:].tolist() == [1, 2, 3, 5, 5]
        assert table["location"].asstr()[:].tolist() == ["unknown"] * 3
        assert file[file["units/electrodes"].attrs["table"]] == table
        group = file[table["group"][0]]
        assert (
            group.get("device", getlink=True).path
            == "/general/devices/recording_device"
        )


def test_electrodes_with_names_are_numbered(tmp_path):
    """The names are a column of their own; places in the brain are the location."""
    attributes = [
        {"electrode": "B2", "location": "CA1"},
        {"electrode": "A1", "location": "CA3"},
    ]
    sd = SpikeData([[], []], length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb") as file:
        table = file["general/extracellular_ephys/electrodes"]
        assert table["electrode_name"].asstr()[:].tolist() == ["A1", "B2"]
        assert table["location"].asstr()[:].tolist() == ["CA3", "CA1"]
        assert file["units/electrodes"][:].tolist() == [1, 0]


def test_each_unit_may_name_its_electrode_in_its_own_way(tmp_path):
    """By any of the keys; a name that HDF5 cannot hold makes no table."""
    attributes = [{"channel": 7}, {"ch": 8}, {"electrode": 9, "brain_area": "CA1\0"}]
    sd = SpikeData([[]] * 3, length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb") as file:
        table = file["general/extracellular_ephys/electrodes"]
        assert table["id"][:].tolist() == [7, 8, 9]
        assert table["location"].asstr()[:].tolist() == ["unknown"] * 3
    sd.neuron_attributes = [{"electrode": "\ud800"}] * 3
    with pytest.warns(UserWarning, match="'electrode' is left out"):
        sd.to_nwb(tmp_path / "b.nwb")
    assert load(tmp_path / "b.nwb").electrodes is None


class Quality(str, enum.Enum):  # noqa: UP042 - a StrEnum would hide the trouble
    """A text that calls itself otherwise."""

    GOOD = "good"


def test_texts_are_what_they_hold(tmp_path):
    """Of an Enum, and of an array of objects as pandas has them."""
    attributes = [{"q": Quality.GOOD, "tags": np.array(["a", "b"], dtype=object)}]
    found = round_trip(attributes, tmp_path)
    assert found == [{"unit_id": 0, "q": "good", "tags": ["a", "b"]}]


@pytest.mark.parametrize("option", ["session", "subject"])
def test_what_is_no_session_is_named_in_one_line(option, tmp_path):
    """With the class that is expected."""
    with pytest.raises(
        TypeError, match=rf"^{option} must be a NWBS\w+ or None, got"
    ) as e:
        SpikeData([[1.0]]).to_nwb(tmp_path / "a.nwb", **{option: {"a": 1}})
    assert len(str(e.value)) < 100


def test_columns_that_are_not_read_are_named(tmp_path):
    """A reference, or rows of rows, has no form here."""
    foreign(tmp_path / "a.nwb", spike_times=[1.0], spike_times_index=[1], id=[0])
    with h5py.File(tmp_path / "a.nwb", "a") as file:
        file["units/electrode_group"] = np.array([file["units"].ref], h5py.ref_dtype)
    with pytest.warns(UserWarning, match="left out: electrode_group") as caught:
        load(tmp_path / "a.nwb")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "attributes",
    [
        [{"snr": 1.5}, {"snr": -2.0}],
        [{"n": 3, "big": 2**62}, {"n": -4, "big": 5}],
        [{"good": True}, {"good": False}],
        [{"name": "é", "quality": ""}, {"name": 'a "b"', "quality": "x" * 500}],
        [{"wave": np.arange(3.0)}, {"wave": np.ones(3)}],
        [{"wave": np.ones((2, 3), np.float32)}, {"wave": np.zeros((2, 3), np.float32)}],
        [{"isi": np.arange(4)}, {"isi": np.arange(0)}, {"isi": np.arange(2)}],
        [{"labels": ["a", "b"]}, {"labels": ["c"]}],
        [{"location": [1.0, 2.0]}, {"location": [3.0, 4.0]}],
        [{"location": (1, 2)}, {"location": (3, 4)}],
        [{"isi": np.empty(0, dtype=np.int16)}, {"isi": np.empty(0, dtype=np.int16)}],
        [{"isi": []}, {"isi": []}],
        [{"flags": np.array([True])}, {"flags": np.array([False, True])}],
        [{"path": np.ones((2, 3))}, {"path": np.ones((5, 3))}],
        [{"a/b": 1, "id": 2, "rate": 3.0, "description": "d", "x_index": 4}] * 2,
        [{"electrode": 5}, {"electrode": 5}],
        [{"a": 1}, {}],
        [{"a": True}, {}, {"a": False}],
        [{"a": "text"}, {}],
        [{"a": 1}, {"a": None}],
        [{"a": "text"}, {"a": None}],
        [{"a": [1, 2]}, {}],
        [{"a": np.array([True, False])}, {"a": None}],
        [{"a": ["x"]}, {}],
        [{"electrode": [1, 2]}, {"electrode": 3}, {}],
        [{"area": ("CA1", "CA3")}, {"area": "CA1"}, {"area": None}],
        [{"snr": np.array([0.5, 2.0])}, {"snr": 1.5}],
        [{"unit_id": 12}, {"unit_id": 3}],
        [{"unit_id": "12"}, {"unit_id": "12"}],
        [{"unit_name": "a"}, {"unit_name": "a"}],
        [{"n": 2**64 - 1, "m": [2**64 - 1]}, {"n": 2**63, "m": [2**63]}],
        [{"t": "a", "f": True}, {"t": NAN, "f": NAN}, {"t": "b", "f": False}],
        [{"n": 1}, {"n": NAN}, {"n": np.int16(3)}],
        [{}, {}],
    ],
    ids=str,
)
def test_attributes_come_back(attributes, tmp_path):
    """Values, types and missing ones; a number of the unit is added."""
    found = round_trip(attributes, tmp_path)
    for unit, (wanted, got) in enumerate(zip(attributes, found, strict=True)):
        assert equal({"unit_id": unit, **wanted}, dict(got))


def test_a_list_of_one_beside_single_values_is_a_loss(tmp_path):
    """It comes back as its value."""
    attributes = [{"a": [1]}, {"a": 2}, {"a": [3, 4]}]
    assert [u["a"] for u in round_trip(attributes, tmp_path)] == [1, 2, [3, 4]]
    sd = SpikeData([[]] * 3, length=1.0, neuron_attributes=attributes)
    assert NWBWriter().losses(sd) == [
        "the types of values of neuron_attributes['a'] (a column has one)"
    ]


def test_unit_ids_number_the_rows(tmp_path):
    """Ids from a sorter are the ids of the table, and no column beside."""
    attributes = [{"unit_id": np.int32(12)}, {"unit_id": 3}]
    sd = SpikeData([[], []], length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb") as file:
        assert file["units/id"][:].tolist() == [12, 3]
        assert "unit_id" not in file["units"]


@pytest.mark.parametrize(
    ("given_ids", "rows", "found_ids"),
    [
        ([7, "absent", 1], [7, 0, 1], [7, 0, 1]),
        (["absent", 0, None], [1, 0, 2], [1, 0, 2]),
        ([2.0, "absent", 0.5], [0, 1, 2], [2.0, 1, 0.5]),
        (["a", "absent", "b"], [0, 1, 2], ["a", 1, "b"]),
    ],
    ids=str,
)
def test_units_without_an_id_get_a_free_number(given_ids, rows, found_ids, tmp_path):
    """No id that another unit has; and the losses say that there was none."""
    attributes = [{} if i == "absent" else {"unit_id": i} for i in given_ids]
    sd = SpikeData([[]] * 3, length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb", verify=True) as file:
        assert file["units/id"][:].tolist() == rows
    found = [u["unit_id"] for u in load(tmp_path / "a.nwb").neuron_attributes]
    assert found == found_ids
    lost = "which units lack neuron_attributes['unit_id'] (they get a free number)"
    assert lost in NWBWriter().losses(sd)


def damaging(name, change):
    """A writer that changes a dataset of the staged file after it was written."""

    class Damaging(NWBWriter):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                values = change(file[name][()])
                attributes = dict(file[name].attrs)
                del file[name]
                file[name] = values
                file[name].attrs.update(attributes)

    return Damaging(verify=True)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        (
            "units/id",
            lambda ids: ids + 1,
            r"neuron_attributes\[0\]\['unit_id'\] differs",
        ),
        ("units/snr", lambda snr: snr + 0.5, r"\['snr'\] differs"),
        ("units/spike_times", lambda times: times + 0.001, "spike times of unit 0"),
        ("units/spike_times", lambda times: times[:-1], "cannot be read"),
    ],
)
def test_verify_finds_what_changed(name, change, why, tmp_path):
    """An id, an attribute, a time; nothing is published."""
    sd = simulated()
    for unit, known in enumerate(sd.neuron_attributes):
        known["unit_id"] = unit + 4
    with pytest.raises(VerificationError, match=why):
        damaging(name, change).write(sd, tmp_path / "a.nwb")
    assert not list(tmp_path.iterdir())


def test_missing_values_are_nan_or_empty_in_the_file(tmp_path):
    """As every reader understands them."""
    attributes = [{"n": 3, "s": "x", "v": [1, 2], "r": ["a"]}, {}]
    sd = SpikeData([[], []], length=1.0, neuron_attributes=attributes)
    with written(sd, tmp_path / "a.nwb") as file:
        units = file["units"]
        np.testing.assert_array_equal(units["n"][:], [3, np.nan])
        np.testing.assert_array_equal(units["v"][:], [[1, 2], [np.nan] * 2])
        assert units["s"].asstr()[:].tolist() == ["x", ""]
        assert units["r_index"][:].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([{}, 1], "type dict"),
        ([1, "a"], "mixes numbers and text"),
        ([True, 1], "mixes numbers and truth values"),
        ([1j, 2j], "type complex"),
        ([b"a", b"b"], "type bytes"),
        ([None, None], "no unit has a value"),
        (["a\0", "b"], "NUL"),
        (["\ud800", "b"], "surrogate"),
        ([2**60 + 1, 0.5], "do not fit"),
        ([2**64 - 1, -1], "do not fit"),
        ([[2**64 - 1, -1], [0]], "do not fit"),
        ([np.array([2**64 - 1]), [-1]], "do not fit"),
        ([2**60 + 1, None], "do not fit"),
        ([2**60 + 1, NAN], "do not fit"),
        ([2**70, 1], "do not fit"),
        ([[1, [2, 3]], [1]], "nested unevenly"),
        ([[1, None], [1]], "NoneType"),
        ([np.ones((2, 3)), np.ones((3, 2))], "more than their length"),
        ([np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 1))], "three dimensions"),
        ([np.ones((2, 3)), 1], "more than their length"),
        ([np.array([object()]), 1], "object"),
        ([np.datetime64("2020"), np.datetime64("2021")], "datetime64"),
        ([np.ma.array([1.0, 2.0], mask=[0, 1]), [1.0]], "masked values"),
    ],
    ids=str,
)
def test_what_cannot_be_stored_is_named(values, why, tmp_path):
    """One warning says which key is left out and why; the rest is written."""
    attributes = [{"bad": value, "good": 1} for value in values]
    sd = SpikeData([[], []], length=1.0, neuron_attributes=attributes)
    with pytest.warns(UserWarning, match=f"'bad' is left out .*{why}") as caught:
        sd.to_nwb(tmp_path / "a.nwb", verify=True)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [u["good"] for u in load(tmp_path / "a.nwb").neuron_attributes] == [1, 1]
    assert any("'bad'" in lost and why in lost for lost in NWBWriter().losses(sd))
    with (
        pytest.warns(UserWarning, match="left out"),
        pytest.raises(LossError, match="'bad'"),
    ):
        sd.to_nwb(tmp_path / "b.nwb", strict=True)


def test_one_warning_names_all_changed_keys(tmp_path):
    """A column that would break a reader gets another name."""
    keys = [
        "a/b",
        "a_b",
        "id",
        "rate",
        "description",
        "spike_times",
        "electrodes_index",
    ]
    sd = SpikeData([[]], length=1.0, neuron_attributes=[dict.fromkeys(keys, 1)])
    with pytest.warns(UserWarning, match="neuron_attributes") as caught:
        sd.to_nwb(tmp_path / "a.nwb")
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "'a/b' is written as 'a_b_'" in message
    assert "'a_b'" not in re.sub("'a_b_'", "", message)
    with h5py.File(tmp_path / "a.nwb") as file:
        assert set(file["units"].attrs["colnames"]) == {
            "spike_times",
            "obs_intervals",
            "a_b",
            "a_b_",
            "id_",
            "rate_",
            "description_",
            "spike_times_",
            "electrodes_index_",
        }


def test_other_names_are_warned_about(tmp_path):
    """The file holds them as asked, and loads without being told them again."""
    sd = simulated()
    with pytest.warns(
        UserWarning, match=r"will not find them in 'cells/t' and 'cells/t_e'"
    ):
        sd.to_nwb(
            tmp_path / "a.nwb",
            group="cells",
            spike_times_dataset="t",
            spike_times_index_dataset="t_e",
        )
    with h5py.File(tmp_path / "a.nwb") as file:
        assert file["cells/t"].dtype == np.float64
        assert file["cells/t_e"][-1] == len(file["cells/t"])
    assert_same_recording(load(tmp_path / "a.nwb"), sd, rounding_ms(sd))


def test_negative_times_are_warned_about(tmp_path):
    """The validators of NWB object to them."""
    with pytest.warns(
        UserWarning, match=r"negative spike times.*start_time is -5\.0 ms"
    ):
        SpikeData([[-1.0]], start_time=-5.0, length=9.0).to_nwb(tmp_path / "a.nwb")


def test_without_a_session_the_start_is_said_to_be_a_placeholder(tmp_path):
    """Nothing is invented."""
    with written(simulated(), tmp_path / "a.nwb") as file:
        assert file["session_start_time"].asstr()[()].startswith("1970-01-01T00:00:00")
        assert "placeholder" in file["session_description"].asstr()[()]
        assert set(file["general"]) == {"devices", "extracellular_ephys"}


def test_session_and_subject_are_written(tmp_path):
    """Each in its place, and nothing that was not said."""
    with written(
        simulated(), tmp_path / "a.nwb", session=SESSION, subject=SUBJECT
    ) as file:
        assert file["session_start_time"].asstr()[()] == "2024-05-17T14:03:00+02:00"
        assert file["general/experimenter"].asstr()[:].tolist() == list(
            SESSION.experimenter
        )
        subject = {name: d.asstr()[()] for name, d in file["general/subject"].items()}
        assert subject == {
            "subject_id": "r7",
            "species": "Rattus norvegicus",
            "sex": "F",
            "age": "P90D",
            "weight": "0.25 kg",
        }
        assert "lab" not in file["general"]


def test_the_birth_comes_before_the_session():
    """The age that DANDI computes from the two would be negative."""
    subject = NWBSubject(
        subject_id="r",
        species="Mus musculus",
        sex="U",
        date_of_birth="2024-06-01T00:00Z",
    )
    with pytest.raises(ValueError, match="date_of_birth must not be after"):
        NWBWriter(session=SESSION, subject=subject)


def test_the_electrode_location_comes_from_the_session(tmp_path):
    """Where the units do not say it."""
    session = NWBSession(
        session_start_time="2024-05-17T14:03:00Z",
        session_description="d",
        electrode_location="CA1",
    )
    with written(simulated(), tmp_path / "a.nwb", session=session) as file:
        table = file["general/extracellular_ephys/electrodes"]
        assert set(table["location"].asstr()[:]) == {"CA1"}


def test_the_identifier_is_that_of_the_content(tmp_path):
    """The same content has the same, another one another; a session may have its own."""

    def identifier(sd, **options):
        with written(sd, tmp_path / "a.nwb", **options) as file:
            return file["identifier"].asstr()[()]

    moved = simulated()
    moved.train[0][3] += 0.5
    swapped = simulated()
    swapped.train[0], swapped.train[2] = swapped.train[2], swapped.train[0]
    renamed = simulated()
    renamed.neuron_attributes[1]["quality"] = "another"
    numbered = simulated()
    for unit, known in enumerate(numbered.neuron_attributes):
        known["unit_id"] = unit + 1
    all_of_them = (simulated(), simulated(), moved, swapped, renamed, numbered)
    found = {identifier(sd) for sd in all_of_them}
    assert len(found) == 5
    later = attrs.evolve(SESSION, session_start_time="2024-05-18T14:03:00+02:00")
    other = attrs.evolve(SUBJECT, subject_id="r8")
    known = [(None, None), (SESSION, None), (later, None), (SESSION, SUBJECT)]
    for session, subject in [*known, (SESSION, other), (SESSION, SUBJECT)]:
        found.add(identifier(simulated(), session=session, subject=subject))
    assert len(found) == 9
    named = NWBSession(
        session_start_time="2024-05-17T14:03:00Z",
        session_description="d",
        identifier="i9",
    )
    assert identifier(simulated(), session=named) == "i9"


def test_the_creation_date_obeys_source_date_epoch(tmp_path, monkeypatch):
    """The convention of reproducible builds."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    with written(simulated(), tmp_path / "a.nwb") as file:
        assert file["file_create_date"].asstr()[0] == "1970-01-02T00:00:00+00:00"


def test_losses_are_told_in_words():
    """Metadata, raw data, rounding, and missing values that cannot be told apart."""
    late = 250.824 * 2**33
    raw = {"raw_data": np.ones((1, 9)), "raw_time": np.arange(9.0)}
    sd = SpikeData([[late], [], []], start_time=late - 1, length=5.0, **raw)
    sd.metadata["rat"] = 1
    sd.neuron_attributes = [{"a": 1.5}, {"a": NAN}, {}]
    lost = "; ".join(NWBWriter().losses(sd))
    for word in ("metadata", "raw data", "rounded", "lack neuron_attributes['a']"):
        assert word in lost


def test_rounding_below_a_nanosecond_is_no_loss(tmp_path):
    """A spike that seconds move in the last digits of a float64 is the same spike."""
    times = [t for t in np.arange(1, 20, 0.1) if t / 1000 * 1000 != t]
    assert times
    sd = SpikeData([times], length=20.0)
    assert NWBWriter().losses(sd) == []
    sd.to_nwb(tmp_path / "a.nwb", strict=True, verify=True)
    assert load(tmp_path / "a.nwb").train[0].tolist() != times


def test_the_sampling_rate_comes_back(tmp_path):
    """As metadata, beside where the recording came from."""
    simulated().to_nwb(tmp_path / "a.nwb", fs_Hz=24_414.0625)
    metadata = load_spikedata_from_nwb(tmp_path / "a.nwb", metadata={"rat": 1}).metadata
    assert metadata == {
        "rat": 1,
        "source_file": str(tmp_path / "a.nwb"),
        "format": "NWB",
        "fs_Hz": 24_414.0625,
    }


def test_the_given_window_goes_first(tmp_path):
    """Start and length can be set when a file is read."""
    simulated().to_nwb(tmp_path / "a.nwb")
    sd = load_spikedata_from_nwb(
        tmp_path / "a.nwb", start_time_ms=-5.0, length_ms=20_000.0
    )
    assert (sd.start_time, sd.length) == (-5.0, 20_000.0)


def foreign(path, **datasets):
    """A minimal Units table, as other programs write it."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        file.create_group("units")
        for name, data in datasets.items():
            file[f"units/{name}"] = data
    return path


def test_a_window_is_taken_from_the_observed_intervals(tmp_path):
    """And widened to what spikes lie outside."""
    path = foreign(
        tmp_path / "a.nwb",
        spike_times=[1.5, 9.0],
        spike_times_index=[1, 2],
        obs_intervals=[[1.0, 4.0], [5.0, 8.0]],
        obs_intervals_index=[2, 2],
        id=[4, 9],
    )
    with pytest.warns(UserWarning, match=r"one recording window, 1\.0 to 8\.0 s"):
        sd = load(path)
    assert (sd.start_time, sd.length) == (1000.0, 8000.0)
    assert sd.neuron_attributes == [{"unit_id": 4}, {"unit_id": 9}]


def test_a_file_that_tells_no_window_starts_at_zero(tmp_path):
    """Or at the first spike, if that is before."""
    path = foreign(tmp_path / "a.nwb", spike_times=[1.5, 9.0], spike_times_index=[2])
    assert (load(path).start_time, load(path).length) == (0.0, 9000.0)
    path = foreign(tmp_path / "b.nwb", spike_times=[-2.0, 9.0], spike_times_index=[2])
    assert (load(path).start_time, load(path).length) == (-2000.0, 11_000.0)


def test_units_without_spike_times_are_silent(tmp_path):
    """Their ids say how many there are, and a warning that there are no times."""
    with pytest.warns(UserWarning, match="the units have no 'spike_times'") as said:
        sd = load(foreign(tmp_path / "a.nwb", id=[1, 2, 3]))
    assert len(said) == 1
    assert [len(t) for t in sd.train] == [0, 0, 0]


@pytest.mark.parametrize(
    ("datasets", "why"),
    [
        ({}, "no 'spike_times' and no 'id'"),
        ({"id": [1], "spike_times_index": [1]}, "must have the 'spike_times'"),
        ({"spike_times": [[1, 2], [3, 4]], "spike_times_index": [1]}, "a vector"),
        ({"spike_times": [b"a"], "spike_times_index": [1]}, "numbers"),
        ({"spike_times": [1.0], "spike_times_index": [0.5]}, "whole numbers"),
        ({"spike_times": [1.0, 2.0], "spike_times_index": [2, 1]}, "decrease"),
        ({"spike_times": [1.0, 2.0], "spike_times_index": [1]}, "end at"),
        ({"spike_times": [NAN], "spike_times_index": [1]}, "finite"),
        ({"spike_times": [1.0], "spike_times_index": [1], "id": [1, 2]}, "2 ids"),
        ({"spike_times": [1.0], "spike_times_index": [1], "id": [1.5]}, "whole"),
    ],
    ids=str,
)
def test_a_table_that_contradicts_itself_is_refused(datasets, why, tmp_path):
    """With an error of our own."""
    with pytest.raises(FormatError, match=why):
        load_spikedata_from_nwb(foreign(tmp_path / "a.nwb", **datasets))


@pytest.mark.parametrize("name", ["snr", "electrodes"])
def test_a_column_with_other_rows_costs_that_column(name, tmp_path):
    """The spikes are read, and a warning says what is wrong."""
    given = {"spike_times": [1.0], "spike_times_index": [1], name: [1, 2]}
    with pytest.warns(UserWarning, match=rf"{name}.* must have 1 rows, got 2"):
        sd = load_spikedata_from_nwb(foreign(tmp_path / "a.nwb", **given))
    assert [t.tolist() for t in sd.train] == [[1000.0]]
    assert sd.neuron_attributes == [{"unit_id": 0}]


@pytest.mark.parametrize("shape", [(1, -1), (-1, 1)])
def test_vectors_of_matlab_are_read(shape, tmp_path):
    """Two dimensions, and doubles for integers."""
    values = {"spike_times": [0.1, 0.2, 0.3], "spike_times_index": [2, 3], "id": [4, 7]}
    vectors = {n: np.reshape(np.array(v, float), shape) for n, v in values.items()}
    sd = load_spikedata_from_nwb(foreign(tmp_path / "a.nwb", **vectors))
    assert [t.tolist() for t in sd.train] == [[100.0, 200.0], [300.0]]
    assert [known["unit_id"] for known in sd.neuron_attributes] == [4, 7]


def test_no_two_units_have_one_id(tmp_path):
    """The tables of two probes were joined."""
    spikes = {"spike_times": [0.1, 0.2, 0.3], "spike_times_index": [1, 2, 3]}
    path = foreign(tmp_path / "a.nwb", **spikes, id=[5, 7, 5])
    with pytest.warns(UserWarning, match="unit_id 5 stands for several units"):
        sd = load_spikedata_from_nwb(path)
    assert [known["unit_id"] for known in sd.neuron_attributes] == [8, 7, 9]
    with h5py.File(path, "r+") as file:
        file["units/unit_id"] = ["a5", "a7", "b5"]
    sd = load_spikedata_from_nwb(path)
    assert [known["unit_id"] for known in sd.neuron_attributes] == ["a5", "a7", "b5"]


def test_observations_that_are_no_pairs_are_named(tmp_path):
    """The recording is then as long as its spikes."""
    times = {"spike_times": [0.1], "spike_times_index": [1]}
    path = foreign(tmp_path / "a.nwb", **times, obs_intervals=np.zeros((1, 3)))
    with pytest.warns(UserWarning, match="obs_intervals must be pairs"):
        assert load_spikedata_from_nwb(path).length == 100.0


def test_links_out_of_the_file_are_not_followed(tmp_path):
    """Not for the table, and not for a column of it."""
    simulated().to_nwb(tmp_path / "other.nwb")
    with h5py.File(tmp_path / "a.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        file["units"] = h5py.ExternalLink("other.nwb", "units")
    with pytest.raises(FormatError, match="link"):
        load_spikedata_from_nwb(tmp_path / "a.nwb")
    path = foreign(tmp_path / "b.nwb", id=[1], spike_times=[0.5])
    with h5py.File(path, "a") as file:
        file["units/snr"] = h5py.ExternalLink("other.nwb", "units/snr")
    with pytest.warns(UserWarning, match="left out: snr"):
        found = load_spikedata_from_nwb(path)
    assert found.neuron_attributes == [{"unit_id": 1}]


def test_a_dataset_that_claims_terabytes_is_refused(tmp_path):
    """Before any memory is asked for."""
    path = foreign(tmp_path / "a.nwb", spike_times_index=[2**40])
    with h5py.File(path, "a") as file:
        file.create_dataset("units/spike_times", (2**40,), "f8", chunks=(1024,))
    with pytest.raises(FormatError, match="claim"):
        load_spikedata_from_nwb(path)


def test_a_file_of_the_published_package_loads(tmp_path):
    """Its electrodes are ids, not rows; locations are found by them."""
    path = foreign(
        tmp_path / "a.nwb",
        id=[0, 1],
        spike_times=[0.25, 0.5],
        spike_times_index=[0, 2],
        electrodes=[30, 10],
        electrodes_index=[1, 2],
    )
    with h5py.File(path, "a") as file:
        del file.attrs["nwb_version"]
        file.attrs["length_ms"], file.attrs["start_time"] = 900.0, 100.0
        table = file.create_group("general/extracellular_ephys/electrodes")
        table["id"], table["x"], table["y"] = [10, 30], [1.0, 2.0], [3.0, 4.0]
    sd = load(path)
    assert [t.tolist() for t in sd.train] == [[], [250.0, 500.0]]
    assert (sd.start_time, sd.length) == (100.0, 900.0)
    assert sd.neuron_attributes == [
        {"unit_id": 0, "electrode": 30, "location": [2.0, 4.0]},
        {"unit_id": 1, "electrode": 10, "location": [1.0, 3.0]},
    ]
