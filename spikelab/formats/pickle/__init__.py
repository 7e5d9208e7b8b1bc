"""Pickle: one data object with all that it holds, for another Python session."""

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
