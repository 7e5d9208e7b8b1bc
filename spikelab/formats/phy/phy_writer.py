"""The writer of Phy folders."""

from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.formats.base import StrPath
from spikelab.formats.functions import export_function
from spikelab.formats.phy import facts, spike_arrays, stacks, templates
from spikelab.formats.phy import raw as raw_data
from spikelab.formats.phy.channels import channels_of
from spikelab.formats.phy.facts import Facts
from spikelab.formats.phy.folder_writer import ClusterFolderWriter, joined
from spikelab.formats.phy.params import PARAMS_FILE, write_params
from spikelab.formats.phy.plan import Plan
from spikelab.formats.phy.raw import RAW_FILE
from spikelab.formats.phy.templates import Placed
from spikelab.formats.phy.unit_columns import (
    as_read,
    changed_units,
    losses_of_cells,
    unit_columns,
)
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.differences import LOADER_KEYS
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack


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
        self._check_small_ids()

    @property
    def _unit(self) -> str:
        return "samples"

    def _check_recording(self, sd: SpikeData) -> None:
        super()._check_recording(sd)
        n_spikes = sd.spike_trains.n_spikes
        if n_spikes < 2:
            raise ValueError(
                f"spike times must be two or more, got {n_spikes}: "
                "Phy cannot open a folder with fewer than two spikes"
            )
        if not self.raw_data:
            return
        raw = raw_data.raw_of(sd, self.fs_Hz)
        first, last = sd.spike_trains.extremes()
        samples = self._converted(np.array([first, last])) - raw.first_sample
        if samples[0] < 0 or samples[1] >= raw.data.shape[1]:
            raise ValueError(
                f"raw_data must cover all spikes, from {first} to {last} ms, "
                f"got raw_time from {sd.raw_time[0]} to {sd.raw_time[-1]} ms"
            )

    def _plan(self, sd: SpikeData) -> Plan:
        """Return what the folder will hold."""
        try:
            raw = raw_data.raw_of(sd, self.fs_Hz)
        except ValueError:
            raw = None
        table, n_raw = sd.unit_table, raw_data.n_channels(sd)
        known = templates.templates_of(table, n_raw)
        source = "placeholder" if raw is None else "raw_data"
        source = source if known.key is None else "neuron_attributes"
        uses_raw = self.raw_data or source == "raw_data"
        start = int(self._converted(np.array([sd.start_time]))[0])
        amplitudes = spike_arrays.amplitudes_of(table, sd.spike_trains.counts)
        taken = {
            known.key: known.key is not None,
            "waveform_channels": known.listed,
            spike_arrays.AMPLITUDES: amplitudes is not None,
        }
        elsewhere = [key for key, is_taken in taken.items() if is_taken]
        return Plan(
            clusters=_clusters(sd.spike_trains.counts),
            first_sample=raw.first_sample if raw and self.raw_data else min(start, 0),
            raw=raw,
            source=source,
            templates=known,
            channels=channels_of(
                table, n_raw if uses_raw else 0, known.width, known.listed
            ),
            amplitudes=amplitudes,
            columns=unit_columns(table, self.cluster_ids, elsewhere),
            taken=elsewhere,
        )

    def _waveforms(self, sd: SpikeData, plan: Plan) -> list[Placed | None]:
        """Return the template of each unit and the channels of its columns."""
        if plan.source == "raw_data" and plan.raw is not None:
            return templates.averages(sd.spike_trains, plan.raw, self.fs_Hz)
        return [
            templates.placed(plan.templates, plan.channels, unit)
            for unit in range(sd.N)
        ]

    def _write_recording(self, sd: SpikeData, folder: Path) -> Facts:
        plan = self._plan(sd)
        spike_arrays.write_in_time_order(
            folder,
            sd.spike_trains,
            lambda times: self._converted(times) - plan.first_sample,
            ("spike_times.npy", np.int64),
            ["spike_clusters.npy", "spike_templates.npy"],
            plan.clusters,
        )
        if plan.amplitudes is not None:
            spike_arrays.write_amplitudes(folder, plan.amplitudes, plan.clusters)
        plan.channels.write(folder)
        placeholders = templates.write(
            folder, self._waveforms(sd, plan), plan.channels, plan.clusters
        )
        plan.columns.write(folder, plan.clusters)
        raw = plan.raw if self.raw_data else None
        if raw is not None:
            raw.write(folder)
        write_params(
            folder,
            self.fs_Hz,
            n_channels=int(plan.channels.numbers.max()) + 1,
            dat_path=RAW_FILE if raw else [],
            dtype=raw.dtype if raw else "int16",
        )
        return self._facts(
            sd,
            plan.clusters,
            unit_ids=plan.columns.unit_ids,
            spike_order="time",
            first_sample=plan.first_sample,
            columns=plan.columns.columns,
            templates=plan.source,
            placeholders=placeholders,
            waveform_channels=plan.lists_channels,
        )

    def _read(self, staged: Path) -> DataObject:
        read = super()._read(staged)
        if not self.raw_data:
            return read
        # The loader leaves raw data where they are; verify compares them too.
        folders = stacks.recordings_by_folder(read)
        slices = [
            raw_data.with_raw(sd, staged / name, facts.read(staged / name).first_sample)
            for name, sd in folders.items()
        ]
        if not isinstance(read, SpikeSliceStack):
            return slices[0]
        own = stacks.has_own_attributes(read)
        return stacks.stack_of(slices, read.times, own=own)

    def _carried_recording(self, sd: SpikeData) -> SpikeData:
        plan = self._plan(sd)
        rows = as_read(plan.columns)
        waveforms = templates.as_read(
            self._waveforms(sd, plan), plan.channels, plan.lists_channels
        )
        for unit, row in enumerate(rows):
            row.update(waveforms[unit])
            if plan.amplitudes is not None:
                row[spike_arrays.AMPLITUDES] = plan.amplitudes[unit]
        carried = self._as_read(sd, rows, plan.clusters)
        if self.raw_data and plan.raw is not None:
            carried.raw_data = np.asarray(plan.raw.data, dtype=plan.raw.dtype)
            carried.raw_time = np.asarray(sd.raw_time, dtype=np.float64)
        return carried

    def _cautions_of_recording(self, sd: SpikeData) -> list[str]:
        columns, cautions = self._plan(sd).columns, super()._cautions_of_recording(sd)
        if columns.left_out:
            cautions.append(
                f"to_phy: neuron_attributes {', '.join(map(str, columns.left_out))} left "
                "out: tables of Phy hold numbers, booleans, and texts that begin with a "
                "letter, under names that do"
            )
        if columns.bad_labels:
            cautions.append(
                f"to_phy: labels {', '.join(map(repr, columns.bad_labels))} become "
                "'unsorted': Phy and neo read texts that begin with a letter"
            )
        if columns.renamed:
            names = ", ".join(columns.renamed)
            cautions.append(
                f"to_phy: neuron_attributes {names} are written as unit_<name>, because "
                "Phy has columns of these names; spikelab reads them under their own"
            )
        return cautions

    def _losses_of_recording(self, sd: SpikeData) -> list[str]:
        plan, table = self._plan(sd), sd.unit_table
        read = self._carried_recording(sd).neuron_attributes or []
        lost = plan.losses_of_templates(table, read)
        lost += [
            f"neuron_attributes[{str(key)!r}] (no table of Phy can hold it)"
            for key in plan.columns.left_out
        ]
        elsewhere = (*plan.taken, *plan.columns.left_out, plan.columns.id_key)
        for key, column in table.columns.items():
            if key not in elsewhere:
                lost += losses_of_cells(column, changed_units(column, read))
        id_key = plan.columns.id_key
        if id_key not in (None, "unit_id"):
            lost.append(f"neuron_attributes[{id_key!r}] (it comes back as 'unit_id')")
        same_rate = (sd.metadata or {}).get("fs_Hz") == self.fs_Hz
        known = {*LOADER_KEYS, "fs_Hz"} if same_rate else {*LOADER_KEYS}
        if set(sd.metadata or ()) - known:
            lost.append("metadata")
        if np.size(sd.raw_data) and not self.raw_data:
            lost.append("raw data (raw_data=True writes them)")
        elif plan.raw and plan.raw.dtype != plan.raw.data.dtype.name:
            lost.append(
                f"raw data are rounded from {plan.raw.data.dtype} to {plan.raw.dtype}"
            )
        return lost

    def _written(self, obj: DataObject, target: StrPath) -> str:
        is_stack = isinstance(obj, SpikeSliceStack)
        return joined(target, stacks.WINDOWS_FILE if is_stack else PARAMS_FILE)


def _clusters(counts: NDArray[np.int64]) -> list[int]:
    """Return the cluster of each unit, the highest that of a unit with spikes.

    Phy numbers a merged or split cluster from there: it must not meet a silent unit.
    """
    clusters = list(range(len(counts)))
    last = int(np.flatnonzero(counts)[-1])
    clusters[last], clusters[-1] = clusters[-1], clusters[last]
    return clusters


export_spikedata_to_phy = export_function(
    PhyWriter,
    "export_spikedata_to_phy",
    returns="str\n    The path of ``params.py``; of a stack, that of ``windows.tsv``.",
)
