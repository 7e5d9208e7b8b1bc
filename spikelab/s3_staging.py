"""Exports to S3 and copies of what is there, through a temporary local folder."""

import contextlib
import errno
import fnmatch
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from spikelab import checks
from spikelab.errors import (
    FormatError,
    IncompleteExportError,
    SpikelabError,
    naming,
)
from spikelab.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_marker,
)
from spikelab.s3 import Store

STAGED_SUFFIX = ".spikelab-tmp"


@contextlib.contextmanager
def staged_file(
    url: str, storage_options: Mapping[str, Any] | None, *, progress: bool
) -> Iterator[Path]:
    """Yield a local path to write to; upload it to `url` if the block succeeds.

    Raises
    ------
    ValueError
        If the URL does not name an object.
    S3Error
        If the bucket cannot be reached, before the block, or the upload fails.
    """
    store = Store.at(url, storage_options, progress=progress)
    if not store.location.key or store.location.key.endswith("/"):
        raise ValueError(f"filepath must name an object in the bucket, got {url!r}")
    store.check_bucket()
    with _local_folder(url) as folder:
        staged = folder / _file_name(store)
        yield staged
        store.upload(staged)


@contextlib.contextmanager
def kept(
    url: str, new: Path, storage_options: Mapping[str, Any] | None
) -> Iterator[Callable[[], None]]:
    """Keep the object that is at `url`, and yield a function that puts it back.

    It does so only if the object is then the same as the file `new`: others may
    have written there too.

    Raises
    ------
    S3Error
        If the object cannot be read, or, by the function, not be put back.
    """
    store = Store.at(url, storage_options)
    with _local_folder(url) as folder:
        earlier, own = folder / "earlier", folder / "own"
        shutil.copyfile(new, own)
        if store.is_file():
            store.download(earlier)

        def put_back() -> None:
            if not store.holds(own):
                return
            if earlier.exists():
                store.upload(earlier)
            else:
                store.remove()

        yield put_back


@contextlib.contextmanager
def staged_folder(
    url: str,
    storage_options: Mapping[str, Any] | None,
    *,
    contradicting: Sequence[str],
    progress: bool,
) -> Iterator[Path]:
    """Yield a local folder to fill; upload what it holds if the block succeeds.

    The manifest goes up last; one that is marked as incomplete goes up first. What
    an earlier one lists and is not replaced is removed.
    """
    store = Store.at(url, storage_options, progress=progress)
    store.check_bucket()
    with _local_folder(url) as folder:
        staged = folder / "staged"
        staged.mkdir()
        yield staged
        _upload(store, staged, contradicting)


@contextlib.contextmanager
def local_copy(
    url: str, storage_options: Mapping[str, Any] | None, *, progress: bool
) -> Iterator[Path]:
    """Yield a temporary local copy of an object, or of an exported folder.

    Raises
    ------
    FileNotFoundError
        If there is neither.
    IncompleteExportError
        If the folder has no manifest, or not all that its manifest lists.
    """
    store = Store.at(url, storage_options, progress=progress)
    with _local_folder(url) as folder:
        copy = folder / _file_name(store)
        if store.is_file():
            store.download(copy)
        else:
            copy.mkdir()
        with _naming(url, copy):
            if copy.is_dir():
                _download(store, copy)
            yield copy


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
            naming(temporary, STAGED_SUFFIX),
            tempfile.TemporaryDirectory(
                prefix="spikelab-", suffix=STAGED_SUFFIX
            ) as name,
        ):
            yield Path(name)
    except OSError as error:
        if error.filename == temporary:
            error.filename2 = url
        raise


def _file_name(store: Store) -> str:
    """Return a file name that ends as the key does, for formats to recognise."""
    suffix = PurePosixPath(store.location.key).suffix
    return "object" + (suffix if len(suffix) < 20 else "")


def _upload(store: Store, staged: Path, contradicting: Sequence[str]) -> None:
    files = [path for path in sorted(staged.rglob("*")) if path.is_file()]
    new = {path.relative_to(staged).as_posix(): path for path in files}
    there = set(store.entries())
    listed = _listed_remotely(store)
    replaced = _replaced(store, there, set(new), contradicting, listed)
    marker = staged.with_name("marker")
    write_marker(marker, {*(listed or ()), *map(_entry, new)} - {MANIFEST})
    store.upload(marker, store.location.inside(MANIFEST))
    # Two exports at once may leave files of both: their marks tell.
    mark = secrets.token_hex(8)
    for name in sorted(new.keys() - {MANIFEST}):
        store.upload(new[name], store.location.inside(name), mark=mark)
    for name in sorted(there):
        if _entry(name) in replaced and name not in new:
            store.remove(store.location.inside(name))
    store.upload(new[MANIFEST], store.location.inside(MANIFEST), mark=mark)


def _replaced(
    store: Store,
    there: set[str],
    new: set[str],
    contradicting: Sequence[str],
    listed: set[str] | None,
) -> set[str]:
    """Return the entries of the folder that an export replaces or removes."""
    entries = set(map(_entry, there))
    rivals = {e for e in entries for p in contradicting if fnmatch.fnmatchcase(e, p)}
    try:
        return replaced_entries(entries, set(map(_entry, new)), rivals, listed)
    except ValueError as error:
        raise FileExistsError(errno.EEXIST, str(error), store.location.url) from None


def _entry(name: str) -> str:
    """Return the file or folder at the top that an object belongs to."""
    return name.split("/")[0]


def _listed_remotely(store: Store) -> set[str] | None:
    """Return what the manifest that is there lists, None if there is none."""
    url = store.location.url
    with _local_folder(url) as folder, _naming(url, folder):
        try:
            store.download(folder / MANIFEST, store.location.inside(MANIFEST))
        except FileNotFoundError:
            return None
        return set(_files_of(folder))


def _download(store: Store, copy: Path) -> None:
    """Copy the manifest of a folder, what it lists, and tables added since."""
    names = store.entries()
    if not names:
        raise FileNotFoundError(
            errno.ENOENT, "no such object or folder", store.location.url
        )
    if MANIFEST not in names:
        raise IncompleteExportError(
            f"{copy} is incomplete: it has no {MANIFEST}, which an export uploads "
            "last; a folder of another program must be downloaded to be loaded"
        )
    mark = store.download(copy / MANIFEST, store.location.inside(MANIFEST))
    listed, marks = _files_of(copy), {mark, None}
    for name in names:
        if _entry(name) in listed or name.endswith(".tsv"):
            target = _inside(copy, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            marks.add(store.download(target, store.location.inside(name)))
    if store.entries() != names:
        raise IncompleteExportError(
            f"{copy} was exported again while it was read; load it again"
        )
    read_manifest(copy)
    # What another program has changed since has no mark.
    if mark is not None and marks != {mark, None}:
        raise IncompleteExportError(
            f"{copy} holds files of two exports at once; export again"
        )


def _files_of(folder: Path) -> list[str]:
    """Return what the manifest of a folder, which was just downloaded, lists."""
    manifest = load_manifest(folder)
    if manifest is None:
        raise FormatError(f"{folder} has no {MANIFEST}")
    return list(manifest["files"])


def _inside(folder: Path, name: str) -> Path:
    """Return where the object `name` goes, or raise if that is not in the folder."""
    try:
        parts = [checks.file_name("key", part) for part in name.split("/")]
    except ValueError as error:
        raise FormatError(
            f"{folder} holds an object that is no file: {error}"
        ) from None
    return folder.joinpath(*parts)
