"""The facts about a data object that its summary, its HTML and its repr show.

All texts are one line of printable characters, whatever the object holds.
"""

import datetime
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

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


def _extent(obj: Any) -> Window:
    """Return when the first window of a stack begins and the last one ends, in ms."""
    return min(start for start, _ in obj.times), max(end for _, end in obj.times)


def _sizes(obj: DataObject) -> str:
    match obj:
        case SpikeData():
            window = _ms(obj.start_time, obj.start_time + obj.length)
            return f"N={obj.N}, spikes={sum(map(len, obj.train))}, window={window}"
        case RateData(inst_Frate_data=rates, times=times):
            span_ms = (
                f"{times[0]} to {times[-1]} ms" if times.size else "there are none"
            )
            unit = None if obj.rate_unit is None else short(obj.rate_unit)
            return f"shape={rates.shape}, times={span_ms}, rate_unit={unit!r}"
        case SpikeSliceStack():
            sizes = f"N={obj.N}, S={len(obj)}, spikes={_counts(obj).sum()}"
            return f"{sizes}, times={_ms(*_extent(obj))}"
        case RateSliceStack():
            units, steps, slices = obj.event_stack.shape
            return f"U={units}, T={steps}, S={slices}, times={_ms(*_extent(obj))}"
        case PairwiseCompMatrix():
            return f"n={len(obj.matrix)}, metadata={_keys(obj.metadata)}"
        case PairwiseCompMatrixStack():
            window = f", times={_ms(*_extent(obj))}" if obj.times else ""
            keys = _keys(obj.metadata)
            return f"n={len(obj.stack)}, S={len(obj)}{window}, metadata={keys}"
    raise TypeError(f"expected a data object, got {type(obj).__name__}")


def _keys(metadata: Mapping[Any, Any] | None) -> str:
    keys = [short(key, 20) for key in metadata or ()]
    return str(keys[:5]) if len(keys) <= 5 else f"{str(keys[:5])[:-1]}, ...]"


def _counts(obj: SpikeData | SpikeSliceStack) -> NDArray[np.int64]:
    """Return the number of spikes of each unit."""
    recordings = [obj] if isinstance(obj, SpikeData) else obj.spike_stack
    counts = np.zeros(obj.N, dtype=np.int64)
    for sd in recordings:
        counts += np.array([len(times) for times in sd.train], dtype=np.int64)
    return counts


def _rows(obj: DataObject) -> list[Row]:
    if isinstance(obj, SpikeData | SpikeSliceStack):
        return _rows_of_spikes(obj)
    match obj:
        case RateData(inst_Frate_data=rates, times=times):
            window = span(times[0], times[-1]) if times.size else "none"
            named = {"Units": obj.N, "Times": times.size, "Window": window}
            named["Rates"] = _range(rates, short(obj.rate_unit or ""))
        case RateSliceStack(event_stack=stack):
            each = f"{stack.shape[1]} steps of {short(obj.step_size)} ms"
            named = {"Units": obj.N, "Slices": len(obj), "Each slice": each}
            named |= {"Window": span(*_extent(obj)), "Rates": _range(stack)}
        case PairwiseCompMatrix(matrix=matrix):
            named = {"Units": len(matrix), "Values": _range(matrix)}
        case PairwiseCompMatrixStack(stack=stack):
            named = {"Units": len(stack), "Matrices": len(obj)}
            if obj.times:
                named["Window"] = span(*_extent(obj))
            named["Values"] = _range(stack)
    return [(name, str(value)) for name, value in named.items()]


def _rows_of_spikes(obj: SpikeData | SpikeSliceStack) -> list[Row]:
    counts = _counts(obj)
    silent = int(np.count_nonzero(counts == 0))
    units = f"{obj.N}, {silent} of them silent" if silent else str(obj.N)
    rows: list[Row] = [("Units", units), ("Spikes", str(counts.sum()))]
    if isinstance(obj, SpikeSliceStack):
        first = obj.spike_stack[0]
        each = span(first.start_time, first.start_time + first.length)
        return [
            *rows,
            ("Slices", str(len(obj))),
            ("First slice", each),
            ("Window", span(*_extent(obj))),
        ]
    rows.append(("Window", span(obj.start_time, obj.start_time + obj.length)))
    if obj.N and obj.length > 0:
        rows.append(
            ("Mean rates", _range(np.round(counts / obj.length * 1000, 3), "Hz"))
        )
    if np.size(obj.raw_data):
        *channels, samples = np.shape(obj.raw_data)
        raw = f"{channels[0] if channels else 1} channels, {samples} samples each"
        rows.append(("Raw data", raw))
    return rows


def _range(values: Any, unit: str = "") -> str:
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
            return _range(np.array(values, dtype=np.float64)).split(", median")[0]
        except OverflowError:  # integers beyond float64
            return "large integers"
    if column.kind == "array":
        shapes = {np.shape(value) for value in values if isinstance(value, np.ndarray)}
        if len(shapes) == 1:
            return f"arrays of shape {shapes.pop()}"
        if len(shapes) > 4:
            return f"arrays of {len(shapes)} shapes"
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
    measures: dict[str, Any] = {}
    if isinstance(obj, SpikeData | SpikeSliceStack):
        measures["spikes"] = _counts(obj)
    if isinstance(obj, SpikeData) and obj.length > 0:
        measures["rate (Hz)"] = np.round(_counts(obj) / obj.length * 1000, 3)
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
