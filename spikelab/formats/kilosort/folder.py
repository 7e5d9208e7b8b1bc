"""What the writers of KiloSort and Phy folders have in common."""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import checks, kinds, trains, units
from spikelab.errors import warn
from spikelab.formats.kilosort import slices as cluster_slices
from spikelab.formats.kilosort import spikes as cluster_spikes
from spikelab.formats.kilosort import tables as cluster_tables
from spikelab.formats.kilosort.sidecar import Sidecar
from spikelab.formats.writer import FolderWriter
from spikelab.kinds import Contents

GROUP_FILE = "cluster_group.tsv"
UNSORTED = "unsorted"

GROUPS = ("good", "mua", "noise", "unsorted")
"""The labels that Phy knows; a unit that has none of them is ``unsorted``."""


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
class ClusterFolderWriter(FolderWriter):
    """A writer of spike times and clusters as a folder of arrays.

    A SpikeSliceStack becomes a folder with such a folder for each slice.

    Parameters
    ----------
    fs_Hz : float
        Sampling rate in Hz.
    cluster_ids : sequence of int, optional
        An id for each unit, all distinct.
    """

    contradicting: ClassVar[tuple[str, ...]] = (
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

    fs_Hz: float = attrs.field(validator=checks.is_positive)
    cluster_ids: Sequence[int] | None = attrs.field(default=None, converter=_integers)

    @property
    @abc.abstractmethod
    def _unit(self) -> str:
        """The time unit of the spike times."""

    def _prepare(self, obj: Any) -> None:
        cautions = {}
        for name, sd in cluster_slices.recordings(obj).items():
            try:
                self._check_recording(sd)
            except ValueError as error:
                if not name:
                    raise
                raise ValueError(f"{name}: {error}") from error
            cautions[name] = self._cautions(sd)
        for caution in cluster_slices.distinct(cautions):
            warn(caution)

    def _check_recording(self, sd: Any) -> None:
        if self._unit == "samples":
            units.fits_int64("spike times", trains.largest_ms(sd.train), self.fs_Hz)
        if self.cluster_ids is not None and len(self.cluster_ids) != sd.N:
            raise ValueError(
                f"cluster_ids must hold one id per unit, "
                f"got {len(self.cluster_ids)} for {sd.N} units"
            )

    def _cautions(self, sd: Any) -> list[str]:
        """Return what a user should be warned of."""
        if sd.start_time == 0:
            return []
        return [
            f"{self.method}: the format cannot hold start_time={sd.start_time} ms; "
            "spikelab reads it from spikelab.json, other programs take sample 0 "
            "for the start"
        ]

    def _losses(self, obj: Any) -> list[str]:
        return cluster_slices.distinct(
            {
                name: self._losses_of_recording(sd)
                for name, sd in cluster_slices.recordings(obj).items()
            }
        )

    @abc.abstractmethod
    def _losses_of_recording(self, sd: Any) -> list[str]: ...

    def _write(self, obj: Any, path: Path, prepared: None) -> None:
        if not is_stack(obj):
            self._write_recording(obj, path)
            return
        for name, sd in cluster_slices.recordings(obj).items():
            (path / name).mkdir()
            self._write_recording(sd, path / name)
        cluster_slices.write(path, obj, {"format": self.method.removeprefix("to_")})

    @abc.abstractmethod
    def _write_recording(self, sd: Any, path: Path) -> None: ...

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        if not is_stack(obj):
            return self._recording_differences(obj, contents)
        read = contents.arguments
        found = []
        own = any(sd.neuron_attributes is not None for sd in obj.spike_stack)
        if read["drop_slice_attributes"] is own:
            found.append("whether slices have attributes of their own differs")
        if read["times_start_to_end"] != [tuple(map(float, w)) for w in obj.times]:
            found.append("windows differ")
        for i, (sd, other) in enumerate(
            zip(obj.spike_stack, read["spike_stack"], strict=True)
        ):
            as_read = Contents("SpikeData", kinds.arguments_of(other))
            differing = self._recording_differences(sd, as_read)
            found += [f"slice {i}: {difference}" for difference in differing]
        return found

    def _recording_differences(self, sd: Any, contents: Contents) -> list[str]:
        found = super()._differences(sd, contents)
        key, read = group_key(sd), contents.arguments["neuron_attributes"] or []
        if key is None or not self._shows_groups:
            return found
        labels = [a.get(key) for a in sd.neuron_attributes]
        loaded = [a.get(key) for a in read]
        pairs = zip(labels, loaded, strict=False)
        if any(label not in (None, "", UNSORTED, other) for label, other in pairs):
            found.append(f"attribute {key!r} differs")
        return found

    @property
    def _shows_groups(self) -> bool:
        """Whether there is a table of labels."""
        return True

    def _found_wrong(self, obj: Any, staged: Path, prepared: None) -> list[str]:
        found = super()._found_wrong(obj, staged, prepared)
        for name, sd in cluster_slices.recordings(obj).items():
            found += self._found_wrong_beside_spikes(sd, staged / name)
        return found

    @abc.abstractmethod
    def _found_wrong_beside_spikes(self, sd: Any, folder: Path) -> list[str]: ...

    def _convert(self, times: NDArray[np.float64]) -> NDArray[Any]:
        return units.from_ms(times, self._unit, self.fs_Hz)

    def _back(self, values: NDArray[Any]) -> NDArray[np.float64]:
        return units.to_ms(values, self._unit, self.fs_Hz)

    def _rounding_ms(self, obj: Any) -> float:
        times = [sd.train for sd in cluster_slices.recordings(obj).values()]
        return units.rounding_ms(
            self._unit, self.fs_Hz, max(map(trains.largest_ms, times))
        )

    def _losses_of_times(self, sd: Any) -> list[str]:
        """Return in words what becomes of times and window."""
        lost = []
        moved, together = cluster_spikes.rounding(sd.train, self._convert, self._back)
        if moved > 4 * np.spacing(trains.largest_ms(sd.train)):
            lost.append(
                f"spike times are rounded to {self._unit}, by up to {moved:.3g} ms"
            )
        if together:
            lost.append(
                f"{together} spikes fall on the same sample as the spike before them"
            )
        if sd.start_time != 0:
            lost.append(
                f"start_time {sd.start_time} ms (kept in spikelab.json, for spikelab only)"
            )
        return lost

    def _write_params(
        self,
        path: Path,
        n_channels: int,
        *,
        dat_path: str | list[str],
        dtype: str = "int16",
    ) -> None:
        text = cluster_tables.params_text(
            {
                "dat_path": dat_path,
                "n_channels_dat": n_channels,
                "dtype": dtype,
                "offset": 0,
                "sample_rate": float(self.fs_Hz),
                "hp_filtered": False,
            }
        )
        (path / "params.py").write_text(text, encoding="utf-8")

    def _sidecar(self, sd: Any, cluster_ids: NDArray[np.int64]) -> Sidecar:
        return Sidecar(
            fs_Hz=float(self.fs_Hz),
            time_unit=self._unit,
            start_time_ms=float(sd.start_time),
            length_ms=float(sd.length),
            cluster_ids=tuple(cluster_ids.tolist()),
            spike_counts=tuple(map(len, sd.train)),
        )


def is_stack(obj: Any) -> bool:
    """Tell whether `obj` is a stack of slices."""
    return kinds.kind_of(obj) == cluster_slices.KIND


def group_key(sd: Any) -> str | None:
    """Return the attribute that holds labels of Phy, None if there is none."""
    for key in ("group", "quality"):
        values = [a[key] for a in sd.neuron_attributes or () if a.get(key)]
        if values and all(isinstance(v, str) and v in GROUPS for v in values):
            return key
    return None


def write_groups(folder: Path, sd: Any, ids: Sequence[int]) -> tuple[str, str]:
    """Write ``cluster_group.tsv``; return the attribute that it holds, and its type."""
    key, known = group_key(sd), _groups(sd)
    labels = [label or UNSORTED for label in known]
    cluster_tables.write_column(folder / GROUP_FILE, "group", ids, labels)
    return key or "group", "text" if all(known) else "label"


def groups_differ(folder: Path, sd: Any, ids: Sequence[int]) -> list[str]:
    """Tell in words if ``cluster_group.tsv`` is not what was to be written."""
    written = cluster_tables.read_table(folder / GROUP_FILE).get("group", {})
    expected = {i: g or UNSORTED for i, g in zip(ids, _groups(sd), strict=True)}
    return [] if written == expected else [f"{GROUP_FILE} differs from the labels"]


def _groups(sd: Any) -> list[Any]:
    """Return the label of each unit, None where there is none."""
    key = group_key(sd)
    attributes = sd.neuron_attributes if key else None
    return [a.get(key) for a in attributes or [{}] * sd.N]


def electrode_key(sd: Any) -> str | None:
    """Return the attribute that holds the electrode of every unit, if one does."""
    for key in kinds.ELECTRODE_KEYS:
        if sd.neuron_attributes and all(key in a for a in sd.neuron_attributes):
            return key
    return None


def electrode_numbers(sd: Any) -> NDArray[np.int64] | None:
    """Return the electrode of each unit, shape (N,), None if they are no integers."""
    key = electrode_key(sd)
    values = [a[key] for a in sd.neuron_attributes] if key else []
    if not values or not all(map(_is_int64, values)):
        return None
    return np.array(values, dtype=np.int64)


def _is_int64(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and -(2**63) <= value < 2**63
