"""Firing rates of units over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata import windows
from spikelab.spikedata.data_object import (
    UnitObject,
    attribute_rows,
    fields,
)
from spikelab.spikedata.foreign import AS_ARRAYS, instead_of
from spikelab.spikedata.quantity import finite_array_in_ms, finite_ms, in_ms, in_unit

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack


class RateData(UnitObject):
    """Instantaneous firing rates of N units at given times.

    Parameters
    ----------
    inst_Frate_data : array-like, shape (N, T)
        Rates; NaN is allowed. Stored as a float64 copy, but a :class:`numpy.memmap`
        of float64 stays on the disk.
    times : array-like, shape (T,)
        Time of each column in ms, finite and not decreasing; need not be
        evenly spaced.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; the dictionaries are not copied.
    rate_unit : str, optional
        Unit of the rates, such as ``"Hz"`` or ``"kHz"``.

    Attributes
    ----------
    inst_Frate_data, times : ndarray
        Rates, float64, shape (N, T), and their times in ms.
    rate_unit, neuron_attributes
        The arguments.
    N : int
        Number of units.

    Raises
    ------
    ValueError
        If the shapes do not fit, or times are not finite or decrease.
    TypeError
        If rates or times are not numbers.

    Examples
    --------
    >>> from spikelab import RateData
    >>> RateData([[2.0, 4.0], [0.0, 1.0]], times=[0.0, 10.0], rate_unit="Hz")
    RateData(shape=(2, 2), times=0.0 to 10.0 ms, rate_unit='Hz')
    """

    FIELDS = fields("inst_Frate_data", "times", "neuron_attributes", "rate_unit")

    def __init__(
        self,
        inst_Frate_data: ArrayLike,
        times: ArrayLike | None = None,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        rate_unit: str | None = None,
    ) -> None:
        _refuse_other_objects(inst_Frate_data, times)
        validate.unmasked("inst_Frate_data", inst_Frate_data)
        validate.unmasked("times", times)
        # The check makes arrays of both.
        self.inst_Frate_data = cast("NDArray[np.float64]", inst_Frate_data)
        self.times = cast("NDArray[Any]", times)
        self.rate_unit = rate_unit
        self.neuron_attributes = attribute_rows(neuron_attributes)
        self.check()
        rates = self.inst_Frate_data
        is_view = rates is inst_Frate_data or rates.base is not None
        if is_view and not _is_on_disk(rates):
            self.inst_Frate_data = rates.copy()

    def _check(self) -> None:
        self.inst_Frate_data = self._checked_rates()
        self.times = self._checked_times()
        self.N = len(self.inst_Frate_data)
        self._check_attributes(self.N)

    def _checked_rates(self) -> NDArray[np.float64]:
        """Return the rates in the unit that `rate_unit` names, or raise."""
        name, given = "inst_Frate_data", self.inst_Frate_data
        rates = in_unit(name, given, "kHz" if self.rate_unit == "kHz" else "Hz")
        if rates is not given:  # they had a unit
            self.rate_unit = self.rate_unit or "Hz"
            if self.rate_unit not in ("Hz", "kHz"):
                raise ValueError(
                    f"rate_unit must be 'Hz' or 'kHz' for rates with a unit, "
                    f"got {self.rate_unit!r}"
                )
        if np.iscomplexobj(rates):
            raise TypeError(f"{name} must hold real numbers, got complex ones")
        try:
            rates = np.asarray(rates, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold numbers: {error}") from error
        if rates.ndim != 2:
            raise ValueError(
                f"{name} must be 2-D (units, times), got shape {rates.shape}"
            )
        return rates

    def _checked_times(self) -> NDArray[Any]:
        times = np.asarray(in_ms("times", self.times))
        if times.size and times.dtype.kind not in "iuf":
            raise TypeError(f"times must be numbers, got dtype {times.dtype}")
        columns = self.inst_Frate_data.shape[1]
        if times.shape != (columns,):
            raise ValueError(
                f"times must hold one time per column of inst_Frate_data "
                f"({columns}), got shape {times.shape}"
            )
        is_finite = np.isfinite(times)
        if not is_finite.all():
            raise ValueError(f"times must be finite, got {times[~is_finite][0]}")
        falls = np.flatnonzero(times[1:] < times[:-1])
        if falls.size:
            before, after = times[falls[0] : falls[0] + 2]
            raise ValueError(f"times must not decrease, got {after} after {before}")
        return times

    def _units(self, chosen: list[int]) -> dict[str, Any]:
        return {"inst_Frate_data": self.inst_Frate_data[chosen]}

    def subtime(self, start: Any, end: Any) -> RateData:
        """Return the columns from `start` up to, and without, `end`.

        The times stay as they are.

        Parameters
        ----------
        start, end : float, None or ...
            Times in ms, negative ones as they are; None or ``...`` leaves that
            side open.

        Raises
        ------
        ValueError
            If `start` is not before `end`, or no column lies between them.

        Examples
        --------
        >>> from spikelab import RateData
        >>> RateData([[2.0, 4.0, 3.0]], times=[0.0, 10.0, 20.0]).subtime(5, None)
        RateData(shape=(1, 2), times=10.0 to 20.0 ms, rate_unit=None)
        """
        first, last = 0, self.times.size
        if start is not None and start is not ...:
            first = int(np.searchsorted(self.times, finite_ms("start", start)))
        if end is not None and end is not ...:
            last = int(np.searchsorted(self.times, finite_ms("end", end)))
        if not first < last:
            extent = "none"
            if self.times.size:
                extent = f"{self.times[0]} to {self.times[-1]}"
            raise ValueError(
                f"start must be before end, with a time of the data between them, in ms "
                f"({extent}), got {start} and {end}"
            )
        return self._columns(slice(first, last))

    def subtime_by_index(self, start_idx: int, end_idx: int) -> RateData:
        """Return the columns ``start_idx:end_idx``; negative ones count from the end.

        Raises
        ------
        ValueError
            If there is no such column, or none between them.

        Examples
        --------
        >>> from spikelab import RateData
        >>> RateData([[2.0, 4.0, 3.0]], times=[0.0, 10.0, 20.0]).subtime_by_index(0, -1)
        RateData(shape=(1, 2), times=0.0 to 10.0 ms, rate_unit=None)
        """
        return self._columns(windows.index_range(start_idx, end_idx, self.times.size))

    def _columns(self, columns: slice) -> RateData:
        rates = self.inst_Frate_data[:, columns]
        return self._replaced(inst_Frate_data=rates, times=self.times[columns])

    def frames(self, length: float, overlap: float = 0) -> RateSliceStack:
        """Cut the rates into windows of equal length, without an incomplete last one.

        Parameters
        ----------
        length : float
            Length of a window in ms.
        overlap : float
            How far, in ms, each window reaches into the next.

        Examples
        --------
        >>> from spikelab import RateData
        >>> RateData([[2.0, 4.0, 3.0, 1.0]], times=[0.0, 10.0, 20.0, 30.0]).frames(20)
        RateSliceStack(U=1, T=2, S=2, times=0.0 to 40.0 ms)
        """
        from spikelab.spikedata.rateslicestack import RateSliceStack

        first, last = windows.extent_of(self.times)
        frames = windows.frame_windows(first, last - first, length, overlap)
        return RateSliceStack(self, times_start_to_end=frames)


def _refuse_other_objects(rates: Any, times: Any) -> None:
    """Raise TypeError, which says what to call instead, for what are no rates."""
    got = instead_of(rates, "to_numpy().T is an array if it has a row for each time")
    # A table is an array if it has a column for each time.
    is_table = type(rates).__name__ in AS_ARRAYS and times is not None
    if is_table and np.shape(rates)[1:] == np.shape(times):
        got = ""
    if isinstance(rates, UnitObject):
        got = f"a {type(rates).__name__}: SpikeData.resampled_isi returns a RateData"
    if got:
        raise TypeError(f"inst_Frate_data must be an array (units, times), got {got}")
    if times is None:
        raise TypeError("times must be numbers, in ms for each column, got None")


def _is_on_disk(array: NDArray[Any]) -> bool:
    """Return whether an array is a :class:`numpy.memmap`, or a view of one."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False


