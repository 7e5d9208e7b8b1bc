"""Times with a unit: of quantities, neo, pynapple, pint, astropy, brian2, timedelta.

None of these packages is imported: their values are recognised by their methods.
"""

import datetime
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np

from spikelab import validate

Unit = Literal["ms", "Hz", "kHz"]

_FACTORS: dict[tuple[str, Unit], float] = {}
"""Factors between units of quantities, each of which takes 0.1 ms to find."""


def _of_timedelta(value: Any, unit: Unit) -> Any:
    """Return differences of time in ms, NaN for a missing one."""
    if unit != "ms":
        raise ValueError("got a timedelta")
    if isinstance(value, datetime.timedelta):
        return value / datetime.timedelta(milliseconds=1)
    steps = np.asarray(value)
    if np.datetime_data(steps.dtype)[0] == "generic":
        raise ValueError("got a timedelta64 without unit")
    return np.where(np.isnat(steps), np.nan, steps / np.timedelta64(1, "ms"))


def _of_quantities(value: Any, unit: Unit) -> Any:
    key = (value.dimensionality.string, unit)
    if key not in _FACTORS:
        _FACTORS[key] = float(value.units.rescale(unit).magnitude)
    factor = _FACTORS[key]
    # Dividing by 1000 is right to the last bit, multiplying by 0.001 is not.
    inverse = round(1 / factor)
    if inverse > 1 and np.isclose(inverse * factor, 1, rtol=1e-14, atol=0):
        return value.magnitude / inverse
    return value.magnitude * factor


def _of_si(numbers: Any, si_unit: str, unit: Unit) -> Any:
    needed, factor = {"ms": ("s", 1e3), "Hz": ("s^-1", 1), "kHz": ("s^-1", 1e-3)}[unit]
    if si_unit != needed:
        raise ValueError(f"got {si_unit}")
    return numbers * factor


def _number(value: Any) -> Any:
    return getattr(value, "magnitude", getattr(value, "value", value))


_Library = tuple[
    Callable[[type], bool], Callable[[Any], tuple[Any, str]], Callable[[Any, Unit], Any]
]

_TIMEDELTA: _Library = (
    lambda cls: issubclass(cls, datetime.timedelta | np.timedelta64),
    lambda value: (value, ""),
    _of_timedelta,
)

_LIBRARIES: tuple[_Library, ...] = (
    _TIMEDELTA,
    (  # quantities and neo
        lambda cls: hasattr(cls, "rescale"),
        lambda value: (value.magnitude, value.dimensionality.string),
        _of_quantities,
    ),
    (  # brian2, whose arrays hold SI units
        lambda cls: issubclass(cls, np.ndarray) and hasattr(cls, "dim"),
        lambda value: (np.asarray(value), str(value.dim)),
        lambda value, unit: _of_si(np.asarray(value), str(value.dim), unit),
    ),
    (  # pynapple, whose times are in s
        lambda cls: hasattr(cls, "as_units") and hasattr(cls, "times"),
        lambda value: (value, ""),
        lambda value, unit: _of_si(value.times(), "s", unit),
    ),
    (  # pint and astropy; a tensor of torch has `to` too, but no unit
        lambda cls: (
            hasattr(cls, "to") and (hasattr(cls, "units") or hasattr(cls, "unit"))
        ),
        lambda value: (
            _number(value),
            str(getattr(value, "units", getattr(value, "unit", ""))),
        ),
        lambda value, unit: _number(value.to(unit)),
    ),
)
"""Of each library: whether a class is one of its; the plain numbers in a value, and its
unit; the numbers that a value has in a unit (ValueError or TypeError if it has none)."""


_library_of_class: Callable[[type], _Library | None] = cache(
    lambda cls: next((library for library in _LIBRARIES if library[0](cls)), None)
)


def _library_of(value: Any) -> _Library | None:
    if getattr(getattr(value, "dtype", None), "kind", None) == "m":
        return _TIMEDELTA
    return _library_of_class(type(value))


def in_ms(name: str, value: Any) -> Any:
    """Return one or many times in ms: converted if they have a unit, else as given.

    `value` is a number, an array, or a list or tuple of these; `name` is what errors
    call it. Raises ValueError if the unit is not one of time.
    """
    return in_unit(name, value, "ms")


def finite_ms(name: str, value: Any) -> float:
    """Return a time in ms as a float, or raise if it is not one finite time."""
    return validate.finite(name, in_unit(name, value, "ms"))


def in_unit(name: str, value: Any, unit: Unit) -> Any:
    """Return times in ms, or rates in Hz or kHz, as :func:`in_ms` does."""
    if isinstance(value, list | tuple):
        # Millions of floats have one type, which is found at once.
        if any(map(has_unit, set(map(type, value)))):
            return [in_unit(name, item, unit) for item in value]
        return value
    if (library := _library_of(value)) is None:
        return value
    try:
        converted = np.asarray(library[2](value, unit), dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = "time" if unit == "ms" else "frequency"
        raise ValueError(
            f"{name} must be in a unit of {kind}, or in {unit} without one: {error}"
        ) from error
    return converted if converted.ndim else converted.item()


def has_unit(cls: type) -> bool:
    """Return whether values of a class have a unit, or are differences of time."""
    return _library_of_class(cls) is not None


def split_unit(value: Any) -> tuple[Any, str]:
    """Return the plain number or array in a value, and its unit of measurement.

    The unit is "" where there is none; a ``timedelta`` is returned as it is.
    """
    library = _library_of(value)
    number, unit = (value, "") if library is None else library[1](value)
    if unit and isinstance(number, np.ndarray) and not number.ndim:
        number = number.item()
    return number, "" if unit in ("dimensionless", "1") else unit
