"""A SpikeSliceStack as KiloSort and Phy folders, one for each slice."""

import json
import stat
import warnings

import numpy as np
import pytest
from contract import snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import assert_same_recording, simulated

from spikelab import SpikeData, load, load_spikedata_from_kilosort
from spikelab.errors import FormatError, IncompleteExportError, VerificationError
from spikelab.formats import KiloSortWriter, PhyWriter
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

FS = 30_000.0
METHODS = ("to_kilosort", "to_phy")


def slices(**arguments):
    """Three overlapping windows of a recording with attributes."""
    windows = [(0.0, 4000.0), (1500.0, 5500.0), (6000.0, 10_000.0)]
    return SpikeSliceStack(simulated(), windows, **arguments)


def centred():
    """Windows around events, which start before 0 on their clock."""
    return SpikeSliceStack(
        simulated(), time_peaks=[3000.0, 7000.25], time_bounds=(2000.5, 2500.0)
    )


def export(stack, folder, method, **options):
    """Export without the warning of a start that is not 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return getattr(stack, method)(folder, fs_Hz=FS, **options)


def assert_same_stack(found, expected, slack_ms=1e-9):
    """Compare windows and slices as a whole."""
    assert type(found) is SpikeSliceStack
    assert found.times == expected.times
    assert found.N == expected.N
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_same_recording(one, other, slack_ms)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [slices, centred])
def test_a_stack_comes_back(method, make, tmp_path):
    """Windows, slices, units, spikes; checked before it is published, too."""
    stack = make()
    export(stack, tmp_path / "stack", method, verify=True)
    slack = 500 / FS + 1e-9 if make is centred else 1e-9
    found = load(tmp_path / "stack")
    assert_same_stack(found, stack, slack)
    assert [a["electrode"] for a in found.neuron_attributes] == [0, 0, 1, 1, 2, 2]
    assert found.spike_stack[0].neuron_attributes is None


def test_what_is_on_the_disk(tmp_path):
    """A complete folder for each slice, and their windows."""
    written = slices().to_kilosort(tmp_path / "ks", fs_Hz=FS)
    assert written == (str(tmp_path / "ks" / "windows.tsv"), str(tmp_path / "ks"))
    assert (tmp_path / "ks" / "windows.tsv").read_text() == (
        "slice\tfolder\tstart_ms\tend_ms\n"
        "0\tslice_0000\t0.0\t4000.0\n"
        "1\tslice_0001\t1500.0\t5500.0\n"
        "2\tslice_0002\t6000.0\t10000.0\n"
    )
    one = slices().spike_stack[1]
    assert_same_recording(
        load_spikedata_from_kilosort(tmp_path / "ks" / "slice_0001"), one, 1e-9
    )
    assert slices().to_phy(tmp_path / "phy", fs_Hz=FS) == str(
        tmp_path / "phy" / "windows.tsv"
    )
    names = {p.name for p in (tmp_path / "phy" / "slice_0002").iterdir()}
    assert {"params.py", "templates.npy", "cluster_snr.tsv", "spikelab.json"} <= names


@pytest.mark.parametrize("method", METHODS)
def test_attributes_of_slices_stay_with_them(method, tmp_path):
    """Where each slice has its own."""
    parts = [simulated(seed=i) for i in range(2)]
    parts[1].set_neuron_attribute("electrode", list(range(6)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stack = SpikeSliceStack(spike_stack=parts, drop_slice_attributes=False)
    export(stack, tmp_path, method)
    found = load(tmp_path)
    electrodes = [sd.electrodes.tolist() for sd in found]
    assert electrodes == [[0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("method", METHODS)
def test_one_warning_for_all_slices(method, tmp_path):
    """They all start at the same time before their event."""
    with pytest.warns(
        UserWarning, match=r"cannot hold start_time=-2000.5 ms"
    ) as caught:
        getattr(centred(), method)(tmp_path, fs_Hz=FS)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_losses_of_slices(tmp_path):
    """What all lose is told once, what some lose with their names."""
    lost = KiloSortWriter(fs_Hz=FS).losses(slices())
    assert [line.split(" (")[0] for line in lost] == [
        "neuron_attributes['location']",
        "neuron_attributes['quality']",
        "neuron_attributes['snr']",
        "metadata",
    ]
    lost = PhyWriter(fs_Hz=FS).losses(centred())
    assert sum("are rounded" in loss for loss in lost) == 1
    assert any(loss.startswith("slice_0001: spike times are rounded") for loss in lost)


def test_a_slice_that_phy_cannot_open_is_named(tmp_path):
    """Before anything is written."""
    stack = SpikeSliceStack(
        spike_stack=[
            SpikeData([[1.0, 2.0]], length=5.0),
            SpikeData([[1.0]], length=5.0),
        ]
    )
    with pytest.raises(ValueError, match="slice_0001: spike times must be two or more"):
        stack.to_phy(tmp_path / "phy", fs_Hz=FS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", METHODS)
def test_an_earlier_export_is_replaced(method, tmp_path):
    """A stack by a shorter one, by a recording, and back."""
    export(slices(), tmp_path, method)
    export(slices().subslice([0]), tmp_path, method)
    assert len(load(tmp_path)) == 1
    export(simulated(), tmp_path, method)
    assert_same_recording(load(tmp_path), simulated(), 1e-9)
    assert not list(tmp_path.glob("slice_*"))
    assert not (tmp_path / "windows.tsv").exists()
    export(slices(), tmp_path, method)
    assert_same_stack(load(tmp_path), slices())


def test_the_same_stack_gives_the_same_bytes(tmp_path):
    """Two exports of one object cannot be told apart."""
    for name in ("first", "second"):
        slices().to_phy(tmp_path / name, fs_Hz=FS)
    assert snapshot(tmp_path / "first") == snapshot(tmp_path / "second")


def test_a_stack_is_no_recording(tmp_path):
    """The loader of recordings says what takes any."""
    slices().to_kilosort(tmp_path, fs_Hz=FS)
    with pytest.raises(FormatError, match="must hold a SpikeData"):
        load_spikedata_from_kilosort(tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_spikes_has_no_folder(method, tmp_path):
    """The error says what does work."""
    rates = RateData(np.zeros((2, 3)), [0.0, 1.0, 2.0])
    with pytest.raises(
        TypeError, match=f"{method} has no meaning for a RateData; .* to_csv"
    ):
        getattr(rates, method)(tmp_path / "x", fs_Hz=FS)


@pytest.mark.parametrize(
    "table",
    [
        "",
        "slice\tfolder\tstart_ms\tend_ms\n",
        "slice\tfolder\tstart_ms\tend_ms\n0\t../x\t0\t1\n",
        "slice\tfolder\tstart_ms\tend_ms\n0\telsewhere\t0\t1\n",
        "slice\tfolder\tstart_ms\tend_ms\n0\tslice_0000\tnan\t1\n",
        "slice\tfolder\tstart_ms\tend_ms\n0\tslice_0000\n",
        "\0",
    ],
)
def test_a_broken_table_of_windows(table, tmp_path):
    """One clear error, and no way out of the folder."""
    slices().to_kilosort(tmp_path, fs_Hz=FS)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "windows.tsv").write_text(table)
    with pytest.raises(FormatError):
        load(tmp_path)


def test_a_missing_slice_is_incomplete(tmp_path):
    """And so is one of which a file is gone."""
    slices().to_kilosort(tmp_path, fs_Hz=FS)
    (tmp_path / "slice_0001" / "spike_times.npy").unlink()
    with pytest.raises(IncompleteExportError, match=r"spike_times\.npy"):
        load(tmp_path)
    (tmp_path / "slice_0001").rename(tmp_path / "mine")
    with pytest.raises(IncompleteExportError, match="slice_0001"):
        load(tmp_path)


def test_a_stack_in_a_stack_is_refused(tmp_path):
    """A hostile folder does not make the loader dive."""
    slices().to_kilosort(tmp_path, fs_Hz=FS)
    manifest = json.loads((tmp_path / "spikelab.json").read_text())
    inner = tmp_path / "slice_0000" / "spikelab.json"
    inner.write_text(json.dumps({**manifest, "files": []}))
    with pytest.raises(FormatError):
        load(tmp_path)


@given(
    starts=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=4),
    length=st.floats(1e-3, 1e4),
    data=st.data(),
)
@settings(max_examples=20)
def test_any_stack_comes_back(starts, length, data, tmp_path):
    """Whatever the windows and the clock of the slices are."""
    starts.sort()
    parts = []
    for _ in starts:
        first = data.draw(st.floats(-1e6, 1e6))
        times = st.lists(st.floats(first, max(first + length, first)), max_size=5)
        parts.append(SpikeData([data.draw(times), []], start_time=first, length=length))
    windows = [(start, start + length) for start in starts]
    stack = SpikeSliceStack(spike_stack=parts, times_start_to_end=windows)
    export(stack, tmp_path, "to_kilosort", verify=True)
    assert_same_stack(load(tmp_path), stack, 500 / FS + 1e-8)


def test_permissions_of_what_is_replaced_are_kept(tmp_path):
    """Of the files in the folders of slices, and of these folders."""
    stack = slices()
    export(stack, tmp_path / "s", "to_kilosort")
    folder = tmp_path / "s" / "slice_0000"
    (folder / "spike_times.npy").chmod(0o600)
    folder.chmod(0o700)
    export(stack, tmp_path / "s", "to_kilosort")
    assert stat.S_IMODE((folder / "spike_times.npy").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


class Damaging(KiloSortWriter):
    """A writer on a disk that mixes up the electrodes."""

    def _write(self, obj, staged):
        super()._write(obj, staged)
        for file in staged.rglob("channel_map.npy"):
            np.save(file, np.load(file) + 1)


@pytest.mark.parametrize("make", [simulated, slices])
def test_verify_compares_the_electrodes(make, tmp_path):
    """Another channel map is found before it is published."""
    with pytest.raises(VerificationError, match=r"\['electrode'\] differs"):
        Damaging(fs_Hz=FS, verify=True).write(make(), tmp_path / "ks")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"length_ms": 900.0}, {"start_time_ms": -50.0}])
def test_a_window_for_all_slices_is_refused(options, tmp_path):
    """Each has its own."""
    simulated().frames(5000).to_kilosort(tmp_path / "f", fs_Hz=FS)
    with pytest.raises(ValueError, match="must be None for a file that holds a Spike"):
        load(tmp_path / "f", **options)


def test_windows_that_are_missing_are_noticed(tmp_path):
    """The manifest says how many slices there are."""
    simulated().frames(5000).to_kilosort(tmp_path / "f", fs_Hz=FS)
    header, first, _ = (tmp_path / "f" / "windows.tsv").read_text().splitlines()
    (tmp_path / "f" / "windows.tsv").write_text(f"{header}\n{first}\n")
    with pytest.raises(IncompleteExportError, match="must name 2 slices"):
        load(tmp_path / "f")
