"""The names of files and folders: local paths, and URLs of what lies elsewhere."""

import os
import re
from typing import Any
from urllib.parse import unquote

import attrs

StrPath = str | os.PathLike[str]

_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}"

_S3 = re.compile(rf"(?is)s3://(?P<bucket>{_BUCKET})(?:/(?P<key>.*))?")

_AMAZON = re.compile(
    rf"(?i)https?://(?:(?P<bucket>{_BUCKET})\.)?"
    r"s3(?:-accelerate|-fips)?"
    r"(?:\.dualstack)?"
    r"(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d{1,2}))?"
    r"\.amazonaws\.com(?:\.cn)?(?:/(?P<path>[^?#]*))?"
)
"""Amazon's addresses of objects: at the host of a bucket, or of all buckets."""

_ANY_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")

_NO_FOLDERS = ("s3", "http", "https", "gs", "gcs", "az", "abfs", "memory")
"""Schemes that no folder is called: ``Path("s3://lab/a")``, which is ``s3:/lab/a``, is refused."""


def expanded(path: StrPath) -> str:
    """Return a path with the home folder for ``~``; ``~nobody`` is a plain name."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111 # Path raises, drops "./"


@attrs.frozen
class Location:
    """An object, or a folder of objects, in S3."""

    bucket: str
    key: str
    region: str | None = None

    @property
    def url(self) -> str:
        """The location as ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"

    def inside(self, name: str) -> "Location":
        """Return the location of `name` in this folder."""
        slash = "" if not self.key or self.key.endswith("/") else "/"
        return attrs.evolve(self, key=f"{self.key}{slash}{name}")


def is_s3_url(url: Any) -> bool:
    """Return whether `url` names something in S3.

    Parameters
    ----------
    url : object
        ``s3://bucket/key``, or an https (or http) address of one of Amazon's S3 hosts
        with the bucket in its host or at the start of its path.

    Returns
    -------
    bool
        False for anything else, also for hosts that only look like Amazon's.

    Examples
    --------
    >>> from spikelab.data_loaders.s3_utils import is_s3_url
    >>> is_s3_url("s3://bucket/cells.nwb"), is_s3_url("cells.nwb")
    (True, False)
    """
    return _location(url) is not None


def parse_s3_url(url: str) -> tuple[str, str]:
    """Return the bucket and the key that an S3 URL names.

    The key of an ``s3://`` URL is what is written there, that of an https
    address is percent-decoded.

    Parameters
    ----------
    url : str
        See :func:`is_s3_url`.

    Raises
    ------
    ValueError
        If it is not an S3 URL, or names no key.

    Examples
    --------
    >>> from spikelab.data_loaders.s3_utils import parse_s3_url
    >>> parse_s3_url("s3://bucket/folder/cells.nwb")
    ('bucket', 'folder/cells.nwb')
    """
    found = located(url)
    if not found.key:
        raise ValueError(f"url must name a key in the bucket, got {shown(url)}")
    return found.bucket, found.key


def located(url: Any) -> Location:
    """Return bucket and key of an S3 URL, or raise ValueError; the key may be empty."""
    found = _location(url)
    if found is None:
        raise ValueError(f"url must be an S3 URL (s3://bucket/key), got {shown(url)}")
    return found


def _location(url: Any) -> Location | None:
    if not isinstance(url, str):
        return None
    if found := _S3.fullmatch(url):
        return Location(found["bucket"], found["key"] or "")
    if not (found := _AMAZON.fullmatch(url)):
        return None
    bucket, path = found["bucket"], unquote(found["path"] or "")
    if bucket is None:
        bucket, _, path = path.partition("/")
    is_bucket = re.fullmatch(_BUCKET, bucket) is not None
    return Location(bucket, path, found["region"]) if is_bucket else None


def is_url(target: Any, name: str = "filepath") -> bool:
    """Return whether `target` is a URL; see :func:`scheme_of`."""
    return scheme_of(target, name) is not None


def scheme_of(target: Any, name: str = "filepath") -> str | None:
    """Return the scheme of a URL, ``s3`` for all forms of S3, None for a local path.

    Raises
    ------
    ValueError
        If `target`, called `name` in errors, is a URL that cannot be used. Written as
        a file, it would end up in a folder called ``https:``.
    """
    text = str(target)
    found = _ANY_SCHEME.match(text) if ":/" in text else None
    if found is None:
        return None
    scheme = found["scheme"].lower()
    if "://" not in text:
        if scheme not in _NO_FOLDERS:
            return None
        problem = "be an S3 URL, or any other, as a string with ://, not as a Path"
    elif is_s3_url(text):
        return "s3"
    elif scheme == "s3":
        problem = "name a bucket of 3 to 63 letters, digits, dots and dashes"
    elif "@" in text.partition("://")[2].partition("?")[0]:
        problem = "not hold a user or password (give them as storage_options)"
    else:
        return scheme
    raise ValueError(f"{name} must {problem}, got {shown(text)}")


def without_secrets(url: Any) -> str:
    """Return a URL without user, password and signature."""
    text = re.sub(r"//\S*@", "//***@", str(url))
    return re.sub(r"\?.*", "?***", text, flags=re.DOTALL)


def shown(url: Any) -> str:
    """Return how an error shows a URL: in quotes, without secrets."""
    return repr(without_secrets(url))


def scrubbed(secrets: tuple[str, ...], text: str) -> str:
    """Return an error text in one line, without secrets, users and signatures."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"(//.*|\S*)@", r"***@", " ".join(text.split()))
    return re.sub(r"\?[^\s\"']*", "?***", text)
