"""Conversions from the files of one format to those of another, one or many."""

from spikelab.batch.conversion import Conversion, convert
from spikelab.batch.many import convert_many

__all__ = ["Conversion", "convert", "convert_many"]
