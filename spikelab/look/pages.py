"""HTML for notebooks, and the pages of ``spikelab show``: self-contained, no scripts."""

import base64
import contextvars
import functools
import io
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from spikelab.errors import MissingExtraError
from spikelab.formats.reading import READS_RAW
from spikelab.look.facts import Row, clean, facts, summary
from spikelab.look.plots import OKABE_ITO
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.publish import publish
from spikelab.storage.urls import StrPath, expanded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


def show(
    source: StrPath,
    html: StrPath | None = None,
    storage_options: Mapping[str, Any] | None = None,
    source_options: Mapping[str, Any] | None = None,
) -> int:
    """Print what a file or folder holds, and write a page about it.

    Parameters
    ----------
    source : path or S3 URL
        A file or folder of any format. Raw voltages are not read, but in a pickle, which
        is read whole. Of the report of a batch, ``spikelab-conversions.jsonl``, the last
        row of each target is shown, and `html` is its :func:`index_page`.
    html : path or S3 URL, optional
        Where to write one self-contained page with summary, units and, if matplotlib
        is installed, pictures; replaced if it exists.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)`` for S3 URLs.
    source_options : mapping, optional
        Arguments of the loader, for a source that does not say all itself, such as
        ``{"units_table": "units.csv"}``.

    Returns
    -------
    int
        The exit status: 0; 1 if `source` cannot be read or `html` not be written; 2 if
        `html` is the source, or a folder.

    Examples
    --------
    >>> from spikelab import RateData
    >>> from spikelab.look import show
    >>> show(RateData([[0.5, 2.5, 2.0]], [0.0, 10.0, 20.0]).to_pickle("rates.pkl"))
    rates.pkl
    RateData
      Units   1
      Times   3
      Window  0.0 to 20.0 ms
      Rates   0.5 to 2.5, median 2
    <BLANKLINE>
    Units (1)
      unit
      0
    0
    """
    from spikelab.batch.places import is_same, path_or_url
    from spikelab.batch.report import Report, conversion_of, is_report
    from spikelab.data_loaders.data_loaders import load

    name = os.fspath(source)
    page: Callable[[], str]
    try:
        if html is not None:
            path = path_or_url(html)
            if is_same(path_or_url(name), path) or Path(path).is_dir():
                return _fail(f"--html must be another file than SOURCE, got {html}", 2)
        if is_report(name):
            Path(expanded(name)).stat()  # raises if there is no such file
            # The last row of each target counts.
            last = {row["target"]: row for row in Report(name).rows()}
            rows = [conversion_of(row) for row in last.values()]
            text = "\n".join(map(_line, rows))
            page = functools.partial(_conversions_page, rows, html or "")
        else:
            without_raw = contextvars.copy_context()
            without_raw.run(READS_RAW.set, False)
            options = {**(source_options or {}), "storage_options": storage_options}
            obj = without_raw.run(load, source, **options)
            text = summary(obj)
            page = functools.partial(object_page, obj, Path(name).name or name)
        # What the terminal cannot show is escaped.
        encoding = sys.stdout.encoding or "utf-8"
        shown = f"{name}\n{text}\n".encode(encoding, "backslashreplace")
        sys.stdout.write(shown.decode(encoding))
        if html is not None:
            _write(page(), html, storage_options)
    except (OSError, ImportError, LookupError, TypeError, ValueError) as error:
        return _fail(str(error) or type(error).__name__, 1)
    return 0


def _line(row: "Conversion") -> str:
    found = row.error or f"{row.n_units} units, {row.n_spikes} spikes"
    return "  ".join(map(clean, (row.status, row.target, found)))


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"spikelab: error: {' '.join(message.split())}\n")
    return status


