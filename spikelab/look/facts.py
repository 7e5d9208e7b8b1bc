"""The facts about a data object that its repr, its summary and its HTML show.

All texts are one line of printable characters, whatever the object holds.
"""

import datetime
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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

WIDTH = 80
"""Number of columns of a terminal."""


class Table(NamedTuple):
    """The first rows of a table, and how many there are in all."""

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


def facts(obj: DataObject, cells: int) -> tuple[str, list[Row], list[Table]]:
    """Return the class of an object, its sizes, and tables of about `cells` cells."""
    rows: list[Row] = [(name, str(value)) for name, value in _sizes(obj).items()]
    tables = [table for table in _tables(obj, cells) if table.rows]
    return data_class(obj).__name__, rows, tables


def summary(obj: DataObject) -> str:
    """Return what the object holds, as text for a terminal of 80 columns.

    Numbers of units and spikes, the window, rates, attributes with the number of
    units that have them, the first units, and metadata.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> print(SpikeData([[12.5, 430.0], []], length=1000.0).summary())
    SpikeData
      Units       2, 1 of them silent
      Spikes      2
      Window      0.0 to 1000.0 ms (1 s)
      Mean rates  0 to 2 Hz, median 1
    <BLANKLINE>
    Units (2)
      unit  spikes  rate (Hz)
      0     2       2
      1     0       0
    """
    title, sizes, tables = facts(obj, cells=60)
    lines = [title, *_aligned(sizes)]
    for table in tables:
        lines += ["", table.heading, *_aligned([table.header, *table.rows])]
    return "\n".join(lines)


def one_line(obj: DataObject) -> str:
    """Return the repr of an object: its class, its size and its window."""
    window = ""
    stacks = SpikeSliceStack | RateSliceStack | PairwiseCompMatrixStack
    if isinstance(obj, stacks) and obj.times:
        window = f", times={_ms(*extent(obj.times))}"
    keys = [short(key, 20) for key in getattr(obj, "metadata", None) or ()]
    if len(keys) > 5:
        keys[5:] = ["..."]
    match obj:
        case SpikeData():
            window = _ms(obj.start_time, obj.start_time + obj.length)
            text = f"N={obj.N}, spikes={_counts(obj).sum()}, window={window}"
        case RateData(inst_Frate_data=rates, times=t):
            window = f"{t[0]} to {t[-1]} ms" if t.size else "there are none"
            unit = None if obj.rate_unit is None else short(obj.rate_unit)
            text = f"shape={rates.shape}, times={window}, rate_unit={unit!r}"
        case SpikeSliceStack():
            text = f"N={obj.N}, S={len(obj)}, spikes={_counts(obj).sum()}{window}"
        case RateSliceStack():
            units, steps, slices = obj.event_stack.shape
            text = f"U={units}, T={steps}, S={slices}{window}"
        case PairwiseCompMatrix():
            text = f"n={len(obj.matrix)}, metadata={keys}"
        case PairwiseCompMatrixStack():
            text = f"n={len(obj.stack)}, S={len(obj)}{window}, metadata={keys}"
    return f"{type(obj).__name__}({text})"


def _counts(obj: SpikeData | SpikeSliceStack) -> NDArray[np.int64]:
    """Return the number of spikes of each unit."""
    slices = [obj] if isinstance(obj, SpikeData) else obj.spike_stack
    total: NDArray[np.int64] = np.zeros(obj.N, dtype=np.int64)
    return sum((sd.spike_trains.counts for sd in slices), total)


