"""What ``spikelab show`` prints, the pages that it writes, and the index of a batch."""

import builtins
import sys
import tracemalloc

import numpy as np
import pytest
from looked_at import HOSTILE, MAKERS, parsed
from s3_server import S3Server

from spikelab import Conversion, SpikeData, convert_many, load
from spikelab.look import index_page, show
from spikelab.look.pages import object_page


@pytest.fixture
def source(tmp_path):
    """A recording in a file."""
    return MAKERS["recording"]().to_pickle(tmp_path / "cells.pkl")


def test_it_prints_the_name_and_the_summary(source, capsys):
    """And nothing to stderr."""
    assert show(source) == 0
    out, err = capsys.readouterr()
    assert out == f"{source}\n{MAKERS['recording']().summary()}\n"
    assert err == ""


def test_it_writes_a_page(source, tmp_path):
    """The page holds the summary, all units and pictures, in one file."""
    page = tmp_path / "made" / "report.html"
    assert show(source, page) == 0
    html = page.read_text(encoding="utf-8")
    tags = parsed(html)
    for tag, attributes in tags:
        assert tag != "script"
        assert not attributes.get("src", "data:").startswith("http")
    assert "<title>cells.pkl</title>" in html
    assert "Units (2)" in html
    if "matplotlib" in sys.modules:
        assert [tag for tag, _ in tags].count("img") == 2


def test_raw_voltages_are_not_read(tmp_path, capsys):
    """The summary says how many there are, and takes no memory for them."""
    sd = SpikeData([[1.0]], raw_data=np.zeros((8, 1_000_000), np.int16), raw_time=20.0)
    source = sd.to_hdf5(
        tmp_path / "raw.h5", raw_dataset="raw", raw_time_dataset="raw_time"
    )
    tracemalloc.start()
    assert show(source) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "8 channels, 1000000 samples each" in capsys.readouterr().out
    assert peak < 2_000_000
    assert np.array_equal(load(source).raw_time, sd.raw_time)


def test_a_recording_in_s3_and_a_page_beside_it(capsys):
    """Both are read and written with the same storage options."""
    with S3Server() as server:
        url = f"s3://{server.bucket('bucket')}/cells.pkl"
        options = server.storage_options
        MAKERS["recording"]().to_pickle(url, storage_options=options)
        assert show(url, url.replace(".pkl", ".html"), options) == 0
        assert b"<title>cells.pkl</title>" in server.objects("bucket")["cells.html"]
    assert capsys.readouterr().out.startswith(f"{url}\nSpikeData\n")


@pytest.mark.parametrize("name", MAKERS)
def test_a_page_of_every_class(name):
    """Hostile names are texts there too."""
    html = object_page(MAKERS[name](), HOSTILE)
    assert "script" not in {tag for tag, _ in parsed(html)}
    assert "alert(1)&lt;/script" in html


@pytest.mark.parametrize(
    ("name", "status"),
    [("not there.h5", 1), ("text.txt", 1), ("", 1)],
)
def test_what_cannot_be_read(tmp_path, capsys, name, status):
    """One line on stderr, nothing on stdout, no page."""
    (tmp_path / "text.txt").write_text("no spikes here")
    assert show(tmp_path / name, tmp_path / "page.html") == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("spikelab: error: ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "page.html").exists()


def test_a_page_that_would_replace_the_recording(source, tmp_path, capsys):
    """A wrong use, and the recording stays."""
    assert show(source, source) == 2
    assert show(source, tmp_path) == 2
    assert "must be another file than SOURCE" in capsys.readouterr().err
    assert show(source) == 0


def test_without_matplotlib_the_page_says_what_is_missing(source, monkeypatch):
    """The rest of the page is there."""
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    html = object_page(SpikeData([[1.0]]), "cells")
    assert "spikelab[plot]" in html
    assert "<img" not in html


def test_a_terminal_that_knows_ascii_only(tmp_path, monkeypatch):
    """What it cannot show is escaped."""
    sd = SpikeData([[1.0]], metadata={"area": "\N{GREEK SMALL LETTER ALPHA}"})
    source = sd.to_pickle(tmp_path / "cells.pkl")
    with (tmp_path / "out").open("w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert show(source) == 0
    assert "\\u03b1" in (tmp_path / "out").read_text()


def test_the_index_of_a_batch(tmp_path, source):
    """A line for each recording; what was written is linked, what failed says why."""
    rows = [
        Conversion(
            source=f"raw/{status} & {HOSTILE}",
            target=target,
            status=status,
            n_units=units,
            n_spikes=units,
            n_bytes=units,
            seconds=0.123,
            losses=["metadata <lost>"] if units else [],
            error=error,
        )
        for status, target, units, error in (
            ("written", source, 2, None),
            ("kept", "s3://bucket/b.nwb", 3, None),
            ("failed", "javascript:alert(1)", None, "FormatError: <nothing>"),
        )
    ]
    page = tmp_path / "index.html"
    assert index_page(rows, page) == str(page)
    html = page.read_text(encoding="utf-8")
    tags = parsed(html)
    assert [tag for tag, _ in tags].count("tr") == 1 + len(rows)
    assert [attributes["href"] for tag, attributes in tags if tag == "a"] == [
        "cells.pkl"
    ]
    for text in ("1 written, 1 kept, 1 failed", "metadata &lt;lost&gt;", "&lt;nothing"):
        assert text in html


def test_the_report_of_a_batch(tmp_path, capsys):
    """It prints its rows, and writes the index page; the last row of a target counts."""
    source = MAKERS["recording"]().to_pickle(tmp_path / "cells.pkl")
    (tmp_path / "bad.pkl").write_bytes(b"not a pickle")
    for _ in range(2):
        convert_many([source, tmp_path / "bad.pkl"], tmp_path / "{stem}.h5")
    report = tmp_path / "spikelab-conversions.jsonl"
    assert show(report, tmp_path / "index.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["written", "failed"]
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "1 written, 0 kept, 1 failed" in html
    assert 'href="cells.h5"' in html
    assert show(tmp_path / "no.jsonl") == 1
    (tmp_path / "other.jsonl").write_text("[1]\n")
    assert show(tmp_path / "other.jsonl") == 1
