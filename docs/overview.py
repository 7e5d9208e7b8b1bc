"""Draw the picture of the README: ``python docs/overview.py``."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("agg")

from matplotlib import pyplot as plt  # after the backend is chosen

from spikelab import SpikeData
from spikelab.look.plots import OKABE_ITO

TARGET = Path(__file__).parent / "_static" / "overview.png"

SOURCES = (
    "KiloSort, Phy",
    "SpikeInterface",
    "neo, pynapple",
    "NWB, HDF5, CSV",
    "your own arrays",
)
FILES = (
    ("NWB", "DANDI, pynwb, MatNWB"),
    ("Phy, KiloSort", "Phy, SpikeInterface"),
    ("HDF5", "MATLAB, Julia, h5py"),
    ("CSV, Parquet", "R, pandas, DuckDB"),
    ("pickle, S3", "the next session"),
)


def recording() -> SpikeData:
    """Return a short recording with bursts that run across the units."""
    rng = np.random.default_rng(3)
    starts = np.arange(300, 4000, 950)
    train = [
        np.concatenate(
            [rng.uniform(0, 4000, rng.integers(4, 24))]
            + [start + 9 * unit + rng.normal(0, 25, 5) for start in starts]
        )
        for unit in range(24)
    ]
    return SpikeData([np.clip(times, 0, 4000) for times in train], length=4000.0)


def boxes(ax: plt.Axes, texts: list[str], color: str) -> None:
    """Draw texts in boxes below one another."""
    ax.axis("off")
    for i, text in enumerate(texts):
        how = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color}
        y = 1 - (i + 0.5) / len(texts)
        ax.text(0.5, y, text, ha="center", va="center", fontsize=12, bbox=how)


def main() -> None:
    """Draw sources, a raster, and the files with who reads them."""
    figure = plt.figure(figsize=(10, 4.2))
    left = figure.add_axes((0.0, 0.02, 0.19, 0.96))
    middle = figure.add_axes((0.285, 0.17, 0.37, 0.70))
    right = figure.add_axes((0.73, 0.02, 0.27, 0.96))
    boxes(left, list(SOURCES), OKABE_ITO[0])
    boxes(right, [f"{name}\n{readers}" for name, readers in FILES], OKABE_ITO[2])
    recording().plot(middle, color=OKABE_ITO[0])
    middle.set_title("SpikeData: units, times in ms, window", fontsize=13)
    middle.xaxis.label.set_size(12)
    middle.yaxis.label.set_size(12)
    middle.tick_params(labelsize=11)
    for x in (0.21, 0.69):
        figure.text(
            x, 0.5, "\N{RIGHTWARDS ARROW}", fontsize=24, va="center", ha="center"
        )
    figure.savefig(TARGET, dpi=100, facecolor="white", metadata={"Software": None})


if __name__ == "__main__":
    main()
