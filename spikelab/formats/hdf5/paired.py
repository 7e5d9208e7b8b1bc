"""HDF5 style ``paired``: one dataset of units and one of times, spike by spike."""

from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, trains, units
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer

_MOST_SILENT = 2**20
"""Units that a file may have beyond one for each spike."""


@attrs.frozen(kw_only=True)
class PairedWriter(HDF5Writer):
    """Write ``idces`` (the unit of each spike) and ``times`` (its time).

    Both have shape (spikes,), unit after unit; ``idces`` is int64, ``times``
    float64, or int64 for samples.

    Parameters
    ----------
    idces_dataset, times_dataset : str
        Names of the two datasets.
    times_unit : {"ms", "s", "samples"}
        Time unit of the spike times.
    """

    style: ClassVar[str] = "paired"

    idces_dataset: str = attrs.field(default="idces", validator=checks.is_dataset_name)
    times_dataset: str = attrs.field(default="times", validator=checks.is_dataset_name)
    times_unit: str = attrs.field(default="ms", validator=units.is_time_unit)

    @property
    def time_unit(self) -> str:
        """The time unit of the spike times."""
        return self.times_unit

    def _write_train(self, group: h5py.Group, sd: Any) -> None:
        ends = trains.ends(sd.train)
        n_spikes = int(ends[-1]) if len(ends) else 0
        spikes = range(n_spikes)
        blocks = (spikes[i : i + trains.BLOCK] for i in spikes[:: trains.BLOCK])
        idces = trains.converted(
            blocks,
            lambda part, out: np.copyto(
                out, trains.unit_indices(ends, part[0], part[-1] + 1)
            ),
            np.int64,
        )
        h5.write_blocks(group, self.idces_dataset, (n_spikes,), np.int64, idces)
        self._write_times(group, self.times_dataset, sd)

    def read_train(self, group: h5py.Group) -> list[NDArray[np.float64]]:
        """Return the spike times in ms of each unit, silent ones as the file tells."""
        idces = _whole(h5.dataset(group, self.idces_dataset)[()])
        times = self._read_times(group, self.times_dataset)
        if idces.shape != times.shape:
            raise FormatError(
                f"{self.idces_dataset} and {self.times_dataset} must have the same "
                f"length, got {idces.size} and {times.size}"
            )
        largest = int(idces.max()) if idces.size else -1
        n_units = h5.scalar_attributes(group).get("n_units", largest + 1)
        if idces.size and not 0 <= int(idces.min()) <= largest < n_units:
            raise FormatError(
                f"{self.idces_dataset} must lie in 0..{n_units - 1}, "
                f"got {idces.min()} to {largest}"
            )
        if n_units > _MOST_SILENT + len(idces):
            raise FormatError(
                f"{self.idces_dataset} must not claim {n_units} units "
                f"for {len(idces)} spikes"
            )
        h5.spend_on_units(n_units, group.file.filename)
        return trains.gather(idces, times, n_units)


def _whole(idces: NDArray[Any]) -> NDArray[Any]:
    """Return unit numbers as integers; MATLAB writes them as floats."""
    if idces.dtype.kind != "f":
        return idces
    fractions = ~(np.isfinite(idces) & (np.abs(idces) < 2.0**53) & (idces % 1 == 0))
    if fractions.any():
        raise FormatError(f"idces must be whole numbers, got {idces[fractions][0]}")
    return idces.astype(np.int64)
