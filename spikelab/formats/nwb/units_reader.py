"""A table of units in an NWB file, of spikelab or another program, as it is read."""

import itertools
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import read_indices
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import add_values, read_column
from spikelab.formats.nwb.electrodes import read_electrodes
from spikelab.formats.nwb.schema import SPIKE_TIMES
from spikelab.spikedata.spike_trains import SpikeTrains


def units_table(file: h5py.File, name: str) -> h5py.Group:
    """Return a table of units; without it, a FormatError names those that there are."""
    if file.get(name, getlink=True) is None:
        found: list[str] = []

        def visit(path: str, obj: Any) -> None:
            if isinstance(obj, h5py.Group) and (
                obj.attrs.get("neurodata_type") == "Units" or SPIKE_TIMES in obj
            ):
                found.append(path)

        file.visititems(visit)
        if found:
            what = f"units are in {', '.join(found)}: choose with group="
        else:
            what = f"it holds {', '.join(file) or 'nothing'}"
        raise FormatError(f"it has no {name!r}; {what}")
    table = h5.member(file, name)
    if not isinstance(table, h5py.Group):
        raise FormatError(f"{name!r} must be a group of units, got a dataset")
    return table


def read_ids_and_trains(
    table: h5py.Group, times: str, index: str
) -> tuple[NDArray[np.int64], SpikeTrains]:
    """Return the id and the spike times in ms of each unit.

    `times` and `index` are the names of their datasets. Without ids they are 0 to N - 1. A
    warning says if there are no spike times; the units are then silent.
    """
    ids: NDArray[np.int64] | None = None
    if schema.has_link(table, "id"):
        ids = _needed(table, "id", read_indices).astype(np.int64)
    has_index = schema.has_link(table, index.split("/")[0])
    if not schema.has_link(table, times.split("/")[0]):
        if ids is None:
            raise FormatError(f"the units have no {times!r} and no 'id'")
        if has_index or times in schema.listed(table):
            raise FormatError(f"the units must have the {times!r} that they list")
        if len(ids):
            warn(f"the units have no {times!r}: they are read as units without spikes")
        return ids, SpikeTrains(np.empty(0), np.zeros(len(ids), dtype=np.int64))
    found = _needed(table, times, lambda t, n: h5.vector(t, n)[()])
    flat: NDArray[np.float64] = found.astype(np.float64, copy=False)
    # In place: nobody else holds these seconds, and there may be gigabytes of them.
    flat *= 1000.0
    if has_index:
        ends = _needed(table, index, read_indices)
    else:  # one spike each, as NWB defines a column
        ends = np.arange(1, len(flat) + 1)
    trains = SpikeTrains.from_flat(flat, ends, f"{table.name}/{index}")
    if not np.all(np.isfinite(trains.extremes())):
        wrong = int(np.flatnonzero(~np.isfinite(flat))[0])
        unit = int(np.searchsorted(trains.ends, wrong, side="right"))
        raise FormatError(f"unit {unit}: spike times must be finite, got {flat[wrong]}")
    if ids is None:
        ids = np.arange(len(trains))
    if len(ids) != len(trains):
        raise FormatError(
            f"{table.name}/id must number the {len(trains)} units, got {len(ids)} ids"
        )
    return ids, trains


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


def read_attributes(
    table: h5py.Group, ids: NDArray[np.int64], times: str, *, own: bool
) -> list[dict[str, Any]]:
    """Return what is known about each unit; warn of columns that are not read.

    `times` is the name of the spike times; `own` says whether spikelab wrote the table,
    so that its notes can be trusted.
    """
    listed = schema.listed(table)
    numbers = ids.tolist() if "unit_id" in listed else _distinct(ids)
    units: list[dict[str, Any]] = [{"unit_id": number} for number in numbers]
    columns, left_out = [], []
    for name in listed:
        is_known = name == times or name in schema.STRUCTURE
        if is_known or schema.is_part_of_column(table, name):
            continue
        try:
            column = read_column(table, name, len(units), own=own)
        except FormatError as error:
            if own:
                raise
            left_out.append(f"{name} [{error}]")
            continue
        if column is None:
            left_out.append(name)
        else:
            columns.append(column)
    if not own:  # in our own files the columns say all that the electrodes do
        electrodes = read_electrodes(table, len(units))
        if electrodes is None:
            left_out.append("electrodes")
        for unit, known in zip(units, electrodes or [], strict=False):
            unit.update(known)
    add_values(units, columns)
    if not own:
        _add_waveform_channels(units)
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


def _add_waveform_channels(units: list[dict[str, Any]]) -> None:
    """Add the electrodes of mean waveforms that have as many channels.

    Other programs list those of the waveform as the electrodes of the unit.
    """
    for unit in units:
        shape = np.shape(unit.get("waveform_mean", ()))
        electrodes = np.atleast_1d(unit.get("electrode", []))
        if len(shape) == 2 and shape[1] == len(electrodes):
            unit.setdefault("waveform_channels", electrodes)
