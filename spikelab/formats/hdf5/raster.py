"""HDF5 style ``raster``: spike counts, units by time bins."""

import bisect
import functools
import itertools
import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, ClassVar

import attrs
import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.on_disk import trains
from spikelab.formats.hdf5.writer import HDF5Writer
from spikelab.spikedata import binning
from spikelab.spikedata.quantity import in_ms
from spikelab.spikedata.spike_trains import BLOCK, CACHED, SpikeTrains
from spikelab.spikedata.spikedata import SpikeData

_CHUNK = (16, 65536)
"""Units and bins of a chunk: about a megabyte, and few chunks in a long raster."""

_MOST_SPIKES = 2**16
"""Spikes of some units that are put into chunks at a time."""

_MOST_IN_BIN = 2**31

_MANY = 100
"""Rows of a raster of another program that are no units if there are fewer bins."""

_GZIP_LEVEL = 1

_WORKERS = min(os.cpu_count() or 1, 8)
"""Threads that compress chunks; one writes what they have done, in order."""

_Corner = tuple[int, int]
"""The first unit and the first bin of a chunk."""

_Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The bins of a unit that hold spikes, and how many."""


def _bin_size_in_ms(value: float) -> Any:
    return in_ms("raster_bin_size_ms", value)


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

    raster_bin_size_ms: float = attrs.field(
        alias="bin_size_ms",
        converter=_bin_size_in_ms,
        validator=_is_bin_size,
    )
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
        return self._placed(self._counts(sd), sd.start_time, on_disk=True)

    def _in_window(
        self, train: SpikeTrains, start_ms: float, length_ms: float
    ) -> SpikeTrains:
        return train.moved_into(start_ms, length_ms, self._size)

    def _placed(
        self,
        counts: Iterable[_Counts],
        start_ms: float,
        *,
        on_disk: bool | None = None,
    ) -> SpikeTrains:
        """Return spikes, in ms, that divide each bin evenly."""
        placed = (
            binning.placed(bins, spikes, start_ms, self._size)
            for bins, spikes in counts
        )
        return trains(placed, on_disk=on_disk)

    def _counts(self, sd: SpikeData) -> Iterator[_Counts]:
        """Yield, unit after unit, the bins that hold spikes and how many."""
        bins = self._bins(sd)
        for times in sd.spike_trains:
            yield binning.occupied_bins(times, sd.start_time, self._size, bins)

    def _bins(self, sd: SpikeData) -> int:
        return binning.n_bins(sd.length, self._size, sd.start_time)

    def _write_train(self, group: h5py.Group, sd: SpikeData) -> None:
        n_bins = self._bins(sd)
        shape = (min(_CHUNK[0], sd.N), min(_CHUNK[1], n_bins))
        bins = _Bins(sd.start_time, self._size, n_bins, shape[1])
        empty = 0 in shape
        raster = group.create_dataset(
            self.raster_dataset,
            shape=(sd.N, n_bins),
            dtype=_smallest_dtype(sd.spike_trains, bins),
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
            for corner, packed in _in_order(pool, pack, _chunks(sd, bins, shape[0])):
                raster.id.write_direct_chunk(corner, packed)

    def _dataset(self, group: h5py.Group) -> h5py.Dataset:
        return h5.dataset(
            group,
            self.raster_dataset,
            ndim=(1, 2),
            kinds="iufb",
            sparse=True,
            empty=True,
        )

    def _length_ms(self, group: h5py.Group) -> float:
        raster = self._dataset(group)
        return 0.0 if h5.is_empty(raster) else raster.shape[-1] * self._size

    def _read_train(
        self, group: h5py.Group, recorded: Mapping[str, Any]
    ) -> SpikeTrains:
        raster = self._dataset(group)
        if h5.is_empty(raster):
            return SpikeTrains.from_arrays([])
        if raster.ndim != 2:
            raise FormatError(
                f"{self.raster_dataset!r} must have shape (units, bins), "
                f"got {raster.shape}"
            )
        h5.check_size(raster, repr(self.raster_dataset), raster.shape[0])
        if "n_units" not in recorded and raster.shape[0] > max(raster.shape[1], _MANY):
            warn(
                f"{self.raster_dataset!r} has {raster.shape[0]} rows, taken for units, "
                f"and {raster.shape[1]} bins: MATLAB, R and Julia store the transpose"
            )
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
    rows, bins = np.nonzero(values)
    counts = values[rows, bins]
    if counts.dtype.kind == "f":
        counts = counts.astype(np.float64)  # float16 is too narrow for the comparison
    wrong = ~((counts > 0) & (counts < _MOST_IN_BIN))
    if counts.dtype.kind == "f":
        wrong |= np.floor(counts) != counts
    rows, bins = rows + region[0].start, bins + (region[1].start or 0)
    if wrong.any():
        raise FormatError(
            f"{raster.name!r} must hold numbers of spikes, got {counts[wrong][0]} "
            f"in row {rows[wrong][0]}, bin {bins[wrong][0]}"
        )
    return rows, bins, counts


@attrs.frozen
class _Bins:
    """The bins of a raster, and the columns of chunks, `width` bins each."""

    start_ms: float
    size_ms: float
    n_bins: int
    width: int

    def of(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the bin of each time."""
        return binning.bin_indices(times - self.start_ms, self.size_ms, self.n_bins)

    def first_from(self, times: NDArray[np.float64], column: int) -> int:
        """Return the position of the first of ascending times from a column on."""
        return bisect.bisect_left(
            range(len(times)),
            column * self.width,
            key=lambda i: int(self.of(times[i : i + 1])[0]),
        )


