"""What is known about the units, as a table: the one answer for all formats."""

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import attrs
import numpy as np

Attributes = list[dict[str, Any]] | None
"""One dictionary per unit, or None if nothing is known about any."""

MISSING: Any = object()
"""The value of a unit that does not have the attribute."""

ELECTRODE_KEYS = ("electrode", "channel", "ch")
"""Attributes that hold the electrode of a unit; the first that it has counts."""

LABEL_KEYS = ("group", "quality")
"""Attributes that hold the label of a unit, such as "good" or "mua"."""

ID_KEYS = ("unit_id", "cluster_id", "si_unit_id")
"""Attributes that hold the number or name of a unit in another program."""

Kind = Literal["bool", "int", "float", "str", "array", "object", "empty"]

_TYPES: tuple[tuple[Kind, Any], ...] = (
    ("str", str),
    ("bool", (bool, np.bool_)),
    ("object", np.timedelta64),  # an integer of NumPy too
    ("int", (int, np.integer)),
    ("float", (float, np.floating)),
    ("array", (np.ndarray, list, tuple)),
)


@attrs.frozen(eq=False, slots=False)
class Column:
    """One attribute of all units.

    Parameters
    ----------
    key : hashable
        Name of the attribute in ``neuron_attributes``.
    values : list
        The value of each unit, `MISSING` where it has none.
    """

    key: Any
    values: list[Any]

    @cached_property
    def known(self) -> dict[int, Any]:
        """The values that are there, by unit: not `MISSING`, None or a lone NaN.

        NaN is a value among numbers, and a missing one among str and bool, as pandas
        writes it.
        """
        units = enumerate(self.values)
        known = {u: v for u, v in units if v is not MISSING and v is not None}
        not_nan = {unit: value for unit, value in known.items() if not is_nan(value)}
        are_words = all(isinstance(v, str | bool | np.bool_) for v in not_nan.values())
        return not_nan if not_nan and are_words else known

    @cached_property
    def kind(self) -> Kind:
        """The type that all known values have.

        ``"int"`` if all are integers, ``"float"`` if all are real numbers, ``"array"``
        if all are arrays, lists or tuples, ``"object"`` for mixtures and other types,
        ``"empty"`` if no value is known.
        """
        kinds = {_kind_of(value) for value in self.known.values()}
        if not kinds:
            return "empty"
        if kinds == {"int", "float"}:
            return "float"
        return kinds.pop() if len(kinds) == 1 else "object"

    @property
    def is_complete(self) -> bool:
        """Whether every unit has a value."""
        return len(self.known) == len(self.values)


