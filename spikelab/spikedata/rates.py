"""Instantaneous rates from interspike intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.spikedata.quantity import in_ms


def isi_rates(
    train: Sequence[NDArray[np.float64]], times: Any, sigma_ms: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates in Hz, shape (units, times), and the checked times in ms."""
    validate.unmasked("times", times)
    grid = np.asarray(in_ms("times", times), dtype=np.float64)
    if grid.ndim != 1 or not np.isfinite(grid).all():
        raise ValueError(
            f"times must be 1-D and finite, got {times!r:.80} of shape {grid.shape}"
        )
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
