"""The ``templates.npy`` of a folder, read as the mean waveforms of its units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.phy import npy
from spikelab.formats.phy.params import PARAMS_FILE
from spikelab.formats.phy.spike_arrays import Units
from spikelab.formats.phy.templates import Template


@attrs.frozen(eq=False)
class FolderTemplates:
    """The templates of a folder."""

    data: NDArray[Any]  # (templates, samples, columns), mapped from the disk
    columns: NDArray[np.int64]  # channel (templates, columns), -1 for one not used
    unwhitening: NDArray[Any] | None  # matrix (channels, channels)

    @classmethod
    def read(cls, folder: Path, n_channels: int | None) -> "FolderTemplates | None":
        """Return those of a folder, None if they are empty."""
        data = npy.read(folder / "templates.npy", ndim=3)
        if not data.size:
            return None
        shape = (len(data), data.shape[2])
        columns = np.broadcast_to(np.arange(shape[1]), shape)
        for name in ("templates_ind.npy", "template_ind.npy"):
            if (folder / name).exists():
                used = npy.read(folder / name, shape=shape)
                columns = np.where(np.isfinite(used), used, -1).astype(np.int64)
        n_all = n_channels or int(columns.max()) + 1
        columns = np.where(columns < n_all, columns, -1)
        path, unwhitening = folder / "whitening_mat_inv.npy", None
        if path.exists():
            unwhitening = npy.read(path, shape=(n_all, n_all))
            if not np.isfinite(unwhitening).all():
                raise FormatError(f"{path} must hold finite numbers")
            if np.array_equal(unwhitening, np.eye(n_all)):
                unwhitening = None
        return cls(data, columns, unwhitening)

    def unwhitened(self, number: int) -> Template:
        """Return a template as Phy shows it."""
        channels = self.columns[number]
        used = np.flatnonzero(channels >= 0)
        used = used[np.argsort(channels[used], kind="stable")]
        channels = channels[used]
        waveform = np.array(self.data[number][:, used], dtype=np.float32)
        if self.unwhitening is not None:
            loud = np.any(waveform, axis=0)
            mixed = self.unwhitening[np.ix_(channels[loud], channels)]
            waveform = (waveform[:, loud] @ mixed).astype(np.float32)
        return Template(waveform, channels)


def add_templates(
    rows: Sequence[dict[str, Any]], units: Units, electrodes: NDArray[np.int64] | None
) -> list[int]:
    """Add the mean waveform of each unit; return their peak channels, -1 for none."""
    facts = units.facts
    n_channels = None if electrodes is None else len(electrodes)
    templates = npy.optional(FolderTemplates.read, units.folder, n_channels)
    if templates is None:
        # Exporters that write no params.py write an entry for each cluster too.
        is_by_cluster = not (units.folder / PARAMS_FILE).exists()
        return [cluster if is_by_cluster else -1 for cluster in units.ids]
    peaks = []
    mixtures = _mixtures(units, len(templates.data))
    for row, mixture in zip(rows, mixtures, strict=True):
        known: list[tuple[int, Template]] = []  # with numbers of spikes
        peak = -1
        # Phy shows a cluster on the channel of the template of most of its spikes.
        for number in sorted(mixture, key=lambda number: (-mixture[number], number)):
            template = templates.unwhitened(number)
            size = np.ptp(template.waveform, axis=0)
            if facts.format is None:
                is_known = has_peak = bool(np.isfinite(size).all() and size.any())
            else:
                is_known = number not in facts.placeholders
                has_peak = (
                    size.size > 0
                )  # placeholders are on the channel of their unit
            if has_peak and peak < 0:
                peak = int(template.channels[np.argmax(size)])
            if is_known:
                known.append((mixture[number], template))
        peaks.append(peak)
        if known:
            mean = known[0][1] if len(known) == 1 else _mean(known)
            row["waveform_mean"] = mean.waveform
            if facts.waveform_channels:
                numbers = (
                    mean.channels if electrodes is None else electrodes[mean.channels]
                )
                row["waveform_channels"] = np.array(numbers)
    return peaks


def _mean(known: list[tuple[int, Template]]) -> Template:
    """Return the mean weighted by spikes, on all channels of any of the templates."""
    n_spikes = sum(n for n, _ in known)
    channels = np.unique(np.concatenate([template.channels for _, template in known]))
    mean = np.zeros((len(known[0][1].waveform), len(channels)))
    for n, template in known:
        columns = np.searchsorted(channels, template.channels)
        mean[:, columns] += template.waveform * (n / n_spikes)
    return Template(mean.astype(np.float32), channels)


def _mixtures(units: Units, n_templates: int) -> list[dict[int, int]]:
    """Return how many spikes of each unit have which template.

    Without spikes, or ``spike_templates.npy``, that is the one of the cluster's number.
    """
    path = units.folder / "spike_templates.npy"
    mixtures = [{i: 1} if 0 <= i < n_templates else {} for i in units.ids]
    used = npy.optional(npy.read_whole, path, len(units.clusters))
    if used is None or np.array_equal(used, units.clusters):
        return mixtures
    if used.size and not 0 <= used.min() <= used.max() < n_templates:
        warn(f"left out: {path} must hold templates from 0 to {n_templates - 1}")
        return mixtures
    for unit in np.flatnonzero(units.trains.counts):
        mixtures[unit] = {}
    pairs = units.rows.astype(np.int64) * n_templates + used
    for pair, count in npy.counted(pairs).items():
        mixtures[pair // n_templates][pair % n_templates] = count
    return mixtures
