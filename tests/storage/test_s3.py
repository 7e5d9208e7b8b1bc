"""S3: every format to a real server and back, and what happens when that fails."""

import contextlib
import functools
import gc
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import numpy as np
import pytest
from contract import files_limited_to, snapshot
from recordings import assert_same_recording, simulated, with_raw
from s3_server import S3Server

import spikelab
from spikelab import SpikeData, load
from spikelab.data_loaders import s3_utils
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
    MissingExtraError,
    S3Error,
)
from spikelab.storage.local import STAGED_SUFFIX
from spikelab.storage.s3 import S3Store
from spikelab.storage.urls import located

FILES = {
    "hdf5 ragged": ("to_hdf5", "a.h5", {}),
    "hdf5 raster": ("to_hdf5", "a.h5", {"style": "raster", "raster_bin_size_ms": 1.0}),
    "hdf5 group": ("to_hdf5", "a.h5", {"style": "group"}),
    "hdf5 paired": ("to_hdf5", "a.h5", {"style": "paired"}),
    "nwb": ("to_nwb", "a.nwb", {}),
    "csv": ("to_csv", "a.csv", {}),
    "pickle": ("to_pickle", "a.pkl", {}),
}

FOLDERS = {
    "kilosort": ("to_kilosort", {"fs_Hz": 30_000.0}),
    "phy": ("to_phy", {"fs_Hz": 30_000.0}),
}


@pytest.fixture(scope="module")
def server():
    """One server for the tests that do not harm it."""
    with S3Server() as started:
        yield started


@pytest.fixture
def bucket(server, request):
    """An empty bucket."""
    return server.bucket(f"bucket-{time.monotonic_ns()}")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path_factory):
    """No credentials of the machine, few retries, temporary files in a folder of ours."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-credentials"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def large(megabytes=40, seed=0):
    """A recording that goes up in several parts."""
    raw = np.random.default_rng(seed).integers(
        -9999, 9999, (4, megabytes * 2**20 // 8), dtype=np.int16
    )
    return SpikeData(
        [[1.0]], length=2.0, raw_data=raw, raw_time=np.zeros(raw.shape[1], np.int8)
    )


# What is a URL of S3, and what only looks like one.

URLS = {
    "s3://bucket/key.h5": ("bucket", "key.h5"),
    "S3://bucket/key": ("bucket", "key"),
    "s3://my.dotted-bucket/a/b%20c?d#e": ("my.dotted-bucket", "a/b%20c?d#e"),
    "s3://bucket//key": ("bucket", "/key"),
    "https://bucket.s3.amazonaws.com/a/b%20c": ("bucket", "a/b c"),
    "http://bucket.s3.amazonaws.com/key": ("bucket", "key"),
    "https://bucket.s3.us-west-2.amazonaws.com/key": ("bucket", "key"),
    "https://bucket.s3-us-west-2.amazonaws.com/key": ("bucket", "key"),
    "https://bucket.s3.dualstack.eu-central-1.amazonaws.com/key": ("bucket", "key"),
    "https://bucket.s3-accelerate.amazonaws.com/key": ("bucket", "key"),
    "https://bucket.s3.cn-north-1.amazonaws.com.cn/key": ("bucket", "key"),
    "https://my.dotted.bucket.s3.amazonaws.com/key": ("my.dotted.bucket", "key"),
    "https://s3.amazonaws.com/bucket/a/b": ("bucket", "a/b"),
    "https://s3.us-gov-west-1.amazonaws.com/bucket/key": ("bucket", "key"),
    "https://s3-us-west-2.amazonaws.com/bucket/key": ("bucket", "key"),
    "https://s3.dualstack.us-west-2.amazonaws.com/bucket/key": ("bucket", "key"),
}

LOOK_ALIKES = [
    "https://s3.amazonaws.com.evil.example/bucket/key",
    "https://bucket.s3.amazonaws.com.evil.example/key",
    "https://evil.example/s3.amazonaws.com/bucket/key",
    "https://bucket.s3.amazonaws.com@evil.example/key",
    "https://user:pass@bucket.s3.amazonaws.com/key",
    "https://bucket.s3.amazonaws.com:8443/key",
    "https://s3xamazonaws.com/bucket/key",
    "https://bucket.s3.amazonawsxcom/key",
    "https://bucket-s3.amazonaws.com/key",
    "https://ec2.us-west-2.amazonaws.com/bucket/key",
    "https://bucket.s3-website-us-west-2.amazonaws.com/key",
    "https://bucket.s3.amazonaws.com/key?versionId=1",
    "https://bucket.s3.amazonaws.com\\@evil.example/key",
    "https://s3.amazonaws.com/",
    "ftp://bucket.s3.amazonaws.com/key",
    "s3:/bucket/key",
    "s3://",
    "s3:///key",
    "s3://b/key",
    "s3://user@host/key",
    "/data/s3://bucket/key",
    "",
]


@pytest.mark.parametrize("url", URLS)
def test_a_url_names_bucket_and_key(url):
    """The forms of Amazon, old and new, and our own."""
    assert s3_utils.is_s3_url(url)
    assert s3_utils.parse_s3_url(url) == URLS[url]


@pytest.mark.parametrize("url", LOOK_ALIKES)
def test_a_look_alike_is_no_url_of_s3(url):
    """Credentials must not go to somebody else's host."""
    assert not s3_utils.is_s3_url(url)
    with pytest.raises(ValueError, match="must be an S3 URL"):
        s3_utils.parse_s3_url(url)


