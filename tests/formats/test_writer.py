"""What every writer checks first, and that functions and writers say the same."""

import inspect

import attrs
import numpy as np
import pytest
from siblings import event_slices, rates

from spikelab import ExportMixin, RateData, SpikeData, load, load_from_pickle
from spikelab.data_loaders import data_exporters
from spikelab.errors import LossError
from spikelab.formats import (
    CSVWriter,
    KiloSortWriter,
    NWBSession,
    NWBSubject,
    NWBWriter,
    ParquetWriter,
    PhyWriter,
    PickleWriter,
    RaggedWriter,
)
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

SESSION = NWBSession(
    session_start_time="2024-05-17T14:03:00+02:00", session_description="x"
)
SUBJECT = NWBSubject(subject_id="a", species="Rattus norvegicus", sex="F", age="P9D")

COMMON = {
    "verify": True,
    "strict": True,
    "storage_options": {"region_name": "x"},
    "progress": True,
    "overwrite": True,
}

OTHER_VALUES = {
    CSVWriter: {"time_unit": "samples", "fs_Hz": 9000.0, "units_table": "u.csv"},
    KiloSortWriter: {
        "fs_Hz": 9000.0,
        "spike_times_file": "t.npy",
        "spike_clusters_file": "c.npy",
        "time_unit": "ms",
        "cluster_ids": (4, 2),
        "spike_order": "time",
    },
    NWBWriter: {
        "spike_times_dataset": "t",
        "spike_times_index_dataset": "i",
        "group": "g",
        "session": SESSION,
        "subject": SUBJECT,
        "fs_Hz": 9000.0,
    },
    ParquetWriter: {"time_unit": "s", "fs_Hz": 9000.0, "units_table": "u.parquet"},
    PhyWriter: {"fs_Hz": 9000.0, "cluster_ids": (4, 2), "raw_data": True},
    PickleWriter: {"protocol": 2},
}
"""For each writer, a value of each option that is not its default."""

OF_S3 = ("s3_upload", "aws_", "region_name")
"""Options of export_to_pickle that become its storage options."""


def function_of(writer):
    """The export function of the same format, which is also the method."""
    functions = {f for n, f in vars(data_exporters).items() if n.startswith("export_")}
    found = getattr(ExportMixin, writer.method)
    assert found in functions
    return found


@pytest.mark.parametrize("writer", OTHER_VALUES)
def test_function_and_writer_have_the_same_options(writer):
    """The same names, and the same defaults."""
    parameters = list(inspect.signature(function_of(writer)).parameters.values())[2:]
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    required = {inspect.Parameter.empty: attrs.NOTHING}
    of_function = {
        p.name: required.get(p.default, p.default)
        for p in parameters
        if not p.name.startswith(OF_S3)
    }
    assert of_function == {f.alias: f.default for f in attrs.fields(writer)}


@pytest.mark.parametrize("writer", OTHER_VALUES)
def test_every_option_of_the_function_reaches_the_writer(writer, monkeypatch):
    """None is forgotten on the way, and none is sent to another."""
    monkeypatch.setattr(writer, "write", lambda self, obj, target: self)
    options = {**OTHER_VALUES[writer], **COMMON}
    made = function_of(writer)(None, "target", **options)
    assert attrs.asdict(made, recurse=False) == options
    assert all(options[f.alias] != f.default for f in attrs.fields(writer))


TARGETS = {
    "to_hdf5": "a.h5",
    "to_nwb": "a.nwb",
    "to_csv": "a.csv",
    "to_parquet": "a.parquet",
    "to_pickle": "a.pkl",
}


@pytest.mark.parametrize("method", TARGETS)
def test_rates_that_went_wrong_later_are_refused(method, tmp_path):
    """No file is written that its loader would refuse."""
    obj = rates()
    obj.times = obj.times[::-1]
    with pytest.raises(ValueError, match="times must not decrease"):
        getattr(obj, method)(tmp_path / TARGETS[method])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", TARGETS)
def test_slices_that_went_wrong_later_are_refused(method, tmp_path):
    """Each slice is checked as a recording is."""
    obj = event_slices()
    obj.spike_stack[0].train[0] = np.array([np.nan])
    with pytest.raises(ValueError, match="unit 0: spike times must be finite"):
        getattr(obj, method)(tmp_path / TARGETS[method])
    assert list(tmp_path.iterdir()) == []


MASKED = np.ma.array([[1.0, 0.5], [0.5, 1.0]], mask=[[0, 1], [1, 0]])
"""What ``numpy.ma.corrcoef`` gives of units that never fired together."""


