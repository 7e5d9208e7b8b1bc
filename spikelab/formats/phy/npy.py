"""``.npy`` files: written in blocks, read without trusting them."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn
from spikelab.spikedata.spike_trains import BLOCK, CACHED

P = ParamSpec("P")
T = TypeVar("T")

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGED = (
    *(ValueError, TypeError, LookupError, SyntaxError, TokenError),
    *(OSError, OverflowError, MemoryError, RecursionError),
)


@contextlib.contextmanager
def created(
    path: Path, dtype: DTypeLike, shape: tuple[int, ...], *, flush: bool = False
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Create an array on the disk; yield the function that appends a block to it.

    The bytes are those of :func:`numpy.save`. Blocks follow one another along the first
    axis and must add up to `shape`. With `flush`, they are on the disk in the end.
    """
    kind = np.dtype(dtype)
    descr = np.lib.format.dtype_to_descr(kind)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

        def append(block: NDArray[Any]) -> None:
            if block.size:
                same = np.ascontiguousarray(block, dtype=kind)
                file.write(same.reshape(-1).view(np.uint8).data)

        yield append
        if flush:
            file.flush()
            os.fsync(file.fileno())


def read(
    path: Path, ndim: int | None = None, shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """Return an array of real numbers, mapped from the disk and never unpickled.

    Raises FileNotFoundError if there is none, and FormatError if the file is damaged,
    or holds something else, or an array of another number of dimensions or shape.
    """
    validate.regular_file(path)
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers by Python 2, of huge shapes
            read_header = _HEADERS[np.lib.format.read_magic(file)]
            extents, is_fortran, dtype = read_header(file)
            # A memmap of values without a size, as of dtype U0, crashes Python.
            is_array = dtype.kind in "iuf" and min(extents, default=0) >= 0
            if is_array and ndim in (None, len(extents)) and shape in (None, extents):
                order: Any = "F" if is_fortran else "C"
                return np.memmap(path, dtype, "r", file.tell(), extents, order)
    except FileNotFoundError:
        raise
    except _DAMAGED as error:
        cause = " ".join(str(error).split())[:200]
        text = f"{path} is not a .npy file, or is damaged: {cause}"
        raise FormatError(text) from error
    if is_array and shape is not None:
        raise FormatError(f"{path} must have shape {shape}, got {extents}")
    raise FormatError(
        f"{path} must hold {'' if ndim is None else f'{ndim}-D '}real numbers, "
        f"got {dtype} with shape {extents}"
    )


def read_column(path: Path, n_rows: int | None = None) -> NDArray[Any]:
    """Return a 1-D array; one of shape (n, 1) or (1, n) is taken as (n,)."""
    array = read(path)
    is_column = array.ndim and array.size == max(array.shape)
    if (array.size and not is_column) or n_rows not in (None, array.size):
        n = "n" if n_rows is None else n_rows
        raise FormatError(f"{path} must have shape ({n},), got {array.shape}")
    return array.reshape(-1)


def read_whole(path: Path, n_rows: int | None = None) -> NDArray[Any]:
    """Return a 1-D array of whole numbers: signed ones as they are, others as int64."""
    values = read_column(path, n_rows)
    if values.dtype.kind == "i":
        return values  # mapped from the disk
    limit = 2.0**63
    if values.size and not (values.min() >= -limit and values.max() < limit):
        raise FormatError(f"{path} must hold int64 numbers, got {values.max()}")
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not np.array_equal(whole, values):
        raise FormatError(f"{path} must hold whole numbers")
    return whole


def optional(read: Callable[P, T], *args: P.args, **options: P.kwargs) -> T | None:
    """Return what `read` does, None if a file is not there or, with a warning, odd."""
    try:
        return read(*args, **options)
    except FileNotFoundError:
        return None
    except FormatError as error:
        warn(f"left out: {error}")
        return None


def counted(clusters: NDArray[Any]) -> dict[int, int]:
    """Return how often each number stands in an array."""
    if not clusters.size:
        return {}
    if (ends := _ends_of_runs(clusters)) is not None:
        ids, of_runs = np.unique(clusters[ends - 1], return_inverse=True)
        counts = np.zeros(len(ids), dtype=np.int64)
        np.add.at(counts, of_runs, np.diff(ends, prepend=0))
    elif clusters.min() >= 0 and (highest := int(clusters.max())) < 2**22:
        counts, step = np.zeros(highest + 1, dtype=np.int64), max(BLOCK, highest)
        for start in range(0, len(clusters), step):  # each is converted to int64
            block = clusters[start : start + step]
            counts += np.bincount(block, minlength=len(counts))
        ids = np.flatnonzero(counts)
        counts = counts[ids]
    else:
        ids, counts = np.unique(clusters, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def _ends_of_runs(clusters: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return where equal numbers end that follow each other, None if most differ."""
    ends = []
    for start in range(0, len(clusters), CACHED):
        block = clusters[start : start + CACHED + 1]
        found = np.flatnonzero(block[1:] != block[:-1])
        if 4 * len(found) > len(block):
            return None
        ends.append(found + start + 1)
    return np.concatenate([*ends, [len(clusters)]])
