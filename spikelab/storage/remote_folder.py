"""Exported folders in remote stores.

An export uploads a folder in this order:

1. Over an earlier export, a manifest that says that the folder is incomplete.
2. The files, each with the *mark* of the export, a random text.
3. What only the earlier export had is removed.
4. The manifest, with the same mark and a *digest* of the tags of all other files.

The tag of a file (in S3 its ETag) is another one as soon as the file is replaced. A reader
lists the folder, downloads the manifest and the files that it names, and so notices

- an export that was interrupted: the manifest is missing, or says so;
- an export that was made while it read: a file has another tag than in the list;
- two exports that were made at once: the marks of the files differ;
- a folder that is as its export left it: the digest is that of the tags in the list.

Marks and digests are metadata of objects in S3. Other stores have none: there, two exports
at once go unnoticed, and any folder may have been changed since.
"""

import contextlib
import hashlib
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import attrs

from spikelab.errors import IncompleteExportError
from spikelab.storage.local import refuse_loss
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
    ReplacedError,
    Store,
    progress_bar,
    temporary,
)

_AT_ONCE = 8
"""How many small files are transferred at a time."""


@attrs.frozen
class RemoteFolder:
    """A folder in a store, as it was when it was listed."""

    store: Store
    entries: dict[str, Entry]
    """Its files by name."""

    in_manifest: set[str] | None = None
    """What its manifest lists; None if it has no manifest."""

    mark: str = ""
    digest: str = ""

    @classmethod
    def of(cls, store: Store, entries: dict[str, Entry], copy: Path) -> Self:
        """Return a folder, after a download of its manifest to the folder `copy`."""
        if MANIFEST not in entries:
            return cls(store, entries)
        place, tag = store.inside(MANIFEST), entries[MANIFEST].tag
        mark, _, digest = (place.download(copy / MANIFEST, tag=tag) or "").partition(
            "-"
        )
        manifest = load_manifest(copy) or {"files": ()}
        return cls(store, entries, set(manifest["files"]), mark, digest)

    @property
    def is_untouched(self) -> bool:
        """Whether the folder is known to be as its export left it."""
        return self.digest == _digest(self.tags)

    @property
    def tags(self) -> dict[str, str | None]:
        """The tags of its files by name."""
        return {name: entry.tag for name, entry in self.entries.items()}


Existing = Path | RemoteFile | RemoteFolder
"""What may be at the target of an export: of remote files, HDF5 files only."""

Lost = Callable[[Existing], Iterable[str]]
"""Returns the names of what an export would destroy."""


@contextlib.contextmanager
def uploaded_folder(
    store: Store,
    lost: Lost | None,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> Iterator[Path]:
    """Yield a local folder to fill; upload it if the block succeeds."""
    with temporary(store.url) as staged:
        staged.mkdir()
        existing = RemoteFolder.of(store, store.entries(), staged.parent)
        if lost is not None:
            refuse_loss(store.url, lost(existing))
        yield staged
        _upload(staged, existing, conflicting, overwrite, progress)


def _upload(
    staged: Path,
    existing: RemoteFolder,
    conflicting: Sequence[str],
    overwrite: bool,
    progress: bool,
) -> None:
    """Upload a staged folder; the steps are those at the top of this module."""
    store, in_manifest = existing.store, existing.in_manifest
    files = [path for path in staged.rglob("*") if path.is_file()]
    new = {path.relative_to(staged).as_posix(): path for path in files}
    new_entries = {_entry_of(name) for name in new}
    old_entries = {_entry_of(name) for name in existing.entries}
    replaced = replaced_entries(
        store.url, old_entries, new_entries, in_manifest, conflicting, overwrite
    )
    obsolete = [
        name
        for name in existing.entries
        if _entry_of(name) in replaced and name not in new
    ]
    manifest, mark, tags = store.inside(MANIFEST), secrets.token_hex(8), existing.tags
    sizes = {name: path.stat().st_size for name, path in new.items()}
    with progress_bar(progress, "upload", store.url, sum(sizes.values())) as moved:
        if in_manifest is not None:
            incomplete = staged.parent / MANIFEST
            write_incomplete(incomplete, in_manifest | new_entries)
            manifest.upload(incomplete)

        def upload(name: str) -> None:
            tags[name] = store.inside(name).upload(new[name], moved, mark)

        del sizes[MANIFEST]
        _transfer_all(sizes, upload)
        for name in obsolete:
            store.inside(name).remove()
            del tags[name]
        manifest.upload(new[MANIFEST], moved, f"{mark}-{_digest(tags)}")


def copy_folder(
    store: Store, entries: dict[str, Entry], copy: Path, progress: bool
) -> None:
    """Copy the manifest of a folder, what it lists, and tables added since."""
    copy.mkdir()
    try:
        folder = RemoteFolder.of(store, entries, copy)
        if folder.in_manifest is None:
            raise IncompleteExportError(
                f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
                "last; a folder of another program must be downloaded to be loaded"
            )
        names = [
            name
            for name in entries
            if (_entry_of(name) in folder.in_manifest or name.endswith(".tsv"))
            and name != MANIFEST
            and ".." not in name.split("/")
        ]
        marks = _download(folder, names, copy, progress)
        # S3 compares the tags of all but large files when they are downloaded.
        is_compared = folder.mark and all(entries[n].size <= LARGE for n in names)
        is_replaced = not is_compared and store.entries() != entries
    except (FileNotFoundError, ReplacedError):
        is_replaced = True
    if is_replaced:
        raise IncompleteExportError(
            f"{copy} was exported again while it was read; load it again"
        )
    read_manifest(copy)
    # What another program has changed since has no mark.
    if folder.mark and marks - {folder.mark, None}:
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
    copied = {}  # equal to another file, as two of the arrays for Phy are
    if folder.is_untouched:
        with_tag = {entries[name].tag: name for name in names}
        for name in names:
            origin = with_tag[entries[name].tag]
            if origin != name:
                copied[name] = origin
    sizes = {name: entries[name].size for name in names if name not in copied}
    total = sum(sizes.values())
    with progress_bar(progress, "download", folder.store.url, total) as moved:

        def download(name: str) -> None:
            file, tag = folder.store.inside(name), entries[name].tag
            marks.add(file.download(paths[name], moved, tag))

        _transfer_all(sizes, download)
    for name, origin in copied.items():
        shutil.copyfile(paths[origin], paths[name])
    return marks


def _transfer_all(sizes: Mapping[str, int], transfer: Callable[[str], None]) -> None:
    """Transfer files by name: small ones several at a time, large ones one by one."""
    small = [name for name, size in sizes.items() if size <= LARGE]
    large = [name for name, size in sizes.items() if size > LARGE]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(transfer, small))  # an error cancels those that have not begun
    for name in large:
        transfer(name)


def _digest(tags: Mapping[str, str | None]) -> str:
    """Return a digest of the tags of all files of a folder but its manifest."""
    known = sorted((n, str(tag)) for n, tag in tags.items() if n != MANIFEST)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]


def _entry_of(name: str) -> str:
    """Return the entry of the folder, a file or a folder, that a file belongs to."""
    return name.split("/")[0]
