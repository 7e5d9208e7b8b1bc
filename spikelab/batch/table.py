"""A table with one row per recording: its source, and what is known about it."""

import csv
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab.batch.options import check_options, options_of, suggestion
from spikelab.batch.places import path_or_url
from spikelab.bridges.columns import holds_nothing
from spikelab.errors import warn
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.registry import Format
from spikelab.storage.urls import expanded, is_url

_CLASSES: dict[str, Any] = {"session": NWBSession, "subject": NWBSubject}
"""The options that several columns describe."""


@attrs.frozen
class Row:
    """A row of a table, or a recording of which no table says more."""

    number: int
    source: str
    options: dict[str, Any] = attrs.field(factory=dict)  # session and subject, too
    names: dict[str, Any] = attrs.field(factory=dict)  # all cells, for the target

    def __str__(self) -> str:
        return f"row {self.number} ({self.source})"


def read_table(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the rows of a CSV file, separated by commas, semicolons or tabs."""
    try:
        text = Path(expanded(path)).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be a CSV file in UTF-8: {error}") from None
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(text.splitlines(keepends=True), delimiter=delimiter)
    names = [name.strip() for name in reader.fieldnames or ()]
    if len(set(names)) < len(names):
        raise ValueError(f"{path} must have each column once, got {', '.join(names)}")
    reader.fieldnames = names
    rows = []
    for number, row in enumerate(reader, start=1):
        if None in row:
            raise ValueError(f"{path}: row {number} has more cells than the header")
        rows.append({k: v.strip() if v else None for k, v in row.items()})
    return rows


def checked_rows(
    table: Any, entry: Format, common: Mapping[str, Any], fields: Set[str]
) -> list[Row]:
    """Return the rows of a table, checked as if each file were to be written.

    `common` are options of all recordings, before which those of a row go, and `fields`
    those of the target's template. Errors name row, column and value.
    """
    if isinstance(table, str | os.PathLike):
        table = read_table(table)
    elif hasattr(table, "to_dict"):
        table = table.to_dict("records")
    known = options_of(entry)
    fields_of = {n: attrs.fields_dict(c) for n, c in _CLASSES.items() if n in known}
    session_and_subject = {name for names in fields_of.values() for name in names}
    single = {n: option for n, option in known.items() if n not in session_and_subject}
    usable = {"source", *session_and_subject, *single, *fields}
    rows = [_row(number, given) for number, given in enumerate(table, start=1)]
    if not rows:
        raise ValueError("table must have at least one row, got none")
    for name in dict.fromkeys(name for row in rows for name in row.names):
        if name not in usable:
            what = f"no field of session, subject or target, nor option of {entry.name}"
            if hint := suggestion(name, usable):
                raise ValueError(f"column {name!r} is {what}{hint}")
            warn(f"column {name!r} is not used: it is {what}")
    for row in rows:
        for name in single.keys() & row.names:
            value = row.names[name]
            try:
                parsed = single[name].parsed(value) if isinstance(value, str) else value
            except (TypeError, ValueError, OSError) as error:
                raise ValueError(f"{row}, column {name}: {error}") from None
            row.options[name] = parsed
        for name, columns in fields_of.items():
            cells = {key: row.names[key] for key in columns if key in row.names}
            # A session's id alone, say, may be there for the name of the file only.
            if cells.keys() - fields:
                row.options[name] = _described(row, name, cells, common.get(name))
        try:
            check_options(entry, {**common, **row.options})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{row}: {error}") from None
    return rows


def _row(number: int, given: Any) -> Row:
    """Return the cells of a row that are not empty, and its source."""
    if not isinstance(given, Mapping):
        raise TypeError(
            "table must be a DataFrame, the path of a CSV file, or a sequence with a "
            f"mapping for each row, got the row {given!r:.80}"
        )
    cells = {}
    for name, value in given.items():
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # as pandas holds the integers of a column with gaps
        is_blank = isinstance(value, str) and not value.strip()
        if not (holds_nothing(value) or is_blank):
            cells[str(name)] = value
    if "source" not in cells:
        raise ValueError(f"row {number}: column source must be given")
    row = Row(number, path_or_url(cells["source"]), names=cells)
    if not is_url(row.source) and not Path(row.source).exists():
        raise ValueError(
            f"{row}, column source: no such file or folder, got {row.source!r}"
        )
    return row


def _described(row: Row, name: str, cells: dict[str, Any], common: Any) -> Any:
    """Return the session or subject that the cells of a row describe."""
    fields = attrs.fields_dict(_CLASSES[name])
    values = {} if common is None else attrs.asdict(common, recurse=False)
    for column, value in cells.items():
        if isinstance(value, int | float | np.generic):
            value = str(value)
        if isinstance(value, str) and "tuple" in str(fields[column].type):
            value = [part.strip() for part in value.split(";") if part.strip()]
        values[column] = value
    needed = [name for name, field in fields.items() if field.default is attrs.NOTHING]
    if missing := [name for name in needed if name not in values]:
        raise ValueError(
            f"{row}: {' and '.join(missing)} must be given, since {next(iter(cells))} is"
        )
    try:
        return _CLASSES[name](**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{row}, column {error}") from None
