"""Times with a unit: of quantities, neo, pynapple, pint, astropy, brian2, timedelta.

None of these packages is imported: their values are recognised by their methods.
"""

import datetime
from typing import Any, Literal

import numpy as np

from spikelab import validate

Unit = Literal["ms", "Hz", "kHz"]

_FACTORS: dict[tuple[str, Unit], float] = {}
"""Factors between units of quantities, each of which takes 0.1 ms to find."""


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
    is_plain = type(value) in (float, int)
    if is_plain or not (has_unit(type(value)) or _is_timedelta_array(value)):
        return value
    try:
        converted = np.asarray(_converted(value, unit), dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = "time" if unit == "ms" else "frequency"
        raise ValueError(
            f"{name} must be in a unit of {kind}, or in {unit} without one: {error}"
        ) from error
    return converted if converted.ndim else converted.item()


def has_unit(cls: type) -> bool:
    """Return whether values of a class have a unit, or are differences of time."""
    if issubclass(cls, datetime.timedelta | np.timedelta64) or hasattr(cls, "rescale"):
        return True
    if issubclass(cls, np.ndarray) and hasattr(cls, "dim"):  # brian2
        return True
    if hasattr(cls, "as_units") and hasattr(cls, "times"):  # pynapple
        return True
    # pint and astropy; a tensor of torch has `to` too, but no unit.
    return hasattr(cls, "to") and (hasattr(cls, "units") or hasattr(cls, "unit"))


def split_unit(value: Any) -> tuple[Any, str]:
    """Return the plain number or array in a value, and its unit of measurement.

    The unit is "" where there is none; a ``timedelta`` is returned as it is.
    """
    cls, unit = type(value), ""
    if hasattr(cls, "rescale"):  # quantities and neo
        value, unit = value.magnitude, value.dimensionality.string
    elif issubclass(cls, np.ndarray) and hasattr(cls, "dim"):  # brian2
        value, unit = np.asarray(value), str(value.dim)
    elif hasattr(cls, "to") and has_unit(cls):  # pint and astropy
        unit = str(getattr(value, "units", getattr(value, "unit", "")))
        value = getattr(value, "magnitude", getattr(value, "value", value))
    if unit and isinstance(value, np.ndarray) and not value.ndim:
        value = value.item()
    return value, "" if unit in ("dimensionless", "1") else unit


def _is_timedelta_array(value: Any) -> bool:
    return getattr(getattr(value, "dtype", None), "kind", None) == "m"


def _converted(value: Any, unit: Unit) -> Any:
    """Return the numbers that a value has in a unit.

    Raises TypeError or ValueError, which names the value's unit, if there are none.
    """
    if isinstance(value, datetime.timedelta) or _is_timedelta_array(value):
        return _of_timedelta(value, unit)
    if hasattr(value, "rescale"):  # quantities and neo
        return _of_quantities(value, unit)
    if hasattr(value, "as_units"):  # pynapple, whose times are in s
        return _of_si(value.times(), "s", unit)
    if hasattr(value, "dim"):  # brian2, whose arrays hold SI units
        return _of_si(np.asarray(value), str(value.dim), unit)
    converted = value.to(unit)
    return getattr(converted, "magnitude", getattr(converted, "value", None))


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
