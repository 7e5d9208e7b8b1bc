"""Mean waveforms of the units as the columns that NWB has for them."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats.nwb.column_packing import gap_note
from spikelab.formats.nwb.unit_columns import StoredColumn
from spikelab.spikedata.unit_table import MISSING, UnitTable

NAMES = ("waveform_mean", "waveform_sd")
"""The columns of the Units table, and the attributes that they hold."""

UNKNOWN_UNIT = "unknown"
"""Written as the unit of waveforms of which the unit is not known."""

_SYNONYMS = ("template", "avg_waveform")
"""Attributes that hold the mean waveform of a unit that has no ``waveform_mean``."""


def waveform_columns(table: UnitTable) -> list[StoredColumn]:
    """Return the columns ``waveform_mean`` and ``waveform_sd``, if units have any.

    Parameters
    ----------
    table : UnitTable
        What is known about each unit. Waveforms are real numbers of shape (samples,)
        or (samples, channels).

    Returns
    -------
    list of StoredColumn
        Data of shape (N, samples) or (N, samples, channels), NaN where a unit has
        no waveform, or a smaller one than others. A synonym that all units use is the
        key of its column.
    """
    columns = []
    for name in NAMES:
        keys = (name, *_SYNONYMS) if name == NAMES[0] else (name,)
        if not any(key in table.columns for key in keys):
            continue
        found = [_waveform(row, keys) for row in table.rows]
        known = [wave for _, wave in found if wave is not None]
        if known:
            used = {key for key, wave in found if wave is not None}
            key = used.pop() if len(used) == 1 else name
            columns.append(_column(name, key, [wave for _, wave in found], table))
    return columns


def _waveform(row: Any, keys: Sequence[str]) -> tuple[str, NDArray[Any] | None]:
    """Return the first of `keys` under which a unit has a waveform, and that."""
    for key in keys:
        try:
            wave = np.asarray(row.get(key))
        except ValueError:  # lists nested unevenly
            continue
        is_real = wave.dtype.kind in "iuf" and wave.dtype.itemsize <= 8
        if is_real and wave.ndim in (1, 2) and wave.size and not np.ma.is_masked(wave):
            return key, wave
    return keys[0], None


def _column(
    name: str, key: str, waves: list[NDArray[Any] | None], table: UnitTable
) -> StoredColumn:
    known = [wave for wave in waves if wave is not None]
    dtype = np.result_type(np.float32, *{wave.dtype for wave in known})
    ndim = max(wave.ndim for wave in known)
    shapes = [(*wave.shape, 1)[:ndim] for wave in known]
    data = np.full((len(waves), *np.max(shapes, axis=0)), np.nan, dtype=dtype)
    filled = [i for i, wave in enumerate(waves) if wave is not None]
    for unit, wave, shape in zip(filled, known, shapes, strict=True):
        filled_part = tuple(slice(length) for length in shape)
        data[unit][filled_part] = wave.reshape(shape)
    none = [MISSING] * len(waves)
    given = table.columns[key].values if key in table.columns else none
    missing = [v for v, wave in zip(given, waves, strict=True) if wave is None]
    return StoredColumn(
        name=name,
        key=key,
        data=data,
        missing=gap_note(missing, known),
        padded=len(set(shapes)) > 1,
    )


def add_channels(units: Sequence[dict[str, Any]]) -> None:
    """Add ``waveform_channels`` to units with as many electrodes as their waveforms have.

    Other programs list the electrodes of the waveform as those of the unit.
    """
    for unit in units:
        mean: Any = unit.get(NAMES[0])
        shape = np.shape(mean)
        ids = np.atleast_1d(unit.get("electrode", []))
        if len(shape) == 2 and shape[1] == len(ids):
            unit.setdefault("waveform_channels", ids)


def describe(table: h5py.Group, fs_Hz: float | None, unit: str | None) -> None:
    """Write sampling rate and unit of the waveforms in a Units table, where known."""
    for name in NAMES:
        if name in table:
            table[name].attrs["unit"] = unit or UNKNOWN_UNIT
            if fs_Hz is not None:
                table[name].attrs["sampling_rate"] = fs_Hz
