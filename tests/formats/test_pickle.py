"""Pickles: what goes in comes out, and nothing else gets in."""

import collections
import copyreg
import datetime
import functools
import operator
import os
import pathlib
import pickle
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
from spikelab.data_loaders.data_exporters import export_to_pickle
from spikelab.errors import (
    FormatError,
    LossError,
    UnsafePickleError,
    VerificationError,
)
from spikelab.formats import PickleWriter
from spikelab.spikedata.differences import equal
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

MIXED = np.array([[1, "A", None], [2.5, "B", (1,)], [3, b"C", {}]], dtype=object)
"""A table of columns of several types, as pandas gives it."""

METADATA = {
    "none": None,
    "flags": (True, False),
    "numbers": [1, -(10**30), 2.5, float("inf"), 1 + 2j],
    "text": "µV",
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "bytearray": bytearray(b"ab"),
    "bytearrays beside arrays": [np.arange(3), (bytearray(b"ab"), 1, 2, 3)],
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
    "objects in columns": MIXED,
    "transposed objects": MIXED.T,
    "objects in Fortran order": np.asfortranarray(np.stack([MIXED, MIXED.T])),
    "every second object": MIXED[:, ::2],
    "no objects": MIXED[:0].T,
    "arrays in an array": np.array([None, np.arange(3), MIXED], dtype=object),
    "objects in fields": np.array([(1, None)], dtype=[("x", "i4"), ("o", "O")]),
    "turned": np.arange(6, dtype=">f8").reshape(2, 3).T[::-1],
    "turned texts": np.array(["a", "bcd"]).astype(">U3"),
    "turned moments": np.array(["2024-01-01", "NaT"]).astype(">M8[3h]"),
    "aligned": np.zeros(2, dtype=np.dtype("i1,f8", align=True)),
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
        {"protocol": -2},
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
    assert equal(load_from_pickle(path), obj)
    assert equal(load_from_pickle(path, trusted=True), obj)
    assert equal(pickle.loads(pathlib.Path(path).read_bytes()), obj)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", METADATA)
def test_plain_values_come_back(key, protocol, tmp_path):
    """Python's own values and numpy's are data, wherever they lie."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={key: METADATA[key]})
    obj.to_pickle(tmp_path / "object.pkl", protocol=protocol, strict=True, verify=True)
    found = load_from_pickle(tmp_path / "object.pkl").metadata[key]
    assert equal(found, METADATA[key])


@given(obj=ANY_OBJECT, protocol=st.sampled_from(PROTOCOLS))
def test_any_object_comes_back_whole(obj, protocol, tmp_path):
    """Of whatever class, with whatever attributes and metadata."""
    obj.to_pickle(tmp_path / "o.pkl", protocol=protocol, verify=True)
    assert_same_object(load_from_pickle(tmp_path / "o.pkl"), obj)


def test_the_highest_protocol_is_the_default(tmp_path):
    """None means the highest that this Python knows."""
    simulated().to_pickle(tmp_path / "a.pkl")
    highest = np.int64(pickle.HIGHEST_PROTOCOL)
    simulated().to_pickle(tmp_path / "b.pkl", protocol=highest)
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
    """Values of other classes; attributes added to the object stay."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"deep": [Foreign()]})
    obj.note = "mine"
    writer = PickleWriter(strict=True)
    assert writer.losses(obj) == [
        "metadata['deep'][0] is a Foreign, loaded with trusted=True only",
    ]
    with pytest.raises(LossError, match="Foreign"):
        writer.write(obj, tmp_path / "x.pkl")
    assert PickleWriter().losses(MySpikeData([])) == [
        "the object is a MySpikeData, loaded with trusted=True only"
    ]


@pytest.mark.parametrize(
    "value",
    [
        np.array([Foreign()], dtype=object),
        np.array([(1, Foreign())], dtype=[("x", "i4"), ("o", "O")]),
        datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
        np.ma.array([1, 2], mask=[0, 1]),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_losses_name_what_the_loader_refuses(value, tmp_path):
    """And without `strict`, a warning does."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"v": value})
    with pytest.raises(LossError, match=r"metadata\['v'\].* is .*trusted=True only"):
        obj.to_pickle(tmp_path / "x.pkl", strict=True)
    with pytest.warns(UserWarning, match=r"metadata\['v'\].* is"):
        obj.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(FormatError):
        load_from_pickle(tmp_path / "x.pkl")
    assert "v" in load_from_pickle(tmp_path / "x.pkl", trusted=True).metadata


def test_the_titles_of_fields_come_back(tmp_path):
    """As names and places of fields do."""
    array = np.array([(1, 2.5)], dtype=[(("how long", "a"), "i4"), ("b", "f8")])
    obj = PairwiseCompMatrix(np.eye(1), metadata={"v": array})
    obj.to_pickle(tmp_path / "x.pkl", verify=True, strict=True)
    assert equal(load_from_pickle(tmp_path / "x.pkl").metadata["v"], array)


def test_what_nests_too_deep_is_a_type_error(tmp_path):
    """Instead of a bare RecursionError."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(TypeError, match="cannot be pickled: maximum recursion depth"):
        PairwiseCompMatrix(np.eye(1), metadata={"v": deep}).to_pickle(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_trust_lifts_the_restriction(tmp_path):
    """A value of another class is refused by name, and loaded on request."""
    obj = PairwiseCompMatrix(np.eye(1), metadata={"mine": Foreign()})
    with pytest.warns(UserWarning, match=r"metadata.* is a Foreign.*trusted=True only"):
        obj.to_pickle(tmp_path / "x.pkl")
    with pytest.raises(UnsafePickleError, match=r"test_pickle\.Foreign.*trusted=True"):
        load_from_pickle(tmp_path / "x.pkl")
    loaded = load_from_pickle(tmp_path / "x.pkl", trusted=True)
    assert type(loaded.metadata["mine"]) is Foreign


def test_added_attributes_stay(tmp_path):
    """Those that shadow what the class has under this name do not."""
    obj = OBJECTS["PairwiseCompMatrix"]()
    obj.note = "mine"
    obj.to_pickle(tmp_path / "x.pkl", strict=True, verify=True)
    assert load_from_pickle(tmp_path / "x.pkl").note == "mine"
    obj.check = obj.to_csv = ()
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(obj))
    loaded = load_from_pickle(tmp_path / "x.pkl")
    assert vars(loaded).keys() == {"matrix", "labels", "metadata", "note"}


def test_verification_finds_a_difference(tmp_path):
    """If what was staged is not the object, the old file stays."""

    class Damaging(PickleWriter):
        def _write(self, obj, staged):
            super()._write(simulated(seed=2), staged)

    simulated(seed=1).to_pickle(tmp_path / "x.pkl")
    before = (tmp_path / "x.pkl").read_bytes()
    with pytest.raises(VerificationError, match="unit 0 has"):
        Damaging(verify=True).write(simulated(seed=3), tmp_path / "x.pkl")
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
OBJECT_FIELD = (
    named("numpy", "dtype")
    + text("V8")
    + b"\x89\x88\x87R(K\x03"
    + text("|")
    + b"N"
    + text("o")
    + b"\x85}"
    + text("o")
    + named("numpy", "dtype")
    + text("O8")
    + b"\x89\x88\x87RK\x00\x86sK\x08K\x01K\x00tb"
)
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
            "system",
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
        "INST": (b"(V" + command.encode() + b"\nios\nsystem\n.", "names os"),
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
        "persistent id": (b"Pos.system\n.", "persistent id"),
        "binary persistent id": (PROTO + text("x") + b"Q.", "persistent id"),
        "out-of-band buffer": (b"\x80\x05\x97.", "out-of-band"),
        "call of a string": (
            PROTO + text("os.system") + text(command) + b"\x85R.",
            "callable|__init__",
        ),
        "call of a data class": (PROTO + SPIKEDATA + b")R.", "callable|__init__"),
        "call of an array": (
            PROTO + named("numpy", "ndarray") + b"J\xff\xff\xff\x7f\x85R.",
            "callable|__init__",
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
        "state of a class of Python": (
            PROTO
            + named("pathlib", "PosixPath")
            + b"N}"
            + text("exists")
            + named("numpy", "split")
            + b"s\x86b.",
            "sets the state of a type",
        ),
        "a field that is an object in disguise": (
            PROTO
            + named("numpy._core.numeric", "_frombuffer")
            + b"(C\x08"
            + b"A" * 8
            + OBJECT_FIELD
            + b"K\x01\x85"
            + text("C")
            + b"tR.",
            "OBJECT array",
        ),
        "an array of more objects than there are": (
            PROTO
            + RECONSTRUCT
            + b"(K\x01M\xff\xff\x85"
            + named("numpy", "dtype")
            + text("O8")
            + b"\x89\x88\x87R\x89]tb.",
            "has not the shape",
        ),
        "a state of a finished array": (
            PROTO
            + RECONSTRUCT
            + b"(K\x01K\x01\x85"
            + DTYPE
            + b"\x89C\x08AAAAAAAAtb(K\x01K\x00\x85"
            + DTYPE
            + b"\x89C\x00tb.",
            "finished",
        ),
        "state of a dtype twice": (
            PROTO
            + DTYPE
            + b"K\x03"
            + text("<")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb.",
            r"pickle",
        ),
        "name as a value": (PROTO + b"]" + SPIKEDATA + b"a.", "does not hold"),
        "name in a tuple as a value": (
            PROTO + b"]" + SPIKEDATA + b"\x85a.",
            "does not hold",
        ),
        "name as an attribute": (
            PROTO + SPIKEDATA + b")\x81}" + text("train") + SPIKEDATA + b"sb.",
            "train must be",
        ),
        "name as the object": (PROTO + SPIKEDATA + b".", "does not hold"),
        "object without state": (PROTO + SPIKEDATA + b")\x81.", "no attribute"),
        "object with arguments": (PROTO + SPIKEDATA + b"]\x85\x81.", r"x\.pkl"),
        "state that is no dictionary": (
            PROTO + SPIKEDATA + b")\x81K\x01b.",
            r"is not a pickle",
        ),
        "state with slots": (
            PROTO + SPIKEDATA + b")\x81N}" + text("__class__") + b"Ns\x86b.",
            r"is not a pickle",
        ),
        "state that hides": (
            PROTO + SPIKEDATA + b")\x81}" + text("__class__") + b"Nsb.",
            "SpikeData",
        ),
        "another codec": (
            PROTO + named("_codecs", "encode") + text("x") + text("zlib") + b"\x86R.",
            "names the encoding",
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
    "lists of lists as trains": {"train": [[[1.0]], [[2.0]]]},
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


def test_a_pickle_of_bytes_is_a_format_error(tmp_path):
    """They are no array."""
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(bytearray(b"ab"), 5))
    with pytest.raises(FormatError, match="not hold a data object, but a bytearray"):
        load_from_pickle(tmp_path / "x.pkl")


def test_a_missing_file_is_a_file_not_found_error(tmp_path):
    """As everywhere."""
    with pytest.raises(FileNotFoundError, match=r"no such file.*x\.pkl"):
        load_from_pickle(tmp_path / "x.pkl")
