"""What the writers of KiloSort and Phy folders have in common."""

import abc
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import attrs
import numpy as np

from spikelab.formats.base import Writer
from spikelab.formats.phy import stacks
from spikelab.formats.phy.changes import changes
from spikelab.formats.phy.cluster_tables import as_text
from spikelab.formats.phy.facts import Facts
from spikelab.formats.phy.folder_reader import FolderReader, metadata_of
from spikelab.formats.phy.spike_arrays import n_together
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.differences import NOT_LOST, equal
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_selection import is_one_value
from spikelab.spikedata.unit_table import MISSING, UnitTable
from spikelab.storage.remote_folder import Existing
from spikelab.storage.urls import StrPath

R = TypeVar("R")


@attrs.frozen(eq=False, kw_only=True, slots=False)
class FolderPlan(abc.ABC):
    """What a folder will hold of a recording."""

    sd: SpikeData  # the recording
    table: UnitTable  # what is known about its units
    facts: Facts  # what ``spikelab.json`` will say
    left_out: Mapping[Any, str]  # attributes that are not written as they are, and why
    in_arrays: Collection[Any] = ()  # attributes that are written as arrays

    @abc.abstractmethod
    def write(self, folder: Path) -> None:
        """Write all files, ``spikelab.json`` last."""

    @property
    @abc.abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """The attributes of each unit as they will be read."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata as they will be read."""
        return metadata_of(self.facts.cluster_ids, self.facts.fs_Hz)

    def carried(self) -> SpikeData:
        """Return the recording as a reader makes it."""
        return SpikeData(
            self.sd.spike_trains,
            length=self.sd.length,
            start_time=self.sd.start_time,
            neuron_attributes=self.rows,
            metadata=self.metadata,
        )

    def cautions(self) -> Iterator[str]:
        """Yield what the user should know."""
        if self.sd.start_time != 0:
            yield (
                f"the format cannot hold start_time={self.sd.start_time} ms; spikelab "
                "reads it from spikelab.json, other programs take sample 0 for the start"
            )

    def losses(self) -> Iterator[str]:
        """Yield in words what is lost of the recording."""
        yield from self._time_losses()
        yield from self._waveform_losses()
        yield from self._attribute_losses()
        for key, value in (self.sd.metadata or {}).items():
            if key not in NOT_LOST and not equal(value, self.metadata.get(key)):
                yield "metadata"
                break
        yield from self._raw_losses()

    def _time_losses(self) -> Iterator[str]:
        trains, start = self.sd.spike_trains, self.sd.start_time
        unit, fs_Hz = self.facts.time_unit, self.facts.fs_Hz
        moved = time_units.moved_ms(trains.flat, unit, fs_Hz)
        if moved > 4 * np.spacing(trains.largest_ms()):
            yield f"spike times are rounded to {unit}, by up to {moved:.3g} ms"
        if together := n_together(trains, lambda t: time_units.from_ms(t, unit, fs_Hz)):
            yield f"{together} spikes fall on the same sample as the spike before them"
        if start != 0:
            yield f"start_time {start} ms (kept in spikelab.json, for spikelab only)"

    def _attribute_losses(self) -> Iterator[str]:
        for key, column in self.table.columns.items():
            if key in self.in_arrays:
                continue
            changed = [
                value
                for value, row in zip(column.values, self.rows, strict=True)
                if value is not MISSING and not equal(value, row.get(key, MISSING))
            ]
            if changed and key in self.left_out:
                yield self.left_out_text(key)
                continue
            reasons = [_why_changed(value) for value in changed]
            for reason in dict.fromkeys(reasons):  # each once
                yield f"neuron_attributes[{str(key)!r}] {reason}"

    def left_out_text(self, key: Any) -> str:
        """Return in words that an attribute is left out, and why."""
        return f"neuron_attributes[{str(key)!r}] ({self.left_out[key]})"

    def _waveform_losses(self) -> Iterable[str]:
        return ()

    def _raw_losses(self) -> Iterator[str]:
        if np.size(self.sd.raw_data):
            yield "raw data"


def _why_changed(value: Any) -> str:
    """Return in words why a cell does not hold a value."""
    is_blank = isinstance(value, str) and value.isspace()
    if is_blank or as_text(value) == "":
        return "where it is None, NaN or '' (an empty cell)"
    return f"{value!r:.40} (Phy and neo cannot read it)"


@attrs.frozen(eq=False)
class ExportPlan:
    """What an export will hold: one folder, or one for each slice of a stack."""

    obj: DataObject  # the recording, or the stack
    folders: dict[str, FolderPlan]  # by name, "" for the target itself


