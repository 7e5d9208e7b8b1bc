"""The units of an NWB file, wherever it comes from."""

from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import read_indices
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import is_part_of_column, read_column
from spikelab.formats.nwb.electrodes import read_electrodes
from spikelab.formats.nwb.schema import SPIKE_TIMES, SPIKE_TIMES_INDEX, WAVEFORMS
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import MISSING


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
        elsewhere = f"units are in {', '.join(found)}: choose with group="
        holds = f"it holds {', '.join(schema.names_in(file)) or 'nothing'}"
        raise FormatError(f"it has no {name!r}; {elsewhere if found else holds}")
    table = h5.member(file, name)
    if not isinstance(table, h5py.Group):
        raise FormatError(f"{name!r} must be a group of units, got a dataset")
    return table


def _needed(
    table: h5py.Group, name: str, read: Callable[[h5py.Group, str], NDArray[Any]]
) -> NDArray[Any]:
    """Return the values of a dataset without which there are no units."""
    if not h5.has_member(table, name):
        raise FormatError(
            f"{table.name}/{name} is a link that cannot be followed, or leads "
            "out of the file"
        )
    try:
        return read(table, name)
    except FormatError as error:
        raise FormatError(
            f"{table.name}/{name} must be a vector of numbers: {error}"
        ) from error


def read_ids_and_trains(
    table: h5py.Group, notes: Mapping[str, Any]
) -> tuple[NDArray[np.int64], SpikeTrains]:
    """Return the id and the spike times in ms of each unit.

    Without ids they are 0 to N - 1. A warning says if there are no spike times; the
    units are then silent.
    """
    name = str(notes.get("spike_times_dataset", SPIKE_TIMES))
    index = str(notes.get("spike_times_index_dataset", SPIKE_TIMES_INDEX))
    has_times, has_index, has_ids = (
        schema.has_link(table, n.split("/")[0]) for n in (name, index, "id")
    )
    if not has_times and not has_ids:
        raise FormatError(f"the units have no {name!r} and no 'id'")
    ids = np.empty(0, dtype=np.int64)
    if has_ids:
        ids = _needed(table, "id", read_indices).astype(np.int64)
    if not has_times:
        if has_index or name in _listed(table):
            raise FormatError(f"the units must have the {name!r} that they list")
        if len(ids):
            warn(f"the units have no {name!r}: they are read as units without spikes")
        return ids, SpikeTrains(np.empty(0), np.zeros(len(ids), dtype=np.int64))
    found = _needed(table, name, lambda t, n: np.ravel(h5.vector(t, n)[()]))
    times: NDArray[np.float64] = found.astype(np.float64, copy=False)
    # In place: nobody else holds these seconds, and there may be gigabytes of them.
    times *= 1000.0
    ends = np.arange(1, len(times) + 1)  # one spike each, as NWB defines a column
    if has_index:
        ends = _needed(table, index, read_indices)
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


def read_window(
    table: h5py.Group, trains: SpikeTrains, start: Any, length: Any
) -> tuple[float, float | None]:
    """Return start and length in ms: as given, or as observed, where they are None."""
    if start is None or length is None:
        observed = _observed_ms(table)
        fires = trains.n_spikes or not observed.size
        first, last = trains.extremes() if fires else observed
        if start is None:
            start = float(min(first, observed[0] if observed.size else 0.0))
        if length is None and observed.size:
            length = float(max(last, observed[1]) - start)
    if isinstance(start, str) or isinstance(length, str):
        raise FormatError(
            f"start_time and length_ms must be numbers, got {start}, {length}"
        )
    return start, length


def _observed_ms(table: h5py.Group) -> NDArray[np.float64]:
    """Return when the earliest observation starts and the latest ends, if known.

    A warning says if units were not observed all the time from one to the other.
    """
    nothing = np.empty(0)
    if not schema.has_link(table, "obs_intervals"):
        return nothing
    try:
        times = h5.dataset(table, "obs_intervals", ndim=2)[()]
        if times.shape[1] != 2:
            raise FormatError(f"obs_intervals must be pairs, got {times.shape}")
        ends = np.arange(1, len(times) + 1)
        if schema.has_link(table, "obs_intervals_index"):
            ends = h5.dataset(table, "obs_intervals_index", kinds="iu")[()]
    except FormatError as error:
        warn(f"the recording window is that of the spikes: {error}")
        return nothing
    if not times.size or not np.all(np.isfinite(times)):
        return nothing
    window = times.min(), times.max()
    for intervals in np.split(times, ends)[:-1]:
        # Whether they follow one another from start to end.
        edges = [window[0], *intervals.ravel().tolist(), window[1]]
        if any(a < b for a, b in zip(edges[::2], edges[1::2], strict=True)):
            warn(
                "obs_intervals of the units are read as one recording window, "
                f"{window[0]} to {window[1]} s: single units were observed in other "
                "intervals, or with gaps"
            )
            break
    return time_units.to_ms(window, "s", None)


def read_sampling(table: h5py.Group, times: str) -> dict[str, Any]:
    """Return, as metadata, sampling rate and unit of waveforms, where known."""
    waves, spikes = (
        h5.member(table, name).attrs if h5.has_member(table, name) else {}
        for name in (WAVEFORMS[0], times)
    )
    resolution = _positive(spikes.get("resolution"))
    rate = 1.0 / resolution if resolution else _positive(waves.get("sampling_rate"))
    unit = waves.get("unit")
    is_known = isinstance(unit, str) and unit != schema.UNKNOWN
    found = {"fs_Hz": rate, "waveform_unit": unit if is_known else None}
    return {key: value for key, value in found.items() if value is not None}


def _positive(value: Any) -> float | None:
    is_number = isinstance(value, float | np.floating) and 0 < value < np.inf
    return float(value) if is_number else None


def read_attributes(
    table: h5py.Group, ids: NDArray[np.int64], times: str, *, own: bool
) -> list[dict[str, Any]]:
    """Return what is known about each unit; warn of columns that are not read.

    `times` is the name of the spike times; `own` says whether spikelab wrote the table,
    so that its notes can be trusted.
    """
    units: list[dict[str, Any]] = [{"unit_id": unit} for unit in ids.tolist()]
    skipped = schema.STRUCTURE | {times}
    found = {
        name: read_column(table, name, len(units), own=own)
        for name in _listed(table)
        if name not in skipped and not is_part_of_column(table, name)
    }
    left_out = [name for name, column in found.items() if column is None]
    if not own:  # in our own files the columns say all that the electrodes do
        electrodes = read_electrodes(table, len(units))
        left_out += ["electrodes"] * (electrodes is None)
        for unit, known in zip(units, electrodes or [], strict=False):
            unit.update(known)
    for column in filter(None, found.values()):
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


def _listed(table: h5py.Group) -> list[str]:
    """Return the names of the columns: those that the table lists, or its members."""
    listed = table.attrs.get("colnames")
    return [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in (table if listed is None else np.ravel(listed))
    ]
