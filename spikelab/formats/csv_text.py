"""The text of CSV files: cells, rows, and columns of numbers.

Files are UTF-8, with a header. A str is quoted if it holds what separates cells
(RFC 4180), and also if it would otherwise be taken for something else: ``"3"`` is a
str, ``3`` a number.
"""

import contextlib
import gzip
import io
import math
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError

_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r\n]*+))(,|\r\n|\n|\r|\Z)')
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]+)?"
    r"|[+-]?(?:nan|inf|infinity)",
    re.IGNORECASE,
)

_KEYWORDS = {"": None, "NA": None, "True": True, "False": False} | {
    "TRUE": True,
    "FALSE": False,
}
"""Cells without quotes that are no numbers; NA, TRUE and FALSE as R writes them."""

_MOST_BITS = 13_000
"""Of an integer; Python reads no longer ones."""

_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def fits(value: Any) -> bool:
    """Return whether a value fits into a cell and comes back equal."""
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)  # half a character
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return int(value).bit_length() <= _MOST_BITS
    return isinstance(value, float | np.bool_) or (
        isinstance(value, np.floating) and value.dtype.itemsize <= 8
    )


def cell(value: Any) -> str:
    """Return the cell that holds a value; None is an empty one."""
    if value is None:
        return ""
    if isinstance(value, str):
        is_plain = not re.search('[",\r\n]', value) and inferred(value) == value
        return value if is_plain else '"' + value.replace('"', '""') + '"'
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    return (
        str(int(value)) if isinstance(value, int | np.integer) else repr(float(value))
    )


def line(values: Iterable[Any]) -> str:
    """Return one row, with the end of its line."""
    return ",".join(map(cell, values)) + "\n"


def inferred(plain: str) -> Any:
    """Return what a cell without quotes holds."""
    if plain in _KEYWORDS:
        return _KEYWORDS[plain]
    if _INTEGER.fullmatch(plain):
        return int(plain)
    return float(plain) if _FLOAT.fullmatch(plain) else plain


