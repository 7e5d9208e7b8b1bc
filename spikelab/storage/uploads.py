"""Exports to remote stores, through a temporary local folder."""

import contextlib
import errno
import fnmatch
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelab.storage.manifest import MANIFEST, replaced_entries, write_incomplete
from spikelab.storage.store import (
    Entry,
    Store,
    check_progress,
    progress_bar,
    store_at,
)
from spikelab.storage.transfers import (
    local_name,
    manifest_of,
    side_by_side,
    temporary_folder,
    top_of,
)

_Url = str | os.PathLike[str]


@contextlib.contextmanager
def published_file(
    url: _Url,
    storage_options: Mapping[str, Any] | None,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> Iterator[Path]:
    """Yield a local path to write to; upload it to `url` if the block succeeds.

    The target is looked at before the block.
    """
    check_progress(progress)
    store = store_at("filepath", url, storage_options)
    store.check_target(is_folder=False)
    with temporary_folder(store.url) as folder:
        staged = folder / local_name(store.url)
        yield staged
        size = staged.stat().st_size
        with progress_bar(progress, "upload", store.url, size) as moved:
            store.upload(staged, moved=moved)


@contextlib.contextmanager
def published_folder(
    url: _Url,
    storage_options: Mapping[str, Any] | None,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> Iterator[Path]:
    """Yield a local folder to fill; upload what it holds if the block succeeds.

    The manifest goes up last; over an earlier export, one that is marked as incomplete
    goes up first. What the earlier one lists and is not replaced is removed.
    """
    check_progress(progress)
    store = store_at("folder", url, storage_options)
    store.check_target(is_folder=True)
    with temporary_folder(store.url) as folder:
        staged = folder / "staged"
        staged.mkdir()
        yield staged
        new, existing, in_manifest = _files(staged), store.entries(), None
        if MANIFEST in existing:
            in_manifest, _ = manifest_of(store, folder)
        removed = _removed(store, existing, new, conflicting, in_manifest, overwrite)
        size = sum(path.stat().st_size for path in new.values())
        with progress_bar(progress, "upload", store.url, size) as moved:
            if in_manifest is not None:
                names = in_manifest | set(map(top_of, new)) - {MANIFEST}
                write_incomplete(folder / MANIFEST, names)
                store.upload(folder / MANIFEST, MANIFEST)
            # Two exports at once may leave files of both: their marks show it.
            mark, manifest = secrets.token_hex(8), new.pop(MANIFEST)
            tags = {name: entry.tag for name, entry in existing.items()}

            def upload(name: str) -> None:
                tags[name] = store.upload(new[name], name, mark=mark, moved=moved)

            side_by_side({n: path.stat().st_size for n, path in new.items()}, upload)
            store.remove(removed)
            kept = {name: tag for name, tag in tags.items() if name not in removed}
            mark = f"{mark}-{_digest(kept)}"
            store.upload(manifest, MANIFEST, mark=mark, moved=moved)


def _removed(
    store: Store,
    existing: Mapping[str, Entry],
    new: Mapping[str, Path],
    conflicting: Sequence[str],
    in_manifest: set[str] | None,
    overwrite: bool,
) -> list[str]:
    """Return the files of a folder that an export removes."""
    entries, new_entries = set(map(top_of, existing)), set(map(top_of, new))
    matching = {
        entry
        for entry in entries
        for pattern in conflicting
        if fnmatch.fnmatchcase(entry, pattern)
    }
    try:
        replaced = replaced_entries(
            entries, new_entries, matching, in_manifest, overwrite
        )
    except ValueError as error:
        raise FileExistsError(errno.EEXIST, str(error), store.url) from None
    return [name for name in existing if top_of(name) in replaced and name not in new]


def _files(folder: Path) -> dict[str, Path]:
    """Return the files below a local folder by their names in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def is_untouched(store: Store, existing: Mapping[str, Entry]) -> bool:
    """Return whether an exported folder is known to be as the export left it.

    Where the store keeps no marks, it is never known.
    """
    with temporary_folder(store.url) as folder:
        _, mark = manifest_of(store, folder)
    digest = _digest({name: entry.tag for name, entry in existing.items()})
    return mark is not None and mark.partition("-")[2] == digest


def _digest(tags: Mapping[str, Any]) -> str:
    """Return a digest of the tags of all files of a folder but its manifest."""
    known = sorted((n, str(tag)) for n, tag in tags.items() if n != MANIFEST)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]
