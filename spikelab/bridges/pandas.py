"""Spikes and units as tables of pandas."""

from typing import Any

import numpy as np

from spikelab.bridges import library
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import Column

COUNTED = ("unit", "n_spikes", "mean_rate_Hz")
"""The columns of a table of units before those of the attributes."""


def to_dataframe(sd: SpikeData) -> Any:
    """Return a DataFrame with one row per spike; see ``SpikeData.to_dataframe``."""
    pandas = library("pandas", "to_dataframe", "pandas")
    units, times = sd.idces_times()
    return pandas.DataFrame({"unit": units, "time_ms": times}, copy=False)


def units_dataframe(sd: SpikeData) -> Any:
    """Return a DataFrame with one row per unit; see ``SpikeData.units_dataframe``."""
    pandas = library("pandas", "units_dataframe", "pandas")
    counted = (np.arange(sd.N), sd.spike_trains.counts, sd.rates("Hz"))
    columns: dict[Any, Any] = dict(zip(COUNTED, counted, strict=True))
    for key, column in sd.unit_table.columns.items():
        # An attribute called n_spikes is not what is counted.
        name = f"{key}_attribute" if key in COUNTED else key
        columns[name] = _series(pandas, column)
    return pandas.DataFrame(columns)


def _series(pandas: Any, column: Column) -> Any:
    """Return an attribute as a Series of the dtype that can say what is missing."""
    values = [column.known.get(unit) for unit in range(len(column.values))]
    dtypes = {"float": "float64", "int": "Int64", "bool": "boolean", "str": "string"}
    dtype: Any = dtypes.get(column.kind, object)
    if column.is_complete and column.kind != "float":
        dtype = {"int": None, "bool": bool}.get(column.kind, object)
    return pandas.Series(values, dtype=dtype)
