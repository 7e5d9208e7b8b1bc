"""S3 through boto3, which is imported with the first transfer, not with spikelab."""

import contextlib
import errno
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from spikelab.errors import S3Error
from spikelab.storage.store import LARGE, Entry, ForbiddenError, Moved, ReplacedError
from spikelab.storage.urls import Location, located, scrubbed

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")

CREDENTIALS = (*_KEYS, "region_name")
"""Options that functions of spikelab 0.1.2 take one by one."""


def with_credentials(
    storage_options: Mapping[str, Any] | None, *credentials: str | None
) -> Mapping[str, Any] | None:
    """Return the storage options with those of the `CREDENTIALS` that are not None."""
    pairs = zip(CREDENTIALS, credentials, strict=True)
    given = {name: value for name, value in pairs if value is not None}
    return {**(storage_options or {}), **given} if given else storage_options


_MARK = "spikelab-export"
"""The name of the mark among the metadata of an object."""


@attrs.frozen
class S3Store:
    """One place in S3, and the boto3 client by which it is reached."""

    location: Location
    client: Any = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)
    """What must not appear in an error."""

    is_web = False

    @classmethod
    def at(cls, url: str, storage_options: Mapping[str, Any] | None = None) -> Self:
        """Return the store for an S3 URL, with the arguments of ``boto3.client``.

        ``profile_name`` chooses a profile of the AWS configuration files; ``anon=True``
        sends requests without a signature, as public buckets take them.
        """
        from botocore.exceptions import BotoCoreError

        location = located(url)
        options = dict(storage_options or {})
        if location.region is not None:
            options.setdefault("region_name", location.region)
        # An error may show a credential without the line end that it was given with.
        given = tuple(str(options[n]).strip() for n in _KEYS if options.get(n))
        settings = tuple(kv for kv in os.environ.items() if kv[0].startswith("AWS_"))
        try:
            # A process that was forked must not share the connections of its parent.
            client, found = client_for(os.getpid(), settings, tuple(options.items()))
        except (BotoCoreError, ValueError, OSError) as error:
            cause = scrubbed(given, str(error))
            raise S3Error(f"cannot reach {location.url}: {cause}") from None
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"storage_options must be arguments of boto3.client: {error}"
            ) from None
        return cls(location, client, given + found)

    @property
    def url(self) -> str:
        """The place as ``s3://bucket/key``."""
        return self.location.url

    @property
    def _object(self) -> dict[str, str]:
        """The place as arguments of the client."""
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

    def beginning(self, count: int, verb: str = "read") -> tuple[bytes, Entry]:
        """Return the first bytes of the object."""
        from botocore.exceptions import ClientError

        if not self.location.key:
            raise FileNotFoundError(errno.ENOENT, "a bucket is no object", self.url)
        with self._errors(verb):
            try:
                answer = self.client.get_object(
                    **self._object, Range=f"bytes=0-{count - 1}"
                )
            except ClientError as error:
                if _answer(error)[0] in ("416", "InvalidRange"):  # it is empty
                    return b"", Entry(0, None)
                raise
            with contextlib.closing(answer["Body"]) as body:
                data = bytes(body.read())
            # "bytes 0-99/1234"; the whole object may come without it.
            size = answer.get("ContentRange", "").rpartition("/")[2] or len(data)
            return data, Entry(int(size), answer["ETag"], answer["LastModified"])

    def read(self, start: int, stop: int, tag: str | None) -> bytes:
        """Return a range of bytes of the object, if it still has this ETag."""
        with self._errors("read"):
            answer = self.client.get_object(
                **self._object, IfMatch=tag, Range=f"bytes={start}-{stop - 1}"
            )
            with contextlib.closing(answer["Body"]) as body:
                return bytes(body.read())

    def download(
        self, path: Path, moved: Moved | None = None, tag: str | None = None
    ) -> str | None:
        """Read the object to a file, if it still has this ETag, and return its mark."""
        from botocore.exceptions import BotoCoreError

        with self._errors("read"):
            condition = {} if tag is None else {"IfMatch": tag}
            answer = self.client.get_object(**self._object, **condition)
            mark: str | None = answer.get("Metadata", {}).get(_MARK)
            with contextlib.closing(answer["Body"]) as body:
                if answer["ContentLength"] <= LARGE:
                    with contextlib.suppress(BotoCoreError):  # it is tried again below
                        path.write_bytes(body.read())
                        if moved is not None:
                            moved(answer["ContentLength"])
                        return mark
            self.client.download_file(
                **self._object, Filename=str(path), Callback=moved
            )
            return mark

    def upload(
        self, path: Path, moved: Moved | None = None, mark: str | None = None
    ) -> str:
        """Write a local file with a mark, and return its ETag.

        The object appears when all its bytes have arrived.
        """
        about = {"Metadata": {_MARK: mark}} if mark else {}
        size = path.stat().st_size
        with self._errors("write"):
            if size > LARGE:
                self.client.upload_file(
                    str(path), **self._object, ExtraArgs=about, Callback=moved
                )
                answer = self.client.head_object(**self._object)
            else:
                with path.open("rb") as file:
                    answer = self.client.put_object(**self._object, Body=file, **about)
                if moved is not None:
                    moved(size)
            tag: str = answer["ETag"]
            return tag

    def remove(self) -> None:
        """Remove the object."""
        with self._errors("remove"):
            self.client.delete_object(**self._object)

    @contextlib.contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        """Turn what boto3 raises into an S3Error that names URL and cause."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from botocore.parsers import ResponseParserError

        # What answers may be no store: boto3 then fails in many ways.
        no_store = (ResponseParserError, ValueError, LookupError, RecursionError)
        try:
            yield
        except (Boto3Error, BotoCoreError, ClientError, *no_store) as error:
            code, cause = _answer(error)
            if code in ("404", "NoSuchKey", "NotFound"):
                raise FileNotFoundError(
                    errno.ENOENT, "no such object", self.url
                ) from None
            if code == "NoSuchBucket":
                verb, cause = "reach", f"there is no bucket {self.location.bucket!r}"
            elif _FAILURES.get(code) is ReplacedError:
                cause = "it was replaced while it was read"
            elif isinstance(error, NoCredentialsError):
                cause += "; storage_options={'anon': True} reads public buckets"
            # Credentials may have run out, and be renewed: a new client reads them.
            client_for.cache_clear()
            self.client.close()  # of its connections; those in use stay open
            text = f"cannot {verb} {self.url}: {scrubbed(self.secrets, cause)}"
            raise _FAILURES.get(code, S3Error)(text) from None


_FAILURES = {
    "403": ForbiddenError,
    "AccessDenied": ForbiddenError,
    "412": ReplacedError,
    "PreconditionFailed": ReplacedError,
}
"""Errors by the code of the store's answer."""


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


@functools.lru_cache(maxsize=16)
def client_for(pid: int, settings: Any, options: Any) -> tuple[Any, tuple[str, ...]]:
    """Return a boto3 client, which takes 50 ms to make, and the credentials it found."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    given = dict(options)
    anonymous = given.pop("anon", False)
    if not isinstance(anonymous, bool):
        raise TypeError(f"anon must be a bool, got {anonymous!r}")
    session = boto3.session.Session(profile_name=given.pop("profile_name", None))
    if anonymous:
        unsigned = Config(signature_version=UNSIGNED)
        given["config"] = given.get("config", unsigned).merge(unsigned)
    client = session.client("s3", **given)
    # Credentials that are given go first, and others need not even work.
    is_given = anonymous or any(given.get(name) for name in _KEYS)
    found = None if is_given else session.get_credentials()
    if found is None:
        return client, ()
    keys = found.get_frozen_credentials()
    return client, tuple(filter(None, (keys.access_key, keys.secret_key, keys.token)))
