"""Many named objects in one HDF5 file."""

from spikelab.workspace.workspace import AnalysisWorkspace

__all__ = ["AnalysisWorkspace"]
