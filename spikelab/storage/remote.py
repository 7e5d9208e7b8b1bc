"""Files of remote stores: replaced as a whole, read by blocks or copied."""

import contextlib
import errno
import functools
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from spikelab.registry import HDF5_SIGNATURE
from spikelab.storage.local import refuse_loss
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.remote_folder import Lost, copy_folder
from spikelab.storage.store import (
    Entry,
    ForbiddenError,
    Store,
    progress_bar,
    temporary,
)

_FIRST = 2**20
"""Bytes that are read to see what a file is."""


@contextlib.contextmanager
def uploaded_file(store: Store, lost: Lost | None, progress: bool) -> Iterator[Path]:
    """Yield a local path to write to; upload the file if the block succeeds."""
    with temporary(store.url) as staged:
        if lost is not None:
            # Who may write and not read cannot be told what would be lost.
            with contextlib.suppress(FileNotFoundError, ForbiddenError):
                beginning, entry = store.beginning(_FIRST, "write")
                if beginning.startswith(HDF5_SIGNATURE):
                    with _file_object(store, beginning, entry) as file:
                        refuse_loss(store.url, lost(file))
        yield staged
        size = staged.stat().st_size
        with progress_bar(progress, "upload", store.url, size) as moved:
            store.upload(staged, moved)


@contextlib.contextmanager
def readable(
    store: Store, progress: bool, *, whole: bool = False
) -> Iterator[Path | RemoteFile]:
    """Yield a temporary local copy of a remote file, or of an exported folder.

    Of an HDF5 file it is a file object that fetches blocks, unless `whole` is set.
    """
    with temporary(store.url) as copy:
        found = _found(store)
        if isinstance(found, dict):
            copy_folder(store, found, copy, progress)
            yield copy
            return
        beginning, entry = found
        if beginning.startswith(HDF5_SIGNATURE) and not whole:
            with _file_object(store, beginning, entry) as file:
                yield file
            return
        if len(beginning) == entry.size:
            copy.write_bytes(beginning)
        else:
            with progress_bar(progress, "download", store.url, entry.size) as moved:
                store.download(copy, moved)
        yield copy


def _found(store: Store) -> dict[str, Entry] | tuple[bytes, Entry]:
    """Return the files of a folder, or the beginning of a file; ask for the likelier first."""
    found: dict[str, Entry] | tuple[bytes, Entry] | None
    if store.is_web or PurePosixPath(store.url).suffix:
        found = _beginning(store) or store.entries()
    else:
        entries: dict[str, Entry] = {}
        # A store may let its objects be read, and not be listed.
        with contextlib.suppress(ForbiddenError):
            entries = store.entries()
        found = entries or _beginning(store)
    if not found:
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", store.url)
    return found


def _beginning(store: Store) -> tuple[bytes, Entry] | None:
    """Return the beginning of a file, None if there is none of this name."""
    try:
        beginning, entry = store.beginning(_FIRST)
    except FileNotFoundError:
        return None
    # In the web, such a name is that of a page that lists a folder, or leads to a file.
    is_page = store.url.endswith("/") and not beginning.startswith(HDF5_SIGNATURE)
    return None if is_page else (beginning, entry)


def _file_object(store: Store, beginning: bytes, entry: Entry) -> RemoteFile:
    fetch = functools.partial(store.read, tag=entry.tag)
    return RemoteFile(store.url, entry.size, fetch, beginning)
