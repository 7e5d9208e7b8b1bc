"""A place in a remote store as exports and loaders see it: a file, or a folder."""

import abc
import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import attrs

from spikelab.errors import MissingExtraError, S3Error
from spikelab.storage.urls import scheme_of

LARGE = 8 * 2**20
"""Files of more bytes than this are transferred one by one, each in several parts."""

Moved = Callable[[int], Any]
"""Is called with the number of bytes that were just transferred."""


class ForbiddenError(S3Error):
    """The store does not let this user do that."""


class ReplacedError(S3Error):
    """A file was replaced since its size and tag were read."""


@attrs.frozen
class Entry:
    """A remote file: its size in bytes, what changes when it is replaced, and when."""

    size: int
    tag: Any
    modified: datetime | None = None


class Store(abc.ABC):
    """One place in a remote store: a file, or a folder of files.

    What fails raises :class:`~spikelab.errors.TransferError` with the URL and the cause,
    without secrets; a file that does not exist FileNotFoundError.
    """

    url: str
    """The place as errors show it, without secrets."""

    is_web: bool = False
    """Whether it is an address of the web, which can only be read."""

    @abc.abstractmethod
    def inside(self, name: str) -> Self:
        """Return the place of a file in this folder."""

    @abc.abstractmethod
    def check_target(self, *, is_folder: bool) -> None:
        """Raise if nothing can be written here, as far as that can be seen."""

    @abc.abstractmethod
    def entries(self) -> dict[str, Entry]:
        """Return the files below this folder by their names, none if it is no folder."""

    @abc.abstractmethod
    def beginning(self, count: int) -> tuple[bytes, Entry]:
        """Return the first bytes of the file, none if it must be read whole."""

    @abc.abstractmethod
    def read(self, start: int, stop: int, tag: Any = None) -> bytes:
        """Return a range of bytes of the file, if it still has this tag."""

    @abc.abstractmethod
    def download(
        self, path: Path, *, tag: Any = None, moved: Moved | None = None
    ) -> str | None:
        """Read the file to a local one, and return its mark, None if it has none.

        Files that are not large are read only if they still have the tag.
        """

    @abc.abstractmethod
    def upload(
        self, path: Path, *, mark: str | None = None, moved: Moved | None = None
    ) -> Any:
        """Write a local file, which appears when all its bytes have arrived.

        Its mark is kept where the store can do that. The new tag is returned, None if
        the store has no such.
        """

    @abc.abstractmethod
    def remove(self) -> None:
        """Remove the file."""


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
    tqdm = check_progress(is_shown)
    with tqdm(total=size, unit="B", unit_scale=True, desc=f"{action} {name}") as shown:
        yield shown.update


def check_progress(is_shown: bool) -> Any:
    """Return tqdm, or raise MissingExtraError, if a progress bar is wanted."""
    if not is_shown:
        return None
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
