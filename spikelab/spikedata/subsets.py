"""The choice of units, the same for every class that has units."""

import abc
from typing import Any, Generic, TypeVar

from spikelab.spikedata import attributes
from spikelab.spikedata.attributes import Attributes

_Chosen = TypeVar("_Chosen")


class UnitSubsets(abc.ABC, Generic[_Chosen]):
    """The method of a class with units that chooses among them."""

    N: int
    neuron_attributes: Attributes

    def subset(
        self, units: Any, by: str | None = None, preserve_order: bool = False
    ) -> _Chosen:
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
        """
        chosen = attributes.select_units(
            units, self.N, self.neuron_attributes, by=by, preserve_order=preserve_order
        )
        known = attributes.of_units(self.neuron_attributes, chosen)
        return self._of_units(chosen, known)

    @abc.abstractmethod
    def _of_units(self, chosen: list[int], known: Attributes) -> _Chosen:
        """Return the object with these units, of which `known` are the attributes."""
