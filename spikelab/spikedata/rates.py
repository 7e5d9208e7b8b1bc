"""Instantaneous rates from interspike intervals."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelab import validate
from spikelab.spikedata.quantity import in_ms


def isi_rates(
    train: Sequence[NDArray[np.float64]], times: ArrayLike, sigma_ms: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates in Hz, shape (units, times), and the checked times in ms."""
    grid = _checked_grid(times)
    sigma_ms = validate.not_negative("sigma_ms", in_ms("sigma_ms", sigma_ms))
    rates = np.zeros((len(train), grid.size))
    kernel = _gaussian(sigma_ms / (grid[1] - grid[0])) if grid.size > 1 else np.ones(1)
    radius = kernel.size // 2
    for row, spikes in zip(rates, train, strict=True):
        _write_inverse_intervals(row, spikes, grid)
        if radius and row.any():
            mirrored = np.pad(row, radius, mode="symmetric")
            row[:] = np.convolve(mirrored, kernel, mode="valid")
    return rates, grid


def _checked_grid(times: ArrayLike) -> NDArray[np.float64]:
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
    return grid


def _write_inverse_intervals(
    row: NDArray[np.float64], spikes: NDArray[np.float64], grid: NDArray[np.float64]
) -> None:
    """Write 1000 / interval between the spikes around each time into `row`.

    Between a spike time that occurs twice and itself no time can lie, so that
    repeated spikes need no care.
    """
    following = np.searchsorted(spikes, grid, side="right")
    inside = (following > 0) & (following < spikes.size)
    after = following[inside]
    row[inside] = 1000.0 / (spikes[after] - spikes[after - 1])


def smoothing_reach(sigma_ms: float, step_ms: float) -> int:
    """Return how many steps away a rate still counts: four times the Gaussian's width."""
    return int(4.0 * max(sigma_ms, 0.0) / step_ms + 0.5)


def _gaussian(sigma: float) -> NDArray[np.float64]:
    """Return a Gaussian of `sigma` bins, cut off where it does not reach, with sum 1."""
    radius = smoothing_reach(sigma, 1.0)
    if radius == 0:
        return np.ones(1)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())
