"""The mean waveforms of units, as the ``templates.npy`` of a Phy folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import units
from spikelab.formats.kilosort import npy
from spikelab.formats.phy.channels import Channels
from spikelab.formats.phy.raw import Raw

TEMPLATE_KEYS = ("template", "waveform")

N_COLUMNS = 12
"""On how many channels a template is written, those on which it is largest.

It is also the number that Phy shows.
"""

N_AVERAGED = 100
"""Of how many spikes of a unit raw data are averaged."""

HALF_WINDOW_MS = 1.0
"""How far the average reaches before and after a spike."""


@attrs.frozen(eq=False)
class Templates:
    """One template per unit, (samples, channels), or None where none is known.

    Parameters
    ----------
    source : {"neuron_attributes", "raw_data", "placeholder"}
        Where they come from.
    waveforms : list
        Those of ``neuron_attributes``; made one by one from raw data.
    key : str, optional
        The attribute that they are taken from.
    """

    source: str
    waveforms: list[NDArray[np.float32] | None]
    key: str | None = None

    @property
    def n_channels(self) -> int:
        """On how many channels the template with the most of them is."""
        return max((w.shape[1] for w in self.waveforms if w is not None), default=1)


def from_attributes(sd: Any, n_raw: int) -> Templates | None:
    """Return the templates in ``neuron_attributes``, None if there are none."""
    for key in TEMPLATE_KEYS:
        waveforms = [_waveform(a.get(key), n_raw) for a in sd.neuron_attributes or ()]
        if any(waveform is not None for waveform in waveforms):
            return Templates("neuron_attributes", waveforms, key)
    return None


def _waveform(value: Any, n_raw: int) -> NDArray[np.float32] | None:
    """Return a waveform as (samples, channels), None if it is none."""
    if value is None or isinstance(value, str | bytes):
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
    return np.nan_to_num(waveform, posinf=0.0, neginf=0.0)


def from_raw(sd: Any) -> Templates:
    """Return templates that are averaged from raw data when they are written."""
    return Templates("raw_data", [None] * sd.N)


def placeholders(sd: Any) -> Templates:
    """Return templates of which nothing is known."""
    return Templates("placeholder", [None] * sd.N)


def write(
    folder: Path,
    sd: Any,
    templates: Templates,
    channels: Channels,
    raw: Raw | None,
    fs_Hz: float,
) -> None:
    """Write ``templates.npy`` (N, samples, columns) and ``template_ind.npy``.

    The second holds the channel of each column, -1 for one that is not used.
    A unit without a template has a flat line of ones, because phylib cannot
    show zeros. A single unit on several channels is followed by an unused
    template, because phylib drops axes of length 1.
    """
    n_channels = len(channels.numbers)
    wide = templates.n_channels > 1 or (templates.source == "raw_data" and raw)
    n_columns = min(n_channels, N_COLUMNS) if wide else 1
    offsets = _offsets(fs_Hz)
    n_samples = max((len(w) for w in templates.waveforms if w is not None), default=2)
    if templates.source == "raw_data":
        n_samples = len(offsets)
    n_rows = sd.N + (sd.N == 1 and n_columns > 1)
    where = np.full((n_rows, n_columns), -1, dtype=np.int32)
    where[sd.N :] = np.arange(n_columns)
    shape = (n_rows, max(n_samples, 2), n_columns)
    with npy.created(folder / "templates.npy", np.float32, shape) as append:
        for unit, waveform in enumerate(_waveforms(sd, templates, raw, offsets, fs_Hz)):
            channel = max(int(channels.of_unit[unit]), 0)
            row = np.zeros((1, *shape[1:]), dtype=np.float32)
            where[unit] = _place(row[0], waveform, channel, n_channels)
            append(row)
        append(np.ones((n_rows - sd.N, *shape[1:]), dtype=np.float32))
    npy.write(folder / "template_ind.npy", where)


def losses(templates: Templates, n_channels: int) -> list[str]:
    """Return in words what the folder does not show of the templates."""
    if templates.source == "placeholder":
        return ["templates are not known: flat placeholders"]
    if templates.source == "raw_data":
        return []
    known = [w.shape[1] for w in templates.waveforms if w is not None]
    lost = []
    if missing := len(templates.waveforms) - len(known):
        lost.append(f"templates of {missing} units are not known: flat placeholders")
    if any(n not in (1, n_channels) for n in known):
        lost.append("templates on other than their largest channel")
    elif max(known) > N_COLUMNS:
        lost.append(f"templates on other than their {N_COLUMNS} largest channels")
    return lost


def _offsets(fs_Hz: float) -> NDArray[np.int64]:
    """Return the sample numbers of the window around a spike."""
    half = max(round(HALF_WINDOW_MS / 1000.0 * fs_Hz), 1)
    return np.arange(-half, half)


def _waveforms(
    sd: Any,
    templates: Templates,
    raw: Raw | None,
    offsets: NDArray[np.int64],
    fs_Hz: float,
) -> Iterator[NDArray[np.float32] | None]:
    """Yield the template of each unit."""
    if templates.source != "raw_data" or raw is None:
        yield from templates.waveforms
        return
    for times in sd.train:
        chosen = np.linspace(0, len(times) - 1, min(len(times), N_AVERAGED)).astype(int)
        samples = units.from_ms(times[chosen], "samples", fs_Hz)
        mean = raw.average(samples, offsets)
        if mean is not None:
            mean = np.nan_to_num(mean - mean.mean(axis=0)).astype(np.float32)
        yield mean


def _place(
    row: NDArray[np.float32],
    waveform: NDArray[np.float32] | None,
    channel: int,
    n_channels: int,
) -> NDArray[np.int32]:
    """Write a waveform into its row; return the channel of each column."""
    where = np.full(row.shape[1], -1, dtype=np.int32)
    if waveform is None or not np.any(waveform):
        row[:, 0], where[0] = 1.0, channel
        return where
    largest = np.argsort(-np.ptp(waveform, axis=0), kind="stable")[: row.shape[1]]
    if waveform.shape[1] == n_channels:
        where[: len(largest)] = largest
    else:
        # Which channels its columns are is not known, but on which the unit is.
        largest, where[0] = largest[:1], channel
    row[: len(waveform), : len(largest)] = waveform[:, largest]
    return where
