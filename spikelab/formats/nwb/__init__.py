"""NWB 2 files: spike trains as a Units table, written with h5py alone."""

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
