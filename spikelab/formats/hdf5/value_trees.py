"""Values of many types as JSON and arrays, and back without a difference.

What JSON has (None, truth values, integers, finite floats, text, lists, and
dictionaries whose keys are text) stands for itself. Everything else is an object
with one key that starts with ``$``: ``{"$tuple": [1, 2]}``. Arrays of more than
a few bytes are kept apart, for a file to store as they are, and named in the
tree: ``{"$array": ["0", "<f8", [3, 4]]}``.
"""

import base64
import datetime
import math
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.comparison import same
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.keys import Keys
from spikelab.kinds import Contents

_INLINE = 256
"""Arrays of at most so many bytes stand in the tree itself."""

_MOST_BITS = 10_000
"""Integers of more bits have more digits than Python reads."""

_MOST_EMPTY = 2**24
"""Arrays without a byte may have a shape with no larger product than this."""

_PLAIN = (type(None), bool, str)

Tree = Any


@attrs.define
class Encoder:
    """Makes trees of values, and collects the arrays in them.

    Parameters
    ----------
    placed : dict
        By ``id``, the trees of arrays and lists that a file stores already.

    Attributes
    ----------
    arrays : dict
        By name, the arrays that the file has yet to store.
    """

    placed: dict[int, Tree] = attrs.Factory(dict)
    arrays: dict[str, NDArray[Any]] = attrs.Factory(dict)

    def encode(self, value: Any, name: str) -> Tree:
        """Return the tree of a value; `name` is what errors call it.

        Raises
        ------
        TypeError
            If a part of the value has a type that is not known.
        """
        try:
            return self._encode(value, name)
        except RecursionError:
            raise TypeError(f"{name} must not hold itself or nest so deep") from None

    def _encode(self, value: Any, name: str) -> Tree:
        if type(value) in _PLAIN:
            return value
        if id(value) in self.placed:
            return self.placed[id(value)]
        if isinstance(value, np.generic):
            return self._scalar(value, name)
        if type(value) in (np.ndarray, np.memmap):
            return self._array(value, name)
        encode = _ENCODERS.get(type(value))
        if encode is not None:
            return encode(self, value, name)
        return self._object(value, name)

    def _array(self, array: NDArray[Any], name: str) -> Tree:
        if array.dtype == object:
            items = [self._encode(item, name) for item in array.ravel().tolist()]
            return {"$objects": [items, list(array.shape)]}
        dtype = _dtype_tree(array.dtype, name)
        if array.nbytes <= _INLINE:
            return {"$inline": [_text(array.tobytes()), dtype, list(array.shape)]}
        key = str(len(self.arrays))
        self.arrays[key] = array
        return {"$array": [key, dtype, list(array.shape)]}

    def _scalar(self, value: np.generic, name: str) -> Tree:
        array = np.asarray(value)
        if not same(array[()], value):
            # As numpy.str_ with a NUL at its end, or numpy.record.
            raise TypeError(
                f"{name} must be a scalar that an array holds as it is, got {value!r}"
            )
        return {"$scalar": self._array(array, name)}

    def _object(self, value: Any, name: str) -> Tree:
        if not kinds.is_data_object(value):
            raise TypeError(
                f"{name} must be of a type that can be stored without a change, "
                f"got {type(value).__module__}.{type(value).__qualname__}"
            )
        kind, arguments = kinds.kind_of(value), kinds.arguments_of(value)
        return {"$object": [kind, self._dict(arguments, name)]}

    def _int(self, value: int, name: str) -> Tree:
        if value.bit_length() > _MOST_BITS:
            raise TypeError(f"{name} must be an integer of at most {_MOST_BITS} bits")
        return value

    def _float(self, value: float, name: str) -> Tree:
        return value if math.isfinite(value) else {"$float": repr(value)}

    def _complex(self, value: complex, name: str) -> Tree:
        return {
            "$complex": [self._float(part, name) for part in (value.real, value.imag)]
        }

    def _list(self, value: list[Any], name: str) -> Tree:
        return [self._encode(item, f"{name}[{i}]") for i, item in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], name: str) -> Tree:
        return {"$tuple": self._list(list(value), name)}

    def _set(self, value: set[Any] | frozenset[Any], name: str) -> Tree:
        _check_keys(value, name)
        # In an order of their own, so that equal sets make equal files.
        items = sorted((self._encode(item, name) for item in value), key=repr)
        return {f"${type(value).__name__}": items}

    def _dict(self, value: dict[Any, Any], name: str) -> Tree:
        parts = {
            key: self._encode(part, f"{name}[{key!r}]") for key, part in value.items()
        }
        if all(type(key) is str and not key.startswith("$") for key in parts):
            return parts
        _check_keys(parts, name)
        keys = [self._encode(key, f"a key of {name}") for key in parts]
        return {
            "$dict": [list(pair) for pair in zip(keys, parts.values(), strict=True)]
        }

    def _bytes(self, value: bytes, name: str) -> Tree:
        return {"$bytes": _text(value)}

    def _datetime(self, value: datetime.datetime, name: str) -> Tree:
        if not isinstance(value.tzinfo, datetime.timezone | None) or value.fold:
            raise TypeError(
                f"{name} must have no timezone or a fixed offset, and no fold, "
                f"got {value!r}"
            )
        text = value.isoformat()
        again = datetime.datetime.fromisoformat(text)
        if again.utcoffset() != value.utcoffset():
            raise TypeError(
                f"{name} must have an offset of whole seconds, got {value!r}"
            )
        if again.tzname() == value.tzname():
            return {"$datetime": text}
        return {"$datetime": [text, value.tzname()]}

    def _date(self, value: datetime.date, name: str) -> Tree:
        return {"$date": value.isoformat()}

    def _timedelta(self, value: datetime.timedelta, name: str) -> Tree:
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}


