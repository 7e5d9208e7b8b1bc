"""What uploads to remote stores and downloads from there have in common."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from spikelab.errors import FormatError, SpikelabError
from spikelab.storage.manifest import MANIFEST, load_manifest
from spikelab.storage.publish import STAGED_SUFFIX, naming
from spikelab.storage.store import Store

_LARGE = 8 * 2**20
"""Files of more bytes are transferred one after the other, each in several parts."""

_AT_ONCE = 8
"""How many small files are transferred at a time."""


def side_by_side(sizes: Mapping[str, int], transfer: Callable[[str], None]) -> None:
    """Transfer files by name: small ones several at a time, large ones one by one."""
    small = [name for name, size in sizes.items() if size <= _LARGE]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        list(pool.map(transfer, small))
    finally:
        pool.shutdown(cancel_futures=True)
    for name in sizes.keys() - set(small):
        transfer(name)


def manifest_of(store: Store, folder: Path) -> tuple[set[str], str | None]:
    """Return what the manifest of a remote folder lists, and its mark."""
    with naming_url(store.url, folder):
        mark = store.download(folder / MANIFEST, MANIFEST)
        return set(_in_manifest(folder)), mark


def _in_manifest(folder: Path) -> list[str]:
    """Return what the manifest of a folder, which was just downloaded, lists."""
    manifest = load_manifest(folder)
    if manifest is None:
        raise FormatError(f"{folder} has no {MANIFEST}")
    return list(manifest["files"])


def top_of(name: str) -> str:
    """Return the file or folder at the top that a file belongs to."""
    return name.split("/")[0]


def local_name(url: str) -> str:
    """Return a file name that ends as the URL does, for formats to recognise."""
    suffix = PurePosixPath(url.partition("?")[0]).suffix
    return "object" + (suffix if len(suffix) < 20 else "")


@contextlib.contextmanager
def temporary_folder(url: str) -> Iterator[Path]:
    """Yield a temporary folder, which errors name together with the URL."""
    temporary = tempfile.gettempdir()
    try:
        with (
            naming(temporary),
            tempfile.TemporaryDirectory(
                prefix="spikelab-", suffix=STAGED_SUFFIX, ignore_cleanup_errors=True
            ) as name,
        ):
            yield Path(name)
    except OSError as error:
        if error.filename == temporary:
            error.filename2 = url
        raise


@contextlib.contextmanager
def naming_url(url: str, copy: Path) -> Iterator[None]:
    """Let errors of the block name the URL: the user does not know the copy."""
    try:
        yield
    except (SpikelabError, LookupError) as error:
        error.args = tuple(
            text.replace(str(copy), url.rstrip("/")) if isinstance(text, str) else text
            for text in error.args
        )
        raise
