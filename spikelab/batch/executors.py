"""Running jobs on executors, also on those whose workers die."""

import _thread
import contextlib
import multiprocessing
import os
import queue
import secrets
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from spikelab.batch.conversion import (
    Conversion,
    Job,
    Outcome,
    convert_job,
    described,
)
from spikelab.errors import MissingExtraError

WINDOW = 1000
"""How many jobs an executor of the user has at a time."""

Record = Callable[[Job, Outcome], None]

_at_work = threading.Lock()
"""Held by a worker process while it does a job."""


def run_jobs(
    jobs: Iterable[Job], executor: Executor | None, raises: bool, record: Record
) -> None:
    """Do jobs on an executor, in this process if there is none.

    If a pool breaks, the jobs that were lost with it are tried once more at the end, one
    by one, so that a recording that kills its worker costs itself alone.

    Parameters
    ----------
    jobs : iterable of Job
        What to do; taken as the executor gets on, :data:`WINDOW` jobs ahead.
    executor : Executor, optional
        Who does it.
    raises : bool
        Whether errors are sent back, to be raised.
    record : function
        Called with each job and what became of it. If it raises, as after Ctrl-C, no
        further job begins, those at work are recorded, and the error is raised.
    """
    if executor is None:
        for job in jobs:
            record(job, convert_job(job, str(Path.cwd()), raises=raises))
        return
    crew = _Crew(executor, raises)
    window = getattr(executor, "window", WINDOW)
    suspects: list[Job] = []
    with crew.interrupted_between_jobs():
        try:
            for job, outcome, error in crew.done(jobs, window):
                if outcome is not None:
                    record(job, outcome)
                elif isinstance(error, BrokenExecutor):
                    suspects.append(job)
                else:  # Dask, say, has tried it on several workers
                    record(job, _lost(job, error, raises))
            for job, outcome, error in crew.done(suspects, 1):
                record(job, outcome or _lost(job, error, raises))
        except BaseException:
            for job, outcome in crew.rest():
                with contextlib.suppress(Exception):  # the first error is raised
                    record(job, outcome)
            raise


class _Crew:
    """The jobs that an executor has."""

    def __init__(self, executor: Executor, raises: bool) -> None:
        self._executor, self._raises = executor, raises
        self._folder = str(Path.cwd())
        self._jobs: dict[Future[Outcome], Job] = {}
        # A future that is done, or None for Ctrl-C.
        self._done: queue.SimpleQueue[Future[Outcome] | None] = queue.SimpleQueue()

    @contextlib.contextmanager
    def interrupted_between_jobs(self) -> Iterator[None]:
        """Let Ctrl-C wait until the row of a finished job is recorded.

        A handler of the user's own stays.
        """
        is_main = threading.current_thread() is threading.main_thread()
        if not is_main or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, lambda *_: self._done.put(None))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def done(
        self, jobs: Iterable[Job], window: int
    ) -> Iterator[tuple[Job, Outcome | None, BaseException | None]]:
        """Yield each job with its outcome, or with the error that lost it."""
        waiting = iter(jobs)
        while True:
            while len(self._jobs) < window and (job := next(waiting, None)):
                if (error := self._submitted(job)) is not None:
                    yield job, None, error
            if not self._jobs:
                return
            future, job = self._next()
            try:
                yield job, future.result(), None
            except (Exception, SystemExit) as error:
                yield job, None, error

    def rest(self) -> Iterator[tuple[Job, Outcome]]:
        """Begin no further job, and yield those that are done in the meantime."""
        for future in self._jobs:
            future.cancel()
        while self._jobs:
            future, job = self._next()
            if not future.cancelled() and future.exception() is None:
                yield job, future.result()

    def _next(self) -> tuple[Future[Outcome], Job]:
        """Wait until a job is done, and forget it."""
        future = self._done.get()
        if future is None:
            raise KeyboardInterrupt
        return future, self._jobs.pop(future)

    def _submitted(self, job: Job) -> BaseException | None:
        """Hand a job to the executor; return the error if it takes none any more."""
        attempt = secrets.token_hex(8)
        try:
            future = self._executor.submit(
                convert_job, job, self._folder, attempt, raises=self._raises
            )
        except (BrokenExecutor, RuntimeError) as error:
            return error
        self._jobs[future] = job
        future.add_done_callback(self._done.put)
        return None


def _lost(job: Job, error: BaseException | None, raises: bool) -> Outcome:
    """Return the outcome of a job of which nothing came back."""
    cause = described(error) if error else "unknown"
    row = Conversion(
        job.source, job.target, "failed", error=f"its worker was lost: {cause}"
    )
    return Outcome(row, error if raises else None)


class ProcessPool(Executor):
    """A pool of processes that is made anew when a process dies.

    Parameters
    ----------
    n_processes : int
        How many.
    """

    def __init__(self, n_processes: int) -> None:
        self._n_processes = n_processes
        self.window = 2 * n_processes
        self._pool = self._made()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Hand a call to the pool, or to a new one if a process has died."""
        try:
            return self._pool.submit(_work, fn, *args, **kwargs)
        except BrokenExecutor:
            self._pool.shutdown()
            self._pool = self._made()
            return self._pool.submit(_work, fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _made(self) -> ProcessPoolExecutor:
        context: Any = multiprocessing.get_context("spawn")
        if "forkserver" in multiprocessing.get_all_start_methods():
            # It forks a process that has no threads, and has imported the package.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__, "spikelab.formats"])
        return ProcessPoolExecutor(self._n_processes, context, _begin_work)


def _begin_work() -> None:
    """Prepare a worker process: Ctrl-C is for the driver, and without it work ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_termination)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _on_termination(*_: Any) -> None:
    """End the process; if it is at work, what is half written is removed first."""
    if _at_work.locked():
        raise KeyboardInterrupt
    os._exit(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        if _at_work.locked():  # what is half written is removed first
            _thread.interrupt_main(signal.SIGTERM)
        with _at_work:
            os._exit(1)


def _work(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with _at_work:
        try:
            return fn(*args, **kwargs)
        except KeyboardInterrupt:
            os._exit(1)  # or the process would wait for another job


@contextlib.contextmanager
def process_pool(n_processes: int) -> Iterator[Executor]:
    """Yield a pool of processes for the block."""
    pool = ProcessPool(n_processes)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[Executor]:
    """Yield an executor on the Dask cluster at an address, such as ``tcp://host:8786``.

    Raises
    ------
    MissingExtraError
        If distributed is not installed.
    OSError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("--dask", "distributed", "dask") from None
    with Client(address) as client:  # type: ignore[no-untyped-call] # it has no types
        yield client.get_executor()
