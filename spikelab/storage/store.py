"""A remote store as exports and loaders see it: one file, or a folder of files."""

import abc
import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from spikelab.errors import MissingExtraError, S3Error
from spikelab.storage.urls import scheme_of


class ForbiddenError(S3Error):
    """The store does not let this user do that."""


Moved = Callable[[int], Any]
"""Is called with the number of bytes that were just transferred."""


@attrs.frozen
class Entry:
    """A remote file.

    Parameters
    ----------
    size : int
        Bytes.
    tag : object
        What changes when the file is replaced.
    modified : datetime, optional
        When the file was written, if the store says so.
    """

    size: int
    tag: Any
    modified: datetime | None = None


class Store(abc.ABC):
    """One place in a remote store: a file, or a folder of files.

    In all methods `name` is that of a file relative to the folder; "" is the place
    itself. What fails raises :class:`~spikelab.errors.S3Error` with the URL and the cause,
    without secrets; a file that does not exist FileNotFoundError.
    """

    url: str
    """The place as errors show it, without secrets."""

    @property
    def is_web(self) -> bool:
        """Whether it is an address of the web, which can only be read."""
        return False

    @abc.abstractmethod
    def check_target(self, *, is_folder: bool) -> None:
        """Raise if nothing can be written here, as far as that can be seen."""

    @abc.abstractmethod
    def entries(self) -> dict[str, Entry]:
        """Return the files below this folder by their names, none if it is no folder."""

    @abc.abstractmethod
    def entry(self) -> Entry:
        """Return size and tag of the file."""

    @abc.abstractmethod
    def beginning(self, count: int) -> tuple[bytes, Entry]:
        """Return the first bytes of the file, none if it must be read whole."""

    @abc.abstractmethod
    def upload(
        self,
        path: Path,
        name: str = "",
        *,
        mark: str | None = None,
        moved: Moved | None = None,
    ) -> Any:
        """Write a local file, and return its tag, None if the store has no such.

        It appears when all its bytes have arrived.

        Parameters
        ----------
        path : Path
            The local file.
        name : str
            Where it goes.
        mark : str, optional
            Is kept beside the bytes where the store can do that.
        moved : callable, optional
            Is told how many bytes were transferred.
        """

    @abc.abstractmethod
    def download(
        self, path: Path, name: str = "", *, moved: Moved | None = None
    ) -> str | None:
        """Read a file to a local one, and return its mark, None if it has none."""

    @abc.abstractmethod
    def remove(self, names: list[str]) -> None:
        """Remove files."""

    @abc.abstractmethod
    def read(self, start: int, stop: int, tag: Any = None) -> bytes:
        """Return a range of bytes of the file, if it still has this tag."""


def store_at(
    name: str,
    url: str | os.PathLike[str],
    storage_options: Mapping[str, Any] | None = None,
) -> Store:
    """Return the store for a URL, called `name` in errors.

    S3 is reached with boto3, all other schemes with fsspec.
    """
    scheme, text = scheme_of(name, url), os.fspath(url)
    if scheme == "s3":
        from spikelab.storage.s3 import S3Store

        return S3Store.at(text, storage_options)
    from spikelab.storage.filesystems import FsspecStore

    return FsspecStore.at(name, text, storage_options)


@contextlib.contextmanager
def progress_bar(
    is_shown: bool, action: str, url: str, size: int
) -> Iterator[Moved | None]:
    """Show the progress of a transfer of `size` bytes, or nothing."""
    if not is_shown:
        yield None
        return
    name = url.rstrip("/").rpartition("/")[2]
    with _tqdm()(
        total=size, unit="B", unit_scale=True, desc=f"{action} {name}"
    ) as shown:
        yield shown.update


def check_progress(is_shown: bool) -> None:
    """Raise MissingExtraError if a progress bar is wanted and tqdm is not installed."""
    if is_shown:
        _tqdm()


def _tqdm() -> Any:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError("progress=True", "tqdm", "progress") from error
    return tqdm


def scrubbed(secrets: tuple[str, ...], text: str) -> str:
    """Return an error text in one line, without secrets, users and signatures."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"(//.*|\S*)@", r"***@", " ".join(text.split()))
    return re.sub(r"\?[^\s\"']*", "?***", text)
