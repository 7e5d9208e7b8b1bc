"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2: a group with the attribute
``__type__``, a dataset or attribute for each part of an object, and the group
``neuron_attributes`` with a dataset for each attribute of the units. What the layout
does not give back as it was (None beside NaN, a list beside an array) is told by JSON
of the same nesting: for an object by the name of the part, for a dictionary by the
position of the key, for units by their number, and nothing where the layout says it
all. Arrays and objects inside of this JSON lie beside it, by number. Nothing is pickled.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import h5py
import numpy as np

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import Column, read_column
from spikelab.formats.hdf5.values import Decoder, Encoder, Tree
from spikelab.formats.reading import build
from spikelab.spikedata.data_object import (
    DATA_CLASSES,
    DataObject,
    UnitObject,
    data_class,
)
from spikelab.spikedata.differences import equal
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import MISSING, Attributes, UnitTable

SLICES = "slices"
"""The group of the slices of a stack in a file of ``to_hdf5``."""

_EXACT = "exact"
"""The group of the JSON, and of what lies beside it, in a file of ``to_hdf5``."""

_VALUE = "value"
"""The JSON in it; in the JSON, the key of a value that has no form in the layout."""

_UNITS = "neuron_attributes"

_NO_RAW = {"raw_data": np.zeros((0, 0)), "raw_time": np.zeros(0)}
"""What a recording without raw data has."""


@attrs.frozen
class _Part:
    """How a part of a data object is stored.

    Parameters
    ----------
    name : str
        The attribute of the data object.
    place : str
        The dataset, or attribute of the group, in a workspace.
    plain : str
        The same in a file that ``to_hdf5`` wrote.
    write : callable
        Returns what is stored, None if the layout has no form for it.
    read : callable
        Returns what was stored, as it is read.
    is_attribute : bool
        Whether it is an attribute of the group.
    needed : bool
        Whether there is no object without it.
    """

    name: str
    place: str
    plain: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    is_attribute: bool = False
    needed: bool = False


def _array(name: str, place: str, plain: str, *, needed: bool = True) -> _Part:
    def write(value: Any) -> Column | None:
        return Column(value) if layout.is_stored(value) else None

    return _Part(name, place, plain, write, layout.values_of, needed=needed)


def _number(name: str, place: str, plain: str) -> _Part:
    return _Part(name, place, plain, float, float, is_attribute=True, needed=True)


_LABELS = _Part("labels", "labels", "labels", layout.of_labels, layout.labels_of)
_WINDOWS = _Part("times", "times", "windows", layout.of_windows, layout.windows_of)
_METADATA = _Part(
    *("metadata", "__metadata__", "metadata", layout.of_metadata, layout.metadata_of),
    is_attribute=True,
)
_UNIT = _Part(
    *("rate_unit", "rate_unit", "rate_unit"),
    lambda unit: unit if h5.is_text(unit) else None,
    lambda unit: unit,
    is_attribute=True,
)

_RAW_DATA = _array("raw_data", "raw_data", "raw_data", needed=False)
_RAW_TIME = _array("raw_time", "raw_time", "raw_time", needed=False)

