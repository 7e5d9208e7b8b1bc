"""Rates, comparisons and slices that the tests write, and how they are compared."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recordings import simulated

from spikelab import SpikeData
from spikelab.formats.hdf5.values import identical
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.workspace import AnalysisWorkspace

ATTRIBUTES = [
    {
        "electrode": 7,
        "location": [20.0, -5.5],
        "quality": "good",
        "waveform": np.arange(6, dtype=np.float32).reshape(2, 3),
        "amplitudes": np.array([1.5, 2.5]),
        "curated": {"by": "me, \N{GREEK SMALL LETTER MU}", "passes": [1, None, (2.5,)]},
    },
    {
        "electrode": 9,
        "quality": None,
        "snr": float("nan"),
        "waveform": np.zeros((2, 3), dtype=np.float32),
        "amplitudes": np.empty(0),
    },
]
"""Attributes of two units: missing, None, NaN, text, ragged arrays, nested."""

METADATA = {
    "subject": "rat \N{GREEK SMALL LETTER BETA}",
    "sessions": (1, 2),
    "rig": {"gain": np.float32(0.195), "filters": [300.0, None]},
    "map": np.array([3, 1, 2], dtype=np.int16),
    "": True,
}


def recording():
    """Two units with attributes, metadata and raw voltages."""
    return SpikeData(
        [[1.0, 5.5, 12.0, 40.0], [2.25, 3.0]],
        length=50.0,
        neuron_attributes=ATTRIBUTES,
        metadata=METADATA,
        raw_data=np.arange(100, dtype=np.int16).reshape(2, 50),
        raw_time=1.0,
    )


def rates():
    """Rates with a NaN, at times that are not evenly spaced."""
    values = np.array([[0.5, np.nan, 1e-7, 1234.5], [0.0, 3.0, 1 / 3, np.inf]])
    return RateData(values, np.array([-1.5, 0.1, 0.2, 7.0]), ATTRIBUTES, "Hz")


def rate_slices():
    """Overlapping windows."""
    matrix = np.arange(12.0).reshape(2, 2, 3) / 7
    matrix[0, 0, 0] = np.nan
    windows = [(-4.0, 0.0), (-2.0, 2.0), (10.0, 14.0)]
    return RateSliceStack(
        event_matrix=matrix,
        times_start_to_end=windows,
        step_size=2.0,
        neuron_attributes=ATTRIBUTES,
    )


def few_rates():
    """Rates of more units than times."""
    known = [{"unit_id": unit, "quality": "good"} for unit in range(3)]
    return RateData(np.arange(6.0).reshape(3, 2), [2.5, 7.0], known, "Hz")


def few_rate_slices():
    """Two windows of one bin, with more units than that."""
    known = [{"unit_id": unit} for unit in range(5)]
    windows = [(0.0, 2.0), (10.0, 12.0)]
    return RateSliceStack(
        event_matrix=np.arange(10.0).reshape(5, 1, 2),
        times_start_to_end=windows,
        step_size=2.0,
        neuron_attributes=known,
    )


def one_rate_slice():
    """One window of one bin."""
    return RateSliceStack(
        event_matrix=np.array([[[2.5]]]), times_start_to_end=[(3.0, 4.0)]
    )


def comparison_matrix():
    """A comparison with labels of text and numbers."""
    values = np.array([[1.0, np.nan], [0.25, 1.0]])
    return PairwiseCompMatrix(values, ['a,\n"b"', 3], METADATA)


def integer_matrix():
    """Counts, without labels."""
    return PairwiseCompMatrix(np.array([[3, -1], [2, 2**62]]))


def comparison_stack():
    """A comparison in three windows."""
    values = np.arange(12.0).reshape(2, 2, 3) / 3
    windows = [(0.0, 1.0), (1, 2), (2.0, 3.0)]
    return PairwiseCompMatrixStack(values, ["3", "b"], windows, METADATA)


def plain_stack():
    """A comparison in one window, without labels, times or metadata."""
    return PairwiseCompMatrixStack(np.eye(3)[:, :, None])


def spike_slices():
    """Overlapping slices on their own clocks, attributes on the stack."""
    return SpikeSliceStack(recording(), [(0.0, 10.0), (5.0, 15.0), (38.0, 48.0)])


def event_slices():
    """Event-centred slices that keep attributes and metadata of their own."""
    return SpikeSliceStack(
        recording(),
        time_peaks=[3.0, 41.0],
        time_bounds=(2.5, 8.0),
        drop_slice_attributes=False,
    )


SIBLINGS = {
    maker.__name__: maker
    for maker in (
        rates,
        rate_slices,
        one_rate_slice,
        comparison_matrix,
        integer_matrix,
        comparison_stack,
        plain_stack,
        spike_slices,
        event_slices,
    )
}


def assert_same_object(found, expected):
    """Compare class and every attribute, types and dtypes included."""
    assert type(found) is type(expected)
    for name, value in vars(expected).items():
        pair = getattr(found, name), value
        if name == "neuron_attributes" and None not in pair:
            # A file keeps the order of the attributes, but not for each unit its own.
            pair = [[dict(sorted(row.items())) for row in rows] for rows in pair]
        assert identical(*pair), (name, *pair)


NESTED = {
    "threshold": 4.5,
    "used": [1, 2, 3],
    "bands": {"delta": (0.5, 4.0), "theta": (4.0, 8.0)},
    "labels": {"a", "b"},
    "nothing": None,
    "curves": [np.arange(3), np.arange(1000.0)],
    "a/b": {"": b"\0", ".": 1 + 2j},
    "recording": simulated(),
}


def filled():
    """A workspace with an object of every kind."""
    workspace = AnalysisWorkspace("sorting \N{GREEK SMALL LETTER MU}")
    for name, maker in SIBLINGS.items():
        workspace.store("objects", name, maker(), note=f"made by {name}")
    workspace.store("objects", "recording", recording())
    workspace.store(
        "arrays", "image", np.arange(5000, dtype=np.uint16).reshape(50, 100)
    )
    workspace.store("arrays", "names", np.array(["a", "\N{GREEK SMALL LETTER MU}"]))
    workspace.store("results", "nested", NESTED)
    return workspace


def assert_same_workspace(found, expected):
    """Compare names, what is known about each object, and the objects."""
    for name in ("workspace_id", "name", "created_at"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.describe() == expected.describe()
    assert found.list_keys() == expected.list_keys()
    for namespace, keys in expected.list_keys().items():
        for key in keys:
            pair = found.get(namespace, key), expected.get(namespace, key)
            if isinstance(pair[1], dict | np.ndarray):
                assert identical(*pair), (namespace, key)
            else:
                assert_same_object(*pair)


_KEYS = st.text(max_size=6)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.floats(width=32).map(np.float32)
    | st.integers(0, 255).map(np.uint8)
    | st.booleans().map(np.bool_)
)
_ARRAYS = st.sampled_from(
    [np.float64, np.float32, np.int16, np.uint64, np.bool_, "<U3", "S2", np.complex64]
).flatmap(
    lambda dtype: arrays(dtype, st.sampled_from([(), (0,), (3,), (2, 0), (2, 2)]))
)

VALUES = st.recursive(
    _SCALARS | _ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(_KEYS, inner, max_size=3)
        | st.sets(st.integers() | st.text(max_size=3), max_size=3)
    ),
    max_leaves=6,
)
"""Anything that a workspace holds."""

DICTIONARIES = st.dictionaries(_KEYS, VALUES, max_size=4)

SCALAR_ATTRIBUTES = st.dictionaries(
    st.text(max_size=5),
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    max_size=3,
)


def attributes(n_units, values=DICTIONARIES):
    """Attributes of so many units, or none."""
    return st.none() | st.lists(values, min_size=n_units, max_size=n_units)


_FLOATS = st.floats(allow_nan=True)
_TIMES = st.floats(-1e6, 1e6)


@st.composite
def windows(draw, count, length):
    """So many windows of one length, in the order of their start."""
    whole = st.integers(-10_000, 10_000)
    starts = sorted(draw(st.lists(whole, min_size=count, max_size=count)))
    return [(float(start), float(start + length)) for start in starts]


@st.composite
def any_rates(draw):
    """Any RateData."""
    shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 4)))
    times = sorted(draw(st.lists(_TIMES, min_size=shape[1], max_size=shape[1])))
    return RateData(
        draw(arrays(np.float64, shape, elements=_FLOATS)),
        np.array(times, dtype=np.float64),
        draw(attributes(shape[0])),
        draw(st.none() | st.text()),
    )


@st.composite
def any_rate_slices(draw):
    """Any RateSliceStack with at least a slice."""
    n_units, n_bins, n_slices = shape = draw(
        st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))
    )
    step = draw(st.sampled_from([0.5, 1.0, 2.0]))
    return RateSliceStack(
        event_matrix=draw(arrays(np.float64, shape, elements=_FLOATS)),
        times_start_to_end=draw(windows(n_slices, n_bins * step)),
        step_size=step,
        neuron_attributes=draw(attributes(n_units)),
    )


_LABELS = st.text(max_size=4) | st.integers(-5, 5) | st.booleans()


def _labels(count):
    return st.none() | st.lists(_LABELS, min_size=count, max_size=count)


@st.composite
def any_matrix(draw):
    """Any PairwiseCompMatrix."""
    n = draw(st.integers(0, 3))
    dtype = draw(st.sampled_from([np.float64, np.int64, np.bool_]))
    values = draw(arrays(dtype, (n, n)))
    return PairwiseCompMatrix(values, draw(_labels(n)), draw(DICTIONARIES))


@st.composite
def any_stack(draw):
    """Any PairwiseCompMatrixStack."""
    n, count = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    values = draw(arrays(np.float64, (n, n, count), elements=_FLOATS))
    times = draw(st.none() | windows(count, 5))
    return PairwiseCompMatrixStack(values, draw(_labels(n)), times, draw(DICTIONARIES))


@st.composite
def any_recording(draw):
    """Any SpikeData, with attributes and metadata of any kind."""
    start, length = draw(_TIMES), draw(st.floats(0, 1e6))
    inside = st.lists(st.floats(start, max(start + length, start)), max_size=4)
    train = draw(st.lists(inside, max_size=3))
    return SpikeData(
        train,
        start_time=start,
        length=length,
        neuron_attributes=draw(attributes(len(train))),
        metadata=draw(DICTIONARIES),
    )


@st.composite
def any_spike_slices(draw):
    """Any SpikeSliceStack: slices of any window, with attributes of their own."""
    n_units, n_slices = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    slices = []
    for _ in range(n_slices):
        start, length = draw(st.floats(-100, 100)), draw(st.floats(0.5, 100))
        inside = st.lists(st.floats(start, start + length), max_size=3)
        slices.append(
            SpikeData(
                draw(st.lists(inside, min_size=n_units, max_size=n_units)),
                start_time=start,
                length=length,
                neuron_attributes=draw(attributes(n_units)),
                metadata=draw(DICTIONARIES),
            )
        )
    return SpikeSliceStack(
        spike_stack=slices,
        times_start_to_end=draw(windows(n_slices, 5)),
        neuron_attributes=draw(attributes(n_units)),
        drop_slice_attributes=False,
    )


ANY_OBJECT = st.one_of(
    any_recording(),
    any_rates(),
    any_rate_slices(),
    any_matrix(),
    any_stack(),
    any_spike_slices(),
)
