"""Units added to an NWB session that exists, with pynwb."""

import errno
import os
import shutil
import warnings
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import MissingExtraError, warn
from spikelab.formats.base import StrPath
from spikelab.formats.nwb.electrodes_table import Electrodes
from spikelab.formats.nwb.file_header import header_of
from spikelab.formats.nwb.unit_columns import StoredColumn
from spikelab.formats.nwb.units_table import SPIKE_TIMES, UnitFacts, unit_facts
from spikelab.formats.nwb.waveform_columns import NAMES, UNKNOWN_UNIT
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.publish import publish

if TYPE_CHECKING:
    from pynwb import NWBFile


def add_to_nwbfile(sd: SpikeData, nwbfile: "NWBFile") -> "NWBFile":
    """Add the units of a recording to an open NWB file, as whole columns.

    Write the file afterwards with the object that it was opened with, such as
    ``NWBHDF5IO("session.nwb", "a")`` or ``NWBZarrIO``.

    Parameters
    ----------
    sd : SpikeData
        The recording. Its time 0 is the start of the session, later by
        ``metadata["time_zero_ms"]``.
    nwbfile : pynwb.NWBFile
        The open file. If it has a table of electrodes, those of the units are found
        there by their ids; if it has none, one is added.

    Returns
    -------
    pynwb.NWBFile
        `nwbfile`.

    Raises
    ------
    ValueError
        If the file has units, or its table of electrodes lacks one of ours; nothing
        is added then.
    MissingExtraError
        If pynwb is not installed.

    Warns
    -----
    UserWarning
        If an attribute of the units is left out or gets another name.
    """
    try:
        from pynwb.misc import Units
    except ImportError as error:
        raise MissingExtraError("add_to_nwbfile", "pynwb", "nwb") from error
    sd.check()
    if nwbfile.units is not None:
        raise ValueError(
            f"nwbfile must have no units yet, got a table of {len(nwbfile.units)}"
        )
    facts, header = unit_facts(sd.unit_table), header_of(sd.metadata, None, None, None)
    rows = None
    if facts.electrodes is not None and nwbfile.electrodes is not None:
        rows = _rows(facts.electrodes, nwbfile.electrodes)
    if said := facts.cautions():
        warn(f"neuron_attributes in NWB: {said}")
    columns = _columns(sd, facts, nwbfile)
    if facts.electrodes is not None:
        if rows is None:
            _add_electrodes(facts.electrodes, nwbfile)
            rows = facts.electrodes.rows
        columns += _region(rows, facts.electrodes.ends, nwbfile.electrodes)
    has_waveforms = any(column.name in NAMES for column in facts.columns)
    nwbfile.units = Units(
        name="units",
        description="Sorted units.",
        id=facts.ids.tolist(),
        columns=columns,
        colnames=[c.name for c in columns if not c.name.endswith("_index")],
        resolution=1.0 / header.fs_Hz if header.fs_Hz else None,
        waveform_rate=header.fs_Hz if has_waveforms else None,
        waveform_unit=header.waveform_unit or UNKNOWN_UNIT,
    )
    return nwbfile


