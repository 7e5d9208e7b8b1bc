"""The channels of a Phy folder: which there are, where, and which unit is on which."""

from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.formats.kilosort import npy
from spikelab.formats.kilosort.folder import electrode_numbers


@attrs.frozen(eq=False)
class Channels:
    """The channels that units lie on.

    Parameters
    ----------
    numbers : ndarray, shape (C,)
        Electrode of each channel, or its row in the raw data.
    positions : ndarray, shape (C, 2)
        Where each is, all different; where that is not known, beyond the others.
    of_unit : ndarray, shape (N,)
        Channel of each unit, -1 where only its template can tell.
    n_placed : int
        How many of the positions are known.
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float32]
    of_unit: NDArray[np.int64]
    n_placed: int

    @property
    def n_channels_dat(self) -> int:
        """How many channels a raw file has, to which the numbers refer."""
        return int(self.numbers.max()) + 1

    def losses(self) -> list[str]:
        """Return in words what is not known of the channels, if something is."""
        unplaced = len(self.numbers) - self.n_placed
        if not self.n_placed or not unplaced:
            return []
        return [f"places of {unplaced} channels are not known: above the others"]

    def write(self, folder: Path) -> None:
        """Write ``channel_map.npy`` and ``channel_positions.npy``."""
        npy.write(folder / "channel_map.npy", self.numbers.astype(np.int32))
        npy.write(folder / "channel_positions.npy", self.positions)


def channels(sd: Any, n_raw: int, n_template: int) -> Channels:
    """Return the channels of a recording.

    Parameters
    ----------
    sd : SpikeData
        The recording.
    n_raw : int
        Number of channels of the raw data, 0 if those are not used.
    n_template : int
        Number of channels of the templates.
    """
    numbers, of_unit = _numbered(sd, n_raw, n_template)
    positions, n_placed = _positions(sd, len(numbers), of_unit)
    return Channels(numbers, positions, of_unit, n_placed)


def _numbered(
    sd: Any, n_raw: int, n_template: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the number of each channel, and the channel of each unit."""
    electrodes = electrode_numbers(sd)
    if n_raw:
        rows = np.full(sd.N, -1) if electrodes is None else electrodes
        return np.arange(n_raw), np.where((rows >= 0) & (rows < n_raw), rows, -1)
    if (
        electrodes is not None
        and 0 <= electrodes.min() <= electrodes.max() < n_template
    ):
        # Templates have a column for each electrode of the probe.
        return np.arange(n_template), electrodes
    if electrodes is not None:
        numbers, of_unit = np.unique(electrodes, return_inverse=True)
        if numbers[0] < 0 or numbers[-1] >= 2**31:
            numbers = np.arange(len(numbers))
        return numbers, of_unit
    places = _places(sd)
    if places is not None:
        first = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
        return np.arange(first.max() + 1), first
    return np.arange(max(n_template, 1)), np.full(sd.N, -1 if n_template > 1 else 0)


def _places(sd: Any) -> NDArray[np.float32] | None:
    """Return x and y of each unit, None if they are not known."""
    try:
        places: ArrayLike | None = sd.unit_locations
        found = None if places is None else np.asarray(places, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    if found is None or found.ndim != 2 or found.shape[1] < 2:
        return None
    return found[:, :2] if np.all(np.isfinite(found[:, :2])) else None


def _positions(
    sd: Any, n_channels: int, of_unit: NDArray[np.int64]
) -> tuple[NDArray[np.float32], int]:
    """Return where each channel is, float32 (C, 2), and for how many that is known.

    A channel is where its first unit is. Phy needs all positions to be different: a
    channel without a unit, or at the place of another, follows the last one upwards.
    """
    positions = np.zeros((n_channels, 2))
    placed = np.zeros(n_channels, dtype=bool)
    places = _places(sd)
    if places is not None:
        known = of_unit >= 0
        used, first = np.unique(of_unit[known], return_index=True)
        at = places[known][first]
        apart = np.sort(np.unique(at, axis=0, return_index=True)[1])
        positions[used[apart]], placed[used[apart]] = at[apart], True
    left = np.flatnonzero(~placed)
    top = positions[placed].max(axis=0) if placed.any() else np.array([0.0, -1.0])
    step = max(1.0, float(np.spacing(np.float32(np.abs(top).max()))))
    positions[left, 0], positions[left, 1] = (
        top[0],
        top[1] + step * (1 + np.arange(len(left))),
    )
    return positions.astype(np.float32), int(placed.sum())