class UnitTable:
    """What is known about N units: one column per attribute, and what they mean.

    Parameters
    ----------
    neuron_attributes : sequence of dict or None
        What is known about each unit.
    n_units : int
        Number of units, N.

    Attributes
    ----------
    columns : dict of Column
        The attributes by key, in the order of their first appearance.
    """

    def __init__(
        self, neuron_attributes: Sequence[Mapping[Any, Any]] | None, n_units: int
    ) -> None:
        self.rows: Sequence[Mapping[Any, Any]] = neuron_attributes or [{}] * n_units
        keys = dict.fromkeys(itertools.chain.from_iterable(self.rows))
        self.columns = {
            key: Column(key, [row.get(key, MISSING) for row in self.rows])
            for key in keys
        }

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def electrodes(self) -> list[Any]:
        """The electrode of each unit, None where it is not known.

        From the first of `ELECTRODE_KEYS` that the unit has: an int, a str, or a list
        of these if the unit was recorded with several. Whole floats become int.
        """
        if self.columns.keys().isdisjoint(ELECTRODE_KEYS):
            return [None] * len(self)
        return [_electrode(row) for row in self.rows]

    @cached_property
    def electrode_numbers(self) -> list[int] | None:
        """The electrode of each unit as int64, None if any has no such number."""
        are_int64 = (type(e) is int and -(2**63) <= e < 2**63 for e in self.electrodes)
        return self.electrodes if self.rows and all(are_int64) else None

    @cached_property
    def locations(self) -> list[tuple[float, ...] | None]:
        """Where each unit lies, None where it is not known.

        One to three finite coordinates, x first: from the attribute ``location``, from
        ``x``, ``y`` and ``z``, or from ``position``, in this order.
        """
        return [_location(row) for row in self.rows]

    @cached_property
    def brain_areas(self) -> list[str | list[str] | None]:
        """The brain area of each unit, None where it is not known.

        From the attribute ``brain_area``, or from a ``location`` that is a str. A list
        holds the area of each electrode, in the order of the electrodes of the unit.
        """
        return [_brain_area(row) for row in self.rows]

    @cached_property
    def label_key(self) -> str | None:
        """The first of `LABEL_KEYS` whose known values are all str, None if none is."""
        return next((key for key in LABEL_KEYS if self._kind(key) == "str"), None)

    @cached_property
    def labels(self) -> list[str | None]:
        """The label of each unit, None where it is missing or blank."""
        if self.label_key is None:
            return [None] * len(self)
        known = self.columns[self.label_key].known
        labels = [str(known.get(unit, "")) for unit in range(len(self))]
        return [label if label.strip() else None for label in labels]

    @cached_property
    def id_key(self) -> str | None:
        """The first of `ID_KEYS` that has a distinct int or str for every unit."""
        return next((key for key in ID_KEYS if self.is_id(key)), None)

    @cached_property
    def unit_ids(self) -> list[Any] | None:
        """The distinct ids of the units (all int or all str), None without any."""
        if self.id_key is None:
            return None
        column = self.columns[self.id_key]
        return [str(v) if column.kind == "str" else int(v) for v in column.values]

    def _kind(self, key: str) -> Kind:
        return self.columns[key].kind if key in self.columns else "empty"

    def is_id(self, key: str) -> bool:
        """Return whether an attribute is a distinct int or str for every unit."""
        if self._kind(key) not in ("int", "str"):
            return False
        column = self.columns[key]
        return column.is_complete and len(set(column.values)) == len(self)


def is_nan(value: Any) -> bool:
    """Return whether a value is the float NaN."""
    return isinstance(value, float | np.floating) and bool(value != value)


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or pandas' NA or NaT."""
    named = type(value).__name__ in ("NAType", "NaTType")
    return value is None or named or is_nan(value)


def _kind_of(value: Any) -> Kind:
    return next((kind for kind, types in _TYPES if isinstance(value, types)), "object")


def _electrode(row: Mapping[Any, Any]) -> Any:
    for key in ELECTRODE_KEYS:
        value = row.get(key)
        if value is None or is_nan(value):
            continue
        if not isinstance(value, np.ndarray | list | tuple):
            return _int_if_whole(value)
        several = [_int_if_whole(x) for x in np.asarray(value, dtype=object).ravel()]
        return several[0] if len(several) == 1 else several
    return None


def _int_if_whole(value: Any) -> Any:
    """Return a Python int for a whole number, anything else as it is."""
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    return value


def _location(row: Mapping[Any, Any]) -> tuple[float, ...] | None:
    axes = list(itertools.takewhile(lambda x: x is not None, map(row.get, "xyz")))
    for value in (row.get("location"), axes or None, row.get("position")):
        if value is not None and (place := _coordinates(value)) is not None:
            return place
    return None


def _coordinates(value: Any) -> tuple[float, ...] | None:
    """Return one to three finite coordinates, None for anything else."""
    try:
        given = np.atleast_1d(np.asarray(value))
    except ValueError:  # lists nested unevenly
        return None
    # A location may also be the name of a brain area.
    if given.dtype.kind not in "iuf" or given.ndim != 1 or not 1 <= given.size <= 3:
        return None
    place = given.astype(np.float64)
    return tuple(place.tolist()) if np.all(np.isfinite(place)) else None


def _brain_area(row: Mapping[Any, Any]) -> str | list[str] | None:
    for key in ("brain_area", "location"):
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return str(value)
        if isinstance(value, np.ndarray | list | tuple):
            several = np.asarray(value, dtype=object).ravel().tolist()
            if several and all(isinstance(area, str) for area in several):
                return several
    return None
