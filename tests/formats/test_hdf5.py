"""The four HDF5 styles: what is on the disk, and files from elsewhere."""

import errno
import inspect
import os
import subprocess
import sys
import tracemalloc
from fractions import Fraction

import attrs
import h5py
import numpy as np
import pytest
from recordings import assert_same_recording, simulated, with_raw

from spikelab import (
    AnalysisWorkspace,
    SpikeData,
    convert,
    differences,
    load,
    load_spikedata_from_hdf5,
)
from spikelab.data_loaders.data_exporters import export_spikedata_to_hdf5
from spikelab.errors import FormatError, LossError, VerificationError
from spikelab.formats import (
    GroupWriter,
    PairedWriter,
    RaggedWriter,
    RasterWriter,
)
from spikelab.formats.hdf5.export import STYLES
from spikelab.formats.hdf5.writer import HDF5Writer

SD = SpikeData([[1.0, 2.5], [], [4.0]], start_time=-5.0, length=10.0)


def tree(path):
    """Every dataset with its dtype and values, and the attributes of the root."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: (item.dtype.str, item[()].tolist())})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
        return found, dict(file.attrs)


def test_ragged_on_disk(tmp_path):
    """Seconds, ends of units, and everything that a loader needs to know."""
    datasets, attributes = tree(SD.to_hdf5(tmp_path / "x.h5"))
    assert datasets == {
        "spike_times": ("<f8", [0.001, 0.0025, 0.004]),
        "spike_times_index": ("<i8", [2, 2, 3]),
    }
    assert attributes == {
        "style": "ragged",
        "spike_times_dataset": "spike_times",
        "spike_times_index_dataset": "spike_times_index",
        "spike_times_unit": "s",
        "raw_time_unit": "ms",
        "n_units": 3,
        "start_time": -5.0,
        "length_ms": 10.0,
    }


def test_group_on_disk(tmp_path):
    """One dataset per unit, silent ones included."""
    path = SD.to_hdf5(
        tmp_path / "x.h5", style="group", group_time_unit="samples", fs_Hz=1000
    )
    datasets, attributes = tree(path)
    assert datasets == {
        "units/0": ("<i8", [1, 2]),
        "units/1": ("<i8", []),
        "units/2": ("<i8", [4]),
    }
    assert attributes["fs_Hz"] == 1000


def test_paired_on_disk(tmp_path):
    """Milliseconds by default; the number of units tells of the silent ones."""
    datasets, attributes = tree(SD.to_hdf5(tmp_path / "x.h5", style="paired"))
    assert datasets == {
        "idces": ("<i4", [0, 0, 2]),
        "times": ("<f8", [1.0, 2.5, 4.0]),
    }
    assert attributes["times_unit"] == "ms"
    assert attributes["n_units"] == 3


def test_raster_on_disk(tmp_path):
    """Counts in the smallest type, and where the bins lie."""
    path = SD.to_hdf5(tmp_path / "x.h5", style="raster", raster_bin_size_ms=3)
    datasets, attributes = tree(path)
    assert datasets == {"raster": ("|u1", SD.raster(3).tolist())}
    assert attributes["raster_bin_size_ms"] == 3
    with h5py.File(path) as file:
        assert dict(file["raster"].attrs) == {
            "bin_size_ms": 3.0,
            "time_origin_ms": -5.0,
        }


def test_a_long_raster_takes_little_space(tmp_path):
    """Chunks without a spike are not stored, and all counts are right."""
    sd = SpikeData([[0.5], [999_999.5], *[[]] * 30, [500_000.0] * 300], length=1e6)
    path = sd.to_hdf5(tmp_path / "x.h5", style="raster", raster_bin_size_ms=1.0)
    with h5py.File(path) as file:
        raster = file["raster"]
        assert raster.dtype == np.uint16
        assert raster.id.get_num_chunks() == 3
        np.testing.assert_array_equal(raster[()], sd.raster(1.0))
    assert (tmp_path / "x.h5").stat().st_size < 50_000


def test_raw_data_come_back(tmp_path):
    """Both names given: voltages keep their dtype, times their unit."""
    sd = with_raw()
    path = sd.to_hdf5(
        tmp_path / "x.h5", raw_dataset="raw", raw_time_dataset="t", raw_time_unit="s"
    )
    with h5py.File(path) as file:
        assert file["raw"].dtype == np.float32
        np.testing.assert_allclose(file["t"][:3], [0, 1e-4, 2e-4])
    found = load_spikedata_from_hdf5(path)
    np.testing.assert_array_equal(found.raw_data, sd.raw_data)
    np.testing.assert_allclose(found.raw_time, sd.raw_time, rtol=1e-15)


@pytest.mark.parametrize("order", ["C", "F"])
def test_raw_data_of_any_layout_are_written_in_blocks(order, tmp_path, monkeypatch):
    """A memory-mapped recording, channel by channel or sample by sample."""
    monkeypatch.setattr("spikelab.formats.h5.BLOCK", 64)
    raw = np.memmap(tmp_path / "raw", np.int16, "w+", shape=(3, 500), order=order)
    raw[:] = np.arange(1500).reshape(3, 500)
    sd = SpikeData([[1.0]], length=50.0, raw_data=raw, raw_time=10.0)
    path = sd.to_hdf5(tmp_path / "x.h5", raw_dataset="raw", raw_time_dataset="t")
    np.testing.assert_array_equal(load_spikedata_from_hdf5(path).raw_data, raw)


def test_raw_names_without_raw_data_write_none(tmp_path):
    """The specification writes raw data if there are any."""
    path = SD.to_hdf5(tmp_path / "x.h5", raw_dataset="raw", raw_time_dataset="t")
    assert "raw" not in tree(path)[0]
    assert_same_recording(load_spikedata_from_hdf5(path), SD)


@pytest.mark.parametrize(
    ("datasets", "options"),
    [
        ({"s": [0.001, 0.002], "i": [1, 2]}, {"spike_times_dataset": "s", "spike_times_index_dataset": "i"}),
        ({"n": [1.0, 0.0], "t": [0.002, 0.001]}, {"idces_dataset": "/n", "times_dataset": "/t"}),
        ({"n": [1, 0], "t": [0.002, 0.001]}, {"idces_dataset": "n", "times_dataset": "t"}),
        ({"n": [1, 0], "t": [2.0, 1.0]}, {"idces_dataset": "n", "times_dataset": "t", "times_unit": "ms"}),
        ({"g/unit10": [0.002], "g/unit9": [0.001]}, {"group_per_unit": "g"}),
        ({"g/b": [20], "g/a": [10]}, {"group_per_unit": "g", "group_time_unit": "samples", "fs_Hz": 10_000}),
        ({"r": [[1, 0], [0, 1]]}, {"raster_dataset": "r", "raster_bin_size_ms": 1.0}),
    ],
)  # fmt: skip
def test_files_from_elsewhere(datasets, options, tmp_path):
    """The arguments say what the file does not; a length may be given."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values in datasets.items():
            file[name] = values
    expected = SpikeData([[1.0], [2.0]], length=7.0)
    found = load_spikedata_from_hdf5(tmp_path / "x.h5", length_ms=7.0, **options)
    slack = 0.5 if "raster_dataset" in options else 1e-15
    assert_same_recording(found, expected, slack)


