"""The file of a workspace.

Each item is a group in the layout of spikelab 0.1.2, ``<namespace>/<key>``, which that
version reads. Beside them, the group ``__exact__`` holds what this layout cannot say:
``index``, as JSON, with the names of the items and, for each, what its group does not
say (:mod:`spikelab.formats.hdf5.object_writer`), and by number the arrays that belong to it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import h5py

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.object_reader import ObjectReader
from spikelab.formats.hdf5.object_writer import ObjectWriter
from spikelab.formats.hdf5.values import Tree, check_storable, read_json, write_json
from spikelab.spikedata.data_object import DATA_CLASSES

_EXACT = "__exact__"
_INDEX = "index"

_MOST_SLASHES = 8
"""In a name that spikelab 0.1.2 wrote as groups in groups."""


def _as_str(text: Any) -> Any:
    """Return a str of any class as a plain one: HDF5 knows no numpy.str_."""
    return str.__str__(text) if isinstance(text, str) else text


@attrs.frozen
class Item:
    """A named object and what is known about it."""

    namespace: str = attrs.field(converter=_as_str)
    key: str = attrs.field(converter=_as_str)
    value: Any
    created_at: float
    note: str | None = attrs.field(converter=_as_str)

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"{self.namespace!r} / {self.key!r}"


@attrs.frozen
class About:
    """What is known about a workspace as a whole."""

    workspace_id: str
    name: str | None
    created_at: float


@attrs.frozen
class _Entry:
    """An item of a file: its names, its group (None without), what that does not say."""

    namespace: str
    key: str
    created_at: float
    note: str | None
    place: list[str] | None
    exact: Tree = None


def check(items: list[Item]) -> None:
    """Raise TypeError or ValueError, with its name, for an item that cannot be stored."""
    for item in items:
        for name, value in (("namespace", item.namespace), ("key", item.key)):
            if not isinstance(value, str):
                raise TypeError(
                    f"{name} of {item.title} must be a string to be saved, got {value!r}"
                )
        if not isinstance(item.note, str | None):
            raise TypeError(f"the note of {item.title} must be a string or None")
        allowed = ("ndarray", "memmap", "dict", *DATA_CLASSES)
        if type(item.value).__name__ not in allowed:
            raise TypeError(
                f"{item.title} must be a spikelab data object, a numpy array or a "
                f"dictionary (of which the values may be more) to be saved, "
                f"got {type(item.value).__name__}"
            )
        check_storable(item.value, item.title)


def write(path: Path, about: About, items: list[Item]) -> None:
    """Write the checked items of a workspace to a new file."""
    with h5.created(path) as file:
        name = about.name or ""
        file.attrs["__workspace_id__"] = about.workspace_id
        file.attrs["__workspace_name__"] = name if h5.is_text(name) else ""
        file.attrs["__created_at__"] = about.created_at
        apart = file.create_group(_EXACT)
        writer, entries = ObjectWriter(apart), []
        for item, place in zip(items, _places(items), strict=True):
            link = "/".join(place)
            exact = writer.write(file, link, item.value, item.title)
            if link in file:
                file[link].attrs["__created_at__"] = float(item.created_at)
                if item.note is not None and h5.is_text(item.note):
                    file[link].attrs["__note__"] = item.note
            names = [item.namespace, item.key, item.created_at, item.note]
            entries.append([*names, place if link in file else None, exact])
        write_json(apart, _INDEX, {"name": about.name, "items": entries})


def _places(items: list[Item]) -> list[list[str]]:
    """Return for each item the names of its two groups, which HDF5 must allow."""
    namespaces = _links([item.namespace for item in items], reserved=_EXACT)
    keys = {
        namespace: _links([i.key for i in items if i.namespace == namespace])
        for namespace in namespaces
    }
    return [[namespaces[i.namespace], keys[i.namespace][i.key]] for i in items]


def _links(names: list[str], reserved: str = "") -> dict[str, str]:
    """Return a link name for each name: itself if HDF5 allows it, else quoted.

    What HDF5 does not allow in a name stands as its code after a ``%``.
    """
    usable = {n for n in names if layout.is_link_name(n) and n != reserved}
    taken = usable | {reserved}
    links = {name: name for name in usable}
    for name in dict.fromkeys(names):
        if name in usable:
            continue
        link = "".join(
            c if h5.is_text(c) and c != "/" else f"%{ord(c):02X}" for c in name
        )
        if link == name:  # as "", "." and the reserved one
            link = f"%{link}"
        while link in taken:
            link += "%"
        links[name] = link
        taken.add(link)
    return links


def read(path: Path) -> tuple[About, list[Item]]:
    """Return a workspace from a file.

    Raises
    ------
    FormatError
        If the file is not that of a workspace, or is damaged.
    """
    with h5.opened(path) as file:
        about, indexed = _head(file)
        return about, [_item(file, entry) for entry in _entries(file, indexed)]


def read_item(path: Path, namespace: str, key: str) -> Any:
    """Return one object from a file, and read no other.

    Raises
    ------
    KeyError
        If the workspace has no such object.
    """
    with h5.opened(path) as file:
        _, indexed = _head(file)
        for entry in _entries(file, indexed):
            if (entry.namespace, entry.key) == (namespace, key):
                return _item(file, entry).value
    raise KeyError(f"{path} has no {namespace!r} / {key!r}")


def _head(file: h5py.File) -> tuple[About, list[_Entry]]:
    """Return what is known about the workspace, and the items of its index."""
    attributes = h5.scalar_attributes(file)
    identity = attributes.get("__workspace_id__")
    if not isinstance(identity, str):
        raise FormatError(f"{file.filename} is not the file of a workspace")
    name = attributes.get("__workspace_name__") or None
    if isinstance(name, int | float):  # spikelab 0.1.2 writes what it is given
        name = str(name)
    created_at = attributes.get("__created_at__", 0.0)
    indexed = []
    if h5.has_member(file, _EXACT):
        index = read_json(h5.member(file, _EXACT), _INDEX)
        try:
            name, items = index["name"], index["items"]
            indexed = [_entry(*stored) for stored in items]
        except (LookupError, TypeError, ValueError) as error:
            raise FormatError(f"its index of items is damaged: {error}") from error
    if not isinstance(name, str | None) or isinstance(created_at, str):
        raise FormatError("it does not say its name or age")
    return About(identity, name, float(created_at)), indexed


def _entry(
    namespace: Any, key: Any, created_at: Any, note: Any, place: Any, exact: Tree
) -> _Entry:
    named = [namespace, key, note or "", *(place or ["", ""])]
    if len(named) != 5 or not all(isinstance(name, str) for name in named):
        raise TypeError("names must be strings")
    return _Entry(namespace, key, float(created_at), note, place, exact)


def _entries(file: h5py.File, indexed: list[_Entry]) -> list[_Entry]:
    """Return the items: those of the index, then those that it does not know.

    A program that does not know the index may have removed or replaced groups.
    """
    groups = {tuple(entry.place or ()): entry for entry in _in_groups(file)}
    known = []
    for entry in indexed:
        place = tuple(entry.place or ())
        if not place:
            known.append(entry)
        elif place in groups and groups[place].created_at == entry.created_at:
            known.append(entry)
            del groups[place]
    return known + list(groups.values())


def _in_groups(file: h5py.File) -> Iterator[_Entry]:
    """Yield the items that the groups themselves say."""
    for namespace in file:
        group = h5.member(file, namespace)
        if namespace != _EXACT and isinstance(group, h5py.Group):
            yield from _in_namespace(namespace, group, _MOST_SLASHES)


def _in_namespace(namespace: str, group: h5py.Group, slashes: int) -> Iterator[_Entry]:
    """Yield the items in a group, and in those that a slash in a name has made."""
    for key in group:
        found = h5.member(group, key)
        described = h5.scalar_attributes(found)
        if isinstance(found, h5py.Group) and "__type__" not in described and slashes:
            yield from _in_namespace(f"{namespace}/{key}", found, slashes - 1)
            continue
        created_at, note = described.get("__created_at__"), described.get("__note__")
        yield _Entry(
            namespace,
            key,
            float(created_at) if isinstance(created_at, float) else 0.0,
            note if isinstance(note, str) else None,
            [namespace, key],
        )


def _item(file: h5py.File, entry: _Entry) -> Item:
    apart = h5.member(file, _EXACT) if h5.has_member(file, _EXACT) else None
    group = None
    if entry.place is not None:
        group = h5.member(h5.member(file, entry.place[0]), entry.place[1])
    value = ObjectReader(apart).read(group, entry.exact)
    return Item(entry.namespace, entry.key, value, entry.created_at, entry.note)
