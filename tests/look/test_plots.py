"""Pictures of the six classes."""

import builtins
import time

import numpy as np
import pytest
from looked_at import HOSTILE, MAKERS, ODD

from spikelab import PairwiseCompMatrix, PairwiseCompMatrixStack, RateData, SpikeData
from spikelab.errors import MissingExtraError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 # after the backend is chosen

EVERY = {**MAKERS, **ODD}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drawn(obj, **kw):
    """Return the axes of a picture that was really drawn."""
    ax = obj.plot(**kw)
    ax.figure.canvas.draw()
    return ax


@pytest.mark.parametrize("name", EVERY)
def test_every_axis_has_a_label(name):
    """Every class and every odd object is drawn, with labels and units."""
    ax = drawn(EVERY[name]())
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    if "Time" in ax.get_xlabel():
        assert ax.get_xlabel().endswith(("(ms)", "(s)"))


def test_it_draws_into_the_axes_that_it_is_given():
    """The axes come back, so that calls can be chained."""
    figure, ax = plt.subplots()
    assert MAKERS["recording"]().plot(ax) is ax
    assert plt.get_fignums() == [figure.number]


def test_a_raster_has_a_mark_for_each_spike():
    """At its time, in the row of its unit."""
    sd = SpikeData([[1.0, 3.0], [], [2.5]], start_time=-5.0, length=10.0)
    ax = drawn(sd, color="tab:blue", ms=3)
    (marks,) = ax.lines
    assert marks.get_xdata().tolist() == [1.0, 3.0, 2.5]
    assert marks.get_ydata().tolist() == [0, 0, 2]
    assert (marks.get_color(), marks.get_markersize()) == ("tab:blue", 3)
    assert ax.get_xlim() == (-5.0, 5.0)


@pytest.mark.parametrize(
    ("length", "unit", "label", "end"),
    [
        (9_000.0, None, "Time (ms)", 9_000),
        (60_000.0, None, "Time (s)", 60),
        (60_000.0, "ms", "Time (ms)", 60_000),
        (9_000.0, "s", "Time (s)", 9),
    ],
)
def test_the_unit_of_time(length, unit, label, end):
    """Seconds for long recordings, what is asked for otherwise."""
    ax = drawn(SpikeData([[1.0]], length=length), time_unit=unit)
    assert (ax.get_xlabel(), ax.get_xlim()) == (label, (0, end))


def test_a_wrong_unit_of_time():
    """The error names the parameter, the rule and the value."""
    with pytest.raises(
        ValueError, match="time_unit must be 'ms', 's' or None, got 'h'"
    ):
        MAKERS["recording"]().plot(time_unit="h")


def image_of(ax):
    """Return the values of the one image."""
    (image,) = [*ax.images, *ax.collections]
    return np.asarray(image.get_array())


def test_many_spikes_are_an_image_of_rates():
    """Each pixel is the mean rate of its units in its time."""
    steady = np.arange(0.5, 100_000, 1.0)  # 1 kHz
    sd = SpikeData([steady, steady[::2], []], length=100_000.0)
    ax = drawn(sd)
    means = image_of(ax).mean(axis=1)
    assert means == pytest.approx([1000, 500, 0], rel=1e-3)
    assert ax.figure.axes[1].get_ylabel() == "Rate (Hz)"


def test_ten_million_spikes_are_drawn_in_a_second():
    """The image is counted by block."""
    flat = np.sort(np.random.default_rng(0).uniform(0, 3.6e6, 10_000))
    sd = SpikeData([flat] * 1000, length=3.6e6)
    drawn(SpikeData([[1.0]], length=2.0))  # matplotlib itself
    began = time.process_time()
    drawn(sd)
    assert time.process_time() - began < 1.5  # of this process, whoever else is busy


def test_slices_stand_around_their_event():
    """Time 0 is marked, and each slice of a unit has its row."""
    sd = SpikeData([[10.0, 20.0, 30.0], [21.0]], length=100.0)
    ax = drawn(sd.align_to_events([10.0, 20.0], 5, 8))
    assert ax.get_xlabel() == "Time from the event (ms)"
    marks = [line for line in ax.lines if line.get_marker() == "|"]
    assert [m.get_xdata().tolist() for m in marks] == [[0.0], [0.0, 1.0]]
    assert [m.get_ydata().tolist() for m in marks] == [[0], [1, 3]]


def test_many_slices_are_an_image_of_mean_rates():
    """The mean counts the slices that reach so far."""
    sd = SpikeData([np.arange(0.5, 60_000, 1.0)] * 2, length=60_000.0)
    ax = drawn(sd.frames(1000))
    assert image_of(ax).mean() == pytest.approx(1000, rel=1e-3)
    assert ax.get_xlabel() == "Time in the slice (ms)"


def test_few_rates_are_lines_and_many_an_image():
    """Lines have a legend and colours that everybody can tell apart."""
    times = np.arange(0, 5000.0)
    few = drawn(RateData(np.ones((3, 5000)), times, rate_unit="Hz"))
    assert few.get_ylabel() == "Rate (Hz)"
    assert [t.get_text() for t in few.get_legend().texts] == [
        "unit 0",
        "unit 1",
        "unit 2",
    ]
    assert len({line.get_color() for line in few.lines}) == 3
    rates = np.repeat(np.arange(8.0)[:, None], 5000, axis=1)
    many = drawn(RateData(rates, times, rate_unit="Hz"))
    assert image_of(many)[:, 0].tolist() == list(range(8))
    assert many.figure.axes[1].get_ylabel() == "Rate (Hz)"


def test_rates_at_uneven_times_stand_at_their_times():
    """An image has pixels as wide as the steps."""
    rates = np.repeat(np.arange(8.0)[:, None], 3, axis=1)
    ax = drawn(RateData(rates, [0.0, 1.0, 100.0]))
    (image,) = [*ax.images, *ax.collections]
    assert tuple(image.get_extent())[:2] == (-0.5, 149.5)


def test_a_comparison_has_its_labels():
    """On both axes, as they are: no markup, no mathematics, no control characters."""
    matrix = PairwiseCompMatrix(np.eye(2), ["$x_0$", HOSTILE])
    ax = drawn(matrix)
    for axis in (ax.xaxis, ax.yaxis):
        first, second = [label.get_text() for label in axis.get_ticklabels()]
        assert first == r"\$x_0\$"
        assert second.isprintable()
        assert len(second) < 40


@pytest.mark.parametrize(("symmetric", "rows"), [(True, 3), (False, 6)])
def test_a_stack_has_a_row_for_each_pair(symmetric, rows):
    """Each pair once, unless it has two values."""
    stack = np.random.default_rng(0).normal(size=(3, 3, 4))
    if symmetric:
        stack = stack + stack.swapaxes(0, 1)
    times = [(start, start + 20_000.0) for start in (0.0, 20_000.0, 40_000.0, 60_000.0)]
    ax = drawn(PairwiseCompMatrixStack(stack, ["a", "b", "c"], times))
    assert image_of(ax).shape == (rows, 4)
    assert ax.get_yticklabels()[0].get_text() == "a, b"
    assert ax.get_xlabel() == "Start of the window (s)"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "20", "40", "60"]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    """As for every feature that needs an extra."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"spikelab\[plot\]"):
        MAKERS["recording"]().plot()
