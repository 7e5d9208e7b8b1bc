"""Large arrays on the disk instead of in memory, while a staged file is verified.

An array is large from `CACHED` values.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.spikedata.spike_trains import CACHED, SpikeTrains

_ON_DISK: ContextVar[bool] = ContextVar("_ON_DISK", default=False)


@contextlib.contextmanager
def arrays_on_disk() -> Iterator[None]:
    """Let the functions below, in the block, keep large arrays on the disk."""
    token = _ON_DISK.set(True)
    try:
        yield
    finally:
        _ON_DISK.reset(token)


def read_array(found: Any) -> NDArray[Any]:
    """Return a dataset, or an array, as an array.

    A dataset is read, or mapped if it lies in a local file as a whole.
    """
    offset = None
    if _ON_DISK.get() and isinstance(found, h5py.Dataset) and found.size >= CACHED:
        offset = found.id.get_offset()  # None for chunks
    if offset is None:
        return np.asarray(found[...])
    return np.memmap(found.file.filename, found.dtype, "c", offset, found.shape)


def empty_array(size: int) -> NDArray[np.float64]:
    """Return a float64 array of no known values, on the disk part of an unnamed file."""
    if size < CACHED or not _ON_DISK.get():
        return np.empty(size)
    with tempfile.TemporaryFile() as file:
        try:  # a mapped file for which the disk has no room crashes Python
            os.posix_fallocate(file.fileno(), 0, 8 * size)
        except (AttributeError, OSError):  # not on every system, not on a full disk
            return np.empty(size)
        return np.memmap(file, np.float64, "r+", shape=(size,))


def collected(arrays: Iterable[NDArray[np.float64]]) -> SpikeTrains:
    """Return the spike times of each unit as trains."""
    if not _ON_DISK.get():
        return SpikeTrains.from_arrays(arrays)
    counts = []
    with tempfile.TemporaryFile() as file:
        for times in arrays:
            file.write(times.data)
            counts.append(len(times))
        file.flush()
        size = sum(counts)
        flat = np.memmap(file, np.float64, "r+", shape=(size,)) if size else np.empty(0)
    return SpikeTrains(flat, np.cumsum(counts, dtype=np.int64))
