"""Files and folders on the local disk, written as a whole.

A staged file or folder lies beside its target and is named
``.<name>.<random>.spikelab-tmp``. If a process is killed it stays behind under that
name; no reader takes it for data, and no later export meets it.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from spikelab import validate
from spikelab.errors import IncompleteExportError
from spikelab.storage.manifest import (
    MANIFEST,
    load_manifest,
    replaced_entries,
    write_incomplete,
)
from spikelab.storage.urls import StrPath, expanded

try:
    import fcntl
except ImportError:  # not on Windows: there, two exports at once are not kept apart
    fcntl = None  # type: ignore[assignment] # a module

STAGED_SUFFIX = ".spikelab-tmp"
"""How the names of staged files and folders end."""

_INCOMPLETE = f"incomplete-{MANIFEST}"
"""The staged manifest that is in place while entries are exchanged."""

_SHOWN = 8
"""Number of names in an error."""


def resolved(name: str, target: StrPath) -> Path:
    """Return the local file or folder that `target` (called `name` in errors) names.

    ``~`` is the home folder. Symbolic links are followed, so that an export through a
    link replaces what it points to and not the link.
    """
    if not isinstance(target, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {target!r}")
    text = os.fspath(target)
    if not text:
        raise ValueError(f"{name} must not be empty")
    return Path(os.path.realpath(expanded(text)))


def refuse_loss(target: StrPath, names: Iterable[str]) -> None:
    """Raise FileExistsError that names what an export onto `target` would destroy."""
    found = list(names)
    if not found:
        return
    listed = ", ".join(found[:_SHOWN])
    if len(found) > _SHOWN:
        listed += f" and {len(found) - _SHOWN} more"
    raise FileExistsError(
        f"{os.fspath(target)} holds what this export would not write again: "
        f"{listed}; it is replaced with overwrite=True"
    )


@contextlib.contextmanager
def naming(target: StrPath) -> Iterator[None]:
    """Let an operating-system error in the block name `target`.

    A failed write names no file, and a temporary name tells the user nothing.
    """
    try:
        yield
    except OSError as error:
        unnamed = error.filename is None or STAGED_SUFFIX in str(error.filename)
        if error.errno is None or not unnamed:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(target)) from error


@contextlib.contextmanager
def unchanged(source: StrPath, name: str) -> Iterator[Path]:
    """Yield the path of `source`; raise if a folder is exported again meanwhile."""
    path = resolved(name, source)
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "no such file or folder", str(source))
    if not path.is_dir():
        validate.regular_file(path)
        yield path
        return
    if name == "filepath":
        raise IsADirectoryError(f"filepath must name a file, got a folder: {source}")
    before = _identity(path / MANIFEST)
    try:
        yield path
    finally:
        if _identity(path / MANIFEST) != before:
            raise IncompleteExportError(
                f"{source} was exported again while it was read; load it again"
            )


def _identity(file: Path) -> tuple[int, ...]:
    """Return what changes when a file is replaced; nothing if there is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def staged_file(
    target: StrPath, lost: Callable[[Path], Iterable[str]] | None
) -> Iterator[Path]:
    """Yield a staged file, and rename it to `target`, unless something would be lost."""
    path = resolved("filepath", target)
    if path.is_dir() or os.fspath(target).endswith(("/", os.sep)):
        text = "filepath must name a file, got a folder"
        raise IsADirectoryError(errno.EISDIR, text, os.fspath(target))
    if path.exists() and not path.is_file():
        text = "filepath must name a regular file, got a device or pipe"
        raise OSError(errno.EINVAL, text, os.fspath(target))
    _check_writable(path)
    if lost is not None:
        refuse_loss(target, lost(path))
    with _new_folders(path.parent):
        staged = _staging_path(path)
        try:
            # Claims the name, and tells early whether the folder may be written.
            staged.touch(exist_ok=False)
            yield staged
            _flush(staged)
            _keep_permissions(path, staged)
            os.replace(staged, path)
        finally:
            with contextlib.suppress(OSError):
                staged.unlink(missing_ok=True)
    _flush(path.parent)