def _sizes(obj: DataObject) -> dict[str, Any]:
    """Return the sizes of an object by name, as its summary begins."""
    found: dict[str, Any] = {}
    if isinstance(obj, SpikeData | SpikeSliceStack):
        counts = _counts(obj)
        silent = int(np.count_nonzero(counts == 0))
        found["Units"] = f"{obj.N}, {silent} of them silent" if silent else obj.N
        found["Spikes"] = counts.sum()
    match obj:
        case SpikeData():
            found["Window"] = _span(obj.start_time, obj.start_time + obj.length)
            if obj.N and obj.length > 0:
                found["Mean rates"] = _range(obj.rates("Hz").round(3), "Hz")
            if np.size(obj.raw_data):
                channels, samples = np.atleast_2d(obj.raw_data).shape
                found["Raw data"] = f"{channels} channels, {samples} samples each"
        case SpikeSliceStack(spike_stack=[first, *_]):
            each = _span(first.start_time, first.start_time + first.length)
            found |= {"Slices": len(obj), "First slice": each}
            found["Window"] = _span(*extent(obj.times))
        case RateData(inst_Frate_data=rates, times=times):
            window = _span(times[0], times[-1]) if times.size else "none"
            found = {"Units": obj.N, "Times": times.size, "Window": window}
            found["Rates"] = _range(rates, short(obj.rate_unit or ""))
        case RateSliceStack(event_stack=stack):
            each = f"{stack.shape[1]} steps of {short(obj.step_size)} ms"
            found = {"Units": obj.N, "Slices": len(obj), "Each slice": each}
            found["Window"] = _span(*extent(obj.times))
            found["Rates"] = _range(stack)
        case PairwiseCompMatrix(matrix=matrix):
            found = {"Units": len(matrix), "Values": _range(matrix)}
        case PairwiseCompMatrixStack(stack=stack):
            found = {"Units": len(stack), "Matrices": len(obj)}
            if obj.times:
                found["Window"] = _span(*extent(obj.times))
            found["Values"] = _range(stack)
    return found


def _range(values: Any, unit: str = "") -> str:
    """Return smallest, median and largest value, and how many are not finite."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        return f"of dtype {array.dtype}"
    finite = np.isfinite(array)
    missing = array.size - np.count_nonzero(finite)
    if missing:
        array = array[finite]
    if not array.size:
        return "none that is finite" if missing else "none"
    # The median of a sample: that of hundreds of millions takes seconds.
    median = np.median(array.ravel()[:: array.size // 1_000_000 + 1])
    text = f"{short(array.min())} to {short(array.max())} {unit}".rstrip()
    also = f", {missing} not finite" if missing else ""
    return f"{text}, median {short(median)}{also}"


def _tables(obj: DataObject, cells: int) -> Iterator[Table]:
    """Yield the tables of an object, some of them empty."""
    rows: list[Row]
    if isinstance(obj, UnitObject):
        table = UnitTable(obj.neuron_attributes, obj.N)
        header: Row = ("name", "units", "type", "values")
        rows = [
            (short(c.key, 30), str(len(c.known)), c.kind, _in_words(c))
            for c in list(table.columns.values())[: cells // 3]
        ]
        yield Table("Attributes of the units", header, rows, len(table.columns))
        yield _units(obj, table, cells)
    if isinstance(obj, PairwiseCompMatrix | PairwiseCompMatrixStack):
        labels = obj.labels or ()
        rows = [(str(i), short(label)) for i, label in enumerate(labels[: cells // 2])]
        yield Table("Labels", ("position", "label"), rows, len(labels))
    if isinstance(obj, SpikeSliceStack | RateSliceStack | PairwiseCompMatrixStack):
        times = obj.times or []
        rows = [
            (str(i), str(round(float(start), 4)), str(round(float(end), 4)))
            for i, (start, end) in enumerate(times[: cells // 6])
        ]
        yield Table("Windows", ("position", "start (ms)", "end (ms)"), rows, len(times))
    metadata = getattr(obj, "metadata", None) or {}
    keys = list(metadata)[: cells // 2]
    rows = [(short(key, 30), short(metadata[key], 60)) for key in keys]
    yield Table("Metadata", ("name", "value"), rows, len(metadata))


def _in_words(column: Column) -> str:
    """Return in a few words which values an attribute has."""
    values = list(column.known.values())
    if column.kind == "int":
        return f"{short(min(values))} to {short(max(values))}"
    if column.kind == "float":
        return _range(np.array(values, dtype=np.float64))
    if column.kind == "object":
        return ", ".join(sorted({clean(type(value).__name__) for value in values})[:3])
    if column.kind == "array":
        shapes = {np.shape(value) for value in values if isinstance(value, np.ndarray)}
        if len(shapes) == 1:
            return f"arrays of shape {shapes.pop()}"
        if shapes:
            return f"arrays of {len(shapes)} shapes"
    counted = Counter(short(value, 20) for value in values).most_common()
    if len(counted) > 4 and len(counted) > len(values) / 2:
        return f"{len(counted)} different"
    listed = ", ".join(f"{value} ({count})" for value, count in counted[:3])
    return listed if len(counted) <= 3 else f"{listed}, {len(counted) - 3} more"


def _units(obj: UnitObject, table: UnitTable, cells: int) -> Table:
    """Return a table with a row for each of the first units."""
    measures: dict[str, Any] = {}
    if isinstance(obj, SpikeData | SpikeSliceStack):
        measures["spikes"] = _counts(obj)
    if isinstance(obj, SpikeData) and obj.length > 0:
        measures["rate (Hz)"] = obj.rates("Hz").round(3)
    shown = list(table.columns.items())[:12]
    header = ("unit", *measures, *(short(key, 20) for key, _ in shown))
    known = [column.known for _, column in shown]
    rows = [
        (
            str(unit),
            *(short(values[unit]) for values in measures.values()),
            *(short(values[unit], 24) if unit in values else "" for values in known),
        )
        for unit in range(min(obj.N, max(cells // len(header), 5)))
    ]
    return Table("Units", header, rows, obj.N)


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Yield rows as lines, cells below one another, cut at the edge of the terminal."""
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = ""
        for cell, width in zip(row, widths, strict=True):
            line += f"  {cell}{' ' * (width - display_width(cell))}"
        line = line.rstrip()
        while (excess := display_width(line) - WIDTH) > 0:
            line = line[: -4 - excess].rstrip() + "..."
        yield line


