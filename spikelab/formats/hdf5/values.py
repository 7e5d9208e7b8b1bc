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
from collections.abc import Callable, Iterable
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

Tree = Any
"""What ``json.dumps`` takes."""


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
    """Return what :func:`write_json` wrote; FormatError if it is not that."""
    stored = h5.dataset(group, name, ndim=0, kinds="S")
    try:
        return json.loads(bytes(stored[()]).decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{group.name}/{name} is not JSON: {error}") from error


class Encoder:
    """Makes trees of values, or raises TypeError for a type that is not known.

    It keeps arrays and data objects nowhere, so it checks values only; a subclass
    stores them. `name` is what errors call a value.
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
        """Return the tree of a value."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float and math.isfinite(value):
            return value
        if kind in (list, SpikeTrains):
            return self._items(value, name)
        if kind in (tuple, set, frozenset):
            # In the same order, so that equal sets make equal files.
            items = value if kind is tuple else sorted(value, key=repr)
            return {f"${kind.__name__}": self._items(items, name)}
        if kind is dict:
            parts = {
                k: self.encode(part, f"{name}[{k!r}]") for k, part in value.items()
            }
            if all(type(key) is str and not key.startswith("$") for key in parts):
                return parts
            keys = [self.encode(key, f"a key of {name}") for key in parts]
            return {"$dict": list(map(list, zip(keys, parts.values(), strict=True)))}
        if kind in (np.ndarray, np.memmap):
            return self._array(value, name)
        if isinstance(value, np.generic):
            return {"$scalar": self._array(np.asarray(value), name)}
        if kind in DATA_CLASSES.values():
            return self.encode_object(value, name)
        if kind is datetime.datetime and (
            value.fold or not isinstance(value.tzinfo, datetime.timezone | None)
        ):
            raise TypeError(
                f"{name} must have no timezone or a fixed offset, and no fold, "
                f"got {value!r}"
            )
        if kind in _TAGS:
            write, _ = _FORMS[_TAGS[kind]]
            return {_TAGS[kind]: write(value)}
        raise TypeError(
            f"{name} must be of a type that can be stored without a change, "
            f"got {kind.__module__}.{kind.__qualname__}"
        )

    def _items(self, value: Iterable[Any], name: str) -> list[Tree]:
        return [self.encode(item, f"{name}[{i}]") for i, item in enumerate(value)]

    def _array(self, array: NDArray[Any], name: str) -> Tree:
        if array.dtype == object:
            items = [self.encode(item, name) for item in array.ravel().tolist()]
            return {"$objects": [items, list(array.shape)]}
        if array.dtype.names is None and array.dtype.metadata:
            # h5py notes there how a file encodes its strings.
            array = array.view(np.dtype(array.dtype.str))
        is_large, comes_back = array.nbytes > _INLINE, _comes_back(array.dtype)
        if is_stored(array) and (is_large or not comes_back):
            return {"$array": self.keep(array)}
        if not comes_back:
            raise TypeError(
                f"{name} must have a dtype that .npy files know, got {array.dtype}"
            )
        data = _npy(array)
        if is_large:
            return {"$file": self.keep(np.frombuffer(data, dtype=np.uint8))}
        return {"$npy": _base64(data)}


def check_storable(value: Any, name: str) -> None:
    """Raise TypeError for a value that cannot be stored, or holds itself.

    ValueError for a data object that was changed so that it could not be made again.
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


class Decoder:
    """Makes values of trees; what is no tree of an `Encoder` raises any error.

    Parameters
    ----------
    stored : callable
        Returns the array that a file stores under the name in a ``$array``.
    read_object : callable
        Returns the data object of what is below ``$object``.
    """

    def __init__(
        self,
        stored: Callable[[str], NDArray[Any]],
        read_object: Callable[[Tree], DataObject],
    ) -> None:
        self._decoders: dict[str, Callable[[Any], Any]] = {
            **{tag: read for tag, (_, read) in _FORMS.items()},
            "$array": stored,
            "$object": read_object,
            "$file": lambda tree: _of_npy(stored(tree).tobytes()),
            "$npy": lambda tree: _of_npy(base64.b64decode(tree)),
            "$objects": self._objects,
            "$dict": lambda t: {self.decode(k): self.decode(v) for k, v in t},
            "$scalar": lambda tree: self.decode(tree)[()],
            "$tuple": lambda tree: tuple(map(self.decode, tree)),
            "$set": lambda tree: set(map(self.decode, tree)),
            "$frozenset": lambda tree: frozenset(map(self.decode, tree)),
        }

    def decode(self, tree: Tree) -> Any:
        """Return the value of a tree."""
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1 and (tag := next(iter(tree))).startswith("$"):
            return self._decoders[tag](tree[tag])
        return {key: self.decode(part) for key, part in tree.items()}

    def _objects(self, tree: Tree) -> NDArray[Any]:
        items, shape = tree
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self.decode(item)
        return array.reshape(shape)


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
    if dtype.names is None:
        return True
    with contextlib.suppress(ValueError):  # objects, and fields that overlap
        known = _of_npy(_npy(np.empty(0, dtype))).dtype
        return known == dtype and known.type is dtype.type
    return False


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _of_datetime(time: datetime.datetime) -> list[str | None]:
    text = time.isoformat()
    is_named = datetime.datetime.fromisoformat(text).tzname() != time.tzname()
    return [text, time.tzname()] if is_named else [text]


def _datetime(tree: Tree) -> datetime.datetime:
    text, *name = tree
    time = datetime.datetime.fromisoformat(text)
    offset = time.utcoffset()
    if not name or offset is None:
        return time
    return time.replace(tzinfo=datetime.timezone(offset, *name))


_TAGS: dict[type, str] = {
    float: "$float",
    complex: "$complex",
    bytes: "$bytes",
    datetime.datetime: "$datetime",
    datetime.date: "$date",
    datetime.timedelta: "$timedelta",
}
_FORMS: dict[str, tuple[Callable[[Any], Tree], Callable[[Any], Any]]] = {
    "$float": (repr, float),
    "$complex": (repr, complex),
    "$bytes": (_base64, base64.b64decode),
    "$datetime": (_of_datetime, _datetime),
    "$date": (datetime.date.isoformat, datetime.date.fromisoformat),
    "$timedelta": (
        lambda delta: [delta.days, delta.seconds, delta.microseconds],
        lambda tree: datetime.timedelta(*tree),
    ),
}
"""For each tag what makes its JSON of a value, and the value of its JSON."""
