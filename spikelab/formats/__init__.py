"""The writers: one package per format, its writer and reader side by side."""

from spikelab.formats.csv import CSVWriter
from spikelab.formats.hdf5.group import GroupWriter
from spikelab.formats.hdf5.paired import PairedWriter
from spikelab.formats.hdf5.ragged import RaggedWriter
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.nwb import NWBWriter
from spikelab.formats.nwb.session import NWBSession, NWBSubject
from spikelab.formats.phy import KiloSortWriter, PhyWriter
from spikelab.formats.pickle import PickleWriter

__all__ = [
    "CSVWriter",
    "GroupWriter",
    "KiloSortWriter",
    "NWBSession",
    "NWBSubject",
    "NWBWriter",
    "PairedWriter",
    "PhyWriter",
    "PickleWriter",
    "RaggedWriter",
    "RasterWriter",
]
