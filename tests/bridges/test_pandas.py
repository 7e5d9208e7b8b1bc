"""Spikes and units as tables of pandas."""

import sys

import numpy as np
import pytest
from recordings import simulated

from spikelab import SpikeData
from spikelab.errors import MissingExtraError

pandas = pytest.importorskip("pandas")


def test_spikes():
    """One row each, unit after unit; from_idces_times takes the columns back."""
    sd = simulated()
    table = sd.to_dataframe()
    assert table.columns.tolist() == ["unit", "time_ms"]
    assert [str(dtype) for dtype in table.dtypes] == ["int64", "float64"]
    back = SpikeData.from_idces_times(
        table["unit"], table["time_ms"], N=sd.N, length=sd.length
    )
    assert [t.tolist() for t in back.train] == [t.tolist() for t in sd.train]


def test_units():
    """Counts and rates, silent units too, then the attributes."""
    rows = [
        {
            "unit_id": 7,
            "snr": 2.5,
            "q": "good",
            "ok": True,
            "n": 3,
            "place": [0.0, 1.0],
        },
        {"unit_id": 3},
    ]
    sd = SpikeData([[1.0, 2.0], []], length=500.0, neuron_attributes=rows)
    table = sd.units_dataframe()
    assert table.columns.tolist()[:3] == ["unit", "n_spikes", "mean_rate_Hz"]
    assert table["n_spikes"].tolist() == [2, 0]
    assert table["mean_rate_Hz"].tolist() == [4.0, 0.0]
    assert table["unit_id"].tolist() == [7, 3]
    assert table[["snr", "q", "ok", "n", "place"]].isna().to_numpy().tolist() == [
        [False] * 5,
        [True] * 5,
    ]
    assert table.loc[0, ["snr", "q", "ok", "n"]].tolist() == [2.5, "good", True, 3]
    assert str(table["n"].dtype) == "Int64"


def test_attributes_that_are_called_like_a_count():
    """They stand beside it."""
    sd = SpikeData([[1.0]], neuron_attributes=[{"n_spikes": 99, "unit": "a"}])
    table = sd.units_dataframe()
    assert table["n_spikes"].tolist() == [1]
    assert table["n_spikes_attribute"].tolist() == [99]
    assert table["unit_attribute"].tolist() == ["a"]


@pytest.mark.parametrize("sd", [SpikeData([]), SpikeData([[]]), SpikeData([[], []])])
def test_few_units(sd):
    """No unit, or silent ones."""
    assert len(sd.to_dataframe()) == 0
    assert sd.units_dataframe()["unit"].tolist() == list(range(sd.N))


def test_without_pandas(monkeypatch):
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    for method in ("to_dataframe", "units_dataframe"):
        with pytest.raises(MissingExtraError, match=rf"{method}.*spikelab\[pandas\]"):
            getattr(SpikeData([[1.0]]), method)()


def test_the_table_is_the_users():
    """Changing it does not change the recording."""
    sd = simulated()
    before = sd.train[0].copy()
    table = sd.to_dataframe()
    table.loc[:, "time_ms"] = 5.0
    assert np.array_equal(sd.train[0], before)
