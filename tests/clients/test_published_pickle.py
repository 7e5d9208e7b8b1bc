"""Pickles of the published package here, and ours there."""

import json
import os
import subprocess

import numpy as np
import pytest

from spikelab import SpikeData, load, load_from_pickle
from spikelab.spikedata.pairwise import PairwiseCompMatrix
from spikelab.spikedata.ratedata import RateData

PROTOCOLS = range(6)

MAKE = """
import sys
import numpy as np
from spikelab.data_loaders.data_exporters import export_to_pickle
from spikelab.spikedata import SpikeData
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.pairwise import PairwiseCompMatrix

folder, protocol = sys.argv[1], int(sys.argv[2])
table = np.array([[1, "A"], [2, "B"], [3, None]], dtype=object, order="F")
recording = SpikeData(
    [[1.0, 2.5], [], [3.0]],
    N=3,
    length=10.0,
    metadata={"trials": table, "turned": table.T},
    neuron_attributes=[{"quality": q} for q in ("good", "mua", None)],
    raw_data=np.arange(20, dtype=np.int16).reshape(2, 10),
    raw_time=np.arange(10.0),
)
export_to_pickle(recording, f"{folder}/recording.pkl", protocol=protocol)
rates = RateData(np.arange(6.0).reshape(2, 3), np.arange(3.0))
export_to_pickle(rates, f"{folder}/rates.pkl", protocol=protocol)
matrix = PairwiseCompMatrix(np.eye(2), labels=["a", "b"], metadata={"lag": 3})
export_to_pickle(matrix, f"{folder}/matrix.pkl", protocol=protocol)
"""

SHOW = """
import json, sys
from spikelab.data_loaders.data_loaders import load_spikedata_from_pickle
sd = load_spikedata_from_pickle(sys.argv[1])
print(json.dumps({
    "train": [t.tolist() for t in sd.train],
    "window": [sd.start_time, sd.length],
    "trials": sd.metadata["trials"].tolist(),
    "quality": [a["quality"] for a in sd.neuron_attributes],
    "raw": sd.raw_data.tolist(),
}))
"""


def published(code, *arguments):
    """Run code with the published package and return what it prints."""
    python = os.environ["SPIKELAB_PUBLISHED_PYTHON"]
    command = [python, "-I", "-W", "ignore", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def recording():
    """The recording that the published package makes above."""
    table = np.array([[1, "A"], [2, "B"], [3, None]], dtype=object, order="F")
    return SpikeData(
        [[1.0, 2.5], [], [3.0]],
        length=10.0,
        metadata={"trials": table, "turned": table.T},
        neuron_attributes=[{"quality": q} for q in ("good", "mua", None)],
        raw_data=np.arange(20, dtype=np.int16).reshape(2, 10),
        raw_time=np.arange(10.0),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pickles_of_the_published_package_come_back(protocol, tmp_path):
    """Its classes, arrays of any order, and arrays of objects in Fortran order."""
    published(MAKE, tmp_path, protocol)
    for trusted in (False, True):
        found = load_from_pickle(tmp_path / "recording.pkl", trusted=trusted)
        # It adds metadata of its own when it makes a recording.
        assert found.metadata["trials"].tolist() == [[1, "A"], [2, "B"], [3, None]]
        assert found.metadata["turned"].tolist() == [[1, 2, 3], ["A", "B", None]]
        found.metadata = recording().metadata
        assert found == recording()
    rates = RateData(np.arange(6.0).reshape(2, 3), np.arange(3.0))
    assert load(tmp_path / "rates.pkl").inst_Frate_data.tolist() == (
        rates.inst_Frate_data.tolist()
    )
    matrix = PairwiseCompMatrix(np.eye(2), ["a", "b"], {"lag": 3})
    assert load(tmp_path / "matrix.pkl") == matrix


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_our_pickles_open_in_the_published_package(protocol, tmp_path):
    """With every protocol."""
    sd = recording()
    sd.to_pickle(tmp_path / "sd.pkl", protocol=protocol)
    assert json.loads(published(SHOW, tmp_path / "sd.pkl")) == {
        "train": [times.tolist() for times in sd.train],
        "window": [0.0, 10.0],
        "trials": sd.metadata["trials"].tolist(),
        "quality": ["good", "mua", None],
        "raw": sd.raw_data.tolist(),
    }
