"""Sources and targets: what patterns match, how large files are, when they changed."""

import fnmatch
import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikelab.formats.phy.folder_reader import folder_of
from spikelab.storage.store import store_at
from spikelab.storage.urls import StrPath, expanded, is_s3_url, is_url, located

State = tuple[int, float]
"""Size in bytes and modification time of a file, or of all files of a folder."""

_WILDCARD = re.compile(r"[*?\[]")


def path_or_url(place: StrPath) -> str:
    """Return a path or URL as a string, with ``~`` as the home folder."""
    if not isinstance(place, str | os.PathLike):
        raise TypeError(f"source and target must be a path or URL, got {place!r:.80}")
    text = os.fspath(place)
    return text if is_url(text) else expanded(text)


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern, and not the name of a file that is there."""
    is_name = not is_url(text) and os.path.lexists(text)
    return bool(_WILDCARD.search(text)) and not is_name


def identity(place: str) -> str:
    """Return a text that is the same for all names of a file or folder."""
    place = os.fspath(folder_of(place))
    if is_s3_url(place):
        place = located(place).url
    place = place.removeprefix("file://")
    return place.rstrip("/") if is_url(place) else os.path.realpath(place)


def is_same(a: str, b: str) -> bool:
    """Return whether two names are of one file or folder, also by a hard link."""
    a, b = identity(a), identity(b)
    are_local = not (is_url(a) or is_url(b)) and Path(a).exists() and Path(b).exists()
    return a == b or (are_local and Path(a).samefile(b))


def size_of(
    target: str, storage_options: Mapping[str, Any] | None, is_folder: bool
) -> int:
    """Return the size in bytes of a target that was just written."""
    if not is_url(target):
        return _local_state(target)[0]
    store = store_at("target", target, storage_options)
    if is_folder:
        return sum(entry.size for entry in store.entries().values())
    return store.beginning(1)[1].size


class Places:
    """A view of the file system and of stores, in which folders are listed once."""

    def __init__(self, storage_options: Mapping[str, Any] | None) -> None:
        self._storage_options = storage_options
        self._listings: dict[str, dict[str, State]] = {}

    def matches(self, source: StrPath) -> list[str]:
        """Return the files and folders that a path, a URL or a pattern names, sorted.

        A pattern that matches nothing is an error. What is there, or has no wildcards,
        names itself.
        """
        text = path_or_url(source)
        if not is_pattern(text):
            return [text]
        if is_url(text):
            found = self._remote_matches(text)
        else:
            found = glob.glob(text, recursive=True)  # noqa: PTH207 # keeps "./"
        if not found:
            raise FileNotFoundError(f"no file or folder matches {text!r}")
        return sorted(found)

    def _remote_matches(self, pattern: str) -> list[str]:
        parts = pattern.rstrip("/").split("/")
        first = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
        folder, wanted = "/".join(parts[:first]), parts[first:]
        names = self._listed(folder)
        if "/".join(wanted) in names:
            return [pattern]
        return [
            f"{folder}/{name}"
            for name in names
            if name and _matches(wanted, name.split("/"))
        ]

    def state(self, place: str) -> State | None:
        """Return the state of a file or folder, None if it cannot be seen."""
        place = identity(place)
        try:
            if not is_url(place):
                return _local_state(place)
            parts = place.split("/")
            # From the bucket to the place itself.
            folders = ["/".join(parts[:n]) for n in range(3, len(parts) + 1)]
            parent = folders[-2] if len(folders) > 1 else place
            folder = next((f for f in folders if f in self._listings), parent)
            return self._listed(folder).get(place.removeprefix(folder).strip("/"))
        except OSError:  # a store may be readable, but not list what it has
            return None

    def _listed(self, folder: str) -> dict[str, State]:
        """Return the state of each file and folder in a folder of a store, "" its own."""
        if folder not in self._listings:
            states: dict[str, State] = {}
            store = store_at("source", f"{folder}/", self._storage_options)
            for name, entry in store.entries().items():
                time = entry.modified.timestamp() if entry.modified else 0.0
                parts = name.split("/")
                for n in range(len(parts) + 1):
                    place = "/".join(parts[:n])
                    size, latest = states.get(place, (0, 0.0))
                    states[place] = size + entry.size, max(latest, time)
            self._listings[folder] = states
        return self._listings[folder]


def _local_state(place: str) -> State:
    status = os.stat(place)  # noqa: PTH116 # a tenth of the time, for a million files
    if not os.path.isdir(place):  # noqa: PTH112
        return status.st_size, status.st_mtime_ns / 1e9
    found = [
        Path(folder, name).lstat()
        for folder, _, names in os.walk(place)
        for name in names
        if not name.startswith(".")
    ]
    latest = max((status.st_mtime_ns / 1e9 for status in found), default=0.0)
    return sum(status.st_size for status in found), latest


def _matches(pattern: list[str], parts: list[str]) -> bool:
    """Return whether a pattern matches a name, part by part, as ``glob`` does."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    first, rest = pattern[0], pattern[1:]
    is_visible = first.startswith(".") or not parts[0].startswith(".")
    if first == "**":
        deeper = is_visible and _matches(pattern, parts[1:])
        return deeper or _matches(rest, parts)
    is_match = is_visible and fnmatch.fnmatchcase(parts[0], first)
    return is_match and _matches(rest, parts[1:])
