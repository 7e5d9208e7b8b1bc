"""HDF5 style ``raster``: spike counts, units by time bins."""

import bisect
import functools
import itertools
import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import validate
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.spikedata import binning
from spikelab.spikedata.spike_trains import BLOCK, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData

_CHUNK = (16, 65536)
"""Units and bins of a chunk: about a megabyte, and few chunks in a long raster."""

_MOST_SPIKES = 2**17
"""Spikes of some units that are put into chunks at a time."""

_MOST_IN_BIN = 2**31

_GZIP_LEVEL = 1

_WORKERS = min(os.cpu_count() or 1, 8)
"""Threads that compress chunks; one writes what they have done, in order."""

_Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The bins of a unit that hold spikes, and how many."""


def _is_bin_size(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is None:
        raise ValueError(f"{attribute.name} must be given for style 'raster', got None")
    validate.positive(attribute.name, value)


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

    raster_bin_size_ms: float = attrs.field(validator=_is_bin_size, alias="bin_size_ms")
    raster_dataset: str = attrs.field(
        default="raster", validator=validate.is_dataset_name
    )

    @property
    def _size(self) -> float:
        return float(self.raster_bin_size_ms)

    def _check_recording(self, sd: SpikeData) -> None:
        super()._check_recording(sd)
        if sd.length == 0 and sd.spike_trains.n_spikes:
            raise ValueError(
                "length must be positive for a raster of spikes: "
                "a window of 0 ms has no bin for them"
            )
        if sd.length / self._size >= 2.0**58:
            raise ValueError(
                f"bins must be fewer than 2**58, got a length of {sd.length} ms in bins "
                f"of {self._size} ms"
            )

    def _rounding_ms(self, sd: SpikeData) -> float:
        return self._size

    def _train_as_read(self, sd: SpikeData) -> SpikeTrains:
        return self._placed(self._counts(sd), sd.start_time)

    def _in_window(
        self, train: SpikeTrains, start_ms: float, length_ms: float
    ) -> SpikeTrains:
        return train.moved_into(start_ms, length_ms, self._size)

    def _placed(self, counts: Iterable[_Counts], start_ms: float) -> SpikeTrains:
        """Return spikes, in ms, that divide each bin evenly."""
        return SpikeTrains.from_arrays(
            binning.placed(bins, spikes, start_ms, self._size)
            for bins, spikes in counts
        )

    def _counts(self, sd: SpikeData) -> Iterator[_Counts]:
        """Yield, unit after unit, the bins that hold spikes and how many."""
        bins = self._bins(sd)
        for times in sd.spike_trains:
            yield binning.occupied_bins(times, sd.start_time, self._size, bins)

    def _bins(self, sd: SpikeData) -> int:
        return binning.n_bins(sd.length, self._size, sd.start_time)

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        bins = self._bins(sd)
        shape = (min(_CHUNK[0], sd.N), min(_CHUNK[1], bins))
        empty = 0 in shape
        chunks = functools.partial(self._chunks, sd, shape)
        largest = 0 if empty else max((c.largest for c in chunks()), default=0)
        raster = group.create_dataset(
            self.raster_dataset,
            shape=(sd.N, bins),
            dtype=np.min_scalar_type(largest),
            chunks=None if empty else shape,
            compression=None if empty else "gzip",
            compression_opts=None if empty else _GZIP_LEVEL,
        )
        raster.attrs["bin_size_ms"] = self._size
        raster.attrs["time_origin_ms"] = float(sd.start_time)
        if empty:
            return
        pack = functools.partial(_packed, shape=shape, dtype=raster.dtype)
        with ThreadPoolExecutor(_WORKERS) as pool:
            for chunk, packed in _in_order(pool, pack, chunks()):
                raster.id.write_direct_chunk((chunk.row, chunk.column), packed)

    def _chunks(self, sd: SpikeData, shape: tuple[int, int]) -> Iterator["_Chunk"]:
        """Yield the chunks that hold a spike, stripe after stripe of units."""
        height, width = shape
        bins = self._bins(sd)

        def bin_of(times: NDArray[np.float64]) -> NDArray[np.int64]:
            return binning.bin_indices(times - sd.start_time, self._size, bins)

        def part(
            row: int, stripe: Sequence[NDArray[np.float64]], first: int, last: int
        ) -> Iterator[_Chunk]:
            """Yield the chunks of some units from one column of chunks to another."""
            counts = [len(times) for times in stripe]
            if sum(counts) > _MOST_SPIKES and last - first > 1:
                middle = (first + last) // 2
                cuts = [_first_from(t, middle * width, bin_of) for t in stripe]
                halves = zip(
                    *((t[:i], t[i:]) for t, i in zip(stripe, cuts, strict=True)),
                    strict=True,
                )
                yield from part(row, next(halves), first, middle)
                yield from part(row, next(halves), middle, last)
            elif any(counts):
                rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
                yield from _of_spikes(row, rows, bin_of(np.concatenate(stripe)), shape)

        for row in range(0, sd.N, height):
            stripe = sd.spike_trains[row : row + height]
            yield from part(row, stripe, 0, -(-bins // width))

    def _dataset(self, group: h5py.Group) -> h5py.Dataset:
        return h5.dataset(
            group, self.raster_dataset, ndim=(1, 2), kinds="iufb", sparse=True
        )

    def _length_ms(self, group: h5py.Group) -> float:
        raster = self._dataset(group)
        return 0.0 if h5.is_matlab_empty(raster) else raster.shape[-1] * self._size

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> SpikeTrains:
        raster = self._dataset(group)
        if h5.is_matlab_empty(raster):
            return SpikeTrains.from_arrays([])
        if raster.ndim != 2:
            raise FormatError(
                f"{self.raster_dataset!r} must have shape (units, bins), "
                f"got {raster.shape}"
            )
        h5.check_size(raster, repr(self.raster_dataset), raster.shape[0])
        return self._placed(_occupied(raster), recorded.get("start_time", 0.0))


def _occupied(raster: h5py.Dataset) -> Iterator[_Counts]:
    """Yield, unit after unit, the bins that hold spikes and how many.

    Only what was written is read: the rest of a sparse raster holds no spikes.
    """
    height = raster.chunks[0] if raster.chunks else raster.shape[0]
    regions = itertools.groupby(
        _written(raster), key=lambda region: region[0].start // height
    )
    first = 0
    for stripe, chunks in regions:
        found = [_nonzero(raster, region) for region in chunks]
        rows, bins, counts = map(np.concatenate, zip(*found, strict=True))
        last = min((stripe + 1) * height, raster.shape[0])
        order = np.argsort(rows, kind="stable")
        stops = np.searchsorted(rows[order], np.arange(first, last), side="right")
        for unit in np.split(order, stops[:-1]):
            yield bins[unit], counts[unit]
        first = last
    for _ in range(first, raster.shape[0]):
        yield np.empty(0, np.int64), np.empty(0, np.int64)


def _written(raster: h5py.Dataset) -> Iterator[tuple[slice, ...]]:
    """Yield the regions of a raster that were written, by rows, then columns.

    They are chunks, or, without chunks, the rows of about a block together.
    """
    if raster.chunks is None:
        h5.check_size(raster, raster.name)
        rows = max(BLOCK // max(raster.shape[1], 1), 1)
        for row in range(0, raster.shape[0] if raster.size else 0, rows):
            yield slice(row, row + rows), slice(None)
        return
    h5.check_size(raster, raster.name, math.prod(raster.chunks))
    corners: list[tuple[int, ...]] = []
    raster.id.chunk_iter(lambda chunk: corners.append(chunk.chunk_offset))
    for corner in sorted(corners):
        yield tuple(map(slice, corner, np.add(corner, raster.chunks).tolist()))


def _nonzero(
    raster: h5py.Dataset, region: tuple[slice, ...]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the rows, bins and counts of the spikes in a region of the raster."""
    values = raster[region]
    rows, bins = np.nonzero(values > 0)
    counts = values[rows, bins]
    if counts.size and not counts.max() < _MOST_IN_BIN:
        raise FormatError(
            f"{raster.name!r} must hold numbers of spikes, got {counts.max()} in a bin"
        )
    return rows + region[0].start, bins + (region[1].start or 0), counts


