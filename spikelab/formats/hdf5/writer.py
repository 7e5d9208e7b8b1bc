"""What the four HDF5 styles have in common."""

import abc
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, comparison, trains, units
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import siblings as hdf5_siblings
from spikelab.formats.hdf5.siblings import SiblingWriter
from spikelab.formats.writer import FileWriter
from spikelab.kinds import Contents


@attrs.frozen(kw_only=True)
class HDF5Writer(SiblingWriter):
    """A writer of spike trains as HDF5 datasets; one subclass per style.

    Every file says in attributes of its root how it was written: ``style``,
    the options under their own names, ``n_units``, and the window as
    ``start_time`` and ``length_ms``, both float64 in ms. Of a SpikeSliceStack,
    each slice is such a group, ``slices/0``, ``slices/1``, ...; the other
    classes are arrays and have no style.

    Parameters
    ----------
    fs_Hz : float, optional
        Sampling rate, needed if a time unit is ``"samples"``.
    raw_dataset, raw_time_dataset : str, optional
        Names for the raw voltages and their times; they are written if both
        names are given and the recording has raw data.
    raw_time_unit : {"ms", "s", "samples"}
        Time unit of the raw times.
    """

    method: ClassVar[str] = "to_hdf5"
    style: ClassVar[str]

    fs_Hz: float | None = None
    raw_dataset: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_dataset_name)
    )
    raw_time_dataset: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(checks.is_dataset_name)
    )
    raw_time_unit: str = attrs.field(default="ms", validator=units.is_time_unit)

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        raw_unit = self.raw_time_unit if self.raw_dataset else None
        units.sampling_rate(self.fs_Hz, self.time_unit, raw_unit)
        if (self.raw_dataset is None) != (self.raw_time_dataset is None):
            raise ValueError(
                "raw_dataset and raw_time_dataset must be given together, "
                f"got {self.raw_dataset!r} and {self.raw_time_dataset!r}"
            )
        names = {n: getattr(self, n) for n in self.options() if self._is_name(n)}
        checks.distinct(**names)

    @staticmethod
    def _is_name(option: str) -> bool:
        return option.endswith("_dataset") or option == "group_per_unit"

    @property
    @abc.abstractmethod
    def time_unit(self) -> str:
        """The time unit of the spike times."""

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Return the names of the options that say how a file is laid out."""
        common = {field.name for field in attrs.fields(FileWriter)}
        return tuple(name for name in attrs.fields_dict(cls) if name not in common)

    @classmethod
    def from_options(cls, options: dict[str, Any], **common: Any) -> Self:
        """Make the writer with those of `options` that are its own."""
        fields = attrs.fields_dict(cls)
        own = {
            str(fields[name].alias): options[name]
            for name in cls.options()
            if name in options
        }
        return cls(**own, **common)

    @abc.abstractmethod
    def _write_train(self, group: h5py.Group, sd: Any) -> None:
        """Write the spike trains of `sd` into an open group."""

    @abc.abstractmethod
    def read_train(self, group: h5py.Group) -> list[NDArray[np.float64]]:
        """Return the spike times in ms of each unit that this style left in `group`."""

    def _check_spikes(self, sd: Any) -> None:
        if self.time_unit == "samples":
            units.fits_int64("spike times", trains.largest_ms(sd.train), self.fs_Hz)
        if self._writes_raw(sd):
            _check_raw(sd)
        if self._writes_raw(sd) and self.raw_time_unit == "samples":
            if not np.all(np.isfinite(sd.raw_time)):
                raise ValueError("raw_time must be finite to be written as samples")
            units.fits_int64("raw_time", trains.largest_ms([sd.raw_time]), self.fs_Hz)

    def _writes_raw(self, sd: Any) -> bool:
        return self.raw_dataset is not None and bool(np.size(sd.raw_data))

    def _spike_losses(self, sd: Any) -> list[str]:
        lost = [
            f"{name} (HDF5 styles hold spike trains only)"
            for name in ("neuron_attributes", "metadata")
            if getattr(sd, name)
        ]
        if np.size(sd.raw_data) and not self._writes_raw(sd):
            lost.append("raw data (no raw_dataset was named)")
        return lost

    def _moved_ms(self, sd: Any) -> float:
        """Return how far this style moves a time of the recording at most."""
        return trains.moved_ms(
            sd.train, lambda t: units.there_and_back(t, self.time_unit, self.fs_Hz)
        )

    def _rounding_ms(self, sd: Any) -> float:
        return self._shift_ms(sd.train)

    def _shift_ms(self, train: Any) -> float:
        """Return how far this style may move a time of these trains."""
        return units.rounding_ms(self.time_unit, self.fs_Hz, trains.largest_ms(train))

    def write_group(self, group: h5py.Group, sd: Any) -> None:
        """Write a recording into an open group of a file."""
        group.attrs.update(self._recorded(sd))
        self._write_train(group, sd)
        if self._writes_raw(sd):
            self._write_raw(group, sd)

    def _recorded(self, sd: Any) -> dict[str, Any]:
        """Return what a group says about itself, by the names of its attributes."""
        given = {name: getattr(self, name) for name in self.options()}
        # h5py does not know numpy's str, nor fractions.
        options = {
            name: str(value) if isinstance(value, str) else float(value)
            for name, value in given.items()
            if value is not None
        }
        window = {"start_time": float(sd.start_time), "length_ms": float(sd.length)}
        return {"style": self.style, **options, "n_units": sd.N, **window}

    def _write_raw(self, group: h5py.Group, sd: Any) -> None:
        h5.write_array(group, str(self.raw_dataset), sd.raw_data)
        self._write_converted(
            group,
            str(self.raw_time_dataset),
            [np.asarray(sd.raw_time)],
            self.raw_time_unit,
        )

    def _write_times(self, group: h5py.Group, name: str, sd: Any) -> None:
        """Write all spike times, unit after unit, as one dataset."""
        self._write_converted(group, name, sd.train, self.time_unit)

    def _write_converted(
        self, group: h5py.Group, name: str, times_ms: Any, unit: str
    ) -> None:
        """Write arrays of times, one after another, as one dataset."""
        dtype = units.dtype(unit)
        blocks = trains.converted(
            trains.blocks(times_ms),
            lambda times, out: units.from_ms(times, unit, self.fs_Hz, out),
            dtype,
        )
        shape = (sum(map(len, times_ms)),)
        h5.write_blocks(group, name, shape, dtype, blocks)

    def _read_times(self, group: h5py.Group, name: str) -> NDArray[np.float64]:
        """Return a dataset of times in ms."""
        found = h5.dataset(group, name)
        if len(found) <= trains.BLOCK:
            return units.to_ms(found[()], self.time_unit, self.fs_Hz)
        times = np.empty(found.shape)
        for start in range(0, len(times), trains.BLOCK):
            part = slice(start, min(start + trains.BLOCK, len(times)))
            found.read_direct(times, part, part)
            units.to_ms(times[part], self.time_unit, self.fs_Hz, out=times[part])
        return times

    def read_group(
        self,
        group: h5py.Group,
        start_time_ms: float | None = None,
        length_ms: float | None = None,
        *,
        with_raw: bool = True,
    ) -> Contents:
        """Return the recording that :meth:`write_group` wrote.

        Parameters
        ----------
        group : h5py.Group
            The open group.
        start_time_ms, length_ms : float, optional
            The recording window, if it is not the one that the group tells.
        with_raw : bool
            Read the raw data too, if there are any.
        """
        recorded = h5.scalar_attributes(group)
        length = length_ms if length_ms is not None else recorded.get("length_ms")
        if length is None:
            length = self._length_ms(group)
        train = self.read_train(group)
        start = (
            start_time_ms if start_time_ms is not None else recorded.get("start_time")
        )
        if start is None:
            start = min(trains.extremes(train)[0], 0.0)
        n_units = recorded.get("n_units", len(train))
        if n_units != len(train):
            raise FormatError(
                f"{group.file.filename} must hold {n_units} units, as its attribute "
                f"n_units says, got {len(train)}"
            )
        if length is not None:
            train = trains.into_window(train, start, length, self._shift_ms(train))
        arguments = {"train": train, "start_time": start, "length": length}
        raw = self._read_raw(group) if with_raw else {}
        return Contents("SpikeData", {**arguments, **raw})

    def _length_ms(self, group: h5py.Group) -> float | None:
        """Return the length of a recording whose file does not record it, if known."""

    def _found_wrong(self, obj: Any, staged: Path, prepared: Any) -> list[str]:
        found = super()._found_wrong(obj, staged, prepared)
        with h5.opened(staged) as file:
            for group, sd in hdf5_siblings.groups(file, obj):
                said = h5.scalar_attributes(group)
                for name, value in self._recorded(sd).items():
                    if said.get(name) != value:
                        found.append(f"{name} of {group.name} is {said.get(name)!r}")
                if self._writes_raw(sd):
                    found += self._raw_differences(group, sd)
        return found

    def _raw_differences(self, group: h5py.Group, sd: Any) -> list[str]:
        found = []
        raw = h5.member(group, str(self.raw_dataset))
        if not h5.holds_array(raw, sd.raw_data):
            found.append(f"raw data differ in {group.name}")
        times = self._read_raw_time(group)
        moved = comparison.largest_shift_ms([sd.raw_time], [times])
        largest = trains.largest_ms([sd.raw_time])
        if not moved <= units.rounding_ms(self.raw_time_unit, self.fs_Hz, largest):
            found.append(f"raw times moved by up to {moved} ms in {group.name}")
        return found

    def _read_raw(self, group: h5py.Group) -> dict[str, Any]:
        if self.raw_dataset is None or not h5.has_member(group, self.raw_dataset):
            return {}
        data = h5.member(group, self.raw_dataset)
        raw = h5.dataset(group, self.raw_dataset, ndim=data.ndim)[()]
        return {"raw_data": raw, "raw_time": self._read_raw_time(group)}

    def _read_raw_time(self, group: h5py.Group) -> NDArray[np.float64]:
        times = h5.dataset(group, str(self.raw_time_dataset))[()]
        return units.to_ms(times, self.raw_time_unit, self.fs_Hz)


def _check_raw(sd: Any) -> None:
    if sd.raw_data.dtype.kind not in "iuf":
        raise ValueError(
            f"raw_data must be integers or floats, got dtype {sd.raw_data.dtype}"
        )
    if np.shape(sd.raw_time) != sd.raw_data.shape[-1:]:
        raise ValueError(
            f"raw_time must hold one time per sample of raw_data, "
            f"got shape {np.shape(sd.raw_time)} for {sd.raw_data.shape}"
        )
