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
from spikelab.formats.nwb.columns import StoredColumn, gap_note, stored_columns
from spikelab.formats.nwb.electrodes import Electrodes, electrodes_of
from spikelab.formats.nwb.losses import Loss
from spikelab.formats.nwb.schema import WAVEFORMS
from spikelab.spikedata import time_units
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import converted
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import MISSING, UnitTable, is_nan

_UNIT_NAMES = "unit_name"
"""A column that SpikeInterface takes for the ids of the units."""

_WAVEFORM_KEYS = {
    WAVEFORMS[0]: (WAVEFORMS[0], "template", "avg_waveform"),
    WAVEFORMS[1]: (WAVEFORMS[1],),
}
"""The attributes that hold waveforms, the first that a unit has counts."""


@attrs.frozen(eq=False)
class UnitFacts:
    """What is known about N units, in the form that a table holds."""

    table: UnitTable  # what is known about each unit
    ids: NDArray[np.int64]  # the number of the row of each unit, shape (N,)
    columns: list[StoredColumn]  # that hold the attributes
    left_out: dict[Any, str]  # why the file does not hold others
    electrodes: Electrodes | None  # if any are known

    def cautions(self) -> str:
        """Return in words which attributes are left out or get another name."""
        said = [f"{key!r} is left out ({why})" for key, why in self.left_out.items()]
        said += [
            f"{column.key!r} is written as {column.name!r}, which every reader takes"
            for column in self.columns
            if column.key != column.name and column.name not in WAVEFORMS
        ]
        return "; ".join(said)

    def left_out_losses(self) -> dict[Any, str]:
        """Return the losses that the cautions name, by attribute."""
        return {
            k: f"neuron_attributes[{k!r}] ({why})" for k, why in self.left_out.items()
        }

    def losses(self) -> Iterator[Loss]:
        """Yield what of the attributes does not come back, or is added."""
        found = {column.key: column.values() for column in self.columns}
        ids, known = self.ids.tolist(), found.get("unit_id", [MISSING] * len(self.ids))
        found["unit_id"] = [
            number if value is MISSING else value
            for number, value in zip(ids, known, strict=True)
        ]
        for key, text in self.left_out_losses().items():
            yield Loss(("neuron_attributes", key), text)
        for key, values in found.items():
            column = self.table.columns.get(key)
            given = column.values if column else [MISSING] * len(values)
            pairs = zip(given, values, strict=True)
            lost = [value for value, back in pairs if not equal(value, back)]
            if key in self.left_out:  # of which a reader finds what was added
                lost = [v for v in lost if v is MISSING or v is None]
            if not lost:
                continue
            name, text = f"neuron_attributes[{key!r}]", ""
            if column is not None:
                text = f"which units lack {name} (NaN or empty in the file)"
                if not all(v is MISSING or v is None or is_nan(v) for v in lost):
                    text = f"the types of values of {name} (a column has one)"
                elif key == "unit_id" and len(lost) < len(values):
                    text = f"which units lack {name} (they get a free number)"
            yield Loss(("neuron_attributes", key), text)

    def write(
        self, file: h5py.File, name: str, spikes: Sequence[str] | None = None
    ) -> h5py.Group:
        """Write the table, and return it; the columns of `spikes` are written next.

        With `spikes` it is a Units table, else one of units without any.
        """
        what = "What is known about each unit." if spikes is None else "Sorted units."
        described = [] if self.electrodes is None else ["electrodes"]
        names = [*(spikes or ()), *described, *(column.name for column in self.columns)]
        neurodata_type = "DynamicTable" if spikes is None else "Units"
        table = schema.table(file, name, self.ids, names, what, neurodata_type)
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
    ids, numbered = _row_ids(table)
    found = [_waveforms(name, keys, table) for name, keys in _WAVEFORM_KEYS.items()]
    waveforms = [column for column in found if column is not None]
    elsewhere = {column.key for column in waveforms} | (
        {"unit_id"} if numbered else set()
    )
    names = [] if table.is_id(_UNIT_NAMES) else [_UNIT_NAMES]
    columns, left_out = stored_columns(table, [*taken, *names], elsewhere)
    electrodes = electrodes_of(table, area)
    return UnitFacts(table, ids, columns + waveforms, left_out, electrodes)


