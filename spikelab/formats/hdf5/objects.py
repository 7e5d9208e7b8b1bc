"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2: a group with the attribute
``__type__``, a dataset or attribute for each part of an object, and the group
``neuron_attributes`` with a dataset for each attribute of the units. What the layout does
not give back as it was (None beside NaN, a list beside an array) stands in JSON of the
same nesting: for an object by the name of the part, for a dictionary key by key, for units
by their number, and nothing where the layout is enough. Arrays and objects inside of this
JSON lie beside it, by number. Nothing is pickled.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout, on_disk
from spikelab.formats.hdf5.layout import StoredArray
from spikelab.formats.hdf5.parts import PARTS
from spikelab.formats.hdf5.values import Decoder, Encoder, Tree, check_object, identical
from spikelab.formats.reading import build
from spikelab.spikedata.data_object import (
    DATA_CLASSES,
    DataObject,
    UnitObject,
    data_class,
)
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import MISSING, Attributes, UnitTable

_SLICES = "slices"
_UNITS = "neuron_attributes"
_VALUE = "value"
"""In JSON, the key of a value for which the layout has no form."""


class ObjectWriter(Encoder):
    """Writes values into an open file; what cannot be stored raises as it is reached.

    Parameters
    ----------
    apart : h5py.Group
        Where it stores, by number, the arrays and objects of the JSON.
    """

    def __init__(self, apart: h5py.Group) -> None:
        self._apart = apart
        self._stored: dict[int, tuple[str, NDArray[Any]]] = {}

    def store_array(self, array: NDArray[Any]) -> str:
        """Write an array into the group apart, once, and return its name."""
        if id(array) not in self._stored:
            name = str(len(self._apart))
            StoredArray(array).write(self._apart, name)
            self._stored[id(array)] = name, array  # while it lives, its id is its own
        return self._stored[id(array)][0]

    def store_object(self, obj: DataObject, name: str) -> Tree:
        """Write a data object into the group apart, and return its tree."""
        number = str(len(self._apart))
        exact = self.write_object(self._apart.create_group(number), obj, name)
        return {"$object": [type(obj).__name__, number, exact]}

    def write(self, parent: h5py.Group, link: str, value: Any, name: str) -> Tree:
        """Write the group `link` of a value, called `name` in errors.

        Returns as JSON what the group does not say, None if it says it all. There is no
        group if the layout has no form for the value.
        """
        if type(value) is dict:
            return self._write_dict(parent.create_group(link), value, name)
        if type(value) in DATA_CLASSES.values():
            return self.write_object(parent.create_group(link), value, name)
        plain = layout.encode_plain(value)
        if plain is not None:
            attributes, array = plain
            group = parent.create_group(link)
            group.attrs.update(attributes)
            if array is not None:
                array.write(group, "data")
            if identical(value, layout.decode_plain(attributes, array)):
                return None
        return {_VALUE: self.encode(value, name)}

    def _write_dict(self, group: h5py.Group, value: dict[Any, Any], name: str) -> Tree:
        group.attrs["__type__"] = "dict"
        entries = []
        for key, part in value.items():
            title = f"{name}[{key!r}]"
            if layout.is_link_name(key):
                exact = self.write(group, key, part, title)
            else:
                exact = {_VALUE: self.encode(part, title)}
            entries.append([self.encode(key, f"a key of {name}"), exact])
        in_layout = all(exact is None for _, exact in entries)
        return None if in_layout and list(value) == list(group) else entries

    def write_object(self, group: h5py.Group, obj: DataObject, name: str) -> Tree:
        """Write a data object into its group, and return what that does not say."""
        check_object(obj, name)
        exact = self.write_parts(group, obj, name)
        if isinstance(obj, SpikeData):
            group.attrs["N"] = obj.N
            StoredArray(obj.spike_trains.flat).write(group, "spike_times")
            StoredArray(obj.spike_trains.ends).write(group, "spike_times_index")
        elif isinstance(obj, SpikeSliceStack):
            group.attrs["N"] = obj.N
            inner = group.create_group("spike_stack")
            exact[_SLICES] = [
                self.write_object(
                    inner.create_group(str(i)), sd, f"{name}.spike_stack[{i}]"
                )
                for i, sd in enumerate(obj)
            ]
        return exact or None

    def write_parts(
        self,
        group: h5py.Group,
        obj: DataObject,
        name: str,
        *,
        exported: bool = False,
    ) -> dict[str, Tree]:
        """Write all of an object but spikes and slices, and return what is not said.

        `exported` gives the parts their names in a file of ``to_hdf5``.
        """
        cls = data_class(obj).__name__
        group.attrs["__type__"] = cls
        exact: dict[str, Tree] = {}
        for part in PARTS[cls]:
            value = getattr(obj, part.name)
            is_default = identical(value, part.default)
            stored = None if is_default else part.form.encode(value)
            place = part.place(exported=exported)
            if isinstance(stored, StoredArray):
                stored.write(group, place)
            elif stored is not None:
                group.attrs[place] = stored
            found = part.default if stored is None else part.form.decode(stored)
            if not identical(value, found):
                exact[part.name] = self.encode(value, f"{name}[{part.name!r}]")
        if isinstance(obj, UnitObject) and obj.neuron_attributes is not None:
            exact[_UNITS] = self._write_units(group, obj.neuron_attributes, name)
        return exact

    def _write_units(
        self, group: h5py.Group, rows: Sequence[Mapping[Any, Any]], name: str
    ) -> Tree:
        """Write a dataset for each attribute of the units, its first axis the unit.

        Returns for each its key, whether it has a dataset, and by unit the values that
        this does not say.
        """
        columns = []
        for key, column in UnitTable(rows, len(rows)).columns.items():
            stored, found = layout.encode_column(column), [MISSING] * len(rows)
            if stored is not None:
                stored.write(group.require_group(_UNITS), key)
                found = layout.decode_column(stored)
            others = {
                str(unit): self.encode(value, f"{name}[{_UNITS!r}][{unit}][{key!r}]")
                for unit, value in enumerate(column.values)
                if not identical(value, found[unit])
            }
            columns.append([self.encode(key, name), stored is not None, others])
        return columns


