"""Values of any storable type in HDF5, whole.

A value takes two groups: one in the layout of :mod:`spikelab.formats.hdf5.layout`,
for h5py, MATLAB and the published package to read, and one that holds the whole
value: ``value``, a tree (:mod:`spikelab.formats.hdf5.value_trees`) as JSON, and the
arrays in it that the first group has no place for. Nothing is pickled.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.comparison import same
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import columns as hdf5_columns
from spikelab.formats.hdf5.layout import Node, Planner
from spikelab.formats.hdf5.value_trees import Decoder, Encoder
from spikelab.kinds import Contents

_ARRAY = 200
"""Bytes that an array takes beside its values, rounded up."""

VALUE = "value"
"""The dataset that holds the tree."""


@attrs.define
class Plan:
    """What two groups will hold of a value; nothing is written yet."""

    layout: Node | None
    tree: Any
    arrays: dict[str, NDArray[Any]]

    def write_tree(self, group: h5py.Group) -> None:
        """Write the tree and its arrays into an open group."""
        write_json(group, VALUE, self.tree)
        for name, array in self.arrays.items():
            hdf5_columns.Column(_stored(array)).write(group, name)


def write_json(group: h5py.Group, name: str, tree: Any) -> None:
    """Write JSON as a scalar of UTF-8 text."""
    # As escapes, two halves of a surrogate pair would be read as one character.
    text = json.dumps(tree, allow_nan=False, ensure_ascii=False)
    group[name] = np.bytes_(text.encode("utf-8", "surrogatepass"))


def read_json(group: h5py.Group, name: str) -> Any:
    """Return what :func:`write_json` wrote.

    Raises
    ------
    FormatError
        If it is not that.
    """
    stored = h5.dataset(group, name, ndim=0, kinds="S")
    try:
        return json.loads(bytes(stored[()]).decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{group.name}/{name} is not JSON: {error}") from error


def plan(value: Any, name: str, names: Mapping[str, str] | None = None) -> Plan:
    """Return how a value is stored.

    Parameters
    ----------
    value : object
        What to store.
    name : str
        What errors call it.
    names : mapping, optional
        Names of datasets in the layout that are not those of a workspace.

    Raises
    ------
    TypeError
        If a part of the value cannot be stored.
    ValueError
        If a data object was changed so that it could not be made again.
    """
    Encoder().encode(value, name)
    _check_objects(value, name)
    planner = Planner(names or {})
    layout = planner.node(value)
    encoder = Encoder(planner.placed)
    return Plan(layout, encoder.encode(value, name), encoder.arrays)


def _check_objects(value: Any, name: str) -> None:
    """Raise ValueError for data objects that would not come back as they are."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _check_objects(part, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            _check_objects(part, f"{name}[{i}]")
    elif kinds.is_data_object(value):
        _check_object(value, name)
        for i, sd in enumerate(kinds.recordings_of(value)):
            if sd is not value:
                _check_object(sd, f"{name}.spike_stack[{i}]")


def _check_object(obj: Any, name: str) -> None:
    arguments = kinds.arguments_of(obj)
    try:
        again = vars(kinds.build(Contents(kinds.kind_of(obj), arguments)))
    except FormatError as error:
        raise ValueError(f"{name} cannot be stored: {error}") from error
    for attribute, value in vars(obj).items():
        if attribute not in again:
            raise ValueError(
                f"{name} cannot be stored: {attribute!r} is not an attribute of a "
                f"{kinds.kind_of(obj)}"
            )
        if again[attribute] is not value and not same(again[attribute], value):
            raise ValueError(
                f"{name} cannot be stored: its {attribute!r} was changed into what "
                f"a {kinds.kind_of(obj)} does not hold"
            )


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array that HDF5 stores for any other: itself, or its bytes."""
    if hdf5_columns.is_stored(array):
        return array
    return np.frombuffer(array.tobytes(), dtype=np.uint8)


def read(layout: h5py.Group | None, group: h5py.Group) -> Any:
    """Return the value that two groups hold.

    Parameters
    ----------
    layout : h5py.Group or None
        The group in the layout, if the value has one.
    group : h5py.Group
        The group that holds the tree.

    Raises
    ------
    FormatError
        If they do not hold a value.
    """
    return _Reader(layout, group).decoder().decode(read_json(group, VALUE))


def read_contents(layout: h5py.Group, group: h5py.Group) -> Contents:
    """Return the data object that two groups hold, not yet built."""
    tree = read_json(group, VALUE)
    try:
        kind, arguments = tree["$object"]
    except (LookupError, TypeError, ValueError):
        raise FormatError(f"{group.name} does not hold a data object") from None
    if kind not in kinds.MODULES:
        raise FormatError(f"{group.name} holds an unknown kind of object, {kind!r}")
    decoded = _Reader(layout, group).decoder().decode(arguments)
    if not isinstance(decoded, dict):
        raise FormatError(f"{group.name} does not hold the parts of a {kind}")
    return Contents(kind, decoded)


@attrs.define
class _Reader:
    """Finds the arrays of a value in its two groups."""

    layout: h5py.Group | None
    group: h5py.Group
    columns: dict[str, NDArray[Any]] = attrs.Factory(dict)

    def decoder(self) -> Decoder:
        return Decoder(
            functools.partial(read_array, self.group),
            {"$dataset": self._dataset, "$row": self._row, "$train": self._train},
        )

    def _dataset(self, path: str) -> NDArray[Any]:
        if self.layout is None:
            raise FormatError(f"{self.group.name} needs {path!r}, which is not there")
        return read_array(self.layout, path)

    def _row(self, tree: Any) -> NDArray[Any]:
        path, row = tree
        if path not in self.columns:
            self.columns[path] = self._dataset(path)
        found = np.array(self.columns[path][row])
        h5.spend(found.nbytes + _ARRAY, f"{self.group.name}: {path!r}")
        return found

    def _train(self, tree: Any) -> trains.Pieces:
        times, ends = map(self._dataset, tree)
        h5.spend_on_units(ends.size, f"{self.group.name}: {tree[1]!r}")
        return trains.split(times, ends, str(tree[1]))


def read_array(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return a dataset of numbers, truth values, bytes or fields, of any shape."""
    found = h5.member(group, name)
    ndim = found.ndim if isinstance(found, h5py.Dataset) else 1
    stored = h5.dataset(group, name, ndim=ndim, kinds="biufcSV")
    if stored.dtype.hasobject:
        raise FormatError(f"{found.name} must hold plain numbers in its fields")
    # h5py notes in the dtype how bytes are encoded; and of a single number it gives
    # a scalar, which forgets the order of its bytes.
    plain = np.dtype(stored.dtype.str) if stored.dtype.kind == "S" else stored.dtype
    return np.asarray(stored[()], dtype=plain)
