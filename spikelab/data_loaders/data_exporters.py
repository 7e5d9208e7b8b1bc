"""The export functions of all formats, under the import path of the specification."""

from spikelab.formats import *
