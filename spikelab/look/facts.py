"""The facts about a data object that its summary, its HTML and its repr show.

All texts are one line of printable characters, whatever the object holds.
"""

import datetime
import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from spikelab.spikedata.data_object import DataObject, UnitObject, data_class
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import Column, UnitTable
from spikelab.spikedata.windows import Window

Row = tuple[str, ...]
"""The cells of a row of a table."""


@attrs.frozen
class Table:
    """A table of texts.

    Parameters
    ----------
    title : str
        What the rows are, such as ``"Units"``.
    header : tuple of str
        Names of the columns.
    rows : sequence of tuple of str
        The first rows.
    total : int
        Number of all rows.
    """

    title: str
    header: Row
    rows: Sequence[Row]
    total: int

    @property
    def heading(self) -> str:
        """The title, with how many of the rows are here."""
        if len(self.rows) < self.total:
            return f"{self.title}: the first {len(self.rows)} of {self.total}"
        return f"{self.title} ({self.total})"


@attrs.frozen
class Facts:
    """What there is to know about a data object.

    Parameters
    ----------
    title : str
        Name of its data class.
    rows : sequence of (str, str)
        Names and values: numbers of units and spikes, window, rates.
    tables : sequence of Table
        Attributes, units, windows and metadata, none of them empty.
    """

    title: str
    rows: Sequence[Row]
    tables: Sequence[Table]


def facts(obj: DataObject, cells: int = 60) -> Facts:
    """Return the facts about an object, with at most about `cells` cells a table."""
    tables = _tables(obj, cells)
    title = data_class(obj).__name__
    return Facts(title, _rows(obj), [table for table in tables if table.rows])


def one_line(obj: DataObject) -> str:
    """Return the repr of an object: its class, its size and its window."""
    return f"{type(obj).__name__}({_sizes(obj)})"


def clean(value: str, width: int = 200) -> str:
    """Return a text as one line of at most `width` printable characters."""
    line = " ".join(value[: 2 * width].split())
    printable = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line
    )
    fits = len(printable) <= width and len(value) <= 2 * width
    return printable if fits else f"{printable[: width - 3]}..."


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def short(value: Any, width: int = 40) -> str:
    """Return any value in a few words, large and unknown ones by their kind."""
    if isinstance(value, str):
        return clean(value, width)
    if value is None or isinstance(value, bool | np.bool_):
        return str(value)
    if isinstance(value, int | np.integer):
        number = int(value)
        bits = number.bit_length()
        return str(number) if bits <= 64 else f"integer of {bits} bits"
    if isinstance(value, float | np.floating):
        return f"{float(value):.6g}"
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"{value.dtype} array, shape {value.shape}"
    if isinstance(value, np.ndarray):
        return short(value.tolist(), width)
    if isinstance(value, Mapping):
        return clean(
            f"{{{', '.join(short(key, 20) for key in list(value)[:9])}}}", width
        )
    if isinstance(value, list | tuple) and len(value) <= 4:
        return clean(f"[{', '.join(short(item, 20) for item in value)}]", width)
    if isinstance(value, Sequence | set | frozenset):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return clean(type(value).__name__, width)


def span(start_ms: float, end_ms: float) -> str:
    """Return a window in ms, and how long it is in the unit that fits."""
    length = end_ms - start_ms
    for unit, ms, least in (("h", 3_600_000, 2), ("min", 60_000, 2), ("s", 1_000, 1)):
        if length >= least * ms:
            return f"{_ms(start_ms, end_ms)} ({length / ms:.4g} {unit})"
    return _ms(start_ms, end_ms)


def _ms(start_ms: float, end_ms: float) -> str:
    return f"{round(float(start_ms), 4)} to {round(float(end_ms), 4)} ms"


def _times(obj: RateData) -> str:
    if not obj.times.size:
        return "there are none"
    return f"{obj.times[0]} to {obj.times[-1]} ms"


def _extent(windows: Sequence[Window]) -> Window:
    return min(start for start, _ in windows), max(end for _, end in windows)


@functools.singledispatch
def _sizes(obj: Any) -> str:
    raise TypeError(f"expected a data object, got {type(obj).__name__}")


@_sizes.register
def _(obj: SpikeData) -> str:
    end = obj.start_time + obj.length
    n_spikes = sum(map(len, obj.train))
    return f"N={obj.N}, spikes={n_spikes}, window={_ms(obj.start_time, end)}"


