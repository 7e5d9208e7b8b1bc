"""Many conversions: planned, on one machine or a cluster, resumed where they stopped.

A batch is one job per recording. All of them are checked before the first file is written.
"""

import os
import string
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import attrs

from spikelab.batch.conversion import UNITS_TABLE, Conversion, Job, Outcome, format_of
from spikelab.batch.executors import run_jobs
from spikelab.batch.options import check_options, suggestion
from spikelab.batch.places import Places, identity, path_or_url
from spikelab.batch.report import DEFAULT_NAME, Report, conversion_of
from spikelab.batch.table import Row, checked_rows
from spikelab.errors import OptionError
from spikelab.registry import FORMATS, Format, named_by
from spikelab.storage.store import check_progress
from spikelab.storage.urls import StrPath, is_url

_FIELDS = ("stem", "parent", "index")
"""Those that every template of targets can have."""


def convert_many(
    sources: StrPath | Iterable[StrPath] | None,
    target: StrPath,
    *,
    to: str | None = None,
    table: Any = None,
    executor: Executor | None = None,
    resume: bool = True,
    report: StrPath | None = None,
    on_error: str = "record",
    source_options: Mapping[str, Any] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: bool = False,
    **options: Any,
) -> list[Conversion]:
    """Write many recordings in another format.

    Everything that can be checked without loading a recording is checked before the
    first file is written. Then each recording is loaded, written, read back and compared
    (unless ``verify=False``), and its row is appended to the report. If one recording
    fails, the others are still converted.

    Parameters
    ----------
    sources : path, URL, pattern, or several of them
        What to read. Patterns are those of ``glob``, also in S3. With a table, the
        sources whose rows are to be written; None or empty means all.
    target : path or URL
        A folder, such as ``"nwb/"``, which needs `to`, or a template, such as
        ``"nwb/{stem}.nwb"``. Its fields are ``{stem}`` (name of the source without the
        suffix of its format), ``{parent}`` (name of the source's folder), ``{index}``
        (number of the source, from 0) and the columns of the table.
    to : str, optional
        Name of the format, such as ``"nwb"``; by default the suffix of `target` says it.
    table : DataFrame, sequence of mapping, or path of a CSV file, optional
        One row per recording. The column ``source`` names it; the others are fields of
        :class:`~spikelab.formats.NWBSession` and :class:`~spikelab.formats.NWBSubject`,
        options of the exporter, and fields of the template. An empty cell is not given.
    executor : concurrent.futures.Executor, optional
        What runs the conversions: processes, threads, or a Dask cluster
        (``Client.get_executor()``). Only paths and options are sent to it. By default
        they run in this process, one after the other.
    resume : bool
        Keep a target that is there and that the report says was written from the same
        source (by size and modification time) with the same options.
    report : path, optional
        The file of the rows, ``.jsonl`` or ``.csv``; by default
        ``spikelab-conversions.jsonl`` in the folder of local targets, in the working
        folder for others.
    on_error : {"record", "raise"}
        Whether a failure is a row, or the first one is raised.
    source_options : mapping, optional
        Arguments of the loader.
    storage_options : mapping, optional
        How to reach S3 or another store.
    progress : bool
        Show a progress bar.
    **options
        Arguments of the exporter, as for :func:`spikelab.convert`. ``units_table`` is a
        template, as the target is.

    Returns
    -------
    list of Conversion
        One for each recording, in the order of the sources.

    Raises
    ------
    OptionError
        If an option or a field of the template is wrong, or two recordings have one
        target. It is a ValueError.
    FileNotFoundError
        If a pattern matches nothing.
    ValueError
        If a value of the table is wrong; the message names row, column and value.

    Examples
    --------
    >>> import spikelab
    >>> for name in ("a", "b"):
    ...     spikelab.SpikeData([[1.0, 2.5]], length=10.0).to_pickle(f"{name}.pkl")
    'a.pkl'
    'b.pkl'
    >>> done = spikelab.convert_many(["a.pkl", "b.pkl"], "{stem}.h5")
    >>> [(row.target, row.status, row.n_spikes) for row in done]
    [('a.h5', 'written', 2), ('b.h5', 'written', 2)]
    """
    if on_error not in ("record", "raise"):
        raise ValueError(f"on_error must be 'record' or 'raise', got {on_error!r}")
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(
            "executor must be a concurrent.futures.Executor or None (for a Dask Client, "
            f"client.get_executor()), got {executor!r:.80}"
        )
    entry, template = template_of(target, to)
    pattern = Job("", template, entry.name, options, source_options, storage_options)
    batch = Batch(sources, pattern, table=table, report=report, resume=resume)
    rows: dict[str, Conversion] = {}
    with progress_bar(len(batch.jobs), progress) as (advance, _):

        def record(row: Conversion, error: Exception | None) -> None:
            rows[row.target] = row
            advance()
            if error is not None and on_error == "raise":
                raise error

        batch.run(record, executor)
    return [rows[job.target] for job in batch.jobs.values()]