@pytest.mark.parametrize(
    "note", [{"start_time": 1.7e9}, {"length_ms": 5.0}, {"n_units": 7}, {"fs_Hz": "x"}]
)
def test_attributes_of_other_programs_mean_nothing(note, tmp_path):
    """A lab wrote a note of its own at the root of its file."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["n"], file["t"] = [1, 0], [0.002, 0.001]
        file.attrs.update(note)
    names = {"idces_dataset": "n", "times_dataset": "t"}
    found = load_spikedata_from_hdf5(tmp_path / "x.h5", **names)
    assert_same_recording(found, SpikeData([[1.0], [2.0]], length=2.0), 1e-12)


def test_a_raster_of_times_since_1970_takes_little_memory(tmp_path):
    """Of a trillion bins, those with spikes are looked at."""
    sd = SpikeData([[1.7e12, 1.7e12 + 5.0], [1.7e12 + 2.0]])
    bins = {"style": "raster", "raster_bin_size_ms": 1.0}
    tracemalloc.start()
    try:
        path = sd.to_hdf5(tmp_path / "a.h5", **bins)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    with h5py.File(path) as file:
        assert file["raster"].shape[1] >= 1.7e12
        assert file["raster"].id.get_num_chunks() == 1


def test_a_raster_from_elsewhere_is_as_long_as_its_bins(tmp_path):
    """Empty bins at the end are part of the recording."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["raster"] = [[0, 2, 0, 0]]
    found = load_spikedata_from_hdf5(
        tmp_path / "x.h5", raster_dataset="raster", raster_bin_size_ms=2.5
    )
    assert found.length == 10.0
    np.testing.assert_array_equal(found.raster(2.5), [[0, 2, 0, 0]])


@pytest.mark.parametrize("chunks", [None, (1, 2)], ids=["whole", "chunks"])
@pytest.mark.parametrize("dtype", ["i1", "f4", "f8"])
@pytest.mark.parametrize("count", [-1, 1.5, np.nan, np.inf, 1e300])
def test_a_raster_of_no_counts_is_refused(count, dtype, chunks, tmp_path):
    """The error says where; neither fractions nor negative counts are dropped."""
    if dtype == "i1" and count != -1:
        return
    counts = np.zeros((2, 4), dtype)
    with np.errstate(over="ignore"):
        counts[1, 3] = count
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("raster", data=counts, chunks=chunks)
    with pytest.raises(FormatError, match=r"spikes, got .* in row 1, bin 3"):
        load_spikedata_from_hdf5(
            tmp_path / "x.h5", raster_dataset="raster", raster_bin_size_ms=1.0
        )


def test_the_published_layouts_need_no_arguments(tmp_path):
    """Default names without attributes are recognised where the unit is certain."""
    with h5py.File(tmp_path / "ragged.h5", "w") as file:
        file["spike_times"], file["spike_times_index"] = [0.001], [0, 1]
    found = load_spikedata_from_hdf5(tmp_path / "ragged.h5")
    assert [times.tolist() for times in found.train] == [[], [1.0]]


