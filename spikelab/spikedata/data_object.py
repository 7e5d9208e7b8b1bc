"""What the six data classes have in common."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikelab.errors import warn
from spikelab.spikedata.export_mixin import ExportMixin
from spikelab.spikedata.foreign import instead_of
from spikelab.spikedata.look_mixin import LookMixin
from spikelab.spikedata.unit_selection import as_indices, is_one_value, units_with
from spikelab.spikedata.unit_table import Attributes, UnitTable

DATA_CLASSES: dict[str, type["DataObject"]] = {}
"""The six data classes by name."""


def fields(*names: str, **others: str) -> Mapping[str, str]:
    """Return, for arguments of a constructor, the attribute that holds each.

    `names` are both, `others` are arguments whose attribute has another name.
    """
    return {**others, **{name: name for name in names}}


class DataObject(LookMixin, ExportMixin):
    """Base of the data classes: what they are made of, equality, and pickling."""

    FIELDS: ClassVar[Mapping[str, str]] = {}
    """For each argument of the constructor, the attribute that holds it."""

    _FIXED_ARGUMENTS: ClassVar[Mapping[str, Any]] = {}
    """What else the constructor must be given to make an equal object."""

    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # A class that a user derives from a data class has none of its own.
        if "FIELDS" in vars(cls):
            DATA_CLASSES[cls.__name__] = cls
        if "__init__" in vars(cls):
            # What `help` shows first; the types are in the docstring, in words.
            _, *shown = inspect.signature(vars(cls)["__init__"]).parameters.values()
            untyped = [p.replace(annotation=inspect.Parameter.empty) for p in shown]
            cls.__signature__ = inspect.Signature(untyped)

    def arguments(self) -> dict[str, Any]:
        """Return the constructor's arguments that make an equal object."""
        cls = data_class(self)
        held = {name: getattr(self, held_in) for name, held_in in cls.FIELDS.items()}
        return {**cls._FIXED_ARGUMENTS, **held}

    def _replaced(self, **changes: Any) -> Self:
        """Return an object of the same data class with other arguments."""
        cls: Any = data_class(self)
        made: Self = cls(**{**self.arguments(), **changes})
        return made

    def check(self) -> None:
        """Raise if the object was changed so that its constructor would refuse it.

        Constructors end with it, exports begin with it. Spike times that were changed
        are sorted; a list of arrays that was assigned to `train` becomes spike trains.

        Raises
        ------
        TypeError
            If a part is of the wrong type.
        ValueError
            If parts do not fit together, or a value is out of its range.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[12.5, 430.0]], length=1000.0)
        >>> sd.length = -1.0
        >>> sd.check()
        Traceback (most recent call last):
            ...
        ValueError: length must not be negative, got -1.0
        """
        self._check()

    def _check(self) -> None:
        """Raise as :meth:`check` says; each class has its own rules."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataObject):
            return NotImplemented
        # Differences are those between data classes, which are made of this one.
        from spikelab.spikedata.differences import compare

        return next(compare(self, other), None) is None

    __hash__ = None  # type: ignore[assignment] # objects can change

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Make the object again from its attributes, as copy and pickle ask for it."""
        cls: Any = data_class(self)
        known = {
            name: state[held_in]
            for name, held_in in cls.FIELDS.items()
            if held_in in state
        }
        cls.__init__(self, **cls._FIXED_ARGUMENTS, **known)
        # Attributes of the user's own come back too, but hide no method of the class.
        for name, value in state.items():
            if name not in vars(self) and not hasattr(cls, name):
                vars(self)[name] = value