class Batch:
    """A batch that was checked and can be run.

    What is wrong raises as :func:`convert_many` does. `pattern` is the job that all have
    in common, with templates as names; `jobs` are all of them, by the identity of their
    targets, and `kept` the rows of those whose targets are there already.
    """

    def __init__(
        self,
        sources: StrPath | Iterable[StrPath] | None,
        pattern: Job,
        *,
        table: Any,
        report: StrPath | None,
        resume: bool,
    ) -> None:
        if report is None:  # beside the targets, if they are local
            start = pattern.target.partition("{")[0]
            folder = Path() if is_url(start) else Path(f"{start}_").parent
            report = folder / DEFAULT_NAME
        self.report = Report(report)
        self._places = Places(pattern.storage_options)
        self.jobs = _planned(sources, pattern, table, self._places)
        self.kept = self._kept_rows() if resume else {}

    def _kept_rows(self) -> dict[str, Conversion]:
        """Return the rows of the targets that are there as their jobs would write them."""
        last_rows = {identity(row["target"]): row for row in self.report.rows()}
        kept = {}
        for key, job in self.jobs.items():
            row = last_rows.get(key)
            if row is not None and self._is_kept(job, row):
                kept[key] = conversion_of(row, status="kept", target=job.target)
        return kept

    def _is_kept(self, job: Job, row: Mapping[str, Any]) -> bool:
        return (
            row["status"] == "written"
            and row["source"] == job.source
            and row["options"] == job.digest
            and self._places.state(job.source)
            == (row["source_bytes"], row["source_time"])
            and self._places.state(job.target) is not None
        )

    def run(
        self,
        record: Callable[[Conversion, Exception | None], None],
        executor: Executor | None = None,
    ) -> None:
        """Do what is left to do, and call `record` with each row as it is known."""
        for row in self.kept.values():
            record(row, None)
        if len(self.kept) == len(self.jobs):
            return

        def jobs_left() -> Iterator[Job]:
            for key, job in self.jobs.items():
                if key not in self.kept:
                    # As it is when the job begins: what changes later is written again.
                    yield attrs.evolve(job, state=self._places.state(job.source))

        def finished(job: Job, outcome: Outcome) -> None:
            row, error = outcome
            self.report.append(row, job)
            record(row, error)

        with self.report:
            run_jobs(jobs_left(), executor, finished)


@contextmanager
def progress_bar(
    total: int, is_shown: bool
) -> Iterator[tuple[Callable[[], Any], Callable[[str], Any]]]:
    """Yield how to move a progress bar on by one recording, and how to print a line.

    Lines go to stderr, above the bar if there is one.
    """
    tqdm = check_progress(is_shown)
    if tqdm is None:
        yield lambda: None, partial(print, file=sys.stderr, flush=True)
        return
    with tqdm(total=total, unit="recording", file=sys.stderr) as bar:
        yield bar.update, partial(bar.write, file=sys.stderr)


def _planned(
    sources: StrPath | Iterable[StrPath] | None,
    pattern: Job,
    table: Any,
    places: Places,
) -> dict[str, Job]:
    """Return the jobs of a batch by the identity of their targets, in order.

    `pattern` is what they have in common, with templates as names. What is raised stands
    in :func:`spikelab.convert_many`.
    """
    check_options(FORMATS[pattern.to], pattern.options)
    fields = _fields_of(pattern)
    rows = _rows(sources, pattern, table, fields, places)
    known = [*_FIELDS, *sorted({name for row in rows for name in row.names})]
    for name in sorted(fields.difference(known)):
        listed = ", ".join(f"{{{field}}}" for field in known)
        raise OptionError(
            "target",
            f"has the unknown field {{{name}}}; fields are {listed}, and {{{{ is a brace"
            f"{suggestion(name, known)}",
        )
    jobs = []
    for index, row in enumerate(rows):
        parent = _full(row.source).parent.name
        names = {"stem": stem_of(row.source), "parent": parent, "index": index}
        job = attrs.evolve(pattern, options={**pattern.options, **row.options})
        jobs.append(job.renamed(row.source, partial(_filled, names | row.names, row)))
    return _by_target(jobs)


