"""What a SortingAnalyzer of SpikeInterface has computed, as attributes of the units."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab.bridges.columns import as_attributes
from spikelab.spikedata.unit_table import UnitTable

METRICS = ("quality_metrics", "template_metrics")
"""Extensions that hold a table with one row per unit."""


def describe(analyzer: Any, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    """Add metrics, templates, electrodes and locations to the attributes of units.

    Electrodes and locations that the sorting knows stay. Returns metadata of the
    recording: ``waveform_unit``, and ``channel_ids`` where they are no integers, so that
    electrodes are positions among them.
    """
    for name in METRICS:
        if analyzer.has_extension(name):
            table = analyzer.get_extension(name).get_data().loc[analyzer.unit_ids]
            columns = {key: table[key].to_numpy() for key in table.columns}
            found = as_attributes(columns, len(attributes))
            for row, known in zip(attributes, found, strict=True):
                row.update(known)
    metadata: dict[str, Any] = {}
    channels = np.asarray(analyzer.channel_ids)
    try:
        electrodes = channels.astype(np.int64)
    except ValueError:  # names
        metadata["channel_ids"] = channels.tolist()
        electrodes = np.arange(len(channels), dtype=np.int64)
    peaks: list[int | None] = [None] * len(attributes)
    if analyzer.has_extension("templates"):
        # Called return_scaled before 0.103.
        scaled = getattr(analyzer, "return_scaled", False)
        if getattr(analyzer, "return_in_uV", scaled):
            metadata["waveform_unit"] = "uV"
        data = analyzer.get_extension("templates").data
        for name, key in (("average", "waveform_mean"), ("std", "waveform_sd")):
            for row, waveform in zip(attributes, data.get(name, ()), strict=False):
                row[key] = np.asarray(waveform, dtype=np.float32)
                row["waveform_channels"] = electrodes.copy()
        peaks = [_peak(waveform) for waveform in data.get("average", ())] or peaks
    _place(analyzer, attributes, electrodes, peaks)
    return metadata


def _peak(waveform: NDArray[Any]) -> int | None:
    """Return the channel with the largest amplitude, None for NaN or zeros."""
    amplitudes = np.ptp(waveform, axis=0)
    return int(np.argmax(amplitudes)) if np.max(amplitudes) > 0 else None


def _place(
    analyzer: Any,
    attributes: list[dict[str, Any]],
    electrodes: NDArray[np.int64],
    peaks: list[int | None],
) -> None:
    """Add the electrode with the largest waveform, and the location, where unknown."""
    table = UnitTable(attributes, len(attributes))
    channels, places = analyzer.get_channel_locations(), None
    if analyzer.has_extension("unit_locations"):
        places = analyzer.get_extension("unit_locations").get_data()
    for unit, (row, peak) in enumerate(zip(attributes, peaks, strict=True)):
        if table.electrodes[unit] is None and peak is not None:
            row["electrode"] = int(electrodes[peak])
        if table.locations[unit] is None:
            place = channels[peak] if peak is not None else None
            place = places[unit] if places is not None else place
            if place is not None and np.isfinite(place).all():
                row["location"] = [float(x) for x in place]
