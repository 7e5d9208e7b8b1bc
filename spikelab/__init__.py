"""Spike-sorted neural data, from an analysis session to the files other tools read."""

from spikelab.batch import Conversion, convert, convert_many
from spikelab.data_loaders.data_loaders import *
from spikelab.data_loaders.data_loaders import __all__ as _loaders
from spikelab.spikedata.differences import differences
from spikelab.spikedata.export_mixin import ExportMixin
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.workspace import AnalysisWorkspace

__all__ = [
    "AnalysisWorkspace",
    "Conversion",
    "ExportMixin",
    "PairwiseCompMatrix",
    "PairwiseCompMatrixStack",
    "RateData",
    "RateSliceStack",
    "SpikeData",
    "SpikeSliceStack",
    "convert",
    "convert_many",
    "differences",
]
__all__ += _loaders

__version__ = "0.2.0"
