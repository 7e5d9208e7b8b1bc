"""Data objects with plain numbers only: no file format has units of measurement."""

from typing import Any, TypeVar

import numpy as np

from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.quantity import has_unit, split_unit
from spikelab.spikedata.spike_trains import SpikeTrains

D = TypeVar("D", bound=DataObject)

_BARE = {bool, int, float, str, list, tuple, dict, np.ndarray, type(None), SpikeTrains}
"""The most frequent types, whose values have no unit."""

_Units = dict[str, set[str]]
"""The units of measurement that were left out, by the name of what had them."""


def without_units(obj: D) -> tuple[D, list[str]]:
    """Return an object whose values have no unit of measurement.

    Values of quantities, pint, astropy and brian2 have one: among the attributes of the
    units, in the metadata, or as whole arrays.

    Returns
    -------
    data object
        `obj` itself, if none of its values has a unit.
    list of str
        In words, which units were left out, and of what.
    """
    found: _Units = {}
    if not any(map(has_unit, _types(obj) - _BARE)):
        return obj, []
    plain = _without(obj, found)
    return plain, [
        f"the unit of {name} ({', '.join(sorted(units))}), whose numbers are plain ones"
        for name, units in found.items()
    ]


def _types(obj: DataObject) -> set[type]:
    """Return the types of the values that may have a unit."""
    known = getattr(obj, "neuron_attributes", None) or ()
    types: set[type] = set()
    for table in (vars(obj), getattr(obj, "metadata", None) or {}, *known):
        types.update(map(type, table.values()))
        for value in table.values():
            if type(value) in (list, tuple):
                types.update(map(type, value))
    return types.union(*map(_types, getattr(obj, "spike_stack", ())))


def _without(obj: D, found: _Units) -> D:
    plain: dict[str, Any] = {}
    for argument, name in data_class(obj).FIELDS.items():
        value = getattr(obj, name)
        if name == "spike_stack":
            plain[argument] = [_without(sd, found) for sd in value]
        elif name == "neuron_attributes" and value:
            plain[argument] = [_numbers(name, row, found) for row in value]
        elif name == "metadata" and value:
            plain[argument] = _numbers(name, value, found)
        elif isinstance(value, np.ndarray):
            plain[argument] = _number(name, value, found)
    return obj._replaced(**plain)


def _numbers(name: str, values: Any, found: _Units) -> dict[Any, Any]:
    return {k: _number(f"{name}[{k!r}]", value, found) for k, value in values.items()}


def _number(name: str, value: Any, found: _Units) -> Any:
    if type(value) in (list, tuple) and any(map(has_unit, set(map(type, value)))):
        return type(value)(_number(name, item, found) for item in value)
    if not has_unit(type(value)):
        return value
    number, unit = split_unit(value)
    if unit:
        found.setdefault(name, set()).add(unit)
    return number
