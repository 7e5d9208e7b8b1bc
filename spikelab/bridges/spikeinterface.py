"""From and to the sortings of SpikeInterface, from its sorting analyzers and folders."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.bridges import library
from spikelab.bridges.columns import as_array, as_attributes, stacked, warn_of
from spikelab.errors import warn
from spikelab.spikedata import time_units
from spikelab.spikedata.plain import without_units
from spikelab.spikedata.quantity import finite_ms, in_ms
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.unit_table import UnitTable

if TYPE_CHECKING:
    from spikeinterface.core import BaseSorting, NumpySorting, SortingAnalyzer

NO_IDS = "unit_ids_are_positions"
"""Annotation of a sorting of units without ids: its unit ids are not taken."""

SLACK_MS = 1e-6
"""How far a time may be carried out of its window by rounding."""

SPIKES = [("sample_index", "i8"), ("unit_index", "i8"), ("segment_index", "i8")]
"""Fields of SpikeInterface's vector of spikes, which is in the order of samples."""


def from_spikeinterface(
    sorting_or_analyzer: "BaseSorting | SortingAnalyzer",
    *,
    segment_index: int = 0,
    start_time: float | None = None,
    length: float | None = None,
) -> SpikeData:
    """Make a recording from a sorting or a sorting analyzer of SpikeInterface.

    Unit ids become the attribute ``unit_id``, properties attributes, annotations
    metadata. Of an analyzer, what was computed is taken too: ``quality_metrics``
    and ``template_metrics`` as attributes, ``templates`` as ``waveform_mean`` and
    ``waveform_sd`` (float32, samples x channels) with ``waveform_channels``, the
    ``electrode`` with the largest template, and ``unit_locations`` as ``location``.

    Parameters
    ----------
    sorting_or_analyzer : BaseSorting or SortingAnalyzer
        What to convert; every reader of SpikeInterface gives a sorting.
    segment_index : int
        The segment; there is a warning if there are more and the first is taken.
    start_time : float, optional
        Time of sample 0 in ms; by default what SpikeInterface says.
    length : float, optional
        Length of the recording in ms; by default that of the analyzer's or the
        registered recording, else up to the last spike.

    Returns
    -------
    SpikeData
        Missing values (NaN, None, "") are attributes that a unit does not have.
        ``metadata["fs_Hz"]`` is the sampling rate, ``metadata["waveform_unit"]``
        the unit of the waveforms, if SpikeInterface scaled them.

    Raises
    ------
    MissingExtraError
        Without SpikeInterface, of the extra ``spikeinterface``.
    TypeError
        If it is neither a sorting nor an analyzer.
    ValueError
        If there is no such segment, or a spike lies outside of a given window.

    Warns
    -----
    UserWarning
        If spikes lie outside of the recording, which is then extended.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> import numpy as np
    >>> from spikeinterface.core import NumpySorting
    >>> sorting = NumpySorting.from_unit_dict([{7: np.array([30, 60])}], 30_000.0)
    >>> sd = SpikeData.from_spikeinterface(sorting, length=100.0)
    >>> sd.train[0].tolist(), sd.neuron_attributes
    ([1.0, 2.0], [{'unit_id': 7}])
    """
    core = library("spikeinterface.core", "from_spikeinterface", "spikeinterface")
    analyzer: Any = None
    sorting: Any = sorting_or_analyzer
    if isinstance(sorting, core.SortingAnalyzer):
        analyzer, sorting = sorting, sorting.sorting
    if not isinstance(sorting, core.BaseSorting):
        raise TypeError(
            f"from_spikeinterface takes a sorting or a SortingAnalyzer, "
            f"got {sorting_or_analyzer!r:.80}"
        )
    segment = validate.index("segment_index", segment_index)
    count = sorting.get_num_segments()
    if not 0 <= segment < count:
        raise ValueError(f"segment_index must lie in 0..{count - 1}, got {segment}")
    if count > 1 and segment == 0:
        warn(f"the sorting has {count} segments, of which segment_index=0 is taken")
    spikes = sorting.to_spike_vector(concatenated=False)[segment]
    samples = spikes["sample_index"]
    first = None if start_time is None else finite_ms("start_time", start_time)
    times, start, stop = _timed(samples, sorting, analyzer, segment, first)
    trains = SpikeTrains.from_pairs(spikes["unit_index"], times, len(sorting.unit_ids))
    if length is None:
        start, length = _window(trains, start, stop)
    length = validate.not_negative("length", in_ms("length", length))
    metadata, attributes = _facts(sorting)
    if analyzer is not None:
        _add_metrics(analyzer, attributes)
        metadata |= _described(analyzer, attributes)
    return SpikeData(
        trains.moved_into(start, length, SLACK_MS),
        start_time=start,
        length=length,
        neuron_attributes=attributes if any(attributes) else None,
        metadata=metadata,
    )


