"""Runs one action after another, and tells how long each took.

A process of its own, so that memory can be watched from outside, under the Python of
this package or of the published one. It reads JSON lines from standard input,
``{"action": ..., "arguments": [...]}``, and answers each with one. Only what both
packages have is imported at the top.
"""

import contextlib
import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikelab import SpikeData
from spikelab.data_loaders import data_exporters, data_loaders

FS_HZ = 30_000.0
BIN_SIZE_MS = 1.0

kept: dict[str, Any] = {}
"""What later actions need: the recording, or arrays that are ready to be written."""


def generate(times_file: str, units: int, spikes: int, length_ms: float) -> None:
    """Write spike times, float64 (units, spikes), on a sampling grid, in ms."""
    rng = np.random.default_rng(0)
    samples = rng.integers(int(length_ms / 1000 * FS_HZ), size=(units, spikes))
    samples.sort(axis=1)
    np.save(times_file, samples / FS_HZ * 1000.0)


def recording(times_file: str, length_ms: float) -> None:
    """Build the recording that is exported."""
    kept["sd"] = SpikeData(list(np.load(times_file)), length=length_ms)


def raw_recording(raw_file: str, channels: int, samples: int) -> None:
    """Build a recording whose raw voltages are a memory-mapped file."""
    shape = (channels, samples)
    if not Path(raw_file).exists():
        raw = np.memmap(raw_file, np.int16, "w+", shape=shape)
        for row in raw:
            row[:] = np.arange(samples)
    raw = np.memmap(raw_file, np.int16, "r", shape=shape)
    rate_kHz = FS_HZ / 1000.0
    kept["raw"] = raw
    kept["sd"] = SpikeData(
        [[1.0]], length=samples / rate_kHz, raw_data=raw, raw_time=rate_kHz
    )


def flat(times_file: str) -> None:
    """Keep the unit and the time of each spike, shuffled."""
    times = np.load(times_file)
    units = np.repeat(np.arange(len(times)), times.shape[1])
    order = np.random.default_rng(1).permutation(times.size)
    kept["units"], kept["times"] = units[order], times.ravel()[order]


EXPORTS: dict[str, Callable[[Any, str], Any]] = {
    "ragged": lambda sd, path: sd.to_hdf5(path),
    "group": lambda sd, path: sd.to_hdf5(path, style="group"),
    "paired": lambda sd, path: sd.to_hdf5(path, style="paired"),
    "raster": lambda sd, path: sd.to_hdf5(
        path, style="raster", raster_bin_size_ms=BIN_SIZE_MS
    ),
    "raw": lambda sd, path: sd.to_hdf5(
        path, raw_dataset="raw", raw_time_dataset="raw_time"
    ),
    "NWB": lambda sd, path: sd.to_nwb(path),
    "KiloSort": lambda sd, path: sd.to_kilosort(path, fs_Hz=FS_HZ),
    "Phy": lambda sd, path: sd.to_phy(path, fs_Hz=FS_HZ),
    "CSV": lambda sd, path: sd.to_csv(path),
    "pickle": lambda sd, path: data_exporters.export_to_pickle(sd, path),
}

LOADERS: dict[str, Callable[[str], Any]] = {
    "ragged": lambda path: data_loaders.load_spikedata_from_hdf5(
        path,
        spike_times_dataset="spike_times",
        spike_times_index_dataset="spike_times_index",
    ),
    "NWB": lambda path: data_loaders.load_spikedata_from_nwb(path, prefer_pynwb=False),
    "KiloSort": lambda path: data_loaders.load_spikedata_from_kilosort(
        path, fs_Hz=FS_HZ
    ),
    "pickle": lambda path: data_loaders.load_spikedata_from_pickle(path),
}


def export(name: str, target: str) -> None:
    """Export the recording; its bytes are then on the disk, whoever wrote them."""
    EXPORTS[name](kept["sd"], target)
    flush(Path(target))


def load(name: str, target: str) -> None:
    """Load what this package has exported."""
    LOADERS[name](target)


def build() -> None:
    """Build a recording from parallel arrays of units and times."""
    SpikeData.from_idces_times(kept["units"], kept["times"])


def argsort() -> None:
    """Sort the units of as many spikes: the floor of building."""
    np.argsort(kept["units"], kind="stable")


