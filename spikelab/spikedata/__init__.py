"""The six data classes."""

from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

__all__ = [
    "PairwiseCompMatrix",
    "PairwiseCompMatrixStack",
    "RateData",
    "RateSliceStack",
    "SpikeData",
    "SpikeSliceStack",
]
