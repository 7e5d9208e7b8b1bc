"""The export function and the reader of the four styles."""

import os
from collections.abc import Mapping
from typing import Any, Literal

import h5py

from spikelab import checks, destinations, units
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import siblings as hdf5_siblings
from spikelab.formats.hdf5.group import GroupWriter
from spikelab.formats.hdf5.paired import PairedWriter
from spikelab.formats.hdf5.ragged import RaggedWriter
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.formats.reading import RecordingOptions
from spikelab.kinds import Contents
from spikelab.units import TimeUnit

Style = Literal["raster", "ragged", "group", "paired"]

STYLES: dict[str, type[HDF5Writer]] = {
    writer.style: writer
    for writer in (RasterWriter, RaggedWriter, GroupWriter, PairedWriter)
}

_DEFAULTS: dict[str, Any] = {
    "raster_dataset": "raster",
    "spike_times_dataset": "spike_times",
    "spike_times_index_dataset": "spike_times_index",
    "group_per_unit": "units",
    "times_unit": "s",
    "raw_time_unit": "s",
}
"""How a file is read that does not say it, and of which the caller does not."""

_DATASETS: dict[str, tuple[str, ...]] = {
    "raster": ("raster_dataset",),
    "ragged": ("spike_times_dataset", "spike_times_index_dataset"),
    "group": ("group_per_unit",),
    "paired": ("idces_dataset", "times_dataset"),
}
"""The options that, when a file is read, say which style it has."""


