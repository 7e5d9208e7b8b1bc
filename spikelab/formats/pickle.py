"""Pickles: a data object with all that it holds, for another session of Python."""

import copyreg
import functools
import pickle
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Unpack

import attrs
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError, UnsafePickleError
from spikelab.formats.base import FileWriter
from spikelab.formats.functions import show_options, spikedata_loader
from spikelab.formats.reading import ReaderKeywords, ReaderOptions
from spikelab.formats.unpickler import CONTAINERS, PLAIN, TIMES, Unpickler
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.storage.publish import local_copy
from spikelab.storage.s3 import CREDENTIALS, with_credentials
from spikelab.storage.urls import StrPath, is_s3_url, shown

__all__ = [
    "PickleWriter",
    "export_to_pickle",
    "load_from_pickle",
    "load_spikedata_from_pickle",
]

_PLAIN = {type(None), *PLAIN, SpikeTrains}


def _protocol(name: str, value: Any) -> int:
    """Return a version of the pickle format; None and -1 are the highest."""
    if value is None:
        return pickle.HIGHEST_PROTOCOL
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer or None, got {value}")
    number = validate.index(name, value)
    if not -1 <= number <= pickle.HIGHEST_PROTOCOL:
        raise ValueError(
            f"{name} must lie in -1..{pickle.HIGHEST_PROTOCOL}, got {value}"
        )
    return pickle.HIGHEST_PROTOCOL if number == -1 else number


@attrs.frozen(kw_only=True)
class PickleWriter(FileWriter[DataObject]):
    """Write a data object, with all that it holds, to a pickle.

    The file holds a pickle of the object itself: the name of its class and its
    attributes. It opens with :func:`~spikelab.load_from_pickle`, and in any Python that
    has spikelab also with ``pickle.load``.

    Parameters
    ----------
    protocol : int, optional
        Version of the pickle format, 0 to 5; -1 and the default are the highest. From 5
        on, arrays are written without a copy in memory.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> from spikelab.formats import PickleWriter
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> PickleWriter(verify=True).write(sd, "cells.pkl")
    'cells.pkl'
    """

    method: ClassVar[str] = "to_pickle"
    keeps_all: ClassVar[bool] = True

    protocol: int | None = attrs.field(
        default=None, validator=validate.validator(_protocol)
    )

    def _losses(self, obj: DataObject) -> list[str]:
        return _untrusted(obj)

    def _cautions(self, obj: DataObject) -> Iterator[str]:
        if not self.strict and (lost := _untrusted(obj)):  # strict: a LossError
            yield f"to_pickle: {'; '.join(lost)}"

    def _warned_losses(self, obj: DataObject) -> list[str]:
        return self._losses(obj)

    def _write(self, obj: DataObject, staged: Path) -> None:
        protocol = _protocol("protocol", self.protocol)
        reduced = functools.partial(_reduced, protocol=protocol, folder=staged.parent)
        arrays: Any = {np.ndarray: reduced, np.memmap: reduced}
        with staged.open("wb") as file:
            pickler = pickle.Pickler(file, protocol)
            pickler.dispatch_table = copyreg.dispatch_table | arrays
            try:
                pickler.dump(obj)
            except (
                pickle.PicklingError,
                AttributeError,
                RecursionError,
                TypeError,
            ) as e:
                raise TypeError(f"the object holds what cannot be pickled: {e}") from e

    def _read(self, staged: Path) -> DataObject:
        return _load(staged, trusted=True)


def _reduced(array: Any, *, protocol: int, folder: Path) -> Any:
    """Return how to write an array: a memory map as an array, a large one uncopied."""
    array = np.asarray(array)
    is_native = array.dtype.isnative
    if array.dtype.hasobject or (protocol < 5 and is_native):
        return array.__reduce_ex__(protocol)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        if array.nbytes > 2**24:
            with tempfile.TemporaryFile(dir=folder) as file:
                copy = np.memmap(file, array.dtype, "w+", shape=array.shape)
            copy[...] = array
            array = np.asarray(copy)
        array = np.ascontiguousarray(array)
    if is_native:
        return array.__reduce_ex__(5)
    # NumPy's own way may read them back in the byte order of the machine.
    from_buffer = np.zeros(1).__reduce_ex__(5)[0]
    return from_buffer, (bytearray(array.tobytes()), array.dtype, array.shape, "C")


def _untrusted(obj: DataObject) -> list[str]:
    """Return in words what a pickle cannot be loaded with unless it is trusted."""
    found: list[str] = []
    seen: dict[int, Any] = {}
    left: list[tuple[str, Any]] = [("the object", obj)]
    while left:
        where, value = left.pop()
        if type(value) in _PLAIN or id(value) in seen:
            continue
        seen[id(value)] = value  # kept, so that nothing else gets its id
        parts = _parts(where, value)
        if parts is None:
            name = type(value).__qualname__
            found.append(f"{where} is a {name}, loaded with trusted=True only")
        else:
            left += reversed(parts)
    return found


