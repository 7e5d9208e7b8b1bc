"""Spike trains in flat form: all spike times in one array, unit after unit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spikelab.errors import FormatError
from spikelab.spikedata.foreign import instead_of
from spikelab.spikedata.quantity import has_unit, in_ms

BLOCK = 2**20
"""Number of values that are read or written at a time (8 MB as float64)."""

CACHED = 2**16
"""Number of values that are computed at a time, so that they stay in the cache."""


class SpikeTrains(Sequence[NDArray[np.float64]]):
    """Spike times of N units, a sequence of one array per unit.

    The arrays are views of one flat array. Assigning to an item replaces the spike
    times of that unit, sorted. Pickled, copied or added to a list, the trains become a
    list of arrays, as spikelab 0.1.2 has it.

    Parameters
    ----------
    flat : ndarray of float64, shape (n_spikes,)
        All spike times, unit after unit; not copied.
    ends : ndarray of int64, shape (N,)
        Where the spikes of each unit end in `flat`; the last is ``len(flat)``.

    Attributes
    ----------
    flat, ends : ndarray
        The arguments.
    owned : bool
        Whether a recording holds these arrays, so that another one has to copy them;
        :class:`.SpikeData` sets it.
    """

    def __init__(self, flat: NDArray[np.float64], ends: NDArray[np.int64]) -> None:
        self.flat = flat
        self.ends = ends
        self.owned = False
        self._is_sorted = False  # whether the times were seen to be in order

    @classmethod
    def from_arrays(cls, arrays: Iterable[ArrayLike]) -> Self:
        """Copy the spike times of each unit into one flat array.

        Raises TypeError if those of a unit are not real numbers, or are masked, and
        ValueError if they are not 1-D.
        """
        checked = [_spike_times(unit, times) for unit, times in enumerate(arrays)]
        counts = np.fromiter(map(len, checked), dtype=np.int64, count=len(checked))
        flat = np.concatenate(checked, dtype=np.float64) if checked else np.empty(0)
        return cls(flat, np.cumsum(counts, dtype=np.int64))

    @classmethod
    def from_flat(cls, flat: NDArray[Any], ends: ArrayLike, name: str) -> Self:
        """Return the spike trains that a file holds in flat form, not copied.

        Raises FormatError, which calls them `name`, if `ends` decrease, or do not end at
        the number of spikes.
        """
        edges = np.asarray(ends)
        if edges.ndim != 1 or (edges.size and edges.dtype.kind not in "iu"):
            raise FormatError(
                f"{name} must be a 1-D array of integers, "
                f"got {edges.dtype} with shape {edges.shape}"
            )
        trains = cls(flat, edges.astype(np.int64))
        if np.any(trains.counts < 0):
            raise FormatError(f"{name} must not decrease and not be negative")
        last = int(trains.ends[-1]) if len(trains) else 0
        if last != len(flat):
            raise FormatError(
                f"{name} must end at the number of spikes, {len(flat)}, got {last}"
            )
        return trains

    @classmethod
    def from_pairs(cls, units: ArrayLike, times: NDArray[Any], n_units: int) -> Self:
        """Sort parallel arrays of units and times into one train per unit.

        `units` are 0 to ``n_units - 1``, in any order; the times of a unit keep theirs,
        and are not copied if they are sorted by unit.
        """
        indices = np.asarray(units)
        parts = (indices[i : i + CACHED + 1] for i in range(0, len(indices), CACHED))
        if any(np.any(part[1:] < part[:-1]) for part in parts):
            # A stable sort of the smallest integers that hold them is a radix sort.
            smallest = np.min_scalar_type(max(n_units - 1, 0))
            indices = indices.astype(smallest, copy=False)
            times = times[np.argsort(indices, kind="stable")]
            indices = np.sort(indices, kind="stable")
        ends = np.full(n_units, len(indices), dtype=np.int64)
        with_spikes = int(indices[-1]) + 1 if len(indices) else 0
        # Of the dtype of the indices, or NumPy would convert them all.
        numbers = np.arange(with_spikes).astype(indices.dtype)
        ends[:with_spikes] = np.searchsorted(indices, numbers, side="right")
        return cls(times, ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, unit: int) -> NDArray[np.float64]: ...
    @overload
    def __getitem__(self, unit: slice) -> list[NDArray[np.float64]]: ...
    def __getitem__(
        self, unit: int | slice
    ) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """Return the spike times of a unit (a view), or of several as a list."""
        if isinstance(unit, slice):
            return [self[i] for i in range(*unit.indices(len(self)))]
        if not -len(self) <= unit < len(self):
            raise IndexError(f"unit must lie in 0..{len(self) - 1}, got {unit}")
        i = unit % len(self)
        return self.flat[self.ends[i - 1] if i else 0 : self.ends[i]]

    def __setitem__(self, unit: int, times: ArrayLike) -> None:
        arrays: list[ArrayLike] = list(self)
        arrays[unit] = times
        replaced = type(self).from_arrays(arrays)
        self.flat, self.ends = replaced.flat, replaced.ends
        self.sort()

    def __iter__(self) -> Iterator[NDArray[np.float64]]:
        flat, start = self.flat, 0
        for end in self.ends.tolist():
            yield flat[start:end]
            start = end

    def __add__(self, other: Iterable[Any]) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Any]) -> list[Any]:
        return [*other, *self]

    def __repr__(self) -> str:
        return f"SpikeTrains({list(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Two large arrays instead of one small one per unit.
        if len(self):
            return np.split, (self.flat, self.ends[:-1])
        return list, ()

    @property
    def n_spikes(self) -> int:
        """Number of spikes of all units."""
        return len(self.flat)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of spikes of each unit, int64 (N,)."""
        return np.diff(self.ends, prepend=0)

    def padded(self, n_units: int) -> "SpikeTrains":
        """Return the same trains with silent units added up to `n_units`."""
        more = np.full(max(n_units - len(self), 0), self.n_spikes, dtype=np.int64)
        return SpikeTrains(self.flat, np.concatenate((self.ends, more)))

    def of_units(self, units: Sequence[int]) -> "SpikeTrains":
        """Return a copy with the chosen units, in the order given."""
        return SpikeTrains.from_arrays([self[unit] for unit in units])

    def blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.float64]]:
        """Yield the flat spike times as views, at most `size` at a time."""
        for start in range(0, self.n_spikes, size):
            yield self.flat[start : start + size]

    def unit_indices(
        self, start: int, stop: int, dtype: DTypeLike = np.intp
    ) -> NDArray[Any]:
        """Return the unit of each of the spikes ``flat[start:stop]``, as `dtype`."""
        return self.repeated(np.arange(len(self), dtype=dtype), start, stop)

    def repeated(self, values: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
        """Return the value of its unit for each of the spikes ``flat[start:stop]``.

        `values` holds one value per unit, shape (N,).
        """
        first = int(np.searchsorted(self.ends, start, side="right"))
        last = int(np.searchsorted(self.ends, max(stop, start), side="left"))
        edges = np.minimum(self.ends[first : last + 1], stop)
        return np.repeat(values[first : last + 1], np.diff(edges, prepend=start))

    def sort(self) -> bool:
        """Sort the spike times of each unit in place; return whether any moved."""
        if self._is_sorted and not self.owned:
            return False
        unsorted = self._unsorted_units()
        for unit in unsorted:
            self[unit].sort()
        self._is_sorted = True
        return bool(unsorted)

    def _unsorted_units(self) -> set[int]:
        unsorted: set[int] = set()
        for start in range(0, self.n_spikes, CACHED):
            block = self.flat[start : start + CACHED + 1]
            # NaN, which is sorted to the end, is never in order.
            ascends = block[:-1] <= block[1:]
            stop = start + len(ascends)
            ending = slice(*np.searchsorted(self.ends, (start, stop), side="right"))
            edges = self.ends[ending] - start
            # From the last spike of a unit to the first of the next a time may fall.
            ascends[edges - 1] = True
            if ascends.all():
                continue
            falls = np.flatnonzero(~ascends)
            n_before = np.append(np.searchsorted(falls, edges), len(falls))
            units = ending.start + np.flatnonzero(np.diff(n_before, prepend=0))
            unsorted.update(units.tolist())
        return unsorted

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and the largest spike time, (0.0, 0.0) without spikes.

        Both are NaN if any time is.
        """
        if not self.n_spikes:
            return 0.0, 0.0
        if not self._is_sorted:
            self._is_sorted = not self._unsorted_units()
        if self._is_sorted:
            firsts, lasts = self._firsts_and_lasts()
            return float(firsts.min()), float(lasts.max())
        return float(self.flat.min()), float(self.flat.max())

    def _firsts_and_lasts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first and the last spike time of each unit that has any."""
        counts = self.counts
        has_spikes = counts > 0
        firsts = self.flat[(self.ends - counts)[has_spikes]]
        return firsts, self.flat[self.ends[has_spikes] - 1]

    def assumed_start(self) -> float:
        """Return the start of a recording, if not known: 0, or its first spike before 0.

        A time that is not finite is left to `check_window`, which names its unit.
        """
        first, _ = self.extremes()
        return first if -np.inf < first < 0 else 0.0

    def largest_ms(self) -> float:
        """Return the largest magnitude among the spike times."""
        return max(map(abs, self.extremes()))

    def check_window(self, start_ms: float, length_ms: float) -> None:
        """Raise ValueError, with unit and value, for a time outside of the window.

        Takes sorted trains, of which only the first and the last spikes are compared.
        The sum of start and length is rounded, so that the last spike of a window that
        ends with it can come out beyond the sum: that much is admitted.
        """
        stop = start_ms + length_ms
        last = stop + np.spacing(max(abs(start_ms), abs(length_ms)))
        firsts, lasts = self._firsts_and_lasts()  # a NaN is sorted to the end
        is_inside = (firsts >= start_ms) & (lasts <= last)
        if is_inside.all():
            return
        unit = np.flatnonzero(self.counts)[np.argmin(is_inside)]
        times = self[unit]
        outside = times[~((times >= start_ms) & (times <= last))]
        raise ValueError(
            f"unit {unit}: spike times must be finite and lie in the recording "
            f"window [{start_ms}, {stop}] ms, got {outside[0]}"
        )

    def moved_into(
        self, start_ms: float, length_ms: float, slack_ms: float
    ) -> "SpikeTrains":
        """Return the trains, times that rounding carried out of the window moved back.

        Only times within `slack_ms` of its edges move; those further out stay, for the
        check of the window to refuse them.
        """
        first, last = start_ms, start_ms + length_ms
        low, high = self.extremes()
        if low >= first and high <= last:
            return self
        flat = self.flat
        is_near = (flat >= first - slack_ms) & (flat <= last + slack_ms)
        moved = np.where(is_near, np.clip(flat, first, last), flat)
        return SpikeTrains(moved, self.ends)


def converted(
    blocks: Iterable[Any],
    convert: Callable[[Any, NDArray[Any]], Any],
    dtype: DTypeLike,
) -> Iterator[NDArray[Any]]:
    """Yield each block converted, in one array that the next block overwrites.

    `convert` is called with a part of a block that stays in the cache, and with the
    array to write the result to.
    """
    whole = np.empty(0, dtype=dtype)
    for block in blocks:
        if len(block) > len(whole):
            whole = np.empty(len(block), dtype=dtype)
        for start in range(0, len(block), CACHED):
            part = block[start : start + CACHED]
            convert(part, whole[start : start + len(part)])
        yield whole[: len(block)]


def checked_trains(train: Any) -> SpikeTrains:
    """Return the spike times of units as trains that no other data object holds.

    These are `train` itself, if it is still free, or else a copy.
    """
    if isinstance(train, SpikeTrains):
        can_be_sorted = train.flat.dtype == np.float64 and train.flat.flags.writeable
        if can_be_sorted and not train.owned:
            return train
    got = _not_trains(train)
    if got:
        raise TypeError(f"train must be a sequence of arrays of spike times, got {got}")
    return SpikeTrains.from_arrays(train)


def _not_trains(train: Any) -> str:
    """Return what `train` is and what to call with it, "" if it can hold spike times."""
    table = "SpikeData.from_idces_times takes two of its columns"
    if instead := instead_of(train, table):
        return instead
    if not isinstance(train, Iterable):
        return f"{train!r:.80}"
    if not isinstance(train, list | tuple) or not train:
        return ""
    # Quantities, also those of neo and pynapple, and labelled arrays are spike times.
    cls = type(train[0])
    if has_unit(cls) or cls.__name__ == "DataArray":
        return ""
    return instead_of(train[0], table)


def _spike_times(unit: int, times: ArrayLike) -> NDArray[np.float64]:
    """Return the spike times of a unit in ms as a 1-D array, or raise."""
    name = f"unit {unit}: spike times"
    times = in_ms(name, times)
    try:
        array = np.asarray(times)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers: {error}") from error
    is_numeric = not array.size or array.dtype.kind in "iuf"
    if np.ma.is_masked(times) or not is_numeric:
        got = f"{type(times).__name__} of dtype {array.dtype}"
        raise TypeError(f"{name} must be numbers, got {got}")
    if array.ndim == 0:
        raise ValueError(
            f"{name} must be 1-D, got shape (): train is a list of arrays, one for "
            f"each unit; [times] is a recording of one unit, and "
            f"SpikeData.from_idces_times takes parallel arrays of units and times"
        )
    if array.ndim > 1:
        raise ValueError(f"{name} must be 1-D, got shape {array.shape}")
    return array.astype(np.float64, copy=False)
