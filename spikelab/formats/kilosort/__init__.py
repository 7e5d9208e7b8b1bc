"""KiloSort folders: an array of spike times beside one of cluster ids."""

from spikelab.formats.kilosort.writer import (
    KiloSortWriter,
    export_spikedata_to_kilosort,
    read,
)

__all__ = [
    "KiloSortWriter",
    "export_spikedata_to_kilosort",
    "read",
]
