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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

_WORDS: dict[str, bool | None] = {
    "": None,
    "NA": None,
    "True": True,
    "TRUE": True,
    "true": True,
    "False": False,
    "FALSE": False,
    "false": False,
}
"""Cells without quotes that are no numbers; NA and TRUE of R, true of polars and DuckDB."""

_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def fits(value: Any) -> bool:
    """Return whether a value fits into a cell and comes back equal."""
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)  # half a character
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return int(value).bit_length() <= 13_000  # Python reads no longer ones
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
    if plain in _WORDS:
        return _WORDS[plain]
    if _INTEGER.fullmatch(plain):
        return int(plain)
    return float(plain) if _FLOAT.fullmatch(plain) else plain


def rows(content: str) -> Iterator[list[Any]]:
    """Yield the rows of a CSV text as numbers, bool, str and None."""
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
    """Open a file, compressed or not, for reading as text."""
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
    """Return the names of the columns, and leave the file at the first row."""
    text = file.readline()
    # A line for Excel, or empty cells above the table.
    while text and re.fullmatch(r'(?i)sep=,\s*|[,;\s"]*', text):
        text = file.readline()
    text = re.sub("^# *", "", text)  # of numpy.savetxt
    # The end of a line may stand in a quoted name.
    while text.count('"') % 2 and (more := file.readline()):
        text += more
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
    if all(type(name) in (int, float) for name in names):
        raise FormatError(
            f"it must begin with a header, the names of its columns, got {text.strip()!r}"
        )
    return ["" if name is None else str(name) for name in names]


def filled_rows(file: IO[str]) -> list[list[Any]]:
    """Return the rows that are left of a file, but those of empty cells alone."""
    table = rows(file.read())
    return [row for row in table if any(c is not None and c != "" for c in row)]


def values(cells: Sequence[Any]) -> NDArray[Any]:
    """Return cells as bool, int64 or uint64 if all are, else float64 with NaN for None."""
    found = [math.nan if value is None else value for value in cells]
    kinds = {type(value) for value in found}
    if not kinds <= {bool, int, float} or (bool in kinds and len(kinds) > 1):
        raise FormatError("it must hold numbers as its values")
    dtypes: list[Any] = [np.bool_] if kinds == {bool} else [np.float64]
    if kinds == {int}:
        dtypes = [np.int64, np.uint64, np.float64]
    for dtype in dtypes:
        with contextlib.suppress(OverflowError):
            return np.array(found, dtype=dtype)
    raise FormatError("it must hold numbers of at most 64 bits")


def read_columns(
    file: IO[str], n_columns: int, wanted: Mapping[int, type]
) -> list[NDArray[Any]]:
    """Return the columns at the places `wanted`, from the rows that are left of a file.

    Each is int64 or float64 as `wanted` says, or the texts of its cells for object.
    """
    # All columns are read, other ones cut to a character: with `usecols`, loadtxt
    # overlooks rows that have more cells.
    fields = [(str(place), wanted.get(place, "U1")) for place in range(n_columns)]
    options = {"delimiter": ",", "quotechar": '"', "comments": None, "ndmin": 1}
    start = file.tell()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        try:
            table = np.loadtxt(file, dtype=fields, **options)  # type: ignore[call-overload]
        except (ValueError, OverflowError) as error:
            cause = f"{error!s:.200}"
            if re.search("'[+-]?[0-9]+,[0-9]+'", cause):
                cause += " Decimal numbers must have points, not commas."
        else:
            return [np.ascontiguousarray(table[str(place)]) for place in wanted]
    file.seek(start)
    rows_left = filled_rows(file)
    for i, row in enumerate(rows_left, start=1):
        if any(cell is not None for cell in row[n_columns:]):
            raise FormatError(
                f"row {i} below the header has {len(row)} cells, the header "
                f"{n_columns}; decimal numbers must have points, not commas"
            )
    try:
        return [
            _with_gaps([row[place] for row in rows_left], dtype)
            for place, dtype in wanted.items()
        ]
    except (LookupError, FormatError) as error:
        raise FormatError(f"it does not hold numbers: {cause}") from error


def _with_gaps(cells: list[Any], dtype: type) -> NDArray[Any]:
    """Return a column in which cells are empty, or floats stand for integers.

    This is what other programs make of a table with NaN; it takes ten times as long.
    """
    if dtype is np.object_:
        return np.array(cells, dtype=object)
    # Quotes make no number a str.
    array = values([inferred(c.strip()) if type(c) is str else c for c in cells])
    if array.dtype.kind == "b":
        raise FormatError("it must hold numbers, not bool")
    if dtype is np.int64 and array.dtype.kind != "i":
        is_whole = np.array_equal(array, np.rint(array))
        if not is_whole or np.any(abs(array) >= 2.0**63):
            raise FormatError("it must hold whole numbers")
    return array.astype(dtype)
