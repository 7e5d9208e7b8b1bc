"""The loaders of all formats, and :func:`load`, which recognises the format."""

import os
from collections.abc import Mapping
from typing import Any

from spikelab.bridges.published import (
    load_spikedata_from_spikeinterface as load_spikedata_from_spikeinterface,
)
from spikelab.formats import *
from spikelab.formats.functions import bound
from spikelab.formats.phy.folder_reader import folder_of
from spikelab.registry import recognised
from spikelab.spikedata.data_object import DataObject
from spikelab.storage.publish import readable
from spikelab.storage.urls import without_secrets

__all__ = ["load", *(name for name in dir() if name.startswith("load_"))]


def load(
    path: str | os.PathLike[str] | tuple[str, ...],
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> DataObject:
    """Load a data object from a file or folder of any format that spikelab reads.

    Parameters
    ----------
    path : path or URL, or what an export returned
        What to load. The format is recognised from the content. ``params.py``, or an
        array of a KiloSort or Phy folder, loads the folder.
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
        If the format is unknown, or the file is damaged or incomplete.

    Examples
    --------
    >>> from spikelab import SpikeData, load
    >>> sd = SpikeData([[12.5, 430.0], []], length=1000.0)
    >>> load(sd.to_nwb("cells.nwb"))
    SpikeData(N=2, spikes=2, window=0.0 to 1000.0 ms)
    """
    source = folder_of(path)
    with readable(source, storage_options, name="path", progress=progress) as found:
        # A second file that an option names may be remote too.
        options["storage_options"] = storage_options
        entry = recognised(found)
        bound(f"load of {entry.name!r}", entry.read, found, **options)
        loaded: DataObject = entry.read(found, **options)
    metadata = getattr(loaded, "metadata", None) or {}
    for key in ("source_file", "source_folder"):
        # Readers know the temporary copy of a remote file only.
        known = metadata.get(key)
        if isinstance(known, str) and known == str(found):
            metadata[key] = without_secrets(os.fspath(source))
    return loaded
