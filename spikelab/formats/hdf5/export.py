"""The export function and the reader of the four styles."""

import functools
import os
from collections.abc import Mapping
from typing import Any, Generic, Literal, Never, TypedDict, TypeVar, Unpack, cast

import attrs
import h5py

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.base import StrPath
from spikelab.formats.functions import show_options
from spikelab.formats.hdf5.object_reader import read_plain
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.styles import GroupWriter, PairedWriter, RaggedWriter
from spikelab.formats.hdf5.writer import RAW_NAMES, HDF5Writer
from spikelab.formats.protect import PUBLISHED
from spikelab.formats.reading import RecordingKeywords, RecordingOptions
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.time_units import TimeUnit
from spikelab.storage.publish import readable

Style = Literal["raster", "ragged", "group", "paired"]

STYLES: dict[str, type[HDF5Writer]] = {
    writer.style: writer
    for writer in (RasterWriter, RaggedWriter, GroupWriter, PairedWriter)
}


_None = TypeVar("_None")
"""What stands for an option that is not given: None in the loader, nothing else here."""


class LayoutOptions(TypedDict, Generic[_None], total=False):
    """The options of all styles; their defaults are those of the writers."""

    raster_dataset: str | _None
    raster_bin_size_ms: float | None
    spike_times_dataset: str | _None
    spike_times_index_dataset: str | _None
    spike_times_unit: TimeUnit | _None
    fs_Hz: float | None
    group_per_unit: str | _None
    group_time_unit: TimeUnit | _None
    idces_dataset: str | _None
    times_dataset: str | _None
    times_unit: TimeUnit | _None
    raw_dataset: str | None
    raw_time_dataset: str | None
    raw_time_unit: TimeUnit | _None


class ExportOptions(LayoutOptions[Never], total=False):
    """The options of the export function beside the style."""

    verify: bool
    strict: bool
    storage_options: Mapping[str, Any] | None
    progress: bool
    overwrite: bool


class ReadOptions(LayoutOptions[None], RecordingKeywords, total=False):
    """The options of the reader."""


_FIELDS: dict[str, "attrs.Attribute[Any]"] = {
    name: next(w.options()[name] for w in STYLES.values() if name in w.options())
    for name in LayoutOptions.__annotations__
}
"""For each option of a style the field of a writer that has it."""

_UNKNOWN_UNITS = {"times_unit": "s", "raw_time_unit": "s"}
"""Units of files that do not say them, where writers have another default."""

_TIMES_OF = {
    "spike_times_unit": "spike_times_dataset",
    "group_time_unit": "group_per_unit",
    "times_unit": "times_dataset",
    "raw_time_unit": "raw_time_dataset",
}
"""For each option of a time unit, the one that names the times."""

_SPELLINGS = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
}
"""Attributes ``unit`` or ``units`` of datasets of times, in lower case."""

_EXAMPLE = (
    "load_spikedata_from_hdf5(path, idces_dataset='idces', times_dataset='times', "
    "times_unit='ms')"
)


def export_spikedata_to_hdf5(
    sd: DataObject,
    filepath: StrPath,
    *,
    style: Style = "ragged",
    **options: Unpack[ExportOptions],
) -> str:
    """Write a data object to a generic HDF5 file.

    The file says in attributes of its root how it was written (``style``, the options by
    their names, ``n_units``, ``start_time`` and ``length_ms`` in ms), so that
    :func:`~spikelab.load_spikedata_from_hdf5` needs nothing but its name. Attributes of
    the units and metadata of a SpikeData are not written; a pickle or an
    ``AnalysisWorkspace`` keeps them.

    Of the other classes the attribute ``__type__`` of the root says the name, and the
    group ``exact`` keeps as JSON what the following cannot say, so that they read back
    as they were:

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

    With attributes of the units, ``neuron_attributes`` has a dataset for each that fits
    into one, its first axis the unit.

    Parameters
    ----------
    sd : SpikeData or another data object
        The recording, or one of the classes above, which have no style, except for the
        slices of a SpikeSliceStack.
    filepath : path or S3 URL
        The file; replaced if it exists.
    style : {"ragged", "raster", "group", "paired"}
        Layout, in upper or lower case. ``ragged``: all times, unit after unit, and where
        each unit ends. ``raster``: spike counts, units by bins. ``group``: one dataset
        per unit. ``paired``: the unit and the time of each spike. Options of another
        style have no effect; a warning names those that are not at their default.
    {options}

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

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_hdf5("cells.h5")
    'cells.h5'
    >>> sd.to_hdf5("raster.h5", style="raster", raster_bin_size_ms=5)
    'raster.h5'
    """
    return _writer(style, **options).write(sd, filepath)


