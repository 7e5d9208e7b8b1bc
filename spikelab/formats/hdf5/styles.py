"""The HDF5 styles ``ragged``, ``group`` and ``paired``: spike times as they are."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import h5py
import numpy as np
from attrs import field, frozen

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.on_disk import empty_array
from spikelab.formats.hdf5.writer import HDF5Writer, read_indices
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TimeUnit, from_ms, is_time_unit, to_ms
from spikelab.validate import is_dataset_name

_INDICES = 2 * BLOCK
"""Indices of 32 bits that are written at a time: as many bytes as of other numbers."""

_MOST_SILENT = 2**20
"""Units that a file may have beyond one for each spike."""


@frozen(kw_only=True)
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

    spike_times_dataset: str = field(default="spike_times", validator=is_dataset_name)
    spike_times_index_dataset: str = field(
        default="spike_times_index", validator=is_dataset_name
    )
    spike_times_unit: TimeUnit = field(default="s", validator=is_time_unit)

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        trains, unit = sd.spike_trains, self.spike_times_unit
        self._write_times(group, self.spike_times_dataset, trains.flat, unit)
        group[self.spike_times_index_dataset] = trains.ends

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> tuple[SpikeTrains, dict[str, Any]]:
        index = self.spike_times_index_dataset
        flat = self._read_times(group, self.spike_times_dataset, self.time_unit)
        return SpikeTrains.from_flat(flat, read_indices(group, index), index), {}


@frozen(kw_only=True)
class GroupWriter(HDF5Writer):
    """Write a group that holds one dataset per unit, named ``0``, ``1``, ...

    Each dataset has shape (spikes of the unit,) and is float64, or int64 for samples; a
    silent unit has an empty one.

    Parameters
    ----------
    group_per_unit : str
        Name of the group with a dataset for each unit, which are named 0 to N - 1.
        The loader also takes a cell array of MATLAB.
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

    group_per_unit: str = field(default="units", validator=is_dataset_name)
    group_time_unit: TimeUnit = field(default="s", validator=is_time_unit)

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        unit, rate = self.time_unit, self.fs_Hz
        values = (from_ms(times, unit, rate) for times in sd.spike_trains)
        per_unit = group.create_group(self.group_per_unit)
        h5.write_small(per_unit, zip(map(str, range(sd.N)), values, strict=True))

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> tuple[SpikeTrains, dict[str, Any]]:
        vectors = self._units(group)
        ends = np.cumsum([vector.size for vector in vectors.values()], dtype=np.int64)
        flat = empty_array(int(ends[-1]) if vectors else 0)
        for vector, end in zip(vectors.values(), ends.tolist(), strict=True):
            out = flat[end - vector.size : end]
            to_ms(vector[()], self.time_unit, self.fs_Hz, out=out)
        ids: list[Any] = list(vectors)
        if ids == list(map(str, range(len(ids)))):
            return SpikeTrains(flat, ends), {}
        if all(re.fullmatch(r"0|[1-9]\d{0,17}", name) for name in ids):
            ids = list(map(int, ids))
        rows = [{"unit_id": unit_id} for unit_id in ids]
        return SpikeTrains(flat, ends), {"neuron_attributes": rows}

    def _units(self, group: h5py.Group) -> dict[str, Any]:
        """Return the vectors of the units, ``unit9`` before ``unit10``.

        They are members of a group, or the cells of an array of MATLAB or Julia.
        """
        name = self.group_per_unit
        units = h5.member(group, name)
        if isinstance(units, h5py.Group):
            return {
                unit: h5.vector(units, unit) for unit in sorted(units, key=_natural)
            }
        found = h5.dataset(group, name, ndim=range(33), kinds="OSVbcfiu", empty=True)
        if h5.is_empty(found):
            return {}
        cells: Iterable[Any] = np.ravel(found[()])
        vlen_dtype = h5py.check_vlen_dtype(found.dtype)
        if h5py.check_ref_dtype(found.dtype) is h5py.Reference:
            file = group.file
            cells = [h5.vector(file, file[reference].name) for reference in cells]
        elif not isinstance(vlen_dtype, np.dtype) or vlen_dtype.kind not in "iuf":
            raise FormatError(
                f"{name} must be a group of datasets, or an array of arrays"
            )
        return {str(i): cell for i, cell in enumerate(cells)}


def _natural(name: str) -> list[str | int]:
    parts = re.split(r"(\d+)", str(name))  # the numbers are at the odd places
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


@frozen(kw_only=True)
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

    idces_dataset: str = field(default="idces", validator=is_dataset_name)
    times_dataset: str = field(default="times", validator=is_dataset_name)
    times_unit: TimeUnit = field(default="ms", validator=is_time_unit)

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        trains, n_spikes = sd.spike_trains, sd.spike_trains.n_spikes
        blocks = (
            trains.unit_indices(start, min(start + _INDICES, n_spikes), np.int32)
            for start in range(0, n_spikes, _INDICES)
        )
        h5.write_blocks(group, self.idces_dataset, (n_spikes,), np.int32, blocks)
        self._write_times(group, self.times_dataset, trains.flat, self.times_unit)

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> tuple[SpikeTrains, dict[str, Any]]:
        name = self.idces_dataset
        idces = read_indices(group, name)
        times = self._read_times(group, self.times_dataset, self.times_unit)
        if idces.shape != times.shape:
            raise FormatError(
                f"{name} and {self.times_dataset} must have the same length, "
                f"got {idces.size} and {times.size}"
            )
        smallest = int(idces.min()) if idces.size else 0
        largest = int(idces.max()) if idces.size else -1
        n_units = recorded.get("n_units", largest + 1)
        if smallest == 1 and "n_units" not in recorded:
            found = h5.member(group, name)
            if found.dtype.kind == "f" or "MATLAB_class" in found.attrs:
                warn(
                    f"{name} counts from 1, as MATLAB does: unit 0 is there, and silent"
                )
        if smallest < 0 or not largest < n_units:
            raise FormatError(
                f"{name} must lie in 0..{n_units - 1}, got {smallest} to {largest}"
            )
        if n_units > _MOST_SILENT + idces.size:
            raise FormatError(
                f"{name} must not claim {n_units} units for {idces.size} spikes"
            )
        return SpikeTrains.from_pairs(idces, times, int(n_units)), {}
