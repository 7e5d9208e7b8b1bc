"""Objects without spikes in NWB: firing rates and comparisons of pairs of units."""

from collections.abc import Iterator, Sequence
from typing import Any

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
from spikelab.formats.nwb.header import Header
from spikelab.formats.nwb.spikes import O, Plan, rounding_losses, windows_ms
from spikelab.formats.nwb.units import UnitFacts, UnitsNames
from spikelab.spikedata.differences import equal
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import BLOCK
from spikelab.spikedata.unit_table import is_nan

_RATES = "firing_rates"
_TABLE = f"{schema.MODULE}/pairwise_comparison"
_VALUES = "comparison"


class DerivedPlan(Plan[O]):
    """Values that were computed from spikes, in a processing module."""

    values: NDArray[Any]

    def check(self, name: str) -> None:
        """Raise ValueError for values that NWB has no type for; `name` is theirs."""
        if self.values.dtype.kind not in "biuf" or self.values.dtype.itemsize > 8:
            raise ValueError(
                f"{name} must hold real numbers of at most 64 bits to be written "
                f"as NWB, got {self.values.dtype}"
            )

    def attributes(self) -> list[dict[str, Any]] | None:
        """Return what a reader finds out about each unit, None if nothing is known."""
        return None if self.units is None else self.units.attributes()

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write what is known about the units."""
        schema.add_module(file)
        if self.units is not None:
            self.units.write(file, schema.UNIT_ATTRIBUTES)


class RatesPlan(DerivedPlan[RateData]):
    """One series for all times."""

    def __init__(self, obj: RateData, header: Header, units: UnitFacts | None) -> None:
        super().__init__(obj, header, units)
        self.values, self.times = obj.inst_Frate_data, obj.times.astype(np.float64)
        self.check("inst_Frate_data")
        self.rate_unit = str(obj.rate_unit) if h5.is_text(obj.rate_unit) else None

    def losses(self) -> Iterator[str]:
        """Yield in words what the file does not carry."""
        yield from super().losses()
        if self.rate_unit is None and self.obj.rate_unit is not None:
            yield "rate_unit (it is not a text that HDF5 can hold)"
        if self.obj.times.dtype != np.float64:
            yield "the dtype of times (they come back as float64)"
        if _even_step(self.times) is None:
            yield from rounding_losses("times", self.times)

    def largest_ms(self) -> float:
        """Return the largest magnitude among the times in the file."""
        return float(np.abs(self.times).max(initial=0.0))

    def carried(self) -> RateData:
        """Return the rates with what the file holds beside them."""
        return self.obj._replaced(
            times=self.times,
            rate_unit=self.rate_unit,
            neuron_attributes=self.attributes(),
        )

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write units and series."""
        super().write(file, names)
        rates = self.values.T[np.newaxis]
        group = _write_rates(file, rates, self.times, self.rate_unit)
        if self.rate_unit is not None:
            group.attrs["rate_unit"] = self.rate_unit


def read_rates(file: h5py.File) -> dict[str, Any]:
    """Return the arguments of a RateData."""
    rates, group, notes = _read_series(file)
    if "step_ms" in notes:
        times = notes["start_ms"] + np.arange(len(rates)) * notes["step_ms"]
    else:
        times = h5.dataset(group, "timestamps")[()] * 1000.0
    if len(times) != len(rates):
        raise FormatError(
            f"{group.name} must have a time for each of {len(rates)} rows"
        )
    rate_unit = notes.get("rate_unit")
    return {"inst_Frate_data": rates.T, "times": times, "rate_unit": rate_unit}


