"""What the four HDF5 styles have in common."""

import abc
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.base import FileWriter, recordings_of
from spikelab.formats.hdf5.objects import ObjectWriter
from spikelab.formats.hdf5.on_disk import arrays_on_disk, empty_array, read_array
from spikelab.formats.hdf5.values import Encoder, write_json
from spikelab.formats.reading import READS_RAW, build
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.differences import NOT_LOST, equal
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains, converted
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack

RAW_NAMES = ("raw_dataset", "raw_time_dataset")
"""The options that name the raw voltages and their times."""

_NAME = attrs.validators.optional(validate.is_dataset_name)


@attrs.frozen(kw_only=True)
class HDF5Writer(FileWriter[DataObject]):
    """A writer of spike trains as HDF5 datasets; one subclass per style.

    Every file says in attributes of its root how it was written: ``style``, the
    options by their names, ``n_units``, and the window as ``start_time`` and
    ``length_ms``, both float64 in ms. Of a SpikeSliceStack, each slice is such a group,
    ``slices/0``, ``slices/1``, ...; the other classes have no style, see
    :mod:`spikelab.formats.hdf5.objects`.

    Parameters
    ----------
    fs_Hz : float, optional
        Sampling rate, needed if a time unit is ``"samples"``.
    raw_dataset, raw_time_dataset : str, optional
        Names of the raw voltages, shape (channels, samples) or (samples,), and of their
        times, float64 or, as samples, int64 (samples,). They are written if both are
        given and the recording has raw data.
    raw_time_unit : {"ms", "s", "samples"}
        Time unit of the raw times.
    """

    method: ClassVar[str] = "to_hdf5"
    style: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    """The options that name the datasets of the style, or their group."""

    unit_option: ClassVar[str | None] = None
    """The option that says the time unit of the spike times, ms without one."""

    fs_Hz: float | None = attrs.field(
        default=None,
        converter=attrs.converters.optional(time_units.fs_in_hz),
        validator=attrs.validators.optional(validate.is_positive),
    )
    raw_dataset: str | None = attrs.field(default=None, validator=_NAME)
    raw_time_dataset: str | None = attrs.field(default=None, validator=_NAME)
    raw_time_unit: time_units.TimeUnit = attrs.field(
        default="ms", validator=time_units.is_time_unit
    )

    def __attrs_post_init__(self) -> None:
        """Check what concerns several options together."""
        raw = {name: getattr(self, name) for name in RAW_NAMES}
        raw_unit = self.raw_time_unit if self.raw_dataset else None
        time_units.sampling_rate(self.fs_Hz, self.time_unit, raw_unit)
        if (self.raw_dataset is None) != (self.raw_time_dataset is None):
            raise ValueError(f"{' and '.join(raw)} must be given together, got {raw}")
        validate.distinct(**{name: getattr(self, name) for name in self.names}, **raw)

    @property
    def time_unit(self) -> str:
        """The time unit of the spike times."""
        return "ms" if self.unit_option is None else getattr(self, self.unit_option)

    @classmethod
    @functools.cache
    def options(cls) -> dict[str, "attrs.Attribute[Any]"]:
        """Return the options that say how a file is laid out."""
        common = attrs.fields_dict(FileWriter)  # type: ignore[type-abstract]
        return {n: f for n, f in attrs.fields_dict(cls).items() if n not in common}

    @abc.abstractmethod
    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        """Write the spike trains of `sd` into an open group."""

    @abc.abstractmethod
    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> tuple[SpikeTrains, dict[str, Any]]:
        """Return the spike trains of `group` in ms, and what else it says of them.

        That is arguments of :class:`.SpikeData` for files of other programs.
        """

    def _prepared(self, obj: DataObject) -> DataObject:
        recordings = recordings_of(obj)
        for sd in recordings:
            self._check_recording(sd)
        if not isinstance(obj, SpikeData):
            for part in (obj, *recordings):
                for name, value in part.arguments().items():
                    if name not in ("train", "spike_stack"):
                        Encoder().encode(value, f"{data_class(obj).__name__}[{name!r}]")
        return obj

    def _check_recording(self, sd: SpikeData) -> None:
        if self.time_unit == "samples":
            largest = sd.spike_trains.largest_ms()
            time_units.fits_int64("spike times", largest, self.fs_Hz)
        if not self._writes_raw(sd):
            return
        if sd.raw_data.dtype.kind not in "iuf":
            raise ValueError(
                f"raw_data must be integers or floats, got dtype {sd.raw_data.dtype}"
            )
        if self.raw_time_unit == "samples":
            largest = _largest(sd.raw_time)
            if not math.isfinite(largest):
                raise ValueError("raw_time must be finite to be written as samples")
            time_units.fits_int64("raw_time", largest, self.fs_Hz)

    def _writes_raw(self, sd: SpikeData) -> bool:
        return self.raw_dataset is not None and bool(sd.raw_data.size)

    def _losses(self, obj: DataObject) -> list[str]:
        lost = self._losses_beside_trains(obj) if isinstance(obj, SpikeData) else []
        recordings = recordings_of(obj)
        if any(sd.raw_data.size and not self._writes_raw(sd) for sd in recordings):
            lost.append("raw data (no raw_dataset was named)")
        raw_times = [sd.raw_time for sd in recordings if self._writes_raw(sd)]
        for dtype in sorted({str(times.dtype) for times in raw_times} - {"float64"}):
            lost.append(f"raw_time is {dtype} and becomes float64")
        ms = max(map(self._rounding_ms, recordings), default=0.0)
        if ms >= time_units.NEGLIGIBLE_MS:
            lost.append(f"spike times are rounded by up to {ms:.3g} ms")
        unit = self.raw_time_unit
        raw_ms = [time_units.moved_ms(times, unit, self.fs_Hz) for times in raw_times]
        if any(raw_ms):
            lost.append(f"raw_time is rounded by up to {max(raw_ms):.3g} ms")
        return lost

    def _losses_beside_trains(self, sd: SpikeData) -> list[str]:
        lost = []
        if sd.neuron_attributes:
            lost.append("neuron_attributes (HDF5 styles hold spike trains only)")
        metadata = dict(sd.metadata)
        if self.fs_Hz is not None and equal(metadata.get("fs_Hz"), self.fs_Hz):
            del metadata["fs_Hz"]  # the file has it as an attribute
        if metadata.keys() - set(NOT_LOST):
            lost.append("metadata (HDF5 styles hold spike trains only)")
        return lost

    def _rounding_ms(self, sd: SpikeData) -> float:
        """Return how far the style moves a spike at most."""
        return time_units.moved_ms(sd.spike_trains.flat, self.time_unit, self.fs_Hz)

    def _carried(self, obj: DataObject) -> DataObject:
        if isinstance(obj, SpikeData):
            rate = {} if self.fs_Hz is None else {"fs_Hz": float(self.fs_Hz)}
            return self._as_read(obj, metadata=rate)
        if not isinstance(obj, SpikeSliceStack):
            return obj
        slices = [
            self._as_read(
                sd, neuron_attributes=sd.neuron_attributes, metadata=sd.metadata
            )
            for sd in obj
        ]
        return SpikeSliceStack(**{**obj.arguments(), "spike_stack": slices})

    def _as_read(self, sd: SpikeData, **known: Any) -> SpikeData:
        """Return a recording with what the file holds of it, its times not rounded."""
        if self._writes_raw(sd):
            known["raw_data"] = sd.raw_data
            known["raw_time"] = np.asarray(sd.raw_time, dtype=np.float64)
        trains = SpikeTrains(sd.spike_trains.flat, sd.spike_trains.ends)
        return SpikeData(trains, start_time=sd.start_time, length=sd.length, **known)

    def _atol_ms(self, obj: DataObject) -> float:
        slack = [0.0]
        for sd in recordings_of(obj):
            slack.append(self._slack_ms(sd.spike_trains))
            if self._writes_raw(sd):
                unit, largest = self.raw_time_unit, _largest(sd.raw_time)
                slack.append(time_units.rounding_ms(unit, self.fs_Hz, largest))
        return max(slack)

    def _slack_ms(self, trains: SpikeTrains) -> float:
        """Return how far a spike can move when it is written and read back."""
        largest = trains.largest_ms()
        return time_units.rounding_ms(self.time_unit, self.fs_Hz, largest)

    def _write(self, obj: DataObject, staged: Path) -> None:
        with h5.created(staged) as file:
            if isinstance(obj, SpikeData):
                self._write_group(file, obj)
            else:
                self._write_object(file, obj)

    def _write_object(self, file: h5py.File, obj: DataObject) -> None:
        """Write an object without spikes, or slices of them, into an open file."""
        apart, name = file.create_group("exact"), data_class(obj).__name__
        writer = ObjectWriter(apart)
        exact = writer.write_parts(file, obj, name, exported=True)
        if isinstance(obj, SpikeSliceStack):
            file.attrs["n_units"] = obj.N
            slices, exact["slices"] = file.create_group("slices"), []
            for i, sd in enumerate(obj):
                self._write_group(slices.create_group(str(i)), sd)
                known = sd.neuron_attributes, sd.metadata
                exact["slices"].append(
                    [writer.encode(part, f"{name}[{i}]") for part in known]
                )
        write_json(apart, "value", exact)

    def _read(self, staged: Path) -> DataObject:
        # The reader chooses among the styles, and imports them.
        from spikelab.formats.hdf5.reader import read

        with arrays_on_disk():
            return read(staged)

    def _write_group(self, group: h5py.Group, sd: SpikeData) -> None:
        """Write a recording into an open group of a file."""
        group.attrs["style"] = self.style
        for name in self.options():
            value = getattr(self, name)
            if value is not None:
                # h5py does not know numpy's str, nor fractions.
                is_text = isinstance(value, str)
                group.attrs[name] = str(value) if is_text else float(value)
        group.attrs["n_units"] = sd.N
        group.attrs["start_time"] = float(sd.start_time)
        group.attrs["length_ms"] = float(sd.length)
        self._write_train(group, sd)
        if self._writes_raw(sd):
            h5.write_array(group, str(self.raw_dataset), sd.raw_data)
            raw_time = str(self.raw_time_dataset)
            self._write_times(group, raw_time, sd.raw_time, self.raw_time_unit)

    def _write_times(
        self, group: h5py.Group, name: str, times_ms: NDArray[Any], unit: str
    ) -> None:
        """Write times in ms as one dataset of times in `unit`."""
        dtype = time_units.dtype(unit)
        if unit == "ms" and times_ms.dtype == dtype:
            h5.write_array(group, name, times_ms)
            return
        starts = range(0, len(times_ms), BLOCK)
        blocks = converted(
            (times_ms[start : start + BLOCK] for start in starts),
            lambda times, out: time_units.from_ms(times, unit, self.fs_Hz, out),
            dtype,
        )
        h5.write_blocks(group, name, times_ms.shape, dtype, blocks)

    def _read_times(
        self, group: h5py.Group, name: str, unit: str
    ) -> NDArray[np.float64]:
        """Return a dataset of times in `unit` in ms."""
        found = h5.vector(group, name)
        if unit == "ms" and found.dtype == np.float64:
            return read_array(found)
        times = empty_array(found.size)
        for start in range(0, found.size, BLOCK):
            part = slice(start, start + BLOCK)
            time_units.to_ms(found[part], unit, self.fs_Hz, out=times[part])
        return times

    def read_group(
        self,
        group: h5py.Group,
        recorded: Mapping[str, Any],
        start_ms: float | None = None,
        length_ms: float | None = None,
        **known: Any,
    ) -> SpikeData:
        """Return the recording that a group with the attributes `recorded` holds.

        The window, if given, goes before that of the attributes; `known` are further
        arguments of :class:`.SpikeData`.
        """
        for name in ("start_time", "length_ms", "n_units"):
            if isinstance(recorded.get(name), str):
                raise FormatError(
                    f"{name} must be a number, got {recorded[name]!r:.80}"
                )
        trains, noted = self._read_train(group, recorded)
        n_units = recorded.get("n_units", len(trains))
        if n_units != len(trains):
            raise FormatError(
                f"there must be {n_units} units, as the attribute n_units says, "
                f"got {len(trains)}"
            )
        if start_ms is None:
            start_ms = recorded.get("start_time")
        if start_ms is None:
            start_ms = trains.assumed_start()
        if length_ms is None:
            length_ms = recorded.get("length_ms", noted.get("length"))
        if length_ms is not None:
            trains = trains.moved_into(start_ms, length_ms, self._slack_ms(trains))
        arguments = {**noted, **known, **self._read_raw(group)}
        arguments |= {"start_time": start_ms, "length": length_ms}
        return build(SpikeData, train=trains, **arguments)

    def _read_raw(self, group: h5py.Group) -> dict[str, NDArray[Any]]:
        if self.raw_dataset is None or not h5.has_member(group, self.raw_dataset):
            return {}
        data = h5.dataset(group, self.raw_dataset, ndim=(1, 2), empty=True)
        if h5.is_empty(data):
            return {}
        if not READS_RAW.get():
            # Arrays of a single zero, whatever their shape.
            raw = np.broadcast_to(np.zeros((), data.dtype), data.shape)
            return {"raw_data": raw, "raw_time": np.broadcast_to(0.0, raw.shape[-1:])}
        raw_time = str(self.raw_time_dataset)
        times = self._read_times(group, raw_time, self.raw_time_unit)
        raw = read_array(data)
        if raw.ndim == 2 and raw.shape[1] != len(times) and len(raw) == len(times):
            raw = raw.T  # channels and samples as MATLAB, R and Julia store them
        return {"raw_data": raw, "raw_time": times}


def _largest(times: NDArray[Any]) -> float:
    """Return the largest magnitude of times, without a copy of them."""
    return max(abs(float(times.min())), abs(float(times.max())))


def read_indices(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return a dataset of integers, or of whole numbers as MATLAB's doubles."""
    indices = read_array(h5.vector(group, name))
    if indices.dtype.kind != "f":
        return indices
    indices = indices.astype(np.float64)  # 2**53 is beyond narrower ones
    fractions = ~((np.abs(indices) < 2.0**53) & (indices == np.rint(indices)))
    if fractions.any():
        raise FormatError(
            f"{name!r} must hold whole numbers, got {indices[fractions][0]}"
        )
    return indices.astype(np.int64)
