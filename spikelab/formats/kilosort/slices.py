"""A SpikeSliceStack as a folder of folders, one for each slice."""

import copy
import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from spikelab import checks, destinations, kinds
from spikelab.errors import FormatError, IncompleteExportError
from spikelab.kinds import Contents

KIND = "SpikeSliceStack"

WINDOWS_FILE = "windows.tsv"

_COLUMNS = ("slice", "folder", "start_ms", "end_ms")


def recordings(obj: Any) -> dict[str, Any]:
    """Return what is to be written: a recording, or each slice by its folder's name.

    A slice without attributes of its own gets those of the stack.
    """
    if kinds.kind_of(obj) != KIND:
        return {"": obj}
    return {
        f"slice_{i:04d}": _with_attributes(sd, obj.neuron_attributes)
        for i, sd in enumerate(obj.spike_stack)
    }


def _with_attributes(sd: Any, attributes: Any) -> Any:
    if sd.neuron_attributes is not None or attributes is None:
        return sd
    known = copy.copy(sd)
    known.neuron_attributes = attributes
    return known


def distinct(found: Mapping[str, Iterable[str]]) -> list[str]:
    """Return messages once each; those of some slices only with their names."""
    where: dict[str, list[str]] = {}
    for name, messages in found.items():
        for message in messages:
            where.setdefault(message, []).append(name)
    return [
        message if len(names) == len(found) else f"{', '.join(names)}: {message}"
        for message, names in where.items()
    ]


def write(path: Path, stack: Any, about: dict[str, Any]) -> None:
    """Write the windows of a stack whose slices are written already."""
    with (path / WINDOWS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(_COLUMNS)
        for i, (name, (start, end)) in enumerate(
            zip(recordings(stack), stack.times, strict=True)
        ):
            writer.writerow([i, name, repr(float(start)), repr(float(end))])
    own = any(sd.neuron_attributes is not None for sd in stack.spike_stack)
    facts = {**about, "kind": KIND, "n_slices": len(stack.spike_stack)}
    destinations.write_manifest(path, {**facts, "slice_attributes": own})


def is_stack(folder: Path) -> bool:
    """Tell whether spikelab wrote the slices of a stack into a folder."""
    manifest = destinations.read_manifest(folder)
    return manifest is not None and manifest.get("kind") == KIND


def read(folder: Path, read_slice: Callable[[Path], Contents]) -> Contents:
    """Return the stack in a folder.

    Parameters
    ----------
    folder : Path
        The folder.
    read_slice : callable
        Reads the folder of a slice.
    """
    manifest = destinations.read_manifest(folder) or {}
    slices, windows = [], []
    listed = _windows(folder / WINDOWS_FILE)
    if len({name for name, _ in listed}) < len(listed):
        raise FormatError(f"{folder / WINDOWS_FILE} must name each folder once")
    if len(listed) != manifest.get("n_slices"):
        raise IncompleteExportError(
            f"{folder / WINDOWS_FILE} must name {manifest.get('n_slices')} slices, as "
            f"{destinations.MANIFEST} says, got {len(listed)}"
        )
    for name, window in listed:
        if name not in manifest["files"]:
            raise FormatError(
                f"{folder / WINDOWS_FILE} must name folders that "
                f"{destinations.MANIFEST} lists, got {name!r:.80}"
            )
        slices.append(kinds.build(read_slice(folder / name)))
        windows.append(window)
    arguments = {
        "spike_stack": slices,
        "times_start_to_end": windows,
        "neuron_attributes": slices[0].neuron_attributes if slices else None,
        "drop_slice_attributes": manifest.get("slice_attributes") is not True,
    }
    return Contents(KIND, arguments)


def _windows(path: Path) -> list[tuple[str, tuple[float, float]]]:
    """Return the name of each slice's folder, and its window in ms."""
    checks.regular_file(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return [
            (
                checks.file_name("folder", row["folder"]),
                (_time("start_ms", row), _time("end_ms", row)),
            )
            for row in rows
        ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(f"{path} is not a table of windows: {error}") from error


def _time(column: str, row: Mapping[str, str]) -> float:
    return checks.finite(column, float(row[column]))
