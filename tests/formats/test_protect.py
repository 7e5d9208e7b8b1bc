"""Files that an export would destroy are refused; exports of our own are replaced."""

import json

import h5py
import numpy as np
import pytest
from recordings import simulated

from spikelab.formats.protect import record_members, refuse_loss, would_be_lost


@pytest.fixture
def exported(tmp_path):
    """A file as an export leaves it."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["units/spike_times"] = [1.0, 2.0]
        file.create_group("acquisition")
        record_members(file)
    return path


def test_an_untouched_export_loses_nothing(exported):
    """Nor does a name where nothing is, or what is not HDF5."""
    assert would_be_lost(exported) == []
    assert would_be_lost(exported.with_name("b.h5")) == []
    exported.write_text("notes")
    assert would_be_lost(exported) == []


def test_what_was_added_is_named(exported):
    """Groups as a whole, links too; empty groups and copies of the schema are no data."""
    with h5py.File(exported, "a") as file:
        file["acquisition/voltage/data"] = np.zeros(3)
        file["acquisition/voltage/rate"] = 3.0
        file["units/quality"] = ["good"]
        file["raw"] = h5py.ExternalLink("raw.h5", "/data")
        file["specifications/core"] = "..."
        file.create_group("scratch")
    assert would_be_lost(exported) == ["acquisition/voltage", "raw", "units/quality"]


def test_a_file_of_another_program_is_lost_whole(tmp_path):
    """Its sections are opened up, its header is not named."""
    path = tmp_path / "a.nwb"
    with h5py.File(path, "w") as file:
        file["identifier"] = "i"
        file["acquisition/voltage/data"] = np.zeros(3)
        file["units/id"] = [1]
        file["units/spike_times"] = [1.0]
    assert would_be_lost(path) == ["acquisition/voltage", "units"]


def test_a_file_of_the_published_package_is_our_own(tmp_path):
    """It has two attributes, and names of its own."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"length_ms": 5.0, "start_time": 0.0})
        file["times"], file["idces"] = [1.0], [0]
    assert would_be_lost(tmp_path / "a.h5") == []


def test_many_members_are_counted(tmp_path):
    """Of a file with a dataset for each of thousands of units."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for unit in range(2500):
            file.create_group(f"units/{unit}")
        record_members(file)
        assert json.loads(file.attrs["members"]) == {"units": 2500}
    assert would_be_lost(path) == []
    with h5py.File(path, "a") as file:
        file["units/notes"] = "mine"
        file["more"] = 1
    assert would_be_lost(path) == ["more", "units"]


def test_a_file_that_cannot_be_opened_is_not_replaced(exported):
    """It begins as HDF5, so it may hold something."""
    whole = exported.read_bytes()
    exported.write_bytes(whole[: len(whole) // 4])
    (lost,) = would_be_lost(exported)
    assert lost.startswith("what cannot be examined")


def test_the_error_names_some_of_them():
    """And the option that replaces the file all the same."""
    refuse_loss("a.nwb", [])
    with pytest.raises(FileExistsError, match=r"a\.nwb holds .*: n0, .* and 2 more; "):
        refuse_loss("a.nwb", [f"n{i}" for i in range(10)])
    with pytest.raises(FileExistsError, match="overwrite=True"):
        refuse_loss("a.nwb", ["x"])


@pytest.mark.parametrize("method", ["to_pickle"])
def test_every_format_asks(method, tmp_path):
    """An export of any format onto a file of another program leaves its bytes."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["session"] = [1, 2]
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="session"):
        getattr(simulated(), method)(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"style": "group", "group_per_unit": "sorted/units"},
        {"style": "paired", "raw_dataset": "r/v", "raw_time_dataset": "r/t"},
        {"style": "raster", "raster_bin_size_ms": 1.0, "raster_dataset": "counts"},
    ],
    ids=str,
)
def test_what_was_added_to_a_style_is_named(options, tmp_path):
    """An untouched file of each style, and of slices, is replaced; another one is not."""
    path = tmp_path / "a.h5"
    for obj in (simulated(), simulated().frames(1000.0), simulated()):
        obj.to_hdf5(path, **options)
        assert would_be_lost(path) == []
    with h5py.File(path, "a") as file:
        file["mine/notes"] = [1.0]
    with pytest.raises(FileExistsError, match=r"write again: mine; .*overwrite=True"):
        simulated().to_hdf5(path, **options)
    simulated().to_hdf5(path, overwrite=True, **options)
    assert would_be_lost(path) == []
