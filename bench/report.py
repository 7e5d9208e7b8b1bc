"""Measurements as Markdown, as JSON, and as the tables of the documentation."""

import csv
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path

import attrs

from bench.cases import Row

_OTHERS = ("pynwb, add_unit", "pynwb", "pandas")


Table = list[list[str]]
"""A header and lines."""


def first_table(rows: Sequence[Row]) -> Table:
    """Return one line per job: what it took, and how that compares."""
    header = [
        "job",
        "recording",
        "seconds",
        "x plain",
        "0.1.2 takes",
        "others take",
        "MB on disk",
        "extra MB",
    ]
    return [header, *map(_line, rows)]


def _line(row: Row) -> list[str]:
    ours = row.measured["ours"]
    floor, published = row.measured.get("floor"), row.measured.get("published")
    others = [
        f"{row.measured[name].times(ours):.1f}x ({name})"
        for name in _OTHERS
        if name in row.measured
    ]
    size = _megabytes(row.n_bytes["ours"]) if row.n_bytes else ""
    if published and row.n_bytes and row.n_bytes["published"] > 2 * row.n_bytes["ours"]:
        size += f" (0.1.2: {_megabytes(row.n_bytes['published'])})"
    return [
        f"{row.job} {row.name}",
        row.shape,
        f"{ours.seconds:.3f}",
        f"{ours.times(floor):.2f}" if floor else "",
        f"{published.times(ours):.1f}x" if published else "",
        ", ".join(others),
        size,
        _megabytes(ours.extra_bytes),
    ]


def growth_table(rows: Sequence[Row]) -> Table:
    """Return one line per shape: the seconds, and extra MB, of each export."""
    names = list(dict.fromkeys(row.name for row in rows))
    cells = {
        (row.shape, row.name): f"{row.measured['ours'].seconds:.3f} "
        f"({_megabytes(row.measured['ours'].extra_bytes)})"
        for row in rows
    }
    shapes = dict.fromkeys(row.shape for row in rows)
    lines = [[shape, *(cells.get((shape, n), "") for n in names)] for shape in shapes]
    return [["seconds (extra MB)", *names], *lines]


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [table[0], ["---"] * len(table[0]), *table[1:]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_csv(path: Path, table: Table) -> None:
    """Write a table for the documentation to include."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(table)


def machine() -> str:
    """Return what the measurements were made on."""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def write_json(path: Path, **tables: Sequence[Row]) -> None:
    """Write every measurement."""
    found = {name: [attrs.asdict(row) for row in rows] for name, rows in tables.items()}
    text = json.dumps({"machine": machine(), **found}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:.1f}" if n_bytes < 10e6 else f"{n_bytes / 1e6:.0f}"
