"""Spike-sorted neural data, from an analysis session to the files other tools read."""

from importlib.metadata import version

from spikelab.batch import Conversion, convert, convert_many
from spikelab.data_loaders.data_loaders import (
    load,
    load_from_pickle,
    load_spikedata_from_csv,
    load_spikedata_from_hdf5,
    load_spikedata_from_kilosort,
    load_spikedata_from_nwb,
    load_spikedata_from_pickle,
)
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
    "load",
    "load_from_pickle",
    "load_spikedata_from_csv",
    "load_spikedata_from_hdf5",
    "load_spikedata_from_kilosort",
    "load_spikedata_from_nwb",
    "load_spikedata_from_pickle",
]

__version__ = version("spikelab")
