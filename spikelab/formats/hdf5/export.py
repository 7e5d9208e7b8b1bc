"""The export function and the reader of the four styles."""

import os
from collections.abc import Mapping
from typing import Any, Literal, TypedDict, Unpack, cast

import attrs
import h5py

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.functions import show_options
from spikelab.formats.hdf5.objects import ObjectReader, holding
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.styles import GroupWriter, PairedWriter, RaggedWriter
from spikelab.formats.hdf5.values import read_json
from spikelab.formats.hdf5.writer import RAW_NAMES, HDF5Writer
from spikelab.formats.protect import PUBLISHED
from spikelab.formats.reading import RecordingKeywords, RecordingOptions
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.time_units import TimeUnit
from spikelab.storage.publish import readable
from spikelab.storage.urls import StrPath

Style = Literal["raster", "ragged", "group", "paired"]

STYLES: dict[str, type[HDF5Writer]] = {
    writer.style: writer
    for writer in (RasterWriter, RaggedWriter, GroupWriter, PairedWriter)
}


class LayoutOptions(TypedDict, total=False):
    """The options of all styles; their defaults are those of the writers."""

    raster_dataset: str | None
    raster_bin_size_ms: float | None
    spike_times_dataset: str | None
    spike_times_index_dataset: str | None
    spike_times_unit: TimeUnit | None
    fs_Hz: float | None
    group_per_unit: str | None
    group_time_unit: TimeUnit | None
    idces_dataset: str | None
    times_dataset: str | None
    times_unit: TimeUnit | None
    raw_dataset: str | None
    raw_time_dataset: str | None
    raw_time_unit: TimeUnit | None


class ExportOptions(LayoutOptions, total=False):
    """The options of the export function beside the style."""

    verify: bool
    strict: bool
    storage_options: Mapping[str, Any] | None
    progress: bool
    overwrite: bool


class ReadOptions(LayoutOptions, RecordingKeywords, total=False):
    """The options of the reader."""


_FIELDS: dict[str, "attrs.Attribute[Any]"] = {
    name: next(w.options()[name] for w in STYLES.values() if name in w.options())
    for name in LayoutOptions.__annotations__
}
"""For each option of a style the field of a writer that has it."""

_NAMES = {*(name for w in STYLES.values() for name in w.names), *RAW_NAMES}
"""The options that name a dataset or group."""

_UNITS_OF = {
    "spike_times_dataset": "spike_times_unit",
    "group_per_unit": "group_time_unit",
    "times_dataset": "times_unit",
    "raw_time_dataset": "raw_time_unit",
}
"""For each option that names times, the one of their time unit."""

_SPELLINGS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("sample", "samples"), "samples"),
}
"""Attributes ``unit`` or ``units`` of datasets of times, in lower case."""

_OTHER_FILES = {"__workspace_id__", "nwb_version"}
"""Attributes of the root that say that a file is of another format."""

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
    given, writer_class = cast(dict[str, Any], options), _writer_class(style)
    others = {name: given.pop(name) for name in _of_others(writer_class, given)}
    for name, value in others.items():
        _checked(name, value)
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
    layout = _layout({n: given.pop(n) for n in _FIELDS.keys() & given.keys()})
    recording = RecordingOptions(**given)
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
        kind = recorded.get("__type__")
        if kind in DATA_CLASSES.keys() - {"SpikeData"}:
            found = _read_object(file, str(kind), layout)
            recording.refuse_unless_recording(found)
            return found
        writer = _style_of(file, recorded, layout)
        rate = {} if writer.fs_Hz is None else {"fs_Hz": float(writer.fs_Hz)}
        return writer.read_group(
            file,
            recorded,
            start_ms=recording.start_time_ms,
            length_ms=recording.length_ms,
            metadata=recording.metadata_with(rate, source_file=os.fspath(filepath)),
        )