class UnitObject(DataObject):
    """Base of the data classes that have attributes for each of their N units."""

    neuron_attributes: Attributes

    N: int
    """Number of units."""

    @property
    def unit_table(self) -> UnitTable:
        """What is known about the units, as a table.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [2.0]], neuron_attributes=[{"quality": "good"}, {}])
        >>> sd.unit_table.labels
        ['good', None]
        """
        return UnitTable(self.neuron_attributes, self.N)

    @property
    def electrodes(self) -> NDArray[Any] | None:
        """Electrode of each unit, shape (N,), or None if any is unknown.

        Taken from the attribute ``electrode``, ``channel`` or ``ch``. Where a unit has
        several, the array holds objects, and for that unit a list.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> known = [{"electrode": 4}, {"electrode": 7}]
        >>> SpikeData([[1.0], [2.0]], neuron_attributes=known).electrodes
        array([4, 7])
        """
        electrodes = self.unit_table.electrodes
        if not electrodes or any(electrode is None for electrode in electrodes):
            return None
        if not any(isinstance(electrode, list) for electrode in electrodes):
            return np.array(electrodes)
        several = np.empty(len(electrodes), dtype=object)
        several[:] = electrodes
        return several

    @property
    def unit_locations(self) -> NDArray[Any] | None:
        """Location of each unit, shape (N, 1 to 3), or None if any is unknown.

        Taken from the attribute ``location``, from ``x`` and maybe ``y`` and ``z``, or
        from ``position``, in this order. A single number is x. Raises ValueError if
        units differ in the number of coordinates.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> where = [{"location": [0.0, 20.0]}, {"x": 0.0, "y": 60.0}]
        >>> SpikeData([[1.0], [2.0]], neuron_attributes=where).unit_locations
        array([[ 0., 20.],
               [ 0., 60.]])
        """
        locations = self.unit_table.locations
        known = [location for location in locations if location is not None]
        if not known or len(known) < len(locations):
            return None
        sizes = {len(location) for location in known}
        if len(sizes) > 1:
            raise ValueError(
                f"locations must have the same number of coordinates for all units, "
                f"got {sorted(sizes)}"
            )
        return np.array(known)

    def get_neuron_attribute(self, key: str, default: Any = None) -> list[Any]:
        """Return the attribute `key` of each unit, `default` where it has none.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [2.0]], neuron_attributes=[{"quality": "good"}, {}])
        >>> sd.get_neuron_attribute("quality", default="unsorted")
        ['good', 'unsorted']
        """
        rows = self.neuron_attributes or [{}] * self.N
        return [row.get(key, default) for row in rows]

    def set_neuron_attribute(
        self, key: str, values: Any, neuron_indices: Sequence[int] | None = None
    ) -> None:
        """Set the attribute `key` of all or the named units, in place.

        Parameters
        ----------
        key : str
            Name of the attribute.
        values : object or sequence
            One value for all units (a scalar, a string or a dictionary), or a
            sequence of one for each.
        neuron_indices : sequence of int, optional
            The units, negative ones from the end; by default all.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> sd = SpikeData([[1.0], [2.0]])
        >>> sd.set_neuron_attribute("area", ["CA1", "CA3"])
        >>> sd.neuron_attributes
        [{'area': 'CA1'}, {'area': 'CA3'}]
        """
        units: Sequence[int] = range(self.N)
        if neuron_indices is not None:
            units = as_indices(
                "neuron_indices",
                neuron_indices,
                self.N,
                from_end=True,
                error=IndexError,
            )
        each = [values] * len(units) if is_one_value(values) else list(values)
        if len(each) != len(units):
            raise ValueError(
                f"values must hold one value per unit, got {len(each)} for {len(units)}"
            )
        if self.neuron_attributes is None:
            self.neuron_attributes = [{} for _ in range(self.N)]
        for unit, value in zip(units, each, strict=True):
            self.neuron_attributes[unit][key] = value

    def _check_attributes(self, n_units: int) -> None:
        """Raise if attributes are not one dictionary per unit."""
        if not isinstance(self.neuron_attributes, list):
            self.neuron_attributes = attribute_rows(self.neuron_attributes)
        rows = self.neuron_attributes
        if rows is None:
            return
        if len(rows) != n_units:
            raise ValueError(
                f"neuron_attributes must hold one dictionary per unit, "
                f"got {len(rows)} for {n_units} units"
            )
        for unit, row in enumerate(rows):
            if not isinstance(row, dict):
                raise TypeError(
                    f"unit {unit}: neuron_attributes must be a dictionary, got {row!r}"
                )

    def subset(
        self, units: Any, by: str | None = None, preserve_order: bool = False
    ) -> Self:
        """Return the object with the chosen units only, each once; all else stays.

        Parameters
        ----------
        units : int, iterable of int, mask, or attribute value(s)
            The units, or, with `by`, the values of that attribute to look for.
        by : str, optional
            Name of an attribute of ``neuron_attributes``.
        preserve_order : bool
            Keep the order of `units`; by default the units stay in their order.

        Returns
        -------
        data object
            Of the same class. Arrays are copied, the dictionaries of the units not.

        Raises
        ------
        ValueError
            If there is no such unit, or `by` is given and no unit has attributes.
        TypeError
            If `units` are neither integers nor a mask, and `by` is not given.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> labels = [{"quality": "good"}, {"quality": "mua"}]
        >>> sd = SpikeData([[12.5, 430.0], [77.0]], neuron_attributes=labels)
        >>> sd.subset("good", by="quality")
        SpikeData(N=1, spikes=2, window=0.0 to 430.0 ms)
        """
        rows = self.neuron_attributes
        if by is None:
            chosen = list(dict.fromkeys(as_indices("units", units, self.N)))
            if not preserve_order:
                chosen.sort()
        else:
            if preserve_order:
                warn(
                    f"preserve_order=True has no effect with by={by!r}: units that "
                    f"match keep the order that they have",
                )
            chosen = units_with(units, rows, by)
        chosen_rows = None if rows is None else [rows[unit] for unit in chosen]
        return self._replaced(**self._units(chosen), neuron_attributes=chosen_rows)

    def _units(self, chosen: list[int]) -> dict[str, Any]:
        """Return the constructor's argument that holds the units, with these only."""
        raise NotImplementedError


