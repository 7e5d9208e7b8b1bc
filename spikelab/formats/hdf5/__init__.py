"""Generic HDF5 in one of four styles: ragged, raster, group or paired."""

from pathlib import Path

import h5py

from spikelab.formats.hdf5.export import (
    STYLES,
    export_spikedata_to_hdf5,
    read,
)

__all__ = [
    "STYLES",
    "export_spikedata_to_hdf5",
    "read",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is an HDF5 file."""
    return path.is_file() and bool(h5py.is_hdf5(path))
