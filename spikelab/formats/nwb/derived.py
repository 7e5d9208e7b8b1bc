"""Objects without spikes in NWB: firing rates and comparisons of pairs of units."""

import abc
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import (
    StoredColumn,
    UnstorableError,
    read_column,
    stored_column,
)
from spikelab.formats.nwb.losses import Loss
from spikelab.formats.nwb.spikes import O, Plan, rounding_losses, windows_ms
from spikelab.formats.reading import build
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.differences import equal
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import BLOCK
from spikelab.spikedata.unit_table import Attributes, is_nan

_RATES = f"{schema.MODULE}/firing_rates"
_TABLE = f"{schema.MODULE}/pairwise_comparison"
_VALUES = "comparison"

_NO_WINDOWS = -1
"""Number of windows of a stack that does not know them."""


class DerivedPlan(Plan[O]):
    """How an object without spikes is written and read."""

    array: ClassVar[str]  # the attribute of the object that holds its values

    def __init__(self, obj: O) -> None:
        super().__init__(obj)
        self.values: NDArray[Any] = getattr(obj, self.array)
        if self.values.dtype.kind not in "biuf" or self.values.dtype.itemsize > 8:
            raise ValueError(
                f"{self.array} must hold real numbers of at most 64 bits to be written "
                f"as NWB, got {self.values.dtype}"
            )

    @classmethod
    @abc.abstractmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> DataObject:
        """Return the object, from a file, what is known about its units, and metadata."""


