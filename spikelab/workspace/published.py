"""Items of a workspace that spikelab 0.1.2 wrote, or that h5py users added.

See :mod:`spikelab.formats.hdf5.layout` for the layout.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab import kinds, trains
from spikelab.errors import FormatError
from spikelab.formats import h5
from spikelab.formats.hdf5 import objects as hdf5_objects
from spikelab.kinds import Contents

_GROUP = 100_000
"""What a group counts for, which takes a file some hundred bytes."""


def read(group: h5py.Group) -> Any:
    """Return the value of a group.

    Raises
    ------
    FormatError
        If the group does not hold one.
    """
    # Several names may lead to one group, and names in it to another one.
    h5.spend(_GROUP, _place(group))
    kind = group.attrs.get("__type__")
    if not isinstance(kind, str) or kind not in _READERS:
        raise FormatError(f"{_place(group)} has no known __type__, got {kind!r:.80}")
    try:
        value = _READERS[kind](group)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{_place(group)} holds no {kind}: {error}") from error
    return kinds.build(Contents(kind, value)) if kind in kinds.MODULES else value


def _place(group: h5py.Group) -> str:
    return f"{group.file.filename}: {group.name}"


def _spikes(group: h5py.Group) -> dict[str, Any]:
    times = h5.dataset(group, "spike_times")[()].astype(np.float64)
    index = h5.dataset(group, "spike_times_index", kinds="iu")[()]
    h5.spend_on_units(len(index), _place(group))
    train = list(trains.split(times, index, "spike_times_index"))
    n_units = int(group.attrs["N"])
    if n_units != len(train):
        raise FormatError(f"N must be the number of units, {len(train)}, got {n_units}")
    arguments = {
        "train": train,
        "length": float(group.attrs["length_ms"]),
        "start_time": float(group.attrs.get("start_time", 0.0)),
        "metadata": _metadata(group),
        "neuron_attributes": _units(group, n_units),
    }
    if "raw_data" in group:
        for name in ("raw_data", "raw_time"):
            arguments[name] = hdf5_objects.read_array(group, name)
    return arguments


def _rates(group: h5py.Group) -> dict[str, Any]:
    rates = h5.dataset(group, "inst_Frate_data", ndim=2)[()]
    return {
        "inst_Frate_data": rates,
        "times": hdf5_objects.read_array(group, "times"),
        "neuron_attributes": _units(group, len(rates)),
        "rate_unit": h5.scalar_attributes(group).get("rate_unit"),
    }


def _rate_slices(group: h5py.Group) -> dict[str, Any]:
    rates = h5.dataset(group, "event_stack", ndim=3)[()]
    return {
        "event_matrix": rates,
        "times_start_to_end": _windows(group),
        "step_size": float(group.attrs["step_size"]),
        "neuron_attributes": _units(group, len(rates)),
    }


def _spike_slices(group: h5py.Group) -> dict[str, Any]:
    slices = h5.member(group, "spike_stack")
    recordings = [
        kinds.build(Contents("SpikeData", _spikes(h5.member(slices, str(i)))))
        for i in range(len(slices))
    ]
    return {
        "spike_stack": recordings,
        "times_start_to_end": _windows(group),
        "neuron_attributes": _units(group, int(group.attrs["N"])),
        "drop_slice_attributes": False,
    }


def _matrix(group: h5py.Group) -> dict[str, Any]:
    return {
        "matrix": hdf5_objects.read_array(group, "matrix"),
        "labels": _labels(group),
        "metadata": _metadata(group),
    }


def _matrices(group: h5py.Group) -> dict[str, Any]:
    return {
        "stack": hdf5_objects.read_array(group, "stack"),
        "labels": _labels(group),
        "times": _windows(group) if "times" in group else None,
        "metadata": _metadata(group),
    }


def _windows(group: h5py.Group) -> list[tuple[float, float]]:
    windows = h5.dataset(group, "times", ndim=2)[()].astype(np.float64)
    return [(start, end) for start, end in windows.tolist()]


def _labels(group: h5py.Group) -> list[Any] | None:
    return _column(group, "labels").tolist() if "labels" in group else None


def _metadata(group: h5py.Group) -> dict[str, Any]:
    text = h5.scalar_attributes(group).get("__metadata__", "{}")
    metadata: dict[str, Any] = json.loads(text, object_hook=_array_of_json)
    return metadata


def _array_of_json(parts: dict[str, Any]) -> Any:
    if parts.get("__ndarray__") is not True:
        return parts
    dtype = np.dtype(str(parts["dtype"]))
    if dtype.hasobject:
        raise ValueError(f"an array of {dtype} in the metadata")
    h5.spend(dtype.itemsize * math.prod(parts["shape"]), "the metadata")
    return np.array(parts["values"], dtype=dtype).reshape(parts["shape"])


def _column(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return a dataset of numbers, or of text as objects or fixed-width text."""
    found = h5.member(group, name)
    if (
        not isinstance(found, h5py.Dataset)
        or h5py.check_string_dtype(found.dtype) is None
    ):
        return hdf5_objects.read_array(group, name)
    stored = h5.dataset(group, name, ndim=found.ndim, kinds="OS")
    if found.dtype.kind == "S":
        return np.asarray(stored[()])
    texts = h5.texts(stored)
    if not found.attrs.get("__string_array__", False):
        return texts
    longest = max(map(len, texts.ravel()), default=0)
    h5.spend(4 * longest * texts.size, _place(group))  # each as wide as that
    return texts.astype(str)


