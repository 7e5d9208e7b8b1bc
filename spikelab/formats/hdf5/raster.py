"""HDF5 style ``raster``: spike counts, units by time bins."""

import functools
import itertools
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.on_disk import collected
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.spikedata import binning
from spikelab.spikedata.quantity import in_ms
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData

_CHUNK = (16, 65536)
"""Units and bins of a chunk: about a megabyte, and few chunks in a long raster."""

_MOST_IN_BIN = 2**31

_MANY = 100
"""Rows of a raster of another program that are no units if there are fewer bins."""

_GZIP_LEVEL = 1

_WORKERS = min(os.cpu_count() or 1, 8)
"""Threads that compress chunks; one writes what they have done, in order."""


def _bin_size(value: Any) -> float:
    """Return the option `raster_bin_size_ms` in ms, checked."""
    name = "raster_bin_size_ms"
    if value is None:
        raise ValueError(f"{name} must be given for style 'raster', got None")
    return validate.positive(name, in_ms(name, value))


@attrs.frozen(kw_only=True)
class RasterWriter(HDF5Writer):
    """Write ``raster``, the number of spikes of each unit in each time bin.

    Shape (N, ceil(length / bin size)), in the smallest unsigned integer type that holds
    the counts, in compressed chunks; chunks without a spike take no space. Bins are open
    on the left and closed on the right, counted from ``start_time``. The dataset's
    attributes ``bin_size_ms`` and ``time_origin_ms`` say where they lie.

    Parameters
    ----------
    bin_size_ms : float
        Width of a bin in ms, needed for ``raster``.
    raster_dataset : str
        Name of the counts, unsigned integers of shape (N, bins).

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import RasterWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> RasterWriter(bin_size_ms=5).write(sd, "raster.h5")
    'raster.h5'
    """

    style: ClassVar[str] = "raster"
    names: ClassVar = ("raster_dataset",)

    raster_bin_size_ms: float = attrs.field(alias="bin_size_ms", converter=_bin_size)
    raster_dataset: str = attrs.field(
        default="raster", validator=validate.is_dataset_name
    )

    def _check_recording(self, sd: SpikeData) -> None:
        super()._check_recording(sd)
        if sd.length == 0 and sd.spike_trains.n_spikes:
            raise ValueError(
                "length must be positive for a raster of spikes: "
                "a window of 0 ms has no bin for them"
            )

    def _rounding_ms(self, sd: SpikeData) -> float:
        return self.raster_bin_size_ms

    def _slack_ms(self, trains: SpikeTrains) -> float:
        return self.raster_bin_size_ms

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        n_bins = binning.n_bins(sd.length, self.raster_bin_size_ms, sd.start_time)
        shape = (min(_CHUNK[0], sd.N), min(_CHUNK[1], n_bins))
        chunked: dict[str, Any] = {}
        if 0 not in shape:
            gzip = {"compression": "gzip", "compression_opts": _GZIP_LEVEL}
            chunked = {"chunks": shape, **gzip}
        raster = group.create_dataset(
            self.raster_dataset,
            shape=(sd.N, n_bins),
            dtype=self._dtype(sd, n_bins),
            **chunked,
        )
        raster.attrs["bin_size_ms"] = self.raster_bin_size_ms
        raster.attrs["time_origin_ms"] = float(sd.start_time)
        if 0 in shape:
            return
        chunks = self._chunks(sd, n_bins, *shape)
        pack = functools.partial(_packed, shape=shape, dtype=raster.dtype)
        with ThreadPoolExecutor(_WORKERS) as pool:
            while batch := dict(itertools.islice(chunks, 2 * _WORKERS)):
                packed = pool.map(pack, batch.values())
                for corner, content in zip(batch, packed, strict=True):
                    raster.id.write_direct_chunk(corner, content)

    def _bins(
        self, sd: SpikeData, times: NDArray[np.float64], n_bins: int
    ) -> NDArray[np.int64]:
        return binning.bin_indices(
            times - sd.start_time, self.raster_bin_size_ms, n_bins
        )

    def _dtype(self, sd: SpikeData, n_bins: int) -> DTypeLike:
        """Return the smallest unsigned integers that hold the spikes of every bin."""
        most = 0
        for times in sd.spike_trains:
            if len(times) > np.iinfo(np.uint8).max:
                bins = self._bins(sd, times, n_bins)
                _, counts = np.unique(bins, return_counts=True)
                most = max(most, int(counts.max()))
        return np.min_scalar_type(most)

    def _chunks(
        self, sd: SpikeData, n_bins: int, height: int, width: int
    ) -> Iterator[tuple[tuple[int, int], NDArray[np.int32]]]:
        """Yield the corner of each chunk that holds spikes, and where in it they lie."""
        for row in range(0, sd.N, height):
            stripe: dict[int, list[NDArray[np.int32]]] = {}
            for i, times in enumerate(sd.spike_trains[row : row + height]):
                columns, inside = np.divmod(self._bins(sd, times, n_bins), width)
                places = (inside + i * width).astype(np.int32)
                occupied, begins = np.unique(columns, return_index=True)
                # A silent unit has an empty part, and no column.
                parts = np.split(places, begins[1:])
                for column, part in zip(occupied.tolist(), parts, strict=False):
                    stripe.setdefault(column, []).append(part)
            for column in sorted(stripe):
                yield (row, column * width), np.concatenate(stripe[column])

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> tuple[SpikeTrains, dict[str, Any]]:
        name, size = self.raster_dataset, self.raster_bin_size_ms
        raster = h5.dataset(
            group, name, ndim=(1, 2), kinds="iufb", sparse=True, empty=True
        )
        if h5.is_empty(raster):
            return SpikeTrains.from_arrays([]), {"length": 0.0}
        if raster.ndim != 2:
            raise FormatError(
                f"{name!r} must have shape (units, bins), got {raster.shape}"
            )
        n_units, n_bins = raster.shape
        h5.check_size(raster, repr(name), n_units)
        if "n_units" not in recorded and n_units > max(n_bins, _MANY):
            warn(
                f"{name!r} has {n_units} rows, taken for units, "
                f"and {n_bins} bins: MATLAB, R and Julia store the transpose"
            )
        start = recorded.get("start_time", 0.0)
        placed = (
            binning.placed(bins, counts, start, size)
            for bins, counts in _occupied(raster)
        )
        return collected(placed), {"length": n_bins * size}


