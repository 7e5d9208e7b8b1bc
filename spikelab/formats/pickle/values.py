"""The values that a pickle may build without trust, each made from checked parts.

A pickle names functions and says with what to call them. Here are all the
names that are known, and what is done for each: never the function of that
name with whatever the pickle says, but one that takes only what is harmless.
"""

import collections
import datetime
import math
import pathlib
import re
import reprlib
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.errors import warn
from spikelab.formats.keys import Keys
from spikelab.kinds import Contents

UNFINISHED = object()


@attrs.define(eq=False)
class Draft:
    """An object that has been named, and whose content comes later in the pickle."""

    finish: Callable[[Any], Any]
    value: Any = UNFINISHED


@attrs.frozen
class Name:
    """A class or function that a pickle names."""

    text: str


class Arguments(tuple[Any, ...]):
    """A tuple that holds a :class:`Name`, and so is good for a call only."""

    __slots__ = ()


_LARGEST_EMPTY = 2**26
"""Arrays without a byte may have a shape with no larger extents than this."""

_DTYPE = re.compile(r"[biufcSUVO]\d{1,9}|[mM]8")

_TIME_UNITS = (
    *(b"Y", b"M", b"W", b"D", b"h", b"m"),
    *(b"s", b"ms", b"us", b"ns", b"ps", b"fs", b"as"),
)

_DTYPE_DEPTH = 8

_DTYPE_PARTS = 1000

_MOST_NDIM = 64
_INT64 = 2**63


def data_object(kind: str) -> Draft:
    """Return a data object to be, which is built from its attributes as checked."""

    def finish(state: Any) -> Any:
        if not isinstance(state, dict):
            raise TypeError(f"the state of a {kind} must be a dictionary")
        if left_out := kinds.additional(kind, state):
            warn(
                f"left out what is not part of a {kind}: {', '.join(left_out)}; "
                "trusted=True keeps it",
            )
        return kinds.build(Contents(kind, constructor_arguments(kind, state)))

    return Draft(finish)


_LISTS = {"train", "neuron_attributes", "spike_stack"}


def _arrays(kind: str) -> tuple[str, ...]:
    """Return the attributes of a data object that are arrays."""
    times = ("times",) if kind == "RateData" else ()
    return (*times, "raw_data", "raw_time", "inst_Frate_data", "event_stack")


def constructor_arguments(kind: str, state: dict[Any, Any]) -> dict[str, Any]:
    """Return the arguments that make the data object whose attributes are `state`."""
    names = kinds.ARGUMENTS[kind]
    if missing := [name for name in names.values() if name not in state]:
        raise ValueError(f"a {kind} without {missing[0]}")
    arguments = {}
    for argument, name in names.items():
        value = state[name]
        if name in _LISTS and not isinstance(value, list | None):
            raise TypeError(f"{name} must be a list, got {type(value).__name__}")
        items = value if name == "train" else [value] if name in _arrays(kind) else []
        if not all(isinstance(item, np.ndarray | None) for item in items):
            # Of lists of lists of ..., numpy would make gigabytes.
            raise TypeError(f"{name} must hold arrays")
        # The pickle may still change its own lists and dictionaries afterwards.
        copies = type(value) in (list, dict)
        arguments[argument] = value.copy() if copies else value
    if kind == "SpikeData" and np.size(arguments["raw_data"]) == 0:
        del arguments["raw_data"], arguments["raw_time"]
    if kind == "SpikeSliceStack":
        arguments["drop_slice_attributes"] = False
    return arguments


def array(dtype: Any, shape: Any, data: Any, order: str = "C") -> NDArray[Any]:
    """Return an array of this dtype and shape over the bytes, or list, `data`."""
    if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple):
        raise TypeError("an array must have a dtype and a shape")
    if dtype.subdtype is not None:
        raise ValueError(f"an array of dtype {dtype}")
    if len(shape) > _MOST_NDIM or not all(
        type(extent) is int and 0 <= extent < _INT64 for extent in shape
    ):
        raise ValueError(f"an array of shape {reprlib.repr(shape)}")
    count = math.prod(shape)
    if math.prod(max(extent, 1) for extent in shape) > max(_LARGEST_EMPTY, count):
        raise ValueError(f"an empty array of shape {shape}")
    if dtype.hasobject:
        return _object_array(dtype, shape, data, count, order)
    if not isinstance(data, bytes | bytearray) or len(data) != count * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of {count} {dtype}")
    if count * dtype.itemsize == 0:
        return np.zeros(shape if count == 0 else _counted(shape, count), dtype, order)  # type: ignore[call-overload, no-any-return] # order
    flat = np.frombuffer(data, dtype)
    if dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        raise ValueError("a truth value that is neither 0 nor 1")
    return flat.reshape(shape, order=order)  # type: ignore[call-overload, no-any-return] # order


