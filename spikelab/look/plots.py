"""Pictures of the data classes, drawn with matplotlib.

The colours suit every kind of colour vision: those of Okabe and Ito for lines, viridis
for images. Images have at most `ROWS` x `COLUMNS` pixels, each the mean of what lies in
it, so that ten million spikes take no longer than ten thousand.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import MissingExtraError
from spikelab.look.facts import extent, short
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of lines, as many as there can be lines."""

ROWS, COLUMNS = 500, 1000
"""Largest number of pixels of an image."""

DOTS = 50_000
"""Largest number of spikes that are drawn one by one."""

TICKS = 20
"""Largest number of labels on an axis."""

MS = {"ms": 1.0, "s": 1000.0}
"""The units of a time axis."""

Floats = NDArray[np.floating[Any]]
Window = tuple[float, float]


def plot(
    obj: DataObject, ax: "Axes | None", time_unit: str | None, **style: Any
) -> "Axes":
    """Draw an object; see :meth:`.LookMixin.plot`."""
    if time_unit not in (None, "ms", "s"):
        raise ValueError(f"time_unit must be 'ms', 's' or None, got {time_unit!r}")
    if ax is None:
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise MissingExtraError("plot", "matplotlib", "plot") from error
        ax = plt.subplots(layout="constrained")[1]
    _draw(obj, Picture(ax, time_unit, style))
    return ax


@attrs.frozen
class Picture:
    """The axes, the unit of their times if one was chosen, and the user's arguments."""

    ax: "Axes"
    time_unit: str | None
    style: dict[str, Any]

    def time_axis(self, name: str, window: Window) -> float:
        """Label the x axis and set its limits; return its unit in ms."""
        unit = self.unit_of(window)
        start, end = window[0] / MS[unit], window[1] / MS[unit]
        if not end > start:
            start, end = start - 0.5, end + 0.5
        self.ax.set(xlabel=f"{name} ({unit})", xlim=(start, end))
        return MS[unit]

    def unit_of(self, window: Window) -> str:
        """Return the unit of a time axis: s from 10 s on."""
        return self.time_unit or ("s" if window[1] - window[0] >= 10_000 else "ms")

    def slice_axis(self, window: Window) -> float:
        """Label the x axis of slices, and mark the event if it lies within."""
        if not window[0] < 0 <= window[1]:
            return self.time_axis("Time in the slice", window)
        self.ax.axvline(0, color=OKABE_ITO[1], linestyle="--", linewidth=1, zorder=3)
        return self.time_axis("Time from the event", window)

    def unit_axis(self, n_units: int) -> None:
        """Label the y axis with the numbers of the units."""
        from matplotlib.ticker import MaxNLocator

        self.ax.set(ylabel="Unit", ylim=(-0.5, max(n_units, 1) - 0.5))
        self.ax.yaxis.set_major_locator(MaxNLocator(integer=True))

    def dots(self, x: Floats, rows: NDArray[Any], n_rows: int) -> None:
        """Draw a mark for each spike, as high as its row."""
        from matplotlib import rcParams

        height = self.ax.get_window_extent().height / self.ax.figure.dpi * 72  # points
        self._lines(
            x,
            rows,
            linestyle="none",
            marker="|",
            markersize=float(np.clip(0.8 * height / max(n_rows, 1), 1.5, 14)),
            color=rcParams["text.color"],
            rasterized=True,
        )

    def _lines(self, x: Floats, y: NDArray[Any], **default: Any) -> None:
        from matplotlib import cbook, lines

        style = cbook.normalize_kwargs(self.style, lines.Line2D)
        self.ax.plot(x, y, **{**default, **style})

    def rates(self, rates: Floats, x: Floats, name: str) -> None:
        """Draw rates of few units as lines, of many as an image."""
        values = _means(rates, ROWS, COLUMNS)
        if len(rates) > len(OKABE_ITO):
            self.unit_axis(len(rates))
            shown = np.linspace(0, x.size, values.shape[1] + 1).astype(int)
            y = _row_edges(len(rates), len(values))
            self.image(_edges(x)[shown], y, values, name)
            return
        self.ax.set_ylabel(name)
        middles = _means(x[None], 1, COLUMNS)[0]
        for unit, row in enumerate(values):
            self._lines(middles, row, color=OKABE_ITO[unit], label=f"unit {unit}")
        if len(rates):
            self.ax.legend(loc="upper right")

    def image(
        self, x: Floats, y: Floats, values: Floats, name: str, brightest: float = 99.5
    ) -> None:
        """Draw values between the edges `x` and `y`, with a colour bar.

        The colours end at the percentile `brightest`, so that one burst of spikes does
        not leave all else dark; the colour bar then ends in an arrow.
        """
        if not values.size:
            return
        finite = values[np.isfinite(values)]
        style: dict[str, Any] = {"cmap": "viridis", "rasterized": True}
        if finite.size and "norm" not in self.style:
            low, most, high = np.percentile(finite, (0, brightest, 100))
            style |= {"vmin": low, "vmax": most if most > low else high}
        shown = np.ma.masked_invalid(values)
        image = self.ax.pcolorfast(x, y, shown, **{**style, **self.style})
        beyond = bool(finite.size) and finite.max() > float(image.get_clim()[1])
        extend = "max" if beyond else "neither"
        self.ax.figure.colorbar(image, ax=self.ax, label=name, extend=extend)

    def spike_rates(
        self, slices: Sequence[SpikeData], window: Window, scale: float, name: str
    ) -> None:
        """Draw the mean rate of each unit over recordings that share a time axis."""
        n_units = slices[0].N
        rows = min(n_units, ROWS)
        row_of = np.arange(n_units) * rows // n_units
        edges = np.linspace(*window, COLUMNS + 1)
        counts = np.zeros((rows, COLUMNS), dtype=np.int64)
        # How much of each pixel is part of a slice: slices may differ in length.
        seconds = np.zeros(COLUMNS)
        for sd in slices:
            inside = np.clip(edges, sd.start_time, sd.start_time + sd.length)
            seconds += np.diff(inside) / 1000
            _add_counts(counts, sd.spike_trains, row_of, window)
        values = _ratio(counts / np.bincount(row_of)[:, None], seconds)
        self.image(edges / scale, _row_edges(n_units, rows), values, name)