class ObjectReader:
    """Reads what an `ObjectWriter` has written, or spikelab 0.1.2.

    Parameters
    ----------
    apart : h5py.Group, optional
        Where the arrays and objects of the JSON lie.
    """

    def __init__(self, apart: h5py.Group | None) -> None:
        self._apart = apart
        self.decode = Decoder(self._stored_array, self._stored_object).decode

    def _stored_array(self, name: str) -> NDArray[Any]:
        return layout.decode_array(StoredArray.read(self._apart, name))

    def _stored_object(self, tree: Tree) -> DataObject:
        class_name, number, exact = tree
        return self.read_object(h5.member(self._apart, number), class_name, exact)

    def read(self, group: Any, exact: Tree) -> Any:
        """Return the value of a group (None without one), and of what that does not say.

        FormatError if they do not hold a value.
        """
        with holding("the index" if group is None else group.name, "value"):
            if isinstance(exact, dict) and _VALUE in exact:
                return self.decode(exact[_VALUE])
            attributes = h5.plain_attributes(group)
            kind = attributes.get("__type__")
            if kind in DATA_CLASSES:
                return self.read_object(group, kind, exact)
            if kind == "dict":
                return self._read_dict(group, exact)
            if kind not in layout.PLAIN_TYPES:
                raise FormatError(f"it has no known __type__, got {kind!r:.80}")
            array = StoredArray.read(group, "data") if "data" in group else None
            return layout.decode_plain(attributes, array)

    def _read_dict(self, group: h5py.Group, exact: Tree) -> dict[Any, Any]:
        if exact is None:
            return {key: self.read(h5.member(group, key), None) for key in group}
        found = {}
        for tree, part in exact:
            key = self.decode(tree)
            in_json = isinstance(part, dict) and _VALUE in part
            found[key] = self.read(None if in_json else h5.member(group, key), part)
        return found

    def read_object(self, group: h5py.Group, kind: str, exact: Tree) -> DataObject:
        """Return the data object of the class `kind` in a group of a workspace.

        `exact` is what the group does not say.
        """
        exact = exact or {}
        parts = self.read_parts(group, kind, exact)
        if kind == "SpikeData":
            parts["train"] = _read_trains(group)
        elif kind == "SpikeSliceStack":
            inner = h5.member(group, "spike_stack")
            parts["spike_stack"] = [
                self.read_object(h5.member(inner, str(i)), "SpikeData", tree)
                for i, tree in enumerate(exact.get(_SLICES) or [None] * len(inner))
            ]
        return self.build(group, kind, parts, exact)

    def read_parts(
        self,
        group: h5py.Group,
        kind: str,
        exact: Mapping[str, Tree],
        *,
        exported: bool = False,
    ) -> dict[str, Any]:
        """Return the parts that ``write_parts`` wrote, without attributes of units."""
        parts: dict[str, Any] = {}
        attributes = h5.scalar_attributes(group)
        for part in PARTS[kind]:
            place = part.place(exported=exported)
            if part.name in exact:
                parts[part.name] = self.decode(exact[part.name])
            elif place in attributes:
                parts[part.name] = part.form.decode(attributes[place])
            elif place in group:
                stored = StoredArray.read(group, place)
                parts[part.name] = part.form.decode(stored)
            elif part.default is MISSING:
                raise FormatError(f"{group.name} has no {place!r}")
            else:
                parts[part.name] = part.default
        return parts

    def build(
        self,
        group: h5py.Group,
        kind: str,
        parts: Mapping[str, Any],
        exact: Mapping[str, Tree],
    ) -> DataObject:
        """Return the object of its parts, with the attributes of its units."""
        cls: Any = DATA_CLASSES[kind]
        arguments = {name: parts.get(part) for name, part in cls.FIELDS.items()}
        if cls is SpikeSliceStack:
            arguments["drop_slice_attributes"] = False
        made: DataObject = build(cls, **arguments)
        if isinstance(made, UnitObject):
            made.neuron_attributes = self._read_units(group, exact.get(_UNITS), made.N)
        return made

    def _read_units(self, group: h5py.Group, exact: Tree, n_units: int) -> Attributes:
        """Return the attributes of the units; what is missing is left out."""
        table = h5.member(group, _UNITS) if _UNITS in group else {}
        rows: list[dict[Any, Any]] = [{} for _ in range(n_units)]
        columns = [[key, True, {}] for key in table] if exact is None else exact
        for tree, in_layout, others in columns:
            key = self.decode(tree)
            if in_layout:
                values = layout.decode_column(StoredArray.read(table, key))
                if len(values) != n_units:
                    raise FormatError(
                        f"{key!r} must hold one value for each of {n_units} units"
                    )
                for row, value in zip(rows, values, strict=True):
                    if value is not MISSING:
                        row[key] = value
            for unit, other in others.items():
                rows[int(unit)][key] = self.decode(other)
        return rows if any(rows) or exact is not None else None


def _read_trains(group: h5py.Group) -> SpikeTrains:
    times = on_disk.read_array(h5.dataset(group, "spike_times"))
    ends = h5.dataset(group, "spike_times_index", kinds="iu")[()]
    times = times.astype(np.float64, copy=False)
    return SpikeTrains.from_flat(times, ends, "spike_times_index")


@contextlib.contextmanager
def holding(where: str, kind: Any) -> Iterator[None]:
    """Let whatever goes wrong in the block be a FormatError that names the group."""
    try:
        yield
    except OSError:  # of HDF5, which `h5.opened` explains
        raise
    except Exception as error:  # a damaged file may lead to any
        raise FormatError(f"{where} holds no {kind}: {error}") from error
