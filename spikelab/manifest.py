"""Old name of :mod:`spikelab.storage.manifest`, while the formats are moved over."""

from spikelab.storage.manifest import *  # noqa: F403
