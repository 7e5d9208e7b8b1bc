"""Pickles: what goes in comes out, and nothing else gets in."""

import collections
import copyreg
import datetime
import functools
import io
import operator
import os
import pathlib
import pickle
import pickletools
import struct
import types
import warnings
import zoneinfo

import numpy as np
import pytest
from contract import FileContract
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording, simulated, with_raw
from siblings import ANY_OBJECT, assert_same_object

from spikelab import SpikeData, load_from_pickle, load_spikedata_from_pickle
from spikelab.comparison import same
from spikelab.data_loaders.data_exporters import export_to_pickle
from spikelab.errors import (
    FormatError,
    LossError,
    UnsafePickleError,
    VerificationError,
)
from spikelab.formats import PickleWriter
from spikelab.formats.pickle import machine as pickle_machine
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


OBJECTS = {
    "SpikeData": simulated,
    "SpikeData with raw data": with_raw,
    "RateData": lambda: RateData(
        np.arange(6.0).reshape(2, 3), [0.0, 1.0, 2.0], [{"a": 1}, {"a": np.nan}], "Hz"
    ),
    "PairwiseCompMatrix": lambda: PairwiseCompMatrix(
        np.array([[1, 2], [2, 1]], dtype=np.int16), ["a", "b"], {"lag": 2.5}
    ),
    "PairwiseCompMatrixStack": lambda: PairwiseCompMatrixStack(
        np.arange(8.0).reshape(2, 2, 2), None, [(0.0, 1.0), (1.0, 2.0)], {}
    ),
    "RateSliceStack": lambda: RateSliceStack(
        event_matrix=np.arange(12.0).reshape(2, 3, 2),
        times_start_to_end=[(0.0, 3.0), (4.0, 7.0)],
        neuron_attributes=[{"a": 1}, {"a": 2}],
    ),
    "SpikeSliceStack": lambda: SpikeSliceStack(
        simulated(), time_peaks=[500.0, 900.0], time_bounds=(20.0, 30.0)
    ),
}

METADATA = {
    "none": None,
    "flags": (True, False),
    "numbers": [1, -(10**30), 2.5, float("inf"), 1 + 2j],
    "text": "µV",
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "bytearray": bytearray(b"ab"),
    "set": {1, 2},
    "frozenset": frozenset({"a"}),
    "slice": slice(1, None, 2),
    "range": range(3),
    "ordered": collections.OrderedDict(b=1, a=2),
    "default": collections.defaultdict(list, a=[1]),
    "datetime": datetime.datetime(2024, 2, 29, 12, 30, 15, 999, datetime.UTC),
    "date": datetime.date(2024, 2, 29),
    "time": datetime.time(23, 59, 59, 7),
    "timedelta": datetime.timedelta(days=-1, seconds=5),
    "path": pathlib.Path("a") / "b",
    "scalar": np.float32(1.5),
    "truth": np.bool_(True),
    "moment": np.datetime64("2024-02-29T12:00:00", "ms"),
    "integers": np.arange(6, dtype=">i2").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "transposed": np.arange(24.0).reshape(2, 3, 4).transpose(1, 2, 0),
    "strided": np.arange(10)[::3],
    "texts": np.array(["a", "bcd"]),
    "truths": np.array([True, False]),
    "moments": np.array(["2024-01-01", "NaT"], dtype="M8[D]"),
    "durations": np.array([1, 2], dtype="m8[25us]"),
    "objects": np.array([None, "a", (1, 2)], dtype=object),
    "table": np.array([(1, 2.5, "x")], dtype=[("a", "<i4"), ("b", ">f8"), ("c", "U2")]),
    "nested": np.zeros(2, dtype=[("a", [("b", "i1", (2, 2))])]),
    "empty": np.zeros((0, 3)),
    "no text": np.array([""], dtype="U0"),
    "dtype": np.dtype("<u2"),
}


