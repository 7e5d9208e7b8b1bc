"""What is known about the units as a table, with their spikes or without."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import (
    StoredColumn,
    add_values,
    meaning_of_gaps,
    stored_columns,
)
from spikelab.formats.nwb.electrodes import Electrodes, electrodes_of
from spikelab.formats.nwb.header import Header
from spikelab.formats.nwb.schema import WAVEFORMS
from spikelab.spikedata import time_units
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import converted
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import MISSING, UnitTable, is_nan

_UNIT_NAMES = "unit_name"
"""A column that SpikeInterface takes for the ids of the units."""

_WAVEFORM_KEYS = {
    "waveform_mean": ("waveform_mean", "template", "avg_waveform"),
    "waveform_sd": ("waveform_sd",),
}
"""The attributes that hold waveforms, for each column; the first one counts."""


@attrs.frozen
class UnitsNames:
    """Names of the units table, and of the spike times and their index in it."""

    group: str = schema.UNITS
    spike_times_dataset: str = schema.SPIKE_TIMES
    spike_times_index_dataset: str = schema.SPIKE_TIMES_INDEX

    def own(self) -> dict[str, str]:
        """Return the names that NWB does not have, by field."""
        standard = attrs.asdict(UnitsNames())
        names = attrs.asdict(self)
        return {field: name for field, name in names.items() if name != standard[field]}


@attrs.frozen(eq=False)
class UnitFacts:
    """What is known about N units, in the form that a table holds."""

    table: UnitTable  # what is known about each unit
    ids: NDArray[np.int64]  # the number of the row of each unit, shape (N,)
    columns: list[StoredColumn]  # that hold the attributes
    left_out: dict[Any, str]  # why the file does not hold others
    electrodes: Electrodes | None  # if any are known

    def attributes(self) -> list[dict[str, Any]]:
        """Return what a reader finds out about each unit."""
        units: list[dict[str, Any]] = [{"unit_id": n} for n in self.ids.tolist()]
        add_values(units, self.columns)
        return units

    def cautions(self) -> str:
        """Return in words which attributes are left out or get another name."""
        cautions = [
            f"{key!r} is left out ({why})" for key, why in self.left_out.items()
        ]
        for column in self.columns:
            if column.key != column.name and column.name not in WAVEFORMS:
                cautions.append(
                    f"{column.key!r} is written as {column.name!r}, which every reader "
                    "takes"
                )
        return "; ".join(cautions)

    def left_out_losses(self) -> list[str]:
        """Return those of the losses that the cautions name."""
        return [f"neuron_attributes[{k!r}] ({why})" for k, why in self.left_out.items()]

    def losses(self) -> Iterator[str]:
        """Yield in words what of the attributes does not come back."""
        yield from self.left_out_losses()
        found = UnitTable(self.attributes(), len(self.ids))
        for key, column in self.table.columns.items():
            name = f"neuron_attributes[{key!r}]"
            if key in self.left_out:
                continue
            pairs = zip(column.values, found.columns[key].values, strict=True)
            lost = [value for value, back in pairs if not equal(value, back)]
            if any(v is not MISSING and v is not None and not is_nan(v) for v in lost):
                yield f"the types of values of {name} (a column has one)"
            elif lost and key == "unit_id":
                yield f"which units lack {name} (they get a free number)"
            elif lost:
                yield f"which units lack {name} (NaN or empty in the file)"

    def write(
        self, file: h5py.File, name: str, spikes: Sequence[str] | None = None
    ) -> h5py.Group:
        """Write the table, and return it; the columns of `spikes` are written next.

        With `spikes` it is a Units table, else one of units without any.
        """
        names = [column.name for column in self.columns]
        if self.electrodes is not None:
            names.insert(0, "electrodes")
        if spikes is None:
            what = "What is known about each unit."
            table = schema.table(file, name, self.ids, names, what)
        else:
            names = [*spikes, *names]
            table = schema.table(file, name, self.ids, names, "Sorted units.", "Units")
        if self.electrodes is not None:
            schema.column(
                table,
                "electrodes",
                self.electrodes.rows,
                "Rows of the electrodes table.",
                self.electrodes.ends,
                "DynamicTableRegion",
                table=self.electrodes.write(file).ref,
            )
        for column in self.columns:
            column.write(table)
        return table


def unit_facts(
    table: UnitTable, taken: Sequence[str] = (), area: str | None = None
) -> UnitFacts:
    """Return what is known about the units, in the form that a table holds.

    No column has one of the names `taken`; `area` is the brain area of electrodes of
    which the units do not say it.
    """
    ids, are_unit_ids = _row_ids(table)
    found = [_waveforms(name, keys, table) for name, keys in _WAVEFORM_KEYS.items()]
    waveforms = [column for column in found if column is not None]
    elsewhere = [column.key for column in waveforms]
    if are_unit_ids:
        elsewhere.append("unit_id")
    if not table.is_id(_UNIT_NAMES):
        taken = [*taken, _UNIT_NAMES]
    columns, left_out = stored_columns(table, taken, elsewhere)
    electrodes = electrodes_of(table, area)
    return UnitFacts(table, ids, columns + waveforms, left_out, electrodes)


def _row_ids(table: UnitTable) -> tuple[NDArray[np.int64], bool]:
    """Return the number of each unit's row, and whether it is the ``unit_id``.

    It is, if those that are known are distinct int64; a unit without one, among units
    that have it, gets a number that no other has.
    """
    key = "unit_id" if "unit_id" in table.columns else table.id_key
    column = table.columns.get(key)
    if column is None or column.kind != "int":
        return np.arange(len(table)), False
    known, taken = column.known, set(column.known.values())
    are_int64 = all(-(2**63) <= number < 2**63 for number in taken)
    if len(taken) < len(known) or not are_int64:
        return np.arange(len(table)), False
    free = (number for number in itertools.count() if number not in taken)
    ids = [known[u] if u in known else next(free) for u in range(len(table))]
    return np.array(ids, dtype=np.int64), True


def _waveforms(name: str, keys: Sequence[str], table: UnitTable) -> StoredColumn | None:
    """Return a column of waveforms, from the first of the `keys` that has any.

    Its data have shape (N, samples) or (N, samples, channels), with NaN where a unit
    has no waveform, or a smaller one than others. None if no unit has a waveform, or
    some have channels and some have not.
    """
    for key in keys:
        values = table.columns[key].values if key in table.columns else []
        found = {unit: _waveform(value) for unit, value in enumerate(values)}
        waves = {unit: wave for unit, wave in found.items() if wave is not None}
        if len({wave.ndim for wave in waves.values()}) == 1:
            break
    else:
        return None
    shapes = {wave.shape for wave in waves.values()}
    dtype = np.result_type(np.float32, *{wave.dtype for wave in waves.values()})
    data = np.full((len(table), *np.max([*shapes], axis=0)), np.nan, dtype=dtype)
    for unit, wave in waves.items():
        data[unit][tuple(map(slice, wave.shape))] = wave
    missing = [value for unit, value in enumerate(values) if unit not in waves]
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        missing=meaning_of_gaps(missing, waves.values()),
        padded=len(shapes) > 1,
    )


def _waveform(value: Any) -> NDArray[Any] | None:
    """Return a value as an array of samples (and channels), None if it is none."""
    try:
        wave = np.asarray(value)
    except ValueError:  # lists nested unevenly
        return None
    is_wave = wave.dtype.kind in "iuf" and wave.ndim in (1, 2) and wave.size > 0
    return wave if is_wave and not np.ma.is_masked(value) else None


def write_units(
    file: h5py.File,
    names: UnitsNames,
    facts: UnitFacts,
    recording: SpikeData,
    header: Header,
) -> None:
    """Write a Units table: times in seconds, their index, the windows and attributes.

    Times and index are columns of the table only if their names fit one another.
    """
    times, index = names.spike_times_dataset, names.spike_times_index_dataset
    is_column = "/" not in times and index == f"{times}_index"
    spikes = [times, "obs_intervals"] if is_column else ["obs_intervals"]
    table = facts.write(file, names.group, spikes)
    spike_trains = recording.spike_trains
    seconds = converted(
        spike_trains.blocks(),
        lambda block, out: time_units.from_ms(block, "s", None, out),
        np.float64,
    )
    shape = (spike_trains.n_spikes,)
    stored = h5.write_blocks(table, times, shape, np.float64, seconds)
    if header.fs_Hz is not None:
        stored.attrs["resolution"] = 1.0 / header.fs_Hz
    if is_column:
        what = "Times of the spikes of each unit in seconds."
        schema.typed(stored, "VectorData", description=what)
        schema.index(stored, index, spike_trains.ends)
    else:
        table[index] = spike_trains.ends
    windows = np.repeat([observed_ms(recording)], recording.N, axis=0) / 1000.0
    what = "The recording window of each unit in seconds."
    numbers = np.arange(1, recording.N + 1)
    schema.column(table, "obs_intervals", windows, what, numbers)
    for column in facts.columns:
        if column.name in WAVEFORMS:
            notes = table[column.name].attrs
            notes["unit"] = header.waveform_unit or schema.UNKNOWN
            if header.fs_Hz is not None:
                notes["sampling_rate"] = header.fs_Hz


def observed_ms(recording: SpikeData) -> tuple[float, float]:
    """Return the recording window, which covers all spikes."""
    stop = recording.start_time + recording.length
    if not recording.spike_trains.n_spikes:
        return recording.start_time, stop
    # The sum was rounded, and can lie before the last spike.
    return recording.start_time, max(stop, recording.spike_trains.extremes()[1])
