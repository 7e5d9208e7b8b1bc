"""Named objects in memory."""

import time
from typing import Any

import attrs
import numpy as np

from spikelab.errors import warn

_ARRAYS = {
    "RateData": "inst_Frate_data",
    "RateSliceStack": "event_stack",
    "PairwiseCompMatrix": "matrix",
    "PairwiseCompMatrixStack": "stack",
}
"""Of the classes without spikes, the attribute of which the shape is their size."""


def _as_str(text: Any) -> Any:
    """Return a str of any class as a plain one: HDF5 knows no numpy.str_."""
    return str.__str__(text) if isinstance(text, str) else text


@attrs.frozen
class Item:
    """A named object and what is known about it."""

    namespace: str = attrs.field(converter=_as_str)
    key: str = attrs.field(converter=_as_str)
    value: Any
    created_at: float
    note: str | None = attrs.field(converter=_as_str)

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"{self.namespace!r} / {self.key!r}"


class NamedObjects:
    """Objects under a namespace and a key, with notes."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Item]] = {}

    def store(
        self, namespace: str, key: str, obj: Any, note: str | None = None
    ) -> None:
        """Keep an object under a name; one that has the name is replaced.

        Parameters
        ----------
        namespace, key : str
            The name: any text, slashes and dots included.
        obj : object
            Whether it can be saved is checked when it is saved.
        note : str, optional
            A remark.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]}, note="of the night")
        >>> workspace.get("day 1", "rates")
        {'Hz': [2.0, 0.5]}
        """
        self._put(Item(namespace, key, obj, time.time(), note))

    def get(self, namespace: str, key: str) -> Any:
        """Return the object of this name, None if there is none.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.get("day 1", "rates")
        {'Hz': [2.0, 0.5]}
        """
        found = self._items.get(namespace, {}).get(key)
        return None if found is None else found.value

    def get_info(self, namespace: str, key: str) -> dict[str, Any] | None:
        """Return what is known about an object, None if there is none.

        Returns
        -------
        dict
            ``type``, ``created_at`` (seconds since 1970), ``note`` if it has
            one, and its size: ``shape`` (and ``dtype``), or ``N``, ``length_ms``
            and ``start_time``, or ``N_slices``, ``N_units`` and ``length_ms``.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]}, note="of the night")
        >>> workspace.get_info("day 1", "rates")["note"]
        'of the night'
        """
        found = self._items.get(namespace, {}).get(key)
        if found is None:
            return None
        obj, kind = found.value, type(found.value).__name__
        info: dict[str, Any] = {"type": kind}
        if isinstance(obj, np.ndarray):
            info |= {"shape": list(obj.shape), "dtype": str(obj.dtype)}
        elif kind in _ARRAYS:
            info["shape"] = list(getattr(obj, _ARRAYS[kind]).shape)
        elif kind == "SpikeData":
            info |= {"N": obj.N, "length_ms": obj.length, "start_time": obj.start_time}
        elif kind == "SpikeSliceStack":
            length = float(obj.spike_stack[0].length)
            info |= {"N_slices": len(obj), "N_units": obj.N, "length_ms": length}
        info["created_at"] = found.created_at
        return info if found.note is None else {**info, "note": found.note}

    def describe(self) -> dict[str, dict[str, dict[str, Any] | None]]:
        """Return what is known about every object, by namespace and key.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.describe()["day 1"]["rates"]["type"]
        'dict'
        """
        return {
            namespace: {key: self.get_info(namespace, key) for key in keys}
            for namespace, keys in self._items.items()
        }

    def list_keys(
        self, namespace: str | None = None
    ) -> dict[str, list[str]] | list[str]:
        """Return the keys of a namespace, or those of each by its name.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.list_keys()
        {'day 1': ['rates']}
        """
        if namespace is not None:
            return list(self._items.get(namespace, {}))
        return {name: list(keys) for name, keys in self._items.items()}

    def list_namespaces(self) -> list[str]:
        """Return the names of the namespaces.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.list_namespaces()
        ['day 1']
        """
        return list(self._items)

    def rename(
        self, namespace: str, old_key: str, new_key: str, overwrite: bool = False
    ) -> bool:
        """Give an object another key.

        Returns
        -------
        bool
            False, with a UserWarning, if the key is taken and `overwrite` is not
            given.

        Raises
        ------
        KeyError
            If there is no such object.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.rename("day 1", "rates", "mean rates")
        True
        """
        found = self._require(namespace, old_key)
        if new_key in self._items[namespace] and not overwrite:
            warn(
                f"{namespace!r} / {old_key!r} keeps its key, because {new_key!r} is "
                "taken; overwrite=True replaces that object",
            )
            return False
        del self._items[namespace][old_key]
        self._put(attrs.evolve(found, key=new_key))
        return True

    def add_note(self, namespace: str, key: str, note: str) -> None:
        """Set the note of an object; KeyError if there is no such object.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.add_note("day 1", "rates", "of the night")
        """
        self._put(attrs.evolve(self._require(namespace, key), note=note))

    def delete(self, namespace: str, key: str | None = None) -> None:
        """Forget an object, or a whole namespace; KeyError if there is none.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.delete("day 1", "rates")
        >>> workspace.list_keys()
        {}
        """
        if key is not None:
            self._require(namespace, key)
            del self._items[namespace][key]
        elif namespace not in self._items:
            raise KeyError(f"the workspace has no namespace {namespace!r}")
        if key is None or not self._items[namespace]:
            del self._items[namespace]

    def merge_from(
        self, other: "NamedObjects", overwrite: bool = False
    ) -> dict[str, Any]:
        """Take the objects of another workspace, with their notes.

        Parameters
        ----------
        other : AnalysisWorkspace
            Where they come from; the objects are shared.
        overwrite : bool
            Replace objects that have the same name, instead of skipping them.

        Returns
        -------
        dict
            ``merged`` and ``skipped``, how many, and ``skipped_keys``, a list of
            (namespace, key).

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> here, there = AnalysisWorkspace(), AnalysisWorkspace()
        >>> there.store("day 2", "rates", {"Hz": [2.0, 0.5]})
        >>> here.merge_from(there)
        {'merged': 1, 'skipped': 0, 'skipped_keys': []}
        """
        if not isinstance(other, NamedObjects):
            raise TypeError(f"other must be an AnalysisWorkspace, got {other!r:.80}")
        skipped, items = [], other._all_items()
        for item in items:
            if item.key in self._items.get(item.namespace, {}) and not overwrite:
                skipped.append((item.namespace, item.key))
            else:
                self._put(attrs.evolve(item, created_at=time.time()))
        merged = len(items) - len(skipped)
        return {"merged": merged, "skipped": len(skipped), "skipped_keys": skipped}

    @staticmethod
    def comparison_namespace(*namespaces: str) -> str:
        """Return the name for a namespace of comparisons between others.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> AnalysisWorkspace.comparison_namespace("day 1", "day 2")
        'C_day 1_day 2'
        """
        return "_".join(["C", *namespaces])

    def _put(self, item: Item) -> None:
        self._items.setdefault(item.namespace, {})[item.key] = item

    def _require(self, namespace: str, key: str) -> Item:
        if key not in self._items.get(namespace, {}):
            raise KeyError(f"the workspace has no {namespace!r} / {key!r}")
        return self._items[namespace][key]

    def _all_items(self) -> list[Item]:
        return [item for keys in self._items.values() for item in keys.values()]
