"""NWB 2 files: spike trains as a Units table, written with h5py alone."""

from pathlib import Path

import h5py

from spikelab.formats.nwb.writer import (
    NWBWriter,
    export_spikedata_to_nwb,
    is_nwb,
    read,
)

__all__ = [
    "NWBWriter",
    "export_spikedata_to_nwb",
    "is_nwb",
    "read",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is an NWB file."""
    return path.is_file() and bool(h5py.is_hdf5(path)) and is_nwb(path)
