"""Parquet tables: what is in them, and back."""

import json
import math
import sys

import numpy as np
import pytest
from contract import FileContract, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import assert_same_recording, simulated
from siblings import (
    ANY_OBJECT,
    SCALAR_ATTRIBUTES,
    SIBLINGS,
    comparison_matrix,
    integer_matrix,
    rate_slices,
    rates,
    recording,
    spike_slices,
)

from spikelab import (
    PairwiseCompMatrix,
    PairwiseCompMatrixStack,
    RateData,
    RateSliceStack,
    SpikeData,
    differences,
    load,
    load_spikedata_from_parquet,
)
from spikelab.errors import (
    FormatError,
    LossError,
    MissingExtraError,
    VerificationError,
)
from spikelab.formats import ParquetWriter

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

RANDOM = settings(max_examples=50)


class TestSpikes(FileContract):
    """One file: silent units and the window come back without a second one."""

    method, target = "to_parquet", "spikes.parquet"
    wrong_options = (
        {"time_unit": "min"},
        {"time_unit": "samples"},
        {"fs_Hz": -1.0},
        {"verify": 1},
        {"units_table": 7},
    )

    def slack_ms(self, sd):
        """Milliseconds are exact."""
        return ParquetWriter(**self.options)._atol_ms(sd)


class TestSeconds(TestSpikes):
    """Times in seconds."""

    options = {"time_unit": "s"}


class TestSamples(TestSpikes):
    """Sample numbers; the file holds the rate."""

    options = {"time_unit": "samples", "fs_Hz": 30_000.0}
    wrong_options = ({"fs_Hz": None}, {"fs_Hz": math.inf})


class TestSpikesAndUnits(TestSpikes):
    """With the table of units."""

    def export(self, sd, target, **options):
        """The table of units lies beside the spikes."""
        beside = str(target).rstrip("/")
        options = {"units_table": f"{beside}.units.parquet", **options}
        return super().export(sd, target, **options)

    def round_trip(self, sd, folder):
        """Both files together are the recording."""
        target = folder / self.target
        self.export(sd, target)
        found = load(target, units_table=f"{target}.units.parquet")
        assert_same_recording(found, sd, self.slack_ms(sd))
        assert found.neuron_attributes == (sd.neuron_attributes or None)


@pytest.mark.parametrize(
    ("time_unit", "name", "kind", "value"),
    [
        ("ms", "time_ms", "double", 1500.0),
        ("s", "time_s", "double", 1.5),
        ("samples", "time_samples", "int64", 30_000),
    ],
)
def test_the_columns_of_spikes(time_unit, name, kind, value, tmp_path):
    """Unit and time, typed; the name of the column says the unit of the times."""
    path = tmp_path / "s.parquet"
    SpikeData([[], [1500.0]], N=3).to_parquet(path, time_unit=time_unit, fs_Hz=20_000.0)
    table = pq.read_table(path)
    assert {field.name: str(field.type) for field in table.schema} == {
        "unit": "int32",
        name: kind,
    }
    assert table.to_pylist() == [{"unit": 1, name: value}]
    found = load(path)
    assert (found.N, found.train[1].tolist()) == (3, [1500.0])


def test_the_columns_of_the_other_classes(tmp_path):
    """As in CSV."""
    expected = {
        "rates": ["time_ms", "unit_0", "unit_1"],
        "rate_slices": ["slice", "time_ms", "unit", "rate"],
        "comparison_matrix": ["label", 'a,\n"b"', "3"],
        "integer_matrix": ["label", "0", "1"],
        "comparison_stack": ["window", "row", "column", "value"],
        "spike_slices": ["slice", "unit", "time_ms"],
    }
    for name, columns in expected.items():
        path = SIBLINGS[name]().to_parquet(tmp_path / f"{name}.parquet")
        assert pq.read_schema(path).names == columns


def test_a_unit_is_in_few_row_groups(tmp_path):
    """Units are sorted, and each group says which it holds."""
    trains = [np.linspace(0, 1000, 40_000) for _ in range(10)]
    path = SpikeData(trains).to_parquet(tmp_path / "s.parquet")
    file = pq.ParquetFile(path)
    assert file.num_row_groups > 2
    spans = [
        file.metadata.row_group(i).column(0).statistics
        for i in range(file.num_row_groups)
    ]
    assert sum(span.min <= 5 <= span.max for span in spans) <= 2
    assert load(path) == SpikeData(trains)


