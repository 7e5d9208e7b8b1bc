"""Raw voltages beside the spikes of a Phy folder."""

from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.phy import facts
from spikelab.formats.phy.params import read_params
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import BLOCK
from spikelab.spikedata.spikedata import SpikeData

RAW_FILE = "recording.dat"

_KEPT = ("int16", "uint16", "float32")
"""The dtypes that are written as they are; others become float32."""


@attrs.frozen(eq=False)
class Raw:
    """Raw data that are sampled evenly at the sampling rate of the spikes."""

    data: NDArray[Any]  # the voltages (channels, samples), never copied as a whole
    first_sample: int  # sample number of the first of them
    fs_Hz: float  # sampling rate

    @property
    def dtype(self) -> str:
        """The dtype in the file."""
        name = self.data.dtype.name
        return name if name in _KEPT else "float32"

    def check_covers(self, sd: SpikeData) -> None:
        """Raise ValueError if a spike lies outside of the raw data."""
        low_ms, high_ms = sd.spike_trains.extremes()
        ends = time_units.from_ms(np.array([low_ms, high_ms]), "samples", self.fs_Hz)
        low, high = ends - self.first_sample
        if not 0 <= low <= high < self.data.shape[1]:
            raise ValueError(
                f"raw_data must cover all spikes, from {low_ms} to {high_ms} ms, "
                f"got raw_time from {sd.raw_time[0]} to {sd.raw_time[-1]} ms"
            )

    def write(self, folder: Path) -> None:
        """Write ``recording.dat``: samples by channels, block by block."""
        n_channels, n_samples = self.data.shape
        step = max(BLOCK // n_channels, 1)
        with (folder / RAW_FILE).open("wb") as file:
            for start in range(0, n_samples, step):
                block = self.data[:, start : start + step].T
                file.write(np.ascontiguousarray(block, dtype=self.dtype).tobytes())

    def average(
        self, times_ms: NDArray[np.float64], offsets: NDArray[np.int64]
    ) -> NDArray[np.float64] | None:
        """Return the mean voltages around times, shape (offsets, channels).

        None if there is no time whose surroundings are in the data.
        """
        n_channels, n_samples = self.data.shape
        at = time_units.from_ms(times_ms, "samples", self.fs_Hz) - self.first_sample
        at = at[(at + offsets[0] >= 0) & (at + offsets[-1] < n_samples)]
        most = max(4 * BLOCK // (len(offsets) * n_channels), 1)
        at = at[:most, None] + offsets
        return self.data[:, at].mean(axis=1, dtype=np.float64).T if at.size else None


def raw_of(sd: SpikeData, fs_Hz: float) -> Raw:
    """Return the raw data of a recording.

    Raises ValueError if there are none, or they are not sampled evenly at `fs_Hz`.
    """
    data, times = np.atleast_2d(np.asanyarray(sd.raw_data)), np.asarray(sd.raw_time)
    if not data.size:
        raise ValueError(
            "raw_data=True must come with raw data, got a recording without"
        )
    for start in range(0, len(times), BLOCK):
        block = times[start : start + BLOCK]
        expected = times[0] + np.arange(start, start + len(block)) / fs_Hz * 1000.0
        # NaN makes the comparison false.
        late = ~(np.abs(block - expected) <= 500.0 / fs_Hz)
        if np.any(late):
            first = int(np.argmax(late))
            raise ValueError(
                f"raw_time must be spaced by 1/fs_Hz, {1000.0 / fs_Hz} ms, without "
                f"gaps, got {block[first]} ms at sample {start + first}, "
                f"not {expected[first]}"
            )
    return Raw(data, int(time_units.from_ms(times[:1], "samples", fs_Hz)[0]), fs_Hz)


def with_raw(sd: SpikeData, folder: Path) -> SpikeData:
    """Return a recording with the raw data that ``recording.dat`` beside it holds."""
    values = read_params(folder)
    data = np.memmap(folder / RAW_FILE, dtype=values["dtype"], mode="r")
    rows = data.reshape(-1, values["n_channels_dat"])
    samples = facts.read(folder).first_sample + np.arange(len(rows))
    times = time_units.to_ms(samples, "samples", values["sample_rate"])
    return SpikeData(**{**sd.arguments(), "raw_data": rows.T, "raw_time": times})
