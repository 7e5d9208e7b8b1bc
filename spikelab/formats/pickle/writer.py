"""The writer and the reader of pickles, and their export function."""

import collections
import datetime
import os
import pathlib
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import comparison, destinations, kinds, s3, trains
from spikelab.errors import FormatError, warn
from spikelab.formats.keys import Keys
from spikelab.formats.pickle import machine as pickle_machine
from spikelab.formats.writer import FileWriter
from spikelab.kinds import Contents
from spikelab.s3_urls import shown

_SPOOLED = 2**25
"""Arrays of more bytes than this that are not contiguous are copied on disk."""

_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray, slice, range),
    *(datetime.date, datetime.timedelta, datetime.timezone),
    *(pathlib.PosixPath, pathlib.WindowsPath, np.dtype),
)

_TIMES = (datetime.datetime, datetime.time)

_TOO_DEEP = "the object must not nest so deep to be pickled"

_MAPPINGS = (dict, collections.OrderedDict, collections.defaultdict)


def _is_protocol(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{attribute.name} must be an integer or None, got {value!r}")
    if not 0 <= value <= pickle.HIGHEST_PROTOCOL:
        raise ValueError(
            f"{attribute.name} must lie in 0..{pickle.HIGHEST_PROTOCOL}, got {value}"
        )


@attrs.frozen(kw_only=True)
class PickleWriter(FileWriter):
    """Write any of the six data classes with all that it holds.

    On disk is a pickle of the object itself: the name of its class and its
    attributes. It opens with :func:`~spikelab.load_from_pickle`, and in any
    Python that has spikelab also with ``pickle.load``.

    Parameters
    ----------
    protocol : int, optional
        Version of the pickle format, 0 to 5; by default the highest. From 5 on,
        arrays go to the disk without a copy in memory; a lower protocol needs
        memory for a copy of all of them.
    """

    method: ClassVar[str] = "to_pickle"
    keeps_objects: ClassVar[bool] = True

    protocol: int | None = attrs.field(default=None, validator=_is_protocol)

    def _prepare(self, obj: Any) -> None:
        if not self.strict and (lost := self._losses(obj)):
            warn(f"to_pickle: {'; '.join(lost)}")

    def _losses(self, obj: Any) -> list[str]:
        try:
            return list(_untrusted("the object", obj, set()))
        except RecursionError:
            raise TypeError(_TOO_DEEP) from None

    def _write(self, obj: Any, path: Path, prepared: None) -> None:
        protocol = pickle.HIGHEST_PROTOCOL if self.protocol is None else self.protocol
        with path.open("wb") as file:
            try:
                _Pickler(file, protocol, path.parent).dump(obj)
            except RecursionError:
                raise TypeError(_TOO_DEEP) from None
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise TypeError(
                    f"the object holds what cannot be pickled: {error}"
                ) from error

    def _read_back(self, path: Path) -> Contents:
        loaded = _load(path, trusted=False)
        return Contents(kinds.kind_of(loaded), vars(loaded))

    def _differences(self, obj: Any, contents: Contents) -> list[str]:
        return [
            f"{name} differs"
            for name, value in vars(obj).items()
            if not comparison.same(_as_plain(value), contents.arguments.get(name))
        ]


class _Pickler(pickle.Pickler):
    """A pickler that writes memory maps as arrays, and large arrays uncopied."""

    def __init__(self, file: Any, protocol: int, folder: Path) -> None:
        super().__init__(file, protocol)
        self._protocol, self._folder = protocol, folder

    def reducer_override(self, obj: Any) -> Any:
        """Return how to write arrays; everything else is written as ever."""
        if type(obj) not in (np.ndarray, np.memmap):
            return NotImplemented
        array = _as_plain(obj)
        if self._protocol >= 5 and _needs_copy(array):
            array = _spooled(array, self._folder)
        return array.__reduce_ex__(self._protocol)


def _as_plain(value: Any) -> Any:
    return np.asarray(value) if type(value) is np.memmap else value


def _needs_copy(array: NDArray[Any]) -> bool:
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    return not contiguous and not array.dtype.hasobject and array.nbytes > _SPOOLED


def _spooled(array: NDArray[Any], folder: Path) -> NDArray[Any]:
    """Return a contiguous copy of the array that lies in an unnamed file."""
    with tempfile.TemporaryFile(dir=folder) as file:
        copy = np.memmap(file, array.dtype, "w+", shape=array.shape)
    copy[...] = array
    return np.asarray(copy)


def _untrusted(where: str, value: Any, seen: set[int]) -> Iterator[str]:
    """Yield in words what a loader without trust would refuse or leave out."""
    cls = type(value)
    is_scalar = isinstance(value, np.generic | np.dtype) and cls is not np.record
    if cls in _PLAIN or is_scalar or id(value) in seen:
        return
    seen.add(id(value))
    if cls in (np.ndarray, np.memmap) and _is_loaded(value):
        if value.dtype == object:
            yield from _untrusted(where, value.ravel().tolist(), seen)
    elif cls in _TIMES and isinstance(value.tzinfo, datetime.timezone | None):
        return
    elif cls in _MAPPINGS:
        yield from _odd_keys(where, value)
        for key, item in value.items():
            yield from _untrusted(f"{where}[{key!r:.80}]", item, seen)
    elif cls in (list, trains.Pieces, tuple, set, frozenset):
        if cls in (set, frozenset):
            yield from _odd_keys(where, value)
        for i, item in enumerate(value):
            yield from _untrusted(f"{where}[{i}]", item, seen)
    elif kinds.is_data_object(value):
        for name in kinds.additional(cls.__name__, vars(value)):
            yield f"{where} has an attribute {name}, kept with trusted=True only"
        for name, item in vars(value).items():
            yield from _untrusted(name, item, seen)
    else:
        yield f"{where} is a {cls.__qualname__}, loaded with trusted=True only"


def _odd_keys(where: str, keys: Iterable[Any]) -> Iterator[str]:
    known = Keys()
    try:
        for key in keys:
            known.checked(key)
    except ValueError as error:
        yield f"{where} is loaded with trusted=True only ({error})"


def _is_loaded(array: NDArray[Any]) -> bool:
    """Tell whether arrays of this dtype are loaded, objects aside that are in them."""
    if array.dtype.kind not in "biufcSUVmMO":
        return False
    if array.dtype == object:
        items = array.ravel().tolist()
        return not any(isinstance(i, np.ndarray) and i.dtype.hasobject for i in items)
    return not array.dtype.hasobject


def export_to_pickle(
    obj: Any,
    filepath: str | os.PathLike[str],
    *,
    protocol: int | None = None,
    s3_upload: bool = False,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
    verify: bool = False,
    strict: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> str:
    """Write a data object, with all that it holds, to a pickle.

    On disk is a pickle of the object itself: the name of its class and its
    attributes. :func:`~spikelab.load_from_pickle` opens it without running
    code that a file could name; values of other classes than numpy's and
    Python's own need ``trusted=True`` there.

    Parameters
    ----------
    obj : data object
        A SpikeData, RateData, PairwiseCompMatrix, PairwiseCompMatrixStack,
        RateSliceStack or SpikeSliceStack.
    filepath : path or S3 URL
        The file; replaced if it exists.
    protocol : int, optional
        Version of the pickle format, 0 to 5; by default the highest. Lower ones
        are for older versions of Python, and need memory for a copy of all
        arrays.
    s3_upload : bool
        Require `filepath` to be an S3 URL. An S3 URL is understood without it.
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials for S3; by default those that boto3 finds.
    region_name : str, optional
        Region for S3.
    verify : bool
        Read the file back and compare, before it replaces an earlier one.
    strict : bool
        Raise an error if the loader would not give back all that the object holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a transfer to S3.

    Returns
    -------
    str
        `filepath`.

    Raises
    ------
    TypeError
        If `obj` is not a data object, or holds what cannot be pickled.
    ValueError
        If an option is wrong, or `s3_upload` is set and `filepath` is not an
        S3 URL.
    OSError
        If the file cannot be written; an earlier one is then as it was.
    """
    writer = PickleWriter(
        protocol=protocol,
        verify=verify,
        strict=strict,
        storage_options=s3.with_credentials(
            storage_options,
            aws_access_key_id=aws_access_key_id,
            aws_secret_access_key=aws_secret_access_key,
            aws_session_token=aws_session_token,
            region_name=region_name,
        ),
        progress=progress,
    )
    if s3_upload and not s3.is_s3_url(filepath):
        raise ValueError(
            f"filepath must be an S3 URL if s3_upload is set, got {shown(filepath)}"
        )
    return writer.write(obj, filepath)


def read(
    filepath: str | os.PathLike[str],
    *,
    trusted: bool = False,
    allow_remote: bool = True,
    aws_access_key_id: str | None = None,
    aws_secret_access_key: str | None = None,
    aws_session_token: str | None = None,
    region_name: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Any:
    """Load a data object from a pickle.

    A pickle can name any function of any installed package and have it called
    while it is opened. Here only the six data classes, numpy arrays and
    numbers, and plain Python values are made, each through checks; a pickle
    that names anything else is refused before anything it names is looked up.

    Parameters
    ----------
    filepath : path or S3 URL
        The file.
    trusted : bool
        Open the pickle with Python's own unpickler, which runs whatever the
        file says. Set it only for files that you, or someone whom you would let
        run programs as you, have written.
    allow_remote : bool
        Without effect, and accepted for scripts that set it: S3 URLs are
        read, under the same checks.
    aws_access_key_id, aws_secret_access_key, aws_session_token : str, optional
        Credentials for S3; by default those that boto3 finds.
    region_name : str, optional
        Region for S3.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
    progress : bool
        Show a progress bar during a download.

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
    """
    options = s3.with_credentials(
        storage_options,
        aws_access_key_id=aws_access_key_id,
        aws_secret_access_key=aws_secret_access_key,
        aws_session_token=aws_session_token,
        region_name=region_name,
    )
    with destinations.local_copy(filepath, options, progress=progress) as path:
        return _load(path, trusted=trusted)


def _load(path: Path, *, trusted: bool) -> Any:
    with path.open("rb") as file:
        if trusted:
            loaded = _unpickled(file, path)
        else:
            loaded = pickle_machine.load(file, str(path))
    try:
        kinds.kind_of(loaded)
    except TypeError as error:
        raise FormatError(f"{path} does not hold a data object: {error}") from None
    return loaded


def _unpickled(file: Any, path: Path) -> Any:
    try:
        return pickle.load(file)  # noqa: S301 - the caller trusts the file
    except (
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise FormatError(f"{path} is not a pickle, or is damaged: {error}") from error
    except (AttributeError, ImportError) as error:
        raise FormatError(f"{path} names what is not there: {error}") from error
