"""The writer of KiloSort folders."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from spikelab import validate
from spikelab.formats.functions import export_function
from spikelab.formats.phy import spike_arrays, stacks
from spikelab.formats.phy.folder_writer import ClusterFolderWriter, FolderPlan, joined
from spikelab.formats.phy.params import PARAMS_FILE, write_params
from spikelab.formats.phy.unit_columns import (
    GROUP_FILE,
    add_cells,
    label_column,
    label_key,
)
from spikelab.formats.phy.unit_ids import check_small_ids
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit
from spikelab.spikedata.unit_table import ELECTRODE_KEYS
from spikelab.storage.manifest import MANIFEST
from spikelab.storage.urls import StrPath

SpikeOrder = Literal["unit", "time"]

_STANDARD_NAMES = ("spike_times.npy", "spike_clusters.npy")

_OWN_FILES = (MANIFEST, "channel_map.npy", GROUP_FILE, PARAMS_FILE)


def _is_order(instance: Any, attribute: "attrs.Attribute[str]", value: Any) -> None:
    if value not in get_args(SpikeOrder):
        raise ValueError(f"spike_order must be 'unit' or 'time', got {value!r}")


@attrs.frozen(eq=False, kw_only=True, slots=False)
class KiloSortPlan(FolderPlan):
    """What a KiloSort folder will hold of a recording."""

    has_params: bool  # whether ``params.py`` and ``cluster_group.tsv`` are written

    def write(self, folder: Path) -> None:
        """Write all files, ``spikelab.json`` last."""
        facts, electrodes = self.facts, self.table.electrode_numbers
        spike_arrays.write(folder, self.sd.spike_trains, facts)
        if electrodes is not None:
            np.save(folder / "channel_map.npy", np.array(electrodes, dtype=np.int64))
        if self.has_params:
            write_params(folder, facts.fs_Hz, max([0, *(electrodes or [])]) + 1)
        for labels in facts.columns:
            labels.write(folder / GROUP_FILE, facts.cluster_ids)
        facts.write(folder)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The attributes of each unit as they will be read."""
        rows: list[dict[str, Any]] = [{"unit_id": i} for i in self.facts.cluster_ids]
        add_cells(rows, self.facts.columns)
        if self.table.electrode_numbers is not None:
            for row, electrode in zip(rows, self.table.electrode_numbers, strict=True):
                row["electrode"] = electrode
        return rows


@attrs.frozen(kw_only=True)
class KiloSortWriter(ClusterFolderWriter[tuple[str, str]]):
    """Write spike trains as the arrays that KiloSort writes.

    On the disk:

    ``spike_times.npy`` (spikes,)
        int64 sample numbers, rounded to the nearest; float64 for ms and s. Times before
        0, as event-centred recordings have, stay negative.
    ``spike_clusters.npy`` (spikes,)
        int32 cluster id of each spike, int64 if they need it.
    ``channel_map.npy`` (N,)
        int64 electrode of each unit, if each has an integer one.
    ``params.py`` and ``cluster_group.tsv``
        Only with ``spike_order="time"`` (in samples, under the standard file names), for
        SpikeInterface, which takes the spikes for sorted. The table lists every unit
        with its label, the attribute ``group`` or ``quality``, or ``unsorted``.
    ``spikelab.json``
        What the arrays cannot hold: number of units, their ids, window, sampling rate,
        time unit and file names. With it
        :func:`~spikelab.load_spikedata_from_kilosort` gives back silent units, order and
        window. It is written last and lists the other files.

    Of a SpikeSliceStack, each slice becomes such a folder, ``slice_0000``,
    ``slice_0001`` ... , and ``windows.tsv`` lists their windows in ms on the clock of the
    recording. For a folder that Phy opens, use
    :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_phy`.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz. One below 1,000 gives a warning: it may be in kHz.
    spike_times_file, spike_clusters_file : str
        Names of the two arrays.
    time_unit : {"samples", "ms", "s"}
        Time unit of the spike times.
    cluster_ids : sequence of int, optional
        An id for each unit, all distinct; by default 0 to N - 1. In chronological order
        they must lie in 0 to 2**24 - 1.
    spike_order : {"unit", "time"}
        Unit after unit, or chronologically (at the same time by unit).

    Warns
    -----
    UserWarning
        If ``sd.start_time`` is not 0: only spikelab will know.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import KiloSortWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_kilosort("sorted", fs_Hz=30_000)
    ('sorted/spike_times.npy', 'sorted/spike_clusters.npy')
    >>> KiloSortWriter(fs_Hz=30_000).write(sd, "sorted")
    ('sorted/spike_times.npy', 'sorted/spike_clusters.npy')
    """

    method: ClassVar[str] = "to_kilosort"

    spike_times_file: str = attrs.field(
        default="spike_times.npy", validator=validate.is_file_name
    )
    spike_clusters_file: str = attrs.field(
        default="spike_clusters.npy", validator=validate.is_file_name
    )
    time_unit: TimeUnit = attrs.field(
        default="samples", validator=time_units.is_time_unit
    )
    spike_order: SpikeOrder = attrs.field(default="unit", validator=_is_order)

    def __attrs_post_init__(self) -> None:
        """Check that no file is named twice, and that others can take the ids."""
        # File systems without case would mix them up.
        times, clusters = self.spike_times_file, self.spike_clusters_file
        names = {times.lower(), clusters.lower()}
        if len(names) < 2 or names & set(_OWN_FILES):
            raise ValueError(
                "spike_times_file and spike_clusters_file must differ, and differ from "
                f"{_OWN_FILES}, got {times!r} and {clusters!r}"
            )
        if self.spike_order == "time":
            check_small_ids("cluster_ids", self.cluster_ids or ())

    def _plan(self, sd: SpikeData) -> KiloSortPlan:
        table = sd.unit_table
        clusters = range(sd.N) if self.cluster_ids is None else self.cluster_ids
        # Readers that look for params.py would misread any other folder.
        has_params = (
            self.spike_order == "time"
            and self.time_unit == "samples"
            and (self.spike_times_file, self.spike_clusters_file) == _STANDARD_NAMES
        )
        left_out = dict.fromkeys(table.columns, "no array holds it")
        columns = []
        if has_params and sd.N:
            labels, _ = label_column(table)
            columns.append(labels)
            if (key_of_labels := label_key(table)) is not None:
                del left_out[key_of_labels]
        if table.electrode_numbers is not None:
            key = next(key for key in ELECTRODE_KEYS if key in table.columns)
            left_out[key] = "it comes back as 'electrode'"
        facts = self._facts(
            sd,
            self.time_unit,
            clusters,
            unit_ids=list(clusters),
            spike_order=self.spike_order,
            columns=columns,
            spike_times_file=self.spike_times_file,
            spike_clusters_file=self.spike_clusters_file,
        )
        return KiloSortPlan(
            sd=sd, table=table, facts=facts, left_out=left_out, has_params=has_params
        )

    def _written(self, obj: DataObject, target: StrPath) -> tuple[str, str]:
        if isinstance(obj, SpikeSliceStack):
            return joined(target, stacks.WINDOWS_FILE), os.fspath(target)
        return (
            joined(target, self.spike_times_file),
            joined(target, self.spike_clusters_file),
        )


export_spikedata_to_kilosort = export_function(
    KiloSortWriter,
    "export_spikedata_to_kilosort",
    returns="tuple of str\n    The paths of the spike times and of the cluster ids; of a "
    "stack, those of\n    ``windows.tsv`` and of the folder.",
)
