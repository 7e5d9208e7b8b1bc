"""Old name of :mod:`spikelab.validate`, while the formats are moved over."""

from spikelab.validate import *  # noqa: F403
