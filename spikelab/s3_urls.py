"""Old name of :mod:`spikelab.storage.urls`, while the formats are moved over."""

from spikelab.storage.urls import *  # noqa: F403
