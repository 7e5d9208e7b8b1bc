"""Objects of the NWB schema in HDF5: typed groups, tables and columns."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5

CORE = "core"
COMMON = "hdmf-common"

TEXT = h5py.string_dtype()

UNITS = "units"
TRIALS = "intervals/trials"
ELECTRODES = "general/extracellular_ephys/electrodes"
MODULE = "processing/ecephys"

CREATOR = "spikelab"
"""Attribute ``creator`` of the root of our files."""

VERSION = "2.7.0"
"""The schema that the files follow; every reader since pynwb 2.8 knows it."""

GROUPS = (
    *("acquisition", "analysis", "general", "processing"),
    *("stimulus/presentation", "stimulus/templates"),
)

MEMBERS = frozenset(
    {group.split("/")[0] for group in GROUPS}
    | {"file_create_date", "identifier", "intervals", "scratch", "specifications"}
    | {"session_description", "session_start_time", "timestamps_reference_time"}
)
"""Names at the root of a file that mean something else than the units."""


def typed(
    obj: Any, neurodata_type: str, namespace: str = CORE, **attributes: Any
) -> Any:
    """Mark a group or dataset as an object of the NWB schema and return it."""
    obj.attrs["neurodata_type"] = neurodata_type
    obj.attrs["namespace"] = namespace
    for name, value in attributes.items():
        obj.attrs[name] = value
    return obj


def module(file: h5py.File) -> h5py.Group:
    """Return the processing module for what was computed from spikes, made if needed."""
    if MODULE in file:
        return file[MODULE]
    what = "Computed from the spikes of sorted units."
    return typed(file.create_group(MODULE), "ProcessingModule", description=what)


def table(
    parent: h5py.Group,
    name: str,
    ids: ArrayLike,
    columns: Iterable[str],
    description: str,
    *,
    neurodata_type: str = "DynamicTable",
    namespace: str = COMMON,
) -> h5py.Group:
    """Create a table with its row ids; its columns are written next.

    Parameters
    ----------
    parent : h5py.Group
        Where the table goes.
    name : str
        Its name there.
    ids : array-like of int
        One id per row.
    columns : iterable of str
        Names of the columns, without their indices.
    description : str
        What a row is.
    neurodata_type, namespace : str
        Type of the table in the schema.
    """
    made = parent.create_group(name)
    group = typed(made, neurodata_type, namespace, description=description)
    group.attrs.create("colnames", np.array(list(columns), dtype=TEXT), dtype=TEXT)
    made = group.create_dataset("id", data=np.asarray(ids, dtype=np.int64))
    typed(made, "ElementIdentifiers", COMMON)
    return group


def vector(
    group: h5py.Group, name: str, data: ArrayLike, description: str, **attributes: Any
) -> h5py.Dataset:
    """Write one column: a row of `data` for each row of the table."""
    array = np.asarray(data)
    is_text = array.dtype.kind in "OU"
    created = group.create_dataset(
        name,
        data=array.astype(object) if is_text else array,
        dtype=TEXT if is_text else array.dtype,
    )
    return typed(created, "VectorData", COMMON, description=description, **attributes)


def index(group: h5py.Group, name: str, target: h5py.Dataset, ends: ArrayLike) -> None:
    """Write where the rows of each unit end in the column `target`."""
    stops = np.asarray(ends)
    # Readers subtract and concatenate these; narrower ones would wrap around.
    wide = stops.size and stops[-1] > np.iinfo(np.uint32).max
    created = group.create_dataset(name, data=stops.astype("u8" if wide else "u4"))
    column = target.name.rsplit("/", 1)[-1]
    what = f"Where the rows of each unit end in '{column}'."
    typed(created, "VectorIndex", COMMON, description=what, target=target.ref)


def region(
    group: h5py.Group,
    rows: NDArray[np.int64],
    ends: NDArray[np.int64],
    electrodes: h5py.Group,
) -> None:
    """Write the column ``electrodes``: for each unit rows of the electrodes table."""
    created = typed(
        group.create_dataset("electrodes", data=rows),
        "DynamicTableRegion",
        COMMON,
        description="Rows of the electrodes table.",
        table=electrodes.ref,
    )
    index(group, "electrodes_index", created, ends)


def write_trials(
    file: h5py.File,
    windows: NDArray[np.float64],
    zeros: NDArray[np.float64] | None = None,
    *,
    columns: Sequence[str] = (),
) -> h5py.Group:
    """Write one trial for each window.

    Parameters
    ----------
    file : h5py.File
        The open file.
    windows : ndarray, shape (S, 2)
        Starts and ends in ms.
    zeros : ndarray, shape (S,), optional
        The time in ms that is 0 on the clock of each slice, if that is not its start.
    columns : sequence of str
        Names of columns that the caller writes.
    """
    times = {
        "start_time": (windows[:, 0], "Start of the window in seconds."),
        "stop_time": (windows[:, 1], "End of the window in seconds."),
    }
    if zeros is not None:
        times["event_time"] = (zeros, "Time that is 0 in the slice, in seconds.")
    trials = table(
        file,
        TRIALS,
        np.arange(len(windows)),
        [*times, *columns],
        "One row for each window that was cut from the recording.",
        neurodata_type="TimeIntervals",
        namespace=CORE,
    )
    for name, (times_ms, description) in times.items():
        vector(trials, name, times_ms / 1000.0, description)
    return trials


def read_trials(file: h5py.File, count: Any = None) -> list[tuple[float, float]]:
    """Return the windows in ms, none if the file has no trials.

    `count` is how many spikelab wrote; others may have added trials since.
    """
    if not h5.has_member(file, TRIALS):
        return []
    starts, stops = (
        (h5.dataset(file, f"{TRIALS}/{name}")[()] * 1000.0).tolist()
        for name in ("start_time", "stop_time")
    )
    if len(starts) != len(stops):
        raise FormatError(
            f"trials must have as many starts as ends, got {len(starts)} and {len(stops)}"
        )
    windows = list(zip(starts, stops, strict=True))
    return windows[:count] if isinstance(count, int) and count >= 0 else windows


def tables_of_units(file: h5py.File) -> Iterator[str]:
    """Yield the names of all Units tables in a file."""
    found: list[str] = []

    def visit(name: str, obj: Any) -> None:
        if isinstance(obj, h5py.Group) and (
            obj.attrs.get("neurodata_type") == "Units" or "spike_times" in obj
        ):
            found.append(name)

    file.visititems(visit)
    yield from found
