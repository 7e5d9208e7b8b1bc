"""The text files of a Phy folder: ``cluster_*.tsv`` and ``params.py``."""

import ast
import contextlib
import csv
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikelab import checks
from spikelab.errors import FormatError

Table = dict[str, dict[int, str]]
"""Text by column and cluster id."""

_ID_COLUMNS = ("cluster_id", "id")
_WHOLE = re.compile(r"[+-]?\d{1,40}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LARGEST_PARAMS = 2**16


def write_column(
    path: Path, column: str, ids: Iterable[int], values: Iterable[str]
) -> None:
    """Write a table of two columns, ``cluster_id`` and `column`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["cluster_id", column])
        writer.writerows(zip(ids, values, strict=True))


def as_text(value: Any) -> str | None:
    """Return a value as Phy, SpikeInterface and neo all read it, None if they cannot.

    neo takes a cell that does not start with a letter for a number, and knows
    no exponents. A missing value is an empty cell.
    """
    if isinstance(value, np.generic) or (
        isinstance(value, np.ndarray) and not value.ndim
    ):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        finite = math.isfinite(value)
        return np.format_float_positional(value, trim="0") if finite else None
    if isinstance(value, str) and _readable(value):
        return value
    return None


def _readable(text: str) -> bool:
    """Tell whether neo can read `text`, and whether it stays one line."""
    if not text or re.search(r"[\0\r\n]", text):
        return not text
    return bool(re.match("[a-zA-Z]", text) or re.fullmatch(r"-?\d+(\.\d*)?", text))


def number(text: str) -> float | int | None:
    """Return the number that `text` is, None if it is none."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else None


def guessed(text: str) -> Any:
    """Return a cell as a number, True, False, or the text itself."""
    found = number(text)
    return {"True": True, "False": False}.get(text, text) if found is None else found


def read_table(path: Path) -> Table:
    """Return the columns of a ``cluster_*`` table (``.tsv``, or ``.csv`` with commas).

    A table without a column ``cluster_id`` or ``id`` is empty, and so are
    cells without text.

    Raises
    ------
    FormatError
        If it is not UTF-8, or an id is not a whole number.
    """
    checks.regular_file(path)
    table: Table = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(
                file, delimiter="," if path.suffix == ".csv" else "\t"
            )
            names = [name for name in rows.fieldnames or [] if name]
            key = next((name for name in _ID_COLUMNS if name in names), None)
            for row in rows if key else ():
                cluster = _cluster_id(row[str(key)])
                for name in names:
                    if name != key and row[name]:
                        table.setdefault(name, {})[cluster] = row[name]
    except (ValueError, TypeError, OverflowError, csv.Error) as error:
        raise FormatError(f"{path} is not a table of clusters: {error}") from error
    return table


def _cluster_id(text: str) -> int:
    """Return a cluster id, which tables may hold as ``3`` or as ``3.0``."""
    try:
        number = int(text)
    except ValueError:
        if not float(text).is_integer():
            raise
        number = int(float(text))
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"cluster ids must fit into int64, got {text!r:.40}")
    return number


def read_tables(folder: Path) -> Table:
    """Return the columns of all ``cluster_*`` tables of a folder.

    ``cluster_info``, in which Phy gathers the others, fills what those leave.
    """
    files = [f for f in folder.glob("cluster_*") if f.suffix in (".tsv", ".csv")]
    table: Table = {}
    for file in sorted(
        files, key=lambda file: (file.stem == "cluster_info", file.name)
    ):
        for column, cells in read_table(file).items():
            table[column] = {**cells, **table.get(column, {})}
    return table


def params_text(values: Mapping[str, Any]) -> str:
    """Return the text of a ``params.py``.

    neo finds ``name = value`` by a pattern: no comments, no spaces in values.
    """
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def read_params(path: Path) -> dict[str, Any]:
    """Return the constants that a ``params.py`` assigns; it is parsed, never run.

    What is missing, no file, too long, or not Python assigns nothing.
    """
    if not path.is_file():  # a pipe would never end
        return {}
    try:
        with path.open("rb") as file:
            source = file.read(_LARGEST_PARAMS + 1)
        tree = (
            ast.parse(source) if len(source) <= _LARGEST_PARAMS else ast.Module([], [])
        )
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            with contextlib.suppress(
                ArithmeticError, ValueError, TypeError, MemoryError, RecursionError
            ):
                found.update(dict.fromkeys(names, ast.literal_eval(node.value)))
    return found