def test_an_unknown_time_unit_is_not_guessed(tmp_path):
    """Paired files of the published package may be in ms or in s: the user says."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["idces"], file["times"] = [0], [1.0]
    with pytest.raises(FormatError, match="name its datasets and their time unit"):
        load_spikedata_from_hdf5(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idces_dataset": "i"}, "times_dataset must be given too"),
        (
            {"idces_dataset": "i", "times_dataset": "t", "group_per_unit": "g"},
            "one style",
        ),
    ],
)
def test_half_a_style_or_two_are_refused(options, message, tmp_path):
    """The names must say one layout, before any file is opened."""
    with pytest.raises(ValueError, match=message):
        load_spikedata_from_hdf5(tmp_path / "missing.h5", **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.__delitem__("idces"), "has no 'idces'"),
        (lambda f: f["idces"].__setitem__(0, -1), "must lie in"),
        (lambda f: f["idces"].__setitem__(0, 99), "must lie in"),
        (lambda f: f.attrs.__setitem__("n_units", 1), "must lie in"),
        (lambda f: f.attrs.__setitem__("style", "spiral"), "style must be one of"),
        (lambda f: f.attrs.__setitem__("times_unit", "weeks"), "times_unit must be"),
        (lambda f: f.attrs.__setitem__("length_ms", np.nan), "length must be finite"),
        (lambda f: f["times"].__setitem__(0, np.nan), "unit 0: spike times must"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(change, message, tmp_path):
    """What cannot be a recording is an error that names what is wrong."""
    path = SD.to_hdf5(tmp_path / "x.h5", style="paired")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FormatError, match=message):
        load_spikedata_from_hdf5(path)


def test_what_is_no_hdf5_file_is_refused(tmp_path):
    """A missing file and a text file are told apart."""
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_spikedata_from_hdf5(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match="is not an HDF5 file"):
        load_spikedata_from_hdf5(tmp_path / "text.h5")


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/times"), h5py.ExternalLink("o.h5", "/x")]
)
def test_links_that_lead_nowhere_are_not_followed(link, tmp_path):
    """A link could lead out of the file, or round in a ring."""
    path = SD.to_hdf5(tmp_path / "x.h5", style="paired")
    with h5py.File(path, "r+") as file:
        del file["times"]
        file["times"] = link
    with pytest.raises(FormatError, match="'/times' must not lead out of the file"):
        load_spikedata_from_hdf5(path)
    SD.to_hdf5(path, style="group")
    with h5py.File(path, "r+") as file:
        del file["units/1"]
        file["units/1"] = link
    with pytest.raises(FormatError, match=r"/units/1' must not|no '1' in /units"):
        load_spikedata_from_hdf5(path)


@pytest.mark.parametrize("target", ["/sorted/times", "./sorted/times"])
def test_links_inside_the_file_are_followed(target, tmp_path):
    """Other programs share data between groups through soft links."""
    path = SD.to_hdf5(tmp_path / "x.h5", style="paired")
    with h5py.File(path, "r+") as file:
        file["sorted/times"] = file["times"][()]
        del file["times"]
        file["times"] = h5py.SoftLink(target)
    assert_same_recording(load_spikedata_from_hdf5(path), SD)


@pytest.mark.parametrize("dtype", [bool, complex, "S3"])
def test_raw_data_must_be_numbers(dtype, tmp_path):
    """What a loader would refuse is not written."""
    raw = np.ones((1, 5)).astype(dtype)
    sd = SpikeData([[1.0]], raw_data=raw, raw_time=1.0)
    with pytest.raises(ValueError, match="raw_data must be integers or floats"):
        sd.to_hdf5(tmp_path / "x.h5", raw_dataset="raw", raw_time_dataset="t")


RAW = {"raw_dataset": "raw", "raw_time_dataset": "t"}


def damaging(writer, damage):
    """A writer class that damages what it has written."""

    class Damaging(writer):
        def _write(self, obj, staged):
            super()._write(obj, staged)
            with h5py.File(staged, "r+") as file:
                damage(file)

    return Damaging


@pytest.mark.parametrize("name", ["raw", "t"])
def test_verify_compares_raw_data(name, tmp_path):
    """A wrong sample, or a wrong time of a sample, is found."""
    sd = with_raw()
    RaggedWriter(verify=True, **RAW).write(sd, tmp_path / "x.h5")

    def damage(file):
        file[name][..., 7] += 1

    damaged = damaging(RaggedWriter, damage)(verify=True, **RAW)
    with pytest.raises(VerificationError, match=r"raw_(data|time) differs"):
        damaged.write(sd, tmp_path / "y.h5")
    assert not (tmp_path / "y.h5").exists()


def test_options_may_be_numbers_and_texts_of_any_kind(tmp_path):
    """Texts and numbers of numpy, and fractions, are taken for what they are."""
    path = SD.to_hdf5(
        tmp_path / "x.h5",
        style=np.str_("paired"),
        times_unit=np.str_("samples"),
        fs_Hz=Fraction(2000),
    )
    assert tree(path)[1]["fs_Hz"] == 2000.0
    assert_same_recording(load_spikedata_from_hdf5(path), SD)


OTHER = {
    "style": "paired",
    "raster_dataset": "r",
    "raster_bin_size_ms": 4.0,
    "spike_times_dataset": "s",
    "spike_times_index_dataset": "i",
    "spike_times_unit": "ms",
    "fs_Hz": 2000.0,
    "group_per_unit": "g",
    "group_time_unit": "samples",
    "idces_dataset": "n",
    "times_dataset": "t",
    "times_unit": "samples",
    "raw_dataset": "w",
    "raw_time_dataset": "wt",
    "raw_time_unit": "s",
    "verify": True,
    "strict": False,
    "storage_options": {},
    "progress": False,
    "overwrite": True,
}
"""For each parameter of the function a value that is not its default."""


@pytest.mark.parametrize("style", STYLES)
def test_function_and_writer_agree(style, tmp_path):
    """Names and defaults are the writer's, and values arrive in its file."""
    writer = STYLES[style]
    parameters = inspect.signature(export_spikedata_to_hdf5).parameters
    assert set(OTHER) == set(parameters) - {"sd", "filepath"}
    for field in attrs.fields(writer):
        default = parameters[field.name].default
        assert default == field.default or field.name == "raster_bin_size_ms"
    own = {field.alias: OTHER[field.name] for field in attrs.fields(writer)}
    by_writer = writer(**own).write(with_raw(), tmp_path / "writer.h5")
    with pytest.warns(UserWarning, match="without effect"):
        by_function = export_spikedata_to_hdf5(
            with_raw(), tmp_path / "function.h5", **{**OTHER, "style": style}
        )
    assert tree(by_writer)[0] == tree(by_function)[0]
    assert set(writer.options()) <= set(tree(by_writer)[1])


