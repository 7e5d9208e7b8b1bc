"""The workspace: names, notes, and what is in the file."""

import json
import math
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from contract import files_limited_to, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import linear_track
from siblings import (
    ANY_OBJECT,
    DICTIONARIES,
    SIBLINGS,
    assert_same_object,
    assert_same_workspace,
    filled,
    rates,
    spike_slices,
)

from spikelab import PairwiseCompMatrix, SpikeData, load
from spikelab.errors import FormatError, VerificationError
from spikelab.formats.hdf5.values import identical
from spikelab.workspace import AnalysisWorkspace, file

RANDOM = settings(max_examples=50)


def test_what_is_stored_is_got_back():
    """The very object, without a copy."""
    workspace, array = AnalysisWorkspace(), np.arange(3)
    workspace.store("ns", "key", array)
    assert workspace.get("ns", "key") is array
    assert workspace.get("ns", "other") is None
    assert workspace.get("other", "key") is None
    assert workspace.list_namespaces() == ["ns"]
    assert workspace.list_keys("ns") == ["key"]
    assert workspace.list_keys("other") == []
    assert workspace.list_keys() == {"ns": ["key"]}
    assert repr(workspace).startswith("AnalysisWorkspace(id=")


def test_infos_tell_type_size_and_note():
    """Under the names of the published package."""
    described = filled().describe()
    before = time.time()
    infos = {
        key: dict(info) for keys in described.values() for key, info in keys.items()
    }
    for info in infos.values():
        assert before - 60 < info.pop("created_at") <= before
    assert infos["rates"] == {
        "type": "RateData",
        "shape": [2, 4],
        "note": "made by rates",
    }
    assert infos["recording"] == {
        "type": "SpikeData",
        "N": 2,
        "length_ms": 50.0,
        "start_time": 0.0,
    }
    assert infos["image"] == {"type": "ndarray", "shape": [50, 100], "dtype": "uint16"}
    assert infos["event_slices"]["N_slices"] == 2
    assert infos["event_slices"]["N_units"] == 2
    assert infos["event_slices"]["length_ms"] == 10.5
    assert infos["comparison_stack"]["shape"] == [2, 2, 3]
    assert infos["nested"] == {"type": "dict"}
    assert AnalysisWorkspace().get_info("a", "b") is None


def test_storing_again_replaces_object_and_note():
    """A new object has no old note."""
    workspace = AnalysisWorkspace()
    workspace.store("ns", "key", np.arange(3), note="old")
    workspace.store("ns", "key", {"a": 1})
    assert workspace.get("ns", "key") == {"a": 1}
    assert "note" not in workspace.get_info("ns", "key")
    workspace.add_note("ns", "key", "new")
    assert workspace.get_info("ns", "key")["note"] == "new"


def test_renaming_keeps_what_is_known():
    """And does not overwrite unless asked to."""
    workspace = AnalysisWorkspace()
    workspace.store("ns", "a", np.arange(1), note="first")
    workspace.store("ns", "b", np.arange(2))
    created_at = workspace.get_info("ns", "a")["created_at"]
    with pytest.warns(UserWarning, match="'b' is taken"):
        assert workspace.rename("ns", "a", "b") is False
    assert workspace.rename("ns", "a", "b", overwrite=True) is True
    assert workspace.list_keys() == {"ns": ["b"]}
    info = workspace.get_info("ns", "b")
    assert (info["note"], info["created_at"]) == ("first", created_at)


def test_deleting_the_last_object_deletes_the_namespace():
    """As deleting the namespace itself does."""
    workspace = AnalysisWorkspace()
    for key in "ab":
        workspace.store("one", key, np.arange(1))
        workspace.store("two", key, np.arange(1))
    workspace.delete("one", "a")
    assert workspace.list_keys("one") == ["b"]
    workspace.delete("one", "b")
    workspace.delete("two")
    assert workspace.list_namespaces() == []
    assert workspace.describe() == {}


