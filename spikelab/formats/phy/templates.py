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

# A mean waveform, float32 (samples, channels); with the channel of each of its columns,
# in ascending order.
Waveform = NDArray[np.float32]
Placed = tuple[Waveform, NDArray[np.int64]]


@attrs.frozen(eq=False)
class Templates:
    """The mean waveforms that the attributes of the units hold."""

    key: str | None  # the attribute; None if no unit has a waveform
    values: list[Any]  # of the attribute
    waveforms: list[Waveform | None]  # of each unit: finite, and not all zero
    electrodes: list[NDArray[np.int64] | None]  # of their columns, where known

    @property
    def width(self) -> int:
        """Number of columns of the widest waveform, 1 if there are none."""
        return max([1, *[len(w[0]) for w in self.waveforms if w is not None]])

    @property
    def listed(self) -> list[NDArray[np.int64]]:
        """The electrodes that are known."""
        return [electrodes for electrodes in self.electrodes if electrodes is not None]

    def placed(self, channels: Channels) -> list[Placed | None]:
        """Return the waveform of each unit and the channel of each of its columns.

        Waveforms are filled up with zeros to the longest, of two samples at least, as
        phylib needs it. Where the channels of the columns are not known, only the
        largest is left, on the channel of the unit.
        """
        n_samples = max([2, *[len(w) for w in self.waveforms if w is not None]])
        found: list[Placed | None] = [None] * len(self.waveforms)
        for unit, waveform in enumerate(self.waveforms):
            if waveform is None:
                continue
            n_columns, electrodes = waveform.shape[1], self.electrodes[unit]
            if electrodes is not None:
                where = positions_in(channels.electrodes, electrodes)
            else:
                is_all = n_columns == len(channels)
                where = np.arange(n_columns) if is_all else np.full(n_columns, -1)
            if not np.any(where >= 0):
                where[_by_size(waveform)[0]] = max(channels.of_unit[unit], 0)
            order = np.argsort(where)[np.count_nonzero(where < 0) :]
            padded = np.zeros((n_samples, len(order)), dtype=np.float32)
            padded[: len(waveform)] = waveform[:, order]
            found[unit] = padded, where[order]
        return found

    def losses(
        self, channels: Channels, source: str | None, read: Sequence[dict[str, Any]]
    ) -> Iterator[str]:
        """Yield in words what is lost of the waveforms; `read` are read back."""
        if source == "placeholder":
            yield "templates are not known: flat placeholders"
        if self.key is not None:
            if missing := sum(w is None for w in self.waveforms):
                yield f"templates of {missing} units are not known: flat placeholders"
            pairs = zip(self.waveforms, self.electrodes, strict=True)
            alone = {w.shape[1] for w, e in pairs if w is not None and e is None}
            if not alone <= {1, len(channels)}:
                yield "templates on other than their largest channel"
        if 0 < channels.n_placed < len(channels):
            n = len(channels) - channels.n_placed
            yield f"places of {n} channels are not known: above the others"
        if self.key is not None:
            name = f"neuron_attributes[{self.key!r}]"
            if self.key != "waveform_mean":
                yield f"{name} (it comes back as 'waveform_mean')"
            # The order of the columns does not count.
            changed = sum(
                not np.array_equal(
                    np.sort(np.ravel(value)), np.sort(np.ravel(row["waveform_mean"]))
                )
                for value, row in zip(self.values, read, strict=True)
                if "waveform_mean" in row
            )
            if changed:
                yield (
                    f"{name} of {changed} units (templates are finite float32 of one "
                    "length)"
                )


def templates_of(table: UnitTable, n_raw: int) -> Templates:
    """Return the mean waveforms of the units; raw data have `n_raw` channels."""
    nothing: list[Any] = [None] * len(table)
    of_columns = table.columns.get("waveform_channels")
    for key in WAVEFORM_KEYS:
        if (column := table.columns.get(key)) is None:
            continue
        n_channels = 0 if key == "waveform_mean" else n_raw
        waveforms = [_waveform(value, n_channels) for value in column.values]
        if any(waveform is not None for waveform in waveforms):
            where = nothing if of_columns is None else of_columns.values
            electrodes = list(map(_electrodes, where, waveforms))
            return Templates(key, column.values, waveforms, electrodes)
    return Templates(None, nothing, nothing, nothing)


def _waveform(value: Any, n_raw: int) -> Waveform | None:
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


def _electrodes(value: Any, waveform: Waveform | None) -> NDArray[np.int64] | None:
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