def _writer(style: Style = "ragged", **options: Unpack[ExportOptions]) -> HDF5Writer:
    """Return a writer with the options of the export function."""
    writer_class = _writer_class(style)
    own = writer_class.options()
    given = {name: None for name, f in own.items() if f.default is attrs.NOTHING}
    given.update(cast(dict[str, Any], options))
    others = {n: given.pop(n) for n in _FIELDS.keys() & given.keys() - own.keys()}
    for name, value in others.items():
        _check(name, value)
    useless = [n for n, v in others.items() if v not in (None, _FIELDS[n].default)]
    if useless:
        warn(
            f"without effect in style {writer_class.style!r}, because of another "
            f"style: {', '.join(sorted(useless))}"
        )
    return _made(writer_class, given)


export_spikedata_to_hdf5.writer = _writer  # type: ignore[attr-defined] # of any function


def read(filepath: StrPath, **options: Unpack[ReadOptions]) -> DataObject:
    """Read spike trains, or another data object, from a generic HDF5 file.

    A file that spikelab wrote says itself how it is laid out. For any other one, name the
    datasets of one style; a raster also needs `raster_bin_size_ms`. What is given here
    goes before what the file says, whether of the style or of the window; a window that
    neither says goes from 0, or the first spike if that is negative, to the last spike.
    Times are in seconds if neither says otherwise; a dataset of times can say it by an
    attribute ``units``, ``"ms"`` or ``"s"``. Names of units of the style ``group`` other
    than 0 to N - 1 become the attribute ``unit_id``. Vectors may have two dimensions, and
    whole numbers be doubles, as MATLAB stores them.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    {options}

    Returns
    -------
    data object
        A :class:`.SpikeData`, or what else the file holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file does not hold what its attributes, or the arguments, say.
    ValueError
        If the arguments do not name exactly one style.

    Examples
    --------
    >>> from spikelab import SpikeData, load_spikedata_from_hdf5
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load_spikedata_from_hdf5(sd.to_hdf5("cells.h5"))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    given = cast(dict[str, Any], options)
    layout = {n: given.pop(n) for n in _FIELDS.keys() & given.keys()}
    recording = RecordingOptions(**given)
    layout = {n: _of_reader(n, v) for n, v in layout.items() if v is not None}
    read_group = functools.partial(_read_group, _named_style(layout), layout)
    with (
        readable(
            filepath, recording.storage_options, progress=recording.progress
        ) as path,
        h5.opened(path) as file,
    ):
        recorded = h5.scalar_attributes(file)
        if not {"style", "__type__"} & recorded.keys() and set(recorded) != PUBLISHED:
            # Attributes of another program mean nothing, whatever their names.
            recorded = {n: recorded[n] for n in _OTHER_FILES & recorded.keys()}
        if recorded.get("__type__") in _OTHERS:
            found = read_plain(file, read_group)
        else:
            found = read_group(
                file,
                recorded,
                start_ms=recording.start_time_ms,
                length_ms=recording.length_ms,
                metadata=recording.metadata_with({}, source_file=os.fspath(filepath)),
            )
    recording.refuse_unless_recording(found)
    return found


def _writer_class(style: Any) -> type[HDF5Writer]:
    """Return the writer of a style, named in upper or lower case."""
    writer = STYLES.get(style.lower()) if isinstance(style, str) else None
    if writer is None:
        raise ValueError(f"style must be one of {tuple(STYLES)}, got {style!r}")
    return writer


def _made(writer: type[HDF5Writer], options: Mapping[str, Any]) -> HDF5Writer:
    """Return a writer with these options, by the names of the export function."""
    aliases = {name: str(f.alias) for name, f in writer.options().items()}
    return writer(**{aliases.get(name, name): v for name, v in options.items()})


def _check(name: str, value: Any) -> None:
    """Raise for an option that is wrong, whether the style has it or not."""
    validator = _FIELDS[name].validator
    if value is not None and validator is not None:
        validator(None, _FIELDS[name], value)


def _of_reader(name: str, value: Any) -> Any:
    """Return an option of the reader, checked."""
    if name in _NAMES and isinstance(value, str):
        value = value.lstrip("/")  # other programs name datasets from the root
    _check(name, value)
    return value


def _named_style(options: Mapping[str, Any]) -> str | None:
    """Return the style whose datasets the caller named, None if he named none."""
    named = [s for s, w in STYLES.items() if options.keys() & w.names]
    if len(named) > 1:
        raise ValueError(f"the datasets of one style must be named, got {named}")
    for style in named:
        for name in STYLES[style].names:
            if name not in options:
                raise ValueError(f"{name} must be given too for style {style!r}")
    return named[0] if named else None


def _read_group(
    style: str | None,
    options: Mapping[str, Any],
    group: h5py.Group,
    recorded: dict[str, Any],
    **known: Any,
) -> SpikeData:
    """Return the recording of a group; see :meth:`.HDF5Writer.read_group`."""
    try:
        chosen = style or recorded.get("style") or _recognised_style(group, recorded)
        writer_class = _writer_class(chosen)
        if writer_class is RasterWriter and "raster_bin_size_ms" not in recorded:
            name = {**recorded, **options}.get("raster_dataset", "raster")
            raster = h5.scalar_attributes(h5.member(group, name))
            recorded["raster_bin_size_ms"] = raster.get("bin_size_ms")
        said = {**_UNKNOWN_UNITS, **recorded, **options}
        said |= _noted_units(writer_class, group, {**recorded, **options})
        own = writer_class.options().keys()
        writer = _made(writer_class, {n: v for n, v in said.items() if n in own})
    except (TypeError, ValueError) as error:
        raise FormatError(str(error)) from error
    if useless := options.keys() - own:
        warn(
            f"without effect, because the file is of style {writer.style!r}: "
            f"{', '.join(sorted(useless))}"
        )
    if "raw_dataset" in options:
        h5.member(group, options["raw_dataset"])
    return writer.read_group(group, recorded, **known)


def _noted_units(
    writer_class: type[HDF5Writer], group: h5py.Group, said: Mapping[str, Any]
) -> dict[str, str]:
    """Return the time units that another program has noted at its datasets of times."""
    noted = {}
    for option, name in _TIMES_OF.items():
        path = said.get(name, _FIELDS[name].default)
        if name not in writer_class.options() or option in said or path is None:
            continue
        if h5.has_member(group, path):
            attributes = h5.scalar_attributes(h5.member(group, path))
            text = str(attributes.get("units", attributes.get("unit"))).lower()
            if text in _SPELLINGS:
                noted[option] = _SPELLINGS[text]
    return noted


def _recognised_style(group: h5py.Group, recorded: Mapping[str, Any]) -> str:
    """Return the style of a file that does not name it, by the default names."""
    if "__workspace_id__" in recorded:
        raise FormatError("it is a workspace; AnalysisWorkspace.load opens it")
    if "nwb_version" in recorded:
        raise FormatError("it is an NWB file; load_spikedata_from_nwb opens it")
    for style in ("ragged", "raster", "group"):
        writer = STYLES[style]
        defaults = [str(writer.options()[name].default) for name in writer.names]
        if all(h5.has_member(group, name) for name in defaults):
            return style
    raise FormatError(
        "it does not say how it is laid out; name its datasets and their time unit, as "
        f"in {_EXAMPLE}; {h5.listed(group)}"
    )


_NAMES = {*(name for w in STYLES.values() for name in w.names), *RAW_NAMES}
_OTHER_FILES = {"__workspace_id__", "nwb_version"}
_OTHERS = DATA_CLASSES.keys() - {"SpikeData"}

show_options(export_spikedata_to_hdf5, ExportOptions, list(STYLES.values()))
show_options(read, ReadOptions, [*STYLES.values(), RecordingOptions], only_none=True)
