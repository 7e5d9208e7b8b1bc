"""Files that were made to do harm: nothing is run, followed, or believed."""

import contextlib
import gzip
import json
import os
import signal
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from recordings import simulated

import spikelab
from spikelab import (
    AnalysisWorkspace,
    SpikeData,
    SpikeSliceStack,
    load,
    load_spikedata_from_kilosort,
)
from spikelab.errors import FormatError

resource = pytest.importorskip("resource")

SECRET = 123456.75

HDF5 = {
    "ragged": ("to_hdf5", {}, ("spike_times", "spike_times_index")),
    "raster": ("to_hdf5", {"style": "raster", "raster_bin_size_ms": 1.0}, ("raster",)),
    "group": ("to_hdf5", {"style": "group"}, ("units", "units/0")),
    "paired": ("to_hdf5", {"style": "paired"}, ("idces", "times")),
    "nwb": (
        "to_nwb",
        {},
        ("units", "units/spike_times", "units/spike_times_index", "units/id"),
    ),
}

PLACES = [(name, place) for name, entry in HDF5.items() for place in entry[2]]


@pytest.fixture(autouse=True)
def little_memory():
    """Every test has a gigabyte and ten seconds."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    start = time.monotonic()
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.monotonic() - start < 10


def exported(name, folder):
    """Write a recording in one of the HDF5 formats and return the path."""
    method, options, _ = HDF5[name]
    path = folder / f"{name}.{method.removeprefix('to_').replace('hdf5', 'h5')}"
    getattr(simulated(n_units=3), method)(path, **options)
    return path


def secret_file(folder):
    """A file that the attacker may not read, but the reader may."""
    path = folder / "secret.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.full(10, SECRET)
        file.create_group("group")["0"] = np.full(10, SECRET)
    (folder / "secret.bin").write_bytes(np.full(10_000, SECRET).tobytes())
    return path


def exchanged(path, place, put):
    """Put something else in the place of a dataset or group."""
    with h5py.File(path, "r+") as file:
        old = file[place]
        shape, dtype = getattr(old, "shape", ()), getattr(old, "dtype", None)
        attributes = dict(old.attrs)
        del file[place]
        put(file, place, shape, dtype)
        if place in file and file.get(place, getlink=True).__class__ is h5py.HardLink:
            for key, value in attributes.items():
                file[place].attrs[key] = value


def external_link(file, place, shape, dtype):
    """A link into another file."""
    inside = "/group" if dtype is None else "/data"
    file[place] = h5py.ExternalLink("secret.h5", inside)


def dangling_link(file, place, shape, dtype):
    """A link to nothing."""
    file[place] = h5py.SoftLink("/nowhere")


def circle_of_links(file, place, shape, dtype):
    """Links that name one another."""
    file[place] = h5py.SoftLink("/circle")
    file["circle"] = h5py.SoftLink(f"/{place}")


def external_storage(file, place, shape, dtype):
    """A dataset whose bytes are those of another file."""
    where = [(str(Path(file.filename).with_name("secret.bin")), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(place, shape or (10,), dtype or "f8", external=where)


def virtual_dataset(file, place, shape, dtype):
    """A dataset that is put together from another file."""
    layout = h5py.VirtualLayout(shape=(10,), dtype="f8")
    layout[:] = h5py.VirtualSource("secret.h5", "data", shape=(10,))
    file.create_virtual_dataset(place, layout)


def huge_chunks(file, place, shape, dtype):
    """A shape beyond all memory, of which nothing is written."""
    rank = len(shape) or 1
    file.create_dataset(
        place, (2**40,) * rank, dtype or "f8", chunks=(16,) * rank, fillvalue=1
    )


def huge_plain(file, place, shape, dtype):
    """The same without chunks."""
    rank = len(shape) or 1
    file.create_dataset(place, (2**29,) * rank, dtype or "i1")


def objects(file, place, shape, dtype):
    """Texts where numbers belong."""
    file[place] = np.array(["a", "b"], dtype=h5py.string_dtype())


def references(file, place, shape, dtype):
    """Pointers where numbers belong."""
    file.create_dataset(place, (2,), h5py.ref_dtype)


def own_ancestor(file, place, shape, dtype):
    """A group that holds itself."""
    file[place] = file["/"]


def committed_type(file, place, shape, dtype):
    """A type where data belong."""
    file[place] = np.dtype("f8")


ATTACKS = [
    external_link,
    dangling_link,
    circle_of_links,
    external_storage,
    virtual_dataset,
    huge_chunks,
    huge_plain,
    objects,
    references,
    own_ancestor,
    committed_type,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize(("name", "place"), PLACES)
def test_hdf5_that_is_not_what_it_seems(name, place, attack, tmp_path):
    """An error of spikelab's own, or data that hold nothing from elsewhere."""
    secret_file(tmp_path)
    path = exported(name, tmp_path)
    exchanged(path, place, attack)
    try:
        loaded = load(path)
    except FormatError as error:
        told = str(error)
        assert path.name in told
        assert str(SECRET) not in told
        return
    # A place that the reader does not need may be anything.
    assert not any(np.isin(SECRET, times).any() for times in loaded.train)
    assert not any(np.isin(SECRET * 1000, times).any() for times in loaded.train)


