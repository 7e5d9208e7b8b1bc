"""S3 through boto3, which is imported with the first transfer, not with spikelab."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab.errors import S3Error
from spikelab.storage.store import Entry, ForbiddenError, Moved, Store, scrubbed
from spikelab.storage.urls import Location, located

_PART = 8 * 2**20
"""Files of more bytes than this go in parts, several at a time."""

_MARK = "spikelab-export"
"""The name of the mark among the metadata of an object."""

_NO_OBJECT, _NO_BUCKET = {"404", "NoSuchKey", "NotFound"}, {"NoSuchBucket"}

_FORBIDDEN = {"403", "AccessDenied"}

_REPLACED, _EMPTY = {"412", "PreconditionFailed"}, {"416", "InvalidRange"}


@attrs.frozen
class S3Store(Store):
    """One place in S3.

    Parameters
    ----------
    location : Location
        The bucket, and the key of an object or of a folder.
    client : object
        The boto3 client.
    secrets : tuple of str
        What must not appear in an error.
    reached : set of str
        Buckets that are known to exist.
    """

    location: Location
    client: Any = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)
    reached: set[str] = attrs.field(repr=False)

    @classmethod
    def at(
        cls, url: str, storage_options: Mapping[str, Any] | None = None
    ) -> "S3Store":
        """Return the store for an S3 URL.

        Parameters
        ----------
        url : str
            An S3 URL.
        storage_options : mapping, optional
            Arguments of ``boto3.client("s3", ...)``. ``profile_name`` chooses a profile
            of the AWS configuration files; ``anon=True`` sends requests without a
            signature, as public buckets take them.

        Raises
        ------
        S3Error
            If there can be no such client.
        TypeError
            If boto3 does not know an option.
        """
        location = located(url)
        options = dict(storage_options or {})
        if location.region is not None:
            options.setdefault("region_name", location.region)
        made = _client(location, options)
        return cls(location, made.client, made.secrets, made.reached)

    @property
    def url(self) -> str:  # type: ignore[override] # of a frozen class
        """The place as ``s3://bucket/key``."""
        return self.location.url

    def check_target(self, *, is_folder: bool) -> None:
        """Raise ValueError if the URL names no object, S3Error if there is no bucket."""
        key = self.location.key
        if not is_folder and (not key or key.endswith("/")):
            raise ValueError(
                f"filepath must name an object in the bucket, got {self.url!r}"
            )
        self.check_bucket()

    def check_bucket(self) -> None:
        """Raise S3Error if there is no such bucket, or it cannot be reached.

        A bucket that may be written but not examined passes.
        """
        from botocore.exceptions import ClientError

        if self.location.bucket in self.reached:
            return
        with self._errors("reach", self.location):
            try:
                self.client.head_bucket(Bucket=self.location.bucket)
            except ClientError as error:
                if _code(error) in _NO_OBJECT:
                    raise _no_bucket(self.location) from None
        self.reached.add(self.location.bucket)

    def entries(self) -> dict[str, Entry]:
        """Return the objects below this folder by their names."""
        prefix = self.location.inside("").key
        with self._errors("list", self.location):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix
            )
            found = [entry for page in pages for entry in page.get("Contents", ())]
        self.reached.add(self.location.bucket)
        return {
            item["Key"].removeprefix(prefix): Entry(
                int(item["Size"]), item["ETag"], item["LastModified"]
            )
            for item in found
            # Some stores have an object for each folder, named with a slash.
            if not item["Key"].endswith("/")
        }

    def entry(self) -> Entry:
        """Return size and ETag of the object."""
        with self._errors("read", self.location):
            head = self.client.head_object(**self._named(""))
            return Entry(head["ContentLength"], head["ETag"], head["LastModified"])

    def beginning(self, count: int) -> tuple[bytes, Entry]:
        """Return the first bytes of the object."""
        from botocore.exceptions import ClientError

        if not self.location.key:
            raise FileNotFoundError(errno.ENOENT, "a bucket is no object", self.url)
        with self._errors("read", self.location):
            try:
                answer = self.client.get_object(
                    **self._named(""), Range=f"bytes=0-{count - 1}"
                )
            except ClientError as error:
                if _code(error) in _EMPTY:
                    return b"", Entry(0, None)
                raise
            with contextlib.closing(answer["Body"]) as body:
                data = bytes(body.read())
            # "bytes 0-99/1234"; the whole object may come without it.
            self.reached.add(self.location.bucket)
            size = answer.get("ContentRange", "").rpartition("/")[2] or len(data)
            return data, Entry(int(size), answer["ETag"], answer["LastModified"])

    def upload(
        self,
        path: Path,
        name: str = "",
        *,
        mark: str | None = None,
        moved: Moved | None = None,
    ) -> Any:
        """Write a local file, and return its ETag; the store compares its checksum."""
        metadata = {"Metadata": {_MARK: mark}} if mark else {}
        target, size = self._place(name), path.stat().st_size
        with self._errors("write", target):
            if size > _PART:
                self.client.upload_file(
                    str(path),
                    target.bucket,
                    target.key,
                    ExtraArgs=metadata,
                    Callback=moved,
                )
                return self.client.head_object(**self._named(name))["ETag"]
            with path.open("rb") as file:
                answer = self.client.put_object(
                    **self._named(name), Body=file, **metadata
                )
            if "ETag" not in answer:
                raise ValueError("the store did not confirm it")
            if moved is not None:
                moved(size)
            return answer["ETag"]

    def download(
        self, path: Path, name: str = "", *, moved: Moved | None = None
    ) -> str | None:
        """Read an object to a file, and return its mark."""
        from botocore.exceptions import BotoCoreError

        source = self._place(name)
        with self._errors("read", source):
            answer = self.client.get_object(**self._named(name))
            mark: str | None = answer.get("Metadata", {}).get(_MARK)
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] <= _PART:
                    with contextlib.suppress(BotoCoreError):  # it is tried again below
                        path.write_bytes(body.read())
                        if moved is not None:
                            moved(answer["ContentLength"])
                        return mark
            self.client.download_file(
                source.bucket, source.key, str(path), Callback=moved
            )
        return mark

    def remove(self, names: list[str]) -> None:
        """Remove objects of this folder."""
        with self._errors("remove", self.location):
            for name in names:
                self.client.delete_object(**self._named(name))

    def read(self, start: int, stop: int, tag: Any = None) -> bytes:
        """Return a range of bytes of the object, if it still has this ETag."""
        condition = {} if tag is None else {"IfMatch": tag}
        with self._errors("read", self.location):
            answer = self.client.get_object(
                **self._named(""), Range=f"bytes={start}-{stop - 1}", **condition
            )
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read())

    def _place(self, name: str) -> Location:
        return self.location.inside(name) if name else self.location

    def _named(self, name: str) -> dict[str, str]:
        place = self._place(name)
        return {"Bucket": place.bucket, "Key": place.key}

    @contextlib.contextmanager
    def _errors(self, verb: str, location: Location) -> Iterator[None]:
        """Turn what boto3 raises into an S3Error that names URL and cause."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
        )
        from botocore.parsers import ResponseParserError

        answers = (ResponseParserError, ValueError, LookupError)
        try:
            yield
        except RecursionError:
            cause = "the store answers each request with a redirection"
            raise S3Error(f"cannot {verb} {location.url}: {cause}") from None
        except (Boto3Error, BotoCoreError, ClientError, *answers) as error:
            code = _code(_root(error))
            if code in _NO_OBJECT:
                if code == "404":  # which may also mean that there is no bucket
                    self.check_bucket()
                self.reached.add(location.bucket)
                raise FileNotFoundError(
                    errno.ENOENT, "no such object", location.url
                ) from None
            if code in _NO_BUCKET:
                raise _no_bucket(location) from None
            _forget(self.client)
            cause = scrubbed(self.secrets, _cause(error))
            if isinstance(error, NoCredentialsError):
                cause += "; storage_options={'anon': True} reads public buckets"
            if code in _REPLACED:
                cause = "it was replaced while it was read"
            failure = ForbiddenError if code in _FORBIDDEN else S3Error
            raise failure(f"cannot {verb} {location.url}: {cause}") from None


def with_credentials(
    storage_options: Mapping[str, Any] | None, **credentials: str | None
) -> Mapping[str, Any] | None:
    """Return the storage options with those of the credentials that are given."""
    given = {name: value for name, value in credentials.items() if value is not None}
    return {**(storage_options or {}), **given} if given else storage_options


@attrs.frozen(eq=False)
class _Made:
    """A client, and what it was made of."""

    origin: tuple[Any, ...]
    client: Any
    secrets: tuple[str, ...]
    reached: set[str] = attrs.field(factory=set)


_CLIENTS: list[_Made] = []
"""The clients of this process; to make one takes 50 ms and more."""

_MOST_CLIENTS = 16

_LOCK = threading.Lock()


def _client(location: Location, options: dict[str, Any]) -> _Made:
    """Return the client for some options, which is made once in a process."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    origin = (environment, options)
    with _LOCK:
        for made in _CLIENTS:
            if made.origin == origin:
                return made
        made = _Made(origin, *_new_client(location, dict(options)))
        _CLIENTS.append(made)
        del _CLIENTS[:-_MOST_CLIENTS]
        return made


