"""Pictures of the data classes, drawn with matplotlib.

The colours suit every kind of colour vision: those of Okabe and Ito for lines, viridis
for images. Images have at most `ROWS` x `COLUMNS` pixels, each the mean of what lies in
it, so that ten million spikes take no longer than ten thousand.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import MissingExtraError
from spikelab.look.facts import extent, short
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.windows import Window

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


def plot(
    obj: DataObject,
    ax: "Axes | None" = None,
    *,
    time_unit: Literal["ms", "s"] | None = None,
    **kw: Any,
) -> "Axes":
    """Draw the object with matplotlib.

    - Spikes are a raster: a mark for each spike, or from 50,000 on an image of
      the rate of each unit.
    - Slices of spikes are rasters with a row for each slice of each unit, or,
      if these are too many, an image of the mean rate over the slices. The event,
      if the slices have one, is a dashed line at 0.
    - Rates of up to six units are lines, of more an image. Those of slices are the
      mean over the slices.
    - A comparison is an image with the labels of the units. A stack of
      comparisons has a row for each pair of units, a column for each window.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure.
    time_unit : {"ms", "s"}, optional
        Unit of the time axis; by default s for 10 s and more.
    **kw
        Further arguments of what draws: :meth:`matplotlib.axes.Axes.plot` for
        marks and lines, :meth:`matplotlib.axes.Axes.pcolorfast` for images.

    Returns
    -------
    matplotlib.axes.Axes
        Where it was drawn.

    Raises
    ------
    MissingExtraError
        If matplotlib, of the extra ``plot``, is not installed.
    ValueError
        If `time_unit` is neither.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> ax = SpikeData([[12.5, 430.0], [77.0]], length=1000.0).plot(color="black")
    >>> ax.get_xlabel()
    'Time (ms)'
    """
    if time_unit not in (None, "ms", "s"):
        raise ValueError(f"time_unit must be 'ms', 's' or None, got {time_unit!r}")
    if ax is None:
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise MissingExtraError("plot", "matplotlib", "plot") from error
        ax = plt.subplots(layout="constrained")[1]
    picture = Picture(ax, time_unit, kw)
    match obj:
        case SpikeData():
            picture.spikes(obj)
        case SpikeSliceStack():
            picture.spike_slices(obj)
        case RateData():
            picture.rates(obj)
        case RateSliceStack():
            picture.rate_slices(obj)
        case PairwiseCompMatrix():
            picture.comparison(obj)
        case PairwiseCompMatrixStack():
            picture.comparisons(obj)
    return ax


@attrs.frozen
class Picture:
    """The axes, the unit of their times if one was chosen, and the user's arguments."""

    ax: "Axes"
    time_unit: str | None
    style: dict[str, Any]

    def spikes(self, sd: SpikeData) -> None:
        """Draw a raster, or the rates of many spikes."""
        window = (sd.start_time, sd.start_time + sd.length)
        scale = self._time_axis("Time", window)
        self._unit_axis(sd.N)
        trains = sd.spike_trains
        if trains.n_spikes <= DOTS or not sd.length:
            units = trains.unit_indices(0, trains.n_spikes)
            self._raster(trains.flat / scale, units, sd.N)
        else:
            self._spike_rates([sd], window, scale, "Rate (Hz)")

    def spike_slices(self, stack: SpikeSliceStack) -> None:
        """Draw a row for each slice of each unit, or the mean rates of many."""
        window = (
            min(sd.start_time for sd in stack),
            max(sd.start_time + sd.length for sd in stack),
        )
        scale = self._slice_axis(window)
        n_slices, n_rows = len(stack), stack.N * len(stack)
        few = sum(sd.spike_trains.n_spikes for sd in stack) <= DOTS and n_rows <= ROWS
        if not few and window[0] < window[1]:
            self._unit_axis(stack.N)
            self._spike_rates(stack.spike_stack, window, scale, "Mean rate (Hz)")
            return
        for i, sd in enumerate(stack):
            trains = sd.spike_trains
            rows = trains.unit_indices(0, trains.n_spikes) * n_slices + i
            self._raster(trains.flat / scale, rows, n_rows)
        self.ax.set(ylabel=f"Unit ({n_slices} slices each)", ylim=(-0.5, n_rows - 0.5))
        units = _spaced(stack.N)
        middles = [(unit + 0.5) * n_slices - 0.5 for unit in units]
        self.ax.set_yticks(middles, list(map(str, units)))
        for unit in range(1, stack.N):
            self.ax.axhline(unit * n_slices - 0.5, color="0.6", linewidth=0.5)

    def rates(self, obj: RateData) -> None:
        """Draw rates at their times."""
        times = np.asarray(obj.times, dtype=np.float64)
        window = (times[0], times[-1]) if times.size else (0.0, 0.0)
        scale = self._time_axis("Time", window)
        unit = _label(obj.rate_unit) if obj.rate_unit else "unit not stored"
        self._lines_or_image(obj.inst_Frate_data, times / scale, f"Rate ({unit})")

    def rate_slices(self, stack: RateSliceStack) -> None:
        """Draw the mean rates of the slices."""
        n_steps = stack.event_stack.shape[1]
        scale = self._slice_axis((0.0, n_steps * stack.step_size))
        middles = (np.arange(n_steps) + 0.5) * stack.step_size
        finite = np.isfinite(stack.event_stack)
        sums = np.where(finite, stack.event_stack, 0.0).sum(axis=2)
        means = _ratio(sums, finite.sum(axis=2))
        name = f"Mean rate of {len(stack)} slices (unit not stored)"
        self._lines_or_image(means, middles / scale, name)

    def comparison(self, obj: PairwiseCompMatrix) -> None:
        """Draw a matrix with the labels of the units on both axes."""
        n_units = len(obj.matrix)
        values = _means(obj.matrix, ROWS, ROWS)
        edges = _row_edges(n_units, len(values))
        self._image(edges, edges, values, "Value", 100)
        names, units = obj.labels or range(n_units), _spaced(n_units)
        for axis in (self.ax.xaxis, self.ax.yaxis):
            axis.set_ticks(units, [_label(names[unit]) for unit in units])
        self.ax.tick_params(axis="x", labelrotation=90 if obj.labels else 0)
        self.ax.set(xlabel="Unit", ylabel="Unit", aspect="equal")
        self.ax.invert_yaxis()

    def comparisons(self, obj: PairwiseCompMatrixStack) -> None:
        """Draw a row for each pair of units, once if symmetric, a column for a window."""
        n_units, n_windows = len(obj.stack), len(obj)
        # Sums in another order differ in their last bits.
        symmetric = np.allclose(obj.stack, obj.stack.swapaxes(0, 1), equal_nan=True)
        chosen = ~np.eye(n_units, dtype=bool)
        first, second = np.nonzero(np.triu(chosen) if symmetric else chosen)
        values = _means(obj.stack[first, second], ROWS, COLUMNS)
        x = _row_edges(n_windows, values.shape[1])
        self._image(x, _row_edges(len(first), len(values)), values, "Value", 100)
        names, pairs = obj.labels or range(n_units), _spaced(len(first))
        texts = [
            f"{_label(names[first[i]])}, {_label(names[second[i]])}" for i in pairs
        ]
        self.ax.set_yticks(pairs, texts)
        windows = _spaced(n_windows, TICKS // 2)
        if obj.times:
            unit = self._unit_of(extent(obj.times))
            starts = [f"{obj.times[i][0] / MS[unit]:.6g}" for i in windows]
            self.ax.set_xticks(windows, starts)
            self.ax.set_xlabel(f"Start of the window ({unit})")
        else:
            self.ax.set_xticks(windows)
            self.ax.set_xlabel("Window")
        self.ax.set_ylabel("Pair of units")
        self.ax.invert_yaxis()

    def _unit_of(self, window: Window) -> str:
        """Return the unit of a time axis: s from 10 s on."""
        return self.time_unit or ("s" if window[1] - window[0] >= 10_000 else "ms")

    def _time_axis(self, name: str, window: Window) -> float:
        """Label the x axis and set its limits; return its unit in ms."""
        unit = self._unit_of(window)
        start, end = window[0] / MS[unit], window[1] / MS[unit]
        if not end > start:
            start, end = start - 0.5, end + 0.5
        self.ax.set(xlabel=f"{name} ({unit})", xlim=(start, end))
        return MS[unit]

    def _slice_axis(self, window: Window) -> float:
        """Label the x axis of slices, and mark the event if it lies within."""
        if not window[0] < 0 <= window[1]:
            return self._time_axis("Time in the slice", window)
        self.ax.axvline(0, color=OKABE_ITO[1], linestyle="--", linewidth=1, zorder=3)
        return self._time_axis("Time from the event", window)

    def _unit_axis(self, n_units: int) -> None:
        from matplotlib.ticker import MaxNLocator

        self.ax.set(ylabel="Unit", ylim=(-0.5, max(n_units, 1) - 0.5))
        self.ax.yaxis.set_major_locator(MaxNLocator(integer=True))

    def _raster(self, x: Floats, rows: NDArray[Any], n_rows: int) -> None:
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

    def _spike_rates(
        self, slices: Sequence[SpikeData], window: Window, scale: float, name: str
    ) -> None:
        """Draw the mean rate of each unit over recordings that share a time axis."""
        n_units = slices[0].N
        rows = min(n_units, ROWS)
        row_of = np.arange(n_units) * rows // n_units
        edges = np.linspace(*window, COLUMNS + 1)
        counts = np.zeros(rows * COLUMNS, dtype=np.int64)
        # How much of each pixel is part of a slice: slices may differ in length.
        seconds = np.zeros(COLUMNS)
        per_ms = COLUMNS / (window[1] - window[0])
        for sd in slices:
            inside = np.clip(edges, sd.start_time, sd.start_time + sd.length)
            seconds += np.diff(inside) / 1000
            begin = 0
            for times in sd.spike_trains.blocks():
                columns = ((times - window[0]) * per_ms).astype(np.int64)
                np.clip(columns, 0, COLUMNS - 1, out=columns)
                units = sd.spike_trains.unit_indices(begin, begin + len(times))
                np.add.at(counts, row_of[units] * COLUMNS + columns, 1)
                begin += len(times)
        per_unit = counts.reshape(rows, COLUMNS) / np.bincount(row_of)[:, None]
        values = _ratio(per_unit, seconds)
        self._image(edges / scale, _row_edges(n_units, rows), values, name)

    def _lines_or_image(self, rates: Floats, x: Floats, name: str) -> None:
        """Draw rates of few units as lines, of many as an image."""
        values = _means(rates, ROWS, COLUMNS)
        if len(rates) <= len(OKABE_ITO):
            self.ax.set_ylabel(name)
            middles = _means(x[None], 1, COLUMNS)[0]
            for unit, row in enumerate(values):
                self._lines(middles, row, color=OKABE_ITO[unit], label=f"unit {unit}")
            if len(rates):
                self.ax.legend(loc="upper right")
            return
        self._unit_axis(len(rates))
        # Where the pixels of the columns begin and end: between the times.
        if x.size:
            first, last = (x[1] - x[0], x[-1] - x[-2]) if x.size > 1 else (1.0, 1.0)
            around = np.concatenate(([x[0] - first], x, [x[-1] + last]))
            edges = (around[1:] + around[:-1]) / 2
            shown = np.linspace(0, x.size, values.shape[1] + 1).astype(int)
            y = _row_edges(len(rates), len(values))
            self._image(edges[shown], y, values, name)

    def _image(
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


def _spaced(count: int, most: int = TICKS) -> range:
    """Return all of `count` positions, or every n-th if there are more than `most`."""
    return range(0, count, max(-(-count // most), 1))


def _label(value: Any) -> str:
    """Return a text of the user as matplotlib shows it unchanged."""
    return short(value, 24).replace("$", r"\$")


def _row_edges(count: int, rows: int) -> Floats:
    """Return the edges of the rows of an image of `count` things."""
    return np.linspace(0, count, rows + 1) - 0.5


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