def test_signatures_show_every_option():
    """As those of the specification, with its defaults, in the export and the loader."""
    exported = inspect.signature(SpikeData.to_hdf5).parameters
    loaded = inspect.signature(load_spikedata_from_hdf5).parameters
    assert list(exported)[2:17] == list(OTHER)[:15]
    assert exported["spike_times_unit"].default == "s"
    assert exported["times_unit"].default == "ms"
    assert exported["raster_bin_size_ms"].default is None
    for name in list(OTHER)[1:15]:
        assert loaded[name].default is None
        assert f"{name}" in export_spikedata_to_hdf5.__doc__
        assert f"{name}" in load_spikedata_from_hdf5.__doc__


def test_options_of_another_style_are_named(tmp_path):
    """They have no effect; those that are at their default say nothing."""
    with pytest.warns(UserWarning, match="group_per_unit, spike_times_unit"):
        SD.to_hdf5(
            tmp_path / "x.h5", style="paired", spike_times_unit="ms", group_per_unit="g"
        )
    SD.to_hdf5(tmp_path / "x.h5", style="paired", times_unit="s", spike_times_unit="s")
    with pytest.warns(UserWarning, match="style 'paired': group_time_unit"):
        load_spikedata_from_hdf5(tmp_path / "x.h5", group_time_unit="s")


@pytest.mark.parametrize("writer", [RaggedWriter, GroupWriter, PairedWriter])
def test_a_writer_has_only_its_own_options(writer):
    """An option of another style is an error when the writer is made."""
    with pytest.raises(TypeError, match="raster_bin_size_ms"):
        writer(raster_bin_size_ms=1.0)


def test_a_writer_is_configured_once_and_used_often(tmp_path):
    """One writer writes several recordings, and cannot be changed."""
    writer = RasterWriter(bin_size_ms=5)
    for seed in (1, 2):
        path = writer.write(simulated(seed), tmp_path / f"{seed}.h5")
        assert load_spikedata_from_hdf5(path).N == 6
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        writer.raster_bin_size_ms = 1


def test_samples_past_int64_are_refused(tmp_path):
    """Before the first byte, with the value."""
    sd = SpikeData([[1e18]])
    with pytest.raises(ValueError, match="must fit into int64"):
        sd.to_hdf5(tmp_path / "x.h5", spike_times_unit="samples", fs_Hz=30_000)
    assert list(tmp_path.iterdir()) == []


def test_a_raster_of_no_time_cannot_hold_spikes(tmp_path):
    """No spike is dropped without a word."""
    with pytest.raises(ValueError, match="no bin for them"):
        SpikeData([[0.0]], length=0).to_hdf5(
            tmp_path / "x.h5", style="raster", raster_bin_size_ms=1.0
        )


def test_losses_are_said_and_can_be_forbidden(tmp_path):
    """What the styles do not carry is listed; strict makes it an error."""
    lost = RaggedWriter(spike_times_unit="samples", fs_Hz=1000).losses(simulated())
    assert [words.split()[0] for words in lost] == [
        "neuron_attributes",
        "metadata",
        "spike",
    ]
    assert RaggedWriter(spike_times_unit="ms").losses(SD) == []
    with pytest.raises(LossError, match="neuron_attributes"):
        simulated().to_hdf5(tmp_path / "x.h5", strict=True)
    SD.to_hdf5(tmp_path / "x.h5", spike_times_unit="ms", strict=True)


DAMAGES = {
    "raster": lambda file: file["raster"].__setitem__((2, 8), 0),
    "ragged": lambda file: file["spike_times_index"].__setitem__(1, 3),
    "group": lambda file: file.__delitem__("units/2"),
    "paired": lambda file: file["idces"].__setitem__(2, 1),
}


@pytest.mark.parametrize("style", STYLES)
def test_verify_finds_a_wrong_file(style, tmp_path):
    """A writer that lost a spike or a unit would publish nothing."""
    bins = {"bin_size_ms": 1.0} if style == "raster" else {}
    writer = damaging(STYLES[style], DAMAGES[style])(verify=True, **bins)
    with pytest.raises(VerificationError, match="differs from the object"):
        writer.write(SD, tmp_path / "x.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moved", [-0.001, 0.001])
