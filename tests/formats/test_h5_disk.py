"""What the HDF5 library is told of a file: the truth, if the file is sound."""

import struct

import h5py
import numpy as np
import pytest

from spikelab.formats import h5
from spikelab.formats.h5_disk import Source

SHAPES = [
    "label number {}",
    "{}",
    "unit_{}",
    "unit no. {} in CA1",
    "x{:016d}",
    "{:0300d}",
    "\N{GREEK SMALL LETTER MU}{}",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [10, 1100, 1500, 3000, 70_000])
def test_no_text_is_taken_for_a_damaged_reference(shape, count, tmp_path):
    """However many there are, and whatever their lengths and numbers look like."""
    texts = [shape.format(i) for i in range(count)]
    with h5.created(tmp_path / "a.h5") as file:
        file.create_dataset("texts", data=texts, dtype=h5py.string_dtype())
        file.attrs["names"] = texts[:1000]
        file["numbers"] = np.arange(count)
    with h5.opened(tmp_path / "a.h5") as file:
        assert file["texts"].asstr()[:].tolist() == texts
        assert list(file.attrs["names"]) == texts[:1000]
        assert file["numbers"][:].tolist() == list(range(count))


def heap_of(texts):
    """A heap as HDF5 writes it: sizes and texts, each counted by an index."""
    objects = b"".join(
        struct.pack("<HHIQ", index, 1, 0, len(text)) + text + bytes(-len(text) % 8)
        for index, text in enumerate(texts, start=1)
    )
    return b"GCOL" + struct.pack("<B3xQ", 1, 16 + len(objects)) + objects


def read(source, first, last):
    """Read as the library does."""
    source.seek(first)
    buffer = bytearray(last - first)
    source.readinto(buffer)
    return bytes(buffer)


def test_the_rest_of_a_heap_is_not_searched_for_references(tmp_path):
    """Its counts may look like the address of another heap: here the eighth's does."""
    first, second = 65536 + 8, 80_000
    data = bytearray(second)
    heap = heap_of([b"text"] * 100)
    data[first : first + len(heap)] = heap
    data += heap_of([b"a text of four times eight bytes"] * 200)
    (tmp_path / "a").write_bytes(data)
    with Source(tmp_path / "a") as source:
        assert read(source, second, second + 100) == data[second : second + 100]
        assert read(source, second + 100, len(data)) == data[second + 100 :]
        assert not source.damaged
        # The same bytes by themselves could be references.
        assert not any(read(source, second + 100, len(data)))
        assert source.damaged