@_sizes.register
def _(obj: RateData) -> str:
    unit = None if obj.rate_unit is None else short(obj.rate_unit)
    shape = obj.inst_Frate_data.shape
    return f"shape={shape}, times={_times(obj)}, rate_unit={unit!r}"


@_sizes.register
def _(obj: SpikeSliceStack) -> str:
    n_spikes = sum(len(times) for sd in obj for times in sd.train)
    window = _ms(*_extent(obj.times))
    return f"N={obj.N}, S={len(obj)}, spikes={n_spikes}, times={window}"


@_sizes.register
def _(obj: RateSliceStack) -> str:
    units, steps, slices = obj.event_stack.shape
    return f"U={units}, T={steps}, S={slices}, times={_ms(*_extent(obj.times))}"


@_sizes.register
def _(obj: PairwiseCompMatrix) -> str:
    return f"n={len(obj.matrix)}, metadata={_keys(obj)}"


@_sizes.register
def _(obj: PairwiseCompMatrixStack) -> str:
    window = f", times={_ms(*_extent(obj.times))}" if obj.times else ""
    return f"n={len(obj.stack)}, S={len(obj)}{window}, metadata={_keys(obj)}"


def _keys(obj: PairwiseCompMatrix | PairwiseCompMatrixStack) -> str:
    keys = [short(key, 20) for key in obj.metadata or ()]
    return str(keys[:5]) if len(keys) <= 5 else f"{str(keys[:5])[:-1]}, ...]"


@functools.singledispatch
def _rows(obj: Any) -> list[tuple[str, str]]:
    raise TypeError(f"expected a data object, got {type(obj).__name__}")


@_rows.register
def _(obj: SpikeData) -> list[tuple[str, str]]:
    counts = np.array([len(times) for times in obj.train], dtype=np.int64)
    rows = [
        ("Units", _units(obj.N, int(np.count_nonzero(counts == 0)))),
        ("Spikes", str(counts.sum())),
        ("Window", span(obj.start_time, obj.start_time + obj.length)),
    ]
    if obj.N and obj.length > 0:
        rows.append(("Mean rates", _range(counts / obj.length * 1000, "Hz")))
    if np.size(obj.raw_data):
        raw = np.shape(obj.raw_data)
        channels, samples = raw if len(raw) == 2 else (1, raw[0])
        rows.append(("Raw data", f"{channels} channels, {samples} samples each"))
    return rows


@_rows.register
def _(obj: RateData) -> list[tuple[str, str]]:
    units, steps = obj.inst_Frate_data.shape
    rows = [("Units", str(units)), ("Times", str(steps))]
    if steps:
        rows.append(("Window", span(obj.times[0], obj.times[-1])))
    return [*rows, ("Rates", _range(obj.inst_Frate_data, short(obj.rate_unit or "")))]


@_rows.register
def _(obj: SpikeSliceStack) -> list[tuple[str, str]]:
    counts = sum(np.array([len(times) for times in sd.train]) for sd in obj)
    first = obj.spike_stack[0]
    return [
        ("Units", _units(obj.N, int(np.count_nonzero(counts == 0)))),
        ("Slices", str(len(obj))),
        ("Spikes", str(np.sum(counts))),
        ("Each slice", span(first.start_time, first.start_time + first.length)),
        ("Window", span(*_extent(obj.times))),
    ]


@_rows.register
def _(obj: RateSliceStack) -> list[tuple[str, str]]:
    units, steps, slices = obj.event_stack.shape
    return [
        ("Units", str(units)),
        ("Slices", str(slices)),
        ("Each slice", f"{steps} steps of {short(obj.step_size)} ms"),
        ("Window", span(*_extent(obj.times))),
        ("Rates", _range(obj.event_stack, "")),
    ]


@_rows.register
def _(obj: PairwiseCompMatrix) -> list[tuple[str, str]]:
    return [("Units", str(len(obj.matrix))), ("Values", _range(obj.matrix, ""))]


@_rows.register
def _(obj: PairwiseCompMatrixStack) -> list[tuple[str, str]]:
    rows = [("Units", str(len(obj.stack))), ("Matrices", str(len(obj)))]
    if obj.times:
        rows.append(("Window", span(*_extent(obj.times))))
    return [*rows, ("Values", _range(obj.stack, ""))]


def _units(n_units: int, silent: int) -> str:
    return f"{n_units}, {silent} of them silent" if silent else str(n_units)


