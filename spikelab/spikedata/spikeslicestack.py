"""Spike trains in windows of a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata import binning, cutting, windows
from spikelab.spikedata.data_object import SliceStack, attribute_rows, fields
from spikelab.spikedata.differences import equal
from spikelab.spikedata.foreign import instead_of
from spikelab.spikedata.quantity import in_ms
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import Attributes
from spikelab.spikedata.windows import Window, Windows


class SpikeSliceStack(SliceStack):
    """Spike trains of N units in S windows.

    Made from a recording (`data_obj`) and windows, or from recordings that are
    already cut (`spike_stack`). Windows may overlap. They are kept in the order
    of their start: windows that come in another order are sorted with a
    warning, and the slices of a `spike_stack` along with them.

    The slices of a recording hold the spikes from the start of the window up
    to, and without, its end. They start at 0 on their own clock, or, with
    `time_peaks`, have the event at 0 and start before it. If the absolute time of
    the recording is known, ``metadata["time_zero_ms"]`` of each slice says where its
    time 0 lies in the session.

    Parameters
    ----------
    data_obj : SpikeData, optional
        The recording.
    times_start_to_end : list of tuple, optional
        Start and end of each window in ms; with `data_obj` all of the same length.
    time_peaks : array-like, optional
        Event times in ms, instead of `times_start_to_end`.
    time_bounds : tuple, optional
        How far, in ms, the window reaches before and after each event.
    spike_stack : list of SpikeData, optional
        The slices, instead of `data_obj`, of any length. Without windows they
        follow one another from 0.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; by default that of `data_obj`, or of the
        first slice that has any.
    drop_slice_attributes : bool
        Keep the attributes of units in the stack only, not in each slice. The
        SpikeData given are not changed, slices without attributes take their
        place.

    Attributes
    ----------
    times : list of tuple
        Start and end of each window in ms, on the clock of the recording.
    N : int
        Number of units.
    spike_stack, neuron_attributes : list
        The slices, and what is known about each unit, or None.

    Raises
    ------
    ValueError
        If windows are missing, leave the recording or do not fit the slices,
        or slices differ in their number of units.
    TypeError
        If an argument is of the wrong type, or neither `data_obj` nor
        `spike_stack` is given.

    Examples
    --------
    >>> from spikelab import SpikeData, SpikeSliceStack
    >>> sd = SpikeData([[12.5, 430.0, 435.0]], length=1000.0)
    >>> stack = SpikeSliceStack(sd, time_peaks=[430.0], time_bounds=(10.0, 20.0))
    >>> stack.spike_stack[0].train[0]
    array([0., 5.])
    """

    FIELDS = fields("spike_stack", "neuron_attributes", times_start_to_end="times")
    _FIXED_ARGUMENTS: ClassVar[Mapping[str, Any]] = {"drop_slice_attributes": False}

    spike_stack: list[SpikeData]

    def __init__(
        self,
        data_obj: SpikeData | None = None,
        times_start_to_end: list[Window] | None = None,
        time_peaks: ArrayLike | None = None,
        time_bounds: Window | None = None,
        spike_stack: list[SpikeData] | None = None,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        drop_slice_attributes: bool = True,
    ) -> None:
        given = (times_start_to_end, time_peaks, time_bounds)
        if spike_stack is not None:
            if data_obj is not None:
                warn("data_obj is not used, because spike_stack is given too")
            found = windows.chosen_windows(*given, equal_lengths=False)
            self._arrange(spike_stack, found)
            rows = _common_attributes(self.spike_stack, warns=drop_slice_attributes)
            if drop_slice_attributes:
                self.spike_stack = list(map(_without_attributes, self.spike_stack))
        elif isinstance(data_obj, SpikeData):
            extent = (data_obj.start_time, data_obj.start_time + data_obj.length)
            found = windows.windows_inside(extent, *given)
            self.times, rows = found.times, data_obj.neuron_attributes
            whole = _without_attributes(data_obj) if drop_slice_attributes else data_obj
            self.spike_stack = _cut(whole, found)
        else:
            got = instead_of(data_obj) or f"{type(data_obj).__name__} and None"
            raise TypeError(
                f"data_obj must be a SpikeData, or spike_stack a list of them, got {got}"
            )
        known = rows if neuron_attributes is None else neuron_attributes
        self.neuron_attributes = attribute_rows(known)
        self.check()

    def _check(self) -> None:
        found = windows.chosen_windows(self.times, None, None, equal_lengths=False)
        self._arrange(self.spike_stack, found)
        for sd in self.spike_stack:
            sd.check()
        self.N = self.spike_stack[0].N
        self._check_attributes(self.N)

    def _arrange(self, slices: Any, found: Windows | None) -> None:
        """Store the slices in the order of their windows."""
        is_list = isinstance(slices, list)
        if not is_list or not all(isinstance(sd, SpikeData) for sd in slices):
            wrong = slices[0] if is_list else slices
            got = instead_of(wrong) or f"{slices!r:.80}"
            raise TypeError(f"spike_stack must be a list of SpikeData, got {got}")
        if not slices:
            raise ValueError("spike_stack must hold at least one SpikeData, got []")
        counts = {sd.N for sd in slices}
        if len(counts) > 1:
            raise ValueError(
                f"spike_stack must hold slices of the same number of units, "
                f"got {sorted(counts)}"
            )
        lengths = [sd.length for sd in slices]
        self.times, order = windows.windows_of_slices("spike_stack", found, lengths)
        self.spike_stack = [slices[i] for i in order]

    def __iter__(self) -> Iterator[SpikeData]:
        return iter(self.spike_stack)

    def _units(self, chosen: list[int]) -> dict[str, Any]:
        return {"spike_stack": [sd.subset(chosen, preserve_order=True) for sd in self]}

    def subtime_by_index(self, start_idx: int, end_idx: int) -> SpikeSliceStack:
        """Return the stack of the same part of every slice, which starts at 0 then.

        Parameters
        ----------
        start_idx, end_idx : int
            Start and end in ms from the start of each slice; negative ones count
            from the end of the first slice.

        Raises
        ------
        ValueError
            If the first slice is not a whole number of ms long, or the part is
            not in each slice.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0]], length=1000.0).frames(500).subtime_by_index(0, 100)
        SpikeSliceStack(N=1, S=2, spikes=1, times=0.0 to 600.0 ms)
        """
        length = self.spike_stack[0].length
        if not float(length).is_integer():
            raise ValueError(f"slices must be whole ms long, got {length}")
        part = windows.index_range(start_idx, end_idx, int(length))
        first, last = part.start, part.stop
        return self._replaced(
            spike_stack=[
                sd.subtime(sd.start_time + first, sd.start_time + last) for sd in self
            ],
            times_start_to_end=[
                (start + first, start + last) for start, _ in self.times
            ],
        )

    def _slices(self, chosen: list[int]) -> dict[str, Any]:
        return {"spike_stack": [self.spike_stack[i] for i in chosen]}

    def to_raster_array(
        self, bin_size: float = 1.0, absolute_times: bool = False
    ) -> NDArray[np.int64]:
        """Count the spikes of each unit in each bin of each slice.

        Parameters
        ----------
        bin_size : float
            Width of a bin in ms; bins are those of :meth:`.SpikeData.raster`.
        absolute_times : bool
            Let the bins run from the start of the first window to the end of the
            last one, the spikes of each slice at their time in the recording. By
            default they run from the start to the end of each slice, all of which
            must have the same number of bins.

        Returns
        -------
        ndarray
            Counts, int64, shape (N, bins, S).

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0]], length=1000.0).frames(500).to_raster_array(250)
        array([[[1, 0],
                [1, 0]]])
        """
        size = validate.positive("bin_size", in_ms("bin_size", bin_size))
        if absolute_times:
            first, last = self.times[0][0], max(end for _, end in self.times)
            bins = {binning.n_bins(last - first, size, first)}
            # Where the first bin begins, on the clock of each slice.
            pairs = zip(self, self.times, strict=True)
            origins = [sd.start_time - (start - first) for sd, (start, _) in pairs]
        else:
            bins = {binning.n_bins(sd.length, size, sd.start_time) for sd in self}
            origins = [sd.start_time for sd in self]
        if len(bins) > 1:
            raise ValueError(
                f"slices must have the same number of bins of {size} ms, "
                f"got {sorted(bins)}"
            )
        raster = np.empty((self.N, *bins, len(self)), dtype=np.int64)
        for i, (sd, origin) in enumerate(zip(self, origins, strict=True)):
            raster[..., i] = binning.counts(sd.spike_trains, origin, size, *bins)
        return raster


def _cut(recording: SpikeData, found: Windows) -> list[SpikeData]:
    closing = recording.start_time + recording.length
    window = (found.start_ms, found.length_ms)
    # A spike at the very end of the recording is in no slice.
    edges = [(start, min(end, closing)) for start, end in found.times]
    return [
        SpikeData(**cutting.cut(recording, *edge, zero=zero, window=window))
        for edge, zero in zip(edges, found.zeros, strict=True)
    ]


def _common_attributes(slices: list[SpikeData], *, warns: bool) -> Attributes:
    """Return the attributes of the first slice that has any."""
    known = [sd.neuron_attributes for sd in slices if sd.neuron_attributes is not None]
    if warns and not all(equal(known[0], rows) for rows in known[1:]):
        warn(
            "slices differ in neuron_attributes: the stack takes those of the first; "
            "drop_slice_attributes=False keeps those of each slice too",
        )
    return known[0] if known else None


def _without_attributes(sd: SpikeData) -> SpikeData:
    if sd.neuron_attributes is None:
        return sd
    return sd._replaced(neuron_attributes=None)
