"""Firing rates in windows of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata import binning, windows
from spikelab.spikedata.data_object import (
    SliceStack,
    attribute_rows,
    check_array,
    fields,
)
from spikelab.spikedata.foreign import instead_of
from spikelab.spikedata.quantity import finite_ms, in_ms
from spikelab.spikedata.ratedata import RateData, isi_rates, smoothing_reach
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.windows import Window, Windows


class RateSliceStack(SliceStack):
    """Firing rates of U units in S windows of T time bins.

    Made from a recording (`data_obj`) and windows, or from rates that are
    already cut (`event_matrix`). Windows may overlap. They are kept in the
    order of their start: windows that come in another order are sorted with a
    warning, and the slices of an `event_matrix` along with them.

    Parameters
    ----------
    data_obj : SpikeData or RateData, optional
        The recording. From spikes, rates are made for each window as by
        :meth:`.SpikeData.resampled_isi`.
    times_start_to_end : list of tuple, optional
        Start and end of each window in ms, all of the same length.
    time_peaks : array-like, optional
        Event times in ms, instead of `times_start_to_end`.
    time_bounds : tuple, optional
        How far, in ms, the window reaches before and after each event.
    sigma_ms : float
        Smoothing of rates that are made from spikes, in ms.
    event_matrix : ndarray, shape (U, T, S), optional
        The rates, instead of `data_obj`; NaN is allowed. Not copied, unless the
        slices have to be sorted. Without windows they follow one another from 0.
    step_size : float, optional
        Distance of the time bins in ms, by default 1; that of `data_obj` if
        that is a RateData.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; by default that of `data_obj`.

    Attributes
    ----------
    event_stack : ndarray, shape (U, T, S)
        The rates.
    times : list of tuple
        Start and end of each window in ms.
    step_size, neuron_attributes
        The arguments.

    Raises
    ------
    ValueError
        If both or neither of `data_obj` and `event_matrix` are given, windows
        are missing, differ in length or leave the recording, or a shape does
        not fit.
    TypeError
        If an argument is of the wrong type.

    Examples
    --------
    >>> from spikelab import RateData, RateSliceStack
    >>> rates = RateData([[2.0, 4.0, 3.0, 1.0]], times=[0.0, 10.0, 20.0, 30.0])
    >>> RateSliceStack(rates, times_start_to_end=[(0.0, 20.0), (20.0, 40.0)])
    RateSliceStack(U=1, T=2, S=2, times=0.0 to 40.0 ms)
    """

    FIELDS = fields(
        "step_size",
        "neuron_attributes",
        event_matrix="event_stack",
        times_start_to_end="times",
    )

    def __init__(
        self,
        data_obj: SpikeData | RateData | None = None,
        times_start_to_end: list[Window] | None = None,
        time_peaks: ArrayLike | None = None,
        time_bounds: Window | None = None,
        sigma_ms: float = 10,
        event_matrix: NDArray[Any] | None = None,
        step_size: float | None = None,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
    ) -> None:
        if (data_obj is None) == (event_matrix is None):
            got = "neither" if data_obj is None else "both"
            raise ValueError(
                f"exactly one of data_obj and event_matrix must be given, got {got}"
            )
        step_ms = in_ms("step_size", 1.0 if step_size is None else step_size)
        self.step_size = validate.positive("step_size", step_ms)
        sigma_ms = finite_ms("sigma_ms", sigma_ms)
        given = (times_start_to_end, time_peaks, time_bounds)
        if event_matrix is not None:
            self._arrange(event_matrix, windows.chosen_windows(*given))
        elif isinstance(data_obj, RateData):
            extent = windows.extent_of(data_obj.times)
            found = windows.windows_inside(extent, *given)
            self.step_size = windows.step_of(data_obj.times)
            self.event_stack = _from_rates(data_obj, found)
            self.times = found.times
        elif isinstance(data_obj, SpikeData):
            extent = (data_obj.start_time, data_obj.start_time + data_obj.length)
            found = windows.windows_inside(extent, *given)
            self.event_stack = _from_spikes(data_obj, found, self.step_size, sigma_ms)
            self.times = found.times
        else:
            raise TypeError(
                f"data_obj must be a SpikeData or RateData, "
                f"got {instead_of(data_obj) or type(data_obj).__name__}"
            )
        if neuron_attributes is None and data_obj is not None:
            neuron_attributes = data_obj.neuron_attributes
        self.neuron_attributes = attribute_rows(neuron_attributes)
        self.check()

    def _check(self) -> None:
        step_ms = in_ms("step_size", self.step_size)
        self.step_size = validate.positive("step_size", step_ms)
        self._arrange(self.event_stack, windows.chosen_windows(self.times, None, None))
        self._check_attributes(self.N)

    def _arrange(self, event_matrix: Any, found: Windows | None) -> None:
        """Store the slices in the order of their windows."""
        check_array("event_matrix", event_matrix)
        if event_matrix.ndim != 3 or 0 in event_matrix.shape[1:]:
            raise ValueError(
                f"event_matrix must have shape (units, bins, slices) with at least one "
                f"bin and slice, got {event_matrix.shape}"
            )
        _, bins, slices = event_matrix.shape
        lengths = [bins * self.step_size] * slices
        self.times, order = windows.windows_of_slices("event_matrix", found, lengths)
        is_sorted = order == list(range(slices))
        self.event_stack = event_matrix if is_sorted else event_matrix[..., order]

    def __iter__(self) -> Iterator[RateData]:
        steps = np.arange(self.event_stack.shape[1]) * self.step_size
        for i, (start, _) in enumerate(self.times):
            rates = self.event_stack[..., i]
            yield RateData(rates, start + steps, self.neuron_attributes)

    def convert_to_list_of_RateData(self) -> list[RateData]:
        """Return each slice as a RateData with the times of the recording in ms.

        Examples
        --------
        >>> import numpy as np
        >>> from spikelab import RateSliceStack
        >>> RateSliceStack(event_matrix=np.ones((2, 5, 3))).convert_to_list_of_RateData()[1]
        RateData(shape=(2, 5), times=5.0 to 9.0 ms, rate_unit=None)
        """
        return list(self)

    @property
    def N(self) -> int:  # type: ignore[override] # an attribute of the mixin
        """Number of units.

        Examples
        --------
        >>> import numpy as np
        >>> from spikelab import RateSliceStack
        >>> RateSliceStack(event_matrix=np.ones((2, 5, 3))).N
        2
        """
        return int(self.event_stack.shape[0])

    def _units(self, chosen: list[int]) -> dict[str, Any]:
        return {"event_matrix": self.event_stack[chosen]}

    def subtime_by_index(self, start_idx: int, end_idx: int) -> RateSliceStack:
        """Return the stack of the steps ``start_idx:end_idx`` of every slice.

        Parameters
        ----------
        start_idx, end_idx : int
            Positions along the second axis; negative ones count from the end.

        Raises
        ------
        ValueError
            If there is no such step, or none between them.

        Examples
        --------
        >>> import numpy as np
        >>> from spikelab import RateSliceStack
        >>> RateSliceStack(event_matrix=np.ones((2, 5, 3))).subtime_by_index(1, 4)
        RateSliceStack(U=2, T=3, S=3, times=1.0 to 14.0 ms)
        """
        steps = windows.index_range(start_idx, end_idx, self.event_stack.shape[1])
        first, last = steps.start * self.step_size, steps.stop * self.step_size
        return self._replaced(
            event_matrix=self.event_stack[:, steps],
            times_start_to_end=[
                (start + first, start + last) for start, _ in self.times
            ],
        )

    def _slices(self, chosen: list[int]) -> dict[str, Any]:
        return {"event_matrix": self.event_stack[..., chosen]}


def _from_rates(rates: RateData, found: Windows) -> NDArray[np.float64]:
    """Cut out the columns whose time t has start <= t < end."""
    step_ms = windows.step_of(rates.times)
    if not np.allclose(np.diff(rates.times), step_ms, rtol=1e-6):
        warn(
            f"times of data_obj are not evenly spaced: the slices get their mean "
            f"distance, {step_ms} ms",
        )
    # A time on the edge of a window may lie beside it by a rounding.
    edges = np.array(found.times, dtype=np.float64) - 1e-6 * step_ms
    columns = np.searchsorted(rates.times, edges)
    counts = np.diff(columns, axis=1)
    if counts.min() != counts.max() or counts.min() == 0:
        raise ValueError(
            f"windows must hold the same number of times of data_obj, at least one, "
            f"got {counts.min()} to {counts.max()}"
        )
    return np.stack([rates.inst_Frate_data[:, i:j] for i, j in columns], axis=-1)


def _from_spikes(
    recording: SpikeData, found: Windows, step_ms: float, sigma_ms: float
) -> NDArray[np.float64]:
    """Compute the rates in each window, smoothed as part of the whole recording."""
    stop = recording.start_time + recording.length
    first, last = found.times[0]
    count = binning.n_bins(last - first, step_ms, first)
    reach = smoothing_reach(sigma_ms, step_ms)
    train = recording.spike_trains
    stack = np.empty((len(train), count, len(found.times)))
    for i, (start, _) in enumerate(found.times):
        # Spikes beside the window count too, as far as they reach into it.
        before = min(reach, int((start - recording.start_time) / step_ms))
        after = min(reach, int((stop - start) / step_ms) - count)
        grid = start + np.arange(-before, count + max(after, 0)) * step_ms
        rates, _ = isi_rates(train, grid, sigma_ms)
        stack[..., i] = rates[:, before : before + count]
    return stack
