"""HDF5 style ``raster``: spike counts, units by time bins."""

import functools
import itertools
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import binning, checks, comparison
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.kinds import Contents

_CHUNK = (16, 65536)
"""Units and bins of a chunk: about a megabyte, and few chunks in a long raster."""

_GZIP_LEVEL = 1

_WORKERS = min(os.cpu_count() or 1, 8)
"""Threads that compress chunks; one writes what they have done, in order."""

_MOST_SILENT = 2**20
"""Units that a raster may have beyond one for each byte that it stores."""

_MOST_SPIKES, _SPIKES_PER_BYTE = 2**24, 64
"""Spikes that a raster may have, and how many more for each byte that it stores."""

_Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The bins of a unit that hold spikes, and how many."""


def _is_bin_size(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is None:
        raise ValueError(f"{attribute.name} must be given for style 'raster', got None")
    checks.positive(attribute.name, value)


@attrs.frozen(kw_only=True)
class RasterWriter(HDF5Writer):
    """Write ``raster``, the number of spikes of each unit in each time bin.

    Shape (N, ceil(length / bin size)), in the smallest unsigned integer type
    that holds the counts, in compressed chunks; chunks without a spike take no
    space. Bins are open on the left and closed on the right, counted from
    ``start_time``. The dataset's attributes ``bin_size_ms`` and
    ``time_origin_ms`` tell where they lie.

    Parameters
    ----------
    bin_size_ms : float
        Width of a bin in ms, the attribute ``raster_bin_size_ms``.
    raster_dataset : str
        Name of the dataset.
    """

    style: ClassVar[str] = "raster"

    raster_bin_size_ms: float = attrs.field(validator=_is_bin_size, alias="bin_size_ms")
    raster_dataset: str = attrs.field(
        default="raster", validator=checks.is_dataset_name
    )

    @property
    def time_unit(self) -> str:
        """Bins are counted in ms."""
        return "ms"

    def _check_spikes(self, sd: Any) -> None:
        super()._check_spikes(sd)
        if sd.length == 0 and any(map(len, sd.train)):
            raise ValueError(
                "length must be positive for a raster of spikes: "
                "a window of 0 ms has no bin for them"
            )
        if sd.length / self.raster_bin_size_ms >= 2.0**62:
            raise ValueError(
                f"raster_bin_size_ms must leave fewer than 2**62 bins, "
                f"got {self.raster_bin_size_ms} for a length of {sd.length} ms"
            )

    def _shift_ms(self, train: Any) -> float:
        return self.raster_bin_size_ms

    def _moved_ms(self, sd: Any) -> float:
        return self.raster_bin_size_ms

    def _write_train(self, group: h5py.Group, sd: Any) -> None:
        bins = self._bins(sd)
        largest = max((int(n.max(initial=0)) for _, n in self._counts(sd)), default=0)
        empty = sd.N == 0 or bins == 0
        raster = group.create_dataset(
            self.raster_dataset,
            shape=(sd.N, bins),
            dtype=np.min_scalar_type(largest),
            chunks=None if empty else (min(_CHUNK[0], sd.N), min(_CHUNK[1], bins)),
            compression=None if empty else "gzip",
            compression_opts=None if empty else _GZIP_LEVEL,
        )
        raster.attrs["bin_size_ms"] = float(self.raster_bin_size_ms)
        raster.attrs["time_origin_ms"] = float(sd.start_time)
        if not empty:
            self._write_chunks(raster, sd)

    def _counts(self, sd: Any) -> Iterator[_Counts]:
        """Yield, unit after unit, the bins that hold spikes and how many."""
        size, bins = self.raster_bin_size_ms, self._bins(sd)
        for times in sd.train:
            yield binning.occupied_bins(times, sd.start_time, size, bins)

    def _bins(self, sd: Any) -> int:
        return binning.n_bins(sd.length, self.raster_bin_size_ms, sd.start_time)

    def _write_chunks(self, raster: h5py.Dataset, sd: Any) -> None:
        chunks = _chunks(self._counts(sd), raster.chunks)
        pack = functools.partial(_packed, shape=raster.chunks, dtype=raster.dtype)
        with ThreadPoolExecutor(_WORKERS) as pool:
            for chunk, packed in _in_order(pool, pack, chunks):
                raster.id.write_direct_chunk((chunk.row, chunk.column), packed)

    def _length_ms(self, group: h5py.Group) -> float:
        raster = h5.dataset(
            group, self.raster_dataset, ndim=2, kinds="iufb", sparse=True
        )
        return float(raster.shape[1] * self.raster_bin_size_ms)

    def read_train(self, group: h5py.Group) -> list[NDArray[np.float64]]:
        """Return spike times in ms that have these counts, evenly spread in each bin."""
        raster = h5.dataset(
            group, self.raster_dataset, ndim=2, kinds="iufb", sparse=True
        )
        start = h5.scalar_attributes(group).get("start_time", 0.0)
        return [
            binning.placed(bins, counts, start, self.raster_bin_size_ms)
            for bins, counts in _occupied(raster)
        ]

    def _spike_differences(self, sd: Any, contents: Contents) -> list[str]:
        read = SimpleNamespace(**contents.arguments)
        pairs = itertools.zip_longest(self._counts(sd), self._counts(read))
        return [
            f"unit {unit} has other spike counts"
            for unit, (written, found) in enumerate(pairs)
            if not comparison.same(written, found)
        ]


def _occupied(raster: h5py.Dataset) -> Iterator[_Counts]:
    """Yield, unit after unit, the bins that hold spikes and how many."""
    stored = raster.id.get_storage_size()
    if raster.shape[0] > _MOST_SILENT + stored:
        raise FormatError(
            f"{raster.file.filename}: {raster.shape[0]} units in {stored} bytes"
        )
    h5.spend_on_units(raster.shape[0], raster.file.filename)
    height = raster.chunks[0] if raster.chunks else raster.shape[0]
    regions = itertools.groupby(
        h5.written_chunks(raster), key=lambda region: region[0].start // height
    )
    first, n_spikes = 0, 0.0
    for stripe, chunks in regions:
        found = [_nonzero(raster, region) for region in chunks]
        rows, bins, counts = map(np.concatenate, zip(*found, strict=True))
        n_spikes += float(counts.sum(dtype=np.float64))
        if not n_spikes <= _MOST_SPIKES + _SPIKES_PER_BYTE * stored:
            raise FormatError(
                f"{raster.file.filename}: {n_spikes:.0f} spikes in {stored} bytes"
            )
        last = min((stripe + 1) * height, raster.shape[0])
        order = np.argsort(rows, kind="stable")
        stops = np.searchsorted(rows[order], np.arange(first, last), side="right")
        for unit in np.split(order, stops[:-1]):
            yield bins[unit], counts[unit]
        first = last
    for _ in range(first, raster.shape[0]):
        yield np.empty(0, np.int64), np.empty(0, np.int64)


def _nonzero(
    raster: h5py.Dataset, region: tuple[slice, ...]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the rows, bins and counts of the spikes in a region of the raster."""
    values = raster[region]
    rows, bins = np.nonzero(values > 0)
    counts = values[rows, bins]
    return rows + region[0].start, bins + (region[1].start or 0), counts


