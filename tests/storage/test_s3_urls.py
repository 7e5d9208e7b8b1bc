"""What is a URL of S3, and what only looks like one."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest
from recordings import simulated

from spikelab import load
from spikelab.data_loaders import s3_utils
from spikelab.storage.s3 import S3Store
from spikelab.storage.urls import located

pytestmark = pytest.mark.usefixtures("surroundings")

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
