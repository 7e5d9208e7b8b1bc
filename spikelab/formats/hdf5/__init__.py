"""Generic HDF5 in one of four styles: ragged, raster, group or paired."""

from pathlib import Path

import h5py

from spikelab.formats.functions import spikedata_loader
from spikelab.formats.hdf5.export import export_spikedata_to_hdf5
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.reader import read as read
from spikelab.formats.hdf5.styles import GroupWriter, PairedWriter, RaggedWriter
from spikelab.registry import HDF5_SIGNATURE

__all__ = [
    "GroupWriter",
    "PairedWriter",
    "RaggedWriter",
    "RasterWriter",
    "export_spikedata_to_hdf5",
    "load_spikedata_from_hdf5",
]

load_spikedata_from_hdf5 = spikedata_loader(read, "load_spikedata_from_hdf5")


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file is an HDF5 file; MATLAB has 512 bytes before the head."""
    return head == HDF5_SIGNATURE or (path.is_file() and h5py.is_hdf5(path))