@pytest.mark.parametrize("name", SIBLINGS)
@pytest.mark.parametrize("time_unit", ["ms", "s", "samples"])
def test_every_class_is_verified_and_comes_back(name, time_unit, tmp_path):
    """Whole but for attributes and metadata, stacks with their windows."""
    obj = SIBLINGS[name]()
    options = {"time_unit": time_unit, "fs_Hz": 2000.0}
    path = obj.to_parquet(tmp_path / "o.parquet", verify=True, **options)
    found = load(path)
    assert type(found) is type(obj)
    for attribute in ("neuron_attributes", "metadata", "raw_data", "raw_time"):
        for part in (obj, *getattr(obj, "spike_stack", ())):
            if hasattr(part, attribute):
                setattr(part, attribute, {} if attribute == "metadata" else None)
        for part in (found, *getattr(found, "spike_stack", ())):
            if hasattr(part, attribute):
                setattr(part, attribute, {} if attribute == "metadata" else None)
    assert (
        differences(obj, found, atol_ms=0.26 if time_unit == "samples" else 1e-9) == []
    )


@pytest.mark.filterwarnings("ignore:a table of time")
@given(obj=ANY_OBJECT)
@RANDOM
def test_any_object_is_verified(obj, tmp_path):
    """And what is not named as lost comes back."""
    writer = ParquetWriter(verify=True)
    writer.write(obj, tmp_path / "o.parquet")
    if not writer.losses(obj):
        assert load(tmp_path / "o.parquet") == obj


@given(attributes=SCALAR_ATTRIBUTES)
@RANDOM
def test_any_attributes_are_verified(attributes, tmp_path):
    """In the table of units; what does not come back is named."""
    sd = SpikeData([[1.0], []], length=2.0, neuron_attributes=[attributes, {}])
    writer = ParquetWriter(units_table=tmp_path / "u.parquet", verify=True)
    writer.write(sd, tmp_path / "s.parquet")
    found = load(tmp_path / "s.parquet", units_table=tmp_path / "u.parquet")
    if not writer.losses(sd):
        assert found == sd


TYPED = [
    {
        "electrode": 3,
        "location": [1.5, 2.0],
        "good": True,
        "name": "a",
        "channels": [1, 2],
        "tags": ["x"],
        "waveform_mean": np.arange(6, dtype=np.float32).reshape(2, 3),
        "snr": math.nan,
        "count": np.int64(2**62),
    },
    {"electrode": 4, "location": [0.0], "name": "", "channels": [], "snr": 2.5},
    {"good": False, "waveform_mean": np.ones((1, 2), dtype=np.float32)},
]


def test_attributes_are_typed_columns(tmp_path):
    """Lists, arrays, bool and missing values as Arrow has them, whole and back."""
    sd = SpikeData([[1.0], [2.0, 3.0], []], length=5.0, neuron_attributes=TYPED)
    files = tmp_path / "s.parquet", tmp_path / "u.parquet"
    sd.to_parquet(files[0], units_table=files[1], strict=True, verify=True)
    assert load(files[0], units_table=files[1]) == sd
    table = pq.read_table(files[1])
    kinds = {field.name: str(field.type) for field in table.schema}
    assert list(kinds)[:6] == ["unit", "electrode", "x", "y", "z", "n_spikes"]
    assert kinds["good"] == "bool"
    assert kinds["channels"].startswith("list<")
    assert kinds["waveform_mean"].count("list<") == 2
    assert table["x"].to_pylist() == [1.5, 0.0, None]
    assert table["good"].to_pylist() == [True, None, False]
    assert table["n_spikes"].to_pylist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("key", "values", "reason"),
    [
        ("a", [None, 1], "None is null"),
        ("a", [1, "x"], "a column holds"),
        ("a", [2**70, 1], "a column holds"),
        ("a", [(1, 2), (3,)], "a column holds"),
        ("a", [np.arange(2), np.arange(2.0)], "a column holds"),
        ("a", [{"b": 1}, {"b": 2}], "a column holds"),
        (3, [1, 2], "the name of a column is a str"),
        ("n_spikes", [1, 2], "the table has a column"),
    ],
)
def test_losses_say_why_an_attribute_is_lost(key, values, reason, tmp_path):
    """And a verified export carries the rest."""
    known = [{key: value, "rest": 1} for value in values]
    sd = SpikeData([[1.0], [2.0]], length=5.0, neuron_attributes=known)
    writer = ParquetWriter(units_table=tmp_path / "u.parquet", verify=True)
    (lost,) = writer.losses(sd)
    assert lost.startswith(f"neuron_attributes[{key!r}] ({reason}")
    writer.write(sd, tmp_path / "s.parquet")
    found = load(tmp_path / "s.parquet", units_table=tmp_path / "u.parquet")
    assert [row["rest"] for row in found.neuron_attributes] == [1, 1]


