"""The writer and the reader of KiloSort folders, and their export function."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, destinations, units
from spikelab.formats.kilosort import npy
from spikelab.formats.kilosort import reader as cluster_reader
from spikelab.formats.kilosort import slices as cluster_slices
from spikelab.formats.kilosort import spikes as cluster_spikes
from spikelab.formats.kilosort.folder import (
    GROUP_FILE,
    ClusterFolderWriter,
    electrode_key,
    electrode_numbers,
    group_key,
    groups_differ,
    is_stack,
    write_groups,
)
from spikelab.kinds import Contents
from spikelab.units import TimeUnit

SpikeOrder = Literal["unit", "time"]

_OWN_FILES = (
    destinations.MANIFEST,
    "channel_map.npy",
    GROUP_FILE,
    "params.py",
)


@attrs.frozen(kw_only=True)
class KiloSortWriter(ClusterFolderWriter):
    """Write ``spike_times.npy`` and ``spike_clusters.npy``, each of shape (spikes,).

    Options are those of :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_kilosort`.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz.
    spike_times_file, spike_clusters_file : str
        Names of the two arrays.
    time_unit : {"samples", "ms", "s"}
        Time unit of the spike times.
    cluster_ids : sequence of int, optional
        An id for each unit; by default 0 to N - 1.
    spike_order : {"unit", "time"}
        Unit after unit, or chronologically.
    """

    method: ClassVar[str] = "to_kilosort"

    spike_times_file: str = attrs.field(
        default="spike_times.npy", validator=checks.is_file_name
    )
    spike_clusters_file: str = attrs.field(
        default="spike_clusters.npy", validator=checks.is_file_name
    )
    time_unit: str = attrs.field(default="samples", validator=units.is_time_unit)
    spike_order: str = attrs.field(default="unit")

    @spike_order.validator
    def _is_order(self, attribute: "attrs.Attribute[str]", value: Any) -> None:
        if value not in ("unit", "time"):
            raise ValueError(f"spike_order must be 'unit' or 'time', got {value!r}")

    def __attrs_post_init__(self) -> None:
        """Check that no file is named twice, on file systems without case too."""
        names = [self.spike_times_file.lower(), self.spike_clusters_file.lower()]
        if names[0] == names[1] or set(names) & set(_OWN_FILES):
            raise ValueError(
                "spike_times_file and spike_clusters_file must differ, and differ "
                f"from {_OWN_FILES}, got {self.spike_times_file!r} and "
                f"{self.spike_clusters_file!r}"
            )

    def write(self, sd: Any, folder: str | os.PathLike[str]) -> tuple[str, str]:
        """Write `sd` into `folder`, whole or not at all.

        Parameters
        ----------
        sd : SpikeData or SpikeSliceStack
            The recording, or slices of one.
        folder : path or S3 URL
            Made if it is not there; see :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_kilosort`.

        Returns
        -------
        tuple of str
            The paths of the spike times and of the cluster ids; of a stack,
            those of ``windows.tsv`` and of the folder.
        """
        self._publish(sd, folder)
        names = (self.spike_times_file, self.spike_clusters_file)
        if is_stack(sd):
            return _joined(folder, cluster_slices.WINDOWS_FILE), os.fspath(folder)
        return _joined(folder, names[0]), _joined(folder, names[1])

    @property
    def _unit(self) -> str:
        return self.time_unit

    @property
    def _opens_elsewhere(self) -> bool:
        """Whether readers that look for ``params.py`` would read the folder right."""
        standard = attrs.fields(KiloSortWriter)
        return (
            self.spike_order == "time"
            and self.time_unit == "samples"
            and self.spike_times_file == standard.spike_times_file.default
            and self.spike_clusters_file == standard.spike_clusters_file.default
        )

    @property
    def _shows_groups(self) -> bool:
        return self._opens_elsewhere

    def _ids(self, sd: Any) -> NDArray[np.int64]:
        if self.cluster_ids is None:
            return np.arange(sd.N, dtype=np.int64)
        return np.array(self.cluster_ids, dtype=np.int64)

    def _losses_of_recording(self, sd: Any) -> list[str]:
        lost = self._losses_of_times(sd)
        electrode = electrode_key(sd) if electrode_numbers(sd) is not None else None
        group = group_key(sd) if self._shows_groups else None
        names = {name for a in sd.neuron_attributes or () for name in a}
        kept = {name for name in (electrode, group) if name is not None}
        lost += [
            f"neuron_attributes[{name!r}] (no array holds it)"
            for name in sorted(names - kept, key=str)
        ]
        if electrode not in (None, "electrode"):
            lost.append(
                f"neuron_attributes[{electrode!r}] (it comes back as 'electrode')"
            )
        if sd.metadata:
            lost.append("metadata")
        if np.size(sd.raw_data):
            lost.append("raw data")
        return lost

    def _write_recording(self, sd: Any, path: Path) -> None:
        ids = self._ids(sd)
        self._write_spikes(sd, path, ids)
        electrodes = electrode_numbers(sd)
        if electrodes is not None:
            npy.write(path / "channel_map.npy", electrodes)
        columns = {}
        if self._opens_elsewhere and sd.N:
            columns = {"group": write_groups(path, sd, ids.tolist())}
        if self._opens_elsewhere:
            n_channels = 1 if electrodes is None else int(electrodes.max(initial=0)) + 1
            self._write_params(path, n_channels, dat_path=[])
        attrs.evolve(
            self._sidecar(sd, ids),
            format="kilosort",
            spike_order=self.spike_order,
            spike_times_file=self.spike_times_file,
            spike_clusters_file=self.spike_clusters_file,
            columns=columns,
        ).write(path)

    def _write_spikes(self, sd: Any, path: Path, ids: NDArray[np.int64]) -> None:
        chronological = self.spike_order == "time"
        arrange = (
            cluster_spikes.in_time_order
            if chronological
            else cluster_spikes.in_unit_order
        )
        cluster_spikes.write(
            path,
            arrange(sd.train, self._convert),
            sum(map(len, sd.train)),
            (self.spike_times_file, units.dtype(self.time_unit)),
            ([self.spike_clusters_file], np.int64),
            ids,
        )

    def _read_back(self, path: Path) -> Contents:
        return read(path)

    def _found_wrong_beside_spikes(self, sd: Any, folder: Path) -> list[str]:
        electrodes, found = electrode_numbers(sd), []
        file = folder / "channel_map.npy"
        if electrodes is not None and not np.array_equal(npy.read(file), electrodes):
            found.append("channel_map.npy differs from the electrodes")
        if self._opens_elsewhere and sd.N:
            found += groups_differ(folder, sd, self._ids(sd).tolist())
        return found


def _joined(folder: str | os.PathLike[str], name: str) -> str:
    return os.path.join(folder, name)  # noqa: PTH118 - a URL is no Path


def export_spikedata_to_kilosort(
    sd: Any,
    folder: str | os.PathLike[str],
    *,
    fs_Hz: float,
    spike_times_file: str = "spike_times.npy",
    spike_clusters_file: str = "spike_clusters.npy",
    time_unit: TimeUnit = "samples",
    cluster_ids: Sequence[int] | None = None,
    spike_order: SpikeOrder = "unit",
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> tuple[str, str]:
    """Write spike trains as the arrays that KiloSort writes.

    On the disk:

    ``spike_times.npy`` (spikes,)
        int64 sample numbers, rounded to the nearest; float64 for ms and s.
        Times before 0, as event-centred recordings have, stay negative.
    ``spike_clusters.npy`` (spikes,)
        int64 cluster id of each spike.
    ``channel_map.npy`` (N,)
        int64 electrode of each unit, if each has an integer one.
    ``params.py`` and ``cluster_group.tsv``
        Only with ``spike_order="time"`` (in samples, under the standard file
        names), for SpikeInterface, which takes the spikes for sorted. The
        table lists every unit, with the attribute ``group`` or ``quality`` if
        that holds ``good``, ``mua``, ``noise`` or ``unsorted``.
    ``spikelab.json``
        What the arrays cannot hold: number of units, their ids, window,
        sampling rate, time unit and file names. With it
        :func:`~spikelab.load_spikedata_from_kilosort` gives back silent units,
        order and window. It is written last and lists the other files.

    For a folder that Phy opens, use :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_phy`.

    Parameters
    ----------
    sd : SpikeData or SpikeSliceStack
        The recording. Of a stack, each slice becomes such a folder,
        ``slice_0000``, ``slice_0001`` ... , and ``windows.tsv`` lists their windows
        in ms on the clock of the recording.
    folder : path or S3 URL
        Made if it is not there. Files of an earlier export are replaced, other
        files stay.
    fs_Hz : float
        Sampling rate in Hz.
    spike_times_file, spike_clusters_file : str
        Names of the two arrays.
    time_unit : {"samples", "ms", "s"}
        Time unit of the spike times.
    cluster_ids : sequence of int, optional
        An id for each unit, all distinct; by default 0 to N - 1.
    spike_order : {"unit", "time"}
        Unit after unit, or chronologically (at the same time by unit).
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
    tuple of str
        The paths of the spike times and of the cluster ids; of a stack, those of
        ``windows.tsv`` and of the folder.

    Warns
    -----
    UserWarning
        If ``sd.start_time`` is not 0: only spikelab will know.

    Raises
    ------
    TypeError
        If `sd` is not a data object that this format can hold, or a cluster id
        is not an integer.
    ValueError
        If an option is wrong, `cluster_ids` does not hold one id per unit, or
        a sample number does not fit into int64.
    FileExistsError
        If `folder` holds files of another program that readers would take for
        part of the export.
    OSError
        If the folder cannot be written; an earlier export is then as it was.
    """
    writer = KiloSortWriter(
        fs_Hz=fs_Hz,
        spike_times_file=spike_times_file,
        spike_clusters_file=spike_clusters_file,
        time_unit=time_unit,
        cluster_ids=cluster_ids,
        spike_order=spike_order,
        verify=verify,
        strict=strict,
        storage_options=storage_options,
        progress=progress,
    )
    return writer.write(sd, folder)


def read(
    folder: str | os.PathLike[str],
    *,
    fs_Hz: float | None = None,
    spike_times_file: str | None = None,
    spike_clusters_file: str | None = None,
    cluster_info_tsv: str | os.PathLike[str] | None = None,
    time_unit: TimeUnit | None = None,
    include_noise: bool = False,
    length_ms: float | None = None,
    channel_map_file: str = "channel_map.npy",
    channel_positions_file: str = "channel_positions.npy",
    start_time_ms: float | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Contents:
    """Read spike trains from a KiloSort or Phy folder.

    A folder that spikelab wrote says itself how. Any other one needs no more
    than ``spike_times.npy``, ``spike_clusters.npy`` (or ``spike_templates.npy``)
    and a sampling rate, which is taken from ``params.py`` if it is not given;
    that file is parsed, never run. Units are then the clusters that have
    spikes, in the order of their ids.

    Every unit gets the attribute ``unit_id``; ``electrode`` and ``location``
    where ``channel_map.npy``, ``channel_positions.npy`` and the templates tell
    them; and every column of the ``cluster_*.tsv`` and ``.csv`` tables (``group``,
    ``KSLabel`` ...) that has a value for it.

    A folder in which spikelab wrote the slices of a stack gives the stack.

    If a folder that spikelab wrote was curated in Phy since, its arrays and
    labels count: merged and split units replace those that they were made of.

    Parameters
    ----------
    folder : path or S3 URL
        The folder.
    fs_Hz : float, optional
        Sampling rate in Hz.
    spike_times_file, spike_clusters_file : str, optional
        Names of the two arrays. Each holds one number per spike, in shape
        (n,) or (n, 1).
    cluster_info_tsv : path, optional
        A table, absolute or relative to the folder, with a column ``group`` or
        ``KSLabel``. If it is given, only units labelled ``good`` or ``mua``
        are read. By default all units are.
    time_unit : {"samples", "ms", "s"}, optional
        Time unit of the spike times; samples if neither the folder nor the
        caller says otherwise.
    include_noise : bool
        With `cluster_info_tsv`, read units labelled ``noise`` too.
    length_ms, start_time_ms : float, optional
        The recording window in ms. If nothing tells it, it goes from 0 to the
        last spike.
    channel_map_file, channel_positions_file : str
        Names of the arrays of electrodes (channels,) and of their positions
        (channels, 2).
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

    Returns
    -------
    SpikeData
        The recording. :func:`spikelab.load` takes files of other classes too.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no such array in it.
    IncompleteExportError
        If an export into the folder was interrupted.
    FormatError
        If a file does not hold what it should, or no sampling rate is to be
        found.
    ValueError
        If an argument is wrong.
    """
    with destinations.local_copy(
        folder, storage_options, name="folder", progress=progress
    ) as path:
        reader = cluster_reader.ClusterReader(
            folder=path,
            fs_Hz=fs_Hz,
            spike_times_file=spike_times_file,
            spike_clusters_file=spike_clusters_file,
            cluster_info_tsv=cluster_info_tsv,
            time_unit=time_unit,
            include_noise=include_noise,
            length_ms=length_ms,
            channel_map_file=channel_map_file,
            channel_positions_file=channel_positions_file,
            start_time_ms=start_time_ms,
        )
        if path.is_dir() and cluster_slices.is_stack(path):
            part = attrs.evolve(reader, start_time_ms=None, length_ms=None)
            contents = cluster_slices.read(
                path, lambda folder: attrs.evolve(part, folder=folder).read()
            )
            return reader.described(contents)
        contents = reader.read()
    return reader.described(contents, source_folder=os.fspath(folder))
