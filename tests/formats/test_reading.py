"""What the caller of a loader says wrongly, and what does not go with the file."""

import pytest
from recordings import simulated

import spikelab
from spikelab import RateData, SpikeData, load, load_spikedata_from_hdf5
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
    with pytest.raises(FormatError, match=f"its format is '{written}'"):
        reads(path)
