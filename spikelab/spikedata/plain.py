"""Data objects with plain numbers only: no file format has units of measurement."""

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.quantity import has_unit, split_unit

D = TypeVar("D", bound=DataObject)


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
    found: dict[str, set[str]] = {}
    try:
        plain: D = _plain("", obj, found)
    except RecursionError:  # a value holds itself: it is for the format to refuse
        return obj, []
    return plain, [
        f"the unit of {name} ({', '.join(sorted(units))}), whose numbers are plain ones"
        for name, units in found.items()
    ]


_may_have_unit: Callable[[type], bool] = cache(
    lambda cls: has_unit(cls) or issubclass(cls, dict | list | tuple | DataObject)
)


def _plain(name: str, value: Any, found: dict[str, set[str]]) -> Any:
    """Return a value without units, itself if it has none; add those to `found`."""
    if isinstance(value, DataObject):
        names = data_class(value).FIELDS
        plain = {a: _plain(n, getattr(value, n), found) for a, n in names.items()}
        is_same = all(plain[a] is getattr(value, n) for a, n in names.items())
        return value if is_same else value._replaced(**plain)
    if isinstance(value, dict):
        items = ((k, v) for k, v in value.items() if _may_have_unit(type(v)))
        changes = {
            k: p for k, v in items if (p := _plain(f"{name}[{k!r}]", v, found)) is not v
        }
        return {**value, **changes} if changes else value
    if type(value) in (list, tuple):
        # Thousands of numbers have one type, which is found at once.
        if not any(map(_may_have_unit, set(map(type, value)))):
            return value
        plain = type(value)(_plain(name, item, found) for item in value)
        return value if all(map(operator.is_, plain, value)) else plain
    if not has_unit(type(value)):
        return value
    number, unit = split_unit(value)
    if unit:
        found.setdefault(name, set()).add(unit)
    return number