@pytest.mark.parametrize(
    "use",
    [
        lambda w: w.delete("no"),
        lambda w: w.delete("ns", "no"),
        lambda w: w.rename("ns", "no", "other"),
        lambda w: w.rename("no", "key", "other"),
        lambda w: w.add_note("ns", "no", "text"),
    ],
)
def test_names_that_are_not_there_are_key_errors(use):
    """Where something was to be changed."""
    workspace = AnalysisWorkspace()
    workspace.store("ns", "key", np.arange(1))
    with pytest.raises(KeyError, match="the workspace has no"):
        use(workspace)


def test_merging_skips_what_is_there():
    """Unless told to overwrite; objects are shared and notes taken along."""
    one, two = AnalysisWorkspace(), AnalysisWorkspace()
    one.store("ns", "both", np.arange(1))
    two.store("ns", "both", np.arange(2))
    two.store("other", "new", np.arange(3), note="hello")
    assert one.merge_from(two) == {
        "merged": 1,
        "skipped": 1,
        "skipped_keys": [("ns", "both")],
    }
    assert one.get("other", "new") is two.get("other", "new")
    assert one.get_info("other", "new")["note"] == "hello"
    assert one.merge_from(two, overwrite=True)["merged"] == 2
    assert one.get("ns", "both").size == 2


def test_comparison_namespaces_name_their_parts():
    """In the order given."""
    assert AnalysisWorkspace.comparison_namespace("b", "a") == "C_b_a"


def test_a_saved_workspace_comes_back_whole(tmp_path):
    """Objects of every kind, names, notes and times."""
    workspace = filled()
    assert workspace.save(tmp_path / "w", verify=True) == str(tmp_path / "w.h5")
    found = AnalysisWorkspace.load(tmp_path / "w.h5")
    assert_same_workspace(found, workspace)
    for namespace, keys in workspace.list_keys().items():
        for key in keys:
            item = AnalysisWorkspace.load_item(tmp_path / "w", namespace, key)
            assert type(item) is type(workspace.get(namespace, key))


def test_the_real_recording_comes_back(tmp_path):
    """Spike for spike."""
    workspace = AnalysisWorkspace()
    workspace.store("linear track", "all", linear_track())
    workspace.save(tmp_path / "w")
    found = AnalysisWorkspace.load_item(tmp_path / "w", "linear track", "all")
    assert_same_object(found, linear_track())


@given(value=ANY_OBJECT | DICTIONARIES, note=st.none() | st.text())
@RANDOM
def test_any_object_comes_back(tmp_path, value, note):
    """With whatever attributes, metadata or parts."""
    workspace = AnalysisWorkspace()
    workspace.store("ns", "key", value, note=note)
    workspace.save(tmp_path / "w", verify=True)
    assert_same_workspace(AnalysisWorkspace.load(tmp_path / "w"), workspace)


@given(names=st.lists(st.tuples(st.text(), st.text()), max_size=6), name=st.text())
@RANDOM
def test_any_name_comes_back(tmp_path, names, name):
    """Whatever the scientist called it."""
    workspace = AnalysisWorkspace(name)
    for i, (namespace, key) in enumerate(names):
        workspace.store(namespace, key, np.array(i))
    workspace.save(tmp_path / "w", verify=True)
    found = AnalysisWorkspace.load(tmp_path / "w")
    assert_same_workspace(found, workspace)


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "/",
        ".",
        "..",
        "./x",
        "",
        "%2F",
        "a%2Fb",
        "__exact__",
        "\0",
        "\ud800",
        " ",
    ],
)
def test_names_that_hdf5_does_not_allow_come_back(tmp_path, name):
    """As namespace and as key, beside names that look like their replacement."""
    workspace = AnalysisWorkspace()
    for other in (name, "a%2Fb", "%", "%.", "%2F"):
        workspace.store(name, other, np.array([other == name]))
        workspace.store(other, name, {other: 1})
    workspace.save(tmp_path / "w", verify=True)
    assert AnalysisWorkspace.load_item(tmp_path / "w", name, name) is not None
    assert_same_workspace(AnalysisWorkspace.load(tmp_path / "w"), workspace)


