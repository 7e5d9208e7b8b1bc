"""Stores other than S3, through fsspec: its own one in memory, and a server of the web."""

import contextlib
import http.server
import sys
import tempfile
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from contract import files_limited_to, snapshot
from recordings import assert_same_recording, simulated

from spikelab import load, load_spikedata_from_nwb
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
    MissingExtraError,
    TransferError,
)
from spikelab.storage.filesystems import _entry

fsspec = pytest.importorskip("fsspec")

FILES = {
    "a.h5": "to_hdf5",
    "a.nwb": "to_nwb",
    "a.csv": "to_csv",
    "a.pkl": "to_pickle",
}

FOLDERS = ("to_kilosort", "to_phy")


def contents(fs):
    """The bytes of every file, by path."""
    return {path: fs.cat_file(path) for path in sorted(fs.find("/"))}


@pytest.mark.filterwarnings("ignore:to_csv")
@pytest.mark.parametrize("name", FILES)
def test_a_file_arrives_byte_for_byte(name, memory, tmp_path):
    """And loads as the recording, with nothing beside it."""
    url = f"memory://lab/deep/{name}"
    for seed in (0, 1):
        getattr(simulated(seed), FILES[name])(tmp_path / name)
        assert getattr(simulated(seed), FILES[name])(url, verify=True) == url
        assert contents(memory) == {f"/lab/deep/{name}": (tmp_path / name).read_bytes()}
    found = load(url)
    assert_same_recording(found, load(tmp_path / name))
    assert found.metadata.get("source_file", url) == url