def _row_ids(table: UnitTable) -> tuple[NDArray[np.int64], bool]:
    """Return the number of each unit's row, and whether ``unit_id`` is stored by it.

    It is the id of the unit, if those that are known are distinct int64; a unit that
    has none, among units that do, gets a number that no other has.
    """
    key = "unit_id" if "unit_id" in table.columns else table.id_key
    column = table.columns.get(key)
    known = {} if column is None else column.known
    taken = {n for n in known.values() if isinstance(n, int | float | np.number)}
    stored = (
        column is not None
        and column.kind == "int"
        and len(taken) == len(known)
        and all(-(2**63) <= n < 2**63 for n in taken)
    )
    if not stored:
        if len(known) in (0, len(table)):
            return np.arange(len(table)), False
        known = {}
    free = (n for n in itertools.count() if n not in taken)
    ids = [int(known[u]) if u in known else next(free) for u in range(len(table))]
    return np.array(ids, dtype=np.int64), stored


def _waveforms(name: str, keys: Sequence[str], table: UnitTable) -> StoredColumn | None:
    """Return a column of waveforms, None if no unit has one under one of `keys`.

    Its data have shape (N, samples) or (N, samples, channels), with NaN where a unit
    has no waveform, or a smaller one than others. A synonym that all units use is the
    key of the column.
    """
    keys = [key for key in keys if key in table.columns]
    waves, used = {}, set()
    for unit, row in enumerate(table.rows if keys else ()):
        found = {key: _waveform(row.get(key)) for key in keys}
        key = next((key for key in keys if found[key] is not None), "")
        if key:
            waves[unit] = found[key]
            used.add(key)
    if not waves:
        return None
    key = used.pop() if len(used) == 1 else name
    dtype = np.result_type(np.float32, *{wave.dtype for wave in waves.values()})
    ndim = max(wave.ndim for wave in waves.values())
    shapes = {unit: (*wave.shape, 1)[:ndim] for unit, wave in waves.items()}
    largest = np.max([*shapes.values()], axis=0)
    data = np.full((len(table), *largest), np.nan, dtype=dtype)
    for unit, shape in shapes.items():
        data[unit][tuple(map(slice, shape))] = waves[unit].reshape(shape)
    others = [row for unit, row in enumerate(table.rows) if unit not in waves]
    missing = [row.get(key, MISSING) for row in others]
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        missing=gap_note(missing, waves.values()),
        padded=len(set(shapes.values())) > 1,
    )


def _waveform(value: Any) -> Any:
    """Return a value as an array of samples (and channels), None if it is none."""
    try:
        wave = np.asarray(value)
    except ValueError:  # lists nested unevenly
        return None
    is_real = wave.dtype.kind in "iuf" and wave.dtype.itemsize <= 8
    is_wave = wave.ndim in (1, 2) and wave.size and not np.ma.is_masked(value)
    return wave if is_real and is_wave else None


def write_units(
    file: h5py.File,
    names: tuple[str, str, str],
    facts: UnitFacts,
    recording: SpikeData,
    fs_Hz: float | None,
    waveform_unit: str | None,
) -> None:
    """Write a Units table: times in seconds, their index, the windows and attributes.

    `names` are those of the table, the times and the index; the last two are columns of
    the table only if they fit one another.
    """
    group, times, ends = names
    is_column = "/" not in times and ends == f"{times}_index"
    table = facts.write(file, group, [times] * is_column + ["obs_intervals"])
    spike_trains = recording.spike_trains
    seconds = converted(
        spike_trains.blocks(),
        lambda block, out: time_units.from_ms(block, "s", None, out),
        np.float64,
    )
    shape = (spike_trains.n_spikes,)
    stored = h5.write_blocks(table, times, shape, np.float64, seconds)
    if fs_Hz is not None:
        stored.attrs["resolution"] = 1.0 / fs_Hz
    if is_column:
        what = "Times of the spikes of each unit in seconds."
        schema.typed(stored, "VectorData", description=what)
        schema.index(stored, ends, spike_trains.ends)
    else:
        table[ends] = spike_trains.ends
    windows = np.repeat([observed_ms(recording)], recording.N, axis=0) / 1000.0
    what = "The recording window of each unit in seconds."
    numbers = np.arange(1, recording.N + 1)
    schema.column(table, "obs_intervals", windows, what, numbers)
    for column in facts.columns:
        if column.name in WAVEFORMS:
            notes = table[column.name].attrs
            notes["unit"] = waveform_unit or schema.UNKNOWN
            if fs_Hz is not None:
                notes["sampling_rate"] = fs_Hz


def observed_ms(recording: SpikeData) -> tuple[float, float]:
    """Return the recording window, which covers all spikes."""
    stop = recording.start_time + recording.length
    if not recording.spike_trains.n_spikes:
        return recording.start_time, stop
    # The sum was rounded, and can lie before the last spike.
    return recording.start_time, max(stop, recording.spike_trains.extremes()[1])
