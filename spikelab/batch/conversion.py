"""One conversion: load a source, write it as another format, say what is lost."""

import hashlib
import os
import pickle
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab import validate
from spikelab.batch.options import PRIVATE, check_options, options_of
from spikelab.batch.places import State, is_same, path_or_url, size_of
from spikelab.data_loaders.data_loaders import load
from spikelab.errors import (
    FormatError,
    LossError,
    OptionError,
    SpikelabError,
    collected_warnings,
    warn,
)
from spikelab.formats.base import Writer, recordings_of
from spikelab.registry import FORMATS, Format, named_by
from spikelab.spikedata.data_object import DataObject, UnitObject
from spikelab.spikedata.quantity import in_unit
from spikelab.spikedata.spikedata import SpikeData
from spikelab.storage.urls import StrPath, expanded, is_url

UNITS_TABLE = "units_table"
"""The option, of exporter and loader, that names a second file of a recording."""

_WITHOUT_EFFECT = (*PRIVATE, "progress", "overwrite")
"""How options begin that do not change what is in a file."""


@attrs.frozen
class Conversion:
    """What became of one recording.

    Parameters
    ----------
    source, target : str
        Where it was read and written.
    status : {"written", "kept", "failed"}
        ``kept`` if an earlier run wrote it, and nothing has changed since.
    n_units, n_spikes : int or None
        Of the recording; None if it could not be read. ``n_spikes`` is 0 for objects
        without spikes.
    n_bytes : int or None
        Size of the target; None if it was not written.
    seconds : float
        How long it took to load and write.
    losses : list of str
        What the target does not hold, and the warnings of loader and writer.
    error : str or None
        Class and message of the error if it failed.

    Examples
    --------
    >>> from spikelab import Conversion
    >>> Conversion("raw/a.pkl", "nwb/a.nwb", "written", n_units=12).status
    'written'
    """

    source: str
    target: str
    status: str
    n_units: int | None = None
    n_spikes: int | None = None
    n_bytes: int | None = None
    seconds: float = 0.0
    losses: list[str] = attrs.field(factory=list)
    error: str | None = None


Outcome = tuple[Conversion, Exception | None]
"""What a worker sends back: the row, and the error of a failure."""


def _verified(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"verify": True, **options}


