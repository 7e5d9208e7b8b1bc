"""The mean waveforms of units, as the ``templates.npy`` of a Phy folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.phy import npy
from spikelab.formats.phy.channels import Channels
from spikelab.formats.phy.raw import Raw
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import Column, UnitTable

WAVEFORM_KEYS = ("waveform_mean", "template", "avg_waveform", "waveform")
"""Attributes that may hold mean waveforms; the first that does counts."""

N_COLUMNS = 12
"""On how many channels averages of raw data are written, the largest.

It is also the number that Phy shows.
"""

N_AVERAGED = 100
"""Of how many spikes of a unit raw data are averaged."""

HALF_WINDOW_MS = 1.0
"""How far the average reaches before and after a spike."""

Waveform = NDArray[np.float32]
"""A mean waveform, float32, shape (samples, channels)."""

Placed = tuple[Waveform, NDArray[np.int64]]
"""A mean waveform and the channel of each of its columns."""


@attrs.frozen(eq=False)
class Templates:
    """The mean waveforms that the attributes of the units hold.

    Parameters
    ----------
    key : str or None
        The attribute; None if no unit has a waveform.
    waveforms : list of ndarray or None
        The waveform of each unit, float32 (samples, channels), finite and not all zero.
    electrodes : list of ndarray or None
        The electrode of each of its columns, where that is known.
    """

    key: str | None
    waveforms: list[Waveform | None]
    electrodes: list[NDArray[np.int64] | None]

    @property
    def width(self) -> int:
        """Number of columns of the widest waveform, 1 if there are none."""
        return max((w.shape[1] for w in self.waveforms if w is not None), default=1)

    @property
    def listed(self) -> list[NDArray[np.int64]]:
        """The electrodes that are known."""
        return [electrodes for electrodes in self.electrodes if electrodes is not None]


def templates_of(table: UnitTable, n_raw: int) -> Templates:
    """Return the mean waveforms of the units; raw data have `n_raw` channels."""
    channels = table.columns.get("waveform_channels")
    for key in WAVEFORM_KEYS:
        if key not in table.columns:
            continue
        values = table.columns[key].values
        waveforms = [_waveform(v, n_raw * (key != "waveform_mean")) for v in values]
        if any(waveform is not None for waveform in waveforms):
            of_columns = channels.values if channels else [None] * len(values)
            pairs = zip(of_columns, waveforms, strict=True)
            return Templates(key, waveforms, [_electrodes(c, w) for c, w in pairs])
    return Templates(None, [None] * len(table), [None] * len(table))


def _waveform(value: Any, n_raw: int) -> Waveform | None:
    """Return a waveform as (samples, channels), None if it is none."""
    if not isinstance(value, np.ndarray | list | tuple):
        return None
    try:
        waveform = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    if waveform.ndim not in (1, 2) or not waveform.size:
        return None
    waveform = waveform.reshape(len(waveform), -1)
    if waveform.shape[0] == n_raw != waveform.shape[1]:
        waveform = waveform.T
    finite = np.nan_to_num(waveform, posinf=0.0, neginf=0.0)
    # phylib cannot show a template of zeros.
    return finite if finite.any() else None


def _electrodes(value: Any, waveform: Waveform | None) -> NDArray[np.int64] | None:
    """Return the electrodes of the columns, None if they are not one int for each."""
    if waveform is None or not isinstance(value, np.ndarray | list | tuple):
        return None
    try:
        electrodes = np.asarray(value)
    except ValueError:  # lists nested unevenly
        return None
    if electrodes.dtype.kind not in "iu" or electrodes.shape != waveform.shape[1:]:
        return None
    if len(np.unique(electrodes)) < len(electrodes):
        return None
    return electrodes.astype(np.int64)


def placed(templates: Templates, channels: Channels, unit: int) -> Placed | None:
    """Return the waveform of a unit and the channel of each of its columns.

    Where the channels of the columns are not known, only the largest is left, on the
    channel of the unit. None if there is no waveform.
    """
    waveform, electrodes = templates.waveforms[unit], templates.electrodes[unit]
    if waveform is None:
        return None
    if electrodes is not None:
        where = channels.of_electrodes(electrodes)
        if np.any(where >= 0):
            return waveform[:, where >= 0], where[where >= 0]
    elif waveform.shape[1] == len(channels):
        return waveform, np.arange(len(channels))
    largest = int(np.argmax(np.ptp(waveform, axis=0)))
    return waveform[:, [largest]], np.array([max(channels.of_unit[unit], 0)])


def averages(trains: SpikeTrains, raw: Raw, fs_Hz: float) -> list[Placed | None]:
    """Return the mean raw voltages around the spikes of each unit, less their mean.

    On the `N_COLUMNS` largest channels, of up to `N_AVERAGED` spikes; None for a unit
    without a spike whose surroundings are in the raw data.
    """
    half = max(round(HALF_WINDOW_MS / 1000.0 * fs_Hz), 1)
    offsets = np.arange(-half, half)
    found: list[Placed | None] = []
    for times in trains:
        chosen = np.linspace(0, len(times) - 1, min(len(times), N_AVERAGED)).astype(int)
        mean = raw.average(times[chosen], offsets)
        if mean is None:
            found.append(None)
            continue
        mean = np.nan_to_num(mean - mean.mean(axis=0)).astype(np.float32)
        largest = np.argsort(-np.ptp(mean, axis=0), kind="stable")[:N_COLUMNS]
        found.append((mean[:, largest], largest) if mean.any() else None)
    return found


def write(
    folder: Path,
    waveforms: list[Placed | None],
    channels: Channels,
    clusters: list[int],
) -> list[int]:
    """Write ``templates.npy`` (N, samples, columns) and ``template_ind.npy``.

    The second holds the channel of each column, the largest first as phylib expects
    it, -1 for one that is not used. A cluster without a waveform has a flat line of
    ones, because phylib cannot show zeros. A single cluster on several channels is
    followed by an unused template, because phylib drops axes of length 1.

    Returns
    -------
    list of int
        The clusters without a waveform.
    """
    known = [found for found in waveforms if found is not None]
    n_columns = max((len(where) for _, where in known), default=1)
    n_samples = _n_samples(waveforms)
    n_rows = len(clusters) + (len(clusters) == 1 and n_columns > 1)
    where = np.full((n_rows, n_columns), -1, dtype=np.int32)
    where[len(clusters) :] = np.arange(n_columns)
    shape = (n_rows, n_samples, n_columns)
    with npy.created(folder / "templates.npy", np.float32, shape) as append:
        for cluster, unit in enumerate(np.argsort(clusters)):
            row = np.zeros((1, *shape[1:]), dtype=np.float32)
            found = waveforms[unit]
            if found is None:
                row[..., 0], where[cluster, 0] = 1.0, max(channels.of_unit[unit], 0)
            else:
                waveform, at = found
                order = np.argsort(-np.ptp(waveform, axis=0), kind="stable")
                row[0, : len(waveform), : len(at)] = waveform[:, order]
                where[cluster, : len(at)] = at[order]
            append(row)
        append(np.ones((n_rows - len(clusters), *shape[1:]), dtype=np.float32))
    npy.write(folder / "template_ind.npy", where)
    return [c for c, found in zip(clusters, waveforms, strict=True) if found is None]


def _n_samples(waveforms: list[Placed | None]) -> int:
    """Return the length of the longest waveform, at least 2 as phylib needs it."""
    return max([2, *(len(found[0]) for found in waveforms if found is not None)])


def as_read(
    waveforms: list[Placed | None], channels: Channels, with_channels: bool
) -> list[dict[str, Any]]:
    """Return the attributes of each unit that are read from its template.

    Waveforms are filled up with zeros to the longest, their columns in the order of the
    channels.
    """
    n_samples, rows = _n_samples(waveforms), []
    for found in waveforms:
        row: dict[str, Any] = {}
        if found is not None:
            waveform, where = found
            order = np.argsort(where)
            padded = np.zeros((n_samples, len(where)), dtype=np.float32)
            padded[: len(waveform)] = waveform[:, order]
            row["waveform_mean"] = padded
            if with_channels:
                numbers = channels.numbers[where[order]]
                row["waveform_channels"] = numbers.astype(np.int64)
        rows.append(row)
    return rows


def losses_of_values(column: Column, read: Sequence[dict[str, Any]]) -> list[str]:
    """Return in words what of the attribute with the waveforms becomes another value."""
    changed = 0
    for value, row in zip(column.values, read, strict=True):
        other = row.get("waveform_mean")
        if other is not None:
            # The order of the columns does not count.
            one, two = (np.sort(np.asarray(w).reshape(-1)) for w in (value, other))
            changed += not np.array_equal(one, two)
    name, lost = f"neuron_attributes[{column.key!r}]", []
    if column.key != "waveform_mean":
        lost.append(f"{name} (it comes back as 'waveform_mean')")
    if changed:
        lost.append(
            f"{name} of {changed} units (templates are finite float32 of one length)"
        )
    return lost
