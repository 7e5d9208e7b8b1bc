"""Cells of CSV files: numbers, truth values and text, and back.

Text is quoted if it holds what separates cells (RFC 4180), and also if it
would otherwise be taken for something else: ``"3"`` is text, ``3`` a number.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from spikelab.errors import FormatError

_CELL = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r\n]*+))(,|\r\n|\n|\r|\Z)')
_INTEGER = re.compile(r"[+-]?[0-9]{1,4000}")
_TRUTHS = {"True": True, "False": False, "TRUE": True, "FALSE": False}
"""Truth values, the last two as R writes them."""

_MISSING = ("", "NA")
"""Cells without a value, the second as R writes it."""

_MOST_BITS = 13_000
"""Of an integer; Python reads no longer ones."""

_FLOAT = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|[+-]?(?:nan|inf|infinity)",
    re.IGNORECASE,
)


def is_scalar(value: Any) -> bool:
    """Tell whether `value` fits into a cell and comes back equal."""
    if isinstance(value, str):
        return _is_encodable(value)
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return int(value).bit_length() <= _MOST_BITS
    return isinstance(value, float | np.bool_) or (
        isinstance(value, np.floating) and value.dtype.itemsize <= 8
    )


def _is_encodable(value: str) -> bool:
    """Tell whether text is valid Unicode: half of a surrogate pair is not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: Any) -> str:
    """Return the cell that holds `value`; None is an empty one."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return str(int(value))
    return repr(float(value))


def _quoted(value: str) -> str:
    if any(character in value for character in '",\r\n') or inferred(value) != value:
        return '"' + value.replace('"', '""') + '"'
    return value


def line(values: Iterable[Any]) -> str:
    """Return one row, with the end of its line."""
    return ",".join(map(text, values)) + "\n"


def rows(content: str, name: str) -> Iterator[list[Any]]:
    """Yield the rows of a CSV text as numbers, truth values, text and None.

    Raises
    ------
    FormatError
        If quotes are out of place; `name` is the file in the error.
    """
    position, row = 0, list[Any]()
    while position < len(content):
        cell = _CELL.match(content, position)
        if cell is None:
            number = content.count("\n", 0, position) + 1
            raise FormatError(f"{name}, line {number}: a quote is out of place")
        quoted, plain, end = cell.groups()
        row.append(inferred(plain) if quoted is None else quoted.replace('""', '"'))
        position = cell.end()
        if end != ",":
            yield row
            row = []
        elif position == len(content):
            yield [*row, None]


def inferred(plain: str) -> Any:
    """Return what a cell without quotes holds."""
    if plain in _MISSING:
        return None
    if plain in _TRUTHS:
        return _TRUTHS[plain]
    if _INTEGER.fullmatch(plain):
        return int(plain)
    return float(plain) if _FLOAT.fullmatch(plain) else plain
