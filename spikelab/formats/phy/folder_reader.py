"""Reading KiloSort and Phy folders, of spikelab or of other programs."""

import os
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Unpack

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats.functions import show_options, spikedata_loader
from spikelab.formats.phy import (
    channels,
    cluster_tables,
    facts,
    spike_arrays,
    stacks,
    templates,
    unit_columns,
    unit_ids,
)
from spikelab.formats.phy.cluster_tables import Table
from spikelab.formats.phy.facts import Facts
from spikelab.formats.phy.params import PARAMS_FILE, read_sample_rate
from spikelab.formats.phy.spike_arrays import Units
from spikelab.formats.reading import (
    ReaderKeywords,
    ReaderOptions,
    build,
    errors_naming,
    refuse_options,
)
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TimeUnit
from spikelab.spikedata.unit_table import UnitTable
from spikelab.storage.manifest import MANIFEST
from spikelab.storage.publish import local_copy
from spikelab.storage.urls import StrPath, expanded


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a folder holds arrays of a spike sorter, or a file is of one."""
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        is_sorted = any(name.endswith(".npy") for name in names)
        return is_sorted or bool(names & {MANIFEST, PARAMS_FILE})
    return _stands_for_folder(path) and path.is_file()


def _stands_for_folder(path: Path) -> bool:
    """Return whether a name is one that an export returns instead of the folder's."""
    return path.name in (PARAMS_FILE, stacks.WINDOWS_FILE) or path.suffix == ".npy"


def folder_of(path: Any) -> Any:
    """Return the folder of a file that an export returned, or `path` if it is none.

    ``params.py``, ``windows.tsv`` and the arrays, or a tuple of them, stand for the
    folder that holds them.
    """
    if isinstance(path, tuple) and path:
        return folder_of(path[0])
    if not isinstance(path, str | os.PathLike):
        return path  # for the next check to refuse
    text = os.fspath(path)
    is_url = "://" in text
    local = expanded(text)
    if _stands_for_folder(Path(text)) and (is_url or Path(local).is_file()):
        return text.rpartition("/")[0] if is_url else Path(text).parent
    return path


def metadata_of(clusters: Sequence[int], fs_Hz: float | None) -> dict[str, Any]:
    """Return the metadata of a recording that is read from a folder."""
    ids = list(clusters)
    return {"source_format": "KiloSort", "cluster_ids": ids, "fs_Hz": fs_Hz}


class ReadOptions(ReaderKeywords, total=False):
    """The options of :func:`read`."""

    fs_Hz: float | None
    spike_times_file: str | None
    spike_clusters_file: str | None
    cluster_info_tsv: StrPath | None
    time_unit: TimeUnit | None
    include_noise: bool
    length_ms: float | None
    channel_map_file: str
    channel_positions_file: str
    start_time_ms: float | None


def _given(validator: Any) -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(validator))


