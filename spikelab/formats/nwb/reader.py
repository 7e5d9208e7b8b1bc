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
from spikelab.formats.nwb.units import FACTS, SPIKE_TIMES, SPIKE_TIMES_INDEX
from spikelab.formats.nwb.units_reader import UnitsReader
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
_ZARR = (".zattrs", ".zmetadata", "zarr.json")


def recognises(path: Path | RemoteFile, head: bytes) -> bool:
    """Return whether a file is an NWB file, or one as spikelab 0.1 wrote it.

    So that :func:`read` says what they are, the stores that Zarr makes of NWB count too.
    """
    if isinstance(path, Path) and path.is_dir():
        return _is_zarr(path)
    if head != _HDF5 and not h5py.is_hdf5(path):
        return False
    if h5.has_attribute(path, "nwb_version"):
        return True
    if h5.has_attribute(path, "style"):
        return False  # a file of to_hdf5
    with h5.opened(path) as file:
        if "nwb_version" in file:
            return True
        names = ("id", SPIKE_TIMES, SPIKE_TIMES_INDEX)
        table = file.get(schema.UNITS)
        return isinstance(table, h5py.Group) and all(name in table for name in names)


def _is_zarr(path: Path) -> bool:
    """Return whether a folder is an NWB file that was written with Zarr."""
    described = (path / name for name in _ZARR)
    return any(p.is_file() and b"nwb_version" in p.read_bytes() for p in described)


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
    ):
        if isinstance(path, Path) and path.is_dir() and _is_zarr(path):
            raise FormatError(
                "it is a Zarr store of NWB, and NWB files are read from HDF5 only; "
                "hdmf_zarr's NWBZarrIO and pynwb's NWBHDF5IO convert it"
            )
        with h5.opened(path) as file:
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
        if h5.has_member(file, FACTS):
            known = UnitsReader(h5.member(file, FACTS), own=True).attributes()
        obj = plan.read(file, known, header.metadata())
        options.refuse_unless_recording(obj)
        return obj
    units = UnitsReader.of(file, group, notes, own=own)
    trains = units.trains
    start, length = units.window(options.start_time_ms, options.length_ms)
    if length is not None:
        slack = time_units.rounding_ms("s", None, trains.largest_ms())
        trains = trains.moved_into(start, length, slack)
    found = {**units.sampling(), **header.metadata()}
    return build(
        SpikeData,
        train=trains,
        start_time=start,
        length=length,
        neuron_attributes=units.attributes(),
        metadata=options.metadata_with(found, source_file=source, format="NWB"),
    )