@pytest.mark.parametrize("method", ["to_hdf5", "to_nwb", "to_csv"])
@pytest.mark.parametrize(
    "obj",
    [
        PairwiseCompMatrix(MASKED),
        PairwiseCompMatrixStack(MASKED[:, :, None]),
        RateSliceStack(event_matrix=MASKED[:, :, None]),
        SpikeSliceStack(spike_stack=[SpikeData([[1.0]], raw_data=MASKED, raw_time=1)]),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_masked_values_are_not_written_as_what_they_hide(obj, method, tmp_path):
    """The error says how to make them NaN; a pickle keeps the mask."""
    with pytest.raises(ValueError, match=r"must not hold masked values; .*NaN"):
        getattr(obj, method)(tmp_path / TARGETS[method])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:to_pickle")
def test_a_pickle_keeps_a_mask(tmp_path):
    """For those who trust it."""
    PairwiseCompMatrix(MASKED).to_pickle(tmp_path / "a.pkl")
    found = load_from_pickle(tmp_path / "a.pkl", trusted=True)
    assert found.matrix.mask.tolist() == MASKED.mask.tolist()


@pytest.mark.parametrize("method", TARGETS)
@pytest.mark.parametrize("change", ["more", "fewer", "N"])
def test_the_number_of_units_follows_from_the_rates(change, method, tmp_path):
    """No unit is missing in a file, and none is invented."""
    obj = RateData([[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0])
    if change == "N":
        obj.N = 5
    else:
        obj.inst_Frate_data = np.ones((3 if change == "more" else 1, 2))
    path = getattr(obj, method)(tmp_path / TARGETS[method], verify=True)
    assert load(path).N == obj.N == len(obj.inst_Frate_data)


@pytest.mark.parametrize("method", ["to_hdf5", "to_nwb", "to_csv"])
def test_metadata_that_hold_themselves_are_lost_as_others_are(method, tmp_path):
    """A format without a place for metadata does not look into them."""
    ring = {}
    ring["ring"] = ring
    sd = SpikeData([[1.0, 2.0]], metadata={"ring": ring})
    assert load(getattr(sd, method)(tmp_path / "x.csv")).N == 1


class MyRates(RateData):
    """A class of a user's own."""


@pytest.mark.parametrize("writer", [RaggedWriter(), NWBWriter(), CSVWriter()])
def test_what_is_not_of_the_class_is_lost(writer, tmp_path):
    """Attributes that were added, and a subclass."""
    obj = MyRates([[1.0, 2.0]], [0.0, 1.0])
    assert writer.losses(obj) == ["that it is a MyRates (it comes back as a RateData)"]
    path = tmp_path / TARGETS[writer.method]
    writer.write(obj, path)
    assert type(load(path)) is RateData
    sd = SpikeData([[1.0]])
    sd.note = "mine"
    told = [line for line in writer.losses(sd) if "note" in line]
    assert told == [
        "attribute 'note' of the object (a SpikeData has none of this name)"
    ]


@pytest.mark.parametrize("method", TARGETS)
@pytest.mark.filterwarnings("ignore:to_csv")
def test_slices_of_no_length_are_exported(method, tmp_path):
    """As 0.1.2 allows them."""
    slices = [SpikeData([[], []]), SpikeData([[1.0], [2.0]], length=5.0)]
    stack = SpikeSliceStack(spike_stack=slices)
    getattr(stack, method)(tmp_path / TARGETS[method], verify=True)
    assert len(list(tmp_path.iterdir())) == 1


def measured(kind, pq):
    """An object of which a value has a unit, and what names it."""
    known = [{"amp": 3 * pq.mV}, {"amp": 4 * pq.uV}]
    if kind == "attribute":
        obj = SpikeData([[1.0], [2.0]], length=9.0, neuron_attributes=known)
        return obj, r"neuron_attributes\['amp'\] \(mV, uV\)"
    if kind == "list":
        known = [{"amp": [3 * pq.mV, 4 * pq.mV]}]
        obj = SpikeData([[1.0]], length=9.0, neuron_attributes=known)
        return obj, r"neuron_attributes\['amp'\] \(mV\)"
    if kind == "slices":
        slices = [SpikeData([[1.0], []], length=9.0, neuron_attributes=known)]
        stack = SpikeSliceStack(spike_stack=slices, drop_slice_attributes=False)
        return stack, r"neuron_attributes\['amp'\] \(mV, uV\)"
    if kind == "rates":
        obj = RateData([[1.0], [2.0]], [0.0], known)
        return obj, r"neuron_attributes\['amp'\] \(mV, uV\)"
    if kind == "metadata":
        return SpikeData([[1.0]], metadata={"bath": 37 * pq.K}), r"'bath'\] \(K\)"
    if kind == "raw":
        raw = {"raw_data": [[1, 2]] * pq.uV, "raw_time": 1.0}
        return SpikeData([[1.0]], **raw), r"raw_data \(uV\)"
    return PairwiseCompMatrix(np.ones((2, 2)) * pq.ms), r"matrix \(ms\)"


@pytest.mark.parametrize("method", TARGETS)
@pytest.mark.parametrize(
    "kind", ["attribute", "list", "slices", "rates", "metadata", "raw", "matrix"]
)
def test_a_unit_that_no_file_has_is_named(kind, method, tmp_path):
    """The numbers are written as they are; a warning and the losses name their unit."""
    obj, named = measured(kind, pytest.importorskip("quantities"))
    if method == "to_pickle":  # which keeps it
        with pytest.warns(UserWarning, match="Quantity, loaded with trusted=True"):
            obj.to_pickle(tmp_path / "a.pkl", verify=True)
        assert load_from_pickle(tmp_path / "a.pkl", trusted=True) == obj
        return
    export = getattr(type(obj), method)
    with pytest.warns(UserWarning, match=f"leaves out the unit of .*{named}"):
        export(obj, tmp_path / TARGETS[method], verify=True)
    with (
        pytest.warns(UserWarning, match="leaves out"),
        pytest.raises(LossError, match=named),
    ):
        export(obj, tmp_path / TARGETS[method], strict=True)


def test_a_dimensionless_value_loses_no_unit(tmp_path):
    """It is written as its number."""
    pq = pytest.importorskip("quantities")
    known = [{"snr": 4.5 * pq.dimensionless}]
    path = RateData([[1.0]], [0.0], known).to_hdf5(tmp_path / "a.h5", strict=True)
    assert load(path).neuron_attributes == [{"snr": 4.5}]