@pytest.mark.parametrize("options", [{"config": {"a": 1}}, {5: "a"}], ids=str)
def test_options_of_the_wrong_type_are_named(options):
    """Whatever boto3 makes of them."""
    with pytest.raises(TypeError, match="storage_options must be arguments of boto3"):
        simulated().to_pickle("s3://bucket/key", storage_options=options)


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/", "https://s3.amazonaws.com/bucket"]
)
def test_a_bucket_alone_is_no_object(url):
    """There must be a key to write to."""
    with pytest.raises(ValueError, match="must name a key"):
        s3_utils.parse_s3_url(url)
    with pytest.raises(ValueError, match="must name an object"):
        simulated().to_pickle(url)


@pytest.mark.parametrize(
    "value", [None, 3, b"s3://bucket/key", Path("s3://bucket/key")]
)
def test_only_strings_are_urls(value):
    """Anything else is none, without an error."""
    assert not s3_utils.is_s3_url(value)


def test_the_region_of_a_url_is_used():
    """An address that names its region needs no region_name."""
    url = "https://bucket.s3.eu-north-1.amazonaws.com/key"
    assert S3Store.at(url).client.meta.region_name == "eu-north-1"
    given = S3Store.at(url, {"region_name": "eu-west-1"})
    assert given.client.meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("gopher://host/a.pkl", "a URL of fsspec"),
        (Path("s3://bucket/a.pkl"), "as a string"),
        (Path("s3://b/a.pkl"), "as a string"),
        (Path("https://lab.s3.amazonaws.com/a.pkl"), "as a string"),
        (Path("gs://lab/a.pkl"), "as a string"),
        ("s3://b/a.pkl", "bucket of 3"),
    ],
)
def test_other_urls_are_no_files(target, reason, tmp_path, monkeypatch):
    """They would end up in a local folder called "https:"."""
    monkeypatch.chdir(tmp_path)
    for call in (simulated().to_pickle, load):
        with pytest.raises(ValueError, match=reason):
            call(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://user:HIDDEN@lab.s3.amazonaws.com/a.pkl",
        "s3://key:HIDDEN@lab/a.pkl",
        "https://user:pa/ssHIDDEN@host/a.pkl",
    ],
)
def test_a_url_with_a_password_is_not_repeated(url):
    """It does not end up in a log."""
    for call in (
        simulated().to_pickle,
        functools.partial(simulated().to_pickle, s3_upload=True),
        load,
        s3_utils.download_from_s3,
        s3_utils.parse_s3_url,
    ):
        with pytest.raises(ValueError, match=r"S3 URL|bucket of 3|password") as caught:
            call(url)
        assert "HIDDEN" not in str(caught.value)


