"""Data objects with plain numbers only: no file format has units of measurement."""

import operator
from typing import Any, TypeVar

from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.quantity import has_unit, split_unit

D = TypeVar("D", bound=DataObject)

_HOLDERS = (dict, list, tuple, DataObject)
_DEEPEST = 100
"""Levels of values in values that are searched."""


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
    if not _holds_unit(obj):
        return obj, []
    found: dict[str, set[str]] = {}
    try:
        plain: D = _plain("", obj, found)
    except RecursionError:  # a value holds itself, which each format refuses
        return obj, []
    return plain, [
        f"the unit of {name} ({', '.join(sorted(units))}), whose numbers are plain ones"
        for name, units in found.items()
    ]


def _holds_unit(obj: DataObject) -> bool:
    """Return whether any value in an object has a unit, also in dictionaries and lists.

    Level by level, since thousands of values have few types.
    """
    values: list[Any] = [obj]
    for _ in range(_DEEPEST):
        kinds = set(map(type, values))
        if any(map(has_unit, kinds)):
            return True
        holders = {kind for kind in kinds if issubclass(kind, _HOLDERS)}
        if not holders:
            return False
        values = [part for v in values if type(v) in holders for part in _parts(v)]
    return False  # a value holds itself, which each format refuses


def _parts(holder: Any) -> Any:
    if isinstance(holder, dict):
        return holder.values()
    if isinstance(holder, DataObject):
        return holder.arguments().values()
    return holder


def _plain(name: str, value: Any, found: dict[str, set[str]]) -> Any:
    """Return a value without units, itself if it has none; add those to `found`."""
    if isinstance(value, DataObject):
        names = data_class(value).FIELDS
        plain = {a: _plain(n, getattr(value, n), found) for a, n in names.items()}
        is_same = all(plain[a] is getattr(value, n) for a, n in names.items())
        return value if is_same else value._replaced(**plain)
    if isinstance(value, dict):
        plain = {k: _plain(f"{name}[{k!r}]", v, found) for k, v in value.items()}
        return plain if any(plain[k] is not v for k, v in value.items()) else value
    if type(value) in (list, tuple):
        plain = type(value)(_plain(name, item, found) for item in value)
        return value if all(map(operator.is_, plain, value)) else plain
    if not has_unit(type(value)):
        return value
    number, unit = split_unit(value)
    if unit:
        found.setdefault(name, set()).add(unit)
    return number
