"""Checks of options: each error names the parameter, the rule and the value.

A check is called with the name of the parameter and its value. The names that begin
with ``is_`` are the same checks as attrs validators.
"""

import itertools
import math
import numbers
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikelab.errors import FormatError


def index(name: str, value: Any) -> int:
    """Return `value` as an int, or raise if it is not an integer."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} must be an integer, got {value!r}") from error


def finite(
    name: str, value: Any, rule: str = "finite", least: float = -math.inf
) -> float:
    """Return `value` as a float, or raise if it is no finite real number above `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not least < number < math.inf:
        raise ValueError(f"{name} must be {rule}, got {value!s:.40}")
    return number


def positive(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not positive and finite."""
    return finite(name, value, "positive and finite", 0.0)


def not_negative(name: str, value: Any) -> float:
    """Return `value` as a float, or raise if it is not finite or below zero."""
    number = finite(name, value)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return number


def unmasked(name: str, value: Any) -> None:
    """Raise for an array with masked values, which would become what they hide."""
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} must not hold masked values; "
            "numpy.ma.filled(..., numpy.nan) makes them NaN"
        )


def mapping(name: str, value: Any) -> Mapping[Any, Any]:
    """Return `value`, or raise if it is no mapping."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, got {value!r:.80}")
    return value


def dataset_name(name: str, value: Any) -> str:
    """Return `value`, or raise if HDF5 could not create a dataset of that name.

    A relative path (``"sorted/times"``) is allowed, but no ``.`` and ``..``, which HDF5
    does not read as a file system does.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value or value.startswith("/") or "\0" in value:
        raise ValueError(
            f"{name} must be a non-empty name relative to the file's root, got {value!r}"
        )
    if {"", ".", ".."} & set(value.split("/")):
        raise ValueError(
            f"{name} must not hold empty, '.' or '..' parts, got {value!r}"
        )
    return value


def distinct(**names: str | None) -> None:
    """Raise if two parameters name the same dataset, or one lies inside another."""
    given = [(name, value) for name, value in names.items() if value is not None]
    for (first, a), (second, b) in itertools.combinations(given, 2):
        if f"{a}/".startswith(f"{b}/") or f"{b}/".startswith(f"{a}/"):
            raise ValueError(
                f"{first} and {second} must name different datasets, "
                f"got {a!r} and {b!r}"
            )


def file_name(name: str, value: Any) -> str:
    """Return `value`, or raise if it is not a plain file name inside a folder."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {value!r}")
    if not value or value in (".", "..") or re.search(r"[/\\\0]", value):
        raise ValueError(f"{name} must be a file name without a folder, got {value!r}")
    return value


def regular_file(path: Path) -> None:
    """Raise FormatError for a folder, a device or a pipe: reading may never end."""
    if path.exists() and not path.is_file():
        raise FormatError(f"{path} must be a regular file")


def flag(name: str, value: Any) -> bool:
    """Return `value`, or raise if it is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def validator(check: Callable[[str, Any], Any]) -> Any:
    """Return a check as an attrs validator."""
    return lambda instance, attribute, value: check(attribute.name, value)


def is_optional_instance(cls: type) -> Any:
    """Return a validator for an option that is None or an instance of `cls`."""

    def optional(name: str, value: Any) -> None:
        if value is not None and not isinstance(value, cls):
            raise TypeError(
                f"{name} must be a {cls.__name__} or None, got {value!r:.80}"
            )

    return validator(optional)


is_positive = validator(positive)
is_finite = validator(finite)
is_not_negative = validator(not_negative)
is_mapping = validator(mapping)
is_dataset_name = validator(dataset_name)
is_file_name = validator(file_name)
is_flag = validator(flag)
