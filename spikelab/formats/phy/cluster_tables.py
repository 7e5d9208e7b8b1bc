"""The ``cluster_*.tsv`` tables of a Phy folder: one row per cluster."""

import codecs
import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats.phy import npy
from spikelab.spikedata.unit_table import ELECTRODE_KEYS, LABEL_KEYS, is_missing

Table = dict[str, dict[int, str]]
"""The cells that are not empty, by column and cluster."""

UNSORTED = "unsorted"  # Phy's label for a cluster that has none

# Columns with a meaning, whose names are known in any case.
_NAMES = (*LABEL_KEYS, "KSLabel", *ELECTRODE_KEYS, "si_unit_id", "unit_id")

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# A text that neo can read, and that stays one line.
_READABLE = re.compile(r"([a-zA-Z][^\0\r\n\ud800-\udfff]*|-?\d+(\.\d*)?)?")

# What surrogateescape makes of bytes that are not UTF-8.
_NOT_UTF8 = re.compile("[\ud800-\udfff]")

_SHOWN = 10  # rows that a warning names


ColumnKind = Literal["value", "text", "label", "coordinate", "id"]


@attrs.frozen
class TableColumn:
    """One column of a table."""

    name: str  # in the table
    attribute: str  # of the units
    # What a cell holds: a number, bool or text ("value"), a text whatever it looks like
    # ("text"), a label, where `UNSORTED` stands for none ("label"), one coordinate of a
    # location ("coordinate"), or the id for SpikeInterface ("id").
    kind: ColumnKind
    # Of each unit, in the order of the recording; "" for none.
    cells: Sequence[str] = ()
    container: str = "list"  # of coordinates: "list", "tuple" or the dtype of an array

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
    if isinstance(found, float):
        return int(found) if found.is_integer() else None
    return found


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


def read_tables(folder: Path, channels: Container[int] | None) -> dict[Path, Table]:
    """Return all ``cluster_*`` tables of a folder, in the order in which they count.

    As in Phy, a .tsv goes before a .csv, and ``cluster_info``, which gathers the columns
    of the others, comes last. One that cannot be read is left out with a warning.
    """
    files = [
        f for f in folder.glob("cluster_*") if f.suffix.lower() in (".tsv", ".csv")
    ]
    files.sort(key=lambda f: (f.stem == "cluster_info", f.suffix.lower() == ".csv", f))
    tables = {file: npy.optional(read_table, file, channels) for file in files}
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
                if number(cells[cluster]) is None
                and cells[cluster].strip().lower() != known[cluster].strip().lower()
            ]
            if differing and path.stem != "cluster_info":
                warn(
                    f"{path}: left out the {column} of cluster {_listed(differing)}, "
                    "which another column contradicts"
                )
            known.update({**cells, **known})
    return table


def read_table(path: Path, channels: Container[int] | None = None) -> Table:
    """Return the columns of a table, whose delimiter is a tab, a comma or a semicolon.

    Rows whose id is no whole number, or that are not UTF-8, are left out, and cells of
    the columns ``ch`` and ``channel`` that are none of the `channels`; of rows of one
    cluster the last counts. One warning names the rows. Rows and cells of blanks count
    for nothing. Raises FormatError for a file that is no table, or has no column
    ``cluster_id`` or ``id``.
    """
    validate.regular_file(path)
    try:
        content = path.read_bytes()
        header = content.split(b"\n", 1)[0]
        if header[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in header:
            raise FormatError(f"{path} is UTF-16 or no text at all: save it as UTF-8")
        # Bytes that are not UTF-8 become characters that no file can hold.
        text = content.decode("utf-8-sig", errors="surrogateescape")
        rows = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=next((mark for mark in "\t,;" if mark.encode() in header), "\t"),
            # A quotation mark without a second one is part of a note.
            quoting=csv.QUOTE_NONE if text.count('"') % 2 else csv.QUOTE_MINIMAL,
        )
        names = [name.strip() for name in next(rows, [])]
        while names and not names[-1]:
            del names[-1]
        lower = [name.lower() for name in names]
        id_name = "cluster_id" if "cluster_id" in lower else "id"
        if id_name not in lower:
            raise FormatError(f"{path} has no column cluster_id or id, got {names}")
        table, left_out = _read_rows(rows, names, lower.index(id_name), channels)
    except (OSError, csv.Error) as error:
        raise FormatError(f"{path} is not a table of clusters: {error}") from error
    if left_out:
        warn(f"{path}: {'; '.join(left_out)}")
    return table


def _read_rows(
    rows: Any, names: list[str], id_column: int, channels: Container[int] | None
) -> tuple[Table, list[str]]:
    """Return the columns of a table, and in words what is left out of which rows."""
    table: Table = {}
    without_id: set[int] = set()
    too_long: set[int] = set()
    wrong_channel: set[int] = set()
    contradicting: set[int] = set()
    rows_of: dict[int, set[int]] = defaultdict(set)  # of each cluster
    for row in rows:
        text = "".join(row)
        if not text.strip():
            continue
        cluster = whole_number(row[id_column]) if id_column < len(row) else None
        if cluster is None or abs(cluster) >= 2**63 or _NOT_UTF8.search(text):
            without_id.add(rows.line_num)
            continue
        rows_of[cluster].add(rows.line_num)
        if "".join(row[len(names) :]).strip():
            too_long.add(rows.line_num)
        for i, (name, cell) in enumerate(zip(names, row, strict=False)):
            if i == id_column or not name or not cell.strip():
                continue
            if channels is not None and name.lower() in ("ch", "channel"):
                channel = whole_number(cell)
                is_blank = channel is None and is_missing(guessed(cell))
                if not is_blank and channel not in channels:
                    wrong_channel.add(rows.line_num)
                    continue
            cells = table.setdefault(name, {})
            if cluster in cells and not are_same(cells[cluster], cell):
                contradicting |= rows_of[cluster]
            cells[cluster] = cell
    left_out = {
        "left out row {}, which has no cluster id or is not UTF-8": without_id,
        "left out cells in row {} beyond the last column": too_long,
        "left out ch in row {}, which is no channel of the folder": wrong_channel,
        "rows {} contradict each other, the last counts": contradicting,
    }
    found = {text: sorted(lines) for text, lines in left_out.items() if lines}
    return table, [text.format(_listed(lines)) for text, lines in found.items()]


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    n_more = len(numbers) - _SHOWN
    return f"{shown} and {n_more} more" if n_more > 0 else shown
