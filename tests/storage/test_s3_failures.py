"""S3: what happens when a transfer fails."""

import contextlib
import functools
import gc
import http.server
import socket
import tempfile
import threading
import time
import traceback

import numpy as np
import pytest
from contract import files_limited_to
from recordings import assert_same_recording, large, simulated
from s3_server import S3Server

import spikelab
from spikelab import SpikeData, load
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
    S3Error,
)
from spikelab.storage.local import STAGED_SUFFIX

pytestmark = pytest.mark.usefixtures("surroundings")


def assert_clear(caught, server, url):
    """One error, with URL and cause, and in its whole traceback no credential."""
    shown = "".join(traceback.format_exception(caught.value))
    assert url in str(caught.value)
    assert server.secret_key not in shown
    assert server.access_key not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_a_missing_bucket_is_named(server, bucket):
    """For exports, before anything is written, and for loaders."""
    url, options = "s3://no-such-bucket/a.pkl", server.storage_options
    for call in (simulated().to_pickle, load, spikelab.load_from_pickle):
        with pytest.raises(S3Error, match="no bucket 'no-such-bucket'") as caught:
            call(url, storage_options=options)
        assert_clear(caught, server, url)
    with pytest.raises(S3Error, match="no bucket 'no-such-bucket'"):
        simulated().to_kilosort(
            "s3://no-such-bucket/f", fs_Hz=1e4, storage_options=options
        )


def test_a_missing_object_is_not_found(server, bucket):
    """As a missing file is."""
    with pytest.raises(FileNotFoundError, match=f"s3://{bucket}/nothing"):
        load(f"s3://{bucket}/nothing", storage_options=server.storage_options)


