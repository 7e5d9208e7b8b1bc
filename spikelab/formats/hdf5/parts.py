"""Where the parts of the data classes lie in an HDF5 file.

In workspaces, in the layout of spikelab 0.1.2; in files of ``to_hdf5`` under plain names.
"""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.formats.hdf5.layout import Column
from spikelab.formats.hdf5.values import identical


@attrs.frozen(eq=False)
class Part:
    """How the attribute `name` of a data object is stored.

    Parameters
    ----------
    place, plain : str
        The dataset, or attribute of the group, in a workspace; and in a file that
        ``to_hdf5`` wrote.
    write, read : callable
        What is stored, a Column for a dataset, None if the layout has no form; and the
        part, from what was stored.
    is_attribute, needed : bool
        Whether it is an attribute of the group; whether there is no object without it.
    blank : object
        The value of which nothing is stored.
    """

    name: str
    place: str
    plain: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    is_attribute: bool = False
    needed: bool = False
    blank: Any = None

    def stored(self, value: Any) -> Any:
        """Return what the layout has for a value, None for nothing."""
        return None if identical(value, self.blank) else self.write(value)


def _array(name: str, plain: str, *, needed: bool = True, blank: Any = None) -> Part:
    def write(array: Any) -> Column | None:
        return Column(array) if layout.is_stored(array) else None

    return Part(name, name, plain, write, layout.values_of, needed=needed, blank=blank)


def _number(name: str, place: str, plain: str) -> Part:
    return Part(name, place, plain, float, float, is_attribute=True, needed=True)


_LABELS = Part(
    *("labels", "labels", "labels"),
    layout.of_labels,
    lambda column: layout.values_of(column).tolist(),
)
_WINDOWS = Part(
    *("times", "times", "windows"),
    lambda windows: Column(np.array(windows, dtype=np.float64).reshape(-1, 2)),
    lambda column: [
        (start, end) for start, end in np.asarray(column.values, np.float64).tolist()
    ],
)
_METADATA = Part(
    *("metadata", "__metadata__", "metadata", layout.of_metadata, layout.metadata_of),
    is_attribute=True,
    blank=...,
)
PARTS: dict[str, tuple[Part, ...]] = {
    "SpikeData": (
        _number("length", "length_ms", "length_ms"),
        _number("start_time", "start_time", "start_time"),
        _METADATA,
        _array("raw_data", "raw_data", needed=False, blank=np.zeros((0, 0))),
        _array("raw_time", "raw_time", needed=False, blank=np.zeros(0)),
    ),
    "RateData": (
        _array("inst_Frate_data", "rates"),
        _array("times", "times"),
        Part(
            *("rate_unit", "rate_unit", "rate_unit"),
            lambda unit: unit if h5.is_text(unit) else None,
            lambda unit: unit,
            is_attribute=True,
        ),
    ),
    "RateSliceStack": (
        _array("event_stack", "rates"),
        _WINDOWS,
        _number("step_size", "step_size", "step_ms"),
    ),
    "SpikeSliceStack": (_WINDOWS,),
    "PairwiseCompMatrix": (_array("matrix", "matrix"), _LABELS, _METADATA),
    "PairwiseCompMatrixStack": (
        *(_array("stack", "stack"), _LABELS, _WINDOWS, _METADATA),
    ),
}
"""The parts of the data classes but spike trains, slices, and attributes of units."""
