"""Where exports go and files come from: the local disk, or a remote store."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelab.storage import local, remote
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.remote_folder import Lost, uploaded_folder
from spikelab.storage.store import check_progress, store_at
from spikelab.storage.urls import StrPath, is_url


@contextlib.contextmanager
def publish(
    target: StrPath,
    storage_options: Mapping[str, Any] | None = None,
    *,
    folder: bool = False,
    conflicting: Sequence[str] = (),
    overwrite: bool = False,
    lost: Lost | None = None,
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a path to write to; publish it as `target` if the block succeeds.

    If the block raises, or publishing fails, the target is as it was, and nothing else
    stays behind. Parent folders are made. A symbolic link is followed to what it names,
    and the permissions of replaced files are kept.

    With `folder` it is a folder, which the block fills and ends with `write_manifest`.
    Of an earlier export, the entries that its manifest lists are replaced, and those
    that match the glob patterns `conflicting`. Other files stay; those of another
    program that match or are in the way are a FileExistsError, unless `overwrite` is set.

    `lost` returns the names of what the target holds and this export would not write
    again, which is a FileExistsError too. It gets an `Existing`, or a path that may not
    exist.
    """
    name = "folder" if folder else "filepath"
    if overwrite:
        lost = None
    if is_url(target, name):
        check_progress(progress)
        store = store_at(name, target, storage_options)
        store.check_target(is_folder=folder)
        if folder:
            published = uploaded_folder(store, lost, conflicting, overwrite, progress)
        else:
            published = remote.uploaded_file(store, lost, progress)
    elif folder:
        published = local.staged_folder(target, lost, conflicting, overwrite)
    else:
        published = local.staged_file(target, lost)
    with local.naming(target), published as staged:
        yield staged


@contextlib.contextmanager
def readable(
    source: StrPath,
    storage_options: Mapping[str, Any] | None = None,
    *,
    name: str = "filepath",
    progress: bool = False,
    whole: bool = False,
) -> Iterator[Path | RemoteFile]:
    """Yield what can be read in the place of `source`, called `name` in errors.

    Of a remote HDF5 file this is a file object that fetches blocks as they are read,
    unless `whole` is set. Everything else has a local path. A folder that is not whole,
    or was exported again while the block read it, is an IncompleteExportError; with the
    `name` ``"filepath"``, a local folder is an IsADirectoryError.
    """
    if isinstance(source, RemoteFile):
        yield source
    elif is_url(source, name):
        check_progress(progress)
        store = store_at(name, source, storage_options)
        with remote.readable(store, progress, whole=whole) as found:
            yield found
    else:
        with local.unchanged(source, name) as path:
            yield path


@contextlib.contextmanager
def local_copy(
    source: StrPath,
    storage_options: Mapping[str, Any] | None = None,
    *,
    name: str = "filepath",
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a local path from which `source` can be read, as :func:`readable` does."""
    with readable(
        source, storage_options, name=name, progress=progress, whole=True
    ) as copy:
        yield Path(copy)
