"""Workspaces of the published package here, and ours there."""

import json
import math
import os
import subprocess

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from siblings import (
    ANY_OBJECT,
    DICTIONARIES,
    assert_same_workspace,
    filled,
    recording,
)

from spikelab.formats.hdf5.values import identical
from spikelab.workspace import AnalysisWorkspace


def published(code, *arguments):
    """Run code with the published package; return what it prints as JSON."""
    command = [
        os.environ["SPIKELAB_PUBLISHED_PYTHON"],
        "-I",
        "-W",
        "ignore",
        "-c",
        code,
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


SHOW = """
import json, sys
from spikelab.workspace import AnalysisWorkspace
workspace = AnalysisWorkspace.load(sys.argv[1])
sd = workspace.get("objects", "recording")
rates = workspace.get("objects", "rates")
print(json.dumps({
    "keys": workspace.list_keys(),
    "notes": workspace.get_info("objects", "rates").get("note"),
    "id": workspace.workspace_id,
    "train": [t.tolist() for t in sd.train],
    "window": [sd.start_time, sd.length],
    "quality": [a.get("quality") for a in sd.neuron_attributes],
    "electrode": [a.get("electrode") for a in sd.neuron_attributes],
    "subject": sd.metadata["subject"],
    "rates": rates.inst_Frate_data.tolist(),
    "image": workspace.get("arrays", "image").tolist(),
    "nested": workspace.get("results", "nested")["bands"]["delta"],
}))
"""


def test_the_published_package_reads_ours(tmp_path):
    """What its layout can express, under the same names."""
    workspace = filled()
    workspace.save(tmp_path / "w")
    seen = published(SHOW, tmp_path / "w")
    expected = {name: sorted(keys) for name, keys in workspace.list_keys().items()}
    assert seen["keys"] == expected
    assert seen["id"] == workspace.workspace_id
    assert seen["notes"] == "made by rates"
    assert seen["train"] == [[1.0, 5.5, 12.0, 40.0], [2.25, 3.0]]
    assert seen["window"] == [0.0, 50.0]
    assert seen["quality"] == ["good", None]
    assert seen["electrode"] == [7, 9]
    assert seen["subject"] == recording().metadata["subject"]
    assert seen["image"] == workspace.get("arrays", "image").tolist()
    assert seen["nested"] == [0.5, 4.0]
    assert math.isnan(seen["rates"][0][1])


LOAD_EACH = """
import json, sys
from spikelab.workspace import AnalysisWorkspace
print(json.dumps(sum(map(len, AnalysisWorkspace.load(sys.argv[1]).list_keys().values()))))
"""


@given(values=st.lists(ANY_OBJECT | DICTIONARIES, min_size=30, max_size=30))
@settings(max_examples=3)
def test_the_published_package_opens_any_of_ours(tmp_path, values):
    """No object that we write keeps it from loading the others."""
    workspace = AnalysisWorkspace()
    for i, value in enumerate(values):
        workspace.store("ns", str(i), value)
    workspace.save(tmp_path / "w")
    assert published(LOAD_EACH, tmp_path / "w") == len(values)


SHOW_ARRAYS = """
import json, sys
from spikelab.workspace import AnalysisWorkspace
workspace = AnalysisWorkspace.load(sys.argv[1])
print(json.dumps({k: repr(workspace.get("ns", k)) for k in workspace.list_keys("ns")}))
"""


def test_the_published_package_sees_structured_arrays_and_bytes(tmp_path):
    """As they are."""
    workspace = AnalysisWorkspace()
    events = np.array([(3, 1.5), (4, 2.5)], dtype=[("sample", "<i8"), ("value", "<f4")])
    workspace.store("ns", "events", events)
    workspace.store("ns", "bytes", np.array([b"ab", b"\xff"]))
    workspace.save(tmp_path / "w")
    assert published(SHOW_ARRAYS, tmp_path / "w") == {
        key: repr(workspace.get("ns", key)) for key in ("bytes", "events")
    }


MAKE = """
import json, sys
import numpy as np
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.workspace import AnalysisWorkspace
w = AnalysisWorkspace("theirs")
attributes = [{"a": 1, "q": "good", "w": np.arange(3)}, {"a": 2, "ok": True}]
sd = SpikeData([[1.0, 5.5], [2.25]], length=20.0, start_time=-1.0,
    neuron_attributes=attributes, metadata={"m": np.arange(2), "n": None},
    raw_data=np.arange(6).reshape(2, 3), raw_time=np.arange(3.0))
rd = RateData(np.arange(6.0).reshape(2, 3), np.arange(3.0), attributes)
w.store("o", "sd", sd, note="hello")
w.store("o", "rd", rd)
w.store("o", "pcm", PairwiseCompMatrix(np.eye(2), ["a", "b"], {"x": 1}))
w.store("o", "pcms", PairwiseCompMatrixStack(np.zeros((2, 2, 1)), None, [(0.0, 1.0)]))
w.store("o", "rss", RateSliceStack(rd, [(0.0, 2.0), (1.0, 3.0)]))
w.store("o", "sss", SpikeSliceStack(sd, [(0.0, 5.0), (5.0, 10.0)]))
w.store("o", "d", {"i": 1, "f": 2.5, "b": True, "s": "x", "n": None, "t": (1, 2),
    "z": {"a"}, "inner": {"sd": sd, "arr": np.array(["u"])}})
w.store("o", "arr", np.arange(4))
w.save(sys.argv[1])
print("0")
"""


def test_what_the_published_package_wrote_loads(tmp_path):
    """All six classes, arrays and dictionaries, with attributes and notes."""
    published(MAKE, tmp_path / "theirs")
    workspace = AnalysisWorkspace.load(tmp_path / "theirs")
    assert workspace.name == "theirs"
    sd = workspace.get("o", "sd")
    assert [times.tolist() for times in sd.train] == [[1.0, 5.5], [2.25]]
    assert (sd.start_time, sd.length) == (-1.0, 20.0)
    assert identical(
        sd.neuron_attributes,
        [{"a": 1, "q": "good", "w": np.arange(3)}, {"a": 2, "ok": True}],
    )
    assert identical(sd.metadata, {"m": np.arange(2), "n": None})
    assert sd.raw_data.shape == (2, 3)
    assert workspace.get_info("o", "sd")["note"] == "hello"
    assert workspace.get("o", "rd").inst_Frate_data.shape == (2, 3)
    assert workspace.get("o", "pcm").labels == ["a", "b"]
    assert workspace.get("o", "pcms").times == [(0.0, 1.0)]
    assert workspace.get("o", "rss").times == [(0.0, 2.0), (1.0, 3.0)]
    assert len(workspace.get("o", "sss")) == 2
    found = workspace.get("o", "d")
    inner = found.pop("inner")
    assert identical(
        dict(sorted(found.items())),
        {"b": True, "f": 2.5, "i": 1, "n": None, "s": "x", "t": (1, 2), "z": {"a"}},
    )
    assert identical(inner["arr"], np.array(["u"]))
    assert inner["sd"].N == 2
    workspace.save(tmp_path / "ours", verify=True)
    again = AnalysisWorkspace.load(tmp_path / "ours")
    assert_same_workspace(again, workspace)
