"""The reader of NWB files, of spikelab and of other programs."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import h5py
import numpy as np

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.functions import show_options, spikedata_loader
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.derived import (
    read_matrix,
    read_rate_slices,
    read_rates,
    read_stack,
)
from spikelab.formats.nwb.header import read_header
from spikelab.formats.nwb.schema import SPIKE_TIMES, SPIKE_TIMES_INDEX
from spikelab.formats.nwb.units_reader import (
    read_attributes,
    read_ids_and_trains,
    units_table,
)
from spikelab.formats.reading import (
    RecordingKeywords,
    RecordingOptions,
    build,
    errors_naming,
)
from spikelab.registry import HDF5_SIGNATURE
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.publish import readable
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.urls import StrPath

_READERS: dict[str, Callable[[h5py.File], dict[str, Any]]] = {
    "RateData": read_rates,
    "RateSliceStack": read_rate_slices,
    "PairwiseCompMatrix": read_matrix,
    "PairwiseCompMatrixStack": read_stack,
}
"""What a file without spikes holds, as arguments of the class, by its name."""


def recognises(path: Path | RemoteFile, head: bytes) -> bool:
    """Return whether a file is an NWB file, or one as spikelab 0.1 wrote it."""
    if head != HDF5_SIGNATURE and not h5py.is_hdf5(path):
        return False
    if h5.has_attribute(path, "nwb_version"):
        return True
    if h5.has_attribute(path, "style"):
        return False  # a file of to_hdf5
    with h5.opened(path) as file:
        if "nwb_version" in file:
            return True
        table = file.get(schema.UNITS)
        names = {"id", SPIKE_TIMES, SPIKE_TIMES_INDEX}
        return isinstance(table, h5py.Group) and names <= table.keys()


def read(
    filepath: StrPath,
    *,
    prefer_pynwb: bool = True,
    group: str | None = None,
    **options: Unpack[RecordingKeywords],
) -> DataObject:
    """Read the units of an NWB file, or the rates or comparison that spikelab wrote.

    Each unit's dictionary in ``neuron_attributes`` holds its ``unit_id`` and the columns
    of the Units table. In files of other programs it also holds the id of its electrode
    as ``electrode``, that electrode's coordinates as ``location``, and its brain area as
    ``brain_area``; of a unit with several electrodes the ids as a list, and no location.

    The recording window is in attributes of the file, or in the intervals in which the
    units were observed; otherwise it goes from 0, or the first spike if that is negative,
    to the last spike. The metadata hold ``format`` and what the file says: ``fs_Hz``,
    ``nwb_session``, ``nwb_subject``, ``time_zero_ms``.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    prefer_pynwb : bool
        Without effect, and accepted for scripts that set it: all files are read with
        h5py.
    group : str, optional
        Name of the units table in the file, such as ``"processing/ecephys/units"``; by
        default the one that NWB has for units, or that spikelab wrote.
    {options}

    Returns
    -------
    SpikeData
        The recording. :func:`spikelab.load` takes files of other classes too.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file has no units, or is damaged.

    Warns
    -----
    UserWarning
        If columns of the units or the electrodes are not read, or fields of session or
        subject are not valid.

    Examples
    --------
    >>> from spikelab import SpikeData, load_spikedata_from_nwb
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load_spikedata_from_nwb(sd.to_nwb("cells.nwb"))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    given = RecordingOptions(**options)
    with (
        errors_naming(filepath),
        readable(filepath, given.storage_options, progress=given.progress) as path,
        h5.opened(path) as file,
    ):
        notes = _notes(file)
        kind = str(notes.get("kind")) if group is None else ""
        try:
            if kind not in _READERS:
                return _recording(file, group, given, notes, os.fspath(filepath))
            obj = _derived(file, kind, notes)
        except FormatError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise FormatError(f"it is damaged or not as expected: {error}") from error
    given.refuse_unless_recording(obj)
    return obj


show_options(read, RecordingKeywords, [RecordingOptions])
load_spikedata_from_nwb = spikedata_loader(read, "load_spikedata_from_nwb")


def _notes(file: h5py.File) -> dict[str, Any]:
    """Return the attributes of the root if spikelab wrote the file, else nothing."""
    version = file.attrs.get("nwb_version", file.get("nwb_version"))
    if isinstance(version, h5py.Dataset):
        raise FormatError(
            "it is an NWB 1 file; NWB 2 files are read, which have the attribute "
            "nwb_version and no dataset of this name"
        )
    notes = h5.scalar_attributes(file)
    # A file of spikelab 0.1 has no version, and no creator.
    is_ours = version is None or notes.get("creator") == schema.CREATOR
    return notes if is_ours else {}  # those of other programs mean something else