_PARTS: dict[str, tuple[_Part, ...]] = {
    "SpikeData": (
        _number("length", "length_ms", "length_ms"),
        _number("start_time", "start_time", "start_time"),
        _METADATA,
        _RAW_DATA,
        _RAW_TIME,
    ),
    "RateData": (
        _array("inst_Frate_data", "inst_Frate_data", "rates"),
        _array("times", "times", "times"),
        _UNIT,
    ),
    "RateSliceStack": (
        _array("event_stack", "event_stack", "rates"),
        _WINDOWS,
        _number("step_size", "step_size", "step_ms"),
    ),
    "SpikeSliceStack": (_WINDOWS,),
    "PairwiseCompMatrix": (_array("matrix", "matrix", "matrix"), _LABELS, _METADATA),
    "PairwiseCompMatrixStack": (
        *(_array("stack", "stack", "stack"), _LABELS, _WINDOWS, _METADATA),
    ),
}
"""The parts of the data classes but spike trains, slices, and attributes of units."""


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
            return None, {_VALUE: self.encode(value, name)}
        attributes, column = form
        node = Node(attributes, {} if column is None else {"data": column})
        is_array = column is not None and column.values is value
        if is_array or identical(value, layout.plain_of(attributes, column)):
            return node, None
        return node, {_VALUE: self.encode(value, name)}

    def _dict_node(self, value: dict[Any, Any], name: str) -> tuple[Node, Tree]:
        node, parts = Node({"__type__": "dict"}), {}
        for i, (key, part) in enumerate(value.items()):
            inner, exact = None, None
            if layout.is_link_name(key):
                inner, exact = self.lay_out(part, f"{name}[{key!r}]")
            else:
                exact = {_VALUE: self.encode(part, f"{name}[{key!r}]")}
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
            return exact[_VALUE]
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
        written = {
            part: _written(part, getattr(obj, part.name)) for part in _PARTS[cls]
        }
        if None in (written.get(_RAW_DATA, ...), written.get(_RAW_TIME, ...)):
            written.update({_RAW_DATA: None, _RAW_TIME: None})
        for part, stored in written.items():
            value, place = (
                getattr(obj, part.name),
                part.plain if is_plain else part.place,
            )
            if part.is_attribute and stored is not None:
                node.attributes[place] = stored
            elif stored is not None:
                node.datasets[place] = stored
            if not _says(part, stored, value):
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
            exact[_UNITS] = self._units(node, rows, f"{name}[{_UNITS!r}]")
        if is_plain or all(
            written[part] is not None for part in written if part.needed
        ):
            return node, exact or None
        # The other version could not load it.
        return None, {_VALUE: {"$object": [cls, self.keep(node), exact]}}

    def _beside_spikes(self, sd: SpikeData, name: str) -> Tree:
        return [
            self.encode(getattr(sd, part), f"{part} of a slice of {name}")
            for part in (_UNITS, "metadata")
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
            node.groups[_UNITS] = table
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


def _written(part: _Part, value: Any) -> Any:
    """Return what the layout has for a part, None if it has nothing."""
    if value is None and part is not _METADATA:
        return None
    is_blank = part.name in _NO_RAW and identical(value, _NO_RAW[part.name])
    return None if is_blank else part.write(value)


def _says(part: _Part, stored: Any, value: Any) -> bool:
    """Return whether the layout gives a part back as it was."""
    if stored is None:
        return identical(value, _NO_RAW.get(part.name))
    is_array = isinstance(stored, Column) and stored.values is value
    return is_array or identical(value, part.read(stored))


def identical(a: Any, b: Any) -> bool:
    """Return whether two values are equal and of the same types, in all their parts."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return identical([*a, *a.values()], [*b, *b.values()])
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    return equal(a, b)


def write_json(group: h5py.Group, name: str, tree: Tree) -> None:
    """Write JSON as a scalar of UTF-8 text."""
    # As escapes, two halves of a surrogate pair would be read as one character.
    text = json.dumps(tree, allow_nan=False, ensure_ascii=False)
    group[name] = np.bytes_(text.encode("utf-8", "surrogatepass"))


def read_json(group: h5py.Group, name: str) -> Tree:
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


class Reader:
    """Reads what a :class:`Planner` has laid out, or spikelab 0.1.2.

    Parameters
    ----------
    apart : h5py.Group, optional
        The group that :func:`write_apart` has written.
    """

    def __init__(self, apart: h5py.Group | None) -> None:
        self._apart = apart
        self._decoder = Decoder(self._array, self._object)

    def read(self, group: Any, exact: Tree) -> Any:
        """Return the value of a group, and of what that does not say.

        Raises
        ------
        FormatError
            If they do not hold a value.
        """
        if isinstance(exact, dict) and _VALUE in exact:
            return self._decoder.decode(exact[_VALUE])
        kind = group.attrs.get("__type__") if isinstance(group, h5py.Group) else None
        if kind in DATA_CLASSES:
            return self.read_object(group, kind, exact)
        where = "a value" if group is None else group.name
        if kind != "dict" and kind not in layout.PLAIN_TYPES:
            raise FormatError(f"{where} has no known __type__, got {kind!r:.80}")
        try:
            if kind == "dict":
                return self._dict(group, exact)
            column = read_column(group, "data") if "data" in group else None
            return layout.plain_of(dict(group.attrs), column)
        except _WRONG as error:
            raise FormatError(f"{where} holds no {kind}: {error}") from error

    def read_object(
        self,
        group: h5py.Group,
        kind: str,
        exact: Tree,
        *,
        read_slice: Callable[..., SpikeData] | None = None,
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
            Of a file of ``to_hdf5``, returns the recording of a group with these
            attributes, made with further arguments of :class:`.SpikeData`.
        """
        try:
            parts = self._parts(group, kind, exact or {}, read_slice)
            cls = DATA_CLASSES[kind]
            names = cls.FIELDS.items()
            arguments = {argument: parts.get(name) for argument, name in names}
            if cls is SpikeSliceStack:
                arguments["drop_slice_attributes"] = False
            return build(cls, **arguments)
        except _WRONG as error:
            raise FormatError(f"{group.name} holds no {kind}: {error}") from error

    def _parts(
        self,
        group: h5py.Group,
        kind: str,
        exact: dict[str, Tree],
        read_slice: Callable[..., SpikeData] | None,
    ) -> dict[str, Any]:
        """Return the parts of a data object by the names of its attributes."""
        parts: dict[str, Any] = {}
        attributes = h5.scalar_attributes(group)
        for part in _PARTS[kind]:
            place = part.plain if read_slice else part.place
            if part.name in exact:
                parts[part.name] = self._decoder.decode(exact[part.name])
            elif part.is_attribute:
                said = attributes[place] if part.needed else attributes.get(place)
                parts[part.name] = part.read(said)
            elif part.needed or place in group:
                parts[part.name] = part.read(read_column(group, place))
        if kind == "SpikeData":
            parts["train"] = _train(group, attributes)
        elif kind == "SpikeSliceStack":
            parts["spike_stack"] = self._slices(group, exact.get(SLICES), read_slice)
        if issubclass(DATA_CLASSES[kind], UnitObject):
            n_units = _n_units(parts)
            parts[_UNITS] = self._units(group, exact.get(_UNITS), n_units)
        return parts

    def _slices(
        self,
        group: h5py.Group,
        trees: Tree,
        read_slice: Callable[..., SpikeData] | None,
    ) -> list[Any]:
        if read_slice is None:
            inner = h5.member(group, "spike_stack")
            return [
                self.read_object(h5.member(inner, str(i)), "SpikeData", tree)
                for i, tree in enumerate(trees or [None] * len(inner))
            ]
        slices = []
        for i, tree in enumerate(trees):
            rows, metadata = map(self._decoder.decode, tree)
            found = h5.member(group, f"{SLICES}/{i}")
            said = h5.scalar_attributes(found)
            known = {_UNITS: rows, "metadata": metadata}
            slices.append(read_slice(found, said, **known))
        return slices

    def _units(self, group: h5py.Group, exact: Tree, n_units: int) -> Attributes:
        """Return the attributes of the units; what is missing is left out."""
        table = h5.member(group, _UNITS) if _UNITS in group else {}
        if exact is None:
            exact = {"columns": [[key, True, {}] for key in table]}
        rows: list[dict[Any, Any]] = [{} for _ in range(n_units)]
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
            row = rows[int(unit)]
            rows[int(unit)] = {keys[i]: row[keys[i]] for i in order}
        return rows if any(rows) or "orders" in exact else None

    def _dict(self, group: h5py.Group, exact: Tree) -> dict[Any, Any]:
        if exact is None:
            return {key: self.read(h5.member(group, key), None) for key in group}
        found = {}
        for i, tree in enumerate(exact["keys"]):
            key, part = self._decoder.decode(tree), exact["parts"].get(str(i))
            in_json = isinstance(part, dict) and _VALUE in part
            inner = None if in_json else h5.member(group, key)
            found[key] = self.read(inner, part)
        return found

    def _array(self, name: str) -> Any:
        if self._apart is None:
            raise FormatError(f"there is no array {name!r}")
        return layout.values_of(read_column(self._apart, name))

    def _object(self, tree: Tree) -> DataObject:
        kind, name, exact = tree
        if self._apart is None or kind not in DATA_CLASSES:
            raise FormatError(f"there is no {kind!r:.80} {name!r:.80}")
        return self.read_object(h5.member(self._apart, name), kind, exact)


_WRONG = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What is raised where a file does not hold what it says; FormatError is a ValueError."""


def _train(group: h5py.Group, attributes: Mapping[str, Any]) -> SpikeTrains:
    times = h5.dataset(group, "spike_times")[()].astype(np.float64, copy=False)
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
    apart = file.create_group(_EXACT)
    write_json(apart, _VALUE, exact)
    write_apart(apart, planner)


def read_plain(file: h5py.File, read_slice: Callable[..., SpikeData]) -> DataObject:
    """Return what :func:`write_plain` wrote; see :meth:`Reader.read_object`."""
    kind = str(file.attrs["__type__"])
    apart = h5.member(file, _EXACT)
    exact = read_json(apart, _VALUE)
    if not isinstance(exact, dict) or exact.get("class") != kind:
        raise FormatError(
            f"{file.filename} says that it holds a {kind}, but its JSON is of another "
            "class"
        )
    parts = exact.get("parts")
    return Reader(apart).read_object(file, kind, parts, read_slice=read_slice)
