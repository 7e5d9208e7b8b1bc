"""What the groups of an HDF5 file, and the JSON beside them, hold.

See :mod:`spikelab.formats.hdf5.planner`. Without JSON, they are the work of spikelab 0.1.2.
"""

from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import read_column
from spikelab.formats.hdf5.parts import EXACT, PARTS, SLICES, UNITS, VALUE
from spikelab.formats.hdf5.values import Decoder, Tree, read_json
from spikelab.formats.reading import build
from spikelab.spikedata.data_object import DATA_CLASSES, DataObject, UnitObject
from spikelab.spikedata.spike_trains import SpikeTrains
from spikelab.spikedata.spikedata import SpikeData
from spikelab.spikedata.spikeslicestack import SpikeSliceStack
from spikelab.spikedata.unit_table import Attributes


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
        try:
            if kind == "dict":
                return self._dict(group, exact)
            column = read_column(group, "data") if "data" in group else None
            return layout.plain_of(attributes, column)
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
            n_units = _n_units(parts)
            parts[UNITS] = self._units(group, exact.get(UNITS), n_units)
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
            known = {UNITS: rows, "metadata": metadata}
            slices.append(read_slice(found, said, **known))
        return slices

    def _units(self, group: h5py.Group, exact: Tree, n_units: int) -> Attributes:
        """Return the attributes of the units; what is missing is left out."""
        table = h5.member(group, UNITS) if UNITS in group else {}
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
            in_json = isinstance(part, dict) and VALUE in part
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


def read_plain(file: h5py.File, read_slice: Callable[..., SpikeData]) -> DataObject:
    """Return what :func:`write_plain` wrote; see :meth:`Reader.read_object`."""
    kind = str(h5.scalar_attributes(file)["__type__"])
    apart = h5.member(file, EXACT)
    exact = read_json(apart, VALUE)
    if not isinstance(exact, dict) or exact.get("class") != kind:
        raise FormatError(
            f"{file.filename} says that it holds a {kind}, but its JSON is of another "
            "class"
        )
    parts = exact.get("parts")
    return Reader(apart).read_object(file, kind, parts, read_slice=read_slice)
