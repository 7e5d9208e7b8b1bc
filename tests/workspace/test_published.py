"""Files in the layout of spikelab 0.1.2, made with h5py as that version made them."""

import json

import h5py
import numpy as np
import pytest

from spikelab.errors import FormatError
from spikelab.formats.hdf5.values import identical
from spikelab.workspace import AnalysisWorkspace

TEXT = h5py.string_dtype()


def group(parent, name, kind=None, **attributes):
    """A group with its type and attributes."""
    made = parent.create_group(name)
    if kind is not None:
        made.attrs["__type__"] = kind
    made.attrs.update(attributes)
    return made


def add_spikes(parent, name, kind="SpikeData"):
    """Three units, one of them silent and the first of them too."""
    made = group(parent, name, kind, N=3, length_ms=20.0, start_time=-1.0)
    made.attrs["__metadata__"] = json.dumps(
        {
            "fs": 20000.0,
            "none": None,
            "map": {
                "__ndarray__": True,
                "dtype": "int16",
                "shape": [2],
                "values": [3, 4],
            },
        }
    )
    made["spike_times"] = [1.0, 5.5, 2.25]
    made["spike_times_index"] = [0, 2, 3]
    table = made.create_group("neuron_attributes")
    table["x"] = [1.5, np.nan, 2.0]
    table["n"] = [1.0, 2.0, np.nan]
    table["n"].attrs["__scalar_kind__"] = "int"
    table["good"] = [1.0, 0.0, np.nan]
    table["good"].attrs["__scalar_kind__"] = "bool"
    table.create_dataset(
        "name", data=["a", "", "\N{GREEK SMALL LETTER MU}"], dtype=TEXT
    )
    table["place"] = np.arange(6).reshape(3, 2)
    table["place"].attrs["__missing_unit_indices__"] = [1]
    return made


SPIKE_ATTRIBUTES = [
    {"good": True, "n": 1, "name": "a", "place": np.array([0, 1]), "x": 1.5},
    {"good": False, "n": 2},
    {"name": "\N{GREEK SMALL LETTER MU}", "place": np.array([4, 5]), "x": 2.0},
]


@pytest.fixture
def path(tmp_path):
    """A file with an item of every type."""
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file.attrs["__workspace_id__"] = "id-1"
        file.attrs["__workspace_name__"] = ""
        file.attrs["__created_at__"] = 7.5
        items = file.create_group("o")
        sd = add_spikes(items, "sd")
        sd.attrs["__note__"] = "hello"
        sd.attrs["__created_at__"] = 8.5
        sd["raw_data"] = np.arange(6, dtype=np.int16).reshape(2, 3)
        sd["raw_time"] = np.arange(3.0)
        rd = group(items, "rd", "RateData")
        rd["inst_Frate_data"], rd["times"] = np.eye(2), [0.0, 1.0]
        pcm = group(items, "pcm", "PairwiseCompMatrix", __metadata__='{"x": 1}')
        pcm["matrix"] = np.eye(2)
        pcm.create_dataset("labels", data=["a", "b"], dtype=TEXT)
        pcms = group(items, "pcms", "PairwiseCompMatrixStack")
        pcms["stack"], pcms["labels"], pcms["times"] = (
            np.zeros((2, 2, 1)),
            [4, 5],
            [[0, 1.0]],
        )
        rss = group(items, "rss", "RateSliceStack", step_size=0.5)
        rss["event_stack"], rss["times"] = np.zeros((1, 2, 2)), [[0, 1.0], [2, 3]]
        sss = group(items, "sss", "SpikeSliceStack", N=3)
        sss["times"] = [[0, 20.0], [10, 30]]
        for i in "01":
            add_spikes(sss.require_group("spike_stack"), i, kind=None)
        array = group(items, "arr", "ndarray")
        array["data"] = np.arange(4)
        words = group(items, "words", "ndarray")
        words.create_dataset("data", data=["a", "bc"], dtype=TEXT)
        words["data"].attrs["__string_array__"] = True
        parts = group(items, "d", "dict")
        group(parts, "i", "scalar", __scalar_value__=1, __scalar_kind__="int")
        group(parts, "b", "scalar", __scalar_value__=True, __scalar_kind__="bool")
        group(
            parts,
            "f",
            "scalar",
            __scalar_value__=np.float32(0.5),
            __scalar_kind__="float32",
        )
        group(parts, "s", "scalar_str", __scalar_value__="text")
        group(parts, "n", "none")
        group(parts, "t", "tuple")["data"] = [1, 2]
        group(parts, "z", "set")["data"] = [1.5]
        group(group(parts, "inner", "dict"), "arr", "ndarray")["data"] = [True]
    return tmp_path / "theirs.h5"


