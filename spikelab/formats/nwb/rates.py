"""Firing rates in NWB: a time series, and the units that it is about."""

import hashlib
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import trains
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import file as nwb_file
from spikelab.formats.nwb import parts as nwb_parts
from spikelab.formats.nwb import series as nwb_series
from spikelab.formats.nwb import tables as nwb_tables
from spikelab.formats.nwb import trials as nwb_trials
from spikelab.formats.nwb import units as nwb_units
from spikelab.kinds import Contents

_NAME = "firing_rates"
_UNKNOWN = "unknown"


def check_numbers(name: str, array: NDArray[Any]) -> None:
    """Raise ValueError for values that NWB has no type for."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ValueError(
            f"{name} must hold real numbers of at most 64 bits to be written as NWB, "
            f"got {array.dtype}"
        )


def identifier_of(*arrays: Any) -> str:
    """Return a text that is the same for the same arrays, and for no others."""
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype} {array.shape}".encode())
        for row in array if array.ndim > 1 else [array]:
            digest.update(np.ascontiguousarray(row).tobytes())
    return nwb_file.identifier(digest.hexdigest())


def same_numbers(written: Any, read: Any, slack: float = 0.0) -> bool:
    """Tell whether arrays agree in shape and, within `slack`, in value; NaN is NaN."""
    if np.shape(written) != np.shape(read):
        return False
    if not slack:
        numbers = np.asarray(written).dtype.kind == "f"
        return np.array_equal(written, read, equal_nan=numbers)
    return np.allclose(written, read, rtol=0, atol=slack, equal_nan=True)


class Rates(nwb_parts.Part):
    """One series; the time is its first axis, a column is a unit."""

    kind = "RateData"
    is_read = True

    def check(self, obj: Any) -> None:
        """Raise ValueError for what is not a real number."""
        check_numbers("inst_Frate_data", obj.inst_Frate_data)

    def identifier(self, obj: Any) -> str:
        """Return a text made from rates and times."""
        return identifier_of(obj.inst_Frate_data, obj.times)

    def losses(self, obj: Any) -> list[str]:
        """Return what the series does not tell."""
        lost = []
        if obj.rate_unit is not None and _unit(obj) is None:
            lost.append("rate_unit (it is not a text that HDF5 can hold)")
        if np.asarray(obj.times).dtype != np.float64:
            lost.append("the dtype of times (they come back as float64)")
        times = np.asarray(obj.times, dtype=np.float64)
        if nwb_series.even_step(times) is None:
            lost += nwb_parts.moved("times", [times])
        return lost

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write series and units."""
        table.write(file, obj.N)
        rates = obj.inst_Frate_data
        unit = _unit(obj)
        group = nwb_series.write(
            file,
            _NAME,
            _rows(rates.T),
            rates.shape[::-1],
            rates.dtype,
            np.asarray(obj.times, dtype=np.float64),
            unit or _UNKNOWN,
        )
        if unit is not None:
            group.attrs["rate_unit"] = unit

    def read(self, file: h5py.File) -> dict[str, Any]:
        """Return rates, times and the unit of the rates."""
        rates, times, group = nwb_series.read(file, _NAME)
        return {
            "inst_Frate_data": rates.T,
            "times": times,
            "rate_unit": h5.scalar_attributes(group).get("rate_unit"),
        }

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare rates exactly and times to their rounding."""
        read = contents.arguments
        found = []
        if not same_numbers(obj.inst_Frate_data, read["inst_Frate_data"]):
            found.append("rates differ")
        if not same_numbers(obj.times, read["times"], nwb_trials.slack_ms(obj.times)):
            found.append("times differ")
        if read["rate_unit"] != _unit(obj):
            found.append(f"rate_unit is {read['rate_unit']!r}")
        return found


def _unit(obj: Any) -> str | None:
    """Return the unit of the rates if it can be written."""
    unit = obj.rate_unit
    return str(unit) if h5.is_text(unit) else None


class RateSlices(nwb_parts.Part):
    """One series, window after window, and a trial for each window."""

    kind = "RateSliceStack"
    is_read = True

    def check(self, obj: Any) -> None:
        """Raise ValueError for what is no real number, or windows that are none."""
        check_numbers("event_stack", obj.event_stack)
        nwb_trials.windows_ms(obj.times)

    def identifier(self, obj: Any) -> str:
        """Return a text made from rates and windows."""
        return identifier_of(obj.event_stack, obj.times, obj.step_size)

    def losses(self, obj: Any) -> list[str]:
        """Return how far the windows are moved: series and trials tell all else."""
        return nwb_parts.moved("windows", [*nwb_trials.windows_ms(obj.times)])

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write series, trials and units."""
        stack = obj.event_stack
        n_units, n_bins, n_windows = stack.shape
        table.write(file, n_units)
        windows = nwb_trials.windows_ms(obj.times)
        times = windows[:, :1] + np.arange(n_bins) * float(obj.step_size)
        group = nwb_series.write(
            file,
            _NAME,
            (stack[:, :, i].T for i in range(n_windows)),
            (n_windows * n_bins, n_units),
            stack.dtype,
            times.ravel(),
            _UNKNOWN,
        )
        group.attrs["step_size"], group.attrs["n_bins"] = float(obj.step_size), n_bins
        group.attrs["n_windows"] = n_windows
        trials = nwb_trials.write(file, windows, columns=("timeseries",))
        _write_references(trials, group, n_windows, n_bins)

    def read(self, file: h5py.File) -> dict[str, Any]:
        """Return rates, windows and step."""
        rates, _, group = nwb_series.read(file, _NAME)
        notes = h5.scalar_attributes(group)
        windows = nwb_trials.read(file, notes.get("n_windows"))
        n_bins = notes.get("n_bins")
        if not isinstance(n_bins, int) or len(rates) != len(windows) * n_bins:
            raise FormatError(f"{group.name} must hold n_bins rows for each trial")
        stacked = rates.reshape(len(windows), n_bins, rates.shape[1])
        return {
            "event_matrix": stacked.transpose(2, 1, 0),
            "times_start_to_end": windows,
            "step_size": notes.get("step_size"),
        }

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare rates exactly and windows to their rounding."""
        read = contents.arguments
        found = []
        if not same_numbers(obj.event_stack, read["event_matrix"]):
            found.append("rates differ")
        if nwb_trials.differ(
            nwb_trials.windows_ms(obj.times), read["times_start_to_end"]
        ):
            found.append("windows differ")
        if read["step_size"] != float(obj.step_size):
            found.append(f"step_size is {read['step_size']}")
        return found


def _rows(rates: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield rates (times, units) some rows at a time."""
    step = max(trains.BLOCK // max(rates.shape[1], 1), 1)
    for start in range(0, len(rates), step):
        yield rates[start : start + step]


def _write_references(
    trials: h5py.Group, series: h5py.Group, n_windows: int, n_bins: int
) -> None:
    """Say for each trial which rows of the series are its own."""
    dtype = np.dtype(
        [("idx_start", "<i4"), ("count", "<i4"), ("timeseries", h5py.ref_dtype)]
    )
    rows = [(i * n_bins, n_bins, series.ref) for i in range(n_windows)]
    created = nwb_tables.typed(
        trials.create_dataset("timeseries", data=np.array(rows, dtype=dtype)),
        "TimeSeriesReferenceVectorData",
        description="The rows of the rates that belong to the window.",
    )
    nwb_tables.index(trials, "timeseries_index", created, np.arange(1, n_windows + 1))