@pytest.mark.parametrize("x", ["left", True])
def test_a_word_called_x_is_no_coordinate(x, tmp_path):
    """The place of another unit cannot stand in its column."""
    known = [{"x": x}, {"location": [1.0, 2.0]}]
    sd = SpikeData([[1.0], [2.0]], length=5.0, neuron_attributes=known)
    files = tmp_path / "s.parquet", tmp_path / "u.parquet"
    sd.to_parquet(files[0], units_table=files[1], verify=True, strict=True)
    assert load(files[0], units_table=files[1]) == sd


def test_strict_and_losses_name_what_stays_behind(tmp_path):
    """Metadata, raw data, and attributes without a table of units."""
    lost = " ".join(ParquetWriter().losses(recording()))
    for name in ("neuron_attributes (no units_table)", "metadata", "raw data"):
        assert name in lost
    with pytest.raises(LossError, match="raw data"):
        recording().to_parquet(tmp_path / "s.parquet", strict=True)
    assert not snapshot(tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint64, np.bool_, ">f8"])
def test_values_keep_their_type(dtype, tmp_path):
    """But for the order of their bytes, and float16."""
    values = np.array([[1, 0], [0, 1]]).astype(dtype)
    stack = PairwiseCompMatrixStack(values[:, :, None], ["a", "b"], [(0, 1)])
    rates = RateSliceStack(event_matrix=values[:, :, None])
    for obj in (PairwiseCompMatrix(values), stack, rates):
        obj.to_parquet(tmp_path / "m.parquet", verify=True)
        if np.dtype(dtype).isnative:
            assert load(tmp_path / "m.parquet") == obj
        else:
            (lost,) = ParquetWriter().losses(obj)
            assert lost == "values as >f8 (they come back as float64)"
    half = PairwiseCompMatrix(values.astype(np.float16))
    assert "as float32" in ParquetWriter().losses(half)[0]
    half.to_parquet(tmp_path / "m.parquet", verify=True)


def test_values_without_a_column_are_refused(tmp_path):
    """Complex numbers, and labels that are no text or number."""
    for obj, message in (
        (PairwiseCompMatrix(np.eye(2) * 1j), "matrix must hold real numbers"),
        (RateSliceStack(event_matrix=np.array([[[1j]]])), "event_stack must hold"),
        (PairwiseCompMatrix(np.eye(1), [(1, 2)]), "labels must be .* Parquet"),
        (PairwiseCompMatrix(np.eye(1), ["\ud800"]), "labels must be"),
    ):
        with pytest.raises(ValueError, match=message):
            obj.to_parquet(tmp_path / "m.parquet")
        with pytest.raises(ValueError, match=message):
            ParquetWriter().losses(obj)
    assert not snapshot(tmp_path)


@pytest.mark.parametrize("labels", [["a", "a"], ["label", "b"], [1, "1"], [True, 2.5]])
def test_labels_that_are_not_distinct_come_back(labels, tmp_path):
    """The columns are numbered then."""
    pcm = PairwiseCompMatrix(np.eye(2), labels)
    pcm.to_parquet(tmp_path / "m.parquet", strict=True, verify=True)
    assert load(tmp_path / "m.parquet") == pcm


def test_the_two_files_must_differ(tmp_path):
    """One name for both would keep only one of them."""
    path = tmp_path / "s.parquet"
    with pytest.raises(ValueError, match="units_table must not be filepath"):
        simulated().to_parquet(path, units_table=tmp_path / "." / "s.parquet")
    with pytest.raises(ValueError, match="units_table must be None for a RateData"):
        rates().to_parquet(path, units_table=tmp_path / "u.parquet")


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    """By the spikes of a unit, or by the window."""
    sd = SpikeData([[1.0], [2.0]], length=5.0)
    sd.to_parquet(tmp_path / "s.parquet", units_table=tmp_path / "u.parquet")
    for other in (
        SpikeData([[1.0, 1.5], [2.0]], length=5.0),
        SpikeData([[1.0], [2.0]], length=6.0),
        SpikeData([[1.0], [2.0], []], length=5.0),
    ):
        other.to_parquet(tmp_path / "o.parquet")
        with pytest.raises(FormatError, match="do not belong together"):
            load(tmp_path / "o.parquet", units_table=tmp_path / "u.parquet")
    with pytest.raises(FormatError, match=r"u\.parquet: it is a table of units"):
        load(tmp_path / "u.parquet")
    with pytest.raises(FormatError, match=r"s\.parquet: it is a table of spikes"):
        load(tmp_path / "s.parquet", units_table=tmp_path / "s.parquet")


