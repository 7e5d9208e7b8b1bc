"""A reader of pickles that builds data objects and can do nothing else.

A pickle is a program for a small stack machine. Python's own machine calls
whatever function the program names, so opening a pickle from a stranger is
running the stranger's code. This one decodes the same operations with
:mod:`pickletools`, but calls only what :mod:`spikelab.formats.pickle.values`
lists; every other name is refused when it is read, before anything is done
with it.
"""

import collections
import io
import os
import pickletools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from spikelab import kinds, trains
from spikelab.errors import FormatError, UnsafePickleError
from spikelab.formats.keys import Keys
from spikelab.formats.pickle import values
from spikelab.formats.pickle.values import UNFINISHED, Arguments, Draft, Name

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}

_LEAST_MEMORY = 2**28
_MEMORY_PER_BYTE = 32
"""Bytes of memory that any pickle may ask for, and more for each of its own."""

_CONTAINER = 200
"""Bytes that an empty list, dictionary, set or object takes, rounded up."""

_TUPLE = 60
"""Bytes that a tuple takes beside its items."""

_DEFAULTDICT = 2**20
"""What one of these counts: Python crashes when it frees a deep chain of them."""

_NO_VALUES = (Draft, Name, Arguments)

_WRONG = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SystemError,
    TypeError,
    ValueError,
)
"""What a pickle with wrong contents makes the functions that build values raise.

Without memory, Python itself may raise a SystemError.
"""


def load(file: io.BufferedReader, source: str) -> Any:
    """Return the object that the pickle in `file` describes.

    Parameters
    ----------
    file : binary file
        The pickle, protocol 0 to 5.
    source : str
        What errors call it.

    Raises
    ------
    UnsafePickleError
        If the pickle names anything that is not part of a data object.
    FormatError
        If it is not a pickle, is cut short, or describes what cannot be.
    """
    bounded = _Bounded(file)
    machine = _Machine(_LEAST_MEMORY + _MEMORY_PER_BYTE * bounded.size)
    try:
        for operation, argument in _operations(bounded):
            machine.step(operation, argument)
        return machine.result()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{source} {error}") from None
    except _WRONG as error:
        raise FormatError(
            f"{source} is not a pickle of a data object, or is damaged: {error}"
        ) from error


