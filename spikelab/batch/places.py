"""Sources and targets: what patterns match, how large files are, when they changed."""

import bisect
import fnmatch
import glob
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab.storage.publish import is_url
from spikelab.storage.store import Entry, store_at
from spikelab.storage.urls import is_s3_url, located

StrPath = str | os.PathLike[str]

_WILDCARD = re.compile(r"[*?\[]")

_PARTS_OF_FOLDERS = ("params.py", "spike_times.npy", "spike_clusters.npy")
"""Files by which a KiloSort or Phy folder can be named."""


@attrs.frozen
class State:
    """Size in bytes and modification time of a file, or of all files of a folder."""

    n_bytes: int
    time: float

    @classmethod
    def of(cls, entry: Entry) -> "State":
        """Return the state of a file in a store."""
        return cls(entry.size, entry.modified.timestamp() if entry.modified else 0.0)

    @classmethod
    def of_all(cls, states: Iterable["State"]) -> "State":
        """Return the size of all, and the time of the last."""
        size, last = 0, 0.0
        for state in states:
            size, last = size + state.n_bytes, max(last, state.time)
        return cls(size, last)


def resolved(place: StrPath) -> str:
    """Return a path or URL as a string, with ``~`` as the home folder."""
    text = os.fspath(place)
    if not isinstance(text, str):
        raise TypeError(f"a path or URL must be a str, got {text!r}")
    return text if is_url(text) else os.path.expanduser(text)  # noqa: PTH111 # keeps "./"


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern, and not the name of a file that is there."""
    is_name = not is_url(text) and os.path.lexists(text)
    return bool(_WILDCARD.search(text)) and not is_name


def identity(place: str) -> str:
    """Return a text that is the same for all names of a file or folder."""
    folder, name = os.path.split(place)
    if name in _PARTS_OF_FOLDERS:
        place = folder or "."
    if is_s3_url(place):
        place = located(place).url
    return place.rstrip("/") if is_url(place) else os.path.realpath(place)


class Places:
    """A view of the file system and of stores, in which folders are listed once.

    Parameters
    ----------
    storage_options : mapping, optional
        How to reach a store.
    """

    def __init__(self, storage_options: Mapping[str, Any] | None = None) -> None:
        self._storage_options = storage_options
        self._folders: dict[str, dict[str, State]] = {}
        self._names: dict[str, list[str]] = {}

    def matches(self, source: StrPath) -> list[str]:
        """Return the files and folders that a path, a URL or a pattern names, sorted.

        Raises
        ------
        FileNotFoundError
            If a pattern matches nothing. A path without wildcards names itself.
        """
        text = resolved(source)
        if not is_pattern(text):
            return [text]
        if is_url(text):
            found = self._matches_in_store(text)
        else:
            found = glob.glob(text, recursive=True)  # noqa: PTH207 # keeps "./"
        if not found:
            raise FileNotFoundError(f"no file or folder matches {text!r}")
        return sorted(found)

    def exists(self, place: str) -> bool:
        """Return whether a file or folder is there."""
        if is_url(place):
            return self.state(place) is not None
        return Path(place).exists()

    def state(self, place: str) -> State | None:
        """Return the state of a file or folder, None if it is not there."""
        if is_url(place):
            return self._state_in_store(identity(place))
        path = Path(identity(place))
        try:
            if not path.is_dir():
                return _state(path.stat())
        except OSError:
            return None
        return State.of_all(_states_below(path))

    def size(self, target: str, *, is_folder: bool) -> int:
        """Return the size in bytes of a target that was just written."""
        if not is_url(target):
            return getattr(self.state(target), "n_bytes", 0)
        store = store_at("target", target, self._storage_options)
        if is_folder:
            return sum(entry.size for entry in store.entries().values())
        return store.entry().size

    def _matches_in_store(self, pattern: str) -> list[str]:
        scheme, _, path = pattern.rstrip("/").partition("://")
        parts = path.split("/")
        n = next(i for i, part in enumerate(parts) if _WILDCARD.search(part))
        folder = f"{scheme}://{'/'.join(parts[:n])}"
        found = set()
        for name in self._listed(folder):
            names = name.split("/")
            if count := _matched(parts[n:], names):
                found.add(f"{folder}/{'/'.join(names[:count])}")
        return list(found)

    def _state_in_store(self, url: str) -> State | None:
        folder = url.rpartition("/")[0]
        parents = itertools.accumulate(url.split("/")[:-1], lambda a, b: f"{a}/{b}")
        folder = next((f for f in parents if f in self._folders), folder)
        try:
            files = self._listed(folder)
        except OSError:  # a store may be readable, but not list what it has
            return None
        name = url.removeprefix(f"{folder}/")
        names = self._names[folder]
        first, last = (bisect.bisect(names, name + end) for end in ("/", "0"))
        if first < last:
            return State.of_all(files[file] for file in names[first:last])
        return files.get(name)

    def _listed(self, folder: str) -> dict[str, State]:
        """Return the state of each file below a folder, in the order of their names."""
        if folder not in self._folders:
            store = store_at("source", f"{folder}/", self._storage_options)
            found = sorted(store.entries().items(), key=lambda item: item[0])
            self._folders[folder] = {name: State.of(entry) for name, entry in found}
            self._names[folder] = list(self._folders[folder])
        return self._folders[folder]


def _state(status: os.stat_result) -> State:
    return State(status.st_size, status.st_mtime_ns / 1e9)


def _states_below(folder: Path) -> Iterator[State]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):
                path = os.path.join(parent, name)  # noqa: PTH118 # quicker
                yield _state(os.lstat(path))


def _matched(pattern: list[str], parts: list[str]) -> int | None:
    """Return how many first parts of a name a pattern matches, None if it does not."""
    if not pattern:
        return 0
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        for n in range(len(parts) + 1):
            if any(part.startswith(".") for part in parts[:n]):
                break
            if (found := _matched(rest, parts[n:])) is not None:
                return n + found
        return None
    if not parts or not fnmatch.fnmatchcase(parts[0], first):
        return None
    if parts[0].startswith(".") and not first.startswith("."):
        return None
    found = _matched(rest, parts[1:])
    return None if found is None else found + 1
