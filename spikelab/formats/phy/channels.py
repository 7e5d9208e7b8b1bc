"""The channels of a Phy folder: which there are, where, and which unit is on which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.phy import npy
from spikelab.spikedata.unit_table import UnitTable


@attrs.frozen(eq=False)
class Channels:
    """The channels that units lie on."""

    electrodes: NDArray[np.int64]  # of each channel, or its row in the raw data
    of_unit: NDArray[np.int64]  # channel, -1 where only its template can tell
    positions: NDArray[np.float32]  # (C, 2), all different; unknown ones are beyond
    n_placed: int  # how many of the positions are known

    def __len__(self) -> int:
        return len(self.electrodes)

    @property
    def numbers(self) -> NDArray[np.int32]:
        """The channel map: electrodes, or 0 to C - 1 if these do not fit into one."""
        fits = 0 <= self.electrodes.min() <= self.electrodes.max() < 2**31 - 1
        return (self.electrodes if fits else np.arange(len(self))).astype(np.int32)

    def write(self, folder: Path) -> None:
        """Write ``channel_map.npy`` and ``channel_positions.npy``."""
        npy.write(folder / "channel_map.npy", self.numbers)
        npy.write(folder / "channel_positions.npy", self.positions)


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
    positions, n_placed = _positions(places, len(electrodes), of_unit)
    return Channels(electrodes, of_unit, positions, n_placed)


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
    known = table.electrode_numbers
    nowhere = np.full(len(table), -1)
    units = nowhere if known is None else np.array(known, dtype=np.int64)
    if n_raw:
        return np.arange(n_raw), np.where((units >= 0) & (units < n_raw), units, -1)
    if listed:
        longest = max(listed, key=len)
        named = longest if known is None else units
        electrodes = np.unique(np.concatenate([*listed, named]))
        if len(longest) == len(electrodes):
            electrodes = longest  # the order of a template with all is the probe's
        return electrodes, (
            nowhere if known is None else positions_in(electrodes, units)
        )
    if known is not None:
        if 0 <= units.min() <= units.max() < width:
            return np.arange(width), units
        electrodes, of_unit = np.unique(units, return_inverse=True)
        return electrodes, of_unit
    if places is not None:
        of_unit = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
        return np.arange(of_unit.max() + 1), of_unit
    return np.arange(width), (nowhere if width > 1 else nowhere + 1)


def _places(table: UnitTable) -> NDArray[np.float32] | None:
    """Return x and y of each unit, (N, 2), None if any is not known; y may be 0."""
    sizes = {0 if place is None else len(place) for place in table.locations}
    if len(sizes) != 1 or 0 in sizes:
        return None
    places: Any = np.array(table.locations)[:, :2]
    if np.abs(places).max() > 1e30:  # beyond which float32 has no others above it
        return None
    padded = np.zeros((len(table), 2), dtype=np.float32)
    padded[:, : places.shape[1]] = places
    return padded


def _positions(
    places: NDArray[np.float32] | None, n_channels: int, of_unit: NDArray[np.int64]
) -> tuple[NDArray[np.float32], int]:
    """Return where each channel is, float32 (C, 2), and for how many that is known.

    A channel is where its first unit is. Phy needs all positions to be different: a
    channel without a unit, or at the place of another, follows the last one upwards.
    """
    positions = np.zeros((n_channels, 2))
    placed = np.zeros(n_channels, dtype=bool)
    if places is not None:
        known = of_unit >= 0
        used, first = np.unique(of_unit[known], return_index=True)
        at = places[known][first]
        apart = np.sort(np.unique(at, axis=0, return_index=True)[1])
        positions[used[apart]], placed[used[apart]] = at[apart], True
    left = np.flatnonzero(~placed)
    top = positions[placed].max(axis=0) if placed.any() else np.array([0.0, -1.0])
    step = max(1.0, float(np.spacing(np.float32(np.abs(top).max()))))
    positions[left, 0] = top[0]
    positions[left, 1] = top[1] + step * (1 + np.arange(len(left)))
    return positions.astype(np.float32), int(placed.sum())


def read(
    folder: Path, map_file: str, positions_file: str
) -> tuple[NDArray[np.int64] | None, NDArray[Any] | None]:
    """Return the electrode (C,) and the position (C, 1 to 3) of each channel.

    Either is None if it is not there, or cannot be read.
    """
    electrodes = positions = None
    with npy.leaving_out():
        electrodes = npy.read_whole(folder / map_file).astype(np.int64)
    with npy.leaving_out():
        path = folder / positions_file
        found = npy.read(path, ndim=2)
        n_channels = 0 if electrodes is None else len(electrodes)
        if not 1 <= found.shape[1] <= 3 or len(found) < n_channels:
            raise FormatError(
                f"{path} must have shape (channels, 2) with the channels of {map_file}, "
                f"got {found.shape}"
            )
        positions = found
    return electrodes, positions


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