class SliceStack(UnitObject):
    """Base of the data classes that have slices of a recording in S windows."""

    times: list[tuple[float, float]]

    def __len__(self) -> int:
        return len(self.times)

    def subslice(self, slices: Any) -> Self:
        """Return the stack of the chosen slices, each once, in their order.

        Parameters
        ----------
        slices : int, iterable of int, or mask
            Positions of the slices; negative ones count from the end.

        Raises
        ------
        ValueError
            If there is no such slice, or none is chosen.

        Examples
        --------
        >>> from spikelab import SpikeData
        >>> SpikeData([[12.5, 730.0]], length=1000.0).frames(500).subslice([1])
        SpikeSliceStack(N=1, S=1, spikes=1, times=500.0 to 1000.0 ms)
        """
        indices = as_indices("slices", slices, len(self), from_end=True)
        if not indices:
            raise ValueError("slices must name at least one slice, got none")
        chosen = sorted({index % len(self) for index in indices})
        times = [self.times[i] for i in chosen]
        return self._replaced(**self._slices(chosen), times_start_to_end=times)

    def _slices(self, chosen: list[int]) -> dict[str, Any]:
        """Return the constructor's argument that holds the slices, with these only."""
        raise NotImplementedError


def attribute_rows(neuron_attributes: Any) -> Attributes:
    """Return what is known about the units in a list of its own."""
    if neuron_attributes is None:
        return None
    if is_one_value(neuron_attributes):
        got = f"{neuron_attributes!r:.80}"
    else:
        got = instead_of(neuron_attributes, "to_dict('records') returns them")
    if got:
        raise TypeError(
            f"neuron_attributes must be a list of dictionaries, one per unit, got {got}"
        )
    return list(neuron_attributes)


def check_array(name: str, value: Any) -> None:
    """Raise TypeError, which says what to call instead, for what is no array."""
    if not isinstance(value, np.ndarray):
        got = instead_of(value) or type(value).__name__
        raise TypeError(f"{name} must be a numpy array, got {got}")


def data_class(obj: object) -> type[DataObject]:
    """Return which of the six data classes an object is of, or is derived from.

    Raises
    ------
    TypeError
        If it is of none.
    """
    for cls in type(obj).__mro__:
        if cls in DATA_CLASSES.values():
            return cls
    got = type(obj).__name__
    if not isinstance(obj, Mapping):  # whose values it would name
        got = instead_of(obj) or got
    raise TypeError(
        f"Expected a spikelab data object ({', '.join(DATA_CLASSES)}), got {got}"
    )
