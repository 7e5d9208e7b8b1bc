"""HDF5 style ``group``: one dataset per unit."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import h5py

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.spikedata import time_units
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData


@attrs.frozen(kw_only=True)
class GroupWriter(HDF5Writer):
    """Write a group that holds one dataset per unit, named ``0``, ``1``, ...

    Each dataset has shape (spikes of the unit,) and is float64, or int64 for samples; a
    silent unit has an empty one.

    Parameters
    ----------
    group_per_unit : str
        Name of the group with a dataset for each unit, which are named 0 to N - 1.
    group_time_unit : {"s", "ms", "samples"}
        Time unit of ``group``.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import GroupWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> GroupWriter().write(sd, "group.h5")
    'group.h5'
    """

    style: ClassVar[str] = "group"
    names: ClassVar = ("group_per_unit",)
    unit_option: ClassVar[str | None] = "group_time_unit"

    group_per_unit: str = attrs.field(
        default="units", validator=validate.is_dataset_name
    )
    group_time_unit: time_units.TimeUnit = attrs.field(
        default="s", validator=time_units.is_time_unit
    )

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        unit, rate = self.time_unit, self.fs_Hz
        values = (time_units.from_ms(times, unit, rate) for times in sd.spike_trains)
        per_unit = group.create_group(self.group_per_unit)
        h5.write_small(per_unit, zip(map(str, range(sd.N)), values, strict=True))

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> SpikeTrains:
        per_unit = h5.member(group, self.group_per_unit)
        if not isinstance(per_unit, h5py.Group):
            raise FormatError(f"{self.group_per_unit} must be a group of datasets")
        names = sorted(per_unit, key=_natural)
        return SpikeTrains.from_arrays(
            self._read_times(per_unit, name, self.time_unit) for name in names
        )


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts ``unit9`` before ``unit10``."""
    parts = re.split(r"(\d+)", name)  # the numbers are at the odd places
    parts[1::2] = [number.lstrip("0") for number in parts[1::2]]
    return [(len(part) if i % 2 else -1, part) for i, part in enumerate(parts)]
