"""Values of many types as JSON, and back without a difference.

What JSON has (None, bool, integers, finite floats, str, lists, and dictionaries with str
as keys) stands for itself. Everything else is an object with one key that starts with
``$``: ``{"$tuple": [1, 2]}``. Arrays of more than a few bytes are stored as datasets, and
named in the tree: ``{"$array": "0"}``. Those of a dtype that HDF5 does not have, and small
ones, are the bytes of a ``.npy`` file.
"""

import base64
import datetime
import io
import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.hdf5.layout import is_hdf5_array
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
    """Write JSON as a scalar of text."""
    group[name] = np.bytes_(json.dumps(tree, allow_nan=False).encode())


def read_json(group: h5py.Group, name: str) -> Tree:
    """Return what :func:`write_json` wrote."""
    return json.loads(bytes(h5.dataset(group, name, ndim=0, kinds="S")[()]))


class Encoder:
    """Makes trees of values, or raises TypeError for a type that is not known.

    It stores arrays and data objects nowhere, so it checks values only; a subclass
    stores them. `name` is what errors call a value.
    """

    def store_array(self, array: NDArray[Any]) -> str:
        """Store an array that HDF5 stores as it is, and return its name."""
        return ""

    def store_object(self, obj: DataObject, name: str) -> Tree:
        """Store a data object, and return its tree."""
        check_object(obj, name)
        for field in type(obj).FIELDS.values():
            if field != "train":
                self.encode(getattr(obj, field), f"{name}[{field!r}]")

    def encode(self, value: Any, name: str) -> Tree:
        """Return the tree of a value."""
        kind = type(value)
        if kind in (list, SpikeTrains):
            return self._encode_items(value, name)
        if kind is tuple:
            return {"$tuple": self._encode_items(value, name)}
        if kind in (set, frozenset):
            # In the same order, so that equal sets make equal files.
            items = self._encode_items(sorted(value, key=repr), name)
            return {f"${kind.__name__}": items}
        if kind is dict:
            return self._encode_dict(value, name)
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, name)
        if isinstance(value, np.generic) and kind is not np.record:
            return {"$scalar": self._encode_array(np.asarray(value), name)}
        if kind in DATA_CLASSES.values():
            return self.store_object(value, name)
        return _encode_scalar(value, name)

    def _encode_items(self, value: Iterable[Any], name: str) -> list[Tree]:
        return [self.encode(item, f"{name}[{i}]") for i, item in enumerate(value)]

    def _encode_dict(self, value: dict[Any, Any], name: str) -> Tree:
        parts = {key: self.encode(v, f"{name}[{key!r}]") for key, v in value.items()}
        if all(type(key) is str and not key.startswith("$") for key in parts):
            return parts
        key_name = f"a key of {name}"
        pairs = [[self.encode(key, key_name), part] for key, part in parts.items()]
        return {"$dict": pairs}

    def _encode_array(self, array: NDArray[Any], name: str) -> Tree:
        dtype = array.dtype
        if dtype.kind == "O":
            items = [self.encode(item, name) for item in array.ravel().tolist()]
            return {"$objects": [items, list(array.shape)]}
        if dtype.kind == "S":
            array = array.view(dtype.str)  # h5py notes in it how bytes are encoded
        # A .npy file does not keep every order of fields.
        if is_hdf5_array(array) and (array.nbytes > _INLINE or dtype.names):
            return {"$array": self.store_array(array)}
        file = io.BytesIO()
        try:
            np.save(file, array, allow_pickle=False)
        except ValueError:
            raise TypeError(
                f"{name} must have a dtype that .npy files know, got {dtype}"
            ) from None
        return {"$npy": _base64(file.getvalue())}


def _encode_scalar(value: Any, name: str) -> Tree:
    """Return the tree of a value that has no parts."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind is complex:
        return {"$complex": repr(value)}
    if kind is bytes:
        return {"$bytes": _base64(value)}
    if kind is datetime.date:
        return {"$date": value.isoformat()}
    if kind is datetime.timedelta:
        return {"$timedelta": [value.days, value.seconds, value.microseconds]}
    if kind is datetime.datetime:
        if not isinstance(value.tzinfo, datetime.timezone | None):
            raise TypeError(
                f"{name} must have no timezone or a fixed offset, got {value!r}"
            )
        return {"$datetime": value.isoformat()}
    raise TypeError(
        f"{name} must be of a type that can be stored without a change, "
        f"got {kind.__module__}.{kind.__qualname__}"
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


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


@attrs.frozen
class Decoder:
    """Makes values of trees; what is no tree of an `Encoder` raises any error.

    Parameters
    ----------
    stored_array : callable
        Returns the array that an encoder stored under a name.
    stored_object : callable
        Returns the data object of the tree that ``Encoder.store_object`` returned.
    """

    stored_array: Callable[[str], NDArray[Any]]
    stored_object: Callable[[Tree], DataObject]

    def decode(self, tree: Tree) -> Any:
        """Return the value of a tree."""
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1:
            ((tag, content),) = tree.items()
            if tag.startswith("$"):
                return self._decode_tagged(tag, content)
        return {key: self.decode(part) for key, part in tree.items()}

    def _decode_tagged(self, tag: str, content: Tree) -> Any:
        match tag:
            case "$tuple":
                return tuple(self.decode(content))
            case "$set":
                return set(self.decode(content))
            case "$frozenset":
                return frozenset(self.decode(content))
            case "$dict":
                return {self.decode(key): self.decode(part) for key, part in content}
            case "$array":
                return self.stored_array(content)
            case "$npy":
                file = io.BytesIO(base64.b64decode(content))
                return npy.read_array(file, allow_pickle=False)
            case "$objects":
                return self._decode_objects(*content)
            case "$scalar":
                return self.decode(content)[()]
            case "$object":
                return self.stored_object(content)
        return _decode_scalar(tag, content)

    def _decode_objects(self, items: list[Tree], shape: list[int]) -> NDArray[Any]:
        array = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            array[i] = self.decode(item)
        return array.reshape(shape)


def _decode_scalar(tag: str, content: Tree) -> Any:
    match tag:
        case "$float":
            return float(content)
        case "$complex":
            return complex(content)
        case "$bytes":
            return base64.b64decode(content)
        case "$date":
            return datetime.date.fromisoformat(content)
        case "$timedelta":
            return datetime.timedelta(*content)
        case "$datetime":
            return datetime.datetime.fromisoformat(content)
    raise ValueError(f"{tag!r:.80} is not the type of a value")
