"""HDF5 style ``group``: one dataset per unit."""

import re
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, units
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer


@attrs.frozen(kw_only=True)
class GroupWriter(HDF5Writer):
    """Write a group that holds one dataset per unit, named ``0``, ``1``, ...

    Each dataset has shape (spikes of the unit,) and is float64, or int64 for
    samples; a silent unit has an empty one.

    Parameters
    ----------
    group_per_unit : str
        Name of the group.
    group_time_unit : {"s", "ms", "samples"}
        Time unit of the spike times.
    """

    style: ClassVar[str] = "group"

    group_per_unit: str = attrs.field(default="units", validator=checks.is_dataset_name)
    group_time_unit: str = attrs.field(default="s", validator=units.is_time_unit)

    @property
    def time_unit(self) -> str:
        """The time unit of the spike times."""
        return self.group_time_unit

    def _write_train(self, group: h5py.Group, sd: Any) -> None:
        per_unit = group.create_group(self.group_per_unit)
        values = (units.from_ms(t, self.time_unit, self.fs_Hz) for t in sd.train)
        h5.write_small(per_unit, zip(map(str, range(sd.N)), values, strict=True))

    def read_train(self, group: h5py.Group) -> list[NDArray[np.float64]]:
        """Return the spike times in ms of each unit, names in natural order."""
        per_unit = h5.member(group, self.group_per_unit)
        if not isinstance(per_unit, h5py.Group):
            raise FormatError(f"{self.group_per_unit} must be a group of datasets")
        names = sorted(per_unit, key=_natural)
        return [self._read_times(per_unit, name) for name in names]


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts ``unit9`` before ``unit10``."""
    parts = [part.lstrip("0") if i % 2 else part for i, part in enumerate(_split(name))]
    return [(len(part) if i % 2 else -1, part) for i, part in enumerate(parts)]


def _split(name: str) -> list[str]:
    """Return what is between numbers and, at the odd places, the numbers."""
    return re.split(r"(\d+)", name)
