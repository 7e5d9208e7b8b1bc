"""The mean waveforms that ``templates.npy`` of a KiloSort or Phy folder holds."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats.phy import npy
from spikelab.formats.phy.templates import Waveform

_COUNTED = 2**22
"""Pairs of unit and template are counted in a table of up to this size."""


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

    def unwhitened(self, template: int) -> tuple[Waveform, NDArray[np.int64]]:
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

    def is_known(self, template: int, waveform: Waveform) -> bool:
        """Return whether a template is a waveform: of zeros or NaN it is not."""
        if self.placeholders is not None:
            return template not in self.placeholders
        return bool(np.all(np.isfinite(waveform)) and np.any(np.ptp(waveform, axis=0)))

    def peak(self, template: int, waveform: Waveform, where: NDArray[np.int64]) -> int:
        """Return the channel on which a template is largest, -1 if it tells none."""
        tells = self.placeholders is not None or self.is_known(template, waveform)
        if not tells or not waveform.size:
            return -1
        return int(where[np.argmax(np.ptp(waveform, axis=0))])

    def of_units(
        self, mixtures: Sequence[dict[int, int]]
    ) -> list[tuple[int, Waveform | None, NDArray[np.int64]]]:
        """Return peak channel, mean waveform and channels of its columns of each unit.

        Parameters
        ----------
        mixtures : sequence of dict
            Number of spikes of each unit by template.
        """
        found = []
        for mixture in mixtures:
            known: dict[int, tuple[Waveform, NDArray[np.int64]]] = {}
            peak = -1
            # Phy shows a cluster on the channel of the template of most of its spikes.
            for template in sorted(mixture, key=lambda t: (-mixture[t], t)):
                waveform, where = self.unwhitened(template)
                peak = self.peak(template, waveform, where) if peak < 0 else peak
                if self.is_known(template, waveform):
                    known[template] = waveform, where
            mean, channels = _mean(list(known.values()), [mixture[t] for t in known])
            found.append((peak, mean, channels))
        return found


def _mean(
    waveforms: list[tuple[Waveform, NDArray[np.int64]]], n_spikes: list[int]
) -> tuple[Waveform | None, NDArray[np.int64]]:
    """Return the mean weighted by spikes, on all channels of any of the waveforms."""
    if not waveforms:
        return None, np.empty(0, dtype=np.int64)
    if len(waveforms) == 1:
        return waveforms[0]
    channels = np.unique(np.concatenate([where for _, where in waveforms]))
    mean = np.zeros((len(waveforms[0][0]), len(channels)))
    for (waveform, where), n in zip(waveforms, n_spikes, strict=True):
        mean[:, np.searchsorted(channels, where)] += waveform * (n / sum(n_spikes))
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
    data = npy.read_optional(folder / "templates.npy", lambda p: npy.read(p, ndim=3))
    if data is None or not data.size:
        return None
    n_templates, _, n_columns = data.shape

    def indices(path: Path) -> NDArray[Any]:
        found = npy.read(path, ndim=2)
        if found.shape != (n_templates, n_columns):
            raise FormatError(
                f"{path} must have shape {(n_templates, n_columns)}, as the templates "
                f"do, got {found.shape}"
            )
        return found

    columns = np.broadcast_to(np.arange(n_columns), (n_templates, n_columns))
    for name in ("template_ind.npy", "templates_ind.npy"):
        if (folder / name).exists():
            listed = npy.read_optional(folder / name, indices)
            if listed is None:
                return None
            columns = listed.astype(np.int64)
            break
    n_all = n_channels or int(columns.max()) + 1
    columns = np.where(columns < n_all, columns, -1)

    def square(path: Path) -> NDArray[Any]:
        found = npy.read(path, ndim=2)
        if found.shape != (n_all, n_all) or not np.all(np.isfinite(found)):
            raise FormatError(
                f"{path} must be a finite matrix of {n_all} x {n_all} channels, "
                f"got shape {found.shape}"
            )
        return found

    path = folder / "whitening_mat_inv.npy"
    unwhitening = npy.read_optional(path, square)
    if unwhitening is None and path.exists():
        return None
    if unwhitening is not None and np.array_equal(unwhitening, np.eye(n_all)):
        unwhitening = None
    return FolderTemplates(data, columns, unwhitening, placeholders)


def mixtures(
    folder: Path,
    clusters: NDArray[np.int64],
    ids: Sequence[int],
    rows: NDArray[Any],
    n_templates: int,
) -> list[dict[int, int]]:
    """Return how many spikes of each unit have which template.

    A unit without spikes, or a folder without ``spike_templates.npy``, has the template
    that has the number of the cluster.

    Parameters
    ----------
    folder : Path
        The folder.
    clusters : ndarray, shape (spikes,)
        Cluster of each spike.
    ids : sequence of int, length N
        Cluster of each unit.
    rows : ndarray, shape (spikes,)
        Unit of each spike.
    n_templates : int
        Number of templates.
    """
    own = [{i: 1} if 0 <= i < n_templates else {} for i in ids]

    def per_spike(path: Path) -> NDArray[np.int64]:
        used = npy.read_whole(path)
        if used.shape != rows.shape or (
            used.size and not 0 <= used.min() <= used.max() < n_templates
        ):
            raise FormatError(
                f"{path} must hold a template from 0 to {n_templates - 1} for each of "
                f"{len(rows)} spikes"
            )
        return used

    used = npy.read_optional(folder / "spike_templates.npy", per_spike)
    if used is None or np.array_equal(used, clusters):
        return own
    pairs = rows * n_templates + used
    if len(ids) * n_templates <= _COUNTED:
        counts = np.bincount(pairs)
        pairs = np.flatnonzero(counts)
        counts = counts[pairs]
    else:
        pairs, counts = np.unique(pairs, return_counts=True)
    found: list[dict[int, int]] = [{} for _ in ids]
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        found[pair // n_templates][pair % n_templates] = count
    return [counted or alone for counted, alone in zip(found, own, strict=True)]
