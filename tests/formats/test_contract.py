"""The HDF5 styles and NWB under the contract; other formats inherit it in their tests."""

import numpy as np
import pytest
from contract import FileContract

import spikelab
from spikelab import SpikeData

NAN, INF = float("nan"), float("inf")
WRONG_RATES = tuple({"fs_Hz": rate} for rate in (NAN, INF, 0, -1.0, "30 kHz"))
WRONG_HDF5 = (
    {"style": "round"},
    {"style": None},
    {"raw_dataset": "raw"},
    {"raw_time_dataset": "raw_time"},
    {"raw_dataset": "raw", "raw_time_dataset": "raw"},
    {"raw_dataset": "", "raw_time_dataset": "raw_time"},
    {"raw_dataset": "/raw", "raw_time_dataset": "raw_time"},
    {"raw_dataset": "raw", "raw_time_dataset": "t", "raw_time_unit": "min"},
    {"raw_dataset": "raw", "raw_time_dataset": "t", "raw_time_unit": "samples"},
    {"verify": "yes"},
    {"strict": 1},
    {"progress": None},
    {"storage_options": "minio"},
    *WRONG_RATES,
)


def one_rounding(sd):
    """What dividing by 1000 and multiplying again may change."""
    largest = max(abs(sd.start_time), abs(sd.start_time + sd.length))
    # A thousandth of a denormal number has lost digits.
    return max(float(np.spacing(largest)), 1e-300)


class TestRaggedSeconds(FileContract):
    """The default of the specification."""

    method, target = "to_hdf5", "ragged.h5"
    wrong_options = (
        *WRONG_HDF5,
        {"spike_times_unit": "min"},
        {"spike_times_unit": "samples"},
        {"spike_times_dataset": ""},
        {"spike_times_dataset": "/absolute"},
        {"spike_times_dataset": "spike_times_index"},
        {"spike_times_dataset": "spike_times_index/inside"},
        {"spike_times_index_dataset": 3},
    )

    def slack_ms(self, sd):
        """Seconds and back is not always the same float."""
        return one_rounding(sd)


class TestRaggedMilliseconds(FileContract):
    """Milliseconds, under names of one's own."""

    method, target = "to_hdf5", "ragged.h5"
    options = {
        "style": "Ragged",
        "spike_times_unit": "ms",
        "spike_times_dataset": "sorted/times",
        "spike_times_index_dataset": "sorted/index",
    }


class TestRaggedSamples(FileContract):
    """Sample numbers."""

    method, target = "to_hdf5", "ragged.h5"
    options = {"spike_times_unit": "samples", "fs_Hz": 30_000.0}
    wrong_options = (*WRONG_RATES, {"fs_Hz": None})

    def slack_ms(self, sd):
        """Times off the sampling grid move to it."""
        return 500 / 30_000.0 + 4 * one_rounding(sd)


class TestGroup(FileContract):
    """One dataset per unit."""

    method, target = "to_hdf5", "group.hdf5"
    options = {"style": "GROUP", "group_time_unit": "ms"}
    wrong_options = (
        {"group_per_unit": ""},
        {"group_time_unit": None},
        {"group_time_unit": "samples"},
        {
            "raw_dataset": "units/0",
            "raw_time_dataset": "raw_time",
        },
    )


class TestPaired(FileContract):
    """The unit and the time of each spike."""

    method, target = "to_hdf5", "paired.h5"
    options = {"style": "paired"}
    wrong_options = (
        {"idces_dataset": "times"},
        {"times_unit": "hours"},
        {"times_unit": "samples", "fs_Hz": NAN},
    )


class TestRaster(FileContract):
    """Counts per bin."""

    method, target = "to_hdf5", "raster.h5"
    options = {"style": "raster", "raster_bin_size_ms": 2.5}
    wrong_options = tuple(
        {"raster_bin_size_ms": size} for size in (None, 0, -1.0, NAN, INF, "1")
    )

    def slack_ms(self, sd):
        """A spike comes back somewhere in its bin."""
        return 2.5

    def writes(self, sd):
        """A window without length has no bin that could hold a spike."""
        return sd.length > 0 or not any(map(len, sd.train))


class TestNWB(FileContract):
    """Units tables that NWB readers open."""

    method, target = "to_nwb", "cells.nwb"
    wrong_options = (
        {"spike_times_dataset": ""},
        {"spike_times_dataset": "spike_times_index"},
        {"group": "/units"},
        {"session": {"session_id": "1"}},
        {"subject": "rat"},
        *WRONG_RATES,
    )

    def slack_ms(self, sd):
        """NWB counts in seconds."""
        return one_rounding(sd)


@pytest.mark.parametrize(
    ("name", "method", "options"),
    [
        ("s.csv", "to_csv", {"time_unit": "samples"}),
        ("s.parquet", "to_parquet", {"time_unit": "samples"}),
        ("s.h5", "to_hdf5", {"spike_times_unit": "samples"}),
        ("s.nwb", "to_nwb", {}),
    ],
)
def test_a_rate_in_kHz(name, method, options, tmp_path):
    """Writers and loaders ask, once."""
    with pytest.warns(UserWarning, match="kHz") as caught:
        getattr(SpikeData([[100.0]]), method)(tmp_path / name, fs_Hz=30, **options)
    assert [w.filename for w in caught] == [__file__]
    if method in ("to_csv", "to_parquet"):
        with pytest.warns(UserWarning, match="kHz") as caught:
            spikelab.load(tmp_path / name, fs_Hz=30)
        assert len(caught) == 1
