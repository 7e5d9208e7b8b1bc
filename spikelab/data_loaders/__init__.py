"""Loaders and export functions, under the import paths of the specification."""

from spikelab.data_loaders.data_exporters import *
from spikelab.data_loaders.data_loaders import *
from spikelab.data_loaders.s3_utils import *