@pytest.mark.parametrize("saved", ["w", "w.h5", "w.v2", "w.hdf5"])
def test_a_workspace_is_found_by_the_name_it_was_saved_under(tmp_path, saved):
    """With and without the suffix."""
    workspace = AnalysisWorkspace()
    written = workspace.save(str(tmp_path / saved))
    assert written.endswith(".h5")
    for name in (saved, Path(written).name):
        found = AnalysisWorkspace.load(tmp_path / name)
        assert found.workspace_id == workspace.workspace_id
    with pytest.raises(FileNotFoundError, match=r"other\.h5"):
        AnalysisWorkspace.load(tmp_path / "other")


def test_a_file_under_another_name_is_found(tmp_path):
    """The published package, given a name with the suffix, adds another one."""
    workspace = AnalysisWorkspace()
    for name in ("renamed.hdf5", "twice.h5.h5"):
        os.replace(workspace.save(tmp_path / "w"), tmp_path / name)
    for name in ("renamed.hdf5", "twice.h5"):
        found = AnalysisWorkspace.load(tmp_path / name)
        assert found.workspace_id == workspace.workspace_id


def test_saving_twice_gives_the_same_bytes(tmp_path):
    """A workspace that did not change makes the same file."""
    workspace = filled()
    workspace.save(tmp_path / "first")
    workspace.save(tmp_path / "second")
    files = snapshot(tmp_path)
    assert files["first.h5"] == files["second.h5"]


def test_one_item_is_read_without_the_others(tmp_path):
    """Damage to one object does not keep the others from being read."""
    filled().save(tmp_path / "w")
    with h5py.File(tmp_path / "w.h5", "r+") as opened:
        del opened["objects/rates/inst_Frate_data"]
    found = AnalysisWorkspace.load_item(tmp_path / "w", "objects", "rate_slices")
    assert_same_object(found, SIBLINGS["rate_slices"]())
    with pytest.raises(FormatError, match="inst_Frate_data"):
        AnalysisWorkspace.load_item(tmp_path / "w", "objects", "rates")
    with pytest.raises(KeyError, match="has no 'objects' / 'other'"):
        AnalysisWorkspace.load_item(tmp_path / "w", "objects", "other")


def test_large_arrays_are_plain_datasets_and_there_once(tmp_path):
    """For h5py, MATLAB and the published package to read."""
    workspace = filled()
    workspace.store("arrays", "large", np.random.default_rng(1).random(100_000))
    workspace.save(tmp_path / "w")
    assert (tmp_path / "w.h5").stat().st_size < 1_200_000
    with h5py.File(tmp_path / "w.h5") as opened:
        assert opened["arrays/large/data"].shape == (100_000,)
        spikes = opened["objects/recording"]
        assert spikes.attrs["__type__"] == "SpikeData"
        assert spikes["spike_times"][()].tolist() == [1, 5.5, 12, 40, 2.25, 3]
        assert spikes["spike_times_index"][()].tolist() == [4, 6]
        assert spikes["raw_data"].dtype == np.int16


def test_no_pickle_is_in_the_file(tmp_path):
    """Nor anything opaque: text, numbers, and the bytes of arrays."""
    filled().save(tmp_path / "w")
    with h5py.File(tmp_path / "w.h5") as opened:

        def check(name, member):
            if isinstance(member, h5py.Dataset):
                assert member.dtype.kind != "V", name
                is_text = h5py.check_string_dtype(member.dtype) is not None
                assert is_text or not member.dtype.hasobject, name

        opened.visititems(check)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "'ns' / 'key' must be a spikelab data object"),
        ("text", "must be a spikelab data object"),
        (None, "must be a spikelab data object"),
        ([1], r"a dictionary \(of which the values may be more\)"),
        (np.float64(1), "got float64"),
        (len, "got builtin_function_or_method"),
        ({"fits": {"best": [len]}}, r"'key'\['fits'\]\['best'\]\[0\] must"),
        ({"a": object()}, r"'key'\['a'\] must be of a type"),
        (np.array([len]), "must be of a type"),
        (np.ma.masked_array([1], [True]), "got MaskedArray"),
        (type("Mine", (SpikeData,), {})([[1.0]]), "got Mine"),
        (
            SpikeData([[1.0]], neuron_attributes=[{"model": len}]),
            r"\['neuron_attributes'\]\[0\]\['model'\] must",
        ),
    ],
)
def test_what_cannot_be_saved_is_refused_by_name(tmp_path, value, message):
    """Before anything is written, and the earlier file stays."""
    workspace = filled()
    workspace.save(tmp_path / "w")
    before = snapshot(tmp_path)
    workspace.store("ns", "key", value)
    with pytest.raises(TypeError, match=message):
        workspace.save(tmp_path / "w")
    assert snapshot(tmp_path) == before


