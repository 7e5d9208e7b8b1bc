"""One conversion: load a source, write it as another format, say what is lost."""

import hashlib
import json
import os
import pickle
import time
from collections.abc import Mapping
from typing import Any

import attrs

from spikelab.batch.options import PRIVATE, check_options, options_of, split_append
from spikelab.batch.places import Places, identity, resolved
from spikelab.data_loaders.data_loaders import load
from spikelab.errors import (
    LossError,
    OptionError,
    SpikelabError,
    collected_warnings,
    warn,
)
from spikelab.formats.base import recordings_of
from spikelab.registry import FORMATS, Format, named_by
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.storage.publish import is_url

StrPath = str | os.PathLike[str]

_WITHOUT_EFFECT = (*PRIVATE, "progress", "overwrite")
"""How options begin that do not change what is in a file."""

FURTHER_FILES = ("units_table",)
"""Options that name a further file of each recording."""

_MOST_LOSSES = 100
"""A row holds no more losses than this, so that it stays small."""


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


@attrs.frozen
class Job:
    """A conversion to be done: names and options, as they are sent to a worker.

    Parameters
    ----------
    source, target : str
        Path or URL.
    to : str
        Name of the format.
    options, source_options : mapping
        Arguments of the exporter and of the loader.
    storage_options : mapping, optional
        How to reach a URL.
    append : bool
        Add the units to the NWB file that the target is.
    """

    source: str
    target: str
    to: str
    options: Mapping[str, Any]
    source_options: Mapping[str, Any]
    storage_options: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    append: bool = False

    def absolute(self, folder: str) -> "Job":
        """Return the job with its paths, relative to `folder`, as absolute ones."""

        def full(path: str) -> str:
            return path if is_url(path) else os.path.join(folder, path)  # noqa: PTH118

        def with_full(options: Mapping[str, Any]) -> Mapping[str, Any]:
            given = [n for n in FURTHER_FILES if options.get(n) is not None]
            return {**options, **{n: full(str(options[n])) for n in given}}

        return attrs.evolve(
            self,
            source=full(self.source),
            target=full(self.target),
            options=with_full(self.options),
            source_options=with_full(self.source_options),
        )


