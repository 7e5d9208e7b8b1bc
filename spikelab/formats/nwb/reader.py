"""The reader of NWB files, of spikelab and of other programs."""

import os
from pathlib import Path
from typing import Any, Unpack

import h5py

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.base import StrPath
from spikelab.formats.functions import show_options, spikedata_loader
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.derived import DERIVED
from spikelab.formats.nwb.header import read_header
from spikelab.formats.nwb.units_reader import (
    read_attributes,
    read_ids_and_trains,
    read_sampling,
    read_window,
    units_table,
)
from spikelab.formats.reading import (
    RecordingKeywords,
    RecordingOptions,
    build,
    errors_naming,
)
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.publish import readable
from spikelab.storage.remote_file import RemoteFile

_HDF5 = b"\x89HDF\r\n\x1a\n"


def recognises(path: Path | RemoteFile, head: bytes) -> bool:
    """Return whether a file is an NWB file, or one as spikelab 0.1 wrote it."""
    if head != _HDF5 and not h5py.is_hdf5(path):
        return False
    if h5.has_attribute(path, "nwb_version"):
        return True
    if h5.has_attribute(path, "style"):
        return False  # a file of to_hdf5
    with h5.opened(path) as file:
        if "nwb_version" in file:
            return True
        names = ("id", schema.SPIKE_TIMES, schema.SPIKE_TIMES_INDEX)
        table = file.get(schema.UNITS)
        return isinstance(table, h5py.Group) and all(name in table for name in names)


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
    if plan is not None:
        known = None
        if h5.has_member(file, schema.UNIT_ATTRIBUTES):
            facts = h5.member(file, schema.UNIT_ATTRIBUTES)
            ids = h5.dataset(facts, "id", kinds="iu")[()]
            known = read_attributes(facts, ids, "", own=True)
        obj = plan.read(file, known, header.metadata())
        options.refuse_unless_recording(obj)
        return obj
    table = units_table(file, group or str(notes.get("group", schema.UNITS)))
    ids, trains = read_ids_and_trains(table, notes)
    given = {"start_time": options.start_time_ms, "length_ms": options.length_ms}
    start, length = read_window(
        table,
        trains,
        *(notes.get(name) if ms is None else ms for name, ms in given.items()),
    )
    if length is not None:
        slack = time_units.rounding_ms("s", None, trains.largest_ms())
        trains = trains.moved_into(start, length, slack)
    times = str(notes.get("spike_times_dataset", schema.SPIKE_TIMES))
    found = {**read_sampling(table, times), **header.metadata()}
    return build(
        SpikeData,
        train=trains,
        start_time=start,
        length=length,
        neuron_attributes=read_attributes(table, ids, times, own=own),
        metadata=options.metadata_with(found, source_file=source, format="NWB"),
    )