def test_objects_that_were_changed_into_something_else_are_refused(tmp_path):
    """Attributes of one's own, and values that the class would change."""
    workspace = AnalysisWorkspace()
    for change, message in (
        ({"best_fit": 3}, "'best_fit' is not an attribute of a SpikeData"),
        ({"length": 0.5}, "must be finite and lie in the recording window"),
        ({"train": [np.array([2.0, -1.0])]}, "must be finite and lie in the recording"),
        ({"N": 7}, "got 1 for N=7"),
    ):
        sd = SpikeData([[1.0, 2.0]])
        vars(sd).update(change)
        workspace.store("ns", "key", sd)
        with pytest.raises(ValueError, match=f"'ns' / 'key'.*{message}"):
            workspace.save(tmp_path / "w")
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((3, "key"), "namespace of 3 / 'key' must be a string"),
        (("ns", ("a", 1)), r"key of 'ns' / \('a', 1\) must be a string"),
        (("ns", None), "key of 'ns' / None must be a string"),
    ],
)
def test_names_that_are_no_text_are_refused(tmp_path, names, message):
    """An integer key would come back as text."""
    workspace = AnalysisWorkspace()
    workspace.store(*names, np.arange(3))
    with pytest.raises(TypeError, match=message):
        workspace.save(tmp_path / "w")


def test_a_note_that_is_no_text_is_refused(tmp_path):
    """The error names the object."""
    workspace = AnalysisWorkspace()
    workspace.store("ns", "key", np.arange(3), note=5)
    with pytest.raises(TypeError, match="note of 'ns' / 'key'"):
        workspace.save(tmp_path / "w")


def test_a_failed_save_keeps_the_earlier_file(tmp_path):
    """On a full disk, nothing new stays behind."""
    workspace = filled()
    workspace.save(tmp_path / "w")
    before = snapshot(tmp_path)
    workspace.store("arrays", "large", np.random.default_rng(1).random(100_000))
    with files_limited_to(100_000), pytest.raises(OSError, match=r"\w"):
        workspace.save(tmp_path / "w")
    assert snapshot(tmp_path) == before


def test_what_is_told_of_an_object_is_a_copy():
    """Who changes it changes nothing in the workspace."""
    workspace = filled()
    namespace, keys = next(iter(workspace.list_keys().items()))
    workspace.get_info(namespace, keys[0])["created_at"] = "now"
    workspace.describe()[namespace][keys[0]]["created_at"] = "now"
    assert isinstance(workspace.get_info(namespace, keys[0])["created_at"], float)


def test_verify_names_what_differs(tmp_path, monkeypatch):
    """And publishes nothing."""
    read = file.read

    def changed(path):
        about, items = read(path)
        items[0].value.inst_Frate_data[0, 0] += 1
        return about, items

    monkeypatch.setattr(file, "read", changed)
    with pytest.raises(VerificationError, match="'objects' / 'rates'"):
        filled().save(tmp_path / "w", verify=True)
    assert not snapshot(tmp_path)


def test_a_memory_mapped_recording_is_saved(tmp_path):
    """Raw voltages may lie on the disk."""
    raw = np.memmap(tmp_path / "raw.dat", np.int16, "w+", shape=(4, 1000))
    raw[:] = np.arange(4000).reshape(4, 1000)
    sd = SpikeData([[1.0]], length=100.0, raw_data=raw, raw_time=10.0)
    workspace = AnalysisWorkspace()
    workspace.store("ns", "sd", sd)
    workspace.save(tmp_path / "w", verify=True)
    found = AnalysisWorkspace.load_item(tmp_path / "w", "ns", "sd")
    assert np.array_equal(found.raw_data, raw)