@attrs.frozen
class _Chunk:
    """Where a chunk begins, and the counts in it: rows and bins from there."""

    row: int
    column: int
    rows: NDArray[np.int64]
    bins: NDArray[np.int64]
    spikes: NDArray[np.int64]


def _chunks(counts: Iterator[_Counts], shape: tuple[int, int]) -> Iterator[_Chunk]:
    """Yield the chunks that hold a spike, stripe after stripe of units."""
    height, width = shape
    for row in itertools.count(step=height):
        stripe = list(itertools.islice(counts, height))
        if not stripe:
            return
        rows = np.repeat(np.arange(len(stripe)), [len(bins) for bins, _ in stripe])
        bins = np.concatenate([bins for bins, _ in stripe])
        spikes = np.concatenate([spikes for _, spikes in stripe])
        order = np.argsort(bins // width, kind="stable")
        rows, bins, spikes = rows[order], bins[order], spikes[order]
        numbers, firsts = np.unique(bins // width, return_index=True)
        lasts = np.append(firsts[1:], bins.size)
        for number, first, last in zip(numbers, firsts, lasts, strict=False):
            part, column = slice(first, last), int(number) * width
            yield _Chunk(row, column, rows[part], bins[part] - column, spikes[part])


def _packed(chunk: _Chunk, shape: tuple[int, int], dtype: Any) -> bytes:
    """Return the bytes of a chunk as HDF5's gzip filter would store them."""
    counts = np.zeros(shape, dtype=dtype)
    counts[chunk.rows, chunk.bins] = chunk.spikes
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
        if len(pending) > 2 * _WORKERS:
            done, packed = pending.popleft()
            yield done, packed.result()
    for done, packed in pending:
        yield done, packed.result()
