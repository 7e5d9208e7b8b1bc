"""The mean waveforms of units, as the ``templates.npy`` of a Phy folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats.phy import npy
from spikelab.formats.phy.channels import Channels, positions_in
from spikelab.formats.phy.params import PARAMS_FILE
from spikelab.formats.phy.raw import Raw
from spikelab.formats.phy.spike_arrays import Units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import UnitTable

# Attributes that may hold mean waveforms; the first that does counts.
WAVEFORM_KEYS = ("waveform_mean", "template", "avg_waveform", "waveform")

# Of raw data, the mean of up to so many spikes is written, so far before and after a
# spike, on so many channels: as many as Phy shows.
N_AVERAGED, HALF_WINDOW_MS, N_COLUMNS = 100, 1.0, 12


@attrs.frozen(eq=False)
class Template:
    """A mean waveform on some of the channels of a folder."""

    waveform: NDArray[np.float32]  # (samples, columns)
    channels: NDArray[np.int64]  # of each column, ascending


@attrs.frozen(eq=False)
class MeanWaveforms:
    """The mean waveforms that the attributes of the units hold."""

    key: str | None  # the attribute; None if no unit has a waveform
    values: list[Any]  # of the attribute
    # Of each unit (samples, columns): finite, and not all zero.
    waveforms: list[NDArray[np.float32] | None]
    electrodes: list[NDArray[np.int64] | None]  # of their columns, where known

    @property
    def width(self) -> int:
        """Number of columns of the widest waveform, 1 if there are none."""
        widths = [w.shape[1] for w in self.waveforms if w is not None]
        return int(max(widths, default=1))

    @property
    def keys(self) -> list[str]:
        """The attributes that are written as templates."""
        keys = [] if self.key is None else [self.key]
        return [*keys, "waveform_channels"] if self.known_electrodes else keys

    @property
    def known_electrodes(self) -> list[NDArray[np.int64]]:
        """The electrodes of the waveforms for which they are known."""
        return [electrodes for electrodes in self.electrodes if electrodes is not None]

    def templates(self, channels: Channels) -> list[Template | None]:
        """Return the template of each unit.

        Waveforms are filled up with zeros to the longest, of two samples at least, as
        phylib needs it. Where the channels of the columns are not known, only the
        largest is left, on the channel of the unit.
        """
        n_samples = max([2, *[len(w) for w in self.waveforms if w is not None]])
        found: list[Template | None] = []
        for unit, waveform in enumerate(self.waveforms):
            if waveform is None:
                found.append(None)
                continue
            n_columns, electrodes = waveform.shape[1], self.electrodes[unit]
            where = np.full(n_columns, -1)  # the channel of each column
            if electrodes is not None:
                where = positions_in(channels.electrodes, electrodes)
            elif n_columns == len(channels):
                where = np.arange(n_columns)
            if not np.any(where >= 0):
                where[_by_size(waveform)[0]] = max(channels.of_unit[unit], 0)
            columns = np.flatnonzero(where >= 0)
            columns = columns[np.argsort(where[columns])]
            padded = np.zeros((n_samples, len(columns)), dtype=np.float32)
            padded[: len(waveform)] = waveform[:, columns]
            found.append(Template(padded, where[columns]))
        return found

    def losses(
        self, channels: Channels, rows: Sequence[dict[str, Any]]
    ) -> Iterator[str]:
        """Yield in words what is lost of them; `rows` are the attributes read back."""
        if self.key is None:
            return
        if missing := sum(waveform is None for waveform in self.waveforms):
            yield f"templates of {missing} units are not known: flat placeholders"
        pairs = zip(self.waveforms, self.electrodes, strict=True)
        widths = {w.shape[1] for w, e in pairs if w is not None and e is None}
        if not widths <= {1, len(channels)}:
            yield "templates on other than their largest channel"
        name = f"neuron_attributes[{self.key!r}]"
        if self.key != "waveform_mean":
            yield f"{name} (it comes back as 'waveform_mean')"
        changed = 0
        for value, row in zip(self.values, rows, strict=True):
            if "waveform_mean" in row:
                # The order of the columns does not count.
                before, after = np.ravel(value), np.ravel(row["waveform_mean"])
                changed += not np.array_equal(np.sort(before), np.sort(after))
        if changed:
            yield f"{name} of {changed} units (templates are finite float32 of one length)"


def mean_waveforms(table: UnitTable, n_raw: int) -> MeanWaveforms:
    """Return the mean waveforms of the units; raw data have `n_raw` channels."""
    nothing: list[Any] = [None] * len(table)
    of_columns = table.columns.get("waveform_channels")
    where = nothing if of_columns is None else of_columns.values
    for key in WAVEFORM_KEYS:
        if (column := table.columns.get(key)) is None:
            continue
        # Other programs than spikelab may have the channels first.
        n_channels = 0 if key == "waveform_mean" else n_raw
        waveforms = [_waveform(value, n_channels) for value in column.values]
        if any(waveform is not None for waveform in waveforms):
            electrodes = list(map(_electrodes, where, waveforms))
            return MeanWaveforms(key, column.values, waveforms, electrodes)
    return MeanWaveforms(None, nothing, nothing, nothing)


def _waveform(value: Any, n_raw: int) -> NDArray[np.float32] | None:
    """Return a waveform as (samples, channels), None if it is none."""
    try:
        waveform = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    if waveform.ndim not in (1, 2) or not waveform.size:
        return None
    waveform = waveform.reshape(len(waveform), -1)
    if waveform.shape[0] == n_raw != waveform.shape[1]:
        waveform = waveform.T
    if not np.isfinite(waveform).all():
        waveform = np.nan_to_num(waveform, posinf=0.0, neginf=0.0)
    # phylib cannot show a template of zeros.
    return waveform if waveform.any() else None


def _electrodes(
    value: Any, waveform: NDArray[np.float32] | None
) -> NDArray[np.int64] | None:
    """Return the electrodes of the columns, None if they are not one int for each."""
    try:
        electrodes = np.asarray(value)
    except ValueError:  # lists nested unevenly
        return None
    if waveform is None or electrodes.shape != waveform.shape[1:]:
        return None
    is_distinct = len(set(electrodes.tolist())) == electrodes.size
    are_ids = electrodes.dtype.kind in "iu" and is_distinct
    return electrodes.astype(np.int64) if are_ids else None


def _by_size(waveform: NDArray[Any]) -> NDArray[np.intp]:
    """Return the columns of a waveform, the largest first."""
    return np.argsort(-np.ptp(waveform, axis=0), kind="stable")


def averages(trains: SpikeTrains, raw: Raw) -> list[Template | None]:
    """Return the mean raw voltages around the spikes of each unit, less their mean.

    On the `N_COLUMNS` largest channels, of up to `N_AVERAGED` spikes; None for a unit
    without a spike whose surroundings are in the raw data.
    """
    half = max(round(HALF_WINDOW_MS / 1000.0 * raw.fs_Hz), 1)
    found: list[Template | None] = []
    for times in trains:
        chosen = np.linspace(0, len(times) - 1, min(len(times), N_AVERAGED)).astype(int)
        mean = raw.average(times[chosen], np.arange(-half, half))
        if mean is None:
            found.append(None)
            continue
        waveform = np.nan_to_num(mean - mean.mean(axis=0)).astype(np.float32)
        largest = np.sort(_by_size(waveform)[:N_COLUMNS]).astype(np.int64)
        is_known = waveform.any()
        found.append(Template(waveform[:, largest], largest) if is_known else None)
    return found


def write(
    folder: Path,
    templates: Sequence[Template | None],
    channels: Channels,
    clusters: Sequence[int],
) -> None:
    """Write ``templates.npy`` (N, samples, columns) and ``template_ind.npy``.

    The second holds the channel of each column, the largest first as phylib expects
    it, -1 for one that is not used. A cluster without a template has a flat line of
    ones, because phylib cannot show zeros. A single cluster on several channels is
    followed by an unused template, because phylib drops axes of length 1.
    """
    shapes = [template.waveform.shape for template in templates if template is not None]
    n_samples = max([2, *[shape[0] for shape in shapes]])
    n_columns = max([1, *[shape[1] for shape in shapes]])
    n_clusters = n_rows = len(clusters)
    if n_clusters == 1 and n_columns > 1:
        n_rows = 2
    used = np.full((n_rows, n_columns), -1, dtype=np.int32)
    used[n_clusters:] = np.arange(n_columns)
    shape = (n_rows, n_samples, n_columns)
    with npy.created(folder / "templates.npy", np.float32, shape) as append:
        for cluster, unit in enumerate(np.argsort(clusters)):
            block = np.zeros((1, n_samples, n_columns), dtype=np.float32)
            template = templates[unit]
            if template is None:
                block[..., 0] = 1.0
                used[cluster, 0] = max(channels.of_unit[unit], 0)
            else:
                order = _by_size(template.waveform)
                block[0, :, : len(order)] = template.waveform[:, order]
                used[cluster, : len(order)] = template.channels[order]
            append(block)
        append(np.ones((n_rows - n_clusters, n_samples, n_columns), dtype=np.float32))
    np.save(folder / "template_ind.npy", used)


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
            else:  # a placeholder is on the channel of its unit
                is_known, has_peak = number not in facts.placeholders, size.size > 0
            if has_peak and peak < 0:
                peak = int(template.channels[np.argmax(size)])
            if is_known:
                known.append((mixture[number], template))
        peaks.append(peak)
        if known:
            mean = known[0][1] if len(known) == 1 else _mean(known)
            row["waveform_mean"] = mean.waveform
            if facts.waveform_channels:
                channels = mean.channels
                numbers = channels if electrodes is None else electrodes[channels]
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