def rows(content: str) -> Iterator[list[Any]]:
    """Yield the rows of a CSV text as numbers, bool, str and None.

    Raises
    ------
    FormatError
        If quotes are out of place.
    """
    position, row = 0, list[Any]()
    while position < len(content):
        found = _CELL.match(content, position)
        if found is None:
            number = content.count("\n", 0, position) + 1
            raise FormatError(f"line {number}: a quote is out of place")
        quoted, plain, end = found.groups()
        row.append(inferred(plain) if quoted is None else quoted.replace('""', '"'))
        position = found.end()
        if end != ",":
            yield row
            row = []
        elif position == len(content):
            yield [*row, None]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a file, compressed or not, for reading as text.

    Raises
    ------
    FormatError
        If the file is not UTF-8 text, or its compression is damaged.
    """
    with path.open("rb") as file:
        is_packed = file.peek(2)[:2] == b"\x1f\x8b"
        plain = gzip.GzipFile(fileobj=file) if is_packed else file
        try:
            head = plain.peek(4)[:4]
            if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in head:
                raise FormatError("it is text in UTF-16 or no text; CSV must be UTF-8")
            # Spreadsheets put a byte order mark before the header.
            yield io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
        except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
            raise FormatError(f"it is not CSV text in UTF-8: {error}") from error
        except (OverflowError, MemoryError) as error:
            raise FormatError(f"it holds what is too large: {error}") from error


def header(file: IO[str]) -> list[str]:
    """Return the names of the columns, and leave the file at the first row.

    Raises
    ------
    FormatError
        If there are none, or something else than commas separates them.
    """
    lines = [file.readline()]
    if re.fullmatch(r"(?i)sep=,\s*", lines[0]):  # for Excel
        lines = [file.readline()]
    quotes = lines[0].count('"')
    while quotes % 2 and lines[-1]:  # the end of a line in a quoted name
        lines.append(file.readline())
        quotes += lines[-1].count('"')
    text = "".join(lines)
    unquoted = re.sub('"[^"]*"', "", text)
    for mark, word in _OTHER_DELIMITERS.items():
        if mark in unquoted and "," not in unquoted:
            raise FormatError(
                f"its cells are separated by {word}; CSV must have commas between "
                "cells, and points in decimal numbers"
            )
    names = next(rows(text), [])
    if not names:
        raise FormatError("it is empty; a CSV file must have a header")
    return ["" if name is None else str(name) for name in names]


def filled_rows(file: IO[str]) -> list[list[Any]]:
    """Return the rows that are left of a file, but those of empty cells alone."""
    table = rows(file.read())
    return [row for row in table if any(c is not None and c != "" for c in row)]


def values(cells: Sequence[Any]) -> NDArray[Any]:
    """Return cells as bool if all are, int64 or uint64 if integers, else float64.

    A missing number is NaN.

    Raises
    ------
    FormatError
        If a cell holds no number.
    """
    found = [math.nan if value is None else value for value in cells]
    kinds = {type(value) for value in found}
    if not kinds <= {bool, int, float} or (bool in kinds and len(kinds) > 1):
        raise FormatError("it must hold numbers as its values")
    dtypes: list[Any] = [np.bool_] if kinds == {bool} else [np.float64]
    if kinds == {int}:
        dtypes = [np.int64, np.uint64, np.float64]
    for dtype in dtypes:
        try:
            return np.array(found, dtype=dtype)
        except OverflowError:
            continue
    raise FormatError("it must hold numbers of at most 64 bits")


def numbers(
    file: IO[str], n_columns: int, places: Sequence[int], dtypes: Sequence[type]
) -> list[NDArray[Any]]:
    """Return columns of numbers from the rows that are left of a file.

    Parameters
    ----------
    file : text file
        Behind the header.
    n_columns : int
        The number of columns in the header.
    places : sequence of int
        The positions of the columns.
    dtypes : sequence of type
        ``numpy.int64`` or ``numpy.float64`` for each, or ``numpy.object_`` for its
        texts.

    Raises
    ------
    FormatError
        If a column holds something else, or a row more cells than the header.
    """
    # All columns are read, other ones cut to a character: with `usecols`, loadtxt
    # overlooks rows that have more cells.
    wanted = dict(zip(places, dtypes, strict=True))
    fields = [(str(place), wanted.get(place, "U1")) for place in range(n_columns)]
    start = file.tell()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        try:
            table = np.loadtxt(
                file,
                dtype=fields,
                delimiter=",",
                quotechar='"',
                comments=None,
                ndmin=1,
            )
        except (ValueError, OverflowError) as error:
            file.seek(start)
            rows_left = filled_rows(file)
            _check_lengths(rows_left, n_columns)
            return _with_gaps(rows_left, places, dtypes, str(error))
    return [np.ascontiguousarray(table[str(place)]) for place in places]


def _check_lengths(table: list[list[Any]], n_columns: int) -> None:
    """Raise for a row that has more cells than the header, empty ones aside."""
    for i, row in enumerate(table, start=1):
        if any(cell is not None for cell in row[n_columns:]):
            raise FormatError(
                f"row {i} below the header has {len(row)} cells, the header "
                f"{n_columns}; decimal numbers must have points, not commas"
            )


def _with_gaps(
    table: list[list[Any]], places: Sequence[int], dtypes: Sequence[type], cause: str
) -> list[NDArray[Any]]:
    """Return columns in which cells are empty, or floats stand for integers.

    This is what other programs make of a table with NaN; it takes ten times as long.
    """
    arrays: list[NDArray[Any]] = []
    for place, dtype in zip(places, dtypes, strict=True):
        try:
            # Quotes make no number a str.
            cells = [row[place] for row in table]
            if dtype is np.object_:
                arrays.append(np.array(cells, dtype=object))
                continue
            array = values(
                [inferred(c.strip()) if type(c) is str else c for c in cells]
            )
            is_whole = array.dtype.kind == "i" or (
                np.array_equal(array, np.rint(array)) and np.all(abs(array) < 2.0**63)
            )
            if array.dtype.kind == "b" or (dtype is np.int64 and not is_whole):
                raise FormatError(cause)
        except (LookupError, FormatError) as error:
            raise FormatError(f"it does not hold numbers: {cause:.200}") from error
        arrays.append(array.astype(dtype))
    return arrays
