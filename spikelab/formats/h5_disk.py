"""The file objects through which the HDF5 library writes and reads."""

import io
import os
from typing import Any

from spikelab.storage.remote_file import RemoteFile

_KEPT = 2**16
"""Bytes of a write that may be a part of the file's structure."""

_HEAP = b"GCOL"
"""How a heap of strings of variable length begins."""


class Disk(io.FileIO):
    """A file for HDF5 to write, which remembers the first failed write.

    The HDF5 library can crash the interpreter when a write fails, as it does on a full
    disk, and it closes the file afterwards. So the failure is not reported to it: from
    then on, what it writes is kept in memory for it to read again, except for large
    blocks of data, which it does not read.

    Attributes
    ----------
    error : OSError or None
        The first failure.
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
                kept = data[first - place : last - place]
                view[first - position : last - position] = kept
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Cut the file, or remember that it could not be."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size


class Source(io.RawIOBase):
    """A local or remote file for HDF5 to read, whose heaps are checked before it.

    Strings of variable length lie in heaps. The library follows the objects of a heap
    without a look at its end, and hangs or crashes in a damaged one. Such a heap is
    read as zeros, which the library refuses.

    Parameters
    ----------
    file : io.FileIO or RemoteFile
        The file, open for reading.

    Attributes
    ----------
    damaged : bool
        Whether a damaged heap was read.
    """

    def __init__(self, file: io.FileIO | RemoteFile) -> None:
        super().__init__()
        self._file, self.damaged = file, False
        self._size = file.seek(0, io.SEEK_END)
        # HDF5 asks for its position often, which costs nothing without a function here.
        self.seek, self.tell = file.seek, file.tell  # type: ignore[method-assign]

    def __repr__(self) -> str:  # what h5py takes for the name of the file
        return str(getattr(self._file, "name", self._file))

    def readinto(self, buffer: Any) -> int:
        """Read what the file holds, zeros in the place of a damaged heap."""
        position = self.tell()
        count = self._file.readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        if view[:4] == _HEAP and not self._is_sound_heap(position):
            self.damaged = True
            view[:] = bytes(len(view))
        return count

    def _read_at(self, position: int, count: int) -> bytes:
        self.seek(position)
        return self._file.read(count) or b""

    def _is_sound_heap(self, position: int) -> bool:
        """Return whether the objects of the heap at `position` fill it exactly."""
        size = int.from_bytes(self._read_at(position + 8, 8), "little")
        if position + size > self._size:
            return False
        heap = self._read_at(position + 16, size - 16) if size > 16 else b""
        place = 0
        while place + 16 <= len(heap):
            index = int.from_bytes(heap[place : place + 2], "little")
            length = int.from_bytes(heap[place + 8 : place + 16], "little")
            # Object 0 is the free space; its length includes its own header.
            step = 16 + (length + 7) // 8 * 8 if index else length
            if step < 16 or place + step > len(heap):
                return False
            place += step
        return True
