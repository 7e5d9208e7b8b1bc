"""Spikes and units as tables of pandas."""

from typing import Any

import numpy as np

from spikelab.bridges import library
from spikelab.spikedata.spikedata import SpikeData

_DTYPES = {"float": "float64", "int": "Int64", "bool": "boolean", "str": "string"}
"""Those of attributes that some units lack, which can say what is missing."""


def to_dataframe(sd: SpikeData) -> Any:
    """Return a DataFrame with one row per spike; see ``SpikeData.to_dataframe``."""
    pandas = library("pandas", "to_dataframe", "pandas")
    units, times = sd.idces_times()
    return pandas.DataFrame({"unit": units, "time_ms": times}, copy=False)


def units_dataframe(sd: SpikeData) -> Any:
    """Return a DataFrame with one row per unit; see ``SpikeData.units_dataframe``."""
    pandas = library("pandas", "units_dataframe", "pandas")
    counted = {
        "unit": np.arange(sd.N),
        "n_spikes": sd.spike_trains.counts,
        "mean_rate_Hz": sd.rates("Hz"),
    }
    columns: dict[Any, Any] = dict(counted)
    for key, column in sd.unit_table.columns.items():
        values = [column.known.get(unit) for unit in range(sd.N)]
        dtype: Any = _DTYPES.get(column.kind, object)
        if column.is_complete and column.kind != "float":
            dtype = {"int": None, "bool": bool}.get(column.kind, object)
        # An attribute called n_spikes is not what is counted.
        name = f"{key}_attribute" if key in counted else key
        columns[name] = pandas.Series(values, dtype=dtype)
    return pandas.DataFrame(columns)
