"""S3: every format to a real server and back, and how the server is found."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recordings import assert_same_recording, large, simulated

import spikelab
from spikelab import load
from spikelab.data_loaders import s3_utils
from spikelab.errors import (
    MissingExtraError,
    S3Error,
)

pytestmark = pytest.mark.usefixtures("surroundings")

FILES = {
    "hdf5 ragged": ("to_hdf5", "a.h5", {}),
    "hdf5 raster": ("to_hdf5", "a.h5", {"style": "raster", "raster_bin_size_ms": 1.0}),
    "hdf5 group": ("to_hdf5", "a.h5", {"style": "group"}),
    "hdf5 paired": ("to_hdf5", "a.h5", {"style": "paired"}),
    "nwb": ("to_nwb", "a.nwb", {}),
    "csv": ("to_csv", "a.csv", {}),
    "pickle": ("to_pickle", "a.pkl", {}),
}


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


def test_given_credentials_need_no_others(server, bucket, monkeypatch, tmp_path):
    """A profile that does not work is not asked."""
    (tmp_path / "config").write_text("[default]\ncredential_process = false\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    url, options = f"s3://{bucket}/a.pkl", server.storage_options
    simulated().to_pickle(url, storage_options=options)
    endpoint = {"endpoint_url": server.endpoint_url}
    with pytest.raises(S3Error, match=f"cannot reach {url}: .*custom-process"):
        simulated().to_pickle(url, storage_options=endpoint)


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
