"""HDF5 style ``ragged``: all times in one dataset, and where each unit ends."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import h5py

from spikelab import validate
from spikelab.formats.hdf5.writer import HDF5Writer, read_indices
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData


@attrs.frozen(kw_only=True)
class RaggedWriter(HDF5Writer):
    """Write ``spike_times`` (all units, one after another) and ``spike_times_index``.

    The layout is the ragged column of NWB: ``spike_times`` of shape (spikes,), float64,
    or int64 for samples; ``spike_times_index`` of shape (N,), int64, holds for each unit
    the number of spikes up to its last.

    Parameters
    ----------
    spike_times_dataset, spike_times_index_dataset : str
        Names of the times (spikes,) and of their ends (N,), int64, of ``ragged``.
    spike_times_unit : {"s", "ms", "samples"}
        Time unit of ``ragged``. Times are float64; samples are int64, rounded.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import RaggedWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> RaggedWriter(spike_times_unit="s").write(sd, "cells.h5")
    'cells.h5'
    """

    style: ClassVar[str] = "ragged"
    names: ClassVar = ("spike_times_dataset", "spike_times_index_dataset")
    unit_option: ClassVar[str | None] = "spike_times_unit"

    spike_times_dataset: str = attrs.field(
        default="spike_times", validator=validate.is_dataset_name
    )
    spike_times_index_dataset: str = attrs.field(
        default="spike_times_index", validator=validate.is_dataset_name
    )
    spike_times_unit: time_units.TimeUnit = attrs.field(
        default="s", validator=time_units.is_time_unit
    )

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        trains = sd.spike_trains
        self._write_times(group, self.spike_times_dataset, trains.flat, self.time_unit)
        group[self.spike_times_index_dataset] = trains.ends

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> SpikeTrains:
        times = self._read_times(group, self.spike_times_dataset, self.time_unit)
        index = self.spike_times_index_dataset
        return SpikeTrains.from_flat(times, read_indices(group, index), index)
