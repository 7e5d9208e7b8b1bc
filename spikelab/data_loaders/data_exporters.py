"""The export functions, under the import path of the specification."""

from spikelab.formats.csv import export_spikedata_to_csv
from spikelab.formats.hdf5 import export_spikedata_to_hdf5
from spikelab.formats.nwb import export_spikedata_to_nwb
from spikelab.formats.phy import (
    export_spikedata_to_kilosort,
    export_spikedata_to_phy,
)
from spikelab.formats.pickle import export_to_pickle

__all__ = [
    "export_spikedata_to_csv",
    "export_spikedata_to_hdf5",
    "export_spikedata_to_kilosort",
    "export_spikedata_to_nwb",
    "export_spikedata_to_phy",
    "export_to_pickle",
]
