"""HDF5 style ``paired``: one dataset of units and one of times, spike by spike."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer, read_indices
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData

_MOST_SILENT = 2**20
"""Units that a file may have beyond one for each spike."""


@attrs.frozen(kw_only=True)
class PairedWriter(HDF5Writer):
    """Write ``idces`` (the unit of each spike) and ``times`` (its time).

    Both have shape (spikes,), unit after unit; ``idces`` is int32, ``times`` float64, or
    int64 for samples. Silent units are known from the attribute ``n_units``.

    Parameters
    ----------
    idces_dataset, times_dataset : str
        Names of the units (spikes,), int32, and of the times of ``paired``.
    times_unit : {"ms", "s", "samples"}
        Time unit of ``paired``.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import PairedWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> PairedWriter().write(sd, "paired.h5")
    'paired.h5'
    """

    style: ClassVar[str] = "paired"
    names: ClassVar = ("idces_dataset", "times_dataset")
    unit_option: ClassVar[str | None] = "times_unit"

    idces_dataset: str = attrs.field(
        default="idces", validator=validate.is_dataset_name
    )
    times_dataset: str = attrs.field(
        default="times", validator=validate.is_dataset_name
    )
    times_unit: time_units.TimeUnit = attrs.field(
        default="ms", validator=time_units.is_time_unit
    )

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        trains = sd.spike_trains
        dtype = np.int32 if len(trains) < 2**31 else np.int64
        n_spikes = trains.n_spikes
        blocks = (
            trains.unit_indices(start, min(start + BLOCK, n_spikes), dtype)
            for start in range(0, n_spikes, BLOCK)
        )
        h5.write_blocks(group, self.idces_dataset, (n_spikes,), dtype, blocks)
        self._write_times(group, self.times_dataset, trains.flat, self.time_unit)

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> SpikeTrains:
        idces = read_indices(group, self.idces_dataset)
        times = self._read_times(group, self.times_dataset, self.time_unit)
        if idces.shape != times.shape:
            raise FormatError(
                f"{self.idces_dataset} and {self.times_dataset} must have the same "
                f"length, got {idces.size} and {times.size}"
            )
        largest = int(idces.max()) if idces.size else -1
        n_units = recorded.get("n_units", largest + 1)
        if idces.size and not 0 <= int(idces.min()) <= largest < n_units:
            raise FormatError(
                f"{self.idces_dataset} must lie in 0..{n_units - 1}, "
                f"got {idces.min()} to {largest}"
            )
        if n_units > _MOST_SILENT + idces.size:
            raise FormatError(
                f"{self.idces_dataset} must not claim {n_units} units "
                f"for {idces.size} spikes"
            )
        return SpikeTrains.from_pairs(idces, times, n_units)
