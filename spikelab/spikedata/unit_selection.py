"""The choice of units and slices, by their indices."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata.unit_table import Attributes

MOST_UNITS = 1_000_000
"""Larger numbers of units, from 0, are rather ids, or times."""


def numbered_units(
    units: NDArray[Any], N: int | None
) -> tuple[NDArray[np.integer[Any]], int]:
    """Return the unit of each spike as integers, and how many units there are."""
    if units.dtype.kind not in "iu":
        if units.size and units.dtype.kind != "f":
            raise TypeError(f"idces must be integers, got dtype {units.dtype}")
        if (wrong := ~(np.isfinite(units) & (units == np.rint(units)))).any():
            raise ValueError(f"idces must be whole numbers, got {units[wrong][0]}")
        units = units.astype(np.int64)
    smallest, largest = (units.min(), units.max()) if units.size else (0, -1)
    n_units = int(largest) + 1 if N is None else validate.index("N", N)
    if smallest < 0 or largest >= n_units:
        raise ValueError(
            f"idces must not be negative and be below N ({n_units}), "
            f"got {smallest if smallest < 0 else largest}"
        )
    if N is None and n_units > MOST_UNITS:
        raise ValueError(
            f"idces must be below {MOST_UNITS} without N, got {largest}; "
            f"np.unique(idces, return_inverse=True)[1] numbers ids from 0"
        )
    return units, n_units


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
    given = np.asarray(chosen if is_one_value(chosen) else list(chosen))
    if given.ndim == 1 and given.dtype == bool:
        if given.size != count:
            raise ValueError(
                f"{name} must have {count} entries as a mask, got {given.size}"
            )
        return np.flatnonzero(given).tolist()
    if given.ndim > 1 or (given.size and given.dtype.kind not in "iu"):
        raise TypeError(f"{name} must be integers or a mask, got {chosen!r:.80}")
    indices: list[int] = given.ravel().tolist()
    lowest = -count if from_end else 0
    for index in indices:
        if not lowest <= index < count:
            allowed = f"lie in {lowest}..{count - 1}" if count else "be empty"
            because = "" if count else " because there are none,"
            raise error(f"{name} must {allowed},{because} got {index}")
    return indices


def is_one_value(value: Any) -> bool:
    """Return whether a value is one, not a sequence of several."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0


def units_with(wanted: Any, neuron_attributes: Attributes, key: str) -> list[int]:
    """Return the units whose attribute `key` is `wanted`, or among several values.

    Warns if there are none, and says which attributes or values there are.
    """
    if neuron_attributes is None:
        raise ValueError(f"by={key!r} needs neuron_attributes, got None")
    values = [wanted] if is_one_value(wanted) else list(wanted)
    known = {unit: row[key] for unit, row in enumerate(neuron_attributes) if key in row}
    chosen = [
        unit
        for unit, value in known.items()
        if (
            any(np.array_equal(value, other) for other in values)
            if isinstance(value, np.ndarray)
            else value in values
        )
    ]
    if neuron_attributes and not known:
        others = sorted({str(other) for row in neuron_attributes for other in row})
        warn(
            f"no unit has the attribute {key!r}, so none is chosen; "
            f"known attributes: {others}",
        )
    elif values and not chosen:
        there = list(dict.fromkeys(map(repr, known.values())))
        warn(
            f"no unit has {key!r} among {values!r:.200}, so none is chosen; the values "
            f"are {', '.join(there[:20])}{', ...' * (len(there) > 20)}"
        )
    return chosen
