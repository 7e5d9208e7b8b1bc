"""Old name of :mod:`spikelab.storage.s3`, while the formats are moved over."""

from spikelab.storage.s3 import with_credentials
from spikelab.storage.urls import is_s3_url, parse_s3_url

__all__ = ["is_s3_url", "parse_s3_url", "with_credentials"]
