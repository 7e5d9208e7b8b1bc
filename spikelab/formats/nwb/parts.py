"""What an NWB file holds of each class of data, beside its units."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import comparison, trains, units
from spikelab.formats.nwb import file as nwb_file
from spikelab.formats.nwb import units as nwb_units
from spikelab.kinds import Contents


class Part(abc.ABC):
    """How the objects of one class are written, and what of them is lost."""

    kind: ClassVar[str]
    """The class, by name."""

    is_read: ClassVar[bool] = False
    """Whether a file is read as this class, and not as the recording in it."""

    def check(self, obj: Any) -> None:  # noqa: B027 (most objects can be written)
        """Raise ValueError if the object holds what NWB cannot."""

    @abc.abstractmethod
    def identifier(self, obj: Any) -> str:
        """Return a text that is the same for the same data, and hardly ever for others."""

    def recording(self, obj: Any) -> Any:
        """Return the spikes of the object as a recording, None if it has none."""
        return None

    def attributes(self, obj: Any) -> nwb_units.Attributes:
        """Return what is known about each unit."""
        return obj.neuron_attributes  # type: ignore[no-any-return] # of any class

    @abc.abstractmethod
    def losses(self, obj: Any) -> list[str]:
        """Return, in words, what the file does not carry beside attributes."""

    @abc.abstractmethod
    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write the units and all else."""

    def read(self, file: h5py.File) -> dict[str, Any]:
        """Return the constructor's arguments beside the attributes of the units."""
        raise NotImplementedError

    def found_wrong(self, file: h5py.File, obj: Any) -> list[str]:
        """Return, in words, where the file differs beyond what :meth:`read` gives."""
        return []

    @abc.abstractmethod
    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Return, in words, where `contents` differs from the object."""


class Recording(Part):
    """Spike trains: the Units table holds them all."""

    kind = "SpikeData"

    def identifier(self, obj: Any) -> str:
        """Return a text made from the spikes and the window."""
        return identifier_of_spikes(obj)

    def recording(self, obj: Any) -> Any:
        """Return the object."""
        return obj

    def losses(self, obj: Any) -> list[str]:
        """Return what no table holds."""
        lost = []
        if obj.metadata:
            lost.append("metadata (NWB has no place for it)")
        if np.size(obj.raw_data):
            lost.append("raw data (only spikes are written)")
        return lost + moved("spike times", obj.train)

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write the units, and the window in ms at the root."""
        write_recording(file, obj, table)

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare units, spikes and window."""
        return comparison.differences(obj, contents, slack_ms=slack_ms(obj))


def write_recording(
    file: h5py.File, recording: Any, table: nwb_units.UnitsTable
) -> None:
    """Write units with their spikes, and the window in ms at the root."""
    file.attrs["start_time"] = float(recording.start_time)
    file.attrs["length_ms"] = float(recording.length)
    table.write(file, len(recording.train), recording)


def slack_ms(recording: Any) -> float:
    """Return how far seconds may move a spike."""
    largest = trains.largest_ms(recording.train)
    return units.rounding_ms("s", None, largest)


def moved(name: str, times_ms: Sequence[NDArray[np.float64]]) -> list[str]:
    """Return, in words, how far seconds move these times; nothing if they do not."""
    shift = trains.moved_ms(times_ms, lambda t: units.there_and_back(t, "s", None))
    return [f"{name} are rounded by up to {shift:.3g} ms"] if shift else []


def identifier_of_spikes(recording: Any) -> str:
    """Return a text that is the same for the same spikes, and hardly ever for others."""
    # Sums of bit patterns cost a tenth of a cryptographic hash.
    sums = [_sums(block).tobytes().hex() for block in trains.blocks(recording.train)]
    ends = trains.ends(recording.train).tobytes().hex()
    window = f"{float(recording.start_time)} {float(recording.length)}"
    return nwb_file.identifier(f"{window} {sums} {ends}")


def _sums(times: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return sums of the bit patterns of every 1021st time, from each of the first.

    The number is prime, so that units which change places change the sums.
    """
    bits = np.ascontiguousarray(times).view(np.uint64)
    rows = bits[: len(bits) // 1021 * 1021].reshape(-1, 1021)
    sums: NDArray[np.uint64] = rows.sum(axis=0, dtype=np.uint64)
    rest = bits[rows.size :]
    sums[: len(rest)] += rest
    return sums
