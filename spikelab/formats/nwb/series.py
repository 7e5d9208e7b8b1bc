"""Time series in the processing module of an NWB file."""

from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import tables as nwb_tables

MODULE = "processing/ecephys"


def module(file: h5py.File) -> h5py.Group:
    """Create the processing module for what was computed from spikes."""
    created = file.create_group(MODULE)
    what = "Computed from the spikes of sorted units."
    nwb_tables.typed(created, "ProcessingModule", description=what)
    return created


def write(
    file: h5py.File,
    name: str,
    blocks: Iterable[NDArray[Any]],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    times_ms: NDArray[np.float64],
    unit: str,
) -> h5py.Group:
    """Write rates over time.

    Parameters
    ----------
    file : h5py.File
        The open file.
    name : str
        Name of the series.
    blocks : iterable of ndarray
        Rates, the time along the first axis, in turn.
    shape, dtype
        Of all rates together: (times, units).
    times_ms : ndarray
        Time of each row. If they are exactly even, first time and rate are
        written, else all of them.
    unit : str
        Unit of the rates.
    """
    group = nwb_tables.typed(
        module(file).create_group(name),
        "TimeSeries",
        description="Firing rates: a column for each row of the units table.",
        comments="Written by spikelab.",
    )
    data = h5.write_blocks(group, "data", shape, dtype, blocks)
    data.attrs["unit"] = unit
    data.attrs["conversion"] = 1.0
    data.attrs["resolution"] = -1.0
    step_ms = even_step(times_ms)
    if step_ms is None:
        times = group.create_dataset("timestamps", data=times_ms / 1000.0)
        times.attrs["interval"] = np.int32(1)
    else:
        times = group.create_dataset("starting_time", data=times_ms[0] / 1000.0)
        times.attrs["rate"] = 1000.0 / step_ms
        group.attrs["start_ms"], group.attrs["step_ms"] = times_ms[0], step_ms
    times.attrs["unit"] = "seconds"
    return group


def even_step(times_ms: NDArray[np.float64]) -> float | None:
    """Return the step of times that multiples of it give exactly, else None."""
    if len(times_ms) < 2 or not times_ms[1] > times_ms[0]:
        return None
    step = float(times_ms[1] - times_ms[0])
    even = times_ms[0] + np.arange(len(times_ms)) * step
    return step if np.array_equal(even, times_ms) else None


def read(
    file: h5py.File, name: str
) -> tuple[NDArray[Any], NDArray[np.float64], h5py.Group]:
    """Return rates (times, units), times in ms, and the group of a series."""
    group = h5.member(file, f"{MODULE}/{name}")
    data = nwb_tables.values(h5.dataset(group, "data", ndim=2, kinds="biuf"))
    notes = h5.scalar_attributes(group)
    if "step_ms" in notes:
        times = notes["start_ms"] + np.arange(len(data)) * notes["step_ms"]
    else:
        times = nwb_tables.values(h5.dataset(group, "timestamps")) * 1000.0
    if len(times) != len(data):
        raise FormatError(f"{group.name} must have a time for each of {len(data)} rows")
    return data, times, group
