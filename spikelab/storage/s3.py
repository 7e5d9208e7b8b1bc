"""S3 through boto3, which is imported with the first transfer, not with spikelab."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from spikelab.errors import S3Error
from spikelab.storage.store import (
    LARGE,
    Entry,
    ForbiddenError,
    Moved,
    ReplacedError,
    Store,
    scrubbed,
)
from spikelab.storage.urls import Location, located

CREDENTIALS = (
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    "region_name",
)
"""Options that functions of spikelab 0.1.2 take one by one."""

_MARK = "spikelab-export"
"""The name of the mark among the metadata of an object."""

_NO_OBJECT = ("404", "NoSuchKey", "NotFound")
_FORBIDDEN = ("403", "AccessDenied")
_REPLACED = ("412", "PreconditionFailed")
_EMPTY = ("416", "InvalidRange")


def with_credentials(
    storage_options: Mapping[str, Any] | None, *credentials: str | None
) -> Mapping[str, Any] | None:
    """Return the storage options with those of the `CREDENTIALS` that are given."""
    pairs = zip(CREDENTIALS, credentials, strict=True)
    given = {name: value for name, value in pairs if value is not None}
    return {**(storage_options or {}), **given} if given else storage_options


@attrs.frozen(eq=False)
class _Connection:
    """A boto3 client, what it was made of, and what must not appear in an error."""

    origin: tuple[Any, ...]
    client: Any
    secrets: tuple[str, ...]


_CONNECTIONS: list[_Connection] = []
"""Those of this process that were made last; to make one takes 50 ms and more."""

_MOST_CONNECTIONS = 16


@attrs.frozen
class S3Store(Store):
    """One place in S3: a location, and the connection by which it is reached."""

    location: Location
    connection: _Connection = attrs.field(repr=False)

    @classmethod
    def at(cls, url: str, storage_options: Mapping[str, Any] | None = None) -> Self:
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
        return cls(location, _connection(location, options))

    @property
    def url(self) -> str:  # type: ignore[override] # of a frozen class
        """The place as ``s3://bucket/key``."""
        return self.location.url

    @property
    def client(self) -> Any:
        """The boto3 client."""
        return self.connection.client

    @property
    def _named(self) -> dict[str, str]:
        return {"Bucket": self.location.bucket, "Key": self.location.key}

    def inside(self, name: str) -> Self:
        """Return the place of an object in this folder."""
        return attrs.evolve(self, location=self.location.inside(name))

    def check_target(self, *, is_folder: bool) -> None:
        """Raise ValueError if the URL names no object."""
        key = self.location.key
        if not is_folder and (not key or key.endswith("/")):
            raise ValueError(
                f"filepath must name an object in the bucket, got {self.url!r}"
            )

    def entries(self) -> dict[str, Entry]:
        """Return the objects below this folder by their names."""
        prefix = self.location.inside("").key
        with self._errors("list"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=prefix
            )
            found = [item for page in pages for item in page.get("Contents", ())]
        return {
            item["Key"].removeprefix(prefix): Entry(
                int(item["Size"]), item["ETag"], item["LastModified"]
            )
            for item in found
            # Some stores have an object for each folder, named with a slash.
            if not item["Key"].endswith("/")
        }

    def beginning(self, count: int) -> tuple[bytes, Entry]:
        """Return the first bytes of the object."""
        from botocore.exceptions import ClientError

        if not self.location.key:
            raise FileNotFoundError(errno.ENOENT, "a bucket is no object", self.url)
        with self._errors("read"):
            try:
                answer = self._get(Range=f"bytes=0-{count - 1}")
            except ClientError as error:
                if _answer(error)[0] in _EMPTY:
                    return b"", Entry(0, None)
                raise
            with contextlib.closing(answer["Body"]) as body:
                data = bytes(body.read())
            # "bytes 0-99/1234"; the whole object may come without it.
            size = answer.get("ContentRange", "").rpartition("/")[2] or len(data)
            return data, Entry(int(size), answer["ETag"], answer["LastModified"])

    def read(self, start: int, stop: int, tag: Any = None) -> bytes:
        """Return a range of bytes of the object, if it still has this ETag."""
        with self._errors("read"):
            answer = self._get(tag, Range=f"bytes={start}-{stop - 1}")
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read())

    def download(
        self, path: Path, *, tag: Any = None, moved: Moved | None = None
    ) -> str | None:
        """Read the object to a file, and return its mark."""
        from botocore.exceptions import BotoCoreError

        with self._errors("read"):
            answer = self._get(tag)
            mark: str | None = answer.get("Metadata", {}).get(_MARK)
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] <= LARGE:
                    with contextlib.suppress(BotoCoreError):  # it is tried again below
                        path.write_bytes(body.read())
                        if moved is not None:
                            moved(answer["ContentLength"])
                        return mark
            bucket, key = self.location.bucket, self.location.key
            self.client.download_file(bucket, key, str(path), Callback=moved)
        return mark

    def _get(self, tag: Any = None, **options: str) -> Any:
        condition = {} if tag is None else {"IfMatch": tag}
        return self.client.get_object(**self._named, **options, **condition)

    def upload(
        self, path: Path, *, mark: str | None = None, moved: Moved | None = None
    ) -> Any:
        """Write a local file, and return its ETag; the store compares its checksum."""
        metadata = {"Metadata": {_MARK: mark}} if mark else {}
        size = path.stat().st_size
        with self._errors("write"):
            if size > LARGE:
                bucket, key = self.location.bucket, self.location.key
                self.client.upload_file(
                    str(path), bucket, key, ExtraArgs=metadata, Callback=moved
                )
                return self.client.head_object(**self._named)["ETag"]
            with path.open("rb") as file:
                answer = self.client.put_object(**self._named, Body=file, **metadata)
            if "ETag" not in answer:
                raise ValueError("the store did not confirm it")
            if moved is not None:
                moved(size)
            return answer["ETag"]

    def remove(self) -> None:
        """Remove the object."""
        with self._errors("remove"):
            self.client.delete_object(**self._named)

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        """Turn what boto3 raises into an S3Error that names URL and cause."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from botocore.parsers import ResponseParserError

        # What answers may be no store: boto3 then fails in many ways.
        odd = (ResponseParserError, ValueError, LookupError, RecursionError)
        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError, *odd) as error:
            code, message = _answer(error)
            if code in _NO_OBJECT:
                raise FileNotFoundError(
                    errno.ENOENT, "no such object", self.url
                ) from None
            if code == "NoSuchBucket":
                bucket = self.location.bucket
                raise S3Error(
                    f"cannot reach {self.url}: there is no bucket {bucket!r}"
                ) from None
            # Credentials may have run out, and be renewed: a new client reads them.
            with contextlib.suppress(ValueError):
                _CONNECTIONS.remove(self.connection)
            self.client.close()  # of its connections; those in use stay open
            cause = scrubbed(self.connection.secrets, message)
            if isinstance(error, RecursionError):
                cause = "the store answers each request with a redirection"
            elif isinstance(error, NoCredentialsError):
                cause += "; storage_options={'anon': True} reads public buckets"
            failure: type[S3Error] = S3Error
            if code in _REPLACED:
                cause, failure = "it was replaced while it was read", ReplacedError
            elif code in _FORBIDDEN:
                failure = ForbiddenError
            raise failure(f"cannot {verb} {self.url}: {cause}") from None


def _answer(error: BaseException) -> tuple[str, str]:
    """Return the code of the store's answer ("" if there is none), and what it means."""
    from botocore.exceptions import ClientError

    root: BaseException | None = error
    while root is not None and not isinstance(root, ClientError):
        root = root.__cause__ or root.__context__
    if root is None:
        return "", str(error)
    found = root.response.get("Error", {})
    code, text = str(found.get("Code", "")), found.get("Message", "")
    return code, f"{text} ({code})" if text else code


def _connection(location: Location, options: dict[str, Any]) -> _Connection:
    """Return the connection for some options, which is made once in a process."""
    environment = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    # A process that was forked must not share the connections of its parent.
    origin = (os.getpid(), environment, options)
    for made in tuple(_CONNECTIONS):
        if made.origin == origin:
            return made
    made = _Connection(origin, *_new_client(location, dict(options)))
    _CONNECTIONS.append(made)
    del _CONNECTIONS[:-_MOST_CONNECTIONS]
    return made


def _new_client(
    location: Location, options: dict[str, Any]
) -> tuple[Any, tuple[str, ...]]:
    """Return a boto3 client, and the credentials that it uses."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    secrets = [
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
        found = None if secrets or anonymous else session.get_credentials()
        if found is not None:
            keys = found.get_frozen_credentials()
            secrets += filter(None, (keys.access_key, keys.secret_key, keys.token))
    except (BotoCoreError, ValueError, OSError) as error:
        cause = scrubbed(tuple(secrets), str(error))
        raise S3Error(f"cannot reach {location.url}: {cause}") from None
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"storage_options must be arguments of boto3.client: {error}"
        ) from None
    # An error may show one that ends with a line in another way.
    return client, tuple(secret.strip() for secret in secrets)
