"""An unpickler that makes data objects and plain values, and nothing else.

A pickle is a program: it names classes and functions, calls them, and sets the state of
what they return. Python's unpickler lets a subclass choose what may be named. Setting
states is restricted here too, because a crafted one could change a class, or let an
array point to memory that is not its own.
"""

import copy
import copyreg
import datetime
import math
import pickle
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import PosixPath, WindowsPath
from typing import Any, BinaryIO, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import UnsafePickleError
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject
from spikelab.spikedata.spike_trains import SpikeTrains

_OF_PYTHON = (bool, bytearray, bytes, complex, float, int, range, slice, str)
_OF_DATES = (datetime.date, datetime.timedelta, datetime.timezone)

PLAIN: tuple[type, ...] = (*_OF_PYTHON, *_OF_DATES, PosixPath, WindowsPath)
"""Classes of values that hold no others."""

TIMES: tuple[type, ...] = (datetime.datetime, datetime.time)
"""Classes of values that hold a time zone."""

CONTAINERS = (list, tuple, set, frozenset, dict, OrderedDict, defaultdict)

_NUMPY_SCALAR: Any = np.float64(0).__reduce__()[0]
"""NumPy's function that makes a scalar of its dtype and bytes."""

_NDARRAY = object()
"""Stands for the class ``numpy.ndarray``, of which a pickle may only say the name."""

_RENAMED_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "numpy.lib._shape_base_impl": "numpy.lib.shape_base",
    "pathlib._local": "pathlib",
}
"""Modules that are called otherwise in other versions of Python and NumPy."""


def _dtype(name: str, *_: bool) -> np.dtype[Any]:
    """Return a dtype whose state can be set; whoever uses it copies it first."""
    if not re.fullmatch(r"[|<>=]?[A-Za-z?][0-9]*", name):
        raise UnsafePickleError(f"names the dtype {name!r:.80}")
    return np.dtype(name, copy=True)


def _set_dtype(dtype: Any, state: tuple[Any, ...]) -> None:
    """Set the state of a dtype to that of one which NumPy makes of the same parts."""
    _, order, subarray, names, fields, itemsize, _, flags, *units = state
    if subarray is not None:
        base, shape = subarray
        made = np.dtype((copy.copy(base), shape))
    elif names is not None:
        parts = {
            "names": list(names),
            "formats": [copy.copy(fields[name][0]) for name in names],
            "offsets": [fields[name][1] for name in names],
            "titles": [fields[n][2] if len(fields[n]) > 2 else None for n in names],
            "itemsize": itemsize,
        }
        made = np.dtype(parts, align=bool(flags & 0x80))  # type: ignore[call-overload]
    elif dtype.kind in "SUV":
        made = np.dtype(f"{dtype.kind}{itemsize // (4 if dtype.kind == 'U' else 1)}")
    elif dtype.kind in "mM":
        unit, count, *_ = units[0][1]
        made = np.dtype(f"{dtype.kind}8[{int(count)}{unit.decode()}]")
    else:
        made = copy.copy(dtype)
    if made.kind != dtype.kind:
        raise ValueError(f"a dtype {dtype} cannot become {made}")
    dtype.__setstate__(made.newbyteorder(order).__reduce__()[2])


def _reconstruct(cls: object, shape: Any, typecode: Any) -> NDArray[Any]:
    """Return an empty array, whose state is set later."""
    if cls is not _NDARRAY:
        raise UnsafePickleError("makes an array of another class")
    return np.empty(0, dtype="b")


def _set_array(array: Any, state: tuple[Any, ...]) -> None:
    """Set the state of an array that `_reconstruct` has made."""
    _, shape, dtype, is_fortran, data = state
    if array.shape != (0,):
        raise UnsafePickleError("changes an array that is finished")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array cannot have the shape {shape}")
    if dtype.hasobject and not (type(data) is list and len(data) == math.prod(shape)):
        raise ValueError(f"an array of objects has not the shape {shape}")
    array.__setstate__((1, shape, copy.copy(dtype), bool(is_fortran), data))


