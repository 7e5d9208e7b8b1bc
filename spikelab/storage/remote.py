"""Exports to remote stores, and copies from there, through a temporary local folder."""

import contextlib
import errno
import fnmatch
import functools
import hashlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from spikelab import validate
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
    SpikelabError,
)
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_incomplete,
)
from spikelab.storage.publish import STAGED_SUFFIX, naming
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.store import (
    Entry,
    ForbiddenError,
    Store,
    check_progress,
    progress_bar,
    store_at,
)

_LARGE = 8 * 2**20
"""Files of more bytes are transferred one after the other, each in several parts."""

_AT_ONCE = 8
"""How many small files are transferred at a time."""

_FIRST = 2**20
"""Bytes that are read to see what a file is."""

_HDF5 = b"\x89HDF\r\n\x1a\n"

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
    with _local_folder(store.url) as folder:
        staged = folder / _file_name(store.url)
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
    with _local_folder(store.url) as folder:
        staged = folder / "staged"
        staged.mkdir()
        yield staged
        new, existing, in_manifest = _files(staged), store.entries(), None
        if MANIFEST in existing:
            in_manifest, _ = _remote_manifest(store, folder)
        removed = _removed(store, existing, new, conflicting, in_manifest, overwrite)
        size = sum(path.stat().st_size for path in new.values())
        with progress_bar(progress, "upload", store.url, size) as moved:
            if in_manifest is not None:
                names = in_manifest | set(map(_top, new)) - {MANIFEST}
                write_incomplete(folder / MANIFEST, names)
                store.upload(folder / MANIFEST, MANIFEST)
            # Two exports at once may leave files of both: their marks show it.
            mark, manifest = secrets.token_hex(8), new.pop(MANIFEST)
            tags = {name: entry.tag for name, entry in existing.items()}

            def upload(name: str) -> None:
                tags[name] = store.upload(new[name], name, mark=mark, moved=moved)

            _side_by_side({n: path.stat().st_size for n, path in new.items()}, upload)
            store.remove(removed)
            kept = {name: tag for name, tag in tags.items() if name not in removed}
            mark = f"{mark}-{_digest(kept)}"
            store.upload(manifest, MANIFEST, mark=mark, moved=moved)


def is_untouched(store: Store, existing: Mapping[str, Entry]) -> bool:
    """Return whether an exported folder is known to be as the export left it.

    Where the store keeps no marks, it is never known.
    """
    with _local_folder(store.url) as folder:
        _, mark = _remote_manifest(store, folder)
    digest = _digest({name: entry.tag for name, entry in existing.items()})
    return mark is not None and mark.partition("-")[2] == digest


def _digest(tags: Mapping[str, Any]) -> str:
    """Return a digest of the tags of all files of a folder but its manifest."""
    known = sorted((n, str(tag)) for n, tag in tags.items() if n != MANIFEST)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


@contextlib.contextmanager
def readable(
    url: _Url, storage_options: Mapping[str, Any] | None, name: str, progress: bool
) -> Iterator[Path | RemoteFile]:
    """Yield a file object for a remote HDF5 file, a local copy of everything else."""
    check_progress(progress)
    store, beginning = store_at(name, url, storage_options), b""
    is_folder = store.url.endswith("/")
    if not is_folder:
        try:
            beginning, entry = store.beginning(_FIRST)
        except FileNotFoundError:
            is_folder = True
    if beginning.startswith(_HDF5):
        fetch = functools.partial(store.read, tag=entry.tag)
        with RemoteFile(store.url, entry.size, fetch, beginning) as file:
            yield file
        return
    with _local_folder(store.url) as folder:
        copy = folder / _file_name(store.url)
        with _naming(store.url, copy):
            if beginning and len(beginning) == entry.size:
                copy.write_bytes(beginning)
            else:
                _copy(store, copy, progress, is_folder=is_folder)
            yield copy


@contextlib.contextmanager
def hdf5_file(
    url: _Url, storage_options: Mapping[str, Any] | None
) -> Iterator[RemoteFile | None]:
    """Yield a file object for a remote HDF5 file, None if there is no such file.

    Nor is there one if the store does not let this user read.
    """
    store = store_at("filepath", url, storage_options)
    try:
        beginning, entry = store.beginning(_FIRST)
    except (FileNotFoundError, ForbiddenError):
        beginning = b""
    if not beginning.startswith(_HDF5):
        yield None
        return
    fetch = functools.partial(store.read, tag=entry.tag)
    with RemoteFile(store.url, entry.size, fetch, beginning) as file:
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
    with _local_folder(store.url) as folder:
        copy = folder / _file_name(store.url)
        with _naming(store.url, copy):
            _copy(store, copy, progress, is_folder=store.url.endswith("/"))
            yield copy


