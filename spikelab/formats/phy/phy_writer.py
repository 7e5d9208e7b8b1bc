"""The writer of Phy folders."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.formats.functions import export_function
from spikelab.formats.phy import raw as raw_data
from spikelab.formats.phy import spike_arrays, stacks, templates
from spikelab.formats.phy.channels import Channels, channels_of
from spikelab.formats.phy.folder_writer import (
    ClusterFolderWriter,
    ExportPlan,
    FolderPlan,
    joined,
)
from spikelab.formats.phy.params import PARAMS_FILE, write_params
from spikelab.formats.phy.raw import RAW_FILE, Raw
from spikelab.formats.phy.templates import MeanWaveforms, Template, mean_waveforms
from spikelab.formats.phy.unit_columns import UnitColumns, add_cells, unit_columns
from spikelab.formats.phy.unit_ids import check_small_ids
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.storage.urls import StrPath


@attrs.frozen(eq=False, kw_only=True, slots=False)
class PhyPlan(FolderPlan):
    """What a Phy folder will hold of a recording."""

    raw: Raw | None  # the raw data, if they are sampled as the spikes are
    written_raw: Raw | None  # the same if they are written
    mean_waveforms: MeanWaveforms  # those in the attributes
    channels: Channels  # the channels
    amplitudes: list[NDArray[Any]] | None  # one per spike of each unit, if known
    columns: UnitColumns  # what stands in tables

    @cached_property
    def templates(self) -> list[Template | None]:
        """The template of each unit, None where it will be a placeholder."""
        if self.facts.templates == "raw_data" and self.raw is not None:
            return templates.averages(self.sd.spike_trains, self.raw)
        return self.mean_waveforms.templates(self.channels)

    def write(self, folder: Path) -> None:
        """Write all files, ``spikelab.json`` last."""
        facts, clusters = self.facts, self.facts.cluster_ids
        trains = self.sd.spike_trains
        spike_arrays.write(folder, trains, facts, copies=["spike_templates.npy"])
        if self.amplitudes is not None:
            spike_arrays.write_amplitudes(folder, self.amplitudes, clusters)
        self.channels.write(folder)
        templates.write(folder, self.templates, self.channels, clusters)
        self.columns.write(folder, clusters)
        n_channels = int(self.channels.numbers.max()) + 1
        if self.written_raw is None:
            write_params(folder, facts.fs_Hz, n_channels)
        else:
            self.written_raw.write(folder)
            dtype = self.written_raw.dtype
            write_params(folder, facts.fs_Hz, n_channels, RAW_FILE, dtype)
        pairs = zip(clusters, self.templates, strict=True)
        placeholders = [cluster for cluster, template in pairs if template is None]
        attrs.evolve(facts, placeholders=placeholders).write(folder)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The attributes of each unit as they will be read."""
        rows: list[dict[str, Any]] = [{"unit_id": i} for i in self.facts.unit_ids]
        add_cells(rows, self.facts.columns)
        for row, template in zip(rows, self.templates, strict=True):
            if template is not None:
                row["waveform_mean"] = template.waveform
                if self.facts.waveform_channels:
                    numbers = self.channels.numbers[template.channels]
                    row["waveform_channels"] = numbers.astype(np.int64)
        if self.amplitudes is not None:
            for row, amplitudes in zip(rows, self.amplitudes, strict=True):
                row[spike_arrays.AMPLITUDES] = amplitudes
        return rows

    def carried(self) -> SpikeData:
        """Return the recording as a reader makes it, with raw data that are written."""
        carried = super().carried()
        if self.written_raw is not None:
            raw = self.written_raw
            carried.raw_data = np.asarray(raw.data, dtype=raw.dtype)
            carried.raw_time = np.asarray(self.sd.raw_time, dtype=np.float64)
        return carried

    def cautions(self) -> Iterator[str]:
        """Yield what the user should know."""
        yield from super().cautions()
        yield from self.columns.cautions

    def _waveform_losses(self) -> Iterator[str]:
        if self.facts.templates == "placeholder":
            yield "templates are not known: flat placeholders"
        yield from self.mean_waveforms.losses(self.channels, self.rows)
        if n_unplaced := self.channels.n_unplaced:
            yield f"places of {n_unplaced} channels are not known: above the others"

    def _raw_losses(self) -> Iterator[str]:
        raw = self.written_raw
        if raw is not None and raw.dtype != raw.data.dtype.name:
            yield f"raw data are rounded from {raw.data.dtype} to {raw.dtype}"
        if raw is None and np.size(self.sd.raw_data):
            yield "raw data (raw_data=True writes them)"


