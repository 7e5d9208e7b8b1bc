"""``.npy`` files: written in blocks, read without trusting them."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spikelab import validate
from spikelab.errors import FormatError, warn


@contextlib.contextmanager
def created(
    path: Path, dtype: DTypeLike, shape: tuple[int, ...]
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Create an array on the disk; yield the function that appends a block to it.

    The bytes are those of :func:`numpy.save`. Blocks follow one another along the first
    axis and must add up to `shape`.
    """
    kind = np.dtype(dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(kind),
        "fortran_order": False,
        "shape": shape,
    }
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)

        def append(block: NDArray[Any]) -> None:
            if block.size:
                same = np.ascontiguousarray(block, dtype=kind)
                file.write(same.reshape(-1).view(np.uint8).data)

        yield append


def write(path: Path, array: NDArray[Any]) -> None:
    """Write an array as a whole."""
    with created(path, array.dtype, array.shape) as append:
        append(array)


def read(path: Path, kinds: str = "iuf", ndim: int | None = None) -> NDArray[Any]:
    """Return an array, mapped from the disk.

    Parameters
    ----------
    path : Path
        The file. Nothing is unpickled, and a size that the file does not have is not
        believed.
    kinds : str
        Allowed kinds of dtype, as in ``numpy.dtype.kind``.
    ndim : int, optional
        Required number of dimensions.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is not a ``.npy`` file, is cut short, or holds something else.
    """
    validate.regular_file(path)
    try:
        with warnings.catch_warnings():
            # Of headers by Python 2, and of dtypes that are refused below.
            warnings.simplefilter("ignore")
            _check_header(path)
            array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, LookupError, SyntaxError, TokenError) as error:
        cause = " ".join(str(error).split())[:200]
        raise FormatError(
            f"{path} is not a .npy file, or is damaged: {cause}"
        ) from error
    except (OSError, OverflowError, MemoryError, RecursionError) as error:
        raise FormatError(f"{path} cannot be read as a .npy file: {error}") from error
    if array.dtype.kind not in kinds or ndim not in (None, array.ndim):
        raise FormatError(
            f"{path} must hold {'' if ndim is None else f'{ndim}-D '}numbers of kind "
            f"{kinds!r}, got {array.dtype} with shape {array.shape}"
        )
    return array


def _check_header(path: Path) -> None:
    """Raise ValueError for a shape or dtype at which NumPy would crash Python."""
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"version {version} is not 1.0 or 2.0")
    if not dtype.itemsize or any(extent < 0 for extent in shape):
        raise ValueError(f"shape {shape} and dtype {dtype}")


def read_column(path: Path, kinds: str = "iuf") -> NDArray[Any]:
    """Return a 1-D array; one of shape (n, 1) or (1, n) is taken as (n,).

    Raises
    ------
    FormatError
        As :func:`read`, and if the array has another shape.
    """
    array = read(path, kinds)
    if array.size and (array.ndim == 0 or array.size != max(array.shape)):
        raise FormatError(f"{path} must have shape (n,), got {array.shape}")
    return array.reshape(-1)


def read_whole(path: Path) -> NDArray[np.int64]:
    """Return a 1-D array of whole numbers as int64.

    Raises
    ------
    FormatError
        As :func:`read_column`, and for fractions, NaN and numbers beyond int64.
    """
    values = read_column(path)
    if values.dtype.kind == "i":
        return values.astype(np.int64, copy=False)
    limit = 2.0**63
    if values.size and not (values.min() >= -limit and values.max() < limit):
        raise FormatError(f"{path} must hold int64 numbers, got {values.max()}")
    whole = values.astype(np.int64)
    if values.dtype.kind == "f" and not np.array_equal(whole, values):
        raise FormatError(f"{path} must hold whole numbers")
    return whole


def read_optional(
    path: Path, reader: Callable[[Path], NDArray[Any]]
) -> NDArray[Any] | None:
    """Return an array that a folder need not have, None if it is not there.

    A file that `reader` refuses is left out with a warning.
    """
    if not path.exists():
        return None
    try:
        return reader(path)
    except FormatError as error:
        warn(f"left out: {error}")
        return None
