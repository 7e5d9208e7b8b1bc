"""Time units: spikelab counts in milliseconds, files in ms, s or samples."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata.quantity import in_unit
from spikelab.spikedata.spike_trains import CACHED

TimeUnit = Literal["ms", "s", "samples"]

TIME_UNITS: tuple[str, ...] = get_args(TimeUnit)

NEGLIGIBLE_MS = 1e-6
"""Times that a format moves by less, a nanosecond, are not lost: no sample is so short."""


def time_unit(name: str, value: Any) -> str:
    """Return `value`, or raise if it is not a time unit."""
    if value not in TIME_UNITS:
        raise ValueError(f"{name} must be one of {TIME_UNITS}, got {value!r}")
    return str(value)


def rate_Hz(name: str, value: Any) -> float:
    """Return a sampling rate in Hz as a float; warn if it may have been given in kHz."""
    rate = validate.positive(name, value)
    if rate < 1000:
        warn(f"{name} is {value} Hz; is that a rate in kHz?")
    return rate


is_time_unit = validate.validator(time_unit)
is_sampling_rate = validate.validator(rate_Hz)


def fs_in_hz(value: float) -> Any:
    """Return the option `fs_Hz` in Hz, converted if it has a unit."""
    return in_unit("fs_Hz", value, "Hz")


def sampling_rate(fs_Hz: Any, *units: str | None) -> float | None:
    """Return `fs_Hz` checked; it must be given if one of `units` is samples.

    Warn if it may be in kHz.
    """
    if fs_Hz is not None:
        return rate_Hz("fs_Hz", fs_Hz)
    if "samples" in units:
        raise ValueError("fs_Hz must be given when a time unit is 'samples', got None")
    return None


def dtype(unit: str) -> type[np.float64] | type[np.int64]:
    """Return the dtype of times written in `unit`."""
    return np.int64 if unit == "samples" else np.float64


def from_ms(
    times_ms: NDArray[np.float64],
    unit: str,
    fs_Hz: float | None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Convert milliseconds to `unit`, into `out` if it is given.

    Returns float64, or int64 (rounded) for samples.
    """
    if unit == "ms":
        return times_ms if out is None else np.positive(times_ms, out=out)
    if unit == "s":
        return np.divide(times_ms, 1000.0, out=out)
    samples = times_ms * (_rate(fs_Hz) / 1000.0)
    np.rint(samples, out=samples)
    if out is None:
        return samples.astype(np.int64)
    np.copyto(out, samples, casting="unsafe")
    return out


def to_ms(
    values: ArrayLike,
    unit: str,
    fs_Hz: float | None,
    out: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Convert times in `unit` to milliseconds, float64, into `out` if it is given.

    Samples go through seconds: a time that was once ``samples / fs_Hz``
    seconds, as sorters give it, comes back as the same float.
    """
    times: NDArray[np.float64] = np.asarray(values)
    if unit == "ms":
        return np.positive(times, out=out, dtype=np.float64)
    if unit == "samples":
        times = out = np.divide(times, _rate(fs_Hz), out=out, dtype=np.float64)
    return np.multiply(times, 1000.0, out=out, dtype=np.float64)


def there_and_back(
    times_ms: NDArray[np.float64], unit: str, fs_Hz: float | None
) -> NDArray[np.float64]:
    """Return times in ms as they come back from `unit`."""
    return to_ms(from_ms(times_ms, unit, fs_Hz), unit, fs_Hz)


def moved_ms(
    times_ms: NDArray[Any], unit: str, fs_Hz: float | None, origin_ms: float = 0.0
) -> float:
    """Return how far a time moves at most when it is written in `unit` and read back.

    `origin_ms` is the time that is written as 0.
    """
    largest = 0.0
    for start in range(0, len(times_ms), CACHED):
        since = times_ms[start : start + CACHED] - origin_ms
        shifts = there_and_back(since, unit, fs_Hz) - since
        largest = max(largest, float(np.abs(shifts).max()))
    return largest


def rounding_ms(unit: str, fs_Hz: float | None, largest_ms: float) -> float:
    """Return a bound for :func:`moved_ms` of any times.

    `largest_ms` is the largest magnitude among the times.
    """
    # Below the smallest normal float, dividing by 1000 loses digits.
    ulps = 4 * np.spacing(max(abs(largest_ms), 1000 * np.finfo(np.float64).tiny))
    if unit == "ms":
        return 0.0
    if unit == "s":
        return float(ulps)
    return float(500.0 / _rate(fs_Hz) + ulps)


def fits_int64(name: str, largest_ms: float, fs_Hz: float | None) -> None:
    """Raise if a time of magnitude `largest_ms` has no int64 sample number."""
    if largest_ms / 1000.0 * _rate(fs_Hz) >= 2.0**63:
        raise ValueError(
            f"{name} must fit into int64 as sample numbers, "
            f"got {largest_ms} ms at fs_Hz={fs_Hz}"
        )


def _rate(fs_Hz: float | None) -> float:
    if fs_Hz is None:
        raise ValueError("fs_Hz must be given when a time unit is 'samples', got None")
    return float(fs_Hz)
