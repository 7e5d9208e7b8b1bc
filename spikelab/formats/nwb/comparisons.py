"""Comparisons of pairs of units in NWB: a table with one row for each unit."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import h5py
import numpy as np

from spikelab.formats import h5
from spikelab.formats.base import Loss
from spikelab.formats.nwb import schema
from spikelab.formats.nwb.columns import StoredColumn, read_column
from spikelab.formats.nwb.packing import UnstorableError, stored_column
from spikelab.formats.nwb.parts import Part, check_numbers, rounding_losses, windows_ms
from spikelab.formats.reading import build
from spikelab.spikedata.differences import equal
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.unit_table import Attributes, is_nan

Comparison = PairwiseCompMatrix | PairwiseCompMatrixStack

_TABLE = f"{schema.MODULE}/pairwise_comparison"
_VALUES = "comparison"

_NO_WINDOWS = -1
"""Number of windows of a stack that does not know them."""


class MatrixPart(Part[Comparison]):
    """Each row holds a unit's label, and its values for all units and windows.

    Attributes
    ----------
    array : str
        The attribute of the object that holds the values.
    windows : ndarray or None
        Starts and ends in ms, shape (S, 2); None for a matrix, and where not known.
    labels : StoredColumn or None
        The labels, None if there are none, or no column holds them.
    """

    data_class: ClassVar[type[Comparison]] = PairwiseCompMatrix
    array: ClassVar[str] = "matrix"

    def __init__(self, obj: Comparison) -> None:
        super().__init__(obj)
        check_numbers(self.array, getattr(obj, self.array))
        times = getattr(obj, "times", None)
        self.windows = None if times is None else windows_ms(times)
        self.labels = _labels(obj.labels)

    def losses(self) -> Iterator[Loss]:
        """Yield what the table and the trials do not hold."""
        yield from self._losses_of_labels()
        if self.windows is None:
            return
        times: Any = getattr(self.obj, "times", None)
        if type(times) is not list or set(map(type, times)) - {tuple}:
            text = "times as they are held (they come back as a list of tuples)"
            yield Loss(("times",), text)
        yield from rounding_losses("windows", "times", self.windows)

    def _losses_of_labels(self) -> Iterator[Loss]:
        labels: Any = self.obj.labels
        if labels is None:
            return
        if self.labels is None:
            text = "labels (there are none, or they hold what HDF5 cannot)"
            yield Loss(("labels",), text)
            return
        if not isinstance(labels, list):
            kind = type(labels).__name__
            yield Loss(("labels",), f"labels as {kind} (they come back as a list)")
        pairs = zip(labels, self.labels.values(), strict=True)
        lost = [value for value, back in pairs if not equal(value, back)]
        if lost and all(value is None or is_nan(value) for value in lost):
            text = "which labels are missing (NaN or empty in the file)"
            yield Loss(("labels",), text)
        elif lost:
            yield Loss(("labels",), "the types of labels (they become text)")

    def write(self, file: h5py.File) -> None:
        """Write the table, and a trial for each window."""
        values = getattr(self.obj, self.array)
        schema.module(file)
        what = "Comparison of all pairs of units, one row for each unit."
        names = ["label"] * (self.labels is not None) + [_VALUES]
        table = schema.table(file, _TABLE, np.arange(len(values)), names, what)
        if self.labels is not None:
            self.labels.write(table)
        h5.write_array(table, _VALUES, values)
        what = "The unit compared with every unit, in the order of the rows"
        in_windows = ", in each window, in the order of the trials" * (values.ndim > 2)
        description = f"{what}{in_windows}."
        schema.typed(table[_VALUES], "VectorData", description=description)
        if values.ndim > 2:
            n_windows = _NO_WINDOWS if self.windows is None else len(self.windows)
            table.attrs["n_windows"] = n_windows
        if self.windows is not None:
            schema.write_trials(file, self.windows)

    @classmethod
    def read(cls, file: h5py.File, known: Attributes, metadata: Any) -> Comparison:
        """Return the comparison."""
        table = h5.member(file, _TABLE)
        is_stack = cls.data_class is PairwiseCompMatrixStack
        values = h5.dataset(table, _VALUES, ndim=2 + is_stack, kinds="biuf")[()]
        arguments: dict[str, Any] = {cls.array: values, "metadata": metadata}
        if h5.has_member(table, "label"):
            column = read_column(table, "label", len(values), own=True)
            arguments["labels"] = None if column is None else column.values()
        count = h5.scalar_attributes(table).get("n_windows")
        if is_stack and count != _NO_WINDOWS:
            arguments["times"] = schema.read_trials(file, count)
        return build(cls.data_class, **arguments)


class MatrixStackPart(MatrixPart):
    """The same with one layer for each window."""

    data_class = PairwiseCompMatrixStack
    array = "stack"


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