def _copy(store: Store, copy: Path, progress: bool, *, is_folder: bool) -> None:
    if is_folder or not _copied_file(store, copy, progress):
        copy.mkdir()
        _copy_folder(store, copy, progress)


def _copied_file(store: Store, copy: Path, progress: bool) -> bool:
    """Copy a file, and return whether there is one."""
    try:
        size = store.entry().size if progress else 0
        with progress_bar(progress, "download", store.url, size) as moved:
            store.download(copy, moved=moved)
    except FileNotFoundError:
        return False
    return True


def _copy_folder(store: Store, copy: Path, progress: bool) -> None:
    """Copy the manifest of a folder, what it lists, and tables added since."""
    existing = store.entries()
    if not existing:
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", store.url)
    if MANIFEST not in existing:
        raise IncompleteExportError(
            f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
            "last; a folder of another program must be downloaded to be loaded"
        )
    in_manifest, own_mark = _remote_manifest(store, copy)
    marks: set[str | None] = {None}
    names = [
        name
        for name in existing
        if name != MANIFEST and (_top(name) in in_manifest or name.endswith(".tsv"))
    ]
    paths = {name: _inside(copy, name) for name in names}
    size = sum(existing[name].size for name in names)

    with progress_bar(progress, "download", store.url, size) as moved:

        def download(name: str) -> None:
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            marks.add(store.download(paths[name], name, moved=moved))

        _side_by_side({name: existing[name].size for name in names}, download)
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


def _side_by_side(sizes: Mapping[str, int], transfer: Callable[[str], None]) -> None:
    """Transfer files by name: small ones several at a time, large ones one by one."""
    small = [name for name, size in sizes.items() if size <= _LARGE]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        list(pool.map(transfer, small))
    finally:
        pool.shutdown(cancel_futures=True)
    for name in sizes.keys() - set(small):
        transfer(name)


def _removed(
    store: Store,
    existing: Mapping[str, Entry],
    new: Mapping[str, Path],
    conflicting: Sequence[str],
    in_manifest: set[str] | None,
    overwrite: bool,
) -> list[str]:
    """Return the files of a folder that an export removes."""
    entries, new_entries = set(map(_top, existing)), set(map(_top, new))
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
    return [name for name in existing if _top(name) in replaced and name not in new]


def _files(folder: Path) -> dict[str, Path]:
    """Return the files below a local folder by their names in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _top(name: str) -> str:
    """Return the file or folder at the top that a file belongs to."""
    return name.split("/")[0]


def _remote_manifest(store: Store, folder: Path) -> tuple[set[str], str | None]:
    """Return what the manifest of a remote folder lists, and its mark."""
    with _naming(store.url, folder):
        mark = store.download(folder / MANIFEST, MANIFEST)
        return set(_in_manifest(folder)), mark


def _in_manifest(folder: Path) -> list[str]:
    """Return what the manifest of a folder, which was just downloaded, lists."""
    manifest = load_manifest(folder)
    if manifest is None:
        raise FormatError(f"{folder} has no {MANIFEST}")
    return list(manifest["files"])


def _inside(folder: Path, name: str) -> Path:
    """Return where the file `name` goes, or raise if that is not in the folder."""
    try:
        parts = [validate.file_name("key", part) for part in name.split("/")]
    except ValueError as error:
        raise FormatError(
            f"{folder} holds an object that is no file: {error}"
        ) from None
    return folder.joinpath(*parts)


@contextlib.contextmanager
def _naming(url: str, copy: Path) -> Iterator[None]:
    """Let errors of the block name the URL: the user does not know the copy."""
    try:
        yield
    except (SpikelabError, LookupError) as error:
        error.args = tuple(
            text.replace(str(copy), url.rstrip("/")) if isinstance(text, str) else text
            for text in error.args
        )
        raise


@contextlib.contextmanager
def _local_folder(url: str) -> Iterator[Path]:
    """Yield a temporary folder, which errors name together with the URL."""
    temporary = tempfile.gettempdir()
    try:
        with (
            naming(temporary),
            tempfile.TemporaryDirectory(
                prefix="spikelab-", suffix=STAGED_SUFFIX, ignore_cleanup_errors=True
            ) as name,
        ):
            yield Path(name)
    except OSError as error:
        if error.filename == temporary:
            error.filename2 = url
        raise


def _file_name(url: str) -> str:
    """Return a file name that ends as the URL does, for formats to recognise."""
    suffix = PurePosixPath(url.partition("?")[0]).suffix
    return "object" + (suffix if len(suffix) < 20 else "")
