"""NWB files of other programs, made with h5py: what is read, what is named, what fails."""

import h5py
import numpy as np
import pytest

from spikelab import SpikeData, load, load_spikedata_from_nwb
from spikelab.errors import FormatError
from spikelab.formats import CSVWriter, ParquetWriter
from spikelab.spikedata.pairwise import PairwiseCompMatrix

ELECTRODES = "general/extracellular_ephys/electrodes"


@pytest.fixture
def path(tmp_path):
    """Three units, and a probe with the electrodes 100 to 103."""
    path = tmp_path / "theirs.nwb"
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.6.0"
        table = file.create_group(ELECTRODES)
        table["id"] = np.arange(100, 104)
        table["x"], table["y"] = np.arange(4.0), [0.0, 10.0, np.nan, 30.0]
        table["location"] = ["CA1", "CA1", "unknown", ""]
        table["group_name"] = ["shank"] * 4
        units = file.create_group("units")
        units["id"] = [7, 8, 9]
        units["spike_times"] = [0.1, 0.2, 0.3]
        units["spike_times_index"] = [1, 2, 3]
        units["electrodes"] = [0, 1, 1, 2]
        units["electrodes_index"] = [2, 3, 4]
        units["electrodes"].attrs["table"] = table.ref
    return path


def add(path, name, data, **attributes):
    """Add a dataset to a file."""
    with h5py.File(path, "r+") as file:
        file[name] = data
        file[name].attrs.update(attributes)


def known(path, key):
    """An attribute of each unit, None where it has none."""
    return [unit.get(key) for unit in load(path).neuron_attributes]


def test_several_electrodes_are_a_list_without_a_place(path):
    """One is its id, with the coordinates up to the first that is not known."""
    assert known(path, "electrode") == [[100, 101], 101, 102]
    assert known(path, "location") == [None, [1.0, 10.0], [2.0]]
    assert load(path).electrodes.tolist() == [[100, 101], 101, 102]


def test_the_brain_area_is_that_of_all_electrodes(path, tmp_path):
    """It is written again, where the electrodes table has it."""
    assert known(path, "brain_area") == ["CA1", "CA1", None]
    load(path).to_nwb(tmp_path / "ours.nwb")
    with h5py.File(tmp_path / "ours.nwb") as file:
        areas = file[ELECTRODES]["location"].asstr()[:].tolist()
    assert areas == ["CA1", "CA1", "unknown"]
    assert known(tmp_path / "ours.nwb", "electrode") == [[100, 101], 101, 102]
    assert known(tmp_path / "ours.nwb", "brain_area") == ["CA1", "CA1", None]


def test_brain_areas_of_a_unit_in_several_are_a_list(path, tmp_path):
    """In the order of its electrodes; each electrode gets its own one again."""
    with h5py.File(path, "r+") as file:
        del file[f"{ELECTRODES}/location"]
        file[f"{ELECTRODES}/location"] = ["CA3", "CA1", "CA1", ""]
        del file["units/electrodes"], file["units/electrodes_index"]
        file["units/electrodes"] = [1, 0, 1, 2, 3]
        file["units/electrodes_index"] = [2, 4, 5]
        file["units/electrodes"].attrs["table"] = file[ELECTRODES].ref
    areas = [["CA1", "CA3"], "CA1", None]
    assert known(path, "electrode") == [[101, 100], [101, 102], 103]
    assert known(path, "brain_area") == areas
    sd = load(path)
    for name, export in (("a.nwb", sd.to_nwb), ("a.pkl", sd.to_pickle)):
        export(tmp_path / name, verify=True, strict=True)
        assert known(tmp_path / name, "brain_area") == areas
    for writer in (CSVWriter, ParquetWriter):  # a cell, or a column, has one type
        lost = "; ".join(writer(units_table=tmp_path / "units").losses(sd))
        assert "neuron_attributes['brain_area']" in lost
    with pytest.warns(UserWarning, match="brain_area of unit 0 left out"):
        sd.to_phy(tmp_path / "phy", fs_Hz=2e4, verify=True)
    with h5py.File(tmp_path / "a.nwb") as file:
        table = file[ELECTRODES]
        assert table["id"][:].tolist() == [100, 101, 102, 103]
        assert table["location"].asstr()[:].tolist() == ["CA3", "CA1", "CA1", "unknown"]


def test_an_area_that_is_not_known_is_said_in_the_list(path):
    """So that the list has one entry for each electrode."""
    with h5py.File(path, "r+") as file:
        file["units/electrodes"][:2] = [1, 3]
    assert known(path, "brain_area")[0] == ["CA1", "unknown"]


