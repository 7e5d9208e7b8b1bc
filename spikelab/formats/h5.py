"""Access to HDF5 files that may come from anywhere, and writing in blocks."""

import contextlib
import contextvars
import functools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5p, h5s, h5t
from numpy.typing import NDArray

from spikelab import trains
from spikelab.errors import FormatError, MissingExtraError
from spikelab.formats.h5_disk import Disk, Source

_PLAIN = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)

_UNWRITTEN = 2**24
"""Bytes that a dataset may have without any of them in the file."""

_INFLATION = 1100
"""How many times larger than its stored bytes a compressed dataset can be."""

_LEAST_READ, _READ_PER_BYTE = 2**28, 2 * _INFLATION
"""Bytes that may be read of any file in all, and more for each of its own."""

_UNIT = 1000
"""Bytes that the array and the attributes of a unit take, rounded up."""

_TEXTS = 2**22
"""Bytes of texts that are read at a time."""

_MOST_LINKS = 8
"""Soft links in a row that are followed before they are taken for a ring."""

_COMPACT = 60_000
"""Bytes that fit into the header of a dataset."""

_DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, OSError, RuntimeError),
    *(SyntaxError, TypeError, UnicodeError),
)
"""What h5py raises for damage inside a file; and ValueError, as others do."""


@contextlib.contextmanager
def created(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing.

    Raises
    ------
    OSError
        If any write failed, as on a full disk; the file is then worthless.
    """
    with Disk(path) as disk:
        try:
            with h5py.File(disk, "w") as file:
                yield file
        except Exception:
            if disk.error is None:
                raise
        if disk.error is not None:
            raise disk.error


@attrs.define
class _Budget:
    """How many bytes may still be read from a file, some of them several times.

    Many links may lead to one dataset that is large and costs the file nothing.
    """

    left: int


_BUDGET: contextvars.ContextVar[_Budget | None] = contextvars.ContextVar(
    "_BUDGET", default=None
)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If `path` names no file.
    FormatError
        If the file is not an HDF5 file, or is damaged.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"filepath must name a file, got a folder: {path}")
    with Source(path) as source, _limited(_LEAST_READ + _READ_PER_BYTE * source.size):
        try:
            file = h5py.File(source, "r")
        except (*_DAMAGE, ValueError) as error:
            raise FormatError(
                f"{path} is not an HDF5 file, or is damaged: {error}"
            ) from error
        with file:
            try:
                yield file
            except MissingExtraError:
                raise
            except FormatError as error:
                if str(path) not in str(error):
                    error.args = (f"{path}: {error}",)
                raise
            except (*_DAMAGE, ValueError) as error:
                if type(error) is ValueError and not _raised_by_h5py(error):
                    raise
                raise FormatError(
                    f"{path} is damaged or not as expected: {error}"
                ) from error
        if source.damaged:
            raise FormatError(f"{path} is damaged: its heap of texts is not sound")


@contextlib.contextmanager
def _limited(n_bytes: int) -> Iterator[None]:
    token = _BUDGET.set(_Budget(n_bytes))
    try:
        yield
    finally:
        _BUDGET.reset(token)


def _raised_by_h5py(error: BaseException) -> bool:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and "h5py" in Path(last.tb_frame.f_code.co_filename).parts


def member(group: h5py.Group, name: str) -> Any:
    """Return the group or dataset `name`, which lies in the same file.

    Raises
    ------
    FormatError
        If there is none, or a link leads out of the file or to itself.
    """
    return _member(group, name, _MOST_LINKS)


def _member(group: h5py.Group, name: str, links: int) -> Any:
    """Follow `name`, through no more than `links` soft links."""
    found: Any = group.file["/"] if name.startswith("/") else group
    for part in filter(lambda part: part not in ("", "."), name.split("/")):
        link = _link_type(found, part)
        if link is None:
            raise FormatError(f"{group.file.filename} has no {name!r} in {group.name}")
        if link not in (h5l.TYPE_HARD, h5l.TYPE_SOFT) or links == 0:
            raise FormatError(
                f"{group.file.filename}: {name!r} must not lead out of the file, "
                "nor in a ring"
            )
        if link == h5l.TYPE_SOFT:
            path = found.get(part, getlink=True).path
            found = _member(found, path, links - 1)
        else:
            found = found[part]
    return found


def _link_type(group: Any, name: str) -> int | None:
    """Return what kind of link a name in a group is, None if there is none."""
    if not isinstance(group, h5py.Group):
        return None
    try:
        encoded = name.encode()
        return (
            int(group.id.links.get_info(encoded).type) if encoded in group.id else None
        )
    except (KeyError, UnicodeEncodeError):
        return None


def has_member(group: h5py.Group, name: str) -> bool:
    """Tell whether :func:`member` would find `name`."""
    try:
        member(group, name)
    except FormatError:
        return False
    return True


def dataset(
    group: h5py.Group,
    name: str,
    *,
    ndim: int = 1,
    kinds: str = "iuf",
    sparse: bool = False,
) -> Any:
    """Return the dataset `name`, of `ndim` dimensions and a numeric dtype.

    Parameters
    ----------
    group : h5py.Group
        Where to look.
    name : str
        Path of the dataset from there.
    ndim : int
        Required number of dimensions.
    kinds : str
        Allowed kinds of dtype, as in ``numpy.dtype.kind``.
    sparse : bool
        Allow a dataset of which the most was never written. By default one
        that is much larger than what is stored of it is refused.
    """
    found = member(group, name)
    where = repr(name)  # the path is added where the file was opened
    if not isinstance(found, h5py.Dataset):
        raise FormatError(f"{where} must be a dataset, got a group")
    if found.external or found.is_virtual:
        raise FormatError(f"{where} must keep its data in this file")
    shape, dtype = found.shape, found.dtype
    if shape is None or len(shape) != ndim or dtype.kind not in kinds:
        raise FormatError(
            f"{where} must have {ndim} dimension(s) and a dtype of kind {kinds!r}, "
            f"got shape {shape} and {dtype}"
        )
    if not sparse:
        check_size(found, where)
    return found


def check_size(found: h5py.Dataset, where: str) -> None:
    """Raise FormatError if a dataset cannot be as large as it says.

    Chunks that were never written cost a file nothing and memory everything.
    """
    stored, dtype, shape = found.id.get_storage_size(), found.dtype, found.shape
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > _UNWRITTEN + _INFLATION * stored:
        raise FormatError(
            f"{where} must not claim {n_bytes} bytes where {stored} are stored"
        )
    # Small numbers along one axis are times or indices, and become large ones.
    becomes = 8 if len(shape) == 1 and dtype.kind in "iuf" else 0
    spend(max(n_bytes, becomes * math.prod(shape)), where)


def spend(n_bytes: int, where: str) -> None:
    """Count memory that a file asks for; raise FormatError if it is too much for it."""
    budget = _BUDGET.get()
    if budget is None:
        return
    budget.left -= n_bytes
    if budget.left < 0:
        raise FormatError(f"{where} claims much more than the file holds")


def spend_on_units(count: int, where: str) -> None:
    """Count the memory of so many units, or other small arrays."""
    spend(_UNIT * count, where)


def texts(found: h5py.Dataset) -> NDArray[Any]:
    """Return a dataset of texts of any length, as an object array of str.

    Many of them may be the same, long one, of which the file holds but one.
    """
    stored = found.asstr("utf-8", "replace")
    flat: list[str] = [] if found.ndim else [stored[()]]
    row, step = 0, 1
    while found.ndim and row < len(found):
        block = np.ravel(stored[row : row + step]).tolist()
        size = sum(map(len, block))
        spend(size + 50 * len(block), f"{found.file.filename}: {found.name!r}")
        flat += block
        row += step
        step = min(max(_TEXTS * step // max(size, 1), 1), 2 * step)
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    return array.reshape(found.shape)


def _corners(found: h5py.Dataset) -> list[tuple[int, ...]]:
    """Return where the chunks that were written begin."""
    if not hasattr(found.id, "chunk_iter"):  # h5py with HDF5 before 1.12.3
        chunks = range(found.id.get_num_chunks())
        return [found.id.get_chunk_info(i).chunk_offset for i in chunks]
    corners: list[tuple[int, ...]] = []
    found.id.chunk_iter(lambda chunk: corners.append(chunk.chunk_offset))
    return corners


def written_chunks(found: h5py.Dataset) -> Iterator[tuple[slice, ...]]:
    """Yield the regions of a dataset that were written, one at a time.

    They are chunks, in the order of their place, or, without chunks, the rows
    of about a block together.
    """
    if found.chunks is None:
        if found.id.get_storage_size() and found.size:
            rows = max(trains.BLOCK // max(found.shape[1], 1), 1)
            for row in range(0, found.shape[0], rows):
                yield slice(row, row + rows), slice(None)
        return
    largest = int(np.prod(found.chunks, dtype=np.float64)) * found.dtype.itemsize
    if largest > _UNWRITTEN + _INFLATION * found.id.get_storage_size():
        raise FormatError(f"{found.file.filename}: a chunk of {largest} bytes")
    for corner in sorted(_corners(found)):
        yield tuple(
            slice(first, min(first + size, whole))
            for first, size, whole in zip(
                corner, found.chunks, found.shape, strict=True
            )
        )


def scalar_attributes(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes that are plain numbers or strings, as Python values."""
    values = {}
    for name, value in _attributes(group):
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, str | int | float):
            values[name] = value
    return values


