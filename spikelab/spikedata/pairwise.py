"""Comparisons of all pairs of units: correlations, latencies, tilings."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelab import validate
from spikelab.spikedata.data_object import DataObject, check_array, fields
from spikelab.spikedata.quantity import in_ms
from spikelab.spikedata.unit_selection import as_indices
from spikelab.spikedata.windows import Window


@dataclass(eq=False, repr=False)
class PairwiseCompMatrix(DataObject):
    """One value for each pair of n units.

    The arguments are stored as they are, without a copy.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        The values; NaN is allowed.
    labels : sequence, optional
        Names of the n units.
    metadata : dict, optional
        How the comparison was made.

    Raises
    ------
    ValueError
        If the matrix is not square, or there is not one label per unit.
    TypeError
        If `matrix` is not a NumPy array, or `metadata` not a dictionary.

    Examples
    --------
    >>> import numpy as np
    >>> from spikelab import PairwiseCompMatrix
    >>> correlation = np.array([[1.0, 0.2], [0.2, 1.0]])
    >>> PairwiseCompMatrix(correlation, labels=["CA1 0", "CA1 1"])
    PairwiseCompMatrix(n=2, metadata=[])
    """

    FIELDS = fields("matrix", "labels", "metadata")

    matrix: NDArray[Any]
    labels: list[Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check()

    def _check(self) -> None:
        check_array("matrix", self.matrix)
        shape = self.matrix.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"matrix must have shape (n, n), got {shape}")
        _check_count("labels", self.labels, shape[0], "row")
        validate.mapping("metadata", self.metadata or {})


@dataclass(eq=False, repr=False)
class PairwiseCompMatrixStack(DataObject):
    """One value for each pair of n units, in each of S windows.

    The arguments are stored as they are, without a copy.

    Parameters
    ----------
    stack : ndarray, shape (n, n, S)
        The values, the windows along the last axis; NaN is allowed.
    labels : sequence, optional
        Names of the n units.
    times : list of tuple, optional
        Start and end of each window in ms; times with a unit are converted.
    metadata : dict, optional
        How the comparison was made.

    Raises
    ------
    ValueError
        If the matrices are not square, or the number of labels or of times
        does not fit.
    TypeError
        If `stack` is not a NumPy array.

    Examples
    --------
    >>> import numpy as np
    >>> from spikelab import PairwiseCompMatrixStack
    >>> stack = np.zeros((2, 2, 3))
    >>> PairwiseCompMatrixStack(stack, times=[(0.0, 5.0), (5.0, 10.0), (10.0, 15.0)])
    PairwiseCompMatrixStack(n=2, S=3, times=0.0 to 15.0 ms, metadata=[])
    """

    FIELDS = fields("stack", "labels", "times", "metadata")

    stack: NDArray[Any]
    labels: list[Any] | None = None
    times: list[Window] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check()

    def _check(self) -> None:
        check_array("stack", self.stack)
        shape = self.stack.shape
        if len(shape) != 3 or shape[0] != shape[1]:
            raise ValueError(f"stack must have shape (n, n, slices), got {shape}")
        _check_count("labels", self.labels, shape[0], "row")
        validate.mapping("metadata", self.metadata or {})
        _check_count("times", self.times, shape[2], "slice")
        windows = [] if self.times is None else list(self.times)
        in_plain_ms = [in_ms("times", window) for window in windows]
        had_unit = [
            new is not old for new, old in zip(in_plain_ms, windows, strict=True)
        ]
        if any(had_unit):
            self.times = [tuple(window) for window in in_plain_ms]

    def __len__(self) -> int:
        return int(self.stack.shape[2])

    def __iter__(self) -> Iterator[PairwiseCompMatrix]:
        return (self._matrix(i) for i in range(len(self)))

    def __getitem__(self, index: Any) -> "PairwiseCompMatrix | PairwiseCompMatrixStack":
        """Return one matrix, or a stack of several.

        Parameters
        ----------
        index : int, slice, list of int, or mask
            For an integer, the matrix shares its values with the stack, and its
            metadata tell ``stack_index`` and, if known, ``time``. A slice, list
            or mask gives a stack, in the order asked for.
        """
        if isinstance(index, slice):
            return self._chosen(index)
        if np.ndim(index) == 0:
            (position,) = self._positions("index", index)
            return self._matrix(position)
        return self.subslice(index)

    def subslice(self, indices: Any) -> "PairwiseCompMatrixStack":
        """Return a stack of the chosen matrices, in the order asked for.

        Parameters
        ----------
        indices : int, iterable of int, or mask
            Positions along the last axis; negative ones count from the end.

        Examples
        --------
        >>> import numpy as np
        >>> from spikelab import PairwiseCompMatrixStack
        >>> PairwiseCompMatrixStack(np.zeros((2, 2, 3))).subslice([0, 2])
        PairwiseCompMatrixStack(n=2, S=2, metadata=[])
        """
        return self._chosen(self._positions("indices", indices))

    def _positions(self, name: str, indices: Any) -> list[int]:
        return as_indices(name, indices, len(self), from_end=True, error=IndexError)

    def _matrix(self, position: int) -> PairwiseCompMatrix:
        metadata = {**(self.metadata or {}), "stack_index": position}
        if self.times is not None:
            metadata["time"] = self.times[position]
        return PairwiseCompMatrix(self.stack[..., position], self.labels, metadata)

    def _chosen(self, index: slice | list[int]) -> "PairwiseCompMatrixStack":
        times = None
        if self.times is not None:
            times = [self.times[i] for i in np.arange(len(self))[index]]
        metadata = dict(self.metadata or {})
        return PairwiseCompMatrixStack(
            self.stack[..., index], self.labels, times, metadata
        )


def _check_count(name: str, values: Any, count: int, what: str) -> None:
    if values is not None and len(values) != count:
        raise ValueError(
            f"{name} must hold one entry per {what} ({count}), got {len(values)}"
        )
