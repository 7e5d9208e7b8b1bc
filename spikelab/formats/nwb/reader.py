"""The reader of NWB files, of spikelab and of other programs."""

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Unpack

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.functions import show_options, spikedata_loader
from spikelab.formats.hdf5.writer import read_indices
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import read_column
from spikelab.formats.nwb.derived import DERIVED
from spikelab.formats.nwb.electrodes import read_electrodes
from spikelab.formats.nwb.header import Header, read_header
from spikelab.formats.nwb.schema import SPIKE_TIMES, SPIKE_TIMES_INDEX, WAVEFORMS
from spikelab.formats.reading import (
    RecordingKeywords,
    RecordingOptions,
    build,
    errors_naming,
)
from spikelab.registry import HDF5_SIGNATURE
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import MISSING
from spikelab.storage.publish import readable
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.urls import StrPath


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
        return _object(file, group, given, os.fspath(filepath))


show_options(read, RecordingKeywords, [RecordingOptions])
load_spikedata_from_nwb = spikedata_loader(read, "load_spikedata_from_nwb")


def _object(
    file: h5py.File, group: str | None, options: RecordingOptions, source: str
) -> DataObject:
    """Return the data object in an open file."""
    version = file.attrs.get("nwb_version", file.get("nwb_version"))
    if isinstance(version, h5py.Dataset):
        raise FormatError(
            "it is an NWB 1 file; NWB 2 files are read, which have the attribute "
            "nwb_version and no dataset of this name"
        )
    notes: dict[str, Any] = h5.scalar_attributes(file)
    own = notes.get("creator") == schema.CREATOR
    if not own and version is not None:
        notes = {}  # those of other programs mean something else
    header = read_header(file, notes)
    plan = DERIVED.get(str(notes.get("kind"))) if own and group is None else None
    if plan is None:
        return _recording(file, group, options, header, notes, source)
    known = None
    if h5.has_member(file, schema.UNIT_ATTRIBUTES):
        facts = h5.member(file, schema.UNIT_ATTRIBUTES)
        ids = h5.dataset(facts, "id", kinds="iu")[()]
        known = _attributes(facts, ids, "", own=True)
    obj = plan.read(file, known, header.metadata())
    options.refuse_unless_recording(obj)
    return obj


def _recording(
    file: h5py.File,
    group: str | None,
    options: RecordingOptions,
    header: Header,
    notes: Mapping[str, Any],
    source: str,
) -> SpikeData:
    """Return the units of a table as a recording; `notes` are those of our own files."""
    own = notes.get("creator") == schema.CREATOR
    table = _units_table(file, group or str(notes.get("group", schema.UNITS)))
    times = str(notes.get("spike_times_dataset", SPIKE_TIMES))
    index = str(notes.get("spike_times_index_dataset", SPIKE_TIMES_INDEX))
    ids, trains = _ids_and_trains(table, times, index)
    start, length = options.start_time_ms, options.length_ms
    start, length = _window(
        table,
        trains,
        notes.get("start_time") if start is None else start,
        notes.get("length_ms") if length is None else length,
    )
    if length is not None:
        slack = time_units.rounding_ms("s", None, trains.largest_ms())
        trains = trains.moved_into(start, length, slack)
    # Our own header says all that these attributes do.
    sampling = {} if own else _sampling(table, times)
    found = {**sampling, **header.metadata()}
    return build(
        SpikeData,
        train=trains,
        start_time=start,
        length=length,
        neuron_attributes=_attributes(table, ids, times, own=own),
        metadata=options.metadata_with(found, source_file=source, format="NWB"),
    )


def _window(
    table: h5py.Group, trains: SpikeTrains, start: Any, length: Any
) -> tuple[float, float | None]:
    """Return start and length in ms: as given, or as observed where they are None."""
    if isinstance(start, str) or isinstance(length, str):
        raise FormatError(
            f"start_time and length_ms must be numbers, got {start}, {length}"
        )
    if start is None or length is None:
        observed = _observed_ms(table)
        first, last = trains.extremes() if trains.n_spikes else observed or (0.0, 0.0)
        seen_from, seen_to = observed or (0.0, last)
        start = min(first, seen_from) if start is None else start
        if length is None and observed:
            length = max(last, seen_to) - start
    return start, length


def _units_table(file: h5py.File, name: str) -> h5py.Group:
    """Return a table of units; without it, a FormatError names those that there are."""
    if file.get(name, getlink=True) is None:
        found: list[str] = []

        def visit(path: str, obj: Any) -> None:
            if isinstance(obj, h5py.Group) and (
                obj.attrs.get("neurodata_type") == "Units" or SPIKE_TIMES in obj
            ):
                found.append(path)

        file.visititems(visit)
        elsewhere = f"units are in {', '.join(found)}: choose with group="
        holds = f"it holds {', '.join(schema.names_in(file)) or 'nothing'}"
        raise FormatError(f"it has no {name!r}; {elsewhere if found else holds}")
    table = h5.member(file, name)
    if not isinstance(table, h5py.Group):
        raise FormatError(f"{name!r} must be a group of units, got a dataset")
    return table


