"""Objects of the six classes that are looked at, ordinary ones and hostile ones."""

from html.parser import HTMLParser

import numpy as np

from spikelab import (
    PairwiseCompMatrix,
    PairwiseCompMatrixStack,
    RateData,
    RateSliceStack,
    SpikeData,
    SpikeSliceStack,
)

HOSTILE = (
    "<script>alert(1)</script>\x1b[31m\n\u202e$x$ & \"'" + "\U0001f400" + "x" * 300
)
"""Markup, an escape sequence, a line break, a bidi override, mathtext, wide, long."""

UNITS = [
    {"electrode": 4, "location": [0.0, 20.0], "quality": "good", HOSTILE: HOSTILE},
    {"electrode": 7, "quality": None, "waveform": np.zeros((82, 4), np.float32)},
]


def recording():
    """Two units, with attributes and metadata of every kind."""
    return SpikeData(
        [[1.0, 5.5, 12.0, 40.0], [2.25, 3.0]],
        length=50.0,
        neuron_attributes=UNITS,
        metadata={HOSTILE: HOSTILE, "rig": {"gain": 0.195}, "huge": 10**5000},
    )


def rates():
    """Rates that are not all finite, at uneven times."""
    values = np.array([[0.5, np.nan, 2.0], [0.0, np.inf, 1.0]])
    return RateData(values, np.array([-1.5, 0.1, 7.0]), UNITS, HOSTILE)


def slices():
    """Windows around events."""
    return recording().align_to_events([12.0, 30.0], pre_ms=10, post_ms=10)


def rate_slices():
    """Rates in windows, one missing throughout."""
    stack = np.arange(12.0).reshape(2, 2, 3)
    stack[0, 0] = np.nan
    return RateSliceStack(event_matrix=stack, neuron_attributes=UNITS)


def comparison():
    """A comparison with a missing value."""
    values = np.array([[1.0, np.nan], [0.25, 1.0]])
    return PairwiseCompMatrix(values, [HOSTILE, 3], {HOSTILE: HOSTILE})


def comparisons():
    """Comparisons in three windows."""
    times = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    return PairwiseCompMatrixStack(
        np.arange(12.0).reshape(2, 2, 3), [HOSTILE, 3], times, {HOSTILE: HOSTILE}
    )


def empty_rates():
    """Rates without a time."""
    return RateData(np.zeros((3, 0)), [])


def unknown_rates():
    """Rates that are all missing, at one time."""
    return RateData(np.full((8, 2), np.nan), [1.0, 1.0])


MAKERS = {
    maker.__name__: maker
    for maker in (recording, rates, slices, rate_slices, comparison, comparisons)
}
"""One object of each class, by name."""

ODD = {
    "no units": lambda: SpikeData([], length=50.0),
    "no spikes": lambda: SpikeData([[], []], length=50.0),
    "no length": lambda: SpikeData([[0.0]], length=0.0),
    "late": lambda: SpikeData([[4e6 + 1]], start_time=4e6, length=2.0),
    "raw data": lambda: SpikeData(
        [[1.0]], length=5.0, raw_data=np.zeros((2, 50)), raw_time=10.0
    ),
    "no rates": empty_rates,
    "no finite rate": unknown_rates,
    "no matrix": lambda: PairwiseCompMatrix(np.zeros((0, 0))),
    "one pair": lambda: PairwiseCompMatrix(np.array([[True]])),
    "no windows": lambda: PairwiseCompMatrixStack(np.zeros((2, 2, 0))),
    "many labels": lambda: PairwiseCompMatrix(np.eye(90), list(range(90))),
    "uneven slices": lambda: SpikeSliceStack(
        spike_stack=[SpikeData([[1.0]], length=5.0), SpikeData([[7.0]], length=9.0)]
    ),
}
"""Objects at the edge of what there can be."""


class Tags(HTMLParser):
    """Collect the tags and check that they close in order."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        """Note a tag and its attributes."""
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close the innermost tag."""
        assert self.open.pop() == tag


def parsed(html):
    """Return the tags of a page, each with its attributes."""
    tags = Tags()
    tags.feed(html)
    assert not tags.open
    return tags.found
