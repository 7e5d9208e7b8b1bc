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


class _Html(str):
    """A text that is HTML already."""


def fragment(obj: DataObject) -> str:
    """Return an object as the HTML that notebooks show in place of its repr."""
    title, sizes, tables = facts(obj, CELLS_IN_NOTEBOOK)
    parts = [
        f"<details{' open' if i == 0 else ''}><summary>{escape(table.heading)}</summary>"
        f"{_table(table.rows, table.header)}</details>"
        for i, table in enumerate(tables)
    ]
    return (
        f'<div class="spikelab"><style>{_TABLES}</style><strong>{title}</strong>'
        f"{_table(sizes)}{''.join(parts)}</div>"
    )


def object_page(name: str, obj: DataObject, pictures: Mapping[str, str]) -> str:
    """Return a page about an object in the file `name`.

    `pictures` are WebP files in base64, by what they show; an empty one is not shown.
    """
    title, sizes, tables = facts(obj, CELLS_ON_PAGE)
    parts = [f"<p>{title}</p>{_table(sizes)}"]
    for text, picture in pictures.items():
        parts.append(f"<h2>{escape(text)}</h2>")
        if picture:
            source = f"data:image/webp;base64,{picture}"
            parts.append(f'<img alt="{escape(text)}" src="{source}">')
    for table in tables:
        heading = f"<h2>{escape(table.heading)}</h2>"
        parts.append(heading + _table(table.rows, table.header))
    return _page(name, "".join(parts))


def conversions_page(rows: "Iterable[Conversion]", folder: Path) -> str:
    """Return a page in `folder` with a line for each recording of a batch."""
    header = ["source", "target", "status", "units", "spikes", "bytes", "seconds"]
    counted: Counter[str] = Counter()
    lines = []
    for row in rows:
        counted[row.status] += 1
        target = clean(row.target)
        if "://" not in row.target and Path(row.target).exists():
            relative = Path(os.path.relpath(row.target, folder)).as_posix()
            address = quote(relative, errors="surrogateescape")
            target = _Html(f'<a href="{address}">{escape(target)}</a>')
        status = row.status if row.error is None else _Html(f"<b>{row.status}</b>")
        numbers = (row.n_units, row.n_spikes, row.n_bytes, round(row.seconds, 2))
        shown = ["" if number is None else str(number) for number in numbers]
        notes = "; ".join(map(clean, filter(None, [*row.losses, row.error])))
        lines.append((clean(row.source), target, status, *shown, notes))
    counts = [f"{counted[status]} {status}" for status in ("written", "kept", "failed")]
    # On a phone, texts would be narrower than a word.
    style = "<style>.spikelab td:last-child{min-width:20em}</style>"
    table = _table(lines, (*header, "losses and errors"))
    text = f"{style}<p>{', '.join(counts)}</p>{table}"
    return _page(f"{len(lines)} recordings", text)


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
    lines = []
    for tag, cells in [
        *([("th", header)] if header else []),
        *(("td", r) for r in rows),
    ]:
        texts = [cell if isinstance(cell, _Html) else escape(cell) for cell in cells]
        lines.append(f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in texts)}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'
