"""All stores but S3, through fsspec: Google, Azure, addresses of the web, and others."""

import contextlib
import errno
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab.errors import MissingExtraError, TransferError
from spikelab.storage.publish import STAGED_SUFFIX
from spikelab.storage.store import Entry, Moved, Store, scrubbed
from spikelab.storage.urls import shown, without_secrets

_FULL_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)

_SECRET = ("key", "secret", "token", "password", "credential", "connection_string")

_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "updated", "last_modified")


@attrs.frozen
class FsspecStore(Store):
    """One place in a file system of fsspec.

    Parameters
    ----------
    url : str
        The URL, without secrets.
    fs : fsspec.AbstractFileSystem
        The file system.
    path : str
        The place in it.
    secrets : tuple of str
        What must not appear in an error.
    """

    url: str
    fs: Any = attrs.field(repr=False)
    path: str = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)

    @classmethod
    def at(
        cls, name: str, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> "FsspecStore":
        """Return the store for a URL, called `name` in errors.

        Raises
        ------
        MissingExtraError
            If fsspec is not installed.
        ImportError
            If the package for this kind of store is not.
        ValueError
            If fsspec knows no such scheme.
        """
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

    def entry(self) -> Entry:
        """Return size and tag of the file."""
        with self._errors("read"):
            self.fs.invalidate_cache()
            info = self.fs.info(self.path)
            is_folder = self.url.endswith("/") and not self.is_web
            if info["type"] != "file" or is_folder:
                raise FileNotFoundError
        return _entry(info)

    def beginning(self, count: int) -> tuple[bytes, Entry]:
        """Return the first bytes of the file; none if the store cannot send ranges."""
        entry = self.entry()
        if self.is_web and entry.size > count and not self._sends_ranges(entry.size):
            return b"", entry
        return self.read(0, min(count, entry.size)), entry

    def _sends_ranges(self, size: int) -> bool:
        """Return whether a server of the web sends the last byte alone."""
        with self._errors("read"), self.fs.open(self.path, size=size) as file:
            try:
                file.seek(size - 1)
                return len(file.read(1)) == 1
            except ValueError:
                return False

    def upload(
        self,
        path: Path,
        name: str = "",
        *,
        mark: str | None = None,
        moved: Moved | None = None,
    ) -> Any:
        """Write a local file under a temporary name, and rename it."""
        target = self._place(name)
        folder, _, last = target.rpartition("/")
        staged = f"{folder}/.{last[:40]}.{secrets.token_hex(6)}{STAGED_SUFFIX}"
        with self._errors("write", name):
            try:
                try:
                    self.fs.put_file(str(path), staged)
                except FileNotFoundError:
                    self.fs.makedirs(folder, exist_ok=True)
                    self.fs.put_file(str(path), staged)
                self.fs.mv(staged, target)
            except BaseException:
                with contextlib.suppress(Exception):  # it may not have come into being
                    self.fs.rm_file(staged)
                raise
        if moved is not None:
            moved(path.stat().st_size)
        return None

    def download(
        self, path: Path, name: str = "", *, moved: Moved | None = None
    ) -> str | None:
        """Read a file to a local one; it has no mark."""
        if not name:
            self.entry()
        with self._errors("read", name):
            self.fs.get_file(self._place(name), str(path))
        if moved is not None:
            moved(path.stat().st_size)
        return None

    def remove(self, names: list[str]) -> None:
        """Remove files of this folder."""
        with self._errors("remove"):
            for name in names:
                self.fs.rm_file(self._place(name))

    def read(self, start: int, stop: int, tag: Any = None) -> bytes:
        """Return a range of bytes of the file."""
        with self._errors("read"):
            return bytes(self.fs.cat_file(self.path, start=start, end=stop))

    @property
    def is_web(self) -> bool:
        """Whether it is an address of the web, which can only be read."""
        return self.path.startswith(("http://", "https://"))

    def _place(self, name: str) -> str:
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    @contextlib.contextmanager
    def _errors(self, verb: str, name: str = "") -> Iterator[None]:
        """Turn what a file system raises into an error that names URL and cause."""
        url = f"{self.url.rstrip('/')}/{name}" if name else self.url
        try:
            yield
        except Exception as error:  # each file system has errors of its own
            # That of the web says so of everything that cannot be reached.
            cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
            if cause is None or getattr(cause, "status", None) in (404, 410):
                raise FileNotFoundError(errno.ENOENT, "no such file", url) from None
            if isinstance(error, OSError) and error.errno in _FULL_DISK:
                raise
            text = scrubbed(self.secrets, str(cause) or type(cause).__name__)
            raise TransferError(f"cannot {verb} {url}: {text}") from None


def _entry(info: Mapping[str, Any]) -> Entry:
    """Return what fsspec tells of a file."""
    return Entry(int(info.get("size") or 0), tuple(str(info.get(tag)) for tag in _TAGS))