def _range(values: Any, unit: str) -> str:
    """Return smallest, median and largest value, and how many are not finite."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        return f"of dtype {array.dtype}"
    finite = np.isfinite(array)
    missing = array.size - np.count_nonzero(finite)
    if missing == array.size:
        return "none that is finite" if array.size else "none"
    low, high = array.min(), array.max()
    if missing:
        low = array.min(where=finite, initial=np.inf)
        high = array.max(where=finite, initial=-np.inf)
    # The median of a sample: that of hundreds of millions takes seconds.
    sample = array.ravel()[:: array.size // 1_000_000 + 1]
    sample = sample[np.isfinite(sample)]
    median = f", median {short(float(np.median(sample)))}" if sample.size else ""
    text = f"{short(low)} to {short(high)} {unit}".rstrip()
    also = f", {missing} not finite" if missing else ""
    return f"{text}{median}{also}"


def _tables(obj: DataObject, cells: int) -> Iterable[Table]:
    if isinstance(obj, UnitObject):
        table = UnitTable(obj.neuron_attributes, obj.N)
        yield _attributes(table, cells)
        yield _unit_rows(obj, table, cells)
    labels = getattr(obj, "labels", None)
    if labels is not None:
        named = [(str(i), short(label)) for i, label in enumerate(labels[: cells // 2])]
        yield Table("Labels", ("position", "label"), named, len(labels))
    if not isinstance(obj, SpikeData | RateData):
        times = getattr(obj, "times", None) or []
        windows = [
            (str(i), str(round(float(start), 4)), str(round(float(end), 4)))
            for i, (start, end) in enumerate(times[: cells // 6])
        ]
        header = ("position", "start (ms)", "end (ms)")
        yield Table("Windows", header, windows, len(times))
    metadata = getattr(obj, "metadata", None) or {}
    keys = list(metadata)[: cells // 2]
    known = [(short(key, 30), short(metadata[key], 60)) for key in keys]
    yield Table("Metadata", ("name", "value"), known, len(metadata))


def _attributes(table: UnitTable, cells: int) -> Table:
    header = ("name", "units", "type", "values")
    rows = [
        (short(column.key, 30), str(len(column.known)), column.kind, _gist(column))
        for column in list(table.columns.values())[: cells // 3]
    ]
    return Table("Attributes of the units", header, rows, len(table.columns))


def _gist(column: Column) -> str:
    """Return in a few words which values an attribute has."""
    values = list(column.known.values())
    if column.kind in ("int", "float"):
        try:
            return _range(np.array(values, dtype=np.float64), "").split(", median")[0]
        except OverflowError:  # integers beyond float64
            return "large integers"
    if column.kind == "array":
        shapes = {np.shape(value) for value in values if isinstance(value, np.ndarray)}
        if len(shapes) == 1:
            return f"arrays of shape {shapes.pop()}"
    if column.kind == "object":
        return ", ".join(sorted({clean(type(value).__name__) for value in values})[:3])
    counted = Counter(short(value, 20) for value in values).most_common()
    if len(counted) > 4 and len(counted) > len(values) / 2:
        return f"{len(counted)} different"
    listed = ", ".join(f"{value} ({count})" for value, count in counted[:3])
    return listed if len(counted) <= 3 else f"{listed}, {len(counted) - 3} more"


def _unit_rows(obj: UnitObject, table: UnitTable, cells: int) -> Table:
    """Return a table with a row for each of the first units."""
    keys = list(table.columns)[:12]
    measures = _measures(obj)
    header = ("unit", *measures, *(short(key, 20) for key in keys))
    shown = min(obj.N, max(cells // len(header), 5))
    rows = [
        (
            str(unit),
            *(short(values[unit]) for values in measures.values()),
            *(_cell(table.columns[key], unit) for key in keys),
        )
        for unit in range(shown)
    ]
    return Table("Units", header, rows, obj.N)


def _cell(column: Column, unit: int) -> str:
    return short(column.known[unit], 24) if unit in column.known else ""


def _measures(obj: UnitObject) -> dict[str, Any]:
    """Return what is counted for each unit, by name."""
    if isinstance(obj, SpikeData):
        counts = np.array([len(times) for times in obj.train], dtype=np.int64)
        rates = counts / obj.length * 1000 if obj.length > 0 else np.zeros(obj.N)
        return {"spikes": counts, "rate (Hz)": np.round(rates, 3)}
    if isinstance(obj, SpikeSliceStack):
        return {"spikes": sum(np.array([len(t) for t in sd.train]) for sd in obj)}
    return {}
