"""Comparisons of pairs of units in NWB: a table with one row for each unit."""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import h5py
import numpy as np
from numpy.typing import NDArray

from spikelab.formats import h5
from spikelab.formats.base import Loss
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.column_packing import UnstorableError, stored_column
from spikelab.formats.nwb.object_part import (
    ObjectPart,
    check_numbers,
    rounding_losses,
    windows_ms,
)
from spikelab.formats.nwb.unit_columns import StoredColumn, read_column, write_column
from spikelab.formats.reading import build
from spikelab.spikedata.differences import equal
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.unit_table import Attributes, is_nan

Comparison = PairwiseCompMatrix | PairwiseCompMatrixStack

_TABLE = f"{schema.MODULE}/pairwise_comparison"
_VALUES = "comparison"

_NONE = -1
"""Number of windows of a stack that does not know them."""


@attrs.frozen
class PairwisePart(ObjectPart[Comparison]):
    """Each row holds a unit's label, and its values for all units and windows.

    Parameters
    ----------
    cls : type
        The data class.
    array : str
        The attribute that holds the values.
    """

    cls: type[Comparison]
    array: str

    def check(self, obj: Comparison) -> None:
        """Raise ValueError for what is no real number, or windows that are none."""
        check_numbers(self.array, getattr(obj, self.array))
        _windows(obj)

    def losses(self, obj: Comparison) -> Iterator[Loss]:
        """Yield what the table and the trials do not hold."""
        yield from _losses_of_labels(obj.labels)
        times, windows = getattr(obj, "times", None), _windows(obj)
        if windows is None:
            return
        if type(times) is not list or any(
            type(window) is not tuple for window in times
        ):
            text = "times as they are held (they come back as a list of tuples)"
            yield Loss(("times",), text)
        yield from rounding_losses("windows", "times", windows)

    def write(self, file: h5py.File, obj: Comparison) -> None:
        """Write the table, and a trial for each window."""
        values, column = getattr(obj, self.array), _labels(obj.labels)
        table = schema.table(
            schema.module(file),
            _TABLE.rsplit("/", 1)[-1],
            np.arange(len(values)),
            ["label"] * (column is not None) + [_VALUES],
            "Comparison of all pairs of units, one row for each unit.",
        )
        if column is not None:
            write_column(table, column)
        h5.write_array(table, _VALUES, values)
        what = "The unit compared with every unit, in the order of the rows"
        in_windows = ", in each window, in the order of the trials" * (values.ndim > 2)
        what = f"{what}{in_windows}."
        schema.typed(table[_VALUES], "VectorData", schema.COMMON, description=what)
        windows = _windows(obj)
        if values.ndim > 2:
            table.attrs["n_windows"] = _NONE if windows is None else len(windows)
        if windows is not None:
            schema.write_trials(file, windows)

    def read(self, file: h5py.File, known: Attributes, metadata: Any) -> Comparison:
        """Return the comparison."""
        table = h5.member(file, _TABLE)
        is_stack = self.cls is PairwiseCompMatrixStack
        values = h5.dataset(table, _VALUES, ndim=2 + is_stack, kinds="biuf")[()]
        arguments: dict[str, Any] = {self.array: values, "metadata": metadata}
        if h5.has_member(table, "label"):
            column = read_column(table, "label", len(values), own=True)
            arguments["labels"] = None if column is None else column.values()
        count = h5.scalar_attributes(table).get("n_windows")
        if is_stack and count != _NONE:
            arguments["times"] = schema.read_trials(file, count)
        return build(self.cls, **arguments)


def _windows(obj: Comparison) -> NDArray[np.float64] | None:
    """Return the windows in ms, None if the object has none or does not know them."""
    times = getattr(obj, "times", None)
    return None if times is None else windows_ms(times)


def _labels(labels: Sequence[Any] | None) -> StoredColumn | None:
    """Return the labels as a column; those of several types as text."""
    if labels is None or not len(labels):
        return None
    for values in (list(labels), list(map(str, labels))):
        try:
            return stored_column("label", "label", values)
        except UnstorableError:
            continue
    return None


def _losses_of_labels(labels: Any) -> Iterator[Loss]:
    if labels is None:
        return
    column = _labels(labels)
    if column is None:
        text = "labels (there are none, or they hold what HDF5 cannot)"
        yield Loss(("labels",), text)
        return
    if not isinstance(labels, list):
        kind = type(labels).__name__
        yield Loss(("labels",), f"labels as {kind} (they come back as a list)")
    pairs = zip(labels, column.values(), strict=True)
    lost = [value for value, back in pairs if not equal(value, back)]
    if lost and all(value is None or is_nan(value) for value in lost):
        text = "which labels are missing (NaN or empty in the file)"
        yield Loss(("labels",), text)
    elif lost:
        yield Loss(("labels",), "the types of labels (they become text)")
