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

from spikelab import validate
from spikelab.errors import FormatError, IncompleteExportError, SpikelabError
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

_HDF5 = b"\x89HDF\r\n\x1a\n"

_AT_ONCE = 8
"""How many small files are transferred at a time."""


@attrs.frozen
class RemoteFolder:
    """A folder in a store, as it was when it was looked at.

    Parameters
    ----------
    store : Store
        Where it is.
    entries : dict
        Size and tag of each file below it, by name.
    in_manifest : set of str or None
        What its manifest lists; None if it has none.
    mark : str or None
        The mark of its manifest, if the store keeps marks: that of the export, and a
        digest of the tags of all files.
    """

    store: Store
    entries: dict[str, Entry]
    in_manifest: set[str] | None = None
    mark: str | None = None

    @classmethod
    def of(cls, store: Store, entries: dict[str, Entry], copy: Path) -> Self:
        """Return the folder, after a download of its manifest to the folder `copy`."""
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

    def replace(
        self, staged: Path, conflicting: Sequence[str], overwrite: bool, progress: bool
    ) -> None:
        """Upload the files of a local folder, the manifest last.

        Over an earlier export, a manifest that is marked as incomplete goes up first.
        """
        files = [path for path in sorted(staged.rglob("*")) if path.is_file()]
        new = {path.relative_to(staged).as_posix(): path for path in files}
        replaced = replaced_entries(
            self.store.url,
            map(_top_of, self.entries),
            map(_top_of, new),
            self.in_manifest,
            conflicting,
            overwrite,
        )
        removed = {n for n in self.entries if _top_of(n) in replaced} - new.keys()
        sizes = {name: path.stat().st_size for name, path in new.items()}
        # Two exports at once may leave files of both: their marks show it.
        mark, manifest = secrets.token_hex(8), new.pop(MANIFEST)
        tags = {name: entry.tag for name, entry in self.entries.items()}
        with progress_bar(
            progress, "upload", self.store.url, sum(sizes.values())
        ) as moved:
            if self.in_manifest is not None:
                incomplete = staged.parent / MANIFEST
                write_incomplete(incomplete, self.in_manifest | set(map(_top_of, new)))
                self.store.inside(MANIFEST).upload(incomplete)

            def upload(name: str) -> None:
                target = self.store.inside(name)
                tags[name] = target.upload(new[name], mark=mark, moved=moved)

            _side_by_side({name: sizes[name] for name in new}, upload)
            for name in removed:
                self.store.inside(name).remove()
                del tags[name]
            final = f"{mark}-{_digest(tags)}"
            self.store.inside(MANIFEST).upload(manifest, mark=final, moved=moved)


Existing = Path | RemoteFile | RemoteFolder
"""What may be at the target of an export: of remote files, HDF5 files only."""


Lost = Callable[[Existing], Iterable[str]]
"""Returns the names of what an export would destroy."""


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
            store.upload(staged, moved=moved)


@contextlib.contextmanager
def uploaded_folder(
    store: Store,
    lost: Lost | None,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> Iterator[Path]:
    """Yield a local folder to fill; upload what it holds if the block succeeds."""
    with _temporary(store.url) as staged:
        staged.mkdir()
        existing = RemoteFolder.of(store, store.entries(), staged.parent)
        refuse_loss(store.url, lost(existing) if lost else ())
        yield staged
        existing.replace(staged, conflicting, overwrite, progress)


@contextlib.contextmanager
def readable(
    store: Store, progress: bool, *, whole: bool = False
) -> Iterator[Path | RemoteFile]:
    """Yield a temporary local copy of a remote file, or of an exported folder.

    Of an HDF5 file it is a file object that fetches blocks, unless `whole` is set.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    IncompleteExportError
        If the folder has no manifest, or not all that its manifest lists.
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
                store.download(copy, moved=moved)
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
    if MANIFEST not in entries:
        raise IncompleteExportError(
            f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
            "last; a folder of another program must be downloaded to be loaded"
        )
    try:
        folder = RemoteFolder.of(store, entries, copy)
        names = [
            name
            for name in entries
            if name != MANIFEST
            and (_top_of(name) in (folder.in_manifest or ()) or name.endswith(".tsv"))
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
    marks: set[str | None] = set()
    paths = {name: _inside(copy, name) for name in names}
    tags = {name: folder.entries[name].tag for name in names}
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    # Files with one tag hold the same bytes, as two arrays of a Phy folder do.
    first = {tag: name for name, tag in tags.items()}
    origins = {n: first[tags[n]] if folder.is_untouched else n for n in names}
    sizes = {name: folder.entries[name].size for name in origins.values()}
    total = sum(sizes.values())
    with progress_bar(progress, "download", folder.store.url, total) as moved:

        def download(name: str) -> None:
            file = folder.store.inside(name)
            marks.add(file.download(paths[name], tag=tags[name], moved=moved))

        _side_by_side(sizes, download)
    for name, origin in origins.items():
        if origin != name:
            shutil.copyfile(paths[origin], paths[name])
    return marks


def _file_object(store: Store, beginning: bytes, entry: Entry) -> RemoteFile:
    fetch = functools.partial(store.read, tag=entry.tag)
    return RemoteFile(store.url, entry.size, fetch, beginning)


def _inside(folder: Path, name: str) -> Path:
    """Return where the file `name` goes, or raise if that is not in the folder."""
    try:
        parts = [validate.file_name("key", part) for part in name.split("/")]
    except ValueError as error:
        raise FormatError(
            f"{folder} holds an object that is no file: {error}"
        ) from None
    return folder.joinpath(*parts)


def _top_of(name: str) -> str:
    """Return the file or folder at the top that a file belongs to."""
    return name.split("/")[0]


def _digest(tags: Mapping[str, Any]) -> str:
    """Return a digest of the tags of all files of a folder but its manifest."""
    known = sorted((n, str(tag)) for n, tag in tags.items() if n != MANIFEST)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


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
    root = tempfile.gettempdir()
    try:
        with (
            naming(root),
            tempfile.TemporaryDirectory(
                prefix="spikelab-", suffix=STAGED_SUFFIX, ignore_cleanup_errors=True
            ) as folder,
        ):
            copy = Path(folder, f"object{suffix}")
            try:
                yield copy
            except (SpikelabError, LookupError) as error:
                for name in (str(copy), folder):
                    error.args = tuple(
                        part.replace(name, url.rstrip("/"))
                        if isinstance(part, str)
                        else part
                        for part in error.args
                    )
                raise
    except OSError as error:
        if error.filename == root:
            error.filename2 = url
        raise
