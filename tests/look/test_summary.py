"""repr, summary and HTML of the six classes."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from looked_at import MAKERS, ODD, parsed

from spikelab import SpikeData
from spikelab.look.facts import display_width

EVERY = {**MAKERS, **ODD}


@pytest.fixture(params=EVERY)
def found(request):
    """Each object in turn."""
    return EVERY[request.param]()


def test_repr_is_one_line_with_units_spikes_and_window():
    """What a session prints of a recording."""
    sd = SpikeData([[12.5, 430.0], []], start_time=-10.0, length=1000.0)
    assert repr(sd) == "SpikeData(N=2, spikes=2, window=-10.0 to 990.0 ms)"


def test_no_text_has_control_characters(found):
    """An escape sequence in an attribute must not reach the terminal."""
    for text in (repr(found), *found.summary().splitlines()):
        assert text.isprintable()


def test_repr_names_the_class_in_one_line(found):
    """The class is the first word."""
    assert repr(found).startswith(f"{type(found).__name__}(")
    assert len(repr(found)) < 300


def test_summary_fits_a_terminal(found):
    """80 columns, also with characters that are two columns wide."""
    lines = found.summary().splitlines()
    assert lines[0] == type(found).__name__
    assert max(map(display_width, lines)) <= 80


def test_summary_of_a_recording():
    """It has the numbers, the attributes with how many units have them, the units."""
    text = MAKERS["recording"]().summary()
    for line in (
        r"Units +2",
        r"Spikes +6",
        r"Window +0\.0 to 50\.0 ms",
        r"Mean rates +40 to 80 Hz",
        r"electrode +2 +int +4 to 7",
        r"quality +1 +str +good \(1\)",
        r"waveform +1 +array +arrays of shape \(82, 4\)",
        r"0 +4 +80 +4 +\[0, 20\] +good",
        r"rig +\{gain\}",
        r"huge +integer of \d+ bits",
    ):
        assert re.search(line, text), line


def test_summary_counts_silent_units_and_raw_data():
    """Both are seen at once."""
    text = ODD["raw data"]().summary() + ODD["no spikes"]().summary()
    assert "2 channels, 50 samples each" in text
    assert "2, 2 of them silent" in text


def test_long_tables_say_how_much_is_left_out():
    """A summary stays short, whatever the number of units."""
    sd = SpikeData([[]] * 1000, length=1.0, neuron_attributes=[{"a": 1}] * 1000)
    assert "of 1000" in sd.summary()
    assert len(sd.summary().splitlines()) < 60


def test_html_is_escaped_and_self_contained(found):
    """Texts of the user are texts; nothing runs, nothing is fetched."""
    html = found._repr_html_()
    for tag, attributes in parsed(html):
        assert tag not in ("script", "link", "iframe", "object", "img", "a")
        assert not {name for name in attributes if name.startswith("on")}
    assert not re.search(r"url\(|@import|https?:", html)
    assert all(c.isprintable() or c == "\n" for c in html)
    assert type(found).__name__ in html


def test_ten_million_spikes_are_summed_up_in_a_second():
    """Counts come from the ends of the spike trains."""
    units = [{f"k{j}": float(i * j) for j in range(20)} for i in range(1000)]
    flat = np.sort(np.random.default_rng(0).uniform(0, 3.6e6, 10_000))
    sd = SpikeData([flat] * 1000, length=3.6e6, neuron_attributes=units)
    began = time.process_time()
    text, html = sd.summary(), sd._repr_html_()
    assert time.process_time() - began < 1
    assert "10000000" in text
    assert len(html) < 300_000


def test_importing_spikelab_loads_no_extra():
    """Neither the import nor a summary needs more than numpy, h5py and attrs."""
    code = (
        "import sys, spikelab\n"
        "assert 'spikelab.look' not in sys.modules\n"
        "sd = spikelab.SpikeData([[1.0]])\n"
        "repr(sd), sd.summary(), sd._repr_html_()\n"
        "extras = 'matplotlib pandas pyarrow pynwb scipy neo spikeinterface tqdm'\n"
        "assert not set(extras.split()) & set(sys.modules), sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