def test_a_file_that_is_no_workspace_is_a_format_error(tmp_path):
    """Other HDF5 files, other files, damaged ones."""
    rates().to_hdf5(tmp_path / "r.h5")
    (tmp_path / "text.h5").write_text("hello")
    for name in ("r.h5", "text.h5"):
        with pytest.raises(FormatError):
            AnalysisWorkspace.load(tmp_path / name)
    with pytest.raises(TypeError, match="path must be a path"):
        AnalysisWorkspace.load(3)


@pytest.mark.parametrize(
    "index",
    [
        [],
        {"name": None, "items": 3},
        {"name": None, "items": [1]},
        {"name": None, "items": [["ns", "key", 0.0, None, ["ns"]]]},
        {"name": None, "items": [["ns", "key", "x", None, None]]},
        {"name": None, "items": [["ns", "key", 0.0, None, None]] * 50},
    ],
    ids=str,
)
def test_a_damaged_index_is_a_format_error(tmp_path, index):
    """Whatever is in it."""
    filled().save(tmp_path / "w")
    with h5py.File(tmp_path / "w.h5", "r+") as opened:
        del opened["__exact__/index"]
        opened["__exact__/index"] = np.bytes_(json.dumps(index).encode())
    with pytest.raises(FormatError):
        AnalysisWorkspace.load(tmp_path / "w")


def test_links_out_of_the_file_are_not_followed(tmp_path):
    """Soft and external links are refused."""
    filled().save(tmp_path / "w")
    filled().save(tmp_path / "other")
    for link in (h5py.ExternalLink("other.h5", "/arrays/image"), h5py.SoftLink("/x")):
        with h5py.File(tmp_path / "w.h5", "r+") as opened:
            del opened["arrays/image"]
            opened["arrays/image"] = link
        with pytest.raises(FormatError, match=r"must not lead out|has no"):
            AnalysisWorkspace.load(tmp_path / "w")


@pytest.mark.parametrize("name", [5, True, b"a", ("a",)], ids=repr)
def test_a_name_that_is_no_text_is_refused(name, tmp_path):
    """Before the file is touched."""
    workspace = filled()
    workspace.save(tmp_path / "w.h5")
    before = (tmp_path / "w.h5").read_bytes()
    workspace.name = name
    with pytest.raises(TypeError, match="name must be a string or None, got"):
        workspace.save(tmp_path / "w.h5")
    assert (tmp_path / "w.h5").read_bytes() == before


def test_names_of_numpy_are_names(tmp_path):
    """An array of text gives them to a loop."""
    workspace = AnalysisWorkspace(np.str_("areas"))
    for name in np.array(["CA1", "CA3"]):
        workspace.store(name, name, {}, note=name)
    workspace.save(tmp_path / "w", verify=True)
    found = AnalysisWorkspace.load(tmp_path / "w")
    assert found.list_keys() == {"CA1": ["CA1"], "CA3": ["CA3"]}
    assert type(found.get_info("CA1", "CA1")["note"]) is str


@pytest.mark.parametrize(
    "value",
    [
        {math.nan: 1, (math.nan, 1): {2}},
        {"set": {math.nan, 1.0}, "frozen": frozenset([math.nan])},
        np.zeros(2, []),
        {"deep": [[[[[1.0]]]]] * 2},
    ],
    ids=["keys", "sets", "no fields", "deep"],
)
def test_unusual_values_are_verified_and_come_back(value, tmp_path):
    """NaN is no key that another NaN finds."""
    workspace = AnalysisWorkspace()
    workspace.store("n", "k", value)
    workspace.save(tmp_path / "w", verify=True)
    assert identical(AnalysisWorkspace.load(tmp_path / "w").get("n", "k"), value)


def test_a_slice_that_was_changed_is_refused_by_name(tmp_path):
    """As a recording by itself is."""
    workspace, stack = AnalysisWorkspace(), spike_slices()
    stack.spike_stack[1].mine = 1
    workspace.store("n", "k", stack)
    with pytest.raises(ValueError, match=r"'k'\.spike_stack\[1\] .* 'mine' is not"):
        workspace.save(tmp_path / "w")


