"""Raw voltages beside the spikes of a Phy folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import trains, units

_KEPT = ("int16", "uint16", "float32")
"""The dtypes that are written as they are; others become float32."""


@attrs.frozen(eq=False)
class Raw:
    """Raw data that are sampled evenly at the sampling rate of the spikes.

    Parameters
    ----------
    data : ndarray, shape (channels, samples)
        The voltages, never copied as a whole.
    first_sample : int
        Sample number of the first of them.
    """

    data: NDArray[Any]
    first_sample: int

    @property
    def dtype(self) -> str:
        """The dtype in the file."""
        name = self.data.dtype.name
        return name if name in _KEPT else "float32"

    def write(self, path: Path) -> None:
        """Write samples by channels, block by block."""
        with path.open("wb") as file:
            file.writelines(self._blocks())

    def is_in(self, path: Path) -> bool:
        """Tell whether a file holds what :meth:`write` writes."""
        with path.open("rb") as file:
            same = all(file.read(len(block)) == block for block in self._blocks())
            return same and not file.read(1)

    def _blocks(self) -> Iterator[bytes]:
        n_channels, n_samples = self.data.shape
        step = max(trains.BLOCK // n_channels, 1)
        for start in range(0, n_samples, step):
            block = self.data[:, start : start + step].T
            yield np.ascontiguousarray(block, dtype=self.dtype).tobytes()

    def average(
        self, samples: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """Return the mean voltages around sample numbers, shape (offsets, channels).

        None if there is no sample whose surroundings are in the data.
        """
        at = samples - self.first_sample
        at = at[(at + offsets[0] >= 0) & (at + offsets[-1] < self.data.shape[1])]
        most = max(4 * trains.BLOCK // (len(offsets) * len(self.data)), 1)
        at = at[:most, None] + offsets
        return self.data[:, at].mean(axis=1, dtype=np.float64).T if at.size else None


def n_channels(sd: Any) -> int:
    """Return how many channels the raw data of a recording have, 0 without any."""
    shape = np.shape(sd.raw_data)
    if 0 in shape:
        return 0
    return shape[0] if len(shape) == 2 else 1


def raw_of(sd: Any, fs_Hz: float) -> Raw:
    """Return the raw data of a recording.

    Raises
    ------
    ValueError
        If there are none, or they are not sampled evenly at `fs_Hz`.
    """
    data, times = np.asanyarray(sd.raw_data), np.asarray(sd.raw_time)
    if not data.size:
        raise ValueError(
            "raw_data=True must come with raw data, got a recording without"
        )
    for start, block in _numbered_blocks(times):
        expected = times[0] + np.arange(start, start + len(block)) / fs_Hz * 1000.0
        # NaN makes the comparison false.
        late = ~(np.abs(block - expected) <= 500.0 / fs_Hz)
        if np.any(late):
            found = start + int(np.argmax(late))
            raise ValueError(
                f"raw_time must be spaced by 1/fs_Hz, {1000.0 / fs_Hz} ms, without gaps, "
                f"got {times[found]} ms at sample {found}, not {expected[np.argmax(late)]}"
            )
    first = units.from_ms(times[:1].astype(np.float64), "samples", fs_Hz)
    return Raw(data if data.ndim == 2 else data[None, :], int(first[0]))


def _numbered_blocks(times: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(times), trains.BLOCK):
        yield start, times[start : start + trains.BLOCK]
