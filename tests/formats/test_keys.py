"""Keys whose hashes a stranger could have chosen."""

import numpy as np
import pytest

from spikelab.formats.keys import Keys

MODULUS = 2**61 - 1
"""Python's integers have their remainder by this number as their hash."""

ALIKE = {
    "integers": lambda i: i * MODULUS,
    "tuples": lambda i: (i * MODULUS, 1),
    "nested tuples": lambda i: (1, ((i * MODULUS,),)),
    "complex numbers": lambda i: complex(i * 1_000_003, -i),
    "frozensets": lambda i: frozenset([i * MODULUS]),
}


@pytest.mark.parametrize("name", ALIKE)
def test_many_keys_of_one_hash_are_refused(name):
    """Each would be compared with all others."""
    keys, alike = Keys(), list(map(ALIKE[name], range(2, 5000)))
    assert len(set(map(hash, alike[:100]))) == 1
    with pytest.raises(ValueError, match="sets have one hash"):
        list(map(keys.checked, alike))


@pytest.mark.parametrize("name", ALIKE)
def test_one_key_may_come_often(name):
    """In the dictionaries of many units, say."""
    keys, key = Keys(), ALIKE[name](7)
    assert {keys.checked(ALIKE[name](7)) for _ in range(1000)} == {key}


@pytest.mark.parametrize(
    "made",
    [int, float, str, complex, np.float32, np.int64, np.datetime64, lambda i: (i, "a")],
)
def test_honest_keys_pass(made):
    """A thousand of each type."""
    values = [
        np.datetime64(i, "s") if made is np.datetime64 else made(i) for i in range(1000)
    ]
    assert list(map(Keys().checked, values)) == values


LARGE = {
    "long": 2**100_000,
    "wide": tuple(range(2000)),
    "both": (2**40_000, 2**40_000),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_keys_are_refused(name):
    """Python computes the hash of a tuple or an integer each time anew."""
    with pytest.raises(ValueError, match="too many parts"):
        Keys().checked(LARGE[name])


def test_what_has_no_hash_is_no_key():
    """As Python says."""
    with pytest.raises(TypeError, match="unhashable"):
        Keys().checked(([],))
