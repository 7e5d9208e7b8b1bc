"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2: a group with the attribute
``__type__``, a dataset or attribute for each part of an object, and the group
``neuron_attributes`` with a dataset for each attribute of the units. What the layout does
not give back as it was (None beside NaN, a list beside an array) is said by JSON of the
same nesting: for an object by the name of the part, for a dictionary key by key, for units
by their number, and nothing where the layout says it all. Arrays and objects inside of
this JSON lie beside it, by number. Nothing is pickled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import h5py
from numpy.typing import NDArray

from spikelab.formats.base import recordings_of
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import Column
from spikelab.formats.hdf5.parts import EXACT, PARTS, SLICES, UNITS, VALUE
from spikelab.formats.hdf5.values import (
    Encoder,
    Tree,
    check_object,
    check_storable,
    identical,
    write_json,
)
from spikelab.spikedata.data_object import (
    DATA_CLASSES,
    DataObject,
    UnitObject,
    data_class,
)
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import MISSING, UnitTable


class ObjectWriter(Encoder):
    """Writes values into an open file; what cannot be stored raises as it is reached.

    Parameters
    ----------
    apart : h5py.Group
        Where it keeps, by number, the arrays and objects of the JSON.
    """

    def __init__(self, apart: h5py.Group) -> None:
        self._apart = apart
        self._kept: dict[int, tuple[str, NDArray[Any]]] = {}

    def keep(self, array: NDArray[Any]) -> str:
        """Write an array into the group apart, once, and return its name."""
        if id(array) not in self._kept:
            name = str(len(self._apart))
            Column(array).write(self._apart, name)
            self._kept[id(array)] = name, array  # while it lives, its id is its own
        return self._kept[id(array)][0]

    def encode_object(self, obj: DataObject, name: str) -> Tree:
        """Write a data object into the group apart, and return its tree."""
        number = str(len(self._apart))
        exact = self.write_parts(self._apart.create_group(number), obj, name)
        return {"$object": [type(obj).__name__, number, exact]}

    def write(self, parent: h5py.Group, link: str, value: Any, name: str) -> Tree:
        """Write the group `link` of a value, and return what the group does not say.

        Parameters
        ----------
        parent : h5py.Group
            Where the group lies.
        link : str
            Its name there. If the layout has no form for the value, there is none.
        value : object
            What to store.
        name : str
            What errors call it.

        Returns
        -------
        JSON
            None if the group says it all.
        """
        if type(value) is dict:
            return self._write_dict(parent.create_group(link), value, name)
        if type(value) in DATA_CLASSES.values():
            parts = PARTS[type(value).__name__]
            if any(part.needed and part.stored(value) is None for part in parts):
                return {VALUE: self.encode(value, name)}
            return self.write_parts(parent.create_group(link), value, name)
        form = layout.of_plain(value)
        if form is None:
            return {VALUE: self.encode(value, name)}
        attributes, column = form
        group = parent.create_group(link)
        group.attrs.update(attributes)
        if column is not None:
            column.write(group, "data")
        is_array = column is not None and column.values is value
        if is_array or identical(value, layout.plain_of(attributes, column)):
            return None
        return {VALUE: self.encode(value, name)}

    def _write_dict(self, group: h5py.Group, value: dict[Any, Any], name: str) -> Tree:
        group.attrs["__type__"] = "dict"
        entries = []
        for key, part in value.items():
            title = f"{name}[{key!r}]"
            if layout.is_link_name(key):
                exact = self.write(group, key, part, title)
            else:
                exact = {VALUE: self.encode(part, title)}
            entries.append([self.encode(key, f"a key of {name}"), exact])
        in_layout = all(exact is None for _, exact in entries)
        return None if in_layout and list(value) == list(group) else entries

    def write_parts(
        self, group: h5py.Group, obj: DataObject, name: str, *, is_plain: bool = False
    ) -> Tree:
        """Write a data object into its group, and return what that does not say.

        With `is_plain`, the group has the names of files that ``to_hdf5`` writes, and
        the spikes of slices are left to the writer of their style.
        """
        if not is_plain:  # else it was checked before
            check_object(obj, name)
        cls = data_class(obj).__name__
        group.attrs["__type__"] = cls
        exact: dict[str, Tree] = {}
        for part in PARTS[cls]:
            value, stored = getattr(obj, part.name), part.stored(obj)
            place = part.plain if is_plain else part.place
            if stored is not None and part.is_attribute:
                group.attrs[place] = stored
            elif stored is not None:
                stored.write(group, place)
            if not part.says(stored, value):
                exact[part.name] = self.encode(value, f"{name}[{part.name!r}]")
        if isinstance(obj, SpikeData):
            group.attrs["N"] = obj.N
            Column(obj.spike_trains.flat).write(group, "spike_times")
            Column(obj.spike_trains.ends).write(group, "spike_times_index")
        elif isinstance(obj, SpikeSliceStack) and is_plain:
            exact[SLICES] = [
                [
                    self.encode(value, name)
                    for value in (sd.neuron_attributes, sd.metadata)
                ]
                for sd in obj
            ]
        elif isinstance(obj, SpikeSliceStack):
            group.attrs["N"] = obj.N
            inner = group.create_group("spike_stack")
            exact[SLICES] = [
                self.write_parts(
                    inner.create_group(str(i)), sd, f"{name}.spike_stack[{i}]"
                )
                for i, sd in enumerate(obj)
            ]
        if isinstance(obj, UnitObject) and obj.neuron_attributes is not None:
            exact[UNITS] = self._write_units(group, obj.neuron_attributes, name)
        return exact or None

    def _write_units(
        self, group: h5py.Group, rows: Sequence[Mapping[Any, Any]], name: str
    ) -> Tree:
        """Write a dataset for each attribute of the units, its first axis the unit.

        Returns for each its key, whether it has a dataset, and by unit the values that
        this does not say; and the order of the keys in a unit that has another one.
        """
        listed, known = [], UnitTable(rows, len(rows)).columns
        for key, column in known.items():
            values = [None if v is MISSING else v for v in column.values]
            stored, said = layout.of_units(key, values), [MISSING] * len(rows)
            if stored is not None:
                stored.write(group.require_group(UNITS), key)
                said = [MISSING if v is None else v for v in layout.units_of(stored)]
            others = {
                str(unit): self.encode(value, f"{name}[{UNITS!r}][{unit}][{key!r}]")
                for unit, value in enumerate(column.values)
                if not identical(value, said[unit])
            }
            listed.append([self.encode(key, name), stored is not None, others])
        orders = {
            str(unit): [list(known).index(key) for key in row]
            for unit, row in enumerate(rows)
            if list(row) != [key for key in known if key in row]
        }
        return {"columns": listed, "orders": orders}


def check_plain(obj: DataObject) -> None:
    """Raise TypeError if ``to_hdf5`` cannot store a part of an object."""
    for part in (obj, *recordings_of(obj)):
        for name, value in part.arguments().items():
            if name not in ("train", "spike_stack"):
                check_storable(value, f"{data_class(obj).__name__}[{name!r}]")


def write_plain(file: h5py.File, obj: DataObject) -> None:
    """Write to an open file what ``to_hdf5`` writes of an object, spikes aside."""
    apart, name = file.create_group(EXACT), data_class(obj).__name__
    parts = ObjectWriter(apart).write_parts(file, obj, name, is_plain=True)
    write_json(apart, VALUE, {"class": name, "parts": parts})
