"""HDF5 style ``ragged``: all times in one dataset, and where each unit ends."""

from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, trains, units
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer


@attrs.frozen(kw_only=True)
class RaggedWriter(HDF5Writer):
    """Write ``spike_times`` (all units, one after another) and ``spike_times_index``.

    The layout is the ragged column of NWB: ``spike_times`` of shape (spikes,),
    float64, or int64 for samples; ``spike_times_index`` of shape (N,), int64,
    holds for each unit the number of spikes up to its last.

    Parameters
    ----------
    spike_times_dataset, spike_times_index_dataset : str
        Names of the two datasets.
    spike_times_unit : {"s", "ms", "samples"}
        Time unit of the spike times.
    """

    style: ClassVar[str] = "ragged"

    spike_times_dataset: str = attrs.field(
        default="spike_times", validator=checks.is_dataset_name
    )
    spike_times_index_dataset: str = attrs.field(
        default="spike_times_index", validator=checks.is_dataset_name
    )
    spike_times_unit: str = attrs.field(default="s", validator=units.is_time_unit)

    @property
    def time_unit(self) -> str:
        """The time unit of the spike times."""
        return self.spike_times_unit

    def _write_train(self, group: h5py.Group, sd: Any) -> None:
        self._write_times(group, self.spike_times_dataset, sd)
        group[self.spike_times_index_dataset] = trains.ends(sd.train)

    def read_train(self, group: h5py.Group) -> list[NDArray[np.float64]]:
        """Return the spike times in ms of each unit."""
        times = self._read_times(group, self.spike_times_dataset)
        index = h5.dataset(group, self.spike_times_index_dataset)[()]
        h5.spend_on_units(len(index), group.file.filename)
        return trains.split(times, index, self.spike_times_index_dataset)
