"""The loaders of all formats, and :func:`load`, which recognises the format."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from spikelab import kinds
from spikelab.bridges.published import load_spikedata_from_spikeinterface
from spikelab.errors import FormatError
from spikelab.formats import kilosort
from spikelab.formats.csv import load_spikedata_from_csv
from spikelab.formats.functions import spikedata_loader
from spikelab.formats.hdf5 import load_spikedata_from_hdf5
from spikelab.formats.nwb import load_spikedata_from_nwb
from spikelab.formats.pickle import load_from_pickle, load_spikedata_from_pickle
from spikelab.kinds import Contents
from spikelab.registry import recognised
from spikelab.spikedata.data_object import DataObject
from spikelab.storage.publish import local_copy

__all__ = [
    "load",
    "load_from_pickle",
    "load_spikedata_from_csv",
    "load_spikedata_from_hdf5",
    "load_spikedata_from_kilosort",
    "load_spikedata_from_nwb",
    "load_spikedata_from_pickle",
    "load_spikedata_from_spikeinterface",
]


def load(
    path: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> DataObject:
    """Load a data object from a file or folder of any format that spikelab reads.

    Parameters
    ----------
    path : path or URL
        What to load. The format is recognised by what it holds.
    storage_options : mapping, optional
        Arguments of ``boto3.client("s3", ...)`` for an S3 URL, of the file system of
        fsspec for another.
    progress : bool
        Show a progress bar during a download.
    **options
        Further arguments for the loader of that format.

    Returns
    -------
    data object
        One of the six data classes.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    FormatError
        If the format is not one of those, or the file does not hold what its
        format promises.
    """
    with local_copy(path, storage_options, name="path", progress=progress) as local:
        # A second file that an option names may be remote too.
        loaded: Any = recognised(local).read(
            local, storage_options=storage_options, **options
        )
        loaded = _built(loaded, path)
    metadata = getattr(loaded, "metadata", None) or {}
    for key in ("source_file", "source_folder"):
        # Readers know the temporary copy of a remote file only.
        source = metadata.get(key)
        if isinstance(source, str) and source == str(local):
            metadata[key] = os.fspath(path)
    found: DataObject = loaded
    return found


def _built(contents: Any, source: Any) -> Any:
    """Old way, while the readers are moved over."""
    if not isinstance(contents, Contents):
        return contents
    try:
        return kinds.build(contents)
    except FormatError as error:
        raise FormatError(f"{os.fspath(source)}: {error}") from error


def _loader(module: Any, name: str) -> Callable[..., Any]:
    """Old way, while the readers are moved over."""
    if hasattr(module, name):
        moved: Callable[..., Any] = getattr(module, name)
        return moved

    @functools.wraps(module.read)
    def read(*args: Any, **options: Any) -> Any:
        return _built(module.read(*args, **options), args[0])

    return spikedata_loader(read, name)


load_spikedata_from_kilosort = _loader(kilosort, "load_spikedata_from_kilosort")