def test_the_electrode_may_be_that_of_the_peak(path):
    """An id, as in files of the Allen Institute; other numbers mean something else."""
    with h5py.File(path, "r+") as file:
        del file["units/electrodes"], file["units/electrodes_index"]
        file["units/peak_channel_id"] = [101, 100, 103]
    assert known(path, "electrode") == [101, 100, 103]
    assert known(path, "brain_area") == ["CA1", "CA1", None]
    assert known(path, "location") == [[1.0, 10.0], [0.0, 0.0], [3.0, 30.0]]
    with h5py.File(path, "r+") as file:
        file["units/peak_channel_id"][0] = 5
    assert known(path, "electrode") == [None] * 3
    assert known(path, "peak_channel_id") == [5, 100, 103]


def test_columns_may_end_like_an_index(path):
    """Of units they are read, of electrodes named."""
    add(path, "units/depth_index", [3, 1, 2])
    add(path, f"{ELECTRODES}/local_index", np.arange(4))
    with pytest.warns(UserWarning, match="electrodes not read: local_index$"):
        assert known(path, "depth_index") == [3, 1, 2]


def make_no_table(file):
    """The table of electrodes is in another file."""
    del file[ELECTRODES]
    file[ELECTRODES] = h5py.ExternalLink("gone.nwb", ELECTRODES)


def make_table_a_ring(file):
    """The table of electrodes is a link to itself."""
    del file[ELECTRODES]
    file[ELECTRODES] = h5py.SoftLink(f"/{ELECTRODES}")


def make_table_dangle(file):
    """The table of electrodes is a link to nothing, beside what is left of it."""
    del file[ELECTRODES]
    file[ELECTRODES] = h5py.SoftLink("/nothing")


def make_no_devices(file):
    """All that is known of the devices is in another file."""
    ephys = ELECTRODES.rsplit("/", 1)[0]
    del file[ephys]
    file[ephys] = h5py.ExternalLink("gone.nwb", f"/{ephys}")


def make_no_ids(file):
    """The ids of the electrodes are in another file."""
    del file[f"{ELECTRODES}/id"]
    file[f"{ELECTRODES}/id"] = h5py.ExternalLink("gone.nwb", f"{ELECTRODES}/id")


def make_dangling_ids(file):
    """The ids of the electrodes are a link to nothing."""
    del file[f"{ELECTRODES}/id"]
    file[f"{ELECTRODES}/id"] = h5py.SoftLink("/nothing")


def make_too_few(file):
    """A unit has an electrode that the table lacks."""
    file["units/electrodes"][0] = 4


def make_no_reference(file):
    """The column refers to nothing, and there is no table."""
    del file[ELECTRODES]
    file["units/electrodes"].attrs["table"] = h5py.Reference()


@pytest.mark.parametrize(
    "damage",
    [
        *(make_no_table, make_table_a_ring, make_table_dangle, make_no_devices),
        *(make_no_ids, make_dangling_ids, make_too_few, make_no_reference),
    ],
)
def test_electrodes_that_cannot_be_read_cost_no_spikes(damage, path):
    """One warning names them."""
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.warns(UserWarning, match="electrodes .* not read") as said:
        sd = load(path)
    assert len(said) == 1
    assert [t.tolist() for t in sd.train] == [[100.0], [200.0], [300.0]]
    assert sd.neuron_attributes == [{"unit_id": n} for n in (7, 8, 9)]


def test_a_reference_to_nothing_means_the_electrodes_of_the_file(path):
    """Its numbers are rows of that table."""
    with h5py.File(path, "r+") as file:
        file["units/electrodes"].attrs["table"] = h5py.Reference()
    assert known(path, "electrode") == [[100, 101], 101, 102]


def test_coordinates_of_several_dimensions_are_named(path):
    """Each electrode has one of each."""
    with h5py.File(path, "r+") as file:
        del file[f"{ELECTRODES}/x"]
        file[f"{ELECTRODES}/x"] = np.ones((4, 2))
    with pytest.warns(UserWarning, match="electrodes not read: x, y$"):
        assert known(path, "location") == [None] * 3


def test_columns_of_the_electrodes_that_are_not_read_are_named_once(path):
    """But for the groups."""
    add(path, f"{ELECTRODES}/imp", np.ones(4))
    add(path, f"{ELECTRODES}/filtering", ["none"] * 4)
    with pytest.warns(UserWarning, match="electrodes not read: filtering, imp") as said:
        load(path)
    assert len(said) == 1


