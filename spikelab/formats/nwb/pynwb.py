"""Where the units of a file lie, as pynwb finds them.

pynwb resolves what plain HDF5 does not show: links, and the layouts of other
versions of the schema. It reads the file's own copy of the schema and follows
links, so it is only asked about files whose links all stay inside.
"""

import contextlib
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import h5py

from spikelab.formats.nwb import reader as nwb_reader

_MOST_OBJECTS = 100_000
"""A file of more objects is not searched for links, and pynwb is not asked."""


def is_suited(file: h5py.File) -> bool:
    """Tell whether pynwb is installed and may open this file."""
    return (
        find_spec("pynwb") is not None
        and not nwb_reader.is_own(file)
        and "nwb_version" in file.attrs
        and _stays_inside(file)
    )


def _stays_inside(file: h5py.File) -> bool:
    """Tell whether no link and no dataset leads out of the file."""
    pending: list[h5py.Group] = [file]
    seen = set()
    while pending:
        group = pending.pop()
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                return False
            if not isinstance(link, h5py.HardLink):
                continue
            member = group[name]
            if isinstance(member, h5py.Dataset) and (
                member.external or member.is_virtual
            ):
                return False
            address = h5py.h5o.get_info(member.id).addr
            if isinstance(member, h5py.Group) and address not in seen:
                pending.append(member)
            seen.add(address)
        if len(seen) > _MOST_OBJECTS:
            return False
    return True


@contextlib.contextmanager
def found(opened: h5py.File) -> Iterator[nwb_reader.Found]:
    """Read an open file with pynwb and yield where its Units table lies."""
    from pynwb import NWBHDF5IO

    with warnings.catch_warnings():
        # What pynwb says of the file's age is of no concern to who wants its units.
        warnings.simplefilter("ignore")
        with NWBHDF5IO(file=opened, mode="r", load_namespaces=True) as io:
            file = io.read()
            table = file.units
            electrodes = file.electrodes
            yield nwb_reader.Found(
                columns={} if table is None else _columns(table),
                ids=None if table is None else table.id.data,
                electrodes={} if electrodes is None else _plain(electrodes),
            )


def _columns(table: Any) -> dict[str, tuple[h5py.Dataset, h5py.Dataset | None]]:
    columns = {}
    for name in table.colnames:
        column, ends = table[name], None
        if type(column).__name__ == "VectorIndex":
            column, ends = column.target, _dataset(column.data)
        data = _dataset(column.data)
        if data is not None:
            columns[name] = (data, ends)
    return columns


def _plain(table: Any) -> dict[str, h5py.Dataset]:
    found = {name: _dataset(table[name].data) for name in table.colnames}
    found["id"] = table.id.data
    return {name: data for name, data in found.items() if data is not None}


def _dataset(data: Any) -> h5py.Dataset | None:
    """Return the dataset behind what pynwb shows as the data of a column."""
    inner = getattr(data, "dataset", data)
    return inner if isinstance(inner, h5py.Dataset) else None
