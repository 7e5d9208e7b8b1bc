"""The checked parts that a recording is made of."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata import binning
from spikelab.spikedata.quantity import finite_ms, has_unit, in_ms, in_unit
from spikelab.spikedata.spike_trains import SpikeTrains


def checked_train(train: Iterable[ArrayLike], n_units: int | None) -> SpikeTrains:
    """Return a copy of the spike times as float64, with silent units up to `n_units`.

    Spike trains that no other object holds, as a reader makes them, are not copied.
    """
    instead = _instead_of(train)
    if isinstance(train, list | tuple) and train and not has_unit(type(train[0])):
        instead = _of_other_package(train[0])
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


def _of_other_package(value: Any) -> str:
    """Return what an object of another package is, and what to call with it, or ""."""
    if type(value).__name__ == "SpikeTrainList":
        return ""
    # The packages need not be installed, and are not imported.
    packages = {cls.__module__.partition(".")[0] for cls in type(value).__mro__}
    found = [text for package, text in _INSTEAD.items() if package in packages]
    return f"a {type(value).__name__}: {found[0]}" if found else ""


def _instead_of(train: Any) -> str:
    """Return what an object is that cannot be a sequence of trains, or ""."""
    name = type(train).__name__
    if name in ("DataFrame", "LazyFrame", "Table"):
        return f"a {name}: SpikeData.from_idces_times takes two of its columns"
    if isinstance(train, str | bytes | os.PathLike):
        return f"{train!r:.80}: spikelab.load reads a file or a folder"
    if other := _of_other_package(train):
        return other
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


def train_of_flat(
    idces: ArrayLike, times: ArrayLike, n_units: int | None
) -> SpikeTrains:
    """Sort parallel arrays of units and times into one train per unit."""
    validate.unmasked("idces", idces)
    validate.unmasked("times", times)
    units = np.asarray(idces)
    flat = np.asarray(in_ms("times", times), dtype=np.float64)
    if units.ndim != 1 or units.shape != flat.shape:
        raise ValueError(
            f"idces and times must be 1-D and of equal length, "
            f"got shapes {units.shape} and {flat.shape}"
        )
    units = _whole_numbers(units)
    smallest, largest = (units.min(), units.max()) if units.size else (0, -1)
    count = int(largest) + 1 if n_units is None else n_units
    if smallest < 0 or largest >= count:
        wrong = smallest if smallest < 0 else largest
        raise ValueError(
            f"idces must not be negative and be below N ({count}), got {wrong}"
        )
    train = SpikeTrains.from_pairs(units, flat, count)
    train.owned = train.flat is flat  # units were sorted: the caller has these times
    return train


def _whole_numbers(units: NDArray[Any]) -> NDArray[Any]:
    """Return unit indices as integers; floats are taken if they are whole."""
    if units.dtype.kind in "iu":
        return units
    if units.size and units.dtype.kind != "f":
        raise TypeError(f"idces must be integers, got dtype {units.dtype}")
    fractions = ~(np.isfinite(units) & (units == np.rint(units)))
    if fractions.any():
        raise ValueError(f"idces must be whole numbers, got {units[fractions][0]}")
    return units.astype(np.int64)


def train_of_raster(
    raster: ArrayLike, bin_size_ms: float, start_ms: float
) -> list[NDArray[np.float64]]:
    """Return spike times that have these counts, shape (units, bins)."""
    counts = np.asarray(raster)
    if counts.ndim != 2:
        raise ValueError(f"raster must be 2-D (units, bins), got shape {counts.shape}")
    if counts.dtype.kind not in "biuf":
        raise TypeError(f"raster must hold numbers, got dtype {counts.dtype}")
    if counts.dtype.kind == "f" and not np.isfinite(counts).all():
        raise ValueError("raster must be finite, got NaN or infinity")
    if (wrong := (counts < 0) | (counts % 1 != 0)).any():
        raise ValueError(
            f"raster must hold numbers of spikes, not negative and whole, "
            f"got {counts[wrong][0]}"
        )
    size = validate.positive("bin_size_ms", in_ms("bin_size_ms", bin_size_ms))
    return binning.spread(counts, finite_ms("start_time", start_ms), size)
