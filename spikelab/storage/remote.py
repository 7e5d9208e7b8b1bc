"""Files and folders of remote stores: replaced as a whole, read by blocks or copied."""

import contextlib
import errno
import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from spikelab.errors import IncompleteExportError, SpikelabError
from spikelab.storage.local import STAGED_SUFFIX, naming, refuse_loss
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_incomplete,
)
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.store import LARGE, Entry, ForbiddenError, Store, progress_bar

_FIRST = 2**20
"""Bytes that are read to see what a file is."""

_HDF5 = b"\x89HDF\r\n\x1a\n"

_AT_ONCE = 8
"""How many small files are transferred at a time."""


@attrs.frozen
class RemoteFolder:
    """A folder in a store: its files by name, and what its manifest lists, if any."""

    store: Store
    entries: dict[str, Entry]
    in_manifest: set[str] | None = None


Existing = Path | RemoteFile | RemoteFolder
"""What may be at the target of an export: of remote files, HDF5 files only."""

Lost = Callable[[Any], Iterable[str]]
"""Returns the names of what an export would destroy of an `Existing`."""


@contextlib.contextmanager
def uploaded_file(store: Store, lost: Lost | None, progress: bool) -> Iterator[Path]:
    """Yield a local path to write to; upload the file if the block succeeds."""
    with _temporary(store.url) as staged:
        if lost is not None:
            # Who may write and not read cannot be told what is there.
            with contextlib.suppress(FileNotFoundError, ForbiddenError):
                beginning, entry = store.beginning(_FIRST)
                if beginning.startswith(_HDF5):
                    with _file_object(store, beginning, entry) as file:
                        refuse_loss(store.url, lost(file))
        yield staged
        size = staged.stat().st_size
        with progress_bar(progress, "upload", store.url, size) as moved:
            store.upload(staged, moved)


