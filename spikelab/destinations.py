"""Where exports go: bytes are staged beside their target and published whole.

A staged file or folder is named ``.<name>.<random>.spikelab-tmp``. If a
process is killed it stays behind under that name; no reader takes it for
data, and no later export meets it.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spikelab import checks, s3_staging
from spikelab.errors import IncompleteExportError, naming
from spikelab.manifest import (
    MANIFEST,
    load_manifest,
    read_manifest,
    replaced_entries,
    write_manifest,
    write_marker,
)
from spikelab.s3_staging import STAGED_SUFFIX
from spikelab.s3_urls import is_s3_url, refuse_other_urls

__all__ = [
    "MANIFEST",
    "STAGED_SUFFIX",
    "identity",
    "local_copy",
    "read_manifest",
    "resolved",
    "staged_file",
    "staged_folder",
    "staged_pair",
    "write_manifest",
]

try:
    import fcntl
except ImportError:  # not on Windows: there, two exports at once are not kept apart
    fcntl = None  # type: ignore[assignment] # a module


@contextlib.contextmanager
def staged_file(
    target: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a path to write to; publish it as `target` if the block succeeds.

    Parent folders are made. A symbolic link is followed to the file it names,
    and a replaced file's permissions are kept. If the block raises, or the
    rename fails, the target keeps its bytes and nothing stays behind.

    Raises
    ------
    IsADirectoryError, NotADirectoryError, PermissionError
        If `target` is a folder, lies below a file, or may not be written.
    """
    if is_s3_url(target):
        url = os.fspath(target)
        with s3_staging.staged_file(url, storage_options, progress=progress) as staged:
            yield staged
        return
    path = resolved("filepath", target)
    if path.is_dir() or os.fspath(target).endswith(("/", os.sep)):
        raise IsADirectoryError(
            errno.EISDIR, "filepath must name a file, got a folder", str(target)
        )
    if path.exists() and not path.is_file():
        raise OSError(
            errno.EINVAL,
            "filepath must name a regular file, got a device or pipe",
            str(target),
        )
    _check_writable(path, target)
    with naming(target, STAGED_SUFFIX), _new_folders(path.parent):
        staged = _staging_path(path)
        try:
            # Claims the name, and tells early whether the folder may be written.
            staged.touch(exist_ok=False)
            yield staged
            _flush(staged)
            _keep_permissions(path, staged)
            os.replace(staged, path)
        finally:
            staged.unlink(missing_ok=True)
    _flush(path.parent)


@contextlib.contextmanager
def staged_pair(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
) -> Iterator[tuple[Path, Path]]:
    """Yield two paths to write to; publish them together if the block succeeds.

    Each is published as by :func:`staged_file`, `second` before `first`. If
    `first` then fails, what was at `second` is put back. Exports of pairs whose
    second files lie in one folder wait for one another.
    """
    with (
        _folders_of(second),
        contextlib.ExitStack() as published,
        staged_file(first, storage_options, progress=progress) as staged,
    ):
        with staged_file(second, storage_options, progress=progress) as other:
            yield staged, other
            put_back = published.enter_context(_kept(second, other, storage_options))
        published.enter_context(_undone_on_error(put_back))


def _folders_of(
    target: str | os.PathLike[str],
) -> contextlib.AbstractContextManager[None]:
    """Make the folders of a local target, and remove them again if the block fails."""
    if is_s3_url(target):
        return contextlib.nullcontext()
    return _new_folders(resolved("filepath", target).parent)


