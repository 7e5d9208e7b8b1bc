"""Rates, comparisons and slices in HDF5: what is in the file, and back."""

import json

import h5py
import numpy as np
import pytest
from contract import snapshot
from hypothesis import given, settings
from siblings import (
    ANY_OBJECT,
    SIBLINGS,
    any_spike_slices,
    assert_same_object,
    comparison_matrix,
    comparison_stack,
    event_slices,
    rate_slices,
    rates,
    recording,
    spike_slices,
)

from spikelab import SpikeData, load
from spikelab.errors import FormatError, VerificationError
from spikelab.formats import RaggedWriter, RasterWriter
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

RANDOM = settings(max_examples=50)
EXACT_STYLES = (
    {"spike_times_unit": "ms"},
    {"style": "group", "group_time_unit": "ms"},
    {"style": "paired"},
)
RAW = {"raw_dataset": "raw", "raw_time_dataset": "raw_time"}


def recording_slices():
    """Slices with raw data."""
    return recording().frames(10.0)


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("options", EXACT_STYLES, ids=str)
def test_siblings_come_back_whole(name, options, tmp_path):
    """Attributes, metadata, windows and raw data of slices included."""
    obj = SIBLINGS[name]()
    obj.to_hdf5(tmp_path / "o.h5", verify=True, strict=True, **RAW, **options)
    assert_same_object(load(tmp_path / "o.h5"), obj)


@given(obj=ANY_OBJECT)
@RANDOM
def test_any_sibling_comes_back_whole(tmp_path, obj):
    """Whatever its attributes and metadata hold."""
    obj.to_hdf5(tmp_path / "o.h5", verify=True, spike_times_unit="ms")
    if not isinstance(obj, SpikeData):
        assert_same_object(load(tmp_path / "o.h5"), obj)


@given(stack=any_spike_slices())
@RANDOM
def test_slices_come_back_in_seconds_within_a_rounding(tmp_path, stack):
    """The default unit of the specification is seconds."""
    stack.to_hdf5(tmp_path / "o.h5", verify=True)
    found = load(tmp_path / "o.h5")
    for read, sd in zip(found, stack, strict=True):
        for times, expected in zip(read.train, sd.train, strict=True):
            np.testing.assert_allclose(times, expected, rtol=0, atol=1e-12)
    assert found.times == stack.times


def test_slices_are_groups_in_the_chosen_style(tmp_path):
    """Each like a file of its own, and the windows in ms."""
    spike_slices().to_hdf5(
        tmp_path / "s.h5", style="raster", raster_bin_size_ms=0.5, verify=True
    )
    with h5py.File(tmp_path / "s.h5") as file:
        assert file.attrs["__type__"] == "SpikeSliceStack"
        assert file["windows"][()].tolist() == [[0, 10], [5, 15], [38, 48]]
        assert sorted(file["slices"]) == ["0", "1", "2"]
        raster = file["slices/1/raster"]
        np.testing.assert_array_equal(
            raster[()], spike_slices().spike_stack[1].raster(0.5)
        )
    assert len(load(tmp_path / "s.h5")) == 3


