"""The raw voltages of a recording."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import warn
from spikelab.spikedata.foreign import AS_ARRAYS, instead_of
from spikelab.spikedata.quantity import in_ms, in_unit

_HIGH_RATE_KHZ = 1000.0
"""Sampling rates above may have been given in Hz."""


def raw_arrays(raw_data: Any, raw_time: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return raw data and the time of each sample, of size 0 if there are none.

    Raises TypeError or ValueError if they are no arrays, or do not fit together.
    """
    if (raw_data is None) != (raw_time is None):
        missing = "raw_time" if raw_time is None else "raw_data"
        raise ValueError(
            f"raw_data and raw_time must be given together, {missing} is None"
        )
    if raw_data is None:
        return np.zeros((0, 0)), np.zeros(0)
    instead = instead_of(raw_data)
    if instead and type(raw_data).__name__ not in AS_ARRAYS:
        raise TypeError(f"raw_data must be an array, got {instead}")
    data = np.asanyarray(raw_data)
    if np.ndim(raw_time) == 0:
        rate = np.asarray(in_unit("raw_time", raw_time, "kHz")).item()
        if validate.positive("raw_time", rate) > _HIGH_RATE_KHZ:
            warn(f"raw_time is {rate} kHz; is that a rate in Hz?")
        time = np.arange(data.shape[-1] if data.ndim else 0) / rate
    else:
        time = np.asanyarray(in_ms("raw_time", raw_time))
    if data.ndim not in (1, 2):
        raise ValueError(
            f"raw_data must have shape (channels, samples) or (samples,), "
            f"got {data.shape}"
        )
    if data.size and time.shape != data.shape[-1:]:
        raise ValueError(
            f"raw_time must hold one time per sample of raw_data, "
            f"got shape {time.shape} for {data.shape}"
        )
    return data, time
