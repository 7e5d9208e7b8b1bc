"""The report of a batch: one row per recording, on the disk as soon as it is known."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from spikelab.batch.conversion import Conversion, Job
from spikelab.storage.urls import expanded, is_url, shown

DEFAULT_NAME = "spikelab-conversions.jsonl"
"""Name of a report that the caller gives none."""

_FIELDS = [field.name for field in attrs.fields(Conversion)]
_COLUMNS = [*_FIELDS, "source_bytes", "source_time", "options"]
_TEXTS = ("source", "target", "status", "error", "options")
"""The columns whose cells are texts in CSV; those of the others are JSON."""

_MODE: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
"""How reports are opened: names of files that are not UTF-8 keep their bytes."""


def conversion_of(row: Mapping[str, Any], **changes: Any) -> Conversion:
    """Return what a row of a report says of a recording."""
    return Conversion(**{name: row[name] for name in _FIELDS} | changes)


def is_report(path: str) -> bool:
    """Return whether a path is named as a report, or holds the header of a CSV one."""
    if not path.lower().endswith(".csv") or not Path(path).is_file():
        return path.lower().endswith(".jsonl")
    with Path(path).open("rb") as file:
        return file.readline(1000).strip() == ",".join(_COLUMNS).encode()


class Report:
    """A file, ``.jsonl`` or ``.csv``, with a row for each recording that is done.

    A row holds the fields of :class:`Conversion`, size and modification time of the
    source, and the options. It is one line, so that a killed process leaves at most one
    torn row, at the end; it is removed when the next row is appended.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if is_url(path, "report"):
            raise ValueError(f"report must be a local path, got {shown(path)}")
        self.path = Path(expanded(path))
        self._is_csv = self.path.suffix.lower() == ".csv"
        if not self._is_csv and self.path.suffix.lower() != ".jsonl":
            raise ValueError(
                f"report must end with .jsonl or .csv, got {os.fspath(path)!r}"
            )
        next(self.rows(), None)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of earlier runs, without a torn one; ValueError for others."""
        if not self.path.exists():
            return
        with self.path.open(**_MODE) as file:
            lines = (line for line in file if line.endswith("\n"))
            rows: Any = map(json.loads, lines)
            try:
                if self._is_csv:
                    rows = csv.DictReader(lines)
                    if rows.fieldnames not in (None, _COLUMNS):
                        raise ValueError("other columns")
                for row in rows:
                    if not row.keys() >= {*_COLUMNS}:
                        raise ValueError(f"no columns {', '.join(_COLUMNS)}")
                    yield _from_cells(row) if self._is_csv else row
            except (AttributeError, TypeError, ValueError, csv.Error) as error:
                raise ValueError(
                    f"report must be a new file or a report of spikelab, got "
                    f"{str(self.path)!r}: {error}"
                ) from None

    def __enter__(self) -> Self:
        """Open the file, of which the folder is made, and remove a torn row."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", **_MODE)
        size = self.path.read_bytes().rfind(b"\n") + 1
        self._file.truncate(size)
        if self._is_csv and not size:
            self._file.write(",".join(_COLUMNS) + "\n")
        return self

    def __exit__(self, *exception: object) -> None:
        """Make sure that the rows are on the disk, and close the file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def append(self, row: Conversion, job: Job) -> None:
        """Append the row of a job that is done."""
        source_bytes, source_time = job.state or (None, None)
        named = {
            **attrs.asdict(row, recurse=False),
            "source_bytes": source_bytes,
            "source_time": source_time,
            "options": job.digest,
        }
        if self._is_csv:
            named["losses"] = json.dumps(row.losses, ensure_ascii=False)
            csv.writer(self._file, lineterminator="\n").writerow(named.values())
        else:
            self._file.write(json.dumps(named, ensure_ascii=False) + "\n")
        self._file.flush()


def _from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of a CSV report as one of JSON; an empty cell is None."""
    return {
        name: cell if name in _TEXTS and cell else json.loads(cell or "null")
        for name, cell in cells.items()
    }