class RatesPlan(DerivedPlan[RateData]):
    """One series for all times."""

    array = "inst_Frate_data"

    def losses(self) -> Iterator[Loss]:
        """Yield what the series does not tell."""
        obj = self.obj
        if obj.rate_unit is not None and not h5.is_text(obj.rate_unit):
            text = "rate_unit (it is not a text that HDF5 can hold)"
            yield Loss(("rate_unit",), text)
        if obj.times.dtype != np.float64:
            text = "the dtype of times (they come back as float64)"
            yield Loss(("times",), text)
        if _even_step(obj.times) is None:
            yield from rounding_losses("times", "times", obj.times)

    def write(self, file: h5py.File) -> None:
        """Write the series."""
        rates, unit = self.values.T, self.obj.rate_unit
        rows = max(BLOCK // max(rates.shape[1], 1), 1)
        blocks = (rates[i : i + rows] for i in range(0, len(rates), rows))
        known = str(unit) if h5.is_text(unit) else None
        group = _write_rates(file, blocks, rates, self.obj.times, known)
        if known is not None:
            group.attrs["rate_unit"] = known

    @classmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> RateData:
        """Return the rates."""
        rates, group, notes = _read_rates(file)
        if "step_ms" in notes:
            times = notes["start_ms"] + np.arange(len(rates)) * notes["step_ms"]
        else:
            times = h5.dataset(group, "timestamps")[()] * 1000.0
        if len(times) != len(rates):
            raise FormatError(
                f"{group.name} must have a time for each of {len(rates)} rows"
            )
        return build(
            RateData,
            inst_Frate_data=rates.T,
            times=times,
            rate_unit=notes.get("rate_unit"),
            neuron_attributes=known,
        )


class RateSlicesPlan(DerivedPlan[RateSliceStack]):
    """One series, window after window, and a trial for each window."""

    array = "event_stack"

    def __init__(self, obj: RateSliceStack) -> None:
        super().__init__(obj)
        self.windows = windows_ms(obj.times)

    def losses(self) -> Iterator[Loss]:
        """Yield how far the windows are moved: series and trials tell all else."""
        yield from rounding_losses("windows", "times", self.windows)

    def write(self, file: h5py.File) -> None:
        """Write series and trials; each trial refers to its rows of the series."""
        step, (_, n_bins, n_windows) = self.obj.step_size, self.values.shape
        times = self.windows[:, :1] + np.arange(n_bins) * float(step)
        # Windows first, a view: (windows, times, units).
        rates = self.values.transpose(2, 1, 0)
        group = _write_rates(file, rates, rates, times.ravel(), None)
        group.attrs["step_size"], group.attrs["n_bins"] = float(step), n_bins
        group.attrs["n_windows"] = n_windows
        if "colnames" in group.attrs:  # only series can be referred to
            schema.write_trials(file, self.windows)
            return
        trials = schema.write_trials(file, self.windows, columns=["timeseries"])
        dtype = [("idx_start", "<i4"), ("count", "<i4"), ("timeseries", h5py.ref_dtype)]
        rows = [(i * n_bins, n_bins, group.ref) for i in range(n_windows)]
        schema.column(
            trials,
            "timeseries",
            np.array(rows, dtype=dtype),
            "The rows of the rates that belong to the window.",
            np.arange(1, n_windows + 1),
            "TimeSeriesReferenceVectorData",
        )

    @classmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> RateSliceStack:
        """Return the slices."""
        rates, group, notes = _read_rates(file)
        windows = schema.read_trials(file, notes.get("n_windows"))
        n_bins = notes.get("n_bins")
        if not isinstance(n_bins, int) or len(rates) != len(windows) * n_bins:
            raise FormatError(f"{group.name} must hold n_bins rows for each trial")
        stacked = rates.reshape(len(windows), n_bins, rates.shape[1])
        return build(
            RateSliceStack,
            event_matrix=stacked.transpose(2, 1, 0),
            times_start_to_end=windows,
            step_size=notes.get("step_size"),
            neuron_attributes=known,
        )


def _write_rates(
    file: h5py.File,
    blocks: Iterable[NDArray[Any]],
    rates: NDArray[Any],
    times_ms: NDArray[Any],
    unit: str | None,
) -> h5py.Group:
    """Write rates over time: with first time and step, if times are exactly even.

    `blocks` are the rates in turn, each of shape (times, units); `rates` are all, of any
    shape whose last axis counts units.
    """
    parent, (_, name) = schema.module(file), _RATES.rsplit("/", 1)
    shape = (len(times_ms), rates.shape[-1])
    seconds = np.asarray(times_ms, dtype=np.float64) / 1000.0
    step_ms = _even_step(times_ms)
    # A series with more units than times is taken for one with its axes exchanged.
    is_table = 0 < shape[0] < shape[1]
    what = "Firing rates: a column for each unit."
    if is_table:
        names = ["timestamps", "data"]
        group = schema.table(parent, name, np.arange(shape[0]), names, what)
        schema.column(group, "timestamps", seconds, "The times in seconds.")
    else:
        group = schema.typed(parent.create_group(name), "TimeSeries", description=what)
        group.attrs["comments"] = "Written by spikelab."
    data = h5.write_blocks(group, "data", shape, rates.dtype, blocks)
    attributes = {"unit": unit or schema.UNKNOWN, "conversion": 1.0, "resolution": -1.0}
    data.attrs.update(attributes)
    if is_table:
        schema.typed(data, "VectorData", description="The rates of all units.")
    elif step_ms is None:
        times = group.create_dataset("timestamps", data=seconds)
        times.attrs["interval"], times.attrs["unit"] = np.int32(1), "seconds"
    else:
        times = group.create_dataset("starting_time", data=seconds[0])
        times.attrs["rate"], times.attrs["unit"] = 1000.0 / step_ms, "seconds"
    if step_ms is not None:  # which gives back the same floats
        group.attrs["start_ms"], group.attrs["step_ms"] = float(times_ms[0]), step_ms
    return group


def _even_step(times_ms: NDArray[Any]) -> float | None:
    """Return the step of times that multiples of it give exactly, else None."""
    times = np.asarray(times_ms, dtype=np.float64)
    if len(times) < 2 or not times[1] > times[0]:
        return None
    step = float(times[1] - times[0])
    is_even = np.array_equal(times[0] + np.arange(len(times)) * step, times)
    return step if is_even else None


def _read_rates(file: h5py.File) -> tuple[NDArray[Any], h5py.Group, dict[str, Any]]:
    """Return the rates (times, units), the group that holds them, and its notes."""
    data = h5.dataset(file, f"{_RATES}/data", ndim=2, kinds="biuf")
    return data[()], data.parent, h5.scalar_attributes(data.parent)


Comparison = PairwiseCompMatrix | PairwiseCompMatrixStack


class MatrixPlan(DerivedPlan[Comparison]):
    """Each row holds a unit's label, and its values for all units and windows."""

    data_class: ClassVar[type[Comparison]] = PairwiseCompMatrix
    array = "matrix"

    def __init__(self, obj: Comparison) -> None:
        super().__init__(obj)
        times = getattr(obj, "times", None)
        self.windows = None if times is None else windows_ms(times)
        self.labels = _labels(obj.labels)

    def losses(self) -> Iterator[Loss]:
        """Yield what the table and the trials do not hold."""
        labels: Any = self.obj.labels
        lost = []
        if labels is not None and self.labels is None:
            lost.append("labels (there are none, or they hold what HDF5 cannot)")
        elif self.labels is not None:
            if not isinstance(labels, list):
                kind = type(labels).__name__
                lost.append(f"labels as {kind} (they come back as a list)")
            pairs = zip(labels, self.labels.values(), strict=True)
            changed = [value for value, back in pairs if not equal(value, back)]
            if changed and all(value is None or is_nan(value) for value in changed):
                lost.append("which labels are missing (NaN or empty in the file)")
            elif changed:
                lost.append("the types of labels (they become text)")
        yield from (Loss(("labels",), text) for text in lost)
        if self.windows is not None:
            times: Any = getattr(self.obj, "times", None)
            if type(times) is not list or set(map(type, times)) - {tuple}:
                text = "times as they are held (they come back as a list of tuples)"
                yield Loss(("times",), text)
            yield from rounding_losses("windows", "times", self.windows)

    def write(self, file: h5py.File) -> None:
        """Write the table, and a trial for each window."""
        values = self.values
        schema.module(file)
        what = "Comparison of all pairs of units, one row for each unit."
        names = ["label"] * (self.labels is not None) + [_VALUES]
        table = schema.table(file, _TABLE, np.arange(len(values)), names, what)
        if self.labels is not None:
            self.labels.write(table)
        h5.write_array(table, _VALUES, values)
        what = "The unit compared with every unit, in the order of the rows"
        in_windows = ", in each window, in the order of the trials" * (values.ndim > 2)
        description = f"{what}{in_windows}."
        schema.typed(table[_VALUES], "VectorData", description=description)
        if values.ndim > 2:
            n_windows = _NO_WINDOWS if self.windows is None else len(self.windows)
            table.attrs["n_windows"] = n_windows
        if self.windows is not None:
            schema.write_trials(file, self.windows)

    @classmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> Comparison:
        """Return the comparison."""
        table = h5.member(file, _TABLE)
        is_stack = cls.data_class is PairwiseCompMatrixStack
        values = h5.dataset(table, _VALUES, ndim=2 + is_stack, kinds="biuf")[()]
        arguments: dict[str, Any] = {cls.array: values, "metadata": metadata}
        if h5.has_member(table, "label"):
            column = read_column(table, "label", len(values), own=True)
            arguments["labels"] = None if column is None else column.values()
        count = h5.scalar_attributes(table).get("n_windows")
        if is_stack and count != _NO_WINDOWS:
            arguments["times"] = schema.read_trials(file, count)
        return build(cls.data_class, **arguments)


class MatrixStackPlan(MatrixPlan):
    """The same with one layer for each window."""

    data_class = PairwiseCompMatrixStack
    array = "stack"


def _labels(labels: Sequence[Any] | None) -> StoredColumn | None:
    """Return the labels as a column; those of several types as text."""
    if labels is None or not len(labels):
        return None
    for values in (list(labels), list(map(str, labels))):
        try:
            return stored_column("label", "label", values)
        except UnstorableError:
            continue
    return None


DERIVED: dict[str, type[DerivedPlan[Any]]] = {
    "RateData": RatesPlan,
    "RateSliceStack": RateSlicesPlan,
    "PairwiseCompMatrix": MatrixPlan,
    "PairwiseCompMatrixStack": MatrixStackPlan,
}
"""The classes without spikes."""
