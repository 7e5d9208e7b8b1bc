"""The Units table: units, their spikes, and what is known about them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import trains, units
from spikelab.formats import h5
from spikelab.formats.nwb import attributes as nwb_attributes
from spikelab.formats.nwb import electrodes as nwb_electrodes
from spikelab.formats.nwb import column_names as nwb_names
from spikelab.formats.nwb import tables as nwb_tables

UNITS = "units"
SPIKE_TIMES = "spike_times"
SPIKE_TIMES_INDEX = "spike_times_index"

OTHERS = nwb_names.STRUCTURE - {SPIKE_TIMES, SPIKE_TIMES_INDEX} | {"colnames"}
"""Members of the table under whose names spike times cannot be written."""

Attributes = Sequence[Mapping[Any, Any]] | None


@attrs.frozen(kw_only=True)
class UnitsTable:
    """How the table is written.

    Parameters
    ----------
    group, spike_times_dataset, spike_times_index_dataset : str
        Names of the table, of the spike times and of their index.
    fs_Hz : float, optional
        Sampling rate.
    electrode_location : str, optional
        Where electrodes lie of which the units do not say it.
    attributes : sequence of dict, optional
        What is known about each unit.

    Attributes
    ----------
    columns : Columns
        The columns that hold the attributes.
    """

    group: str
    spike_times_dataset: str
    spike_times_index_dataset: str
    fs_Hz: float | None
    electrode_location: str | None
    attributes: Attributes
    columns: nwb_attributes.Columns = attrs.field(init=False)

    @property
    def _is_found(self) -> bool:
        """Whether NWB readers will find the units."""
        given = (self.group, self.spike_times_dataset, self.spike_times_index_dataset)
        return given == (UNITS, SPIKE_TIMES, SPIKE_TIMES_INDEX)

    @property
    def _is_column(self) -> bool:
        """Whether the spike times can be a column of the table under their name."""
        name = self.spike_times_dataset
        return "/" not in name and self.spike_times_index_dataset == f"{name}_index"

    @columns.default
    def _columns(self) -> nwb_attributes.Columns:
        attributes = self.attributes
        if attributes and _number_rows(attributes):
            attributes = [
                {key: value for key, value in unit.items() if key != "unit_id"}
                for unit in attributes
            ]
        names = (self.spike_times_dataset, self.spike_times_index_dataset)
        taken = {name.split("/")[0] for name in names}
        if attributes and not _tells_units_apart(attributes, "unit_name"):
            # SpikeInterface takes this column for the ids of the units.
            taken.add("unit_name")
        return nwb_attributes.columns_of(attributes, taken)

    def cautions(self, recording: Any) -> Iterator[str]:
        """Yield what the user should know about names and times in the table."""
        said = [
            f"{key!r} is left out ({why})" for key, why in self.columns.left_out.items()
        ]
        said += [
            f"{key!r} is written as {name!r}, which every reader takes"
            for key, name in self.columns.renamed.items()
        ]
        if said:
            yield "neuron_attributes in NWB: " + "; ".join(said)
        if recording is None:
            return
        if not self._is_found:
            yield (
                "NWB readers look for the spikes in 'units/spike_times' and "
                f"'units/spike_times_index' and will not find them in '{self.group}/"
                f"{self.spike_times_dataset}' and '{self.group}/"
                f"{self.spike_times_index_dataset}'"
            )
        if recording.start_time < 0 and trains.extremes(recording.train)[0] < 0:
            yield (
                "NWB counts time from the start of the session, and its validators "
                "object to negative spike times; this recording has some "
                f"(start_time is {recording.start_time} ms)"
            )

    def losses(self) -> list[str]:
        """Return, in words, which attributes the table does not carry."""
        lost = [
            f"neuron_attributes[{key!r}] ({why})"
            for key, why in self.columns.left_out.items()
        ]
        lost += [
            f"which units lack neuron_attributes[{key!r}] (NaN or empty in the file)"
            for key in self.columns.blurred
        ]
        if _has_invented_ids(self.attributes):
            lost.append(
                "which units lack neuron_attributes['unit_id'] (they get a free number)"
            )
        return lost

    def write(self, file: h5py.File, n_units: int, recording: Any = None) -> None:
        """Write the table, the electrodes, and at the root what the table cannot say.

        Parameters
        ----------
        file : h5py.File
            The open file.
        n_units : int
            Number of units.
        recording : SpikeData, optional
            Their spikes.
        """
        self._describe(file, n_units)
        columns = self.columns.stored
        electrodes = nwb_electrodes.electrodes_of(
            self.attributes, self.electrode_location
        )
        if electrodes is not None:
            nwb_electrodes.write(file, electrodes)
        names = []
        if recording is not None:
            names = [self.spike_times_dataset] * self._is_column + ["obs_intervals"]
        names += ["electrodes"] * (electrodes is not None)
        table = self._create(file, n_units, [*names, *(c.name for c in columns)])
        if recording is not None:
            latest = self._write_spikes(table, recording)
            _write_window(table, n_units, recording.start_time, latest)
        if electrodes is not None:
            nwb_electrodes.write_region(table, electrodes, file[nwb_electrodes.TABLE])
        for column in columns:
            nwb_tables.write_column(table, column)

    def _describe(self, file: h5py.File, n_units: int) -> None:
        file.attrs["n_units"] = n_units
        file.attrs["group"] = self.group
        file.attrs["spike_times_dataset"] = self.spike_times_dataset
        file.attrs["spike_times_index_dataset"] = self.spike_times_index_dataset
        if self.fs_Hz is not None:
            file.attrs["fs_Hz"] = float(self.fs_Hz)

    def _create(self, file: h5py.File, n_units: int, names: list[str]) -> h5py.Group:
        return nwb_tables.table(
            file,
            self.group,
            row_ids(self.attributes) if self.attributes else np.arange(n_units),
            names,
            "Sorted units.",
            neurodata_type="Units",
            namespace=nwb_tables.CORE,
        )

    def _write_spikes(self, table: h5py.Group, recording: Any) -> float:
        """Write the spike times; return the end of the window or the last spike, in ms.

        The sum of start and length was rounded, and can lie before the last spike.
        """
        seconds = trains.converted(
            trains.blocks(recording.train),
            lambda times, out: units.from_ms(times, "s", None, out),
            np.float64,
        )
        shape = (sum(map(len, recording.train)),)
        times = h5.write_blocks(
            table, self.spike_times_dataset, shape, np.float64, seconds
        )
        self._mark_spikes(table, times, trains.ends(recording.train))
        stop = recording.start_time + recording.length
        if not any(map(len, recording.train)):
            return float(stop)
        return float(max(stop, trains.extremes(recording.train)[1]))

    def _mark_spikes(
        self, table: h5py.Group, times: h5py.Dataset, ends: NDArray[np.int64]
    ) -> None:
        if self.fs_Hz is not None:
            times.attrs["resolution"] = 1.0 / float(self.fs_Hz)
        if self._is_column:
            what = "Times of the spikes of each unit in seconds."
            nwb_tables.typed(times, "VectorData", nwb_tables.COMMON, description=what)
            nwb_tables.index(table, self.spike_times_index_dataset, times, ends)
        else:
            table[self.spike_times_index_dataset] = ends


def _write_window(
    table: h5py.Group, n_units: int, start_ms: float, stop_ms: float
) -> None:
    """Write the recording window once for each unit, as neo and the schema need it."""
    window = np.array([[start_ms / 1000.0, stop_ms / 1000.0]])
    intervals = nwb_tables.vector(
        table,
        "obs_intervals",
        np.repeat(window, n_units, axis=0),
        "The recording window of each unit in seconds.",
    )
    nwb_tables.index(table, "obs_intervals_index", intervals, np.arange(1, n_units + 1))


def row_ids(attributes: Sequence[Mapping[Any, Any]]) -> NDArray[np.int64]:
    """Return the number of each unit's row.

    It is the attribute ``unit_id`` where that can number the rows. A unit that
    has none, among units that do, gets a number that is no other's.
    """
    given = [unit.get("unit_id") for unit in attributes]
    known = {value for value in given if isinstance(value, int | float | np.number)}
    free = (number for number in itertools.count() if number not in known)
    if _number_rows(attributes):
        filled = (next(free) if value is None else int(value) for value in given)
        return np.fromiter(filled, dtype=np.int64, count=len(given))
    if all(value is not None for value in given):
        return np.arange(len(given))
    return np.fromiter(free, dtype=np.int64, count=len(given))


def _number_rows(attributes: Sequence[Mapping[Any, Any]]) -> bool:
    """Tell whether those of the attributes ``unit_id`` that there are number rows."""
    known = [unit for unit in attributes if unit.get("unit_id") is not None]
    limits = np.iinfo(np.int64)
    return bool(known and _tells_units_apart(known, "unit_id")) and all(
        not isinstance(unit["unit_id"], str)
        and limits.min <= unit["unit_id"] <= limits.max
        for unit in known
    )


def _has_invented_ids(attributes: Attributes) -> bool:
    """Tell whether some units get a ``unit_id`` that others brought with them."""
    lacking = [unit.get("unit_id") is None for unit in attributes or ()]
    return any(lacking) and not all(lacking)


def _tells_units_apart(attributes: Sequence[Mapping[Any, Any]], key: str) -> bool:
    """Tell whether each unit has a text or an integer of its own as attribute `key`."""
    values = [unit.get(key) for unit in attributes]
    for kind in (str, int | np.integer):
        if all(isinstance(v, kind) and not isinstance(v, bool) for v in values):
            return len(set(values)) == len(values)
    return False
