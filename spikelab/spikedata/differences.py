"""Where two data objects differ: the one answer for ``==``, `verify` and the tests."""

from collections.abc import Iterator, Mapping
from itertools import chain, groupby, zip_longest
from typing import Any

import attrs
import numpy as np

from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.quantity import split_unit
from spikelab.spikedata.spike_trains import CACHED, SpikeTrains
from spikelab.spikedata.unit_table import MISSING

LOADER_KEYS = ("source_file", "source_folder", "format")
"""Keys of ``metadata`` that loaders add; they are not part of the data."""

NOT_LOST = (*LOADER_KEYS, "source_format", "cluster_ids")
"""Keys of ``metadata`` that are no loss where they are left out: they tell of the source.

The ids of clusters are the attribute ``unit_id``.
"""

_TIMES = ("start_time", "length", "raw_time", "times", "step_size")
"""Attributes that hold times in ms, beside the spike times."""


@attrs.frozen
class Difference:
    """One difference between two data objects.

    Parameters
    ----------
    path : tuple
        Where: the name of the attribute, then keys into it, such as
        ``("metadata", "day")`` or ``("neuron_attributes", "snr", 3)`` (key, then unit).
        Inside of the slices of a stack it begins with ``"spike_stack"``.
    text : str
        The difference in words.
    """

    path: tuple[Any, ...]
    text: str


def differences(a: DataObject, b: DataObject, *, atol_ms: float = 0.0) -> list[str]:
    """Return in words where two data objects differ.

    NaN equals NaN. Numbers are compared by value, arrays by dtype, shape and values,
    dictionaries without regard to order, lists and tuples item by item. The keys
    ``source_file``, ``source_folder`` and ``format`` of metadata, which loaders add, do
    not count.

    Parameters
    ----------
    a, b : data object
        Any of the six data classes.
    atol_ms : float
        By how many ms spike times, windows and raw times may differ.

    Returns
    -------
    list of str
        One entry per difference; empty if the objects are equal.

    Raises
    ------
    TypeError
        If `a` or `b` is not a data object.

    Examples
    --------
    >>> from spikelab import SpikeData, differences
    >>> sd = SpikeData([[1.0, 2.0]], length=10.0)
    >>> differences(sd, SpikeData([[1.0, 2.5]], length=10.0))
    ['spike times of unit 0 differ by up to 0.5 ms']
    """
    found = compare(a, b, atol_ms=atol_ms)
    texts = []
    # One line per attribute, not one per unit or slice.
    for path, group in groupby(found, key=_without_unit):
        first, *more = group
        of = "units" if "neuron_attributes" in path[:2] else "slices"
        others = f" (and in {len(more)} more {of})" if more else ""
        texts.append(first.text + others)
    return texts


def _without_unit(found: Difference) -> tuple[Any, ...]:
    return found.path[:-1] if "neuron_attributes" in found.path[:2] else found.path


def compare(
    a: DataObject, b: DataObject, *, atol_ms: float = 0.0
) -> Iterator[Difference]:
    """Yield each difference between two data objects; see :func:`differences`."""
    cls, other = data_class(a), data_class(b)
    if cls is not other:
        text = f"a {cls.__name__} and a {other.__name__}"
        yield Difference(("class",), text)
        return
    for name in cls.FIELDS.values():
        one, two = getattr(a, name), getattr(b, name)
        if name == "train":
            text = _difference_of_trains(_trains(one), _trains(two), atol_ms)
            if text:
                yield Difference((name,), text)
        elif name == "spike_stack":
            yield from _compare_slices(one, two, atol_ms)
        elif name == "neuron_attributes":
            yield from _compare_attributes(one or [], two or [])
        elif name == "metadata":
            one, two = one or {}, two or {}
            for key in dict.fromkeys(chain(one, two)):
                if key not in LOADER_KEYS:
                    yield from _compare_key((name, key), name, key, one, two)
        elif not equal(one, two) and not (name in _TIMES and _close(one, two, atol_ms)):
            yield Difference((name,), f"{name} differs: {_shown(one, two)}")


def _trains(train: Any) -> SpikeTrains:
    # A list of arrays may have been assigned.
    return train if isinstance(train, SpikeTrains) else SpikeTrains.from_arrays(train)


def _difference_of_trains(a: SpikeTrains, b: SpikeTrains, atol_ms: float) -> str:
    """Return in words how spike trains differ, "" if they do not."""
    if len(a) != len(b):
        return f"N differs: {len(a)} and {len(b)} units"
    units = np.flatnonzero(a.counts != b.counts)
    if units.size:
        first = units[0]
        text = f"unit {first} has {a.counts[first]} and {b.counts[first]} spikes"
        if units.size > 1:
            text += f" (and {units.size - 1} more units differ)"
        return text
    first_beyond: int | None = None  # position of a spike
    start, largest = 0, 0.0
    for one, two in zip(a.blocks(CACHED), b.blocks(CACHED), strict=True):
        shifts = np.abs(one - two)
        is_beyond = ~(shifts <= atol_ms)  # a NaN is beyond any tolerance
        if first_beyond is None and is_beyond.any():
            first_beyond = start + int(np.argmax(is_beyond))
        largest = float(np.max([largest, shifts.max()]))
        start += len(one)
    if first_beyond is None:
        return ""
    unit = np.searchsorted(a.ends, first_beyond, side="right")
    return f"spike times of unit {unit} differ by up to {largest:.6g} ms"


