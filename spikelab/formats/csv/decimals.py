"""Whole arrays of floats as text: the shortest decimals that give back the same float.

The digits are those of ``repr``, computed for many numbers at once. A number
is cut into its whole and its fractional part, both exact; the fraction times a
power of ten is held as an unevaluated sum of two floats, which is precise
enough to round it to an integer and to tell whether the decimal that results
lies nearer to the number than half the distance to the next float. Fifteen
significant digits are tried first, then sixteen; seventeen always suffice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**15
"""Number of rows whose text should be made at a time, in a few megabytes."""

_SMALLEST, _LARGEST = 1.0, 1e15
"""Magnitudes between which the digits are computed; others are left to ``repr``."""

_FRACTION = 16
"""Digits after the point that a float of at least `_SMALLEST` can need."""

_POWERS = np.array([10.0**place for place in range(_FRACTION + 1)])
_INTEGER_POWERS = 10 ** np.arange(19, dtype=np.int64)
_SPLITTER = 2.0**27 + 1
_LONGEST_REPR = 24

_QUADS = np.frombuffer(
    b"".join(b"%04d" % number for number in range(10_000)), dtype=np.uint32
)
"""The four digits of each number below ten thousand, as four bytes."""


def lines(*columns: NDArray[Any]) -> bytes:
    """Return the rows of a table as text: cells between commas, one row to a line.

    Parameters
    ----------
    *columns : ndarray, shape (rows,)
        Integers, or float64, which are written as ``repr`` writes them.
    """
    rows = len(columns[0])
    if not rows:
        return b""
    fields: list[_Field] = []
    for column in columns:
        is_float = column.dtype.kind == "f"
        fields += _floats(column) if is_float else _signed_integers(column)
        fields.append(_constant(",", rows))
    fields[-1] = _constant("\n", rows)
    characters = np.hstack([field for field, _ in fields])
    used = np.hstack([kept for _, kept in fields])
    return characters[used].tobytes()


_Field = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Characters of shape (rows, width), and which of them belong to the text."""


def _constant(character: str, rows: int) -> _Field:
    shape = (rows, 1)
    return np.full(shape, ord(character), dtype=np.uint8), np.ones(shape, dtype=bool)


def _digits(numbers: NDArray[np.int64], quads: int) -> NDArray[np.uint8]:
    """Return the last ``4 * quads`` digits of each number, with leading zeros."""
    characters = np.empty((len(numbers), quads), dtype=np.uint32)
    for place in range(quads - 1, -1, -1):
        rest = numbers // 10_000
        characters[:, place] = _QUADS[numbers - rest * 10_000]
        numbers = rest
    return characters.view(np.uint8)


def _signed_integers(numbers: NDArray[Any]) -> list[_Field]:
    """Return the fields sign and digits."""
    if not np.any(numbers < 0):
        return [_integers(numbers)]
    return [_sign(numbers < 0), _integers(np.abs(numbers))]


def _sign(negative: NDArray[np.bool_]) -> _Field:
    return np.full((len(negative), 1), ord("-"), dtype=np.uint8), negative[:, None]


def _integers(numbers: NDArray[Any]) -> _Field:
    """Return integers that are not negative, without leading zeros."""
    numbers = numbers.astype(np.int64, copy=False)
    n_digits = _n_digits(numbers)
    quads = -(-int(n_digits.max()) // 4)
    places = np.arange(4 * quads, 0, -1)
    return _digits(numbers, quads), places <= n_digits[:, None]


def _n_digits(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(_INTEGER_POWERS[1:], numbers, side="right") + 1


def _floats(values: NDArray[np.float64]) -> list[_Field]:
    """Return the fields sign, digits before the point, and point with the rest."""
    size = np.abs(values)
    # NaN makes both comparisons false.
    computed = ((size >= _SMALLEST) & (size < _LARGEST)) | (size == 0)
    whole, fraction, n_decimals = _decimal(np.where(computed, size, 0.0))
    rest = np.empty((len(values), _LONGEST_REPR), dtype=np.uint8)
    rest[:, 0] = ord(".")
    rest[:, 1 : _FRACTION + 1] = _digits(fraction, _FRACTION // 4)
    kept = np.arange(_LONGEST_REPR) <= n_decimals[:, None]
    fields = [_sign(np.signbit(values)), _integers(whole), (rest, kept)]
    others = np.flatnonzero(~computed)
    if len(others):
        _put_reprs(fields, others, values[others])
    return fields


def _put_reprs(
    fields: list[_Field], rows: NDArray[np.intp], values: NDArray[np.float64]
) -> None:
    """Replace what stands in some rows by what ``repr`` gives."""
    texts = np.array(list(map(repr, values.tolist())), dtype=f"S{_LONGEST_REPR}")
    characters = texts.view(np.uint8).reshape(len(rows), _LONGEST_REPR)
    for _, kept in fields[:-1]:
        kept[rows] = False
    fields[-1][0][rows] = characters
    fields[-1][1][rows] = characters != 0


def _decimal(
    size: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.intp]]:
    """Return the whole part, the fraction in 1e-16, and how many decimals it has."""
    whole = np.floor(size)
    fraction = size - whole
    half_gap = np.spacing(size) / 2
    n_whole = _n_digits(whole.astype(np.int64))
    n_decimals = 15 - n_whole
    scaled, error = _rounded(fraction, _POWERS[n_decimals])
    wrong = np.flatnonzero(np.abs(error) > half_gap * _POWERS[n_decimals])
    for more in (1, 2):
        n_decimals[wrong] += 1
        scale = _POWERS[n_decimals[wrong]]
        scaled[wrong], error = _rounded(fraction[wrong], scale)
        if more == 1:
            wrong = wrong[np.abs(error) > half_gap[wrong] * scale]
    in_last_place = scaled * _INTEGER_POWERS[_FRACTION - n_decimals]
    return whole.astype(np.int64), in_last_place, _without_zeros(scaled, n_decimals)


def _rounded(
    fraction: NDArray[np.float64], scale: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ``fraction * scale`` rounded to an integer, and what was rounded off."""
    product = fraction * scale
    high, high_scale = _high_half(fraction), _high_half(scale)
    low, low_scale = fraction - high, scale - high_scale
    # What the product itself has rounded off (Dekker 1971).
    beyond = low * low_scale - (
        ((product - high * high_scale) - low * high_scale) - high * low_scale
    )
    nearest = np.rint(product)
    rest = product - nearest
    step = np.rint(rest + beyond)
    return (
        nearest.astype(np.int64) + step.astype(np.int64),
        (rest - step) + beyond,
    )


def _high_half(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper 26 bits of each float."""
    shifted = values * _SPLITTER
    return shifted - (shifted - values)


def _without_zeros(
    scaled: NDArray[np.int64], n_decimals: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return how many decimals are left, at least one, without zeros at the end."""
    left = n_decimals
    for zeros in (8, 4, 2, 1):
        shorter = scaled // _INTEGER_POWERS[zeros]
        ends = shorter * _INTEGER_POWERS[zeros] == scaled
        scaled = np.where(ends, shorter, scaled)
        left = np.where(ends, left - zeros, left)
    return np.maximum(left, 1)
