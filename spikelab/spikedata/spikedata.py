"""Spike trains of simultaneously recorded units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata import cutting, windows
from spikelab.spikedata.array_mixin import ArrayMixin
from spikelab.spikedata.bridge_mixin import BridgeMixin
from spikelab.spikedata.data_object import attribute_rows, fields
from spikelab.spikedata.quantity import finite_ms, in_ms
from spikelab.spikedata.spike_trains import checked_trains
from spikelab.spikedata.voltages import raw_arrays

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack
    from spikelab.spikedata.spikeslicestack import SpikeSliceStack


class SpikeData(BridgeMixin, ArrayMixin):
    """Spike times of N units over one recording window, in milliseconds.

    Parameters
    ----------
    train : iterable of array-like
        Spike times of each unit in ms. Stored sorted, as float64 copies.
    N : int, optional
        Number of units, if there are silent ones after the last of `train`.
    length : float, optional
        Length of the recording in ms; by default it ends with the last spike.
    start_time : float
        Start of the recording in ms: negative for event-centred data, positive
        for a recording that starts late.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; the dictionaries are not copied.
    metadata : dict, optional
        What is known about the recording.
    raw_data : array, optional
        Raw voltages, shape (channels, samples) or (samples,). Not copied, so
        that a :class:`numpy.memmap` stays on the disk.
    raw_time : array or float, optional
        Time of each raw sample in ms, in any order, or their sampling rate in kHz;
        the first sample is then at 0.

    Attributes
    ----------
    train : SpikeTrains
        Spike times of each unit, sorted, float64: a sequence of arrays.
    N : int
        Number of units, silent ones included.
    length, start_time, neuron_attributes, metadata
        The arguments; `length` and `metadata` are never None.
    raw_data, raw_time : ndarray
        Raw voltages and their times in ms; of size 0 if there are none.

    Raises
    ------
    ValueError
        If a spike time is not finite or not in the window, the window is not
        finite or ends before it starts, or the number of attributes or of
        raw times does not fit.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> SpikeData([[12.5, 430.0], [77.0], []], length=1000.0)
    SpikeData(N=3, spikes=3, window=0.0 to 1000.0 ms)
    """

    FIELDS = fields(
        "train",
        "length",
        "start_time",
        "neuron_attributes",
        "metadata",
        "raw_data",
        "raw_time",
    )

    def __init__(
        self,
        train: Iterable[ArrayLike],
        *,
        N: int | None = None,
        length: float | None = None,
        start_time: float = 0.0,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        metadata: Mapping[str, Any] | None = None,
        raw_data: ArrayLike | None = None,
        raw_time: ArrayLike | None = None,
    ) -> None:
        trains = checked_trains(train)
        if N is not None:
            trains = trains.padded(validate.index("N", N))
        self.train: Sequence[NDArray[np.float64]] = trains
        self.N = len(trains)
        self.start_time = finite_ms("start_time", start_time)
        if length is None:
            # A spike that is not finite is left to the check, which names its unit.
            is_finite = np.isfinite(trains.flat)
            end = np.max(trains.flat, initial=self.start_time, where=is_finite)
            length = float(end) - self.start_time
        self.length = length
        self.raw_data, self.raw_time = raw_arrays(raw_data, raw_time)
        self.metadata = dict(validate.mapping("metadata", metadata or {}))
        self.neuron_attributes = attribute_rows(neuron_attributes)
        self.check()

    def _check(self) -> None:
        self.train = trains = self.spike_trains
        self.start_time = finite_ms("start_time", self.start_time)
        self.length = validate.not_negative("length", in_ms("length", self.length))
        if len(trains) != self.N:
            raise ValueError(
                f"train must hold one array per unit, got {len(trains)} for N={self.N}"
            )
        was_unsorted = trains.sort()
        trains.check_window(self.start_time, self.length)
        trains.owned = True
        validate.mapping("metadata", self.metadata)
        self._check_attributes(self.N)
        if was_unsorted and (keys := cutting.keys_of_spikes(self)):
            warn(
                f"train was not in the order of time and is sorted: {keys} of "
                f"neuron_attributes, with a value for each spike, stay as they are",
            )
        raw_time = None if self.raw_data is None else self.raw_time
        self.raw_data, self.raw_time = raw_arrays(self.raw_data, raw_time)

    def _units(self, chosen: list[int]) -> dict[str, Any]:
        return {"train": self.spike_trains.of_units(chosen)}

    def subtime(self, start: Any, end: Any, shift_to: float | None = None) -> SpikeData:
        """Return the recording from `start` up to, and without, `end`.

        A spike at exactly `end` is left out, also at the end of the recording, so that
        parts that follow one another hold each spike once. Attributes that are arrays
        with one value for each spike of their unit, such as ``amplitudes``, are cut
        with the spikes. ``metadata["time_zero_ms"]`` keeps where the new time 0 lies in
        the session: the sum over all cuts, absent if it is 0.

        Parameters
        ----------
        start, end : float, None or ...
            Times in ms; None or ``...`` is the edge of the recording. In a recording
            that starts at 0 or later, a negative time counts from its end.
        shift_to : float, optional
            The time that becomes 0, by default `start`; 0 keeps the times.

        Raises
        ------
        ValueError
            If `start` is not before `end`, or either lies outside the recording.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[12.5, 430.0], [77.0]], length=1000.0)
        >>> sd.subtime(50, 500)
        SpikeData(N=2, spikes=2, window=0.0 to 450.0 ms)
        >>> sd.subtime(50, 500).train[0]
        array([380.])
        """
        first, last = cutting.window_times(self, start, end)
        zero = first if shift_to is None else finite_ms("shift_to", shift_to)
        return SpikeData(**cutting.cut(self, first, last, zero=zero))

    def __getitem__(self, key: Any) -> SpikeData:
        """Return ``subtime`` for a slice, ``subset`` for anything else."""
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError(f"a slice of time must have no step, got {key.step}")
            return self.subtime(key.start, key.stop)
        return self.subset(key)

    def __iter__(self) -> Iterator[SpikeData]:
        """Yield a recording of each unit."""
        return (self.subset(unit) for unit in range(self.N))

    def append(
        self,
        spikeData: SpikeData,
        offset: float = 0,
        drop_neuron_attributes: bool = False,
    ) -> SpikeData:
        """Return this recording followed by another one of the same units.

        Metadata are those of both, this recording's where both have a key; raw data,
        and attributes that both have for each spike, are joined too.

        Parameters
        ----------
        spikeData : SpikeData
            The recording that follows.
        offset : float
            Gap in ms between the end of this one and its start.
        drop_neuron_attributes : bool
            Leave the attributes out. By default they are those of this recording, or
            of the other one if only that has them.

        Raises
        ------
        TypeError
            If `spikeData` is not a SpikeData.
        ValueError
            If the numbers of units or of raw channels differ.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[5.0]], length=10.0)
        >>> sd.append(SpikeData([[2.0]], length=10.0)).train[0]
        array([ 5., 12.])
        """
        if not isinstance(spikeData, SpikeData):
            raise TypeError(f"spikeData must be a SpikeData, got {spikeData!r:.80}")
        offset = validate.not_negative("offset", in_ms("offset", offset))
        joined = cutting.joined(self, spikeData, offset)
        if drop_neuron_attributes:
            joined["neuron_attributes"] = None
        elif self.neuron_attributes is None and spikeData.neuron_attributes:
            warn(
                "this recording has no neuron_attributes: those of spikeData are taken",
                RuntimeWarning,
            )
        return SpikeData(**joined)

    def concatenate_spike_data(self, sd: SpikeData) -> SpikeData:
        """Return the units of both recordings side by side, over the window of this one.

        Of equal keys in metadata those of `sd` count, but for the absolute time, where
        this one knows it; raw data is that of this one.

        Parameters
        ----------
        sd : SpikeData
            Units to add, cut to the window of this recording.

        Raises
        ------
        ValueError
            If `sd` does not cover the window.

        Warns
        -----
        RuntimeWarning
            If only one recording has attributes, which are then left out.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0]], length=5.0)
        >>> sd.concatenate_spike_data(SpikeData([[2.0, 7.0]], length=9.0)).N
        2
        """
        if not isinstance(sd, SpikeData):
            raise TypeError(f"sd must be a SpikeData, got {sd!r:.80}")
        if (sd.start_time, sd.length) != (self.start_time, self.length):
            sd = sd.subtime(self.start_time, self.start_time + self.length, shift_to=0)
        added = dict(sd.metadata)
        if cutting.knows_time(self.metadata):
            for key in cutting.ABSOLUTE_TIME:
                added.pop(key, None)
        rows, more = self.neuron_attributes, sd.neuron_attributes
        attributes = None
        if rows is not None and more is not None:
            attributes = rows + more
        elif rows is not None or more is not None:
            warn(
                "one recording has no neuron_attributes: those of the other are left out",
                RuntimeWarning,
            )
        return self._replaced(
            train=[*self.train, *sd.train],
            neuron_attributes=attributes,
            metadata={**self.metadata, **added},
        )

    def frames(self, length: float, overlap: float = 0) -> SpikeSliceStack:
        """Cut the recording into windows of equal length, without an incomplete last one.

        Parameters
        ----------
        length : float
            Length of a window in ms.
        overlap : float
            How far, in ms, each window reaches into the next.

        Raises
        ------
        ValueError
            If the length is not positive or exceeds that of the recording, or
            the overlap is not below it.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 430.0]], length=1000.0).frames(250)
        SpikeSliceStack(N=1, S=4, spikes=2, times=0.0 to 1000.0 ms)
        """
        from spikelab.spikedata.spikeslicestack import SpikeSliceStack

        frames = windows.frame_windows(self.start_time, self.length, length, overlap)
        return SpikeSliceStack(self, times_start_to_end=frames)

    def align_to_events(
        self,
        events: Any,
        pre_ms: float,
        post_ms: float,
        *,
        kind: Literal["spike", "rate"] = "spike",
        bin_size_ms: float = 1.0,
        sigma_ms: float = 10,
    ) -> SpikeSliceStack | RateSliceStack:
        """Cut a window around each event; the event is time 0 of its slice.

        Parameters
        ----------
        events : float, array-like or str
            Event times in ms, or the key of `metadata` that holds them. Events
            whose window leaves the recording are left out with a warning.
        pre_ms, post_ms : float
            How far a window reaches before and after its event, in ms.
        kind : {"spike", "rate"}
            Cut out spikes, or rates as :meth:`resampled_isi` gives them.
        bin_size_ms, sigma_ms : float
            Step and smoothing of the rates, in ms.

        Raises
        ------
        KeyError
            If `metadata` has no such key.
        ValueError
            If the window is empty, an event is not finite, or no window lies in
            the recording.

        Warns
        -----
        UserWarning
            If events are left out.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[95.0, 103.0, 204.0]], length=300.0)
        >>> [part.train[0].tolist() for part in sd.align_to_events([100, 200], 10, 20)]
        [[-5.0, 3.0], [4.0]]
        """
        # Stacks are made of recordings, and import this module.
        from spikelab.spikedata.rateslicestack import RateSliceStack
        from spikelab.spikedata.spikeslicestack import SpikeSliceStack

        if kind not in ("spike", "rate"):
            raise ValueError(f"kind must be 'spike' or 'rate', got {kind!r}")
        bounds = (finite_ms("pre_ms", pre_ms), finite_ms("post_ms", post_ms))
        extent = (self.start_time, self.start_time + self.length)
        peaks = windows.events_inside(events, self.metadata, bounds, extent)
        if kind == "spike":
            return SpikeSliceStack(self, time_peaks=peaks, time_bounds=bounds)
        return RateSliceStack(
            self,
            time_peaks=peaks,
            time_bounds=bounds,
            sigma_ms=sigma_ms,
            step_size=bin_size_ms,
        )
