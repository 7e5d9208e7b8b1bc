"""What the writers of KiloSort and Phy folders have in common."""

import abc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.base import Loss, StrPath, Writer
from spikelab.formats.phy import curation, folder_reader, stacks
from spikelab.formats.phy.facts import Facts
from spikelab.formats.phy.spike_arrays import n_together
from spikelab.formats.phy.unit_columns import LARGEST_ID, is_small_id
from spikelab.spikedata import time_units
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.storage.publish import is_url, resolved

R = TypeVar("R")


def _integers(value: Any) -> Any:
    """Return cluster ids as a tuple of int, so that the writer stays frozen."""
    if value is None:
        return None
    if isinstance(value, str | bytes) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"cluster_ids must be a sequence of integers, got {value!r}")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | np.integer):
            raise TypeError(f"cluster_ids must be integers, got {item!r}")
        if not -(2**63) <= item < 2**63:
            raise ValueError(f"cluster_ids must fit into int64, got {item}")
    found = tuple(int(item) for item in value)
    if len(set(found)) != len(found):
        twice = next(item for item in found if found.count(item) > 1)
        raise ValueError(f"cluster_ids must be distinct, got {twice} more than once")
    return found


@attrs.frozen(kw_only=True)
class ClusterFolderWriter(Writer[R]):
    """A writer of spike times and clusters as a folder of arrays.

    A SpikeSliceStack becomes a folder with such a folder for each slice.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz. One below 1,000 gives a warning: it may be in kHz.
    cluster_ids : sequence of int, optional
        An id for each unit, all distinct.
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

    fs_Hz: float = attrs.field(validator=time_units.is_sampling_rate)
    cluster_ids: Sequence[int] | None = attrs.field(default=None, converter=_integers)

    @property
    @abc.abstractmethod
    def _unit(self) -> str:
        """The time unit of the spike times."""

    @abc.abstractmethod
    def _write_recording(self, sd: SpikeData, folder: Path) -> Facts:
        """Write the files of a recording, and return what they cannot hold."""

    @abc.abstractmethod
    def _losses_of_recording(self, sd: SpikeData) -> list[str]:
        """Return in words what is lost of a recording, but for its times."""

    @abc.abstractmethod
    def _carried_recording(self, sd: SpikeData) -> SpikeData:
        """Return the recording as a reader makes it."""

    def _check_recording(self, sd: SpikeData) -> None:
        """Raise ValueError for a recording that cannot be written."""
        if self._unit == "samples":
            largest = sd.spike_trains.largest_ms()
            time_units.fits_int64("spike times", largest, self.fs_Hz)
        if self.cluster_ids is not None and len(self.cluster_ids) != sd.N:
            raise ValueError(
                f"cluster_ids must hold one id per unit, "
                f"got {len(self.cluster_ids)} for {sd.N} units"
            )

    def _cautions_of_recording(self, sd: SpikeData) -> list[str]:
        if sd.start_time == 0:
            return []
        return [
            f"{self.method}: the format cannot hold start_time={sd.start_time} ms; "
            "spikelab reads it from spikelab.json, other programs take sample 0 "
            "for the start"
        ]

    def _check_small_ids(self) -> None:
        """Raise ValueError for ids that SpikeInterface and phylib cannot take."""
        for cluster in self.cluster_ids or ():
            if not is_small_id(cluster):
                raise ValueError(
                    f"cluster_ids must lie in 0..{LARGEST_ID - 1} for a folder that "
                    f"SpikeInterface opens, got {cluster}"
                )

    def _check_format(self, obj: DataObject) -> None:
        for name, sd in stacks.recordings_by_folder(obj).items():
            try:
                self._check_recording(sd)
            except ValueError as error:
                raise ValueError(f"{name}: {error}" if name else str(error)) from error

    def _cautions(self, obj: DataObject) -> list[str]:
        recordings = stacks.recordings_by_folder(obj).items()
        return stacks.merged(
            {n: self._cautions_of_recording(sd) for n, sd in recordings}
        )

    def _losses(self, obj: DataObject) -> list[Loss]:
        texts = stacks.merged(
            {
                name: [*self._losses_of_times(sd), *self._losses_of_recording(sd)]
                for name, sd in stacks.recordings_by_folder(obj).items()
            }
        )
        if isinstance(obj, SpikeSliceStack) and stacks.differs_from_slices(obj):
            texts.append(
                "neuron_attributes of the stack (those of its first slice come back)"
            )
        # The carried object is exact: no difference from it is a loss.
        return [Loss(("carried",), text) for text in texts]

    def _losses_of_times(self, sd: SpikeData) -> list[str]:
        """Return in words what becomes of times and window."""
        trains, lost = sd.spike_trains, []
        moved = trains.rounding(self._there_and_back)
        if moved > 4 * np.spacing(trains.largest_ms()):
            lost.append(
                f"spike times are rounded to {self._unit}, by up to {moved:.3g} ms"
            )
        if together := n_together(trains, self._converted):
            lost.append(
                f"{together} spikes fall on the same sample as the spike before them"
            )
        if sd.start_time != 0:
            lost.append(
                f"start_time {sd.start_time} ms (kept in spikelab.json, for spikelab only)"
            )
        return lost

    def _write(self, obj: DataObject, staged: Path) -> None:
        for name, sd in stacks.recordings_by_folder(obj).items():
            folder = staged / name
            folder.mkdir(exist_ok=True)
            facts = self._write_recording(sd, folder)
            facts.write(folder, fingerprints=curation.fingerprints(folder))
        if isinstance(obj, SpikeSliceStack):
            stacks.write(staged, obj, self.method.removeprefix("to_"))

    def _read(self, staged: Path) -> DataObject:
        return folder_reader.read_folder(staged)

    def _carried(self, obj: DataObject) -> DataObject:
        carried = [
            self._carried_recording(sd)
            for sd in stacks.recordings_by_folder(obj).values()
        ]
        if not isinstance(obj, SpikeSliceStack):
            return carried[0]
        own = stacks.has_own_attributes(obj)
        return stacks.stack_of(carried, obj.times, own=own)

    def _as_read(
        self, sd: SpikeData, rows: list[dict[str, Any]], clusters: Sequence[int]
    ) -> SpikeData:
        """Return the recording with the attributes and metadata that a reader gives."""
        return SpikeData(
            sd.spike_trains,
            length=sd.length,
            start_time=sd.start_time,
            neuron_attributes=rows,
            metadata=folder_reader.metadata_of(clusters, float(self.fs_Hz)),
        )

    def _atol_ms(self, obj: DataObject) -> float:
        recordings = stacks.recordings_by_folder(obj).values()
        largest = max(sd.spike_trains.largest_ms() for sd in recordings)
        return time_units.rounding_ms(self._unit, self.fs_Hz, largest)

    def _would_be_lost(self, target: StrPath) -> list[str]:
        if is_url(target, "folder"):
            options = self.storage_options
            return curation.remote_changes(target, options, self.conflicting)
        return curation.changes(resolved("folder", target), self.conflicting)

    def _converted(self, times: NDArray[np.float64]) -> NDArray[Any]:
        return time_units.from_ms(times, self._unit, self.fs_Hz)

    def _there_and_back(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        return time_units.there_and_back(times, self._unit, self.fs_Hz)

    def _facts(self, sd: SpikeData, clusters: Sequence[int], **more: Any) -> Facts:
        return Facts(
            format=self.method.removeprefix("to_"),
            fs_Hz=float(self.fs_Hz),
            time_unit=self._unit,
            start_time_ms=float(sd.start_time),
            length_ms=float(sd.length),
            cluster_ids=clusters,
            spike_counts=sd.spike_trains.counts.tolist(),
            **more,
        )


def joined(folder: StrPath, name: str) -> str:
    """Return the path or URL of a file in an exported folder."""
    return os.path.join(folder, name)  # noqa: PTH118 - a URL is no Path
