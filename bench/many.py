"""What a batch costs as recordings become many: python -m bench.many [FOLDER]."""

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import markdown, write_csv
from spikelab import SpikeData, convert_many, load

COUNTS = (10, 100, 1_000, 10_000)

N_COMPARED = 200
"""Recordings of which the batch is compared with bare exports."""

_DRIVER = """
import json, pathlib, re, sys, time
from spikelab.cli import main
began, used = time.perf_counter(), time.process_time()
main(sys.argv[1:])
seconds, used = time.perf_counter() - began, time.process_time() - used
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s*(\\d+)", status)[1]) / 1000
print(json.dumps([seconds, used, peak]))
"""


def main() -> None:
    """Measure, and print the table of the documentation."""
    docs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _show_overhead(folder)
        table = [
            [
                "recordings",
                "first run (s)",
                "second run (s)",
                "memory (MB)",
                "report (MB)",
            ],
            *(_line(folder / str(count), count) for count in COUNTS),
        ]
        print(markdown(table))
        if docs is not None:
            write_csv(docs / "recordings.csv", table)


def _sources(folder: Path, count: int) -> list[Path]:
    """Make recordings of 20 units with 50 spikes each, on a 20 kHz grid."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = [folder / f"rat{i:06}.pkl" for i in range(count)]
    train = [np.sort(rng.choice(1_200_000, 50, replace=False)) / 20 for _ in range(20)]
    data = Path(SpikeData(train, length=60_000.0).to_pickle(paths[0])).read_bytes()
    for path in paths[1:]:
        path.write_bytes(data)
    return paths


def _line(folder: Path, count: int) -> list[str]:
    _sources(folder / "in", count)
    first, second = _run(folder), _run(folder)
    n_bytes = (folder / "out" / "spikelab-conversions.jsonl").stat().st_size
    print(count, first, second, file=sys.stderr, flush=True)
    return [
        f"{count:,}",
        f"{first[1]:.2f}",
        f"{second[1]:.2f}",
        f"{max(first[2], second[2]):.0f}",
        f"{n_bytes / 1e6:.2f}",
    ]


def _run(folder: Path) -> Any:
    """Return seconds, processor seconds of the driver, and its largest memory in MB."""
    command = [sys.executable, "-c", _DRIVER, "convert", str(folder / "in" / "*.pkl")]
    command += [str(folder / "out/"), "--to", "hdf5", "--jobs", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _show_overhead(folder: Path) -> None:
    """Print what a batch takes above its exports, and how a shell loop compares."""
    sources = _sources(folder / "in", N_COMPARED)
    bare, batch = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn in range(5):
            began = time.process_time()
            for path in sources:
                target = folder / f"bare{turn}" / f"{path.stem}.h5"
                load(path).to_hdf5(target, verify=True)
            bare.append((time.process_time() - began) / N_COMPARED)
            began = time.process_time()
            convert_many(sources, folder / f"batch{turn}", to="hdf5")
            batch.append((time.process_time() - began) / N_COMPARED)
    began = time.perf_counter()
    one = ["-m", "spikelab", "convert", str(sources[0]), str(folder / "one.h5")]
    for _ in range(5):
        subprocess.run([sys.executable, *one], check=True, capture_output=True)
    command = (time.perf_counter() - began) / 5
    began = time.perf_counter()
    convert_many(sources, folder / "again", to="hdf5")
    wall = (time.perf_counter() - began) / N_COMPARED
    print(f"bare export {1e3 * min(bare):.2f} ms, in a batch {1e3 * min(batch):.2f} ms")
    print(
        f"one command {command:.2f} s, {command / wall:.0f} times as long", flush=True
    )


if __name__ == "__main__":
    main()
