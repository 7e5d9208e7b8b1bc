"""The checked parts that a recording is made of."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import binning, checks, trains

Train = list[NDArray[np.float64]]


def checked_train(train: Iterable[ArrayLike], n_units: int | None) -> trains.Pieces:
    """Return sorted float64 copies, and empty ones up to `n_units`."""
    if isinstance(train, str | bytes | Mapping) or not isinstance(train, Iterable):
        raise TypeError(
            f"train must be a sequence of arrays of spike times, got {train!r:.80}"
        )
    checked = _taken_over(train, n_units)
    if checked is None:
        arrays = [_spike_times(unit, times) for unit, times in enumerate(train)]
        missing = n_units - len(arrays) if n_units is not None else 0
        checked = trains.join(arrays + [np.empty(0)] * missing)
    trains.sort_units(checked)
    return checked


def _taken_over(
    train: Iterable[ArrayLike], n_units: int | None
) -> trains.Pieces | None:
    """Return `train` itself if it was just read from a file, and nobody else has it."""
    if not isinstance(train, trains.Pieces) or train.owned or not train.intact():
        return None
    flat = train.flat
    if flat.dtype != np.float64 or not flat.flags.writeable:
        return None
    if n_units is not None and n_units > len(train):
        more = np.full(n_units - len(train), len(train.flat))
        return trains.Pieces(flat, np.concatenate((train.stops, more)))
    return train


def _spike_times(unit: int, times: ArrayLike) -> NDArray[np.float64]:
    try:
        given = np.asarray(times)
        if np.ma.is_masked(times) or (given.size and given.dtype.kind not in "iuf"):
            raise TypeError(f"got {type(times).__name__} of dtype {given.dtype}")
        array = given.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"unit {unit}: spike times must be numbers: {error}") from error
    if array.ndim != 1:
        raise ValueError(
            f"unit {unit}: spike times must be 1-D, got shape {array.shape}"
        )
    return array


def checked_length(given: float | None, train: Train, start_ms: float) -> float:
    """Return the length in ms: as given, or from the start to the last spike."""
    if given is not None:
        return checks.not_negative("length", given)
    if not any(len(times) for times in train):
        return 0.0
    last = trains.extremes(train)[1]
    if not np.isfinite(last):
        # The check of the window names that spike, if the others fit.
        last = trains.extremes([times[np.isfinite(times)] for times in train])[1]
    return checks.finite("length", max(last - start_ms, 0.0))


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
    data, time = np.asanyarray(raw_data), np.asanyarray(raw_time)
    if data.ndim not in (1, 2):
        raise ValueError(
            f"raw_data must have shape (channels, samples) or (samples,), "
            f"got {data.shape}"
        )
    if time.ndim == 0:
        time = np.arange(data.shape[-1]) / checks.positive("raw_time", time.item())
    if time.shape != data.shape[-1:]:
        raise ValueError(
            f"raw_time must hold one time per sample of raw_data, "
            f"got shape {time.shape} for {data.shape}"
        )
    return data, time


def train_of_flat(
    idces: ArrayLike, times: ArrayLike, n_units: int | None
) -> tuple[Train, int]:
    """Sort parallel arrays of units and times into one array per unit.

    Returns the arrays, in the order of the times given, and their number.
    """
    checks.unmasked("idces", idces)
    checks.unmasked("times", times)
    units, flat = np.asarray(idces), np.asarray(times, dtype=np.float64)
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
    train = trains.gather(units, flat, count)
    train.owned = train.flat is flat  # units were sorted: the caller has these times
    return train, count


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


def train_of_raster(raster: ArrayLike, bin_size_ms: float, start_ms: float) -> Train:
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
    size = checks.positive("bin_size_ms", bin_size_ms)
    return binning.spread(counts, checks.finite("start_time", start_ms), size)
