"""Mean waveforms under the names that NWB has for them."""

import h5py
import numpy as np
import pytest

from spikelab import SpikeData, load
from spikelab.formats import NWBWriter
from spikelab.spikedata.ratedata import RateData

MEAN = np.random.default_rng(0).random((6, 2)).astype(np.float32)


def recording(*attributes, **more):
    """One silent unit per dictionary."""
    sd = SpikeData([[]] * len(attributes), length=5.0, **more)
    sd.neuron_attributes = [dict(known) for known in attributes]
    return sd


def written(sd, path):
    """The column, and what an export and a load make of the recording."""
    sd.to_nwb(path, verify=True)
    with h5py.File(path) as file:
        units = file["units"]
        columns = {n: units[n][()] for n in units if n.startswith("waveform")}
    return columns, load(path)


def test_mean_and_deviation_are_columns(tmp_path):
    """With NaN for a unit without; what is known comes back, also the channels."""
    sd = recording(
        {"waveform_mean": MEAN, "waveform_sd": MEAN / 2, "waveform_channels": [4, 9]},
        {},
        {"waveform_mean": MEAN + 1, "waveform_sd": MEAN, "waveform_channels": [4, 7]},
        metadata={"fs_Hz": 30_000.0},
    )
    columns, found = written(sd, tmp_path / "a.nwb")
    np.testing.assert_array_equal(
        columns["waveform_mean"], [MEAN, np.full_like(MEAN, np.nan), MEAN + 1]
    )
    assert columns["waveform_mean"].dtype == np.float32
    assert "waveform_sd" in columns
    for unit, known in enumerate(found.neuron_attributes):
        assert known.pop("unit_id") == unit
    assert found == sd
    assert {lost for lost in NWBWriter().losses(sd) if "waveform" in lost} == set()


@pytest.mark.parametrize("known", [{}, {"waveform_mean": MEAN}], ids=["none", "one"])
def test_the_unit_of_waveforms_comes_back(known, tmp_path):
    """Also where no unit has a waveform, as in a part of a recording."""
    sd = recording(known, metadata={"waveform_unit": "uV"})
    sd.to_nwb(tmp_path / "a.nwb", verify=True, strict=True)
    assert load(tmp_path / "a.nwb").metadata["waveform_unit"] == "uV"


def test_waveforms_of_several_shapes_are_filled_up(tmp_path):
    """And come back as they were."""
    waves = [MEAN, MEAN[:4, :1]]
    sd = recording(*({"waveform_mean": wave} for wave in waves))
    columns, found = written(sd, tmp_path / "a.nwb")
    assert columns["waveform_mean"].shape == (2, 6, 2)
    for known, wave in zip(found.neuron_attributes, waves, strict=True):
        np.testing.assert_array_equal(known["waveform_mean"], wave)
    sd.neuron_attributes.append({"waveform_mean": np.full((2, 3), np.nan)})
    sd = SpikeData([[]] * 3, length=5.0, neuron_attributes=sd.neuron_attributes)
    assert any("waveform_mean" in lost for lost in NWBWriter().losses(sd))
    written(sd, tmp_path / "b.nwb")


@pytest.mark.parametrize("key", ["template", "avg_waveform"])
def test_synonyms_stand_under_the_name_of_the_standard(key, tmp_path):
    """And come back under their own."""
    columns, found = written(
        recording({key: MEAN}, {key: MEAN * 2}), tmp_path / "a.nwb"
    )
    np.testing.assert_array_equal(columns["waveform_mean"][0], MEAN)
    assert set(found.neuron_attributes[0]) == {"unit_id", key}
    np.testing.assert_array_equal(found.neuron_attributes[1][key], MEAN * 2)


def test_a_second_synonym_is_a_column_of_its_own(tmp_path):
    """The standard's column holds the first."""
    sd = recording({"template": MEAN}, {"waveform_mean": MEAN * 2}, {})
    columns, found = written(sd, tmp_path / "a.nwb")
    np.testing.assert_array_equal(columns["waveform_mean"][1], MEAN * 2)
    assert np.isnan(columns["waveform_mean"][[0, 2]]).all()
    assert "waveform_mean" not in found.neuron_attributes[2]
    np.testing.assert_array_equal(found.neuron_attributes[0]["template"], MEAN)


def test_other_dtypes(tmp_path):
    """Floats stay as they are; integers become floats, which is a loss."""
    sd = recording({"waveform_mean": MEAN.astype(np.float64)})
    assert written(sd, tmp_path / "a.nwb")[0]["waveform_mean"].dtype == np.float64
    sd = recording({"waveform_mean": (MEAN * 100).astype(np.int16)})
    columns, _ = written(sd, tmp_path / "b.nwb")
    assert columns["waveform_mean"].dtype == np.float32
    assert any("waveform_mean" in lost for lost in NWBWriter().losses(sd))


@pytest.mark.parametrize("value", ["flat", [["a"]], np.ones((1, 2, 3))], ids=str)
def test_what_is_no_waveform_gets_another_name(value, tmp_path):
    """A column of NWB's name holds waveforms, and nothing else."""
    sd = recording({"waveform_mean": value})
    with pytest.warns(UserWarning, match="'waveform_mean' is written as"):
        columns, found = written(sd, tmp_path / "a.nwb")
    assert list(columns) == ["waveform_mean_"]
    assert np.array_equal(found.neuron_attributes[0]["waveform_mean"], value)


def test_rates_keep_the_waveforms_of_their_units(tmp_path):
    """In the table of what is known about them."""
    rates = RateData(np.ones((1, 3)), [0.0, 1.0, 2.0], [{"waveform_mean": MEAN}])
    rates.to_nwb(tmp_path / "a.nwb", verify=True)
    found = load(tmp_path / "a.nwb").neuron_attributes
    np.testing.assert_array_equal(found[0]["waveform_mean"], MEAN)
