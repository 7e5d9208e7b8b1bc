"""All stores but S3, through fsspec: Google, Azure, addresses of the web, and others."""

import contextlib
import errno
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import attrs

from spikelab.errors import MissingExtraError, TransferError
from spikelab.storage.local import STAGED_SUFFIX
from spikelab.storage.store import Entry, Moved
from spikelab.storage.urls import scrubbed, shown, without_secrets

_FULL_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

_SECRET = ("key", "secret", "token", "password", "credential", "connection_string")

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")

_TAGS = ("ETag", "etag", "md5Hash", "content_md5", *_TIMES)
"""What a change of a file changes; the time of the last access is none of them."""


@attrs.frozen
class FsspecStore:
    """One place in a file system of fsspec, called `path` there."""

    url: str
    """The URL, without secrets."""

    fs: Any = attrs.field(repr=False)
    path: str = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)
    """What must not appear in an error."""

    @classmethod
    def at(
        cls, name: str, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> Self:
        """Return the store for a URL, called `name` in errors."""
        scheme = url.partition("://")[0].lower()
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtraError(f"{scheme}://", "fsspec", "remote") from error
        if scheme not in fsspec.available_protocols():
            raise ValueError(
                f"{name} must be a path, an S3 URL, or a URL of fsspec, got {shown(url)}"
            )
        options = dict(storage_options or {})
        hidden = tuple(
            value
            for key, value in options.items()
            if isinstance(value, str) and any(word in key for word in _SECRET) and value
        )
        try:
            fs, path = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise ImportError(f"{scheme}:// cannot be used: {error}") from None
        except Exception as error:  # each file system has errors of its own
            cause = scrubbed(hidden, str(error))
            raise TransferError(f"cannot reach {shown(url)}: {cause}") from None
        return cls(without_secrets(url), fs, path, hidden)

    @property
    def is_web(self) -> bool:
        """Whether it is an address of the web, which can only be read."""
        return self.path.startswith(("http://", "https://"))

    def inside(self, name: str) -> Self:
        """Return the place of a file in this folder."""
        url = f"{self.url.rstrip('/')}/{name}"
        return attrs.evolve(self, url=url, path=f"{self.path.rstrip('/')}/{name}")

    def check_target(self, *, is_folder: bool) -> None:
        """Raise for addresses of the web, and for a folder in the place of a file."""
        if self.is_web:
            raise ValueError(
                f"an address of the web can only be read, not be a target: {self.url}"
            )
        with self._errors("reach"):
            exists_as_folder = not is_folder and self.fs.isdir(self.path)
        if exists_as_folder:
            raise IsADirectoryError(
                errno.EISDIR, "filepath must name a file, got a folder", self.url
            )

    def entries(self) -> dict[str, Entry]:
        """Return the files below this folder by their names."""
        folder = self.path.rstrip("/") + "/"
        with self._errors("list"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.find(folder if self.is_web else self.path, detail=True)
            except FileNotFoundError:
                return {}
        return {
            path.removeprefix(folder): _entry(info)
            for path, info in found.items()
            if path.startswith(folder)
        }

    def beginning(self, count: int, verb: str = "read") -> tuple[bytes, Entry]:
        """Return the first bytes of the file; none if the store cannot send ranges."""
        with self._errors(verb):
            self.fs.invalidate_cache()
            info = self.fs.info(self.path)
            is_folder = self.url.endswith("/") and not self.is_web
            if info["type"] != "file" or is_folder:
                raise FileNotFoundError
            entry = _entry(info)
            if self.is_web and entry.size > count:
                with self.fs.open(self.path, size=entry.size) as file:
                    try:
                        file.seek(entry.size - 1)
                        file.read(1)
                    except ValueError:  # the server sends no ranges
                        return b"", entry
        return self.read(0, min(count, entry.size), entry.tag), entry

    def read(self, start: int, stop: int, tag: str | None) -> bytes:
        """Return a range of bytes of the file."""
        with self._errors("read"):
            return bytes(self.fs.cat_file(self.path, start=start, end=stop))

    def download(
        self, path: Path, moved: Moved | None = None, tag: str | None = None
    ) -> str | None:
        """Read the file to a local one; it has no mark."""
        with self._errors("read"):
            self.fs.get_file(self.path, str(path))
        if moved is not None:
            moved(path.stat().st_size)
        return None

    def upload(
        self, path: Path, moved: Moved | None = None, mark: str | None = None
    ) -> None:
        """Write a local file under a temporary name, and rename it; it gets no tag."""
        folder, _, last = self.path.rpartition("/")
        staged = f"{folder}/.{last[:40]}.{secrets.token_hex(6)}{STAGED_SUFFIX}"
        with self._errors("write"):
            try:
                try:
                    self.fs.put_file(str(path), staged)
                except FileNotFoundError:
                    self.fs.makedirs(folder, exist_ok=True)
                    self.fs.put_file(str(path), staged)
                self.fs.mv(staged, self.path)
            except BaseException:
                with contextlib.suppress(Exception):  # it may not have come into being
                    self.fs.rm_file(staged)
                raise
        if moved is not None:
            moved(path.stat().st_size)

    def remove(self) -> None:
        """Remove the file."""
        with self._errors("remove"):
            self.fs.rm_file(self.path)

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        """Turn what a file system raises into an error that names URL and cause."""
        try:
            yield
        except Exception as error:  # each file system has errors of its own
            # That of the web says so of everything that cannot be reached.
            cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
            if cause is None or getattr(cause, "status", None) in (404, 410):
                raise FileNotFoundError(
                    errno.ENOENT, "no such file", self.url
                ) from None
            if isinstance(error, OSError) and error.errno in _FULL_DISK:
                raise
            text = scrubbed(self.secrets, str(cause) or type(cause).__name__)
            raise TransferError(f"cannot {verb} {self.url}: {text}") from None


def _entry(info: Mapping[str, Any]) -> Entry:
    """Return what fsspec tells of a file, under names that differ between stores."""
    modified: Any = next((info[name] for name in _TIMES if info.get(name)), None)
    with contextlib.suppress(ValueError):
        if isinstance(modified, str):
            modified = datetime.fromisoformat(modified)
        elif isinstance(modified, int | float):
            modified = datetime.fromtimestamp(modified, UTC)
    known = modified if isinstance(modified, datetime) else None
    tag = repr([info.get(key) for key in _TAGS])
    return Entry(int(info.get("size") or 0), tag, known)