_ENCODERS: dict[type, Callable[[Encoder, Any, str], Tree]] = {
    int: Encoder._int,
    float: Encoder._float,
    complex: Encoder._complex,
    list: Encoder._list,
    trains.Pieces: Encoder._list,
    tuple: Encoder._tuple,
    set: Encoder._set,
    frozenset: Encoder._set,
    dict: Encoder._dict,
    bytes: Encoder._bytes,
    datetime.datetime: Encoder._datetime,
    datetime.date: Encoder._date,
    datetime.timedelta: Encoder._timedelta,
}


def _check_keys(keys: Iterable[Any], name: str) -> None:
    """Raise TypeError for keys that a :class:`Decoder` would not take."""
    known = Keys()
    try:
        for key in keys:
            known.checked(key)
    except ValueError as error:
        raise TypeError(f"{name} must have other keys: {error}") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _dtype_tree(dtype: np.dtype[Any], name: str) -> Tree:
    """Return the description of a dtype, as a ``.npy`` file has it."""
    if dtype.hasobject:
        raise TypeError(f"{name} must hold values of fixed size, got {dtype}")
    if set(dtype.metadata or ()) == {"h5py_encoding"}:
        dtype = np.dtype(dtype.str)  # h5py notes there how a file encodes its text
    if dtype.metadata:
        raise TypeError(f"{name} must have a dtype without metadata, got {dtype}")
    try:
        described: Tree = npy.dtype_to_descr(dtype)
        known = _dtype(described)
    except ValueError:  # fields that overlap, or are not in their order
        known = None
    if known is None or known != dtype or known.type is not dtype.type:
        raise TypeError(f"{name} must have a dtype that .npy files know, got {dtype}")
    return described


def _dtype(described: Tree) -> np.dtype[Any]:
    """Return the dtype of a description whose tuples may have become lists."""
    dtype: np.dtype[Any] = npy.descr_to_dtype(_with_tuples(described))
    if dtype.hasobject:
        raise ValueError("a dtype of Python objects")
    return dtype


def _with_tuples(described: Tree) -> Any:
    if not isinstance(described, list | tuple):
        return described
    return [_field(*field) for field in described]


def _field(name: Any, described: Tree, *shape: Any) -> tuple[Any, ...]:
    title = tuple(name) if isinstance(name, list) else name
    return (title, _with_tuples(described), *map(tuple, shape))


