"""What the caller of a loader says wrongly, and what does not go with the file."""

from pathlib import Path

import pytest
from recordings import simulated

import spikelab
from spikelab import RateData, SpikeData, convert_many, load, load_spikedata_from_hdf5
from spikelab.errors import FormatError

TARGETS = {
    "to_hdf5": "a.h5",
    "to_nwb": "a.nwb",
    "to_csv": "a.csv",
    "to_kilosort": "folder",
}

WRONG = [
    {"length_ms": "x"},
    {"length_ms": -1.0},
    {"length_ms": float("nan")},
    {"start_time_ms": float("inf")},
    {"start_time_ms": True},
]


@pytest.mark.filterwarnings("ignore:to_csv")
@pytest.mark.parametrize("method", TARGETS)
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_window_is_not_the_fault_of_the_file(method, wrong, tmp_path):
    """The error names the parameter, and not the file."""
    options = {"fs_Hz": 30_000.0} if method == "to_kilosort" else {}
    getattr(simulated(), method)(tmp_path / TARGETS[method], **options)
    with pytest.raises((TypeError, ValueError), match=rf"^{next(iter(wrong))} must"):
        load(tmp_path / TARGETS[method], **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fs_Hz": -1.0},
        {"spike_times_unit": "min"},
        {"raster_bin_size_ms": 0},
        {"group_per_unit": ""},
        {"times_dataset": 3},
    ],
    ids=str,
)
def test_a_wrong_option_is_not_the_fault_of_the_file(wrong, tmp_path):
    """It is found before there is a file."""
    with pytest.raises((TypeError, ValueError), match=rf"^{next(iter(wrong))} must"):
        load_spikedata_from_hdf5(tmp_path / "missing.h5", **wrong)


@pytest.mark.parametrize("method", ["to_hdf5", "to_nwb", "to_csv"])
@pytest.mark.parametrize(
    "option", [{"length_ms": 9.0}, {"start_time_ms": 0.0}, {"metadata": {}}], ids=str
)
def test_what_goes_with_recordings_only(method, option, tmp_path):
    """An argument that cannot be used is not dropped without a word."""
    getattr(RateData([[1.0]], [0.0]), method)(tmp_path / TARGETS[method])
    with pytest.raises(ValueError, match="must be None for a file that holds a RateD"):
        load(tmp_path / TARGETS[method], **option)


@pytest.mark.parametrize("loader", ["csv", "parquet", "pickle"])
@pytest.mark.parametrize("written", ["hdf5", "csv", "parquet", "pickle"])
def test_a_loader_says_of_which_other_format_a_file_is(loader, written, tmp_path):
    """And nothing of the kind about a file of its own."""
    path = tmp_path / f"cells.{written}"
    getattr(SpikeData([[1.0, 2.0], [3.0]]), f"to_{written}")(path)
    reads = getattr(spikelab, f"load_spikedata_from_{loader}")
    if loader == written:
        assert reads(path).N == 2
        return
    for call in (lambda: reads(path), lambda: reads(filepath=path)):
        with pytest.raises(FormatError, match=f"its format is '{written}'"):
            call()


LOADERS = ("hdf5", "nwb", "csv", "parquet", "pickle", "kilosort")


@pytest.mark.parametrize("loader", LOADERS)
def test_a_loader_says_what_a_folder_is(loader, tmp_path):
    """A Zarr store, a folder of Phy, a folder of nothing that is known."""
    reads = getattr(spikelab, f"load_spikedata_from_{loader}")
    for name in (".zgroup", "zarr.json", ".zattrs"):
        (tmp_path / f"{name}.zarr").mkdir()
        (tmp_path / f"{name}.zarr" / name).write_text('{"nwb_version": "2.7.0"}')
        for call in (reads, load):
            with pytest.raises(FormatError, match="is a Zarr store, which is not read"):
                call(tmp_path / f"{name}.zarr")
    (tmp_path / "empty").mkdir()
    if loader != "kilosort":
        with pytest.raises(IsADirectoryError, match="must name a file, got a folder"):
            reads(tmp_path / "empty")
        folder = Path(
            SpikeData([[1.0, 2.0]]).to_phy(tmp_path / "phy", fs_Hz=1e4)
        ).parent
        with pytest.raises(IsADirectoryError, match="its format is 'kilosort'"):
            reads(folder)
    else:
        path = SpikeData([[1.0]]).to_hdf5(tmp_path / "a.h5")
        with pytest.raises(NotADirectoryError, match="its format is 'hdf5'"):
            reads(path)


@pytest.mark.parametrize("name", ["a.h5", "folder/params.py"])
def test_a_home_folder_of_nobody_is_a_name(name, tmp_path, monkeypatch):
    """As in a shell."""
    monkeypatch.chdir(tmp_path)
    for call in (load, load_spikedata_from_hdf5):
        with pytest.raises(FileNotFoundError, match="~nobody-of-this-name/"):
            call(f"~nobody-of-this-name/{name}")
    path = SpikeData([[1.0]]).to_hdf5("~nobody-of-this-name/a.h5")
    assert load(path).N == 1
    assert load("./~nobody-of-this-name/a.h5").N == 1
    report = "~nobody-of-this-name/report.csv"
    (row,) = convert_many([path], "~nobody-of-this-name/{stem}.nwb", report=report)
    assert load(row.target).N == len(Path(report).read_text().splitlines()[1:]) == 1