def test_given_credentials_need_no_others(server, bucket, monkeypatch, tmp_path):
    """A profile that does not work is not asked."""
    (tmp_path / "config").write_text("[default]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    url, options = f"s3://{bucket}/a.pkl", server.storage_options
    simulated().to_pickle(url, storage_options=options)
    endpoint = {"endpoint_url": server.endpoint_url}
    with pytest.raises(S3Error, match=f"cannot reach {url}: .*custom-process"):
        simulated().to_pickle(url, storage_options=endpoint)


def test_a_bucket_of_an_impossible_name_is_named(tmp_path, monkeypatch):
    """The error says what is wrong with it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must name a bucket of 3 to 63 letters"):
        simulated().to_pickle("s3://b/a.pkl")
    assert list(tmp_path.iterdir()) == []


def test_spikelab_does_not_wait_for_boto3():
    """The import of spikelab leaves boto3 alone."""
    code = "import sys, spikelab; sys.exit('boto3' in sys.modules or 'tqdm' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Every format, there and back.


@pytest.mark.filterwarnings("ignore:to_csv")
@pytest.mark.parametrize("name", FILES)
def test_a_file_arrives_byte_for_byte(name, server, bucket, tmp_path):
    """The object is the local file, and loads as the recording."""
    method, target, options = FILES[name]
    getattr(simulated(), method)(tmp_path / target, **options)
    url = f"s3://{bucket}/deep/{target}"
    store = server.storage_options
    written = getattr(simulated(), method)(
        url, **options, verify=True, storage_options=store
    )
    assert written == url
    assert server.objects(bucket) == {
        f"deep/{target}": (tmp_path / target).read_bytes()
    }
    found = load(url, storage_options=store)
    assert_same_recording(found, load(tmp_path / target))
    assert found.metadata.get("source_file", url) == url


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_arrives_byte_for_byte(name, slash, server, bucket, tmp_path):
    """All files of the local folder, its manifest among them."""
    method, options = FOLDERS[name]
    getattr(simulated(), method)(tmp_path / "folder", **options)
    url = f"s3://{bucket}/deep/folder{slash}"
    store = server.storage_options
    written = getattr(simulated(), method)(url, **options, storage_options=store)
    for path in written if isinstance(written, tuple) else (written,):
        assert path.startswith(f"s3://{bucket}/deep/folder/")
    local = snapshot(tmp_path / "folder")
    found = {
        key.removeprefix("deep/folder/"): value
        for key, value in server.objects(bucket).items()
    }
    assert found == local
    assert_same_recording(load(url, storage_options=store), simulated(), 500 / 30_000)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_second_export_into_a_folder_replaces_the_first(name, server, bucket):
    """What the first left and the second does not have, goes; notes stay."""
    method, options = FOLDERS[name]
    store = server.storage_options
    url = f"s3://{bucket}/folder"
    getattr(simulated(), method)(url, **options, storage_options=store)
    client = server.client()
    client.put_object(Bucket=bucket, Key="folder/notes.txt", Body=b"mine")
    client.put_object(
        Bucket=bucket, Key="folder-of-another/spike_times.npy", Body=b"mine"
    )
    bare = SpikeData(simulated(seed=2).train, length=10_000.0)
    getattr(bare, method)(url, **options, storage_options=store)
    listed = json.loads(server.objects(bucket)["folder/spikelab.json"])["files"]
    kept = {key.removeprefix("folder/").split("/")[0] for key in server.objects(bucket)}
    assert kept == {*listed, "spikelab.json", "notes.txt", "folder-of-another"}
    assert_same_recording(load(url, storage_options=store), bare, 500 / 30_000)


def test_a_folder_of_another_program_is_not_touched(server, bucket):
    """Its files would contradict ours, so an empty place must be named."""
    server.client().put_object(
        Bucket=bucket, Key="f/spike_templates.npy", Body=b"theirs"
    )
    with pytest.raises(FileExistsError, match=f"another program.*s3://{bucket}/f"):
        simulated().to_kilosort(
            f"s3://{bucket}/f", fs_Hz=30_000.0, storage_options=server.storage_options
        )
    assert server.objects(bucket) == {"f/spike_templates.npy": b"theirs"}


def test_what_is_not_of_the_export_is_never_lost(server, bucket):
    """Neither arrays in a folder below, nor a recording of the same name."""
    store, client = server.storage_options, server.client()
    sd = with_raw()
    sd.to_phy(f"s3://{bucket}/f", fs_Hz=10_000.0, storage_options=store)
    client.put_object(Bucket=bucket, Key="f/mine/x.npy", Body=b"mine")
    sd.to_phy(f"s3://{bucket}/f", fs_Hz=10_000.0, storage_options=store)
    assert server.objects(bucket)["f/mine/x.npy"] == b"mine"
    client.put_object(Bucket=bucket, Key="f/recording.dat", Body=b"only copy")
    with pytest.raises(FileExistsError, match=r"recording\.dat"):
        sd.to_phy(
            f"s3://{bucket}/f", fs_Hz=10_000.0, raw_data=True, storage_options=store
        )
    assert server.objects(bucket)["f/recording.dat"] == b"only copy"


def test_slices_arrive_in_their_folders(server, bucket):
    """A folder of folders, and a shorter one after it."""
    store, url = server.storage_options, f"s3://{bucket}/f"
    for length in (2000.0, 5000.0):
        stack = simulated().frames(length)
        stack.to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
        found = load(url, storage_options=store)
        assert found.times == stack.times
        for one, other in zip(found, stack, strict=True):
            assert_same_recording(one, other, 1e-9)


def test_a_folder_without_manifest_is_incomplete(server, bucket):
    """The manifest goes up last: what lacks it was not uploaded whole."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    server.client().delete_object(Bucket=bucket, Key="folder/spikelab.json")
    with pytest.raises(IncompleteExportError, match=f"{url} is incomplete"):
        load(url, storage_options=store)


def test_a_folder_that_lacks_a_listed_file_is_incomplete(server, bucket):
    """As on the disk."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    server.client().delete_object(Bucket=bucket, Key="folder/spike_times.npy")
    with pytest.raises(
        IncompleteExportError, match=f"{url} is incomplete: spike_times"
    ):
        load(url, storage_options=store)


def test_keys_that_lead_out_of_the_folder_are_refused(server, bucket, tmp_path):
    """A listed name may not be a path, and a key may not climb."""
    store, url = server.storage_options, f"s3://{bucket}/folder"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=store)
    client = server.client()
    for names in (["../../evil.npy"], ["/evil.npy"], [".."]):
        manifest = json.dumps({"complete": True, "files": names}).encode()
        client.put_object(Bucket=bucket, Key="folder/spikelab.json", Body=manifest)
        with pytest.raises(FormatError, match="not a spikelab manifest"):
            load(url, storage_options=store)


# How to say where the store is.


def test_the_environment_says_where_the_store_is(server, bucket, monkeypatch):
    """AWS_ENDPOINT_URL_S3 and the other variables of boto3 suffice."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    simulated().to_nwb(f"s3://{bucket}/a.nwb")
    assert_same_recording(load(f"s3://{bucket}/a.nwb"), simulated(), 1e-9)


@pytest.mark.parametrize("how", ["environment", "option"])
def test_profiles_work(how, server, bucket, monkeypatch, tmp_path):
    """A profile of the configuration files, by AWS_PROFILE or profile_name."""
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = {server.region}\n"
        f"aws_access_key_id = {server.access_key}\n"
        f"aws_secret_access_key = {server.secret_key}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    options = {"endpoint_url": server.endpoint_url}
    if how == "environment":
        monkeypatch.setenv("AWS_PROFILE", "lab")
    else:
        options["profile_name"] = "lab"
    simulated().to_pickle(f"s3://{bucket}/a.pkl", storage_options=options)
    assert_same_recording(
        load(f"s3://{bucket}/a.pkl", storage_options=options), simulated()
    )


def test_the_checksum_settings_of_boto3_are_honoured(server, bucket, monkeypatch):
    """Some stores reject checksums: boto3 can be told to leave them out."""
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    url = f"s3://{bucket}/a.pkl"
    for sd in (simulated(), large()):
        sd.to_pickle(url, storage_options=server.storage_options)
        head = server.client().head_object(
            Bucket=bucket, Key="a.pkl", ChecksumMode="ENABLED"
        )
        assert "ChecksumCRC32" not in head
        assert_same_recording(load(url, storage_options=server.storage_options), sd)


def test_the_credentials_of_the_specification_are_used(server, bucket):
    """export_to_pickle and its loader take them one by one."""
    options = server.storage_options
    endpoint = {"endpoint_url": options.pop("endpoint_url")}
    url = f"s3://{bucket}/a.pkl"
    written = simulated().to_pickle(
        url, s3_upload=True, storage_options=endpoint, **options
    )
    assert written == url
    found = spikelab.load_spikedata_from_pickle(
        url, storage_options=endpoint, **options
    )
    assert_same_recording(found, simulated())


def test_an_unknown_option_is_named(bucket):
    """What boto3.client does not know is a TypeError."""
    with pytest.raises(TypeError, match=r"storage_options .* 'endpoint'"):
        simulated().to_pickle("s3://bucket/key", storage_options={"endpoint": "x"})


# Transfers.


def test_large_files_go_in_parts(server, bucket):
    """Multipart up, checked as a whole, and nothing unfinished behind."""
    url, options = f"s3://{bucket}/a.pkl", server.storage_options
    large().to_pickle(url, storage_options=options)
    head = server.client().head_object(Bucket=bucket, Key="a.pkl")
    assert head["ETag"].strip('"').endswith("-6")
    assert np.array_equal(load(url, storage_options=options).raw_data, large().raw_data)
    assert server.unfinished(bucket) == []


def test_a_progress_bar_is_shown_on_request(server, bucket, capsys):
    """On stderr, with the name of the object."""
    url, options = f"s3://{bucket}/deep/a.pkl", server.storage_options
    simulated().to_pickle(url, storage_options=options)
    assert capsys.readouterr().err == ""
    simulated().to_pickle(url, storage_options=options, progress=True)
    assert "upload a.pkl: 100%" in capsys.readouterr().err


def test_without_tqdm_a_progress_bar_names_the_extra(server, bucket, monkeypatch):
    """Before anything is written."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    url = f"s3://{bucket}/a.pkl"
    with pytest.raises(MissingExtraError, match=r"spikelab\[progress\]"):
        simulated().to_pickle(
            url, storage_options=server.storage_options, progress=True
        )
    assert server.objects(bucket) == {}


def test_single_transfers(server, bucket, tmp_path, monkeypatch):
    """upload_to_s3 and download_from_s3, as in the published package."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "notes.txt").write_text("cell 3")
    url = f"s3://{bucket}/notes.txt"
    assert s3_utils.upload_to_s3(str(tmp_path / "notes.txt"), url) == url
    found = s3_utils.download_from_s3(url)
    assert found.endswith(".txt")
    assert Path(found).read_text() == "cell 3"
    Path(found).unlink()
    target = str(tmp_path / "new" / "copy.txt")
    assert s3_utils.download_from_s3(url, target, **credentials(server)) == target
    assert Path(target).read_text() == "cell 3"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert s3_utils.download_from_s3(url, "~/home.txt") == str(tmp_path / "home.txt")
    with pytest.raises(FileNotFoundError, match=f"s3://{bucket}/nothing"):
        s3_utils.download_from_s3(f"s3://{bucket}/nothing", target)
    assert Path(target).read_text() == "cell 3"
    with pytest.raises(FileNotFoundError, match=f"s3://{bucket}/nothing"):
        s3_utils.download_from_s3(f"s3://{bucket}/nothing")
    with pytest.raises(FileNotFoundError, match="missing"):
        s3_utils.upload_to_s3(tmp_path / "missing", url)


def credentials(server):
    """The options of the server without its address."""
    return {k: v for k, v in server.storage_options.items() if k != "endpoint_url"}


def test_an_empty_file_arrives(server, bucket, tmp_path):
    """No byte is a content too."""
    (tmp_path / "empty").touch()
    options = server.storage_options
    s3_utils.upload_to_s3(
        tmp_path / "empty", f"s3://{bucket}/e", storage_options=options
    )
    assert server.objects(bucket) == {"e": b""}


# Failures.


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
        method, options_of_format = FOLDERS["kilosort"]
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


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("s3://lab//x/", "/x/f"),
        ("s3://lab/x//", "x//f"),
        ("s3://lab/x", "x/f"),
        ("s3://lab", "f"),
    ],
)
def test_slashes_of_a_folder_stay(url, inside):
    """At its start and its end: they make another folder."""
    assert located(url).inside("f").key == inside


