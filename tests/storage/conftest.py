"""Stores for the tests of this folder."""

import tempfile

import pytest


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
