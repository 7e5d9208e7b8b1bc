"""Exports to remote stores, and copies from there, through a temporary local folder."""

import contextlib
import errno
import fnmatch
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from spikelab import validate
from spikelab.errors import FormatError, IncompleteExportError, SpikelabError
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_incomplete,
)
from spikelab.storage.publish import STAGED_SUFFIX, naming
from spikelab.storage.store import (
    Entry,
    Store,
    check_progress,
    progress_bar,
    store_at,
)

_LARGE = 8 * 2**20
"""Files of more bytes are transferred one after the other, each in several parts."""

_AT_ONCE = 8
"""How many small files are transferred at a time."""

_IN_FOLDER = ("params.py", "*.npy")
"""Names of files that are loaded together with the folder they are in."""

_Url = str | os.PathLike[str]


@contextlib.contextmanager
def published_file(
    url: _Url,
    storage_options: Mapping[str, Any] | None,
    conflicting: Sequence[str],
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
        existing = store.entries()
        in_manifest = (
            _in_remote_manifest(store, folder) if MANIFEST in existing else None
        )
        staged = folder / "staged"
        staged.mkdir()
        yield staged
        new = _files(staged)
        removed = _removed(store, existing, new, conflicting, in_manifest)
        if store.entries() != existing:
            raise FileExistsError(
                errno.EEXIST, "the folder was changed during this export", store.url
            )
        size = sum(path.stat().st_size for path in new.values())
        with progress_bar(progress, "upload", store.url, size) as moved:
            if in_manifest is not None:
                incomplete = folder / MANIFEST
                names = in_manifest | {*map(_top, new)} - {MANIFEST}
                write_incomplete(incomplete, names)
                store.upload(incomplete, MANIFEST)
            # Two exports at once may leave files of both: their marks show it.
            mark, manifest = secrets.token_hex(8), new.pop(MANIFEST)
            _side_by_side(
                {name: path.stat().st_size for name, path in new.items()},
                lambda name: store.upload(new[name], name, mark=mark, moved=moved),
            )
            store.remove(removed)
            store.upload(manifest, MANIFEST, mark=mark, moved=moved)


@contextlib.contextmanager
def local_copy(
    url: _Url, storage_options: Mapping[str, Any] | None, name: str, progress: bool
) -> Iterator[Path]:
    """Yield a temporary local copy of a remote file, or of an exported folder.

    Of a file that belongs to a folder, ``params.py`` or an array, the folder is copied.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    IncompleteExportError
        If the folder has no manifest, or not all that its manifest lists.
    """
    check_progress(progress)
    text, inside = os.fspath(url), ""
    last = PurePosixPath(text).name
    if any(fnmatch.fnmatchcase(last, pattern) for pattern in _IN_FOLDER):
        text, inside = text[: -len(last)], last
    store = store_at(name, text, storage_options)
    with _local_folder(store.url) as folder:
        copy = folder / _file_name(store.url)
        with _naming(store.url, copy):
            if text.endswith("/") or not _copied_file(store, copy, progress):
                copy.mkdir()
                _copy_folder(store, copy, progress)
            yield copy / inside


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
    marks: set[str | None] = {None}
    own_mark = store.download(copy / MANIFEST, MANIFEST)
    in_manifest = _in_manifest(copy)
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
    if own_mark is not None and not marks <= {own_mark, None}:
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
        replaced = replaced_entries(entries, new_entries, matching, in_manifest)
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


def _in_remote_manifest(store: Store, folder: Path) -> set[str]:
    with _naming(store.url, folder):
        store.download(folder / MANIFEST, MANIFEST)
        return set(_in_manifest(folder))


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
