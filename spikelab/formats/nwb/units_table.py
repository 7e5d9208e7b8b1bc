"""What is known about the units as a table, with their spikes or without."""

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.base import Loss
from spikelab.formats.nwb import electrodes_table, schema, waveform_columns
from spikelab.formats.nwb.column_names import STRUCTURE
from spikelab.formats.nwb.column_packing import packed
from spikelab.formats.nwb.electrodes_table import Electrodes
from spikelab.formats.nwb.unit_columns import StoredColumn, write_column
from spikelab.spikedata import time_units
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import converted
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import ELECTRODE_KEYS, MISSING, UnitTable, is_nan

SPIKE_TIMES = "spike_times"
SPIKE_TIMES_INDEX = "spike_times_index"

OTHERS = STRUCTURE - {SPIKE_TIMES, SPIKE_TIMES_INDEX} | {"colnames"}
"""Members of the Units table under whose names spike times cannot be written."""

FACTS = "unit_attributes"
"""The table, in the processing module, of units of which the file holds no spikes."""

UNIT_NAMES = "unit_name"
"""A column that SpikeInterface takes for the ids of the units."""


@attrs.frozen(eq=False)
class UnitFacts:
    """What is known about N units, in the form that a table holds.

    Parameters
    ----------
    table : UnitTable
        What is known about each unit.
    ids : ndarray of int64, shape (N,)
        Number of the row of each unit.
    columns : list of StoredColumn
        The columns that hold the attributes.
    unstored : dict
        Of the attributes that no column holds: why.
    area : str or None
        The brain area of electrodes of which the units do not say it.
    """

    table: UnitTable
    ids: NDArray[np.int64]
    columns: list[StoredColumn]
    unstored: dict[Any, str]
    area: str | None

    @cached_property
    def electrodes(self) -> Electrodes | None:
        """The electrodes, if any are known."""
        return electrodes_table.electrodes_of(self.table, self.area)

    @cached_property
    def left_out(self) -> dict[Any, str]:
        """Of the attributes that the file does not hold: why."""
        stored = {column.key for column in self.columns}
        if "electrode" not in self.unstored or stored & {*ELECTRODE_KEYS}:
            return self.unstored
        # The electrodes of the units hold it, which takes lists beside numbers.
        by_region = {"electrode"} if self.electrodes is not None else set()
        return {k: why for k, why in self.unstored.items() if k not in by_region}

    def cautions(self) -> str:
        """Return in words which attributes are left out or get another name."""
        said = [f"{key!r} is left out ({why})" for key, why in self.left_out.items()]
        said += [
            f"{column.key!r} is written as {column.name!r}, which every reader takes"
            for column in self.columns
            if column.key != column.name and column.name not in waveform_columns.NAMES
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
        numbers = stored.pop("unit_id", [MISSING] * len(ids))
        yield (
            "unit_id",
            [n if v is MISSING else v for n, v in zip(ids, numbers, strict=True)],
        )
        yield from stored.items()
        if self.electrodes is not None and not stored.keys() & {*ELECTRODE_KEYS}:
            yield "electrode", self.electrodes.of_units()


def unit_facts(
    table: UnitTable, taken: Sequence[str] = (), area: str | None = None
) -> UnitFacts:
    """Return what is known about the units, in the form that a table holds.

    Parameters
    ----------
    table : UnitTable
        What is known about each unit.
    taken : sequence of str
        Names that no column may have.
    area : str, optional
        The brain area of electrodes of which the units do not say it.
    """
    ids, numbered = _row_ids(table)
    waveforms = waveform_columns.waveform_columns(table)
    elsewhere = {column.key for column in waveforms}
    if numbered:
        elsewhere.add("unit_id")
    names = [] if table.is_id(UNIT_NAMES) else [UNIT_NAMES]
    columns, unstored = packed(table, [*taken, *names], elsewhere)
    return UnitFacts(table, ids, columns + waveforms, unstored, area)


def _row_ids(table: UnitTable) -> tuple[NDArray[np.int64], bool]:
    """Return the number of each unit's row, and whether ``unit_id`` is stored by it.

    It is the id of the unit, if those that are known are distinct int64; a unit that
    has none, among units that do, gets a number that no other has.
    """
    n_units = len(table)
    key = "unit_id" if "unit_id" in table.columns else table.id_key
    known = {} if key is None else table.columns[key].known
    numbers = list(known.values())
    are_numbers = key is not None and table.columns[key].kind == "int"
    distinct = len(set(numbers)) == len(numbers)
    if are_numbers and distinct and all(-(2**63) <= n < 2**63 for n in numbers):
        used = set(numbers)
        free = (n for n in itertools.count() if n not in used)
        ids = [int(known[u]) if u in known else next(free) for u in range(n_units)]
        return np.array(ids, dtype=np.int64), True
    taken = {n for n in numbers if isinstance(n, int | float | np.number)}
    others = (n for n in itertools.count() if n not in taken or len(known) == n_units)
    return np.array([next(others) for _ in range(n_units)], dtype=np.int64), False


def _loss(key: str, text: str) -> Loss:
    return Loss(("neuron_attributes", key), text)


def write_facts(file: h5py.File, facts: UnitFacts) -> None:
    """Write what is known about units of which the file holds no spikes."""
    what = "What is known about each unit."
    _write_table(schema.module(file), FACTS, facts, [], what)


def write_units(
    file: h5py.File,
    facts: UnitFacts,
    recording: SpikeData,
    *,
    group: str,
    times: str,
    ends: str,
    fs_Hz: float | None,
) -> h5py.Group:
    """Write units with their spikes as a Units table; return it.

    Parameters
    ----------
    file : h5py.File
        The open file.
    facts : UnitFacts
        What is known about the units.
    recording : SpikeData
        Their spikes.
    group, times, ends : str
        Names of the table, of the spike times and of their index.
    fs_Hz : float, optional
        Sampling rate.
    """
    # Spike times are a column of the table only if their names fit one another.
    is_column = "/" not in times and ends == f"{times}_index"
    names = [times] * is_column + ["obs_intervals"]
    table = _write_table(
        file, group, facts, names, "Sorted units.", "Units", schema.CORE
    )
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
        schema.typed(stored, "VectorData", schema.COMMON, description=what)
        schema.index(table, ends, stored, spike_trains.ends)
    else:
        table[ends] = spike_trains.ends
    _write_window(table, recording)
    return table


def _write_window(table: h5py.Group, recording: SpikeData) -> None:
    """Write the recording window once for each unit, as neo and the schema need it."""
    stop = recording.start_time + recording.length
    if recording.spike_trains.n_spikes:
        # The sum was rounded, and can lie before the last spike.
        stop = max(stop, recording.spike_trains.extremes()[1])
    window = np.array([[recording.start_time / 1000.0, stop / 1000.0]])
    windows = np.repeat(window, recording.N, axis=0)
    what = "The recording window of each unit in seconds."
    intervals = schema.vector(table, "obs_intervals", windows, what)
    ends = np.arange(1, recording.N + 1)
    schema.index(table, "obs_intervals_index", intervals, ends)


def _write_table(
    parent: h5py.Group,
    name: str,
    facts: UnitFacts,
    names: list[str],
    description: str,
    neurodata_type: str = "DynamicTable",
    namespace: str = schema.COMMON,
) -> h5py.Group:
    """Write a table with electrodes and attributes; others write the columns `names`."""
    electrodes, columns = facts.electrodes, facts.columns
    names = [*names, *["electrodes"] * (electrodes is not None)]
    table = schema.table(
        parent,
        name,
        facts.ids,
        [*names, *(column.name for column in columns)],
        description,
        neurodata_type=neurodata_type,
        namespace=namespace,
    )
    if electrodes is not None:
        described = electrodes_table.write(parent.file, electrodes)
        schema.region(table, electrodes.rows, electrodes.ends, described)
    for column in columns:
        write_column(table, column)
    return table
