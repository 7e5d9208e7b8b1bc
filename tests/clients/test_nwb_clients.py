"""Our NWB files in the programs of other people, spike by spike."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pynapple
import pytest
from neo.io import NWBIO
from nwbinspector import Importance, inspect_nwbfile, load_config
from recordings import EDGE_CASES
from siblings import SIBLINGS, few_rate_slices, few_rates
from spikeinterface.extractors import read_nwb_sorting

FS_HZ = 30_000.0


def exported(sd, folder, quietly, **options):
    """Export, and return the path."""
    return quietly(sd.to_nwb, str(folder / "cells.nwb"), fs_Hz=FS_HZ, **options)


def assert_same_trains(found, sd, slack_s=0.0):
    """Compare unit by unit and spike by spike, in seconds."""
    assert len(found) == sd.N
    for times, expected in zip(found, sd.train, strict=True):
        np.testing.assert_allclose(times, expected / 1000, rtol=0, atol=slack_s)


@pytest.mark.parametrize("use_pynwb", [False, True])
def test_spikeinterface(recording, use_pynwb, tmp_path, quietly):
    """Ids, sampling rate, and times on its grid of samples."""
    path = exported(recording, tmp_path, quietly)
    sorting = read_nwb_sorting(file_path=path, use_pynwb=use_pynwb)
    assert sorting.get_sampling_frequency() == FS_HZ
    assert sorting.unit_ids.tolist() == list(range(recording.N))
    found = [
        sorting.get_unit_spike_train(unit, segment_index=0, return_times=True)
        for unit in sorting.unit_ids
    ]
    assert_same_trains(found, recording, slack_s=0.5001 / FS_HZ)


def test_spikeinterface_shows_the_attributes(full_recording, tmp_path, quietly):
    """As properties of the units."""
    sorting = read_nwb_sorting(file_path=exported(full_recording, tmp_path, quietly))
    for key in full_recording.neuron_attributes[0]:
        expected = full_recording.get_neuron_attribute(key)
        assert np.asarray(sorting.get_property(key)).tolist() == expected


def test_neo(recording, tmp_path, quietly):
    """Times, and the recording window of every train."""
    io = NWBIO(exported(recording, tmp_path, quietly), mode="r")
    try:
        trains = [
            train
            for block in io.read_all_blocks()
            for segment in block.segments
            for train in segment.spiketrains
        ]
        found = [train.rescale("s").magnitude for train in trains]
    finally:
        io._io_nwb.close()  # neo leaves it open
    assert_same_trains(found, recording)
    stop = recording.start_time + recording.length
    for train in trains:
        assert train.t_start == pytest.approx(recording.start_time / 1000)
        assert train.t_stop == pytest.approx(stop / 1000)


# pynapple cannot make a group of trains whose spikes all have the same time.
PYNAPPLE = {
    name: make
    for name, make in EDGE_CASES.items()
    if len({time for times in make().train for time in times}) > 1
}


def pynapple_trains(path):
    """The trains of each unit by id, and what pynapple knows about the units."""
    file = pynapple.load_file(path)
    try:
        units = file["units"]
        return {int(unit): units[unit].t for unit in units.index}, units.metadata
    finally:
        file.close()


@pytest.mark.filterwarnings(
    # pynapple's, about a train of one spike, which has no duration to divide by
    "ignore:Some epochs have no duration:UserWarning",
    "ignore:divide by zero:RuntimeWarning",
)
@pytest.mark.parametrize("name", PYNAPPLE)
def test_pynapple_with_edge_cases(name, tmp_path, quietly):
    """All that it can hold."""
    sd = PYNAPPLE[name]()
    found, _ = pynapple_trains(exported(sd, tmp_path, quietly))
    assert list(found) == list(range(sd.N))
    assert_same_trains(found.values(), sd)


def test_pynapple(full_recording, tmp_path, quietly):
    """Trains, and the attributes that are one number or text per unit."""
    found, metadata = pynapple_trains(exported(full_recording, tmp_path, quietly))
    assert list(found) == list(range(full_recording.N))
    assert_same_trains(found.values(), full_recording)
    for key, value in full_recording.neuron_attributes[0].items():
        if np.ndim(value) == 0:
            expected = full_recording.get_neuron_attribute(key)
            assert np.asarray(metadata[key]).tolist() == expected


def test_every_name_is_taken_by_every_reader(tmp_path, quietly):
    """Keys that would break one of them are stored under other names."""
    keys = (
        "rate count id description a/b a:b spike_times index x_index name segment block"
    )
    sd = EDGE_CASES["simulated"]()
    for unit, attributes in enumerate(sd.neuron_attributes):
        attributes.update(dict.fromkeys(keys.split(), 1.5), unit_name=f"u{unit % 2}")
    path = exported(sd, tmp_path, quietly)
    sorting = read_nwb_sorting(file_path=path)
    assert sorting.unit_ids.tolist() == list(range(sd.N))
    assert list(pynapple_trains(path)[0]) == list(range(sd.N))
    io = NWBIO(path, mode="r")
    try:
        assert len(io.read_all_blocks()[0].segments[0].spiketrains) == sd.N
    finally:
        io._io_nwb.close()


def complaints(path, config=None):
    """What nwbinspector finds, down to its suggestions."""
    found = inspect_nwbfile(
        nwbfile_path=path,
        config=config,
        importance_threshold=Importance.BEST_PRACTICE_SUGGESTION,
    )
    return [(message.check_function_name, message.message) for message in found]


def test_nwbinspector_has_nothing_to_say(
    full_recording, tmp_path, quietly, session, subject
):
    """In the configuration of DANDI and in its own."""
    path = exported(full_recording, tmp_path, quietly, session=session, subject=subject)
    assert complaints(path, load_config("dandi")) == []
    assert complaints(path) == []


ABOUT_THE_USER = {
    "check_session_start_time_old_date",
    "check_experimenter_exists",
    "check_experiment_description",
    "check_institution",
    "check_keywords",
    "check_subject_exists",
}
"""What only the user knows; without a session the inspector asks for it."""


def test_nwbinspector_without_a_session(full_recording, tmp_path, quietly):
    """It misses what only the user knows, and nothing else."""
    path = exported(full_recording, tmp_path, quietly)
    assert {check for check, _ in complaints(path)} == ABOUT_THE_USER


def dandi_validate(path):
    """The command line of dandi: its exit status, and the lines of its findings."""
    done = subprocess.run(
        [Path(sys.executable).with_name("dandi"), "validate", path],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "DANDI_NO_ET": "1", "NO_ET": "1", "COLUMNS": "500"},
    )
    return done.returncode, done.stdout.splitlines()


def test_dandi_takes_the_file(full_recording, tmp_path, quietly, session, subject):
    """In a dandiset nothing is wrong; outside, only that it lies in none."""
    alone = exported(
        full_recording, tmp_path, quietly, session=session, subject=subject
    )
    status, (finding,) = dandi_validate(alone)
    assert status == 1
    assert finding.startswith("[DANDI.NO_DANDISET_FOUND]")
    (tmp_path / "set" / "sub-m1").mkdir(parents=True)
    (tmp_path / "set" / "dandiset.yaml").write_text(
        "identifier: DANDI:000001\nname: x\n"
    )
    inside = Path(alone).rename(tmp_path / "set" / "sub-m1" / "sub-m1.nwb")
    assert dandi_validate(str(inside)) == (0, ["No errors found."])


ONE_OF_EACH_CLASS = (
    *("rates", "rate_slices", "comparison_matrix", "comparison_stack"),
    "spike_slices",
)


ALL_CLASSES = {name: SIBLINGS[name] for name in ONE_OF_EACH_CLASS} | {
    make.__name__: make for make in (few_rates, few_rate_slices)
}


@pytest.mark.parametrize("name", ALL_CLASSES)
def test_archives_take_all_classes(name, tmp_path, quietly, session, subject):
    """Nothing critical for the inspector, and no error for dandi."""
    (tmp_path / "sub-m1").mkdir()
    (tmp_path / "dandiset.yaml").write_text("identifier: DANDI:000001\nname: x\n")
    path = str(tmp_path / "sub-m1" / "sub-m1.nwb")
    options = {"session": session, "subject": subject}
    if name == "spike_slices":
        options["fs_Hz"] = FS_HZ
    quietly(ALL_CLASSES[name]().to_nwb, path, **options)
    found = inspect_nwbfile(nwbfile_path=path, config=load_config("dandi"))
    serious = (Importance.ERROR, Importance.CRITICAL)
    assert [m.message for m in found if m.importance in serious] == []
    assert dandi_validate(path) == (0, ["No errors found."])