class _Bounded:
    """A file that asks for no more memory than it has bytes."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._read, self.readline = file.read, file.readline
        self._readinto = file.readinto
        self.size = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        return self._read(min(size, self.size))

    def read_bytearray(self) -> bytearray:
        """Return the bytes of an array, whose number comes first, with no second copy."""
        size = int.from_bytes(self.read(8), "little")
        if size > self.size:
            raise ValueError(f"{size} bytes in a file of {self.size}")
        data = bytearray(size)
        if self._readinto(data) < size:
            raise ValueError("it is cut short in an array")
        return data


def _operations(file: _Bounded) -> Iterator[tuple[str, Any]]:
    """Yield the operations of a pickle, each with what follows it, up to the last."""
    operation = ""
    while operation != "STOP":
        code = file.read(1).decode("latin-1")
        if code not in _OPCODES:
            raise ValueError(f"an operation {code!r}" if code else "it is cut short")
        known = _OPCODES[code]
        operation, argument = known.name, None
        if operation == "BYTEARRAY8":
            argument = file.read_bytearray()
        elif known.arg is not None:
            argument = known.arg.reader(file)  # type: ignore[arg-type] # as a file
        yield operation, argument


class _Machine:
    """The stack, the marks in it, the memo of what may be used again, and the keys."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._keys = Keys()

    def step(self, operation: str, argument: Any) -> None:
        """Do one operation; `argument` is what follows it in the pickle."""
        if operation in _PUSHES:
            self._stack.append(argument)
        elif operation in _CONSTANTS:
            self._stack.append(_CONSTANTS[operation])
        elif operation in _EMPTY:
            self._spend(_CONTAINER)
            self._stack.append(_EMPTY[operation]())
        elif operation in _OPERATIONS:
            _OPERATIONS[operation](self, argument)
        elif operation not in _IGNORED:
            raise UnsafePickleError(
                f"uses {operation}, which no pickle of a data object needs"
            )

    def _spend(self, n_bytes: int) -> None:
        """Count memory that the pickle asks for; too much for its size is refused."""
        self._memory -= n_bytes
        if self._memory < 0:
            raise ValueError("it asks for much more memory than it has bytes")

    def result(self) -> Any:
        """Return what is left on the stack."""
        if len(self._stack) != 1 or self._marks:
            raise ValueError("it ends too early")
        return self._pop()

    def _pop(self) -> Any:
        """Take what is on top, which must be a value."""
        return _checked(self._stack.pop())

    def _pop_part(self) -> Any:
        """Take what is on top, which may also be a name, or arguments of a call."""
        top = self._stack.pop()
        if type(top) is Draft:
            raise ValueError("it uses an object that has no contents yet")
        return top

    def _pop_marked(self) -> list[Any]:
        position = self._marks.pop()
        items = self._stack[position:]
        del self._stack[position:]
        return items

    def mark(self, argument: Any) -> None:
        self._marks.append(len(self._stack))

    def pop(self, argument: Any) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def pop_mark(self, argument: Any) -> None:
        self._pop_marked()

    def put(self, index: Any) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: Any) -> None:
        found = self._memo[index]
        if type(found) is Draft:
            if found.value is UNFINISHED:
                raise ValueError("it holds an object that holds itself")
            found = found.value
        self._stack.append(found)

    def make_tuple(self, argument: Any) -> None:
        self._put_tuple(self._pop_marked())

    def tuple_of(self, count: int) -> None:
        self._put_tuple([self._pop_part() for _ in range(count)][::-1])

    def _put_tuple(self, items: list[Any]) -> None:
        self._spend(_TUPLE)
        self._stack.append(_tuple(items))

    def append(self, argument: Any) -> None:
        item = self._pop()
        self._top(list).append(item)

    def appends(self, argument: Any) -> None:
        items = self._pop_marked()
        self._top(list).extend(map(_checked, items))

    def make_list(self, argument: Any) -> None:
        self._spend(_CONTAINER)
        self._stack.append([_checked(item) for item in self._pop_marked()])

    def set_item(self, argument: Any) -> None:
        value, key = self._pop(), self._pop()
        self._top(*_DICTIONARIES)[self._keys.checked(key)] = value

    def set_items(self, argument: Any) -> None:
        items = self._pop_marked()
        self._top(*_DICTIONARIES).update(self._pairs(items))

    def make_dict(self, argument: Any) -> None:
        self._spend(_CONTAINER)
        self._stack.append(dict(self._pairs(self._pop_marked())))

    def add_items(self, argument: Any) -> None:
        items = self._pop_marked()
        self._top(set).update(map(self._key, items))

    def make_frozenset(self, argument: Any) -> None:
        self._spend(_CONTAINER)
        items = self._pop_marked()
        self._stack.append(frozenset(map(self._key, items)))

    def _key(self, value: Any) -> Any:
        return self._keys.checked(_checked(value))

    def _pairs(self, items: list[Any]) -> Iterable[tuple[Any, Any]]:
        if len(items) % 2:
            raise ValueError("it has a key without a value")
        keys = list(map(self._key, items[::2]))
        return zip(keys, map(_checked, items[1::2]), strict=True)

    def name(self, argument: Any) -> None:
        module, _, qualified = argument.partition(" ")
        self._stack.append(_known(module, qualified))

    def stacked_name(self, argument: Any) -> None:
        qualified, module = self._pop(), self._pop()
        if not (isinstance(module, str) and isinstance(qualified, str)):
            raise TypeError("it names something by what is not a name")
        self._stack.append(_known(module, qualified))

    def call(self, argument: Any) -> None:
        arguments, function = self._arguments(), self._stack.pop()
        called = values.CALLS.get(getattr(function, "text", None))  # type: ignore[arg-type] # or None
        if type(function) is not Name or called is None:
            raise UnsafePickleError(f"calls {_shown(function)}")
        made = called(*arguments)
        self._spend(_size(made))
        self._stack.append(made)

    def new(self, argument: Any) -> None:
        arguments, cls = self._arguments(), self._stack.pop()
        if arguments:
            raise TypeError("it makes an object with arguments")
        self._stack.append(values.new_object(cls))

    def new_with_keywords(self, argument: Any) -> None:
        if self._pop():
            raise TypeError("it makes an object with keywords")
        self.new(argument)

    def _arguments(self) -> Any:
        arguments = self._stack.pop()
        if type(arguments) not in (tuple, Arguments):
            raise TypeError("it calls something with what are not arguments")
        return arguments

    def finish(self, argument: Any) -> None:
        state = self._pop()
        draft = self._stack[-1]
        if type(draft) is not Draft:
            raise UnsafePickleError(f"sets the state of {_shown(draft)}")
        draft.value = self._stack[-1] = draft.finish(state)
        self._spend(_size(draft.value))

    def _top(self, *types: type) -> Any:
        if type(self._stack[-1]) not in types:
            raise TypeError(f"it fills a {type(self._stack[-1]).__name__}")
        return self._stack[-1]


