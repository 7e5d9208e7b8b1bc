"""The data classes that are no recordings, in HDF5: each whole, and plain to read.

``exact`` is a group that holds what a dataset cannot say (attributes of units,
metadata, types of labels), see :mod:`spikelab.formats.hdf5.objects`.
"""

import abc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import h5py

from spikelab import comparison, kinds
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import columns as hdf5_columns
from spikelab.formats.hdf5 import objects as hdf5_objects
from spikelab.formats.hdf5.objects import Plan
from spikelab.formats.writer import FileWriter
from spikelab.kinds import Contents, kind_of

_EXACT = "exact"
_SLICES = "slices"
_WINDOWS = "windows"

NAMES = {
    "RateData": {"inst_Frate_data": "rates"},
    "RateSliceStack": {
        "event_stack": "rates",
        "times": _WINDOWS,
        "step_size": "step_ms",
    },
    "PairwiseCompMatrix": {"__metadata__": "metadata"},
    "PairwiseCompMatrixStack": {"__metadata__": "metadata", "times": _WINDOWS},
}
"""The names that differ from those of attributes and of a workspace."""

_OF_SLICES = ("neuron_attributes", "metadata")
"""What is kept of each slice beside what its style writes."""


def kind_in(file: h5py.File) -> str | None:
    """Return which of these classes a file says it holds, None if it says none."""
    kind = h5.scalar_attributes(file).get("__type__")
    return kind if kind in kinds.MODULES and kind != "SpikeData" else None


def groups(file: h5py.File, obj: Any) -> Iterator[tuple[h5py.Group, Any]]:
    """Yield each recording that an object is or is made of, with its group."""
    if kind_of(obj) == "SpikeData":
        yield file, obj
        return
    for i, sd in enumerate(kinds.recordings_of(obj)):
        yield h5.member(file, f"{_SLICES}/{i}"), sd


@attrs.frozen(kw_only=True)
class SiblingWriter(FileWriter):
    """Writes the other classes by means of what writes a recording to a group."""

    @abc.abstractmethod
    def write_group(self, group: h5py.Group, sd: Any) -> None:
        """Write a recording into an open group of a file."""

    @abc.abstractmethod
    def read_group(self, group: h5py.Group, *, with_raw: bool = True) -> Contents:
        """Return the recording that :meth:`write_group` wrote."""

    @abc.abstractmethod
    def _check_spikes(self, sd: Any) -> None: ...

    @abc.abstractmethod
    def _spike_losses(self, sd: Any) -> list[str]: ...

    @abc.abstractmethod
    def _moved_ms(self, sd: Any) -> float: ...

    def _spike_differences(self, sd: Any, contents: Contents) -> list[str]:
        return comparison.differences(sd, contents, slack_ms=self._rounding_ms(sd))

    def _prepare(self, obj: Any) -> Plan | None:
        """Return how all that is not spikes is stored; of a SpikeData that is nothing."""
        kind = kind_of(obj)
        for sd in kinds.recordings_of(obj):
            self._check_spikes(sd)
        if kind == "SpikeData":
            return None
        if kind == "SpikeSliceStack":
            return hdf5_objects.plan(_beside_slices(obj), kind)
        if not kinds.is_data_object(obj):
            obj = kinds.build(Contents(kind, kinds.arguments_of(obj)))
        return hdf5_objects.plan(obj, kind, NAMES[kind])

    def _losses(self, obj: Any) -> list[str]:
        kind = kind_of(obj)
        lost = [
            loss for sd in kinds.recordings_of(obj) for loss in self._spike_losses(sd)
        ]
        if kind == "SpikeSliceStack":
            lost = [x for x in dict.fromkeys(lost) if not x.startswith(_OF_SLICES)]
        if moved := max(map(self._moved_ms, kinds.recordings_of(obj)), default=0.0):
            lost.append(f"spike times are rounded by up to {moved:.3g} ms")
        return lost

    def _write(self, obj: Any, path: Path, prepared: Plan | None) -> None:
        with h5.created(path) as file:
            if prepared is None:
                self.write_group(file, obj)
                return
            if kind_of(obj) == "SpikeSliceStack":
                self._write_slices(file, obj)
            elif prepared.layout is not None:
                prepared.layout.write(file)
            prepared.write_tree(file.create_group(_EXACT))

    def _write_slices(self, file: h5py.File, stack: Any) -> None:
        file.attrs["__type__"] = "SpikeSliceStack"
        file.attrs["n_units"] = stack.N
        windows = hdf5_columns.of_windows(stack.times)
        if windows is not None:
            windows.write(file, _WINDOWS)
        slices = file.create_group(_SLICES)
        for i, sd in enumerate(stack.spike_stack):
            self.write_group(slices.create_group(str(i)), sd)

    def _read_back(self, path: Path) -> Contents:
        with h5.opened(path) as file:
            if kind_in(file) is None:
                return self.read_group(file, with_raw=False)
            return read(file, lambda _: self)

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        kind = kind_of(obj)
        if kind == "SpikeData":
            return self._spike_differences(obj, contents)
        written, found = kinds.arguments_of(obj), dict(contents.arguments)
        differing: list[str] = []
        if kind == "SpikeSliceStack":
            pairs = zip(
                written.pop("spike_stack"), found.pop("spike_stack"), strict=True
            )
            for i, (sd, read_sd) in enumerate(pairs):
                read_contents = Contents("SpikeData", kinds.arguments_of(read_sd))
                found_in = self._spike_differences(sd, read_contents)
                found_in += [
                    f"{name} differ"
                    for name in _OF_SLICES
                    if not comparison.same(getattr(sd, name), getattr(read_sd, name))
                ]
                differing += [f"slice {i}: {difference}" for difference in found_in]
        differing += [f"{name} is unknown" for name in found.keys() - written.keys()]
        return differing + [
            f"{name} differs"
            for name, value in written.items()
            if not comparison.same(value, found.get(name))
        ]