def _start_afresh() -> None:
    """Do not share connections with the process that this one was forked from."""
    global _LOCK
    _LOCK = threading.Lock()
    _CLIENTS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)


def _forget(client: Any) -> None:
    """Make a new client next time: credentials may have run out."""
    with _LOCK:
        _CLIENTS[:] = [made for made in _CLIENTS if made.client is not client]
    client.close()  # of its connections; those in use stay open


def _new_client(
    location: Location, options: dict[str, Any]
) -> tuple[Any, tuple[str, ...]]:
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    given = [
        value
        for key, value in options.items()
        if str(key).startswith("aws_") and isinstance(value, str) and value
    ]
    anonymous = options.pop("anon", False)
    if not isinstance(anonymous, bool):
        raise TypeError(f"storage_options: anon must be a bool, got {anonymous!r}")
    try:
        session = boto3.session.Session(profile_name=options.pop("profile_name", None))
        if anonymous:
            unsigned = Config(signature_version=UNSIGNED)
            options["config"] = options.get("config", unsigned).merge(unsigned)
        client = session.client("s3", **options)
        # Credentials that are given go first, and others need not even work.
        found = None if given or anonymous else session.get_credentials()
        if found is not None:
            frozen = found.get_frozen_credentials()
            keys = (frozen.access_key, frozen.secret_key, frozen.token)
            given += filter(None, keys)
    except (BotoCoreError, ValueError, OSError) as error:
        cause = scrubbed(tuple(given), str(error))
        raise S3Error(f"cannot reach {location.url}: {cause}") from None
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"storage_options must be arguments of boto3.client: {error}"
        ) from None
    if not all(secret.isprintable() and secret == secret.strip() for secret in given):
        raise S3Error(
            f"cannot reach {location.url}: the credentials begin or end with a space, "
            "or hold the end of a line"
        )
    return client, tuple(given)


def _root(error: BaseException) -> BaseException | None:
    """Return the answer of the store that an error of boto3 goes back to."""
    from botocore.exceptions import ClientError

    root: BaseException | None = error
    while root is not None and not isinstance(root, ClientError):
        root = root.__cause__ or root.__context__
    return root


def _code(error: Any) -> str:
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _cause(error: BaseException) -> str:
    """Return what went wrong, without the names of boto3's operations."""
    root: Any = _root(error)
    if root is None:
        return str(error)
    text, code = root.response.get("Error", {}).get("Message", ""), _code(root)
    return f"{text} ({code})" if text else code


def _no_bucket(location: Location) -> S3Error:
    return S3Error(
        f"cannot reach {location.url}: there is no bucket {location.bucket!r}"
    )
