"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2: a group with the attribute
``__type__``, a dataset or attribute for each part of an object, and the group
``neuron_attributes`` with a dataset for each attribute of the units. What the layout
does not give back as it was (None beside NaN, a list beside an array) is told by JSON
of the same nesting: for an object by the name of the part, for a dictionary by the
position of the key, for units by their number, and nothing where the layout says it
all. Arrays and objects inside of this JSON lie beside it, by number. Nothing is pickled.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import h5py
import numpy as np

from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import Column
from spikelab.formats.hdf5.parts import (
    EXACT,
    PARTS,
    RAW_DATA,
    RAW_TIME,
    SLICES,
    UNITS,
    VALUE,
)
from spikelab.formats.hdf5.values import Encoder, Tree, identical, write_json
from spikelab.spikedata.data_object import (
    DATA_CLASSES,
    DataObject,
    UnitObject,
    data_class,
)
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import MISSING, UnitTable


@attrs.frozen(eq=False)
class Node:
    """What a group will hold."""

    attributes: dict[str, Any] = attrs.Factory(dict)
    datasets: dict[str, Column] = attrs.Factory(dict)
    groups: dict[str, "Node"] = attrs.Factory(dict)

    def write(self, group: h5py.Group) -> None:
        """Write into an open group."""
        for name, value in self.attributes.items():
            group.attrs[name] = value
        for name, column in self.datasets.items():
            column.write(group, name)
        for name, node in self.groups.items():
            node.write(group.create_group(name))


class Planner(Encoder):
    """Lays values out; nothing is written yet."""

    def lay_out(self, value: Any, name: str) -> tuple[Node | None, Tree]:
        """Return the group of a value, and what the group does not say of it.

        Parameters
        ----------
        value : object
            What to store.
        name : str
            What errors call it.

        Returns
        -------
        node : Node or None
            None if the layout has no group for the value.
        exact : JSON
            None if the group says it all.

        Raises
        ------
        TypeError
            If a part of the value cannot be stored.
        ValueError
            If a data object was changed so that it could not be made again.
        """
        if type(value) is dict:
            return self._dict_node(value, name)
        if type(value) in DATA_CLASSES.values():
            _check(value, name)
            return self.object_node(value, name)
        form = layout.of_plain(value)
        if form is None:
            return None, {VALUE: self.encode(value, name)}
        attributes, column = form
        node = Node(attributes, {} if column is None else {"data": column})
        is_array = column is not None and column.values is value
        if is_array or identical(value, layout.plain_of(attributes, column)):
            return node, None
        return node, {VALUE: self.encode(value, name)}

    def _dict_node(self, value: dict[Any, Any], name: str) -> tuple[Node, Tree]:
        node, parts = Node({"__type__": "dict"}), {}
        for i, (key, part) in enumerate(value.items()):
            inner, exact = None, None
            if layout.is_link_name(key):
                inner, exact = self.lay_out(part, f"{name}[{key!r}]")
            else:
                exact = {VALUE: self.encode(part, f"{name}[{key!r}]")}
            if inner is not None:
                node.groups[key] = inner
            if exact is not None:
                parts[str(i)] = exact
        if not parts and list(value) == sorted(node.groups):
            return node, None
        keys = [self.encode(key, f"a key of {name}") for key in value]
        return node, {"keys": keys, "parts": parts}

    def encode_object(self, value: Any, name: str) -> Tree:
        """Return the tree of a data object, the group of which is kept apart."""
        if type(value) not in DATA_CLASSES.values():
            return super().encode_object(value, name)
        node, exact = self.lay_out(value, name)
        if node is None:
            return exact[VALUE]
        return {"$object": [type(value).__name__, self.keep(node), exact]}

    def object_node(
        self, obj: DataObject, name: str, *, is_plain: bool = False
    ) -> tuple[Node | None, Tree]:
        """Return the group of a data object, and what it does not say.

        With `is_plain`, the group has the names of files that ``to_hdf5`` writes, and
        the spikes of slices are left to the writer of their style.
        """
        cls = data_class(obj).__name__
        node, exact = Node({"__type__": cls}), {}
        written = {part: part.stored(getattr(obj, part.name)) for part in PARTS[cls]}
        if None in (written.get(RAW_DATA, ...), written.get(RAW_TIME, ...)):
            written.update({RAW_DATA: None, RAW_TIME: None})
        for part, stored in written.items():
            value, place = (
                getattr(obj, part.name),
                part.plain if is_plain else part.place,
            )
            if part.is_attribute and stored is not None:
                node.attributes[place] = stored
            elif stored is not None:
                node.datasets[place] = stored
            if not part.says(stored, value):
                exact[part.name] = self.encode(value, f"{name}[{part.name!r}]")
        if isinstance(obj, SpikeData):
            node.attributes["N"] = obj.N
            node.datasets["spike_times"] = Column(obj.spike_trains.flat)
            node.datasets["spike_times_index"] = Column(obj.spike_trains.ends)
        if isinstance(obj, SpikeSliceStack) and is_plain:
            exact[SLICES] = [self._beside_spikes(sd, name) for sd in obj]
        elif isinstance(obj, SpikeSliceStack):
            exact[SLICES] = self._slices(node, obj, f"{name}.spike_stack")
        if isinstance(obj, UnitObject) and obj.neuron_attributes is not None:
            rows = obj.neuron_attributes
            exact[UNITS] = self._units(node, rows, f"{name}[{UNITS!r}]")
        if is_plain or all(
            written[part] is not None for part in written if part.needed
        ):
            return node, exact or None
        # The other version could not load it.
        return None, {VALUE: {"$object": [cls, self.keep(node), exact]}}

    def _beside_spikes(self, sd: SpikeData, name: str) -> Tree:
        return [
            self.encode(getattr(sd, part), f"{part} of a slice of {name}")
            for part in (UNITS, "metadata")
        ]

    def _slices(self, node: Node, stack: SpikeSliceStack, name: str) -> list[Tree]:
        node.attributes["N"] = stack.N
        node.groups["spike_stack"] = inner = Node()
        trees = []
        for i, sd in enumerate(stack):
            laid, tree = self.lay_out(sd, f"{name}[{i}]")
            if laid is not None:
                inner.groups[str(i)] = laid
            trees.append(tree)
        return trees

    def _units(self, node: Node, rows: Sequence[Mapping[Any, Any]], name: str) -> Tree:
        """Lay out a dataset for each attribute of the units, its first axis the unit.

        Returns for each its key, whether it has a dataset, and the values that this
        does not say; and the order of the keys in a unit that has another one.
        """
        table, listed, orders = Node(), [], {}
        known = UnitTable(rows, len(rows)).columns
        for key, column in known.items():
            values = [None if v is MISSING else v for v in column.values]
            stored, said = layout.of_units(key, values), [MISSING] * len(rows)
            if stored is not None:
                table.datasets[key] = stored
                said = [MISSING if v is None else v for v in layout.units_of(stored)]
            others = {
                str(unit): self.encode(value, f"{name}[{unit}][{key!r}]")
                for unit, value in enumerate(column.values)
                if not identical(value, said[unit])
            }
            tree = self.encode(key, f"a key of {name}")
            listed.append([tree, stored is not None, others])
        for unit, row in enumerate(rows):
            if list(row) != [key for key in known if key in row]:
                orders[str(unit)] = [list(known).index(key) for key in row]
        if table.datasets:
            node.groups[UNITS] = table
        return {"columns": listed, "orders": orders}


