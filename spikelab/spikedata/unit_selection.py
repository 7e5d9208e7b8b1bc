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
        is_whole = np.isfinite(units) & (units == np.rint(units))
        if not is_whole.all():
            raise ValueError(f"idces must be whole numbers, got {units[~is_whole][0]}")
        units = units.astype(np.int64)
    smallest = int(units.min()) if units.size else 0
    largest = int(units.max()) if units.size else -1
    n_units = largest + 1 if N is None else validate.index("N", N)
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
        if not count:
            raise error(f"{name} must be empty, because there are none, got {index}")
        if not lowest <= index < count:
            raise error(f"{name} must lie in {lowest}..{count - 1}, got {index}")
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
    wanted_values = [wanted] if is_one_value(wanted) else list(wanted)
    known = {unit: row[key] for unit, row in enumerate(neuron_attributes) if key in row}
    chosen = [unit for unit, value in known.items() if _is_among(value, wanted_values)]
    if neuron_attributes and not known:
        others = sorted({str(other) for row in neuron_attributes for other in row})
        warn(
            f"no unit has the attribute {key!r}, so none is chosen; "
            f"known attributes: {others}",
        )
    elif wanted_values and not chosen:
        existing = list(dict.fromkeys(map(repr, known.values())))
        shown = ", ".join(existing[:20])
        if len(existing) > 20:
            shown += ", ..."
        warn(
            f"no unit has {key!r} among {wanted_values!r:.200}, so none is chosen; the "
            f"values are {shown}"
        )
    return chosen


def _is_among(value: Any, wanted: list[Any]) -> bool:
    if isinstance(value, np.ndarray):
        return any(np.array_equal(value, other) for other in wanted)
    return value in wanted
