"""The exports as methods of the data classes."""

from spikelab.formats.csv import export_spikedata_to_csv
from spikelab.formats.hdf5 import export_spikedata_to_hdf5
from spikelab.formats.kilosort import export_spikedata_to_kilosort
from spikelab.formats.nwb import export_spikedata_to_nwb
from spikelab.formats.phy import export_spikedata_to_phy
from spikelab.formats.pickle import export_to_pickle


class ExportMixin:
    """Methods that write a data object in the formats of other tools.

    Each is the export function of its format with the object as the first
    argument: same keywords, same defaults, same return value.
    """

    to_csv = export_spikedata_to_csv
    to_hdf5 = export_spikedata_to_hdf5
    to_kilosort = export_spikedata_to_kilosort
    to_nwb = export_spikedata_to_nwb
    to_phy = export_spikedata_to_phy
    to_pickle = export_to_pickle
