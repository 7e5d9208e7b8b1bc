"""What to call with an object of another package, which errors say in its place."""

import os
from collections.abc import Mapping
from typing import Any

_TABLES = ("DataFrame", "LazyFrame", "Table")

AS_ARRAYS = (*_TABLES, "Series", "DataArray")
"""Classes whose objects are arrays too, with labels for rows and columns."""

_SIGNAL = "take signal.magnitude.T, of shape (channels, samples), and signal.times"

_BY_NAME = {
    "TsdFrame": "take tsd.values.T (columns, times), and 1000 * tsd.times() in ms",
    "Tsd": "take [tsd.values] and 1000 * tsd.times() in ms",
    "AnalogSignal": _SIGNAL,
    "IrregularlySampledSignal": _SIGNAL,
    "SpikeTrainList": "",  # a list like any other
}
"""What to take of an object instead."""

_BY_PACKAGE = {
    "spikeinterface": "SpikeData.from_spikeinterface takes a sorting or an analyzer",
    "neo": "SpikeData.from_neo takes a Block, a Segment or a list of SpikeTrains",
    "pynapple": "SpikeData.from_pynapple takes a TsGroup",
    "pynwb": "spikelab.load reads an NWB file",
    "xarray": "its values are an array",
}
"""What to call with the other objects of a package."""


def instead_of(value: Any, table: str = "to_numpy() returns an array") -> str:
    """Return what an object that is no array is, and what to call with it.

    "" for anything else. `table` is what to call with a DataFrame. The other packages
    need not be installed, and are not imported.
    """
    name = type(value).__name__
    article = "an" if name[0] in "AEIOU" else "a"
    kind = f"{article} {name}"
    if name in _TABLES:
        return f"{kind}: {table}"
    if isinstance(value, str | bytes | os.PathLike):
        return f"{value!r:.80}: spikelab.load reads a file or a folder"
    packages = {cls.__module__.partition(".")[0] for cls in type(value).__mro__}
    for package in packages & _BY_PACKAGE.keys():
        call = _BY_NAME.get(name, _BY_PACKAGE[package])
        return f"{kind}: {call}" if call else ""
    if isinstance(value, Mapping):
        return f"{kind}: list(x.values()) are the arrays in a mapping x"
    return ""