@pytest.mark.parametrize("name", HDF5)
def test_a_huge_text_in_an_attribute_is_no_harm(name, tmp_path):
    """It is not read, or read and ignored."""
    path = exported(name, tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["note"] = "x" * 60_000
        file.attrs["style "] = np.arange(5000)
    assert load(path).N == 3


@pytest.mark.parametrize("length", [2**25, 2**31, 2**32 - 1])
def test_a_reference_to_a_huge_text_takes_no_memory(length, tmp_path):
    """A text of variable length is as long as its heap says, not its reference."""
    path = Path(SpikeData([[1.0]]).to_hdf5(tmp_path / "x.h5"))
    data = bytearray(path.read_bytes())
    heap = struct.pack("<Q", data.find(b"GCOL"))
    place = data.find(heap) - 4
    data[place : place + 4] = struct.pack("<I", length)
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match="damaged"):
        load(path)
    grown_kB = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kB < 100_000


@pytest.mark.parametrize("count", [2**63, 2**40, 2**31])
def test_a_bin_cannot_hold_any_number_of_spikes(count, tmp_path):
    """Counts out of all proportion are refused before they become spikes."""
    path = exported("raster", tmp_path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["raster"].attrs)
        del file["raster"]
        file["raster"] = np.full((3, 10_000), count, dtype=np.uint64)
        file["raster"].attrs.update(attributes)
    with pytest.raises(FormatError, match=r"spikes|memory|Unable to allocate"):
        load(path)


@pytest.mark.parametrize("unit", [2**62, 2**40, 2**31])
def test_a_pair_cannot_claim_any_unit(unit, tmp_path):
    """Nor can the number of units."""
    path = exported("paired", tmp_path)
    with h5py.File(path, "r+") as file:
        del file["idces"]
        file["idces"] = np.full(file["times"].shape, unit)
        file.attrs["n_units"] = unit + 1
    with pytest.raises(FormatError, match="units"):
        load(path)


# Folders of .npy files.


@pytest.fixture
def folder(tmp_path):
    """A KiloSort folder of another program, with a file beside it."""
    simulated(n_units=3).to_kilosort(tmp_path / "ks", fs_Hz=30_000.0)
    (tmp_path / "ks" / "spikelab.json").unlink()
    np.save(tmp_path / "outside.npy", np.arange(5))
    (tmp_path / "outside.tsv").write_text("cluster_id\tgroup\n0\tgood\n")
    return tmp_path / "ks"


class Run:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused_or_left_out(name, reason):
    """Expect an error for a file with spikes, a warning for one that is optional."""
    if name.startswith(("spike_", "spikelab")):
        return pytest.raises(FormatError, match=reason)
    return pytest.warns(UserWarning, match=f"left out: .*{reason}")


@pytest.mark.parametrize(
    "name", ["spike_times.npy", "spike_clusters.npy", "channel_map.npy"]
)
def test_objects_in_npy_are_not_unpickled(name, folder):
    """An array of objects is refused, and what is in it not run."""
    touched = folder / "touched"
    np.save(
        folder / name, np.array([Run(touched)] * 3, dtype=object), allow_pickle=True
    )
    with refused_or_left_out(name, name):
        load_spikedata_from_kilosort(folder, fs_Hz=30_000.0)
    assert not touched.exists()


def test_names_of_datasets_that_are_no_text(tmp_path):
    """They stand in the error as bytes."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[b"\xff"] = np.arange(3.0)
        file["times"] = np.arange(3.0)
    with pytest.raises(FormatError, match=r"its datasets are .*xff"):
        spikelab.load_spikedata_from_hdf5(
            tmp_path / "a.h5",
            spike_times_dataset="spike_times",
            spike_times_index_dataset="spike_times_index",
        )


def npy(header, data=b""):
    """A .npy file with a header of one's own."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


