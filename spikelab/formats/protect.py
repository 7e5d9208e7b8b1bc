"""What an export onto an HDF5 file would destroy: data that no export wrote.

An HDF5 file that spikelab exported holds the names of its members as the attribute
`MEMBERS` of its root, or as options of its style. What has another name was added
since; a file without these attributes is of another program, or of spikelab 0.1.2.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from spikelab.storage.remote_file import RemoteFile

MEMBERS = "members"
"""Attribute of the root: the names of all members, as JSON."""

PUBLISHED = {"start_time", "length_ms"}
"""All root attributes of a file that spikelab 0.1.2 exported."""

_HEADER = {
    "file_create_date",
    "identifier",
    "session_description",
    "session_start_time",
    "specifications",
    "timestamps_reference_time",
}
"""Members of every NWB file that are no data."""

_SECTIONS = {
    "acquisition",
    "analysis",
    "general",
    "intervals",
    "processing",
    "scratch",
    "stimulus",
}
"""Groups of every NWB file, of which the members say what they hold."""

_NAMING = ("_dataset", "group_per_unit")
"""How the options of HDF5 styles end that name a member."""

_OF_OTHER_CLASSES = {
    "exact",
    "labels",
    "matrix",
    "neuron_attributes",
    "rates",
    "slices",
    "stack",
    "times",
    "windows",
}
"""Members of the files of ``to_hdf5`` that have no style."""


def record_members(file: h5py.File) -> None:
    """Write the names of all members of an exported file, links too, at its root."""
    names: list[bytes] = []
    file.id.links.visit(names.append)
    file.attrs[MEMBERS] = json.dumps([name.decode() for name in names])


def would_be_lost(file: Path | RemoteFile) -> list[str]:
    """Return the names of groups and datasets that no export of spikelab wrote.

    A file that is not there, or is not an HDF5 file, holds none.
    """
    if isinstance(file, Path) and not (file.is_file() and h5py.is_hdf5(file)):
        return []
    try:
        with h5py.File(file, "r") as opened:
            return _added(opened)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(file, RemoteFile) and file.error is not None:
            raise file.error from None
        return [f"what cannot be examined ({error})"]


def _added(file: h5py.File) -> list[str]:
    """Return what was added to an export, or all that another program wrote."""
    attributes: Any = file.attrs
    known: set[str] = set()
    if MEMBERS in attributes:
        with contextlib.suppress(TypeError, ValueError):  # another program's attribute
            known = set(json.loads(attributes[MEMBERS]))
    elif set(attributes) == PUBLISHED:
        return []
    elif "style" in attributes or "__type__" in attributes:
        options = {k: str(v) for k, v in attributes.items() if k.endswith(_NAMING)}
        ours = {name.split("/")[0] for name in options.values()}
        added = set(file) - ours - _OF_OTHER_CLASSES
        units = file.get(options.get("group_per_unit", ""))
        if units is not None and len(units) > int(attributes["n_units"]):
            added.add(options["group_per_unit"])
        return sorted(added)
    return sorted(_unknown(file, known))


def _unknown(group: h5py.Group, known: set[str]) -> Iterator[str]:
    """Yield what is not `known` in a group, the outermost names only."""
    for name in group:
        path = f"{group.name}/{name}".lstrip("/")
        link, found = group.get(name, getlink=True), group.get(name)
        is_group = isinstance(link, h5py.HardLink) and isinstance(found, h5py.Group)
        if path in _HEADER:
            continue
        if is_group and (path in known or path in _SECTIONS):
            yield from _unknown(found, known)
        elif path not in known and not (is_group and not len(found)):
            yield path