def _smallest_dtype(trains: SpikeTrains, bins: _Bins) -> DTypeLike:
    """Return the smallest unsigned integers that hold the spikes of every bin."""
    for dtype in (np.uint8, np.uint16):
        most = int(np.iinfo(dtype).max)
        if not any(_exceeds(times, most, bins) for times in trains):
            return dtype
    return np.uint32


def _exceeds(times: NDArray[np.float64], most: int, bins: _Bins) -> bool:
    """Return whether a bin holds more than `most` of ascending times."""
    for start in range(0, len(times) - most, CACHED):
        later = times[start + most : start + most + CACHED]
        # With the one so many before it, a spike is one too many in a bin.
        if np.any(bins.of(times[start : start + len(later)]) == bins.of(later)):
            return True
    return False


def _chunks(
    sd: SpikeData, bins: _Bins, height: int
) -> Iterator[tuple[_Corner, NDArray[np.int32]]]:
    """Yield the corners of the chunks that hold spikes, and where in each those lie."""
    n_columns = -(-bins.n_bins // bins.width)
    for row in range(0, sd.N, height):
        for part in _parts(sd.spike_trains[row : row + height], 0, n_columns, bins):
            counts = [len(times) for times in part]
            columns, places = (
                np.empty(sum(counts), np.int64),
                np.empty(sum(counts), np.int32),
            )
            for i, (times, end) in enumerate(zip(part, np.cumsum(counts), strict=True)):
                here = slice(end - len(times), end)
                columns[here], inside = np.divmod(bins.of(times), bins.width)
                places[here] = inside + i * bins.width
            for column in np.unique(columns).tolist():
                yield (row, column * bins.width), places[columns == column]


def _parts(
    stripe: list[NDArray[np.float64]], first: int, last: int, bins: _Bins
) -> Iterator[list[NDArray[np.float64]]]:
    """Divide the trains of some units between columns, so that each part has few spikes."""
    n_spikes = sum(map(len, stripe))
    if n_spikes <= _MOST_SPIKES or last - first == 1:
        if n_spikes:
            yield stripe
        return
    middle = (first + last) // 2
    cuts = [bins.first_from(times, middle) for times in stripe]
    before = [times[:cut] for times, cut in zip(stripe, cuts, strict=True)]
    after = [times[cut:] for times, cut in zip(stripe, cuts, strict=True)]
    yield from _parts(before, first, middle, bins)
    yield from _parts(after, middle, last, bins)


def _packed(
    places: NDArray[np.int32], shape: tuple[int, int], dtype: DTypeLike
) -> bytes:
    """Return the bytes of a chunk as HDF5's gzip filter would store them."""
    counts = np.zeros(shape[0] * shape[1], dtype=dtype)
    np.add.at(counts, places, 1)
    # Rasters are runs of zeros: this strategy makes a third of the bytes.
    packer = zlib.compressobj(_GZIP_LEVEL, strategy=zlib.Z_RLE)
    return packer.compress(counts.data) + packer.flush()


def _in_order(
    pool: Executor,
    pack: Callable[[NDArray[np.int32]], bytes],
    chunks: Iterable[tuple[_Corner, NDArray[np.int32]]],
) -> Iterator[tuple[_Corner, bytes]]:
    """Yield each chunk with what `pack` makes of it, a few being worked on ahead."""
    pending: deque[tuple[_Corner, Future[bytes]]] = deque()
    for corner, places in chunks:
        pending.append((corner, pool.submit(pack, places)))
        if len(pending) > _WORKERS:
            done, packed = pending.popleft()
            yield done, packed.result()
    for done, packed in pending:
        yield done, packed.result()