def test_rates_are_arrays_with_plain_names(tmp_path):
    """For h5py, MATLAB and Julia."""
    rates().to_hdf5(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert dict(file.attrs) == {"__type__": "RateData", "rate_unit": "Hz"}
        np.testing.assert_array_equal(file["rates"][()], rates().inst_Frate_data)
        np.testing.assert_array_equal(file["times"][()], rates().times)
        assert file["neuron_attributes/quality"].asstr()[()].tolist() == ["good", ""]
        assert file["neuron_attributes/waveform"].shape == (2, 2, 3)
        # Nothing is there twice: large arrays are named, not repeated.
        assert list(file["exact"]) == ["value"]
    rate_slices().to_hdf5(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        assert dict(file.attrs) == {"__type__": "RateSliceStack", "step_ms": 2.0}
        assert file["rates"].shape == (2, 2, 3)
        assert file["windows"][()].tolist() == [[-4, 0], [-2, 2], [10, 14]]


def test_comparisons_are_arrays_with_plain_names(tmp_path):
    """With labels as text, and metadata as JSON as far as it goes."""
    comparison_matrix().to_hdf5(tmp_path / "m.h5")
    comparison_stack().to_hdf5(tmp_path / "s.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        np.testing.assert_array_equal(file["matrix"][()], comparison_matrix().matrix)
        assert file["labels"].asstr()[()].tolist() == ['a,\n"b"', "3"]
        assert json.loads(file.attrs["metadata"])["sessions"] == [1, 2]
    with h5py.File(tmp_path / "s.h5") as file:
        np.testing.assert_array_equal(file["stack"][()], comparison_stack().stack)
        assert file["windows"].shape == (3, 2)


def test_the_same_object_gives_the_same_bytes(tmp_path):
    """Sets and dictionaries included."""
    for name, maker in SIBLINGS.items():
        for copy in ("first", "second"):
            maker().to_hdf5(tmp_path / copy / f"{name}.h5")
    assert snapshot(tmp_path / "first") == snapshot(tmp_path / "second")


def test_losses_of_siblings_are_those_of_their_slices(tmp_path):
    """Arrays lose nothing; slices lose what their style does."""
    assert RaggedWriter().losses(rates()) == []
    (raw,) = RaggedWriter(spike_times_unit="ms").losses(event_slices())
    assert "raw data" in raw
    slices = [SpikeData([[t, 250.824]], length=300.0) for t in (0.1, 1.9, 33.3)]
    moved = SpikeSliceStack(spike_stack=slices)
    assert RaggedWriter().losses(moved) == []  # by 3e-14 ms
    (rounded,) = RaggedWriter(spike_times_unit="samples", fs_Hz=1e4).losses(moved)
    assert rounded == "spike times are rounded by up to 0.024 ms"


def test_what_cannot_be_stored_is_refused_before_the_target_is_touched(tmp_path):
    """The error names the attribute."""
    rates().to_hdf5(tmp_path / "r.h5")
    before = snapshot(tmp_path)
    wrong = rates()
    wrong.neuron_attributes = [{"fit": len}, {}]
    with pytest.raises(TypeError, match=r"neuron_attributes.*\['fit'\]"):
        wrong.to_hdf5(tmp_path / "r.h5")
    wrong = rates()
    wrong.times = wrong.times[::-1]
    with pytest.raises(ValueError, match="must not decrease"):
        wrong.to_hdf5(tmp_path / "r.h5")
    wrong = event_slices()
    wrong.spike_stack[1].train[0][0] = np.nan
    with pytest.raises(ValueError, match="unit 0: spike times must be finite"):
        wrong.to_hdf5(tmp_path / "r.h5")
    assert snapshot(tmp_path) == before


def damaging(damage, **options):
    """A writer that damages what it has written."""

    class Damaging(RaggedWriter):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                damage(file)

    return Damaging(verify=True, **options)


def add_to(name):
    """Damage that adds a little to the first value of a dataset."""

    def damage(file):
        first = (0,) * file[name].ndim
        file[name][first] += 1 if file[name].dtype.kind == "i" else 0.001

    return damage


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (rates, "rates", "inst_Frate_data differs"),
        (rates, "times", "times differs"),
        (rate_slices, "windows", "RateSliceStack|times differs"),
        (comparison_matrix, "matrix", "matrix differs"),
        (comparison_stack, "stack", "stack differs"),
        (spike_slices, "slices/0/spike_times", "slice 0: spike times of unit 0"),
        (recording_slices, "slices/1/raw", "slice 1: raw_data differs"),
        (recording_slices, "slices/2/raw_time", "slice 2: raw_time differs"),
    ],
)
def test_verify_finds_a_difference(make, name, message, tmp_path):
    """In an array, in the spikes of a slice, in its raw data; nothing is published."""
    RaggedWriter(verify=True, **RAW).write(make(), tmp_path / "o.h5")
    before = snapshot(tmp_path)
    with pytest.raises(VerificationError, match=message):
        damaging(add_to(name), **RAW).write(make(), tmp_path / "o.h5")
    assert snapshot(tmp_path) == before


def test_a_raster_of_slices_is_verified_by_its_counts(tmp_path):
    """Spikes move inside their bins."""
    writer = RasterWriter(bin_size_ms=2.5, verify=True)
    writer.write(event_slices(), tmp_path / "s.h5")
    assert isinstance(load(tmp_path / "s.h5"), SpikeSliceStack)


@pytest.mark.parametrize("name", ["rates", "comparison_stack", "spike_slices"])
def test_files_that_lack_a_part_are_format_errors(name, tmp_path):
    """Whatever is taken out of the file."""
    path = tmp_path / "o.h5"
    SIBLINGS[name]().to_hdf5(path)
    parts = []
    with h5py.File(path) as file:
        file.visit(parts.append)
    needed = [
        part
        for part in parts
        if part.startswith(("exact", "rates", "stack", "slices/0"))
        or part == "neuron_attributes/waveform"
    ]
    assert len(needed) > 2
    for part in needed:
        SIBLINGS[name]().to_hdf5(path)
        with h5py.File(path, "r+") as file:
            del file[part]
        with pytest.raises(FormatError):
            load(path)


def test_a_file_that_contradicts_itself_is_a_format_error(tmp_path):
    """The class that it names is not the one that it holds."""
    rates().to_hdf5(tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        file.attrs["__type__"] = "PairwiseCompMatrix"
    with pytest.raises(FormatError, match="has no 'matrix'"):
        load(tmp_path / "r.h5")


def test_links_out_of_the_file_are_not_followed(tmp_path):
    """A soft or external link in place of an array is refused."""
    rates().to_hdf5(tmp_path / "r.h5")
    rates().to_hdf5(tmp_path / "other.h5")
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        del file["rates"]
        file["rates"] = h5py.ExternalLink("other.h5", "/rates")
    with pytest.raises(FormatError, match="must not lead out of the file"):
        load(tmp_path / "r.h5")


@pytest.mark.parametrize(
    ("make", "old", "new", "message"),
    [
        (spike_slices, '"windows"', '"Windows"', None),
        (event_slices, '"subject"', '"object"', r"slice 0: metadata\['subject'\]"),
        (event_slices, '"snr"', '"SNR"', "cannot be read"),
        (rates, '"curated"', '"Curated"', r"neuron_attributes\[0\]\['curated'\]"),
        (comparison_matrix, "sessions", "session", r"metadata\['sessions'\] differs"),
    ],
)
def test_verify_finds_what_is_not_spikes(make, old, new, message, tmp_path):
    """Attributes, metadata, and a class that the loader does not know."""

    def damage(file):
        text = bytes(file["exact/value"][()]).decode()
        assert old in text or message is None
        del file["exact/value"]
        file["exact/value"] = np.bytes_(text.replace(old, new).encode())

    if message is None:
        damaging(damage).write(make(), tmp_path / "o.h5")
        return
    with pytest.raises(VerificationError, match=message):
        damaging(damage).write(make(), tmp_path / "o.h5")
    assert list(tmp_path.iterdir()) == []
