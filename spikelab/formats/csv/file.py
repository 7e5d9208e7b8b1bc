"""CSV files as such: compressed or not, UTF-8, with a header."""

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from spikelab.errors import FormatError
from spikelab.formats.csv import cells as csv_cells

_GZIP_LEVEL = 6
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER = 2**24

_LEAST_TEXT, _INFLATION = 2**26, 50
"""Bytes that any compressed file may unpack to, and more for each of its own."""


def is_compressed(filepath: str | os.PathLike[str]) -> bool:
    """Tell whether a file of this name is written compressed."""
    return os.fspath(filepath).lower().endswith(".gz")


@contextlib.contextmanager
def created(path: Path, *, compressed: bool) -> Iterator[IO[bytes]]:
    """Open a file for writing; the same content gives the same bytes."""
    with path.open("wb") as file:
        if not compressed:
            yield file
            return
        with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
            yield cast(IO[bytes], packed)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a file for reading as text; what is compressed tells itself.

    Raises
    ------
    FormatError
        If the file is not UTF-8 text, or its compression is damaged.
    """
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        limit = _LEAST_TEXT + _INFLATION * size
        plain = io.BufferedReader(_Unpacked(file, limit)) if packed else file
        # Spreadsheets put a byte order mark before the header.
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        try:
            yield text
        except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(f"{path} is not CSV text in UTF-8: {error}") from error
        except (OverflowError, MemoryError) as error:
            raise FormatError(f"{path} holds what is too large: {error}") from error


class _Unpacked(io.RawIOBase):
    """A compressed file that refuses to become much larger than tables do."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._left, self._limit = gzip.GzipFile(fileobj=file), limit, limit

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        count = self._file.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise gzip.BadGzipFile(f"it unpacks to more than {self._limit} bytes")
        return count


def header(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    FormatError
        If there is no header.
    """
    with opened(path) as file:
        lines = [file.readline(_LONGEST_HEADER)]
        length, quotes = len(lines[0]), lines[0].count('"')
        while lines[-1] and quotes % 2 and length < _LONGEST_HEADER:
            lines.append(file.readline(_LONGEST_HEADER))
            length, quotes = length + len(lines[-1]), quotes + lines[-1].count('"')
        if length >= _LONGEST_HEADER:
            raise FormatError(f"{path} has a header of more than {length} characters")
    names = next(csv_cells.rows("".join(lines), str(path)), [])
    if not names:
        raise FormatError(f"{path} is empty; a CSV file must have a header")
    return ["" if name is None else str(name) for name in names]