def _counted(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    if count > _LARGEST_EMPTY:
        raise ValueError(f"an array of shape {shape} without a byte")
    return shape


def _object_array(
    dtype: Any, shape: tuple[int, ...], data: Any, count: int, order: str
) -> NDArray[Any]:
    if dtype != np.dtype(object) or not isinstance(data, list) or len(data) != count:
        raise ValueError(f"an array of {count} objects from {type(data).__name__}")
    flat = np.empty(count, dtype)
    for i, value in enumerate(data):
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            # Freeing a deep chain of them would overflow the stack.
            raise ValueError("an array of objects inside another one")
        flat[i] = value
    return flat.reshape(shape, order=order)  # type: ignore[call-overload, no-any-return] # order


def _split(flat: Any, stops: Any) -> trains.Pieces:
    """Return what :func:`numpy.split` would: the pickle of a recording's trains."""
    if not isinstance(flat, np.ndarray) or flat.ndim != 1:
        raise TypeError(f"spike trains cut from {type(flat).__name__}")
    if not isinstance(stops, np.ndarray) or stops.ndim != 1:
        raise TypeError(f"spike trains cut at {type(stops).__name__}")
    return trains.split(flat, np.append(stops, len(flat)), "numpy.split")


def _empty_array(cls: Any, shape: Any, typecode: Any) -> Draft:
    if cls not in (Name("numpy.ndarray"), Name("numpy.memmap")):
        raise TypeError(f"an array of class {cls}")

    def finish(state: Any) -> NDArray[Any]:
        _, extents, dtype, is_fortran, data = state
        if isinstance(data, bytes):
            # As numpy does it: such an array can be written to.
            data = bytearray(data)
        return array(dtype, extents, data, "F" if is_fortran else "C")

    return Draft(finish)


def _array_of_buffer(
    data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None
) -> NDArray[Any]:
    if order == "K" and axes is not None:
        return array(dtype, shape, data).transpose(axes)
    if order not in ("C", "F"):
        raise ValueError(f"an array of order {reprlib.repr(order)}")
    return array(dtype, shape, data, order)


def _scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(data, bytes):
        raise TypeError(f"a number from {type(data).__name__}")
    return array(dtype, (), data)[()]


def _dtype(spec: Any, align: Any = False, copy: Any = True) -> Draft:
    if not isinstance(spec, str) or not _DTYPE.fullmatch(spec):
        raise ValueError(f"a dtype {reprlib.repr(spec)}")
    plain = np.dtype(spec)

    def finish(state: Any) -> Any:
        order, subarray, names, fields, itemsize = state[1:6]
        if names is not None:
            return _structured(names, fields, itemsize)
        if subarray is not None:
            return _nested(np.dtype((subarray[0], subarray[1])))
        dated = plain if plain.kind not in "mM" else _dated(plain.kind, state[8])
        return dated.newbyteorder(order) if order in "<>" else dated

    return Draft(finish)


def _dated(kind: str, state: Any) -> Any:
    unit, number = state[1][:2]
    if unit == b"generic":
        return np.dtype(f"{kind}8")
    if unit not in _TIME_UNITS:
        raise ValueError(f"times in {reprlib.repr(unit)}")
    return np.dtype(f"{kind}8[{int(number)}{unit.decode('ascii')}]")


def _structured(names: Any, fields: Any, itemsize: Any) -> Any:
    formats = [fields[name][0] for name in names]
    if not all(isinstance(field, np.dtype) for field in formats):
        raise TypeError("a structured dtype with fields that are no dtypes")
    titles = [fields[name][2] if len(fields[name]) > 2 else None for name in names]
    if not all(isinstance(title, str | None) for title in titles):
        raise TypeError("a structured dtype with titles that are no text")
    return _nested(
        np.dtype(
            {
                "names": list(names),
                "formats": formats,
                "offsets": [fields[name][1] for name in names],
                "titles": titles,
                "itemsize": itemsize,
            }
        )
    )


def _nested(dtype: Any) -> Any:
    """Return `dtype`, or raise ValueError if its parts lie too deep in one another."""
    if dtype.hasobject or _depth(dtype) > _DTYPE_DEPTH:
        raise ValueError("a dtype that holds objects, or too many levels")
    return dtype


def _depth(dtype: Any) -> int:
    """Return how deep a dtype is nested, more than allowed if it has too many parts."""
    depth, level, parts = 0, [dtype], 0
    while level and depth <= _DTYPE_DEPTH:
        depth, parts = depth + 1, parts + len(level)
        if parts > _DTYPE_PARTS:
            return _DTYPE_DEPTH + 1
        inner = [part.subdtype[0] for part in level if part.subdtype is not None]
        level = inner + [part[name] for part in level for name in part.names or ()]
    return depth


def _encoded(text: Any, codec: Any) -> bytes:
    if codec != "latin1" or not isinstance(text, str):
        raise ValueError(f"bytes encoded as {reprlib.repr(codec)}")
    return text.encode("latin1")


def _bytearray(data: Any = b"", codec: Any = "latin1") -> bytearray:
    if isinstance(data, str):
        data = _encoded(data, codec.replace("-", ""))
    if not isinstance(data, bytes):
        raise TypeError(f"a bytearray from {type(data).__name__}")
    return bytearray(data)


def _empty_bytes() -> bytes:
    return b""


def _set(items: Any) -> set[Any]:
    return set(map(Keys().checked, _list(items)))


def _frozenset(items: Any) -> frozenset[Any]:
    return frozenset(map(Keys().checked, _list(items)))


def _copied(items: Any) -> list[Any]:
    return _list(items).copy()


def _list(items: Any) -> list[Any]:
    if not isinstance(items, list):
        raise TypeError(f"items from {type(items).__name__}")
    return items


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(float(real), float(imaginary))


def _integers(*values: Any) -> tuple[Any, ...]:
    if not all(value is None or type(value) is int for value in values):
        raise TypeError("an integer was expected")
    return values


def _ordered() -> collections.OrderedDict[Any, Any]:
    return collections.OrderedDict()


def _default(factory: Any = None) -> collections.defaultdict[Any, Any]:
    if factory is None:
        return collections.defaultdict()
    return collections.defaultdict(_FACTORIES[factory.text])


def _datetime(state: Any, tz: Any = None) -> datetime.datetime:
    # Replacing nothing makes datetime check each part.
    return datetime.datetime(_bytes(state, 10), tz).replace()  # type: ignore[arg-type, call-arg] # a state


def _date(state: Any) -> datetime.date:
    return datetime.date(_bytes(state, 4)).replace()  # type: ignore[call-arg, arg-type] # a state


def _time(state: Any, tz: Any = None) -> datetime.time:
    return datetime.time(_bytes(state, 6), tz).replace()  # type: ignore[arg-type] # a state


def _bytes(state: Any, length: int) -> bytes:
    if not isinstance(state, bytes) or len(state) != length:
        raise TypeError(f"{length} bytes were expected")
    return state


def _timezone(offset: Any, name: Any = None) -> datetime.timezone:
    parts = (offset,) if name is None else (offset, name)
    return datetime.timezone(*parts)


def _path(*parts: Any) -> pathlib.PurePath:
    return pathlib.Path(*parts)


def _plain_object(cls: Any, base: Any, state: Any) -> Any:
    if base != Name("builtins.object") or state is not None:
        raise TypeError("an object of a class with a state of its own")
    return new_object(cls)


def new_object(cls: Any) -> Draft:
    """Return a data object to be, of the class that `cls` names."""
    kind = OBJECTS.get(cls)
    if kind is None:
        raise TypeError(f"an instance of {reprlib.repr(getattr(cls, 'text', ''))}")
    return data_object(kind)


_FACTORIES: dict[str, Callable[[], Any]] = {
    f"builtins.{cls.__name__}": cls
    for cls in (list, dict, set, int, float, str, bool, tuple)
}

OBJECTS = {Name(f"{module}.{kind}"): kind for kind, module in kinds.MODULES.items()}
"""The data classes by the names that pickles have for them."""

CALLS: dict[str, Callable[..., Any]] = {
    "numpy.dtype": _dtype,
    "numpy._core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy._core.numeric._frombuffer": _array_of_buffer,
    "numpy.split": _split,
    "_codecs.encode": _encoded,
    "builtins.bytes": _empty_bytes,
    "builtins.bytearray": _bytearray,
    "builtins.list": _copied,
    "builtins.set": _set,
    "builtins.frozenset": _frozenset,
    "builtins.complex": _complex,
    "builtins.slice": lambda *parts: slice(*_integers(*parts)),
    "builtins.range": lambda *parts: range(*_integers(*parts)),
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _default,
    "copyreg._reconstructor": _plain_object,
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.timedelta": lambda *parts: datetime.timedelta(*_integers(*parts)),
    "datetime.timezone": _timezone,
    "pathlib.PosixPath": _path,
    "pathlib.WindowsPath": _path,
}
"""What is done when a pickle calls the function of this name."""

KNOWN = {
    *CALLS,
    *_FACTORIES,
    *(name.text for name in OBJECTS),
    "builtins.object",
    "numpy.ndarray",
    "numpy.memmap",
}
"""All the names that a pickle may name."""

RENAMED = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "pathlib._local": "pathlib",
}
"""Modules under the names that they have in other versions of Python and numpy."""