def _units(group: h5py.Group, n_units: int) -> list[dict[str, Any]] | None:
    """Return the attributes of the units; what is missing is left out."""
    if "neuron_attributes" not in group:
        return None
    h5.spend_on_units(n_units, _place(group))
    table = h5.member(group, "neuron_attributes")
    units: list[dict[str, Any]] = [{} for _ in range(n_units)]
    for name in table:
        for unit, value in enumerate(_values(table, name, n_units)):
            if value is not None:
                units[unit][name] = value
    return units if any(units) else None


def _values(table: h5py.Group, name: str, n_units: int) -> list[Any]:
    """Return one attribute of each unit, None where it is missing."""
    column = _column(table, name)
    if column.shape[:1] != (n_units,):
        raise FormatError(f"{name!r} must hold one value for each of {n_units} units")
    described = table[name].attrs
    if column.ndim > 1:
        missing = set(np.ravel(described.get("__missing_unit_indices__", [])).tolist())
        return [None if u in missing else np.array(row) for u, row in enumerate(column)]
    values = column.tolist()
    if column.dtype.kind in "OSU":
        return [value if value else None for value in values]
    convert = {"int": int, "bool": bool}.get(str(described.get("__scalar_kind__")))
    return [
        None if math.isnan(value) else convert(value) if convert else value
        for value in values
    ]


def _dict(group: h5py.Group) -> dict[str, Any]:
    return {key: read(h5.member(group, key)) for key in group}


def _scalar(group: h5py.Group) -> Any:
    value, kind = group.attrs["__scalar_value__"], group.attrs.get("__scalar_kind__")
    is_plain = kind in ("int", "float", "bool")
    return value.item() if is_plain and isinstance(value, np.generic) else value


def _items(group: h5py.Group) -> Any:
    return _column(group, "data").tolist()


_READERS: dict[str, Callable[[h5py.Group], Any]] = {
    "ndarray": lambda group: _column(group, "data"),
    "SpikeData": _spikes,
    "RateData": _rates,
    "RateSliceStack": _rate_slices,
    "SpikeSliceStack": _spike_slices,
    "PairwiseCompMatrix": _matrix,
    "PairwiseCompMatrixStack": _matrices,
    "dict": _dict,
    "scalar": _scalar,
    "scalar_str": _scalar,
    "none": lambda group: None,
    "tuple": lambda group: tuple(_items(group)),
    "set": lambda group: set(_items(group)),
    "frozenset": lambda group: frozenset(_items(group)),
}
