"""The formats: a module or package for each, with its writer, reader and loader.

Here are the writers, the export functions and the loaders of all formats.
"""

from spikelab.formats.csv import *
from spikelab.formats.hdf5 import *
from spikelab.formats.nwb import *
from spikelab.formats.parquet import *
from spikelab.formats.phy import *
from spikelab.formats.pickle import *