def test_verify_knows_exactly_how_times_are_rounded(moved, tmp_path):
    """A sample off by one is no rounding."""
    sd = SpikeData([[1.0, 2.2]], length=5.0)
    writer = RaggedWriter(verify=True, spike_times_unit="samples", fs_Hz=1000.0)
    writer.write(sd, tmp_path / "x.h5")

    def damage(file):
        file["spike_times"][1] += round(moved * 1000)

    damaged = damaging(RaggedWriter, damage)
    with pytest.raises(VerificationError, match="spike times of unit 0"):
        damaged(verify=True, spike_times_unit="samples", fs_Hz=1000.0).write(
            sd, tmp_path / "y.h5"
        )


@pytest.mark.parametrize(
    ("times", "options", "lost"),
    [
        (
            np.arange(10) * 0.05,
            {"raw_time_unit": "samples", "fs_Hz": 1e3},
            "to 0.45 ms",
        ),
        (np.arange(10) + 250.824, {"raw_time_unit": "s"}, "raw_time is rounded by up"),
        (np.arange(10), {}, "raw_time is int64 and becomes float64"),
        (np.arange(10, dtype=np.float32), {}, "raw_time is float32"),
        (np.arange(10.0), {}, None),
    ],
)
def test_rounded_and_retyped_raw_times_are_losses(times, options, lost, tmp_path):
    """They are said beforehand, and what is written is verified all the same."""
    sd = SpikeData([[1.0]], length=400.0, raw_data=np.zeros((1, 10)), raw_time=times)
    writer = RaggedWriter(**RAW, spike_times_unit="ms", **options)
    assert [lost in text for text in writer.losses(sd)] == [True] * bool(lost)
    attrs.evolve(writer, verify=True).write(sd, tmp_path / "x.h5")
    if lost:
        with pytest.raises(LossError, match="raw_time"):
            attrs.evolve(writer, strict=True).write(sd, tmp_path / "y.h5")


def matlab_file(path, shape):
    """Vectors with two dimensions, whole numbers as doubles, and an empty one."""
    with h5py.File(path, "w") as file:
        for name, values in {
            "idces": [0.0, 1, 0, 3],
            "times": [10.0, 20, 30, 40],
            "ends": [2.0, 3, 3, 4],
            "sorted": [10.0, 30, 20, 40],
            "units/a": [10.0, 30],
            "units/b": [20.0],
            "units/d": [40.0],
        }.items():
            file[name] = np.array(values).reshape(shape)
        file["units/c"] = np.zeros(2, np.uint64)
        file["units/c"].attrs["MATLAB_empty"] = np.uint8(1)
        for name in ("none", "nothing"):
            file[name] = np.zeros(2, np.uint64)
            file[name].attrs["MATLAB_empty"] = np.uint8(1)
        file["raw"] = np.zeros((2, 3), np.int16)
        file["t"] = np.array([0.0, 1, 2]).reshape(shape)


MATLAB = {
    "paired": {"idces_dataset": "idces", "times_dataset": "times", "times_unit": "ms"},
    "ragged": {
        "spike_times_dataset": "sorted",
        "spike_times_index_dataset": "ends",
        "spike_times_unit": "ms",
    },
    "group": {"group_per_unit": "units", "group_time_unit": "ms"},
}


@pytest.mark.parametrize("style", MATLAB)
@pytest.mark.parametrize("shape", [(1, -1), (-1, 1)], ids=["row", "column"])
def test_vectors_of_matlab(style, shape, tmp_path):
    """They are read in every style, and as times of raw voltages."""
    matlab_file(tmp_path / "a.mat", shape)
    raw = {**RAW, "raw_time_unit": "ms"}
    found = load_spikedata_from_hdf5(tmp_path / "a.mat", **MATLAB[style], **raw)
    assert [t.tolist() for t in found.train] == [[10, 30], [20], [], [40]]
    assert found.raw_time.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "names",
    [
        {"idces_dataset": "none", "times_dataset": "nothing"},
        {"spike_times_dataset": "none", "spike_times_index_dataset": "nothing"},
        {"raster_dataset": "none", "raster_bin_size_ms": 1.0},
    ],
    ids=str,
)
def test_empty_arrays_of_matlab(names, tmp_path):
    """Their dataset holds their size."""
    matlab_file(tmp_path / "a.mat", (1, -1))
    assert load_spikedata_from_hdf5(tmp_path / "a.mat", **names).N == 0


def test_empty_raw_voltages_of_matlab(tmp_path):
    """They and their times are empty, not the size that stands in their place."""
    matlab_file(tmp_path / "a.mat", (1, -1))
    raw = {"raw_dataset": "none", "raw_time_dataset": "nothing"}
    sd = load_spikedata_from_hdf5(tmp_path / "a.mat", **MATLAB["group"], **raw)
    assert (sd.raw_data.size, sd.raw_time.size) == (0, 0)


@pytest.mark.parametrize("dtype", ["u8", "i1", ">i4", "f2", "f4", ">f8"])
def test_indices_and_times_of_every_type(dtype, tmp_path):
    """As C, R and Fortran write them."""
    idces, times = np.array([1, 0, 1], dtype), np.array([3, 4, 5], dtype)
    path = foreign(tmp_path / "a.h5", i=idces, t=times)
    names = {"idces_dataset": "i", "times_dataset": "t", "times_unit": "ms"}
    found = load_spikedata_from_hdf5(path, **names)
    assert [times.tolist() for times in found.train] == [[4.0], [3.0, 5.0]]


