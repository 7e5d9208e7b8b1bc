"""Data objects, arrays and dictionaries as groups of an HDF5 file.

The layout is that of the workspaces of spikelab 0.1.2, as far as it can express
a value: a group with the attribute ``__type__`` and one dataset per array.
What it cannot express is left out here; :mod:`spikelab.formats.hdf5.objects`
stores the whole value beside it, and points to the arrays that lie here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.formats import h5
from spikelab.formats.hdf5 import columns as hdf5_columns
from spikelab.formats.hdf5.columns import Column

_INT64 = range(-(2**63), 2**63)


@attrs.define
class Node:
    """What a group will hold."""

    attributes: dict[str, Any] = attrs.Factory(dict)
    datasets: dict[str, Column | Sequence[NDArray[Any]]] = attrs.Factory(dict)
    groups: dict[str, "Node"] = attrs.Factory(dict)

    def write(self, group: h5py.Group) -> None:
        """Write into an open group."""
        for name, value in self.attributes.items():
            group.attrs[name] = value
        for name, content in self.datasets.items():
            if isinstance(content, Column):
                content.write(group, name)
            else:
                _write_train(group, name, content)
        for name, node in self.groups.items():
            node.write(group.create_group(name))


def _write_train(group: h5py.Group, name: str, train: Sequence[NDArray[Any]]) -> None:
    shape = (sum(map(len, train)),)
    h5.write_blocks(group, name, shape, np.float64, trains.blocks(train))


@attrs.define
class Planner:
    """Lays values out, and remembers where their arrays lie.

    Parameters
    ----------
    names : mapping
        Names of datasets and attributes that are not those of the workspace.

    Attributes
    ----------
    placed : dict
        By ``id``, where an array or a list of spike times lies, as a tree of
        :mod:`spikelab.formats.hdf5.value_trees`.
    """

    names: Mapping[str, str] = attrs.Factory(dict)
    placed: dict[int, Any] = attrs.Factory(dict)

    def node(self, value: Any, path: str = "") -> Node | None:
        """Return the group of a value, None if the layout has none for it.

        `path` leads to the group, and ends with a slash.
        """
        if type(value) in (np.ndarray, np.memmap):
            return self._array(value, path)
        if type(value) is dict:
            return self._dict(value, path)
        if not kinds.is_data_object(value):
            return _plain(value)
        kind = kinds.kind_of(value)
        node = _LAYOUTS[kind](self, value, path)
        node.attributes["__type__"] = kind
        return node

    def _name(self, name: str) -> str:
        return self.names.get(name, name)

    def _place(self, node: Node, path: str, name: str, array: NDArray[Any]) -> None:
        """Lay an array out, and remember where, if it comes back as it is."""
        name = self._name(name)
        if hdf5_columns.is_stored(array):
            node.datasets[name] = Column(array)
            self.placed[id(array)] = {"$dataset": path + name}

    def _array(self, array: NDArray[Any], path: str) -> Node | None:
        node = Node({"__type__": "ndarray"})
        self._place(node, path, "data", array)
        if node.datasets:
            return node
        column = hdf5_columns.of_values(array)
        if column is None:
            return None
        node.datasets["data"] = column
        return node

    def _dict(self, value: dict[Any, Any], path: str) -> Node:
        node = Node({"__type__": "dict"})
        for key, part in value.items():
            if hdf5_columns.is_link_name(key):
                inner = self.node(part, f"{path}{key}/")
                if inner is not None:
                    node.groups[key] = inner
        return node

    def _spikes(self, sd: Any, path: str) -> Node:
        node = Node(
            {
                "N": sd.N,
                "length_ms": float(sd.length),
                "start_time": float(sd.start_time),
                "__metadata__": _json(sd.metadata),
            }
        )
        node.datasets["spike_times"] = sd.train
        node.datasets["spike_times_index"] = Column(trains.ends(sd.train))
        self.placed[id(sd.train)] = {
            "$train": [path + "spike_times", path + "spike_times_index"]
        }
        if np.size(sd.raw_data) and hdf5_columns.is_native(sd.raw_data.dtype):
            self._place(node, path, "raw_data", sd.raw_data)
            self._place(node, path, "raw_time", sd.raw_time)
        self._units(node, path, sd.neuron_attributes)
        return node

    def _rates(self, rd: Any, path: str) -> Node:
        node = Node()
        self._place(node, path, "inst_Frate_data", rd.inst_Frate_data)
        self._place(node, path, "times", rd.times)
        if isinstance(rd.rate_unit, str) and h5.is_text(rd.rate_unit):
            node.attributes["rate_unit"] = rd.rate_unit
        self._units(node, path, rd.neuron_attributes)
        return node

    def _rate_slices(self, stack: Any, path: str) -> Node:
        node = Node({self._name("step_size"): float(stack.step_size)})
        self._place(node, path, "event_stack", stack.event_stack)
        self._windows(node, stack.times)
        self._units(node, path, stack.neuron_attributes)
        return node

    def _spike_slices(self, stack: Any, path: str) -> Node:
        slices = Node()
        for i, sd in enumerate(stack.spike_stack):
            slices.groups[str(i)] = self._spikes(sd, f"{path}spike_stack/{i}/")
        node = Node({"N": stack.N}, groups={"spike_stack": slices})
        self._windows(node, stack.times)
        self._units(node, path, stack.neuron_attributes)
        return node

    def _matrix(self, pcm: Any, path: str) -> Node:
        node = Node({self._name("__metadata__"): _json(pcm.metadata)})
        self._place(node, path, "matrix", pcm.matrix)
        self._labels(node, pcm.labels)
        return node

    def _matrices(self, pcms: Any, path: str) -> Node:
        node = Node({self._name("__metadata__"): _json(pcms.metadata)})
        self._place(node, path, "stack", pcms.stack)
        self._labels(node, pcms.labels)
        if pcms.times is not None:
            self._windows(node, pcms.times)
        return node

    def _labels(self, node: Node, labels: Sequence[Any] | None) -> None:
        column = None if labels is None else hdf5_columns.of_labels(list(labels))
        if column is not None:
            node.datasets["labels"] = column

    def _windows(self, node: Node, windows: Sequence[Any]) -> None:
        column = hdf5_columns.of_windows(windows)
        if column is not None:
            node.datasets[self._name("times")] = column

    def _units(
        self, node: Node, path: str, attributes: Sequence[dict[str, Any]] | None
    ) -> None:
        """Lay out one dataset per attribute of the units, its first axis the unit."""
        if not attributes:
            return
        table = Node()
        for key in {key: None for known in attributes for key in known}:
            values = [known.get(key) for known in attributes]
            column = hdf5_columns.of_units(key, values)
            if column is None:
                continue
            table.datasets[key] = column
            for unit, value in enumerate(values):
                if type(value) is np.ndarray and value.dtype == column.values.dtype:
                    self.placed[id(value)] = {
                        "$row": [f"{path}neuron_attributes/{key}", unit]
                    }
        if table.datasets:
            node.groups["neuron_attributes"] = table


_LAYOUTS: dict[str, Callable[[Planner, Any, str], Node]] = {
    "SpikeData": Planner._spikes,
    "RateData": Planner._rates,
    "RateSliceStack": Planner._rate_slices,
    "SpikeSliceStack": Planner._spike_slices,
    "PairwiseCompMatrix": Planner._matrix,
    "PairwiseCompMatrixStack": Planner._matrices,
}


def _plain(value: Any) -> Node | None:
    """Return the group of a value that is no array and holds no other values."""
    if value is None:
        return Node({"__type__": "none"})
    if type(value) is str:
        if not h5.is_text(value):
            return None
        return Node({"__type__": "scalar_str", "__scalar_value__": value})
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value)
    if isinstance(value, bool | int | float | np.bool_ | np.integer | np.floating):
        return _scalar(value)
    return None


def _scalar(value: Any) -> Node | None:
    if type(value) is int and value not in _INT64:
        return None
    if isinstance(value, np.timedelta64):
        return None
    kind = (
        type(value).__name__ if not isinstance(value, np.generic) else value.dtype.name
    )
    return Node(
        {"__type__": "scalar", "__scalar_value__": value, "__scalar_kind__": kind}
    )


def _sequence(values: Any) -> Node | None:
    """Return the group of a sequence; the layout has no lists, only arrays."""
    kind = "ndarray" if isinstance(values, list) else type(values).__name__
    column = hdf5_columns.of_values(
        sorted(values, key=repr) if "set" in kind else values
    )
    return None if column is None else Node({"__type__": kind}, {"data": column})


def _json(metadata: Any) -> str:
    """Return metadata as the JSON of the layout, without what that has no form for."""
    known = _jsonable(metadata or {})
    return json.dumps(known if isinstance(known, dict) else {})


def _jsonable(value: Any) -> Any:
    """Return what JSON has for a value, or an Ellipsis if it has nothing."""
    if isinstance(value, np.ndarray) and hdf5_columns.is_native(value.dtype):
        if value.dtype.kind == "c":
            return Ellipsis
        return {
            "__ndarray__": True,
            "dtype": str(value.dtype),
            "shape": list(value.shape),
            "values": value.tolist(),
        }
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        parts = {str(key): _jsonable(part) for key, part in value.items()}
        return {key: part for key, part in parts.items() if part is not ...}
    if isinstance(value, list | tuple):
        items = [_jsonable(item) for item in value]
        return ... if any(item is ... for item in items) else items
    if isinstance(value, int) and value.bit_length() > 10_000:
        return ...
    return value if isinstance(value, str | int | float | None) else ...
