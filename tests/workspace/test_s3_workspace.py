"""A workspace, and a pair of CSV tables, on a real S3 server."""

import os

import numpy as np
import pytest
from s3_server import S3Server
from siblings import assert_same_object, assert_same_workspace, filled, recording

from spikelab import load
from spikelab.errors import S3Error
from spikelab.workspace import AnalysisWorkspace


@pytest.fixture(scope="module")
def server():
    """One server for these tests."""
    with S3Server() as started:
        yield started


@pytest.fixture(autouse=True)
def no_credentials_of_the_machine(monkeypatch, tmp_path):
    """Nothing but what a test passes on."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def test_a_workspace_goes_to_s3_and_back(server):
    """Whole, or one object of it; the suffix is added to a URL too."""
    bucket, options = server.bucket("workspaces"), server.storage_options
    workspace = filled()
    url = f"s3://{bucket}/lab/analysis"
    assert workspace.save(url, verify=True, storage_options=options) == f"{url}.h5"
    for name in (url, f"{url}.h5"):
        found = AnalysisWorkspace.load(name, storage_options=options)
        assert_same_workspace(found, workspace)
    item = AnalysisWorkspace.load_item(
        url, "objects", "recording", storage_options=options
    )
    assert_same_object(item, recording())


def test_a_progress_bar_is_shown_on_request(server, capsys):
    """While the file comes and goes."""
    url, options = f"s3://{server.bucket('bars')}/w.h5", server.storage_options
    workspace = filled()
    # A small file has come with the first look at it.
    workspace.store("arrays", "noise", np.random.default_rng(0).random(500_000))
    workspace.save(url, storage_options=options, progress=True)
    assert "upload w.h5: 100%" in capsys.readouterr().err
    AnalysisWorkspace.load(url, storage_options=options, progress=True)
    assert "download w.h5: 100%" in capsys.readouterr().err


def test_a_workspace_that_is_not_there_is_an_error(server):
    """Which names the URL."""
    url, options = f"s3://{server.bucket('empty')}/none.h5", server.storage_options
    with pytest.raises((S3Error, FileNotFoundError), match=r"none\.h5"):
        AnalysisWorkspace.load(url, storage_options=options)


def test_both_tables_go_to_s3_and_back(server):
    """Spikes compressed, units not."""
    bucket, options = server.bucket("tables"), server.storage_options
    spikes, units = f"s3://{bucket}/spikes.csv.gz", f"s3://{bucket}/units.csv"
    sd = recording()
    sd.to_csv(spikes, units_table=units, verify=True, storage_options=options)
    found = load(spikes, units_table=units, storage_options=options)
    assert (found.N, found.length) == (sd.N, sd.length)
    assert [t.tolist() for t in found.train] == [t.tolist() for t in sd.train]
