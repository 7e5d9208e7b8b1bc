"""The writer of Phy folders, and its export function."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, trains
from spikelab.formats import kilosort
from spikelab.formats.kilosort import slices as cluster_slices
from spikelab.formats.kilosort import spikes as cluster_spikes
from spikelab.formats.kilosort import tables as cluster_tables
from spikelab.formats.kilosort.folder import (
    ClusterFolderWriter,
    group_key,
    groups_differ,
    is_stack,
    write_groups,
)
from spikelab.formats.phy import channels as phy_channels
from spikelab.formats.phy import columns as phy_columns
from spikelab.formats.phy import raw as phy_raw
from spikelab.formats.phy import templates as phy_templates
from spikelab.formats.phy.channels import Channels
from spikelab.formats.phy.raw import Raw
from spikelab.formats.phy.templates import Templates
from spikelab.kinds import Contents

RAW_FILE = "recording.dat"


@attrs.frozen
class _Plan:
    raw: Raw | None
    templates: Templates
    channels: Channels
    first_sample: int


@attrs.frozen(kw_only=True)
class PhyWriter(ClusterFolderWriter):
    """Write a folder that Phy opens.

    What is written is described at :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_phy`.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz.
    cluster_ids : sequence of int, optional
        The ids that the units had before, not negative; a column of their own.
    raw_data : bool
        Write the raw data too.
    """

    method: ClassVar[str] = "to_phy"

    raw_data: bool = attrs.field(default=False, validator=checks.is_flag)

    def write(self, sd: Any, folder: str | os.PathLike[str]) -> str:
        """Write `sd` into `folder`, whole or not at all.

        Parameters
        ----------
        sd : SpikeData or SpikeSliceStack
            The recording, or slices of one.
        folder : path or S3 URL
            Made if it is not there; see :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_phy`.

        Returns
        -------
        str
            The path of ``params.py``; of a stack, that of ``windows.tsv``.
        """
        self._publish(sd, folder)
        name = cluster_slices.WINDOWS_FILE if is_stack(sd) else "params.py"
        return os.path.join(folder, name)  # noqa: PTH118 - or a URL

    def __attrs_post_init__(self) -> None:
        """Check that the ids can be a column that SpikeInterface reads."""
        if self.cluster_ids is not None and min(self.cluster_ids, default=0) < 0:
            raise ValueError(
                f"cluster_ids must not be negative, got {min(self.cluster_ids)}"
            )

    @property
    def _unit(self) -> str:
        return "samples"

    def _check_recording(self, sd: Any) -> None:
        super()._check_recording(sd)
        n_spikes = sum(map(len, sd.train))
        if n_spikes < 2:
            raise ValueError(
                f"spike times must be two or more, got {n_spikes}: "
                "Phy cannot open a folder with fewer than two spikes"
            )
        if self.raw_data:
            self._check_raw(sd)

    def _cautions(self, sd: Any) -> list[str]:
        templates = phy_templates.from_attributes(sd, phy_raw.n_channels(sd))
        _, left_out = self._columns(sd, templates)
        if not left_out:
            return super()._cautions(sd)
        return [
            *super()._cautions(sd),
            f"to_phy: neuron_attributes {', '.join(left_out)} left out: tables of Phy "
            "hold numbers, booleans, and texts that begin with a letter, under names "
            "that do",
        ]

    def _check_raw(self, sd: Any) -> None:
        raw = phy_raw.raw_of(sd, self.fs_Hz)
        first, last = trains.extremes(sd.train)
        samples = self._convert(np.array([first, last])) - raw.first_sample
        if samples[0] < 0 or samples[1] >= raw.data.shape[1]:
            raise ValueError(
                f"raw_data must cover all spikes, from {first} to {last} ms, "
                f"got raw_time from {sd.raw_time[0]} to {sd.raw_time[-1]} ms"
            )

    def _plan(self, sd: Any) -> "_Plan":
        """Return what the folder will show of channels, templates and raw data."""
        try:
            raw = phy_raw.raw_of(sd, self.fs_Hz)
        except ValueError:
            raw = None
        templates = phy_templates.from_attributes(sd, phy_raw.n_channels(sd))
        if templates is None:
            make = phy_templates.from_raw if raw else phy_templates.placeholders
            templates = make(sd)
        in_use = self.raw_data or templates.source == "raw_data"
        channels = phy_channels.channels(
            sd, len(raw.data) if raw and in_use else 0, templates.n_channels
        )
        start = int(self._convert(np.array([sd.start_time]))[0])
        first_sample = raw.first_sample if raw and self.raw_data else min(start, 0)
        return _Plan(raw, templates, channels, first_sample)

    def _columns(
        self, sd: Any, templates: Templates | None
    ) -> tuple[list[phy_columns.Column], list[str]]:
        id_key, _ = phy_columns.original_ids(sd, self.cluster_ids)
        template_key = templates.key if templates else None
        return phy_columns.columns(sd, (group_key(sd), id_key, template_key))

    def _losses_of_recording(self, sd: Any) -> list[str]:
        plan = self._plan(sd)
        lost = self._losses_of_times(sd)
        lost += phy_templates.losses(plan.templates, len(plan.channels.numbers))
        lost += plan.channels.losses()
        _, left_out = self._columns(sd, plan.templates)
        lost += [
            f"neuron_attributes[{key!r}] (no table of Phy can hold it)"
            for key in left_out
        ]
        lost += [
            f"neuron_attributes[{key!r}] where it is None, NaN or '' (an empty cell)"
            for key in phy_columns.faded(sd, [*left_out, str(plan.templates.key)])
        ]
        id_key, _ = phy_columns.original_ids(sd, self.cluster_ids)
        if id_key not in (None, "unit_id"):
            lost.append(f"neuron_attributes[{id_key!r}] (it comes back as 'unit_id')")
        if plan.templates.key is not None:
            lost.append(
                f"neuron_attributes[{plan.templates.key!r}] (it is in templates.npy, "
                "and does not come back)"
            )
        if sd.metadata:
            lost.append("metadata")
        if np.size(sd.raw_data) and not self.raw_data:
            lost.append("raw data (raw_data=True writes them)")
        elif plan.raw and plan.raw.dtype != plan.raw.data.dtype.name:
            lost.append(
                f"raw data are rounded from {plan.raw.data.dtype} to {plan.raw.dtype}"
            )
        return lost

    def _write_recording(self, sd: Any, path: Path) -> None:
        plan = self._plan(sd)
        self._write_spikes(sd, path, plan.first_sample)
        plan.channels.write(path)
        phy_templates.write(
            path, sd, plan.templates, plan.channels, plan.raw, self.fs_Hz
        )
        raw = plan.raw if self.raw_data else None
        if raw is not None:
            raw.write(path / RAW_FILE)
        self._write_params(
            path,
            plan.channels.n_channels_dat,
            dat_path=RAW_FILE if raw else [],
            dtype=raw.dtype if raw else "int16",
        )
        _, original = phy_columns.original_ids(sd, self.cluster_ids)
        attrs.evolve(
            self._sidecar(sd, np.arange(sd.N)),
            format="phy",
            spike_order="time",
            first_sample=plan.first_sample,
            unit_ids=tuple(original) or None,
            columns=self._write_tables(sd, path, plan.templates, original),
            templates=plan.templates.source,
        ).write(path)

    def _write_spikes(self, sd: Any, path: Path, first_sample: int) -> None:
        def convert(times: NDArray[np.float64]) -> NDArray[Any]:
            samples = self._convert(times)
            return samples - first_sample if first_sample else samples

        cluster_spikes.write(
            path,
            cluster_spikes.in_time_order(sd.train, convert),
            sum(map(len, sd.train)),
            ("spike_times.npy", np.int64),
            (["spike_clusters.npy", "spike_templates.npy"], np.int32),
            np.arange(sd.N),
        )

    def _write_tables(
        self, sd: Any, path: Path, templates: Templates, original: list[int]
    ) -> dict[str, tuple[str, str]]:
        """Write what is known of the units; return what each column holds."""
        columns, _ = self._columns(sd, templates)
        phy_columns.write(path, columns, sd.N)
        held = {column.name: (column.attribute, column.kind) for column in columns}
        held["group"] = write_groups(path, sd, range(sd.N))
        if original:
            cluster_tables.write_column(
                path / "cluster_si_unit_id.tsv",
                "si_unit_id",
                range(sd.N),
                map(str, original),
            )
        return held

    def _read_back(self, path: Path) -> Contents:
        return kilosort.read(path)

    def _recording_differences(self, sd: Any, contents: Contents) -> list[str]:
        found = super()._recording_differences(sd, contents)
        columns, _ = self._columns(sd, self._plan(sd).templates)
        read = contents.arguments["neuron_attributes"] or []
        for column in columns:
            for written, loaded in zip(sd.neuron_attributes, read, strict=False):
                value = written.get(column.attribute)
                if phy_columns.has_cell(value) and not np.array_equal(
                    value, loaded.get(column.attribute)
                ):
                    found.append(f"attribute {column.attribute!r} differs")
                    break
        return found

    def _found_wrong_beside_spikes(self, sd: Any, folder: Path) -> list[str]:
        plan, table = self._plan(sd), cluster_tables.read_tables(folder)
        found = groups_differ(folder, sd, range(sd.N))
        for column in self._columns(sd, plan.templates)[0]:
            cells = {unit: cell for unit, cell in enumerate(column.cells) if cell}
            if table.get(column.name, {}) != cells:
                found.append(f"the table of {column.name!r} differs")
        if self.raw_data and plan.raw and not plan.raw.is_in(folder / RAW_FILE):
            found.append(f"{RAW_FILE} differs from the raw data")
        return found


def export_spikedata_to_phy(
    sd: Any,
    folder: str | os.PathLike[str],
    *,
    fs_Hz: float,
    cluster_ids: Sequence[int] | None = None,
    raw_data: bool = False,
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Write spike trains as a folder that Phy opens.

    To look at it, with Phy installed (``pip install phy PyQt5``)::

        phy template-gui folder/params.py

    phylib, SpikeInterface (``read_phy``, ``read_kilosort``) and neo open it too.
    On the disk:

    ``spike_times.npy`` (spikes,)
        int64 sample numbers, rounded to the nearest, chronological; at the
        same sample by unit. Sample 0 is time 0. If the recording starts before
        0, sample 0 is its start, since neo refuses negative samples; with
        `raw_data`, it is the first raw sample.
    ``spike_clusters.npy``, ``spike_templates.npy`` (spikes,)
        int32, the unit of each spike, 0 to N - 1.
    ``templates.npy`` (N, samples, columns), ``template_ind.npy`` (N, columns)
        float32 mean waveforms, and the channel of each of their columns, -1
        for none. They come from the attribute ``template`` or ``waveform``: an
        array (samples,) or (samples, channels), or (channels, samples) if only
        that fits the number of raw channels. Without these, raw data are
        averaged: up to 100 spikes of a unit, 1 ms to either side, less their
        mean, on the 12 largest channels. Where there are neither, the template
        is a placeholder, a flat line of ones; ``spikelab.json`` says so under
        ``templates``, and so does :meth:`~spikelab.formats.writer.Writer.losses`.
    ``channel_map.npy`` (channels,), ``channel_positions.npy`` (channels, 2)
        int32 electrode numbers and float32 x and y. Channels are the rows of
        the raw data if those are used, else the electrodes of the units, else
        their locations. Where a position is not known, or that of another
        channel, it is above the known ones, or (0, 0), (0, 1) ... if none is.
    ``cluster_group.tsv``
        The attribute ``group`` or ``quality`` if it holds ``good``, ``mua``,
        ``noise`` or ``unsorted``; else ``unsorted``. Silent units are listed here,
        though Phy shows none.
    ``cluster_<name>.tsv``
        One for each other attribute that holds numbers, booleans, or texts
        that begin with a letter; ``location`` becomes ``x``, ``y`` and ``z``.
    ``cluster_si_unit_id.tsv``
        The ids that the units had: `cluster_ids`, or the attribute ``unit_id``.
        SpikeInterface shows the units under these.
    ``recording.dat``
        With `raw_data`: samples by channels, the numbers of ``sd.raw_data``
        without scaling. int16, uint16 and float32 are kept, all else becomes
        float32.
    ``params.py``
        What Phy is given: sampling rate, number of channels, raw file.
    ``spikelab.json``
        What the other files cannot hold: window, ids, types of the columns.
        With it :func:`~spikelab.load_spikedata_from_kilosort` gives back silent
        units, order, window and attributes, and after a curation in Phy the
        units and labels that came of it. It is written last and lists the
        other files.

    Parameters
    ----------
    sd : SpikeData or SpikeSliceStack
        The recording, of two spikes or more. Of a stack, each slice becomes such
        a folder, ``slice_0000``, ``slice_0001`` ... , and ``windows.tsv`` lists their
        windows in ms on the clock of the recording.
    folder : path or S3 URL
        Made if it is not there. Files of an earlier export are replaced, what
        Phy saved beside them included; other files stay.
    fs_Hz : float
        Sampling rate in Hz.
    cluster_ids : sequence of int, optional
        The ids that the units had before, all distinct and not negative.
    raw_data : bool
        Write ``recording.dat``; needs raw data sampled evenly at `fs_Hz`.
    verify : bool
        Read the folder back and compare, before it replaces an earlier one.
    strict : bool
        Raise an error if the folder cannot carry all that the object holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.

    Returns
    -------
    str
        The path of ``params.py``; of a stack, that of ``windows.tsv``.

    Warns
    -----
    UserWarning
        If ``sd.start_time`` is not 0, which only spikelab will know; if
        attributes are left out.

    Raises
    ------
    TypeError
        If `sd` is not a data object that this format can hold, or a cluster id
        is not an integer.
    ValueError
        If there are fewer than two spikes, which Phy cannot open; if an option
        is wrong; if the raw data are missing, have gaps or another sampling
        rate, or do not cover all spikes.
    FileExistsError
        If `folder` holds files of another program that Phy would take for part
        of the export, or a ``recording.dat`` that spikelab did not write.
    OSError
        If the folder cannot be written; an earlier export is then as it was.
    """
    writer = PhyWriter(
        fs_Hz=fs_Hz,
        cluster_ids=cluster_ids,
        raw_data=raw_data,
        verify=verify,
        strict=strict,
        storage_options=storage_options,
        progress=progress,
    )
    return writer.write(sd, folder)
