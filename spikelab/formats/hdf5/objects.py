"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2: a group with the attribute
``__type__``, a dataset or attribute for each part of an object, and the group
``neuron_attributes`` with a dataset for each attribute of the units. What the layout does
not give back as it was (None beside NaN, a list beside an array) is said by JSON of the
same nesting: for an object by the name of the part, for a dictionary key by key, for units
by their number, and nothing where the layout says it all. Arrays and objects inside of
this JSON lie beside it, by number. Nothing is pickled.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout, on_disk
from spikelab.formats.hdf5.layout import Column, read_column
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

SLICES = "slices"
"""The group of the slices of a stack in a file of ``to_hdf5``."""

_UNITS = "neuron_attributes"
_VALUE = "value"
"""In JSON, the key of a value for which the layout has no form."""

_WRONG = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError),
    *(TypeError, ValueError),
)
"""What is raised where a file does not hold what it says; FormatError is a ValueError."""

ReadSlice = Callable[..., SpikeData]
"""Returns the recording of a group with these attributes, and further arguments."""


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
        exact = self.write_object(self._apart.create_group(number), obj, name)
        return {"$object": [type(obj).__name__, number, exact]}

    def write(self, parent: h5py.Group, link: str, value: Any, name: str) -> Tree:
        """Write the group `link` of a value, called `name` in errors.

        Returns what the group does not say as JSON, None if it says it all. There is no
        group if the layout has no form for the value.
        """
        if type(value) is dict:
            return self._write_dict(parent.create_group(link), value, name)
        if type(value) in DATA_CLASSES.values():
            needed = [p for p in PARTS[type(value).__name__] if p.needed]
            if any(part.stored(getattr(value, part.name)) is None for part in needed):
                return {_VALUE: self.encode(value, name)}
            return self.write_object(parent.create_group(link), value, name)
        form = layout.of_plain(value)
        if form is None:
            return {_VALUE: self.encode(value, name)}
        attributes, column = form
        group = parent.create_group(link)
        group.attrs.update(attributes)
        if column is not None:
            column.write(group, "data")
            if column.values is value:
                return None
        if identical(value, layout.plain_of(attributes, column)):
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

    def write_object(
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
            value = getattr(obj, part.name)
            stored, place = part.stored(value), part.plain if is_plain else part.place
            if stored is None:
                comes_back = identical(value, part.blank)
            elif part.is_attribute:
                group.attrs[place] = stored
                comes_back = identical(value, part.read(stored))
            else:
                stored.write(group, place)
                comes_back = stored.values is value or identical(
                    value, part.read(stored)
                )
            if not comes_back:
                exact[part.name] = self.encode(value, f"{name}[{part.name!r}]")
        if isinstance(obj, SpikeData):
            group.attrs["N"] = obj.N
            Column(obj.spike_trains.flat).write(group, "spike_times")
            Column(obj.spike_trains.ends).write(group, "spike_times_index")
        elif isinstance(obj, SpikeSliceStack):
            exact[SLICES] = self._write_slices(group, obj, name, is_plain=is_plain)
        if isinstance(obj, UnitObject) and obj.neuron_attributes is not None:
            exact[_UNITS] = self._write_units(group, obj.neuron_attributes, name)
        return exact or None

    def _write_slices(
        self, group: h5py.Group, stack: SpikeSliceStack, name: str, *, is_plain: bool
    ) -> Tree:
        """Write each slice as an object of its own; if plain, only what spikes lack."""
        if is_plain:
            return [
                [
                    self.encode(part, name)
                    for part in (sd.neuron_attributes, sd.metadata)
                ]
                for sd in stack
            ]
        group.attrs["N"] = stack.N
        inner = group.create_group("spike_stack")
        return [
            self.write_object(
                inner.create_group(str(i)), sd, f"{name}.spike_stack[{i}]"
            )
            for i, sd in enumerate(stack)
        ]

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
                stored.write(group.require_group(_UNITS), key)
                said = [MISSING if v is None else v for v in layout.units_of(stored)]
            others = {
                str(unit): self.encode(value, f"{name}[{_UNITS!r}][{unit}][{key!r}]")
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


class ObjectReader:
    """Reads what an `ObjectWriter` has written, or spikelab 0.1.2.

    Parameters
    ----------
    apart : h5py.Group, optional
        Where the arrays and objects of the JSON lie.
    """

    def __init__(self, apart: h5py.Group | None) -> None:
        self._apart: Any = {} if apart is None else apart
        self._decode = Decoder(
            lambda name: layout.values_of(read_column(self._apart, name)),
            lambda tree: self.read_object(
                h5.member(self._apart, tree[1]), tree[0], tree[2]
            ),
        ).decode

    def read(self, group: Any, exact: Tree) -> Any:
        """Return the value of a group, and of what that does not say.

        FormatError if they do not hold a value.
        """
        where = "a value" if group is None else group.name
        if isinstance(exact, dict) and _VALUE in exact:
            with _holding(where, "stored value"):
                return self._decode(exact[_VALUE])
        is_group = isinstance(group, h5py.Group)
        attributes = h5.plain_attributes(group) if is_group else {}
        kind = attributes.get("__type__")
        if kind in DATA_CLASSES:
            return self.read_object(group, kind, exact)
        if kind != "dict" and kind not in layout.PLAIN_TYPES:
            raise FormatError(f"{where} has no known __type__, got {kind!r:.80}")
        with _holding(where, kind):
            if kind != "dict":
                column = read_column(group, "data") if "data" in group else None
                return layout.plain_of(attributes, column)
            if exact is None:
                return {key: self.read(h5.member(group, key), None) for key in group}
            found = {}
            for tree, part in exact:
                key = self._decode(tree)
                in_json = isinstance(part, dict) and _VALUE in part
                found[key] = self.read(None if in_json else h5.member(group, key), part)
            return found

    def read_object(
        self,
        group: h5py.Group,
        kind: str,
        exact: Tree,
        read_slice: ReadSlice | None = None,
    ) -> DataObject:
        """Return a data object of the class `kind`.

        `exact` is what the group does not say; `read_slice` reads, in a file of
        ``to_hdf5``, the recording of a slice.
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
                parts[part.name] = self._decode(exact[part.name])
            elif part.is_attribute:
                said = attributes[place] if part.needed else attributes.get(place)
                parts[part.name] = part.read(said)
            elif part.needed or place in group:
                parts[part.name] = part.read(read_column(group, place))
            else:
                parts[part.name] = part.blank
        units: Sequence[Any] = parts.get(
            "inst_Frate_data", parts.get("event_stack", ())
        )
        if kind == "SpikeData":
            times = on_disk.values(h5.dataset(group, "spike_times"))
            ends = h5.dataset(group, "spike_times_index", kinds="iu")[()]
            units = SpikeTrains.from_flat(
                times.astype(np.float64, copy=False), ends, "spike_times_index"
            )
            parts["train"] = units
            if attributes["N"] != len(units):
                raise FormatError(
                    f"N must be the number of units, {len(units)}, got {attributes['N']}"
                )
        elif kind == "SpikeSliceStack":
            slices = self._slices(group, exact.get(SLICES), read_slice)
            parts["spike_stack"], units = slices, range(slices[0].N if slices else 0)
        if issubclass(DATA_CLASSES[kind], UnitObject):
            parts[_UNITS] = self._units(group, exact.get(_UNITS), len(units))
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
            rows, metadata = self._decode(tree)
            known = {"neuron_attributes": rows, "metadata": metadata}
            slices.append(read_slice(found, h5.scalar_attributes(found), **known))
        return slices

    def _units(self, group: h5py.Group, exact: Tree, n_units: int) -> Attributes:
        """Return the attributes of the units; what is missing is left out."""
        table = h5.member(group, _UNITS) if _UNITS in group else {}
        rows: list[dict[Any, Any]] = [{} for _ in range(n_units)]
        if exact is None:
            exact = {"columns": [[key, True, {}] for key in table]}
        keys = []
        for tree, in_layout, others in exact["columns"]:
            key = self._decode(tree)
            keys.append(key)
            if in_layout:
                column = read_column(table, key)
                if np.shape(column.values)[:1] != (n_units,):
                    raise FormatError(
                        f"{key!r} must hold one value for each of {n_units} units"
                    )
                for row, value in zip(rows, layout.units_of(column), strict=True):
                    if value is not None:
                        row[key] = value
            for unit, other in others.items():
                rows[int(unit)][key] = self._decode(other)
        for unit, order in exact.get("orders", {}).items():
            rows[int(unit)] = {keys[i]: rows[int(unit)][keys[i]] for i in order}
        return rows if any(rows) or "orders" in exact else None


@contextlib.contextmanager
def _holding(where: str, kind: Any) -> Iterator[None]:
    """Let what goes wrong in the block be a FormatError that names the group."""
    try:
        yield
    except _WRONG as error:
        raise FormatError(f"{where} holds no {kind}: {error}") from error
