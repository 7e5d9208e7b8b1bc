"""Phy folders: what ``phy template-gui``, phylib, SpikeInterface and neo open."""

from spikelab.formats.phy.writer import (
    PhyWriter,
    export_spikedata_to_phy,
)

__all__ = [
    "PhyWriter",
    "export_spikedata_to_phy",
]
