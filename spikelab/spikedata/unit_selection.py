"""The choice of units and slices."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from spikelab.errors import warn
from spikelab.spikedata.unit_table import Attributes


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
