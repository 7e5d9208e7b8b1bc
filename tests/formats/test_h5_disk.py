"""What the HDF5 library is told of a file: the truth, if the file is sound."""

import struct

import h5py
import numpy as np
import pytest

from spikelab import SpikeData, load
from spikelab.errors import FormatError
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
def test_strings_of_any_shape_are_read(shape, count, tmp_path):
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


def test_a_sound_heap_is_read_as_it_is(tmp_path):
    """Wherever it lies, and whatever is around it."""
    data = bytes(99) + heap_of([b"text"] * 100) + b"GCO"
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb", buffering=0) as file:
        source = Source(file)
        assert read(source, 99, 299) == data[99:299]
        assert read(source, 0, len(data)) == data
        assert not source.damaged


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (8, 10**6),  # the heap is larger than the file
        (8, 0),
        (16 + 8, 2**63),  # an object is
        (16 + 8, 10_000),
        (16, 0),  # free space of 4 bytes: the next object is in its own header
    ],
)
def test_a_damaged_heap_is_read_as_zeros(place, value, tmp_path):
    """HDF5 refuses zeros, and would follow the rest without an end."""
    data = bytearray(heap_of([b"text"] * 100))
    struct.pack_into("<Q" if place != 16 else "<H", data, place, value)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb", buffering=0) as file:
        source = Source(file)
        found = read(source, 0, 200)
        assert source.damaged == (value != 0 or place == 16)
        assert any(found) != source.damaged


def test_mistakes_of_our_own_are_no_damage(tmp_path):
    """Only what h5py or HDF5 raises says something about a file."""
    path = SpikeData([[1.0]]).to_hdf5(tmp_path / "a.h5")
    with pytest.raises(FormatError, match=r"a\.h5.*damaged"), h5.opened(path) as file:
        file["nothing"]
    for mistake in (TypeError, AttributeError, KeyError, ValueError, RuntimeError):
        with pytest.raises(mistake, match="our own"), h5.opened(path):
            raise mistake("our own")


def test_a_file_with_a_damaged_heap_is_a_format_error(tmp_path):
    """The strings of the attributes lie in it."""
    path = SpikeData([[1.0]]).to_hdf5(tmp_path / "a.h5")
    data = bytearray((tmp_path / "a.h5").read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 24 : heap + 32] = bytes(8)
    data[heap + 16 : heap + 18] = bytes(2)
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(FormatError, match=r"a\.h5"):
        load(path)