def _layout(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that say where a style has its datasets, checked."""
    layout = {n: value for n, value in given.items() if value is not None}
    for name, value in layout.items():
        if name in _NAMES and isinstance(value, str):
            value = value.lstrip("/")  # others name it from the root
        layout[name] = _checked(name, value)
    named = [s for s, w in STYLES.items() if layout.keys() & w.names]
    if len(named) > 1:
        raise ValueError(f"the datasets of one style must be named, got {named}")
    for style in named:
        for name in STYLES[style].names:
            if name not in layout:
                raise ValueError(f"{name} must be given too for style {style!r}")
    return layout


def _read_object(
    file: h5py.File, class_name: str, layout: Mapping[str, Any]
) -> DataObject:
    """Return the object without spikes, or the slices, that a file holds."""
    json = read_json(h5.member(file, "exact"), "value")
    if not isinstance(json, dict) or json.get("class") != class_name:
        raise FormatError(
            f"{file.filename} says that it holds a {class_name}, but its JSON is of "
            "another class"
        )
    reader = ObjectReader(file["exact"])
    with holding(file.filename, class_name):
        exact = json.get("parts") or {}
        parts = reader.read_parts(file, class_name, exact, exported=True)
        if class_name == "SpikeSliceStack":
            parts["spike_stack"] = []
            for i, tree in enumerate(exact["slices"]):
                group = h5.member(file, f"slices/{i}")
                recorded = h5.scalar_attributes(group)
                attributes, metadata = reader.decode(tree)
                sd = _style_of(group, recorded, layout).read_group(
                    group, recorded, neuron_attributes=attributes, metadata=metadata
                )
                parts["spike_stack"].append(sd)
        return reader.build(file, class_name, parts, exact)


def _writer_class(style: Any) -> type[HDF5Writer]:
    """Return the writer of a style, named in upper or lower case."""
    writer = STYLES.get(style.lower()) if isinstance(style, str) else None
    if writer is None:
        raise ValueError(f"style must be one of {tuple(STYLES)}, got {style!r}")
    return writer


def _of_others(writer: type[HDF5Writer], options: Mapping[str, Any]) -> set[str]:
    """Return the options that only other styles have."""
    return _FIELDS.keys() & options.keys() - writer.options().keys()


def _made(writer: type[HDF5Writer], options: dict[str, Any]) -> HDF5Writer:
    """Return a writer with these options, by the names of the export function."""
    if writer is RasterWriter:
        options["bin_size_ms"] = options.pop("raster_bin_size_ms", None)
    return writer(**options)


def _checked(name: str, value: Any) -> Any:
    """Return an option, or raise if it is wrong, whether the style has it or not."""
    field = _FIELDS[name]
    if value is not None and field.converter is not None:
        value = field.converter(value)  # type: ignore[operator] # no Converter object
    if value is not None and field.validator is not None:
        field.validator(None, field, value)
    return value


def _style_of(
    group: h5py.Group, recorded: dict[str, Any], options: Mapping[str, Any]
) -> HDF5Writer:
    """Return the writer of which a group, with attributes `recorded`, is the work.

    Options of the caller go before what the attributes say, and these before what
    another program has noted at a dataset of times.
    """
    said = {**recorded, **options}
    named = [style for style, w in STYLES.items() if options.keys() & w.names]
    try:
        if not named and "style" not in recorded:
            named = [_recognised_style(group, recorded)]
        writer_class = _writer_class(named[0] if named else recorded["style"])
        own = writer_class.options()
        if "raster_bin_size_ms" in own and "raster_bin_size_ms" not in said:
            raster = h5.member(group, said.get("raster_dataset", "raster"))
            noted = h5.scalar_attributes(raster)
            said["raster_bin_size_ms"] = noted.get("bin_size_ms")
        for name, unit in _UNITS_OF.items():
            path = said.get(name, _FIELDS[name].default)
            if name in own and unit not in said and path is not None:
                said[unit] = _noted_unit(group, path) or "s"
        writer = _made(writer_class, {n: v for n, v in said.items() if n in own})
    except (TypeError, ValueError) as error:
        raise FormatError(str(error)) from error
    if useless := _of_others(writer_class, options):
        warn(
            f"without effect, because the file is of style {writer.style!r}: "
            f"{', '.join(sorted(useless))}"
        )
    if "raw_dataset" in options:
        h5.member(group, options["raw_dataset"])
    return writer


def _noted_unit(group: h5py.Group, path: str) -> str | None:
    """Return the time unit that another program has noted at times, or at the first."""
    found = h5.member(group, path) if h5.has_member(group, path) else None
    if isinstance(found, h5py.Group) and len(found) and "units" not in found.attrs:
        found = h5.member(found, next(iter(found)))
    noted = {} if found is None else h5.scalar_attributes(found)
    text = noted.get("units", noted.get("unit"))
    if not isinstance(text, str):
        return None
    unit = _SPELLINGS.get(text.strip(" .[]()").lower())
    if unit is None:
        warn(
            f"the unit {text!r} of {path} is not known: its times are taken for seconds"
        )
    return unit


def _recognised_style(group: h5py.Group, recorded: Mapping[str, Any]) -> str:
    """Return the style of a file that does not name it, by the default names."""
    if "__workspace_id__" in recorded:
        raise FormatError("it is a workspace; AnalysisWorkspace.load opens it")
    if "nwb_version" in recorded:
        raise FormatError("it is an NWB file; load_spikedata_from_nwb opens it")
    if "nwb_version" in group:
        raise FormatError("it is an NWB 1 file, which is not read; NWB 2 files are")
    for style in ("ragged", "raster", "group"):
        names = [str(_FIELDS[name].default) for name in STYLES[style].names]
        if all(h5.has_member(group, name) for name in names):
            return style
    raise FormatError(
        "it does not say how it is laid out; name its datasets and their time unit, as "
        f"in {_EXAMPLE}; {h5.listed(group)}"
    )


show_options(export_spikedata_to_hdf5, ExportOptions, list(STYLES.values()))
show_options(read, ReadOptions, [*STYLES.values(), RecordingOptions], only_none=True)
