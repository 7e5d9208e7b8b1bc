"""What the groups of an HDF5 file, and the JSON beside them, hold.

See :mod:`spikelab.formats.hdf5.object_writer`. Without JSON, they are the work of
spikelab 0.1.2.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import read_column
from spikelab.formats.hdf5.on_disk import values
from spikelab.formats.hdf5.parts import EXACT, PARTS, SLICES, UNITS, VALUE
from spikelab.formats.hdf5.values import WRONG, Decoder, Tree, read_json
from spikelab.formats.reading import build
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject, UnitObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import Attributes

ReadSlice = Callable[..., SpikeData]
"""Returns the recording of a group with these attributes, and further arguments."""


@contextlib.contextmanager
def _holding(where: str, kind: Any) -> Iterator[None]:
    """Let what goes wrong in the block be a FormatError that names the group."""
    try:
        yield
    except WRONG as error:
        raise FormatError(f"{where} holds no {kind}: {error}") from error


class ObjectReader:
    """Reads what an :class:`.ObjectWriter` has written, or spikelab 0.1.2.

    Parameters
    ----------
    apart : h5py.Group, optional
        Where the arrays and objects of the JSON lie.
    """

    def __init__(self, apart: h5py.Group | None) -> None:
        self._apart: Any = {} if apart is None else apart
        self._decoder = Decoder(self._array, self._object)

    def read(self, group: Any, exact: Tree) -> Any:
        """Return the value of a group, and of what that does not say.

        Raises
        ------
        FormatError
            If they do not hold a value.
        """
        if isinstance(exact, dict) and VALUE in exact:
            return self._decoder.decode(exact[VALUE])
        is_group = isinstance(group, h5py.Group)
        attributes = h5.plain_attributes(group) if is_group else {}
        kind = attributes.get("__type__")
        if kind in DATA_CLASSES:
            return self.read_object(group, kind, exact)
        where = "a value" if group is None else group.name
        if kind != "dict" and kind not in layout.PLAIN_TYPES:
            raise FormatError(f"{where} has no known __type__, got {kind!r:.80}")
        with _holding(where, kind):
            if kind == "dict":
                return self._dict(group, exact)
            column = read_column(group, "data") if "data" in group else None
            return layout.plain_of(attributes, column)

    def read_object(
        self,
        group: h5py.Group,
        kind: str,
        exact: Tree,
        read_slice: ReadSlice | None = None,
    ) -> DataObject:
        """Return a data object.

        Parameters
        ----------
        group : h5py.Group
            Where it lies.
        kind : str
            The name of its class.
        exact : JSON
            What the group does not say.
        read_slice : callable, optional
            Of a file of ``to_hdf5``, reads the recording of a slice.
        """
        cls: Any = DATA_CLASSES[kind]
        with _holding(group.name, kind):
            parts = self._parts(group, kind, exact or {}, read_slice)
            arguments = {name: parts.get(part) for name, part in cls.FIELDS.items()}
            if cls is SpikeSliceStack:
                arguments["drop_slice_attributes"] = False
            made: DataObject = build(cls, **arguments)
        return made

    def _parts(
        self,
        group: h5py.Group,
        kind: str,
        exact: dict[str, Tree],
        read_slice: ReadSlice | None,
    ) -> dict[str, Any]:
        """Return the parts of a data object by the names of its attributes."""
        parts: dict[str, Any] = {}
        attributes = h5.scalar_attributes(group)
        for part in PARTS[kind]:
            place = part.plain if read_slice else part.place
            if part.name in exact:
                parts[part.name] = self._decoder.decode(exact[part.name])
            elif part.is_attribute:
                said = attributes[place] if part.needed else attributes.get(place)
                parts[part.name] = part.read(said)
            elif part.needed or place in group:
                parts[part.name] = part.read(read_column(group, place))
            else:
                parts[part.name] = part.blank
        if kind == "SpikeData":
            parts["train"] = _train(group, attributes)
        elif kind == "SpikeSliceStack":
            parts["spike_stack"] = self._slices(group, exact.get(SLICES), read_slice)
        if issubclass(DATA_CLASSES[kind], UnitObject):
            parts[UNITS] = self._units(group, exact.get(UNITS), _n_units(parts))
        return parts

    def _slices(
        self, group: h5py.Group, trees: Tree, read_slice: ReadSlice | None
    ) -> list[Any]:
        if read_slice is None:
            inner = h5.member(group, "spike_stack")
            return [
                self.read_object(h5.member(inner, str(i)), "SpikeData", tree)
                for i, tree in enumerate(trees or [None] * len(inner))
            ]
        slices = []
        for i, tree in enumerate(trees):
            found = h5.member(group, f"{SLICES}/{i}")
            rows, metadata = self._decoder.decode(tree)
            said = h5.scalar_attributes(found)
            slices.append(
                read_slice(found, said, neuron_attributes=rows, metadata=metadata)
            )
        return slices

    def _units(self, group: h5py.Group, exact: Tree, n_units: int) -> Attributes:
        """Return the attributes of the units; what is missing is left out."""
        table = h5.member(group, UNITS) if UNITS in group else {}
        rows: list[dict[Any, Any]] = [{} for _ in range(n_units)]
        if exact is None:
            exact = {"columns": [[key, True, {}] for key in table]}
        keys = []
        for tree, in_layout, others in exact["columns"]:
            key = self._decoder.decode(tree)
            keys.append(key)
            values = _unit_values(table, key, n_units) if in_layout else []
            for unit, value in enumerate(values):
                if value is not None:
                    rows[unit][key] = value
            for unit, other in others.items():
                rows[int(unit)][key] = self._decoder.decode(other)
        for unit, order in exact.get("orders", {}).items():
            rows[int(unit)] = {keys[i]: rows[int(unit)][keys[i]] for i in order}
        return rows if any(rows) or "orders" in exact else None

    def _dict(self, group: h5py.Group, exact: Tree) -> dict[Any, Any]:
        if exact is None:
            return {key: self.read(h5.member(group, key), None) for key in group}
        found = {}
        for tree, part in exact:
            key = self._decoder.decode(tree)
            in_json = isinstance(part, dict) and VALUE in part
            found[key] = self.read(None if in_json else h5.member(group, key), part)
        return found

    def _array(self, name: str) -> Any:
        return layout.values_of(read_column(self._apart, name))

    def _object(self, tree: Tree) -> DataObject:
        kind, name, exact = tree
        return self.read_object(h5.member(self._apart, name), kind, exact)


def _train(group: h5py.Group, attributes: Mapping[str, Any]) -> SpikeTrains:
    times = values(h5.dataset(group, "spike_times")).astype(np.float64, copy=False)
    name = "spike_times_index"
    index = h5.dataset(group, name, kinds="iu")[()]
    train = SpikeTrains.from_flat(times, index, name)
    if attributes["N"] != len(train):
        raise FormatError(
            f"N must be the number of units, {len(train)}, got {attributes['N']}"
        )
    return train


def _n_units(parts: Mapping[str, Any]) -> int:
    for name in ("train", "inst_Frate_data", "event_stack"):
        if name in parts:
            return len(parts[name])
    slices: list[SpikeData] = parts["spike_stack"]
    return slices[0].N if slices else 0


def _unit_values(table: h5py.Group, key: str, n_units: int) -> list[Any]:
    column = read_column(table, key)
    if np.shape(column.values)[:1] != (n_units,):
        raise FormatError(f"{key!r} must hold one value for each of {n_units} units")
    return layout.units_of(column)


def read_plain(file: h5py.File, read_slice: ReadSlice) -> DataObject:
    """Return what :func:`.write_plain` wrote of an object, with its slices."""
    kind = str(h5.scalar_attributes(file)["__type__"])
    apart = h5.member(file, EXACT)
    exact = read_json(apart, VALUE)
    if not isinstance(exact, dict) or exact.get("class") != kind:
        raise FormatError(
            f"{file.filename} says that it holds a {kind}, but its JSON is of another "
            "class"
        )
    return ObjectReader(apart).read_object(file, kind, exact.get("parts"), read_slice)