@attrs.frozen
class _Chunk:
    """Where a chunk begins, and the spikes of its bins: their places in it, and counts."""

    row: int
    column: int
    places: NDArray[np.int32]
    counts: NDArray[Any]

    @property
    def largest(self) -> int:
        """The most spikes in a bin."""
        return int(self.counts.max())


def _first_from(
    times: NDArray[np.float64],
    first_bin: int,
    bin_of: Callable[[NDArray[np.float64]], NDArray[np.int64]],
) -> int:
    """Return the position of the first of ascending times that is in a bin or later."""
    return bisect.bisect_left(
        range(len(times)), first_bin, key=lambda i: int(bin_of(times[i : i + 1])[0])
    )


def _of_spikes(
    row: int,
    rows: NDArray[np.int32],
    bins: NDArray[np.int64],
    shape: tuple[int, int],
) -> Iterator[_Chunk]:
    """Yield the chunks from a row on that hold spikes, given by their rows and bins."""
    height, width = shape
    size = height * width
    places = bins // width
    places *= size - width  # within a row, bins go on counting
    places += bins
    places += rows * width
    places, counts = np.unique(places, return_counts=True)
    counts = counts.astype(np.min_scalar_type(counts.max()))  # some chunks are pending
    numbers, firsts = np.unique(places // size, return_index=True)
    lasts = np.append(firsts[1:], places.size)
    for number, first, last in zip(numbers.tolist(), firsts, lasts, strict=True):
        part = slice(first, last)
        inside = (places[part] - number * size).astype(np.int32)
        yield _Chunk(row, number * width, inside, counts[part])


def _packed(chunk: _Chunk, shape: tuple[int, int], dtype: DTypeLike) -> bytes:
    """Return the bytes of a chunk as HDF5's gzip filter would store them."""
    counts = np.zeros(shape[0] * shape[1], dtype=dtype)
    counts[chunk.places] = chunk.counts
    # Rasters are runs of zeros: this strategy makes a third of the bytes.
    packer = zlib.compressobj(_GZIP_LEVEL, strategy=zlib.Z_RLE)
    return packer.compress(counts.data) + packer.flush()


def _in_order(
    pool: Executor, pack: Callable[[_Chunk], bytes], chunks: Iterable[_Chunk]
) -> Iterator[tuple[_Chunk, bytes]]:
    """Yield each chunk with what `pack` makes of it, a few being worked on ahead."""
    pending: deque[tuple[_Chunk, Future[bytes]]] = deque()
    for chunk in chunks:
        pending.append((chunk, pool.submit(pack, chunk)))
        if len(pending) > _WORKERS:
            done, packed = pending.popleft()
            yield done, packed.result()
    for done, packed in pending:
        yield done, packed.result()
