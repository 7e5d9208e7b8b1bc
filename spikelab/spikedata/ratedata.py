"""Firing rates of units over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata import windows
from spikelab.spikedata.data_object import UnitObject, fields
from spikelab.spikedata.quantity import finite_ms, has_unit, in_ms, in_unit
from spikelab.spikedata.unit_table import Attributes

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack


class RateData(UnitObject):
    """Instantaneous firing rates of N units at given times.

    Parameters
    ----------
    inst_Frate_data : array-like, shape (N, T)
        Rates; NaN is allowed. Stored as a float64 copy.
    times : array-like, shape (T,)
        Time of each column in ms, finite and not decreasing; need not be
        evenly spaced.
    neuron_attributes : sequence of dict, optional
        What is known about each unit; the dictionaries are not copied.
    rate_unit : str, optional
        Unit of the rates, such as ``"Hz"`` or ``"kHz"``.

    Attributes
    ----------
    inst_Frate_data : ndarray, shape (N, T)
        Rates, float64.
    times : ndarray, shape (T,)
        Times in ms.
    rate_unit : str or None
        Unit of the rates.
    N : int
        Number of units.
    neuron_attributes : list of dict or None
        One dictionary per unit.

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
        times: ArrayLike,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        rate_unit: str | None = None,
    ) -> None:
        validate.unmasked("inst_Frate_data", inst_Frate_data)
        if has_unit(type(inst_Frate_data)):
            rate_unit = rate_unit or "Hz"
            inst_Frate_data = _in_rate_unit(inst_Frate_data, rate_unit)
        self.inst_Frate_data = _as_floats(inst_Frate_data)
        validate.unmasked("times", times)
        self.times = np.asarray(in_ms("times", times))
        self.rate_unit = rate_unit
        self.N = len(self.inst_Frate_data) if self.inst_Frate_data.ndim else 0
        self.neuron_attributes = (
            None if neuron_attributes is None else list(neuron_attributes)
        )
        self.check()

    def check(self) -> None:
        """Raise if rates, times and attributes do not fit together.

        Examples
        --------
        >>> from spikelab import RateData
        >>> rates = RateData([[2.0, 4.0]], times=[0.0, 10.0])
        >>> rates.times = rates.times[:1]
        >>> rates.check()
        Traceback (most recent call last):
            ...
        ValueError: times must hold one time per column of inst_Frate_data (2), got shape (1,)
        """
        _check_rates(self.inst_Frate_data)
        self.check_units(len(self.inst_Frate_data))
        _check_times(self.times, self.inst_Frate_data.shape[1])

    def _of_units(self, units: list[int], known: Attributes) -> RateData:
        rates = self.inst_Frate_data[units]
        return self._replaced(inst_Frate_data=rates, neuron_attributes=known)

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
            raise ValueError(
                f"start must be before end, with a time of the data between them "
                f"({self._span()}), got {start} and {end}"
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
        first, last = windows.index_range(start_idx, end_idx, self.times.size)
        return self._columns(slice(first, last))

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

    def _span(self) -> str:
        if not self.times.size:
            return "there are none"
        return f"{self.times[0]} to {self.times[-1]} ms"


def _in_rate_unit(rates: Any, rate_unit: str) -> Any:
    """Return rates that have a unit in `rate_unit`."""
    if rate_unit not in ("Hz", "kHz"):
        raise ValueError(
            f"rate_unit must be 'Hz' or 'kHz' for rates with a unit, got {rate_unit!r}"
        )
    return in_unit("inst_Frate_data", rates, "Hz" if rate_unit == "Hz" else "kHz")


def _as_floats(inst_Frate_data: ArrayLike) -> NDArray[np.float64]:
    """Return a copy as float64."""
    if np.iscomplexobj(inst_Frate_data):
        raise TypeError("inst_Frate_data must hold real numbers, got complex ones")
    try:
        return np.array(inst_Frate_data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"inst_Frate_data must hold numbers: {error}") from error


def _check_rates(rates: Any) -> None:
    if not isinstance(rates, np.ndarray) or rates.dtype != np.float64:
        raise TypeError(f"inst_Frate_data must be a float64 array, got {rates!r:.80}")
    if rates.ndim != 2:
        raise ValueError(
            f"inst_Frate_data must be 2-D (units, times), got shape {rates.shape}"
        )


def _check_times(times: Any, columns: int) -> None:
    if not isinstance(times, np.ndarray):
        raise TypeError(f"times must be an array, got {times!r:.80}")
    if times.size and times.dtype.kind not in "iuf":
        raise TypeError(f"times must be numbers, got dtype {times.dtype}")
    if times.shape != (columns,):
        raise ValueError(
            f"times must hold one time per column of inst_Frate_data ({columns}), "
            f"got shape {times.shape}"
        )
    if not np.isfinite(times).all():
        raise ValueError(f"times must be finite, got {times[~np.isfinite(times)][0]}")
    if (falls := np.flatnonzero(times[1:] < times[:-1])).size:
        after = times[falls[0] + 1]
        raise ValueError(
            f"times must not decrease, got {after} after {times[falls[0]]}"
        )
