"""Slices of spikes in NWB."""

import warnings
from datetime import datetime, timedelta
from functools import partial

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import assert_same_recording
from siblings import event_slices, spike_slices

from spikelab import SpikeData, load
from spikelab.errors import VerificationError
from spikelab.formats import KiloSortWriter, NWBSession, NWBWriter, ParquetWriter
from spikelab.spikedata.spikeslicestack import SpikeSliceStack


def quietly(obj, path, writer=NWBWriter):
    """Export without the warnings about attributes and negative times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return writer(verify=True).write(obj, path)


def test_each_spike_is_written_once(tmp_path):
    """In the time of the recording, though windows overlap."""
    quietly(spike_slices(), tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        assert file["units/spike_times"][:].tolist() == [
            *[0.001, 0.0055, 0.012, 0.04],
            *[0.00225, 0.003],
        ]
        assert file["intervals/trials/start_time"][:].tolist() == [0.0, 0.005, 0.038]
        assert "event_time" not in file["intervals/trials"]
        assert file["units/obs_intervals"][0].tolist() == [0.0, 0.048]
    found = load(tmp_path / "a.nwb")
    assert type(found) is SpikeData
    assert (found.start_time, found.length) == (0.0, 48.0)
    assert found.neuron_attributes[0]["quality"] == "good"


def test_the_events_of_slices_are_kept(tmp_path):
    """Beside the windows around them."""
    quietly(event_slices(), tmp_path / "a.nwb")
    with h5py.File(tmp_path / "a.nwb") as file:
        assert file["intervals/trials/event_time"][:].tolist() == [0.003, 0.041]
        assert file["intervals/trials/start_time"][:].tolist() == [0.0005, 0.0385]


def test_negative_times_are_warned_about(tmp_path):
    """Slices of event-centred data lie before 0."""
    sd = SpikeData([[-8.0, 3.0]], start_time=-10.0, length=20.0)
    stack = SpikeSliceStack(sd, [(-10.0, -5.0), (0.0, 5.0)])
    with pytest.warns(UserWarning, match=r"start_time is -10\.0 ms"):
        stack.to_nwb(tmp_path / "a.nwb", verify=True)
    expected = SpikeData([[-8.0, 3.0]], start_time=-10.0, length=15.0)
    assert_same_recording(load(tmp_path / "a.nwb"), expected, 1e-14)


@given(data=st.data())
def test_slices_of_a_recording_cover_its_spikes_once(data, tmp_path):
    """Whatever windows of one length are cut, simultaneous spikes included."""
    quarters = st.integers(0, 400).map(lambda i: i / 4)
    # So close to the edge of a window that rounding could put them on either side.
    edges = st.integers(0, 99).map(lambda i: i + 0.1 - 1e-9)
    times = data.draw(st.lists(quarters | edges, max_size=30))
    sd = SpikeData([times, []], length=100.0)
    length = data.draw(st.integers(1, 30))
    starts = sorted(data.draw(st.lists(st.integers(0, 69), min_size=1, max_size=6)))
    stack = SpikeSliceStack(
        sd, [(start + 0.1, start + 0.1 + length) for start in starts]
    )
    stack.to_nwb(tmp_path / "a.nwb")
    found = load(tmp_path / "a.nwb").train[0]
    covered = [
        any(start <= t < stop for start, stop in stack.times) for t in sd.train[0]
    ]
    np.testing.assert_allclose(found, sd.train[0][covered], rtol=0, atol=1e-9)
    assert not any("disagree" in lost for lost in NWBWriter().losses(stack))


def test_slices_that_disagree_are_told():
    """Shuffled slices cannot be cut again from one recording."""
    slices = [SpikeData([[1.0, 7.0]], length=10.0), SpikeData([[4.0]], length=10.0)]
    stack = SpikeSliceStack(
        spike_stack=slices, times_start_to_end=[(0.0, 10.0), (5.0, 15.0)]
    )
    (_, lost) = NWBWriter().losses(stack)
    assert lost.startswith("1 of 2 slices as they are")
    apart = SpikeSliceStack(
        spike_stack=slices, times_start_to_end=[(0.0, 10.0), (10.0, 20.0)]
    )
    assert not any("disagree" in lost for lost in NWBWriter().losses(apart))


def test_what_slices_hold_beside_spikes_is_told():
    """Attributes, metadata and raw data of their own."""
    lost = "; ".join(NWBWriter().losses(event_slices()))
    for word in ("'curated'", "single slices", "metadata", "raw data"):
        assert word in lost


def test_the_same_slices_give_the_same_bytes(tmp_path, monkeypatch):
    """And others of the same spikes another identifier."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in "ab":
        quietly(spike_slices(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("first", "second", "covered", "n_lost"),
    [
        ([0.0, 3.0], [0.0, 0.0, 1.0], [11, 14, 14, 15], 0),
        ([0.0, 3.0, 3.0], [0.0, 1.0], [11, 14, 14, 15], 1),
        ([0.0, 3.0], [1.0], [11, 14, 15], 1),
        ([0.0], [0.0, 1.0], [11, 14, 15], 0),
        ([0.0, 3.0], [0.0, 1.0], [11, 14, 15], 0),
    ],
)
def test_spikes_where_windows_meet(first, second, covered, n_lost, tmp_path):
    """As many as either slice holds; a slice that has fewer is told."""
    slices = [SpikeData([times], length=3.0) for times in (first, second)]
    stack = SpikeSliceStack(
        spike_stack=slices, times_start_to_end=[(11.0, 14.0), (14.0, 17.0)]
    )
    quietly(stack, tmp_path / "a.nwb")
    assert load(tmp_path / "a.nwb").train[0].tolist() == covered
    told = [line for line in NWBWriter().losses(stack) if "disagree" in line]
    assert told == [
        f"{n} of 2 slices as they are (they disagree with others that overlap them)"
        for n in [n_lost]
        if n
    ]


def test_verify_compares_the_windows(tmp_path):
    """Though the recording does not hold them."""

    class Damaging(NWBWriter):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                file["intervals/trials/stop_time"][0] += 1.0

    with pytest.raises(VerificationError, match="windows"):
        quietly(spike_slices(), tmp_path / "a.nwb", Damaging)
    assert not list(tmp_path.iterdir())


def moment(path):
    """What all times of a file count from."""
    with h5py.File(path) as file:
        return datetime.fromisoformat(file["timestamps_reference_time"].asstr()[()])


def test_slices_without_a_session_tell_the_true_time(tmp_path):
    """Of the session that is given when they are exported; it is no loss elsewhere."""
    start = datetime.fromisoformat("2024-05-17T14:03:00+02:00")
    session = NWBSession(session_start_time=start, session_description="tetanus")
    sd = SpikeData([[250.0, 740.0, 745.0]], length=1000.0)
    writer = partial(NWBWriter, session=session)
    for stack in (sd.frames(500.0), sd.align_to_events([300.0, 740.0], 50, 50)):
        for part, (begin, _) in zip(stack, stack.times, strict=True):
            path = quietly(part, tmp_path / "alone.nwb", writer)
            zero = begin - part.start_time
            assert moment(path) - start == timedelta(milliseconds=zero)
        assert moment(quietly(stack, tmp_path / "stack.nwb", writer)) == start
        whole = "the slices as such (the file is read as the recording they cover)"
        assert NWBWriter().losses(stack) == [whole]
        assert ParquetWriter().losses(stack) == []
    assert KiloSortWriter(fs_Hz=2e4).losses(sd.frames(500.0)) == []


@pytest.mark.parametrize("first", [0.0, 200.0])
def test_slices_and_stack_tell_the_true_time(first, tmp_path):
    """Each slice alone, and the stack, whose spikes are on the recording's clock."""
    start = "2024-05-17T14:03:00+02:00"
    session = {"session_start_time": start, "session_description": "tetanus"}
    sd = SpikeData([[250.0, 740.0]], length=1000.0, metadata={"nwb_session": session})
    sd = sd.subtime(first, None)
    for stack in (sd.frames(100.0), sd.align_to_events([740.0 - first], 50, 50)):
        part = stack.subslice(-1)
        found = moment(quietly(part, tmp_path / "stack.nwb"))
        assert found == datetime.fromisoformat(start) + timedelta(milliseconds=first)
        (alone,) = part
        found = moment(quietly(alone, tmp_path / "alone.nwb"))
        moved = first + part.times[0][0] - alone.start_time
        assert found == datetime.fromisoformat(start) + timedelta(milliseconds=moved)
        assert load(alone.to_pickle(tmp_path / "alone.pkl")) == alone
        assert load(part.to_hdf5(tmp_path / "stack.h5")) == part
