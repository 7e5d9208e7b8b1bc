"""The choice of units and slices."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spikelab.errors import warn
from spikelab.spikedata.unit_table import Attributes


def select_units(
    units: Any,
    n_units: int,
    neuron_attributes: Attributes,
    *,
    by: str | None,
    preserve_order: bool,
) -> list[int]:
    """Return the indices of the chosen units, each once; see :meth:`UnitObject.subset`."""
    if by is None:
        unique = dict.fromkeys(as_indices("units", units, n_units))
        return list(unique) if preserve_order else sorted(unique)
    if preserve_order:
        warn(
            f"preserve_order=True has no effect with by={by!r}: units that match "
            "keep the order that they have",
        )
    return _units_with(units, neuron_attributes, by)


def select_slices(slices: Any, n_slices: int) -> list[int]:
    """Return the indices of the chosen slices, each once and ascending.

    `slices` is an integer, negative from the end, several, or a mask.
    """
    indices = as_indices("slices", slices, n_slices, from_end=True)
    if not indices:
        raise ValueError("slices must name at least one slice, got none")
    return sorted({index % n_slices for index in indices})


def as_indices(
    name: str,
    chosen: Any,
    count: int,
    *,
    from_end: bool = False,
    error: type[Exception] = ValueError,
) -> list[int]:
    """Return as a list of integers what may be one integer, several, or a mask.

    Raises `error` for an index that `count` items do not have; negative ones count
    `from_end`, if that is allowed.
    """
    if is_one_value(chosen) and not _is_index(chosen):
        raise TypeError(f"{name} must be integers or a mask, got {chosen!r}")
    values = np.atleast_1d(chosen).tolist() if _is_index(chosen) else list(chosen)
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        if len(values) != count:
            raise ValueError(
                f"{name} must have {count} entries as a mask, got {len(values)}"
            )
        return np.flatnonzero(values).tolist()
    lowest = -count if from_end else 0
    for value in values:
        if not _is_index(value):
            raise TypeError(f"{name} must be integers or a mask, got {value!r}")
        if not lowest <= value < count:
            allowed = f"lie in {lowest}..{count - 1}" if count else "be empty"
            because = "" if count else " because there are none,"
            raise error(f"{name} must {allowed},{because} got {value}")
    return [int(value) for value in values]


def is_one_value(value: Any) -> bool:
    """Return whether a value is one, not a sequence of several."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0


def _is_index(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iu"
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _units_with(wanted: Any, neuron_attributes: Attributes, by: str) -> list[int]:
    if neuron_attributes is None:
        raise ValueError(f"by={by!r} needs neuron_attributes, got None")
    known = sorted({str(key) for attributes in neuron_attributes for key in attributes})
    if neuron_attributes and by not in known:
        warn(
            f"no unit has the attribute {by!r}, so none is chosen; "
            f"known attributes: {known}",
        )
    values = [wanted] if is_one_value(wanted) else list(wanted)
    chosen = [
        unit
        for unit, attributes in enumerate(neuron_attributes)
        if by in attributes and _is_among(attributes[by], values)
    ]
    if by in known and values and not chosen:
        there = dict.fromkeys(repr(row[by]) for row in neuron_attributes if by in row)
        warn(
            f"no unit has {by!r} among {values!r:.200}, so none is chosen; the values "
            f"are {', '.join(list(there)[:20])}{', ...' * (len(there) > 20)}"
        )
    return chosen


def _is_among(value: Any, values: list[Any]) -> bool:
    if isinstance(value, np.ndarray):
        return any(np.array_equal(value, other) for other in values)
    return value in values
