"""What is known about the units as a table, with their spikes or without."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.base import Loss
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import WAVEFORMS, StoredColumn
from spikelab.formats.nwb.electrodes import Electrodes, electrodes_of
from spikelab.formats.nwb.packing import gap_note, packed
from spikelab.spikedata import time_units
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import converted
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import MISSING, UnitTable, is_nan

SPIKE_TIMES = "spike_times"
SPIKE_TIMES_INDEX = "spike_times_index"

FACTS = f"{schema.MODULE}/unit_attributes"
"""The table of units of which the file holds no spikes."""

UNKNOWN_UNIT = "unknown"
"""Written as the unit of waveforms of which the unit is not known."""

_UNIT_NAMES = "unit_name"
"""A column that SpikeInterface takes for the ids of the units."""

_KEYS = {
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

    def losses(self) -> Iterator[Loss]:
        """Yield what of the attributes does not come back, or is added."""
        for key, why in self.left_out.items():
            yield _loss(key, f"neuron_attributes[{key!r}] ({why})")
        for key, back in self._read_back():
            column = self.table.columns.get(key)
            given = column.values if column else [MISSING] * len(self.table)
            pairs = zip(given, back, strict=True)
            lost = [value for value, other in pairs if not equal(value, other)]
            name = f"neuron_attributes[{key!r}]"
            if key in self.left_out:  # of which a reader finds what was added
                lost = [v for v in lost if v is MISSING or v is None]
            if not lost:
                continue
            if column is None:
                yield _loss(key, "")
            elif not all(v is MISSING or v is None or is_nan(v) for v in lost):
                yield _loss(key, f"the types of values of {name} (a column has one)")
            elif key == "unit_id" and len(lost) < len(self.table):
                yield _loss(key, f"which units lack {name} (they get a free number)")
            else:
                yield _loss(key, f"which units lack {name} (NaN or empty in the file)")

    def _read_back(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield the keys that a reader finds, and the values of all units."""
        stored = {column.key: column.values() for column in self.columns}
        ids = self.ids.tolist()
        known = stored.pop("unit_id", [MISSING] * len(ids))
        pairs = zip(ids, known, strict=True)
        yield "unit_id", [number if v is MISSING else v for number, v in pairs]
        yield from stored.items()

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


def _loss(key: str, text: str) -> Loss:
    return Loss(("neuron_attributes", key), text)


def unit_facts(
    table: UnitTable, taken: Sequence[str] = (), area: str | None = None
) -> UnitFacts:
    """Return what is known about the units, in the form that a table holds.

    No column has one of the names `taken`; `area` is the brain area of electrodes of
    which the units do not say it.
    """
    ids, numbered = _row_ids(table)
    found = [_waveform_column(name, keys, table) for name, keys in _KEYS.items()]
    waveforms = [column for column in found if column is not None]
    elsewhere = {"unit_id"} if numbered else set()
    elsewhere |= {column.key for column in waveforms}
    names = [] if table.is_id(_UNIT_NAMES) else [_UNIT_NAMES]
    columns, left_out = packed(table, [*taken, *names], elsewhere)
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


def _waveform_column(
    name: str, keys: Sequence[str], table: UnitTable
) -> StoredColumn | None:
    """Return a column of waveforms, None if no unit has one under one of `keys`.

    Its data have shape (N, samples) or (N, samples, channels), with NaN where a unit
    has no waveform, or a smaller one than others. A synonym that all units use is the
    key of the column.
    """
    known = [key for key in keys if key in table.columns]
    waves, used = {}, set()
    for unit, row in enumerate(table.rows):
        for key in known:
            if (wave := _waveform(row.get(key))) is not None:
                waves[unit] = wave
                used.add(key)
                break
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


def _waveform(value: Any) -> NDArray[Any] | None:
    """Return a value as an array of samples (and channels), None if it is none."""
    try:
        wave = np.asarray(value)
    except ValueError:  # lists nested unevenly
        return None
    is_real = wave.dtype.kind in "iuf" and wave.dtype.itemsize <= 8
    is_wave = wave.ndim in (1, 2) and wave.size and not np.ma.is_masked(wave)
    return wave if is_real and is_wave else None


def write_spikes(
    table: h5py.Group,
    recording: SpikeData,
    times: str,
    ends: str,
    fs_Hz: float | None,
) -> None:
    """Write spike times in seconds, their index, and the window of each unit.

    `times` and `ends` are the names; these are columns of the table only if they fit
    one another.
    """
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
    if times in table.attrs["colnames"]:
        what = "Times of the spikes of each unit in seconds."
        schema.typed(stored, "VectorData", description=what)
        schema.index(stored, ends, spike_trains.ends)
    else:
        table[ends] = spike_trains.ends
    windows = np.repeat([observed_ms(recording)], recording.N, axis=0) / 1000.0
    what = "The recording window of each unit in seconds."
    numbers = np.arange(1, recording.N + 1)
    schema.column(table, "obs_intervals", windows, what, numbers)


def describe_waveforms(
    table: h5py.Group, fs_Hz: float | None, unit: str | None
) -> None:
    """Write sampling rate and unit of the waveforms in a Units table, where known."""
    for name in WAVEFORMS:
        if name in table:
            table[name].attrs["unit"] = unit or UNKNOWN_UNIT
            if fs_Hz is not None:
                table[name].attrs["sampling_rate"] = fs_Hz


def observed_ms(recording: SpikeData) -> tuple[float, float]:
    """Return the recording window, which covers all spikes."""
    stop = recording.start_time + recording.length
    if not recording.spike_trains.n_spikes:
        return recording.start_time, stop
    # The sum was rounded, and can lie before the last spike.
    return recording.start_time, max(stop, recording.spike_trains.extremes()[1])
