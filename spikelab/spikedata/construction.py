"""The checked parts that a recording is made of."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata.foreign import AS_ARRAYS, instead_of
from spikelab.spikedata.quantity import has_unit, in_ms, in_unit
from spikelab.spikedata.spike_trains import SpikeTrains

_TABLE = "SpikeData.from_idces_times takes two of its columns"


def checked_train(train: Iterable[ArrayLike], n_units: int | None) -> SpikeTrains:
    """Return a copy of the spike times as float64, with silent units up to `n_units`.

    Spike trains that no other object holds, as a reader makes them, are not copied.
    """
    instead = instead_of(train, _TABLE)
    if isinstance(train, list | tuple) and train and not _is_array(train[0]):
        instead = instead_of(train[0], _TABLE)
    if instead or not isinstance(train, Iterable):
        raise TypeError(
            f"train must be a sequence of arrays of spike times, "
            f"got {instead or f'{train!r:.80}'}"
        )
    checked = train if _can_be_taken(train) else SpikeTrains.from_arrays(train)
    if n_units is not None and n_units > len(checked):
        return checked.padded(n_units)
    return checked


def _is_array(times: Any) -> bool:
    """Return whether an item may be the spike times of a unit."""
    return has_unit(type(times)) or type(times).__name__ in ("Series", "DataArray")


def _can_be_taken(train: Any) -> TypeGuard[SpikeTrains]:
    if not isinstance(train, SpikeTrains) or train.owned:
        return False
    return train.flat.dtype == np.float64 and train.flat.flags.writeable


def checked_length(given: float | None, train: SpikeTrains, start_ms: float) -> float:
    """Return the length in ms: as given, or from the start to the last spike."""
    if given is not None:
        return validate.not_negative("length", in_ms("length", given))
    # The check of the window names a spike that is not finite.
    finite = train.flat[np.isfinite(train.flat)] if train.n_spikes else train.flat
    if not finite.size:
        return 0.0
    return validate.finite("length", max(float(finite.max()) - start_ms, 0.0))


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a shallow copy."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a dictionary, got {metadata!r:.80}")
    return dict(metadata)


def checked_raw(
    raw_data: ArrayLike | None, raw_time: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return raw data and the time of each sample, of size 0 if there are none."""
    if (raw_data is None) != (raw_time is None):
        missing = "raw_time" if raw_time is None else "raw_data"
        raise ValueError(
            f"raw_data and raw_time must be given together, {missing} is None"
        )
    if raw_data is None or raw_time is None:
        return np.zeros((0, 0)), np.zeros(0)
    instead = instead_of(raw_data)
    if instead and type(raw_data).__name__ not in AS_ARRAYS:
        raise TypeError(f"raw_data must be an array, got {instead}")
    data = np.asanyarray(raw_data)
    if np.ndim(raw_time) == 0:
        rate = np.asanyarray(in_unit("raw_time", raw_time, "kHz"))
        rate_kHz = validate.positive("raw_time", rate.item())
        return data, np.arange(data.shape[-1] if data.ndim else 0) / rate_kHz
    return data, np.asanyarray(in_ms("raw_time", raw_time))


def check_raw(data: Any, time: Any) -> None:
    """Raise ValueError if raw data and the times of their samples do not fit."""
    if np.ndim(data) not in (1, 2):
        raise ValueError(
            f"raw_data must have shape (channels, samples) or (samples,), "
            f"got {np.shape(data)}"
        )
    if np.shape(time) != np.shape(data)[-1:]:
        raise ValueError(
            f"raw_time must hold one time per sample of raw_data, "
            f"got shape {np.shape(time)} for {np.shape(data)}"
        )