class TestContract(FileContract):
    """What every format owes."""

    method, target, keeps_all = "to_pickle", "recording.pkl", True
    wrong_options = (
        {"protocol": -1},
        {"protocol": pickle.HIGHEST_PROTOCOL + 1},
        {"protocol": 2.0},
        {"protocol": True},
        {"s3_upload": True},
        {"verify": "yes"},
        {"strict": 1},
        {"storage_options": "minio"},
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", OBJECTS)
def test_each_class_comes_back_whole(name, protocol, tmp_path):
    """All attributes, their dtypes included, with every protocol, verified."""
    obj = OBJECTS[name]()
    path = str(tmp_path / "deep" / "object.pkl")
    assert obj.to_pickle(path, protocol=protocol, verify=True, strict=True) == path
    assert same(load_from_pickle(path), obj)
    assert same(load_from_pickle(path, trusted=True), obj)
    assert same(pickle.loads(pathlib.Path(path).read_bytes()), obj)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", METADATA)
def test_plain_values_come_back(key, protocol, tmp_path):
    """Python's own values and numpy's are data, wherever they lie."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={key: METADATA[key]})
    obj.to_pickle(tmp_path / "object.pkl", protocol=protocol, strict=True, verify=True)
    found = load_from_pickle(tmp_path / "object.pkl").metadata[key]
    assert same(found, METADATA[key])


def containers(inner):
    """Containers of what `inner` gives."""
    return (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner, inner)
        | st.tuples(inner)
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text()
    | st.binary(),
    containers,
    max_leaves=20,
)


@given(obj=ANY_OBJECT, protocol=st.sampled_from(PROTOCOLS))
def test_any_object_comes_back_whole(obj, protocol, tmp_path):
    """Of whatever class, with whatever attributes and metadata."""
    obj.to_pickle(tmp_path / "o.pkl", protocol=protocol, verify=True)
    assert_same_object(load_from_pickle(tmp_path / "o.pkl"), obj)


@given(value=VALUES, protocol=st.sampled_from(PROTOCOLS))
def test_reads_what_pickle_reads(value, protocol):
    """The restricted reader gives what Python's own does, for plain values."""
    stream = pickle.dumps(value, protocol)
    found = pickle_machine.load(io.BytesIO(stream), "value")
    assert same(found, pickle.loads(stream))


def test_the_highest_protocol_is_the_default(tmp_path):
    """None means the highest that this Python knows."""
    simulated().to_pickle(tmp_path / "a.pkl")
    simulated().to_pickle(tmp_path / "b.pkl", protocol=pickle.HIGHEST_PROTOCOL)
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()
    assert (tmp_path / "a.pkl").read_bytes()[1] == pickle.HIGHEST_PROTOCOL


def test_sharing_survives(tmp_path):
    """One list under two keys is one list again; a list may hold itself."""
    shared = [1, 2]
    shared.append(shared)
    obj = PairwiseCompMatrix(np.eye(1), metadata={"a": shared, "b": shared})
    obj.to_pickle(tmp_path / "object.pkl")
    found = load_from_pickle(tmp_path / "object.pkl").metadata
    assert found["a"] is found["b"] is found["a"][2]


def test_an_object_inside_another_comes_back(tmp_path):
    """Metadata may hold a data object."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"of": simulated()})
    obj.to_pickle(tmp_path / "object.pkl", strict=True, verify=True)
    assert_same_recording(
        load_from_pickle(tmp_path / "object.pkl").metadata["of"], simulated()
    )


@pytest.mark.parametrize("order", ["C", "strided"])
def test_a_memory_map_is_stored_as_an_array(order, tmp_path):
    """The values go in, not the map, and not through memory."""
    resource = pytest.importorskip("resource")
    raw = np.lib.format.open_memmap(
        tmp_path / "raw.npy", mode="w+", dtype=np.int16, shape=(4, 2**24)
    )
    raw[:, ::1000] = 7
    raw = raw if order == "C" else raw[:, ::2]
    sd = SpikeData([[1.0]], length=2.0, raw_data=raw, raw_time=np.zeros(raw.shape[1]))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pathlib.Path("/proc/self/status").open() as status:
        used = next(
            int(line.split()[1]) for line in status if line.startswith("VmData")
        )
    resource.setrlimit(resource.RLIMIT_DATA, (used * 1024 + 2**26, before[1]))
    try:
        sd.to_pickle(tmp_path / "raw.pkl")
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
    found = load_from_pickle(tmp_path / "raw.pkl").raw_data
    assert type(found) is np.ndarray
    assert np.array_equal(found, raw)


def test_only_spikedata_where_only_spikedata_is_asked_for(tmp_path):
    """The two loaders differ in what they take."""
    OBJECTS["RateData"]().to_pickle(tmp_path / "rates.pkl")
    with pytest.raises(ValueError, match=r"must hold a SpikeData .* got a RateData"):
        load_spikedata_from_pickle(tmp_path / "rates.pkl")
    simulated().to_pickle(tmp_path / "spikes.pkl")
    assert_same_recording(
        load_spikedata_from_pickle(tmp_path / "spikes.pkl", allow_remote=False),
        simulated(),
    )


def test_s3_upload_needs_an_s3_url(tmp_path):
    """The parameter of the specification, with a path, is a mistake."""
    with pytest.raises(ValueError, match="S3 URL"):
        export_to_pickle(simulated(), tmp_path / "x.pkl", s3_upload=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unsupported_type_is_a_type_error(tmp_path):
    """As the specification words it."""
    with pytest.raises(TypeError, match="Expected a spikelab data object"):
        export_to_pickle([1, 2], tmp_path / "x.pkl")


def test_what_cannot_be_pickled_is_a_type_error(tmp_path):
    """A function in the metadata is named, and the old file stays."""
    (tmp_path / "x.pkl").write_bytes(b"old")
    obj = PairwiseCompMatrix(np.eye(1), metadata={"f": lambda: None})
    with (
        pytest.warns(UserWarning, match="is a function"),
        pytest.raises(TypeError, match="cannot be pickled"),
    ):
        obj.to_pickle(tmp_path / "x.pkl")
    assert (tmp_path / "x.pkl").read_bytes() == b"old"


class Foreign:
    """A class that is not spikelab's."""


class MySpikeData(SpikeData):
    """A subclass of one of its classes."""


def test_losses_name_what_needs_trust(tmp_path):
    """Values of other classes, and attributes added to the object."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"deep": [Foreign()]})
    obj.note = "mine"
    writer = PickleWriter(strict=True)
    assert writer.losses(obj) == [
        "the object has an attribute note, kept with trusted=True only",
        "metadata['deep'][0] is a Foreign, loaded with trusted=True only",
    ]
    with pytest.raises(LossError, match="note"):
        writer.write(obj, tmp_path / "x.pkl")
    assert PickleWriter().losses(MySpikeData([])) == [
        "the object is a MySpikeData, loaded with trusted=True only"
    ]


def deep_objects():
    """An array of objects in another one, which the loader refuses."""
    inner, outer = np.empty(2, object), np.empty(1, object)
    inner[:] = [np.arange(2), np.arange(3)]
    outer[0] = inner
    return outer


@pytest.mark.parametrize(
    "value",
    [
        deep_objects(),
        np.array([(1, None)], dtype=[("x", "i4"), ("o", "O")]),
        datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        np.ma.array([1, 2], mask=[0, 1]),
        {tuple(range(1500)): 1},
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_name_what_the_loader_refuses(value, tmp_path):
    """And without `strict`, a warning does."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"v": value})
    with pytest.raises(LossError, match=r"metadata\['v'\] is .*trusted=True only"):
        obj.to_pickle(tmp_path / "x.pkl", strict=True)
    with pytest.warns(UserWarning, match=r"metadata\['v'\] is"):
        obj.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(FormatError):
        load_from_pickle(tmp_path / "x.pkl")
    assert "v" in load_from_pickle(tmp_path / "x.pkl", trusted=True).metadata


def test_the_titles_of_fields_come_back(tmp_path):
    """As names and places of fields do."""
    array = np.array([(1, 2.5)], dtype=[(("how long", "a"), "i4"), ("b", "f8")])
    obj = PairwiseCompMatrix(np.eye(1), metadata={"v": array})
    obj.to_pickle(tmp_path / "x.pkl", verify=True, strict=True)
    assert same(load_from_pickle(tmp_path / "x.pkl").metadata["v"], array)


def test_what_nests_too_deep_is_a_type_error(tmp_path):
    """Instead of a bare RecursionError; what holds itself cannot be verified."""
    deep, ring = [], []
    for _ in range(100_000):
        deep = [deep]
    ring.append(ring)
    with pytest.raises(TypeError, match="must not nest so deep"):
        PairwiseCompMatrix(np.eye(1), metadata={"v": deep}).to_pickle(tmp_path / "x")
    with pytest.raises(VerificationError, match="or holds itself"):
        PairwiseCompMatrix(np.eye(1), metadata={"v": ring}).to_pickle(
            tmp_path / "x", verify=True
        )
    assert list(tmp_path.iterdir()) == []


def test_trust_lifts_the_restriction(tmp_path):
    """A value of another class is refused by name, and loaded on request."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"mine": Foreign()})
    with pytest.warns(UserWarning, match=r"metadata.* is a Foreign.*trusted=True only"):
        obj.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(UnsafePickleError, match=r"test_pickle\.Foreign.*trusted=True"):
        load_from_pickle(tmp_path / "x.pkl")
    with (
        pytest.warns(UserWarning, match="trusted=True only"),
        pytest.raises(VerificationError, match=r"names .*test_pickle\.Foreign"),
    ):
        obj.to_pickle(tmp_path / "x.pkl", verify=True)
    loaded = load_from_pickle(tmp_path / "x.pkl", trusted=True)
    assert type(loaded.metadata["mine"]) is Foreign


def test_added_attributes_are_left_out_with_a_warning(tmp_path):
    """They are no part of the class; trust keeps them."""
    obj = OBJECTS["PairwiseCompMatrix"]()
    obj.note = "mine"
    with pytest.warns(UserWarning, match="attribute note, kept with trusted=True only"):
        obj.to_pickle(tmp_path / "x.pkl")
    with pytest.warns(UserWarning, match="left out .* note"):
        loaded = load_from_pickle(tmp_path / "x.pkl")
    assert not hasattr(loaded, "note")
    assert load_from_pickle(tmp_path / "x.pkl", trusted=True).note == "mine"


def test_verification_finds_a_difference(tmp_path, monkeypatch):
    """If what was staged is not the object, the old file stays."""
    simulated(seed=1).to_pickle(tmp_path / "x.pkl")
    before = (tmp_path / "x.pkl").read_bytes()
    other = simulated(seed=2)
    monkeypatch.setattr(pickle_machine, "load", lambda file, source: other)
    with pytest.raises(VerificationError, match="train differs"):
        simulated(seed=3).to_pickle(tmp_path / "x.pkl", verify=True)
    assert (tmp_path / "x.pkl").read_bytes() == before


def test_integer_trains_of_other_versions_are_read(tmp_path):
    """The published package keeps integer times and lengths as they are."""
    sd = SpikeData([[1.0, 2.0], [3.0]], length=3.0)
    sd.train = [np.array([1, 2]), np.array([3])]
    sd.length = np.int64(3)
    sd.start_time = 0
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(sd))
    assert_same_recording(
        load_from_pickle(tmp_path / "x.pkl"), SpikeData([[1, 2], [3]], length=3)
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_both_names_of_numpys_core_are_read(protocol, tmp_path):
    """Files of numpy 1 call its inner modules differently."""
    simulated().to_pickle(tmp_path / "x.pkl", protocol=protocol)
    stream = (tmp_path / "x.pkl").read_bytes()
    if protocol < 4:
        stream = stream.replace(b"numpy._core", b"numpy.core")
    else:
        old = (
            b"\x8c\x13numpy._core.numeric"
            if protocol > 4
            else b"\x8c\x16numpy._core.multiarray"
        )
        assert old in stream or np.__version__ < "2"
        stream = stream[:2] + stream[11:].replace(
            old, bytes([0x8C, old[1] - 1]) + old[2:].replace(b"_core", b"core")
        )
    (tmp_path / "x.pkl").write_bytes(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_recording(load_from_pickle(tmp_path / "x.pkl"), simulated())


# The corpus of hostile pickles. What they try to run would leave a file.


class Reduced:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments, state) if state else (function, arguments)

    def __reduce__(self):
        """Name the function."""
        return self.call


def text(value):
    """A short string as an operation of a pickle."""
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def named(module, name):
    """Name something, and put it on the stack."""
    return text(module) + text(name) + b"\x93"


SPIKEDATA = named("spikelab.spikedata.spikedata", "SpikeData")
DTYPE = named("numpy", "dtype") + text("f8") + b"\x89\x88\x87R"
PROTO = b"\x80\x04"
RECONSTRUCT = (
    named("numpy._core.multiarray", "_reconstruct")
    + named("numpy", "ndarray")
    + b"K\x00\x85C\x01b\x87R"
)


def in_metadata(value, protocol=4):
    """A pickle of a data object that holds `value`."""
    return pickle.dumps(PairwiseCompMatrix(np.eye(1), metadata={"x": value}), protocol)


def hostile_pickles(touched):
    """Pickles that would run code, by what they try, with what must be named."""
    command = f"touch {touched}"
    run = (os.system, command)
    calls = {
        "os.system": (Reduced(*run), "system"),
        "builtins.eval": (Reduced(eval, f"open({str(touched)!r}, 'w')"), "eval"),
        "builtins.exec": (Reduced(exec, f"open({str(touched)!r}, 'w')"), "exec"),
        "builtins.open": (Reduced(open, str(touched), "w"), "open"),
        "builtins.getattr": (Reduced(getattr, "os", "system"), "getattr"),
        "builtins.__import__": (Reduced(__import__, "os"), "__import__"),
        "builtins.print": (Reduced(print, "x"), "print"),
        "numpy.load": (Reduced(np.load, str(touched), None, True), r"numpy\.load"),
        "numpy.memmap": (Reduced(np.fromfile, str(touched)), "fromfile"),
        "numpy runstring": (
            Reduced(np.lib.format.open_memmap, str(touched)),
            "open_memmap",
        ),
        "copyreg._reconstructor": (
            Reduced(copyreg._reconstructor, Foreign, object, None),
            "Foreign",
        ),
        "functools.partial": (
            Reduced(functools.partial, *run),
            "partial",
        ),
        "operator.attrgetter": (
            Reduced(operator.attrgetter("system"), "os"),
            "attrgetter",
        ),
        "types.FunctionType": (
            Reduced(types.SimpleNamespace),
            "SimpleNamespace",
        ),
        "pickle.loads": (Reduced(pickle.loads, b"cos\nsystem\n."), "loads"),
        "nested reduce": (
            Reduced(dict, [(1, Reduced(*run))]),
            r"builtins\.dict|system",
        ),
        "reduce in a list": ([[Reduced(*run)]], "system"),
        "reduce as a key": ({(Reduced(*run),): 1}, "system"),
        "reduce in an object array": (
            np.array([Reduced(*run)], dtype=object),
            "system",
        ),
        "reduce as a state": (Reduced(Foreign, state={"x": Reduced(*run)}), "Foreign"),
        "subclass of a data class": (MySpikeData([]), "MySpikeData"),
        "another class": (Foreign(), "Foreign"),
        "a function of spikelab": (
            Reduced(export_to_pickle, 1, str(touched)),
            "export_to_pickle",
        ),
        "masked array": (np.ma.masked_array([1], [True]), "numpy.ma"),
    }
    for name, (value, pattern) in calls.items():
        for protocol in (0, 2, 4, 5):
            stream = in_metadata(value, protocol)
            if protocol == 0:
                pattern = f"{pattern}|eval|reconstruct"
            yield pytest.param(stream, pattern, id=f"{name}, protocol {protocol}")
    raw = {
        "GLOBAL": (b"cos\nsystem\n(V" + command.encode() + b"\ntR.", "os.system"),
        "INST": (b"(V" + command.encode() + b"\nios\nsystem\n.", "INST"),
        "OBJ": (b"(cos\nsystem\nV" + command.encode() + b"\no.", "os.system"),
        "NEWOBJ of a name": (
            PROTO + named("os", "system") + text(command) + b"\x85\x81.",
            "os.system",
        ),
        "NEWOBJ_EX": (PROTO + named("subprocess", "Popen") + b")}\x92.", "Popen"),
        "dotted name": (
            PROTO + named("numpy", "dtype.__class__.__subclasses__") + b".",
            "subclasses",
        ),
        "dotted module": (
            PROTO
            + named("spikelab.spikedata.spikedata", "warnings.sys.modules")
            + b".",
            "modules",
        ),
        "attribute of a data class": (
            PROTO
            + named("spikelab.spikedata.spikedata", "SpikeData.__init__.__globals__")
            + b".",
            "globals",
        ),
        "module of a data class": (
            PROTO + named("spikelab.spikedata.spikedata", "np") + b".",
            r"spikedata\.np",
        ),
        "name by a bad type": (PROTO + b"K\x01K\x02\x93.", "name"),
        "EXT1": (PROTO + b"\x82\xf0.", "EXT1|extension"),
        "EXT2": (PROTO + b"\x83\xf0\xf0.", "EXT2|extension"),
        "EXT4": (PROTO + b"\x84\xf0\xf0\x00\x00.", "EXT4|extension"),
        "persistent id": (b"Pos.system\n.", "PERSID"),
        "binary persistent id": (PROTO + text("x") + b"Q.", "BINPERSID"),
        "out-of-band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "call of a string": (
            PROTO + text("os.system") + text(command) + b"\x85R.",
            "calls",
        ),
        "call of a data class": (PROTO + SPIKEDATA + b")R.", "calls"),
        "call of an array": (
            PROTO + named("numpy", "ndarray") + b"J\xff\xff\xff\x7f\x85R.",
            "calls",
        ),
        "state of a class": (
            PROTO + SPIKEDATA + b"}" + text("raster") + b"K\x01sb.",
            "state",
        ),
        "slots of a class": (
            PROTO + SPIKEDATA + b"N}" + text("raster") + b"K\x01s\x86b.",
            "state",
        ),
        "state of a function": (
            PROTO + named("_codecs", "encode") + b"}" + text("__code__") + b"Nsb.",
            "state",
        ),
        "state of a list": (PROTO + b"]}b.", "state"),
        "state of a dtype twice": (
            PROTO
            + DTYPE
            + b"K\x03"
            + text("<")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
            r"pickle",
        ),
        "name as a value": (PROTO + b"]" + SPIKEDATA + b"a.", "value"),
        "name in a tuple as a value": (PROTO + b"]" + SPIKEDATA + b"\x85a.", "value"),
        "name as an attribute": (
            PROTO + SPIKEDATA + b")\x81}" + text("train") + SPIKEDATA + b"sb.",
            "value",
        ),
        "name as the object": (PROTO + SPIKEDATA + b".", "value"),
        "object without state": (PROTO + SPIKEDATA + b")\x81.", "content"),
        "object with arguments": (PROTO + SPIKEDATA + b"]\x85\x81.", "arguments"),
        "state that is no dictionary": (
            PROTO + SPIKEDATA + b")\x81K\x01b.",
            "dictionary",
        ),
        "state with slots": (
            PROTO + SPIKEDATA + b")\x81N}" + text("__class__") + b"Ns\x86b.",
            "dictionary",
        ),
        "state that hides": (
            PROTO + SPIKEDATA + b")\x81}" + text("__class__") + b"Nsb.",
            "SpikeData",
        ),
        "another codec": (
            PROTO + named("_codecs", "encode") + text("x") + text("zlib") + b"\x86R.",
            "encoded",
        ),
        "datetime out of range": (
            PROTO
            + named("datetime", "datetime")
            + b"C\x0a\x07\xe8\x01\xff\xff\xff\xff\x00\x00\x00\x85R.",
            "day|hour|range",
        ),
    }
    for name, (stream, pattern) in raw.items():
        yield pytest.param(stream, pattern, id=name)


TOUCHED = pathlib.Path("/tmp") / f"spikelab-hostile-{os.getpid()}"


@pytest.mark.filterwarnings("ignore:left out:UserWarning")
@pytest.mark.parametrize(("stream", "pattern"), list(hostile_pickles(TOUCHED)))
def test_nobody_is_let_in(stream, pattern, tmp_path):
    """A hostile pickle is refused by one error that names what it tried."""
    (tmp_path / "x.pkl").write_bytes(stream)
    for loader in (load_from_pickle, load_spikedata_from_pickle):
        with pytest.raises(FormatError, match=pattern):
            loader(tmp_path / "x.pkl")
    assert not TOUCHED.exists()


def test_the_extension_registry_is_no_way_in(tmp_path):
    """A code that another package registered, and that Python has cached, is refused."""
    copyreg.add_extension("os", "system", 0xF0)
    try:
        command = f"touch {TOUCHED}"
        stream = PROTO + b"\x82\xf0" + text(command) + b"\x85R."
        pickle.loads(PROTO + b"\x82\xf0.")
        (tmp_path / "x.pkl").write_bytes(stream)
        with pytest.raises(UnsafePickleError, match="EXT1"):
            load_from_pickle(tmp_path / "x.pkl")
    finally:
        copyreg.remove_extension("os", "system", 0xF0)
        copyreg.clear_extension_cache()
    assert not TOUCHED.exists()


def huge_pickles():
    """Pickles that ask for more memory or time than they are worth."""
    array = RECONSTRUCT + b"(K\x01%s" + DTYPE + b"\x89%stb"
    size = struct.pack("<Q", 2**62)
    nested = b"".join([b"(" * 100_000, b"K\x01", b"\x85" * 100_000])
    deep_key = b"}K\x01" + b"\x85" * 100_000 + b"K\x01s"
    # Each number is a multiple of 2**61 - 1, of which Python's hash is the rest.
    numbers = [(i * (2**61 - 1)).to_bytes(12, "little") for i in range(1, 100_000)]
    alike = b"".join(b"\x8a\x0c" + number + b"K\x01" for number in numbers)
    # A unit of time that would be read as further dtypes.
    unit = b"s],(01)f8,m8[s"
    odd_dtype = named("numpy", "dtype") + text("M8") + b"\x89\x88\x87R(K\x04"
    odd_dtype += text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00}(C"
    odd_dtype += bytes([len(unit)]) + unit + b"K\x01K\x01K\x01t\x86tb"
    wide = b"K\x01\x85\x94" + b"".join(b"0h%ch%c\x86\x94" % (i, i) for i in range(60))
    return {
        "BINBYTES8": b"\x8e" + size + b"abc",
        "BINUNICODE8": b"\x8d" + size + b"abc",
        "BYTEARRAY8": b"\x96" + size + b"abc",
        "defaultdicts": (named("collections", "defaultdict") + b")R") * 1000,
        "copies of a list": b"]("
        + b"K\x01" * 100_000
        + b"e\x94"
        + (named("builtins", "list") + b"h\x00\x85R0") * 2000,
        "copies of bytes": b"B\x00\x00\x10\x00"
        + b"x" * 2**20
        + b"\x94"
        + (named("builtins", "bytearray") + b"h\x00\x85R0") * 2000,
        "empty sets": b"\x8f" * 3_000_000,
        "a call of a list that holds itself twice": b"]\x94"
        + b"".join(b"](h%ch%ce\x94" % (i, i) for i in range(40))
        + b")R",
        "BINBYTES": b"B\xff\xff\xff\xffabc",
        "LONG4": b"\x8b\xff\xff\xff\x7fabc",
        "LONG4 negative": b"\x8b\xff\xff\xff\xffabc",
        "LONG": b"L" + b"9" * 1_000_000 + b"L\n",
        "FRAME": b"\x95" + size + b"N",
        "LONG_BINPUT": b"Nr\xff\xff\xff\xff",
        "PUT": b"Np" + b"9" * 18 + b"\n",
        "BINGET of nothing": b"h\x05",
        "bytearray of a number": named("builtins", "bytearray")
        + b"J\xff\xff\xff\x7f\x85R",
        "bytes of a number": named("builtins", "bytes") + b"J\xff\xff\xff\x7f\x85R",
        "range as a list": named("builtins", "list")
        + named("builtins", "range")
        + b"J\xff\xff\xff\x7f\x85R\x85R",
        "shape beyond its bytes": array
        % (b"\x8a\x05\x00\x00\x00\x00\x01\x85", b"C\x00"),
        "shape that overflows": array
        % (b"\x8a\x09" + b"\x00" * 8 + b"\x01\x85", b"C\x00"),
        "negative shape": array % (b"J\xff\xff\xff\xff\x85", b"C\x08" + b"\x00" * 8),
        "long empty shape": array
        % (b"K\x00\x8a\x07" + b"\x00" * 6 + b"\x01\x86", b"C\x00"),
        "many dimensions": array
        % (b"(" + b"K\x01" * 70 + b"t", b"C\x08" + b"\x00" * 8),
        "unknown type": RECONSTRUCT + b"(K\x01K\x01\x85" + text("f8") + b"\x89C\x00tb",
        "reconstruct another size": named("numpy._core.multiarray", "_reconstruct")
        + SPIKEDATA
        + b"K\x00\x85C\x01b\x87R",
        "dtype of a comma list": named("numpy", "dtype")
        + text("f8,f8")
        + b"\x89\x88\x87R",
        "dtype of a list": named("numpy", "dtype") + b"]\x89\x88\x87R",
        "deep tuples": nested,
        "deep key": deep_key,
        "key that grows by sharing": wide + b"}" + b"h\x3b" + b"K\x01s",
        "key of a huge number": b"}\x8b\x00\x00\x01\x00" + b"\x7f" * 2**16 + b"K\x01s",
        "keys of one hash": b"}(" + alike + b"u",
        "sets in sets": b"(" * 1_500_000 + b"\x91" * 1_500_000,
        "dtype in a unit of time": odd_dtype,
        "unhashable key": b"}]K\x01s",
        "fills a tuple": b")K\x01a",
        "stack underflow": b"00000",
        "mark underflow": b"t",
        "half a pair": b"}(K\x01u",
        "nothing": b"",
        "only a number": b"K\x01.",
        "unknown operation": b"\xff",
    }


@pytest.mark.parametrize("name", huge_pickles())
def test_a_small_file_cannot_ask_for_much(name, tmp_path):
    """Huge lengths, shapes and nestings end in an error, at once and in little memory."""
    resource = pytest.importorskip("resource")
    (tmp_path / "x.pkl").write_bytes(PROTO + huge_pickles()[name] + b".")
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pathlib.Path("/proc/self/statm").open() as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))
    try:
        with pytest.raises(FormatError, match=r"x\.pkl"):
            load_from_pickle(tmp_path / "x.pkl")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def doubled(depth):
    """A list that holds a list twice, which holds a list twice, and so on."""
    inner = []
    for _ in range(depth):
        inner = [inner, inner]
    return inner


WRONG_STATES = {
    "train as an array": {"train": np.zeros((2, 0))},
    "times outside": {"train": [np.array([1e9])]},
    "NaN": {"train": [np.array([np.nan])]},
    "text as times": {"train": [np.array(["a"])]},
    "length text": {"length": "long"},
    "length beyond floats": {"length": 10**400},
    "attributes of other units": {"neuron_attributes": [{}]},
    "raw data without times": {"raw_data": np.zeros((1, 5))},
    "metadata as a number": {"metadata": 3},
    "lists as trains": {"train": [[1.0], [2.0]]},
    "lists as raw data": {"raw_data": [[1.0]], "raw_time": [1.0]},
    "lists that hold one another twice": {"train": doubled(40)},
}


@pytest.mark.parametrize("name", WRONG_STATES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_state_that_no_constructor_makes_is_refused(name, protocol, tmp_path):
    """What comes out has passed the checks of its class."""
    sd = simulated()
    vars(sd).update(WRONG_STATES[name])
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(sd, protocol))
    with pytest.raises(FormatError, match=r"x\.pkl"):
        load_from_pickle(tmp_path / "x.pkl")


def test_lists_that_change_after_the_check_change_nothing(tmp_path):
    """A pickle may not fill a list of an object that it has finished."""
    obj = PairwiseCompMatrix(np.eye(1), labels=["a"])
    stream = pickle.dumps([obj, obj.labels], 2)
    ops = list(pickletools.genops(stream))
    memo = next(
        i for i, (op, _, _) in enumerate(ops) if op.name == "EMPTY_LIST" and i > 3
    )
    slot = ops[memo + 1][1]
    tampered = stream[:-1] + b"h" + bytes([slot]) + b"X\x01\x00\x00\x00ba0."
    found = pickle_machine.load(io.BytesIO(tampered), "x")
    assert found[0].labels == ["a"]


@pytest.mark.parametrize(
    "stream",
    [b"", b"not a pickle", b"\x80", b"\x80\x05", b"\x89HDF\r\n\x1a\n", b"\x00" * 100],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_what_is_no_pickle_is_a_format_error(stream, trusted, tmp_path):
    """With trust and without."""
    (tmp_path / "x.pkl").write_bytes(stream)
    with pytest.raises(FormatError, match=r"x\.pkl"):
        load_from_pickle(tmp_path / "x.pkl", trusted=trusted)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_pickle_of_something_else_is_a_format_error(trusted, tmp_path):
    """A dictionary is not a data object, even if it can be trusted."""
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"train": []}))
    with pytest.raises(FormatError, match="does not hold a data object"):
        load_from_pickle(tmp_path / "x.pkl", trusted=trusted)


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    """As everywhere."""
    with pytest.raises(FileNotFoundError, match=r"no such file.*x\.pkl"):
        load_from_pickle(tmp_path / "x.pkl")
