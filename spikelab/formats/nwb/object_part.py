"""What an NWB file holds of an object of each data class, beside its units."""

import abc
import hashlib
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import Loss
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import Attributes

O = TypeVar("O", bound=DataObject)  # noqa: E741


class ObjectPart(abc.ABC, Generic[O]):
    """How objects of one data class are written and read, and what of them is lost.

    Units, their attributes and metadata are the same for all classes.
    """

    cls: type[DataObject]
    """The data class."""

    def check(self, obj: O) -> None:
        """Raise ValueError if the object holds what NWB cannot."""

    def recording(self, obj: O) -> SpikeData | None:
        """Return the spikes of the object as a recording, None if it has none."""
        return None

    @abc.abstractmethod
    def losses(self, obj: O) -> Iterator[Loss]:
        """Yield what the file does not carry beside attributes and metadata."""

    @abc.abstractmethod
    def write(self, file: h5py.File, obj: O) -> None:
        """Write all but the units."""

    def read(self, file: h5py.File, known: Attributes, metadata: Any) -> DataObject:
        """Return the object; only classes without spikes are read as what they were."""
        raise NotImplementedError


def rounding_losses(name: str, path: str, times_ms: Any) -> Iterator[Loss]:
    """Yield how far seconds move times in ms; nothing if they do not."""
    flat = np.asarray(times_ms, dtype=np.float64).ravel()
    trains = SpikeTrains(flat, np.array([flat.size]))
    shift = trains.rounding(lambda t: time_units.there_and_back(t, "s", None))
    if shift:
        yield Loss((path,), f"{name} are rounded by up to {shift:.3g} ms")


def check_numbers(name: str, array: NDArray[Any]) -> None:
    """Raise ValueError for values that NWB has no type for."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ValueError(
            f"{name} must hold real numbers of at most 64 bits to be written as NWB, "
            f"got {array.dtype}"
        )


def windows_ms(times: Any) -> NDArray[np.float64]:
    """Return windows as an array (S, 2) of starts and ends in ms.

    Raises
    ------
    ValueError
        If they are not pairs of finite numbers, or are rounded as float64.
    """
    try:
        windows = np.asarray(list(times), dtype=np.float64).reshape(len(times), 2)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"times must hold a start and an end in ms for each window: {error}"
        ) from error
    if not np.all(np.isfinite(windows)):
        raise ValueError("times must be finite to be written as trials")
    for window, given in zip(windows.tolist(), times, strict=True):
        if window != list(given):
            raise ValueError(f"times must be numbers that a float64 holds, got {given}")
    return windows


def fingerprint(parts: list[Any]) -> str:
    """Return a text that is the same for equal arrays, and hardly ever for others.

    What is no array of numbers is taken by its ``repr``.
    """
    digest = hashlib.sha256()
    for part in parts:
        is_plain = isinstance(part, np.ndarray) and part.dtype.kind not in "OU"
        array = part if is_plain else np.array(list(repr(part).encode()), np.uint8)
        digest.update(f"{array.dtype} {array.shape}".encode())
        for block in _blocks(array):
            digest.update(block)
    return digest.hexdigest()


def _blocks(array: NDArray[Any]) -> Iterator[bytes]:
    """Yield the values of small arrays, and sums of those of large ones."""
    rows = np.atleast_1d(array)
    step = max(BLOCK * len(rows) // max(rows.size, 1), 1)
    for start in range(0, len(rows), step):
        block = np.ascontiguousarray(rows[start : start + step])
        is_large = block.size > 4096 and block.itemsize == 8
        yield _sums(block.ravel()).tobytes() if is_large else block.tobytes()


def _sums(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Return sums of the bit patterns of every 1021st value, from each of the first.

    They cost a tenth of a cryptographic hash. The number is prime, so that units which
    change places change the sums.
    """
    bits = values.view(np.uint64)
    rows = bits[: len(bits) // 1021 * 1021].reshape(-1, 1021)
    sums: NDArray[np.uint64] = rows.sum(axis=0, dtype=np.uint64)
    rest = bits[rows.size :]
    sums[: len(rest)] += rest
    return sums
