"""The checked parts that a recording is made of."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata.quantity import has_unit, in_ms, in_unit
from spikelab.spikedata.spike_trains import SpikeTrains


def checked_train(train: Iterable[ArrayLike], n_units: int | None) -> SpikeTrains:
    """Return a copy of the spike times as float64, with silent units up to `n_units`.

    Spike trains that no other object holds, as a reader makes them, are not copied.
    """
    instead = _instead_of(train)
    if isinstance(train, list | tuple) and train and not has_unit(type(train[0])):
        instead = _instead_of(train[0])
    if instead or not isinstance(train, Iterable):
        raise TypeError(
            f"train must be a sequence of arrays of spike times, "
            f"got {instead or f'{train!r:.80}'}"
        )
    checked = train if _can_be_taken(train) else SpikeTrains.from_arrays(train)
    if n_units is not None and n_units > len(checked):
        return checked.padded(n_units)
    return checked


_INSTEAD = {
    "spikeinterface": "SpikeData.from_spikeinterface takes a sorting or an analyzer",
    "neo": "SpikeData.from_neo takes a Block, a Segment or a list of SpikeTrains",
    "pynapple": "SpikeData.from_pynapple takes a TsGroup",
    "pynwb": "spikelab.load reads an NWB file",
}
"""What to call with an object of another package."""


def _instead_of(train: Any) -> str:
    """Return what an object is that is no spike trains, and what to call with it.

    "" for anything else. The other packages need not be installed, and are not imported.
    """
    name = type(train).__name__
    if name in ("DataFrame", "LazyFrame", "Table"):
        return f"a {name}: SpikeData.from_idces_times takes two of its columns"
    if isinstance(train, str | bytes | os.PathLike):
        return f"{train!r:.80}: spikelab.load reads a file or a folder"
    packages = {cls.__module__.partition(".")[0] for cls in type(train).__mro__}
    for package in packages & _INSTEAD.keys() if name != "SpikeTrainList" else ():
        return f"a {name}: {_INSTEAD[package]}"
    if isinstance(train, Mapping):
        return f"a {name}: list(train.values()) are its arrays"
    return ""


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
