"""The choice of units and slices, and the check of their attributes."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spikelab.errors import warn
from spikelab.spikedata.unit_table import Attributes


def check_attributes(neuron_attributes: Any, n_units: int) -> None:
    """Raise if these are not one dictionary per unit, or None."""
    if neuron_attributes is None:
        return
    if len(neuron_attributes) != n_units:
        raise ValueError(
            f"neuron_attributes must hold one dictionary per unit, "
            f"got {len(neuron_attributes)} for {n_units} units"
        )
    for unit, value in enumerate(neuron_attributes):
        if not isinstance(value, dict):
            raise TypeError(
                f"unit {unit}: neuron_attributes must be a dictionary, got {value!r}"
            )


def set_values(
    neuron_attributes: list[dict[str, Any]], key: str, values: Any, units: list[int]
) -> None:
    """Set one attribute of these units, in place: to one value, or to one each."""
    each = [values] * len(units) if _is_one_value(values) else list(values)
    if len(each) != len(units):
        raise ValueError(
            f"values must hold one value per unit, got {len(each)} for {len(units)}"
        )
    for unit in units:
        if not -len(neuron_attributes) <= unit < len(neuron_attributes):
            raise IndexError(
                out_of_range(
                    "neuron_indices",
                    len(neuron_attributes),
                    unit,
                    -len(neuron_attributes),
                )
            )
    for unit, value in zip(units, each, strict=True):
        neuron_attributes[unit][key] = value


def _is_one_value(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0


def select_units(
    units: Any,
    n_units: int,
    neuron_attributes: Attributes,
    *,
    by: str | None,
    preserve_order: bool,
) -> list[int]:
    """Return the indices of the chosen units, each once.

    Parameters
    ----------
    units : int, iterable of int, or attribute value(s) if `by` is given
        The choice. A boolean mask of all units is taken as a mask.
    n_units : int
        Number of units to choose from.
    neuron_attributes : list of dict or None
        The attributes, for `by`.
    by : str or None
        Choose the units whose attribute of this name is among `units`.
    preserve_order : bool
        Keep the order of `units` instead of sorting.
    """
    if by is not None:
        if preserve_order:
            warn(
                f"preserve_order=True has no effect with by={by!r}: units that match "
                "keep the order that they have",
            )
        return _units_with(units, neuron_attributes, by)
    chosen = as_indices("units", units, n_units)
    for unit in chosen:
        if not 0 <= unit < n_units:
            raise ValueError(out_of_range("units", n_units, unit))
    unique = dict.fromkeys(chosen)
    return list(unique) if preserve_order else sorted(unique)


def select_slices(slices: Any, n_slices: int) -> list[int]:
    """Return the indices of the chosen slices, each once and ascending.

    `slices` is an integer, negative from the end, several, or a mask.
    """
    chosen = set()
    for index in as_indices("slices", slices, n_slices):
        if not -n_slices <= index < n_slices:
            raise ValueError(out_of_range("slices", n_slices, index, -n_slices))
        chosen.add(index % n_slices)
    if not chosen:
        raise ValueError("slices must name at least one slice, got none")
    return sorted(chosen)


def out_of_range(name: str, count: int, index: int, lowest: int = 0) -> str:
    """Return the message for an index that `count` items do not have."""
    if count == 0:
        return f"{name} must be empty, because there are none, got {index}"
    return f"{name} must lie in {lowest}..{count - 1}, got {index}"


def as_indices(name: str, chosen: Any, count: int) -> list[int]:
    """Return as a list of integers what may be one integer, several, or a mask."""
    if _is_one_value(chosen) and not _is_index(chosen):
        raise TypeError(f"{name} must be integers or a mask, got {chosen!r}")
    values = np.atleast_1d(chosen).tolist() if _is_index(chosen) else list(chosen)
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        if len(values) != count:
            raise ValueError(
                f"{name} must have {count} entries as a mask, got {len(values)}"
            )
        return np.flatnonzero(values).tolist()
    for value in values:
        if not _is_index(value):
            raise TypeError(f"{name} must be integers or a mask, got {value!r}")
    return [int(value) for value in values]


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
    values = [wanted] if _is_one_value(wanted) else list(wanted)
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