@attrs.frozen
class Job:
    """Names and options of a conversion, as they are sent to a worker.

    In the job that all of a batch are made from, target and ``units_table`` are templates.
    """

    source: str = attrs.field(converter=path_or_url)
    target: str = attrs.field(converter=path_or_url)
    to: str
    options: Mapping[str, Any] = attrs.field(converter=_verified)
    source_options: Mapping[str, Any] | None = attrs.field(
        validator=attrs.validators.optional(validate.is_mapping)
    )
    storage_options: Mapping[str, Any] | None = attrs.field(
        default=None,
        validator=attrs.validators.optional(validate.is_mapping),
        repr=False,
    )
    state: State | None = None  # of the source when the job began

    def renamed(self, source: str, name: Callable[[str], str]) -> "Job":
        """Return a job with another source, and all other names changed by `name`."""
        new: dict[str, Any] = {"source": source, "target": name(self.target)}
        for field in ("options", "source_options"):
            options = getattr(self, field) or {}
            if (table := options.get(UNITS_TABLE)) is not None:
                new[field] = {**options, UNITS_TABLE: name(os.fspath(table))}
        return attrs.evolve(self, **new)

    @property
    def targets(self) -> list[str]:
        """The files that it writes."""
        table = self.options.get(UNITS_TABLE)
        return [self.target] if table is None else [self.target, os.fspath(table)]

    @property
    def digest(self) -> str:
        """A text that is the same for jobs whose options make the same file."""
        options = sorted(self.options.items())
        given = [item for item in options if not item[0].startswith(_WITHOUT_EFFECT)]
        source_options = sorted((self.source_options or {}).items())
        # By default the text of a long array leaves values out.
        with np.printoptions(threshold=sys.maxsize, floatmode="unique"):
            text = repr([self.to, given, source_options])
        return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def convert(
    source: StrPath,
    target: StrPath,
    *,
    to: str | None = None,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> str | tuple[str, ...]:
    """Write a file or folder in another format.

    A warning names each thing that the target cannot hold. The new file is read back
    and compared before it replaces an earlier one, unless ``verify=False`` is given.

    Parameters
    ----------
    source : path or URL
        What to read, in any format that :func:`spikelab.load` reads.
    target : path or URL
        What to write.
    to : str, optional
        Name of the format, such as ``"nwb"``; by default from the suffix of `target`.
    source_options : mapping, optional
        Arguments of the loader.
    storage_options : mapping, optional
        How to reach S3 or another store: arguments of :func:`spikelab.load`.
    **options
        Arguments of the exporter. By default ``fs_Hz`` is that of the source, if it is
        known. ``append=True`` adds the units to an existing NWB file.

    Returns
    -------
    str or tuple of str
        What the exporter returns.

    Raises
    ------
    OptionError
        If the format does not have an option, or needs one that is not given.
    LossError
        If `source` and `target` are the same, and something would be lost.
    FileNotFoundError, FormatError
        If the source cannot be read.

    Examples
    --------
    >>> import spikelab
    >>> sd = spikelab.SpikeData([[12.5, 430.0], [77.0]], length=1000.0)
    >>> spikelab.convert(sd.to_pickle("cells.pkl"), "cells.h5")
    'cells.h5'
    """
    entry = format_of(target, to)
    job = Job(source, target, entry.name, options, source_options, storage_options)
    check_options(entry, job.options)
    with collected_warnings(shown=True) as warned:
        return _write(job, _loaded(job), warned, prefix=f"{os.fspath(target)}: ")


def convert_job(job: Job, folder: str = "") -> Outcome:
    """Do a conversion in this process; `folder` is the working folder of the driver."""
    began = time.perf_counter()
    numbers: dict[str, int] = {}
    failure: Exception | None = None

    def absolute(path: str) -> str:
        return path if is_url(path) else os.path.join(folder, path)  # noqa: PTH118

    with collected_warnings(shown=False) as warned:
        try:
            here = job.renamed(absolute(job.source), absolute)
            obj = _loaded(here)
            if isinstance(obj, UnitObject):
                numbers["n_units"] = obj.N
            else:  # the first argument is a matrix of pairs of units, or a stack of them
                numbers["n_units"] = len(next(iter(obj.arguments().values())))
            trains = [recording.spike_trains for recording in recordings_of(obj)]
            numbers["n_spikes"] = sum(train.n_spikes for train in trains)
            _write(here, obj, warned)
            is_folder = not FORMATS[job.to].suffixes
            numbers["n_bytes"] = size_of(here.target, job.storage_options, is_folder)
        except Exception as error:  # whatever went wrong is a row of the report
            failure = error
    row = Conversion(
        job.source,
        job.target,
        "failed" if failure else "written",
        seconds=round(time.perf_counter() - began, 6),
        losses=warned,
        error=described(failure) if failure else None,
        **numbers,
    )
    return row, failure and _sendable(failure)


def format_of(target: StrPath, to: str | None) -> Format:
    """Return the format called `to`, by default the one of which `target` has the suffix."""
    names = ", ".join(FORMATS)
    if to is not None and to not in FORMATS:
        raise OptionError("to", f"must be one of {names}, got {to!r}")
    entry = FORMATS[to] if to is not None else named_by(target)
    if entry is None:
        raise OptionError(
            "to",
            f"must be given: the name {os.fspath(target)!r} does not say which of "
            f"{names} to write",
        )
    return entry


def described(error: BaseException) -> str:
    """Return the class and the message of an error, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


def _sendable(error: Exception) -> Exception:
    """Return an error that can be sent from a worker: not all of other packages can."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 # made on the same line
    except Exception:
        return SpikelabError(described(error))
    return error


def _loaded(job: Job) -> DataObject:
    options = job.source_options or {}
    try:
        return load(
            job.source,
            storage_options=job.storage_options,
            progress=bool(job.options.get("progress", False)),
            **options,
        )
    except TypeError as error:
        if not options:
            raise
        problem = f"do not suit the loader of {job.source}: {error}"
        raise OptionError("source_options", problem) from error
    except FormatError as error:
        folder = Path(expanded(job.source))
        if not is_url(job.source) and any(map(named_by, folder.glob("*"))):
            error.args = (f"{error}; {folder / '*'} names the files in it",)
        raise


def _write(
    job: Job, obj: DataObject, warned: list[str], prefix: str = ""
) -> str | tuple[str, ...]:
    """Write an object, with a warning for each loss that the writer does not warn of.

    Raises LossError if source and target are the same, and part of it would be lost, or
    if there was a warning: `warned` are those until now.
    """

    def on_losses(lost: list[str]) -> None:
        problems = [*warned, *lost]
        for text in lost:
            warn(f"{prefix}{text}")
        if problems and any(is_same(job.source, target) for target in job.targets):
            raise LossError(
                f"{job.source} is source and target, and part of it would be lost: "
                f"{'; '.join(problems)}"
            )

    options = {**job.options, "storage_options": job.storage_options}
    is_appended = options.pop("append", False)
    rate = options_of(FORMATS[job.to]).get("fs_Hz")
    if rate is not None and options.get("fs_Hz") is None:
        known = _known_rate(obj)
        if known is not None:
            options["fs_Hz"] = known
        elif rate.required:
            raise OptionError(
                "fs_Hz", f"must be given for {job.to}: {job.source} does not say it"
            )
    writer: Writer[str | tuple[str, ...], Any] = FORMATS[job.to].export.writer(
        **options
    )
    if is_appended:
        from spikelab.formats.nwb.append import append_to_file

        if not isinstance(obj, SpikeData):
            raise TypeError(
                f"only recordings can be appended, got a {type(obj).__name__}"
            )
        writer.check(obj, on_losses=on_losses)
        return append_to_file(obj, job.target)
    return writer.write(obj, job.target, on_losses=on_losses)


def _known_rate(obj: DataObject) -> float | None:
    """Return the sampling rate in the metadata of an object, or of its first slice."""
    for part in (obj, *recordings_of(obj)[:1]):
        rate = (getattr(part, "metadata", None) or {}).get("fs_Hz")
        if rate is not None:
            return float(in_unit("fs_Hz", rate, "Hz"))
    return None