def _packed(
    places: NDArray[np.int32], shape: tuple[int, int], dtype: DTypeLike
) -> bytes:
    """Return the bytes of a chunk as HDF5's gzip filter would store them."""
    counts = np.zeros(shape[0] * shape[1], dtype=dtype)
    np.add.at(counts, places, 1)
    # Rasters are runs of zeros: this strategy makes a third of the bytes.
    packer = zlib.compressobj(_GZIP_LEVEL, strategy=zlib.Z_RLE)
    return packer.compress(counts.data) + packer.flush()


def _occupied(raster: h5py.Dataset) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield, unit after unit, the bins that hold spikes and how many.

    Only chunks that were written are read; without chunks, about a block at a time.
    """
    n_units, n_bins = raster.shape
    columns: dict[int, list[int]] = {}
    if raster.chunks:
        height, width = raster.chunks
        h5.check_size(raster, raster.name, height * width)
        raster.id.chunk_iter(
            lambda chunk: columns.setdefault(chunk.chunk_offset[0], []).append(
                chunk.chunk_offset[1]
            )
        )
    else:
        height, width = max(BLOCK // max(n_bins, 1), 1), max(n_bins, 1)
        h5.check_size(raster, raster.name)
        columns = {row: [0] for row in range(0, n_units, height)}
    for first in range(0, n_units, height):
        found = [
            _spikes(raster, (first, column), (height, width))
            for column in sorted(columns.get(first, ()))
        ]
        empty = np.zeros((3, 0), np.int64)  # NumPy does not join nothing
        rows, bins, counts = map(np.concatenate, zip(empty, *found, strict=True))
        order = np.argsort(rows, kind="stable")
        edges = np.arange(first + 1, min(first + height, n_units))
        for unit in np.split(order, np.searchsorted(rows[order], edges)):
            yield bins[unit], counts[unit]


def _spikes(
    raster: h5py.Dataset, corner: tuple[int, int], size: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the rows, bins and counts of the spikes in a region of the raster."""
    row, column = corner
    region = raster[row : row + size[0], column : column + size[1]]
    rows, bins = np.nonzero(region)
    counts = region[rows, bins]
    if counts.dtype.kind == "f":
        counts = counts.astype(np.float64)  # float16 is too narrow for the comparison
    wrong = ~((counts > 0) & (counts < _MOST_IN_BIN) & (np.floor(counts) == counts))
    if wrong.any():
        raise FormatError(
            f"{raster.name!r} must hold numbers of spikes, got {counts[wrong][0]} "
            f"in row {row + rows[wrong][0]}, bin {column + bins[wrong][0]}"
        )
    return row + rows, column + bins, counts