@functools.singledispatch
def _draw(obj: Any, picture: Picture) -> None:
    raise TypeError(f"expected a data object, got {type(obj).__name__}")


@_draw.register
def _(obj: SpikeData, picture: Picture) -> None:
    trains = obj.spike_trains
    window = (obj.start_time, obj.start_time + obj.length)
    scale = picture.time_axis("Time", window)
    picture.unit_axis(obj.N)
    if trains.n_spikes <= DOTS or not obj.length:
        units = trains.unit_indices(0, trains.n_spikes)
        picture.dots(trains.flat / scale, units, obj.N)
    else:
        picture.spike_rates([obj], window, scale, "Rate (Hz)")


@_draw.register
def _(obj: RateData, picture: Picture) -> None:
    times = np.asarray(obj.times, dtype=np.float64)
    scale = picture.time_axis(
        "Time", (times[0], times[-1]) if times.size else (0.0, 0.0)
    )
    unit = _label(obj.rate_unit) if obj.rate_unit else "unit not stored"
    picture.rates(obj.inst_Frate_data, times / scale, f"Rate ({unit})")


@_draw.register
def _(obj: SpikeSliceStack, picture: Picture) -> None:
    window = (
        min(sd.start_time for sd in obj),
        max(sd.start_time + sd.length for sd in obj),
    )
    scale = picture.slice_axis(window)
    n_spikes = sum(sd.spike_trains.n_spikes for sd in obj)
    n_rows = obj.N * len(obj)
    few = n_spikes <= DOTS and n_rows <= ROWS
    if not few and window[0] < window[1]:
        picture.unit_axis(obj.N)
        picture.spike_rates(obj.spike_stack, window, scale, "Mean rate (Hz)")
        return
    # A row for each slice of each unit, the slices of a unit below one another.
    for i, sd in enumerate(obj):
        trains = sd.spike_trains
        rows = trains.unit_indices(0, trains.n_spikes) * len(obj) + i
        picture.dots(trains.flat / scale, rows, n_rows)
    ax = picture.ax
    ax.set(ylabel=f"Unit ({len(obj)} slices each)", ylim=(-0.5, n_rows - 0.5))
    units = np.arange(0, obj.N, _step(obj.N, TICKS))
    ax.set_yticks((units + 0.5) * len(obj) - 0.5, [str(unit) for unit in units])
    for unit in range(1, obj.N):
        ax.axhline(unit * len(obj) - 0.5, color="0.6", linewidth=0.5)


@_draw.register
def _(obj: RateSliceStack, picture: Picture) -> None:
    n_steps = obj.event_stack.shape[1]
    steps = (np.arange(n_steps) + 0.5) * obj.step_size
    scale = picture.slice_axis((0.0, n_steps * obj.step_size))
    finite = np.isfinite(obj.event_stack)
    sums = np.where(finite, obj.event_stack, 0.0).sum(axis=2)
    name = f"Mean rate of {len(obj)} slices (unit not stored)"
    picture.rates(_ratio(sums, finite.sum(axis=2)), steps / scale, name)


