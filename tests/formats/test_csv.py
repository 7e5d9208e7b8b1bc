"""CSV tables: what is in them, and back."""

import csv as standard_csv
import gzip
import itertools
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from contract import FileContract, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import assert_same_recording, simulated
from siblings import (
    SCALAR_ATTRIBUTES,
    SIBLINGS,
    any_matrix,
    any_rate_slices,
    any_rates,
    any_spike_slices,
    any_stack,
    assert_same_object,
    comparison_matrix,
    event_slices,
    integer_matrix,
    plain_stack,
    rate_slices,
    rates,
    recording,
)

from spikelab import SpikeData, load
from spikelab.errors import FormatError, LossError, VerificationError
from spikelab.formats import CSVWriter
from spikelab.formats.csv import load_spikedata_from_csv
from spikelab.spikedata.differences import equal
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack

NAN = math.nan

RANDOM = settings(max_examples=50)


class TestSpikesAndUnits(FileContract):
    """Spikes with their table of units: a whole recording."""

    method, target = "to_csv", "spikes.csv"
    wrong_options = (
        {"time_unit": "min"},
        {"time_unit": "samples"},
        {"time_unit": "samples", "fs_Hz": math.nan},
        {"fs_Hz": -1.0},
        {"verify": 1},
        {"units_table": 7},
    )
    slack = 0.0

    def slack_ms(self, sd):
        """Milliseconds are exact."""
        return CSVWriter(**self.options)._atol_ms(sd)

    def export(self, sd, target, **options):
        """The table of units lies beside the spikes."""
        beside = str(target).rstrip("/")
        options = {"units_table": f"{beside}.units.csv", **options}
        return super().export(sd, target, **options)

    def round_trip(self, sd, folder):
        """Both files together are the recording."""
        target = folder / self.target
        self.export(sd, target)
        found = load(target, units_table=f"{target}.units.csv")
        assert_same_recording(found, sd, self.slack_ms(sd))
        assert found.neuron_attributes == (sd.neuron_attributes or None)

    def test_verify_reads_back_before_publishing(self, tmp_path):
        """A verified export of both files passes."""
        self.export(simulated(), tmp_path / self.target, verify=True)
        assert len(snapshot(tmp_path)) == 2


class TestSeconds(TestSpikesAndUnits):
    """Times in seconds."""

    options = {"time_unit": "s"}


class TestSamples(TestSpikesAndUnits):
    """Sample numbers, compressed; the table tells the rate."""

    target = "spikes.csv.gz"
    options = {"time_unit": "samples", "fs_Hz": 30_000.0}
    wrong_options = ({"fs_Hz": None}, {"fs_Hz": math.inf})