@pytest.mark.parametrize("key", ["x", "x/", "a b/\N{GREEK SMALL LETTER MU}%20+"])
def test_the_key_of_a_folder_is_taken_as_it_is_written(key, server, bucket):
    """Spaces and signs included."""
    options, url = server.storage_options, f"s3://{bucket}/{key}"
    simulated().to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    beginning = key if key.endswith("/") else f"{key}/"
    assert all(name.startswith(beginning) for name in server.objects(bucket))
    assert_same_recording(load(url, storage_options=options), simulated())


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_may_be_a_whole_bucket(slash, server, bucket):
    """Its files have no folder in their keys."""
    options, url = server.storage_options, f"s3://{bucket}{slash}"
    for seed in (1, 2):
        simulated(seed).to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    assert "spike_times.npy" in server.objects(bucket)
    assert_same_recording(load(url, storage_options=options), simulated(2))


def test_two_exports_that_met_in_a_folder_are_noticed(server, bucket):
    """Files of both lie there; what Phy or a user changed since does no harm."""
    options, client = server.storage_options, server.client()
    for name, seed in (("ks", 1), ("other", 2)):
        simulated(seed).to_kilosort(
            f"s3://{bucket}/{name}", fs_Hz=30_000.0, storage_options=options
        )
    url = f"s3://{bucket}/ks"
    array = client.get_object(Bucket=bucket, Key="ks/spike_times.npy")["Body"].read()
    client.put_object(Bucket=bucket, Key="ks/spike_times.npy", Body=array)
    assert_same_recording(load(url, storage_options=options), simulated(1))
    source = {"Bucket": bucket, "Key": "other/spike_times.npy"}
    client.copy_object(Bucket=bucket, Key="ks/spike_times.npy", CopySource=source)
    with pytest.raises(
        IncompleteExportError, match=f"{url} holds files of two exports"
    ):
        load(url, storage_options=options)