@_draw.register
def _(obj: PairwiseCompMatrix, picture: Picture) -> None:
    n_units = len(obj.matrix)
    values = _means(obj.matrix, ROWS, ROWS)
    edges = _row_edges(n_units, len(values))
    picture.image(edges, edges, values, "Value", 100)
    names = obj.labels or range(n_units)
    ax = picture.ax
    for axis in (ax.xaxis, ax.yaxis):
        _label_axis(axis, "Unit", n_units, lambda i: _label(names[i]))
    ax.tick_params(axis="x", labelrotation=90 if obj.labels else 0)
    ax.set(aspect="equal")
    ax.invert_yaxis()


@_draw.register
def _(obj: PairwiseCompMatrixStack, picture: Picture) -> None:
    """Draw a row for each pair of units, a column for each window."""
    first, second = _pairs(obj.stack)
    values = _means(obj.stack[first, second], ROWS, COLUMNS)
    x = _row_edges(len(obj), values.shape[1])
    picture.image(x, _row_edges(len(first), len(values)), values, "Value", 100)

    def pair(i: int) -> str:
        names = obj.labels or range(len(obj.stack))
        return f"{_label(names[first[i]])}, {_label(names[second[i]])}"

    ax = picture.ax
    _label_axis(ax.yaxis, "Pair of units", len(first), pair)
    ax.invert_yaxis()
    if not obj.times:
        _label_axis(ax.xaxis, "Window", len(obj), str, TICKS // 2)
        return
    unit = picture.unit_of(extent(obj.times))
    starts = [f"{start / MS[unit]:.6g}" for start, _ in obj.times]
    name = f"Start of the window ({unit})"
    _label_axis(ax.xaxis, name, len(obj), starts.__getitem__, TICKS // 2)


def _label_axis(
    axis: Any, name: str, count: int, label: Callable[[int], str], most: int = TICKS
) -> None:
    """Name an axis, and label its positions, or every n-th if there are many."""
    positions = range(0, count, _step(count, most))
    axis.set_label_text(name)
    axis.set_ticks(positions, [label(i) for i in positions])


def _step(count: int, most: int) -> int:
    """Return the n for which every n-th of `count` things are at most `most`."""
    return max(-(-count // most), 1)


def _label(value: Any) -> str:
    """Return a text of the user as matplotlib shows it unchanged."""
    return short(value, 24).replace("$", r"\$")


def _edges(x: Floats) -> Floats:
    """Return where the pixels of columns at the times `x` begin and end."""
    if x.size < 2:
        return np.array([x[0] - 0.5, x[0] + 0.5]) if x.size else np.zeros(1)
    middles = (x[1:] + x[:-1]) / 2
    return np.concatenate(([2 * x[0] - middles[0]], middles, [2 * x[-1] - middles[-1]]))


def _row_edges(n_units: int, rows: int) -> Floats:
    return np.linspace(0, n_units, rows + 1) - 0.5


def _add_counts(
    counts: NDArray[np.int64],
    trains: SpikeTrains,
    row_of: NDArray[np.int64],
    window: Window,
) -> None:
    """Add the spikes in each pixel of an image, `row_of` being the row of each unit."""
    per_ms = COLUMNS / (window[1] - window[0])
    begin = 0
    for times in trains.blocks():
        columns = ((times - window[0]) * per_ms).astype(np.int64)
        np.clip(columns, 0, COLUMNS - 1, out=columns)
        rows = row_of[trains.unit_indices(begin, begin + len(times))]
        np.add.at(counts.reshape(-1), rows * COLUMNS + columns, 1)
        begin += len(times)


def _means(values: NDArray[Any], rows: int, columns: int) -> Floats:
    """Return a matrix of at most rows x columns, each value the mean of a block.

    Values that are not finite are left out; a block without others is NaN.
    """
    if values.shape[0] <= rows and values.shape[1] <= columns:
        return np.asarray(values, dtype=np.float64)
    at = [
        np.linspace(0, size, min(size, most), endpoint=False).astype(int)
        for size, most in zip(values.shape, (rows, columns), strict=True)
    ]
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0), at[1], axis=1)
    counts = np.add.reduceat(finite, at[1], axis=1, dtype=np.int64)
    return _ratio(np.add.reduceat(sums, at[0]), np.add.reduceat(counts, at[0]))


def _ratio(sums: NDArray[Any], counts: NDArray[Any]) -> Floats:
    """Return sums / counts, NaN where the count is 0."""
    ratio = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=ratio, where=np.broadcast_to(counts > 0, sums.shape))
    return ratio


def _pairs(stack: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of units, each once if the matrices are symmetric."""
    # Sums in another order differ in their last bits.
    symmetric = np.allclose(stack, stack.swapaxes(0, 1), equal_nan=True)
    chosen = ~np.eye(len(stack), dtype=bool)
    first, second = np.nonzero(np.triu(chosen) if symmetric else chosen)
    return first, second
