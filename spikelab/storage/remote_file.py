"""A remote file of which only the blocks that are read are fetched."""

import io
from collections.abc import Callable
from typing import Any

_BLOCK = 2**18
"""Bytes of a block, the least that is fetched."""

_MOST_FETCHED = 32
"""Blocks that are fetched with one request."""

_KEPT = 256
"""Blocks that are kept in memory."""


class RemoteFile(io.RawIOBase):
    """A remote file for reading at any position, as ``h5py.File`` takes it.

    Blocks that are read one after the other are fetched in ever larger pieces, up to
    8 MiB; the 64 MiB that were used last are kept. `fetch` returns the bytes from one
    position to another, `beginning` are those that were fetched already. `error` is the
    first failure, of which the HDF5 library reports only that there was one.
    """

    def __init__(
        self, url: str, size: int, fetch: Callable[[int, int], bytes], beginning: bytes
    ) -> None:
        super().__init__()
        self.url, self.size, self._fetch = url, size, fetch
        self.error: Exception | None = None
        self._position = 0
        self._blocks: dict[int, bytes] = {}  # the one that was used last at the end
        self._next, self._ahead = -1, 1
        n_bytes = len(beginning)
        whole = n_bytes if n_bytes == size else n_bytes - n_bytes % _BLOCK
        self._keep(0, beginning[:whole])

    def __fspath__(self) -> str:
        return self.url

    __repr__ = __fspath__

    def readable(self) -> bool:
        """Return True."""
        return True

    seekable = readable

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position of the next read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}
        self._position = max(start[whence] + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, short of it only at the end of the file."""
        view, start = memoryview(buffer).cast("B"), self._position
        stop = min(start + len(view), self.size)
        while self._position < stop:
            number, inside = divmod(self._position, _BLOCK)
            data = self._block(number, (stop - 1) // _BLOCK)
            count = min(len(data) - inside, stop - self._position)
            done = self._position - start
            view[done : done + count] = data[inside : inside + count]
            self._position += count
        return self._position - start

    def _block(self, number: int, last: int) -> bytes:
        """Return a block, which is fetched together with those up to `last`."""
        if number not in self._blocks:
            self._ahead = 2 * self._ahead if number == self._next else 1
            count = min(max(last - number + 1, self._ahead), _MOST_FETCHED)
            self._next = number + count
            start, stop = number * _BLOCK, min(self._next * _BLOCK, self.size)
            try:
                data = self._fetch(start, stop)
                if len(data) != stop - start:
                    raise OSError(f"{self.url} ends before {stop} bytes")
            except Exception as error:
                self.error = self.error or error
                raise
            self._keep(number, data)
        self._blocks[number] = self._blocks.pop(number)
        return self._blocks[number]

    def _keep(self, first: int, data: bytes) -> None:
        for start in range(0, len(data), _BLOCK):
            self._blocks[first + start // _BLOCK] = data[start : start + _BLOCK]
        for number in list(self._blocks)[:-_KEPT]:
            del self._blocks[number]
