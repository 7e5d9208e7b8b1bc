"""Comparisons of pairs in NWB."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from siblings import (
    any_matrix,
    any_stack,
    comparison_matrix,
    comparison_stack,
    integer_matrix,
    plain_stack,
)

from spikelab import load
from spikelab.errors import VerificationError
from spikelab.formats import NWBWriter
from spikelab.spikedata.differences import equal as same
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack

RANDOM = settings(max_examples=50)


@given(obj=any_matrix() | any_stack())
@RANDOM
def test_any_comparison_comes_back(obj, tmp_path):
    """Values as they were; labels and windows too, if no loss is told."""
    obj.to_nwb(tmp_path / "a.nwb", verify=True)
    found = load(tmp_path / "a.nwb")
    assert type(found) is type(obj)
    is_matrix = isinstance(obj, PairwiseCompMatrix)
    assert same(*((o.matrix if is_matrix else o.stack) for o in (found, obj)))
    if not is_matrix:
        assert (found.times is None) == (obj.times is None)
        np.testing.assert_allclose(
            np.reshape(found.times or [], (-1, 2)),
            np.reshape(obj.times or [], (-1, 2)),
            rtol=1e-15,
        )
    lost = NWBWriter().losses(obj)
    if not any("label" in line for line in lost):
        assert found.labels == obj.labels
    if not lost:
        assert obj.metadata == {}


@pytest.mark.parametrize("make", [integer_matrix, plain_stack])
def test_comparisons_come_back(make, tmp_path):
    """As they were."""
    make().to_nwb(tmp_path / "a.nwb", verify=True, strict=True)
    assert load(tmp_path / "a.nwb") == make()


def test_each_unit_has_a_row(tmp_path):
    """Its label, and its row of the matrix."""
    values = np.array([[1.0, np.nan], [0.25, 1.0]])
    PairwiseCompMatrix(values, ["a", "b"]).to_nwb(tmp_path / "a.nwb", verify=True)
    with h5py.File(tmp_path / "a.nwb") as file:
        table = file["processing/ecephys/pairwise_comparison"]
        assert list(table.attrs["colnames"]) == ["label", "comparison"]
        assert table["label"].asstr()[:].tolist() == ["a", "b"]
        np.testing.assert_array_equal(table["comparison"], values)
        assert "units" not in file
    found = load(tmp_path / "a.nwb")
    assert found.labels == ["a", "b"]


def test_windows_are_trials(tmp_path):
    """And the third axis of the values."""
    comparison_stack().to_nwb(tmp_path / "a.nwb", verify=True)
    with h5py.File(tmp_path / "a.nwb") as file:
        table = file["processing/ecephys/pairwise_comparison"]
        assert table["comparison"].shape == (2, 2, 3)
        assert file["intervals/trials/stop_time"][:].tolist() == [0.001, 0.002, 0.003]
    found = load(tmp_path / "a.nwb")
    np.testing.assert_array_equal(found.stack, comparison_stack().stack)
    assert found.times == [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]
    assert found.labels == ["3", "b"]


def test_what_is_lost_is_told():
    """Metadata, and labels that only text can hold together."""
    lost = NWBWriter().losses(comparison_matrix())
    assert [line.split(" ")[0] for line in lost] == ["metadata", "the"]
    assert NWBWriter().losses(plain_stack()) == []


@pytest.mark.parametrize("missing", [None, np.nan], ids=str)
def test_labels_that_look_missing_are_told(missing, tmp_path):
    """An empty one and a missing one are the same in the file."""
    matrix = PairwiseCompMatrix(np.eye(3), ["", missing, "x"])
    matrix.to_nwb(tmp_path / "a.nwb", verify=True)
    assert load(tmp_path / "a.nwb").labels == ["", "", "x"]
    lost = "which labels are missing (NaN or empty in the file)"
    assert NWBWriter().losses(matrix) == [lost]


def test_other_labels_make_another_identifier(tmp_path):
    """Also of the same values."""
    found = set()
    for labels in (None, ["a", "b"], ["a", "c"]):
        PairwiseCompMatrix(np.eye(2), labels).to_nwb(tmp_path / "a.nwb")
        with h5py.File(tmp_path / "a.nwb") as file:
            found.add(file["identifier"][()])
    assert len(found) == 3


def test_labels_of_several_types_become_text(tmp_path):
    """So that each row has one."""
    comparison_matrix().to_nwb(tmp_path / "a.nwb", verify=True)
    assert load(tmp_path / "a.nwb").labels == ['a,\n"b"', "3"]


@pytest.mark.parametrize(
    ("obj", "rule"),
    [
        (PairwiseCompMatrix(np.eye(2, dtype=complex)), "real numbers"),
        (PairwiseCompMatrix(np.eye(2, dtype=object)), "real numbers"),
        (PairwiseCompMatrixStack(np.ones((1, 1, 1)), times=[3.0]), "start and an end"),
        (
            PairwiseCompMatrixStack(np.ones((1, 1, 1)), times=[(0.0, np.inf)]),
            "must be finite",
        ),
    ],
)
def test_what_nwb_cannot_hold_is_refused(obj, rule, tmp_path):
    """Before the file is touched."""
    with pytest.raises(ValueError, match=rule):
        obj.to_nwb(tmp_path / "a.nwb")
    assert not list(tmp_path.iterdir())


def test_no_units_come_back(tmp_path):
    """A matrix of nothing."""
    PairwiseCompMatrix(np.empty((0, 0))).to_nwb(tmp_path / "a.nwb", verify=True)
    assert load(tmp_path / "a.nwb").matrix.shape == (0, 0)


@pytest.mark.parametrize(
    "labels", [["a\0", "b"], ["\ud800", "b"], ("a", "b"), np.array(["a", "b"])]
)
def test_labels_that_do_not_come_back_are_said_to_be_lost(labels, tmp_path):
    """As a whole, or the type of what holds them."""
    matrix = PairwiseCompMatrix(np.eye(2), labels)
    (lost,) = NWBWriter().losses(matrix)
    assert lost.startswith("labels ")
    matrix.to_nwb(tmp_path / "a.nwb", verify=True)
    assert load(tmp_path / "a.nwb") != matrix


@pytest.mark.parametrize(
    ("times", "lost"),
    [
        ([(0.0, 1.0)], []),
        (np.array([[0.0, 1.0]]), []),
        ([(250.824, 256.5)], []),
        ([(250.824 * 2**33, 2.5e12)], ["windows are rounded by up to 0.000244 ms"]),
    ],
)
def test_what_becomes_of_windows_is_told(times, lost, tmp_path):
    """They come back as a list of tuples, in milliseconds."""
    stack = PairwiseCompMatrixStack(np.ones((1, 1, 1)), times=times)
    told = NWBWriter().losses(stack)
    assert [line.split(" (")[0] for line in told] == lost
    stack.to_nwb(tmp_path / "a.nwb", verify=True)
    np.testing.assert_allclose(load(tmp_path / "a.nwb").times, times, rtol=1e-15)


@pytest.mark.parametrize("times", [None, [(0.0, 1.0), (1.0, 2.0)]])
@pytest.mark.parametrize("more", [1, 2, 3])
def test_trials_that_others_have_added_are_no_windows(times, more, tmp_path):
    """The table says how many of them are its own."""
    stack = PairwiseCompMatrixStack(np.zeros((2, 2, 2)), ["a", "b"], times)
    stack.to_nwb(tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb", "r+") as file:
        trials = file.require_group("intervals/trials")
        for name in ("start_time", "stop_time"):
            old = trials[name][()] if name in trials else np.empty(0)
            attributes = dict(trials[name].attrs) if name in trials else {}
            if name in trials:
                del trials[name]
            trials[name] = [*old, *np.arange(more) + 7.0]
            trials[name].attrs.update(attributes)
    assert load(tmp_path / "a.nwb") == stack


def test_labels_may_be_nan(tmp_path):
    """NaN is the same label as NaN."""
    matrix = PairwiseCompMatrix(np.eye(2), [float("nan"), 1.0])
    matrix.to_nwb(tmp_path / "a.nwb", verify=True)


def test_verify_finds_a_changed_value(tmp_path):
    """And publishes nothing."""

    class Damaging(NWBWriter):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                file["processing/ecephys/pairwise_comparison/comparison"][0, 1] += 1

    with pytest.raises(VerificationError, match="matrix differs"):
        Damaging(verify=True).write(integer_matrix(), tmp_path / "a.nwb")
    assert not list(tmp_path.iterdir())