@contextlib.contextmanager
def _undone_on_error(undo: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        undo()
        raise


@contextlib.contextmanager
def _kept(
    target: str | os.PathLike[str],
    new: Path,
    storage_options: Mapping[str, Any] | None,
) -> Iterator[Callable[[], None]]:
    """Keep what is at `target` for the block, and yield a function that puts it back.

    It is put back if `new`, which the block publishes there, is still there.
    """
    if is_s3_url(target):
        with s3_staging.kept(os.fspath(target), new, storage_options) as kept:
            yield kept
        return
    path = resolved("filepath", target)
    earlier = _staging_path(path)

    def put_back() -> None:
        if earlier.exists():
            os.replace(earlier, path)
        else:
            path.unlink(missing_ok=True)

    with _locked(path.parent), naming(target, STAGED_SUFFIX):
        try:
            if path.is_file():
                _link_or_copy(path, earlier)
            yield put_back
        finally:
            earlier.unlink(missing_ok=True)


def _link_or_copy(path: Path, other: Path) -> None:
    """Keep the content of a file under another name, at no cost where that is possible."""
    try:
        os.link(path, other)
    except OSError:
        try:
            shutil.copy2(path, other)
        except BaseException:
            other.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def staged_folder(
    target: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    contradicting: Sequence[str] = (),
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a folder to fill; publish what it holds as `target` on success.

    The block ends by calling :func:`write_manifest`. A new folder appears
    with a single rename. In a folder that exists, the entries that its
    manifest lists are replaced, the manifest is marked as incomplete before
    the first change and replaced after the last, and if a rename fails
    the old entries are put back. Files that no manifest lists stay.

    Parameters
    ----------
    target : path
        The folder.
    contradicting : sequence of str
        Glob patterns of files that programs of this format would read
        together with the exported ones. Those in a folder that spikelab
        exported go with the earlier export; those of another program are
        never removed.

    Raises
    ------
    FileExistsError
        If the folder holds contradicting files of another program.
    NotADirectoryError, PermissionError
        If `target` is a file, lies below a file, or may not be written.
    """
    if is_s3_url(target):
        with s3_staging.staged_folder(
            os.fspath(target),
            storage_options,
            contradicting=contradicting,
            progress=progress,
        ) as staged:
            yield staged
        return
    path = resolved("folder", target)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, "folder must name a folder, got a file", str(target)
        )
    with naming(target, STAGED_SUFFIX), _new_folders(path.parent):
        staged = _staging_path(path)
        try:
            staged.mkdir()
            yield staged
            for entry in staged.rglob("*"):
                _flush(entry)
            _flush(staged)
            if not _renamed(staged, path):
                with _locked(path):
                    _replace_entries(staged, path, contradicting)
        finally:
            _remove(staged)
    _flush(path.parent)


@contextlib.contextmanager
def local_copy(
    source: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
    *,
    name: str = "filepath",
    progress: bool = False,
) -> Iterator[Path]:
    """Yield a local path from which `source`, called `name` in errors, can be read.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    """
    if is_s3_url(source):
        url = os.fspath(source)
        with s3_staging.local_copy(url, storage_options, progress=progress) as path:
            yield path
        return
    path = resolved(name, source)
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", str(source))
    if not path.is_dir():
        checks.regular_file(path)
        yield path
        return
    with _locked(path, shared=True):
        before = identity(path / MANIFEST)
        yield path
        # Where there are no locks.
        if identity(path / MANIFEST) != before:
            raise IncompleteExportError(
                f"{source} was exported again while it was read; load it again"
            )


def identity(file: Path) -> tuple[int, ...]:
    """Return what changes when a file is replaced; nothing if there is none."""
    if not file.exists():
        return ()
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def resolved(name: str, target: str | os.PathLike[str]) -> Path:
    """Return the file that `target` (called `name` in errors) finally names.

    Symbolic links are followed, so that an export through a link replaces
    what it points to and not the link.
    """
    if not isinstance(target, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {target!r}")
    text = os.fspath(target)
    if not text or "\0" in text:
        raise ValueError(f"{name} must not be empty nor hold NUL, got {text!r}")
    refuse_other_urls(name, target)
    path = Path(os.path.realpath(text))
    if path.is_symlink():
        raise OSError(errno.ELOOP, f"{name} must not be a link to itself", text)
    return path


def _staging_path(path: Path) -> Path:
    """Return a free name beside a file, inside of a folder that is there.

    The parent of such a folder may be read-only, or on another disk.
    """
    # A name may be as long as the file system allows, so not all of it fits.
    name = f".{path.name[:40]}.{secrets.token_hex(6)}{STAGED_SUFFIX}"
    return path / name if path.is_dir() else path.with_name(name)


def _renamed(staged: Path, path: Path) -> bool:
    """Rename a folder to a name that is free; tell whether it was."""
    if path.exists():
        return False
    try:
        os.replace(staged, path)
    except OSError as error:
        # Another export may have taken the name in the meantime.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and path.is_dir():
            return False
        raise
    return True


def _replace_entries(staged: Path, path: Path, contradicting: Sequence[str]) -> None:
    """Exchange the entries of the earlier export in `path` for the staged ones."""
    manifest = load_manifest(path)
    listed = set(manifest["files"]) if manifest else None
    there = {entry.name for entry in path.iterdir()}
    rivals = {e.name for pattern in contradicting for e in path.glob(pattern)}
    new = {entry.name for entry in staged.iterdir()}
    try:
        old = sorted(replaced_entries(there, new, rivals, listed))
    except ValueError as error:
        raise FileExistsError(errno.EEXIST, str(error), str(path)) from None
    for name in (*old, MANIFEST):
        for entry in (path / name, *(path / name).rglob("*")):
            _check_writable(entry, entry)
    for entry in staged.rglob("*"):
        _keep_permissions(path / entry.relative_to(staged), entry)
    backup = _staging_path(path)
    backup.mkdir()
    moves = [(path / n, backup / n) for n in old]
    moves += [(staged / n, path / n) for n in sorted(new - {MANIFEST})]
    marker = backup / MANIFEST
    try:
        write_marker(marker, (listed or set()) | new - {MANIFEST})
        _flush(marker)
        if (path / MANIFEST).exists():
            shutil.copy2(path / MANIFEST, _earlier(marker))
    except BaseException:
        shutil.rmtree(backup, ignore_errors=True)
        raise
    _exchange(path / MANIFEST, staged / MANIFEST, moves, marker)
    shutil.rmtree(backup, ignore_errors=True)


def _earlier(marker: Path) -> Path:
    """Return where, beside its marker, the manifest of the earlier export is kept."""
    return marker.with_name(f"earlier-{MANIFEST}")


def _exchange(
    manifest: Path, new_manifest: Path, moves: list[tuple[Path, Path]], marker: Path
) -> None:
    """Make the moves between an incomplete and a complete manifest, or undo them."""
    earlier = _earlier(marker)
    try:
        os.replace(marker, manifest)
        _flush(manifest.parent)
        for source, target in moves:
            os.replace(source, target)
        _flush(manifest.parent)
        os.replace(new_manifest, manifest)
    except BaseException:
        # If this fails too, the backup stays: the earlier export is in it.
        for source, target in reversed(moves):
            if _exists(target) and not _exists(source):
                os.replace(target, source)
        if earlier.exists():
            os.replace(earlier, manifest)
        else:
            manifest.unlink(missing_ok=True)
        shutil.rmtree(marker.parent, ignore_errors=True)
        raise
    _flush(manifest.parent)


def _remove(folder: Path) -> None:
    """Remove a folder and what is in it, also where that may not be written."""
    for entry in (folder, *folder.rglob("*")):
        if entry.is_dir() and not entry.is_symlink():
            with contextlib.suppress(OSError):
                entry.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _check_writable(path: Path, target: str | os.PathLike[str]) -> None:
    """Raise for a file that is there and write-protected: a rename would not ask."""
    if path.is_file() and not os.access(path, os.W_OK):
        raise PermissionError(
            errno.EACCES, "the file that is there may not be written", str(target)
        )


def _keep_permissions(old: Path, new: Path) -> None:
    """Give a staged file or folder the permissions of what it will replace."""
    if old.exists():
        new.chmod(stat.S_IMODE(old.stat().st_mode))


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


@contextlib.contextmanager
def _new_folders(parent: Path) -> Iterator[None]:
    """Make missing folders for the block, and remove them again if it fails."""
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    if not parent.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR,
            "the target's parent must be a folder, got a file",
            str(parent),
        )
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def _locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Keep exports into `folder` waiting while the block runs, and loaders, if not shared."""
    with contextlib.ExitStack() as stack:
        # Not every folder that may be written may be read, and network file
        # systems may not know locks of folders.
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            if fcntl is not None:
                how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                fcntl.flock(descriptor, how)
                # Closing is not enough: a process forked meanwhile has it open too.
                stack.callback(fcntl.flock, descriptor, fcntl.LOCK_UN)
        yield


def _flush(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    if path.is_dir():
        # Not every file system can do that for a folder, and not every folder
        # that may be written may be read.
        with contextlib.suppress(OSError):
            _fsync(path, os.O_RDONLY)
    else:
        _fsync(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
