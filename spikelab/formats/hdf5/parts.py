"""Where the parts of the data classes lie in an HDF5 file.

In workspaces, in the layout of spikelab 0.1.2; in files of ``to_hdf5`` under plain names.
"""

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from spikelab.formats import h5
from spikelab.formats.hdf5 import layout
from spikelab.spikedata.unit_table import MISSING


@attrs.frozen
class Form:
    """How a group holds values of one kind.

    Parameters
    ----------
    encode : callable
        Returns a StoredArray for a dataset, anything else for an attribute of the
        group, and None if there is no form for the value.
    decode : callable
        Returns the value of what was stored.
    """

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _encode_text(text: Any) -> str | None:
    return text if h5.is_text(text) else None


NUMBER = Form(float, float)
TEXT = Form(_encode_text, str)
METADATA = Form(layout.encode_metadata, layout.decode_metadata)
ARRAY = Form(layout.encode_array, layout.decode_array)
LABELS = Form(layout.encode_labels, layout.decode_labels)
WINDOWS = Form(layout.encode_windows, layout.decode_windows)


@attrs.frozen(eq=False)
class Part:
    """Where a group holds one attribute of a data object.

    Parameters
    ----------
    name : str
        The attribute of the object.
    form : Form
        How its values are stored.
    in_workspace, in_export : str, optional
        Name of the dataset, or of the attribute of the group, in a workspace, and in a
        file of ``to_hdf5``; by default `name`.
    default : object
        The value if nothing is stored; `MISSING` if there is no object without the part.
    """

    name: str
    form: Form
    in_workspace: str | None = attrs.field(default=None, kw_only=True)
    in_export: str | None = attrs.field(default=None, kw_only=True)
    default: Any = attrs.field(default=MISSING, kw_only=True)

    def place(self, *, exported: bool) -> str:
        """Return the name in a file of ``to_hdf5``, or in a workspace."""
        return (self.in_export if exported else self.in_workspace) or self.name


_METADATA = Part("metadata", METADATA, in_workspace="__metadata__", default=None)
_LABELS = Part("labels", LABELS, default=None)
_WINDOWS = Part("times", WINDOWS, in_export="windows", default=None)

PARTS: dict[str, list[Part]] = {
    "SpikeData": [
        Part("length", NUMBER, in_workspace="length_ms"),
        Part("start_time", NUMBER),
        _METADATA,
        Part("raw_data", ARRAY, default=np.zeros((0, 0))),
        Part("raw_time", ARRAY, default=np.zeros(0)),
    ],
    "RateData": [
        Part("inst_Frate_data", ARRAY, in_export="rates"),
        Part("times", ARRAY),
        Part("rate_unit", TEXT, default=None),
    ],
    "RateSliceStack": [
        Part("event_stack", ARRAY, in_export="rates"),
        _WINDOWS,
        Part("step_size", NUMBER, in_export="step_ms"),
    ],
    "SpikeSliceStack": [_WINDOWS],
    "PairwiseCompMatrix": [Part("matrix", ARRAY), _LABELS, _METADATA],
    "PairwiseCompMatrixStack": [Part("stack", ARRAY), _LABELS, _WINDOWS, _METADATA],
}
"""The parts of the data classes but spike trains, slices, and attributes of units."""