def clean(value: str, width: int = 200) -> str:
    """Return a text as one line of at most `width` printable characters."""
    line = " ".join(value[: 2 * width].split())
    printable = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line
    )
    fits = len(printable) <= width and len(value) <= 2 * width
    return printable if fits else f"{printable[: width - 3]}..."


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    n_wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    n_combining = sum(unicodedata.combining(c) > 0 for c in text)
    return len(text) + n_wide - n_combining


def short(value: Any, width: int = 40) -> str:
    """Return any value in a few words, large and unknown ones by their type."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"{value.dtype} array, shape {value.shape}"
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    match value:
        case None | bool():
            return str(value)
        case int():
            bits = value.bit_length()
            return str(value) if bits <= 64 else f"integer of {bits} bits"
        case float():
            return f"{value:.6g}"
        case datetime.date() | datetime.time():
            return value.isoformat()
        case str():
            text = value
        case Mapping():
            text = f"{{{', '.join(short(key, 20) for key in list(value)[:9])}}}"
        case list() | tuple() if len(value) <= 4:
            text = f"[{', '.join(short(item, 20) for item in value)}]"
        case Sequence() | set() | frozenset():
            text = f"{type(value).__name__} of {len(value)}"
        case _:
            text = type(value).__name__
    return clean(text, width)


def extent(windows: Iterable[Window]) -> Window:
    """Return when the first of some windows begins and the last one ends, in ms."""
    starts, ends = zip(*windows, strict=True)
    return min(starts), max(ends)


def _ms(start_ms: float, end_ms: float) -> str:
    return f"{round(float(start_ms), 4)} to {round(float(end_ms), 4)} ms"


def _span(start_ms: float, end_ms: float) -> str:
    """Return a window in ms, and how long it is in the unit that fits."""
    length = end_ms - start_ms
    for unit, ms, least in (("h", 3_600_000, 2), ("min", 60_000, 2), ("s", 1_000, 1)):
        if length >= least * ms:
            return f"{_ms(start_ms, end_ms)} ({length / ms:.4g} {unit})"
    return _ms(start_ms, end_ms)