def convert(
    source: StrPath,
    target: StrPath,
    *,
    to: str | None = None,
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Write a file or folder in another format.

    What the target cannot hold is warned of, one warning for each loss. The file is
    read back and compared before it is published, unless ``verify=False`` is given.

    Parameters
    ----------
    source : path or URL
        What to read, in any format that :func:`spikelab.load` reads.
    target : path or URL
        What to write.
    to : str, optional
        Name of the format, such as ``"nwb"``; by default the suffix of `target` says it.
    source_options : mapping, optional
        Arguments of the loader.
    storage_options : mapping, optional
        How to reach S3 or another store: arguments of :func:`spikelab.load`.
    **options
        Arguments of the exporter. ``fs_Hz`` comes from the source where it knows it.
        ``append=True`` adds the units to an NWB file that is there.

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
    options = {"verify": True, **options}
    append, options = split_append(entry, options)
    check_options(entry, options)
    job = Job(
        resolved(source),
        resolved(target),
        entry.name,
        options,
        source_options or {},
        storage_options,
        append,
    )
    with collected_warnings(shown=True) as warned:
        obj = _loaded(job)
        writer, lost = _writer(job, obj)
        for text in lost:
            if not any(text in other for other in warned):
                warn(f"{os.fspath(target)}: {text}")
        return _written(job, obj, writer, [*warned, *lost])


def convert_job(
    job: Job, folder: str, attempt: str = "", *, raises: bool = False
) -> "Outcome":
    """Do a conversion in whatever process this is, and return what became of it.

    Parameters
    ----------
    job : Job
        What to do.
    folder : str
        The working folder of the driver, which may be another than that of a worker.
    attempt : str
        A text that no other call has. Dask takes two calls with equal arguments for
        one, and would not repeat one that failed.
    raises : bool
        Whether the caller wants to raise the error of a failure, and not only record it.
    """
    began = time.perf_counter()
    known: dict[str, Any] = {}
    lost: list[str] = []
    failure: Exception | None = None
    with collected_warnings(shown=False) as warned:
        try:
            there = job.absolute(folder)
            obj = _loaded(there)
            known = _numbers(obj)
            writer, lost = _writer(there, obj)
            _written(there, obj, writer, [*warned, *lost])
            places, is_folder = Places(job.storage_options), writer.is_folder
            known["n_bytes"] = places.size(there.target, is_folder=is_folder)
        except Exception as error:  # whatever went wrong is a row of the report
            failure = error
    others = [text for text in warned if not any(one in text for one in lost)]
    row = Conversion(
        job.source,
        job.target,
        "failed" if failure else "written",
        seconds=round(time.perf_counter() - began, 6),
        losses=_bounded([*lost, *others]),
        error=None if failure is None else described(failure),
        **known,
    )
    return Outcome(row, _portable(failure) if failure and raises else None)


@attrs.frozen
class Outcome:
    """What a worker sends back: the row, and the error if it is to be raised."""

    row: Conversion
    error: BaseException | None = None


def format_of(target: StrPath, to: str | None) -> Format:
    """Return the format called `to`, by default the one of which `target` has the suffix.

    Raises
    ------
    OptionError
        If there is none.
    """
    names = ", ".join(FORMATS)
    if to is not None:
        if to not in FORMATS:
            raise OptionError("to", f"must be one of {names}, got {to!r}")
        return FORMATS[to]
    entry = named_by(target)
    if entry is None:
        raise OptionError(
            "to",
            f"must be given: the name {os.fspath(target)!r} does not say which of "
            f"{names} to write",
        )
    return entry


def described(error: BaseException) -> str:
    """Return the class and the message of an error, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def options_digest(job: Job) -> str:
    """Return a text that is the same for jobs whose options make the same file."""
    given = {k: v for k, v in job.options.items() if not k.startswith(_WITHOUT_EFFECT)}
    about = [job.to, given, job.source_options, job.append]
    text = json.dumps(about, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _loaded(job: Job) -> Any:
    return load(
        job.source,
        storage_options=job.storage_options,
        progress=bool(job.options.get("progress", False)),
        **job.source_options,
    )


def _writer(job: Job, obj: Any) -> tuple[Any, list[str]]:
    """Return the writer for a loaded object, and what it would lose."""
    entry = FORMATS[job.to]
    options = {**job.options, "storage_options": job.storage_options}
    option = options_of(entry).get("fs_Hz")
    if option is not None and options.get("fs_Hz") is None:
        rate = _sampling_rate(obj)
        if rate is None and option.required:
            raise OptionError(
                "fs_Hz", f"must be given for {job.to}: {job.source} does not say it"
            )
        if rate is not None:
            options["fs_Hz"] = rate
    writer = entry.writer(**options)
    return writer, list(writer.losses(obj))


def _sampling_rate(obj: Any) -> float | None:
    """Return the sampling rate in Hz that the metadata of a loaded object hold."""
    for part in (obj, *recordings_of(obj)[:1]):
        rate = (getattr(part, "metadata", None) or {}).get("fs_Hz")
        if rate is not None:
            return float(rate)
    return None


def _written(job: Job, obj: Any, writer: Any, lost: list[str]) -> Any:
    """Write the object, unless that would lose part of its only copy."""
    targets = [job.target, *filter(None, map(job.options.get, FURTHER_FILES))]
    if lost and any(
        identity(job.source) == identity(str(target)) for target in targets
    ):
        raise LossError(
            f"{job.source} is source and target, and part of it would be lost: "
            f"{'; '.join(dict.fromkeys(lost))}"
        )
    if job.append:
        from spikelab.formats.nwb.append import append_to_file

        return append_to_file(obj, job.target)
    return writer.write(obj, job.target)


def _numbers(obj: Any) -> dict[str, Any]:
    """Return the number of units, labels of comparisons included, and of spikes."""
    n_units = len(obj.matrix) if isinstance(obj, PairwiseCompMatrix) else None
    if isinstance(obj, PairwiseCompMatrixStack):
        n_units = len(obj.stack)
    trains = [recording.spike_trains for recording in recordings_of(obj)]
    return {
        "n_units": int(obj.N) if n_units is None else n_units,
        "n_spikes": sum(len(train.flat) for train in trains),
    }


def _bounded(texts: list[str]) -> list[str]:
    """Return the distinct texts, so many and so long that a row stays small."""
    distinct = [text[:1000] for text in dict.fromkeys(texts)]
    if len(distinct) <= _MOST_LOSSES:
        return distinct
    more = len(distinct) - _MOST_LOSSES
    return [*distinct[:_MOST_LOSSES], f"and {more} more"]


def _portable(error: Exception) -> Exception:
    """Return the error if it survives the way to another process, else its text."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 # made one line above
    except Exception:  # classes of other packages may fail in any way
        return SpikelabError(described(error))
    return error