def _rows(
    sources: StrPath | Iterable[StrPath] | None,
    pattern: Job,
    table: Any,
    fields: set[str],
    places: Places,
) -> list[Row]:
    """Return a row for each recording: of the table if there is one, else made."""
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    found = [name for source in sources or () for name in places.matches(source)]
    if table is None:
        if not found:
            raise OptionError("sources", "must name at least one recording, got none")
        return [Row(number, source) for number, source in enumerate(found, start=1)]
    columns = fields.difference(_FIELDS)
    rows = checked_rows(table, FORMATS[pattern.to], pattern.options, columns)
    if not found:
        return rows
    in_table = {identity(row.source) for row in rows}
    for source in found:
        if identity(source) not in in_table:
            raise ValueError(
                f"table must have a row for each source, none for {source}"
            )
    wanted = {identity(source) for source in found}
    return [row for row in rows if identity(row.source) in wanted]


def _fields_of(pattern: Job) -> set[str]:
    """Return the names of the fields in all templates."""
    templates = pattern.targets
    table = (pattern.source_options or {}).get(UNITS_TABLE)
    if table is not None:
        templates.append(os.fspath(table))
    try:
        parts = [part for text in templates for part in string.Formatter().parse(text)]
    except ValueError as error:
        raise OptionError(
            "target", f"must be a template: {error}, got {pattern.target!r}"
        ) from None
    return {name for _, name, _, _ in parts if name is not None}


def _filled(names: dict[str, Any], row: Row, template: str) -> str:
    """Return a template with the names of one recording."""
    try:
        return template.format_map(names)
    except KeyError as error:
        raise ValueError(
            f"{row}: column {error.args[0]} must be given, the target has it"
        ) from None
    except (TypeError, ValueError) as error:
        raise OptionError(
            "target", f"cannot be made: {error}, got {template!r}"
        ) from None


def _by_target(jobs: list[Job]) -> dict[str, Job]:
    """Return the jobs by the identity of their targets.

    Raises OptionError if two have one target, or one is the source of another.
    """
    owners: dict[str, Job] = {}  # of each file that is written
    for job in jobs:
        keys = [identity(target) for target in job.targets]
        if len(set(keys)) < len(keys):
            problem = f"must be another file than the target, got {job.target}"
            raise OptionError(UNITS_TABLE, problem)
        for key, target in zip(keys, job.targets, strict=True):
            other = owners.setdefault(key, job)
            if other is not job:
                raise OptionError(
                    "target",
                    f"must differ for each recording, got {target} for {other.source} "
                    f"and {job.source}; a template such as "
                    "'{parent}/{stem}' has more names",
                )
    for job in jobs:
        if owners.get(identity(job.source), job) is not job:
            raise OptionError(
                "target",
                f"must not be the source of another recording, got {job.source}",
            )
    return {identity(job.target): job for job in jobs}


def template_of(target: StrPath, to: str | None) -> tuple[Format, str]:
    """Return the format and the template of the targets; a folder holds all of them."""
    text = path_or_url(target)
    is_folder = text.endswith(("/", os.sep)) or (
        "{" not in text and (named_by(text) is None or Path(text).is_dir())
    )
    if not is_folder:
        return format_of(text, to), text
    if to is None:
        raise OptionError("to", f"must be given for a folder of files, {text!r}")
    entry = format_of(text, to)
    return entry, in_folder(text, "{stem}", entry)


def in_folder(folder: str, stem: str, entry: Format) -> str:
    """Return the name of a file of a format, or of a folder, in a folder."""
    suffix = entry.suffixes[0] if entry.suffixes else ""
    return f"{folder.rstrip('/' + os.sep)}/{stem}{suffix}"


def stem_of(source: str) -> str:
    """Return the name of a file or folder without the suffix of its format."""
    name = _full(source).name
    for suffix in (suffix for entry in FORMATS.values() for suffix in entry.suffixes):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    is_file = not is_url(source) and Path(source).is_file()
    return PurePath(name).stem if is_file else name


def _full(source: str) -> PurePath:
    return PurePosixPath(source) if is_url(source) else Path(source).absolute()
