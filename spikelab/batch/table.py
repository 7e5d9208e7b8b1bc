"""A table with one row per recording: its source, and what is known about it."""

import csv
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from spikelab.batch.options import check_options, options_of, suggestion
from spikelab.errors import warn
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.registry import Format

_PEOPLE_AND_ANIMALS: dict[str, Any] = {"session": NWBSession, "subject": NWBSubject}


@attrs.frozen
class Row:
    """A row of a table.

    Parameters
    ----------
    number : int
        Its number, from 1.
    source : str
        Path or URL of the recording.
    options : dict
        Options of the exporter, ``session`` and ``subject`` among them.
    names : dict
        All cells, for the template of the target.
    """

    number: int
    source: str
    options: dict[str, Any]
    names: dict[str, Any]

    def __str__(self) -> str:
        """Return which row it is."""
        return f"row {self.number} ({self.source})"


def read_table(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the rows of a CSV file, separated by commas, semicolons or tabs.

    Raises
    ------
    ValueError
        If it is not such a file in UTF-8, or a row has more cells than the header.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
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
    table: Any, entry: Format, common: Mapping[str, Any], fields: Iterable[str]
) -> list[Row]:
    """Return the rows of a table, checked as if each file were to be written.

    Parameters
    ----------
    table : path, DataFrame or sequence of mapping
        One row per recording; see :func:`spikelab.convert_many`.
    entry : Format
        What will be written.
    common : mapping
        Options of all recordings; those of a row go before.
    fields : iterable of str
        Fields of the target's template.

    Raises
    ------
    ValueError
        If a value is wrong. The message names row, column and value.
    """
    if isinstance(table, str | os.PathLike):
        table = read_table(table)
    elif hasattr(table, "to_dict"):
        table = table.to_dict("records")
    cells = [_given(row) for row in table]
    for name in dict.fromkeys(name for row in cells for name in row):
        _check_column(name, entry, set(fields))
    return [
        _checked(number, row, entry, common, set(fields))
        for number, row in enumerate(cells, start=1)
    ]


def _given(row: Any) -> dict[str, Any]:
    """Return the cells of a row that are not empty."""
    if not isinstance(row, Mapping):
        raise TypeError(f"table must hold mappings, got {row!r:.80}")
    return {str(name): value for name, value in row.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    """Return whether a cell holds nothing: None, "", NaN, NA or NaT."""
    if value is None or isinstance(value, str):
        return not (value and value.strip())
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")


def _columns(entry: Format) -> dict[str, list[str]]:
    """Return the names of columns with a meaning, by what they belong to."""
    options = options_of(entry)
    found = {"source": ["source"]}
    for name, cls in _PEOPLE_AND_ANIMALS.items():
        if name in options:
            found[name] = list(attrs.fields_dict(cls))
    known = {name for names in found.values() for name in names}
    found["options"] = [name for name in options if name not in known]
    return found


def _check_column(name: str, entry: Format, fields: set[str]) -> None:
    known = [column for columns in _columns(entry).values() for column in columns]
    if name in known or name in fields:
        return
    if hint := suggestion(name, [*known, *fields]):
        raise ValueError(
            f"column {name!r} is no field of NWBSession or NWBSubject, no option of "
            f"{entry.name}, and no field of the target{hint}"
        )
    warn(
        f"column {name!r} is not used: it is no field of a session or subject, no "
        f"option of {entry.name}, and no field of the target"
    )


def _checked(
    number: int,
    cells: dict[str, Any],
    entry: Format,
    common: Mapping[str, Any],
    fields: set[str],
) -> Row:
    if "source" not in cells:
        raise ValueError(f"row {number}: column source must be given")
    row = Row(number, os.fspath(cells["source"]), {}, cells)
    columns = _columns(entry)
    known = options_of(entry)
    for name in columns["options"]:
        if name in cells:
            value = cells[name]
            try:
                row.options[name] = (
                    known[name].parsed(value) if isinstance(value, str) else value
                )
            except (TypeError, ValueError, OSError) as error:
                raise ValueError(f"{row}, column {name}: {error}") from None
    for name, cls in _PEOPLE_AND_ANIMALS.items():
        given = {c: cells[c] for c in columns.get(name, ()) if c in cells}
        # A session's id alone, say, may be there for the name of the file only.
        if given.keys() - fields:
            row.options[name] = _described(row, cls, given, common.get(name))
    try:
        check_options(entry, {**common, **row.options})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{row}: {error}") from None
    return row


def _described(row: Row, cls: Any, given: dict[str, Any], common: Any) -> Any:
    """Return the session or subject that the cells of a row describe."""
    fields = attrs.fields_dict(cls)
    texts = {name: _cell(fields[name], value) for name, value in given.items()}
    if common is not None:
        texts = {**attrs.asdict(common, recurse=False), **texts}
    needed = [name for name, field in fields.items() if field.default is attrs.NOTHING]
    if missing := [name for name in needed if name not in texts]:
        raise ValueError(
            f"{row}: {' and '.join(missing)} must be given, since {next(iter(given))} is"
        )
    try:
        return cls(**texts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{row}, column {error}") from None


def _cell(field: "attrs.Attribute[Any]", value: Any) -> Any:
    """Return a cell as the field wants it: a text, or several parted by semicolons."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as pandas holds the integers of a column with gaps
    if isinstance(value, int | float) or type(value).__module__ == "numpy":
        value = str(value)
    if isinstance(value, str) and "tuple" in str(field.type):
        return [part.strip() for part in value.split(";") if part.strip()]
    return value