def index_page(rows: "Iterable[Conversion]", path: StrPath) -> str:
    """Write a page with a line for each recording of a batch.

    Parameters
    ----------
    rows : iterable of Conversion
        What :func:`spikelab.convert_many` returns.
    path : path or S3 URL
        The page; replaced if it exists. Targets are linked from its folder.

    Returns
    -------
    str
        `path`.

    Examples
    --------
    >>> from spikelab import SpikeData, convert_many
    >>> from spikelab.look import index_page
    >>> source = SpikeData([[12.5, 430.0], []], length=1000.0).to_pickle("cells.pkl")
    >>> index_page(convert_many([source], "{stem}.h5"), "index.html")
    'index.html'
    """
    _write(_conversions_page(list(rows), path), path, None)
    return os.fspath(path)


def _write(
    page: str, target: StrPath, storage_options: Mapping[str, Any] | None
) -> None:
    with publish(target, storage_options) as staged:
        staged.write_text(page, encoding="utf-8")


class _Html(str):
    """A text that is HTML already."""


def fragment(obj: DataObject) -> str:
    """Return an object as the HTML that notebooks show in place of its repr."""
    title, sizes, tables = facts(obj, CELLS_IN_NOTEBOOK)
    style = f"<style>{_TABLES}</style>"
    html = f'<div class="spikelab">{style}<strong>{title}</strong>{_table(sizes)}'
    for table in tables:
        opened = " open" if table is tables[0] else ""
        html += f"<details{opened}><summary>{escape(table.heading)}</summary>"
        html += f"{_table(table.rows, table.header)}</details>"
    return f"{html}</div>"


def object_page(obj: DataObject, name: str) -> str:
    """Return a page with summary, tables and pictures of an object called `name`."""
    title, sizes, tables = facts(obj, CELLS_ON_PAGE)
    parts = [f"<p>{title}</p>{_table(sizes)}"]
    try:
        parts.append(f"<h2>Plot</h2>{_image('Plot', obj.plot)}")
        if isinstance(obj, SpikeData) and obj.N:
            image = _image("Mean rates", functools.partial(_draw_mean_rates, obj))
            parts.append(f"<h2>Mean rates</h2>{image}")
    except MissingExtraError as error:
        parts.append(f"<h2>{escape(f'No pictures: {error}')}</h2>")
    for table in tables:
        heading = f"<h2>{escape(table.heading)}</h2>"
        parts.append(heading + _table(table.rows, table.header))
    return _page(name, "".join(parts))


def _draw_mean_rates(sd: SpikeData, ax: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    edges = np.arange(sd.N + 1) - 0.5
    ax.stairs(sd.rates("Hz"), edges, fill=True, color=OKABE_ITO[0])
    ax.set(xlabel="Unit", ylabel="Mean rate (Hz)", xlim=(edges[0], edges[-1]))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _image(text: str, draw: Callable[["Axes"], Any]) -> str:
    """Return what `draw` draws as an image that is part of the page."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtraError("plot", "matplotlib", "plot") from error
    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(9, 4.5), layout=margins)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        draw(figure.subplots())
        # A PNG of a million spikes would be five times as large.
        figure.savefig(buffer, dpi=100, format="webp", pil_kwargs={"quality": 70})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{text}" src="data:image/webp;base64,{data}">'


def _conversions_page(rows: "Collection[Conversion]", path: StrPath) -> str:
    """Return the page `path` with a line for each recording of a batch."""
    lines = []
    folder = Path(expanded(path)).parent
    for row in rows:
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
    counted = Counter(row.status for row in rows)
    counts = [f"{counted[status]} {status}" for status in ("written", "kept", "failed")]
    header = ("source", "target", "status", "units", "spikes", "bytes", "seconds")
    # On a phone, the last column would be narrower than a word.
    style = "<style>.spikelab td:last-child{min-width:20em}</style>"
    table = _table(lines, (*header, "losses and errors"))
    body = f"{style}<p>{', '.join(counts)}</p>{table}"
    return _page(f"{len(lines)} recordings", body)


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
    lines = [_row("th", header)] if header else []
    lines += [_row("td", cells) for cells in rows]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _row(tag: str, cells: Row) -> str:
    texts = [cell if isinstance(cell, _Html) else escape(cell) for cell in cells]
    return f"<tr>{''.join(f'<{tag}>{text}</{tag}>' for text in texts)}</tr>"