def test_every_type_loads(path):
    """As it was when that version saved it."""
    workspace = AnalysisWorkspace.load(path)
    assert (workspace.workspace_id, workspace.name) == ("id-1", None)
    assert workspace.created_at == 7.5
    sd = workspace.get("o", "sd")
    assert [times.tolist() for times in sd.train] == [[], [1.0, 5.5], [2.25]]
    assert (sd.start_time, sd.length) == (-1.0, 20.0)
    assert [sorted(known) for known in sd.neuron_attributes] == [
        sorted(known) for known in SPIKE_ATTRIBUTES
    ]
    for found, expected in zip(sd.neuron_attributes, SPIKE_ATTRIBUTES, strict=True):
        assert all(identical(found[name], value) for name, value in expected.items())
    assert identical(sd.metadata["map"], np.array([3, 4], dtype=np.int16))
    assert sd.metadata["none"] is None
    assert sd.raw_data.dtype == np.int16
    info = workspace.get_info("o", "sd")
    assert (info["note"], info["created_at"]) == ("hello", 8.5)
    assert workspace.get("o", "rd").rate_unit is None
    assert workspace.get("o", "pcm").labels == ["a", "b"]
    assert workspace.get("o", "pcm").metadata == {"x": 1}
    assert workspace.get("o", "pcms").labels == [4, 5]
    assert workspace.get("o", "pcms").times == [(0.0, 1.0)]
    assert workspace.get("o", "rss").step_size == 0.5
    slices = workspace.get("o", "sss")
    assert slices.times == [(0.0, 20.0), (10.0, 30.0)]
    assert len(slices.spike_stack[1].neuron_attributes) == 3
    assert workspace.get("o", "arr").tolist() == [0, 1, 2, 3]
    assert identical(workspace.get("o", "words"), np.array(["a", "bc"]))
    parts = {
        "b": True,
        "f": np.float32(0.5),
        "i": 1,
        "inner": {"arr": np.array([True])},
        "n": None,
        "s": "text",
        "t": (1, 2),
        "z": {1.5},
    }
    assert identical(workspace.get("o", "d"), parts)


def test_one_item_loads_alone(path):
    """Without a look at the others."""
    with h5py.File(path, "r+") as file:
        del file["o/sd/spike_times"]
    assert AnalysisWorkspace.load_item(path, "o", "arr").tolist() == [0, 1, 2, 3]


def test_a_note_is_kept_when_the_file_is_saved_here(path, tmp_path):
    """And everything else."""
    workspace = AnalysisWorkspace.load(path)
    workspace.save(tmp_path / "ours", verify=True)
    again = AnalysisWorkspace.load(tmp_path / "ours")
    assert again.describe() == workspace.describe()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: f["o/sd"].attrs.pop("__type__"), "no known __type__"),
        (lambda f: f["o/sd"].attrs.update(__type__="os.system"), "no known __type__"),
        (lambda f: f["o/sd"].attrs.update(length_ms=1.0), "window"),
        (lambda f: f["o/sd"].attrs.update(__metadata__="{"), "/o/sd holds no value"),
        (lambda f: f["o/sd"].pop("spike_times"), "spike_times"),
        (
            lambda f: f["o/sd/spike_times_index"].write_direct(np.array([2, 1, 3])),
            "not",
        ),
        (lambda f: f["o/sd/neuron_attributes"].create_dataset("q", data=[1]), "'q'"),
        (lambda f: f["o/sss/spike_stack"].pop("0"), "'1'|'0'"),
        (lambda f: f["o/rd"].pop("times"), "times"),
        (lambda f: f["o/rss"].attrs.pop("step_size"), "/o/rss has no 'step_size'"),
        (lambda f: f["o/d/t"].pop("data"), "data"),
        (lambda f: f["o/d/i"].attrs.pop("__scalar_value__"), "scalar"),
        (lambda f: f["o"].create_dataset("loose", data=[1]), "no known __type__"),
        (lambda f: f.attrs.pop("__workspace_id__"), "not the file of a workspace"),
    ],
)
def test_broken_files_are_format_errors(path, break_it, message):
    """Each names the file or what is wrong."""
    with h5py.File(path, "r+") as file:
        break_it(file)
    with pytest.raises(FormatError, match=message):
        AnalysisWorkspace.load(path)


@pytest.mark.parametrize("dtype", [[("a", "i4"), ("b", "f8")], "V2"], ids=str)
def test_structured_arrays_load(dtype, tmp_path):
    """And so do all the other items of their file."""
    array = np.zeros(2, dtype)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs.update({"__workspace_id__": "id", "__created_at__": 1.0})
        group(group(file, "n"), "k", "ndarray", __created_at__=2.0)["data"] = array
    assert identical(AnalysisWorkspace.load(tmp_path / "w.h5").get("n", "k"), array)


def test_a_slash_in_a_name_of_the_published_version(tmp_path):
    """It made groups in groups there, which that version itself cannot load."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs.update({"__workspace_id__": "id", "__created_at__": 1.0})
        for name in ("day/1", "day/1/deep", "plain"):
            made = file.require_group(name)
            group(made, "k", "ndarray", __created_at__=2.0)["data"] = np.arange(3)
    found = AnalysisWorkspace.load(tmp_path / "w")
    assert found.list_keys() == {"day/1": ["k"], "day/1/deep": ["k"], "plain": ["k"]}
    assert identical(found.get("day/1/deep", "k"), np.arange(3))
    assert identical(
        AnalysisWorkspace.load_item(tmp_path / "w", "day/1", "k"), np.arange(3)
    )