HEADERS = {
    "shape beyond the file": "{'descr': '<i8', 'fortran_order': False, 'shape': (10**12,)}",
    "huge shape": "{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,)}",
    "overflowing shape": "{'descr': '<i8', 'fortran_order': False, "
    f"'shape': ({2**62}, {2**62})}}",
    "negative shape": "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,)}",
    "negative shape of nothing": "{'descr': '<U0', 'fortran_order': False, 'shape': (-1,)}",
    "negative shape of empty fields": "{'descr': [], 'fortran_order': False, 'shape': (-1,)}",
    "shape of nothing": "{'descr': '<i8', 'fortran_order': False, "
    f"'shape': (0, {2**40})}}",
    "wide void": "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (1,)}",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "code": "__import__('os').system('touch touched')",
    "code in shape": "{'descr': '<i8', 'fortran_order': False, 'shape': (open('touched', 'w'),)}",
    "deep": "(" * 110,
    "no dtype": "{'descr': (), 'fortran_order': False, 'shape': (3,)}",
    "no field": "{'descr': [('a', ())], 'fortran_order': False, 'shape': (3,)}",
    "text": "{'descr': '<U10', 'fortran_order': False, 'shape': (1,)}",
}


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("name", ["spike_times.npy", "spike_clusters.npy"])
def test_headers_of_npy_are_not_believed(name, header, folder, monkeypatch):
    """A size that the file does not have, or code instead of a header."""
    monkeypatch.chdir(folder)
    (folder / name).write_bytes(npy(HEADERS[header], bytes(8)))
    with pytest.raises(FormatError):
        load_spikedata_from_kilosort(folder, fs_Hz=30_000.0)
    assert not (folder / "touched").exists()


PARAMS = {
    "call": "import os\nos.system('touch touched')\nsample_rate = 30000.0\n",
    "expression": "sample_rate = float(open('touched', 'w').write('3') or 30000)\n",
    "decorated": "@open\ndef touched(): pass\nsample_rate = 30000.0\n",
    "formatted": "sample_rate = f\"{open('touched', 'w')}\"\n",
    "power": "sample_rate = 9**9**9**9\n",
    "deep": "sample_rate = " + "(" * 5000 + "1" + ")" * 5000 + "\n",
    "long": "sample_rate = " + "9" * 100_000 + "\n",
    "null": "sample_rate = 1\0\n",
    "sum of a huge number": "x = 0x" + "f" * 300 + "+3j\nsample_rate = 30000.0\n",
}


@pytest.mark.parametrize("text", PARAMS)
def test_params_are_not_run(text, folder, monkeypatch):
    """What is no plain value is no sampling rate, and never evaluated."""
    monkeypatch.chdir(folder)
    (folder / "params.py").write_text(PARAMS[text])
    try:
        loaded = load_spikedata_from_kilosort(folder)
    except ValueError as error:
        told = str(error)
        assert "fs_Hz" in told or "params" in told
    else:
        assert loaded.N > 0
    assert not (folder / "touched").exists()