@contextlib.contextmanager
def uploaded_folder(
    store: Store,
    lost: Lost | None,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> Iterator[Path]:
    """Yield a local folder to fill; upload its files, the manifest last.

    Over an earlier export, a manifest that is marked as incomplete goes up first.
    """
    with _temporary(store.url) as staged:
        staged.mkdir()
        entries = store.entries()
        in_manifest = _in_manifest(store, entries, staged.parent)
        if lost is not None:
            refuse_loss(store.url, lost(RemoteFolder(store, entries, in_manifest)))
        yield staged
        files = [path for path in sorted(staged.rglob("*")) if path.is_file()]
        new = {path.relative_to(staged).as_posix(): path for path in files}
        old = replaced_entries(
            store.url,
            set(map(_top_of, entries)),
            set(map(_top_of, new)),
            in_manifest,
            conflicting,
            overwrite,
        )
        sizes = {name: path.stat().st_size for name, path in new.items()}
        n_bytes, manifest = sum(sizes.values()), store.inside(MANIFEST)
        with progress_bar(progress, "upload", store.url, n_bytes) as moved:
            if in_manifest is not None:
                incomplete = staged.parent / MANIFEST
                write_incomplete(incomplete, in_manifest | set(map(_top_of, new)))
                manifest.upload(incomplete)
            del sizes[MANIFEST]
            _side_by_side(sizes, lambda n: store.inside(n).upload(new[n], moved))
            for name in entries.keys() - new.keys():
                if _top_of(name) in old:
                    store.inside(name).remove()
            manifest.upload(new[MANIFEST], moved)


@contextlib.contextmanager
def readable(
    store: Store, progress: bool, *, whole: bool = False
) -> Iterator[Path | RemoteFile]:
    """Yield a temporary local copy of a remote file, or of an exported folder.

    Of an HDF5 file it is a file object that fetches blocks, unless `whole` is set.
    """
    with _temporary(store.url) as copy:
        found = _found(store)
        if isinstance(found, dict):
            _copy_folder(store, found, copy, progress)
            yield copy
            return
        beginning, entry = found
        if beginning.startswith(_HDF5) and not whole:
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
    """Return the files of a folder, or the beginning of a file, likelier one first."""
    # A file of the web may end as a folder does, whose page is no HDF5 file.
    may_be_file = store.is_web or not store.url.endswith("/")
    is_likely_folder = not store.is_web and not PurePosixPath(store.url).suffix
    entries: dict[str, Entry] = {}
    if is_likely_folder or not may_be_file:
        # A store may let its objects be read, and not be listed.
        with contextlib.suppress(*[ForbiddenError] * may_be_file):
            entries = store.entries()
    if may_be_file and not entries:
        with contextlib.suppress(FileNotFoundError):
            found = store.beginning(_FIRST)
            if not store.url.endswith("/") or found[0].startswith(_HDF5):
                return found
        if not is_likely_folder:
            entries = store.entries()
    if not entries:
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", store.url)
    return entries


def _copy_folder(
    store: Store, entries: dict[str, Entry], copy: Path, progress: bool
) -> None:
    """Copy the manifest of a folder, what it lists, and tables added since."""
    copy.mkdir()
    try:
        listed = _in_manifest(store, entries, copy)
        if listed is None:
            raise IncompleteExportError(
                f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
                "last; a folder of another program must be downloaded to be loaded"
            )
        sizes = {
            name: entry.size
            for name, entry in entries.items()
            if (_top_of(name) in listed or name.endswith(".tsv"))
            and ".." not in name.split("/")
        }
        n_bytes = sum(sizes.values())
        with progress_bar(progress, "download", store.url, n_bytes) as moved:

            def download(name: str) -> None:
                path = copy.joinpath(*name.split("/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                store.inside(name).download(path, moved)

            _side_by_side(sizes, download)
        if store.entries() != entries:
            raise FileNotFoundError
    except FileNotFoundError:
        raise IncompleteExportError(
            f"{copy} was exported again while it was read; load it again"
        ) from None
    read_manifest(copy)


def _in_manifest(
    store: Store, entries: Mapping[str, Entry], copy: Path
) -> set[str] | None:
    """Return what the manifest of a folder lists, and leave it in the folder `copy`."""
    if MANIFEST not in entries:
        return None
    store.inside(MANIFEST).download(copy / MANIFEST)
    return set((load_manifest(copy) or {"files": []})["files"])


def _file_object(store: Store, beginning: bytes, entry: Entry) -> RemoteFile:
    fetch = functools.partial(store.read, tag=entry.tag)
    return RemoteFile(store.url, entry.size, fetch, beginning)


def _top_of(name: str) -> str:
    """Return the file or folder at the top that a file belongs to."""
    return name.split("/")[0]


def _side_by_side(sizes: Mapping[str, int], transfer: Callable[[str], None]) -> None:
    """Transfer files by name: small ones several at a time, large ones one by one."""
    small = [name for name, size in sizes.items() if size <= LARGE]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        list(pool.map(transfer, small))
    finally:
        pool.shutdown(cancel_futures=True)
    for name in sizes.keys() - set(small):
        transfer(name)


@contextlib.contextmanager
def _temporary(url: str) -> Iterator[Path]:
    """Yield a free name in a temporary folder, with the suffix of a URL.

    Errors of the block name the URL instead of the copy, which the user does not know;
    those of the disk name the folder of temporary files, too.
    """
    suffix = PurePosixPath(url.partition("?")[0]).suffix[:20]
    root, place, about = tempfile.gettempdir(), url.rstrip("/"), "spikelab-"
    try:
        with (
            naming(root),
            tempfile.TemporaryDirectory(STAGED_SUFFIX, about, root, True) as folder,
        ):
            copy = Path(folder, f"object{suffix}")
            yield copy
    except (SpikelabError, LookupError) as error:
        error.args = tuple(
            part.replace(str(copy), place).replace(folder, place)
            if isinstance(part, str)
            else part
            for part in error.args
        )
        raise
    except OSError as error:
        if error.filename == root:
            error.filename2 = url
        raise