def averages(trains: SpikeTrains, raw: Raw) -> list[Placed | None]:
    """Return the mean raw voltages around the spikes of each unit, less their mean.

    On the `N_COLUMNS` largest channels, of up to `N_AVERAGED` spikes; None for a unit
    without a spike whose surroundings are in the raw data.
    """
    half = max(round(HALF_WINDOW_MS / 1000.0 * raw.fs_Hz), 1)
    found: list[Placed | None] = []
    for times in trains:
        chosen = np.linspace(0, len(times) - 1, min(len(times), N_AVERAGED)).astype(int)
        mean: Any = raw.average(times[chosen], np.arange(-half, half))
        if mean is not None:
            mean = np.nan_to_num(mean - mean.mean(axis=0)).astype(np.float32)
            largest = np.sort(_by_size(mean)[:N_COLUMNS]).astype(np.int64)
        is_known = mean is not None and mean.any()
        found.append((mean[:, largest], largest) if is_known else None)
    return found


def write(
    folder: Path,
    waveforms: list[Placed | None],
    channels: Channels,
    clusters: Sequence[int],
) -> None:
    """Write ``templates.npy`` (N, samples, columns) and ``template_ind.npy``.

    The second holds the channel of each column, the largest first as phylib expects
    it, -1 for one that is not used. A cluster without a waveform has a flat line of
    ones, because phylib cannot show zeros. A single cluster on several channels is
    followed by an unused template, because phylib drops axes of length 1.
    """
    shapes = [found[0].shape for found in waveforms if found is not None]
    n_columns = max([1, *[shape[1] for shape in shapes]])
    n_rows = len(clusters) + (len(clusters) == 1 and n_columns > 1)
    where = np.full((n_rows, n_columns), -1, dtype=np.int32)
    where[len(clusters) :] = np.arange(n_columns)
    shape = (n_rows, max([2, *[shape[0] for shape in shapes]]), n_columns)
    with npy.created(folder / "templates.npy", np.float32, shape) as append:
        for cluster, unit in enumerate(np.argsort(clusters)):
            row = np.zeros((1, *shape[1:]), dtype=np.float32)
            if (found := waveforms[unit]) is None:
                row[..., 0], where[cluster, 0] = 1.0, max(channels.of_unit[unit], 0)
            else:
                order = _by_size(found[0])
                row[0, :, : len(order)] = found[0][:, order]
                where[cluster, : len(order)] = found[1][order]
            append(row)
        append(np.ones((n_rows - len(clusters), *shape[1:]), dtype=np.float32))
    np.save(folder / "template_ind.npy", where)


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

    def unwhitened(self, template: int) -> Placed:
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


def add_templates(
    rows: Sequence[dict[str, Any]], units: Units, electrodes: NDArray[np.int64] | None
) -> list[int]:
    """Add the mean waveform of each unit; return their peak channels, -1 for none."""
    folder, facts = units.folder, units.facts
    n_channels = None if electrodes is None else len(electrodes)
    templates = npy.optional(FolderTemplates.read, folder, n_channels)
    if templates is None:
        # Exporters that write no params.py write an entry for each cluster too.
        tells = not (folder / PARAMS_FILE).exists()
        return [i if tells else -1 for i in units.ids]
    placeholders = facts.placeholders if facts.format else None
    mixtures = _mixtures(units, len(templates.data))
    peaks = []
    for row, mixture in zip(rows, mixtures, strict=True):
        known: list[tuple[int, Placed]] = []
        peak = -1
        # Phy shows a cluster on the channel of the template of most of its spikes.
        for template in sorted(mixture, key=lambda t: (-mixture[t], t)):
            waveform, where = templates.unwhitened(template)
            size = np.ptp(waveform, axis=0)
            tells = bool(np.isfinite(size).all() and size.any())
            if placeholders is not None:
                tells = template not in placeholders
            if peak < 0 and size.size and (tells or placeholders is not None):
                peak = int(where[np.argmax(size)])
            if tells:
                known.append((mixture[template], (waveform, where)))
        peaks.append(peak)
        if not known:
            continue
        row["waveform_mean"], where = known[0][1] if len(known) == 1 else _mean(known)
        if facts.waveform_channels and n_channels != 0:
            numbers = where if electrodes is None else electrodes[where]
            row["waveform_channels"] = np.array(numbers)
    return peaks


def _mean(known: list[tuple[int, Placed]]) -> Placed:
    """Return the mean weighted by spikes, on all channels of any of the waveforms."""
    n_spikes = sum(n for n, _ in known)
    channels = np.unique(np.concatenate([where for _, (_, where) in known]))
    mean = np.zeros((len(known[0][1][0]), len(channels)))
    for n, (waveform, where) in known:
        mean[:, np.searchsorted(channels, where)] += waveform * (n / n_spikes)
    return mean.astype(np.float32), channels


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
