"""Spike trains in windows of a recording."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata import binning, cutting, windows
from spikelab.spikedata.data_object import SliceStack, fields
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
        found = windows.chosen_windows(
            times_start_to_end,
            time_peaks,
            time_bounds,
            equal_lengths=spike_stack is None,
        )
        if spike_stack is not None:
            if data_obj is not None:
                warn("data_obj is not used, because spike_stack is given too")
            slices, self.times = _from_stack(spike_stack, found)
            lifted = _lifted(slices, drop_slice_attributes)
        elif isinstance(data_obj, SpikeData):
            chosen, lifted = windows.required(found), data_obj.neuron_attributes
            whole = _bare(data_obj) if drop_slice_attributes else data_obj
            slices, self.times = _from_recording(whole, chosen), chosen.times
        else:
            given = instead_of(data_obj) or f"{type(data_obj).__name__} and None"
            raise TypeError(
                f"data_obj must be a SpikeData, or spike_stack a list of them, "
                f"got {given}"
            )
        if neuron_attributes is None:
            neuron_attributes = lifted
        if drop_slice_attributes:
            slices = [_bare(sd) for sd in slices]
        self.spike_stack = slices
        self.N = slices[0].N
        self.neuron_attributes = (
            None if neuron_attributes is None else list(neuron_attributes)
        )
        self.check()

    def _check(self) -> None:
        found = windows.chosen_windows(self.times, None, None, equal_lengths=False)
        self.spike_stack, self.times = _from_stack(self.spike_stack, found)
        for sd in self.spike_stack:
            sd.check()
        self.check_units(self.spike_stack[0].N)

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments that make an equal object."""
        return self._unpickled(super().arguments())

    @staticmethod
    def _unpickled(arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "drop_slice_attributes": False}

    def __iter__(self) -> Iterator[SpikeData]:
        return iter(self.spike_stack)

    def _of_units(self, units: list[int], known: Attributes) -> SpikeSliceStack:
        slices = [sd.subset(units, preserve_order=True) for sd in self]
        return self._replaced(spike_stack=slices, neuron_attributes=known)

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
        first, last = windows.index_range(start_idx, end_idx, int(length))
        parts = []
        for sd in self:
            edges = (sd.start_time + first, sd.start_time + last)
            start, stop = cutting.window_times(sd, *edges)
            parts.append(SpikeData(**cutting.cut(sd, start, stop, zero=start)))
        return self._replaced(
            spike_stack=parts,
            times_start_to_end=[(s + first, s + last) for s, _ in self.times],
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
        origins = [sd.start_time for sd in self]
        bins = {binning.n_bins(sd.length, size, sd.start_time) for sd in self}
        if absolute_times:
            # The first bin on the clock of each slice.
            first, last = self.times[0][0], max(end for _, end in self.times)
            starts = [start for start, _ in self.times]
            origins = [o - (s - first) for o, s in zip(origins, starts, strict=True)]
            bins = {binning.n_bins(last - first, size, first)}
        if len(bins) > 1:
            raise ValueError(
                f"slices must have the same number of bins of {size} ms, "
                f"got {sorted(bins)}"
            )
        raster = np.empty((self.N, bins.pop(), len(self)), dtype=np.int64)
        for i, (sd, origin) in enumerate(zip(self, origins, strict=True)):
            raster[..., i] = binning.counts(sd.train, origin, size, raster.shape[1])
        return raster


def _from_recording(recording: SpikeData, found: Windows) -> list[SpikeData]:
    opening, closing = recording.start_time, recording.start_time + recording.length
    found.check_inside(opening, closing)
    window = (found.start_ms, found.length_ms)
    # A spike at the very end of the recording is in no slice.
    edges = [(start, min(end, closing)) for start, end in found.times]
    return [
        SpikeData(**cutting.cut(recording, *edge, zero=zero, window=window))
        for edge, zero in zip(edges, found.zeros, strict=True)
    ]


def _from_stack(
    spike_stack: Any, found: Windows | None
) -> tuple[list[SpikeData], list[Window]]:
    if not isinstance(spike_stack, list) or not all(
        isinstance(sd, SpikeData) for sd in spike_stack
    ):
        first = spike_stack[0] if isinstance(spike_stack, list) else spike_stack
        raise TypeError(
            f"spike_stack must be a list of SpikeData, "
            f"got {instead_of(first) or f'{spike_stack!r:.80}'}"
        )
    if not spike_stack:
        raise ValueError("spike_stack must hold at least one SpikeData, got []")
    counts = {sd.N for sd in spike_stack}
    if len(counts) > 1:
        raise ValueError(
            f"spike_stack must hold slices of the same number of units, "
            f"got {sorted(counts)}"
        )
    lengths = [sd.length for sd in spike_stack]
    order, times = windows.of_slices("spike_stack", found, lengths)
    return [spike_stack[i] for i in order], times


def _lifted(spike_stack: list[SpikeData], dropped: bool) -> Attributes:
    """Return the attributes of the first slice that has any."""
    known = [
        sd.neuron_attributes for sd in spike_stack if sd.neuron_attributes is not None
    ]
    if dropped and not all(equal(known[0], other) for other in known[1:]):
        warn(
            "slices differ in neuron_attributes: the stack takes those of the first; "
            "drop_slice_attributes=False keeps those of each slice too",
        )
    return known[0] if known else None


def _bare(recording: SpikeData) -> SpikeData:
    """Return a recording without attributes, of which all else is the same."""
    if recording.neuron_attributes is None:
        return recording
    bare = copy.copy(recording)
    bare.neuron_attributes = None
    return bare
