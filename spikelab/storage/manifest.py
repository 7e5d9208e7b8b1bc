"""The file of an exported folder that is written last and lists the others."""

import errno
import fnmatch
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from spikelab import validate
from spikelab.errors import FormatError, IncompleteExportError

MANIFEST = "spikelab.json"
"""Its name."""

_PUBLISHED = {"spike_times.npy", "spike_clusters.npy"}
"""What spikelab 0.1.2 exports to a folder, which has no manifest."""


def replaced_entries(
    folder: str,
    existing: set[str],
    new: set[str],
    in_manifest: set[str] | None,
    patterns: Iterable[str],
    overwrite: bool,
) -> set[str]:
    """Return which of the `existing` entries of a folder an export replaces or removes.

    Those that have the name of a `new` one, those that the manifest of an
    earlier export lists (None if there is none), and what `patterns` match, since
    programs would read it together with the export. If one of them belongs to another
    program, FileExistsError is raised, unless `overwrite` is set.
    """
    names = existing - {MANIFEST}
    conflicting = {n for pattern in patterns for n in fnmatch.filter(names, pattern)}
    own = _PUBLISHED if in_manifest is None else in_manifest | conflicting
    replaced = names & {*new, *conflicting, *(in_manifest or ())}
    if (foreign := replaced - own) and not overwrite:
        text = (
            "folder holds files of another program that would contradict or be "
            f"replaced by this export ({', '.join(sorted(foreign))}); "
            "name an empty folder, or replace them with overwrite=True"
        )
        raise FileExistsError(errno.EEXIST, text, folder)
    return replaced


def write_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Write the manifest of a staged folder: `about`, and what the folder holds."""
    entries = sorted(entry.name for entry in folder.iterdir())
    _write_json(folder / MANIFEST, {**about, "complete": True, "files": entries})


def write_incomplete(file: Path, names: Iterable[str]) -> None:
    """Write the manifest of a folder that is being changed, with all old and new names."""
    _write_json(file, {"complete": False, "files": sorted(names)})


def _write_json(file: Path, value: dict[str, Any]) -> None:
    # A line for each member: json is ten times as fast without an indent of its own.
    lines = [f"  {json.dumps(name)}: {json.dumps(v)}" for name, v in value.items()]
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of an exported folder, None if it has none.

    Raises IncompleteExportError if an export was interrupted, or a listed file is gone.
    """
    manifest = load_manifest(folder)
    if manifest is None:
        return None
    if not manifest["complete"]:
        raise IncompleteExportError(
            f"{folder} is incomplete: an export into it was interrupted; export again"
        )
    for name in manifest["files"]:
        if not (folder / name).exists():
            raise IncompleteExportError(
                f"{folder} is incomplete: {name}, which {MANIFEST} lists, is missing"
            )
    return manifest


def load_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a folder, complete or not, None if it has none."""
    validate.regular_file(folder / MANIFEST)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(manifest["complete"], bool):
            raise TypeError("complete must be true or false")
        for name in manifest["files"]:
            validate.file_name("files", name)
    except FileNotFoundError:
        return None
    except (TypeError, KeyError, ValueError, RecursionError) as error:
        raise FormatError(
            f"{folder / MANIFEST} is not a spikelab manifest: {error}"
        ) from error
    return dict(manifest)