@pytest.mark.parametrize("within", [lambda a: a, lambda a: {"k": a}], ids=["", "dict"])
def test_a_selection_of_fields_comes_back(tmp_path, within):
    """In its order, which is not that of the bytes."""
    workspace = AnalysisWorkspace()
    array = np.array([(1, 2.5)] * 9, [("a", "i4"), ("b", "f8")])[["b", "a"]]
    workspace.store("n", "k", within(array))
    workspace.save(tmp_path / "w", verify=True)
    found = AnalysisWorkspace.load_item(tmp_path / "w", "n", "k")
    assert identical(found, within(array))


def test_values_that_no_plain_dataset_holds_come_back(tmp_path):
    """Differences of time, and matrices of objects and of text."""
    values = {
        "time": np.timedelta64(3, "h"),
        "none": np.timedelta64("NaT", "s"),
        "objects": PairwiseCompMatrix(np.array([[None, "a"], [1, 2.5]], dtype=object)),
        "texts": PairwiseCompMatrix(np.array([["a", "b"], ["c", "d"]])),
    }
    workspace = AnalysisWorkspace()
    workspace.store("n", "k", values)
    workspace.save(tmp_path / "w.h5", verify=True)
    assert identical(AnalysisWorkspace.load(tmp_path / "w.h5").get("n", "k"), values)


def test_what_is_no_workspace_is_not_merged():
    """The error says what was expected."""
    with pytest.raises(TypeError, match="other must be an AnalysisWorkspace"):
        AnalysisWorkspace().merge_from({})


def test_load_names_the_workspace(tmp_path):
    """The loader of single objects says what opens it."""
    filled().save(tmp_path / "w.h5")
    with pytest.raises(FormatError, match=r"is a workspace; AnalysisWorkspace\.load"):
        load(tmp_path / "w.h5")


def test_the_file_of_another_program_is_not_replaced(tmp_path):
    """Unless that is asked for; the error says what would be lost."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["acquisition/voltage"] = np.zeros(3)
        file["notes"] = "of the night"
    before = (tmp_path / "a.h5").read_bytes()
    workspace = AnalysisWorkspace()
    with pytest.raises(
        FileExistsError, match=r"acquisition(/voltage)?, notes; .*overwrite=True"
    ):
        workspace.save(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == before
    workspace.save(tmp_path / "a.h5", overwrite=True)
    assert AnalysisWorkspace.load(tmp_path / "a.h5").workspace_id


def test_what_another_program_added_to_a_workspace_is_not_lost(tmp_path):
    """A workspace alone is replaced as it always was, as are exports."""
    workspace = AnalysisWorkspace()
    workspace.store("day 1", "a/b", {"x": 1})
    workspace.store("day 1", "odd", {"x": {1: None}})
    path = workspace.save(tmp_path / "a.h5")
    assert AnalysisWorkspace().save(path) == workspace.save(path) == path
    with h5py.File(path, "a") as file:
        file["figure"] = np.zeros(3)
        file["lab/traces/values"] = np.zeros(3)
    with pytest.raises(FileExistsError, match=r": lab/traces.*, figure; "):
        workspace.save(path)
    SpikeData([[1.0]]).to_hdf5(tmp_path / "b.h5")
    assert workspace.save(tmp_path / "b.h5") == str(tmp_path / "b.h5")
    with pytest.raises(FileExistsError, match="day 1"):
        SpikeData([[1.0]]).to_hdf5(tmp_path / "b.h5")


def test_the_home_folder(tmp_path, monkeypatch):
    """The name that is returned is one that other packages open."""
    monkeypatch.setenv("HOME", str(tmp_path))
    workspace = AnalysisWorkspace()
    workspace.store("a", "b", {"x": 1})
    assert workspace.save("~/w") == str(tmp_path / "w.h5")
    assert AnalysisWorkspace.load_item("~/w", "a", "b") == {"x": 1}
