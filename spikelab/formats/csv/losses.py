"""What a CSV file does not carry of an object, and whether it carries the rest."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from spikelab import comparison, kinds, trains
from spikelab.formats.csv import cells as csv_cells
from spikelab.formats.csv import tables as csv_tables
from spikelab.formats.csv import units as csv_units
from spikelab.kinds import Contents, kind_of

_CARRIED = (np.dtype(bool), np.dtype(np.int64), np.dtype(np.float64))


def of(obj: Any, *, with_units: bool) -> list[str]:
    """Return in words what is lost; `with_units` says that units have their table."""
    return {
        "SpikeData": _of_spikes,
        "SpikeSliceStack": _of_slices,
        "RateData": _of_rates,
        "RateSliceStack": _of_rate_slices,
        "PairwiseCompMatrix": _of_comparison,
        "PairwiseCompMatrixStack": _of_comparisons,
    }[kind_of(obj)](obj, with_units)


def _of_spikes(sd: Any, with_units: bool) -> list[str]:
    lost = []
    if with_units:
        lost += csv_units.losses(sd.neuron_attributes)
    else:
        lost += _without_table(sd)
    if sd.metadata:
        lost.append("metadata")
    if np.size(sd.raw_data):
        lost.append("raw data")
    return lost


def _without_table(sd: Any) -> list[str]:
    lost = []
    if sd.N and not len(sd.train[-1]):
        lost.append("silent units after the last that has spikes (no units_table)")
    first, last = trains.extremes(sd.train)
    start = min(first, 0.0)
    if (sd.start_time, sd.length) != (start, last - start):
        lost.append("the recording window (no units_table)")
    if sd.neuron_attributes:
        lost.append("neuron_attributes (no units_table)")
    return lost


def _of_slices(stack: Any, _: bool) -> list[str]:
    lost = ["the windows, and slices and units without a spike"]
    if stack.neuron_attributes:
        lost.append("neuron_attributes (a stack has no table of units)")
    if any(sd.neuron_attributes for sd in stack.spike_stack):
        lost.append("neuron_attributes of slices")
    if any(sd.metadata for sd in stack.spike_stack):
        lost.append("metadata of slices")
    if any(np.size(sd.raw_data) for sd in stack.spike_stack):
        lost.append("raw data of slices")
    return lost


def _of_rates(rd: Any, _: bool) -> list[str]:
    lost = [f"neuron_attributes ({_NO_CELL})"] if rd.neuron_attributes else []
    if rd.rate_unit is not None:
        lost.append(f"rate_unit ({_NO_CELL})")
    if rd.times.dtype != np.float64:
        lost.append(f"times as {rd.times.dtype} (they come back as float64)")
    return lost


_NO_CELL = "the table holds times and rates only"


def _of_rate_slices(stack: Any, _: bool) -> list[str]:
    csv_tables.check_dtype(stack.event_stack)
    lost = [f"neuron_attributes ({_NO_CELL})"] if stack.neuron_attributes else []
    if stack.event_stack.dtype != np.float64:
        lost.append(f"rates as {stack.event_stack.dtype} (they come back as float64)")
    if not stack.event_stack.size:
        lost.append("the shape and the windows of a stack without a rate")
    elif not _tells_windows(stack):
        lost.append("the windows or the step (the times of the bins do not tell them)")
    return lost


def _tells_windows(stack: Any) -> bool:
    return _told_windows(stack) == (stack.times, stack.step_size)


def _told_windows(stack: Any) -> tuple[list[tuple[float, float]], float]:
    """Return the windows and the step that a reader makes of the times of the bins."""
    bins = np.arange(stack.event_stack.shape[1]) * float(stack.step_size)
    starts = np.array([start + bins for start, _ in stack.times])
    return csv_tables.told_windows(starts)


def _of_comparison(pcm: Any, _: bool) -> list[str]:
    csv_tables.check_values(pcm)
    lost = ["metadata (the table holds values and labels only)"] if pcm.metadata else []
    dtype = csv_tables.values_of(pcm).dtype
    if dtype not in _CARRIED or (
        not csv_tables.values_of(pcm).size and dtype != np.float64
    ):
        lost.append(f"values as {dtype} (they come back as int64 or float64)")
    if not isinstance(pcm.labels, list | None):
        lost.append(f"labels as {type(pcm.labels).__name__} (they come back as a list)")
    return lost


def _of_comparisons(pcms: Any, with_units: bool) -> list[str]:
    lost = _of_comparison(pcms, with_units)
    if pcms.times is not None:
        lost.append("times of the windows (the table numbers them)")
    if pcms.labels is not None and csv_tables.are_numbers(pcms.labels):
        lost.append("labels that are the numbers of the units (they come back as None)")
    if not pcms.stack.size and any(pcms.stack.shape):
        lost.append("the shape and the labels of a stack without a value")
    return lost


def spike_differences(
    sd: Any, contents: Contents, slack_ms: float, *, with_units: bool
) -> list[str]:
    """Return in words where the spikes, window and units read differ."""
    if with_units:
        found = comparison.differences(sd, contents, slack_ms=slack_ms)
        units = [
            csv_units.text(
                SimpleNamespace(**{"N": sd.N, **vars(obj)}), None, [0] * sd.N
            )
            for obj in (sd, SimpleNamespace(**contents.arguments))
        ]
        return found or (["units differ"] if units[0] != units[1] else [])
    train = contents.arguments["train"]
    silent = [np.empty(0)] * (sd.N - len(train))
    shift = comparison.largest_shift_ms(sd.train, [*train, *silent])
    if shift <= slack_ms:
        return []
    return [f"spike times moved by up to {shift} ms, not {slack_ms} ms"]


def differences(obj: Any, contents: Contents, slack_ms: float) -> list[str]:
    """Return in words what was read otherwise than the table should carry it.

    Times may have moved by `slack_ms`, and with them windows and steps; all
    other values, and labels, are as they were.
    """
    kind = kind_of(obj)
    written, read = kinds.arguments_of(obj), contents.arguments
    wrong = [
        name
        for name, values in read.items()
        if isinstance(values, np.ndarray)
        # The shape of an array without a value is not in the table.
        and (values.size or np.size(written[name]))
        and not _close(written[name], values, slack_ms if name == "times" else 0.0)
    ]
    if "labels" in read and not _same_labels(_carried_labels(obj), read["labels"]):
        wrong.append("labels")
    if kind == "RateSliceStack" and not wrong:
        wrong += _wrong_windows(obj, read, slack_ms)
    return [f"{name} differs" for name in wrong]


def _carried_labels(obj: Any) -> Any:
    if kind_of(obj) == "PairwiseCompMatrix" or obj.labels is None:
        return obj.labels
    in_rows = obj.labels if obj.stack.size else []
    return None if csv_tables.are_numbers(in_rows) else in_rows


def _same_labels(written: Any, read: Any) -> bool:
    """Tell whether labels are the same cells, in whatever sequence or scalar type."""
    if written is None or read is None:
        return written is read
    return csv_cells.line(written) == csv_cells.line(read)


def _wrong_windows(stack: Any, read: Any, slack_ms: float) -> list[str]:
    windows, step = _told_windows(stack)
    # The end adds up steps, each of them the difference of two times.
    end_slack_ms = 2 * (stack.event_stack.shape[1] + 1) * slack_ms
    found = np.reshape(read["times_start_to_end"], (-1, 2))
    pairs = {
        "times_start_to_end": (np.array(windows), found, end_slack_ms),
        "step_size": (step, np.asarray(read["step_size"]), 2 * slack_ms),
    }
    return [name for name, pair in pairs.items() if not _close(*pair)]


def _close(written: Any, read: Any, slack_ms: float) -> bool:
    if not slack_ms:
        return np.array_equal(written, read, equal_nan=True)
    return np.shape(written) == read.shape and np.allclose(
        written, read, rtol=0, atol=slack_ms, equal_nan=True
    )


def slice_differences(
    stack: Any, columns: list[Any], to_ms: Callable[[Any], Any], slack_ms: float
) -> list[str]:
    """Return in words where rows of slice, unit and time differ from the slices."""
    read_slice, read_unit, read_times = columns
    first = 0
    for i, sd in enumerate(stack.spike_stack):
        ends = trains.ends(sd.train)
        rows = slice(first, first + sum(map(len, sd.train)))
        unit = trains.unit_indices(ends, 0, rows.stop - first)
        times = np.concatenate([np.empty(0), *sd.train])
        if not (
            np.array_equal(read_slice[rows], np.full(len(unit), i))
            and np.array_equal(read_unit[rows], unit)
            and _close(times, to_ms(read_times[rows]), slack_ms)
        ):
            return [f"the spikes of slice {i} differ"]
        first = rows.stop
    return [] if first == len(read_unit) else ["there are more spikes"]