def _check(obj: DataObject, name: str) -> None:
    """Raise ValueError for an object that would not come back as it is."""
    try:
        obj.check()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be stored: {error}") from error
    cls = type(obj)
    if added := set(vars(obj)) - {*cls.FIELDS.values(), "N"}:
        raise ValueError(
            f"{name} cannot be stored: {min(added)!r} is not an attribute of a "
            f"{cls.__name__}"
        )


def write_apart(group: h5py.Group, planner: Planner) -> None:
    """Write the arrays and objects that a planner kept beside its JSON."""
    for name, value in planner.apart.items():
        if isinstance(value, Node):
            value.write(group.create_group(name))
        elif layout.is_stored(value):
            Column(value).write(group, name)
        else:
            flat = np.ascontiguousarray(value).reshape(-1)
            Column(flat.view(np.uint8)).write(group, name)


def plan_plain(obj: DataObject) -> tuple[Planner, Node, Tree]:
    """Lay out what ``to_hdf5`` writes of an object, spikes aside.

    Raises
    ------
    TypeError
        If a part of the object cannot be stored.
    """
    planner, name = Planner(), data_class(obj).__name__
    try:
        node, exact = planner.object_node(obj, name, is_plain=True)
    except RecursionError:
        raise TypeError(f"{name} must not hold itself or nest so deep") from None
    return planner, node or Node(), {"class": name, "parts": exact}


def write_plain(file: h5py.File, obj: DataObject) -> None:
    """Write to an open file what ``to_hdf5`` writes of an object, spikes aside."""
    planner, node, exact = plan_plain(obj)
    node.write(file)
    apart = file.create_group(EXACT)
    write_json(apart, VALUE, exact)
    write_apart(apart, planner)
