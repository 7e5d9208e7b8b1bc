"""Sources and targets: what patterns match, how large files are, when they changed."""

import fnmatch
import glob
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab.s3 import Store
from spikelab.s3_urls import is_s3_url, located, parse_s3_url

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
    def of_files(cls, states: Iterator["State"]) -> "State":
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


def is_url(text: str) -> bool:
    """Return whether a text is a URL, and not a local path."""
    return "://" in text


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern, and not the name of a file that is there."""
    is_name = not is_url(text) and os.path.lexists(text)
    return bool(_WILDCARD.search(text)) and not is_name


def same_place(a: str, b: str) -> bool:
    """Return whether two paths or URLs name one file or folder."""
    if is_s3_url(a) and is_s3_url(b):
        return located(a).url.rstrip("/") == located(b).url.rstrip("/")
    if is_url(a) or is_url(b):
        return a == b
    return identity(a) == identity(b)


def identity(place: str) -> str:
    """Return a text that is the same for all names of a file or folder."""
    if is_url(place):
        return place.rstrip("/")
    return os.path.realpath(_folder_of(place))


def _folder_of(place: str) -> str:
    """Return the folder if a file of it stands for a KiloSort or Phy folder."""
    folder, name = os.path.split(place)
    return folder or "." if name in _PARTS_OF_FOLDERS else place


class Places:
    """A view of the file system and of stores, in which folders are listed once.

    Parameters
    ----------
    storage_options : mapping, optional
        How to reach a store.
    """

    def __init__(self, storage_options: Mapping[str, Any] | None = None) -> None:
        self._storage_options = storage_options
        self._folders: dict[str, dict[str, State | None]] = {}
        self._matched: dict[str, State] = {}

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
        if is_s3_url(text):
            found = self._matches_in_s3(text)
        else:
            found = glob.glob(text, recursive=True)  # noqa: PTH207 # keeps "./"
        if not found:
            raise FileNotFoundError(f"no file or folder matches {text!r}")
        return sorted(found)

    def exists(self, place: str) -> bool:
        """Return whether a file or folder is there."""
        if is_s3_url(place):
            return self._entry_in_s3(place)[0]
        return Path(place).exists()

    def state(self, place: str) -> State | None:
        """Return the state of a file or folder, None if it is not there."""
        if is_s3_url(place):
            if place in self._matched:
                return self._matched[place]
            is_there, state = self._entry_in_s3(place)
            return (state or self._folder_in_s3(place)) if is_there else None
        path = Path(_folder_of(place))
        try:
            if not path.is_dir():
                return _state(path.stat())
        except OSError:
            return None
        return State.of_files(_states_below(path))

    def size(self, place: str, *, is_folder: bool) -> int:
        """Return the size of a target that was just written, in bytes."""
        if not is_s3_url(place):
            state = self.state(place)
            return state.n_bytes if state else 0
        found = list(self._objects(place))
        folder = located(place).url.rstrip("/") + "/"
        return sum(
            state.n_bytes
            for url, state in found
            if url == located(place).url or url.startswith(folder)
        )

    def _matches_in_s3(self, pattern: str) -> list[str]:
        bucket, key = parse_s3_url(pattern)
        start = key[: _WILDCARD.search(key).start()]  # type: ignore[union-attr] # is one
        pattern_parts = key.rstrip("/").split("/")
        found: dict[str, list[State]] = {}
        for url, state in self._objects(f"s3://{bucket}/{start}"):
            parts = located(url).key.split("/")
            if n := _matched(pattern_parts, parts):
                name = f"s3://{bucket}/{'/'.join(parts[:n])}"
                found.setdefault(name, []).append(state)
        for url, states in found.items():
            self._matched[url] = State.of_files(iter(states))
        return list(found)

    def _objects(self, start: str) -> Iterator[tuple[str, State]]:
        """Yield URL and state of each object whose URL begins with `start`."""
        place = located(start)
        client = Store.at(start, self._storage_options).client
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=place.key
        )
        for page in pages:
            for entry in page.get("Contents", ()):
                # Some stores have an object for each folder, named with a slash.
                if not entry["Key"].endswith("/"):
                    time = entry["LastModified"].timestamp()
                    url = f"s3://{place.bucket}/{entry['Key']}"
                    yield url, State(entry["Size"], time)

    def _folder_in_s3(self, place: str) -> State:
        below = self._objects(located(place).url.rstrip("/") + "/")
        return State.of_files(state for _, state in below)

    def _entry_in_s3(self, place: str) -> tuple[bool, State | None]:
        """Return whether something is there, and its state if that is an object."""
        url = located(_folder_of(place)).url.rstrip("/")
        folder, name = posixpath.split(url)
        if folder not in self._folders:
            self._folders[folder] = self._listed(folder)
        entries = self._folders[folder]
        return name in entries, entries.get(name)

    def _listed(self, folder: str) -> dict[str, State | None]:
        """Return the names in a folder: objects with their state, folders without."""
        place = located(folder + "/")
        client = Store.at(folder + "/", self._storage_options).client
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=place.key, Delimiter="/"
        )
        found: dict[str, State | None] = {}
        for page in pages:
            for entry in page.get("CommonPrefixes", ()):
                found[posixpath.basename(entry["Prefix"].rstrip("/"))] = None
            for entry in page.get("Contents", ()):
                name = posixpath.basename(entry["Key"])
                found[name] = State(entry["Size"], entry["LastModified"].timestamp())
        return found


def _state(status: os.stat_result) -> State:
    return State(status.st_size, status.st_mtime_ns / 1e9)


def _states_below(folder: Path) -> Iterator[State]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("."):
                path = os.path.join(parent, name)  # noqa: PTH118 # quicker
                yield _state(os.lstat(path))


def _matched(pattern: list[str], parts: list[str]) -> int | None:
    """Return how many first parts of a key a pattern matches, None if it does not."""
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
