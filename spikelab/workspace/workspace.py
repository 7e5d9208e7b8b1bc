"""The workspace of an analysis: many named objects, kept in one file."""

import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikelab import validate
from spikelab.storage.publish import local_copy, publish, readable
from spikelab.storage.urls import expanded, is_url
from spikelab.workspace import file
from spikelab.workspace.items import NamedObjects

_SUFFIX = ".h5"


class AnalysisWorkspace(NamedObjects):
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
        super().__init__()
        self.workspace_id = str(uuid.uuid4())
        self.name = name
        self.created_at = time.time()

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        verify: bool = False,
        storage_options: Mapping[str, Any] | None = None,
        progress: bool = False,
        overwrite: bool = False,
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
        overwrite : bool
            Replace a file of another program, or what such a program has added to an
            earlier workspace.

        Returns
        -------
        str
            The name of the file.

        Raises
        ------
        TypeError, ValueError
            If an object, or a part of one, cannot be stored as it is. The error
            names it, and nothing is written.
        FileExistsError
            If the file holds what no workspace or export wrote, unless `overwrite` is
            set.
        OSError
            If the file cannot be written; an earlier one is then as it was.

        Examples
        --------
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> workspace.save("analysis")
        'analysis.h5'
        """
        target, items = _with_suffix(path), self._all_items()
        if not isinstance(self.name, str | None):
            raise TypeError(f"name must be a string or None, got {self.name!r:.80}")
        about = {
            "workspace_id": self.workspace_id,
            "name": self.name,
            "created_at": self.created_at,
        }
        file.check(items)
        with publish(
            target,
            storage_options,
            overwrite=validate.flag("overwrite", overwrite),
            lost=file.would_be_lost,
            progress=progress,
        ) as staged:
            file.write(staged, about, items)
            if verify:
                file.verify(staged, about, items)
        return expanded(target)

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
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> AnalysisWorkspace.load(workspace.save("analysis")).list_keys()
        {'day 1': ['rates']}
        """
        with local_copy(_found(path), storage_options, progress=progress) as local:
            about, items = file.read(local)
        workspace = cls()
        vars(workspace).update(about)
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
        storage_options, progress
            As in :meth:`load`.

        Raises
        ------
        KeyError
            If the workspace has no such object.
        FileNotFoundError, FormatError
            As :meth:`load`.

        Examples
        --------
        >>> workspace = AnalysisWorkspace()
        >>> workspace.store("day 1", "rates", {"Hz": [2.0, 0.5]})
        >>> AnalysisWorkspace.load_item(workspace.save("analysis"), "day 1", "rates")
        {'Hz': [2.0, 0.5]}
        """
        with readable(_found(path), storage_options, progress=progress) as source:
            return file.read_item(source, namespace, key)

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name is not None else ""
        return (
            f"AnalysisWorkspace{named}(id={self.workspace_id[:8]}, "
            f"{len(self._items)} namespaces, {len(self._all_items())} objects)"
        )


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
    if is_url(target):
        return target
    named = expanded(path)
    candidates = [expanded(target), named + _SUFFIX, named]
    return next((name for name in candidates if Path(name).is_file()), target)