def _timed(
    samples: NDArray[Any],
    sorting: Any,
    analyzer: Any,
    segment: int,
    first_ms: float | None,
) -> tuple[NDArray[np.float64], float, float | None]:
    """Return the times of samples, the start and, if it is known, the end in ms.

    `first_ms` is the time of sample 0, if the caller knows better than SpikeInterface.
    """
    fs_Hz, clock = float(sorting.sampling_frequency), None
    if sorting.has_recording():
        # From 0.104 on a sorting can be shifted against its recording.
        shifts = hasattr(sorting, "sample_index_to_time")
        clock = sorting if shifts else sorting._recording
    elif analyzer is not None and analyzer.has_recording():
        clock = analyzer.recording
    if clock is not None and clock.has_time_vector(segment_index=segment):
        vector = clock.get_times(segment_index=segment)
        start, stop = 1000.0 * float(vector[0]), 1000.0 * (vector[-1] + 1.0 / fs_Hz)
        shift = 0.0 if first_ms is None else first_ms - start
        times = 1000.0 * clock.sample_index_to_time(samples, segment_index=segment)
        return times + shift, start + shift, float(stop) + shift
    if first_ms is None:
        first_s = sorting._sorting_segments[segment]._t_start or 0.0
        if clock is not None:
            first_s = clock.sample_index_to_time(0, segment_index=segment)
        first_ms = 1000.0 * float(first_s)
    # Counted from time 0, where that is a sample, a time is right to the last bit.
    zero = first_ms * fs_Hz / 1000.0
    on_grid = abs(zero - round(zero)) <= max(1e-6, np.spacing(zero))
    offset = round(zero) if on_grid else 0
    shift = 0.0 if offset else first_ms
    times = time_units.to_ms(samples + offset, "samples", fs_Hz)
    times += shift
    counted = sorting if analyzer is None else analyzer
    if counted is sorting and not sorting.has_recording():
        return times, first_ms, None
    n_samples = int(counted.get_num_samples(segment))
    return times, first_ms, 1000.0 * ((n_samples + offset) / fs_Hz) + shift


def _window(
    trains: SpikeTrains, start: float, stop: float | None
) -> tuple[float, float]:
    """Return start and length in ms of the recording, extended to hold all spikes."""
    low, high = trains.extremes() if trains.n_spikes else (start, start)
    stop = max(start, high) if stop is None else stop
    if low < start - SLACK_MS or high > stop + SLACK_MS:
        warn(
            f"the sorting has spikes outside of its recording [{start}, {stop}] ms, "
            f"from {low} to {high} ms: the window is extended to them"
        )
        start, stop = min(start, low), max(stop, high)
    return start, stop - start


