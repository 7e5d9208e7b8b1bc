"""Summaries for a terminal of 80 columns."""

from spikelab.look.facts import Row, Table, columns, facts
from spikelab.spikedata.data_object import DataObject

WIDTH = 80
GAP = "  "


def summary(obj: DataObject) -> str:
    """Return what there is to know about an object, in lines of up to 80 columns."""
    found = facts(obj)
    lines = [found.title, *_aligned([*found.rows])]
    for table in found.tables:
        lines += ["", table.heading, *_aligned(_narrowed(table))]
    return "\n".join(lines)


def _narrowed(table: Table) -> list[Row]:
    """Return header and rows with as many columns as fit beside one another."""
    rows = [table.header, *table.rows]
    widths = [
        max(map(columns, column)) + len(GAP) for column in zip(*rows, strict=True)
    ]
    if sum(widths) <= WIDTH or table.title != "Units":
        return rows
    note = "(+{} more)"
    kept = len(widths)
    while kept > 1 and sum(widths[:kept]) + len(GAP + note) > WIDTH:
        kept -= 1
    ends = [note.format(len(widths) - kept), *[""] * len(table.rows)]
    return [(*row[:kept], end) for row, end in zip(rows, ends, strict=True)]


def _aligned(rows: list[Row]) -> list[str]:
    """Return rows as lines, cells below one another, cut at the edge."""
    if not rows:
        return []
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell + " " * (width - columns(cell))
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append(_cut(GAP + GAP.join(cells).rstrip()))
    return lines


def _cut(line: str) -> str:
    while columns(line) > WIDTH:
        line = line[: WIDTH - 4 - (columns(line) - len(line))].rstrip() + "..."
    return line
