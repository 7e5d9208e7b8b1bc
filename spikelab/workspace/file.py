"""The file of a workspace.

Each item is a group in the layout of spikelab 0.1.2, ``<namespace>/<key>``, which
that version reads. Beside them the group ``__exact__`` holds every item whole: an
index of their names as JSON, and by number the groups of
:mod:`spikelab.formats.hdf5.objects`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import h5py
import numpy as np

from spikelab import kinds
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import columns as hdf5_columns
from spikelab.formats.hdf5 import objects as hdf5_objects
from spikelab.formats.hdf5.objects import Plan
from spikelab.workspace import published

_EXACT = "__exact__"
_INDEX = "index"

_MOST_SLASHES = 8
"""In a name that spikelab 0.1.2 wrote as groups in groups."""


def _as_str(text: Any) -> Any:
    """Return a text as a plain str: HDF5 knows no numpy.str_."""
    return str.__str__(text) if isinstance(text, str) else text


@attrs.frozen
class Item:
    """A named object and what is known about it."""

    namespace: str = attrs.field(converter=_as_str)
    key: str = attrs.field(converter=_as_str)
    value: Any
    created_at: float
    note: str | None = attrs.field(converter=_as_str)


@attrs.frozen
class About:
    """What is known about a workspace as a whole."""

    workspace_id: str
    name: str | None
    created_at: float


@attrs.frozen
class _Entry:
    """What the index tells of an item: its name, and where it lies."""

    namespace: str
    key: str
    created_at: float
    note: str | None
    layout: list[str] | None
    number: int | None


def planned(items: list[Item]) -> list[Plan]:
    """Return how the items are stored, in their order.

    Raises
    ------
    TypeError, ValueError
        If one cannot be stored; the error names it.
    """
    return [_plan(item) for item in items]


def _plan(item: Item) -> Plan:
    for name, value in (("namespace", item.namespace), ("key", item.key)):
        if not isinstance(value, str):
            raise TypeError(
                f"{name} of {_title(item)} must be a string to be saved, got {value!r}"
            )
    if not isinstance(item.note, str | None):
        raise TypeError(f"the note of {_title(item)} must be a string or None")
    allowed = type(item.value) in (np.ndarray, np.memmap, dict)
    if not allowed and not kinds.is_data_object(item.value):
        raise TypeError(
            f"{_title(item)} must be a spikelab data object, a numpy array or a "
            f"dictionary (of which the values may be more) to be saved, "
            f"got {type(item.value).__name__}"
        )
    return hdf5_objects.plan(item.value, _title(item))


def _title(item: Item) -> str:
    return f"{item.namespace!r} / {item.key!r}"


def write(path: Path, about: About, items: list[Item], plans: list[Plan]) -> None:
    """Write a workspace to a new file."""
    places = _places(items)
    with h5.created(path) as file:
        name = about.name or ""
        file.attrs["__workspace_id__"] = about.workspace_id
        file.attrs["__workspace_name__"] = name if h5.is_text(name) else ""
        file.attrs["__created_at__"] = float(about.created_at)
        exact = file.create_group(_EXACT)
        entries = []
        for number, (item, place, plan) in enumerate(
            zip(items, places, plans, strict=True)
        ):
            if plan.layout is not None:
                _write_layout(file, item, place, plan)
            plan.write_tree(exact.create_group(str(number)))
            layout = place if plan.layout is not None else None
            entries.append(
                [item.namespace, item.key, item.created_at, item.note, layout]
            )
        hdf5_objects.write_json(exact, _INDEX, {"name": about.name, "items": entries})


def _write_layout(file: h5py.File, item: Item, place: list[str], plan: Plan) -> None:
    group = file.require_group(place[0]).create_group(place[1])
    group.attrs["__created_at__"] = float(item.created_at)
    if item.note is not None and h5.is_text(item.note):
        group.attrs["__note__"] = item.note
    if plan.layout is not None:
        plan.layout.write(group)


def _places(items: list[Item]) -> list[list[str]]:
    """Return for each item the names of its two groups, which HDF5 must allow."""
    namespaces = _links([item.namespace for item in items], reserved=_EXACT)
    keys = {
        namespace: _links([i.key for i in items if i.namespace == namespace])
        for namespace in namespaces
    }
    return [[namespaces[i.namespace], keys[i.namespace][i.key]] for i in items]


def _links(names: list[str], reserved: str = "") -> dict[str, str]:
    """Return a link name for each name: itself if HDF5 allows it, else quoted."""
    usable = {n for n in names if hdf5_columns.is_link_name(n) and n != reserved}
    taken = usable | {reserved}
    links: dict[str, str] = {}
    for name in names:
        link = name if name in usable else links.get(name)
        if link is None:
            link = _quoted(name)
            while link in taken:
                link += "%"
        links[name] = link
        taken.add(link)
    return links


def _quoted(name: str) -> str:
    """Return a name with what HDF5 does not allow as its code after a ``%``."""
    quoted = "".join(
        c if h5.is_text(c) and c != "/" else f"%{ord(c):02X}" for c in name
    )
    return f"%{quoted}" if quoted == name else quoted


def read(path: Path) -> tuple[About, list[Item]]:
    """Return a workspace from a file.

    Raises
    ------
    FormatError
        If the file is not that of a workspace, or is damaged.
    """
    with h5.opened(path) as file:
        about, entries = _about(file), _entries(file)
        return about, [_item(file, entry) for entry in entries]


def read_item(path: Path, namespace: str, key: str) -> Any:
    """Return one object from a file, and read no other.

    Raises
    ------
    KeyError
        If the workspace has no such object.
    """
    with h5.opened(path) as file:
        _about(file)
        # Most are where the index says; only for others is all looked through.
        found = next(_indexed(file, namespace, key), None) or next(
            (e for e in _entries(file) if (e.namespace, e.key) == (namespace, key)),
            None,
        )
        if found is not None:
            return _item(file, found).value
    raise KeyError(f"{path} has no {namespace!r} / {key!r}")


def _about(file: h5py.File) -> About:
    attributes = h5.scalar_attributes(file)
    identity = attributes.get("__workspace_id__")
    if not isinstance(identity, str):
        raise FormatError(f"{file.filename} is not the file of a workspace")
    name = attributes.get("__workspace_name__") or None
    if isinstance(name, int | float):  # spikelab 0.1.2 writes what it is given
        name = str(name)
    if h5.has_member(file, _EXACT):
        name = _index(file)["name"]
    created_at = attributes.get("__created_at__", 0.0)
    if not isinstance(name, str | None) or isinstance(created_at, str):
        raise FormatError(f"{file.filename} does not tell its name or age")
    return About(identity, name, float(created_at))


def _index(file: h5py.File) -> dict[str, Any]:
    index = hdf5_objects.read_json(h5.member(file, _EXACT), _INDEX)
    if not isinstance(index, dict) or not {"name", "items"} <= set(index):
        raise FormatError(f"{file.filename} has no index of its items")
    return index


def _indexed(file: h5py.File, namespace: str, key: str) -> Iterator[_Entry]:
    """Yield the item of this name if the index knows it, and it is what it was."""
    items = _index(file)["items"] if h5.has_member(file, _EXACT) else []
    for number, stored in enumerate(items):
        if stored[:2] != [namespace, key]:
            continue
        entry = _of_index(file, number, stored)
        if entry.layout is None:
            yield entry
        elif _is_there(file, entry):
            group = h5.member(file, "/".join(entry.layout))
            now = h5.scalar_attributes(group).get("__created_at__")
            if now == entry.created_at:
                yield entry


def _entries(file: h5py.File) -> list[_Entry]:
    """Return the items: those of the index, then those that it does not know."""
    indexed = []
    if h5.has_member(file, _EXACT):
        indexed = [_of_index(file, *e) for e in enumerate(_index(file)["items"])]
    found = {tuple(entry.layout or ()): entry for entry in _of_layout(file)}
    for entry in indexed:
        if entry.layout is not None:
            # A program that does not know the index may have replaced the group.
            now = found.get(tuple(entry.layout))
            if now is not None and now.created_at == entry.created_at:
                del found[tuple(entry.layout)]
    known = [e for e in indexed if e.layout is None or tuple(e.layout) not in found]
    return [e for e in known if _is_there(file, e)] + list(found.values())


def _is_there(file: h5py.File, entry: _Entry) -> bool:
    return entry.layout is None or h5.has_member(file, "/".join(entry.layout))


def _of_index(file: h5py.File, number: int, stored: Any) -> _Entry:
    try:
        namespace, key, created_at, note, layout = stored
        created_at = float(created_at)
        named = [namespace, key, note or "", *(layout or ["", ""])]
    except (TypeError, ValueError):
        named = []
    if len(named) != 5 or not all(isinstance(name, str) for name in named):
        raise FormatError(f"{file.filename}: item {number} of the index is damaged")
    return _Entry(namespace, key, created_at, note, layout, number)


def _of_layout(file: h5py.File) -> Iterator[_Entry]:
    """Yield the items that the groups themselves tell of."""
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
            None,
        )


def _item(file: h5py.File, entry: _Entry) -> Item:
    layout = None
    if entry.layout is not None:
        layout = h5.member(h5.member(file, entry.layout[0]), entry.layout[1])
    if entry.number is None:
        value = published.read(layout)
    else:
        group = h5.member(file, f"{_EXACT}/{entry.number}")
        value = hdf5_objects.read(layout, group)
    return Item(entry.namespace, entry.key, value, entry.created_at, entry.note)