def _split(flat: NDArray[Any], ends: NDArray[Any]) -> SpikeTrains:
    """Return the spike trains that were pickled as one array and its parts."""
    if type(flat) is not np.ndarray or flat.ndim != 1 or flat.dtype != np.float64:
        raise ValueError("spike trains must be parts of a 1-D float64 array")
    return SpikeTrains.from_flat(flat, np.append(ends, len(flat)), "ends")


def _frombuffer(
    buffer: Any, dtype: Any, shape: Any, order: str, axes: Any = None
) -> NDArray[Any]:
    """Return an array on the bytes of a buffer."""
    array = np.frombuffer(buffer, copy.copy(dtype))
    if axes is not None:  # since NumPy 2.4
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: np.dtype[Any], data: bytes) -> Any:
    """Return a number of NumPy."""
    if dtype.hasobject:
        raise UnsafePickleError(f"makes a scalar of {dtype}")
    return _NUMPY_SCALAR(copy.copy(dtype), data)


def _encode(text: str, encoding: str) -> bytes:
    """Return the bytes that protocols below 3 write as a str."""
    if encoding != "latin1":
        raise UnsafePickleError(f"names the encoding {encoding!r}")
    return text.encode(encoding)


_ALLOWED: dict[tuple[str, str], Any] = {
    (_RENAMED_MODULES.get(cls.__module__, cls.__module__), cls.__name__): cls
    for cls in (object, *PLAIN, *TIMES, *CONTAINERS)
} | {
    ("builtins", "xrange"): range,  # its name up to protocol 2
    ("copyreg", "_reconstructor"): copyreg._reconstructor,  # type: ignore[attr-defined]
    # Functions of this module in the place of those that pickles of arrays name.
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "split"): _split,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy.lib.shape_base", "split"): _split,
}
"""The classes and functions that a pickle may name, by module and name."""


class Unpickler(pickle._Unpickler):
    """Python's unpickler, restricted to data objects and plain values.

    Data objects are made by their constructors (:meth:`.DataObject.__setstate__`).
    """

    stack: list[Any]
    metastack: list[list[Any]]
    read: Callable[[int], bytes]
    readinto: Callable[[Any], int]
    append: Callable[[Any], None]
    _unframer: Any

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._file: Any = file

    def find_class(self, module: str, name: str) -> Any:
        """Return what the pickle names, if it is allowed."""
        cls = DATA_CLASSES.get(name)
        if cls is not None and cls.__module__ == module:
            return cls
        key = (_RENAMED_MODULES.get(module, module), name)
        if key not in _ALLOWED:
            raise UnsafePickleError(
                f"names {module}.{name}, which is not part of a data object; "
                "trusted=True loads it if you trust the file"
            )
        return _ALLOWED[key]

    def load_build(self) -> None:
        """Set the state of the object on the stack, if it is one that has a state."""
        state = self.stack.pop()
        obj = self.stack[-1]
        if isinstance(obj, DataObject):
            obj.__setstate__(state)
        elif isinstance(obj, np.dtype):
            _set_dtype(obj, state)
        elif type(obj) is np.ndarray:
            _set_array(obj, state)
        else:
            raise UnsafePickleError(f"sets the state of a {type(obj).__name__}")

    def load_bytearray(self) -> None:
        """Read bytes into the memory where they stay.

        Python's own method copies them. Those of an array go into memory that need not
        be set to zero first, as that of a bytearray is.
        """
        size = int.from_bytes(self.read(8), "little")
        # What is called lies on the stack below, and its arguments on this one.
        below = self.metastack[-1] if self.metastack else []
        is_of_array = bool(below) and below[-1] is _frombuffer and not self.stack
        data: Any = np.empty(size, np.uint8) if is_of_array else bytearray(size)
        is_framed = self._unframer.current_frame is not None
        readinto = self.readinto if is_framed else self._file.readinto
        if readinto(data) != size:
            raise pickle.UnpicklingError("pickle exhausted before end of data")
        self.append(data)

    def refuse_extension(self) -> NoReturn:
        """Refuse a number in the place of a name, which any package can register."""
        raise UnsafePickleError("uses the extension registry of pickle (EXT1 to EXT4)")

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray,
        pickle.EXT1[0]: refuse_extension,
        pickle.EXT2[0]: refuse_extension,
        pickle.EXT4[0]: refuse_extension,
    }
