"""What an NWB file holds of an object beside its units; recordings, first of all."""

import abc
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import Loss
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import Attributes

O = TypeVar("O", bound=DataObject)  # noqa: E741


class Part(abc.ABC, Generic[O]):
    """How an object of one data class is written, and what of it is lost.

    Units, their attributes and metadata are the same for all classes. Making one raises
    ValueError if the object holds what NWB cannot.

    Attributes
    ----------
    obj : data object
        The object.
    metadata : mapping
        What is known about the recording that it is, or comes from.
    recording : SpikeData or None
        Its spikes, None if it has none.
    """

    recording: SpikeData | None = None

    def __init__(self, obj: O) -> None:
        self.obj = obj
        self.metadata: Mapping[Any, Any] = getattr(obj, "metadata", None) or {}

    @abc.abstractmethod
    def losses(self) -> Iterator[Loss]:
        """Yield what the file does not carry beside attributes and metadata."""

    @abc.abstractmethod
    def write(self, file: h5py.File) -> None:
        """Write all but header, units and spikes."""

    @classmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> DataObject:
        """Return the object; only classes without spikes are read as what they were."""
        raise NotImplementedError


class RecordingPart(Part[SpikeData]):
    """Spike trains: the Units table holds them all, the root the window in ms."""

    def __init__(self, obj: SpikeData) -> None:
        super().__init__(obj)
        self.recording = obj

    def losses(self) -> Iterator[Loss]:
        """Yield what no table holds."""
        if np.size(self.obj.raw_data):
            yield Loss(("raw_data",), "raw data (only spikes are written)")
            yield Loss(("raw_time",))
        yield from rounding_losses("spike times", "train", self.obj.spike_trains.flat)

    def write(self, file: h5py.File) -> None:
        """Write the window."""
        file.attrs["start_time"] = float(self.obj.start_time)
        file.attrs["length_ms"] = float(self.obj.length)


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
