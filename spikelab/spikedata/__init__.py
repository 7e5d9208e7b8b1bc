"""The six data classes."""

from spikelab.spikedata.spikedata import SpikeData

__all__ = ["SpikeData"]