def cells(path):
    """The rows of a file as the csv module of the standard library reads them."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(standard_csv.reader(file))


def test_the_spikes_are_text_as_expected(tmp_path):
    """A header, a row per spike, shortest decimals, line feeds, nothing else."""
    sd = SpikeData([[0.1, 12.0], [], [1 / 3]], length=20.0)
    sd.to_csv(tmp_path / "s.csv")
    expected = b"unit,time_ms\n0,0.1\n0,12.0\n2,0.3333333333333333\n"
    assert (tmp_path / "s.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("time_unit", "header", "cell"),
    [
        ("ms", "time_ms", "1500.0"),
        ("s", "time_s", "1.5"),
        ("samples", "time_samples", "30000"),
    ],
)
def test_the_header_names_the_time_unit(tmp_path, time_unit, header, cell):
    """Samples cannot be taken for milliseconds."""
    sd = SpikeData([[1500.0]])
    sd.to_csv(tmp_path / "s.csv", time_unit=time_unit, fs_Hz=20_000.0)
    assert cells(tmp_path / "s.csv") == [["unit", header], ["0", cell]]
    assert load(tmp_path / "s.csv", fs_Hz=20_000.0).train[0][0] == 1500.0


def test_the_units_are_a_table(tmp_path):
    """One row per unit, silent ones too, with rate, window and scalar attributes."""
    simulated().to_csv(tmp_path / "s.csv", units_table=tmp_path / "u.csv")
    header, *rows = cells(tmp_path / "u.csv")
    assert header == [
        *("unit", "electrode", "x", "y", "z", "n_spikes", "mean_rate_Hz"),
        *("start_time_ms", "length_ms", "quality", "snr"),
    ]
    assert len(rows) == 6
    assert rows[1] == [
        *(
            "1",
            "0",
            "0.0",
            "5.0",
            "",
            "0",
            "0.0",
            "0.0",
            "10000.0",
            "good",
            "2.5",
        )
    ]


@given(attributes=SCALAR_ATTRIBUTES)
@RANDOM
def test_any_scalar_attributes_come_back(tmp_path, attributes):
    """Numbers as numbers, text as text, also text that looks like a number."""
    taken = {"unit", "n_spikes", "mean_rate_Hz", "start_time_ms", "length_ms", "fs_Hz"}
    attributes = {k: v for k, v in attributes.items() if k not in taken}
    sd = SpikeData([[1.0], []], length=2.0, neuron_attributes=[attributes, {}])
    writer = CSVWriter(units_table=tmp_path / "u.csv", verify=True, strict=True)
    writer.write(sd, tmp_path / "s.csv")
    found = load(tmp_path / "s.csv", units_table=tmp_path / "u.csv")
    assert equal(found.neuron_attributes, [attributes, {}] if attributes else None)


@pytest.mark.parametrize(
    "attributes",
    [
        {"channel": 3},
        {"ch": 3, "electrode": 4},
        {"x": 1, "y": 2.5},
        {"x": 1, "y": 2.5, "z": 3.0},
        {"location": [1.0, 2.0, 3.0]},
        {"electrode": "A1", "location": [4, 5]},
        {"=1+1": "=cmd|' /C calc'!A0", "semi;colon": '"quoted"\r\nlines'},
    ],
)
def test_electrodes_and_places_keep_their_names(tmp_path, attributes):
    """A known electrode or place fills its column and comes back as it was called."""
    sd = SpikeData([[1.0]], length=2.0, neuron_attributes=[attributes])
    sd.to_csv(tmp_path / "s.csv", units_table=tmp_path / "u.csv", strict=True)
    found = load(tmp_path / "s.csv", units_table=tmp_path / "u.csv")
    assert found.neuron_attributes == sd.neuron_attributes
    header, row = cells(tmp_path / "u.csv")
    by_name = dict(zip(header, row, strict=True))
    assert {"electrode", "x", "y", "z"} <= set(header)
    if {"channel", "ch"} & set(attributes):
        assert by_name["electrode"] in ("3", "4")


@pytest.mark.parametrize(
    "attributes",
    [
        [{"electrode": 1, "location": 5.0}],
        [{"location": np.float64(5.0)}, {"location": [1.0, 2.0]}],
        [{"location": "CA1"}, {"position": "deep"}],
        [{"location": "CA1", "position": [1.0, 2.0]}],
        [{"x": 1.0}, {"y": 2.0, "q": 3}],
        [{"channel": 3}, {"electrode": 4}],
    ],
)
def test_a_scalar_is_an_attribute_like_any_other(tmp_path, attributes):
    """It comes back under its name; one number as a place is x."""
    sd = SpikeData([[1.0]] * len(attributes), length=2.0, neuron_attributes=attributes)
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    sd.to_csv(files[0], units_table=files[1], strict=True, verify=True)
    assert load(files[0], units_table=files[1]).neuron_attributes == attributes
    header, row, *_ = cells(files[1])
    if "location" in attributes[0]:
        # One number is x, a name is none.
        place = attributes[0].get("position", [attributes[0]["location"]])
        expected = "" if place in (["CA1"], "deep") else str(float(place[0]))
        assert dict(zip(header, row, strict=True))["x"] == expected


@pytest.mark.parametrize(
    ("attributes", "found", "reasons"),
    [
        ([{"a": None, "b": 1}], [{"b": 1}], ["'a' (None is an empty cell"]),
        ([{"a": [1], "b": 1}], [{"b": 1}], ["'a' (cells hold numbers"]),
        ([{"unit": 3, "b": 1}], [{"b": 1}], ["'unit' (the table has a column"]),
        ([{3: 3, "b": 1}], [{"b": 1}], ["3 (the name of a column is a str"]),
        ([{"a": "\ud800", "b": 1}], [{"b": 1}], ["'a' (cells hold"]),
        (
            [{"position": [1.0, 2.0]}],
            [{"location": [1.0, 2.0]}],
            ["'position' (it comes back as 'location')"],
        ),
        (
            [{"location": [3.0], "position": [1.0, 2.0]}],
            [{"location": [3.0]}],
            ["'position' (the unit has a location"],
        ),
        (
            [{"location": (1.0, 2.0)}, {"location": [1, 2, 3, 4]}, {"q": 5}],
            [{"location": [1.0, 2.0]}, {}, {"q": 5}],
            [
                "'location' (it comes back as a list of numbers)",
                "'location' (cells hold numbers",
            ],
        ),
        (
            [{"location": [1.0, 2.0]}, {"x": 3.0, "location": [4.0, 5.0], "q": 6}],
            [{}, {"x": 3.0, "q": 6}],
            ["'location' (x, y and z are attributes themselves)"],
        ),
        (
            [{"location": [[1], [2, 3]]}, {"location": ["a", 2.0]}],
            None,
            ["'location' (cells hold numbers"],
        ),
    ],
)
def test_losses_say_why_an_attribute_is_lost(tmp_path, attributes, found, reasons):
    """The true reason, and a verified export carries the rest."""
    sd = SpikeData([[1.0]] * len(attributes), length=2.0, neuron_attributes=attributes)
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    lost = CSVWriter(units_table=files[1]).losses(sd)
    assert len(lost) == len(reasons)
    for line, reason in zip(lost, reasons, strict=True):
        key, _, why = reason.partition(" ")
        assert line.startswith(f"neuron_attributes[{key}] {why}")
    sd.to_csv(files[0], units_table=files[1], verify=True)
    assert load(files[0], units_table=files[1]).neuron_attributes == found


def test_losses_of_a_stack_do_not_speak_of_a_table_of_units():
    """A stack has none."""
    stack = event_slices()
    stack.neuron_attributes = [{"q": 1}] * stack.N
    lost = CSVWriter().losses(stack)
    assert "neuron_attributes (a stack has no table of units)" in lost
    assert "units_table" not in " ".join(lost)


def test_losses_name_what_stays_behind(tmp_path):
    """Arrays, None and nested values do not fit into cells; strict refuses them."""
    writer = CSVWriter(units_table=tmp_path / "u.csv", strict=True)
    lost = " ".join(writer.losses(recording()))
    for name in ("waveform", "amplitudes", "curated", "quality", "metadata", "raw"):
        assert name in lost
    assert "electrode" not in lost
    with pytest.raises(LossError, match="waveform"):
        writer.write(recording(), tmp_path / "s.csv")
    assert not snapshot(tmp_path)


def test_without_the_table_the_window_ends_with_the_last_spike(tmp_path):
    """Silent units at the end are lost, and said to be."""
    sd = SpikeData([[-3.0], [4.0], []], start_time=-5.0, length=20.0)
    with pytest.warns(UserWarning, match=r"1 silent units .* at -5.0 ms are not in"):
        sd.to_csv(tmp_path / "s.csv")
    found = load(tmp_path / "s.csv")
    assert (found.N, found.start_time, found.length) == (2, -3.0, 7.0)
    given_window = load(tmp_path / "s.csv", start_time_ms=-5.0, length_ms=20.0)
    assert (given_window.start_time, given_window.length) == (-5.0, 20.0)
    lost = CSVWriter().losses(sd)
    assert "silent units" in lost[0]
    assert "window" in lost[1]


def test_tables_from_elsewhere_are_read(tmp_path):
    """Any order of rows and columns, Windows lines, a byte order mark, quotes."""
    text = '\ufeff"session","time","unit"\r\n"a",0.5,1\r\n"b",0.25,0\r\n"c",0.125,1\r\n'
    (tmp_path / "s.csv").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(ValueError, match="time_unit must be given"):
        load(tmp_path / "s.csv")
    with pytest.warns(UserWarning, match="unit and time are not read: .'session'"):
        found = load(tmp_path / "s.csv", time_unit="s")
    assert [times.tolist() for times in found.train] == [[250.0], [125.0, 500.0]]


def test_times_alone_are_no_rates_without_a_word(tmp_path):
    """The spikes of the only unit, perhaps."""
    (tmp_path / "s.csv").write_text("time_ms\n0.5\n1.5\n")
    with pytest.warns(UserWarning, match="rates of no units; spikes need 'unit'"):
        load(tmp_path / "s.csv")


@pytest.mark.filterwarnings("ignore:to_csv")
def test_the_table_of_units_must_belong_to_the_spikes(tmp_path):
    """A table that an interrupted export left beside older spikes is recognised."""
    simulated(seed=1).to_csv(tmp_path / "s.csv", units_table=tmp_path / "u.csv")
    simulated(seed=2).to_csv(tmp_path / "s.csv")
    with pytest.raises(FormatError, match="do not belong together"):
        load(tmp_path / "s.csv", units_table=tmp_path / "u.csv")


@pytest.mark.parametrize(
    "units", ["https://lab.s3.amazonaws.com/z.csv", "S3://lab/z.csv"]
)
def test_one_object_for_both_files_is_refused(units):
    """Whatever the spelling of a URL."""
    with pytest.raises(ValueError, match="units_table must not be filepath itself"):
        SpikeData([[1.0]]).to_csv("s3://lab/z.csv", units_table=units)


def test_the_two_files_must_differ(tmp_path):
    """One name for both would keep only one of them."""
    with pytest.raises(ValueError, match="units_table must not be filepath"):
        simulated().to_csv(tmp_path / "s.csv", units_table=tmp_path / "." / "s.csv")
    with pytest.raises(ValueError, match="units_table must be None for a RateData"):
        rates().to_csv(tmp_path / "r.csv", units_table=tmp_path / "u.csv")


def test_a_table_with_fewer_units_than_the_spikes_is_not_theirs(tmp_path):
    """The error says what does not fit, and not that a number is wrong."""
    _, spikes, units = table_of_units(tmp_path)
    spikes.write_text("unit,time_ms\n0,1.5\n1,2.0\n2,3.0\n")
    with pytest.raises(FormatError, match="spikes of unit 2 in the one, and 2 units"):
        load(spikes, units_table=units)


@pytest.mark.filterwarnings("ignore:to_csv")
def test_compressed_files_are_gzip_and_the_same_each_time(tmp_path):
    """No name and no time of day inside."""
    for name in ("a.csv.gz", "b.CSV.GZ", "plain.csv"):
        simulated().to_csv(tmp_path / name)
    packed = [(tmp_path / name).read_bytes() for name in ("a.csv.gz", "b.CSV.GZ")]
    assert packed[0] == packed[1]
    assert gzip.decompress(packed[0]) == (tmp_path / "plain.csv").read_bytes()


@pytest.mark.parametrize("name", SIBLINGS)
def test_siblings_are_verified(name, tmp_path):
    """Every class is written, and what was written is compared."""
    obj = SIBLINGS[name]()
    for options in ({}, {"time_unit": "s"}, {"time_unit": "samples", "fs_Hz": 2000.0}):
        obj.to_csv(tmp_path / "o.csv", verify=True, **options)


@pytest.mark.filterwarnings("ignore:a table of time")
@given(rd=any_rates())
@RANDOM
def test_any_rates_come_back(tmp_path, rd):
    """Rates and times are exact; attributes and unit of the rate are lost."""
    rd.to_csv(tmp_path / "r.csv", verify=True)
    expected = RateData(rd.inst_Frate_data, rd.times)
    assert_same_object(load(tmp_path / "r.csv"), expected)
    whole = rd.rate_unit is None and not any(rd.neuron_attributes or ())
    assert (CSVWriter().losses(rd) == []) == whole


@given(stack=any_spike_slices(), time_unit=st.sampled_from(["ms", "s"]))
@RANDOM
def test_any_spike_slices_are_rows(tmp_path, stack, time_unit):
    """Each spike once, with its slice, its unit and the clock of the slice."""
    stack.to_csv(tmp_path / "s.csv", time_unit=time_unit, verify=True)
    header, *rows = cells(tmp_path / "s.csv")
    assert header == ["slice", "unit", f"time_{time_unit}"]
    expected = [
        (i, unit, time / 1000 if time_unit == "s" else time)
        for i, sd in enumerate(stack)
        for unit, times in enumerate(sd.train)
        for time in times.tolist()
    ]
    assert [(int(i), int(unit), float(time)) for i, unit, time in rows] == expected


@given(stack=any_rate_slices())
@RANDOM
def test_any_rate_slices_are_rows(tmp_path, stack):
    """Each rate once, with its slice, the time of its bin, and its unit."""
    stack.to_csv(tmp_path / "r.csv", verify=True)
    header, *rows = cells(tmp_path / "r.csv")
    assert header == ["slice", "time_ms", "unit", "rate"]
    n_units, n_bins, n_slices = stack.event_stack.shape
    expected = [
        [
            str(i),
            repr(float(stack.times[i][0] + k * stack.step_size)),
            str(unit),
            repr(float(stack.event_stack[unit, k, i])),
        ]
        for i in range(n_slices)
        for k in range(n_bins)
        for unit in range(n_units)
    ]
    assert rows == expected


@given(pcm=any_matrix())
@RANDOM
def test_any_matrix_comes_back(tmp_path, pcm):
    """Values and labels, with their types."""
    pcm.to_csv(tmp_path / "m.csv", verify=True)
    found = load(tmp_path / "m.csv")
    expected = PairwiseCompMatrix(pcm.matrix, pcm.labels)
    if pcm.matrix.size:
        assert_same_object(found, expected)


@given(pcms=any_stack())
@RANDOM
def test_any_stack_is_rows(tmp_path, pcms):
    """Each value once, with its window and the labels of its pair."""
    pcms.to_csv(tmp_path / "m.csv", verify=True)
    header, *rows = cells(tmp_path / "m.csv")
    assert header == ["window", "row", "column", "value"]
    count, n_windows = len(pcms.stack), len(pcms)
    values = [float(row[3]) for row in rows]
    expected = pcms.stack.transpose(2, 0, 1).ravel()
    np.testing.assert_array_equal(np.array(values), expected)
    names = [str(n) for n in (range(count) if pcms.labels is None else pcms.labels)]
    places = itertools.product(map(str, range(n_windows)), names, names)
    assert [tuple(row[:3]) for row in rows] == list(places)


def test_rates_are_read_in_the_order_of_units(tmp_path):
    """Whatever the order of the columns; the same unit twice is an error."""
    path = tmp_path / "r.csv"
    path.write_text("time_ms,unit_1,unit_0\n1,2,3\n")
    assert load(path).inst_Frate_data.tolist() == [[3], [2]]
    path.write_text("time_ms,CA3,CA1\n1,2,3\n")
    assert load(path).inst_Frate_data.tolist() == [[2], [3]]
    path.write_text("time_ms,unit_0,unit_0\n1,2,3\n")
    with pytest.raises(FormatError, match="columns of different names"):
        load(path)


@pytest.mark.parametrize("name", ["neuron", "unit_id", "Cluster ID", "cell", "cluster"])
@pytest.mark.parametrize(
    "text", ["{0},time_ms\n", "time_ms,{0}\n", "a,time (ms),{0}\n"]
)
def test_units_under_another_name_are_read_with_a_warning(text, name, tmp_path):
    """They may have any numbers, which become ids; and none is taken for a rate."""
    header = text.format(name)
    rows = [(7, 1.5), (10, 2.0), (7, 4.5)]
    cells = {name: "{0}", "time_ms": "{1}", "time (ms)": "{1}", "a": "x"}
    line = ",".join(cells[column] for column in header.strip().split(","))
    path = tmp_path / "s.csv"
    path.write_text(header + "\n".join(line.format(*row) for row in rows))
    with pytest.warns(UserWarning, match=f"column '{name.lower()}' is taken for the"):
        found = load(path)
    assert [times.tolist() for times in found.train] == [[1.5, 4.5], [2.0]]
    assert [unit["unit_id"] for unit in found.neuron_attributes] == [7, 10]


def test_units_under_another_name_may_be_texts_or_numbers_of_a_table(tmp_path):
    """Names of units; and, with a table of units, its numbers."""
    path = tmp_path / "s.csv"
    path.write_text('spike time (s),unit_name\n0.5,"b"\n1,a 1\n2,b\n')
    with pytest.warns(UserWarning, match="taken for the units"):
        found = load(path)
    assert [times.tolist() for times in found.train] == [[1000.0], [500.0, 2000.0]]
    assert [unit["unit_id"] for unit in found.neuron_attributes] == ["a 1", "b"]
    sd = SpikeData([[1.0], [], [3.0]], length=5.0)
    sd.to_csv(path, units_table=tmp_path / "u.csv")
    path.write_text(path.read_text().replace("unit", "neuron"))
    with pytest.warns(UserWarning, match="taken for the units"):
        assert load(path, units_table=tmp_path / "u.csv") == sd


def test_rates_keep_any_names(tmp_path):
    """A name that could be of units holds rates if they are not whole numbers."""
    path = tmp_path / "r.csv"
    path.write_text("time_ms,cell\n0,0.5\n1,2\n")
    assert load(path).inst_Frate_data.tolist() == [[0.5, 2.0]]
    path.write_text("time_ms,CA3,cell,CA1\n0,0.5,1.5,3\n")
    assert load(path).inst_Frate_data.tolist() == [[0.5], [1.5], [3.0]]
    for text in ("id\n0,3\n1,2\n", "channel,amplitude\n0,3,2.5\n1,2,2.5\n"):
        path.write_text(f"time_ms,{text}")
        with pytest.warns(UserWarning, match=f"{text[:2]}.* are taken for the rates"):
            assert load(path).inst_Frate_data[0].tolist() == [3.0, 2.0]


@pytest.mark.filterwarnings("ignore:columns beside unit")
@pytest.mark.parametrize(
    "text",
    [
        "sep=,\nunit,time_ms\n0,1.5\n1,2\n",
        '"","unit","time_ms"\n"1",0,1.5\n"2",1,2\n',
        "Unnamed: 0,unit,Time (ms)\n0,0,1.5\n1,1,2\n",
        'unit,time_ms\n"0","1.5"\n"1","2"\n\n\n',
        "unit,time_ms,\n0,1.5,\n1,2,\n,,\n,,\n",
        "unit,spike_time [s]\n0,0.0015\n1,2e-3\n",
        "unit,time_sec\r0,0.0015\r1,2e-3\r",
        "# unit,time_ms\n0.000e+00,1.5e+00\n1.000e+00,2.0e+00\n",
        ",,\r\nunit,time_ms,\r\n0,1.5,\r\n1,2,\r\n",
        "timestamp,unit,timestamps_ms\n3,0,1.5\n4,1,2\n",
    ],
)
def test_everyday_tables_of_spikes_are_read(text, tmp_path):
    """Of Excel, R, pandas and numpy: indices, quotes, empty rows, comment signs."""
    (tmp_path / "s.csv").write_text(text, newline="")
    assert [x.tolist() for x in load(tmp_path / "s.csv").train] == [[1.5], [2.0]]


@pytest.mark.parametrize(
    "text",
    [
        "time_ms,unit_0,unit_1,\n0,1,2,\n5,3,4,\n",
        '"","time_ms","unit_0","unit_1"\n"1",0,1,2\n"2",5,3,4\n',
        "Unnamed: 0,time_ms,unit_1,unit_0\n0,0,2,1\n1,5,4,3\n,,,\n",
    ],
)
def test_columns_without_a_name_are_no_rates(text, tmp_path):
    """Those of an index, and of a comma at the end of each line."""
    (tmp_path / "r.csv").write_text(text)
    found = load(tmp_path / "r.csv")
    assert found.inst_Frate_data.tolist() == [[1, 3], [2, 4]]
    assert found.times.tolist() == [0, 5]


def test_units_that_count_from_1_are_named(tmp_path):
    """As R and MATLAB number them; with a table of units, N is known."""
    path, table = tmp_path / "s.csv", tmp_path / "u.csv"
    path.write_text("unit,time_ms\n1,1.5\n2,2\n1,3\n")
    with pytest.warns(UserWarning, match="counts from 1, as R does: unit 0 is there"):
        assert load(path).N == 3
    sd = SpikeData([[], [1.5], [2.0]], length=5.0)
    sd.to_csv(path, units_table=table, verify=True)
    assert load(path, units_table=table) == sd
    sd.to_csv(path, verify=True)


def test_the_index_of_pandas_is_no_attribute_of_units(tmp_path):
    """Of a table of units that was opened and saved there."""
    path, table = tmp_path / "s.csv", tmp_path / "u.csv"
    sd = SpikeData([[1.0], [2.0]], length=5.0, neuron_attributes=[{"a": 1}, {"a": 2}])
    sd.to_csv(path, units_table=table)
    for name in ("", '""', "Unnamed: 0"):
        lines = table.read_text().splitlines()
        saved = [f"{name},{lines[0]}", *(f"{i},{x}" for i, x in enumerate(lines[1:]))]
        (tmp_path / "saved.csv").write_text("\n".join(saved))
        assert load(path, units_table=tmp_path / "saved.csv") == sd


def test_a_square_of_pandas_is_read(tmp_path):
    """Its labels have no name."""
    (tmp_path / "m.csv").write_text(",CA1,CA3\nCA1,1.0,0.5\nCA3,0.5,1.0\n")
    assert load(tmp_path / "m.csv").labels == ["CA1", "CA3"]


@pytest.mark.parametrize("make", [event_slices, rate_slices, plain_stack])
def test_stacks_are_not_read(make, tmp_path):
    """Their windows are not in the table; losses and the error say what keeps them."""
    make().to_csv(tmp_path / "s.csv", verify=True)
    with pytest.raises(FormatError, match="to_hdf5"):
        load(tmp_path / "s.csv")
    assert "so it is not loaded" in CSVWriter().losses(make())[0]
    with pytest.raises(LossError, match="so it is not loaded"):
        make().to_csv(tmp_path / "s.csv", strict=True)


class Altered(CSVWriter):
    """A writer into whose staged file something else gets."""

    def _write(self, obj, staged):
        super()._write(obj, staged)
        text = staged.read_text()
        for old, new in self.replacements:
            assert old in text
            text = text.replace(old, new)
        staged.write_text(text)


def verify_altered(obj, path, *replacements, **options):
    """Verify an export into which the replacements get."""
    Altered.replacements = replacements
    Altered(verify=True, **options).write(obj, path)


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("packed", [False, True])
def test_verify_finds_a_difference_in_every_class(name, packed, tmp_path):
    """Whatever was staged otherwise is not published."""
    obj = SIBLINGS[name]()
    path = tmp_path / ("o.csv.gz" if packed else "o.csv")
    old = {
        "one_rate_slice": "2.5",
        "comparison_matrix": "0.25",
        "integer_matrix": "4611686018427387904",
    }
    with pytest.raises(VerificationError, match="differs"):
        verify_altered(obj, path, (old.get(name, "1"), "7"))
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0,12.5", "0,13.5", "spike times of unit 0 differ"),
        ("0,12.5", "1,12.5", "unit 0 has 2 spikes"),
        ("0,12.5", "0,x", "it cannot be read"),
    ],
)
def test_verify_finds_other_spikes(old, new, message, tmp_path):
    """Moved, of another unit, or no number."""
    sd = SpikeData([[1.0, 12.5], [2.0]], length=20.0)
    table = tmp_path / "u.csv"
    message = message.replace("it cannot", "it cannot|do not belong")
    with pytest.raises(VerificationError, match=f"{message}|do not belong together"):
        verify_altered(sd, tmp_path / "s.csv", (old, new), units_table=table)
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("good", "mua", r"neuron_attributes\[0\]\['quality'\] differs"),
        (",20.0", ",21.0", "length differs"),
        (",good", ',"good', "a quote is out of place"),
    ],
)
def test_verify_finds_another_table_of_units(old, new, message, tmp_path):
    """Both files are read back."""

    class AlteredUnits(CSVWriter):
        def _write_units(self, sd, staged):
            super()._write_units(sd, staged)
            text = staged.read_text()
            assert old in text
            staged.write_text(text.replace(old, new))

    sd = SpikeData([[1.0]], length=20.0, neuron_attributes=[{"quality": "good"}])
    writer = AlteredUnits(units_table=tmp_path / "u.csv", verify=True)
    with pytest.raises(VerificationError, match=message):
        writer.write(sd, tmp_path / "s.csv")
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    ("labels", "old", "new"),
    [
        (["CA1", "CA3"], "CA1", "CA2"),
        ([7, 8], "7", '"7"'),
        ([True, False], "True", "1"),
        ([0, 1], "label", "unit"),
    ],
)
def test_verify_finds_other_labels(tmp_path, labels, old, new):
    """Names and their types are compared too."""
    obj = PairwiseCompMatrix(np.zeros((2, 2)), labels)
    with pytest.raises(VerificationError, match="labels differs"):
        verify_altered(obj, tmp_path / "m.csv", (old, new))
    assert not snapshot(tmp_path)


@pytest.mark.parametrize(
    "labels",
    [("a", "b"), [0, 1], np.array(["a", "3"]), np.arange(2), [np.int64(3), ""]],
)
def test_verify_accepts_labels_that_the_table_carries(tmp_path, labels):
    """In a sequence or scalar of another type, or as the numbers of the units."""
    PairwiseCompMatrix(np.zeros((2, 2)), labels).to_csv(tmp_path / "m.csv", verify=True)
    stack = PairwiseCompMatrixStack(np.zeros((2, 2, 1)), labels)
    stack.to_csv(tmp_path / "s.csv", verify=True)


def test_verify_tells_large_integers_apart(tmp_path):
    """Values beyond the integers of a float are compared as integers."""
    obj = PairwiseCompMatrix(np.array([[2**53 + 1]]))
    with pytest.raises(VerificationError, match="matrix differs"):
        verify_altered(obj, tmp_path / "m.csv", ("993", "992"))


def test_values_without_a_cell_are_refused(tmp_path):
    """Complex values, and labels that are no text or number."""
    with pytest.raises(ValueError, match="real numbers"):
        PairwiseCompMatrix(np.eye(2) * 1j).to_csv(tmp_path / "m.csv")
    with pytest.raises(ValueError, match="labels must be"):
        PairwiseCompMatrix(np.eye(1), [(1, 2)]).to_csv(tmp_path / "m.csv")
    assert not snapshot(tmp_path)


@pytest.mark.parametrize("label", [None, (1, 2), "\ud800", 1j])
@pytest.mark.parametrize("strict", [False, True])
def test_losses_refuse_the_labels_that_the_export_refuses(tmp_path, label, strict):
    """No list of losses for what cannot be written at all."""
    writer = CSVWriter(strict=strict)
    for obj in (
        PairwiseCompMatrix(np.zeros((3, 3)), ["", label, "x"]),
        PairwiseCompMatrixStack(np.zeros((3, 3, 1)), ["", label, "x"]),
    ):
        with pytest.raises(ValueError, match="labels must be"):
            writer.losses(obj)
        with pytest.raises(ValueError, match="labels must be"):
            writer.write(obj, tmp_path / "m.csv")
    assert not snapshot(tmp_path)


def test_a_label_is_quoted_as_the_standard_says(tmp_path):
    """Commas, quotes and line ends inside a cell."""
    comparison_matrix().to_csv(tmp_path / "m.csv")
    assert cells(tmp_path / "m.csv")[0] == ["label", 'a,\n"b"', "3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n", "it is empty; a CSV file must have a header"),
        ("a,b\n1,2\n", "must have a column time_ms"),
        ("0,1.5\n1,2\n", "must begin with a header, .* got '0,1.5'"),
        ("unit,time_us\n0,1\n", "must have a column time_ms.* 'time_us'"),
        ("unit,time_ms\nx,1.0\n", "does not hold numbers"),
        ("unit,time_ms\n0\n", "does not hold numbers"),
        ("unit,time_ms\n0,1,5\n0,2,75\n", "row 1 below .* 3 cells, .* points"),
        ("unit,time_ms\n0,1\n0,2,75\n0,3\n", "row 2 below .* 3 cells"),
        ('unit,time_ms\n0,"1,5"\n', "not hold numbers: .*'1,5'.* must have points"),
        (",unit_0,unit_1\n0.0,1,2\n", "rates must begin with a column time_ms"),
        ("time_ms,unit,area\n1,0,CA1\n2,5,0,CA1\n", "row 2 below .* 4 cells"),
        ("unit,time_ms\n-1,1.0\n", "must lie in 0"),
        ("unit,time_ms\n99999999999,1.0\n", "must lie in 0"),
        ("unit,time_ms\n0,nan\n", "unit 0: spike times must be finite"),
        ("unit,time_ms\n0,1.0\n1,-inf\n", "unit 1: spike times must be finite"),
        ("neurons,time_ms\n0,1.0\n", "must have a column 'unit'"),
        ("neuron,time_ms\n0.5,1.0\n", "must have a column 'unit'"),
        ("time_ms,unit,rate\n0.0,0,2.5\n0.0,1,5.0\n", "a rate for each time and unit"),
        ('unit,"time_ms\n0,1.0\n', "quote is out of place"),
        ("slice,time_ms,unit,rate\n0,0.0,0,1.0\n", "to_hdf5"),
        ("Window, Row,column,value\n0,0,1,1.0\n", "to_hdf5"),
        ("label,a\na,text\n", "must hold numbers"),
        ("label,a,b\na,1,2\n", "same labels"),
        ("label,a,b\na,1,2\nb,3\n", "same labels"),
        ("time_ms,unit_0\n1.0,2.0\n0.5,1.0\n", "decrease"),
    ],
)
def test_broken_tables_are_format_errors(tmp_path, text, message):
    """Each says what is wrong."""
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("electrode\n0\n", "must have one column 'unit'"),
        ("unit,unit\n0,0\n", "must have one column 'unit'"),
        ("unit,n_spikes\n1,1\n", "must hold each of 0..0 once"),
        ("unit,n_spikes\n0,1\n0,1\n", "must hold each of"),
        ("unit,n_spikes\n0\n", "must have 2 cells"),
        ("unit,length_ms\n0,5.0\n1,6.0\n", "one number throughout"),
        ("unit,length_ms\n0,long\n", "one number throughout"),
        ("unit,n_spikes\n0,2\n", "do not belong together"),
    ],
)
def test_broken_tables_of_units_are_format_errors(tmp_path, text, message):
    """Each says what is wrong."""
    (tmp_path / "s.csv").write_text("unit,time_ms\n0,1.0\n")
    (tmp_path / "u.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "s.csv", units_table=tmp_path / "u.csv")


@pytest.mark.filterwarnings("ignore:to_csv")
def test_damaged_compression_is_a_format_error(tmp_path):
    """A file cut short says so."""
    simulated().to_csv(tmp_path / "s.csv.gz")
    whole = (tmp_path / "s.csv.gz").read_bytes()
    (tmp_path / "s.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="not CSV text"):
        load(tmp_path / "s.csv.gz")


@pytest.mark.parametrize("time_unit", ["ms", "s"])
def test_times_of_low_precision_lose_no_more(time_unit, tmp_path):
    """float32 times are converted as the float64 that they are."""
    times = np.array([0, 0.1, 16.7, 33.3], dtype=np.float32)
    RateData(np.ones((1, 4)), times).to_csv(
        tmp_path / "r.csv", time_unit=time_unit, verify=True
    )
    found = load(tmp_path / "r.csv").times
    np.testing.assert_allclose(found, times.astype(np.float64), rtol=1e-15)


@pytest.mark.parametrize("unit", ["ns", "h"])
def test_a_difference_of_time_is_no_number(unit, tmp_path):
    """Its unit would be gone, so that it is said to be lost."""
    sd = SpikeData([[1.0]], neuron_attributes=[{"q": np.timedelta64(3, unit)}])
    table = tmp_path / "u.csv"
    with pytest.raises(LossError, match=r"neuron_attributes\['q'\]"):
        sd.to_csv(tmp_path / "s.csv", units_table=table, strict=True)
    sd.to_csv(tmp_path / "s.csv", units_table=table)
    assert load(tmp_path / "s.csv", units_table=table).neuron_attributes is None


def test_complex_rates_are_refused(tmp_path):
    """Half of each number is not dropped."""
    stack = RateSliceStack(event_matrix=np.array([[[1 + 5j]]]))
    with pytest.raises(ValueError, match="event_stack must hold real numbers"):
        stack.to_csv(tmp_path / "s.csv")
    with pytest.raises(ValueError, match="event_stack must hold real numbers"):
        CSVWriter().losses(stack)
    with pytest.raises(TypeError, match="inst_Frate_data must hold"):
        RateData([[1 + 5j]], [0.0])


@pytest.mark.parametrize("labels", [["time_ms", "a"], ["time", "x"]])
def test_labels_may_be_names_of_columns(labels, tmp_path):
    """A square is told by its first column."""
    matrix = PairwiseCompMatrix(np.eye(2), labels)
    matrix.to_csv(tmp_path / "m.csv", verify=True)
    assert load(tmp_path / "m.csv") == matrix


def test_the_rate_of_samples_is_no_loss(tmp_path):
    """The reader adds it; one that the metadata hold otherwise is lost."""
    options = {"time_unit": "samples", "fs_Hz": 1000.0}
    writer = CSVWriter(strict=True, verify=True, **options)
    writer.write(SpikeData([[1.0, 2.0]]), tmp_path / "s.csv")
    assert load(tmp_path / "s.csv", fs_Hz=1000.0).metadata["fs_Hz"] == 1000.0
    lost = SpikeData([[1.0, 2.0]], metadata={"fs_Hz": 2000.0})
    assert writer.losses(lost) == ["metadata"]


def test_a_table_of_units_that_is_no_path_is_said_in_one_line():
    """In words of our own."""
    with pytest.raises(TypeError, match=r"^units_table must be a path or None, got 3$"):
        CSVWriter(units_table=3)


@pytest.mark.parametrize(
    ("obj", "n_units"),
    [(RateData([[1.0, 2.0]], [0.0, 10.0]), 1), (RateData([[1.0], [3.0]], [2.0]), 2)],
)
def test_rates_in_samples_are_read_with_the_sampling_rate(obj, n_units, tmp_path):
    """As spikes are; and a plain column of times with its unit."""
    path = tmp_path / "r.csv"
    obj.to_csv(path, time_unit="samples", fs_Hz=1000.0, verify=True)
    with pytest.raises(FormatError, match="fs_Hz must be given"):
        load(path)
    found = load(path, fs_Hz=1000.0)
    assert (type(found), found.N) == (type(obj), n_units)
    assert np.array_equal(found.times, obj.times)
    path.write_text(path.read_text().replace("time_samples", "time"))
    assert np.array_equal(load(path, time_unit="ms").times, obj.times)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (integer_matrix, {"time_unit": "ms"}),
        (integer_matrix, {"fs_Hz": 10_000.0}),
        (lambda: RateData([[1.0]], [0.0]), {"units_table": "u.csv"}),
        (lambda: RateData([[1.0]], [0.0]), {"length_ms": 10.0}),
    ],
)
def test_options_that_mean_nothing_for_a_table_are_refused(make, options, tmp_path):
    """Instead of being ignored."""
    make().to_csv(tmp_path / "r.csv")
    (tmp_path / "u.csv").write_text("unit\n0\n")
    if "units_table" in options:
        options = {"units_table": tmp_path / "u.csv"}
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be None for"):
        load(tmp_path / "r.csv", **options)


def test_missing_numbers_are_nan(tmp_path):
    """As pandas (nothing) and R (NA) write them."""
    path = tmp_path / "a.csv"
    path.write_text("time_ms,unit_0\n0.0,\n1.0,NA\n2.0,3.5\n")
    np.testing.assert_array_equal(load(path).inst_Frate_data, [[NAN, NAN, 3.5]])
    path.write_text("label,a,b\na,1.0,\nb,0.5,NA\n")
    np.testing.assert_array_equal(load(path).matrix, [[1.0, NAN], [0.5, NAN]])
    path.write_text('unit,time_ms\n0.0,1.5\n"1",2.5\n')
    assert [times.tolist() for times in load(path).train] == [[1.5], [2.5]]


def test_a_matrix_with_quotes_at_one_edge_is_read(tmp_path):
    """R quotes the names of columns, and not those of rows that are numbers."""
    (tmp_path / "m.csv").write_text('"label","10","20"\n10,1.0,0.5\n20,0.5,1.0\n')
    assert load(tmp_path / "m.csv").labels == [10, 20]


def test_columns_of_units_may_stand_anywhere(tmp_path):
    """Only four columns before the number of spikes are derived from others."""
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    files[0].write_text("unit,time_ms\n0,1.0\n1,2.0\n")
    files[1].write_text(
        "unit,area,electrode,x,y,z,n_spikes\n1.0,CA3,NA,1.0,,7.0,1\n0.0,CA1,4,NA,NA,NA,1\n"
    )
    assert equal(
        load(files[0], units_table=files[1]).neuron_attributes,
        [
            {"area": "CA1", "electrode": 4},
            {"area": "CA3", "location": [1.0, NAN, 7.0]},
        ],
    )
    files[1].write_text('unit,quality\n0,NA\n1,"NA"\n')
    found = load(files[0], units_table=files[1]).neuron_attributes
    assert found == [{}, {"quality": "NA"}]


@pytest.mark.parametrize(("yes", "no"), [("TRUE", "FALSE"), ("true", "false")])
def test_truth_values_of_other_programs_are_truth_values(yes, no, tmp_path):
    """R, or polars and DuckDB, write them so; text of this kind is quoted."""
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    files[0].write_text("unit,time_ms\n0,1.5\n1,2\n")
    files[1].write_text(f'"unit","good","name"\n0,{yes},"{yes}"\n1,{no},x\n')
    sd = load(files[0], units_table=files[1])
    expected = [{"good": True, "name": yes}, {"good": False, "name": "x"}]
    assert sd.neuron_attributes == expected
    sd.to_csv(tmp_path / "again.csv", units_table=files[1])
    again = load(tmp_path / "again.csv", units_table=files[1])
    assert again.neuron_attributes == expected


def test_blank_lines_are_no_rows(tmp_path):
    """Also where floats stand for integers; a spike without a time is an error."""
    path = tmp_path / "s.csv"
    path.write_text("unit,time_ms\n0.0,1\n\n1.0,2\n\n")
    assert [times.tolist() for times in load(path).train] == [[1.0], [2.0]]
    path.write_text("unit,time_ms\n0,1\n0,\n1,2\n")
    with pytest.raises(FormatError, match="unit 0: spike times must be finite"):
        load(path)


def table_of_units(folder):
    """Spikes, and the table of units that was written with them."""
    sd = SpikeData([[1.5], [2.0]], length=5.0, neuron_attributes=[{"q": 1}, {"q": 2}])
    files = folder / "s.csv", folder / "u.csv"
    sd.to_csv(files[0], units_table=files[1])
    return sd, *files


def test_a_table_of_units_is_called_so(tmp_path):
    """Given as the spikes, or exchanged with them."""
    _, spikes, units = table_of_units(tmp_path)
    for options in ({}, {"units_table": units}):
        with pytest.raises(FormatError, match=r"u\.csv: it is a table of units; load"):
            load(units, **options)
    for first, second in ((units, spikes), (spikes, spikes)):
        with pytest.raises(FormatError, match=r"s\.csv: it is a table of spikes, not"):
            load(first, units_table=second)


@pytest.mark.parametrize(
    "head",
    ["unit, time_ms", "Unit,Time_ms", " UNIT ,TIME_MS\t", '"Unit","time_ms "'],
)
def test_headers_are_read_as_people_type_them(head, tmp_path):
    """Without regard to blanks and capitals; so are those of a table of units."""
    (tmp_path / "a.csv").write_text(f"{head}\n0, 1.5\n1, 2.25\n0, 10\n")
    assert [t.tolist() for t in load(tmp_path / "a.csv").train] == [[1.5, 10], [2.25]]
    (tmp_path / "u.csv").write_text(
        "Unit, Electrode, N_Spikes,Area\n0,7,2,CA1\n1,8,1,\n"
    )
    found = load(tmp_path / "a.csv", units_table=tmp_path / "u.csv")
    assert found.neuron_attributes[0] == {"electrode": 7, "Area": "CA1"}
    (tmp_path / "r.csv").write_text("Time_S, Unit_1,unit_0\n1,2,3\n")
    rates = load(tmp_path / "r.csv")
    assert (rates.times.tolist(), rates.inst_Frate_data.tolist()) == (
        [1000],
        [[3], [2]],
    )
    (tmp_path / "m.csv").write_text("Label, a,b\na,1,2\n b,3,4\n")
    assert load(tmp_path / "m.csv").matrix.tolist() == [[1, 2], [3, 4]]


def test_an_attribute_that_differs_in_capitals_stays_one(tmp_path):
    """In a table that spikelab has written, names are what they are."""
    known = [{"Unit": "A", "FS_HZ": 3, "X": 1.5, " n_spikes": 7}]
    sd = SpikeData([[1.0]], length=2.0, neuron_attributes=known)
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    sd.to_csv(files[0], units_table=files[1], strict=True, verify=True)
    assert load(files[0], units_table=files[1]).neuron_attributes == known


@pytest.mark.parametrize("name", ["spikes", "units"])
@pytest.mark.parametrize(
    ("mark", "encoding", "message"),
    [
        (";", "utf-8", "separated by semicolons"),
        ("\t", "utf-8", "separated by tabs"),
        ("|", "utf-8", "separated by vertical bars"),
        (",", "utf-16", "UTF-16"),
        (",", "utf-16-le", "UTF-16"),
        (",", "latin-1", "UTF-8"),
    ],
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_another_delimiter_or_encoding_is_named(
    name, mark, encoding, message, quote, tmp_path
):
    """Of spreadsheets in other countries, and of their Unicode text."""
    tables = {
        "spikes": [
            ["unit", "time_ms", "\xb5"],
            ["0", "1,5" if mark == ";" else "1.5", ""],
        ],
        "units": [["unit", "area", "\xb5"], ["0", "CA1", ""]],
    }
    (tmp_path / "spikes.csv").write_text("unit,time_ms\n0,1.5\n")
    text = "".join(
        mark.join(f"{quote}{cell}{quote}" for cell in row) + "\n"
        for row in tables[name]
    )
    path = tmp_path / f"{name}.csv"
    path.write_bytes(text.encode(encoding))
    options = {"units_table": path} if name == "units" else {}
    with pytest.raises(FormatError, match=rf"{name}\.csv: .*{message}"):
        load(tmp_path / "spikes.csv", **options)


def test_labels_may_hold_other_delimiters(tmp_path):
    """They are no delimiters where commas are."""
    matrix = PairwiseCompMatrix(np.eye(2), ["a;b;c", "d\te|f"])
    matrix.to_csv(tmp_path / "m.csv", strict=True, verify=True)
    assert load(tmp_path / "m.csv") == matrix


def test_a_loader_for_spikes_takes_nothing_else(tmp_path):
    """It has the options of the format."""
    sd, spikes, units = table_of_units(tmp_path)
    assert load_spikedata_from_csv(spikes, units_table=units) == sd
    matrix = integer_matrix().to_csv(tmp_path / "m.csv")
    with pytest.raises(FormatError, match="must hold a SpikeData"):
        load_spikedata_from_csv(matrix)


@pytest.mark.parametrize("failing", ["s.csv", "u.csv"])
def test_each_of_the_two_files_is_old_or_new(failing, tmp_path, monkeypatch):
    """Nothing is put back or deleted; two that do not fit are refused."""
    old, spikes, units = table_of_units(tmp_path)
    new = SpikeData([[3.0, 4.0], []], length=9.0, neuron_attributes=[{}, {"q": 3}])
    before = snapshot(tmp_path)
    real = os.replace

    def replace(source, target):
        if Path(target).name == failing:
            raise OSError("no renaming today")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="no renaming today"):
        new.to_csv(spikes, units_table=units)
    monkeypatch.undo()
    found = snapshot(tmp_path)
    assert found.keys() == before.keys()
    assert found["s.csv"] == before["s.csv"]
    # The table of units is published first.
    assert (found["u.csv"] == before["u.csv"]) == (failing == "u.csv")
    if failing == "u.csv":
        assert load(spikes, units_table=units) == old
    else:
        with pytest.raises(FormatError, match="do not belong together: unit 0 has"):
            load(spikes, units_table=units)
    new.to_csv(spikes, units_table=units)
    assert load(spikes, units_table=units) == new


def test_spikes_beyond_the_window_of_the_table_are_refused(tmp_path):
    """The same number of spikes, in another recording."""
    _, spikes, units = table_of_units(tmp_path)
    spikes.write_text("unit,time_ms\n0,7.5\n1,2.0\n")
    with pytest.raises(FormatError, match=r"window \[0.0, 5.0\] ms, got 7.5"):
        load(spikes, units_table=units)


@pytest.mark.parametrize("digits", [10, 15])
@pytest.mark.parametrize("rounded", [0, 1])
def test_files_with_fewer_digits_belong_together(rounded, digits, tmp_path):
    """Excel writes 10 and more, R and MATLAB 15: the window is as long as it must be."""
    rng = np.random.default_rng(0)
    files = tmp_path / "s.csv", tmp_path / "u.csv"
    for last in rng.uniform(1e6, 4e6, 20).tolist():
        sd = SpikeData([[12.5, last]], start_time=-last)
        sd.to_csv(files[0], units_table=files[1])
        text = re.sub(
            r"[0-9]+[.][0-9]+",
            lambda number: f"{float(number[0]):.{digits}g}",
            files[rounded].read_text(),
        )
        files[rounded].write_text(text)
        found = load(files[0], units_table=files[1])
        assert found.train[0].tolist() == pytest.approx([12.5, last], rel=1e-9)
        assert found.length == pytest.approx(sd.length, rel=1e-9)
        assert load(files[0], units_table=files[1], length_ms=1e8).length == 1e8


def test_text_is_that_of_repr_and_of_the_standard_library(tmp_path):
    """Numbers of all sizes, and cells of all kinds."""
    times = [-0.0, 5e-324, 1e-7, 0.1, 1 / 3, 1e15, 1e16, 1e300]
    SpikeData([times], start_time=0, length=times[-1]).to_csv(tmp_path / "s.csv")
    assert [row[1] for row in cells(tmp_path / "s.csv")[1:]] == list(map(repr, times))
    label = 'a,"b"\r\n'
    table = PairwiseCompMatrix(np.array([[NAN, -math.inf], [0, 1e300]]), [label, "3"])
    table.to_csv(tmp_path / "m.csv")
    assert cells(tmp_path / "m.csv") == [
        ["label", label, "3"],
        [label, "nan", "-inf"],
        ["3", "0.0", "1e+300"],
    ]
