"""S3 by itself: what is a URL of it, and single transfers."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from spikelab.storage.publish import publish
from spikelab.storage.s3 import S3Store, with_credentials
from spikelab.storage.urls import is_s3_url, parse_s3_url

__all__ = ["download_from_s3", "is_s3_url", "parse_s3_url", "upload_to_s3"]


def upload_to_s3(
    local_path: str | os.PathLike[str],
    s3_url: str,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Upload a file and compare what arrived with it.

    Parameters
    ----------
    local_path : path
        The file.
    s3_url : str
        Where it goes; an object there is replaced.
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials; by default those that boto3 finds.
    region_name : str, optional
        Region of the bucket.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)``.
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
    """
    options = with_credentials(
        storage_options,
        aws_access_key_id=aws_access_key_id,
        aws_secret_access_key=aws_secret_access_key,
        aws_session_token=aws_session_token,
        region_name=region_name,
    )
    parse_s3_url(s3_url)
    S3Store.at(s3_url, options).upload(Path(local_path))
    return s3_url


def download_from_s3(
    url: str,
    local_path: str | os.PathLike[str] | None = None,
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
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials; by default those that boto3 finds.
    region_name : str, optional
        Region of the bucket.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)``.
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
    """
    options = with_credentials(
        storage_options,
        aws_access_key_id=aws_access_key_id,
        aws_secret_access_key=aws_secret_access_key,
        aws_session_token=aws_session_token,
        region_name=region_name,
    )
    _, key = parse_s3_url(url)
    store = Store.at(url, options, progress=progress)
    if local_path is not None:
        with publish(local_path) as staged:
            store.download(staged)
        return os.fspath(local_path)
    suffix = PurePosixPath(key).suffix
    descriptor, name = tempfile.mkstemp(prefix="spikelab-", suffix=suffix)
    os.close(descriptor)
    try:
        store.download(Path(name))
    except BaseException:
        Path(name).unlink()
        raise
    return name