class Altered(ParquetWriter):
    """A writer that stages another object."""

    def _write(self, obj, staged):
        super()._write(self.other, staged)


@pytest.mark.parametrize(
    ("obj", "other"),
    [
        (SpikeData([[1.0]], length=5.0), SpikeData([[2.0]], length=5.0)),
        (SpikeData([[1.0]], length=5.0), SpikeData([[1.0], []], length=5.0)),
        (RateData([[1.0]], [0.0]), RateData([[1.0]], [0.5])),
        (integer_matrix(), PairwiseCompMatrix(np.array([[3, -1], [2, 1]]))),
        (rate_slices(), spike_slices()),
    ],
)
def test_verify_finds_a_difference(obj, other, tmp_path):
    """What was staged otherwise is not published."""
    Altered.other = other
    with pytest.raises(VerificationError, match="differs"):
        Altered(verify=True).write(obj, tmp_path / "o.parquet")
    assert not snapshot(tmp_path)


def test_units_under_another_name_are_read_with_a_warning(tmp_path):
    """Numbers or texts, which become ids; rates keep any names."""
    path = tmp_path / "s.parquet"
    for name, ids in (("neuron", [7, 10, 7]), ("Unit Name", ["a", "b", "a"])):
        pq.write_table(pa.table({"time_s": [1.0, 2.0, 3.0], name: ids}), path)
        with pytest.warns(
            UserWarning, match=f"'{name.lower()}' is taken for the units"
        ):
            found = load(path)
        assert [x.tolist() for x in found.train] == [[1000.0, 3000.0], [2000.0]]
        assert [unit["unit_id"] for unit in found.neuron_attributes] == ids[:2]
    pq.write_table(pa.table({"time_s": [1.0], "cell": [0.5]}), path)
    assert load(path).inst_Frate_data.tolist() == [[0.5]]
    for name, values in (("channel", [2, 3]), ("neuron", [2, None])):
        pq.write_table(pa.table({"time_s": [1.0, 2.0], name: values}), path)
        with pytest.warns(UserWarning, match=f"'{name}'. are taken for the rates"):
            assert load(path).inst_Frate_data[0, 0] == 2.0


def test_the_index_of_pandas_is_no_rate(tmp_path):
    """The column that it makes of an index without a name."""
    columns = {"time_ms": [1.0], "CA1": [0.5], "__index_level_0__": [7]}
    pq.write_table(pa.table(columns), tmp_path / "r.parquet")
    assert load(tmp_path / "r.parquet").inst_Frate_data.tolist() == [[0.5]]


def test_tables_from_elsewhere_are_read(tmp_path):
    """Any order of rows and columns, other types, without our metadata."""
    path = tmp_path / "s.parquet"
    units = pa.array([1, 0, 1], pa.uint8()).dictionary_encode()
    columns = {"note": ["a", "b", "c"], "Time": [0.5, 0.25, 0.125], "Unit": units}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(FormatError, match="time_unit must be given"):
        load(path)
    found = load(path, time_unit="s", length_ms=1000.0)
    assert [t.tolist() for t in found.train] == [[250.0], [125.0, 500.0]]
    assert (found.length, found.metadata["source_file"]) == (1000.0, str(path))
    table = {"time_ms": pa.array([0, 1]), "unit_1": [3.0, None], "unit_0": [1, 2]}
    pq.write_table(pa.table(table), path)
    np.testing.assert_array_equal(load(path).inst_Frate_data, [[1, 2], [3, np.nan]])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1]}, "has no column of times"),
        ({"unit": [0], "q": [1]}, "is a table of units"),
        ({"unit": [-1], "time_ms": [1.0]}, "must lie in 0"),
        ({"unit": [0.5], "time_ms": [1.0]}, "does not hold numbers"),
        ({"unit": [None, 0], "time_ms": [1.0, 2.0]}, "missing values"),
        ({"unit": ["a"], "time_ms": [1.0]}, "does not hold numbers"),
        ({"unit": [0], "time_ms": [math.nan]}, "unit 0: spike times must be finite"),
        ({"x": [0.0], "time_ms": [1.0]}, "must begin with a column of times"),
    ],
)
def test_broken_tables_are_format_errors(columns, message, tmp_path):
    """Each says what is wrong."""
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    with pytest.raises(FormatError, match=message):
        load(tmp_path / "s.parquet")


