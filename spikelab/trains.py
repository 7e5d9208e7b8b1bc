"""The flat form of spike trains: all times, unit after unit, and where each ends."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikelab import checks
from spikelab.errors import FormatError

BLOCK = 2**20
"""How many numbers are read or written at a time (8 MB as float64)."""

CACHED = 2**16
"""Number of spikes that are worked on at a time elsewhere: their arrays stay cached."""


class Pieces(list[NDArray[Any]]):
    """Arrays that are views of one flat array, in which they lie in turn.

    A list like any other, but the functions of this module need not gather it
    again. Pickled or copied, it becomes a plain list.

    Parameters
    ----------
    flat : ndarray
        All values.
    stops : ndarray
        Where each piece ends, int64; the last is the length of `flat`.

    Attributes
    ----------
    owned : bool
        Whether an object keeps these arrays, so that another has to copy them.
    ordered : bool
        Whether the values of each piece ascended when that was last looked at. Those
        of an object may have changed since; each export looks first.
    """

    def __init__(self, flat: NDArray[Any], stops: NDArray[np.int64]) -> None:
        edges = stops.tolist()
        starts = [0, *edges[:-1]]
        super().__init__(
            [flat[i:j] for i, j in zip(starts[: len(edges)], edges, strict=True)]
        )
        self.flat = flat
        self.stops = stops
        self.owned = False
        self.ordered = False
        self._views = tuple(self)

    def intact(self) -> bool:
        """Tell whether no piece was put in, taken out or exchanged."""
        return len(self) == len(self._views) and all(
            map(operator.is_, self, self._views)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self.intact() and self:
            # Two large arrays instead of one small one per unit.
            return np.split, (self.flat, self.stops[:-1])
        return list, (list(self),)


def join(train: Sequence[NDArray[np.float64]]) -> Pieces:
    """Return a copy of the spike times of each unit that lies in one flat array."""
    flat = np.concatenate(train, dtype=np.float64) if train else np.empty(0)
    return Pieces(flat, ends(train))


def sort_units(train: Pieces) -> None:
    """Sort the spike times of each unit in place, those that are not sorted yet."""
    if not train.ordered:
        for unit in _disorder(train):
            train[unit].sort()
    train.ordered = True


def _is_ordered(train: Pieces) -> bool:
    if not train.ordered:
        train.ordered = not _disorder(train).size
    return train.ordered


def _disorder(train: Pieces) -> NDArray[np.int64]:
    """Return the units with a spike that is not followed by a later or equal one.

    The last spike of a unit does not count. NaN compares as neither.
    """
    found = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(train.flat), CACHED):
        block = train.flat[start : start + CACHED + 1]
        ascending = block[:-1] <= block[1:]
        here = slice(*np.searchsorted(train.stops, (start + 1, start + len(block))))
        ascending[train.stops[here] - start - 1] = True
        if not ascending.all():
            found.append(np.flatnonzero(~ascending) + start)
    before = np.searchsorted(np.concatenate(found), train.stops)
    return np.flatnonzero(np.diff(before, prepend=0))


def ends(train: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """Return, for each unit, where its spikes end in the flat form, int64 (N,)."""
    if isinstance(train, Pieces) and train.intact():
        return train.stops
    counts = np.fromiter(map(len, train), dtype=np.int64, count=len(train))
    return np.cumsum(counts, dtype=np.int64)


def blocks(
    train: Sequence[NDArray[np.float64]], size: int = BLOCK
) -> Iterator[NDArray[np.float64]]:
    """Yield the flat spike times, unit after unit, at most `size` at a time."""
    if isinstance(train, Pieces) and train.intact():
        for start in range(0, len(train.flat), size):
            yield train.flat[start : start + size]
        return
    pending: list[NDArray[np.float64]] = []
    n_pending = 0
    for times in train:
        for start in range(0, len(times), size):
            piece = times[start : start + size]
            if n_pending + len(piece) > size:
                yield _joined(pending)
                pending, n_pending = [], 0
            pending.append(piece)
            n_pending += len(piece)
    if pending:
        yield _joined(pending)


def converted(
    blocks: Iterable[Any],
    convert: Callable[[Any, NDArray[Any]], Any],
    dtype: DTypeLike,
) -> Iterator[NDArray[Any]]:
    """Yield what `convert` makes of each block, of one number for each item.

    It is given a piece at a time that the cache holds, and where the result goes. What
    is yielded lies in one array, which the next block overwrites.
    """
    whole = np.empty(0, dtype=dtype)
    for block in blocks:
        if len(block) > len(whole):
            whole = np.empty(len(block), dtype=dtype)
        for start in range(0, len(block), CACHED):
            piece = block[start : start + CACHED]
            convert(piece, whole[start : start + len(piece)])
        yield whole[: len(block)]


def _joined(pieces: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def unit_indices(unit_ends: NDArray[np.int64], start: int, stop: int) -> NDArray[Any]:
    """Return the unit of each of the flat spikes ``start:stop``."""
    if stop <= start:
        return np.empty(0, dtype=np.intp)
    first = int(np.searchsorted(unit_ends, start, side="right"))
    last = int(np.searchsorted(unit_ends, stop, side="left"))
    edges = np.clip(unit_ends[first : last + 1], start, stop)
    return np.repeat(np.arange(first, last + 1), np.diff(edges, prepend=start))


def split(flat: NDArray[Any], unit_ends: ArrayLike, name: str) -> Pieces:
    """Cut the flat form into one array (a view) per unit.

    Raises
    ------
    FormatError
        If `unit_ends` (called `name` in the error) does not run upwards from
        0 or more to the number of spikes.
    """
    stops = np.asarray(unit_ends)
    if stops.ndim != 1 or (stops.size and not np.issubdtype(stops.dtype, np.integer)):
        raise FormatError(
            f"{name} must be a 1-D array of integers, "
            f"got {stops.dtype} with shape {stops.shape}"
        )
    edges = stops.astype(np.int64)
    if edges.size and (edges[0] < 0 or np.any(edges[1:] < edges[:-1])):
        raise FormatError(f"{name} must not decrease and not be negative")
    last = int(edges[-1]) if edges.size else 0
    if last != len(flat):
        raise FormatError(
            f"{name} must end at the number of spikes, {len(flat)}, got {last}"
        )
    return Pieces(flat, edges)


def gather(units: ArrayLike, flat: NDArray[Any], n_units: int) -> Pieces:
    """Sort parallel (unit, time) arrays into one array per unit, order kept.

    `units` holds integers from 0 to ``n_units - 1``, in any order.
    """
    indices = np.asarray(units)
    counts = np.bincount(indices, minlength=n_units).astype(np.int64)
    if np.any(indices[1:] < indices[:-1]):
        # A stable sort of the smallest integers that hold them is a radix sort.
        narrow = indices.astype(np.min_scalar_type(max(n_units - 1, 0)))
        flat = flat[np.argsort(narrow, kind="stable")]
    return split(flat, np.cumsum(counts), "units")


def window(start_ms: float, length_ms: float) -> tuple[float, float]:
    """Return the first and the last time that a recording window admits, in ms.

    The sum of start and length is rounded, so the last spike of a window that
    ends with it can come out beyond the sum: that much is admitted.
    """
    rounding = np.spacing(max(abs(start_ms), abs(length_ms)))
    return start_ms, float(start_ms + length_ms + rounding)


def check_window(
    train: Sequence[NDArray[np.float64]], start_ms: float, length_ms: float
) -> None:
    """Raise ValueError, with unit and value, for a time that is not in the window."""
    first, last = window(start_ms, length_ms)
    if isinstance(train, Pieces) and train.owned:
        train.ordered = False
    # NaN makes both comparisons false.
    if all(low >= first and high <= last for low, high in _bounds(train)):
        return
    for unit, times in enumerate(train):
        outside = ~((times >= first) & (times <= last))
        if np.any(outside):
            raise ValueError(
                f"unit {unit}: spike times must be finite and lie in the recording "
                f"window [{start_ms}, {start_ms + length_ms}] ms, "
                f"got {times[outside][0]}"
            )


def _bounds(
    train: Sequence[NDArray[np.float64]],
) -> Iterator[tuple[np.float64, np.float64]]:
    """Yield the smallest and largest time of each of some parts of the flat form."""
    if isinstance(train, Pieces) and train.intact() and _is_ordered(train):
        # The first and the last spike of a sorted unit are its extremes.
        counts = np.diff(train.stops, prepend=0)
        stops = train.stops[counts > 0]
        if stops.size:
            starts = stops - counts[counts > 0]
            yield train.flat[starts].min(), train.flat[stops - 1].max()
        return
    yield from ((block.min(), block.max()) for block in blocks(train))


def check_recording(sd: Any) -> None:
    """Raise for a recording whose parts were changed so that they no longer fit.

    Raises
    ------
    TypeError
        If a part is of the wrong type.
    ValueError
        If numbers of units differ, or the window or a spike time is not valid.
    """
    start, length = checks.finite("start_time", sd.start_time), sd.length
    checks.not_negative("length", length)
    if len(sd.train) != sd.N:
        raise ValueError(
            f"train must hold one array per unit, got {len(sd.train)} for N={sd.N}"
        )
    attributes = sd.neuron_attributes
    if attributes is not None and len(attributes) != sd.N:
        raise ValueError(
            f"neuron_attributes must hold one dictionary per unit, "
            f"got {len(attributes)} for N={sd.N}"
        )
    for unit, times in enumerate(sd.train):
        if not isinstance(times, np.ndarray) or times.ndim != 1:
            raise TypeError(
                f"unit {unit}: spike times must be a 1-D array, got {times!r:.80}"
            )
    check_window(sd.train, start, length)


def extremes(train: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the smallest and the largest spike time, (0.0, 0.0) if there is none."""
    bounds = list(_bounds(train))
    if not bounds:
        return 0.0, 0.0
    return (
        float(min(low for low, _ in bounds)),
        float(max(high for _, high in bounds)),
    )


def largest_ms(train: Sequence[NDArray[np.float64]]) -> float:
    """Return the largest magnitude among the times of all units."""
    return max(map(abs, extremes(train)))


def moved_ms(
    train: Sequence[NDArray[np.float64]],
    there_and_back: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    """Return how far a time moves at most if each is converted and converted back."""
    shifts = (there_and_back(block) - block for block in blocks(train, CACHED))
    return float(max((np.abs(shift).max() for shift in shifts), default=0.0))


def into_window(
    train: Sequence[NDArray[np.float64]],
    start_ms: float,
    length_ms: float,
    slack_ms: float,
) -> Pieces:
    """Move times that rounding carried out of the window back to its edge.

    Only times within `slack_ms` of the edge move; those further out stay, so
    that the check against the window can refuse them.
    """
    joined = train if isinstance(train, Pieces) else join(train)
    first, last = start_ms, start_ms + length_ms
    low, high = extremes(joined)
    if low >= first and high <= last:
        return joined
    flat = joined.flat
    near = (flat >= first - slack_ms) & (flat <= last + slack_ms)
    return Pieces(np.where(near, np.clip(flat, first, last), flat), joined.stops)
