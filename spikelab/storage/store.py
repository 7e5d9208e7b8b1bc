"""What all remote stores have in common: S3 through boto3, others through fsspec."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from spikelab.errors import MissingExtraError, S3Error, SpikelabError
from spikelab.storage.local import STAGED_SUFFIX, naming
from spikelab.storage.urls import scheme_of

if TYPE_CHECKING:
    from spikelab.storage.filesystems import FsspecStore
    from spikelab.storage.s3 import S3Store

Store: TypeAlias = "S3Store | FsspecStore"
"""One place in a remote store, a file or a folder of files, with the same methods.

What fails raises :class:`~spikelab.errors.TransferError` with the URL and the cause,
without secrets; a file that does not exist FileNotFoundError.
"""

LARGE = 8 * 2**20
"""Files of more bytes than this are transferred one by one, each in several parts."""

Moved = Callable[[int], object]
"""Is called with the number of bytes that were just transferred."""


class ForbiddenError(S3Error):
    """The store does not let this user do that."""


class ReplacedError(S3Error):
    """A file was replaced since its size and tag were read."""


@attrs.frozen
class Entry:
    """A remote file: its size in bytes, what changes when it is replaced, and when."""

    size: int
    tag: str | None
    modified: datetime | None = None


def store_at(
    name: str, url: Any, storage_options: Mapping[str, Any] | None = None
) -> Store:
    """Return the store for a URL, called `name` in errors."""
    if scheme_of(url, name) == "s3":
        from spikelab.storage.s3 import S3Store

        return S3Store.at(url, storage_options)
    from spikelab.storage.filesystems import FsspecStore

    return FsspecStore.at(name, url, storage_options)


@contextlib.contextmanager
def temporary(url: str) -> Iterator[Path]:
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
                STAGED_SUFFIX, "spikelab-", root, ignore_cleanup_errors=True
            ) as folder,
        ):
            copy = Path(folder, f"object{suffix}")
            yield copy
    except (SpikelabError, LookupError) as error:
        for path in (str(copy), folder):
            error.args = tuple(
                part.replace(path, url.rstrip("/")) if isinstance(part, str) else part
                for part in error.args
            )
        raise
    except OSError as error:
        if error.filename == root:
            error.filename2 = url
        raise


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