@pytest.mark.parametrize("method", FOLDERS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_arrives_byte_for_byte(method, slash, memory, tmp_path):
    """What an earlier export left goes, notes stay."""
    url = f"memory://lab/folder{slash}"
    getattr(simulated(n_units=9), method)(url, fs_Hz=30_000.0)
    memory.pipe_file("/lab/folder/notes.txt", b"mine")
    getattr(simulated(), method)(url, fs_Hz=30_000.0)
    getattr(simulated(), method)(tmp_path / "folder", fs_Hz=30_000.0)
    found = contents(memory)
    assert found.pop("/lab/folder/notes.txt") == b"mine"
    assert {path.removeprefix("/lab/folder/"): c for path, c in found.items()} == (
        snapshot(tmp_path / "folder")
    )
    assert_same_recording(load(url), simulated(), 500 / 30_000)


def test_what_an_export_returns_can_be_loaded(memory):
    """The file of the folder that was named."""
    sd = simulated()
    assert load(sd.to_phy("memory://lab/phy", fs_Hz=30_000.0)).N == sd.N
    assert load(sd.to_kilosort("memory://lab/ks", fs_Hz=30_000.0)[0]).N == sd.N


def test_a_failed_transfer_changes_nothing(memory, monkeypatch):
    """Neither the old file, nor what lies beside it."""
    simulated().to_pickle("memory://lab/a.pkl")
    before = contents(memory)
    put_file = type(memory).put_file

    def half(self, path, target, **options):
        put_file(self, path, target, **options)
        raise RuntimeError("the line was cut")

    monkeypatch.setattr(type(memory), "put_file", half)
    with pytest.raises(TransferError, match=r"cannot write memory://lab/a\.pkl: .*cut"):
        simulated(1).to_pickle("memory://lab/a.pkl")
    assert contents(memory) == before


def test_a_folder_that_was_not_finished_is_incomplete(memory, monkeypatch):
    """Its manifest says so, or is not there."""
    url, put_file = "memory://lab/ks", type(memory).put_file

    def fail(self, path, target, **options):
        if "spike_times" in target:
            raise RuntimeError("the line was cut")
        put_file(self, path, target, **options)

    for seed in (0, 1):
        with monkeypatch.context() as patched:
            patched.setattr(type(memory), "put_file", fail)
            with pytest.raises(TransferError, match="cut"):
                simulated(seed).to_kilosort(url, fs_Hz=30_000.0)
        with pytest.raises(IncompleteExportError, match=f"{url} is incomplete"):
            load(url)
        memory.rm("/lab/ks", recursive=True)
        simulated(seed).to_kilosort(url, fs_Hz=30_000.0)
        assert_same_recording(load(url), simulated(seed), 500 / 30_000)


def test_a_folder_that_is_exported_again_while_it_is_read_is_incomplete(
    memory, monkeypatch
):
    """Half of its files would be those of the other export."""
    url, get_file, calls = "memory://lab/ks", type(memory).get_file, []
    simulated().to_kilosort(url, fs_Hz=30_000.0)

    def get_file_and_export(self, path, target, **options):
        get_file(self, path, target, **options)
        calls.append(path)
        if len(calls) == 1:  # of the manifest
            simulated(seed=1).to_kilosort(url, fs_Hz=30_000.0)

    monkeypatch.setattr(type(memory), "get_file", get_file_and_export)
    with pytest.raises(IncompleteExportError, match="exported again while it was"):
        load(url)


@pytest.mark.parametrize("url", ["memory://", "memory:///", "memory://lab"])
def test_a_folder_may_be_the_root_of_a_store(url, memory):
    """Or that of a bucket."""
    simulated().to_kilosort(url, fs_Hz=30_000.0)
    assert_same_recording(load(url), simulated(), 500 / 30_000)


def test_what_would_be_lost_is_not_replaced(memory, tmp_path):
    """Data of another program in a file, a curation in a folder."""
    path = tmp_path / "a.nwb"
    simulated().to_nwb(path)
    with h5py.File(path, "a") as file:
        file["acquisition/raw"] = np.arange(10)
    memory.put_file(str(path), "/lab/a.nwb")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        simulated().to_pickle("memory://lab/a.nwb")
    sd, url = simulated(), "memory://lab/phy"
    sd.to_phy(url, fs_Hz=30_000.0)
    sd.to_phy(url, fs_Hz=30_000.0)
    memory.pipe_file("/lab/phy/cluster_group.tsv", b"cluster_id\tgroup\n0\tnoise\n")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sd.to_phy(url, fs_Hz=30_000.0)
    sd.to_phy(url, fs_Hz=30_000.0, overwrite=True)


def test_what_is_not_there_is_not_found(memory):
    """As a missing local file is."""
    for url in ("memory://lab/a.nwb", "memory://lab/folder/"):
        with pytest.raises(FileNotFoundError, match=url):
            load(url)


def test_a_folder_is_no_file(memory):
    """It is not filled with a file of another name."""
    simulated().to_phy("memory://lab/phy", fs_Hz=30_000.0)
    before = contents(memory)
    with pytest.raises(IsADirectoryError, match="must name a file, got a folder"):
        simulated().to_pickle("memory://lab/phy")
    assert contents(memory) == before


def test_a_full_temporary_folder_is_named_with_the_url(memory):
    """As for S3."""
    with files_limited_to(1000), pytest.raises(OSError, match="too large") as caught:
        simulated().to_hdf5("memory://lab/a.h5")
    assert str(caught.value).endswith(
        f"'{tempfile.gettempdir()}' -> 'memory://lab/a.h5'"
    )
    assert contents(memory) == {}


def test_a_local_store_of_fsspec(memory, tmp_path):
    """Folders are made there, too."""
    url = f"file://{tmp_path}/new/deep/a.h5"
    simulated().to_hdf5(url)
    assert list(snapshot(tmp_path)) == ["new/deep/a.h5"]
    assert_same_recording(load(url), simulated())


def test_without_fsspec_the_extra_is_named(monkeypatch):
    """Also where it would only read."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for call in (simulated().to_pickle, load):
        with pytest.raises(MissingExtraError, match=r"spikelab\[remote\]"):
            call("gs://lab/a.pkl")


def test_a_store_whose_package_is_missing_names_it(monkeypatch):
    """In the words of fsspec."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ImportError, match=r"gs:// cannot be used: .*gcsfs"):
        load("gs://lab/a.pkl")


def test_secrets_are_not_repeated(memory, monkeypatch):
    """Whatever a file system puts into its errors."""

    def refuse(self, *arguments, **options):
        raise RuntimeError(f"no entry for {self.storage_options['token']}")

    monkeypatch.setattr(type(memory), "info", refuse)
    with pytest.raises(TransferError, match="no entry for") as caught:
        load("memory://lab/a.pkl", storage_options={"token": "HIDDEN"})
    assert "HIDDEN" not in str(caught.value)


# The web.


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files with, or without, an answer to requests for a part of them."""

    ranges = True
    moved = 0
    asked: list[str] = []

    def send_head(self):
        """Answer with the part that was asked for."""
        if self.path == "/asset/download/":
            self.send_response(302)
            self.send_header("Location", "/a.nwb")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        asked, path = self.headers.get("Range"), Path(self.translate_path(self.path))
        if not (self.ranges and asked and path.is_file()):
            return super().send_head()
        first, _, last = asked.removeprefix("bytes=").partition("-")
        data = path.read_bytes()
        part = data[int(first) : int(last) + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(part)
        type(self).moved += len(part)
        return None

    def log_message(self, *arguments):
        """Keep quiet, and remember."""
        self.asked.append(self.requestline)


@pytest.fixture(params=[True, False], ids=["ranges", "no ranges"])
def web(request, tmp_path):
    """The address of a server for the files in a folder, and the folder."""
    pytest.importorskip("aiohttp")

    class Chosen(Handler):
        ranges, asked = request.param, []

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, directory=str(tmp_path), **options)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chosen) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", tmp_path, Chosen
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore:to_csv")
@pytest.mark.parametrize("name", FILES)
def test_files_of_the_web_are_read(name, web):
    """By their content, as everywhere."""
    address, folder, _ = web
    getattr(simulated(), FILES[name])(folder / name)
    found = load(f"{address}/{name}?signature=HIDDEN")
    assert_same_recording(found, load(folder / name))
    assert "HIDDEN" not in str(found.metadata)


def test_units_of_a_large_file_of_the_web_are_read_alone(web):
    """Where the server sends parts; else the file is downloaded."""
    address, folder, handler = web
    simulated().to_nwb(folder / "a.nwb")
    with h5py.File(folder / "a.nwb", "a") as file:
        file["acquisition/raw"] = np.random.default_rng(0).random(2**22)
    for loader in (load, load_spikedata_from_nwb):
        assert_same_recording(loader(f"{address}/a.nwb"), simulated(), 1e-9)
    if handler.ranges:
        assert 0 < handler.moved < 2**23


def test_an_address_that_ends_as_a_folder_may_lead_to_a_file(web):
    """As those of archives do."""
    address, folder, handler = web
    simulated().to_nwb(folder / "a.nwb")
    with h5py.File(folder / "a.nwb", "a") as file:
        file["acquisition/raw"] = np.random.default_rng(0).random(2**22)
    if handler.ranges:
        found = load(f"{address}/asset/download/")
        assert_same_recording(found, simulated(), 1e-9)


def test_a_folder_of_the_web_is_read(web):
    """If the server lists it."""
    address, folder, _ = web
    simulated().to_phy(folder / "phy", fs_Hz=30_000.0)
    assert_same_recording(load(f"{address}/phy/"), simulated(), 500 / 30_000)


def test_the_web_is_not_written_to(web):
    """The error says so before anything is sent."""
    address, _, handler = web
    for call in (simulated().to_pickle, lambda url: simulated().to_phy(url, fs_Hz=3e4)):
        with pytest.raises(ValueError, match="can only be read"):
            call(f"{address}/a")
    assert not any(request.startswith(("PUT", "POST")) for request in handler.asked)


def test_failures_of_the_web_are_clear(web):
    """What is missing is not found; who does not answer is named."""
    address, folder, _ = web
    with pytest.raises(FileNotFoundError, match=f"{address}/a.nwb"):
        load(f"{address}/a.nwb")
    with pytest.raises(
        TransferError, match=r"cannot read http://127\.0\.0\.1:9/a\.nwb"
    ):
        load("http://127.0.0.1:9/a.nwb?signature=HIDDEN")
    (folder / "a.nwb").write_bytes(b"<html>sign in</html>")
    with pytest.raises(FormatError, match=f"{address}/a.nwb"):
        load(f"{address}/a.nwb")


def test_a_file_that_was_read_is_the_same_file():
    """SFTP tells when it was read last, as ``time``."""
    known = {"size": 5, "mtime": 1.0, "type": "file"}
    assert _entry({**known, "time": 1.0}) == _entry({**known, "time": 2.0})
    assert _entry(known) != _entry({**known, "mtime": 2.0})
