"""What ``spikelab show`` prints and writes, and the index of a batch."""

import base64
import contextvars
import errno
import functools
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikelab.errors import MissingExtraError
from spikelab.formats.reading import READS_RAW
from spikelab.look import html as pages
from spikelab.look.facts import clean
from spikelab.look.plots import OKABE_ITO
from spikelab.look.text import summary
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.local import resolved
from spikelab.storage.publish import publish
from spikelab.storage.urls import is_url

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikelab.batch import Conversion

StrPath = str | os.PathLike[str]

_TITLES = {
    "SpikeData": "Spikes",
    "RateData": "Rates",
    "SpikeSliceStack": "Spikes of the slices",
    "RateSliceStack": "Mean rates of the slices",
    "PairwiseCompMatrix": "Values of the pairs",
    "PairwiseCompMatrixStack": "Values of the pairs by window",
}
"""What the picture of an object of each data class shows."""


def show(
    source: StrPath,
    html: StrPath | None = None,
    storage_options: Mapping[str, Any] | None = None,
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
    from spikelab.batch.report import is_report
    from spikelab.data_loaders.data_loaders import load

    name = os.fspath(source)
    try:
        if html is not None and (fault := _wrong_page(source, html)):
            return _fail(fault, 2)
        if is_report(name):
            rows = _last_rows(name)
            _print("\n".join([name, *map(_line, rows)]))
            page = pages.conversions_page(rows, _folder(html)) if html else ""
        else:
            without_raw = contextvars.copy_context()
            without_raw.run(READS_RAW.set, False)
            obj = without_raw.run(load, source, storage_options=storage_options)
            _print(f"{name}\n{summary(obj)}")
            page = object_page(obj, Path(name).name or name) if html else ""
        if html:
            _write(page, html, storage_options)
    except (OSError, ImportError, LookupError, TypeError, ValueError) as error:
        return _fail(str(error) or type(error).__name__, 1)
    return 0


def _last_rows(report: str) -> "list[Conversion]":
    """Return the last row of each target in the report of a batch."""
    from spikelab.batch.report import Report, conversion

    if not Path(report).expanduser().exists():
        raise FileNotFoundError(errno.ENOENT, "no such report", report)
    rows = {row["target"]: row for row in Report(report).rows()}
    return [conversion(row) for row in rows.values()]


def _line(row: "Conversion") -> str:
    found = row.error or f"{row.n_units} units, {row.n_spikes} spikes"
    return "  ".join(map(clean, (row.status, row.target, found)))


def object_page(obj: DataObject, name: str) -> str:
    """Return a page with summary, tables and pictures of an object called `name`."""
    try:
        pictures = dict(_pictures(obj))
    except MissingExtraError as error:
        pictures = {f"No pictures: {error}": ""}
    return pages.object_page(name, obj, pictures)


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
    _write(pages.conversions_page(rows, _folder(path)), path)
    return os.fspath(path)


def _folder(page: StrPath) -> Path:
    return Path(page).expanduser().parent


def _write(
    page: str, target: StrPath, storage_options: Mapping[str, Any] | None = None
) -> None:
    with publish(target, storage_options) as staged:
        staged.write_text(page, encoding="utf-8")


def _pictures(obj: DataObject) -> Iterator[tuple[str, str]]:
    """Yield what each picture shows, and its WebP in base64."""
    yield _TITLES[data_class(obj).__name__], _picture(obj.plot)
    if isinstance(obj, SpikeData) and obj.N:
        yield "Mean rates", _picture(functools.partial(_bars, obj))


def _bars(sd: SpikeData, ax: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    edges = np.arange(sd.N + 1) - 0.5
    ax.stairs(sd.rates("Hz"), edges, fill=True, color=OKABE_ITO[0])
    ax.set(xlabel="Unit", ylabel="Mean rate (Hz)", xlim=(-0.5, sd.N - 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _picture(draw: Callable[["Axes"], Any]) -> str:
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
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _wrong_page(source: StrPath, html: StrPath) -> str | None:
    """Return why a page cannot be written to `html`, None if it can."""
    if is_url(html, "--html"):
        same = os.fspath(html) == os.fspath(source)
    else:
        page = resolved("--html", html)
        if page.is_dir():
            return f"--html must be a file, got the folder {html}"
        same = not is_url(source) and page == resolved("SOURCE", source)
    return f"--html must be another file than SOURCE, got {html}" if same else None


def _print(text: str) -> None:
    """Print a text, with escapes for what the terminal cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(f"{shown}\n")


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"spikelab: error: {' '.join(message.split())}\n")
    return status
