"""Blocks, Segments and SpikeTrains of neo, both ways."""

import numpy as np
import pytest
from bridge_contract import BridgeContract, known, on_grid, quietly, warnings_of

from spikelab import SpikeData, differences

# Old versions of neo use arguments of quantities that are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The 'copy' argument")

neo = pytest.importorskip("neo")
pq = pytest.importorskip("quantities")


class TestNeo(BridgeContract):
    """Times stay what they are, to the last bit."""

    package = "neo"


def segment(**more):
    """A segment of another program."""
    made = neo.Segment(**more)
    for times in ([0.5, 1.5], []):
        train = neo.SpikeTrain(times, units="s", t_start=-1.0, t_stop=2.0)
        made.spiketrains.append(train)
    return made


def test_whatever_holds_the_trains():
    """A block, its segment, a list, and a list of neo's own."""
    block = neo.Block()
    block.segments.append(segment())
    holders = (block, block.segments[0], list(block.segments[0].spiketrains))
    for holder in (*holders, block.segments[0].spiketrains):
        sd = SpikeData.from_neo(holder)
        assert [times.tolist() for times in sd.train] == [[500.0, 1500.0], []]
        assert (sd.start_time, sd.length) == (-1000.0, 3000.0)


@pytest.mark.parametrize("count", [0, 2])
def test_a_block_of_other_than_one_segment(count):
    """Which one is meant, the user must say."""
    block = neo.Block()
    for _ in range(count):
        block.segments.append(segment())
    with pytest.raises(ValueError, match=f"one segment, got {count}"):
        SpikeData.from_neo(block)


@pytest.mark.parametrize("unit", ["ms", "us", "min"])
def test_any_unit(unit):
    """Times, start and stop are converted."""
    train = neo.SpikeTrain([2.0, 3.0], units=unit, t_start=1.0, t_stop=5.0)
    sd, ms = SpikeData.from_neo([train]), float(pq.Quantity(1, unit).rescale("ms"))
    assert sd.train[0].tolist() == pytest.approx([2 * ms, 3 * ms])
    assert (sd.start_time, sd.length) == (pytest.approx(ms), pytest.approx(4 * ms))


def test_spikes_out_of_order():
    """What is known of each spike goes with it."""
    train = neo.SpikeTrain(
        [3.0, 1.0], units="s", t_stop=5.0, array_annotations={"a": [30, 10]}
    )
    sd = SpikeData.from_neo([train])
    assert sd.train[0].tolist() == [1000.0, 3000.0]
    assert sd.neuron_attributes[0]["a"].tolist() == [10, 30]


def test_names_and_annotations():
    """Of trains they are attributes, of block and segment metadata."""
    made = segment(name="trial 1", day=3)
    made.spiketrains[1].name = "unit b"
    made.spiketrains[1].annotate(depth=100.0, tetrode=None)
    sd = SpikeData.from_neo(made)
    assert sd.neuron_attributes == [
        {},
        {"name": "unit b", "depth": 100.0, "tetrode": None},
    ]
    assert sd.metadata == {"name": "trial 1", "day": 3}
    back = sd.to_neo()
    assert back.segments[0].spiketrains[1].name == "unit b"
    assert differences(sd, SpikeData.from_neo(back)) == []


def test_a_sampling_rate():
    """Neo writes 1 Hz where it knows none."""
    train = neo.SpikeTrain([0.5], units="s", t_stop=2.0, sampling_rate=30 * pq.kHz)
    assert SpikeData.from_neo([train]).metadata == {"fs_Hz": 30_000.0}
    assert SpikeData.from_neo(segment()).metadata == {}


def test_what_a_recording_does_not_hold_is_named():
    """Signals, events, epochs, waveforms, units of annotations."""
    made = segment()
    made.analogsignals.append(
        neo.AnalogSignal([[1.0]], units="mV", sampling_rate=1 * pq.Hz)
    )
    made.events.append(neo.Event([1.0] * pq.s, labels=["go"]))
    made.spiketrains[0].annotate(depth=100 * pq.um)
    made.spiketrains[0].waveforms = np.zeros((2, 1, 3)) * pq.mV
    (text,) = warnings_of(SpikeData.from_neo, made)
    for name in ("analogsignals", "events", "unit of depth (um)", "waveforms"):
        assert name in text
    assert known(quietly(SpikeData.from_neo, made), "depth") == [100.0, None]


def test_windows_of_single_trains():
    """The window holds all of them, and that they differed is said."""
    trains = [
        neo.SpikeTrain([], units="s", t_start=i, t_stop=i + 2.0) for i in range(2)
    ]
    (text,) = warnings_of(SpikeData.from_neo, trains)
    assert "windows of single units" in text
    assert quietly(SpikeData.from_neo, trains).length == 3000.0


@pytest.mark.parametrize("given", ["cells.nix", {"a": 1}, [5], 3.0])
def test_what_is_no_neo_object(given):
    """The error says what is taken, or which item is wrong."""
    with pytest.raises(
        TypeError, match=r"from_neo takes|unit 0: must be a neo.SpikeTrain"
    ):
        SpikeData.from_neo(given)


def test_a_single_train_is_a_list_of_one():
    """Iterated, it would be one unit for each spike."""
    with pytest.raises(TypeError, match=r"from_neo\(\[train\]\)"):
        SpikeData.from_neo(neo.SpikeTrain([0.5], units="s", t_stop=2.0))


def test_neo_gets_the_window_and_the_units():
    """Each train has them; a spike at the end is inside."""
    sd = on_grid([3, 0], start=300, neuron_attributes=[{"unit_id": 4, "q": "a"}, {}])
    trains = sd.to_neo().segments[0].spiketrains
    assert [train.t_start.item() for train in trains] == [sd.start_time] * 2
    assert trains[0].annotations == {"unit_id": 4, "q": "a"}
    assert trains[0].sampling_rate == 30_000 * pq.Hz
    assert len(SpikeData([[5.0]]).to_neo().segments[0].spiketrains[0]) == 1
