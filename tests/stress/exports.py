"""The exports that are put under stress, and what each leaves on the disk."""

import os
import warnings
from pathlib import Path

import attrs
from contract import snapshot
from recordings import simulated

from spikelab import SpikeData
from spikelab.storage.local import STAGED_SUFFIX

FACTOR = 50 if os.environ.get("SPIKELAB_STRESS") else 1
"""How many times more is tried in the long run, ``tox -e stress``."""


@attrs.frozen
class Export:
    """One way to export a recording."""

    method: str
    target: str
    options: dict = attrs.field(factory=dict)

    @property
    def is_folder(self):
        """Whether the target is a folder."""
        return "." not in self.target

    def __call__(self, sd, target, **more):
        """Export without the warnings about what the format cannot hold."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            getattr(sd, self.method)(target, **{**self.options, **more})


_EXPORTS = {
    "ragged": Export("to_hdf5", "a.h5"),
    "raster": Export("to_hdf5", "a.h5", {"style": "raster", "raster_bin_size_ms": 1.0}),
    "group": Export("to_hdf5", "a.h5", {"style": "group"}),
    "paired": Export("to_hdf5", "a.h5", {"style": "paired"}),
    "nwb": Export("to_nwb", "a.nwb"),
    "csv": Export("to_csv", "a.csv"),
    "parquet": Export("to_parquet", "a.parquet"),
    "pickle": Export("to_pickle", "a.pkl"),
    "kilosort": Export("to_kilosort", "folder", {"fs_Hz": 30_000.0}),
    "phy": Export("to_phy", "folder", {"fs_Hz": 30_000.0}),
}

EXPORTS = {n: e for n, e in _EXPORTS.items() if hasattr(SpikeData, e.method)}


def recordings():
    """Two recordings whose exports differ in every file."""
    return simulated(seed=1, n_units=40), simulated(seed=2, n_units=23)


def visible(folder):
    """The bytes of what a reader could take for data, by relative path."""
    return {
        name: content
        for name, content in snapshot(folder).items()
        if not any(map(_is_leftover, Path(name).parts))
    }


def leftovers(folder):
    """What killed processes left behind; all of it recognisable by its name."""
    return [path for path in Path(folder).rglob("*") if _is_leftover(path.name)]


def _is_leftover(name):
    return name.startswith(".") and name.endswith(STAGED_SUFFIX)