def append_to_file(sd: SpikeData, path: StrPath) -> str:
    """Add the units of a recording to an NWB file, which is replaced when it is whole.

    Parameters
    ----------
    sd : SpikeData
        The recording; see :func:`add_to_nwbfile`.
    path : path
        The file of a session.

    Returns
    -------
    str
        `path`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        See :func:`add_to_nwbfile`; the file is then as it was.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise MissingExtraError("append_to_file", "pynwb", "nwb") from error
    source = Path(path).expanduser()
    if not source.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", os.fspath(path))
    with publish(path) as staged:
        shutil.copyfile(source, staged)
        with warnings.catch_warnings():
            # Of the suffix of the copy, and of the age of the session.
            warnings.filterwarnings("ignore", module="hdmf|pynwb")
            with NWBHDF5IO(str(staged), "a") as io:
                nwbfile = io.read()
                add_to_nwbfile(sd, nwbfile)
                io.write(nwbfile)
    return os.fspath(path)


def _rows(electrodes: Electrodes, table: Any) -> NDArray[np.int64]:
    """Return the rows of the electrodes of all units in a table that is there.

    Raises
    ------
    ValueError
        If it lacks one.
    """
    key, ours = "id", electrodes.ids.tolist()
    if electrodes.names is not None:
        key, ours = "electrode_name", electrodes.names
    theirs = []
    if key == "id" or key in table.colnames:
        theirs = np.asarray(table[key][:]).tolist()
    row_of = {label: row for row, label in enumerate(theirs)}
    if missing := [label for label in ours if label not in row_of]:
        raise ValueError(
            f"the electrodes of nwbfile must hold all of ours by their {key}, "
            f"got none for {missing}"
        )
    rows = np.array([row_of[label] for label in ours], dtype=np.int64)
    return rows[electrodes.rows]


def _columns(sd: SpikeData, facts: UnitFacts, nwbfile: "NWBFile") -> list[Any]:
    """Return spikes, window and attributes as columns of pynwb, each with its index."""
    from hdmf.common import VectorData

    later = nwbfile.timestamps_reference_time - nwbfile.session_start_time
    zero_ms = sd.metadata.get(TIME_ZERO, 0.0) - later / timedelta(milliseconds=1)
    trains = sd.spike_trains
    seconds = (trains.flat + zero_ms) / 1000.0 if zero_ms else trains.flat / 1000.0
    stop = max(sd.start_time + sd.length, trains.extremes()[1])
    window = np.array([[sd.start_time + zero_ms, stop + zero_ms]]) / 1000.0
    intervals = np.repeat(window, sd.N, axis=0)
    what = "Times of the spikes of each unit in seconds."
    spikes = VectorData(name=SPIKE_TIMES, description=what, data=seconds)
    what = "The recording window of each unit in seconds."
    observed = VectorData(name="obs_intervals", description=what, data=intervals)
    columns = [spikes, _index(spikes, trains.ends)]
    columns += [observed, _index(observed, np.arange(1, sd.N + 1))]
    for column in facts.columns:
        columns += _of_attribute(column)
    return columns


def _of_attribute(column: StoredColumn) -> list[Any]:
    from hdmf.common import VectorData

    is_text = column.data.dtype.kind == "O"
    data = column.data.tolist() if is_text else column.data
    what = f"Attribute {column.key!r} of each unit."
    made = VectorData(name=column.name, description=what, data=data)
    return [made] if column.ends is None else [made, _index(made, column.ends)]


def _index(target: Any, ends: NDArray[np.int64]) -> Any:
    from hdmf.common import VectorIndex

    stops = ends.astype(np.uint64)
    return VectorIndex(name=f"{target.name}_index", data=stops, target=target)


def _region(rows: NDArray[np.int64], ends: NDArray[np.int64], table: Any) -> list[Any]:
    from hdmf.common import DynamicTableRegion

    what = "Rows of the electrodes table."
    region = DynamicTableRegion(
        name="electrodes", description=what, data=rows, table=table
    )
    return [region, _index(region, ends)]


def _add_electrodes(electrodes: Electrodes, nwbfile: "NWBFile") -> None:
    """Add a table of electrodes, their group and their device to a file without one."""
    device = nwbfile.devices.get("recording_device")
    if device is None:
        what = "The device that recorded; nothing more is known about it."
        device = nwbfile.create_device(name="recording_device", description=what)
    group = nwbfile.electrode_groups.get("recording_electrodes")
    if group is None:
        group = nwbfile.create_electrode_group(
            name="recording_electrodes",
            description="All electrodes that units of this recording are assigned to.",
            location=electrodes.group_area,
            device=device,
        )
    if electrodes.names is not None:
        nwbfile.add_electrode_column(name="electrode_name", description="Its name.")
    for row, number in enumerate(electrodes.ids.tolist()):
        known = {axis: x[row] for axis, x in electrodes.coordinates.items()}
        if electrodes.names is not None:
            known["electrode_name"] = electrodes.names[row]
        area = electrodes.areas[row]
        nwbfile.add_electrode(id=number, location=area, group=group, **known)
