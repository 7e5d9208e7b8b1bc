"""The reader of the four styles, and of files of other programs."""

import os
from collections.abc import Mapping
from typing import Any, Unpack, cast

import h5py

from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.functions import show_options
from spikelab.formats.hdf5.export import (
    OPTIONS,
    STYLES,
    LayoutOptions,
    checked,
    make_writer,
    of_other_styles,
    writer_class_of,
)
from spikelab.formats.hdf5.objects import ObjectReader, holding
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.values import read_json
from spikelab.formats.hdf5.writer import RAW_NAMES, HDF5Writer
from spikelab.formats.protect import PUBLISHED
from spikelab.formats.reading import RecordingKeywords, RecordingOptions
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.storage.publish import readable
from spikelab.storage.urls import StrPath

_NAMES = {*RAW_NAMES}.union(*(writer.names for writer in STYLES.values()))
"""The options that name a dataset or group."""

_UNIT_OPTIONS = {
    "spike_times_dataset": "spike_times_unit",
    "group_per_unit": "group_time_unit",
    "times_dataset": "times_unit",
    "raw_time_dataset": "raw_time_unit",
}
"""For each option that names times, the one of their time unit."""

_UNIT_SPELLINGS = {
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "samples": ("sample", "samples"),
}
"""How other programs spell a time unit, in lower case."""


class ReadOptions(LayoutOptions, RecordingKeywords, total=False):
    """The options of the reader."""


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
    layout = _layout({n: given.pop(n) for n in OPTIONS.keys() & given.keys()})
    recording = RecordingOptions(**given)
    with (
        readable(
            filepath, recording.storage_options, progress=recording.progress
        ) as path,
        h5.opened(path) as file,
    ):
        recorded = _recorded(file)
        kind = recorded.get("__type__")
        if kind in DATA_CLASSES.keys() - {"SpikeData"}:
            found = _read_object(file, str(kind), layout)
            recording.refuse_unless_recording(found)
            return found
        writer = _writer_of(file, recorded, layout)
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
        layout[name] = checked(name, value)
    named = [s for s, w in STYLES.items() if layout.keys() & w.names]
    if len(named) > 1:
        raise ValueError(f"the datasets of one style must be named, got {named}")
    for style in named:
        for name in STYLES[style].names:
            if name not in layout:
                raise ValueError(f"{name} must be given too for style {style!r}")
    return layout


def _recorded(file: h5py.File) -> dict[str, Any]:
    """Return what a file of spikelab says of itself at its root.

    Attributes of another program mean nothing, whatever their names.
    """
    attributes = h5.scalar_attributes(file)
    is_ours = "style" in attributes or "__type__" in attributes
    return attributes if is_ours or set(attributes) == PUBLISHED else {}


def _read_object(
    file: h5py.File, class_name: str, layout: Mapping[str, Any]
) -> DataObject:
    """Return the object without spikes, or the slices, that a file holds."""
    with holding(file.filename, class_name):
        apart = h5.member(file, "exact")
        reader, exact = ObjectReader(apart), read_json(apart, "value")
        parts = reader.read_parts(file, class_name, exact, exported=True)
        if class_name == "SpikeSliceStack":
            parts["spike_stack"] = []
            for i, tree in enumerate(exact["slices"]):
                group = h5.member(file, f"slices/{i}")
                recorded = h5.scalar_attributes(group)
                attributes, metadata = reader.decode(tree)
                sd = _writer_of(group, recorded, layout).read_group(
                    group, recorded, neuron_attributes=attributes, metadata=metadata
                )
                parts["spike_stack"].append(sd)
        return reader.build(file, class_name, parts, exact)


def _writer_of(
    group: h5py.Group, recorded: Mapping[str, Any], given: Mapping[str, Any]
) -> HDF5Writer:
    """Return the writer that would lay out a group, with attributes `recorded`, as it is.

    Options that the caller has given go before what the attributes say, and these before
    what another program has noted at a dataset of times.
    """
    try:
        writer_class = writer_class_of(_style(group, recorded, given))
        fields, known = writer_class.options(), {**recorded, **given}
        options = {name: known[name] for name in fields if name in known}
        if writer_class is RasterWriter and "raster_bin_size_ms" not in options:
            raster = h5.member(group, options.get("raster_dataset", "raster"))
            noted = h5.scalar_attributes(raster)
            options["raster_bin_size_ms"] = noted.get("bin_size_ms")
        for name, unit_option in _UNIT_OPTIONS.items():
            if name in fields and unit_option not in options:
                place = options.get(name, fields[name].default)
                if place is not None:
                    options[unit_option] = _noted_unit(group, place) or "s"
        writer = make_writer(writer_class, options)
    except (TypeError, ValueError) as error:
        raise FormatError(str(error)) from error
    if without_effect := sorted(of_other_styles(writer_class, given)):
        warn(
            f"without effect, because the file is of style {writer.style!r}: "
            f"{', '.join(without_effect)}"
        )
    if "raw_dataset" in given:
        h5.member(group, given["raw_dataset"])
    return writer


def _style(
    group: h5py.Group, recorded: Mapping[str, Any], given: Mapping[str, Any]
) -> Any:
    """Return the style whose datasets the caller names, else the one of the file."""
    for style, writer_class in STYLES.items():
        if not given.keys().isdisjoint(writer_class.names):
            return style
    if "style" in recorded:
        return recorded["style"]
    if "__workspace_id__" in group.attrs:
        raise FormatError("it is a workspace; AnalysisWorkspace.load opens it")
    if "nwb_version" in group.attrs:
        raise FormatError("it is an NWB file; load_spikedata_from_nwb opens it")
    if "nwb_version" in group:
        raise FormatError("it is an NWB 1 file, which is not read; NWB 2 files are")
    for style in ("ragged", "raster", "group"):
        names = [str(OPTIONS[name].default) for name in STYLES[style].names]
        if all(h5.has_member(group, name) for name in names):
            return style
    raise FormatError(
        "it does not say how it is laid out; name its datasets and their time unit, as "
        "in load_spikedata_from_hdf5(path, idces_dataset='idces', "
        f"times_dataset='times', times_unit='ms'); {h5.listed(group)}"
    )


def _noted_unit(group: h5py.Group, place: str) -> str | None:
    """Return the time unit that another program has noted at times, or at the first."""
    if not h5.has_member(group, place):
        return None
    times = h5.member(group, place)
    if isinstance(times, h5py.Group) and len(times) and "units" not in times.attrs:
        times = h5.member(times, next(iter(times)))
    attributes = h5.scalar_attributes(times)
    noted = attributes.get("units", attributes.get("unit"))
    if not isinstance(noted, str):
        return None
    spelling = noted.strip(" .[]()").lower()
    for unit, spellings in _UNIT_SPELLINGS.items():
        if spelling in spellings:
            return unit
    warn(f"the unit {noted!r} of {place} is not known: its times are taken for seconds")
    return None


show_options(read, ReadOptions, [*STYLES.values(), RecordingOptions], only_none=True)