def _parts(where: str, value: Any) -> list[tuple[str, Any]] | None:
    """Return what a value holds, and where; None for a class that needs trust."""
    cls = type(value)
    if cls in TIMES:
        return [(f"the time zone of {where}", value.tzinfo)]
    if cls in (np.ndarray, np.memmap) and _is_plain(value.dtype):
        return [(where, value.ravel().tolist())] if value.dtype.hasobject else []
    if cls in CONTAINERS:
        is_dict = isinstance(value, dict)
        parts = [(where, key) for key in value] if is_dict else []
        for key, item in value.items() if is_dict else enumerate(value):
            if type(item) not in _PLAIN:
                parts.append((f"{where}[{key!r:.80}]", item))
        return parts
    if DATA_CLASSES.get(cls.__name__) is cls:
        return list(vars(value).items())
    is_of_numpy = isinstance(value, np.generic | np.dtype) and cls is not np.record
    return [] if is_of_numpy else None


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether arrays of a dtype are loaded without trust."""
    return dtype.kind in "biufcSUVmMO" and dtype.type is not np.record


class S3Keywords(ReaderKeywords, total=False):
    """The options of :func:`read` beside the trust."""

    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    aws_session_token: str | None
    region_name: str | None


class ExportKeywords(S3Keywords, total=False):
    """The options of :func:`export_to_pickle`."""

    protocol: int | None
    s3_upload: bool
    verify: bool
    strict: bool
    overwrite: bool


@attrs.frozen(kw_only=True)
class Credentials:
    """Where and how S3 is reached, as spikelab 0.1.2 has it.

    Parameters
    ----------
    s3_upload : bool
        Require `filepath` to be an S3 URL. An S3 URL is understood without it.
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials for S3; by default those that boto3 finds.
    region_name : str, optional
        Region for S3.
    """

    s3_upload: bool = False
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None
    aws_session_token: str | None = None
    region_name: str | None = None


def _with_credentials(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options whose credentials are part of `storage_options`."""
    keys = [options.get(name) for name in CREDENTIALS]
    found = {k: value for k, value in options.items() if k not in CREDENTIALS}
    return found | {
        "storage_options": with_credentials(options.get("storage_options"), *keys)
    }


def export_to_pickle(
    obj: DataObject, filepath: StrPath, **options: Unpack[ExportKeywords]
) -> str:
    """Write a data object, with all that it holds, to a pickle.

    The file holds a pickle of the object itself: the name of its class and its
    attributes. :func:`~spikelab.load_from_pickle` opens it without running code that a
    file could name; values of other classes than numpy's and Python's own need
    ``trusted=True`` there.

    Parameters
    ----------
    obj : data object
        A SpikeData, RateData, PairwiseCompMatrix, PairwiseCompMatrixStack,
        RateSliceStack or SpikeSliceStack.
    filepath : path or S3 URL
        The file; replaced if it exists.
    {options}

    Returns
    -------
    str
        `filepath`.

    Raises
    ------
    TypeError
        If `obj` is not a data object, or holds what cannot be pickled.
    ValueError
        If an option is wrong, or `s3_upload` is set and `filepath` is not an S3 URL.
    OSError
        If the file cannot be written; an earlier one is then as it was.

    Examples
    --------
    >>> from spikelab import SpikeData
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> sd.to_pickle("cells.pkl")
    'cells.pkl'
    """
    must_be_s3 = options.pop("s3_upload", False)
    writer = _writer(**options)
    if must_be_s3 and not is_s3_url(filepath):
        raise ValueError(
            f"filepath must be an S3 URL if s3_upload is set, got {shown(filepath)}"
        )
    return writer.write(obj, filepath)


def _writer(**options: Any) -> PickleWriter:
    """Return a writer with the options of the export function."""
    return PickleWriter(**_with_credentials(options))


export_to_pickle.writer = _writer  # type: ignore[attr-defined] # of any function
show_options(export_to_pickle, ExportKeywords, [PickleWriter, Credentials])


def recognises(path: Path, head: bytes) -> bool:
    """Return whether a file begins as a pickle, or has the name of one."""
    return head[:1] == b"\x80" or path.name.lower().endswith((".pkl", ".pickle"))


def read(
    filepath: StrPath,
    *,
    trusted: bool = False,
    allow_remote: bool = True,
    **options: Unpack[S3Keywords],
) -> DataObject:
    """Load a data object from a pickle.

    A pickle can name any function of any installed package and have it called while it
    is opened. Here only the six data classes, numpy arrays and numbers, and plain Python
    values are made, the data classes through their constructors. A pickle that names
    anything else is refused. A crafted pickle can still take much time or memory.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    trusted : bool
        Open the pickle with Python's own unpickler, which runs whatever the file says.
        Set it only for files that you, or someone whom you would let run programs as
        you, have written.
    allow_remote : bool
        Without effect, and accepted for scripts that set it: S3 URLs are read, under
        the same checks.
    {options}

    Returns
    -------
    data object
        One of the six data classes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    UnsafePickleError
        If the pickle names what is not part of a data object.
    FormatError
        If the file is not a pickle of a data object, or is damaged.

    Examples
    --------
    >>> from spikelab import SpikeData, load_from_pickle
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load_from_pickle(sd.to_pickle("cells.pkl"))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    with local_copy(filepath, **_with_credentials(options)) as path:
        return _load(path, trusted=trusted)


show_options(read, S3Keywords, [ReaderOptions, Credentials])
load_from_pickle = read
load_spikedata_from_pickle = spikedata_loader(read, "load_spikedata_from_pickle")


def _load(path: Path, *, trusted: bool) -> DataObject:
    unpickler = pickle.Unpickler if trusted else Unpickler
    try:
        with path.open("rb") as file:
            loaded: object = unpickler(file).load()
        if isinstance(loaded, DataObject):
            loaded.check()
            return loaded
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path} {error}") from None
    except MemoryError:
        raise FormatError(f"{path} asks for more memory than there is") from None
    except Exception as error:  # a damaged pickle can raise any
        raise FormatError(
            f"{path} is not a pickle of a data object, or is damaged: {error}"
        ) from error
    raise FormatError(
        f"{path} does not hold a data object, but a {type(loaded).__name__}"
    )
