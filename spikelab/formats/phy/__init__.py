"""Phy folders: what ``phy template-gui``, phylib, SpikeInterface and neo open."""

from pathlib import Path

from spikelab.formats.phy.writer import (
    PhyWriter,
    export_spikedata_to_phy,
)

__all__ = [
    "PhyWriter",
    "export_spikedata_to_phy",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return False: a folder is recognised as one of KiloSort."""
    return False