OUTSIDE = [
    "../outside.npy",
    "/etc/passwd",
    "..",
    "a/../../outside.npy",
    "..\\outside.npy",
    "",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("option", ["spike_times_file", "spike_clusters_file"])
def test_names_do_not_leave_the_folder(option, name, folder):
    """Neither when a folder is read nor when it is written."""
    with pytest.raises(ValueError, match=option):
        load_spikedata_from_kilosort(folder, fs_Hz=30_000.0, **{option: name})
    with pytest.raises(ValueError, match=option):
        simulated().to_kilosort(folder.parent / "new", fs_Hz=30_000.0, **{option: name})
    assert not (folder.parent / "new").exists()


@pytest.mark.parametrize("name", [*OUTSIDE[:-1], 3, None, ["a"]])
@pytest.mark.parametrize("where", ["files", "spike_times_file"])
def test_manifests_do_not_lead_out_of_the_folder(where, name, tmp_path):
    """A manifest is not believed when it names something else than a file in it."""
    folder = tmp_path / "ks"
    simulated(n_units=3).to_kilosort(folder, fs_Hz=30_000.0)
    np.save(tmp_path / "outside.npy", np.arange(5))
    manifest = json.loads((folder / "spikelab.json").read_text())
    manifest[where] = [name] if where == "files" else name
    (folder / "spikelab.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=r"spikelab\.json"):
        load(folder)
    before = sorted(tmp_path.iterdir())
    if where == "files":
        with pytest.raises(FormatError, match=r"spikelab\.json"):
            simulated().to_kilosort(folder, fs_Hz=30_000.0)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("depth", [10, 100_000])
def test_deep_json_is_no_harm(depth, tmp_path):
    """A manifest that nests without end is refused."""
    folder = tmp_path / "ks"
    simulated(n_units=3).to_kilosort(folder, fs_Hz=30_000.0)
    (folder / "spikelab.json").write_text("[" * depth + "]" * depth)
    with pytest.raises(FormatError, match=r"spikelab\.json"):
        load(folder)


def test_params_that_are_a_pipe_are_not_waited_for(folder):
    """Nobody writes into it."""
    (folder / "params.py").unlink(missing_ok=True)
    os.mkfifo(folder / "params.py")
    assert load(folder, fs_Hz=1000.0).N > 0


def wide_metadata(group):
    """An array in the metadata of another size than its shape."""
    array = {"__ndarray__": True, "dtype": "f8", "values": [1], "shape": [10**9]}
    group.attrs["__type__"] = "PairwiseCompMatrix"
    group.attrs["__metadata__"] = json.dumps({"a": array})
    group["matrix"] = np.eye(2)


def unwritten(group):
    """A dataset of which nothing was written."""
    group.attrs["__type__"] = "ndarray"
    group.create_dataset("data", (10**9,), "f8", chunks=(1000,))


def deep(group):
    """Groups in groups, deeper than Python counts."""
    for _ in range(2000):
        group.attrs["__type__"] = "dict"
        group = group.create_group("a")


@pytest.mark.parametrize("put", [wide_metadata, unwritten, deep])
def test_workspaces_that_claim_too_much_are_format_errors(put, tmp_path):
    """At once, and in little memory."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"__workspace_id__": "x", "__created_at__": 0.0})
        put(file.create_group("ns").create_group("k"))
    with pytest.raises(FormatError, match=r"w\.h5"):
        AnalysisWorkspace.load(path)


def test_a_slice_that_is_listed_often_is_read_never(tmp_path):
    """Each would be another recording in memory."""
    stack = SpikeSliceStack(spike_stack=[simulated()])
    stack.to_kilosort(tmp_path / "ks", fs_Hz=30_000.0)
    header, row = (tmp_path / "ks" / "windows.tsv").read_text().splitlines()
    text = "\n".join([header, *[row] * 5000])
    (tmp_path / "ks" / "windows.tsv").write_text(text)
    with pytest.raises(FormatError, match=r"windows\.tsv must name 1 slices"):
        load(tmp_path / "ks")


@pytest.mark.parametrize(
    "name",
    [
        *("spikelab.json", "spike_times.npy", "spike_clusters.npy", "channel_map.npy"),
        *("cluster_group.tsv", "cluster_x.csv"),
    ],
)
def test_a_pipe_in_a_folder_is_not_waited_for(name, tmp_path):
    """It would never end."""
    simulated().to_kilosort(tmp_path / "ks", fs_Hz=30_000.0, spike_order="time")
    (tmp_path / "ks" / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / "ks" / name)
    with in_time(), refused_or_left_out(name, f"{name} must be a regular file"):
        load(tmp_path / "ks")


@pytest.mark.parametrize("name", ["spikelab.json", "cluster_group.tsv"])
def test_a_folder_in_the_place_of_a_file_is_not_read(name, tmp_path):
    """Nor is it in the place of an array."""
    simulated().to_kilosort(tmp_path / "ks", fs_Hz=30_000.0, spike_order="time")
    (tmp_path / "ks" / name).unlink()
    (tmp_path / "ks" / name).mkdir()
    with refused_or_left_out(name, f"{name} must be a regular file"):
        load(tmp_path / "ks")


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e300, 0.5])
def test_channels_are_whole_numbers(number, folder):
    """Or nothing that electrodes could be."""
    np.save(folder / "channel_map.npy", np.array([number, 1.0, 2.0]))
    with pytest.warns(UserWarning, match=r"left out: .*channel_map\.npy must hold"):
        load_spikedata_from_kilosort(folder, fs_Hz=30_000.0)


@pytest.mark.parametrize("name", ["a.pkl", "a.h5", "a.nwb", "a.csv"])
def test_a_pipe_is_not_waited_for(name, tmp_path):
    """Nor is a device."""
    os.mkfifo(tmp_path / name)
    with in_time(), pytest.raises(FormatError, match=f"{name} must be a regular file"):
        load(tmp_path / name)


@contextlib.contextmanager
def in_time():
    """Let what waits for ever fail after some seconds."""

    def fail(signal_number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(5)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


TABLES = {
    "quotes and lines": b'"' + b"\n" * 1_000_000,
    "one long name": b"a" * 20_000_000,
    "a number beyond all": b"unit,time_ms\n9999999999999999999999,1\n",
    "digits without end": b"unit,time_ms\n0," + b"9" * 20_000_000 + b"x\n",
    "a long quoted cell": b'unit,"' + b"a" * 20_000_000 + b'"\n0,1\n',
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("packed", [False, True])
def test_tables_that_are_too_large_are_format_errors(name, packed, tmp_path):
    """At once, and in few words."""
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(TABLES[name]) if packed else TABLES[name])
    with pytest.raises(FormatError) as caught:
        load(path)
    assert len(str(caught.value)) < 1000