def _beside_slices(stack: Any) -> dict[str, Any]:
    """Return what belongs to a stack beside the spikes of its slices."""
    return {
        "neuron_attributes": stack.neuron_attributes,
        "times_start_to_end": stack.times,
        "slices": [
            {name: getattr(sd, name) for name in _OF_SLICES} for sd in stack.spike_stack
        ],
    }


def read(file: h5py.File, writer_of: Callable[[h5py.Group], SiblingWriter]) -> Contents:
    """Return what a file of one of these classes holds.

    Parameters
    ----------
    file : h5py.File
        The open file; :func:`kind_in` has told its class.
    writer_of : callable
        Returns the writer that would have written a group of spike trains.
    """
    exact = h5.member(file, _EXACT)
    if kind_in(file) == "SpikeSliceStack":
        return _read_slices(file, exact, writer_of)
    contents = hdf5_objects.read_contents(file, exact)
    if contents.kind != kind_in(file):
        raise FormatError(
            f"{file.filename} says that it holds a {kind_in(file)}, but holds a "
            f"{contents.kind}"
        )
    return contents


def _read_slices(
    file: h5py.File, exact: h5py.Group, writer_of: Callable[[h5py.Group], SiblingWriter]
) -> Contents:
    beside = hdf5_objects.read(None, exact)
    slices = []
    try:
        parts, windows = beside["slices"], beside["times_start_to_end"]
        for i, part in enumerate(parts):
            group = h5.member(file, f"{_SLICES}/{i}")
            contents = writer_of(group).read_group(group)
            arguments = {name: part[name] for name in _OF_SLICES}
            slices.append(
                kinds.build(Contents("SpikeData", {**contents.arguments, **arguments}))
            )
        attributes = beside["neuron_attributes"]
    except (LookupError, TypeError) as error:
        raise FormatError(
            f"{file.filename} does not hold its slices: {error}"
        ) from error
    return Contents(
        "SpikeSliceStack",
        {
            "spike_stack": slices,
            "times_start_to_end": windows,
            "neuron_attributes": attributes,
            "drop_slice_attributes": False,
        },
    )
