"""NWB 2 files: spike trains as a Units table, written with h5py alone."""

from spikelab.formats.nwb.reader import load_spikedata_from_nwb
from spikelab.formats.nwb.reader import read as read
from spikelab.formats.nwb.reader import recognises as recognises
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.formats.nwb.writer import NWBWriter, export_spikedata_to_nwb

__all__ = [
    "NWBSession",
    "NWBSubject",
    "NWBWriter",
    "export_spikedata_to_nwb",
    "load_spikedata_from_nwb",
]