@pytest.mark.parametrize("values", [[0.5, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_indices_that_are_no_whole_numbers_are_refused(values, tmp_path):
    """The error names the dataset and the value."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["i"], file["t"] = values, [0.1, 0.2]
    for names in (
        {"idces_dataset": "i", "times_dataset": "t"},
        {"spike_times_dataset": "t", "spike_times_index_dataset": "i"},
    ):
        with pytest.raises(FormatError, match=f"'i' must hold whole .*{values[0]}"):
            load_spikedata_from_hdf5(tmp_path / "x.h5", **names)


def test_a_file_that_is_open_for_writing_is_refused(tmp_path):
    """What is on the disk is not yet a recording."""
    path = SD.to_hdf5(tmp_path / "x.h5")
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('', flush=True)"
    command = [sys.executable, "-c", f"{code}; sys.stdin.read()", path]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as writer:
        writer.stdout.readline()
        for read in (load, load_spikedata_from_hdf5):
            with pytest.raises(FormatError, match="open for writing in another"):
                read(path)
        writer.communicate()
    assert load(path).N == 3


def test_a_file_whose_writer_died_is_refused(tmp_path):
    """HDF5 marks files of its newer versions while they are written."""
    code = (
        "import h5py, os, sys; f = h5py.File(sys.argv[1], 'w', libver='latest'); "
        "f['spike_times'] = [1.0]; f.flush(); os._exit(0)"
    )
    path = tmp_path / "x.h5"
    subprocess.run([sys.executable, "-c", code, path], check=True)
    with pytest.raises(FormatError, match="open for writing in another"):
        load_spikedata_from_hdf5(path)


def test_a_missing_filter_is_named(tmp_path):
    """With the package that has it."""
    path = SD.to_hdf5(tmp_path / "x.h5")
    if h5py.h5z.filter_avail(32015):
        pytest.skip("the filter is installed")
    with h5py.File(path, "r+") as file:
        del file["spike_times"]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((3,))
        plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((3,))
        made = h5py.h5d.create(
            file.id, b"spike_times", h5py.h5t.IEEE_F64LE, space, plan
        )
        made.write_direct_chunk((0,), b"\x28\xb5\x2f\xfd" + bytes(8))
    with pytest.raises(FormatError, match="pip install hdf5plugin"):
        load_spikedata_from_hdf5(path)


def test_what_is_missing_is_told_with_what_is_there(tmp_path):
    """The datasets of the file are listed, to correct a name."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["sorted/unit"], file["sorted/t"] = [0], [1.0]
    names = {"idces_dataset": "unit", "times_dataset": "t"}
    for options in (names, {}):
        with pytest.raises(FormatError, match="datasets are sorted/t, sorted/unit"):
            load_spikedata_from_hdf5(tmp_path / "x.h5", **options)


def test_files_of_other_formats_are_called_by_their_names(tmp_path):
    """The loader says what it was given."""
    SD.to_pickle(tmp_path / "a.pkl")
    SD.to_nwb(tmp_path / "a.nwb")
    AnalysisWorkspace().save(tmp_path / "w.h5")
    for name, message in {
        "a.pkl": "is not an HDF5 file: its format is 'pickle'",
        "a.nwb": "is an NWB file; load_spikedata_from_nwb",
        "w.h5": r"is a workspace; AnalysisWorkspace\.load",
    }.items():
        with pytest.raises(FormatError, match=message):
            load_spikedata_from_hdf5(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "word"), [("zarr.json", "Zarr store"), (".zgroup", "Zarr store")]
)
def test_a_zarr_store_is_called_by_its_name(name, word, tmp_path):
    """As spikelab.load calls it."""
    (tmp_path / name).write_text("{}")
    for read in (load, load_spikedata_from_hdf5):
        with pytest.raises(FormatError, match=word):
            read(tmp_path)


def test_an_nwb_1_file_is_called_by_its_name(tmp_path):
    """Its version is a dataset."""
    path = foreign(tmp_path / "a.h5", nwb_version="NWB-1.0.6", units=[1.0])
    for read in (load, load_spikedata_from_hdf5):
        with pytest.raises(FormatError, match="NWB 1 file"):
            read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("style", STYLES)
def test_the_sampling_rate_of_a_file_is_metadata(style, tmp_path):
    """So that a conversion to Phy knows it."""
    options = {"style": style, "fs_Hz": 20_000.0, "verify": True}
    bins = {"raster_bin_size_ms": 1.0} if style == "raster" else {}
    path = simulated().to_hdf5(tmp_path / "a.h5", **options, **bins)
    found = load(path)
    assert found.metadata["fs_Hz"] == 20_000.0
    assert convert(path, tmp_path / "phy", to="phy")
    assert load(tmp_path / "phy").metadata["fs_Hz"] == 20_000.0
    writer = STYLES[style](fs_Hz=2e4, **({"bin_size_ms": 1.0} if bins else {}))
    known = SpikeData([[1.0]], metadata={"fs_Hz": 2e4})
    assert not [text for text in writer.losses(known) if "metadata" in text]
    known = SpikeData([[1.0]], metadata={"fs_Hz": 3e4})
    assert [text for text in writer.losses(known) if "metadata" in text]


def test_the_sampling_rate_that_the_caller_gives_is_metadata(tmp_path):
    """Of a file that counts samples and does not say how fast."""
    path = foreign(tmp_path / "a.h5", i=[0, 1], t=[300, 600])
    names = {"idces_dataset": "i", "times_dataset": "t", "times_unit": "samples"}
    found = load_spikedata_from_hdf5(path, **names, fs_Hz=30_000)
    assert found.metadata["fs_Hz"] == 30_000.0


def test_attributes_with_one_value_are_numbers(tmp_path):
    """MATLAB and others write an array of one; lists and objects are not read."""
    path = SD.to_hdf5(tmp_path / "x.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["length_ms"] = np.array([12.0])
        file.attrs["n_units"] = np.array([[3]])
        file.attrs["other"] = ["a", "b"]
        file.attrs["reference"] = file["spike_times"].ref
    assert load(path).length == 12.0


def test_indices_are_32_bit(tmp_path):
    """Half the bytes of 64, and as many units as anyone records."""
    path = SD.to_hdf5(tmp_path / "x.h5", style="paired")
    with h5py.File(path) as file:
        assert file["idces"].dtype == np.int32


def test_every_style_is_an_hdf5_writer():
    """The styles are those of the specification."""
    assert sorted(STYLES) == ["group", "paired", "ragged", "raster"]
    assert all(issubclass(writer, HDF5Writer) for writer in STYLES.values())


@pytest.mark.parametrize(
    "wrong",
    [{"times_unit": "min"}, {"raster_bin_size_ms": -1.0}, {"group_per_unit": "/g"}],
    ids=str,
)
def test_wrong_options_of_other_styles_are_refused_too(wrong, tmp_path):
    """A slip is a slip, whether it would have had an effect or not."""
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        SD.to_hdf5(tmp_path / "x.h5", style="ragged", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_raw_data_that_were_asked_for_must_be_there(tmp_path):
    """A name that is not in the file is no file without raw data."""
    path = SD.to_hdf5(tmp_path / "x.h5")
    with pytest.raises(FormatError, match="has no 'nope'"):
        load_spikedata_from_hdf5(path, raw_dataset="nope", raw_time_dataset="t")


def test_a_sparse_raster_of_another_program_is_read(tmp_path):
    """An hour of a hundred units in which one spiked once."""
    with h5py.File(tmp_path / "r.h5", "w") as file:
        chunks = {"chunks": (16, 65536), "compression": "gzip"}
        raster = file.create_dataset("raster", (100, 3_600_000), "u1", **chunks)
        raster[0:1, 5:6] = 1
    options = {"raster_dataset": "raster", "raster_bin_size_ms": 1.0}
    found = load_spikedata_from_hdf5(tmp_path / "r.h5", **options)
    assert (found.N, found.length) == (100, 3_600_000.0)
    assert [len(times) for times in found.train] == [1, *[0] * 99]


def foreign(path, **datasets):
    """A file of another program with these datasets."""
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
    return path


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a", "b"], ["a", "b"]),
        (["12", "7"], [7, 12]),
        (["007", "12"], ["007", "12"]),
        (["0", "1"], None),
    ],
)
def test_names_of_units_are_kept(names, ids, tmp_path):
    """What another program calls its units is their unit_id, but for 0 to N - 1."""
    datasets = {f"g/{name}": [0.5] for name in names}
    path = foreign(tmp_path / "a.h5", **datasets)
    found = load_spikedata_from_hdf5(path, group_per_unit="g")
    assert found.unit_table.unit_ids == ids
    again = load(SD.to_hdf5(tmp_path / "b.h5", style="group"))
    assert again.neuron_attributes is None


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1)], ids=str)
def test_cell_arrays_of_matlab(shape, tmp_path):
    """An array of references, also of Julia; one cell is empty."""
    with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
        cells = file.create_group("#refs#")
        cells["a"], cells["b"], cells["c"] = [[10.0, 20.0]], [0, 0], [[30.0]]
        cells["b"].attrs["MATLAB_empty"] = np.uint8(1)
        made = file.create_dataset("spikes", shape, h5py.ref_dtype)
        made[...] = np.array([cells[n].ref for n in "abc"], object).reshape(shape)
    names = {"group_per_unit": "spikes", "group_time_unit": "ms"}
    found = load_spikedata_from_hdf5(tmp_path / "a.mat", **names)
    assert [times.tolist() for times in found.train] == [[10, 20], [], [30]]
    assert found.neuron_attributes is None