WRONG = {
    "wrong secret": {"aws_secret_access_key": "not-the-secret"},
    "wrong key": {"aws_access_key_id": "not-the-key"},
    "no credentials": {"aws_access_key_id": None, "aws_secret_access_key": None},
    "no such profile": {"profile_name": "nobody"},
    "connection refused": {"endpoint_url": "http://127.0.0.1:9"},
    "no such host": {"endpoint_url": "http://user:hidden@no-such-host.invalid"},
    "not a URL": {"endpoint_url": "no-such-host"},
    "odd password": {"endpoint_url": "http://user:p@/hidden@127.0.0.1:9"},
    "password without scheme": {"endpoint_url": "user:hidden@127.0.0.1:9"},
    "password with a space": {"endpoint_url": "http://user:hidden x@127.0.0.1:9"},
    "signed endpoint": {"endpoint_url": "http://127.0.0.1:9/?token=hidden"},
    "key with a line end": {"aws_access_key_id": "hiddenkey\n"},
    "secret with a line end": {"aws_secret_access_key": "hiddensecret\n"},
    "token with a line end": {"aws_session_token": "hiddentoken\n"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_wrong_way_to_the_store_is_one_clear_error(wrong, form, server, bucket):
    """URL, cause, no credential; the object that was there is still there."""
    url, options = f"s3://{bucket}/a.pkl", server.storage_options
    method, options_of_format = "to_pickle", {}
    if form == "folder":
        url = f"s3://{bucket}/folder"
        method, options_of_format = "to_kilosort", {"fs_Hz": 30_000.0}
    export = functools.partial(getattr(simulated(), method), **options_of_format)
    export(url, storage_options=options)
    before = server.objects(bucket)
    wrong_options = {
        k: v for k, v in {**options, **WRONG[wrong]}.items() if v is not None
    }
    for call in (export, load):
        with pytest.raises(S3Error, match=r"cannot \w+ s3://") as caught:
            call(url, storage_options=wrong_options)
        assert_clear(caught, server, url.rstrip("/"))
        for value in WRONG[wrong].values():
            if wrong in ("wrong secret", "wrong key"):
                assert value not in str(caught.value)
        assert "hidden" not in str(caught.value)
    assert server.objects(bucket) == before


ODD_ANSWERS = {
    "redirection": (301, {"Location": "https://127.0.0.1:9/x"}, b""),
    "no length": (200, {}, b""),
    "no XML": (201, {"Content-Length": "5"}, b"hello"),
    "no date": (200, {"Content-Length": "0", "Last-Modified": "yesterday"}, b""),
    "wrong range": (
        206,
        {"Content-Range": "bytes 5-9/3", "Content-Length": "5"},
        b"hello",
    ),
}


@contextlib.contextmanager
def odd_server(status, headers, body):
    """An address where something answers that is no store."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{started.server_port}"
        started.shutdown()
        thread.join()


# botocore leaves a connection open whose answer it cannot parse.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_what_answers_like_no_store_is_one_clear_error(name, server):
    """Whatever boto3 makes of it."""
    with odd_server(*ODD_ANSWERS[name]) as address:
        options = {**server.storage_options, "endpoint_url": address}
        for call in (simulated().to_pickle, load):
            with pytest.raises((S3Error, FormatError), match=r"s3://lab/a\.pkl"):
                call("s3://lab/a.pkl", storage_options=options)
    gc.collect()


def test_a_profile_that_fails_is_no_missing_object(monkeypatch, tmp_path):
    """Its program is not there."""
    config = tmp_path / "config"
    config.write_text("[profile w]\ncredential_process = /nonexistent/program\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    options = {"profile_name": "w", "region_name": "us-east-1"}
    for call in (simulated().to_pickle, load):
        with pytest.raises(S3Error, match=r"cannot reach s3://lab/a\.pkl"):
            call("s3://lab/a.pkl", storage_options=options)


class Interrupter:
    """A relay to the server that cuts the line when a request holds a certain text."""

    def __init__(self, server, text):
        self.text = text
        self.target = ("127.0.0.1", int(server.endpoint_url.rpartition(":")[2]))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint_url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets = [self.listener]
        self.threads = []

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *exception):
        for opened in self.sockets:
            # Closing alone would leave a thread waiting in it.
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for opened in self.sockets:
            opened.close()

    def _start(self, run, *arguments):
        thread = threading.Thread(target=run, args=arguments)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.sockets.append(near)
                far = socket.create_connection(self.target)
                self.sockets.append(far)
                self._start(self._relay, near, far)
                self._start(self._relay, far, near)

    def _relay(self, source, target):
        with contextlib.suppress(OSError):
            while (data := source.recv(2**16)) and self.text not in data:
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_line_cut_in_an_upload_leaves_no_parts(server, bucket):
    """The parts that arrived are removed, and the old object is still there."""
    url = f"s3://{bucket}/a.pkl"
    simulated().to_pickle(url, storage_options=server.storage_options)
    before = server.objects(bucket)
    with Interrupter(server, b"partNumber=3") as relay:
        options = {**server.storage_options, "endpoint_url": relay.endpoint_url}
        with pytest.raises(S3Error, match=f"cannot write {url}") as caught:
            large().to_pickle(url, storage_options=options)
    assert_clear(caught, server, url)
    assert server.unfinished(bucket) == []
    assert server.objects(bucket) == before


def test_a_line_cut_in_a_folder_leaves_it_incomplete(server, bucket):
    """Without all of its files, the folder is refused by the loader."""
    url, options = f"s3://{bucket}/folder", server.storage_options
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    with Interrupter(
        server, b"PUT /%s/folder/spike_times.npy" % bucket.encode()
    ) as relay:
        cut = {**options, "endpoint_url": relay.endpoint_url}
        with pytest.raises(S3Error, match=f"cannot write {url}/spike_times.npy"):
            simulated(seed=2).to_kilosort(url, fs_Hz=30_000.0, storage_options=cut)
    with pytest.raises(IncompleteExportError, match=f"{url} is incomplete"):
        load(url, storage_options=options)
    simulated(seed=2).to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    assert_same_recording(
        load(url, storage_options=options), simulated(seed=2), 500 / 30_000
    )


def test_a_line_cut_in_a_download_is_an_error(server, bucket):
    """Half an object is no object."""
    url = f"s3://{bucket}/a.pkl"
    simulated().to_pickle(url, storage_options=server.storage_options)
    with Interrupter(server, b"GET ") as relay:
        options = {**server.storage_options, "endpoint_url": relay.endpoint_url}
        with pytest.raises(S3Error, match=f"cannot read {url}") as caught:
            load(url, storage_options=options)
    assert_clear(caught, server, url)


def test_an_export_that_reaches_no_server_is_not_written():
    """Though what is there is read first."""
    options = {"endpoint_url": "http://127.0.0.1:9", "region_name": "us-east-1"}
    options |= {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    with pytest.raises(S3Error, match=r"cannot write s3://lab/a\.h5: Could not"):
        SpikeData([[1.0]]).to_hdf5("s3://lab/a.h5", storage_options=options)


def test_a_server_that_dies_in_an_upload(tmp_path):
    """A clear error; after the restart the old object is there, whole."""
    with S3Server() as server:
        bucket = server.bucket("bucket")
        url, options = f"s3://{bucket}/a.pkl", server.storage_options
        simulated().to_pickle(url, storage_options=options)
        before = server.objects(bucket)

        def kill_in_the_middle():
            while not server.unfinished(bucket):
                time.sleep(0.001)
            server.kill()

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        with pytest.raises(S3Error, match=f"cannot write {url}") as caught:
            large(200).to_pickle(url, storage_options=options)
        killer.join()
        assert_clear(caught, server, url)
        server.restart()
        assert server.objects(bucket) == before


def test_errors_of_a_format_name_the_url_and_not_the_copy(server, bucket):
    """The temporary copy is gone when the error is read."""
    server.client().put_object(Bucket=bucket, Key="a.pkl", Body=b"not a pickle")
    with pytest.raises(FormatError, match=f"s3://{bucket}/a.pkl") as caught:
        spikelab.load_from_pickle(
            f"s3://{bucket}/a.pkl", storage_options=server.storage_options
        )
    assert STAGED_SUFFIX not in str(caught.value)


def test_a_full_temporary_folder_is_named_with_the_url(server, bucket):
    """In both directions; the object that was there stays."""
    url, options = f"s3://{bucket}/a.pkl", server.storage_options
    simulated().to_pickle(url, storage_options=options)
    before = server.objects(bucket)
    for transfer in (
        lambda: simulated(seed=1).to_pickle(url, storage_options=options),
        lambda: load(url, storage_options=options),
    ):
        with (
            files_limited_to(1000),
            pytest.raises(OSError, match="too large") as caught,
        ):
            transfer()
        assert str(caught.value).endswith(f"'{tempfile.gettempdir()}' -> '{url}'")
    assert server.objects(bucket) == before


def test_a_failed_check_uploads_nothing(server, bucket):
    """What cannot be written is refused before the store sees it."""
    sd = simulated()
    sd.train[2][0] = np.nan
    with pytest.raises(ValueError, match="unit 2"):
        sd.to_nwb(f"s3://{bucket}/a.nwb", storage_options=server.storage_options)
    assert server.objects(bucket) == {}
