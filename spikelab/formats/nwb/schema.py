"""Objects of the NWB schema in HDF5: typed groups, tables, columns and trials."""

from collections.abc import Iterable, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab.formats import h5

TEXT = h5py.string_dtype()

UNITS = "units"
TRIALS = "intervals/trials"
ELECTRODES = "general/extracellular_ephys/electrodes"
MODULE = "processing/ecephys"

UNIT_ATTRIBUTES = f"{MODULE}/unit_attributes"
"""The table of units of which the file holds no spikes."""

SPIKE_TIMES = "spike_times"
SPIKE_TIMES_INDEX = "spike_times_index"

STRUCTURE = {
    "id",
    "spike_times",
    "spike_times_index",
    "obs_intervals",
    "obs_intervals_index",
    "electrodes",
    "electrodes_index",
}
"""Members of the Units table that carry the spikes, the window and the electrodes."""

_OTHERS = """
    electrode_group electrode_group_index waveform_mean waveform_mean_index waveform_sd
    waveform_sd_index waveforms waveforms_index waveforms_index_index
    children colnames columns copy data_type description fields get modified name
    namespace neurodata_type object_id parent resolution to_dataframe waveform_rate
    waveform_time_before_peak_in_ms waveform_unit waveforms_desc
    clear count data groupby index items keys merge metadata pop popitem rate rates
    restrict save setdefault subsample time_diff time_support to_tsd trial_count update
    value_from values
"""

RESERVED = STRUCTURE | {*_OTHERS.split()}
"""Names that no column of attributes has.

To the first, NWB gives a type and a unit of its own. Columns of the others make pynwb or
pynapple warn or fail: they would hide attributes of the object that those return. Names
of their methods that nobody gives to an attribute (``get_unit_spike_times``) are left out.
"""

WAVEFORMS = ("waveform_mean", "waveform_sd")
"""The columns of mean waveforms, and the attributes that they hold."""

UNKNOWN = "unknown"
"""Written where NWB wants a unit or a brain area, and none is known."""

CREATOR = "spikelab"
"""Attribute ``creator`` of the root of our files."""

VERSION = "2.7.0"
"""The schema that the files follow; every reader since pynwb 2.8 knows it."""

GROUPS = (
    "acquisition",
    "analysis",
    "general",
    "processing",
    "stimulus/presentation",
    "stimulus/templates",
)
"""Groups that every file has."""

MEMBERS = {
    *(name.split("/")[0] for name in GROUPS),
    "file_create_date",
    "identifier",
    "intervals",
    "scratch",
    "session_description",
    "session_start_time",
    "specifications",
    "timestamps_reference_time",
}
"""Names at the root of a file that mean something else than the units."""

_COMMON = {
    "DynamicTable",
    "DynamicTableRegion",
    "ElementIdentifiers",
    "VectorData",
    "VectorIndex",
}
"""Types of the namespace ``hdmf-common``; all others are of ``core``."""


def has_link(group: h5py.Group, name: str) -> bool:
    """Return whether a group has a member of this name, dangling links included."""
    return bool(group.id.links.exists(name.encode()))


def is_part_of_column(table: h5py.Group, name: str) -> bool:
    """Return whether a member is the index, or the elements, of a column."""
    column = name.removesuffix("_index").removesuffix("_elements")
    return column != name and column in table


def typed(obj: Any, neurodata_type: str, **attributes: Any) -> Any:
    """Mark a group or dataset as an object of the NWB schema and return it."""
    obj.attrs["neurodata_type"] = neurodata_type
    obj.attrs["namespace"] = "hdmf-common" if neurodata_type in _COMMON else "core"
    for name, value in attributes.items():
        obj.attrs[name] = value
    return obj


def add_module(file: h5py.File) -> None:
    """Create the processing module for what was computed from spikes."""
    what = "Computed from the spikes of sorted units."
    typed(file.create_group(MODULE), "ProcessingModule", description=what)


def table(
    parent: h5py.Group,
    name: str,
    ids: ArrayLike,
    columns: Iterable[str],
    description: str,
    neurodata_type: str = "DynamicTable",
) -> h5py.Group:
    """Create a table with its row ids; the columns of these names are written next."""
    group = typed(parent.create_group(name), neurodata_type, description=description)
    group.attrs.create("colnames", np.array(list(columns), dtype=TEXT), dtype=TEXT)
    rows = group.create_dataset("id", data=np.asarray(ids, dtype=np.int64))
    typed(rows, "ElementIdentifiers")
    return group


def column(
    group: h5py.Group,
    name: str,
    data: ArrayLike,
    description: str,
    ends: ArrayLike | None = None,
    neurodata_type: str = "VectorData",
    **attributes: Any,
) -> None:
    """Write one column; `ends` are where the rows of each unit end, if it is ragged."""
    array = np.asarray(data)
    dtype = array.dtype
    if dtype.kind in "OU" and h5py.check_ref_dtype(dtype) is None:
        array, dtype = array.astype(object), TEXT
    created = group.create_dataset(name, data=array, dtype=dtype)
    typed(created, neurodata_type, description=description, **attributes)
    if ends is not None:
        index(created, f"{name}_index", ends)


def index(target: h5py.Dataset, name: str, ends: ArrayLike) -> None:
    """Write, beside the column `target`, where the rows of each unit end in it."""
    stops = np.asarray(ends)
    # Readers subtract and concatenate these; narrower ones would wrap around.
    wide = stops.size and stops[-1] > np.iinfo(np.uint32).max
    data = stops.astype("u8" if wide else "u4")
    what = f"Where the rows of each unit end in '{target.name.rsplit('/', 1)[-1]}'."
    created = target.parent.create_dataset(name, data=data)
    typed(created, "VectorIndex", description=what, target=target.ref)


def write_trials(
    file: h5py.File,
    windows_ms: NDArray[np.float64],
    zeros_ms: NDArray[np.float64] | None = None,
    columns: Sequence[str] = (),
) -> h5py.Group:
    """Write one trial for each window, and return the table.

    `windows_ms` has shape (S, 2); `zeros_ms` are the times that are 0 in the slices, if
    those are not their starts. The caller writes the further `columns`.
    """
    times = {
        "start_time": (windows_ms[:, 0], "Start of the window in seconds."),
        "stop_time": (windows_ms[:, 1], "End of the window in seconds."),
    }
    if zeros_ms is not None:
        times["event_time"] = (zeros_ms, "Time that is 0 in the slice, in seconds.")
    what = "One row for each window that was cut from the recording."
    rows, names = np.arange(len(windows_ms)), [*times, *columns]
    trials = table(file, TRIALS, rows, names, what, "TimeIntervals")
    for name, (times_ms, description) in times.items():
        column(trials, name, times_ms / 1000.0, description)
    return trials


def read_trials(file: h5py.File, count: int | None = None) -> list[tuple[float, float]]:
    """Return the windows in ms, none if the file has no trials.

    `count` is how many spikelab wrote; others may have added trials since.
    """
    if not h5.has_member(file, TRIALS):
        return []
    starts, stops = (
        (h5.dataset(file, f"{TRIALS}/{name}")[()] * 1000.0).tolist()
        for name in ("start_time", "stop_time")
    )
    return list(zip(starts, stops, strict=False))[:count]


def listed(table: h5py.Group) -> list[str]:
    """Return the names of the columns: those that the table lists, or its members."""
    names = table.attrs.get("colnames")
    return [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in (table if names is None else np.ravel(names))
    ]