def keep_arrays(source: str) -> None:
    """Read the arrays of an exported file or folder, for the floor to write."""
    kept["arrays"] = dict(read_arrays(Path(source)))


def read_arrays(source: Path) -> Iterator[tuple[str, Any]]:
    """Yield every numeric array of an HDF5 file or a folder, by its name."""
    if source.is_dir():
        yield from ((file.name, np.load(file)) for file in source.glob("*.npy"))
        return
    with h5py.File(source) as file:
        names: list[str] = []
        file.visit(names.append)
        for name in names:
            if isinstance(file[name], h5py.Dataset) and file[name].dtype.kind in "iuf":
                yield name, file[name][()]


def floor_read(source: str) -> None:
    """Read the arrays and do nothing with them."""
    if source.endswith(".pkl"):
        with Path(source).open("rb") as file:
            pickle.load(file)
    else:
        dict(read_arrays(Path(source)))


def floor_write(target: str) -> None:
    """Write ready arrays, flush and rename them, and flush their folder."""
    staged = Path(f"{target}.staged")
    path = Path(target)
    if path.suffix == ".pkl":
        with staged.open("wb") as file:
            pickle.dump(kept["sd"], file, protocol=5)
    elif path.suffix:
        with h5py.File(staged, "w") as file:
            for name, array in kept["arrays"].items():
                file.create_dataset(name, data=array)
    else:
        staged.mkdir(exist_ok=True)
        for name, array in kept["arrays"].items():
            np.save(staged / name, array)
    flush(staged)
    for entry in staged.iterdir() if staged.is_dir() else ():
        path.mkdir(exist_ok=True)
        os.replace(entry, path / entry.name)
    if staged.is_file():
        os.replace(staged, path)
    synchronise(path if path.is_dir() else path.parent)


def floor_raw(target: str) -> None:
    """Write memory-mapped voltages with a single call."""
    kept["arrays"] = {"raw": kept["raw"], "raw_time": kept["sd"].raw_time}
    floor_write(target)


def flush(target: Path) -> None:
    """Put a file, or the files of a folder, on the disk."""
    for path in target.rglob("*") if target.is_dir() else [target]:
        synchronise(path)


def synchronise(path: Path) -> None:
    """Put a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def pandas_csv(target: str) -> None:
    """Write one row per spike from ready columns."""
    import pandas as pd

    sd = kept["sd"]
    units = np.repeat(np.arange(sd.N), [len(times) for times in sd.train])
    frame = pd.DataFrame({"unit": units, "time_ms": np.concatenate(sd.train)})
    frame.to_csv(target, index=False)
    flush(Path(target))


def pynwb_add_unit(target: str) -> None:
    """Write NWB unit after unit."""
    nwb = _nwb_file()
    for times in kept["sd"].train:
        nwb.add_unit(spike_times=times / 1000.0)
    _write_nwb(nwb, target)


def pynwb_columns(target: str) -> None:
    """Write NWB from ready columns, the fastest way that pynwb documents."""
    from hdmf.common import VectorData, VectorIndex
    from pynwb.misc import Units

    train = kept["sd"].train
    times = VectorData(
        name="spike_times",
        description="the spike times for each unit in seconds",
        data=np.concatenate(train) / 1000.0,
    )
    ends = np.cumsum([len(times) for times in train], dtype=np.uint64)
    index = VectorIndex(name="spike_times_index", data=ends, target=times)
    nwb = _nwb_file()
    nwb.units = Units(
        name="units",
        description="units",
        id=list(range(len(train))),
        columns=[times, index],
        colnames=["spike_times"],
    )
    _write_nwb(nwb, target)


def _nwb_file() -> Any:
    from datetime import UTC, datetime

    from pynwb import NWBFile

    return NWBFile("bench", "bench", datetime(2000, 1, 1, tzinfo=UTC))


def _write_nwb(nwb: Any, target: str) -> None:
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(target, "w") as io:
        io.write(nwb)
    flush(Path(target))


def main() -> None:
    """Answer one line after another."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints must not be taken for an answer
    for line in sys.stdin:
        request = json.loads(line)
        gc.collect()
        began = time.perf_counter()
        error = None
        try:
            globals()[request["action"]](*request["arguments"])
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        seconds = time.perf_counter() - began
        os.sync()  # what one left to be written must not cost the next
        with contextlib.suppress(BrokenPipeError):
            answers.write(json.dumps({"seconds": seconds, "error": error}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
