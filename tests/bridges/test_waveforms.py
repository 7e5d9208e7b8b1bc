"""Waveforms of an analyzer of SpikeInterface, in the programs that read our files."""

import warnings

import numpy as np
import pytest
from bridge_contract import quietly

from spikelab import SpikeData, differences, load

core = pytest.importorskip("spikeinterface.core")


@pytest.fixture(scope="module", params=[False, True], ids=["dense", "sparse"])
def analyzer(request):
    """An analyzer of 12 units, dense or with the channels around each unit."""
    recording, truth = core.generate_ground_truth_recording(
        durations=[3.0], num_units=12, num_channels=8, seed=0
    )
    near = {"method": "radius", "radius_um": 40.0} if request.param else {}
    made = quietly(
        core.create_sorting_analyzer,
        truth,
        recording,
        format="memory",
        sparse=request.param,
        **near,
    )
    quietly(made.compute, ["random_spikes", "waveforms", "templates"], verbose=False)
    return made


def templates_of(analyzer):
    """Its templates in the type in which they are exported."""
    data = analyzer.get_extension("templates").get_data(operator="average")
    return data.astype(np.float32)


def test_pynwb_shows_the_same(analyzer, tmp_path):
    """To the bit, under the standard's own names; and all of it comes back."""
    pynwb = pytest.importorskip("pynwb")
    sd = SpikeData.from_spikeinterface(analyzer)
    sd.to_nwb(tmp_path / "a.nwb")
    with pynwb.NWBHDF5IO(str(tmp_path / "a.nwb"), "r") as io:
        units = io.read().units
        found = units["waveform_mean"].data[:]
        assert found.dtype == np.float32
        assert np.array_equal(found, templates_of(analyzer))
        assert units.waveform_rate == analyzer.sampling_frequency
    assert differences(sd, load(tmp_path / "a.nwb"), atol_ms=1e-9) == []


def test_phylib_shows_the_same(analyzer, tmp_path):
    """On the channels that it takes for each template, the largest one first."""
    model = pytest.importorskip("phylib.io.model")
    sd = SpikeData.from_spikeinterface(analyzer)
    folder = tmp_path / "phy"
    params = quietly(sd.to_phy, folder, fs_Hz=analyzer.sampling_frequency)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = model.load_model(params)
    for unit, expected in enumerate(templates_of(analyzer)):
        template = shown.get_template(unit)
        channels = shown.channel_mapping[template.channel_ids]
        assert np.array_equal(template.template, expected[:, channels])
        assert channels[0] == sd.neuron_attributes[unit]["electrode"]
    back = quietly(load, folder)
    for one, other in zip(back.neuron_attributes, templates_of(analyzer), strict=True):
        full = np.zeros_like(other)
        full[:, np.asarray(one["waveform_channels"])] = one["waveform_mean"]
        assert np.array_equal(full, other)


def test_units_into_a_session(analyzer):
    """The method adds them to an open file, and returns it."""
    pynwb = pytest.importorskip("pynwb")
    from datetime import UTC, datetime

    session = pynwb.NWBFile(
        session_description="a session",
        identifier="one",
        session_start_time=datetime(2024, 5, 17, tzinfo=UTC),
    )
    sd = SpikeData.from_spikeinterface(analyzer)
    assert quietly(sd.add_to_nwbfile, session) is session
    assert len(session.units) == 12
    assert np.array_equal(session.units["waveform_mean"].data, templates_of(analyzer))
