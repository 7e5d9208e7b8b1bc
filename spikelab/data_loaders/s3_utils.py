"""Single transfers to and from S3, and which URLs are of it."""

import errno
import functools
import inspect
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from spikelab.storage.local import resolved
from spikelab.storage.publish import publish
from spikelab.storage.s3 import CREDENTIALS, S3Store, with_credentials
from spikelab.storage.store import check_progress, progress_bar
from spikelab.storage.urls import is_s3_url, parse_s3_url

__all__ = [
    "download_from_s3",
    "ensure_local_file",
    "is_s3_url",
    "parse_s3_url",
    "upload_to_s3",
]

R = TypeVar("R")

_DESCRIBED = """aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
    Credentials; by default those that boto3 finds.
region_name : str, optional
    Region of the bucket.
storage_options : mapping, optional
    Arguments of ``boto3.client("s3", ...)``, and ``anon``."""


def _takes_credentials(function: Callable[..., R]) -> Callable[..., R]:
    """Add the credentials as spikelab 0.1.2 takes them, after positional parameters.

    They become part of `storage_options`, and replace ``{credentials}`` in the
    docstring.
    """
    signature = inspect.signature(function)
    own = list(signature.parameters.values())
    n_positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in own)
    own[n_positional:n_positional] = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=str | None,
        )
        for name in CREDENTIALS
    ]
    shown = signature.replace(parameters=own)

    @functools.wraps(function)
    def transfer(*args: Any, **options: Any) -> R:
        given = shown.bind(*args, **options).arguments
        given["storage_options"] = with_credentials(
            given.get("storage_options"), *(given.pop(n, None) for n in CREDENTIALS)
        )
        return function(**given)

    changed: Any = transfer
    changed.__signature__ = shown
    changed.__annotations__ = {
        **{p.name: p.annotation for p in own},
        "return": signature.return_annotation,
    }
    text = inspect.getdoc(function) or ""
    transfer.__doc__ = text.replace("{credentials}", _DESCRIBED)
    return transfer


@_takes_credentials
def upload_to_s3(
    local_path: str | os.PathLike[str],
    s3_url: str,
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Upload a file.

    Parameters
    ----------
    local_path : path
        The file.
    s3_url : str
        Where it goes; an object that exists is replaced when all bytes have arrived.
    {credentials}
    progress : bool
        Show a progress bar.

    Returns
    -------
    str
        `s3_url`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    S3Error
        If the upload fails; an object that was there is then still there.

    Examples
    --------
    >>> upload_to_s3("cells.nwb", "s3://bucket/cells.nwb")  # doctest: +SKIP
    's3://bucket/cells.nwb'
    """
    parse_s3_url(s3_url)
    check_progress(progress)
    path = resolved("local_path", local_path)
    size = path.stat().st_size
    with progress_bar(progress, "upload", s3_url, size) as moved:
        S3Store.at(s3_url, storage_options).upload(path, moved=moved)
    return s3_url


@_takes_credentials
def download_from_s3(
    url: str,
    local_path: str | os.PathLike[str] | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Download an object to a file, which appears when it is whole.

    Parameters
    ----------
    url : str
        The object.
    local_path : path, optional
        The file, replaced if it exists; by default a new temporary file, which
        is the caller's to remove.
    {credentials}
    progress : bool
        Show a progress bar.

    Returns
    -------
    str
        The path of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    S3Error
        If the download fails; a file that was there is then still there.

    Examples
    --------
    >>> download_from_s3("s3://bucket/cells.nwb", "cells.nwb")  # doctest: +SKIP
    'cells.nwb'
    """
    _, key = parse_s3_url(url)
    check_progress(progress)
    store = S3Store.at(url, storage_options)
    if local_path is not None:
        with publish(local_path) as staged:
            _download(store, staged, progress)
        return os.fspath(local_path)
    suffix = PurePosixPath(key).suffix
    descriptor, name = tempfile.mkstemp(prefix="spikelab-", suffix=suffix)
    os.close(descriptor)
    try:
        _download(store, Path(name), progress)
    except BaseException:
        Path(name).unlink()
        raise
    return name


@_takes_credentials
def ensure_local_file(
    file_path_or_url: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[str, bool]:
    """Return the path of a local file that has the contents of a file or S3 object.

    Parameters
    ----------
    file_path_or_url : path or S3 URL
        A local path is returned as it is given, ``~`` aside; an object is downloaded.
    {credentials}

    Returns
    -------
    path : str
        The path.
    is_temporary : bool
        Whether it is a temporary file, which is the caller's to remove.

    Raises
    ------
    FileNotFoundError
        If there is no such file or object.
    S3Error
        If the download fails.

    Examples
    --------
    >>> path, is_temporary = ensure_local_file("s3://bucket/cells.nwb")  # doctest: +SKIP
    """
    if is_s3_url(file_path_or_url):
        url = os.fspath(file_path_or_url)
        return download_from_s3(url, storage_options=storage_options), True
    if not resolved("file_path_or_url", file_path_or_url).exists():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(file_path_or_url))
    return os.fspath(Path(file_path_or_url).expanduser()), False


def _download(store: S3Store, path: Path, progress: bool) -> None:
    size = store.beginning(1)[1].size if progress else 0
    with progress_bar(progress, "download", store.url, size) as moved:
        store.download(path, moved=moved)