@contextlib.contextmanager
def staged_folder(
    target: StrPath,
    lost: Callable[[Path], Iterable[str]] | None,
    conflicting: Sequence[str],
    overwrite: bool,
) -> Iterator[Path]:
    """Yield a staged folder, and rename it, or its entries, to `target`.

    No other export changes the folder meanwhile.
    """
    path = resolved("folder", target)
    is_new = not path.exists()
    if not is_new and not path.is_dir():
        text = "folder must name a folder, got a file"
        raise NotADirectoryError(errno.ENOTDIR, text, os.fspath(target))
    with _new_folders(path.parent), _locked(path):
        if lost is not None:
            refuse_loss(target, lost(path))
        staged = _staging_path(path)
        try:
            staged.mkdir()
            yield staged
            for entry in staged.rglob("*"):
                _flush(entry)
            if is_new:
                _flush(staged)
                os.replace(staged, path)  # fails if the folder was made meanwhile
                _flush(path.parent)
            else:
                _replace_entries(staged, path, conflicting, overwrite)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _staging_path(path: Path) -> Path:
    """Return a free name beside a file, inside of a folder that exists.

    The parent of such a folder may be read-only, or on another disk.
    """
    # A name may be as long as the file system allows, so not all of it fits.
    name = f".{path.name[:40]}.{secrets.token_hex(6)}{STAGED_SUFFIX}"
    return path / name if path.is_dir() else path.with_name(name)


@contextlib.contextmanager
def _new_folders(parent: Path) -> Iterator[None]:
    """Make missing folders for the block, and remove them again if it fails."""
    missing = []
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    if not parent.is_dir():
        text = "the target's parent must be a folder, got a file"
        raise NotADirectoryError(errno.ENOTDIR, text, str(parent))
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
def _locked(folder: Path) -> Iterator[None]:
    """Refuse other exports into a folder that exists while the block runs."""
    descriptor = None
    if fcntl is not None:
        # It may not be there yet, or may be written but not read.
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
    if descriptor is None:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = "another export into this folder is under way"
            raise BlockingIOError(error.errno, text, str(folder)) from None
        except OSError:  # network file systems may not have locks of folders
            pass
        yield
    finally:
        # Closing is not enough: a process forked meanwhile has it open too.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _replace_entries(
    staged: Path, path: Path, conflicting: Sequence[str], overwrite: bool
) -> None:
    """Exchange the entries of the earlier export in `path` for the staged ones."""
    manifest = load_manifest(path)
    in_manifest = None if manifest is None else set(manifest["files"])
    existing = {entry.name for entry in path.iterdir()}
    new = {entry.name for entry in staged.iterdir()} - {MANIFEST}
    old = replaced_entries(
        str(path), existing, new, in_manifest, conflicting, overwrite
    )
    for name in (*old, MANIFEST):
        for entry in (path / name, *(path / name).rglob("*")):
            _check_writable(entry)
    for entry in staged.rglob("*"):
        _keep_permissions(path / entry.relative_to(staged), entry)
    write_incomplete(staged / _INCOMPLETE, new | (in_manifest or set()))
    _flush(staged / _INCOMPLETE)
    backup = _staging_path(path)
    moves = [(path / name, backup / name) for name in sorted(old)]
    moves += [(staged / name, path / name) for name in sorted(new)]
    _exchange(staged, path, backup, moves)


def _exchange(
    staged: Path, path: Path, backup: Path, moves: list[tuple[Path, Path]]
) -> None:
    """Make the moves, and put the staged manifest in place; or undo everything.

    While that lasts, the manifest says that the folder is incomplete. If undoing fails
    too, that stays so, and the earlier export is in the backup.
    """
    manifest, old_manifest = path / MANIFEST, backup / MANIFEST
    backup.mkdir()
    try:
        if manifest.exists():
            shutil.copy2(manifest, backup)
        os.replace(staged / _INCOMPLETE, manifest)
        _flush(path)
        for source, target in moves:
            os.replace(source, target)
        _flush(path)
        os.replace(staged / MANIFEST, manifest)
        _flush(path)
    except BaseException:
        for source, target in reversed(moves):
            if os.path.lexists(target) and not os.path.lexists(source):
                os.replace(target, source)
        if not (staged / _INCOMPLETE).exists():  # the manifest was replaced
            if old_manifest.exists():
                os.replace(old_manifest, manifest)
            else:
                manifest.unlink(missing_ok=True)
        shutil.rmtree(backup, ignore_errors=True)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def _check_writable(path: Path) -> None:
    """Raise for a file that exists and is write-protected: a rename would not ask."""
    if path.is_file() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, "it may not be written", str(path))


def _keep_permissions(old: Path, new: Path) -> None:
    """Give a staged file or folder the permissions of what it will replace."""
    if old.exists():
        new.chmod(stat.S_IMODE(old.stat().st_mode))


def _flush(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    is_folder = path.is_dir()
    flags = os.O_RDWR if os.name == "nt" and not is_folder else os.O_RDONLY
    try:
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        # Not every file system can do that for a folder, and not every folder that may
        # be written may be read.
        if not is_folder:
            raise