def _compare_slices(
    a: list[DataObject], b: list[DataObject], atol_ms: float
) -> Iterator[Difference]:
    if len(a) != len(b):
        text = f"there are {len(a)} and {len(b)} slices"
        yield Difference(("spike_stack",), text)
        return
    for i, (one, two) in enumerate(zip(a, b, strict=True)):
        for found in compare(one, two, atol_ms=atol_ms):
            yield Difference(("spike_stack", *found.path), f"slice {i}: {found.text}")


def _compare_attributes(
    a: list[dict[Any, Any]], b: list[dict[Any, Any]]
) -> Iterator[Difference]:
    nothing: dict[Any, Any] = {}
    pairs = list(zip_longest(a, b, fillvalue=nothing))
    for key in dict.fromkeys(chain(*a, *b)):
        for unit, (row, other) in enumerate(pairs):
            path, where = ("neuron_attributes", key, unit), f"neuron_attributes[{unit}]"
            yield from _compare_key(path, where, key, row, other)


def _compare_key(
    path: tuple[Any, ...], where: str, key: Any, a: Mapping[Any, Any], b: Any
) -> Iterator[Difference]:
    one, two = a.get(key, MISSING), b.get(key, MISSING)
    if not equal(one, two):
        yield Difference(path, f"{where}[{key!r}] differs: {_shown(one, two)}")


def _close(a: Any, b: Any, atol_ms: float) -> bool:
    """Return whether times in ms are those of the same dtype and shape, nearly."""
    if a is None or b is None:
        return a is b
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype != b.dtype:
        return False
    one, two = np.atleast_1d(a), np.atleast_1d(b)
    if one.shape != two.shape:
        return False
    # In blocks, so that no large array is copied whole.
    for i in range(0, len(one), CACHED):
        pair = one[i : i + CACHED], two[i : i + CACHED]
        if not np.allclose(*pair, rtol=0, atol=atol_ms, equal_nan=True):
            return False
    return True


def equal(a: Any, b: Any) -> bool:
    """Return whether two values of attributes or metadata are equal.

    Arrays must agree in dtype, shape, values and unit, sequences in their type. Numbers of
    Python and of NumPy are compared by value, but a bool is not a number. NaN equals
    NaN.
    """
    if a is b:
        return True
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return split_unit(a)[1] == split_unit(b)[1] and _equal_arrays(a, b)
    if isinstance(a, str | bytes) or isinstance(b, str | bytes):
        return isinstance(a, str) == isinstance(b, str) and bool(a == b)
    if _is_number(a) and _is_number(b):
        if isinstance(a, bool | np.bool_) != isinstance(b, bool | np.bool_):
            return False
        return bool(a == b or (a != a and b != b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return len(a) == len(b) and all(k in b and equal(a[k], b[k]) for k in a)
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, set | frozenset):
        # NaN in a set is not found in another one.
        return a == b or equal(sorted(a, key=repr), sorted(b, key=repr))
    if hasattr(a, "equals"):  # pandas
        return bool(a.equals(b))
    cls: Any = type(a)
    if cls.__eq__ is object.__eq__ and hasattr(a, "__dict__"):
        return equal(vars(a), vars(b))
    return bool(np.all(a == b) or np.all((a != a) & (b != b)))  # NaT is not itself


def _is_number(value: Any) -> bool:
    if isinstance(value, np.timedelta64):  # an integer of NumPy too
        return False
    return isinstance(value, bool | int | float | complex | np.bool_ | np.number)


def _equal_arrays(a: Any, b: Any) -> bool:
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return False
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if np.ma.isMaskedArray(a) or np.ma.isMaskedArray(b):
        masks = np.ma.getmaskarray(a), np.ma.getmaskarray(b)
        return np.array_equal(*masks) and _equal_arrays(
            np.asarray(np.ma.filled(a)), np.asarray(np.ma.filled(b))
        )
    if a.dtype.hasobject:
        return all(map(equal, a.ravel().tolist(), b.ravel().tolist()))
    equal_nan = a.dtype.kind in "fcmM"
    if not a.ndim or not a.size:
        return bool(np.array_equal(a, b, equal_nan=equal_nan))
    # In parts, so that large arrays on the disk are not copied.
    axis = int(np.argmax(a.shape))
    one, two = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    step = max(2 * CACHED * len(one) // a.size, 1)
    return all(
        np.array_equal(one[i : i + step], two[i : i + step], equal_nan=equal_nan)
        for i in range(0, len(one), step)
    )


def _shown(a: Any, b: Any) -> str:
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return f"{_shown_value(a)} and {_shown_value(b)}"
    if a.dtype != b.dtype:
        return f"dtype {a.dtype} and {b.dtype}"
    if a.shape != b.shape:
        return f"shape {a.shape} and {b.shape}"
    return f"values of an array of shape {a.shape}"


def _shown_value(value: Any) -> str:
    if value is MISSING:
        return "nothing"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"{value!r:.60}"
