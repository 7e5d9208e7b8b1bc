"""Where exports go and files come from: the local disk, or a remote store."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelab.storage import local, remote
from spikelab.storage.remote import Lost
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.store import check_progress, store_at
from spikelab.storage.urls import is_url

_Source = str | os.PathLike[str]


@contextlib.contextmanager
def publish(
    target: str | os.PathLike[str],
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

    Parameters
    ----------
    target : path or URL
        The file or folder.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)``, or of the file system of fsspec.
    folder : bool
        Yield a folder, which the block fills and ends with :func:`.write_manifest`. A
        new folder appears with a single rename. In a folder that exists, the entries
        that its manifest lists are replaced: the manifest is marked as incomplete
        before the first change and replaced after the last, and if a rename fails the
        old entries are put back. Files that no manifest lists stay.
    conflicting : sequence of str
        Glob patterns of files that programs of the format would read together with the
        exported ones. Those in a folder that spikelab exported go with the earlier
        export; those of another program are removed with `overwrite` only.
    overwrite : bool
        Replace conflicting files of another program.
    lost : callable, optional
        Returns the names of what the target holds and this export would not write
        again. It is called with the path of a local target, which may not exist, with
        a :class:`.RemoteFile` for a remote HDF5 file, and with a
        :class:`.RemoteFolder`.
    progress : bool
        Show a progress bar during an upload.

    Raises
    ------
    IsADirectoryError, NotADirectoryError, PermissionError
        If `target` is a folder (or is none), lies below a file, or may not be written.
    FileExistsError
        If something would be lost, or the folder holds conflicting files of another
        program.
    BlockingIOError
        If another export into the folder is under way.
    S3Error
        If an upload fails.
    """
    name, lost = "folder" if folder else "filepath", None if overwrite else lost
    if is_url(target, name):
        check_progress(progress)
        store = store_at(name, target, storage_options)
        store.check_target(is_folder=folder)
        published = (
            remote.uploaded_folder(store, lost, conflicting, overwrite, progress)
            if folder
            else remote.uploaded_file(store, lost, progress)
        )
    else:
        path = local.local_target(target, is_folder=folder)

        def check() -> None:
            local.refuse_loss(target, lost(path) if lost else ())

        published = (
            local.staged_folder(path, check, conflicting, overwrite)
            if folder
            else local.staged_file(path, check)
        )
    with local.naming(target), published as staged:
        yield staged


@contextlib.contextmanager
def readable(
    source: _Source,
    storage_options: Mapping[str, Any] | None = None,
    *,
    name: str = "filepath",
    progress: bool = False,
    whole: bool = False,
) -> Iterator[Path | RemoteFile]:
    """Yield what can be read in the place of `source`, called `name` in errors.

    Of a remote HDF5 file this is a file object that fetches blocks as they are read,
    unless `whole` is set. Everything else has a local path.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    IncompleteExportError
        If a folder is not whole, or was exported again while the block read it.
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
    source: _Source,
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
