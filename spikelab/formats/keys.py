"""Keys of dictionaries and sets that a stranger's file asks for."""

from typing import Any

import attrs
import numpy as np

_MOST_PARTS = 1000
_MOST_ALIKE = 100
_INT64 = 2**63

_SALTED = (str, bytes)
"""Types whose hash nobody knows beforehand."""


@attrs.define
class Keys:
    """The keys of one file, so far as their hashes could have been chosen.

    Keys that have one hash are compared with one another, so many of them take
    a time that grows with the square of their number.
    """

    _by_hash: dict[int, set[Any]] = attrs.Factory(dict)

    def checked(self, key: Any) -> Any:
        """Return `key`, or raise if a dictionary with it could take long to make.

        Raises
        ------
        TypeError
            If it cannot be hashed.
        ValueError
            If that could take long, or too many other keys have its hash.
        """
        _check_parts(key)
        if not isinstance(key, _SALTED) and not _is_small(key):
            alike = self._by_hash.setdefault(hash(key), set())
            alike.add(key)
            if len(alike) > _MOST_ALIKE:
                raise ValueError("too many keys of dictionaries or sets have one hash")
        return key


def _is_small(key: Any) -> bool:
    """Tell whether few keys of this type can have one hash."""
    if isinstance(key, int):
        return -_INT64 <= key < 2 * _INT64
    return key is None or isinstance(key, float | np.floating | np.integer)


def _check_parts(key: Any) -> None:
    parts, pending = 0, [key]
    while pending:
        part = pending.pop()
        parts += 1
        if isinstance(part, int):
            parts += part.bit_length() // 64
        if parts > _MOST_PARTS:
            raise ValueError("a key of a dictionary or set has too many parts")
        if isinstance(part, tuple):
            pending.extend(part)
