"""Firing rates of units over time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import checks
from spikelab.spikedata import attributes, windows
from spikelab.spikedata.attributes import Attributes
from spikelab.spikedata.export_mixin import ExportMixin
from spikelab.spikedata.subsets import UnitSubsets

if TYPE_CHECKING:
    from spikelab.spikedata.rateslicestack import RateSliceStack


class RateData(UnitSubsets["RateData"], ExportMixin):
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
    """

    def __init__(
        self,
        inst_Frate_data: ArrayLike,
        times: ArrayLike,
        neuron_attributes: Sequence[dict[str, Any]] | None = None,
        rate_unit: str | None = None,
    ) -> None:
        self.inst_Frate_data = _checked_rates(inst_Frate_data)
        self.times = _checked_times(times, self.inst_Frate_data.shape[1])
        self.rate_unit = rate_unit
        self.N = self.inst_Frate_data.shape[0]
        self.neuron_attributes = attributes.checked_attributes(
            neuron_attributes, self.N
        )

    def _of_units(self, chosen: list[int], known: Attributes) -> "RateData":
        return RateData(self.inst_Frate_data[chosen], self.times, known, self.rate_unit)

    def subtime(self, start: Any, end: Any) -> "RateData":
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
        """
        first, last = 0, self.times.size
        if start is not None and start is not ...:
            first = int(np.searchsorted(self.times, checks.finite("start", start)))
        if end is not None and end is not ...:
            last = int(np.searchsorted(self.times, checks.finite("end", end)))
        if not first < last:
            raise ValueError(
                f"start must be before end, with a time of the data between them "
                f"({self._span()}), got {start} and {end}"
            )
        return self._columns(slice(first, last))

    def subtime_by_index(self, start_idx: int, end_idx: int) -> "RateData":
        """Return the columns ``start_idx:end_idx``; negative ones count from the end.

        Raises
        ------
        ValueError
            If there is no such column, or none between them.
        """
        first, last = windows.index_range(start_idx, end_idx, self.times.size)
        return self._columns(slice(first, last))

    def _columns(self, columns: slice) -> "RateData":
        return RateData(
            self.inst_Frate_data[:, columns],
            self.times[columns],
            self.neuron_attributes,
            self.rate_unit,
        )

    def frames(self, length: float, overlap: float = 0) -> "RateSliceStack":
        """Cut the rates into windows of equal length, without an incomplete last one.

        Parameters
        ----------
        length : float
            Length of a window in ms.
        overlap : float
            How far, in ms, each window reaches into the next.
        """
        from spikelab.spikedata.rateslicestack import RateSliceStack

        first, last = windows.extent_of(self.times)
        frames = windows.frame_windows(first, last - first, length, overlap)
        return RateSliceStack(self, times_start_to_end=frames)

    def _span(self) -> str:
        if not self.times.size:
            return "there are none"
        return f"{self.times[0]} to {self.times[-1]} ms"

    def __repr__(self) -> str:
        return (
            f"RateData(shape={self.inst_Frate_data.shape}, times={self._span()}, "
            f"rate_unit={self.rate_unit!r})"
        )


def _checked_rates(inst_Frate_data: ArrayLike) -> NDArray[np.float64]:
    checks.unmasked("inst_Frate_data", inst_Frate_data)
    if np.iscomplexobj(inst_Frate_data):
        raise TypeError("inst_Frate_data must hold real numbers, got complex ones")
    try:
        rates = np.array(inst_Frate_data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"inst_Frate_data must hold numbers: {error}") from error
    if rates.ndim != 2:
        raise ValueError(
            f"inst_Frate_data must be 2-D (units, times), got shape {rates.shape}"
        )
    return rates


def _checked_times(times: ArrayLike, columns: int) -> NDArray[Any]:
    checks.unmasked("times", times)
    checked = np.asarray(times)
    if checked.size and checked.dtype.kind not in "iuf":
        raise TypeError(f"times must be numbers, got dtype {checked.dtype}")
    if checked.shape != (columns,):
        raise ValueError(
            f"times must hold one time per column of inst_Frate_data ({columns}), "
            f"got shape {checked.shape}"
        )
    if not np.isfinite(checked).all():
        raise ValueError(
            f"times must be finite, got {checked[~np.isfinite(checked)][0]}"
        )
    if (falls := np.flatnonzero(checked[1:] < checked[:-1])).size:
        after = checked[falls[0] + 1]
        raise ValueError(
            f"times must not decrease, got {after} after {checked[falls[0]]}"
        )
    return checked
