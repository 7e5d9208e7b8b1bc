"""The file of a workspace.

Each item is a group in the layout of spikelab 0.1.2, ``<namespace>/<key>``, which that
version reads. Beside them, the group ``__exact__`` holds what this layout cannot say:
``index``, as JSON, with the names of the items and, for each, what its group does not
say (:mod:`spikelab.formats.hdf5.objects`), and by number the arrays that belong to it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np
from attrs.validators import instance_of

from spikelab.errors import FormatError, VerificationError
from spikelab.formats import h5, protect
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.objects import ObjectReader, ObjectWriter, holding
from spikelab.formats.hdf5.on_disk import arrays_on_disk
from spikelab.formats.hdf5.values import Tree, identical, read_json, write_json
from spikelab.spikedata.data_object import DATA_CLASSES
from spikelab.spikedata.differences import equal
from spikelab.storage.remote_file import RemoteFile
from spikelab.storage.remote_folder import Existing, RemoteFolder
from spikelab.workspace.items import Item

_EXACT = "__exact__"
_INDEX = "index"

About = dict[str, Any]
"""What is known about a workspace as a whole, by the names of its attributes."""


@attrs.frozen
class _Entry:
    """An item of a file: its names, its group (None without), what that does not say."""

    namespace: str = attrs.field(validator=instance_of(str))
    key: str = attrs.field(validator=instance_of(str))
    created_at: float = attrs.field(converter=float)
    note: str | None = attrs.field(validator=instance_of(str | None))
    place: str | None = attrs.field(validator=instance_of(str | None))
    exact: Tree = None


def check(items: list[Item]) -> None:
    """Raise TypeError for an item that is of no known class, or has no proper name."""
    allowed = (np.ndarray, np.memmap, dict, *DATA_CLASSES.values())
    for item in items:
        for name, value in (("namespace", item.namespace), ("key", item.key)):
            if not isinstance(value, str):
                raise TypeError(
                    f"{name} of {item.title} must be a string to be saved, got {value!r}"
                )
        if not isinstance(item.note, str | None):
            raise TypeError(f"the note of {item.title} must be a string or None")
        if type(item.value) not in allowed:
            raise TypeError(
                f"{item.title} must be a spikelab data object, a numpy array or a "
                f"dictionary (of which the values may be more) to be saved, "
                f"got {type(item.value).__name__}"
            )


def write(path: Path, about: About, items: list[Item]) -> None:
    """Write the checked items of a workspace to a new file.

    TypeError or ValueError, with its name, for a part that cannot be stored.
    """
    namespaces = _links([item.namespace for item in items])
    keys = {n: _links([i.key for i in items if i.namespace == n]) for n in namespaces}
    with h5.created(path) as file:
        name = about["name"]
        file.attrs["__workspace_id__"] = about["workspace_id"]
        file.attrs["__workspace_name__"] = str(name) if h5.is_text(name) else ""
        file.attrs["__created_at__"] = about["created_at"]
        apart = file.create_group(_EXACT)
        writer, entries = ObjectWriter(apart), []
        for item in items:
            place = f"{namespaces[item.namespace]}/{keys[item.namespace][item.key]}"
            exact = writer.write(file, place, item.value, item.title)
            has_group = place in file  # else the layout has no form for the value
            if has_group:
                file[place].attrs["__created_at__"] = float(item.created_at)
                if item.note is not None and h5.is_text(item.note):
                    file[place].attrs["__note__"] = item.note
            entry = [item.namespace, item.key, item.created_at, item.note]
            entries.append([*entry, place if has_group else None, exact])
        write_json(apart, _INDEX, {"name": name, "items": entries})


def _links(names: list[str]) -> dict[str, str]:
    """Return the name of a group for each name: itself if HDF5 allows it, else quoted.

    What HDF5 does not allow in a name stands as its code after a ``%``.
    """
    links = {name: name for name in names if layout.is_link_name(name)}
    links.pop(_EXACT, None)
    taken = {"", ".", _EXACT, *links}
    for name in names:
        if name not in links:
            link = "".join(
                char if h5.is_text(char) and char != "/" else f"%{ord(char):02X}"
                for char in name
            )
            while link in taken:
                link += "%"
            links[name] = link
            taken.add(link)
    return links


def verify(staged: Path, about: About, items: list[Item]) -> None:
    """Raise VerificationError if a file does not hold the workspace."""
    try:
        with arrays_on_disk():
            read_about, read_items = read(staged)
    except FormatError as error:
        raise VerificationError(
            f"save: the staged file cannot be read, nothing was published: {error}"
        ) from error
    found = {(item.namespace, item.key): item for item in read_items}
    wrong = [
        item.title
        for item in items
        if not _same(item, found.get((item.namespace, item.key)))
    ]
    if wrong or read_about != about:
        raise VerificationError(
            "save: the staged file differs from the workspace, nothing was "
            f"published: {', '.join(wrong) or 'its name'}"
        )


def _same(item: Item, read: Item | None) -> bool:
    """Return whether an item came back with all that is known about it."""
    if read is None or (read.created_at, read.note) != (item.created_at, item.note):
        return False
    return identical(item.value, read.value) or equal(item.value, read.value)


def read(path: Path) -> tuple[About, list[Item]]:
    """Return a workspace; FormatError if the file is not that of one, or is damaged."""
    with h5.opened(path) as file:
        about, entries = _contents(file)
        values = [_value(file, entry) for entry in entries]
    return about, [
        Item(e.namespace, e.key, value, e.created_at, e.note)
        for e, value in zip(entries, values, strict=True)
    ]


def read_item(path: Path | RemoteFile, namespace: str, key: str) -> Any:
    """Return one object from a file, and read no other; KeyError if there is none."""
    with h5.opened(path) as file:
        for entry in _contents(file)[1]:
            if (entry.namespace, entry.key) == (namespace, key):
                return _value(file, entry)
    raise KeyError(f"{path} has no {namespace!r} / {key!r}")


def would_be_lost(existing: Existing) -> list[str]:
    """Return what a target holds that neither a workspace nor an export wrote.

    Groups of an earlier workspace have a ``__type__``, and are replaced with it.
    """
    if isinstance(existing, RemoteFolder):
        return []
    try:
        with h5.opened(existing) as file:
            _contents(file)
            groups = [f"{e.namespace}/{e.key}" for e in _entries_of_groups(file)]
            added = [name for name in groups if "__type__" not in file[name].attrs]
            return added + [n for n in file if not isinstance(file.get(n), h5py.Group)]
    except (FileNotFoundError, FormatError):  # not a workspace
        return protect.would_be_lost(existing)


def _contents(file: h5py.File) -> tuple[About, list[_Entry]]:
    """Return what is known about a workspace, and its items."""
    attributes = h5.scalar_attributes(file)
    identity = attributes.get("__workspace_id__")
    if not isinstance(identity, str):
        raise FormatError(f"{file.filename} is not the file of a workspace")
    with holding(file.filename, "workspace"):
        if h5.has_member(file, _EXACT):
            index = read_json(h5.member(file, _EXACT), _INDEX)
            name, entries = index["name"], [_Entry(*item) for item in index["items"]]
        else:  # of spikelab 0.1.2
            name = attributes.get("__workspace_name__") or None
            entries = _entries_of_groups(file)
        created_at = float(attributes.get("__created_at__", 0.0))
    about = {"workspace_id": identity, "name": name, "created_at": created_at}
    return about, entries


def _entries_of_groups(file: h5py.File) -> list[_Entry]:
    """Return the items that the groups of a file are."""
    entries: list[_Entry] = []
    for namespace in file:
        group = h5.member(file, namespace)
        if namespace != _EXACT and isinstance(group, h5py.Group):
            entries += _entries_in(namespace, group)
    return entries


def _entries_in(namespace: str, group: h5py.Group) -> Iterator[_Entry]:
    """Yield the items in a group, and in those that a slash in a name has made."""
    for key in group:
        found = h5.member(group, key)
        attributes = h5.scalar_attributes(found)
        if isinstance(found, h5py.Group) and "__type__" not in attributes:
            yield from _entries_in(f"{namespace}/{key}", found)
            continue
        created_at, note = (
            attributes.get("__created_at__", 0),
            attributes.get("__note__"),
        )
        yield _Entry(namespace, key, created_at, note, f"{namespace}/{key}")


def _value(file: h5py.File, entry: _Entry) -> Any:
    apart = h5.member(file, _EXACT) if h5.has_member(file, _EXACT) else None
    group = None if entry.place is None else h5.member(file, entry.place)
    return ObjectReader(apart).read(group, entry.exact)
