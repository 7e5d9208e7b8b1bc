"""Windows of slices as the trials of an NWB file."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import units
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.nwb import tables as nwb_tables

TRIALS = "intervals/trials"


def windows_ms(times: Any) -> NDArray[np.float64]:
    """Return windows as an array (S, 2) of starts and ends in ms.

    Raises
    ------
    ValueError
        If they are not pairs of finite numbers, or are rounded as float64.
    """
    try:
        windows = np.asarray(list(times), dtype=np.float64).reshape(len(times), 2)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"times must hold a start and an end in ms for each window: {error}"
        ) from error
    if not np.all(np.isfinite(windows)):
        raise ValueError("times must be finite to be written as trials")
    for window, given in zip(windows.tolist(), times, strict=True):
        if window != list(given):
            raise ValueError(f"times must be numbers that a float64 holds, got {given}")
    return windows


def write(
    file: h5py.File,
    windows: NDArray[np.float64],
    zeros: NDArray[np.float64] | None = None,
    *,
    columns: Sequence[str] = (),
) -> h5py.Group:
    """Write one trial for each window.

    Parameters
    ----------
    file : h5py.File
        The open file.
    windows : ndarray, shape (S, 2)
        Starts and ends in ms.
    zeros : ndarray, shape (S,), optional
        The time in ms that is 0 on the clock of each slice, if that is not
        its start.
    columns : sequence of str
        Names of columns that the caller writes.
    """
    times = {
        "start_time": (windows[:, 0], "Start of the window in seconds."),
        "stop_time": (windows[:, 1], "End of the window in seconds."),
    }
    if zeros is not None:
        times["event_time"] = (zeros, "Time that is 0 in the slice, in seconds.")
    table = nwb_tables.table(
        file,
        TRIALS,
        np.arange(len(windows)),
        [*times, *columns],
        "One row for each window that was cut from the recording.",
        neurodata_type="TimeIntervals",
        namespace=nwb_tables.CORE,
    )
    for name, (times_ms, description) in times.items():
        nwb_tables.vector(table, name, units.from_ms(times_ms, "s", None), description)
    return table


def read(file: h5py.File, count: Any = None) -> list[tuple[float, float]]:
    """Return the windows in ms, none if the file has no trials.

    `count` is how many spikelab wrote; others may have added trials since.
    """
    if not h5.has_member(file, TRIALS):
        return []
    edges = [
        units.to_ms(nwb_tables.values(h5.dataset(file, f"{TRIALS}/{name}")), "s", None)
        for name in ("start_time", "stop_time")
    ]
    if len(edges[0]) != len(edges[1]):
        raise FormatError(
            f"trials must have as many starts as ends, got {len(edges[0])} and {len(edges[1])}"
        )
    windows = list(zip(edges[0].tolist(), edges[1].tolist(), strict=True))
    return windows[:count] if isinstance(count, int) and count >= 0 else windows


def slack_ms(times_ms: Any) -> float:
    """Return how far seconds may move times in ms."""
    # A thousandth of a number near the smallest one has fewer digits.
    smallest = float(np.finfo(np.float64).tiny)
    return 4 * float(np.spacing(np.abs(times_ms).max(initial=0.0))) + smallest


def differ(windows: NDArray[np.float64] | None, found: Any) -> bool:
    """Tell whether windows in ms are others than those read, rounding aside."""
    if windows is None or found is None:
        return windows is not found
    read_windows = np.asarray(found, dtype=np.float64).reshape(-1, 2)
    slack = slack_ms(windows)
    return read_windows.shape != windows.shape or not np.allclose(
        read_windows, windows, rtol=0, atol=slack
    )
