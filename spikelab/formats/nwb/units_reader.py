"""The units of an NWB file, wherever it comes from."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Self

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import read_indices
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import (
    WAVEFORMS,
    column_names,
    has_link,
    read_column,
)
from spikelab.formats.nwb.electrodes import read_electrodes
from spikelab.formats.nwb.packing import STRUCTURE
from spikelab.formats.nwb.units import SPIKE_TIMES, SPIKE_TIMES_INDEX, UNKNOWN_UNIT
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.unit_table import MISSING


@attrs.frozen(eq=False)
class UnitsReader:
    """A table of units in an open file."""

    table: h5py.Group
    own: bool  # whether spikelab wrote it, so that its notes can be trusted
    notes: Mapping[str, Any] = attrs.field(factory=dict)  # of the root, if own

    @classmethod
    def of(
        cls, file: h5py.File, group: str | None, notes: Mapping[str, Any], *, own: bool
    ) -> Self:
        """Return the table `group` of a file, by default the one that it has for units.

        Without any, a FormatError names the tables of units that there are.
        """
        name = group or str(notes.get("group", schema.UNITS))
        if file.get(name, getlink=True) is None:
            elsewhere = ", ".join(_tables_of_units(file))
            where = f"units are in {elsewhere}: choose with group="
            holds = f"it holds {', '.join(file) or 'nothing'}"
            raise FormatError(f"it has no {name!r}; {where if elsewhere else holds}")
        table = h5.member(file, name)
        if not isinstance(table, h5py.Group):
            raise FormatError(f"{name!r} must be a group of units, got a dataset")
        return cls(table=table, own=own, notes=notes)

    @property
    def times(self) -> str:
        """Name of the spike times."""
        return str(self.notes.get("spike_times_dataset", SPIKE_TIMES))

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        """The id of each unit; 0 to N - 1 if the table has none."""
        if not has_link(self.table, "id"):
            return np.arange(len(self.trains))
        return self._needed("id", read_indices).astype(np.int64)

    @cached_property
    def trains(self) -> SpikeTrains:
        """The spike times in ms; no unit of a table without any has spikes."""
        name = self.times
        index = str(self.notes.get("spike_times_index_dataset", SPIKE_TIMES_INDEX))
        has_times, has_index, has_ids = (
            has_link(self.table, n.split("/")[0]) for n in (name, index, "id")
        )
        if not has_times and not has_ids:
            raise FormatError(f"the units have no {name!r} and no 'id'")
        if not has_times and (has_index or name in self._listed()):
            raise FormatError(f"the units must have the {name!r} that they list")
        if not has_times:
            return SpikeTrains(np.empty(0), np.zeros(len(self.ids), dtype=np.int64))
        found = self._needed(name, lambda t, n: np.ravel(h5.vector(t, n)[()]))
        times: NDArray[np.float64] = found.astype(np.float64, copy=False)
        # In place: nobody else holds these seconds, and there may be gigabytes of them.
        times *= 1000.0
        if has_index:
            ends = self._needed(index, read_indices)
        else:  # each unit has one spike, as NWB defines a column
            ends = np.arange(1, len(times) + 1)
        trains = SpikeTrains.from_flat(times, ends, f"{self.table.name}/{index}")
        if has_ids and len(self.ids) != len(trains):
            raise FormatError(
                f"{self.table.name}/id must number the {len(trains)} units, "
                f"got {len(self.ids)} ids"
            )
        if not np.all(np.isfinite(trains.extremes())):
            wrong = int(np.flatnonzero(~np.isfinite(times))[0])
            unit = int(np.searchsorted(trains.ends, wrong, side="right"))
            raise FormatError(
                f"unit {unit}: spike times must be finite, got {times[wrong]}"
            )
        return trains

    def _needed(
        self, name: str, read: Callable[[h5py.Group, str], NDArray[Any]]
    ) -> NDArray[Any]:
        """Return the values of a dataset without which there are no units."""
        if not h5.has_member(self.table, name):
            raise FormatError(
                f"{self.table.name}/{name} is a link that cannot be followed, or leads "
                "out of the file"
            )
        try:
            return read(self.table, name)
        except FormatError as error:
            raise FormatError(
                f"{self.table.name}/{name} must be a vector of numbers: {error}"
            ) from error

    def window(
        self, start_ms: float | None, length_ms: float | None
    ) -> tuple[float, float | None]:
        """Return start and length in ms: as given, as noted in ms, or as observed."""
        start = self.notes.get("start_time") if start_ms is None else start_ms
        length = self.notes.get("length_ms") if length_ms is None else length_ms
        if start is None or length is None:
            observed = self._observed_ms()
            fires = self.trains.n_spikes or not observed.size
            first, last = self.trains.extremes() if fires else observed
            if start is None:
                start = float(min(first, observed[0] if observed.size else 0.0))
            if length is None and observed.size:
                length = float(max(last, observed[1]) - start)
        if isinstance(start, str) or isinstance(length, str):
            raise FormatError(
                f"start_time and length_ms must be numbers, got {start}, {length}"
            )
        return start, length

    def _observed_ms(self) -> NDArray[np.float64]:
        """Return when the earliest observation starts and the latest ends, if known.

        A warning says if units were not observed all the time from one to the other.
        """
        if not has_link(self.table, "obs_intervals"):
            return np.empty(0)
        try:
            times = h5.dataset(self.table, "obs_intervals", ndim=2)[()]
            if times.shape[1] != 2:
                raise FormatError(f"obs_intervals must be pairs, got {times.shape}")
            ends = np.arange(1, len(times) + 1)
            if has_link(self.table, "obs_intervals_index"):
                ends = h5.dataset(self.table, "obs_intervals_index", kinds="iu")[()]
        except FormatError as error:
            warn(f"the recording window is that of the spikes: {error}")
            return np.empty(0)
        if not times.size or not np.all(np.isfinite(times)):
            return np.empty(0)
        window = times.min(), times.max()
        of_units = np.split(times, ends)[:-1]
        if not all(_covers(intervals, *window) for intervals in of_units):
            warn(
                "obs_intervals of the units are read as one recording window, "
                f"{window[0]} to {window[1]} s: single units were observed in other "
                "intervals, or with gaps"
            )
        return time_units.to_ms(window, "s", None)

    def sampling(self) -> dict[str, Any]:
        """Return, as metadata, sampling rate and unit of waveforms, where known."""
        waves, spikes = (
            h5.member(self.table, name).attrs if h5.has_member(self.table, name) else {}
            for name in (WAVEFORMS[0], self.times)
        )
        resolution = _positive(spikes.get("resolution"))
        rate = 1.0 / resolution if resolution else _positive(waves.get("sampling_rate"))
        unit = waves.get("unit")
        is_known = isinstance(unit, str) and unit != UNKNOWN_UNIT
        found = {"fs_Hz": rate, "waveform_unit": unit if is_known else None}
        return {key: value for key, value in found.items() if value is not None}

    def attributes(self) -> list[dict[str, Any]]:
        """Return what is known about each unit; warn of columns that are not read."""
        units: list[dict[str, Any]] = [{"unit_id": unit} for unit in self.ids.tolist()]
        structure = STRUCTURE | {self.times}
        found = {
            name: read_column(self.table, name, len(units), own=self.own)
            for name in column_names(self.table, self._listed())
            if name not in structure
        }
        left_out = [name for name, column in found.items() if column is None]
        if not self.own:  # in our own files the columns say all that the electrodes do
            electrodes = read_electrodes(self.table, len(units))
            left_out += ["electrodes"] * (electrodes is None)
            for unit, known in zip(units, electrodes or [], strict=False):
                unit.update(known)
        for column in filter(None, found.values()):
            for unit, value in zip(units, column.values(), strict=True):
                if value is not MISSING:
                    unit[column.key] = value
        if not self.own:
            _add_waveform_channels(units)
        if left_out:
            warn(
                f"columns of the units left out: {', '.join(left_out)} (only numbers, "
                "bool and str are read, one value or one row of them per unit, and "
                "nothing that lies outside of the file)"
            )
        return units

    def _listed(self) -> list[str]:
        """Return the names of the columns: those that the table lists, or its members."""
        listed = self.table.attrs.get("colnames")
        return [
            name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
            for name in (self.table if listed is None else np.ravel(listed))
        ]


def _covers(intervals: NDArray[Any], start: float, stop: float) -> bool:
    """Return whether intervals, in order, follow one another from `start` to `stop`."""
    edges = [start, *intervals.ravel().tolist(), stop]
    return all(a >= b for a, b in zip(edges[::2], edges[1::2], strict=True))


def _tables_of_units(file: h5py.File) -> list[str]:
    """Return the names of all Units tables in a file."""
    found: list[str] = []

    def visit(name: str, obj: Any) -> None:
        if isinstance(obj, h5py.Group) and (
            obj.attrs.get("neurodata_type") == "Units" or "spike_times" in obj
        ):
            found.append(name)

    file.visititems(visit)
    return found


def _add_waveform_channels(units: list[dict[str, Any]]) -> None:
    """Add ``waveform_channels`` to units with as many electrodes as their waveforms have.

    Other programs list the electrodes of the waveform as those of the unit.
    """
    for unit in units:
        mean: Any = unit.get(WAVEFORMS[0])
        shape = np.shape(mean)
        ids = np.atleast_1d(unit.get("electrode", []))
        if len(shape) == 2 and shape[1] == len(ids):
            unit.setdefault("waveform_channels", ids)


def _positive(value: Any) -> float | None:
    is_number = isinstance(value, float | np.floating) and 0 < value < np.inf
    return float(value) if is_number else None
