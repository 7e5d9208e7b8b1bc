"""Generic HDF5 in one of four styles: ragged, raster, group or paired."""

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
