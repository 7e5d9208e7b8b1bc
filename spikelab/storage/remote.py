"""Files and folders of remote stores: replaced as a whole, read by blocks or copied."""

import contextlib
import errno
import functools
import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Self

import attrs

from spikelab.errors import IncompleteExportError, SpikelabError
from spikelab.registry import HDF5_SIGNATURE
from spikelab.storage.local import STAGED_SUFFIX, naming, refuse_loss
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_incomplete,
)
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.store import (
    LARGE,
    Entry,
    ForbiddenError,
    ReplacedError,
    Store,
    progress_bar,
)

_FIRST = 2**20
"""Bytes that are read to see what a file is."""

_AT_ONCE = 8
"""How many small files are transferred at a time."""


@attrs.frozen
class RemoteFolder:
    """A folder in a store, as it was when it was looked at."""

    store: Store
    entries: dict[str, Entry]  # its files by name
    in_manifest: set[str] | None = None  # what its manifest lists, if it has one
    mark: str | None = None  # of its manifest: that of all files, and their digest

    @classmethod
    def of(cls, store: Store, entries: dict[str, Entry], copy: Path) -> Self:
        """Return a folder, after a download of its manifest to the folder `copy`."""
        if MANIFEST not in entries:
            return cls(store, entries)
        tag = entries[MANIFEST].tag
        mark = store.inside(MANIFEST).download(copy / MANIFEST, tag=tag)
        manifest = load_manifest(copy) or {"files": []}
        return cls(store, entries, set(manifest["files"]), mark)

    @property
    def is_untouched(self) -> bool:
        """Whether the folder is known to be as its export left it."""
        tags = {name: entry.tag for name, entry in self.entries.items()}
        return self.mark is not None and self.mark.partition("-")[2] == _digest(tags)


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
                beginning, entry = store.beginning(_FIRST, "write")
                if beginning.startswith(HDF5_SIGNATURE):
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
        existing = RemoteFolder.of(store, entries, staged.parent)
        if lost is not None:
            refuse_loss(store.url, lost(existing))
        yield staged
        in_manifest = existing.in_manifest
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
        # Two exports at once may leave files of both: their marks show it.
        mark, tags = secrets.token_hex(8), {n: e.tag for n, e in entries.items()}
        with progress_bar(progress, "upload", store.url, n_bytes) as moved:
            if in_manifest is not None:
                incomplete = staged.parent / MANIFEST
                write_incomplete(incomplete, in_manifest | set(map(_top_of, new)))
                manifest.upload(incomplete)

            def upload(name: str) -> None:
                tags[name] = store.inside(name).upload(new[name], moved, mark)

            del sizes[MANIFEST]
            _side_by_side(sizes, upload)
            for name in entries.keys() - new.keys():
                if _top_of(name) in old:
                    store.inside(name).remove()
                    del tags[name]
            manifest.upload(new[MANIFEST], moved, f"{mark}-{_digest(tags)}")


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
            if not store.url.endswith("/") or found[0].startswith(HDF5_SIGNATURE):
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
        folder = RemoteFolder.of(store, entries, copy)
        if (listed := folder.in_manifest) is None:
            raise IncompleteExportError(
                f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
                "last; a folder of another program must be downloaded to be loaded"
            )
        names = [
            name
            for name in entries
            if (_top_of(name) in listed or name.endswith(".tsv"))
            and name != MANIFEST
            and ".." not in name.split("/")
        ]
        marks = _download(folder, names, copy, progress)
        # The others were read only if they were those that are listed.
        is_large = any(entries[name].size > LARGE for name in names)
        if is_large and store.entries() != entries:
            raise FileNotFoundError
    except (FileNotFoundError, ReplacedError):
        raise IncompleteExportError(
            f"{copy} was exported again while it was read; load it again"
        ) from None
    read_manifest(copy)
    # What another program has changed since has no mark.
    if folder.mark and marks - {folder.mark.partition("-")[0], None}:
        raise IncompleteExportError(
            f"{copy} holds files of two exports at once; export again"
        )


def _download(
    folder: RemoteFolder, names: list[str], copy: Path, progress: bool
) -> set[str | None]:
    """Download files of a folder, and return their marks."""
    entries, marks = folder.entries, set()
    paths = {name: copy.joinpath(*name.split("/")) for name in names}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    # Files with one tag hold the same bytes, as two arrays of a Phy folder do.
    first = {entries[name].tag: name for name in names}
    is_sure = folder.is_untouched
    origins = {n: first[entries[n].tag] if is_sure else n for n in names}
    sizes = {name: entries[name].size for name in origins.values()}
    total = sum(sizes.values())
    with progress_bar(progress, "download", folder.store.url, total) as moved:

        def download(name: str) -> None:
            file, tag = folder.store.inside(name), entries[name].tag
            marks.add(file.download(paths[name], moved, tag))

        _side_by_side(sizes, download)
    for name, origin in origins.items():
        if origin != name:
            shutil.copyfile(paths[origin], paths[name])
    return marks


def _file_object(store: Store, beginning: bytes, entry: Entry) -> RemoteFile:
    fetch = functools.partial(store.read, tag=entry.tag)
    return RemoteFile(store.url, entry.size, fetch, beginning)


def _digest(tags: Mapping[str, Any]) -> str:
    """Return a digest of the tags of all files of a folder but its manifest."""
    known = sorted((n, str(tag)) for n, tag in tags.items() if n != MANIFEST)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


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