def _derived(file: h5py.File, kind: str, notes: Mapping[str, Any]) -> DataObject:
    """Return the rates or comparison in a file that spikelab wrote."""
    cls, arguments = DATA_CLASSES[kind], _READERS[kind](file)
    header = read_header(file, notes)
    if h5.has_member(file, schema.UNIT_ATTRIBUTES):
        table = h5.member(file, schema.UNIT_ATTRIBUTES)
        ids = h5.dataset(table, "id", kinds="iu")[()]
        arguments["neuron_attributes"] = read_attributes(table, ids, "", own=True)
    if "metadata" in cls.FIELDS:
        arguments["metadata"] = header.metadata()
    return build(cls, **arguments)


def _recording(
    file: h5py.File,
    group: str | None,
    options: RecordingOptions,
    notes: Mapping[str, Any],
    source: str,
) -> SpikeData:
    """Return the units of a table as a recording."""
    own = notes.get("creator") == schema.CREATOR
    table = units_table(file, group or str(notes.get("group", schema.UNITS)))
    times = str(notes.get("spike_times_dataset", SPIKE_TIMES))
    index = str(notes.get("spike_times_index_dataset", SPIKE_TIMES_INDEX))
    ids, trains = read_ids_and_trains(table, times, index)
    start, length = options.start_time_ms, options.length_ms
    if start is None:
        start = notes.get("start_time")
    if length is None:
        length = notes.get("length_ms")
    if start is None or length is None:
        start, length = _window(table, trains, start, length)
    if length is not None:
        slack = time_units.rounding_ms("s", None, trains.largest_ms())
        trains = trains.moved_into(start, length, slack)
    metadata = read_header(file, notes).metadata()
    if not own:  # our own header says all that these attributes do
        metadata = {**_sampling(table, times), **metadata}
    return build(
        SpikeData,
        train=trains,
        start_time=start,
        length=length,
        neuron_attributes=read_attributes(table, ids, times, own=own),
        metadata=options.metadata_with(metadata, source_file=source, format="NWB"),
    )


def _window(
    table: h5py.Group, trains: SpikeTrains, start: float | None, length: float | None
) -> tuple[float, float | None]:
    """Return start and length in ms: as given, or as observed where they are None."""
    observed = _observed_ms(table)
    first, last = trains.extremes() if trains.n_spikes else observed or (0.0, 0.0)
    seen_from, seen_to = observed or (0.0, last)
    if start is None:
        start = min(first, seen_from)
    if length is None and observed:
        length = max(last, seen_to) - start
    return start, length


def _observed_ms(table: h5py.Group) -> tuple[float, float] | None:
    """Return when the earliest observation starts and the latest ends, if known.

    A warning says if units were not observed all the time from one to the other.
    """
    if not schema.has_link(table, "obs_intervals"):
        return None
    try:
        times = h5.dataset(table, "obs_intervals", ndim=2)[()]
        if times.shape[1] != 2:
            raise FormatError(f"obs_intervals must be pairs, got {times.shape}")
        ends = np.arange(1, len(times) + 1)
        if schema.has_link(table, "obs_intervals_index"):
            ends = h5.dataset(table, "obs_intervals_index", kinds="iu")[()]
    except FormatError as error:
        warn(f"the recording window is that of the spikes: {error}")
        return None
    if not times.size or not np.all(np.isfinite(times)):
        return None
    start, stop = float(times.min()), float(times.max())
    for intervals in np.split(times, ends)[:-1]:
        # Whether they follow one another from start to end.
        edges = [start, *intervals.ravel().tolist(), stop]
        if any(a < b for a, b in zip(edges[::2], edges[1::2], strict=True)):
            warn(
                "obs_intervals of the units are read as one recording window, "
                f"{start} to {stop} s: single units were observed in other "
                "intervals, or with gaps"
            )
            break
    return start * 1000.0, stop * 1000.0


def _sampling(table: h5py.Group, times: str) -> dict[str, Any]:
    """Return, as metadata, sampling rate and unit of waveforms, where known."""
    found: dict[str, Any] = {}
    if h5.has_member(table, "waveform_mean"):
        waves = h5.scalar_attributes(table["waveform_mean"])
        rate, unit = waves.get("sampling_rate"), waves.get("unit")
        if isinstance(rate, float) and 0 < rate < np.inf:
            found["fs_Hz"] = rate
        if isinstance(unit, str) and unit != schema.UNKNOWN:
            found["waveform_unit"] = unit
    if h5.has_member(table, times):
        resolution = h5.scalar_attributes(table[times]).get("resolution")
        if isinstance(resolution, float) and 0 < resolution < np.inf:
            found["fs_Hz"] = 1.0 / resolution
    return found