def isi_rates(
    train: Sequence[NDArray[np.float64]], times: Any, sigma_ms: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates in Hz, shape (units, times), and the checked times in ms."""
    grid = finite_array_in_ms("times", times)
    if grid.ndim != 1:
        raise ValueError(f"times must be 1-D, got shape {grid.shape}")
    steps = np.diff(grid)
    if steps.size and not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-6)):
        raise ValueError(
            f"times must be ascending and evenly spaced, "
            f"got steps from {steps.min()} to {steps.max()} ms"
        )
    sigma_ms = validate.not_negative("sigma_ms", in_ms("sigma_ms", sigma_ms))
    step = steps[0] if steps.size else 1.0
    radius = smoothing_reach(sigma_ms, step) if steps.size else 0
    gaussian = np.ones(1)
    if radius:
        gaussian = np.exp(
            -0.5 * (np.arange(-radius, radius + 1) * step / sigma_ms) ** 2
        )
    rates = np.zeros((len(train), grid.size))
    for row, spikes in zip(rates, train, strict=True):
        # No time lies between a spike time that occurs twice and itself.
        after = np.searchsorted(spikes, grid, side="right")
        inside = (after > 0) & (after < spikes.size)
        after = after[inside]
        row[inside] = 1000.0 / (spikes[after] - spikes[after - 1])
        if radius and row.any():
            mirrored = np.pad(row, radius, mode="symmetric")
            row[:] = np.convolve(mirrored, gaussian / gaussian.sum(), mode="valid")
    return rates, grid


def smoothing_reach(sigma_ms: float, step_ms: float) -> int:
    """Return how many steps away a rate still counts: four times the Gaussian's width."""
    return int(4.0 * max(sigma_ms, 0.0) / step_ms + 0.5)
