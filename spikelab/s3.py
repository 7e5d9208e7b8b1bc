"""Transfers to and from S3: whole, checked, and with errors that say what failed.

boto3 is imported with the first transfer, not with spikelab.
"""

import base64
import contextlib
import errno
import math
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from spikelab.errors import MissingExtraError, S3Error
from spikelab.s3_urls import Location, is_s3_url, located, parse_s3_url

__all__ = ["Store", "is_s3_url", "parse_s3_url", "with_credentials"]

_PART = 8 * 2**20
"""Files of more bytes than this go in parts of this size, several at a time."""

_MOST_PARTS = 10_000

_READ = 2**20

_MARK = "spikelab-export"
"""The name of a mark among the metadata of an object."""

_MISSING = {"404", "NoSuchKey", "NotFound"}


@attrs.frozen
class Store:
    """The way to one place in S3.

    Parameters
    ----------
    location : Location
        The bucket, and the key of an object or of a folder.
    client : object
        The boto3 client.
    secrets : tuple of str
        What must not appear in an error.
    progress : bool
        Show a progress bar during transfers.
    """

    location: Location
    client: Any
    secrets: tuple[str, ...] = attrs.field(repr=False)
    progress: bool = False

    @classmethod
    def at(
        cls,
        url: str,
        storage_options: Mapping[str, Any] | None = None,
        *,
        progress: bool = False,
    ) -> "Store":
        """Return the way to what `url` names.

        Parameters
        ----------
        url : str
            An S3 URL.
        storage_options : mapping, optional
            Handed to ``boto3.client("s3", ...)``; ``profile_name`` chooses a
            profile of the AWS configuration files.
        progress : bool
            Show a progress bar, which needs the extra ``progress``.

        Raises
        ------
        MissingExtraError
            If a progress bar is asked for and tqdm is not installed.
        S3Error
            If there can be no such client.
        """
        location = located(url)
        if progress:
            _progress_bar()
        options = dict(storage_options or {})
        if location.region is not None:
            options.setdefault("region_name", location.region)
        client, secrets = _client(location, options)
        return cls(location, client, secrets, progress)

    def check_bucket(self) -> None:
        """Raise S3Error if there is no such bucket, or no way to it.

        A bucket that may be written but not examined passes.
        """
        from botocore.exceptions import ClientError

        with self._errors("reach", self.location):
            try:
                self.client.head_bucket(Bucket=self.location.bucket)
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise _no_bucket(self.location) from None

    def is_file(self) -> bool:
        """Tell whether the location is an object, and not a folder of them."""
        key = self.location.key
        # Some stores have an object for each folder, named with a slash.
        if not key or key.endswith("/"):
            return False
        return self._head(self.location) is not None

    def upload(
        self,
        path: Path,
        location: Location | None = None,
        *,
        mark: str | None = None,
    ) -> None:
        """Write a local file to `location`, by default the store's own.

        The object appears when all its bytes are there; its size, and its
        checksum if the store keeps one, are then compared with the file. Its
        metadata keep `mark`, if there is one, for :meth:`download` to return.

        Raises
        ------
        S3Error
            If that fails; parts that were sent already are removed.
        """
        target = location or self.location
        size = path.stat().st_size
        with self._errors("write", target), self._bar("upload", target, size) as moved:
            self.client.upload_file(
                str(path),
                target.bucket,
                target.key,
                ExtraArgs={"Metadata": {_MARK: mark}} if mark else None,
                Callback=moved,
                Config=_transfer(size),
            )
        self._check(path, target, composite=True)

    def download(self, path: Path, location: Location | None = None) -> str | None:
        """Read the object at `location`, by default the store's own, to a file.

        Returns its mark, None if it has none.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        S3Error
            If the object cannot be read whole.
        """
        source = location or self.location
        head = self._head(source)
        if head is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", source.url)
        size = int(head.get("ContentLength", 0))
        with self._errors("read", source), self._bar("download", source, size) as moved:
            self.client.download_file(
                source.bucket,
                source.key,
                str(path),
                Callback=moved,
                Config=_transfer(size),
            )
        self._check(path, source, composite=False)
        mark: str | None = head.get("Metadata", {}).get(_MARK)
        return mark

    def holds(self, path: Path) -> bool:
        """Tell whether the object has the size and, if known, the checksum of a file."""
        try:
            self._check(path, self.location, composite=True)
        except S3Error:
            return False
        return True

    def entries(self) -> dict[str, tuple[str, Any]]:
        """Return the names, relative to the folder, of all objects below it.

        With each, what changes when it is replaced: its tag and its date.
        """
        prefix = self.location.inside("").key
        with self._errors("list", self.location):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix
            )
            found = [entry for page in pages for entry in page.get("Contents", ())]
        return {
            entry["Key"].removeprefix(prefix): (entry["ETag"], entry["LastModified"])
            for entry in found
            # Some stores have an object for each folder, named with a slash.
            if not entry["Key"].endswith("/")
        }

    def remove(self, location: Location | None = None) -> None:
        """Remove the object at `location`, by default the store's own."""
        target = location or self.location
        with self._errors("remove", target):
            self.client.delete_object(Bucket=target.bucket, Key=target.key)

    def _head(self, location: Location) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        with self._errors("read", location):
            try:
                found: dict[str, Any] = self.client.head_object(
                    Bucket=location.bucket, Key=location.key, ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if _code(error) in _MISSING:
                    self.check_bucket()
                    return None
                raise
        return found

    def _check(self, path: Path, location: Location, *, composite: bool) -> None:
        """Raise S3Error if the object and the file do not hold the same."""
        head = self._head(location)
        size = path.stat().st_size
        remote = None if head is None else head.get("ContentLength")
        if head is None or remote != size:
            raise S3Error(
                f"{location.url} holds {remote or 'no'} bytes, not the {size} of the file"
            )
        expected = head.get("ChecksumCRC32")
        if expected is None or ("-" in expected and not composite):
            return
        if _crc32(path, "-" in expected) != expected:
            raise S3Error(f"{location.url} has another checksum than the file")

    @contextlib.contextmanager
    def _errors(self, verb: str, location: Location) -> Iterator[None]:
        """Turn what boto3 raises into an S3Error that names URL and cause."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from s3transfer import exceptions as transfers

        # Older versions do not compare the ranges of what they get.
        wrong_range = getattr(transfers, "S3ValidationError", ResponseParserError)
        answers = (ResponseParserError, wrong_range, ValueError, LookupError)
        try:
            yield
        except RecursionError:
            cause = "the store answers each request with a redirection"
            raise S3Error(f"cannot {verb} {location.url}: {cause}") from None
        except (Boto3Error, BotoCoreError, ClientError, *answers) as error:
            cause = _without(self.secrets, _cause(error))
            raise S3Error(f"cannot {verb} {location.url}: {cause}") from None

    @contextlib.contextmanager
    def _bar(
        self, action: str, location: Location, size: int
    ) -> Iterator[Callable[[int], Any] | None]:
        if not self.progress:
            yield None
            return
        name = PurePosixPath(location.key).name
        bar = _progress_bar()
        with bar(
            total=size, unit="B", unit_scale=True, desc=f"{action} {name}"
        ) as shown:
            yield shown.update


def with_credentials(
    storage_options: Mapping[str, Any] | None, **credentials: str | None
) -> Mapping[str, Any] | None:
    """Return the storage options with those of the credentials that are given."""
    given = {name: value for name, value in credentials.items() if value is not None}
    return {**(storage_options or {}), **given} if given else storage_options


def _client(location: Location, options: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    import boto3
    from botocore.exceptions import BotoCoreError

    given = [
        value
        for key, value in options.items()
        if str(key).startswith("aws_") and isinstance(value, str)
    ]
    try:
        session = boto3.session.Session(profile_name=options.pop("profile_name", None))
        client = session.client("s3", **options)
        # Credentials that are given go first, and others need not even work.
        found = None if given else session.get_credentials()
        if found is not None:
            frozen = found.get_frozen_credentials()
            given += [frozen.access_key, frozen.secret_key, frozen.token]
    except (BotoCoreError, ValueError, OSError) as error:
        cause = _without(tuple(given), str(error))
        raise S3Error(f"cannot reach {location.url}: {cause}") from None
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"storage_options must be arguments of boto3.client: {error}"
        ) from None
    secrets = tuple(value for value in given if value)
    if not all(secret.isprintable() and secret == secret.strip() for secret in secrets):
        raise S3Error(
            f"cannot reach {location.url}: the credentials begin or end with a space, "
            "or hold the end of a line"
        )
    return client, secrets


def _transfer(size: int) -> Any:
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(multipart_threshold=_PART, multipart_chunksize=_part(size))


def _part(size: int) -> int:
    """Return how many bytes of a file of this size go in one part."""
    return max(_PART, math.ceil(size / _MOST_PARTS / _PART) * _PART)


def _crc32(path: Path, composite: bool) -> str:
    """Return the CRC32 as S3 writes it: of the file, or of the checksums of its parts."""
    size = path.stat().st_size
    part = _part(size) if composite else max(size, 1)
    sums = []
    with path.open("rb") as file:
        for start in range(0, max(size, 1), part):
            checksum, left = 0, min(part, size - start)
            while left > 0 and (block := file.read(min(left, _READ))):
                checksum, left = zlib.crc32(block, checksum), left - len(block)
            sums.append(checksum.to_bytes(4, "big"))
    if not composite:
        return base64.b64encode(sums[0]).decode()
    whole = zlib.crc32(b"".join(sums)).to_bytes(4, "big")
    return f"{base64.b64encode(whole).decode()}-{len(sums)}"


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _cause(error: BaseException) -> str:
    """Return what went wrong, without the names of boto3's operations."""
    from botocore.exceptions import ClientError

    root: BaseException | None = error
    while root is not None and not isinstance(root, ClientError):
        root = root.__cause__ or root.__context__
    if root is None:
        return str(error)
    reported = root.response.get("Error", {})
    text, code = reported.get("Message", ""), reported.get("Code", "")
    return f"{text} ({code})" if text else str(code)


def _no_bucket(location: Location) -> S3Error:
    return S3Error(
        f"cannot reach {location.url}: there is no bucket {location.bucket!r}"
    )


def _without(secrets: tuple[str, ...], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    # Users, passwords and signatures in the address of a store.
    text = re.sub(r"(//.*|\S*)@", r"***@", " ".join(text.split()))
    return re.sub(r"\?[^\s\"']*", "?***", text)


def _progress_bar() -> Any:
    try:
        from tqdm import tqdm
    except ImportError as error:
        raise MissingExtraError("progress=True", "tqdm", "progress") from error
    return tqdm
