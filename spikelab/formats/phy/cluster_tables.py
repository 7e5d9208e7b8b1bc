"""The ``cluster_*.tsv`` tables of a Phy folder: one row per cluster."""

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats.phy import npy
from spikelab.spikedata.unit_table import ELECTRODE_KEYS, LABEL_KEYS, is_nan

Table = dict[str, dict[int, str]]
"""The cells that are not empty, by column and cluster."""

UNSORTED = "unsorted"  # Phy's label for a cluster that has none

# Columns with a meaning, whose names are known in any case.
_NAMES = (*LABEL_KEYS, "KSLabel", *ELECTRODE_KEYS, "si_unit_id", "unit_id")

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# A text that neo can read, and that stays one line.
_READABLE = re.compile(r"([a-zA-Z][^\0\r\n\ud800-\udfff]*|-?\d+(\.\d*)?)?")

_SHOWN = 10  # rows that a warning names


@attrs.frozen
class TableColumn:
    """One column of a table, as it is exported."""

    name: str  # in the table
    attribute: str  # of the units
    # "value" (numbers, bools), "text", "label" (`UNSORTED` stands for none), "coordinate"
    # (one of a location), "id" (for SpikeInterface), or "" (of another program)
    kind: str
    # Of each unit, in the order of the recording; "" for none.
    cells: Sequence[str] = ()
    container: str = "list"  # of coordinates: "list", "tuple" or a dtype

    def written(self) -> list[str]:
        """Return the cells as they stand in the table."""
        missing = UNSORTED if self.kind == "label" else ""
        return [cell or missing for cell in self.cells]

    def write(self, path: Path, clusters: Sequence[int]) -> None:
        """Write a table of two columns, ``cluster_id`` and this one."""
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(["cluster_id", self.name])
            writer.writerows(zip(clusters, self.written(), strict=True))


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas' NA or NaT."""
    named = type(value).__name__ in ("NAType", "NaTType")
    return value is None or named or is_nan(value)


def as_text(value: Any) -> str | None:
    """Return a value as Phy, SpikeInterface and neo all read it, None if they cannot.

    neo takes a cell that does not start with a letter for a number, and knows no
    exponents. A missing value is an empty cell.
    """
    if isinstance(value, np.generic | np.ndarray) and not value.ndim:
        value = value.item()
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, str):
        return str(value) if _READABLE.fullmatch(value) else None
    if isinstance(value, float) and math.isfinite(value):
        return np.format_float_positional(value, trim="0")
    return "" if is_missing(value) else None


