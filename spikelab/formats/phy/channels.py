"""The channels of a Phy folder: which there are, where, and which unit is on which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import warn
from spikelab.formats.phy import npy
from spikelab.spikedata.unit_table import UnitTable


@attrs.frozen(eq=False)
class Channels:
    """The channels that units lie on."""

    electrodes: NDArray[np.int64]  # of each channel, or its row in the raw data
    of_unit: NDArray[np.int64]  # channel, -1 where only its template can tell
    positions: NDArray[np.float32]  # (C, 2), all different; unknown ones are beyond
    n_unplaced: int  # how many positions are unknown, though others are known

    def __len__(self) -> int:
        return len(self.electrodes)

    @property
    def numbers(self) -> NDArray[np.int32]:
        """The channel map: electrodes, or 0 to C - 1 if these do not fit into one."""
        fits = 0 <= self.electrodes.min() <= self.electrodes.max() < 2**31 - 1
        return (self.electrodes if fits else np.arange(len(self))).astype(np.int32)

    def write(self, folder: Path) -> None:
        """Write ``channel_map.npy`` and ``channel_positions.npy``."""
        np.save(folder / "channel_map.npy", self.numbers)
        np.save(folder / "channel_positions.npy", self.positions)


def channels_of(
    table: UnitTable, n_raw: int, width: int, listed: Sequence[NDArray[np.int64]]
) -> Channels:
    """Return the channels of a recording.

    They are, whatever there is first: the `n_raw` rows of the raw data, the electrodes
    that `listed` (those of the columns of templates) and the units name, the columns of
    the templates (`width` of the widest), the places of the units.
    """
    places = _places(table)
    electrodes, of_unit = _numbered(table, n_raw, width, listed, places)
    positions = np.zeros((len(electrodes), 2))
    placed = np.zeros(len(electrodes), dtype=bool)
    if places is not None:
        # A channel is where its first unit is, unless another one is there.
        known = np.flatnonzero((of_unit >= 0) & np.isfinite(places[:, 0]))
        used, first = np.unique(of_unit[known], return_index=True)
        at = places[known[first]]
        apart = np.sort(np.unique(at, axis=0, return_index=True)[1])
        positions[used[apart]], placed[used[apart]] = at[apart], True
    # Phy needs all positions to be different: the others follow upwards.
    left = np.flatnonzero(~placed)
    top = positions[placed].max(axis=0) if placed.any() else np.array([0.0, -1.0])
    positions[left] = top
    positions[left, 1] += 1 + np.arange(len(left))
    n_unplaced = len(left) if placed.any() else 0
    return Channels(electrodes, of_unit, positions.astype(np.float32), n_unplaced)


def positions_in(
    electrodes: NDArray[np.int64], wanted: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return where each of `wanted` stands among the electrodes, -1 where it does not."""
    order = np.argsort(electrodes)
    near = np.searchsorted(electrodes[order], wanted)
    found = order[np.minimum(near, len(order) - 1)]
    return np.where(electrodes[found] == wanted, found, -1)


def _numbered(
    table: UnitTable,
    n_raw: int,
    width: int,
    listed: Sequence[NDArray[np.int64]],
    places: NDArray[np.float32] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the electrode of each channel, and the channel of each unit."""
    # A unit with several electrodes is shown on the first.
    numbers = [e[0] if isinstance(e, list) and e else e for e in table.electrodes]
    are_known = all(type(n) is int and abs(n) < 2**63 for n in numbers)
    of_unit = np.array(numbers if are_known else [-1] * len(table), dtype=np.int64)
    if n_raw:
        is_row = (of_unit >= 0) & (of_unit < n_raw)
        return np.arange(n_raw), np.where(is_row, of_unit, -1)
    if listed:
        named = [of_unit] if are_known else []
        electrodes = np.unique(np.concatenate([*listed, *named]))
        longest = max(listed, key=len)
        if len(longest) == len(electrodes):
            electrodes = longest  # the order of a template with all is the probe's
        return electrodes, positions_in(electrodes, of_unit) if are_known else of_unit
    if are_known:
        if 0 <= of_unit.min() <= of_unit.max() < width:
            return np.arange(width), of_unit
        return np.unique(of_unit, return_inverse=True)
    if places is not None and np.isfinite(places).all():
        of_unit = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
        return np.arange(of_unit.max() + 1), of_unit
    return np.arange(width), of_unit if width > 1 else np.zeros_like(of_unit)


def _places(table: UnitTable) -> NDArray[np.float32] | None:
    """Return x and y of each unit, (N, 2), None if any is not known; y may be 0.

    Units with several electrodes have no place: theirs is NaN.
    """
    places = np.full((len(table), 2), np.nan, dtype=np.float32)
    sizes = set()
    for unit, place in enumerate(table.locations):
        # Beyond 1e30, float32 has no place above another.
        if place is not None and max(map(abs, place)) < 1e30:
            places[unit] = (*place, 0.0)[:2]
            sizes.add(len(place))
        elif place is not None or not isinstance(table.electrodes[unit], list):
            return None
    return places if len(sizes) == 1 else None


def read(
    folder: Path, map_file: str, positions_file: str
) -> tuple[NDArray[np.int64] | None, NDArray[Any] | None]:
    """Return the electrode (C,) and the position (C, 1 to 3) of each channel.

    Either is None if it is not there, or cannot be read.
    """
    electrodes = npy.optional(npy.read_whole, folder / map_file)
    n_channels = 0 if electrodes is None else len(electrodes)
    positions = npy.optional(npy.read, folder / positions_file, ndim=2)
    if positions is not None and (
        not 1 <= positions.shape[1] <= 3 or len(positions) < n_channels
    ):
        warn(
            f"left out: {folder / positions_file} must have shape (channels, 2) with "
            f"the channels of {map_file}, got {positions.shape}"
        )
        positions = None
    if electrodes is None or not n_channels:
        return None, positions
    return electrodes.astype(np.int64), positions


def add_channels(
    rows: Sequence[dict[str, Any]],
    peaks: Sequence[int],
    electrodes: NDArray[np.int64] | None,
    positions: NDArray[Any] | None,
) -> None:
    """Add to the attributes of each unit the electrode and the location of its channel.

    That is the one of the electrode in the attributes, if they have one, else `peaks`.
    """
    known = UnitTable(rows, len(rows)).electrodes
    for row, electrode, channel in zip(rows, known, peaks, strict=True):
        if electrode is not None:
            row["electrode"] = electrode
            if type(electrode) is int and electrodes is not None:
                matching = np.flatnonzero(electrodes == electrode)
                channel = int(matching[0]) if matching.size else channel
        elif electrodes is not None and 0 <= channel < len(electrodes):
            row["electrode"] = int(electrodes[channel])
        if positions is None or has_location(row) or not 0 <= channel < len(positions):
            continue
        place = positions[channel].astype(float)
        if np.isfinite(place).all():
            row["location"] = place.tolist()


def has_location(row: Mapping[str, Any]) -> bool:
    """Return whether the attributes of a unit say where it is."""
    return not row.keys().isdisjoint(("location", "position", "x"))
