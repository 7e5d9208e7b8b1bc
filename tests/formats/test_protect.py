"""Files that an export would destroy are refused; exports of our own are replaced."""

import h5py
import numpy as np
import pytest
from recordings import simulated
from siblings import SIBLINGS

from spikelab import AnalysisWorkspace, load
from spikelab.formats.protect import record_members, would_be_lost
from spikelab.storage.local import refuse_loss


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


@pytest.mark.parametrize("members", ["3", 3, "abc", '[["units"]]', [1, 2]], ids=str)
def test_an_attribute_of_another_program_lists_nothing(members, exported):
    """Although it has the name of the one of an export: the file is not ours."""
    with h5py.File(exported, "a") as file:
        file.attrs["members"] = members
    assert would_be_lost(exported) == ["units"]
    with pytest.raises(FileExistsError, match="units"):
        simulated().to_hdf5(exported)


def test_of_many_new_members_the_group_is_named(exported):
    """Of a group with a dataset for each of thousands of events."""
    with h5py.File(exported, "a") as file:
        for event in range(2500):
            file.create_group(f"events/{event}/times")
        file["events/7/values"] = 1
    assert would_be_lost(exported) == ["events"]


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


METHODS = ("to_hdf5", "to_nwb", "to_csv", "to_pickle")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", METHODS)
def test_every_format_asks(method, tmp_path):
    """An export of any format onto a file of another program leaves its bytes."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["session"] = [1, 2]
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="session"):
        getattr(simulated(), method)(path)
    assert path.read_bytes() == before
    getattr(simulated(), method)(path, overwrite=True)
    assert path.read_bytes() != before


OURS = {"recording": simulated, **SIBLINGS}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", ["to_hdf5", "to_nwb"])
@pytest.mark.parametrize("name", OURS)
def test_own_exports_are_replaced_until_data_are_added(name, method, tmp_path):
    """By any other object."""
    path = tmp_path / "a.file"
    for obj in (OURS[name](), simulated(n_units=2), OURS[name]()):
        getattr(obj, method)(path)
    with h5py.File(path, "r+") as file:
        file["acquisition/voltage"] = np.zeros(5)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"again: acquisition(/voltage)?;"):
        getattr(simulated(), method)(path)
    assert path.read_bytes() == before


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("style", ["ragged", "group", "paired", "raster"])
def test_every_style_is_replaced(style, tmp_path):
    """Also by a recording of fewer units."""
    for n_units in (9, 3):
        simulated(n_units=n_units).to_hdf5(
            tmp_path / "a.h5", style=style, raster_bin_size_ms=1.0
        )
    assert load(tmp_path / "a.h5").N == 3
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        (file["units"] if style == "group" else file)["notes"] = "mine"
    assert would_be_lost(tmp_path / "a.h5") == [
        "units" if style == "group" else "notes"
    ]


def test_a_workspace_is_not_replaced(tmp_path):
    """It holds more than an export."""
    workspace = AnalysisWorkspace("w")
    workspace.store("a", "b", simulated())
    workspace.save(tmp_path / "w.h5")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        simulated().to_hdf5(tmp_path / "w.h5")


def test_a_dangling_link_is_followed_by_nobody(tmp_path):
    """A target that is a link to nothing holds nothing."""
    (tmp_path / "link.nwb").symlink_to(tmp_path / "nothing.nwb")
    assert would_be_lost(tmp_path / "link.nwb") == []
