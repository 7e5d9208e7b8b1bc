"""One conversion, from Python."""

import json
import warnings
import zoneinfo
from datetime import UTC, datetime

import numpy as np
import pytest
from recordings import assert_same_recording, simulated

import spikelab
from spikelab import RateData, SpikeData, convert, convert_many, load
from spikelab.batch.options import options_of
from spikelab.batch.table import read_table
from spikelab.errors import FormatError, LossError, OptionError
from spikelab.formats import NWBSession
from spikelab.formats.base import Writer
from spikelab.registry import FORMATS


def plain(**options):
    """A recording of which no format loses anything."""
    return SpikeData([[12.5, 437.5, 875.0], [62.5, 500.0], []], length=1000, **options)


def test_a_recording_is_converted_and_the_place_is_returned(tmp_path):
    """As the exporter returns it: a path, or several."""
    source = plain().to_pickle(tmp_path / "a.pkl")
    target = str(tmp_path / "a.h5")
    assert convert(source, target) == target
    assert load(target) == plain()
    arrays = convert(source, tmp_path / "ks", to="kilosort", fs_Hz=20_000)
    assert [type(name) for name in arrays] == [str, str]


def test_the_name_or_to_says_the_format(tmp_path):
    """And if neither does, the formats there are are listed."""
    source = plain().to_pickle(tmp_path / "a.pkl")
    convert(source, tmp_path / "odd.name", to="hdf5")
    assert load(tmp_path / "odd.name") == plain()
    with pytest.raises(OptionError, match=r"to must be given: the name .* csv"):
        convert(source, tmp_path / "odd.name")
    with pytest.raises(OptionError, match=r"to must be one of nwb, .* got 'nbw'"):
        convert(source, tmp_path / "a.nwb", to="nbw")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"fsHz": 1000}, "fsHz is no option of nwb, did you mean fs_Hz"),
        ({"style": "group"}, "style is no option of nwb, but of hdf5"),
        ({"fs_Hz": -1.0}, "fs_Hz must be positive"),
    ],
)
def test_wrong_options_are_found_before_the_source_is_read(options, problem, tmp_path):
    """An option of another format, a misspelt one, a value that the writer refuses."""
    with pytest.raises(ValueError, match=problem):
        convert(tmp_path / "missing.pkl", tmp_path / "a.nwb", **options)


def test_a_wrong_option_is_a_type_error_too(tmp_path):
    """As it is for any function of Python."""
    with pytest.raises(TypeError, match="wings is no option"):
        convert(tmp_path / "missing.pkl", tmp_path / "a.nwb", wings=2)


