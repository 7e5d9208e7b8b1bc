"""Units added to an NWB session that exists, with pynwb."""

import errno
import os
import shutil
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import MissingExtraError, warn
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.electrodes import (
    DEVICE,
    GROUP,
    GROUP_DESCRIPTION,
    NAME,
    Electrodes,
)
from spikelab.formats.nwb.header import header_of
from spikelab.formats.nwb.units import UnitFacts, observed_ms, unit_facts
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.publish import publish
from spikelab.storage.urls import StrPath, expanded

if TYPE_CHECKING:
    from pynwb import NWBFile


def add_to_nwbfile(sd: SpikeData, nwbfile: "NWBFile") -> "NWBFile":
    """Add the units to an NWB file that is open in pynwb, and return the file.

    Attributes become columns of its units table, waveforms the standard's own ones.
    Write the file afterwards with the object that it was opened with, such as
    ``NWBHDF5IO("session.nwb", "a")`` or ``NWBZarrIO``.

    Parameters
    ----------
    nwbfile : pynwb.NWBFile
        The open file. Electrodes that are there are matched by id; if there is no
        table of electrodes, one is added. Its times count from the start of the
        session, where time 0 of the recording lies, or later by
        ``metadata["time_zero_ms"]``.

    Raises
    ------
    MissingExtraError
        Without pynwb, of the extra ``nwb``.
    ValueError
        If the file has units, or a table of electrodes that lacks one of ours;
        nothing is then added.

    Warns
    -----
    UserWarning
        If an attribute of the units is left out or gets another name, or if the
        session that ``metadata["nwb_session"]`` describes began at another time.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from pynwb import NWBFile
    >>> from spikelab import SpikeData
    >>> session = NWBFile("open field", "s1", datetime(2024, 5, 17, tzinfo=UTC))
    >>> len(SpikeData([[12.5, 430.0], [77.0]]).add_to_nwbfile(session).units)
    2
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
    facts, header = unit_facts(sd.unit_table), header_of(sd.metadata)
    electrodes, table = facts.electrodes, nwbfile.electrodes
    rows = None if electrodes is None else _rows(electrodes, table)
    if said := facts.cautions():
        warn(f"neuron_attributes in NWB: {said}")
    start, theirs = header.session.get("session_start_time"), nwbfile.session_start_time
    if start and datetime.fromisoformat(start) != theirs:
        warn(
            f"the session of the units started at {start}, that of nwbfile at "
            f"{theirs.isoformat()}: their times are written as if it were the same"
        )
    later = nwbfile.timestamps_reference_time - nwbfile.session_start_time
    zero_ms = header.time_zero_ms - later / timedelta(milliseconds=1)
    if electrodes is not None and table is None:
        _add_electrodes(electrodes, nwbfile)
    columns = _columns(sd, facts, rows, nwbfile.electrodes, zero_ms)
    has_waveforms = any(column.name in schema.WAVEFORMS for column in facts.columns)
    nwbfile.units = Units(
        name="units",
        description="Sorted units.",
        id=facts.ids.tolist(),
        columns=columns,
        colnames=[c.name for c in columns if not c.name.endswith("_index")],
        resolution=1.0 / header.fs_Hz if header.fs_Hz else None,
        waveform_rate=header.fs_Hz if has_waveforms else None,
        waveform_unit=header.waveform_unit or schema.UNKNOWN,
    )
    return nwbfile


def _columns(
    sd: SpikeData, facts: UnitFacts, rows: Any, electrodes: Any, zero_ms: float
) -> list[Any]:
    """Return the columns of the units as objects of hdmf; time 0 becomes `zero_ms`."""
    from hdmf.common import DynamicTableRegion, VectorData, VectorIndex

    columns: list[Any] = []

    def add(name: str, what: str, data: Any, ends: Any, **table: Any) -> None:
        made = DynamicTableRegion if table else VectorData
        column = made(name=name, description=what, data=data, **table)
        columns.append(column)
        if ends is not None:
            stops = ends.astype(np.uint64)
            columns.append(VectorIndex(name=f"{name}_index", data=stops, target=column))

    seconds, ends = (sd.spike_trains.flat + zero_ms) / 1000.0, sd.spike_trains.ends
    add(
        schema.SPIKE_TIMES,
        "Times of the spikes of each unit in seconds.",
        seconds,
        ends,
    )
    seconds = (np.repeat([observed_ms(sd)], sd.N, axis=0) + zero_ms) / 1000.0
    what = "The recording window of each unit in seconds."
    add("obs_intervals", what, seconds, np.arange(1, sd.N + 1))
    if facts.electrodes is not None:
        what = "Rows of the electrodes table."
        add("electrodes", what, rows, facts.electrodes.ends, table=electrodes)
    for column in facts.columns:
        if column.key == "electrode" and column.scalars:
            continue  # the rows of the electrodes table say it, without our notes
        is_text = column.data.dtype.kind == "O"
        data = column.data.tolist() if is_text else column.data
        add(column.name, f"Attribute {column.key!r} of each unit.", data, column.ends)
    return columns


def append_to_file(sd: SpikeData, path: StrPath) -> str:
    """Add the units of a recording to the file of a session, and return its path.

    The file is replaced when it is whole. Raises FileNotFoundError if there is none, and
    ValueError as :func:`add_to_nwbfile` does.
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise MissingExtraError("append_to_file", "pynwb", "nwb") from error
    source = Path(expanded(path))
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
    """Return the rows of the electrodes of all units in the table of a session.

    Raises ValueError if it lacks one.
    """
    if table is None:
        return electrodes.rows
    key = NAME if NAME in electrodes.columns else "id"
    is_there = key == "id" or key in table.colnames
    theirs = np.asarray(table[key][:]).tolist() if is_there else []
    row_of = {label: row for row, label in enumerate(theirs)}
    labels = electrodes.columns.get(NAME, electrodes.ids.tolist())
    if missing := [label for label in labels if label not in row_of]:
        raise ValueError(
            f"the electrodes of nwbfile must hold all of ours by their {key}, "
            f"got none for {missing}"
        )
    rows = np.array([row_of[label] for label in labels], dtype=np.int64)
    return rows[electrodes.rows]


def _add_electrodes(electrodes: Electrodes, nwbfile: "NWBFile") -> None:
    """Add a table of electrodes, their group and their device to a file without one."""
    what = "The device that recorded; nothing more is known about it."
    device = nwbfile.create_device(name=DEVICE, description=what)
    group = nwbfile.create_electrode_group(
        name=GROUP,
        description=GROUP_DESCRIPTION,
        location=electrodes.group_area,
        device=device,
    )
    if NAME in electrodes.columns:
        nwbfile.add_electrode_column(name=NAME, description="Its name.")
    for row, number in enumerate(electrodes.ids.tolist()):
        known = {name: values[row] for name, values in electrodes.columns.items()}
        nwbfile.add_electrode(id=number, group=group, **known)
