"""How much memory exports take beyond the recording, counted and not timed."""

import tracemalloc

import numpy as np
import pytest

from spikelab import SpikeData

UNITS, SPIKES = 1_000, 10_000
MB = 1_000_000


@pytest.fixture(scope="module")
def large():
    """Ten million spikes: 80 MB."""
    samples = np.arange(SPIKES) * 1000 + np.arange(UNITS)[:, None]
    return SpikeData(list(samples / 30.0), length=400_000.0)


def extra_bytes(export):
    """The most memory that was in use at once during the export."""
    tracemalloc.start()
    try:
        export()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("to_hdf5", {"style": "ragged"}),
        ("to_hdf5", {"style": "paired"}),
        ("to_hdf5", {"style": "group"}),
        ("to_hdf5", {"style": "raster", "raster_bin_size_ms": 10}),
        ("to_nwb", {}),
        ("to_kilosort", {"fs_Hz": 30_000}),
        ("to_pickle", {}),
    ],
    ids=str,
)
def test_no_export_copies_the_recording(large, method, options, tmp_path):
    """A few blocks are in memory at once, whatever the size."""
    export = getattr(large, method)
    assert extra_bytes(lambda: export(tmp_path / "x", **options)) < 64 * MB


def test_chronological_order_takes_24_bytes_a_spike(large, tmp_path):
    """Phy wants all spikes sorted by time, which one array of keys is enough for."""
    taken = extra_bytes(lambda: large.to_phy(tmp_path / "phy", fs_Hz=30_000))
    assert taken <= 24 * UNITS * SPIKES


def test_raw_voltages_are_never_loaded(tmp_path):
    """A memory-mapped file goes through memory in blocks, in either layout."""
    raw = np.memmap(tmp_path / "raw.bin", np.int16, "w+", shape=(20_000_000, 2)).T
    sd = SpikeData([[1.0]], length=1e6, raw_data=raw, raw_time=30.0)
    taken = extra_bytes(
        lambda: sd.to_hdf5(
            tmp_path / "x.h5", raw_dataset="raw", raw_time_dataset="raw_time"
        )
    )
    assert taken < 64 * MB
