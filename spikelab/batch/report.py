"""The report of a batch: one row per recording, on the disk as soon as it is known."""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from spikelab.batch.conversion import Conversion, Job, options_digest
from spikelab.batch.places import State, identity

NAME = "spikelab-conversions.jsonl"
"""Name of a report that the caller gives none."""

_FIELDS = [field.name for field in attrs.fields(Conversion)]
_KEYS = ["source_bytes", "source_time", "options"]
_NUMBERS = {
    **dict.fromkeys(("n_units", "n_spikes", "n_bytes", "source_bytes"), int),
    **dict.fromkeys(("seconds", "source_time"), float),
}


class Report:
    """A file to which a row is appended for each recording that is done.

    A row holds the fields of :class:`Conversion`, size and modification time of the
    source, and the options. A row is written at once, so that a killed process leaves
    at most one torn row, at the end; it is removed when the next row is appended.

    Parameters
    ----------
    path : path
        The file: ``.jsonl``, one JSON object per line, or ``.csv``. Made if it is not
        there.

    Raises
    ------
    ValueError
        If its name ends otherwise, or the file holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        if self.path.suffix.lower() not in (".jsonl", ".csv"):
            raise ValueError(
                f"report must end with .jsonl or .csv, got {os.fspath(path)!r}"
            )
        self._is_csv = self.path.suffix.lower() == ".csv"
        next(self.rows(), None)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of earlier runs, without a torn one at the end.

        Raises
        ------
        ValueError
            If the file is not a report.
        """
        if not self.path.exists():
            return
        how: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
        with self.path.open(**how) as file:
            lines = (line for line in file if line.endswith("\n"))
            rows = _csv_rows(lines) if self._is_csv else map(json.loads, lines)
            try:
                for row in rows:
                    if not {*_FIELDS, *_KEYS} <= row.keys():
                        raise ValueError(f"no column {_FIELDS[0]!r} to {_KEYS[-1]!r}")
                    yield row
            except (AttributeError, TypeError, ValueError, csv.Error) as error:
                raise ValueError(
                    f"report must be a new file or a report of spikelab, got "
                    f"{str(self.path)!r}: {error}"
                ) from None

    def done(self, jobs: dict[str, Job]) -> dict[str, dict[str, Any]]:
        """Return the last row of each job that was written, by the target's identity."""
        found: dict[str, dict[str, Any]] = {}
        for row in self.rows():
            target = identity(row["target"])
            if target in jobs:
                found[target] = row
        return {key: row for key, row in found.items() if row["status"] == "written"}

    def __enter__(self) -> "Report":
        """Open the file; its folder is made."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._file = os.open(self.path, flags, 0o666)
        size = os.fstat(self._file).st_size
        torn = _torn_bytes(self._file, size)
        if torn:
            os.ftruncate(self._file, size - torn)
        if self._is_csv and size == torn:
            self._write(dict(zip([*_FIELDS, *_KEYS], [*_FIELDS, *_KEYS], strict=True)))
        return self

    def __exit__(self, *exception: object) -> None:
        """Make sure that the rows are on the disk, and close the file."""
        os.fsync(self._file)
        os.close(self._file)

    def append(self, row: Conversion, job: Job, state: State | None) -> None:
        """Append the row of a conversion, made from a source in some state."""
        self._write(
            {
                **attrs.asdict(row),
                "source_bytes": state and state.n_bytes,
                "source_time": state and state.time,
                "options": options_digest(job),
            }
        )

    def _write(self, row: dict[str, Any]) -> None:
        if self._is_csv:
            text = io.StringIO()
            if isinstance(row["losses"], list):
                row["losses"] = json.dumps(row["losses"], ensure_ascii=False)
            # A line break in a path would make two rows of one that is torn there.
            cells = [" ".join(str(v).splitlines()) for v in _shown(row)]
            csv.writer(text, lineterminator="\n").writerow(cells)
            line = text.getvalue()
        else:
            line = json.dumps(row, ensure_ascii=False) + "\n"
        data = line.encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(self._file, data) :]


def _shown(row: dict[str, Any]) -> list[Any]:
    return ["" if value is None else value for value in row.values()]


def _csv_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV report as those of a JSON one."""
    reader = csv.DictReader(lines)
    if reader.fieldnames not in (None, [*_FIELDS, *_KEYS]):
        raise ValueError("other columns")
    for row in reader:
        found: dict[str, Any] = {name: text or None for name, text in row.items()}
        for name, kind in _NUMBERS.items():
            if found[name] is not None:
                found[name] = kind(found[name])
        yield {**found, "losses": json.loads(found["losses"] or "[]")}


def _torn_bytes(file: int, size: int) -> int:
    """Return how many bytes follow the last complete line."""
    torn = 0
    while torn < size:
        start = max(0, size - torn - 65_536)
        block = os.pread(file, size - torn - start, start)
        if (end := block.rfind(b"\n")) >= 0:
            return torn + len(block) - end - 1
        torn += len(block)
    return torn