LINKS = {
    "to another file": lambda name: h5py.ExternalLink("gone.nwb", name),
    "to nothing": lambda name: h5py.SoftLink("/nothing"),
    "to itself": lambda name: h5py.SoftLink(name),
}


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", ["spike_times", "spike_times_index", "id"])
def test_links_that_cannot_be_followed_are_no_silent_units(name, link, path):
    """Spike times, their index and the ids are needed."""
    with h5py.File(path, "r+") as file:
        del file[f"units/{name}"]
        file[f"units/{name}"] = LINKS[link](f"/units/{name}")
    with pytest.raises(FormatError, match=f"units/{name} .* link"):
        load_spikedata_from_nwb(path)


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", ["quality", "tags", "electrodes"])
def test_links_of_other_columns_are_named(name, link, path):
    """The spikes are read all the same."""
    add(path, "units/quality", ["good"] * 3)
    add(path, "units/tags", ["a", "b", "c"])
    add(path, "units/tags_index", [1, 1, 3])
    broken = f"units/{name}_index" if name == "tags" else f"units/{name}"
    with h5py.File(path, "r+") as file:
        del file[broken]
        file[broken] = LINKS[link](f"/{broken}")
    with pytest.warns(UserWarning, match=f"left out: {name} "):
        sd = load(path)
    assert [t.tolist() for t in sd.train] == [[100.0], [200.0], [300.0]]
    assert name not in sd.neuron_attributes[0]


def test_enumerations_are_read_as_their_names(path):
    """A code out of range, or names that are gone, cost that column."""
    add(path, "units/names", ["pyramidal", "interneuron"])
    with h5py.File(path) as file:
        elements = file["units/names"].ref
    with h5py.File(path, "r+") as file:
        codes = file.create_dataset("units/cell", data=np.array([1, 0, 1], np.uint8))
        codes.attrs["neurodata_type"] = "EnumData"
        codes.attrs["elements"] = elements
        file["units"].attrs["colnames"] = ["spike_times", "cell"]
    assert known(path, "cell") == ["interneuron", "pyramidal", "interneuron"]
    with h5py.File(path, "r+") as file:
        file["units/cell"][1] = 2
    with pytest.warns(UserWarning, match=r"left out: cell \[.*of its names, got 2\] "):
        assert load_spikedata_from_nwb(path).N == 3
    add(path, "units/depth", [1.0, 2.0])
    with h5py.File(path, "r+") as file:
        file["units"].attrs["colnames"] = ["spike_times", "cell", "depth"]
    with pytest.warns(
        UserWarning, match=r"depth \[/units/depth must have 3 rows, got 2"
    ):
        assert "depth" not in load_spikedata_from_nwb(path).neuron_attributes[0]
    with h5py.File(path, "r+") as file:
        file["units/cell"].attrs["elements"] = h5py.Reference()
    with pytest.warns(UserWarning, match="left out: cell, depth"):
        assert load_spikedata_from_nwb(path).N == 3


def test_enumerations_of_electrodes_are_read_as_their_names(path):
    """A brain area that is stored as a code."""
    with h5py.File(path, "r+") as file:
        table = file[ELECTRODES]
        del table["location"]
        table["areas"] = ["CA1", "unknown", "CA3"]
        codes = table.create_dataset("location", data=np.array([0, 2, 1, 0], np.uint8))
        codes.attrs["neurodata_type"] = "EnumData"
        codes.attrs["elements"] = table["areas"].ref
        names = table["areas"]
        names.attrs["neurodata_type"] = "VectorData"
        table.move("areas", "location_elements")
    assert known(path, "brain_area") == [["CA1", "CA3"], "CA3", None]


@pytest.mark.parametrize(
    "notes",
    [
        {"group": "control", "spike_times_dataset": "x", "kind": "RateData"},
        {"start_time": 1704153600.0, "length_ms": "long"},
        {"n_units": 99, "fs_Hz": 20_000.0, "time_zero_ms": 5.0},
        {"creator": "A. Student", "style": "ragged", "__type__": "RateData"},
    ],
    ids=str,
)
def test_attributes_of_the_root_mean_nothing(notes, path):
    """Unless spikelab wrote the file."""
    before = load(path)
    with h5py.File(path, "r+") as file:
        file.attrs.update(notes)
    after = load(path)
    assert after == before
    assert (after.start_time, after.length) == (0.0, 300.0)


def test_nan_names_the_unit(path):
    """And infinity; not the window that was to be made of it."""
    for value in (np.nan, np.inf):
        with h5py.File(path, "r+") as file:
            file["units/spike_times"][1] = value
        with pytest.raises(FormatError, match=f"unit 1: .* finite, got {value}"):
            load(path)


def test_observed_intervals_that_are_no_times(path):
    """They tell no window."""
    add(path, "units/obs_intervals", np.full((3, 2), np.nan))
    add(path, "units/obs_intervals_index", [1, 2, 3])
    assert load(path).length == 300.0


