"""A SpikeSliceStack as a folder of folders, one for each slice."""

import copy
import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from spikelab import validate
from spikelab.errors import FormatError, IncompleteExportError
from spikelab.formats.phy.facts import fingerprints
from spikelab.formats.reading import build
from spikelab.spikedata.cutting import TIME_ZERO
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.storage.manifest import MANIFEST, read_manifest, write_manifest

T = TypeVar("T")

KIND = "SpikeSliceStack"

WINDOWS_FILE = "windows.tsv"

_FOLDER = "slice_{:04d}"  # of a slice, by its position


def recordings_by_folder(obj: DataObject) -> dict[str, SpikeData]:
    """Return the recording under "", or each slice under the name of its folder.

    A slice without attributes of its own gets those of the stack. Where its time 0 lies
    is left out, since the windows say it.
    """
    if not isinstance(obj, SpikeSliceStack):
        return {"": obj} if isinstance(obj, SpikeData) else {}
    found = {}
    for i, sd in enumerate(obj.spike_stack):
        part = found[_FOLDER.format(i)] = copy.copy(sd)
        if sd.neuron_attributes is None:
            part.neuron_attributes = obj.neuron_attributes
        part.metadata = {k: v for k, v in sd.metadata.items() if k != TIME_ZERO}
    return found


def stack_of(
    slices: list[SpikeData], windows: list[tuple[float, float]], *, own: bool
) -> SpikeSliceStack:
    """Return the stack of slices, with or without attributes of their own."""
    return build(
        SpikeSliceStack,
        spike_stack=slices,
        times_start_to_end=windows,
        neuron_attributes=slices[0].neuron_attributes if slices else None,
        drop_slice_attributes=not own,
    )


def made_of(slices: list[SpikeData], like: DataObject) -> DataObject:
    """Return the recordings of an object as such an object: a stack, or a recording."""
    if not isinstance(like, SpikeSliceStack):
        return slices[0]
    return stack_of(slices, like.times, own=has_own_attributes(like))


def has_own_attributes(stack: SpikeSliceStack) -> bool:
    """Return whether slices have attributes of their own."""
    return any(sd.neuron_attributes is not None for sd in stack.spike_stack)


def merged(
    slices: Mapping[str, T], messages: Callable[[T], Iterable[str]]
) -> list[str]:
    """Return the messages of slices once each; those of some only with their names."""
    where: dict[str, list[str]] = {}
    for name, item in slices.items():
        for text in messages(item):
            where.setdefault(text, []).append(name)
    return [
        text if len(names) == len(slices) else f"{', '.join(names)}: {text}"
        for text, names in where.items()
    ]


def write(folder: Path, stack: SpikeSliceStack, format_name: str) -> None:
    """Write the windows of a stack whose slices are written already."""
    with (folder / WINDOWS_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["slice", "folder", "start_ms", "end_ms"])
        for i, (start, end) in enumerate(stack.times):
            writer.writerow([i, _FOLDER.format(i), float(start), float(end)])
    about = {
        "format": format_name,
        "kind": KIND,
        "n_slices": len(stack.spike_stack),
        "slice_attributes": has_own_attributes(stack),
        "fingerprints": fingerprints(folder),
    }
    write_manifest(folder, about)


def read(
    folder: Path, read_slice: Callable[[Path], SpikeData]
) -> SpikeSliceStack | None:
    """Return the stack in a folder, None if spikelab wrote no slices into it.

    `read_slice` reads the folder of a slice.
    """
    manifest, table = read_manifest(folder), folder / WINDOWS_FILE
    if manifest is None or manifest.get("kind") != KIND:
        return None
    validate.regular_file(table)
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        windows = [(float(row["start_ms"]), float(row["end_ms"])) for row in rows]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(f"{table} is not a table of windows: {error}") from error
    if len(windows) != manifest.get("n_slices"):
        raise IncompleteExportError(
            f"{table} must name {manifest.get('n_slices')} slices, as {MANIFEST} says, "
            f"got {len(windows)}"
        )
    slices = [read_slice(folder / _FOLDER.format(i)) for i in range(len(windows))]
    return stack_of(slices, windows, own=manifest.get("slice_attributes") is True)
