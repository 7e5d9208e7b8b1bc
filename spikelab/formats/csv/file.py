"""CSV files as such: compressed or not, UTF-8, with a header."""

import contextlib
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from spikelab.errors import FormatError
from spikelab.formats.csv import cells as csv_cells

_GZIP_LEVEL = 6
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER = 2**24


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
        plain = gzip.GzipFile(fileobj=file) if packed else file
        # Spreadsheets put a byte order mark before the header.
        text = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        try:
            yield text
        except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(f"{path} is not CSV text in UTF-8: {error}") from error


def header(path: Path) -> list[str]:
    """Return the names of the columns.

    Raises
    ------
    FormatError
        If there is no header.
    """
    with opened(path) as file:
        line = more = file.readline(_LONGEST_HEADER)
        while more and line.count('"') % 2 and len(line) < _LONGEST_HEADER:
            line += (more := file.readline(_LONGEST_HEADER))
    names = next(csv_cells.rows(line, str(path)), [])
    if not names:
        raise FormatError(f"{path} is empty; a CSV file must have a header")
    return ["" if name is None else str(name) for name in names]
