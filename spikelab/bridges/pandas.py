"""Spikes and units as tables of pandas."""

from typing import TYPE_CHECKING, Any

import numpy as np

from spikelab.bridges import library
from spikelab.spikedata.spikedata import SpikeData

if TYPE_CHECKING:
    import pandas

_DTYPES = {"float": "float64", "int": "Int64", "bool": "boolean", "str": "string"}
"""Those of attributes that some units lack, which can say what is missing."""


def to_dataframe(sd: SpikeData) -> "pandas.DataFrame":
    """Return a DataFrame of pandas with one row per spike, unit after unit.

    Columns are ``unit`` (int64, from 0) and ``time_ms`` (float64).

    Raises
    ------
    MissingExtraError
        Without pandas, of the extra ``pandas``.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> SpikeData([[1.5, 2.0], [0.5]]).to_dataframe()
       unit  time_ms
    0     0      1.5
    1     0      2.0
    2     1      0.5
    """
    pandas = library("pandas", "to_dataframe", "pandas")
    units, times = sd.idces_times()
    return pandas.DataFrame({"unit": units, "time_ms": times}, copy=False)


def units_dataframe(sd: SpikeData) -> "pandas.DataFrame":
    """Return a DataFrame of pandas with one row per unit.

    Columns are ``unit`` (from 0), ``n_spikes``, ``mean_rate_Hz`` (0 if the length
    is 0), and the attributes; one that has the name of these gets ``_attribute``
    behind it. Missing values are pandas' own.

    Raises
    ------
    MissingExtraError
        Without pandas, of the extra ``pandas``.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[1.5], []], length=500.0, neuron_attributes=[{"snr": 4.5}, {}])
    >>> sd.units_dataframe()
       unit  n_spikes  mean_rate_Hz  snr
    0     0         1           2.0  4.5
    1     1         0           0.0  NaN
    """
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
