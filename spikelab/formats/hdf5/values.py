"""Values of many types as JSON, and back without a difference.

What JSON has (None, bool, integers, finite floats, str, lists, and dictionaries with str
as keys) stands for itself. Everything else is an object with one key that starts with
``$``: ``{"$tuple": [1, 2]}``. Arrays of more than a few bytes are kept apart, for a file
to store as datasets, and named in the tree: ``{"$array": "0"}``. Those of a dtype that
HDF5 does not have are the bytes of a ``.npy`` file.
"""

import base64
import contextlib
import datetime
import io
import json
import math
import tokenize
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5.layout import is_stored
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import SpikeTrains

_INLINE = 256
"""Arrays of at most so many bytes stand in the tree itself."""

_MOST_BITS = 10_000
"""Integers of more bits have more digits than Python reads."""

Tree = Any
"""What ``json.dumps`` takes."""

WRONG = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError),
)
"""What is raised where a file does not hold what it says; FormatError is a ValueError."""


def check_storable(value: Any, name: str) -> None:
    """Raise for a value that cannot be stored; `name` is what errors call it.

    Raises
    ------
    TypeError
        If a part of it has a type that is not known, or it holds itself.
    ValueError
        If a data object was changed so that it could not be made again.
    """
    try:
        Encoder().encode(value, name)
    except RecursionError:
        raise TypeError(f"{name} must not hold itself or nest so deep") from None


def check_object(obj: DataObject, name: str) -> None:
    """Raise ValueError for a data object that would not come back as it is."""
    try:
        obj.check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be stored: {error}") from error
    if added := set(vars(obj)) - {*type(obj).FIELDS.values(), "N"}:
        raise ValueError(
            f"{name} cannot be stored: {min(added)!r} is not an attribute of a "
            f"{type(obj).__name__}"
        )


class Encoder:
    """Makes trees of values. Arrays and data objects, which it keeps nowhere, have none.

    So it checks values; a subclass stores them.
    """

    def keep(self, array: NDArray[Any]) -> str:
        """Keep an array that HDF5 stores as it is, and return its name."""
        return ""

    def encode_object(self, obj: DataObject, name: str) -> Tree:
        """Keep a data object, and return its tree."""
        check_object(obj, name)
        for field in type(obj).FIELDS.values():
            if field != "train":
                self.encode(getattr(obj, field), f"{name}[{field!r}]")

    def encode(self, value: Any, name: str) -> Tree:
        """Return the tree of a value; `name` is what errors call it.

        Raises
        ------
        TypeError
            If a part of the value has a type that is not known.
        """
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is dict:
            return self._dict(value, name)
        if kind in (list, SpikeTrains):
            return self._items(value, name)
        if kind in (tuple, set, frozenset):
            # In the same order, so that equal sets make equal files.
            items = value if kind is tuple else sorted(value, key=repr)
            return {f"${kind.__name__}": self._items(items, name)}
        if kind in (np.ndarray, np.memmap):
            return self._array(value, name)
        if kind in DATA_CLASSES.values():
            return self.encode_object(value, name)
        if isinstance(value, np.generic):
            array = np.asarray(value)
            # Not so are numpy.str_ with a NUL at its end, and numpy.record.
            if type(array[()]) is kind and equal(array[()], value):
                return {"$scalar": self._array(array, name)}
        if kind in _ENCODERS:
            return _ENCODERS[kind](value, name)
        raise TypeError(
            f"{name} must be of a type that can be stored without a change, "
            f"got {kind.__module__}.{kind.__qualname__}"
        )

    def _items(self, value: Any, name: str) -> list[Tree]:
        return [self.encode(item, f"{name}[{i}]") for i, item in enumerate(value)]

    def _dict(self, value: dict[Any, Any], name: str) -> Tree:
        parts = {k: self.encode(part, f"{name}[{k!r}]") for k, part in value.items()}
        if all(type(key) is str and not key.startswith("$") for key in parts):
            return parts
        pairs = [[self.encode(k, f"a key of {name}"), v] for k, v in parts.items()]
        return {"$dict": pairs}

    def _array(self, array: NDArray[Any], name: str) -> Tree:
        if set(array.dtype.metadata or ()) == {"h5py_encoding"}:
            # h5py notes there how a file encodes its strings.
            array = array.view(np.dtype(array.dtype.str))
        if array.dtype == object:
            items = [self.encode(item, name) for item in array.ravel().tolist()]
            return {"$objects": [items, list(array.shape)]}
        comes_back = _comes_back(array.dtype)
        is_large = array.nbytes > _INLINE
        if (
            is_stored(array)
            and not array.dtype.metadata
            and (is_large or not comes_back)
        ):
            return {"$array": self.keep(array)}
        if not comes_back:
            raise TypeError(
                f"{name} must have a dtype that .npy files know, got {array.dtype}"
            )
        data = _npy(array)
        if is_large:
            return {"$file": self.keep(np.frombuffer(data, dtype=np.uint8))}
        return {"$npy": _base64(data)}


