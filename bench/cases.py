"""What is measured: exports, loaders and building, on recordings of several shapes."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from bench.timing import ActionError, Contender, Measured, Worker, compete

LENGTH_MS = 1_000_000.0

PUBLISHED = os.environ.get("SPIKELAB_PUBLISHED_PYTHON")
"""The Python of an environment that holds the published spikelab 0.1.2."""


@attrs.frozen
class Shape:
    """The size of a recording."""

    units: int
    spikes: int
    """Spikes of each unit."""
    length_ms: float = LENGTH_MS

    def __str__(self) -> str:
        return f"{self.units:,} units x {self.spikes:,} spikes"


SHAPES = (Shape(1_000, 10_000), Shape(20_000, 500))

RASTER = Shape(1_000, 360, 360_000.0)
"""A tenth of an hour: an hour in bins of 1 ms takes the published package 28.8 GB."""

LONG_RASTER = Shape(1_000, 3_600, 3_600_000.0)

RAW_CHANNELS, RAW_SAMPLES = 100, 10_000_000
"""2 GB of int16."""


@attrs.frozen
class Export:
    """A format, where it is written, and who else writes it."""

    name: str
    target: str
    published: bool = True
    floor: bool = True
    others: dict[str, str] = attrs.field(factory=dict)


RAGGED = Export("ragged", "ragged.h5")
EXPORTS = (
    RAGGED,
    Export("group", "group.h5"),
    Export("paired", "paired.h5"),
    Export(
        "NWB",
        "cells.nwb",
        others={"pynwb, add_unit": "pynwb_add_unit", "pynwb": "pynwb_columns"},
    ),
    Export("KiloSort", "kilosort"),
    Export("Phy", "phy", published=False),
    Export(
        "CSV",
        "spikes.csv",
        published=False,
        floor=False,
        others={"pandas": "pandas_csv"},
    ),
    Export("pickle", "recording.pkl"),
)

LOADED = ("ragged", "NWB", "KiloSort", "pickle")


@attrs.frozen
class Row:
    """A line of the first table."""

    job: str
    name: str
    shape: str
    measured: dict[str, Measured]
    n_bytes: dict[str, int] = attrs.field(factory=dict)


@attrs.frozen
class Bench:
    """The measurements, made in one folder."""

    folder: Path
    rounds: int

    def exports_and_loaders(self, names: set[str]) -> Iterator[Row]:
        """Yield the rows of the first table; only those called `names`, if any."""
        for shape in SHAPES:
            for export in EXPORTS:
                if not names or export.name in names:
                    yield from self._attempt(self._export, export, shape)
        if not names or "raster" in names:
            raster = Export("raster", "raster.h5", floor=False)
            yield from self._attempt(self._export, raster, RASTER)
            alone = attrs.evolve(raster, published=False)
            yield from self._attempt(self._export, alone, LONG_RASTER)
        if not names or "raw" in names:
            yield from self._attempt(self._raw)
        if not names or "build" in names:
            yield from self._attempt(self._build, SHAPES[0])

    def _attempt(self, measure: Any, *arguments: Any) -> Iterator[Row]:
        """Yield what `measure` does; say so if it cannot, and go on."""
        try:
            yield from measure(*arguments)
        except ActionError as error:
            print(f"{', '.join(map(str, arguments))}: {error}", file=sys.stderr)

    def times_file(self, shape: Shape) -> str:
        """Return a file of spike times of this shape, made if need be."""
        path = self.folder / f"{shape.units}-{shape.spikes}.npy"
        if not path.exists():
            with Worker(sys.executable) as worker:
                worker.run(
                    "generate", str(path), shape.units, shape.spikes, shape.length_ms
                )
        return str(path)

    def _export(self, export: Export, shape: Shape) -> Iterator[Row]:
        targets = {name: self._target(name, export) for name in self._names(export)}
        recording = ("recording", self.times_file(shape), shape.length_ms)
        with ExitStack() as stack:
            workers = {n: stack.enter_context(Worker(_python(n))) for n in targets}
            for worker in workers.values():
                worker.run(*recording)
            contenders = {
                n: Contender(workers[n], "export", (export.name, targets[n]))
                for n in targets
                if n in ("ours", "published")
            }
            if export.floor:
                workers["ours"].run("export", export.name, targets["ours"])
                if export.target != "recording.pkl":
                    workers["floor"].run("keep_arrays", targets["ours"])
                contenders["floor"] = Contender(
                    workers["floor"], "floor_write", (targets["floor"],)
                )
            for name, action in export.others.items():
                contenders[name] = Contender(workers[name], action, (targets[name],))
            measured = compete(contenders, self.rounds)
            sizes = {n: _size(Path(targets[n])) for n in contenders}
            yield Row("export", export.name, str(shape), measured, sizes)
        if export.name in LOADED:
            yield self._load(export, shape, targets)

    def _load(self, export: Export, shape: Shape, targets: dict[str, str]) -> Row:
        with ExitStack() as stack:
            contenders = {}
            for name in ("ours", "published") if PUBLISHED else ("ours",):
                worker = stack.enter_context(Worker(_python(name)))
                arguments = (export.name, targets[name])
                contenders[name] = Contender(worker, "load", arguments)
            worker = stack.enter_context(Worker(sys.executable))
            contenders["floor"] = Contender(worker, "floor_read", (targets["ours"],))
            return Row(
                "load", export.name, str(shape), compete(contenders, self.rounds)
            )

    def _raw(self) -> Iterator[Row]:
        export = Export("raw", "raw.h5")
        targets = {name: self._target(name, export) for name in self._names(export)}
        source = str(self.folder / "raw.bin")
        with ExitStack() as stack:
            workers = {n: stack.enter_context(Worker(_python(n))) for n in targets}
            for worker in workers.values():
                worker.run("raw_recording", source, RAW_CHANNELS, RAW_SAMPLES)
            contenders = {
                n: Contender(workers[n], "export", ("raw", target))
                for n, target in targets.items()
            }
            contenders["floor"] = Contender(
                workers["floor"], "floor_raw", (targets["floor"],)
            )
            measured = compete(contenders, self.rounds)
            sizes = {n: _size(Path(targets[n])) for n in contenders}
            yield Row("export", "raw", "2 GB memmap", measured, sizes)

    def _build(self, shape: Shape) -> Iterator[Row]:
        actions = {"ours": "build", "published": "build", "floor": "argsort"}
        if not PUBLISHED:
            del actions["published"]
        with ExitStack() as stack:
            contenders = {}
            for name, action in actions.items():
                worker = stack.enter_context(Worker(_python(name)))
                worker.run("flat", self.times_file(shape))
                contenders[name] = Contender(worker, action)
            yield Row("build", "flat", str(shape), compete(contenders, self.rounds))

    def _names(self, export: Export) -> list[str]:
        names = ["ours"]
        if export.published and PUBLISHED:
            names.append("published")
        if export.floor:
            names.append("floor")
        return [*names, *export.others]

    def _target(self, name: str, export: Export) -> str:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return str(folder / export.target)

    def growth(self, shapes: list[Shape], names: set[str]) -> Iterator[Row]:
        """Yield, for each shape, what each export costs alone."""
        for shape in shapes:
            times_file = self.times_file(shape)
            for export in EXPORTS:
                if names and export.name not in names:
                    continue
                with Worker(sys.executable) as worker:
                    worker.run("recording", times_file, shape.length_ms)
                    target = self._target("ours", export)
                    action = Contender(worker, "export", (export.name, target))
                    yield from self._attempt(self._alone, export, shape, action)
            Path(times_file).unlink()

    def _alone(self, export: Export, shape: Shape, action: Contender) -> Iterator[Row]:
        measured = compete({"ours": action}, min(self.rounds, 3))
        yield Row("export", export.name, str(shape), measured)


def _python(name: str) -> str:
    return PUBLISHED if name == "published" and PUBLISHED else sys.executable


def _size(target: Path) -> int:
    files = target.rglob("*") if target.is_dir() else [target]
    return sum(file.stat().st_size for file in files if file.is_file())
