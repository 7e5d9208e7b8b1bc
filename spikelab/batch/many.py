"""Many conversions: on one machine or a cluster, resumed where they were stopped."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from spikelab.batch.conversion import Conversion, Job, Outcome
from spikelab.batch.executors import run_jobs
from spikelab.batch.places import Places, State, StrPath, identity
from spikelab.batch.plan import planned, template_of
from spikelab.batch.report import NAME, Report, conversion
from spikelab.storage.store import check_progress
from spikelab.storage.urls import is_url


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
            report = NAME if is_url(start) else Path(f"{start}_").parent / NAME
        self.report = Report(report)
        self._places = Places(pattern.storage_options)
        self.jobs = planned(sources, pattern, table, self._places)
        self.kept: dict[str, Conversion] = {}
        for row in (
            self.report.rows() if resume else ()
        ):  # the last row of a target counts
            key = identity(row["target"])
            self.kept.pop(key, None)
            if key in self.jobs and self._is_kept(self.jobs[key], row):
                job = self.jobs[key]
                names = {"source": job.source, "target": job.target}
                self.kept[key] = conversion(row, status="kept", **names)

    def _is_kept(self, job: Job, row: Mapping[str, Any]) -> bool:
        """Return whether the target of a job is as the job would write it."""
        return (
            row["status"] == "written"
            and (row["source"], row["options"]) == (job.source, job.digest)
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
        states: dict[str, State | None] = {}

        def begun() -> Iterator[Job]:
            for key, job in self.jobs.items():
                if key not in self.kept:
                    states[job.target] = self._places.state(job.source)
                    yield job

        def finished(job: Job, outcome: Outcome) -> None:
            row, error = outcome
            self.report.append(row, job, states.pop(job.target))
            record(row, error)

        with self.report:
            run_jobs(begun(), executor, finished)


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