def test_slices_of_equal_arrays_come_back(server, bucket):
    """They are downloaded once, and copied into the other folders."""
    options, url = server.storage_options, f"s3://{bucket}/st"
    stack = SpikeData([[1.0, 2.0, 11.0, 12.0]], length=20.0).frames(10.0)
    stack.to_kilosort(url, fs_Hz=1000.0, storage_options=options)
    found = load(url, storage_options=options)
    assert [sd.train[0].tolist() for sd in found] == [[1.0, 2.0], [1.0, 2.0]]


def test_markers_of_folders_are_no_files(server, bucket):
    """Some programs leave an empty object with a slash at its end."""
    options, url = server.storage_options, f"s3://{bucket}/st"
    simulated().frames(5000).to_kilosort(url, fs_Hz=30_000.0, storage_options=options)
    server.client().put_object(Bucket=bucket, Key="st/slice_0000/", Body=b"")
    assert len(load(url, storage_options=options)) == 2


def test_a_folder_that_is_exported_again_while_it_is_read_is_incomplete(server, bucket):
    """Half of its files would be those of the other export."""
    options, url = server.storage_options, f"s3://{bucket}/ks"
    export = functools.partial(
        simulated().to_kilosort, url, fs_Hz=30_000.0, storage_options=options
    )
    export()
    download, calls = S3Store.download, []

    def download_and_export(self, *arguments, **options):
        mark = download(self, *arguments, **options)
        calls.append(arguments)
        if len(calls) == 1:  # of the manifest
            export(time_unit="ms")
        return mark

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(S3Store, "download", download_and_export)
        with pytest.raises(IncompleteExportError, match="exported again while it was"):
            load(url, storage_options=options)


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


def test_the_command_line_converts_to_and_from_a_bucket(server, bucket, tmp_path):
    """Endpoint and credentials come from the environment; no progress in a pipe."""
    sd = simulated()
    sd.to_pickle(tmp_path / "x.pkl")
    there = f"s3://{bucket}/sorted/cells.nwb"
    environment = {**os.environ, **server.environment()}
    for source, target in ((tmp_path / "x.pkl", there), (there, tmp_path / "y.h5")):
        done = subprocess.run(
            [sys.executable, "-m", "spikelab", "convert", source, target],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert (done.returncode, done.stdout) == (0, f"{target}\n"), done.stderr
        assert "%" not in done.stderr
    assert_same_recording(load(tmp_path / "y.h5"), sd, slack_ms=1e-9)