def _integers(value: Sequence[int] | None) -> tuple[int, ...] | None:
    """Return cluster ids as a tuple of int, so that the writer stays frozen."""
    if value is None:
        return None
    if is_one_value(value) or isinstance(value, set | frozenset):
        raise TypeError(f"cluster_ids must be a sequence of integers, got {value!r}")
    for item in value:
        is_integer = isinstance(item, int | np.integer) and not isinstance(item, bool)
        if not is_integer or not -(2**63) <= item < 2**63:
            raise TypeError(f"cluster_ids must be int64 integers, got {item!r}")
    found = tuple(map(int, value))
    if len(set(found)) != len(found):
        twice = next(item for item in found if found.count(item) > 1)
        raise ValueError(f"cluster_ids must be distinct, got {twice} more than once")
    return found


@attrs.frozen(kw_only=True)
class ClusterFolderWriter(Writer[R, ExportPlan]):
    """A writer of spike times and clusters as a folder of arrays.

    A SpikeSliceStack becomes a folder with such a folder for each slice.
    """

    is_folder: ClassVar[bool] = True
    conflicting: ClassVar[tuple[str, ...]] = (
        "amplitudes.npy",
        "channel_*.npy",
        "features.npy",
        "pc_feature*.npy",
        "similar_templates.npy",
        "spike_*.npy",
        "template*.npy",
        "whitening_mat*.npy",
        "cluster_*.tsv",
        "cluster_*.csv",
        "params.py",
        ".phy",
        "slice_*",
    )

    fs_Hz: float = attrs.field(
        converter=time_units.fs_in_hz, validator=time_units.is_sampling_rate
    )
    cluster_ids: Sequence[int] | None = attrs.field(default=None, converter=_integers)

    @abc.abstractmethod
    def _plan(self, sd: SpikeData) -> FolderPlan:
        """Return what a folder will hold; raise ValueError if it cannot."""

    def _facts(
        self, sd: SpikeData, time_unit: str, clusters: Sequence[int], **more: Any
    ) -> Facts:
        """Return what ``spikelab.json`` says; raise if times or ids do not fit."""
        if time_unit == "samples":
            largest = max(abs(sd.start_time), abs(sd.start_time + sd.length))
            time_units.fits_int64("spike times", largest, self.fs_Hz)
        if self.cluster_ids is not None and len(self.cluster_ids) != sd.N:
            raise ValueError(
                f"cluster_ids must hold one id per unit, "
                f"got {len(self.cluster_ids)} for {sd.N} units"
            )
        return Facts(
            format=self.method.removeprefix("to_"),
            fs_Hz=float(self.fs_Hz),
            time_unit=time_unit,
            start_time_ms=float(sd.start_time),
            length_ms=float(sd.length),
            cluster_ids=list(clusters),
            spike_counts=sd.spike_trains.counts.tolist(),
            **more,
        )

    def _prepared(self, obj: DataObject) -> ExportPlan:
        folders = {}
        for name, sd in stacks.recordings_by_folder(obj).items():
            try:
                folders[name] = self._plan(sd)
            except ValueError as error:
                raise ValueError(f"{name}: {error}" if name else str(error)) from error
        return ExportPlan(obj, folders)

    def _cautions(self, plan: ExportPlan) -> list[str]:
        texts = stacks.merged(plan.folders, lambda folder: folder.cautions())
        return [f"{self.method}: {text}" for text in texts]

    def _losses(self, plan: ExportPlan) -> list[str]:
        obj = plan.obj
        texts = stacks.merged(plan.folders, lambda folder: folder.losses())
        if isinstance(obj, SpikeSliceStack) and stacks.has_own_attributes(obj):
            own = obj.spike_stack[0].neuron_attributes
            if not equal(obj.neuron_attributes, own):
                texts.append(
                    "neuron_attributes of the stack (those of its first slice come back)"
                )
        return texts

    def _write(self, plan: ExportPlan, staged: Path) -> None:
        for name, folder in plan.folders.items():
            path = staged / name
            path.mkdir(exist_ok=True)
            folder.write(path)
        if isinstance(plan.obj, SpikeSliceStack):
            stacks.write(staged, plan.obj, self.method.removeprefix("to_"))

    def _read(self, staged: Path) -> DataObject:
        return FolderReader().read(staged)

    def _carried(self, plan: ExportPlan) -> DataObject:
        recordings = [folder.carried() for folder in plan.folders.values()]
        return stacks.made_of(recordings, plan.obj)

    def _atol_ms(self, plan: ExportPlan) -> float:
        folders = list(plan.folders.values())
        largest = max(folder.sd.spike_trains.largest_ms() for folder in folders)
        return time_units.rounding_ms(folders[0].facts.time_unit, self.fs_Hz, largest)

    def _would_be_lost(self, existing: Existing) -> list[str]:
        return changes(existing, self.conflicting)


def joined(folder: StrPath, name: str) -> str:
    """Return the path or URL of a file in an exported folder."""
    return os.path.join(folder, name)  # noqa: PTH118 - a URL is no Path
