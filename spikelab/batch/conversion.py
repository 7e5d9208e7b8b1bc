"""One conversion: load a source, write it as another format, say what is lost."""

import hashlib
import json
import os
import pickle
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from spikelab import validate
from spikelab.batch.options import PRIVATE, check_options, options_of
from spikelab.batch.places import is_same, resolved, size_of
from spikelab.data_loaders.data_loaders import load
from spikelab.errors import (
    FormatError,
    LossError,
    OptionError,
    SpikelabError,
    collected_warnings,
    warn,
)
from spikelab.formats.base import recordings_of
from spikelab.registry import FORMATS, Format, named_by
from spikelab.spikedata.pairwise import PairwiseCompMatrix, PairwiseCompMatrixStack
from spikelab.spikedata.quantity import in_unit
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

    source: str
    target: str
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
        options = self.options.items()
        given = {k: v for k, v in options if not k.startswith(_WITHOUT_EFFECT)}

        def plain(value: Any) -> Any:
            # The text of a long array leaves values out.
            values = np.asarray(value).tolist() if hasattr(value, "tolist") else None
            return [repr(value), values]

        about = [self.to, given, self.source_options or {}]
        text = json.dumps(about, sort_keys=True, default=plain)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    entry, names = format_of(target, to), (resolved(source), resolved(target))
    job = Job(*names, entry.name, options, source_options, storage_options)
    check_options(entry, job.options)
    with collected_warnings(shown=True) as warned:

        def warn_of(lost: list[str]) -> None:
            for text in lost:
                if not _is_said(text, warned):
                    warn(f"{os.fspath(target)}: {text}")

        return _written(job, _loaded(job), warned, warn_of)


def convert_job(job: Job, folder: str = "") -> Outcome:
    """Do a conversion in this process; `folder` is the working folder of the driver."""
    began = time.perf_counter()
    numbers: dict[str, int] = {}
    lost: list[str] = []
    failure: Exception | None = None

    def within(path: str) -> str:
        return path if is_url(path) else os.path.join(folder, path)  # noqa: PTH118

    with collected_warnings(shown=False) as warned:
        try:
            here = job.renamed(within(job.source), within)
            obj = _loaded(here)
            trains = [recording.spike_trains for recording in recordings_of(obj)]
            is_comparison = isinstance(
                obj, PairwiseCompMatrix | PairwiseCompMatrixStack
            )
            first = next(iter(obj.arguments().values()))
            numbers["n_units"] = len(first) if is_comparison else int(obj.N)
            numbers["n_spikes"] = sum(train.n_spikes for train in trains)
            _written(here, obj, warned, lost.extend)
            is_folder = not FORMATS[job.to].suffixes
            numbers["n_bytes"] = size_of(here.target, job.storage_options, is_folder)
        except Exception as error:  # whatever went wrong is a row of the report
            failure = error
    texts = [*(text for text in lost if not _is_said(text, warned)), *warned]
    row = Conversion(
        job.source,
        job.target,
        "failed" if failure else "written",
        seconds=round(time.perf_counter() - began, 6),
        losses=list(dict.fromkeys(texts)),
        error=described(failure) if failure else None,
        **numbers,
    )
    try:
        pickle.loads(pickle.dumps(failure))  # noqa: S301 # made one line above
    except Exception:  # the error of another package, which cannot be sent back
        failure = failure and SpikelabError(described(failure))
    return row, failure


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


def _is_said(loss: str, warned: list[str]) -> bool:
    """Return whether a warning of the writer names a loss."""
    key, _, why = loss.removeprefix("neuron_attributes[").partition("] ")
    for text in warned:
        listed = re.match(r"to_phy: neuron_attributes (.*) left out: ", text)
        names = listed[1].split(", ") if listed else []
        if (
            loss in text
            or f"{key} is left out {why}" in text
            or key.strip("'") in names
        ):
            return True
    return False


def _loaded(job: Job) -> Any:
    try:
        return load(
            job.source,
            storage_options=job.storage_options,
            progress=bool(job.options.get("progress", False)),
            **(job.source_options or {}),
        )
    except TypeError as error:
        if unknown := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
            problem = (
                f"must hold options of the loader of {job.source}, got {unknown[1]}"
            )
            raise OptionError("source_options", problem) from error
        raise
    except FormatError as error:
        folder = Path(expanded(job.source))
        if (
            not is_url(job.source)
            and folder.is_dir()
            and any(map(named_by, folder.glob("*")))
        ):
            error.args = (f"{error}; {folder / '*'} names the files in it",)
        raise


def _written(
    job: Job, obj: Any, warned: list[str], say: Callable[[list[str]], None]
) -> Any:
    """Write an object, unless part of its only copy would be lost; `say` what is lost."""

    def on_losses(lost: list[str]) -> None:
        texts = list(dict.fromkeys([*warned, *lost]))
        say(lost)
        if texts and any(is_same(job.source, target) for target in job.targets):
            raise LossError(
                f"{job.source} is source and target, and part of it would be lost: "
                f"{'; '.join(texts)}"
            )

    options = {**job.options, "storage_options": job.storage_options}
    is_appended = options.pop("append", False)
    rate = options_of(FORMATS[job.to]).get("fs_Hz")
    if rate is not None and options.get("fs_Hz") is None:
        parts = [obj, *recordings_of(obj)[:1]]
        metadata = [getattr(part, "metadata", None) or {} for part in parts]
        known = [m["fs_Hz"] for m in metadata if m.get("fs_Hz") is not None]
        if known:
            options["fs_Hz"] = float(in_unit("fs_Hz", known[0], "Hz"))
        elif rate.required:
            raise OptionError(
                "fs_Hz", f"must be given for {job.to}: {job.source} does not say it"
            )
    writer = FORMATS[job.to].writer(**options)
    if is_appended:
        from spikelab.formats.nwb.append import append_to_file

        on_losses(writer.losses(obj))
        return append_to_file(obj, job.target)
    return writer.write(obj, job.target, on_losses=on_losses)
