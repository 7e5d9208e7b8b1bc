"""Old name of :mod:`spikelab.spikedata.binning`, while the formats are moved over."""

from spikelab.spikedata.binning import *  # noqa: F403