@pytest.mark.parametrize(
    "about",
    [
        b"no JSON",
        b"[]",
        b'{"class": "Spike"}',
        b'{"class": "RateSliceStack"}',
        b'{"class": "SpikeSliceStack", "n_units": 1, "slices": [3]}',
        b'{"class": "SpikeData", "n_units": -1}',
        b'{"class": "SpikeData", "n_units": "many"}',
        b'{"class": "SpikeData", "n_units": 1, "length_ms": "long"}',
        b'{"class": "SpikeData", "n_units": 1, "length_ms": 0.5}',
        b'{"class": "PairwiseCompMatrixStack", "shape": [2, 2, 2]}',
        b'{"class": "PairwiseCompMatrix", "labels": [1, 2], "dtype": "x"}',
    ],
)
def test_broken_metadata_are_format_errors(about, tmp_path):
    """They are believed only where they fit."""
    table = pa.table({"unit": [0], "time_ms": [1.0]})
    path = tmp_path / "s.parquet"
    pq.write_table(table.replace_schema_metadata({b"spikelab": about}), path)
    with pytest.raises(FormatError, match=r"s\.parquet"):
        load(path)


@pytest.mark.parametrize("shape", [[2, 2, -3], [2, 2, 4], [2.5, 2, 3], [], ["a"], 3])
def test_a_wrong_shape_is_a_format_error(shape, tmp_path):
    """Of any stack whose values have another number."""
    path = rate_slices().to_parquet(tmp_path / "r.parquet")
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"spikelab"]) | {"shape": shape}
    metadata = {b"spikelab": json.dumps(about)}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(FormatError, match=r"r\.parquet"):
        load(path)


def test_rows_of_stacks_must_be_in_order(tmp_path):
    """Windows are in the metadata, and the values by their place."""
    path = rate_slices().to_parquet(tmp_path / "r.parquet")
    table = pq.read_table(path)
    pq.write_table(table.take(list(range(len(table)))[::-1]), path)
    with pytest.raises(FormatError, match="in the order"):
        load(path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_damaged_files_are_format_errors(place, tmp_path):
    """Cut short, or with other bytes inside."""
    path = tmp_path / "s.parquet"
    simulated().to_parquet(path)
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: int(len(whole) * place)])
    with pytest.raises(FormatError, match=r"s\.parquet"):
        load(path)


def test_what_is_in_no_row_is_json(tmp_path):
    """Any program can read it."""
    path = SpikeData([[1.0], []], start_time=-2.0, length=5.0).to_parquet(
        tmp_path / "s.parquet", time_unit="samples", fs_Hz=1000
    )
    about = json.loads(pq.read_schema(path).metadata[b"spikelab"])
    assert about == {
        "class": "SpikeData",
        "n_units": 2,
        "start_time_ms": -2.0,
        "length_ms": 5.0,
        "fs_Hz": 1000.0,
    }


def test_a_loader_for_spikes_takes_nothing_else(tmp_path):
    """It has the options of the format."""
    sd = SpikeData([[1.0], []], length=5.0)
    path = sd.to_parquet(tmp_path / "s.parquet")
    assert load_spikedata_from_parquet(path) == sd
    comparison_matrix().to_parquet(path)
    with pytest.raises(FormatError, match="must hold a SpikeData"):
        load_spikedata_from_parquet(path)
    with pytest.raises(ValueError, match="fs_Hz must be None for"):
        load(path, fs_Hz=10_000.0)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    """On writing and on reading."""
    path = simulated().to_parquet(tmp_path / "s.parquet")
    before = snapshot(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (lambda: simulated().to_parquet(path), lambda: load(path)):
        with pytest.raises(MissingExtraError, match=r"spikelab\[parquet\]"):
            call()
    assert snapshot(tmp_path) == before


class SmallGroups(ParquetWriter):
    """A writer of groups of seven rows."""

    rows_per_block = 7


@given(n_units=st.integers(1, 40), n_spikes=st.integers(0, 400))
@settings(max_examples=20)
def test_row_groups_end_anywhere(n_units, n_spikes, tmp_path):
    """Within a unit, or between two."""
    rng = np.random.default_rng(n_units * 1000 + n_spikes)
    train = [rng.uniform(0, 10, n_spikes // n_units) for _ in range(n_units)]
    sd = SpikeData(train, length=10.0)
    SmallGroups(verify=True).write(sd, tmp_path / "s.parquet")
    assert load(tmp_path / "s.parquet") == sd


def test_windows_in_an_array(tmp_path):
    """They come back as the pairs that they are."""
    windows = np.array([[0.0, 1.0], [1.0, 2.0]])
    stack = PairwiseCompMatrixStack(np.ones((2, 2, 2)), times=windows)
    assert load(stack.to_parquet(tmp_path / "a.parquet", verify=True)) == stack
