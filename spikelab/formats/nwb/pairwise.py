"""Comparisons of pairs of units in NWB: a table with one row for each unit."""

from collections.abc import Iterable
from typing import Any

import h5py
import numpy as np

from spikelab import comparison
from spikelab.formats import h5
from spikelab.formats.nwb import attributes as nwb_attributes
from spikelab.formats.nwb import columns as nwb_columns
from spikelab.formats.nwb import parts as nwb_parts
from spikelab.formats.nwb import rates as nwb_rates
from spikelab.formats.nwb import series as nwb_series
from spikelab.formats.nwb import tables as nwb_tables
from spikelab.formats.nwb import trials as nwb_trials
from spikelab.formats.nwb import units as nwb_units
from spikelab.kinds import Contents

_NAME = "pairwise_comparison"
_VALUES = "comparison"
_TABLE = f"{nwb_series.MODULE}/{_NAME}"


_NONE = -1
"""Number of windows of a stack that does not know them."""


class Comparison(nwb_parts.Part):
    """Each row holds a unit's label and its row of the matrix."""

    kind = "PairwiseCompMatrix"
    is_read = True
    array = "matrix"
    what = "The unit compared with every unit, in the order of the rows."

    def check(self, obj: Any) -> None:
        """Raise ValueError for what is not a real number."""
        nwb_rates.check_numbers(self.array, getattr(obj, self.array))

    def identifier(self, obj: Any) -> str:
        """Return a text made from values and labels."""
        labels = _labels(obj)
        return nwb_rates.identifier_of(
            getattr(obj, self.array), *(() if labels is None else labels.content())
        )

    def attributes(self, obj: Any) -> nwb_units.Attributes:
        """Return None: comparisons know units by their labels only."""
        return None

    def losses(self, obj: Any) -> list[str]:
        """Return what the table does not hold."""
        lost = ["metadata (NWB has no place for it)"] if obj.metadata else []
        if obj.labels is None:
            return lost
        if _labels(obj) is None:
            return [*lost, "labels (there are none, or they hold what HDF5 cannot)"]
        if not isinstance(obj.labels, list):
            kind = type(obj.labels).__name__
            lost.append(f"labels as {kind} (they come back as a list)")
        columns = _columns(obj.labels)
        if not columns.stored:
            lost.append("the types of labels (they become text)")
        if columns.blurred:
            lost.append("which labels are missing (NaN or empty in the file)")
        return lost

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write the table."""
        values = np.asarray(getattr(obj, self.array))
        labels = _labels(obj)
        names = ([] if labels is None else ["label"]) + [_VALUES]
        group = nwb_tables.table(
            nwb_series.module(file),
            _NAME,
            np.arange(len(values)),
            names,
            "Comparison of all pairs of units, one row for each unit.",
        )
        if labels is not None:
            nwb_tables.write_column(group, labels)
        created = group.create_dataset(_VALUES, data=values)
        nwb_tables.typed(
            created, "VectorData", nwb_tables.COMMON, description=self.what
        )

    def read(self, file: h5py.File) -> dict[str, Any]:
        """Return values and labels."""
        group = h5.member(file, _TABLE)
        ndim = {"matrix": 2, "stack": 3}[self.array]
        data = h5.dataset(group, _VALUES, ndim=ndim, kinds="biuf")
        labels = None
        if h5.has_member(group, "label"):
            column = nwb_tables.read_column(
                "label", h5.member(group, "label"), None, len(data), own=True
            )
            labels = None if column is None else column.values()
        return {self.array: nwb_tables.values(data), "labels": labels}

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare values and labels."""
        read, labels = contents.arguments, _labels(obj)
        found = []
        if not nwb_rates.same_numbers(getattr(obj, self.array), read[self.array]):
            found.append(f"{self.array} differs")
        written = None if labels is None else labels.values()
        if not comparison.same(read["labels"], written):
            found.append("labels differ")
        return found


class Comparisons(Comparison):
    """As one comparison, with a third axis; each window is a trial."""

    kind = "PairwiseCompMatrixStack"
    array = "stack"
    what = (
        "The unit compared with every unit, in the order of the rows, "
        "in each window, in the order of the trials."
    )

    def check(self, obj: Any) -> None:
        """Raise ValueError for what is no real number, or windows that are none."""
        super().check(obj)
        if obj.times is not None:
            nwb_trials.windows_ms(obj.times)

    def losses(self, obj: Any) -> list[str]:
        """Return what the table and the trials do not hold."""
        lost = super().losses(obj)
        if obj.times is None:
            return lost
        if type(obj.times) is not list or any(type(w) is not tuple for w in obj.times):
            lost.append("times as they are held (they come back as a list of tuples)")
        return lost + nwb_parts.moved("windows", [*nwb_trials.windows_ms(obj.times)])

    def write(self, file: h5py.File, obj: Any, table: nwb_units.UnitsTable) -> None:
        """Write table and trials."""
        super().write(file, obj, table)
        file[_TABLE].attrs["n_windows"] = _NONE if obj.times is None else len(obj.times)
        if obj.times is not None:
            nwb_trials.write(file, nwb_trials.windows_ms(obj.times))

    def read(self, file: h5py.File) -> dict[str, Any]:
        """Return values, labels and windows."""
        notes = h5.scalar_attributes(h5.member(file, _TABLE))
        count = notes.get("n_windows")
        windows = None if count == _NONE else nwb_trials.read(file, count)
        return {**super().read(file), "times": windows}

    def differences(self, obj: Any, contents: Contents) -> list[str]:
        """Compare values, labels and windows."""
        windows = None if obj.times is None else nwb_trials.windows_ms(obj.times)
        differ = nwb_trials.differ(windows, contents.arguments["times"])
        return super().differences(obj, contents) + ["windows differ"] * differ


def _labels(obj: Any) -> nwb_columns.Column | None:
    """Return the labels as a column; those of several types as text."""
    if obj.labels is None or not len(obj.labels):
        return None
    for labels in (obj.labels, list(map(str, obj.labels))):
        columns = _columns(labels)
        if columns.stored:
            return columns.stored[0]
    return None


def _columns(labels: Iterable[Any]) -> nwb_attributes.Columns:
    return nwb_attributes.columns_of([{"label": label} for label in labels])