@attrs.define
class Decoder:
    """Makes values of trees.

    Parameters
    ----------
    stored : callable
        Returns the array that a file stores under the name in a ``$array``.
    placed : dict
        For further tags, what makes a value of the tree below them.
    """

    stored: Callable[[str], NDArray[Any]]
    placed: dict[str, Callable[[Tree], Any]] = attrs.Factory(dict)
    _keys: Keys = attrs.field(factory=Keys, init=False)

    def decode(self, tree: Tree) -> Any:
        """Return the value of a tree.

        Raises
        ------
        FormatError
            If it is not a tree that an :class:`Encoder` made.
        """
        try:
            return self._decode(tree)
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise FormatError(f"not a stored value: {error}") from error

    def _decode(self, tree: Tree) -> Any:
        if isinstance(tree, list):
            return [self._decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1 and (tag := next(iter(tree))).startswith("$"):
            if tag in self.placed:
                return self.placed[tag](tree[tag])
            return _DECODERS[tag](self, tree[tag])
        return {key: self._decode(part) for key, part in tree.items()}

    def _array(self, tree: Tree) -> NDArray[Any]:
        name, described, shape = tree
        array, dtype = self.stored(name), _dtype(described)
        if array.dtype == dtype and list(array.shape) == shape:
            return array
        if array.dtype != np.uint8:
            raise ValueError(f"an array of {array.dtype} in the place of {dtype}")
        return _of_bytes(array.tobytes(), dtype, shape)

    def _inline(self, tree: Tree) -> NDArray[Any]:
        data, described, shape = tree
        return _of_bytes(base64.b64decode(data), _dtype(described), shape)

    def _objects(self, tree: Tree) -> NDArray[Any]:
        items, shape = tree
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self._decode(item)
        return array.reshape(shape)

    def _object(self, tree: Tree) -> Any:
        kind, arguments = tree
        return kinds.build(Contents(kind, self._decode(arguments)))

    def _dict(self, tree: Tree) -> dict[Any, Any]:
        pairs = ((self._decode(key), self._decode(part)) for key, part in tree)
        return {self._keys.checked(key): part for key, part in pairs}

    def _set(self, tree: Tree) -> set[Any]:
        return set(map(self._keys.checked, self._decode(tree)))


def _datetime(tree: Tree) -> datetime.datetime:
    """Return a time from its text, or from its text and the name of its zone."""
    text, *name = [tree] if isinstance(tree, str) else tree
    time = datetime.datetime.fromisoformat(text)
    offset = time.utcoffset()
    if not name or offset is None:
        return time
    return time.replace(tzinfo=datetime.timezone(offset, *name))


def _of_bytes(data: bytes, dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
    if not dtype.itemsize or not data:
        if math.prod(shape) * dtype.itemsize:
            raise ValueError(f"no bytes for an array of {dtype} with shape {shape}")
        return np.zeros(_small(shape), dtype=dtype)
    return np.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _small(shape: list[int]) -> list[int]:
    """Return a shape that has no bytes to vouch for it, if it asks for few."""
    claimed = math.prod(max(extent, 1) for extent in shape)
    if claimed > _MOST_EMPTY:
        raise ValueError(f"an array without a byte of shape {shape}")
    h5.spend(4 * claimed, "an array without a byte")  # NumPy's empty texts
    return shape


_DECODERS: dict[str, Callable[[Decoder, Tree], Any]] = {
    "$array": Decoder._array,
    "$inline": Decoder._inline,
    "$objects": Decoder._objects,
    "$object": Decoder._object,
    "$dict": Decoder._dict,
    "$scalar": lambda self, tree: self._decode(tree)[()],
    "$float": lambda self, tree: float(tree),
    "$complex": lambda self, tree: complex(*self._decode(tree)),
    "$tuple": lambda self, tree: tuple(self._decode(tree)),
    "$set": Decoder._set,
    "$frozenset": lambda self, tree: frozenset(self._set(tree)),
    "$bytes": lambda self, tree: base64.b64decode(tree),
    "$datetime": lambda self, tree: _datetime(tree),
    "$date": lambda self, tree: datetime.date.fromisoformat(tree),
    "$timedelta": lambda self, tree: datetime.timedelta(*tree),
}
