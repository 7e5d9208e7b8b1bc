"""KiloSort and Phy folders: what phylib, Phy, SpikeInterface and neo open."""

from spikelab.formats.phy.folder_reader import load_spikedata_from_kilosort
from spikelab.formats.phy.folder_reader import read as read
from spikelab.formats.phy.folder_reader import recognises as recognises
from spikelab.formats.phy.kilosort_writer import (
    KiloSortWriter,
    export_spikedata_to_kilosort,
)
from spikelab.formats.phy.phy_writer import PhyWriter, export_spikedata_to_phy

__all__ = [
    "KiloSortWriter",
    "PhyWriter",
    "export_spikedata_to_kilosort",
    "export_spikedata_to_phy",
    "load_spikedata_from_kilosort",
]