def test_each_loss_is_warned_of_once(tmp_path):
    """One warning for each thing that the target has no place for."""
    source = simulated().to_pickle(tmp_path / "a.pkl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert(source, tmp_path / "a.h5")
    texts = [str(warning.message) for warning in caught]
    assert any("neuron_attributes" in text for text in texts)
    assert any("metadata" in text for text in texts)
    assert len(set(texts)) == len(texts)


def test_what_a_writer_warns_of_itself_is_not_said_again(tmp_path):
    """Silent units and window of a CSV table, in a batch too."""
    sd = SpikeData([[-3.0], [4.0], []], start_time=-5.0, length=20.0)
    source = sd.to_pickle(tmp_path / "a.pkl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert(source, tmp_path / "a.csv")
    assert len([w for w in caught if "silent units" in str(w.message)]) == 1
    assert len([w for w in caught if "recording window" in str(w.message)]) == 1
    (row,) = convert_many(source, tmp_path / "b/{stem}.csv")
    assert len([text for text in row.losses if "silent units" in text]) == 1


@pytest.mark.parametrize("name", ["a.h5", "a.csv", "a.nwb"])
def test_losses_are_found_once(name, tmp_path, monkeypatch):
    """For the warnings, the row of a batch, and to compare what is read back."""
    source = simulated().to_pickle(tmp_path / "a.pkl")
    found = []
    every = Writer._all_losses

    def counted(self, *args):
        found.append(self.method)
        return every(self, *args)

    monkeypatch.setattr(Writer, "_all_losses", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        convert(source, tmp_path / name)
    assert len(found) == 1
    (row,) = convert_many(source, tmp_path / f"out/{name}", resume=False)
    assert len(found) == 2
    assert row.losses


def test_the_only_copy_is_not_replaced_if_part_of_it_would_be_lost(tmp_path):
    """By whatever name source and target are called."""
    raw = np.ones((2, 20), dtype=np.int16)
    sd = SpikeData([[1.0, 2.0]], length=10.0, raw_data=raw, raw_time=2.0)
    source = tmp_path / "a.h5"
    sd.to_hdf5(source, raw_dataset="raw", raw_time_dataset="t")
    (tmp_path / "link.h5").symlink_to(source)
    (tmp_path / "hard.h5").hardlink_to(source)
    before = source.read_bytes()
    links = (tmp_path / "link.h5", tmp_path / "hard.h5")
    for target in (source, *links, f"file://{source}"):
        with (
            pytest.warns(UserWarning, match="raw"),
            pytest.raises(LossError, match="is source and target"),
        ):
            convert(source, target)
        assert source.read_bytes() == before


@pytest.mark.parametrize("method", ["to_csv", "to_parquet"])
def test_tables_of_samples_know_the_rate(method, tmp_path):
    """It need not be given again for KiloSort."""
    sd = SpikeData([[1.0, 2.0], [3.0]], metadata={"fs_Hz": 20_000.0})
    suffix = method.removeprefix("to_")
    options = {"time_unit": "samples", "fs_Hz": 20_000, "verify": True, "strict": True}
    units = tmp_path / f"u.{suffix}"
    getattr(sd, method)(tmp_path / f"s.{suffix}", units_table=units, **options)
    convert(
        tmp_path / f"s.{suffix}",
        tmp_path / "ks",
        to="kilosort",
        source_options={"units_table": units},
    )
    assert load(tmp_path / "ks").metadata["fs_Hz"] == 20_000


def test_what_loses_nothing_may_replace_its_source(tmp_path):
    """Such as a new layout of the same spikes."""
    source = plain().to_hdf5(tmp_path / "a.h5")
    convert(source, source, style="group")
    assert load(source) == plain()


def test_the_sampling_rate_comes_from_the_source(tmp_path):
    """A folder that says how fast it was sampled needs no option."""
    folder = tmp_path / "ks"
    plain().to_kilosort(folder, fs_Hz=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # templates, say, are not known
        convert(folder, tmp_path / "phy", to="phy")
        convert(folder, tmp_path / "a.nwb")
    assert load(tmp_path / "phy").metadata["fs_Hz"] == 20_000
    assert load(tmp_path / "a.nwb").metadata["fs_Hz"] == pytest.approx(20_000)
    assert_same_recording(load(tmp_path / "a.nwb"), plain(), slack_ms=1e-9)


def test_a_rate_that_nobody_knows_is_asked_for(tmp_path):
    """Before anything is written."""
    source = plain().to_pickle(tmp_path / "a.pkl")
    with pytest.raises(OptionError, match=r"fs_Hz must be given for phy: .*a\.pkl"):
        convert(source, tmp_path / "phy", to="phy")
    assert not (tmp_path / "phy").exists()


def test_units_are_added_to_a_session_that_is_there(tmp_path):
    """Of which another program wrote the rest."""
    pynwb = pytest.importorskip("pynwb")
    session = pynwb.NWBFile("A session.", "a", datetime.now(UTC))
    with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "w") as io:
        io.write(session)
    source = plain().to_pickle(tmp_path / "a.pkl")
    with pytest.raises(OptionError, match="append is no option of hdf5, but of nwb"):
        convert(source, tmp_path / "a.h5", append=True)
    with pytest.raises(OptionError, match="fs_Hz has no effect together with append"):
        convert(source, tmp_path / "a.nwb", append=True, fs_Hz=20_000)
    convert(source, tmp_path / "a.nwb", append=True)
    with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "r") as io:
        read = io.read()
        assert (read.session_description, len(read.units)) == ("A session.", 3)
    with pytest.raises(FileNotFoundError):
        convert(source, tmp_path / "b.nwb", append=True)


def test_what_is_added_to_a_session_is_warned_of_once(tmp_path):
    """An attribute that NWB cannot hold; objects that are no recordings are refused."""
    pynwb = pytest.importorskip("pynwb")
    session = pynwb.NWBFile("A session.", "a", datetime.now(UTC))
    with pynwb.NWBHDF5IO(tmp_path / "a.nwb", "w") as io:
        io.write(session)
    rates = RateData([[0.5, 2.5]], [0.0, 10.0]).to_pickle(tmp_path / "rates.pkl")
    with pytest.raises(TypeError, match="only recordings can be appended"):
        convert(rates, tmp_path / "a.nwb", append=True)
    known = [{"shape": {"a": 1}}, {}, {}]
    source = plain(neuron_attributes=known).to_pickle(tmp_path / "a.pkl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert(source, tmp_path / "a.nwb", append=True)
    assert len([w for w in caught if "'shape'" in str(w.message)]) == 1


def test_a_pickle_that_needs_trust_is_warned_of_once(tmp_path):
    """By the writer, which says so."""
    zone = zoneinfo.ZoneInfo("Europe/Paris")
    sd = plain(metadata={"day": datetime(2024, 5, 17, tzinfo=zone)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = sd.to_pickle(tmp_path / "a.pkl")
        convert(source, tmp_path / "b.pkl", source_options={"trusted": True})
    assert len([w for w in caught if "trusted=True only" in str(w.message)]) == 2


def test_home_is_home(tmp_path, monkeypatch):
    """A tilde is the home folder, in source and target."""
    monkeypatch.setenv("HOME", str(tmp_path))
    plain().to_pickle(tmp_path / "a.pkl")
    convert("~/a.pkl", "~/a.h5")
    assert load(tmp_path / "a.h5") == plain()


def test_home_is_home_in_options(tmp_path, monkeypatch):
    """A file of facts, and a table, may lie there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    facts = {"session_start_time": "2024-05-17T12:03:00Z", "session_description": "d"}
    (tmp_path / "session.json").write_text(json.dumps(facts), encoding="utf-8-sig")
    option = options_of(FORMATS["nwb"])["session"]
    assert option.parsed("~/session.json") == NWBSession(**facts)
    (tmp_path / "session.json").write_bytes(b"\x80 is no text")
    with pytest.raises(ValueError, match="not JSON"):
        option.parsed("~/session.json")
    (tmp_path / "table.csv").write_text("source\na.pkl\n")
    assert len(read_table("~/table.csv")) == 1


def test_convert_is_a_function_of_the_package():
    """It is called spikelab.convert, and so are its companions."""
    assert spikelab.convert is convert
    assert callable(spikelab.convert_many)
    assert spikelab.Conversion("a", "b", "written").losses == []


@pytest.mark.parametrize(("to", "n_lines"), [("phy", 3), ("nwb", 2)])
def test_what_is_left_out_is_named_once(to, n_lines, tmp_path):
    """By the writer, which lists it, or as a loss, in Python and in a batch."""
    known = [{"shape": {"a": 1}, "rig": {"b": 2}}, {}, {}]
    sd = plain(neuron_attributes=known, metadata={"rat": 7})
    source = sd.to_pickle(tmp_path / "a.pkl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        convert(source, tmp_path / "one", to=to, fs_Hz=16_000)
    (row,) = convert_many(source, tmp_path / "many/", to=to, fs_Hz=16_000)
    for texts in ([str(w.message) for w in caught], row.losses):
        assert len(texts) == n_lines, texts
        for name in ("shape", "rig"):
            assert len([text for text in texts if name in text]) == 1, texts


def test_the_sampling_rate_of_a_source_may_have_a_unit(tmp_path):
    """It is converted, as by whatever takes times and rates."""
    pq = pytest.importorskip("quantities")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = plain(metadata={"fs_Hz": 16 * pq.kHz}).to_pickle(tmp_path / "a.pkl")
        convert(source, tmp_path / "phy", to="phy", source_options={"trusted": True})
    assert load(tmp_path / "phy").metadata["fs_Hz"] == 16_000


def test_long_arrays_among_the_options_are_told_apart(tmp_path):
    """Also where NumPy would not print their values."""
    source = SpikeData([[1.0]] * 2000, length=5.0).to_pickle(tmp_path / "a.pkl")

    def run(ids):
        options = {"to": "kilosort", "fs_Hz": 16_000, "cluster_ids": ids}
        (row,) = convert_many(source, tmp_path / "out/", **options)
        return row.status

    ids = np.arange(2000)
    assert [run(ids), run(ids)] == ["written", "kept"]
    ids[1000] = 9999
    assert run(ids) == "written"


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        (plain(), {}, "source and target must be a path or URL, got SpikeData"),
        (b"a.pkl", {}, "source and target must be a path or URL, got b'a.pkl'"),
        ("a.pkl", {"source_options": [1]}, "source_options must be a mapping, got"),
        ("a.pkl", {"source_options": {"wings": 2}}, "loader of a.pkl: .*wings"),
        ("a.pkl", {"storage_options": "anon"}, "storage_options must be a mapping"),
        ("a.pkl", {"append": "yes"}, "append must be True or False, got 'yes'"),
    ],
)
def test_wrong_arguments_are_named(source, options, problem, tmp_path, monkeypatch):
    """Whichever of the two functions gets them."""
    monkeypatch.chdir(tmp_path)
    plain().to_pickle("a.pkl")
    with pytest.raises(TypeError, match=problem):
        convert(source, "a.nwb", **options)
    with pytest.raises(TypeError, match=problem):
        convert_many([source], "out/{stem}.nwb", **options, on_error="raise")
    assert not (tmp_path / "a.nwb").exists()


def test_a_folder_of_files_is_a_pattern(tmp_path):
    """The error says which; each file in it is a recording."""
    plain().to_pickle(tmp_path / "in" / "a.pkl")
    with pytest.raises(FormatError, match=r"in/\* names the files in it"):
        convert(tmp_path / "in", tmp_path / "a.nwb")


def test_options_may_have_a_unit(tmp_path):
    """As those of the export functions, and they are part of what a report says."""
    pq = pytest.importorskip("quantities")
    source = plain().to_pickle(tmp_path / "a.pkl")

    def run(**options):
        target = tmp_path / "out" / "{stem}.h5"
        return convert_many(source, target, style="raster", **options)[0].status

    assert run(raster_bin_size_ms=0.005 * pq.s) == "written"
    assert run(raster_bin_size_ms=0.005 * pq.s) == "kept"
    assert run(raster_bin_size_ms=0.006 * pq.s) == "written"
    table = [{"source": source, "fs_Hz": 16 * pq.kHz}]
    (row,) = convert_many(None, tmp_path / "{stem}", to="kilosort", table=table)
    assert load(row.target).metadata["fs_Hz"] == 16_000


def test_a_rate_that_may_be_in_khz_is_asked_about_once(tmp_path):
    """Although options are checked before the source is loaded."""
    source = SpikeData([[100.0, 200.0]], length=300.0).to_pickle(tmp_path / "a.pkl")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        convert(source, tmp_path / "phy", to="phy", fs_Hz=30)
    assert sum("kHz?" in str(warning.message) for warning in said) == 1
