"""TsGroups of pynapple, both ways."""

import numpy as np
import pytest
from bridge_contract import BridgeContract, known, on_grid, quietly, warnings_of

from spikelab import SpikeData

nap = pytest.importorskip("pynapple")


class TestPynapple(BridgeContract):
    """Times are rounded to nanoseconds there."""

    package = "pynapple"
    atol_ms = 1e-6
    loses = ("raw_data", "'fs_Hz'")


def group(keys=(0, 1), **columns):
    """A group of another program."""
    support = nap.IntervalSet([0.0, 5.0], [1.0, 9.0])
    members = {key: nap.Ts(np.array([0.5, 5.5]), time_support=support) for key in keys}
    made = nap.TsGroup(members, time_support=support)
    made.set_info(**columns)
    return made


def test_keys_of_another_program_are_ids():
    """Also 0 to N - 1, and after a selection of ours."""
    assert known(quietly(SpikeData.from_pynapple, group()), "unit_id") == [0, 1]
    assert known(quietly(SpikeData.from_pynapple, group((3, 8))), "unit_id") == [3, 8]
    ours = quietly(on_grid([2, 2, 2]).to_pynapple)
    assert known(SpikeData.from_pynapple(ours[[1, 2]]), "unit_id") == [1, 2]


def test_a_window_of_several_epochs():
    """From the first start to the last end; the gaps are named."""
    sd = quietly(SpikeData.from_pynapple, group())
    assert (sd.start_time, sd.length) == (0.0, 9000.0)
    assert sd.train[0].tolist() == [500.0, 5500.0]
    assert "gaps between epochs" in warnings_of(SpikeData.from_pynapple, group())[0]


def test_keys_are_ids_if_they_can_be():
    """Ascending whole numbers; else they are a column."""
    rows = [{"unit_id": i} for i in (2, 9)]
    ours = quietly(on_grid([1, 1], neuron_attributes=rows).to_pynapple)
    assert list(ours.index) == [2, 9]
    ours = quietly(on_grid([1, 1], neuron_attributes=rows[::-1]).to_pynapple)
    assert list(ours.index) == [0, 1]
    assert list(ours.get_info("unit_id")) == [9, 2]


def test_pynapple_works_with_it():
    """Rates, restriction and counts are those of the recording."""
    sd = SpikeData(
        [[100.0, 600.0], []], length=1000.0, neuron_attributes=[{"q": "a"}, {"q": "b"}]
    )
    made = sd.to_pynapple()
    assert made.get_info("rate").fillna(0.0).tolist() == [2.0, 0.0]
    assert len(made.restrict(nap.IntervalSet(0.0, 0.5))[0]) == 1
    assert made.getby_category("q")["a"].index.tolist() == [0]


def test_a_column_that_a_group_has_itself():
    """Its own rate is not replaced, and that is said."""
    rows = [{"rate": 5.0, "metadata": 1}]
    texts = warnings_of(on_grid([1], neuron_attributes=rows, metadata={}).to_pynapple)
    assert "'rate'" in texts[0]
    assert "'metadata'" in texts[0]


def test_values_of_a_tsd_are_named():
    """A Tsd holds more than times."""
    support = nap.IntervalSet(0, 1)
    member = nap.Tsd(t=np.array([0.5]), d=np.array([2.0]), time_support=support)
    made = nap.TsGroup({0: member}, time_support=support)
    assert "values of a Tsd" in warnings_of(SpikeData.from_pynapple, made)[0]