def test_arrays_of_variable_length(tmp_path):
    """One for each unit, as h5py and Julia write them; others are refused by name."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("spikes", (3,), h5py.vlen_dtype(np.float64))
        made[0], made[2] = [0.01, 0.02], [0.03]
        file["names"], file["padded"] = ["a", "b"], np.full((2, 3), np.nan)
    found = load_spikedata_from_hdf5(tmp_path / "a.h5", group_per_unit="spikes")
    assert [times.tolist() for times in found.train] == [[10, 20], [], [30]]
    for name in ("names", "padded"):
        with pytest.raises(
            FormatError, match=f"{name} must be a group of datasets, or"
        ):
            load_spikedata_from_hdf5(tmp_path / "a.h5", group_per_unit=name)


def test_a_name_that_is_not_utf_8_is_a_format_error(tmp_path):
    """As a C program in a Latin-1 locale writes it."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/a"] = [0.1]
        h5py.h5o.link(file["g/a"].id, file["g"].id, b"Zelle \xe4")
    with pytest.raises(FormatError, match="has no"):
        load_spikedata_from_hdf5(tmp_path / "a.h5", group_per_unit="g")


def test_raw_voltages_that_are_stored_transposed(tmp_path):
    """The number of their times says which axis is which."""
    raw = np.arange(12, dtype=np.int16).reshape(4, 3)
    path = foreign(tmp_path / "a.h5", i=[0], t=[0.5], raw=raw, rt=np.arange(4.0))
    names = {"idces_dataset": "i", "times_dataset": "t", "raw_time_unit": "ms"}
    found = load_spikedata_from_hdf5(
        path, **names, raw_dataset="raw", raw_time_dataset="rt"
    )
    np.testing.assert_array_equal(found.raw_data, raw.T)


