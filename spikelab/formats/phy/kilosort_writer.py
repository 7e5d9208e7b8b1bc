"""The writer of KiloSort folders."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from spikelab import validate
from spikelab.formats.base import StrPath
from spikelab.formats.functions import export_function
from spikelab.formats.phy import npy, spike_arrays, stacks
from spikelab.formats.phy.cluster_tables import write_column
from spikelab.formats.phy.facts import Facts
from spikelab.formats.phy.folder_writer import ClusterFolderWriter, joined
from spikelab.formats.phy.params import PARAMS_FILE, write_params
from spikelab.formats.phy.unit_columns import (
    GROUP_FILE,
    changed_units,
    label_column,
    losses_of_cells,
)
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.differences import LOADER_KEYS
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit
from spikelab.spikedata.unit_table import ELECTRODE_KEYS
from spikelab.storage.manifest import MANIFEST

SpikeOrder = Literal["unit", "time"]

_OWN_FILES = (MANIFEST, "channel_map.npy", GROUP_FILE, PARAMS_FILE)


def _is_order(instance: Any, attribute: "attrs.Attribute[str]", value: Any) -> None:
    if value not in get_args(SpikeOrder):
        raise ValueError(f"spike_order must be 'unit' or 'time', got {value!r}")


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
        names = [self.spike_times_file.lower(), self.spike_clusters_file.lower()]
        if names[0] == names[1] or set(names) & set(_OWN_FILES):
            raise ValueError(
                "spike_times_file and spike_clusters_file must differ, and differ "
                f"from {_OWN_FILES}, got {self.spike_times_file!r} and "
                f"{self.spike_clusters_file!r}"
            )
        if self.spike_order == "time":
            self._check_small_ids()

    @property
    def _unit(self) -> str:
        return self.time_unit

    @property
    def _opens_elsewhere(self) -> bool:
        """Whether readers that look for ``params.py`` would read the folder right."""
        return (
            self.spike_order == "time"
            and self.time_unit == "samples"
            and self.spike_times_file == "spike_times.npy"
            and self.spike_clusters_file == "spike_clusters.npy"
        )

    def _clusters(self, sd: SpikeData) -> Sequence[int]:
        return range(sd.N) if self.cluster_ids is None else self.cluster_ids

    def _write_recording(self, sd: SpikeData, folder: Path) -> Facts:
        clusters, columns = self._clusters(sd), []
        times = (self.spike_times_file, time_units.dtype(self.time_unit))
        if self.spike_order == "time":
            spike_arrays.write_in_time_order(
                *(folder, sd.spike_trains, self._converted, times),
                *([self.spike_clusters_file], clusters),
            )
        else:
            spike_arrays.write_in_unit_order(
                *(folder, sd.spike_trains, self._converted, times),
                *(self.spike_clusters_file, clusters),
            )
        electrodes = sd.unit_table.electrode_numbers
        if electrodes is not None:
            npy.write(folder / "channel_map.npy", np.array(electrodes, dtype=np.int64))
        if self._opens_elsewhere:
            write_params(
                folder, self.fs_Hz, max([0, *(electrodes or ())]) + 1, dat_path=[]
            )
            if sd.N:
                labels, _ = label_column(sd.unit_table)
                write_column(folder / GROUP_FILE, labels, clusters)
                columns = [labels]
        return self._facts(
            sd,
            clusters,
            unit_ids=clusters,
            spike_order=self.spike_order,
            spike_times_file=self.spike_times_file,
            spike_clusters_file=self.spike_clusters_file,
            columns=columns,
        )

    def _carried_recording(self, sd: SpikeData) -> SpikeData:
        clusters, table = self._clusters(sd), sd.unit_table
        rows: list[dict[str, Any]] = [{"unit_id": cluster} for cluster in clusters]
        if self._opens_elsewhere:
            labels, _ = label_column(table)
            for row, label in zip(rows, labels.cells, strict=True):
                row.update({labels.attribute: label} if label else {})
        for row, electrode in zip(rows, table.electrode_numbers or [], strict=False):
            row["electrode"] = electrode
        return self._as_read(sd, rows, clusters)

    def _losses_of_recording(self, sd: SpikeData) -> list[str]:
        table, lost = sd.unit_table, []
        read = self._carried_recording(sd).neuron_attributes or []
        group = table.label_key if self._opens_elsewhere else None
        numbers = table.electrode_numbers
        source = next((k for k in ELECTRODE_KEYS if k in table.columns), None)
        for key, column in sorted(table.columns.items(), key=lambda item: str(item[0])):
            changed = changed_units(column, read)
            if key == source and numbers is not None:
                if key != "electrode":
                    lost.append(
                        f"neuron_attributes[{key!r}] (it comes back as 'electrode')"
                    )
            elif key == group:
                lost += losses_of_cells(column, changed)
            elif changed:
                lost.append(f"neuron_attributes[{key!r}] (no array holds it)")
        same_rate = (sd.metadata or {}).get("fs_Hz") == self.fs_Hz
        known = {*LOADER_KEYS, "fs_Hz"} if same_rate else {*LOADER_KEYS}
        if set(sd.metadata or ()) - known:
            lost.append("metadata")
        if np.size(sd.raw_data):
            lost.append("raw data")
        return lost

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
