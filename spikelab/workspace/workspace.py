"""The workspace of an analysis: many named objects, kept in one file."""

import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab import validate
from spikelab.errors import FormatError, VerificationError, warn
from spikelab.formats import h5
from spikelab.formats.hdf5.values import identical
from spikelab.spikedata.data_object import DataObject
from spikelab.spikedata.differences import differences, equal
from spikelab.storage.publish import local_copy, publish
from spikelab.storage.urls import is_url
from spikelab.workspace import file
from spikelab.workspace.file import About, Item

_SUFFIX = ".h5"


class AnalysisWorkspace:
    """Named objects in namespaces, which are saved in one HDF5 file.

    An object is any of the six data classes, a NumPy array, or a dictionary, and
    is kept as it is, without a copy. A dictionary may hold these, and numbers,
    text, bytes, None, dates, lists, tuples, sets and further dictionaries.

    Parameters
    ----------
    name : str, optional
        A name for the workspace.

    Attributes
    ----------
    workspace_id : str
        Unique, and kept in the file.
    name : str or None
        The name.
    created_at : float
        When it was made, in seconds since 1970.

    Examples
    --------
    >>> from spikelab import AnalysisWorkspace, SpikeData
    >>> workspace = AnalysisWorkspace("sleep")
    >>> workspace.store("day 1", "spikes", SpikeData([[12.5, 430.0]], length=1000.0))
    >>> workspace.save("sleep.h5")
    'sleep.h5'
    >>> AnalysisWorkspace.load("sleep.h5").get("day 1", "spikes")
    SpikeData(N=1, spikes=2, window=0.0 to 1000.0 ms)
    """

    def __init__(self, name: str | None = None) -> None:
        self.workspace_id = str(uuid.uuid4())
        self.name = name
        self.created_at = time.time()
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

    def _put(self, item: Item) -> None:
        self._items.setdefault(item.namespace, {})[item.key] = item

    def _find(self, namespace: str, key: str) -> Item | None:
        return self._items.get(namespace, {}).get(key)

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
        found = self._find(namespace, key)
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
        found = self._find(namespace, key)
        return None if found is None else _info(found)

    def describe(self) -> dict[str, dict[str, dict[str, Any]]]:
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
            namespace: {key: _info(item) for key, item in keys.items()}
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
        """Set the note of an object.

        Raises
        ------
        KeyError
            If there is no such object.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.add_note("day 1", "rates", "of the night")
        """
        self._put(attrs.evolve(self._require(namespace, key), note=note))

    def delete(self, namespace: str, key: str | None = None) -> None:
        """Forget an object, or a whole namespace.

        Raises
        ------
        KeyError
            If there is no such object or namespace.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.delete("day 1", "rates")
        >>> workspace.list_keys()
        {}
        """
        if key is None:
            self._require_namespace(namespace)
        else:
            self._require(namespace, key)
            del self._items[namespace][key]
        if key is None or not self._items[namespace]:
            del self._items[namespace]

    def _require_namespace(self, namespace: str) -> None:
        if namespace not in self._items:
            raise KeyError(f"the workspace has no namespace {namespace!r}")

    def _require(self, namespace: str, key: str) -> Item:
        self._require_namespace(namespace)
        found = self._find(namespace, key)
        if found is None:
            raise KeyError(f"the workspace has no {namespace!r} / {key!r}")
        return found

    def merge_from(
        self, other: "AnalysisWorkspace", overwrite: bool = False
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
        if not isinstance(other, AnalysisWorkspace):
            raise TypeError(f"other must be an AnalysisWorkspace, got {other!r:.80}")
        skipped, merged = [], 0
        for item in other._all_items():
            if self._find(item.namespace, item.key) and not overwrite:
                skipped.append((item.namespace, item.key))
                continue
            self._put(attrs.evolve(item, created_at=time.time()))
            merged += 1
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

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        verify: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        progress: bool = False,
    ) -> str:
        """Save all objects in one HDF5 file, whole or not at all.

        ``<namespace>/<key>`` is a group of plain datasets, as spikelab 0.1.2 laid
        them out, so that h5py, MATLAB and that version read what they can; the
        group ``__exact__`` holds as JSON, and as further datasets, what that
        layout cannot say. Nothing is pickled. HDF5 allows no slash in a
        name: an object whose name holds one gets a group with ``%2F`` instead,
        and its name from ``__exact__``.

        Parameters
        ----------
        path : path or S3 URL
            The file; ``.h5`` is added if its name does not end with it.
        verify : bool
            Read the file back and compare, before it replaces an earlier one.
        storage_options : mapping, optional
            Handed to ``boto3.client("s3", ...)`` for an S3 URL.
        progress : bool
            Show a progress bar during a transfer to S3.

        Returns
        -------
        str
            The name of the file.

        Raises
        ------
        TypeError, ValueError
            If an object, or a part of one, cannot be stored as it is. The error
            names it, and nothing is written.
        OSError
            If the file cannot be written; an earlier one is then as it was.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.save("analysis")
        'analysis.h5'
        """
        target, about = _with_suffix(path), self._about()
        items = self._all_items()
        file.check(items)
        with publish(target, storage_options, progress=progress) as staged:
            file.write(staged, about, items)
            if verify:
                _verify(staged, about, items)
        return target

    def _about(self) -> About:
        """Return what is known about the workspace, or raise if it cannot be stored."""
        if not isinstance(self.name, str | None):
            raise TypeError(f"name must be a string or None, got {self.name!r:.80}")
        if not h5.is_text(self.workspace_id):
            raise ValueError(
                f"workspace_id must be text without a NUL, got {self.workspace_id!r:.80}"
            )
        name = None if self.name is None else str(self.name)
        created_at = validate.finite("created_at", self.created_at)
        return About(str(self.workspace_id), name, created_at)

    def _all_items(self) -> list[Item]:
        return [item for keys in self._items.values() for item in keys.values()]

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        storage_options: Mapping[str, Any] | None = None,
        progress: bool = False,
    ) -> "AnalysisWorkspace":
        """Load a workspace, saved here or by spikelab 0.1.2.

        Parameters
        ----------
        path : path or S3 URL
            The file, with or without ``.h5``.
        storage_options : mapping, optional
            Handed to ``boto3.client("s3", ...)`` for an S3 URL.
        progress : bool
            Show a progress bar during a download.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        FormatError
            If the file is not that of a workspace, or is damaged.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> AnalysisWorkspace.load(workspace.save("analysis")).list_keys()
        {'day 1': ['rates']}
        """
        with local_copy(_found(path), storage_options, progress=progress) as local:
            about, items = file.read(local)
        workspace = cls(about.name)
        workspace.workspace_id = about.workspace_id
        workspace.created_at = about.created_at
        for item in items:
            workspace._put(item)
        return workspace

    @classmethod
    def load_item(
        cls,
        path: str | os.PathLike[str],
        namespace: str,
        key: str,
        *,
        storage_options: Mapping[str, Any] | None = None,
        progress: bool = False,
    ) -> Any:
        """Load one object of a workspace without reading the others.

        Parameters
        ----------
        path : path or S3 URL
            The file, with or without ``.h5``.
        namespace, key : str
            The name of the object.
        storage_options : mapping, optional
            Handed to ``boto3.client("s3", ...)`` for an S3 URL.
        progress : bool
            Show a progress bar during a download.

        Raises
        ------
        KeyError
            If the workspace has no such object.
        FileNotFoundError, FormatError
            As :meth:`load`.

        Examples
        --------
        >>> from spikelab import AnalysisWorkspace
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> AnalysisWorkspace.load_item(workspace.save("analysis"), "day 1", "rates")
        {'Hz': [2.0, 0.5]}
        """
        with local_copy(_found(path), storage_options, progress=progress) as local:
            return file.read_item(local, namespace, key)

    def __repr__(self) -> str:
        count = sum(map(len, self._items.values()))
        named = f" {self.name!r}" if self.name is not None else ""
        return (
            f"AnalysisWorkspace{named}(id={self.workspace_id[:8]}, "
            f"{len(self._items)} namespaces, {count} objects)"
        )


