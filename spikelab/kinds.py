"""The six data classes by name, so that formats know them without importing them."""

import importlib
from collections.abc import Mapping
from typing import Any

import attrs

from spikelab.errors import FormatError

MODULES = {
    "SpikeData": "spikelab.spikedata.spikedata",
    "RateData": "spikelab.spikedata.ratedata",
    "PairwiseCompMatrix": "spikelab.spikedata.pairwise",
    "PairwiseCompMatrixStack": "spikelab.spikedata.pairwise",
    "RateSliceStack": "spikelab.spikedata.rateslicestack",
    "SpikeSliceStack": "spikelab.spikedata.spikeslicestack",
}

_SPIKES = ("to_hdf5", "to_nwb", "to_kilosort", "to_phy", "to_csv", "to_pickle")
_ARRAYS = ("to_hdf5", "to_nwb", "to_csv", "to_pickle")

METHODS = {
    "SpikeData": _SPIKES,
    "SpikeSliceStack": _SPIKES,
    "RateData": _ARRAYS,
    "RateSliceStack": _ARRAYS,
    "PairwiseCompMatrix": _ARRAYS,
    "PairwiseCompMatrixStack": _ARRAYS,
}
"""For each class, the exports that have a meaning for it."""


ARGUMENTS = {
    "SpikeData": {
        "train": "train",
        "length": "length",
        "start_time": "start_time",
        "neuron_attributes": "neuron_attributes",
        "metadata": "metadata",
        "raw_data": "raw_data",
        "raw_time": "raw_time",
    },
    "RateData": {
        "inst_Frate_data": "inst_Frate_data",
        "times": "times",
        "neuron_attributes": "neuron_attributes",
        "rate_unit": "rate_unit",
    },
    "PairwiseCompMatrix": {
        "matrix": "matrix",
        "labels": "labels",
        "metadata": "metadata",
    },
    "PairwiseCompMatrixStack": {
        "stack": "stack",
        "labels": "labels",
        "times": "times",
        "metadata": "metadata",
    },
    "RateSliceStack": {
        "event_matrix": "event_stack",
        "times_start_to_end": "times",
        "step_size": "step_size",
        "neuron_attributes": "neuron_attributes",
    },
    "SpikeSliceStack": {
        "spike_stack": "spike_stack",
        "times_start_to_end": "times",
        "neuron_attributes": "neuron_attributes",
    },
}
"""For each class, the constructor's arguments and the attributes that hold them."""

ELECTRODE_KEYS = ("electrode", "channel", "ch")
"""The attributes of a unit that tell its electrode; the first that it has."""


def electrode_of(attributes: Mapping[str, Any]) -> Any:
    """Return the electrode of a unit, None if it is not known."""
    values = (attributes.get(key) for key in ELECTRODE_KEYS)
    return next((value for value in values if value is not None), None)


@attrs.frozen
class Contents:
    """What a file holds: the name of a data class and its constructor's arguments."""

    kind: str
    arguments: dict[str, Any]


def build(contents: Contents) -> Any:
    """Return the data object that `contents` describes.

    Raises
    ------
    FormatError
        If the class refuses the arguments.
    """
    cls = getattr(importlib.import_module(MODULES[contents.kind]), contents.kind)
    try:
        return cls(**contents.arguments)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        raise FormatError(f"not the contents of a {contents.kind}: {error}") from error


def arguments_of(obj: Any) -> dict[str, Any]:
    """Return the constructor's arguments that make an object like `obj`."""
    kind = kind_of(obj)
    arguments = {
        argument: getattr(obj, name) for argument, name in ARGUMENTS[kind].items()
    }
    if kind == "SpikeSliceStack":
        arguments["drop_slice_attributes"] = False
    return arguments


def recordings_of(obj: Any) -> list[Any]:
    """Return the recordings that an object is or is made of, none if it has no spikes."""
    kind = kind_of(obj)
    if kind == "SpikeSliceStack":
        return list(obj.spike_stack)
    return [obj] if kind == "SpikeData" else []


def is_data_object(value: Any) -> bool:
    """Tell whether a value is of one of the six classes itself, not of a subclass."""
    return MODULES.get(type(value).__name__) == type(value).__module__


_DERIVED = ("N",)
"""Attributes of data objects that their constructors make."""


def additional(kind: str, state: Mapping[str, Any]) -> list[str]:
    """Return the names in `state` that are not attributes of a `kind`."""
    return sorted(map(str, set(state) - set(ARGUMENTS[kind].values()) - set(_DERIVED)))


def kind_of(obj: object) -> str:
    """Return the name of the data class that `obj` is an instance of.

    Raises
    ------
    TypeError
        If it is of none of the six.
    """
    for cls in type(obj).__mro__:
        if MODULES.get(cls.__name__) == cls.__module__:
            return cls.__name__
    raise TypeError(
        f"Expected a spikelab data object ({', '.join(MODULES)}), "
        f"got {type(obj).__name__}"
    )


def check_method(obj: object, method: str) -> str:
    """Return the kind of `obj`, or raise TypeError if `method` has no meaning for it."""
    kind = kind_of(obj)
    if method not in METHODS[kind]:
        raise TypeError(
            f"{method} has no meaning for a {kind}; "
            f"a {kind} can be exported with {', '.join(METHODS[kind])}"
        )
    return kind
