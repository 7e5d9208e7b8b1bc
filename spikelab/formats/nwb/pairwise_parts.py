"""Comparisons of pairs of units in NWB: a table with one row for each unit."""

from collections.abc import Iterator, Sequence
from typing import Any

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

_TABLE = f"{schema.MODULE}/pairwise_comparison"
_VALUES = "comparison"

_NONE = -1
"""Number of windows of a stack that does not know them."""


class MatrixPart(ObjectPart[PairwiseCompMatrix]):
    """Each row holds a unit's label and its row of the matrix."""

    cls = PairwiseCompMatrix

    def check(self, obj: PairwiseCompMatrix) -> None:
        """Raise ValueError for what is not a real number."""
        check_numbers("matrix", obj.matrix)

    def content(self, obj: PairwiseCompMatrix) -> list[Any]:
        """Return values and labels."""
        return [obj.matrix, repr(obj.labels)]

    def losses(self, obj: PairwiseCompMatrix) -> Iterator[Loss]:
        """Yield what the table does not hold."""
        yield from _losses_of_labels(obj.labels)

    def largest_ms(self, obj: PairwiseCompMatrix) -> float:
        """Return 0: there are no times."""
        return 0.0

    def write(self, file: h5py.File, obj: PairwiseCompMatrix) -> None:
        """Write the table."""
        what = "The unit compared with every unit, in the order of the rows."
        _write_table(file, obj.matrix, obj.labels, what)

    def read(
        self, file: h5py.File, known: Attributes, metadata: Any
    ) -> PairwiseCompMatrix:
        """Return the comparison."""
        matrix = h5.dataset(file, f"{_TABLE}/{_VALUES}", ndim=2, kinds="biuf")[()]
        labels = _read_labels(file, len(matrix))
        return build(
            PairwiseCompMatrix, matrix=matrix, labels=labels, metadata=metadata
        )


class MatricesPart(ObjectPart[PairwiseCompMatrixStack]):
    """As one comparison, with a third axis; each window is a trial."""

    cls = PairwiseCompMatrixStack

    def check(self, obj: PairwiseCompMatrixStack) -> None:
        """Raise ValueError for what is no real number, or windows that are none."""
        check_numbers("stack", obj.stack)
        if obj.times is not None:
            windows_ms(obj.times)

    def content(self, obj: PairwiseCompMatrixStack) -> list[Any]:
        """Return values, labels and windows."""
        return [obj.stack, repr(obj.labels), [] if obj.times is None else obj.times]

    def losses(self, obj: PairwiseCompMatrixStack) -> Iterator[Loss]:
        """Yield what the table and the trials do not hold."""
        yield from _losses_of_labels(obj.labels)
        if obj.times is None:
            return
        if type(obj.times) is not list or any(type(w) is not tuple for w in obj.times):
            text = "times as they are held (they come back as a list of tuples)"
            yield Loss(("times",), text)
        yield from rounding_losses("windows", "times", windows_ms(obj.times))

    def largest_ms(self, obj: PairwiseCompMatrixStack) -> float:
        """Return the largest magnitude among the windows."""
        windows = windows_ms([] if obj.times is None else obj.times)
        return float(np.abs(windows).max(initial=0.0))

    def write(self, file: h5py.File, obj: PairwiseCompMatrixStack) -> None:
        """Write table and trials."""
        what = (
            "The unit compared with every unit, in the order of the rows, "
            "in each window, in the order of the trials."
        )
        table = _write_table(file, obj.stack, obj.labels, what)
        table.attrs["n_windows"] = _NONE if obj.times is None else len(obj.times)
        if obj.times is not None:
            schema.write_trials(file, windows_ms(obj.times))

    def read(
        self, file: h5py.File, known: Attributes, metadata: Any
    ) -> PairwiseCompMatrixStack:
        """Return the comparisons."""
        stack = h5.dataset(file, f"{_TABLE}/{_VALUES}", ndim=3, kinds="biuf")[()]
        count = h5.scalar_attributes(h5.member(file, _TABLE)).get("n_windows")
        return build(
            PairwiseCompMatrixStack,
            stack=stack,
            labels=_read_labels(file, len(stack)),
            times=None if count == _NONE else schema.read_trials(file, count),
            metadata=metadata,
        )


def _write_table(
    file: h5py.File, values: NDArray[Any], labels: Any, what: str
) -> h5py.Group:
    column = _labels(labels)
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
    schema.typed(table[_VALUES], "VectorData", schema.COMMON, description=what)
    return table


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


def _read_labels(file: h5py.File, n_units: int) -> list[Any] | None:
    table = h5.member(file, _TABLE)
    if not h5.has_member(table, "label"):
        return None
    column = read_column(table, "label", n_units, own=True)
    return None if column is None else column.values()


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
