"""The forms in which people write where an object in S3 is."""

import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}"

_HOST = re.compile(
    rf"(?:(?P<bucket>{_BUCKET})\.)?"
    r"s3(?:-accelerate|-fips)?"
    r"(?:\.dualstack)?"
    r"(?:[.-](?P<region>[a-z]{2}(?:-[a-z]+)+-\d{1,2}))?"
    r"\.amazonaws\.com(?:\.cn)?"
)
"""Amazon's hosts for objects: of a bucket, or, without one, of all of them."""

_ANY_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")


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


def shown(url: Any) -> str:
    """Return what an error may show of a URL: no user, no password, no signature."""
    text = re.sub(r"//\S*@", "//***@", str(url))
    return repr(re.sub(r"\?.*", "?***", text, flags=re.DOTALL))


def is_s3_url(url: Any) -> bool:
    """Tell whether `url` names something in S3.

    Parameters
    ----------
    url : object
        ``s3://bucket/key``, or an https (or http) address of one of Amazon's S3 hosts
        with the bucket in its host or at the start of its path.

    Returns
    -------
    bool
        False for anything else, also for hosts that only look like Amazon's.
    """
    return isinstance(url, str) and _location(url) is not None


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
    """
    found = located(url)
    if not found.key:
        raise ValueError(f"url must name a key in the bucket, got {shown(url)}")
    return found.bucket, found.key


def located(url: Any) -> Location:
    """Return what an S3 URL names; the key may be empty.

    Raises
    ------
    ValueError
        If it is not an S3 URL.
    """
    found = _location(url) if isinstance(url, str) else None
    if found is None:
        raise ValueError(f"url must be an S3 URL (s3://bucket/key), got {shown(url)}")
    return found


def refuse_other_urls(name: str, target: str | os.PathLike[str]) -> None:
    """Raise ValueError if `target`, called `name`, is a URL and not one of S3.

    Written as a file, it would end up in a folder called ``https:``.
    """
    text = os.fspath(target)
    scheme = _ANY_SCHEME.match(text) if isinstance(text, str) else None
    is_collapsed = isinstance(target, os.PathLike) and "://" not in text
    if scheme and is_collapsed and scheme["scheme"].lower() in ("s3", "http", "https"):
        raise ValueError(
            f"{name} must be the S3 URL as a string, not as a Path, got {shown(text)}"
        )
    if scheme and scheme["scheme"].lower() == "s3":
        raise ValueError(
            f"{name} must name a bucket of 3 to 63 letters, digits, dots and dashes, "
            f"got {shown(text)}"
        )
    if scheme and "://" in text:
        raise ValueError(f"{name} must be a path or an S3 URL, got {shown(text)}")


def _location(url: str) -> Location | None:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return None
    if scheme.lower() == "s3":
        bucket, _, key = rest.partition("/")
        return Location(bucket, key) if re.fullmatch(_BUCKET, bucket) else None
    if scheme.lower() in ("https", "http"):
        return _at_amazon(url)
    return None


def _at_amazon(url: str) -> Location | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no address
        return None
    host = _HOST.fullmatch(parts.netloc.lower())
    if host is None or parts.query or parts.fragment:
        return None
    bucket, path = host["bucket"], unquote(parts.path).removeprefix("/")
    if bucket is None:
        bucket, _, path = path.partition("/")
    if not re.fullmatch(_BUCKET, bucket):
        return None
    return Location(bucket, path, host["region"])