class RateSlicesPlan(DerivedPlan[RateSliceStack]):
    """One series, window after window, and a trial for each window."""

    def __init__(
        self, obj: RateSliceStack, header: Header, units: UnitFacts | None
    ) -> None:
        super().__init__(obj, header, units)
        self.values, self.windows = obj.event_stack, windows_ms(obj.times)
        self.check("event_stack")

    def carried(self) -> RateSliceStack:
        """Return the slices with what the file holds beside them."""
        return self.obj._replaced(neuron_attributes=self.attributes())

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write units, series and trials; each trial refers to its rows of the series."""
        super().write(file, names)
        step = float(self.obj.step_size)
        _, n_bins, n_windows = self.values.shape
        times = self.windows[:, :1] + np.arange(n_bins) * step
        rates = self.values.transpose(2, 1, 0)
        group = _write_rates(file, rates, times.ravel(), None)
        group.attrs["step_size"], group.attrs["n_bins"] = step, n_bins
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


def read_rate_slices(file: h5py.File) -> dict[str, Any]:
    """Return the arguments of a RateSliceStack."""
    rates, group, notes = _read_series(file)
    windows = schema.read_trials(file, notes["n_windows"])
    if len(rates) != len(windows) * notes["n_bins"]:
        raise FormatError(f"{group.name} must hold n_bins rows for each trial")
    stacked = rates.reshape(len(windows), notes["n_bins"], rates.shape[1])
    return {
        "event_matrix": stacked.transpose(2, 1, 0),
        "times_start_to_end": windows,
        "step_size": notes["step_size"],
    }


def _write_rates(
    file: h5py.File,
    rates: NDArray[Any],
    times_ms: NDArray[np.float64],
    unit: str | None,
) -> h5py.Group:
    """Write rates over time: with first time and step, if times are exactly even.

    `rates` have shape (windows, times, units); the windows follow one another.
    """
    n_windows, n_times, n_units = rates.shape
    shape = (n_windows * n_times, n_units)
    rows = max(BLOCK // max(n_units, 1), 1)
    blocks = (part[i : i + rows] for part in rates for i in range(0, n_times, rows))
    parent, seconds = file[schema.MODULE], times_ms / 1000.0
    step_ms = _even_step(times_ms)
    # A series with more units than times is taken for one with its axes exchanged.
    is_table = 0 < shape[0] < shape[1]
    what = "Firing rates: a column for each unit."
    if is_table:
        names = ["timestamps", "data"]
        group = schema.table(parent, _RATES, np.arange(shape[0]), names, what)
        schema.column(group, "timestamps", seconds, "The times in seconds.")
    else:
        group = schema.typed(
            parent.create_group(_RATES), "TimeSeries", description=what
        )
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


def _even_step(times: NDArray[np.float64]) -> float | None:
    """Return the step of times that multiples of it give exactly, else None."""
    if len(times) < 2 or not times[1] > times[0]:
        return None
    step = float(times[1] - times[0])
    is_even = np.array_equal(times[0] + np.arange(len(times)) * step, times)
    return step if is_even else None


def _read_series(file: h5py.File) -> tuple[NDArray[Any], h5py.Group, dict[str, Any]]:
    """Return the rates (times, units), the group that holds them, and its notes."""
    data = h5.dataset(file, f"{schema.MODULE}/{_RATES}/data", ndim=2, kinds="biuf")
    return data[()], data.parent, h5.scalar_attributes(data.parent)


class ComparisonPlan(DerivedPlan[PairwiseCompMatrix | PairwiseCompMatrixStack]):
    """A row for each unit: its label, and its values for all units (and windows)."""

    def __init__(
        self,
        obj: PairwiseCompMatrix | PairwiseCompMatrixStack,
        header: Header,
        units: UnitFacts | None,
    ) -> None:
        super().__init__(obj, header, units)
        self.has_windows = False
        if isinstance(obj, PairwiseCompMatrix):
            self.values = obj.matrix
            self.check("matrix")
        else:
            self.values = obj.stack
            self.check("stack")
            if obj.times is not None:
                self.windows, self.has_windows = windows_ms(obj.times), True
        self.labels = _labels(obj.labels)

    def losses(self) -> Iterator[str]:
        """Yield in words what the file does not carry."""
        yield from super().losses()
        labels = self.obj.labels
        if self.labels is None:
            if labels is not None:
                yield "labels (there are none, or they hold what HDF5 cannot)"
            return
        if not isinstance(labels, list):
            yield f"labels as {type(labels).__name__} (they come back as a list)"
        pairs = zip(labels, self.labels.values(), strict=True)  # type: ignore[arg-type] # there are labels
        changed = [label for label, back in pairs if not equal(label, back)]
        if any(label is not None and not is_nan(label) for label in changed):
            yield "the types of labels (they become text)"
        elif changed:
            yield "which labels are missing (NaN or empty in the file)"

    def carried(self) -> PairwiseCompMatrix | PairwiseCompMatrixStack:
        """Return the comparison with what the file holds beside it."""
        labels = None if self.labels is None else self.labels.values()
        changes = {"metadata": self.header.metadata(), "labels": labels}
        if self.has_windows:
            changes["times"] = list(map(tuple, self.windows.tolist()))
        return self.obj._replaced(**changes)

    def write(self, file: h5py.File, names: UnitsNames) -> None:
        """Write the table, and a trial for each window."""
        super().write(file, names)
        columns = [_VALUES] if self.labels is None else ["label", _VALUES]
        what = "Comparison of all pairs of units, one row for each unit."
        table = schema.table(file, _TABLE, np.arange(len(self.values)), columns, what)
        if self.labels is not None:
            self.labels.write(table)
        h5.write_array(table, _VALUES, self.values)
        what = "The unit compared with every unit, in the order of the rows"
        if self.values.ndim > 2:
            what += ", in each window, in the order of the trials"
        schema.typed(table[_VALUES], "VectorData", description=f"{what}.")
        if self.has_windows:
            table.attrs["n_windows"] = len(self.windows)
            schema.write_trials(file, self.windows)


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


def read_matrix(file: h5py.File) -> dict[str, Any]:
    """Return the arguments of a PairwiseCompMatrix but for its metadata."""
    return _read_comparison(file, "matrix", 2)


def read_stack(file: h5py.File) -> dict[str, Any]:
    """Return the arguments of a PairwiseCompMatrixStack but for its metadata."""
    found, notes = (
        _read_comparison(file, "stack", 3),
        h5.scalar_attributes(file[_TABLE]),
    )
    if "n_windows" in notes:
        found["times"] = schema.read_trials(file, notes["n_windows"])
    return found


def _read_comparison(file: h5py.File, argument: str, ndim: int) -> dict[str, Any]:
    table = h5.member(file, _TABLE)
    found = {argument: h5.dataset(table, _VALUES, ndim=ndim, kinds="biuf")[()]}
    if h5.has_member(table, "label"):
        column = read_column(table, "label", len(found[argument]), own=True)
        found["labels"] = None if column is None else column.values()
    return found
