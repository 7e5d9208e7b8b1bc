"""Old name of :mod:`spikelab.spikedata.time_units`, while the formats are moved over."""

from spikelab.spikedata.time_units import *  # noqa: F403