def number(text: str) -> float | int | None:
    """Return the number that `text` is, None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    text = text.strip()
    try:
        return int(text)
    except ValueError:
        return float(text)


def whole_number(text: str) -> int | None:
    """Return the whole number that `text` is, also as "3.0", None if it is none."""
    found = number(text)
    return int(found) if found is not None and float(found).is_integer() else None


def guessed(text: str) -> Any:
    """Return a cell as a number, True, False, or the text itself."""
    if (found := number(text)) is not None:
        return found
    if text in ("True", "False"):
        return text == "True"
    return _NOT_FINITE.get(text.strip().lower(), text)


def are_same(a: str, b: str) -> bool:
    """Return whether two cells are equal, also if Phy wrote a number in another way."""
    return a == b or (number(a) is not None and number(a) == number(b))


def read_tables(
    folder: Path, channels: Mapping[str, Container[int]]
) -> dict[Path, Table]:
    """Return all ``cluster_*`` tables of a folder, in the order in which they count.

    As in Phy, a .tsv goes before a .csv, and ``cluster_info``, which gathers the columns
    of the others, comes last. One that cannot be read is left out with a warning.
    """
    files = [
        (file.stem == "cluster_info", file.suffix.lower() == ".csv", file)
        for file in folder.glob("cluster_*")
        if file.suffix.lower() in (".tsv", ".csv")
    ]
    tables = {f: npy.optional(read_table, f, channels) for *_, f in sorted(files)}
    return {file: table for file, table in tables.items() if table is not None}


def combined(tables: Mapping[Path, Table], exported: Collection[str]) -> Table:
    """Return the columns of all tables; later ones fill what earlier ones leave.

    Names that differ in case only are one, unless both were `exported`. A warning names
    clusters for which another column than one of ``cluster_info`` holds another text.
    """
    names = {name.lower(): name for name in (*_NAMES, *exported)}
    table: Table = {}
    for path, found in tables.items():
        for column, cells in found.items():
            name = names.setdefault(column.lower(), column)
            known = table.setdefault(column if column in exported else name, {})
            differing = [
                cluster
                for cluster in sorted(cells.keys() & known.keys())
                if cells[cluster] != known[cluster]
                and number(cells[cluster]) is None
                and cells[cluster].strip().lower() != known[cluster].strip().lower()
            ]
            if differing and path.stem != "cluster_info":
                warn(
                    f"{path}: left out the {column} of cluster {_listed(differing)}, "
                    "which another column contradicts"
                )
            known.update({**cells, **known})
    return table


def read_table(path: Path, channels: Mapping[str, Container[int]]) -> Table:
    """Return the columns of a table, whose delimiter is a tab, a comma or a semicolon.

    Rows whose id is no whole number, or that are not UTF-8, are left out, and cells of a
    column in `channels` (in lower case) that are none of those numbers; of rows of one
    cluster the last counts. One warning names the rows. Rows and cells of blanks count
    for nothing. Raises FormatError for a file that is no table, or has no column
    ``cluster_id`` or ``id``.
    """
    validate.regular_file(path)
    try:
        # Bytes that are not UTF-8 become characters that no file can hold.
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
        header = text.split("\n", 1)[0]
        if header[:2] in ("\udcff\udcfe", "\udcfe\udcff") or "\0" in header:
            raise FormatError(f"{path} is UTF-16 or no text at all: save it as UTF-8")
        # A quotation mark without a second one is part of a note.
        rows = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=next(filter(header.__contains__, "\t,;"), "\t"),
            quoting=csv.QUOTE_NONE if text.count('"') % 2 else csv.QUOTE_MINIMAL,
        )
        names = list(map(str.strip, next(rows, [])))
        while names and not names[-1]:
            del names[-1]
        lower = list(map(str.lower, names))
        key = next(filter(lower.__contains__, ("cluster_id", "id")), None)
        if key is None:
            raise FormatError(f"{path} has no column cluster_id or id, got {names}")
        table, odd = _cells(rows, names, lower.index(key), channels)
    except (OSError, csv.Error) as error:
        raise FormatError(f"{path} is not a table of clusters: {error}") from error
    if odd:
        found = [text.format(_listed(sorted(at))) for text, at in odd.items()]
        warn(f"{path}: {'; '.join(found)}")
    return table


def _cells(
    rows: Any, names: list[str], key: int, channels: Mapping[str, Container[int]]
) -> tuple[Table, dict[str, set[int]]]:
    """Return the columns of a table, and the numbers of odd rows by what is odd."""
    table: Table = {}
    odd: dict[str, set[int]] = defaultdict(set)
    seen: dict[int, set[int]] = defaultdict(set)
    columns = [(i, n, channels.get(n.lower())) for i, n in enumerate(names) if i != key]
    for row in rows:
        text, line = "".join(row), rows.line_num
        if not text.strip():
            continue
        cell = row[key] if key < len(row) else ""
        is_short = cell.isdecimal() and len(cell) < 20
        cluster = int(cell) if is_short else whole_number(cell)
        if (
            cluster is None
            or abs(cluster) >= 2**63
            or re.search("[\ud800-\udfff]", text)
        ):
            odd["left out row {}, which has no cluster id or is not UTF-8"].add(line)
            continue
        seen[cluster].add(line)
        if "".join(row[len(names) :]).strip():
            odd["left out cells in row {} beyond the last column"].add(line)
        for i, name, numbers in columns:
            cell = row[i] if i < len(row) else ""
            if not (cell.strip() and name):
                continue
            if numbers is not None:
                channel = whole_number(cell)
                is_none = channel is None and is_missing(guessed(cell))
                if not is_none and channel not in numbers:
                    text = "left out ch in row {}, which is no channel of the folder"
                    odd[text].add(line)
                    continue
            cells = table.setdefault(name, {})
            if cluster in cells and not are_same(cells[cluster], cell):
                odd["rows {} contradict each other, the last counts"] |= seen[cluster]
            cells[cluster] = cell
    return table, odd


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _SHOWN} more" * (len(numbers) > _SHOWN)
    return ", ".join(map(str, numbers[:_SHOWN])) + more
