"""How much memory exports take beyond the recording, counted and not timed."""

import functools
import tracemalloc

import numpy as np
import pytest

from spikelab import AnalysisWorkspace, RateData, SpikeData, load

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
        ("to_hdf5", {"style": "raster", "raster_bin_size_ms": 0.1}),
        ("to_nwb", {}),
        ("to_kilosort", {"fs_Hz": 30_000}),
        ("to_pickle", {}),
        ("to_parquet", {}),
    ],
    ids=str,
)
def test_no_export_copies_the_recording(large, method, options, tmp_path):
    """A few blocks are in memory at once, whatever the size."""
    export = getattr(large, method)
    assert extra_bytes(lambda: export(tmp_path / "x", **options)) <= 16 * MB


def test_chronological_order_takes_24_bytes_a_spike(large, tmp_path):
    """Phy wants all spikes sorted by time, which one array of keys is enough for."""
    taken = extra_bytes(lambda: large.to_phy(tmp_path / "phy", fs_Hz=30_000))
    assert taken <= 24 * UNITS * SPIKES


def test_reading_nwb_takes_the_spikes_once(large, tmp_path):
    """They become ms in place."""
    path = large.to_nwb(tmp_path / "x.nwb")
    assert extra_bytes(lambda: load(path)) <= large.spike_trains.flat.nbytes + 16 * MB


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_raw_voltages_are_never_loaded(order, verify, tmp_path):
    """A memory-mapped file goes through memory in blocks, and so it is verified."""
    shape = (2, 20_000_000)
    raw = np.memmap(tmp_path / "raw.bin", np.int16, "w+", shape=shape, order=order)
    sd = SpikeData([[1.0]], length=1e6, raw_data=raw, raw_time=30.0)
    names = {"raw_dataset": "raw", "raw_time_dataset": "raw_time"}
    taken = extra_bytes(lambda: sd.to_hdf5(tmp_path / "x.h5", verify=verify, **names))
    assert taken <= 16 * MB


@pytest.mark.parametrize("verify", [False, True])
def test_objects_without_spikes_are_not_copied(verify, tmp_path):
    """Nor is what a workspace holds."""
    rates = RateData(np.zeros((10, 1_000_000)), np.arange(1e6))
    workspace = AnalysisWorkspace()
    workspace.store("all", "rates", rates)
    path, options = tmp_path / "x.h5", {"verify": verify}
    assert extra_bytes(lambda: rates.to_hdf5(path, **options)) <= 16 * MB
    path = tmp_path / "w.h5"
    assert extra_bytes(lambda: workspace.save(path, **options)) <= 16 * MB


@pytest.mark.parametrize("verify", [False, True])
def test_a_large_recording_in_a_workspace_is_not_copied(large, verify, tmp_path):
    """Its spikes are written as they lie, and compared block by block."""
    workspace = AnalysisWorkspace()
    workspace.store("all", "spikes", large)
    path = tmp_path / "w.h5"
    assert extra_bytes(lambda: workspace.save(path, verify=verify)) <= 16 * MB


@pytest.mark.parametrize(
    "options",
    [
        {"style": "ragged"},
        {"style": "ragged", "spike_times_unit": "samples", "fs_Hz": 30_000},
        {"style": "paired"},
        {"style": "group"},
        {"style": "raster", "raster_bin_size_ms": 10},
    ],
    ids=str,
)
def test_verifying_takes_a_few_blocks(options, tmp_path):
    """What is read back stays in the staged file, or in one without a name."""
    samples = np.arange(SPIKES) * 1000 + np.arange(300)[:, None]
    sd = SpikeData(list(samples / 30.0), length=400_000.0)
    export = functools.partial(sd.to_hdf5, tmp_path / "x.h5", verify=True, **options)
    assert extra_bytes(export) <= 16 * MB < sd.spike_trains.flat.nbytes