@attrs.frozen(kw_only=True)
class FolderReader(ReaderOptions):
    """One way to read a folder.

    Parameters
    ----------
    fs_Hz : float, optional
        Sampling rate in Hz. One below 1,000 gives a warning: it may be in kHz.
    spike_times_file, spike_clusters_file : str, optional
        Names of the two arrays. Each holds one number per spike, in shape (n,) or (n, 1).
    cluster_info_tsv : path, optional
        A table, absolute or relative to the folder, with a column ``group`` or
        ``KSLabel``. If it is given, only units labelled ``good`` or ``mua``, in any case,
        are read. By default all units are.
    time_unit : {"samples", "ms", "s"}, optional
        Time unit of the spike times; samples if neither the folder nor the caller says
        otherwise.
    include_noise : bool
        With `cluster_info_tsv`, read units labelled ``noise`` too.
    length_ms, start_time_ms : float, optional
        The recording window in ms. If nothing tells it, it goes from 0 to the last spike.
    channel_map_file, channel_positions_file : str
        Names of the arrays of electrodes (channels,) and of their positions
        (channels, 2).
    """

    fs_Hz: float | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(time_units.fs_in_hz),
        validator=attrs.validators.optional(time_units.is_sampling_rate),
    )
    spike_times_file: str | None = _given(validate.is_file_name)
    spike_clusters_file: str | None = _given(validate.is_file_name)
    cluster_info_tsv: StrPath | None = None
    time_unit: TimeUnit | None = attrs.field(
        default=None, validator=attrs.validators.optional(time_units.is_time_unit)
    )
    include_noise: bool = attrs.field(default=False, validator=validate.is_flag)
    length_ms: float | None = _given(validate.is_not_negative)
    channel_map_file: str = attrs.field(
        default="channel_map.npy", validator=validate.is_file_name
    )
    channel_positions_file: str = attrs.field(
        default="channel_positions.npy", validator=validate.is_file_name
    )
    start_time_ms: float | None = _given(validate.is_finite)

    def read(self, folder: Path) -> DataObject:
        """Return the recording in a folder, or the stack of those in its folders."""
        if not folder.is_dir():
            raise NotADirectoryError(f"folder must name a folder, got {folder}")
        return stacks.read(folder, self._read_slice) or self._read_recording(folder)

    def _read_slice(self, folder: Path) -> SpikeData:
        window = {"start_time_ms": self.start_time_ms, "length_ms": self.length_ms}
        refuse_options("SpikeSliceStack", **window)
        return self._read_recording(folder)

    def _read_recording(self, folder: Path) -> SpikeData:
        units = spike_arrays.read(folder, self._facts(folder))
        known = units.facts
        start, length = known.start_time_ms or 0.0, known.length_ms
        if known.start_time_ms is None and (first := units.trains.extremes()[0]) < 0:
            raise FormatError(
                f"{folder} holds a spike at {first} ms, before 0; "
                "give start_time_ms, the start of the recording"
            )
        if length is not None:
            edge = max(abs(start), abs(start + length))
            slack = time_units.rounding_ms(known.time_unit, known.fs_Hz, edge)
            units = units.moved_into(start, length, slack)
        electrodes, positions = channels.read(
            folder, self.channel_map_file, self.channel_positions_file
        )
        table, named = self._tables(folder, known, electrodes)
        kept = range(len(units.ids)) if named is None else self._kept(units.ids, named)
        rows = [{"unit_id": i} for i in unit_ids.read_ids(table, units)]
        unit_columns.add_cells(rows, unit_columns.read_columns(table, units))
        _add_arrays(rows, units, electrodes, positions)
        is_whole = len(kept) == len(rows)
        return build(
            SpikeData,
            train=units.trains if is_whole else units.trains.of_units(kept),
            start_time=start,
            length=length,
            neuron_attributes=[rows[unit] for unit in kept],
            metadata=metadata_of([units.ids[unit] for unit in kept], known.fs_Hz),
        )

    def _facts(self, folder: Path) -> Facts:
        """Return what is known of a folder: the options, spikelab.json, params.py."""
        # Options that have the name of a fact go before it.
        names = attrs.fields_dict(Facts).keys() & ReadOptions.__annotations__
        options = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in options.items() if value is not None}
        known = attrs.evolve(facts.read(folder), **given)
        if known.fs_Hz is None:
            known = attrs.evolve(known, fs_Hz=read_sample_rate(folder))
        if known.fs_Hz is None and known.time_unit == "samples":
            raise FormatError(
                f"fs_Hz must be given: the folder has no {PARAMS_FILE} that assigns a "
                f"number to sample_rate, got {folder}"
            )
        return known

    def _tables(
        self, folder: Path, known: Facts, electrodes: NDArray[np.int64] | None
    ) -> tuple[Table, Table | None]:
        """Return the columns of all tables, and of the one that the caller named."""
        exported = [column.name for column in known.columns]
        numbers: Container[int] | None = None
        if known.format is None:
            numbers = range(2**63) if electrodes is None else set(electrodes.tolist())
        tables = cluster_tables.read_tables(folder, numbers)
        table = cluster_tables.combined(tables, exported)
        if self.cluster_info_tsv is None:
            return table, None
        path = folder / self.cluster_info_tsv
        if path not in tables and path.is_file():
            tables[path] = cluster_tables.read_table(path, numbers)
        named = cluster_tables.combined({path: tables.get(path, {})}, exported)
        return table | named, named

    def _kept(self, ids: Sequence[int], named: Table) -> Sequence[int]:
        """Return the positions of the units that the caller wants."""
        labels = {**named.get("KSLabel", {}), **named.get("group", {})}
        if not labels:
            lacking = "no column group or KSLabel in" if named else "there is no file"
            warn(
                f"cluster_info_tsv: {lacking} {self.cluster_info_tsv}, "
                "so all units are read"
            )
            return range(len(ids))
        wanted = {"good", "mua", "noise"} if self.include_noise else {"good", "mua"}
        of_units = [labels.get(i, "").strip() for i in ids]
        kept = [u for u, label in enumerate(of_units) if label.lower() in wanted]
        if ids and not kept:
            warn(
                f"cluster_info_tsv: no unit is labelled {' or '.join(sorted(wanted))} in "
                f"{self.cluster_info_tsv}, got {sorted(set(of_units))[:10]}"
            )
        return kept


