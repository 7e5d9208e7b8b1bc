"""Whether what was read is what was written: exactly, or within a rounding."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.kinds import Contents, kind_of


def same(first: Any, second: Any) -> bool:
    """Tell whether two values are equal in type, shape, dtype and every part.

    NaN equals NaN. Arrays must agree in dtype; containers in type and order;
    an object that is none of these is compared by its attributes.
    """
    if _plain_type(first) is not _plain_type(second):
        return False
    if isinstance(first, np.ndarray):
        return _same_arrays(first, second)
    if isinstance(first, Mapping):
        return same([*first, *first.values()], [*second, *second.values()])
    if isinstance(first, set | frozenset):
        # NaN in a set is not found in another one.
        return first == second or same(
            *(sorted(values, key=repr) for values in (first, second))
        )
    if isinstance(first, Sequence) and not isinstance(first, str | bytes):
        return len(first) == len(second) and all(map(same, first, second))
    if hasattr(first, "__dict__"):
        return same(vars(first), vars(second))
    return bool(first == second or (first != first and second != second))


def _plain_type(value: Any) -> type:
    if isinstance(value, np.memmap):
        return np.ndarray
    return list if isinstance(value, list) else type(value)


def _same_arrays(first: NDArray[Any], second: NDArray[Any]) -> bool:
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if first.dtype.hasobject:
        return all(map(same, first.ravel().tolist(), second.ravel().tolist()))
    return bool(np.array_equal(first, second, equal_nan=first.dtype.kind in "fcmM"))


def largest_shift_ms(
    written: Sequence[NDArray[Any]], read: Sequence[NDArray[Any]]
) -> float:
    """Return how far a spike moved at most; inf if counts differ, NaN if a time is."""
    if [len(times) for times in written] != [len(times) for times in read]:
        return float("inf")
    shifts = [
        float(np.abs(np.subtract(a, b, dtype=np.float64)).max())
        for a, b in zip(written, read, strict=True)
        if len(a)
    ]
    # Unlike max, this does not lose a NaN among others.
    return float(np.max(shifts, initial=0.0))


def differences(obj: Any, contents: Contents, *, slack_ms: float = 0.0) -> list[str]:
    """Return in words how the spikes and window read differ from those of `obj`.

    Parameters
    ----------
    obj : SpikeData
        What was written.
    contents : Contents
        What was read.
    slack_ms : float
        How far a time may have moved.
    """
    kind = kind_of(obj)
    if contents.kind != kind:
        return [f"a {kind} was written, a {contents.kind} was read"]
    read = contents.arguments
    found = []
    for name in ("start_time", "length"):
        if read[name] is None or float(read[name]) != float(getattr(obj, name)):
            found.append(f"{name} is {read[name]}, not {getattr(obj, name)}")
    if len(read["train"]) != obj.N:
        found.append(f"{len(read['train'])} units were read, not {obj.N}")
    else:
        shift = largest_shift_ms(obj.train, read["train"])
        if not shift <= slack_ms:
            found.append(f"spike times moved by up to {shift} ms, not {slack_ms} ms")
    return found