def _facts(sorting: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metadata of a sorting, and ids and properties of each unit."""
    columns = {key: sorting.get_property(key) for key in sorting.get_property_keys()}
    ids = np.asarray(sorting.unit_ids)
    are_positions = ids.tolist() == list(range(len(ids)))
    if "unit_id" not in columns and not (
        sorting.get_annotation(NO_IDS) and are_positions
    ):
        columns = {"unit_id": ids, **columns}
    metadata = {"fs_Hz": float(sorting.sampling_frequency)}
    keys = getattr(sorting, "get_annotation_keys", None) or sorting.get_annotations_keys
    for key in keys():
        if key not in ("name", NO_IDS) and not key.startswith("__"):
            metadata[key] = sorting.get_annotation(key)
    return metadata, as_attributes(columns, len(ids), missing_text="")


def _add_metrics(analyzer: Any, attributes: list[dict[str, Any]]) -> None:
    for name in ("quality_metrics", "template_metrics"):
        if analyzer.has_extension(name):
            table = analyzer.get_extension(name).get_data().loc[analyzer.unit_ids]
            columns = {key: table[key].to_numpy() for key in table.columns}
            found = as_attributes(columns, len(attributes))
            for row, known in zip(attributes, found, strict=True):
                row.update(known)


def _described(analyzer: Any, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Add templates, electrodes and locations to the attributes of units.

    Electrodes and locations that the sorting knows stay. Returns metadata of the
    recording: ``waveform_unit``, and ``channel_ids`` where they are no integers, so that
    electrodes are positions among them.
    """
    metadata: dict[str, Any] = {}
    channels = np.asarray(analyzer.channel_ids)
    try:
        electrodes = channels.astype(np.int64)
    except ValueError:  # names
        metadata["channel_ids"] = channels.tolist()
        electrodes = np.arange(len(channels), dtype=np.int64)
    positions, places, templates = analyzer.get_channel_locations(), None, {}
    if analyzer.has_extension("unit_locations"):
        places = analyzer.get_extension("unit_locations").get_data()
    if analyzer.has_extension("templates"):
        # Called return_scaled before 0.103.
        scaled = getattr(analyzer, "return_scaled", False)
        if getattr(analyzer, "return_in_uV", scaled):
            metadata["waveform_unit"] = "uV"
        templates = analyzer.get_extension("templates").data
    for name, key in (("average", "waveform_mean"), ("std", "waveform_sd")):
        for row, waveform in zip(attributes, templates.get(name, ()), strict=False):
            row[key] = np.asarray(waveform, dtype=np.float32)
            row["waveform_channels"] = electrodes.copy()
    units, means = UnitTable(attributes, len(attributes)), templates.get("average", ())
    for unit, row in enumerate(attributes):
        place: Any = None if places is None else places[unit]
        amplitudes = np.ptp(means[unit], axis=0) if len(means) else np.zeros(1)
        if np.max(amplitudes) > 0:  # not for NaN or zeros
            peak = int(np.argmax(amplitudes))
            place = positions[peak] if place is None else place
            if units.electrodes[unit] is None:
                row["electrode"] = int(electrodes[peak])
        is_new = units.locations[unit] is None and place is not None
        if is_new and np.isfinite(place).all():
            row["location"] = [float(x) for x in place]
    return metadata


def to_spikeinterface(sd: SpikeData, fs_Hz: float | None = None) -> "NumpySorting":
    """Return the spikes as a ``NumpySorting`` of SpikeInterface, with one segment.

    Unit ids are the distinct ``unit_id`` (str or int) of the units, else 0 to
    N - 1. Attributes become properties, metadata that JSON can hold annotations.
    Each spike goes to the nearest sample. The start of the segment is set, so that
    SpikeInterface shows the same seconds.

    Parameters
    ----------
    fs_Hz : float, optional
        Sampling rate, by default ``metadata["fs_Hz"]``.

    Raises
    ------
    MissingExtraError
        Without SpikeInterface, of the extra ``spikeinterface``.
    ValueError
        If no sampling rate is known.

    Warns
    -----
    UserWarning
        Names what a sorting does not hold: the length of the recording, times
        between samples, raw data, and metadata of other types.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[1.0, 2.0]], neuron_attributes=[{"unit_id": "a", "snr": 5.0}])
    >>> sorting = sd.to_spikeinterface(fs_Hz=30_000)
    >>> sorting.get_unit_spike_train("a").tolist(), sorting.get_property("snr").tolist()
    ([30, 60], [5.0])
    """
    core = library("spikeinterface.core", "to_spikeinterface", "spikeinterface")
    sd.check()
    sd, lost = without_units(sd)
    given = sd.metadata.get("fs_Hz") if fs_Hz is None else fs_Hz
    if given is None:
        raise ValueError("fs_Hz must be given, because metadata has no 'fs_Hz'")
    rate = time_units.rate_Hz("fs_Hz", time_units.fs_in_hz(given))
    trains, table, stop = sd.spike_trains, sd.unit_table, sd.start_time + sd.length
    time_units.fits_int64("spike times", trains.largest_ms(), rate)
    moved_ms, origin_ms = _origin(sd, rate)
    ids = _ids_of(table)
    spikes = _spike_vector(trains, origin_ms, rate)
    sorting: NumpySorting = core.NumpySorting(spikes, rate, ids)
    if origin_ms:
        segment = sorting._sorting_segments[0]
        segment._t_start = segment._native_t_start = origin_ms / 1000.0
    if sd.length and (not trains.n_spikes or trains.extremes()[1] < stop - SLACK_MS):
        lost.append(f"the length of the recording ({sd.length} ms)")
    if np.size(sd.raw_data):
        lost.append("raw_data")
    if moved_ms > 1e-6:
        lost.append(f"times between samples (spikes move by up to {moved_ms:.3g} ms)")
    are_ids = table.id_key == "unit_id" and ids.tolist() == table.unit_ids
    for key, column in table.columns.items():
        if not isinstance(key, str):
            lost.append(f"neuron_attributes {key!r}")
        elif key != "unit_id" or not are_ids:
            sorting.set_property(key, stacked(as_array(column, missing_text="")))
    annotations = {key: v for key, v in sd.metadata.items() if key != "fs_Hz"}
    if "unit_id" not in table.columns:
        annotations[NO_IDS] = True
    for key, value in annotations.items():
        try:
            json.dumps({key: value})  # or it could not be saved
            sorting.annotate(**{key: value})
        except (TypeError, ValueError):
            lost.append(f"metadata {key!r}")
    warn_of("to_spikeinterface", "NumpySorting", lost)
    return sorting


def _ids_of(table: UnitTable) -> NDArray[Any]:
    """Return the distinct ids of the units, int or str, else 0 to N - 1."""
    ids = np.array(table.unit_ids or [])
    is_usable = ids.size > 0 and ids.dtype.kind in "iuU"
    return ids if is_usable else np.arange(len(table))


def _origin(sd: SpikeData, fs_Hz: float) -> tuple[float, float]:
    """Return how far spikes move at most, and the time of sample 0, both in ms.

    It is the start of the recording, or the sample of time 0 before it, if spikes then
    move less.
    """
    per_ms = fs_Hz / 1000.0
    grid = float(np.floor(sd.start_time * per_ms + 1e-6) / per_ms)
    times = sd.spike_trains.flat
    shifts = {
        origin: time_units.moved_ms(times, "samples", fs_Hz, origin)
        for origin in {sd.start_time, grid}
    }
    # The start, if both move spikes as far.
    best = min(shifts, key=lambda origin: (shifts[origin], origin != sd.start_time))
    return shifts[best], best


def _spike_vector(trains: SpikeTrains, origin_ms: float, fs_Hz: float) -> NDArray[Any]:
    """Return all spikes as SpikeInterface has them, by sample, then by unit."""
    samples = time_units.from_ms(trains.flat - origin_ms, "samples", fs_Hz)
    units = trains.unit_indices(0, trains.n_spikes)
    spikes = np.zeros(trains.n_spikes, dtype=SPIKES)
    bits = max(len(trains) - 1, 1).bit_length()
    if trains.n_spikes and samples.max() < 2 ** (62 - bits):
        # Sorting one number for each spike is faster than finding their order.
        samples <<= bits
        samples |= units
        samples.sort()
        spikes["unit_index"] = samples & ((1 << bits) - 1)
        spikes["sample_index"] = samples >> bits
        return spikes
    order = np.argsort(samples, kind="stable")
    spikes["sample_index"], spikes["unit_index"] = samples[order], units[order]
    return spikes
