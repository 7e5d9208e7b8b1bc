"""A simulated recording, written in every format, read back and compared."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.batch.options import options_of
from spikelab.data_loaders.data_loaders import load
from spikelab.errors import MissingExtraError
from spikelab.registry import FORMATS, Format
from spikelab.spikedata.differences import differences
from spikelab.spikedata.spikedata import SpikeData

FS_HZ = 20_000.0
BIN_SIZE_MS = 1.0


@attrs.frozen
class Case:
    """One export of the demonstration."""

    title: str
    format: str
    target: str
    options: dict[str, Any]
    units_table: str | None = None


def _cases(entry: Format) -> Iterator[Case]:
    """Yield the exports of a format: one, or one for each style of HDF5."""
    known = options_of(entry)
    suffix = entry.suffixes[0] if entry.suffixes else ""
    if "style" in known:
        for style in ("ragged", "raster", "group", "paired"):
            options: dict[str, Any] = {"style": style}
            if style == "raster":
                options["raster_bin_size_ms"] = BIN_SIZE_MS
            title, target = f"{entry.name} {style}", f"{style}{suffix}"
            yield Case(title, entry.name, target, options)
        return
    needs_rate = "fs_Hz" in known and known["fs_Hz"].required
    options = {"fs_Hz": FS_HZ} if needs_rate else {}
    table = f"units{suffix}" if "units_table" in known else None
    target = f"cells{suffix}" if suffix else entry.name
    yield Case(entry.name, entry.name, target, options, table)


CASES = tuple(case for entry in FORMATS.values() for case in _cases(entry))
"""What the demonstration writes: every format of the registry."""


def simulated() -> SpikeData:
    """Return 20 units that fire at random for 10 s, on a 20 kHz grid; the last is silent."""
    rng = np.random.default_rng(0)
    n_units, length_ms = 20, 10_000.0
    n_samples = int(length_ms / 1000.0 * FS_HZ)
    counts = rng.integers(50, 200, size=n_units - 1)
    train = [np.sort(rng.choice(n_samples, n, replace=False)) for n in counts]
    attributes = [
        {"electrode": unit, "location": [25.0 * (unit % 4), 25.0 * (unit // 4)]}
        for unit in range(n_units)
    ]
    return SpikeData(
        [samples / FS_HZ * 1000.0 for samples in train],
        N=n_units,
        length=length_ms,
        neuron_attributes=attributes,
    )


def run(folder: Path) -> Iterator[tuple[Case, int, float, str, bool]]:
    """Write the recording into `folder` in every format, and read each back.

    Yields the case, the size in bytes, the seconds, in words how exact it is, and whether
    that is right.
    """
    sd = simulated()
    for case in CASES:
        target = folder / case.target
        table: dict[str, Any] = {}
        if case.units_table:
            table["units_table"] = folder / case.units_table
        began = time.perf_counter()
        try:
            FORMATS[case.format].export(sd, target, **case.options, **table)
            within_ms = case.options.get("raster_bin_size_ms", 0.0)
            text, passed = _compared(sd, load(target, **table), within_ms)
        except MissingExtraError as error:
            text, passed = f"skipped: {error}", True
        except Exception as error:  # one format that fails must not hide the others
            text, passed = f"{type(error).__name__}: {error}", False
        seconds = time.perf_counter() - began
        files = target.rglob("*") if target.is_dir() else [target]
        n_bytes = sum(file.stat().st_size for file in files if file.is_file())
        yield case, n_bytes, seconds, text, passed


def _compared(sd: SpikeData, read: Any, within_ms: float) -> tuple[str, bool]:
    """Return in words how far spikes and window are from `sd`, and whether it is right."""
    bare, found = (
        SpikeData(x.train, length=x.length, start_time=x.start_time) for x in (sd, read)
    )
    if not differences(bare, found):
        return "exact", True
    allowed = max(within_ms, float(np.spacing(sd.length)))
    wrong = differences(bare, found, atol_ms=allowed)
    return "; ".join(wrong) or f"within {allowed:.2g} ms", not wrong