@attrs.frozen(kw_only=True)
class PhyWriter(ClusterFolderWriter[str]):
    """Write spike trains as a folder that Phy opens.

    To look at it, with Phy installed (``pip install phy PyQt5``)::

        phy template-gui folder/params.py

    phylib, SpikeInterface (``read_phy``, ``read_kilosort``) and neo open it too.
    On the disk:

    ``spike_times.npy`` (spikes,)
        int64 sample numbers, rounded to the nearest, chronological; at the same sample
        by unit. Sample 0 is time 0. If the recording starts before 0, sample 0 is its
        start, since neo refuses negative samples; with `raw_data`, it is the first raw
        sample.
    ``spike_clusters.npy``, ``spike_templates.npy`` (spikes,)
        int32, the unit of each spike, 0 to N - 1. Phy numbers new clusters from the
        highest that has spikes: if the last unit is silent, it changes places with the
        last one that is not.
    ``templates.npy`` (N, samples, columns), ``template_ind.npy`` (N, columns)
        float32 mean waveforms, and the channel of each of their columns, -1 for none.
        They come from the attribute ``waveform_mean`` (or ``template``,
        ``avg_waveform``, ``waveform``): an array (samples,) or (samples, channels) with
        the electrodes of its columns in ``waveform_channels``. Without these, raw data
        are averaged: up to 100 spikes of a unit, 1 ms to either side, less their mean,
        on the 12 largest channels. Where there are neither, the template is a
        placeholder, a flat line of ones; ``spikelab.json`` says so under ``templates``,
        and so does :meth:`~spikelab.formats.base.Writer.losses`.
    ``amplitudes.npy`` (spikes,)
        The attribute ``amplitudes``, an array with a value for each spike of the unit,
        if all units have it.
    ``channel_map.npy`` (channels,), ``channel_positions.npy`` (channels, 2)
        int32 electrode numbers and float32 x and y. Channels are the rows of the raw
        data if those are used, else the electrodes of units and waveforms, else the
        locations of the units. Where a position is not known, or that of another
        channel, it is above the known ones, or (0, 0), (0, 1) ... if none is.
    ``cluster_group.tsv``
        The label of each unit, the attribute ``group`` or ``quality``; ``unsorted`` for
        those without. Silent units are listed too, though Phy shows none.
    ``cluster_<name>.tsv``
        One for each other attribute that holds numbers, booleans, or texts that begin
        with a letter; ``location`` becomes ``x``, ``y`` and ``z``. Attributes called as
        Phy's own columns are written as ``unit_<name>``.
    ``cluster_si_unit_id.tsv``
        The ids that the units had: `cluster_ids`, or the attribute ``unit_id``, or the
        positions of the units. SpikeInterface shows the units under these.
    ``recording.dat``
        With `raw_data`: samples by channels, the numbers of ``sd.raw_data`` without
        scaling. int16, uint16 and float32 are kept, all else becomes float32.
    ``params.py``
        What Phy is given: sampling rate, number of channels, raw file.
    ``spikelab.json``
        What the other files cannot hold: window, ids, the cells of the tables with
        their types. With it :func:`~spikelab.load_spikedata_from_kilosort` gives back
        silent units, order, window and attributes, and after a curation in Phy the units
        and labels that came of it. It is written last and lists the other files.

    Of a SpikeSliceStack, each slice becomes such a folder, ``slice_0000``,
    ``slice_0001`` ... , and ``windows.tsv`` lists their windows in ms on the clock of the
    recording.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz. One below 1,000 gives a warning: it may be in kHz.
    cluster_ids : sequence of int, optional
        The ids that the units had before, all distinct, 0 to 2**24 - 1.
    raw_data : bool
        Write ``recording.dat``; needs raw data sampled evenly at `fs_Hz`.

    Warns
    -----
    UserWarning
        If ``sd.start_time`` is not 0, which only spikelab will know; if attributes are
        left out or renamed.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import PhyWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_phy("phy", fs_Hz=30_000)
    'phy/params.py'
    >>> PhyWriter(fs_Hz=30_000).write(sd, "phy")
    'phy/params.py'
    """

    method: ClassVar[str] = "to_phy"

    raw_data: bool = attrs.field(default=False, validator=validate.is_flag)

    def __attrs_post_init__(self) -> None:
        """Check that others can take the ids."""
        check_small_ids("cluster_ids", self.cluster_ids or ())

    def _plan(self, sd: SpikeData) -> PhyPlan:
        trains, table = sd.spike_trains, sd.unit_table
        clusters, raw = _clusters(trains), self._raw(sd)
        n_raw = len(np.atleast_2d(sd.raw_data)) if np.size(sd.raw_data) else 0
        waveforms = mean_waveforms(table, n_raw)
        amplitudes = spike_arrays.amplitudes_of(table, trains.counts)
        source = "placeholder" if raw is None else "raw_data"
        if waveforms.key is not None:
            source = "neuron_attributes"
        in_arrays = waveforms.keys
        if amplitudes is not None:
            in_arrays.append(spike_arrays.AMPLITUDES)
        columns = unit_columns(table, self.cluster_ids, in_arrays)
        if not (self.raw_data or source == "raw_data"):
            n_raw = 0  # the channels are not those of the raw data
        listed = waveforms.known_electrodes
        channels = channels_of(table, n_raw, waveforms.width, listed)
        facts = self._facts(
            sd,
            "samples",
            clusters,
            unit_ids=columns.unit_ids,
            spike_order="time",
            first_sample=self._first_sample(sd, raw),
            columns=columns.columns,
            templates=source,
            waveform_channels=bool(listed or source == "raw_data"),
        )
        return PhyPlan(
            sd=sd,
            table=table,
            facts=facts,
            left_out=columns.left_out,
            in_arrays=in_arrays,
            raw=raw,
            written_raw=raw if self.raw_data else None,
            mean_waveforms=waveforms,
            channels=channels,
            amplitudes=amplitudes,
            columns=columns,
        )

    def _warned_losses(self, plan: ExportPlan) -> list[str]:
        return stacks.merged(
            plan.folders, lambda folder: map(folder.left_out_text, folder.left_out)
        )

    def _raw(self, sd: SpikeData) -> Raw | None:
        """Return the raw data, None if they are neither usable nor to be written."""
        try:
            raw = raw_data.raw_of(sd, self.fs_Hz)
            if self.raw_data:
                raw.check_covers(sd)
        except ValueError:
            if self.raw_data:
                raise
            return None
        return raw

    def _first_sample(self, sd: SpikeData, raw: Raw | None) -> int:
        """Return the sample number that becomes 0."""
        if raw is not None and self.raw_data:
            return raw.first_sample
        start = np.array([min(sd.start_time, 0.0)])
        return int(time_units.from_ms(start, "samples", self.fs_Hz)[0])

    def _read(self, staged: Path) -> DataObject:
        read = super()._read(staged)
        if not self.raw_data:
            return read
        # The loader leaves raw data where they are; verify compares them too.
        folders = stacks.recordings_by_folder(read)
        slices = [raw_data.with_raw(sd, staged / name) for name, sd in folders.items()]
        return stacks.made_of(slices, read)

    def _written(self, obj: DataObject, target: StrPath) -> str:
        is_stack = isinstance(obj, SpikeSliceStack)
        return joined(target, stacks.WINDOWS_FILE if is_stack else PARAMS_FILE)


def _clusters(trains: SpikeTrains) -> list[int]:
    """Return the cluster of each unit, the highest that of a unit with spikes.

    Phy numbers a merged or split cluster from there: it must not meet a silent unit.
    """
    if trains.n_spikes < 2:
        raise ValueError(
            f"spike times must be two or more, got {trains.n_spikes}: "
            "Phy cannot open a folder with fewer than two spikes"
        )
    clusters, last = list(range(len(trains))), int(np.flatnonzero(trains.counts)[-1])
    clusters[last], clusters[-1] = clusters[-1], clusters[last]
    return clusters


export_spikedata_to_phy = export_function(
    PhyWriter,
    "export_spikedata_to_phy",
    returns="str\n    The path of ``params.py``; of a stack, that of ``windows.tsv``.",
)
