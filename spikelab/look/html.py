"""HTML for notebooks and pages: self-contained, escaped, without scripts."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from spikelab.look.facts import Row, clean, facts
from spikelab.spikedata.data_object import DataObject

if TYPE_CHECKING:
    from spikelab.batch import Conversion

CELLS_IN_NOTEBOOK, CELLS_ON_PAGE = 100, 3000
"""About how many cells the table of units has."""

_TABLES = """
.spikelab table{border-collapse:collapse;margin:.4em 0;font-size:.9em}
.spikelab th,.spikelab td{text-align:left;padding:.2em .8em .2em 0;vertical-align:top;
border-bottom:1px solid rgba(128,128,128,.35);background:none;color:inherit}
.spikelab th{white-space:nowrap}
.spikelab .wide{overflow-x:auto}
.spikelab summary{cursor:pointer;margin-top:.4em}
"""

_PAGE = """
:root{color-scheme:light dark;--text:#1a1a1a;--ground:#fff;--link:#0b5cad}
@media(prefers-color-scheme:dark){:root{--text:#e4e4e4;--ground:#17191c;--link:#7db7f0}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);
max-width:64rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin-top:1.6em}
a{color:var(--link)}
img{max-width:100%;height:auto;background:#fff;border-radius:4px}
"""


def fragment(obj: DataObject) -> str:
    """Return an object as the HTML that notebooks show in place of its repr."""
    found = facts(obj, CELLS_IN_NOTEBOOK)
    parts = [
        f"<details{' open' if i == 0 else ''}><summary>{escape(table.heading)}</summary>"
        f"{_table(table.rows, table.header)}</details>"
        for i, table in enumerate(found.tables)
    ]
    return (
        f'<div class="spikelab"><style>{_TABLES}</style><strong>{found.title}</strong>'
        f"{_table(found.rows)}{''.join(parts)}</div>"
    )


def object_page(name: str, obj: DataObject, pictures: Mapping[str, str]) -> str:
    """Return a page about an object in the file `name`.

    `pictures` are WebP files in base64, by what they show; an empty one is not shown.
    """
    found = facts(obj, CELLS_ON_PAGE)
    parts = [f"<p>{found.title}</p>{_table(found.rows)}"]
    for title, picture in pictures.items():
        parts.append(f"<h2>{escape(title)}</h2>")
        if picture:
            source = f"data:image/webp;base64,{picture}"
            parts.append(f'<img alt="{escape(title)}" src="{source}">')
    for table in found.tables:
        heading = f"<h2>{escape(table.heading)}</h2>"
        parts.append(heading + _table(table.rows, table.header))
    return _page(name, "".join(parts))


def conversions_page(rows: "Iterable[Conversion]", folder: Path) -> str:
    """Return a page in `folder` with a line for each recording of a batch."""
    listed = list(rows)
    header = ["source", "target", "status", "units", "spikes", "bytes", "seconds"]
    counted = Counter(row.status for row in listed)
    counts = [f"{counted[status]} {status}" for status in ("written", "kept", "failed")]
    lines = []
    for row in listed:
        status = row.status if row.error is None else _Html(f"<b>{row.status}</b>")
        numbers = (row.n_units, row.n_spikes, row.n_bytes, round(row.seconds, 2))
        notes = "; ".join(map(clean, filter(None, [*row.losses, row.error])))
        cells = [clean(row.source), _link(row.target, folder), status]
        shown = ["" if number is None else str(number) for number in numbers]
        lines.append((*cells, *shown, notes))
    table = _table(lines, (*header, "losses and errors"))
    # On a phone, texts would be narrower than a word.
    style = "<style>.spikelab td:last-child{min-width:20em}</style>"
    text = f"<p>{', '.join(counts)}</p>"
    return _page(f"{len(listed)} recordings", style + text + table)


class _Html(str):
    """A text that is HTML already."""


def _link(target: str, folder: Path) -> str:
    """Return a link to a file of this machine; other targets as they are."""
    name = clean(target)
    if "://" in target or not Path(target).exists():
        return name
    relative = Path(os.path.relpath(target, folder)).as_posix()
    address = quote(relative, errors="surrogateescape")
    return _Html(f'<a href="{address}">{escape(name)}</a>')


def _page(title: str, body: str) -> str:
    name = escape(clean(title))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{name}</title><style>{_PAGE}{_TABLES}</style></head>"
        f'<body class="spikelab"><h1>{name}</h1>{body}</body></html>\n'
    )


def _table(rows: Iterable[Row], header: Row = ()) -> str:
    """Return a table that scrolls sideways where the screen is narrow."""
    lines = [_line(row, "td") for row in rows]
    if header:
        lines.insert(0, _line(header, "th"))
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _line(cells: Row, tag: str) -> str:
    texts = [cell if isinstance(cell, _Html) else escape(cell) for cell in cells]
    return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in texts)}</tr>"
