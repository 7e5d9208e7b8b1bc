"""The loaders: what a format's reader gives, as a data object.

Each has the signature and the documentation of the reader that it calls.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from spikelab import destinations, kinds, registry
from spikelab.bridges.published import load_spikedata_from_spikeinterface
from spikelab.errors import FormatError
from spikelab.formats import hdf5, kilosort, nwb, pickle
from spikelab.kinds import Contents
from spikelab.spikedata.spikedata import SpikeData

__all__ = [
    "load",
    "load_from_pickle",
    "load_spikedata_from_hdf5",
    "load_spikedata_from_kilosort",
    "load_spikedata_from_nwb",
    "load_spikedata_from_pickle",
    "load_spikedata_from_spikeinterface",
]

_P = ParamSpec("_P")


def _built(contents: Any, source: str | os.PathLike[str]) -> Any:
    """Return the data object that `contents`, read from `source`, describes or is.

    Raises
    ------
    FormatError
        If there can be no such object.
    """
    if not isinstance(contents, Contents):
        return contents
    try:
        return kinds.build(contents)
    except FormatError as error:
        raise FormatError(f"{os.fspath(source)}: {error}") from error


def _loader(name: str, read: Callable[_P, Any], cls: Any = None) -> Callable[_P, Any]:
    """Return the loader called `name` that builds what `read` returns, a `cls`."""

    @functools.wraps(read)
    def loader(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        source = _bound(name, read, *args, **kwargs)
        contents = read(*args, **kwargs)
        loaded = _built(contents, source)
        if cls is not None and not isinstance(loaded, cls):
            raise FormatError(
                f"{os.fspath(source)} must hold a {cls.__name__} for {name}, "
                f"got a {type(loaded).__name__}; spikelab.load takes any"
            )
        return loaded

    loader.__name__ = loader.__qualname__ = name
    loader.__module__ = __name__
    returned = cls or Any
    loader.__annotations__ = {**read.__annotations__, "return": returned}
    signature = inspect.signature(read).replace(return_annotation=returned)
    loader.__signature__ = signature  # type: ignore[attr-defined] # of any function
    return loader


def _bound(name: str, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the source that `read` is given, or raise TypeError in the name of a loader."""
    try:
        given = inspect.signature(read).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    return next(iter(given.arguments.values()))


def _spikedata_loader(name: str, read: Callable[_P, Any]) -> Callable[_P, SpikeData]:
    return _loader(name, read, SpikeData)


load_spikedata_from_hdf5 = hdf5.load_spikedata_from_hdf5
load_spikedata_from_kilosort = _spikedata_loader(
    "load_spikedata_from_kilosort", kilosort.read
)
load_spikedata_from_nwb = _spikedata_loader("load_spikedata_from_nwb", nwb.read)
load_spikedata_from_pickle = pickle.load_spikedata_from_pickle
load_from_pickle = pickle.load_from_pickle


def load(
    path: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> Any:
    """Load a data object from a file or folder of any format that spikelab reads.

    Parameters
    ----------
    path : path or S3 URL
        What to load; the format is told by what it holds.
    storage_options : mapping, optional
        Handed to ``boto3.client("s3", ...)`` for an S3 URL.
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
    with destinations.local_copy(
        path, storage_options, name="path", progress=progress
    ) as local:
        found = registry.recognised(local)
        # A second file that an option names may be on S3 too.
        arguments = {**options, "storage_options": storage_options}
        _bound(f"load of a {found.name} file", found.read, local, **arguments)
        loaded = _built(found.read(local, **arguments), path)
        metadata = getattr(loaded, "metadata", None) or {}
        for key in ("source_file", "source_folder"):
            # Of an S3 object, readers know the temporary copy only.
            found_there = metadata.get(key)
            if isinstance(found_there, str) and found_there == str(local):
                metadata[key] = os.fspath(path)
    return loaded
