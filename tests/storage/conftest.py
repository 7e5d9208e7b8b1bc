"""Stores for the tests of this folder."""

import os
import tempfile
import time

import pytest
from s3_server import S3Server


@pytest.fixture
def memory(monkeypatch, tmp_path_factory):
    """A store in memory that is empty, and temporary files in a folder of ours."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    fs = pytest.importorskip("fsspec").filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    yield fs
    fs.store.clear()
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="session")
def server():
    """A server of S3 for all tests that do not harm it."""
    with S3Server() as started:
        yield started


@pytest.fixture
def bucket(server):
    """An empty bucket."""
    return server.bucket(f"bucket-{time.monotonic_ns()}")


@pytest.fixture
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
