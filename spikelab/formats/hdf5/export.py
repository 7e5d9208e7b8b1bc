"""The export function of the four styles, and their options."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, Unpack, cast

import attrs

from spikelab.errors import warn
from spikelab.formats.functions import show_options
from spikelab.formats.hdf5.raster import RasterWriter
from spikelab.formats.hdf5.styles import GroupWriter, PairedWriter, RaggedWriter
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.time_units import TimeUnit
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


OPTIONS: dict[str, "attrs.Attribute[Any]"] = {
    name: next(w.options()[name] for w in STYLES.values() if name in w.options())
    for name in LayoutOptions.__annotations__
}
"""For each option of a style the field of a writer that has it."""


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
    given, writer_class = cast(dict[str, Any], options), writer_class_of(style)
    others = {name: given.pop(name) for name in of_other_styles(writer_class, given)}
    without_effect = []
    for name, value in sorted(others.items()):
        checked(name, value)
        if value not in (None, OPTIONS[name].default):
            without_effect.append(name)
    if without_effect:
        warn(
            f"without effect in style {writer_class.style!r}, because of another "
            f"style: {', '.join(without_effect)}"
        )
    return make_writer(writer_class, given)


export_spikedata_to_hdf5.writer = _writer  # type: ignore[attr-defined] # of any function


def writer_class_of(style: Any) -> type[HDF5Writer]:
    """Return the writer of a style, named in upper or lower case."""
    writer = STYLES.get(style.lower()) if isinstance(style, str) else None
    if writer is None:
        raise ValueError(f"style must be one of {tuple(STYLES)}, got {style!r}")
    return writer


def of_other_styles(writer: type[HDF5Writer], options: Mapping[str, Any]) -> set[str]:
    """Return the options that only other styles have."""
    return OPTIONS.keys() & options.keys() - writer.options().keys()


def make_writer(writer: type[HDF5Writer], options: dict[str, Any]) -> HDF5Writer:
    """Return a writer with these options, by the names of the export function."""
    if writer is RasterWriter:
        options["bin_size_ms"] = options.pop("raster_bin_size_ms", None)
    return writer(**options)


def checked(name: str, value: Any) -> Any:
    """Return an option, or raise if it is wrong, whether the style has it or not."""
    field = OPTIONS[name]
    if value is not None and field.converter is not None:
        value = field.converter(value)  # type: ignore[operator] # no Converter object
    if value is not None and field.validator is not None:
        field.validator(None, field, value)
    return value


show_options(export_spikedata_to_hdf5, ExportOptions, list(STYLES.values()))
