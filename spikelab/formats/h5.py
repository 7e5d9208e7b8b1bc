"""Reading HDF5 files that may come from anywhere, and writing in blocks."""

import contextlib
import functools
import math
import os
import posixpath
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5p, h5s, h5t
from numpy.typing import DTypeLike, NDArray

from spikelab import registry
from spikelab.errors import FormatError
from spikelab.formats.h5_disk import Disk, Source
from spikelab.formats.reading import errors_naming
from spikelab.spikedata.spike_trains import BLOCK
from spikelab.storage.remote_file import RemoteFile

_PLAIN = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)
"""The classes of types of which an attribute is a Python value."""

_UNWRITTEN = 2**24
"""Bytes that a dataset may have without any of them in the file, or an attribute."""

_INFLATION = 1100
"""How many times larger than its stored bytes a compressed dataset can be."""

_MOST_LINKS = 8
"""Soft links in a row that are followed before they are taken for a ring."""

_MOST_NAMED = 20
"""Datasets of a file that an error names."""


@contextlib.contextmanager
def created(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing.

    OSError if any write failed, as on a full disk; the file is then worthless.
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


@contextlib.contextmanager
def opened(path: str | os.PathLike[str] | RemoteFile) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, a local or a remote one.

    Of a remote one, only the blocks that are needed are fetched. FormatError, which names
    the file, if it is not an HDF5 file, is damaged, or is open for writing in another
    program; FileNotFoundError or IsADirectoryError if it is no file.
    """
    remote = path if isinstance(path, RemoteFile) else None
    with errors_naming(path), contextlib.ExitStack() as stack:
        try:
            if remote is None:
                if Path(path).is_dir():
                    registry.refuse_foreign(Path(path))
                    text = f"filepath must name a file, got a folder: {path}"
                    raise IsADirectoryError(text)
                file = stack.enter_context(Path(path).open("rb", buffering=0))
                # HDF5 locks the files that it opens by name, but no Python file objects.
                lock = h5f.open(os.fsencode(path), h5f.ACC_RDONLY)
                stack.callback(lock.close)
            source = Source(remote or file)
            with h5py.File(source, "r") as opened_file:
                yield opened_file
        except Exception as error:
            if remote is not None and remote.error is not None:
                raise remote.error from None
            is_of_h5py = any(
                "h5py" in Path(frame.f_code.co_filename).parts
                for frame, _ in traceback.walk_tb(error.__traceback__)
            )
            # For damage h5py raises any error; what it did not raise is our mistake.
            if isinstance(error, FormatError) or not is_of_h5py:
                raise
            raise FormatError(_why_unreadable(path, str(error))) from error
        if source.damaged:
            raise FormatError("it is damaged: one of its heaps of strings is not sound")


def _why_unreadable(path: str | os.PathLike[str] | RemoteFile, reason: str) -> str:
    """Return what a user can do about a file for which h5py raised an error."""
    if "unable to lock" in reason or "already open for write" in reason:
        return (
            "it is open for writing in another program, and cannot be read before it "
            f"is closed there: {reason}"
        )
    if "filter" in reason or "plugin" in reason:
        return (
            "it is compressed by an HDF5 filter that is not installed; 'pip install "
            f"hdf5plugin', and 'import hdf5plugin' before it is read: {reason}"
        )
    if isinstance(path, RemoteFile) or h5f.is_hdf5(os.fsencode(path)):
        return f"it is damaged or not as expected: {reason}"
    with contextlib.suppress(FormatError):
        reason = f"its format is {registry.recognised(Path(path)).name!r}"
    return f"{os.fspath(path)} is not an HDF5 file: {reason}"


def has_attribute(path: str | os.PathLike[str], name: str) -> bool:
    """Return whether a file is one of HDF5 whose root has an attribute."""
    try:
        with h5py.File(path, "r") as file:
            return name in file.attrs
    except Exception:
        return False


def member(group: h5py.Group, name: str) -> Any:
    """Return the group or dataset `name`, which lies in the same file.

    FormatError if there is none, or a link leads out of the file or to itself.
    """
    found = _found(group, name)
    if found is None:
        raise FormatError(
            f"{group.file.filename} has no {name!r} in {group.name}; {listed(group)}"
        )
    return found


def has_member(group: h5py.Group, name: str) -> bool:
    """Return whether :func:`member` would find `name`."""
    try:
        return _found(group, name) is not None
    except FormatError:
        return False


def _found(group: h5py.Group, name: str, links: int = _MOST_LINKS) -> Any:
    """Follow `name`, through no more than `links` soft links; None if it ends."""
    if not is_text(name):  # h5py gives a name that is not UTF-8 as bytes
        return None
    found: Any = group.file["/"] if name.startswith("/") else group
    for part in name.split("/"):
        if part in ("", "."):
            continue
        is_group = isinstance(found, h5py.Group)
        link = found.get(part, getlink=True) if is_group else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink) or links == 0:
            where = posixpath.join(str(group.name), name)
            raise FormatError(f"{where!r} must not lead out of the file, nor in a ring")
        if isinstance(link, h5py.SoftLink):
            found = _found(found, link.path, links - 1)
        else:
            found = found[part]
    return found


def listed(group: h5py.Group) -> str:
    """Return in words which datasets a group holds."""
    names: list[str] = []
    # h5py gives names that are not UTF-8 as bytes.
    group.visititems(
        lambda name, item: names.append(str(name)) if hasattr(item, "shape") else None
    )
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return f"its datasets are {', '.join(names[:_MOST_NAMED]) or 'none'}{more}"


def dataset(
    group: h5py.Group,
    name: str,
    *,
    ndim: int | Sequence[int] = 1,
    kinds: str = "iuf",
    sparse: bool = False,
    empty: bool = False,
) -> Any:
    """Return the dataset `name`, which lies in the same file, or raise FormatError.

    `ndim` are the allowed numbers of dimensions, `kinds` those of the dtype, as in
    ``numpy.dtype.kind``. `sparse` allows a dataset of which the most was never written,
    `empty` one without a shape, which :func:`is_empty` finds.
    """
    found = member(group, name)
    if not isinstance(found, h5py.Dataset):
        inside = (
            f"a group; {listed(found)}" if isinstance(found, h5py.Group) else "a type"
        )
        raise FormatError(f"{name!r} must be a dataset, got {inside}")
    if found.external or found.is_virtual:
        raise FormatError(f"{name!r} must keep its data in this file")
    shape, dtype = found.shape, found.dtype
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if shape is None and empty:
        return found
    if shape is None or len(shape) not in allowed or dtype.kind not in kinds:
        raise FormatError(
            f"{name!r} must have {' or '.join(map(str, allowed))} dimension(s) and a "
            f"dtype of kind {kinds!r}, got shape {shape} and {dtype}"
        )
    if not sparse:
        check_size(found, repr(name))
    return found


def vector(group: h5py.Group, name: str) -> Any:
    """Return the 1-D dataset `name`, or an array of what others have in its place.

    MATLAB stores a vector with shape (1, n) or (n, 1). A single value becomes an array of
    one, an empty dataset an array without values.
    """
    found = dataset(group, name, ndim=(0, 1, 2), empty=True)
    if is_empty(found):
        return np.empty(0)
    if found.ndim == 2 and min(found.shape) > 1:
        raise FormatError(f"{name!r} must be a vector, got shape {found.shape}")
    return found if found.ndim == 1 else np.ravel(found[()])


def is_empty(found: h5py.Dataset) -> bool:
    """Return whether a dataset stands for an array without values.

    MATLAB stores the size of such an array, with the attribute ``MATLAB_empty``; Julia
    and R a dataset without a shape.
    """
    return found.shape is None or bool(found.attrs.get("MATLAB_empty", False))


def check_size(found: h5py.Dataset, where: str, n_values: int | None = None) -> None:
    """Raise FormatError if a dataset cannot hold as many values as it says.

    Chunks that were never written cost a file nothing and memory everything.
    """
    stored = found.id.get_storage_size()
    claimed = math.prod(found.shape) if n_values is None else n_values
    n_bytes = claimed * found.dtype.itemsize
    if n_bytes > _UNWRITTEN + _INFLATION * stored:
        raise FormatError(
            f"{where} must not claim {n_bytes} bytes where {stored} are stored"
        )


def texts(found: h5py.Dataset) -> NDArray[Any]:
    """Return a dataset of strings of any length, as an object array of str."""
    return np.asarray(found.asstr("utf-8", "replace")[()], dtype=object)


def scalar_attributes(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes that are one number or str, as Python values."""
    return {
        name: value if isinstance(value, str) else value.item()
        for name, value in plain_attributes(group).items()
        if isinstance(value, str) or value.size == 1
    }


def plain_attributes(group: h5py.Group) -> dict[str, Any]:
    """Return the attributes that are numbers, of NumPy, or one str.

    HDF5 can crash on what is left out, if a damaged file claims to hold it.
    """
    values: dict[str, Any] = {}
    for index in range(h5a.get_num_attrs(group.id)):
        attribute = h5a.open(group.id, index=index)
        # Each of these asks HDF5 again.
        stored, shape = attribute.get_type(), attribute.shape
        kind, size = stored.get_class(), math.prod(shape)
        if kind not in _PLAIN or (kind == h5t.STRING and size != 1):
            continue
        dtype = stored.dtype
        if size * dtype.itemsize > _UNWRITTEN:
            raise FormatError(f"an attribute of {group.name} claims {size} values")
        array = np.empty(shape, dtype)
        attribute.read(array)
        value = array.item() if kind == h5t.STRING else array[()]
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        values[attribute.name.decode("utf-8", errors="replace")] = value
    return values


def is_text(value: Any) -> bool:
    """Return whether HDF5 stores a value as a string: UTF-8 without a NUL."""
    return isinstance(value, str) and why_no_text(value) is None


def why_no_text(text: str) -> str | None:
    """Return what HDF5 cannot store in a string, None if it can store it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half of a surrogate pair"
    return "text with a NUL character" if "\0" in text else None


def write_blocks(
    group: h5py.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    blocks: Iterable[NDArray[Any]],
) -> h5py.Dataset:
    """Create a contiguous dataset and fill it along its first axis, block by block."""
    created = group.create_dataset(name, shape=shape, dtype=dtype)
    position = 0
    for block in blocks:
        created[position : position + len(block)] = block
        position += len(block)
        del block  # or it stays in memory beside the next one
    return created


def write_small(group: h5py.Group, arrays: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write many named 1-D arrays at half the cost that h5py's own call has."""
    layout = h5p.create(h5p.DATASET_CREATE)
    layout.set_obj_track_times(False)  # or each file differs from the one before
    type_of = functools.cache(functools.partial(h5t.py_create, logical=True))
    for name, array in arrays:
        dtype, space = type_of(array.dtype), h5s.create_simple(array.shape)
        created = h5d.create(group.id, name.encode(), dtype, space, layout)
        created.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array), dtype)


def write_array(group: h5py.Group, name: str, array: NDArray[Any]) -> None:
    """Write an array without a copy of it in memory.

    HDF5 writes an array in C order as it lies. Of any other, blocks are copied: parts
    along its longest axis, which of raw voltages is the one of time.
    """
    if array.flags.c_contiguous:
        group.create_dataset(name, data=array)
        return
    created = group.create_dataset(name, shape=array.shape, dtype=array.dtype)
    axis = int(np.argmax(array.shape))
    step = max(8 * BLOCK * array.shape[axis] // array.nbytes, 1)
    for start in range(0, array.shape[axis], step):
        region = (*[slice(None)] * axis, slice(start, start + step))
        created[region] = array[region]
