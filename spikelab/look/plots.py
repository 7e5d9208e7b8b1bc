"""Pictures of the data classes, drawn with matplotlib.

Colours can be told apart with every kind of colour vision: those of Okabe and Ito for
lines, viridis for images. Images have at most `ROWS` x `COLUMNS` pixels, each the mean of
what lies in it, so that ten million spikes take no longer than ten thousand.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import MissingExtraError
from spikelab.look.facts import short
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import BLOCK
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

TICKS = 30
"""Largest number of labels on an axis."""

Floats = NDArray[np.floating[Any]]


def plot(
    obj: DataObject, ax: "Axes | None", time_unit: str | None, **kw: Any
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
    _draw(obj, ax, time_unit, **kw)
    return ax


@functools.singledispatch
def _draw(obj: Any, ax: "Axes", time_unit: str | None, **kw: Any) -> None:
    raise TypeError(f"expected a data object, got {type(obj).__name__}")


@_draw.register(SpikeData)
def _draw_raster(obj: SpikeData, ax: "Axes", time_unit: str | None, **kw: Any) -> None:
    trains = obj.spike_trains
    window = (obj.start_time, obj.start_time + obj.length)
    scale = _time_axis(ax, "Time", window, time_unit)
    _unit_axis(ax, obj.N)
    if trains.n_spikes <= DOTS or not obj.length:
        units = trains.unit_indices(0, trains.n_spikes)
        _dots(ax, trains.flat / scale, units, obj.N, **kw)
        return
    _spike_image(ax, [obj], window, scale, "Rate (Hz)", **kw)


@_draw.register(RateData)
def _draw_rates(obj: RateData, ax: "Axes", time_unit: str | None, **kw: Any) -> None:
    times = np.asarray(obj.times, dtype=np.float64)
    ends = (times[0], times[-1]) if times.size else (0.0, 0.0)
    scale = _time_axis(ax, "Time", ends, time_unit)
    name = (
        f"Rate ({_text(obj.rate_unit)})" if obj.rate_unit else "Rate (unit not stored)"
    )
    _rates(ax, obj.inst_Frate_data, times / scale, name, **kw)


@_draw.register(SpikeSliceStack)
def _draw_slices(
    obj: SpikeSliceStack, ax: "Axes", time_unit: str | None, **kw: Any
) -> None:
    start = min(sd.start_time for sd in obj)
    window = (start, max(sd.start_time + sd.length for sd in obj))
    scale = _slice_axis(ax, window, time_unit)
    n_spikes = sum(len(times) for sd in obj for times in sd.train)
    few = n_spikes <= DOTS and obj.N * len(obj) <= ROWS
    if few or window[0] == window[1]:
        # A row for each slice of each unit, the slices of a unit below one another.
        for i, sd in enumerate(obj):
            trains = sd.spike_trains
            rows = trains.unit_indices(0, trains.n_spikes) * len(obj) + i
            _dots(ax, trains.flat / scale, rows, obj.N * len(obj), **kw)
        _unit_blocks(ax, obj.N, len(obj))
        return
    _unit_axis(ax, obj.N)
    _spike_image(ax, obj.spike_stack, window, scale, "Mean rate (Hz)", **kw)


@_draw.register(RateSliceStack)
def _draw_mean_rates(
    obj: RateSliceStack, ax: "Axes", time_unit: str | None, **kw: Any
) -> None:
    n_steps = obj.event_stack.shape[1]
    steps = (np.arange(n_steps) + 0.5) * obj.step_size
    scale = _slice_axis(ax, (0.0, n_steps * obj.step_size), time_unit)
    finite = np.isfinite(obj.event_stack)
    sums = np.where(finite, obj.event_stack, 0.0).sum(axis=2)
    mean = _ratio(sums, finite.sum(axis=2))
    _rates(
        ax,
        mean,
        steps / scale,
        f"Mean rate of {len(obj)} slices (unit not stored)",
        **kw,
    )


@_draw.register(PairwiseCompMatrix)
def _draw_matrix(
    obj: PairwiseCompMatrix, ax: "Axes", time_unit: str | None, **kw: Any
) -> None:
    n_units = len(obj.matrix)
    values = _means(obj.matrix, ROWS, ROWS)
    edges = _row_edges(n_units, len(values))
    _image(ax, edges, edges, values, "Value", 100, **kw)
    names = obj.labels or range(n_units)
    how = {"rotation": 90} if obj.labels else {}
    _label_axis(ax.xaxis, "Unit", n_units, names.__getitem__, **how)
    _label_axis(ax.yaxis, "Unit", n_units, names.__getitem__)
    ax.set(aspect="equal")
    ax.invert_yaxis()


@_draw.register(PairwiseCompMatrixStack)
def _draw_matrices(
    obj: PairwiseCompMatrixStack, ax: "Axes", time_unit: str | None, **kw: Any
) -> None:
    """Draw a row for each pair of units, a column for each window."""
    first, second = _pairs(obj.stack)
    values = _means(obj.stack[first, second], ROWS, COLUMNS)
    x = _row_edges(len(obj), values.shape[1])
    _image(ax, x, _row_edges(len(first), len(values)), values, "Value", 100, **kw)
    names = obj.labels or range(len(obj.stack))
    _label_axis(
        ax.yaxis,
        "Pair of units",
        len(first),
        lambda i: f"{_text(names[first[i]])}, {_text(names[second[i]])}",
    )
    ax.invert_yaxis()
    name, times = "Window", obj.times
    if times is not None:
        unit = time_unit or _fitting_unit(times[0][0], times[-1][1]) if times else "ms"
        name = f"Start of the window ({unit})"
    _label_axis(
        ax.xaxis,
        name,
        len(obj),
        lambda i: i if times is None else f"{times[i][0] / _MS[unit]:.6g}",
        every=10,
    )


_MS = {"ms": 1.0, "s": 1000.0}


def _fitting_unit(start_ms: float, end_ms: float) -> str:
    return "s" if end_ms - start_ms >= 10_000 else "ms"


def _time_axis(
    ax: "Axes", name: str, window: tuple[float, float], time_unit: str | None
) -> float:
    """Label the x axis and set its limits; return its unit in ms."""
    unit = time_unit or _fitting_unit(*window)
    start, end = window[0] / _MS[unit], window[1] / _MS[unit]
    if not end > start:
        start, end = start - 0.5, end + 0.5
    ax.set(xlabel=f"{name} ({unit})", xlim=(start, end))
    return _MS[unit]


def _slice_axis(
    ax: "Axes", window: tuple[float, float], time_unit: str | None
) -> float:
    """Label the x axis of slices, and mark the event if there is one within."""
    event = window[0] < 0 <= window[1]
    name = "Time from the event" if event else "Time in the slice"
    scale = _time_axis(ax, name, window, time_unit)
    if event:
        ax.axvline(0, color=OKABE_ITO[1], linestyle="--", linewidth=1, zorder=3)
    return scale


def _unit_axis(ax: "Axes", n_units: int) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set(ylabel="Unit", ylim=(-0.5, max(n_units, 1) - 0.5))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def _unit_blocks(ax: "Axes", n_units: int, n_slices: int) -> None:
    """Label the rows of slices by their units, with lines between the units."""
    ax.set(
        ylabel=f"Unit ({n_slices} slices each)", ylim=(-0.5, n_units * n_slices - 0.5)
    )
    step = -(-n_units // TICKS) if n_units else 1
    units = np.arange(0, n_units, step)
    ax.set_yticks((units + 0.5) * n_slices - 0.5, [str(unit) for unit in units])
    for unit in range(1, n_units):
        ax.axhline(unit * n_slices - 0.5, color="0.6", linewidth=0.5)


def _label_axis(
    axis: Any,
    name: str,
    count: int,
    label: Callable[[int], Any],
    every: int = TICKS,
    **how: Any,
) -> None:
    """Name an axis, and label its positions, or every n-th if there are many."""
    positions = range(0, count, max(-(-count // every), 1))
    axis.set_label_text(name)
    axis.set_ticks(positions, [_text(label(i)) for i in positions], **how)


def _text(value: Any) -> str:
    """Return a label of the user as matplotlib shows it unchanged."""
    return short(value, 24).replace("$", r"\$")


def _dots(ax: "Axes", x: Floats, rows: NDArray[Any], n_rows: int, **kw: Any) -> None:
    from matplotlib import cbook, lines, rcParams

    height = ax.get_window_extent().height / ax.figure.dpi * 72  # points
    how = {
        "linestyle": "none",
        "marker": "|",
        "markersize": float(np.clip(0.8 * height / max(n_rows, 1), 1.5, 14)),
        "color": rcParams["text.color"],
        "rasterized": True,
    }
    ax.plot(x, rows, **{**how, **cbook.normalize_kwargs(kw, lines.Line2D)})


def _rates(ax: "Axes", rates: Floats, x: Floats, name: str, **kw: Any) -> None:
    """Draw rates of few units as lines, of many as an image."""
    values = _means(rates, ROWS, COLUMNS)
    if len(rates) > len(OKABE_ITO):
        _unit_axis(ax, len(rates))
        edges = _edges(x)[np.linspace(0, x.size, values.shape[1] + 1).astype(int)]
        _image(ax, edges, _row_edges(len(rates), len(values)), values, name, **kw)
        return
    from matplotlib import cbook, lines

    ax.set_ylabel(name)
    kw = cbook.normalize_kwargs(kw, lines.Line2D)
    middles = _means(x[None], 1, COLUMNS)[0]
    for unit, (row, color) in enumerate(zip(values, OKABE_ITO, strict=False)):
        ax.plot(middles, row, **{"color": color, "label": f"unit {unit}", **kw})
    if len(rates):
        ax.legend(loc="upper right")


def _image(
    ax: "Axes",
    x: Floats,
    y: Floats,
    values: Floats,
    name: str,
    brightest: float = 99.5,
    **kw: Any,
) -> None:
    """Draw values between the edges `x` and `y`, with a colour bar.

    The colours end at the percentile `brightest`, so that one burst of spikes does not
    leave all else dark; the colour bar then ends in an arrow.
    """
    if not values.size:
        return
    finite = values[np.isfinite(values)]
    how: dict[str, Any] = {"cmap": "viridis", "rasterized": True}
    if finite.size and "norm" not in kw:
        low, most, high = np.percentile(finite, (0, brightest, 100))
        how |= {"vmin": low, "vmax": most if most > low else high}
    image = ax.pcolorfast(x, y, np.ma.masked_invalid(values), **{**how, **kw})
    beyond = bool(finite.size) and image.norm.vmax < finite.max()
    extend = "max" if beyond else "neither"
    ax.figure.colorbar(image, ax=ax, label=name, extend=extend)


def _edges(x: Floats) -> Floats:
    """Return where the pixels of columns at the times `x` begin and end."""
    if x.size < 2:
        return np.array([x[0] - 0.5, x[0] + 0.5]) if x.size else np.zeros(1)
    middles = (x[1:] + x[:-1]) / 2
    return np.concatenate(([2 * x[0] - middles[0]], middles, [2 * x[-1] - middles[-1]]))


def _row_edges(n_units: int, rows: int) -> Floats:
    return np.linspace(0, n_units, rows + 1) - 0.5


def _spike_image(
    ax: "Axes",
    slices: Sequence[SpikeData],
    window: tuple[float, float],
    scale: float,
    name: str,
    **kw: Any,
) -> None:
    """Draw the mean rate of each unit over recordings that share a time axis."""
    n_units = slices[0].N
    rows = min(n_units, ROWS)
    row_of = np.arange(n_units) * rows // n_units
    edges = np.linspace(*window, COLUMNS + 1)
    # How much of each pixel is part of a slice: slices may differ in length.
    seconds = np.zeros(COLUMNS)
    for sd in slices:
        inside = np.clip(edges, sd.start_time, sd.start_time + sd.length)
        seconds += np.diff(inside) / 1000
    counts = _counted(slices, row_of, window) / np.bincount(row_of)[:, None]
    y = _row_edges(n_units, rows)
    _image(ax, edges / scale, y, _ratio(counts, seconds), name, **kw)


def _counted(
    slices: Sequence[SpikeData], row_of: NDArray[Any], window: tuple[float, float]
) -> NDArray[np.int64]:
    """Count the spikes in each pixel of an image, int64 (rows, COLUMNS).

    `row_of` is the row of each unit.
    """
    counts = np.zeros((row_of[-1] + 1) * COLUMNS, dtype=np.int64)
    per_ms = COLUMNS / (window[1] - window[0])
    pixels, waiting = [np.empty(0, dtype=np.int64)], 0
    for sd in slices:
        start, trains = 0, sd.spike_trains
        for times in trains.blocks():
            column = ((times - window[0]) * per_ms).astype(np.int64)
            np.clip(column, 0, COLUMNS - 1, out=column)
            units = trains.unit_indices(start, start + len(times))
            pixels.append(column + row_of[units] * COLUMNS)
            start, waiting = start + len(times), waiting + len(times)
            # One pass over the image for many short slices.
            if waiting >= BLOCK:
                counts += np.bincount(np.concatenate(pixels), minlength=len(counts))
                pixels, waiting = pixels[:1], 0
    counts += np.bincount(np.concatenate(pixels), minlength=len(counts))
    return counts.reshape(-1, COLUMNS)


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
    known = np.broadcast_to(counts, sums.shape) > 0
    ratio = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=ratio, where=known)
    return ratio


def _pairs(stack: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of units, each once if the matrices are symmetric."""
    # Sums in another order differ in their last bits.
    symmetric = all(
        np.allclose(matrix, matrix.T, equal_nan=True)
        for matrix in np.moveaxis(stack, 2, 0)
    )
    chosen = ~np.eye(len(stack), dtype=bool)
    first, second = np.nonzero(np.triu(chosen) if symmetric else chosen)
    return first, second