@pytest.mark.parametrize(
    ("intervals", "ends"),
    [
        ([[0.0, 1.0], [0.0, 0.5], [0.0, 1.0]], [1, 2, 3]),
        ([[0.0, 0.4], [0.6, 1.0]] * 3, [2, 4, 6]),
    ],
)
def test_observed_intervals_that_a_window_cannot_hold_are_named(intervals, ends, path):
    """Those of single units, and gaps; the window covers all of them."""
    add(path, "units/obs_intervals", intervals)
    add(path, "units/obs_intervals_index", ends)
    with pytest.warns(UserWarning, match=r"obs_intervals .* 0\.0 to 1\.0 s"):
        assert load(path).length == 1000.0


def test_observed_intervals_behind_a_link_are_named(path):
    """The window is then that of the spikes."""
    with h5py.File(path, "r+") as file:
        file["units/obs_intervals"] = h5py.ExternalLink("gone.nwb", "/x")
    with pytest.warns(UserWarning, match=r"window .*obs_intervals"):
        assert load(path).length == 300.0


def test_units_elsewhere_are_found_by_their_name(path):
    """The error says where they are, and what else is in the file."""
    with h5py.File(path, "r+") as file:
        file.move("units", "processing/ecephys/sorted")
    where = r"no 'units'; units are in processing/ecephys/sorted: .* group="
    with pytest.raises(FormatError, match=where):
        load_spikedata_from_nwb(path)
    sd = load_spikedata_from_nwb(path, group="processing/ecephys/sorted")
    assert sd.N == 3
    assert load(path, group="processing/ecephys/sorted").electrodes[1] == 101
    with h5py.File(path, "r+") as file:
        del file["processing"]
    with pytest.raises(FormatError, match="no 'units'; it holds general"):
        load_spikedata_from_nwb(path)


def test_a_group_of_our_own_file_can_be_named(tmp_path):
    """By default it is the one that was written."""
    sd = SpikeData([[1.0]], length=5.0)
    with pytest.warns(UserWarning, match="will not find them"):
        sd.to_nwb(tmp_path / "a.nwb", group="sorted")
    assert load_spikedata_from_nwb(tmp_path / "a.nwb", group="sorted") == load(
        tmp_path / "a.nwb"
    )
    with pytest.raises(FormatError, match="no 'units'; units are in sorted"):
        load_spikedata_from_nwb(tmp_path / "a.nwb", group="units")


def test_what_is_no_nwb_2_is_called_by_its_name(tmp_path):
    """NWB 1, and stores of Zarr in both of its versions, of NWB or not."""
    for version in ("NWB-1.0.6", np.array([b"NWB-1.0.5_beta"])):
        with h5py.File(tmp_path / f"{len(version)}.nwb", "w") as file:
            file["nwb_version"] = version
    stores = {".zattrs": '{"nwb_version": "2.7.0"}', ".zgroup": "{}", "zarr.json": "{}"}
    for name, text in stores.items():
        (tmp_path / f"{name}.zarr").mkdir()
        (tmp_path / f"{name}.zarr" / name).write_text(text)
    for path in tmp_path.iterdir():
        for read in (load, load_spikedata_from_nwb):
            with pytest.raises(FormatError) as error:
                read(path)
            is_store = path.suffix == ".zarr"
            assert ("is a Zarr store" if is_store else "NWB 1") in str(error.value)
            assert str(path) in str(error.value)


def test_a_comparison_is_no_recording(tmp_path):
    """The loader says which function takes any."""
    PairwiseCompMatrix(np.eye(2)).to_nwb(tmp_path / "a.nwb")
    with pytest.raises(FormatError, match=r"got a PairwiseCompMatrix; spikelab\.load"):
        load_spikedata_from_nwb(tmp_path / "a.nwb")


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_mean_waveforms(shape, path, tmp_path):
    """One array per unit, none of NaN; the channels if they are the electrodes."""
    means = np.random.default_rng(0).random(shape).astype(np.float32)
    means[1] = np.nan
    add(path, "units/waveform_mean", means, sampling_rate=np.float32(2e4), unit="uV")
    sd = load(path)
    first, second, third = sd.neuron_attributes
    np.testing.assert_array_equal(first["waveform_mean"], means[0])
    assert first["waveform_mean"].dtype == np.float32
    assert "waveform_mean" not in second
    several = len(shape) == 3
    assert ("waveform_channels" in first) is several
    assert "waveform_channels" not in third
    assert sd.metadata["fs_Hz"] == 20_000.0
    assert sd.metadata["waveform_unit"] == "uV"
    sd.to_nwb(tmp_path / "ours.nwb", verify=True)
    assert load(tmp_path / "ours.nwb") == sd
    with h5py.File(tmp_path / "ours.nwb") as file:
        np.testing.assert_array_equal(file["units/waveform_mean"], means)
        notes = dict(file["units/waveform_mean"].attrs)
    assert (notes["unit"], notes["sampling_rate"]) == ("uV", 20_000.0)
