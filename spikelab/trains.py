"""Old functions of spike trains, while the formats are moved over."""

from typing import Any

import numpy as np

from spikelab.spikedata.spike_trains import BLOCK, CACHED, SpikeTrains, converted

__all__ = ["BLOCK", "CACHED", "Pieces", "converted"]

Pieces = SpikeTrains


def join(train: Any) -> SpikeTrains:
    if isinstance(train, SpikeTrains):
        return train
    return SpikeTrains.from_arrays(train)


def ends(train: Any) -> Any:
    return join(train).ends


def blocks(train: Any, size: int = BLOCK) -> Any:
    return join(train).blocks(size)


def unit_indices(unit_ends: Any, start: int, stop: int) -> Any:
    return SpikeTrains(np.empty(0), unit_ends).unit_indices(start, stop)


split = SpikeTrains.from_flat
gather = SpikeTrains.from_pairs


def check_recording(sd: Any) -> None:
    sd.check()


def extremes(train: Any) -> tuple[float, float]:
    return join(train).extremes()


def largest_ms(train: Any) -> float:
    return join(train).largest_ms()


def moved_ms(train: Any, there_and_back: Any) -> float:
    return join(train).rounding(there_and_back)


def into_window(train: Any, start_ms: float, length_ms: float, slack: float) -> Any:
    return join(train).moved_into(start_ms, length_ms, slack)