def export_spikedata_to_hdf5(
    sd: Any,
    filepath: str | os.PathLike[str],
    *,
    style: Style = "ragged",
    raster_dataset: str = "raster",
    raster_bin_size_ms: float | None = None,
    spike_times_dataset: str = "spike_times",
    spike_times_index_dataset: str = "spike_times_index",
    spike_times_unit: TimeUnit = "s",
    fs_Hz: float | None = None,
    group_per_unit: str = "units",
    group_time_unit: TimeUnit = "s",
    idces_dataset: str = "idces",
    times_dataset: str = "times",
    times_unit: TimeUnit = "ms",
    raw_dataset: str | None = None,
    raw_time_dataset: str | None = None,
    raw_time_unit: TimeUnit = "ms",
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Write a data object to a generic HDF5 file.

    The file says in attributes of its root how it was written (``style``, the
    options by their names, ``n_units``, ``start_time`` and ``length_ms`` in ms),
    so that :func:`~spikelab.load_spikedata_from_hdf5` needs nothing but its name.
    Attributes of the units and metadata of a SpikeData are not written; a pickle
    or an ``AnalysisWorkspace`` keeps them.

    Of the other classes the attribute ``__type__`` of the root tells the name,
    and the group ``exact`` keeps all that the following cannot say, attributes
    of units and metadata included, so that they read back as they were:

    =========================== =================================================
    ``SpikeSliceStack``         ``slices/0``, ``slices/1``, ...: each a recording
                                in the chosen style; ``windows`` (S, 2) in ms
    ``RateData``                ``rates`` (N, T), ``times`` (T,) in ms; attribute
                                ``rate_unit``
    ``RateSliceStack``          ``rates`` (U, T, S), ``windows`` (S, 2) in ms;
                                attribute ``step_ms``
    ``PairwiseCompMatrix``      ``matrix`` (n, n), ``labels`` (n,); attribute
                                ``metadata``, as JSON
    ``PairwiseCompMatrixStack`` ``stack`` (n, n, S), ``labels`` (n,), ``windows``
                                (S, 2) in ms; attribute ``metadata``, as JSON
    =========================== =================================================

    With attributes of the units, ``neuron_attributes`` has a dataset for each
    that fits into one, its first axis the unit.

    Parameters
    ----------
    sd : SpikeData or another data object
        The recording, or one of the classes above, which have no style, except
        for the slices of a SpikeSliceStack.
    filepath : path or S3 URL
        The file; replaced if it exists.
    style : {"ragged", "raster", "group", "paired"}
        Layout, in upper or lower case. ``ragged``: all times, unit after unit,
        and where each unit ends. ``raster``: spike counts, units by bins.
        ``group``: one dataset per unit. ``paired``: the unit and the time of
        each spike.
    raster_dataset : str
        Name of the counts, unsigned integers of shape (N, bins).
    raster_bin_size_ms : float, optional
        Width of a bin in ms, needed for ``raster``.
    spike_times_dataset, spike_times_index_dataset : str
        Names of the times (spikes,) and of the ends (N,), int64, of ``ragged``.
    spike_times_unit : {"s", "ms", "samples"}
        Time unit of ``ragged``. Times are float64; samples are int64, rounded.
    fs_Hz : float, optional
        Sampling rate, needed if a unit is ``"samples"``.
    group_per_unit : str
        Name of the group with a dataset for each unit, which are named 0 to N - 1.
    group_time_unit : {"s", "ms", "samples"}
        Time unit of ``group``.
    idces_dataset, times_dataset : str
        Names of the units (spikes,), int64, and of the times of ``paired``.
    times_unit : {"ms", "s", "samples"}
        Time unit of ``paired``.
    raw_dataset, raw_time_dataset : str, optional
        Names for the raw voltages and their times; written if both are given
        and the recording has raw data.
    raw_time_unit : {"ms", "s", "samples"}
        Time unit of the raw times.
    verify : bool
        Read the file back and compare, before it replaces an earlier one.
    strict : bool
        Raise an error if the file cannot carry all that the object holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.

    Returns
    -------
    str
        `filepath`.

    Raises
    ------
    TypeError
        If `sd` is not a data object that this format can hold.
    ValueError
        If an option is wrong or missing, or two datasets have the same name.
    OSError
        If the file cannot be written; an earlier one is then as it was.
    """
    options = {
        "raster_dataset": raster_dataset,
        "raster_bin_size_ms": raster_bin_size_ms,
        "spike_times_dataset": spike_times_dataset,
        "spike_times_index_dataset": spike_times_index_dataset,
        "spike_times_unit": spike_times_unit,
        "fs_Hz": fs_Hz,
        "group_per_unit": group_per_unit,
        "group_time_unit": group_time_unit,
        "idces_dataset": idces_dataset,
        "times_dataset": times_dataset,
        "times_unit": times_unit,
        "raw_dataset": raw_dataset,
        "raw_time_dataset": raw_time_dataset,
        "raw_time_unit": raw_time_unit,
    }
    chosen = _style(style)
    for name, value in options.items():
        if value is not None:
            _check(name, value)
    writer = chosen.from_options(
        options,
        verify=verify,
        strict=strict,
        storage_options=storage_options,
        progress=progress,
    )
    return writer.write(sd, filepath)


def _style(name: Any) -> type[HDF5Writer]:
    """Return the writer of a style, named in upper or lower case."""
    writer = STYLES.get(name.lower()) if isinstance(name, str) else None
    if writer is None:
        raise ValueError(f"style must be one of {tuple(STYLES)}, got {name!r}")
    return writer


def read(
    filepath: str | os.PathLike[str],
    *,
    raster_dataset: str | None = None,
    raster_bin_size_ms: float | None = None,
    spike_times_dataset: str | None = None,
    spike_times_index_dataset: str | None = None,
    spike_times_unit: TimeUnit | None = None,
    fs_Hz: float | None = None,
    group_per_unit: str | None = None,
    group_time_unit: TimeUnit | None = None,
    idces_dataset: str | None = None,
    times_dataset: str | None = None,
    times_unit: TimeUnit | None = None,
    raw_dataset: str | None = None,
    raw_time_dataset: str | None = None,
    raw_time_unit: TimeUnit | None = None,
    length_ms: float | None = None,
    start_time_ms: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Contents:
    """Read spike trains from a generic HDF5 file.

    A file that spikelab wrote says itself how it is laid out. For any other
    one, name its datasets: one of `raster_dataset` (with
    `raster_bin_size_ms`), `spike_times_dataset` with
    `spike_times_index_dataset`, `group_per_unit`, or `idces_dataset` with
    `times_dataset`. What is given here goes before what the file says.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    raster_dataset, spike_times_dataset, spike_times_index_dataset : str, optional
        Names of datasets, see
        :func:`~spikelab.data_loaders.data_exporters.export_spikedata_to_hdf5`.
    group_per_unit, idces_dataset, times_dataset : str, optional
        Names of a group and of datasets.
    raster_bin_size_ms : float, optional
        Width of a bin in ms.
    spike_times_unit, group_time_unit, times_unit : {"s", "ms", "samples"}, optional
        Time unit of the spike times; seconds if neither the file nor the
        caller says otherwise.
    fs_Hz : float, optional
        Sampling rate, needed if a unit is ``"samples"``.
    raw_dataset, raw_time_dataset : str, optional
        Names of the raw voltages and their times.
    raw_time_unit : {"s", "ms", "samples"}, optional
        Time unit of the raw times.
    length_ms, start_time_ms : float, optional
        The recording window in ms. If nothing tells it, it goes from 0, or
        the first spike if that is negative, to the last spike.
    metadata : mapping, optional
        Metadata of the recording; ``source_file`` is added.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

    Returns
    -------
    SpikeData
        The recording. :func:`spikelab.load` takes files of other classes too.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file does not hold what its attributes, or the arguments, say.
    ValueError
        If the arguments do not name exactly one style.
    """
    given = {
        "raster_dataset": raster_dataset,
        "raster_bin_size_ms": raster_bin_size_ms,
        "spike_times_dataset": spike_times_dataset,
        "spike_times_index_dataset": spike_times_index_dataset,
        "spike_times_unit": spike_times_unit,
        "fs_Hz": fs_Hz,
        "group_per_unit": group_per_unit,
        "group_time_unit": group_time_unit,
        "idces_dataset": idces_dataset,
        "times_dataset": times_dataset,
        "times_unit": times_unit,
        "raw_dataset": raw_dataset,
        "raw_time_dataset": raw_time_dataset,
        "raw_time_unit": raw_time_unit,
    }
    recording = RecordingOptions(
        start_time_ms=start_time_ms, length_ms=length_ms, metadata=metadata
    )
    options = {n: _of_reader(n, v) for n, v in given.items() if v is not None}
    style = _named_style(options)
    with (
        destinations.local_copy(filepath, storage_options, progress=progress) as path,
        h5.opened(path) as file,
    ):
        if hdf5_siblings.kind_in(file) is not None:
            contents = hdf5_siblings.read(
                file, lambda group: _writer_of(group, style, options)
            )
        else:
            writer = _writer_of(file, style, options)
            if "raw_dataset" in options:
                h5.member(file, options["raw_dataset"])
            contents = writer.read_group(file, start_time_ms, length_ms)
    return recording.described(contents, source_file=os.fspath(filepath))


def _check(name: str, value: Any) -> None:
    """Raise for an option that is wrong, whether the style has it or not."""
    if name.endswith(("time_unit", "times_unit")):
        units.time_unit(name, value)
    elif name in ("fs_Hz", "raster_bin_size_ms"):
        checks.positive(name, value)
    else:
        checks.dataset_name(name, value)


def _of_reader(name: str, value: Any) -> Any:
    """Return an option of the reader, checked."""
    if name in _PLACES and isinstance(value, str):
        # Other programs name datasets from the root.
        value = value.lstrip("/")
    _check(name, value)
    return value


_PLACES = {
    *(name for names in _DATASETS.values() for name in names),
    *("raw_dataset", "raw_time_dataset"),
}


def _named_style(options: Mapping[str, Any]) -> str | None:
    """Return the style whose datasets the caller named, None if he named none."""
    named = [s for s, names in _DATASETS.items() if any(n in options for n in names)]
    if len(named) > 1:
        raise ValueError(f"the datasets of one style must be named, got {named}")
    for style in named:
        missing = [name for name in _DATASETS[style] if name not in options]
        if missing:
            raise ValueError(f"{missing[0]} must be given too for style {style!r}")
    return named[0] if named else None


def _writer_of(
    file: h5py.Group, style: str | None, options: dict[str, Any]
) -> HDF5Writer:
    """Return the writer that would have written the file, or a group in it."""
    recorded = h5.scalar_attributes(file)
    name = style or recorded.get("style") or _recognised_style(file)
    if name == "raster":
        raster = {**_DEFAULTS, **recorded, **options}["raster_dataset"]
        attributes = h5.scalar_attributes(h5.member(file, raster))
        recorded.setdefault("raster_bin_size_ms", attributes.get("bin_size_ms"))
    try:
        return _style(name).from_options({**_DEFAULTS, **recorded, **options})
    except (TypeError, ValueError) as error:
        raise FormatError(f"{file.file.filename}: {error}") from error


def _recognised_style(file: h5py.Group) -> str:
    """Return the style of a file that does not name it, by the default names."""
    if "__workspace_id__" in file.attrs:
        raise FormatError(
            f"{file.file.filename} is a workspace; AnalysisWorkspace.load opens it"
        )
    for style in ("ragged", "raster", "group"):
        if all(h5.has_member(file, _DEFAULTS[n]) for n in _DATASETS[style]):
            return style
    raise FormatError(
        f"{file.file.filename} does not say how it is laid out; name its datasets and "
        "their time unit, as in load_spikedata_from_hdf5(path, idces_dataset='idces', "
        "times_dataset='times', times_unit='ms')"
    )