def _info(item: Item) -> dict[str, Any]:
    """Return what is known about an object."""
    info = {**_description(item.value), "created_at": item.created_at}
    return info if item.note is None else {**info, "note": item.note}


def _description(obj: Any) -> dict[str, Any]:
    """Return the type and the size of an object."""
    kind = type(obj).__name__
    sizes: dict[str, Any] = {}
    array = {
        "ndarray": lambda: obj,
        "memmap": lambda: obj,
        "RateData": lambda: obj.inst_Frate_data,
        "RateSliceStack": lambda: obj.event_stack,
        "PairwiseCompMatrix": lambda: obj.matrix,
        "PairwiseCompMatrixStack": lambda: obj.stack,
    }.get(kind)
    if array is not None:
        sizes["shape"] = list(array().shape)
    if isinstance(obj, np.ndarray):
        sizes["dtype"] = str(obj.dtype)
    if kind == "SpikeData":
        sizes = {"N": obj.N, "length_ms": obj.length, "start_time": obj.start_time}
    if kind == "SpikeSliceStack":
        length = float(obj.spike_stack[0].length)
        sizes = {"N_slices": len(obj), "N_units": obj.N, "length_ms": length}
    return {"type": kind, **sizes}


def _with_suffix(path: str | os.PathLike[str]) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path or S3 URL, got {path!r}")
    text = os.fspath(path)
    if not text:
        raise ValueError("path must not be empty")
    return text if text.endswith(_SUFFIX) else text + _SUFFIX


def _found(path: str | os.PathLike[str]) -> str:
    """Return the file that `path` names, with or without its suffix."""
    target = _with_suffix(path)
    candidates = [target, os.fspath(path) + _SUFFIX, os.fspath(path)]
    if is_url(target):
        return target
    return next((name for name in candidates if Path(name).is_file()), target)


def _verify(staged: Path, about: About, items: list[Item]) -> None:
    try:
        read_about, read_items = file.read(staged)
    except FormatError as error:
        raise VerificationError(
            f"save: the staged file cannot be read, nothing was published: {error}"
        ) from error
    read = {(item.namespace, item.key): item for item in read_items}
    wrong = [
        item.title
        for item in items
        if not _same(item, read.get((item.namespace, item.key)))
    ]
    if wrong or read_about != about:
        raise VerificationError(
            "save: the staged file differs from the workspace, nothing was "
            f"published: {', '.join(wrong) or 'its name'}"
        )


def _same(item: Item, read: Item | None) -> bool:
    """Return whether an item came back with all that is known about it."""
    if read is None or (read.created_at, read.note) != (item.created_at, item.note):
        return False
    if isinstance(item.value, DataObject):
        return not differences(item.value, read.value)
    return identical(item.value, read.value) or equal(item.value, read.value)
