"""Rates and comparisons of units as CSV tables."""

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import units
from spikelab.comparison import same
from spikelab.errors import FormatError
from spikelab.formats.csv import cells as csv_cells
from spikelab.formats.csv import decimals
from spikelab.formats.csv import file as csv_file
from spikelab.formats.csv.spikes import read_columns
from spikelab.kinds import Contents

_TIMES = tuple(f"time_{unit}" for unit in units.TIME_UNITS)


def write_rates(file: IO[bytes], rd: Any, time_unit: str, fs_Hz: float | None) -> None:
    """Write a time column and a column per unit."""
    names = [f"time_{time_unit}", *(f"unit_{unit}" for unit in range(rd.N))]
    file.write(csv_cells.line(names).encode())
    times = units.from_ms(np.asarray(rd.times, np.float64), time_unit, fs_Hz)
    step = max(decimals.BLOCK // len(names), 1)
    for first in range(0, len(times), step):
        part = slice(first, first + step)
        file.write(decimals.lines(times[part], *rd.inst_Frate_data[:, part]))


def read_rates(path: Path, columns: list[str], to_ms: Any) -> Contents:
    """Return the rates in the columns after that of the times, in the order of units."""
    if len(set(columns)) < len(columns):
        raise FormatError(f"{path} must have columns of different names")
    times, *rates = read_columns(path, columns, [columns[0], *_by_unit(columns[1:])])
    return Contents(
        "RateData",
        {
            "inst_Frate_data": np.array(rates).reshape(len(rates), len(times)),
            "times": to_ms(times),
        },
    )


def _by_unit(names: list[str]) -> list[str]:
    """Return ``unit_0``, ``unit_1``, ... in this order, other names as they come."""
    in_order = [f"unit_{unit}" for unit in range(len(names))]
    return in_order if set(names) == set(in_order) else names


def write_rate_slices(
    file: IO[bytes], stack: Any, time_unit: str, fs_Hz: float | None
) -> None:
    """Write one row per slice, time bin and unit, with the rate."""
    file.write(csv_cells.line(["slice", f"time_{time_unit}", "unit", "rate"]).encode())
    n_units, n_bins, n_slices = stack.event_stack.shape
    step = max(decimals.BLOCK // max(n_units, 1), 1)
    for i, first in itertools.product(range(n_slices), range(0, n_bins, step)):
        rates = stack.event_stack[:, first : first + step, i]
        bins = np.arange(first, first + rates.shape[1])
        times = stack.times[i][0] + bins * float(stack.step_size)
        file.write(
            decimals.lines(
                np.full(rates.size, i),
                np.repeat(units.from_ms(times, time_unit, fs_Hz), n_units),
                np.tile(np.arange(n_units), len(bins)),
                np.asarray(rates.T, dtype=np.float64).ravel(),
            )
        )


def read_rate_slices(path: Path, columns: list[str], to_ms: Any) -> Contents:
    """Return the rates, and the windows that the times of their bins tell."""
    names = [*columns[:2], "unit", "rate"]
    i, times, unit, rates = read_columns(path, columns, names)
    if not rates.size:
        raise FormatError(f"{path} holds no rates, and so tells no windows")
    n_slices, n_units = (max(int(n[-1]) + 1, 0) for n in (i, unit))
    shape = (n_slices, _quotient(rates.size, n_slices * n_units), n_units)
    if not _are_in_order(shape, i, times, unit):
        raise FormatError(
            f"{path} must hold each slice, time and unit once, in this order"
        )
    windows, step = told_windows(to_ms(times).reshape(shape)[:, :, 0])
    matrix = np.ascontiguousarray(rates.reshape(shape).transpose(2, 1, 0))
    return Contents(
        "RateSliceStack",
        {"event_matrix": matrix, "times_start_to_end": windows, "step_size": step},
    )


def _are_in_order(shape: tuple[int, int, int], i: Any, times: Any, unit: Any) -> bool:
    if times.size != math.prod(shape):
        return False
    in_order = np.indices(shape)[::2].reshape(2, -1)
    per_bin = times.reshape(shape)
    return np.array_equal([i, unit], in_order) and bool(
        np.all(per_bin == per_bin[:, :, :1])
    )


def _quotient(count: int, parts: int) -> int:
    return count // parts if parts else 0


def told_windows(
    starts: NDArray[np.float64],
) -> tuple[list[tuple[float, float]], float]:
    """Return the windows and the step whose bins start at these times in ms.

    Parameters
    ----------
    starts : ndarray, shape (slices, bins)
        Start of each bin; with a single bin the step is taken to be 1 ms.
    """
    n_bins = starts.shape[1]
    step = float(starts[0, 1] - starts[0, 0]) if n_bins > 1 else 1.0
    first = starts[:, 0].tolist()
    return [(start, start + n_bins * step) for start in first], step


def values_of(obj: Any) -> NDArray[Any]:
    """Return the values of a comparison or of a stack of them."""
    return np.asarray(obj.matrix if hasattr(obj, "matrix") else obj.stack)


def check_dtype(values: NDArray[Any]) -> None:
    """Raise ValueError for values that have no place in a cell."""
    if values.dtype.kind not in "biuf" or values.dtype.itemsize > 8:
        raise ValueError(
            f"values must be real numbers to fit into CSV, got {values.dtype}"
        )


def check_values(obj: Any) -> None:
    """Raise ValueError for values or labels that have no place in a cell."""
    check_dtype(values_of(obj))
    if hasattr(obj, "matrix") and _make_a_header_of_spikes(obj.labels):
        raise ValueError(
            "labels must not hold 'unit' beside the name of a column of times, by which "
            f"a table of spikes is known, got {obj.labels!r:.80}"
        )
    for label in [] if obj.labels is None else obj.labels:
        if not csv_cells.is_scalar(label):
            raise ValueError(
                f"labels must be numbers, truth values or text to fit into CSV, "
                f"got {' '.join(repr(label).split()):.80}"
            )


def _make_a_header_of_spikes(labels: Sequence[Any] | None) -> bool:
    return labels is not None and looks_like_spikes(list(labels))


def looks_like_spikes(columns: Sequence[Any]) -> bool:
    """Tell whether a header has the columns of a table of spikes."""
    return "unit" in columns and time_column(columns) is not None


def time_column(columns: Sequence[Any]) -> str | None:
    """Return the name of the column of times, None if there is none."""
    return next((name for name in columns if name in (*_TIMES, "time")), None)


def write_matrix(file: IO[bytes], pcm: Any) -> None:
    """Write a square with the labels, or the numbers of the units, at two edges."""
    names = _names(pcm.labels, len(pcm.matrix))
    corner = "unit" if pcm.labels is None else "label"
    file.write(csv_cells.line([corner, *names]).encode())
    for name, row in zip(names, pcm.matrix.tolist(), strict=True):
        file.write(csv_cells.line([name, *row]).encode())


def read_matrix(path: Path) -> Contents:
    """Return the matrix, and its labels if it has any."""
    (corner, *labels), *body = _rows(path)
    edge = [row[0] for row in body]
    if list(map(str, edge)) == list(map(str, labels)):
        labels = edge  # other programs quote the one edge and not the other
    if not same(edge, labels) or any(len(row) != len(labels) + 1 for row in body):
        raise FormatError(f"{path} must have the same labels at both edges")
    matrix = _numbers([row[1:] for row in body], path).reshape(len(labels), len(labels))
    named = None if corner == "unit" else labels
    return Contents("PairwiseCompMatrix", {"matrix": matrix, "labels": named})


def write_matrices(file: IO[bytes], pcms: Any) -> None:
    """Write one row per window and pair of units, with the value."""
    names = _names(pcms.labels, len(pcms.stack))
    file.write(csv_cells.line(["window", "row", "column", "value"]).encode())
    pairs = list(itertools.product(names, names))
    for window in range(pcms.stack.shape[2]):
        values = pcms.stack[:, :, window].ravel().tolist()
        file.write(
            "".join(
                csv_cells.line([window, *pair, value])
                for pair, value in zip(pairs, values, strict=True)
            ).encode()
        )


def read_matrices(path: Path) -> Contents:
    """Return the stack, and its labels if it has any."""
    _, *body = _rows(path)
    if any(len(row) != 4 for row in body):
        raise FormatError(f"{path} must have four cells in each row")
    last = body[-1][0] if body else -1
    n_windows = last + 1 if isinstance(last, int) and 0 <= last < len(body) else 0
    n_units = math.isqrt(_quotient(len(body), n_windows))
    names = [row[2] for row in body[:n_units]]
    expected = itertools.product(range(n_windows), names, names)
    if len(body) != n_windows * n_units**2 or any(
        not same(tuple(row[:-1]), place)
        for row, place in zip(body, expected, strict=True)
    ):
        raise FormatError(
            f"{path} must hold each window, row and column once, in this order"
        )
    values = _numbers([row[3:] for row in body], path)
    stack = values.reshape(n_windows, n_units, n_units).transpose(1, 2, 0)
    named = None if are_numbers(names) else names
    return Contents(
        "PairwiseCompMatrixStack",
        {"stack": np.ascontiguousarray(stack), "labels": named},
    )


def are_numbers(labels: Sequence[Any]) -> bool:
    """Tell whether labels are just the numbers of the units."""
    return csv_cells.line(labels) == csv_cells.line(range(len(labels)))


def _names(labels: Sequence[Any] | None, count: int) -> list[Any]:
    return list(range(count)) if labels is None else list(labels)


def _rows(path: Path) -> Iterator[list[Any]]:
    with csv_file.opened(path) as file:
        return csv_cells.rows(file.read(), str(path))


def _numbers(rows: list[list[Any]], path: Path) -> NDArray[Any]:
    """Return cells as bool if they are truth values, int64 if integers, else float64.

    Integers that do not fit become uint64; a missing number is NaN.
    """
    rows = [[math.nan if value is None else value for value in row] for row in rows]
    kinds = {type(value) for row in rows for value in row}
    if not kinds <= {bool, int, float} or (bool in kinds and len(kinds) > 1):
        raise FormatError(f"{path} must hold numbers as its values")
    whole = (np.int64, np.uint64) if kinds == {int} else ()
    for dtype in (np.bool_,) if kinds == {bool} else (*whole, np.float64):
        with contextlib.suppress(OverflowError):
            return np.array(rows, dtype=dtype)
    raise FormatError(f"{path} must hold numbers of at most 64 bits")