def _add_arrays(
    rows: list[dict[str, Any]],
    units: Units,
    electrodes: NDArray[np.int64] | None,
    positions: NDArray[Any] | None,
) -> None:
    """Add what templates, amplitudes and channels tell of each unit."""
    n_placed = 0
    if units.facts.format == "kilosort":
        peaks = [units.exported.get(i, -1) for i in units.ids]
    else:
        peaks = templates.add_templates(rows, units, electrodes)
        units.add_amplitudes(rows)
    if units.facts.format == "phy":
        # Tables say where the exported units are. Channels that an export did not know
        # are placeholders, since Phy needs some.
        n_placed = len(units.exported)
        known = UnitTable(rows[:n_placed], n_placed)
        if not all(type(electrode) is int for electrode in known.electrodes):
            electrodes = None
        if not all(map(channels.has_location, known.rows)):
            positions = None
    channels.add_channels(rows[n_placed:], peaks[n_placed:], electrodes, positions)


def read(
    folder: StrPath,
    **options: Unpack[ReadOptions],
) -> DataObject:
    """Read spike trains from a KiloSort or Phy folder.

    A folder that spikelab wrote says itself how. Any other one needs no more than
    ``spike_times.npy``, ``spike_clusters.npy`` (or ``spike_templates.npy``) and a sampling
    rate, which is taken from ``params.py`` if it is not given; that file is parsed, never
    run. Units are then the clusters that have spikes, in the order of their ids.

    Every unit gets the attribute ``unit_id``, and, where the folder holds them,

    - every column of the ``cluster_*.tsv`` and ``.csv`` tables (``group``, ``KSLabel`` ...)
      that has a value for it;
    - ``waveform_mean``, float32 (samples, channels), in the unit of ``templates.npy``:
      unwhitened where there is a ``whitening_mat_inv.npy``, as it stands otherwise, never
      scaled by amplitudes. A merged cluster has the mean weighted by spikes;
    - ``waveform_channels``, the electrode of each column of it;
    - ``amplitudes``, of ``amplitudes.npy``, one for each spike of the unit;
    - ``electrode`` and ``location`` of the channel on which its template is largest, by
      ``channel_map.npy`` and ``channel_positions.npy``.

    What of these files cannot be read is left out, with one warning for each file.

    A folder in which spikelab wrote the slices of a stack gives the stack. If a folder
    that spikelab wrote was curated in Phy since, its arrays and labels count: merged and
    split units replace those that they were made of.

    Parameters
    ----------
    folder : path or S3 URL
        The folder, or a file in it that an export returned: ``params.py``,
        ``windows.tsv`` or one of the arrays.
    {options}

    Returns
    -------
    SpikeData or SpikeSliceStack
        What the folder holds.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no such array in it.
    IncompleteExportError
        If an export into the folder was interrupted.
    FormatError
        If the spikes cannot be read, or no sampling rate is found.
    ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from spikelab import SpikeData, load_spikedata_from_kilosort
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load_spikedata_from_kilosort(sd.to_phy("phy", fs_Hz=30_000))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    reader = FolderReader(**options)
    source = folder_of(folder)
    with (
        local_copy(
            source, reader.storage_options, name="folder", progress=reader.progress
        ) as path,
        errors_naming(source),
    ):
        found = reader.read(path)
    if isinstance(found, SpikeData):
        found.metadata = {"source_folder": os.fspath(source), **found.metadata}
    return found


show_options(read, ReadOptions, [FolderReader])

load_spikedata_from_kilosort = spikedata_loader(read, "load_spikedata_from_kilosort")
