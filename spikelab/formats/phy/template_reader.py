"""The mean waveforms that ``templates.npy`` of a KiloSort or Phy folder holds."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.phy import npy
from spikelab.formats.phy.templates import Placed, Waveform


@attrs.frozen(eq=False)
class FolderTemplates:
    """The templates of a folder.

    Parameters
    ----------
    data : ndarray, shape (templates, samples, columns)
        The templates, mapped from the disk.
    columns : ndarray of int64, shape (templates, columns)
        The channel of each column, -1 for one that is not used.
    unwhitening : ndarray or None, shape (channels, channels)
        The matrix that undoes the whitening of the templates.
    placeholders : collection of int or None
        In a folder of spikelab, the templates of which nothing is known.
    """

    data: NDArray[Any]
    columns: NDArray[np.int64]
    unwhitening: NDArray[Any] | None
    placeholders: Collection[int] | None

    def of_unit(self, mixture: Mapping[int, int]) -> tuple[int, Placed | None]:
        """Return the peak channel of a unit, -1 for none, and its mean waveform.

        Parameters
        ----------
        mixture : mapping
            Number of spikes of the unit by template.
        """
        known: list[tuple[int, Placed]] = []
        peak = -1
        # Phy shows a cluster on the channel of the template of most of its spikes.
        for template in sorted(mixture, key=lambda t: (-mixture[t], t)):
            waveform, where = self._unwhitened(template)
            tells = bool(np.isfinite(waveform).all() and np.ptp(waveform, axis=0).any())
            if self.placeholders is not None:
                tells = template not in self.placeholders
            if peak < 0 and waveform.size and (tells or self.placeholders is not None):
                peak = int(where[np.argmax(np.ptp(waveform, axis=0))])
            if tells:
                known.append((mixture[template], (waveform, where)))
        return peak, _mean(known)

    def _unwhitened(self, template: int) -> Placed:
        """Return a template as Phy shows it, and the channels of its columns."""
        where = self.columns[template]
        used = np.flatnonzero(where >= 0)
        used = used[np.argsort(where[used], kind="stable")]
        where = where[used]
        waveform: Waveform = np.array(self.data[template][:, used], dtype=np.float32)
        if self.unwhitening is not None:
            loud = np.any(waveform, axis=0)
            mixed = self.unwhitening[np.ix_(where[loud], where)]
            waveform = (waveform[:, loud] @ mixed).astype(np.float32)
        return waveform, where


def _mean(known: list[tuple[int, Placed]]) -> Placed | None:
    """Return the mean weighted by spikes, on all channels of any of the waveforms."""
    if len(known) < 2:
        return known[0][1] if known else None
    n_spikes = sum(n for n, _ in known)
    channels = np.unique(np.concatenate([where for _, (_, where) in known]))
    mean = np.zeros((len(known[0][1][0]), len(channels)))
    for n, (waveform, where) in known:
        mean[:, np.searchsorted(channels, where)] += waveform * (n / n_spikes)
    return mean.astype(np.float32), channels


def read_templates(
    folder: Path, n_channels: int | None, placeholders: Collection[int] | None
) -> FolderTemplates | None:
    """Return the templates of a folder, None if there are none, or they are damaged.

    Parameters
    ----------
    folder : Path
        The folder.
    n_channels : int, optional
        Number of channels in the channel map.
    placeholders : collection of int, optional
        In a folder of spikelab, the templates of which nothing is known.
    """
    with npy.leaving_out():
        data = npy.read(folder / "templates.npy", ndim=3)
        if not data.size:
            return None
        shape = (len(data), data.shape[2])
        columns = np.broadcast_to(np.arange(shape[1]), shape)
        for name in ("templates_ind.npy", "template_ind.npy"):
            if (folder / name).exists():
                columns = npy.read(folder / name, shape=shape).astype(np.int64)
        n_all = n_channels or int(columns.max()) + 1
        columns = np.where(columns < n_all, columns, -1)
        unwhitening = None
        path = folder / "whitening_mat_inv.npy"
        if path.exists():
            unwhitening = npy.read(path, shape=(n_all, n_all))
            if not np.isfinite(unwhitening).all():
                raise FormatError(f"{path} must hold finite numbers")
            if np.array_equal(unwhitening, np.eye(n_all)):
                unwhitening = None
        return FolderTemplates(data, columns, unwhitening, placeholders)
    return None


def spike_templates(
    folder: Path, n_spikes: int, n_templates: int
) -> NDArray[np.int64] | None:
    """Return the template of each spike, None if there are none, or they are damaged."""
    path = folder / "spike_templates.npy"
    with npy.leaving_out():
        used = npy.read_whole(path, n_spikes)
        if used.size and not 0 <= used.min() <= used.max() < n_templates:
            raise FormatError(f"{path} must hold templates from 0 to {n_templates - 1}")
        return used
    return None