def _attributes(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that are one number or one text."""
    for name in group.attrs:
        if not isinstance(name, str):  # h5py decodes only what is UTF-8
            continue
        attribute = h5a.open(group.id, name.encode())
        kind = attribute.get_type().get_class()
        if kind in _PLAIN and attribute.get_space().get_simple_extent_npoints() == 1:
            yield name, group.attrs[name]


def is_text(value: Any) -> bool:
    """Tell whether HDF5 stores a value as text: UTF-8 without a NUL."""
    return isinstance(value, str) and why_no_text(value) is None


def why_no_text(text: str) -> str | None:
    """Return what HDF5 cannot store in a text, None if it can store it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    return "text with a NUL character" if "\0" in text else None


def write_blocks(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    blocks: Iterable[NDArray[Any]],
) -> h5py.Dataset:
    """Create a contiguous dataset and fill it along its first axis, block by block."""
    created = group.create_dataset(name, shape=shape, dtype=dtype)
    position = 0
    for block in blocks:
        created[position : position + len(block)] = block
        position += len(block)
    return created


def write_small(group: h5py.Group, arrays: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write many named 1-D arrays at half the cost that h5py's own call has.

    What fits into the header of a dataset is kept there.
    """
    contiguous, compact = (h5p.create(h5p.DATASET_CREATE) for _ in range(2))
    for layout in (contiguous, compact):
        layout.set_obj_track_times(False)  # or each file differs from the one before
    compact.set_layout(h5d.COMPACT)
    type_of = functools.cache(functools.partial(h5t.py_create, logical=True))
    space_of = functools.cache(h5s.create_simple)
    for name, array in arrays:
        dtype, space = type_of(array.dtype), space_of(array.shape)
        layout = compact if 0 < array.nbytes <= _COMPACT else contiguous
        created = h5d.create(group.id, name.encode(), dtype, space, layout)
        created.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array), dtype)


def write_array(group: h5py.Group, name: str, array: NDArray[Any]) -> None:
    """Write an array of one or two dimensions in blocks.

    The blocks follow the array's own layout, so that a memory-mapped file is
    read once from front to back.
    """
    created = group.create_dataset(name, shape=array.shape, dtype=array.dtype)
    for region in _regions(array):
        created[region] = array[region]


def holds_array(stored: h5py.Dataset, array: NDArray[Any]) -> bool:
    """Tell, block by block, whether a dataset is what :func:`write_array` wrote."""
    return stored.shape == array.shape and all(
        np.array_equal(stored[region], array[region], equal_nan=array.dtype.kind == "f")
        for region in _regions(array)
    )


def _regions(array: NDArray[Any]) -> Iterator[tuple[slice, ...]]:
    slow, *fast = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    row = int(np.prod([array.shape[axis] for axis in fast], dtype=np.int64))
    block = max(trains.BLOCK * 8 // array.itemsize, 1)
    rows = max(block // max(row, 1), 1)
    step = block if rows == 1 else max(row, 1)
    for start in range(0, array.shape[slow], rows):
        region = [slice(None)] * array.ndim
        region[slow] = slice(start, start + rows)
        if not fast:
            yield tuple(region)
            continue
        for first in range(0, array.shape[fast[0]], step):
            region[fast[0]] = slice(first, first + step)
            yield tuple(region)
