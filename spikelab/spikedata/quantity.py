"""Times with a unit: of quantities, neo, pynapple, pint, astropy, brian2, timedelta.

None of these packages is imported: their values are recognised by their methods.
"""

import datetime
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikelab import validate

Unit = Literal["ms", "Hz", "kHz"]

_Library = Literal["timedelta", "quantities", "brian2", "pynapple", "pint"]
"""Where a value with a unit comes from: neo's values are those of quantities, and
astropy's have the methods of pint's."""

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
    return validate.finite(name, in_ms(name, value))


def array_in_ms(name: str, times: Any) -> NDArray[np.float64]:
    """Return times in ms as an array, or raise if they are not numbers."""
    validate.unmasked(name, times)
    times = in_ms(name, times)
    try:
        return np.asarray(times, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers: {error}") from error


def finite_array_in_ms(name: str, times: Any) -> NDArray[np.float64]:
    """Return times in ms as an array, or raise if they are not finite numbers."""
    array = array_in_ms(name, times)
    is_finite = np.isfinite(array)
    if not is_finite.all():
        raise ValueError(f"{name} must be finite, got {array[~is_finite][0]}")
    return array


def in_unit(name: str, value: Any, unit: Unit) -> Any:
    """Return times in ms, or rates in Hz or kHz, as :func:`in_ms` does."""
    if isinstance(value, list | tuple):
        # Millions of floats have one type, which is found at once.
        if any(map(has_unit, set(map(type, value)))):
            return [in_unit(name, item, unit) for item in value]
        return value
    library = _library_of(value)
    if library is None:
        return value
    try:
        converted = np.asarray(_converted(value, library, unit), dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = "time" if unit == "ms" else "frequency"
        raise ValueError(
            f"{name} must be in a unit of {kind}, or in {unit} without one: {error}"
        ) from error
    return converted if converted.ndim else converted.item()


def split_unit(value: Any) -> tuple[Any, str]:
    """Return the plain number or array in a value, and its unit of measurement.

    The unit is "" where there is none; a ``timedelta`` is returned as it is.
    """
    match _library_of(value):
        case "quantities":
            number, unit = value.magnitude, value.dimensionality.string
        case "brian2":
            number, unit = np.asarray(value), str(value.dim)
        case "pint":
            number, unit = _magnitude_and_unit(value)
        case _:
            return value, ""
    if isinstance(number, np.ndarray) and not number.ndim:
        number = number.item()
    return number, "" if unit in ("dimensionless", "1") else unit


def has_unit(cls: type) -> bool:
    """Return whether values of a class have a unit, or are differences of time."""
    return _library_of_class(cls) is not None


def _library_of(value: Any) -> _Library | None:
    if getattr(getattr(value, "dtype", None), "kind", None) == "m":
        return "timedelta"
    cls: type = type(value)
    return _library_of_class(cls)


@cache
def _library_of_class(cls: type) -> _Library | None:
    if issubclass(cls, datetime.timedelta | np.timedelta64):
        return "timedelta"
    if hasattr(cls, "rescale"):
        return "quantities"
    if hasattr(cls, "dim") and issubclass(cls, np.ndarray):
        return "brian2"
    if hasattr(cls, "as_units") and hasattr(cls, "times"):
        return "pynapple"
    # A tensor of torch has `to` too, but no unit.
    if hasattr(cls, "to") and (hasattr(cls, "units") or hasattr(cls, "unit")):
        return "pint"
    return None


def _converted(value: Any, library: _Library, unit: Unit) -> Any:
    """Return the numbers that a value has in a unit; an error if it has none in it."""
    match library:
        case "timedelta":
            return _from_timedelta(value, unit)
        case "quantities":
            return _from_quantities(value, unit)
        case "brian2":
            return _from_si(np.asarray(value), str(value.dim), unit)
        case "pynapple":
            return _from_si(value.times(), "s", unit)
        case "pint":
            return _magnitude_and_unit(value.to(unit))[0]


def _from_timedelta(value: Any, unit: Unit) -> Any:
    if unit != "ms":
        raise ValueError("got a timedelta")
    if isinstance(value, datetime.timedelta):
        return value / datetime.timedelta(milliseconds=1)
    steps = np.asarray(value)
    if np.datetime_data(steps.dtype)[0] == "generic":
        raise ValueError("got a timedelta64 without unit")
    return steps / np.timedelta64(1, "ms")  # NaN for NaT


def _from_quantities(value: Any, unit: Unit) -> Any:
    key = (value.dimensionality.string, unit)
    if key not in _FACTORS:
        _FACTORS[key] = float(value.units.rescale(unit).magnitude)
    factor = _FACTORS[key]
    # Dividing by 1000 is right to the last bit, multiplying by 0.001 is not.
    inverse = round(1 / factor)
    if inverse > 1 and np.isclose(inverse * factor, 1, rtol=1e-14, atol=0):
        return value.magnitude / inverse
    return value.magnitude * factor


def _from_si(numbers: Any, si_unit: str, unit: Unit) -> Any:
    """Return numbers in s in ms, or those in 1/s in Hz or kHz."""
    needed, factor = {"ms": ("s", 1e3), "Hz": ("s^-1", 1), "kHz": ("s^-1", 1e-3)}[unit]
    if si_unit != needed:
        raise ValueError(f"got {si_unit}")
    return numbers * factor


def _magnitude_and_unit(value: Any) -> tuple[Any, str]:
    if hasattr(value, "magnitude"):  # pint
        return value.magnitude, str(value.units)
    return value.value, str(value.unit)  # astropy