def _size(value: Any) -> int:
    """Return about how many bytes a value takes, without what was there before."""
    if isinstance(value, np.ndarray):
        return max(value.nbytes, value.size)
    if isinstance(value, bytes | bytearray | str):
        return len(value)
    if type(value) is trains.Pieces:
        return _CONTAINER * len(value)
    if isinstance(value, list | set | frozenset):
        return 8 * len(value)
    if isinstance(value, collections.defaultdict):
        return _DEFAULTDICT
    parts = vars(value).values() if type(value).__name__ in kinds.MODULES else ()
    return _CONTAINER + sum(_copied_size(part) for part in parts)


def _copied_size(part: Any) -> int:
    """Return how many bytes a data object may have copied for one of its parts."""
    return part.flat.nbytes if type(part) is trains.Pieces else _size(part)


def _shown(value: Any) -> str:
    return _plain(getattr(value, "text", type(value).__name__))


def _plain(text: str) -> str:
    """Return a name from a stranger on one line, and not longer than a name is."""
    return repr(text[:200])[1:-1]


def _checked(value: Any) -> Any:
    if type(value) in _NO_VALUES:
        raise ValueError("it keeps a name, or an object without contents, as a value")
    return value


def _tuple(items: list[Any]) -> Any:
    kinds = set(map(type, items))
    if Draft in kinds:
        raise ValueError("it uses an object that has no contents yet")
    return tuple(items) if kinds.isdisjoint(_NO_VALUES) else Arguments(items)


def _known(module: str, qualified: str) -> Name:
    text = f"{values.RENAMED.get(module, module)}.{qualified}"
    if text == "builtins.xrange":
        text = "builtins.range"
    if text not in values.KNOWN:
        raise UnsafePickleError(
            f"names {_plain(f'{module}.{qualified}')}, which is not part of "
            "a data object; "
            "if you trust where it comes from, load it with trusted=True"
        )
    return Name(text)


_PUSHES = {
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}

_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}

_DICTIONARIES = (dict, collections.OrderedDict, collections.defaultdict)

_IGNORED = {"PROTO", "FRAME", "STOP"}

_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE": _Machine.make_tuple,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "LIST": _Machine.make_list,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "DICT": _Machine.make_dict,
    "ADDITEMS": _Machine.add_items,
    "FROZENSET": _Machine.make_frozenset,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stacked_name,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.new,
    "NEWOBJ_EX": _Machine.new_with_keywords,
    "BUILD": _Machine.finish,
}
