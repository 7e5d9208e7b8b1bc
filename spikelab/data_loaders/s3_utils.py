"""Single transfers to and from S3, and which URLs are of it."""

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from spikelab.storage.local import resolved
from spikelab.storage.publish import publish
from spikelab.storage.s3 import S3Store, with_credentials
from spikelab.storage.store import check_progress, progress_bar
from spikelab.storage.urls import StrPath, expanded, is_s3_url, parse_s3_url

__all__ = [
    "download_from_s3",
    "ensure_local_file",
    "is_s3_url",
    "parse_s3_url",
    "upload_to_s3",
]


def upload_to_s3(
    local_path: StrPath,
    s3_url: str,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
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
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials; by default those that boto3 finds.
    region_name : str, optional
        Region of the bucket.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)``, and ``anon``.
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
    keys = aws_access_key_id, aws_secret_access_key, aws_session_token, region_name
    store = S3Store.at(s3_url, with_credentials(storage_options, *keys))
    with progress_bar(progress, "upload", s3_url, size) as moved:
        store.upload(path, moved)
    return s3_url


def download_from_s3(
    url: str,
    local_path: StrPath | None = None,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
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
    aws_access_key_id, aws_secret_access_key, aws_session_token, region_name : str, optional
        As in :func:`upload_to_s3`, and so are the options below.
    storage_options : mapping, optional
    progress : bool

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
    keys = aws_access_key_id, aws_secret_access_key, aws_session_token, region_name
    store = S3Store.at(url, with_credentials(storage_options, *keys))
    if local_path is None:
        suffix = PurePosixPath(key).suffix
        descriptor, target = tempfile.mkstemp(prefix="spikelab-", suffix=suffix)
        os.close(descriptor)
    else:
        target = expanded(local_path)
    try:
        size = store.beginning(1)[1].size if progress else 0
        bar = progress_bar(progress, "download", url, size)
        with publish(target) as staged, bar as moved:
            store.download(staged, moved)
    except BaseException:
        if local_path is None:
            Path(target).unlink()
        raise
    return target


def ensure_local_file(
    file_path_or_url: StrPath,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[str, bool]:
    """Return the path of a local file that has the contents of a file or S3 object.

    Parameters
    ----------
    file_path_or_url : path or S3 URL
        A local path is returned as it is given, ``~`` aside; an object is downloaded.
    aws_access_key_id, aws_secret_access_key, aws_session_token, region_name : str, optional
        As in :func:`download_from_s3`.
    storage_options : mapping, optional
        As in :func:`download_from_s3`.

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
        keys = aws_access_key_id, aws_secret_access_key, aws_session_token, region_name
        url, options = os.fspath(file_path_or_url), storage_options
        return download_from_s3(url, None, *keys, storage_options=options), True
    if not resolved("file_path_or_url", file_path_or_url).exists():
        raise FileNotFoundError(errno.ENOENT, "no such file", str(file_path_or_url))
    return expanded(file_path_or_url), False