def test_a_group_in_the_place_of_a_dataset_is_told_with_what_it_holds(tmp_path):
    """Such as a sparse matrix of MATLAB, or a group for each unit."""
    path = foreign(tmp_path / "a.h5", **{"r/ir": [0], "r/jc": [0, 1]})
    names = {"raster_dataset": "r", "raster_bin_size_ms": 1.0}
    with pytest.raises(FormatError, match="got a group; its datasets are ir, jc"):
        load_spikedata_from_hdf5(path, **names)


NONE = h5py.Empty("f8")
"""An array without values, as Julia and R write it."""


def test_empty_and_single_values_of_other_programs(tmp_path):
    """A dataset without a shape is empty, a single value an array of one."""
    path = foreign(
        tmp_path / "a.h5", **dict.fromkeys("itrs", NONE), **{"g/a": 0.5, "g/b": NONE}
    )
    per_unit = load_spikedata_from_hdf5(path, group_per_unit="g")
    assert [times.tolist() for times in per_unit.train] == [[500.0], []]
    raw = {"raw_dataset": "r", "raw_time_dataset": "s"}
    names = {"idces_dataset": "i", "times_dataset": "t"}
    assert load_spikedata_from_hdf5(path, **names, **raw).N == 0
    names = {"raster_dataset": "r", "raster_bin_size_ms": 1.0}
    assert load_spikedata_from_hdf5(path, **names).N == 0


@pytest.mark.parametrize("text", ["ms", "Milliseconds", "[msec]", np.bytes_(b"ms ")])
@pytest.mark.parametrize("key", ["unit", "units"])
def test_a_unit_at_the_times_is_known(key, text, tmp_path):
    """What the caller says counts before; an unknown one is named in a warning."""
    path = foreign(tmp_path / "a.h5", i=[0, 1], t=[3.0, 5.0])
    with h5py.File(path, "a") as file:
        file["t"].attrs[key] = text
    names = {"idces_dataset": "i", "times_dataset": "t"}
    assert load_spikedata_from_hdf5(path, **names).length == 5.0
    assert load_spikedata_from_hdf5(path, **names, times_unit="s").length == 5000.0
    with h5py.File(path, "a") as file:
        file["t"].attrs[key] = "us"
    with pytest.warns(UserWarning, match="unit 'us' of t is not known: .* for seconds"):
        assert load_spikedata_from_hdf5(path, **names).length == 5000.0


def test_a_unit_at_the_times_of_each_unit_is_known(tmp_path):
    """And samples are, if the rate is."""
    path = foreign(tmp_path / "a.h5", **{"g/a": [3, 5], "g/b": [4]})
    with h5py.File(path, "a") as file:
        for times in file["g"].values():
            times.attrs["units"] = "samples"
    found = load_spikedata_from_hdf5(path, group_per_unit="g", fs_Hz=1000.0)
    assert [times.tolist() for times in found.train] == [[3.0, 5.0], [4.0]]
    with pytest.raises(FormatError, match="fs_Hz must be given"):
        load_spikedata_from_hdf5(path, group_per_unit="g")


def test_units_that_matlab_counts_from_one(tmp_path):
    """A warning says that unit 0 is silent; integers may begin there."""
    path = foreign(tmp_path / "a.h5", i=[1.0, 2.0], t=[0.1, 0.2], n=[1, 2])
    with pytest.warns(UserWarning, match="i counts from 1, as MATLAB does: unit 0"):
        found = load_spikedata_from_hdf5(path, idces_dataset="i", times_dataset="t")
    assert found.N == 3
    assert load_spikedata_from_hdf5(path, idces_dataset="n", times_dataset="t").N == 3


def test_a_raster_with_more_units_than_bins(tmp_path):
    """MATLAB, R and Julia store the transpose of what they show."""
    path = foreign(tmp_path / "a.h5", r=np.eye(200, 3, dtype="f2"))
    names = {"raster_dataset": "r", "raster_bin_size_ms": 1.0}
    with pytest.warns(UserWarning, match="'r' has 200 rows, .* 3 bins: .* transpose"):
        assert load_spikedata_from_hdf5(path, **names).N == 200


def test_the_unit_of_a_time_that_is_nan(tmp_path):
    """It is named, not the start of the recording."""
    path = foreign(tmp_path / "a.h5", i=[0, 1], t=[0.1, np.nan])
    with pytest.raises(FormatError, match="unit 1: spike times must be finite"):
        load_spikedata_from_hdf5(path, idces_dataset="i", times_dataset="t")


@pytest.mark.parametrize("style", ["ragged", "group"])
def test_verifying_without_room_on_the_disk(style, tmp_path, monkeypatch):
    """Large arrays are then compared in memory."""
    monkeypatch.setattr(os, "posix_fallocate", full_disk, raising=False)
    sd = SpikeData([np.arange(100_000.0), []], length=2e5)
    path = sd.to_hdf5(tmp_path / "a.h5", style=style, verify=True)
    assert differences(load(path), sd, atol_ms=1e-9) == []


def full_disk(*args):
    """What a full disk raises."""
    raise OSError(errno.ENOSPC, "No space left on device")