def _npy(array: NDArray[Any]) -> bytes:
    """Return the bytes of a ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _of_npy(data: bytes) -> NDArray[Any]:
    try:
        array: NDArray[Any] = npy.read_array(io.BytesIO(data), allow_pickle=False)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"not the bytes of a .npy file: {error}") from error
    return array


def _comes_back(dtype: np.dtype[Any]) -> bool:
    """Return whether a ``.npy`` file gives a dtype back."""
    if dtype.hasobject or dtype.metadata:
        return False
    with contextlib.suppress(ValueError):  # fields that overlap
        known = _of_npy(_npy(np.empty(0, dtype))).dtype
        return known == dtype and known.type is dtype.type
    return False


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _int(value: int, name: str) -> Tree:
    if value.bit_length() > _MOST_BITS:
        raise TypeError(f"{name} must be an integer of at most {_MOST_BITS} bits")
    return value


def _datetime(value: datetime.datetime, name: str) -> Tree:
    again = datetime.datetime.fromisoformat(value.isoformat())
    # A time zone with rules, or seconds in its offset, does not come back.
    if (again, again.tzinfo, 0) != (value, value.tzinfo, value.fold):
        raise TypeError(
            f"{name} must have no timezone or a fixed offset, and no fold, got {value!r}"
        )
    names = [] if again.tzname() == value.tzname() else [value.tzname()]
    return {"$datetime": [value.isoformat(), *names]}


def _time(tree: Tree) -> datetime.datetime:
    """Return a time from its text, and the name of its zone if that has one."""
    text, *name = tree
    time = datetime.datetime.fromisoformat(text)
    offset = time.utcoffset()
    if not name or offset is None:
        return time
    return time.replace(tzinfo=datetime.timezone(offset, *name))


_ENCODERS: dict[type, Callable[[Any, str], Tree]] = {
    int: _int,
    float: lambda v, _: v if math.isfinite(v) else {"$float": repr(v)},
    complex: lambda v, _: {"$complex": repr(v)},
    bytes: lambda v, _: {"$bytes": _base64(v)},
    datetime.datetime: _datetime,
    datetime.date: lambda v, _: {"$date": v.isoformat()},
    datetime.timedelta: lambda v, _: {
        "$timedelta": [v.days, v.seconds, v.microseconds]
    },
}


class Decoder:
    """Makes values of trees.

    Parameters
    ----------
    stored : callable
        Returns the array that a file stores under the name in a ``$array``.
    objects : callable, optional
        Returns the value of what is below ``$object``.
    """

    def __init__(
        self,
        stored: Callable[[str], NDArray[Any]],
        objects: Callable[[Tree], Any] | None = None,
    ) -> None:
        self._decoders: dict[str, Callable[[Any], Any]] = {
            "$array": stored,
            "$object": objects or {}.__getitem__,
            "$file": lambda t: _of_npy(stored(t).tobytes()),
            "$npy": lambda t: _of_npy(base64.b64decode(t)),
            "$objects": self._objects,
            "$dict": lambda t: {self._decode(k): self._decode(v) for k, v in t},
            "$scalar": lambda t: self._decode(t)[()],
            "$tuple": lambda t: tuple(map(self._decode, t)),
            "$set": lambda t: set(map(self._decode, t)),
            "$frozenset": lambda t: frozenset(map(self._decode, t)),
            "$float": float,
            "$complex": complex,
            "$bytes": base64.b64decode,
            "$datetime": _time,
            "$date": datetime.date.fromisoformat,
            "$timedelta": lambda t: datetime.timedelta(*t),
        }

    def decode(self, tree: Tree) -> Any:
        """Return the value of a tree.

        Raises
        ------
        FormatError
            If it is not a tree that an :class:`Encoder` made.
        """
        try:
            return self._decode(tree)
        except FormatError:
            raise
        except WRONG as error:
            raise FormatError(f"not a stored value: {error}") from error

    def _decode(self, tree: Tree) -> Any:
        if isinstance(tree, list):
            return [self._decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1 and (tag := next(iter(tree))).startswith("$"):
            return self._decoders[tag](tree[tag])
        return {key: self._decode(part) for key, part in tree.items()}

    def _objects(self, tree: Tree) -> NDArray[Any]:
        items, shape = tree
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self._decode(item)
        return array.reshape(shape)


def identical(a: Any, b: Any) -> bool:
    """Return whether two values are equal and of the same types, in all their parts."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return identical([*a, *a.values()], [*b, *b.values()])
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    return equal(a, b)


def write_json(group: h5py.Group, name: str, tree: Tree) -> None:
    """Write JSON as a scalar of UTF-8 text."""
    # As escapes, two halves of a surrogate pair would be read as one character.
    text = json.dumps(tree, allow_nan=False, ensure_ascii=False)
    group[name] = np.bytes_(text.encode("utf-8", "surrogatepass"))


def read_json(group: h5py.Group, name: str) -> Tree:
    """Return what :func:`write_json` wrote.

    Raises
    ------
    FormatError
        If it is not that.
    """
    stored = h5.dataset(group, name, ndim=0, kinds="S")
    try:
        return json.loads(bytes(stored[()]).decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{group.name}/{name} is not JSON: {error}") from error
