"""Files as the HDF5 library sees them: where it would crash, it is not told the truth."""

import io
import os
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_KEPT = 2**16
"""Bytes of a write that may be a part of the file's structure."""

_HEAP = b"GCOL"
"""How a heap of texts of variable length begins."""

_REFERENCES = 2**20
"""Bytes of a read in which references to such texts are looked for."""

_HEADER = 2**16
"""Bytes of a read that may be an object's header, with references in attributes."""

_LONG = 2**24
"""Bytes of a text that only a reference to one that is not there may claim."""

_REFERENCE = re.compile(
    rb"(?s)(?=(.{4}(?!\0{8})[%s].{4}\0{3}(?!\0\0)..\0\0))"
    % b"".join(re.escape(bytes([low])) for low in range(0, 256, 8))
)
"""A length, an address below a terabyte that 8 divides, and a number below 2**16."""

_FEW = 2**11
"""Bytes in which looking at each place is faster than working with arrays."""

_MOST_KNOWN = 1000
"""Addresses of which it is kept in mind what is there."""

_NO_REFERENCES = (b"SNOD", b"TREE", b"HEAP", b"\x89HDF")
"""How parts of a file begin that hold none."""


class Disk(io.FileIO):
    """A file for HDF5 that remembers the first failed write instead of raising.

    The HDF5 library can crash the interpreter when a write fails, as it does
    on a full disk, and it closes the file afterwards. It never hears of it
    here: from then on, what it writes is kept in memory for it to read again,
    all but the large blocks of data, which it does not look into.
    """

    error: OSError | None = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "w+")
        self._kept: list[tuple[int, bytes]] = []

    def write(self, data: Any) -> int:
        """Write all of `data`, or, once a write has failed, keep what is small."""
        view = memoryview(data).cast("B")
        position, written = self.tell(), 0
        try:
            while self.error is None and written < len(view):
                written += super().write(view[written:]) or 0
        except OSError as error:
            self.error = error
        if self.error is not None and len(view) <= _KEPT:
            self._kept.append((position, bytes(view)))
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read what was written, and what was only kept."""
        position = self.tell()
        count = super().readinto(buffer) or 0
        if self.error is None:
            return count
        view = memoryview(buffer).cast("B")
        view[count:] = bytes(len(view) - count)
        for place, data in self._kept:
            first = max(place, position)
            last = min(place + len(data), position + len(view))
            if first < last:
                view[first - position : last - position] = data[
                    first - place : last - place
                ]
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or remember that it could not be."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size


class Source(io.FileIO):
    """A file for HDF5 that hides damaged texts from the library.

    Texts of variable length lie in heaps. The library follows the objects of a
    heap without looking whether there is an end, and sets aside as much memory
    as a reference to a text claims before it looks whether the heap has that
    much. Either can crash the interpreter or take gigabytes. What is damaged
    so is read as zeros, which the library refuses.
    """

    damaged: bool = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "r")
        self.size = os.fstat(self.fileno()).st_size
        self._rest_of_heap = (0, 0)
        self._known: dict[int, dict[int, int]] = {}

    def __repr__(self) -> str:
        return str(self.name)  # what h5py takes for the name of the file

    def readinto(self, buffer: Any) -> int:
        """Read what the file holds, zeros in the place of what is damaged."""
        position = self.tell()
        count = super().readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        if not self._is_sound(view, position):
            self.damaged = True
            view[:] = bytes(len(view))
        return count

    def _is_sound(self, view: memoryview, position: int) -> bool:
        # Of a heap the library reads the start, which is judged for all of it, and
        # then the rest, in which texts and sizes may look like references.
        is_rest = (position, position + len(view)) == self._rest_of_heap
        self._rest_of_heap = (0, 0)
        if bytes(view[:4]) == _HEAP:
            size = int.from_bytes(view[8:16], "little")
            self._rest_of_heap = (position + len(view), position + size)
            return self._heap(position) is not None
        return is_rest or not self._claims_too_much(view)

    def _peek(self, size: int, position: int) -> bytes:
        self.seek(position)
        return self.read(size)

    def _heap(self, position: int) -> dict[int, int] | None:
        """Return the sizes of the objects of a heap, None if they do not fit."""
        size = int.from_bytes(self._peek(16, position)[8:], "little")
        if position + size > self.size:
            return None
        heap = self._peek(size, position)
        sizes, place = {}, 16
        while place + 16 <= size:
            index = int.from_bytes(heap[place : place + 2], "little")
            length = int.from_bytes(heap[place + 8 : place + 16], "little")
            step = 16 + (length + 7) // 8 * 8 if index else length
            if step < 16 or place + step > size:
                return None
            sizes[index] = length
            place += step
        return sizes

    def _claims_too_much(self, view: memoryview) -> bool:
        """Tell whether references to texts say more than the heaps of the file hold.

        A reference is a length (4 bytes), the address of a heap (8) and the
        number of an object there (4), at any place of what was read. Other
        bytes may look like one by chance, so only what could do harm counts:
        a very long text, or, in a header, texts longer than the file together.
        """
        if not 16 <= len(view) <= _REFERENCES or bytes(view[:4]) in _NO_REFERENCES:
            return False
        total = 0
        for length, address, index in _references(view):
            size = self._sizes(address).get(index)
            if size is None or index == 0:
                continue
            if length > size and length >= _LONG:
                return True
            total += length if length <= size else 0
        return total > self.size

    def _sizes(self, address: int) -> dict[int, int]:
        """Return the sizes of the objects of the heap that is at an address, if one is."""
        if address not in self._known:
            is_heap = address < self.size and self._peek(4, address) == _HEAP
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[address] = (self._heap(address) or {}) if is_heap else {}
        return self._known[address]


def _references(view: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield all that may be references: a length, an address, and a number.

    Of more bytes than a header has only those to long texts are looked for, of
    which the fourth byte is not 0: datasets of shorter ones are read some at a time.
    """
    if len(view) <= _FEW:
        for found in _REFERENCE.finditer(bytes(view)):
            yield struct.unpack("<IQI", found[1])
        return
    data = np.frombuffer(view, np.uint8)
    part = [data[first : len(data) - 15 + first] for first in range(16)]
    # As the pattern says, without a look at each place.
    may_be = (part[4] & 7 == 0) & (part[9] | part[10] | part[11] == 0)
    may_be &= (part[14] | part[15] == 0) & (part[12] | part[13] != 0)
    may_be &= (part[4] | part[5] | part[6] | part[7] | part[8]) != 0
    if len(view) > _HEADER:
        may_be &= part[3] != 0
    for place in np.flatnonzero(may_be).tolist():
        yield struct.unpack_from("<IQI", view, place)
