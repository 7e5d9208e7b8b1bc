"""Files and folders of remote stores: read by blocks, or copied to a local folder."""

import contextlib
import errno
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spikelab import validate
from spikelab.errors import FormatError, IncompleteExportError
from spikelab.storage.manifest import MANIFEST, read_manifest
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.store import (
    Entry,
    ForbiddenError,
    Store,
    check_progress,
    progress_bar,
    store_at,
)
from spikelab.storage.transfers import (
    local_name,
    manifest_of,
    naming_url,
    side_by_side,
    temporary_folder,
    top_of,
)

_FIRST = 2**20
"""Bytes that are read to see what a file is."""

_HDF5 = b"\x89HDF\r\n\x1a\n"

_Url = str | os.PathLike[str]


@contextlib.contextmanager
def readable(
    url: _Url, storage_options: Mapping[str, Any] | None, name: str, progress: bool
) -> Iterator[Path | RemoteFile]:
    """Yield a file object for a remote HDF5 file, a local copy of everything else."""
    check_progress(progress)
    store = store_at(name, url, storage_options)
    beginning, entry = b"", None
    # Addresses of files of the web may end as those of folders do.
    if store.is_web or not store.url.endswith("/"):
        with contextlib.suppress(FileNotFoundError):
            beginning, entry = store.beginning(_FIRST)
    if entry is not None and beginning.startswith(_HDF5):
        with _file_object(store, beginning, entry) as file:
            yield file
        return
    with temporary_folder(store.url) as folder, _copied(store, folder) as copy:
        if entry is None or store.url.endswith("/"):
            _copy_folder(store, copy, progress)
        elif len(beginning) == entry.size:
            copy.write_bytes(beginning)
        else:
            _copy_file(store, copy, progress)
        yield copy


@contextlib.contextmanager
def hdf5_file(
    url: _Url, storage_options: Mapping[str, Any] | None
) -> Iterator[RemoteFile | None]:
    """Yield a file object for a remote HDF5 file, None if there is no such file.

    Nor is there one if the store does not let this user read.
    """
    store, beginning = store_at("filepath", url, storage_options), b""
    with contextlib.suppress(FileNotFoundError, ForbiddenError):
        beginning, entry = store.beginning(_FIRST)
    if not beginning.startswith(_HDF5):
        yield None
        return
    with _file_object(store, beginning, entry) as file:
        yield file


@contextlib.contextmanager
def local_copy(
    url: _Url, storage_options: Mapping[str, Any] | None, name: str, progress: bool
) -> Iterator[Path]:
    """Yield a temporary local copy of a remote file, or of an exported folder.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    IncompleteExportError
        If the folder has no manifest, or not all that its manifest lists.
    """
    check_progress(progress)
    store = store_at(name, url, storage_options)
    with temporary_folder(store.url) as folder, _copied(store, folder) as copy:
        try:
            if store.url.endswith("/"):
                raise FileNotFoundError
            _copy_file(store, copy, progress)
        except FileNotFoundError:
            _copy_folder(store, copy, progress)
        yield copy


@contextlib.contextmanager
def _copied(store: Store, folder: Path) -> Iterator[Path]:
    """Yield where the copy goes, and let errors of the block name the URL."""
    copy = folder / local_name(store.url)
    with naming_url(store.url, copy):
        yield copy


def _file_object(store: Store, beginning: bytes, entry: Entry) -> RemoteFile:
    fetch = functools.partial(store.read, tag=entry.tag)
    return RemoteFile(store.url, entry.size, fetch, beginning)


def _copy_file(store: Store, copy: Path, progress: bool) -> None:
    size = store.entry().size if progress else 0
    with progress_bar(progress, "download", store.url, size) as moved:
        store.download(copy, moved=moved)


def _copy_folder(store: Store, copy: Path, progress: bool) -> None:
    """Copy the manifest of a folder, what it lists, and tables added since."""
    copy.mkdir()
    existing = store.entries()
    if not existing:
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", store.url)
    if MANIFEST not in existing:
        raise IncompleteExportError(
            f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
            "last; a folder of another program must be downloaded to be loaded"
        )
    in_manifest, own_mark = manifest_of(store, copy)
    marks: set[str | None] = {None}
    names = [
        name
        for name in existing
        if name != MANIFEST and (top_of(name) in in_manifest or name.endswith(".tsv"))
    ]
    paths = {name: _inside(copy, name) for name in names}
    size = sum(existing[name].size for name in names)

    with progress_bar(progress, "download", store.url, size) as moved:

        def download(name: str) -> None:
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            marks.add(store.download(paths[name], name, moved=moved))

        side_by_side({name: existing[name].size for name in names}, download)
    if store.entries() != existing:
        raise IncompleteExportError(
            f"{copy} was exported again while it was read; load it again"
        )
    read_manifest(copy)
    # What another program has changed since has no mark.
    if own_mark is not None and not marks <= {own_mark.partition("-")[0], None}:
        raise IncompleteExportError(
            f"{copy} holds files of two exports at once; export again"
        )


def _inside(folder: Path, name: str) -> Path:
    """Return where the file `name` goes, or raise if that is not in the folder."""
    try:
        parts = [validate.file_name("key", part) for part in name.split("/")]
    except ValueError as error:
        raise FormatError(
            f"{folder} holds an object that is no file: {error}"
        ) from None
    return folder.joinpath(*parts)
