"""Pickle: one data object with all that it holds, for another Python session."""

from pathlib import Path


from spikelab.formats.pickle.writer import (
    PickleWriter,
    export_to_pickle,
    read,
)

__all__ = [
    "PickleWriter",
    "export_to_pickle",
    "read",
]


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file begins as a pickle, or has the name of one."""
    return head[:1] == b"\x80" or path.name.lower().endswith((".pkl", ".pickle"))
