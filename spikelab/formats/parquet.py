"""Parquet: typed, compressed tables for pandas, polars, DuckDB, Spark and R."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError, MissingExtraError
from spikelab.formats.base import Loss, StrPath
from spikelab.formats.functions import export_function, spikedata_loader
from spikelab.formats.reading import build, errors_naming, refuse_options
from spikelab.formats.table_writer import TableWriter, bin_starts
from spikelab.formats.units_table import (
    OWN,
    TIME_COLUMNS,
    TableOptions,
    UnitsTable,
    unit_columns,
)
from spikelab.spikedata.data_object import DataObject, data_class
from spikelab.spikedata.differences import compare
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.ratedata import RateData
from spikelab.spikedata.rateslicestack import RateSliceStack
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.time_units import TimeUnit
from spikelab.storage.publish import local_copy

_ROWS = 2**17
"""Rows of spikes in a row group; a unit is read from the few groups that hold it."""

_VALUES = 2**22
"""Values in a row group of another table (32 MB as float64)."""

_KEY = b"spikelab"
"""Key of the schema's metadata under which JSON holds what is in no row."""

Columns = dict[str, NDArray[Any]]


@attrs.frozen(kw_only=True)
class ParquetWriter(TableWriter):
    """Write a data object as a Parquet table.

    ============================ ====================================================
    Object                       Columns
    ============================ ====================================================
    ``SpikeData``                ``unit`` (int32, sorted), ``time_ms``: a row per spike
    ``SpikeSliceStack``          ``slice``, ``unit``, ``time_ms`` on the slice's clock
    ``RateData``                 ``time_ms``, ``unit_0``, ``unit_1``, ...
    ``RateSliceStack``           ``slice``, ``time_ms`` of the recording, ``unit``, ``rate``
    ``PairwiseCompMatrix``       ``label``, and a column per label: a square
    ``PairwiseCompMatrixStack``  ``window``, ``row``, ``column``, ``value``
    ============================ ====================================================

    Times are float64, in samples int64; values keep their type. What is in no row (number
    of units, windows, labels) is JSON under the key ``spikelab`` of the schema's metadata,
    so that silent units and windows come back without a second file.
    """

    method: ClassVar[str] = "to_parquet"

    def _check_format(self, obj: DataObject) -> None:
        super()._check_format(obj)
        _pyarrow(self.method)
        for array in _values_of(obj):
            if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
                raise ValueError(
                    f"values must be real numbers to fit into Parquet, got {array.dtype}"
                )
        for label in _labels(obj) or []:
            is_text = isinstance(label, str) and label.isprintable()
            if not is_text and not isinstance(label, str | bool | int | float):
                raise ValueError(
                    f"labels must be numbers, bool or str to fit into Parquet, "
                    f"got {label!r:.80}"
                )

    def _write(self, obj: DataObject, staged: Path) -> None:
        pa, _ = _pyarrow(self.method)
        about = {"class": data_class(obj).__name__, **_about(obj)}
        if self.fs_Hz is not None:
            about["fs_Hz"] = float(self.fs_Hz)
        tables = (pa.table(columns) for columns in self._columns(obj))
        _write_file(staged, tables, about)

    def _write_units(self, sd: SpikeData, staged: Path) -> None:
        about = {"class": "units of a SpikeData", **_about(sd)}
        _write_file(staged, iter([_units_table(sd, self.fs_Hz)]), about)

    def _columns(self, obj: DataObject) -> Iterator[Columns]:
        """Yield the columns of a table, a row group at a time, at least one."""
        time = f"time_{self.time_unit}"
        if isinstance(obj, SpikeData):
            yield from self._spikes(obj, time)
        elif isinstance(obj, SpikeSliceStack):
            for i, sd in enumerate(obj):
                for columns in self._spikes(sd, time):
                    of_slice = np.full(len(columns["unit"]), i, dtype=np.int32)
                    yield {"slice": of_slice, **columns}
        elif isinstance(obj, RateData):
            step = max(_VALUES // (obj.N + 1), 1)
            for first in range(0, max(len(obj.times), 1), step):
                times = self._in_unit(obj.times[first : first + step])
                rates = obj.inst_Frate_data[:, first : first + step]
                yield {time: times} | {f"unit_{u}": row for u, row in enumerate(rates)}
        elif isinstance(obj, RateSliceStack):
            n_units, n_bins, _ = obj.event_stack.shape
            for i, starts in enumerate(bin_starts(obj)):
                yield {
                    "slice": np.full(n_units * n_bins, i, dtype=np.int32),
                    time: np.repeat(self._in_unit(starts), n_units),
                    "unit": np.tile(np.arange(n_units, dtype=np.int32), n_bins),
                    "rate": obj.event_stack[:, :, i].T.ravel(),
                }
        elif isinstance(obj, PairwiseCompMatrix):
            names = _names(obj.labels, len(obj.matrix))
            edge = np.array(names, dtype=object)
            yield {"label": edge} | dict(zip(names, obj.matrix.T, strict=True))
        elif isinstance(obj, PairwiseCompMatrixStack):
            names = np.array(_names(obj.labels, len(obj.stack)), dtype=object)
            for i in range(max(len(obj), 1)):
                values = obj.stack[:, :, i : i + 1].ravel()
                count = len(names) if values.size else 0
                yield {
                    "window": np.full(count**2, i, dtype=np.int32),
                    "row": np.repeat(names[:count], count),
                    "column": np.tile(names[:count], count),
                    "value": values,
                }

    def _spikes(self, sd: SpikeData, time: str) -> Iterator[Columns]:
        trains = sd.spike_trains
        for first in range(0, max(trains.n_spikes, 1), _ROWS):
            times = trains.flat[first : first + _ROWS]
            units = trains.unit_indices(first, first + len(times)).astype(np.int32)
            yield {"unit": units, time: self._in_unit(times)}

    def _read_back(
        self, obj: DataObject, staged: Path, units: Path | None = None
    ) -> DataObject:
        return _read_files(staged, units, TableOptions())

    def _carried(self, obj: DataObject) -> DataObject:
        if isinstance(obj, SpikeData):
            known = UnitsTable(
                n_units=obj.N, start_time_ms=obj.start_time, length_ms=obj.length
            )
            if self.units_table is not None:
                attributes = _parsed_units(_units_table(obj, None)).neuron_attributes
                known = attrs.evolve(known, neuron_attributes=attributes)
            trains = SpikeTrains(obj.spike_trains.flat, obj.spike_trains.ends)
            return known.in_window(trains, "ms", TableOptions())
        arguments = obj.arguments()
        changed = {"neuron_attributes": None, "metadata": {}}
        if isinstance(obj, SpikeSliceStack):
            slices = [attrs.evolve(self, units_table=None)._carried(sd) for sd in obj]
            changed["spike_stack"] = slices
        if isinstance(obj, RateData):
            changed["times"] = obj.times.astype(np.float64)
        changed["labels"] = _labels(obj)
        return build(
            data_class(obj),
            **{name: changed.get(name, value) for name, value in arguments.items()},
        )
