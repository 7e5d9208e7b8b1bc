"""KiloSort folders: an array of spike times beside one of cluster ids."""

from pathlib import Path

from spikelab.errors import FormatError
from spikelab.formats.kilosort.writer import (
    KiloSortWriter,
    export_spikedata_to_kilosort,
    read,
)
from spikelab.manifest import MANIFEST

__all__ = [
    "KiloSortWriter",
    "export_spikedata_to_kilosort",
    "read",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a folder holds arrays of a spike sorter."""
    if not path.is_dir():
        return False
    names = {entry.name for entry in path.iterdir()}
    if any(n.endswith(".npy") for n in names) or names & {MANIFEST, "params.py"}:
        return True
    raise FormatError(
        f"{path} is no KiloSort or Phy folder: it holds neither .npy files, "
        f"params.py nor {MANIFEST}"
    )