def _ids_and_trains(
    table: h5py.Group, name: str, index: str
) -> tuple[NDArray[np.int64], SpikeTrains]:
    """Return the id and the spike times in ms of each unit.

    Without ids they are 0 to N - 1. A warning says if there are no spike times; the
    units are then silent.
    """
    has_times, has_index, has_ids = (
        schema.has_link(table, n.split("/")[0]) for n in (name, index, "id")
    )
    given: Any = _needed(table, "id", read_indices) if has_ids else []
    ids = np.array(given, dtype=np.int64)
    if not has_times:
        if not has_ids:
            raise FormatError(f"the units have no {name!r} and no 'id'")
        if has_index or name in schema.listed(table):
            raise FormatError(f"the units must have the {name!r} that they list")
        if len(ids):
            warn(f"the units have no {name!r}: they are read as units without spikes")
        return ids, SpikeTrains(np.empty(0), np.zeros(len(ids), dtype=np.int64))
    found = _needed(table, name, lambda t, n: np.ravel(h5.vector(t, n)[()]))
    times: NDArray[np.float64] = found.astype(np.float64, copy=False)
    # In place: nobody else holds these seconds, and there may be gigabytes of them.
    times *= 1000.0
    if has_index:
        ends = _needed(table, index, read_indices)
    else:  # one spike each, as NWB defines a column
        ends = np.arange(1, len(times) + 1)
    trains = SpikeTrains.from_flat(times, ends, f"{table.name}/{index}")
    if has_ids and len(ids) != len(trains):
        raise FormatError(
            f"{table.name}/id must number the {len(trains)} units, got {len(ids)} ids"
        )
    if not np.all(np.isfinite(trains.extremes())):
        wrong = int(np.flatnonzero(~np.isfinite(times))[0])
        unit = int(np.searchsorted(trains.ends, wrong, side="right"))
        raise FormatError(
            f"unit {unit}: spike times must be finite, got {times[wrong]}"
        )
    return ids if has_ids else np.arange(len(trains)), trains


def _needed(
    table: h5py.Group, name: str, read: Callable[[h5py.Group, str], NDArray[Any]]
) -> NDArray[Any]:
    """Return the values of a dataset without which there are no units."""
    try:
        return read(table, name)
    except FormatError as error:
        why = f"must be a vector of numbers: {error}"
        if not h5.has_member(table, name):
            why = "is a link that cannot be followed, or leads out of the file"
        raise FormatError(f"{table.name}/{name} {why}") from error


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
    spikes, waves = (
        h5.scalar_attributes(h5.member(table, name))
        if h5.has_member(table, name)
        else {}
        for name in (times, WAVEFORMS[0])
    )
    found: dict[str, Any] = {}
    rate, resolution = waves.get("sampling_rate"), spikes.get("resolution")
    if isinstance(resolution, float) and 0 < resolution < np.inf:
        found["fs_Hz"] = 1.0 / resolution
    elif isinstance(rate, float) and 0 < rate < np.inf:
        found["fs_Hz"] = rate
    unit = waves.get("unit")
    if isinstance(unit, str) and unit != schema.UNKNOWN:
        found["waveform_unit"] = unit
    return found


def _attributes(
    table: h5py.Group, ids: NDArray[np.int64], times: str, *, own: bool
) -> list[dict[str, Any]]:
    """Return what is known about each unit; warn of columns that are not read.

    `times` is the name of the spike times; `own` says whether spikelab wrote the table,
    so that its notes can be trusted.
    """
    listed = schema.listed(table)
    numbers = ids.tolist() if "unit_id" in listed else _distinct(ids)
    units: list[dict[str, Any]] = [{"unit_id": number} for number in numbers]
    skipped = schema.STRUCTURE | {times}
    found, left_out = {}, []
    for name in listed:
        if name in skipped or schema.is_part_of_column(table, name):
            continue
        try:
            column = read_column(table, name, len(units), own=own)
        except FormatError as error:
            if own:
                raise
            column, name = None, f"{name} [{error}]"
        if column is None:
            left_out.append(name)
        else:
            found[name] = column
    if not own:  # in our own files the columns say all that the electrodes do
        electrodes = read_electrodes(table, len(units))
        left_out += ["electrodes"] * (electrodes is None)
        for unit, known in zip(units, electrodes or [], strict=False):
            unit.update(known)
    for column in found.values():
        for unit, value in zip(units, column.values(), strict=True):
            if value is not MISSING:
                unit[column.key] = value
    for unit in units if not own and WAVEFORMS[0] in found else []:
        # Other programs list the electrodes of the waveform as those of the unit.
        shape = np.shape(unit.get(WAVEFORMS[0], ()))
        electrode = np.atleast_1d(unit.get("electrode", []))
        if len(shape) == 2 and shape[1] == len(electrode):
            unit.setdefault("waveform_channels", electrode)
    if left_out:
        warn(
            f"columns of the units left out: {', '.join(left_out)} (only numbers, "
            "bool and str are read, one value or one row of them per unit, and "
            "nothing that lies outside of the file)"
        )
    return units


def _distinct(ids: NDArray[np.int64]) -> list[int]:
    """Return the ids of the units; those that stand for several units get new ones."""
    numbers, counts = np.unique(ids, return_counts=True)
    several = numbers[counts > 1].tolist()  # as of the joined tables of several probes
    given: list[int] = ids.tolist()
    if not several:
        return given
    warn(
        f"unit_id {', '.join(map(str, several[:10]))} stands for several units in the "
        "column id; they get new ids"
    )
    free, again = itertools.count(int(numbers[-1]) + 1), set(several)
    return [next(free) if number in again else number for number in given]
