"""Running jobs on executors, also on those whose workers die."""

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from spikelab.batch.conversion import Conversion, Job, Outcome, convert_job, described
from spikelab.errors import MissingExtraError

WINDOW = 1000
"""How many jobs an executor of the user has at a time."""

_at_work = threading.Lock()
"""Held by a worker process while it does a job."""

_must_end = False
"""Whether a worker process was told to end."""


def run_jobs(
    jobs: Iterable[Job],
    executor: Executor | None,
    record: Callable[[Job, Outcome], None],
) -> None:
    """Do jobs on an executor, in this process if there is none; `record` each result.

    Each job whose worker was lost (with its pool, or one by one as on a Dask cluster) is
    tried once more at the end, alone: a recording that kills its worker costs itself
    only. If `record` raises, or after Ctrl-C, no further job begins, those at work are
    recorded, and the error is raised.
    """
    if executor is None:
        for job in jobs:
            record(job, convert_job(job))
        return
    tasks = _Tasks(executor)
    lost: list[Job] = []
    with _interrupts(tasks.ended):
        try:
            for job, future in tasks.run(jobs, getattr(executor, "window", WINDOW)):
                if _has_outcome(future):
                    record(job, future.result())
                else:
                    lost.append(job)
            for job, future in tasks.run(lost, 1):
                record(job, _outcome(job, future))
        except BaseException:
            for future in list(tasks.at_work):
                future.cancel()
            for job, future in tasks.run([], WINDOW):
                if _has_outcome(future):
                    with contextlib.suppress(Exception):  # the first error is raised
                        record(job, future.result())
            raise


class _Tasks:
    """The jobs that an executor has at a time."""

    def __init__(self, executor: Executor) -> None:
        self._executor = _answering(executor)
        self.at_work: dict[Future[Outcome], Job] = {}
        # Futures that are done, and None for each Ctrl-C.
        self.ended: queue.SimpleQueue[Future[Outcome] | None] = queue.SimpleQueue()

    def run(
        self, jobs: Iterable[Job], window: int
    ) -> Iterator[tuple[Job, "Future[Outcome]"]]:
        """Begin jobs, up to `window` at a time, and yield each when it has ended."""
        waiting, folder = iter(jobs), str(Path.cwd())
        while True:
            for job in itertools.islice(waiting, window - len(self.at_work)):
                try:
                    future = self._executor.submit(convert_job, job, folder)
                except RuntimeError as error:  # it is broken, or was shut down
                    future = Future()
                    future.set_exception(error)
                self.at_work[future] = job
                future.add_done_callback(self.ended.put)
            if not self.at_work:
                return
            done = self.ended.get()
            if done is None:
                raise KeyboardInterrupt
            yield self.at_work.pop(done), done


def _has_outcome(future: "Future[Outcome]") -> bool:
    """Return whether a job came to its end; else its worker was lost."""
    return not future.cancelled() and future.exception() is None


def _outcome(job: Job, future: "Future[Outcome]") -> Outcome:
    """Return what became of a job, also if its worker was lost."""
    try:
        return future.result()
    except BaseException as error:  # that of the executor
        text = f"its worker was lost: {described(error)}"
        row = Conversion(job.source, job.target, "failed", error=text)
        return row, error if isinstance(error, Exception) else RuntimeError(text)


@contextlib.contextmanager
def _interrupts(ended: "queue.SimpleQueue[Any]") -> Iterator[None]:
    """Let Ctrl-C put None into a queue; a handler of the user's own stays."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: ended.put(None))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _answering(executor: Executor) -> Executor:
    """Return an executor that answers for each job, whatever happens to its workers.

    That of distributed does not, and has no public name for its client and options.
    """
    dask = sys.modules.get("distributed.cfexecutor")
    if dask is not None and isinstance(executor, dask.ClientExecutor):
        return DaskTasks(executor._client, **executor._kwargs)
    return executor


class DaskTasks(Executor):
    """The tasks of a Dask client, with options of ``Client.submit``.

    The executor of distributed leaves a future undone for ever if a worker takes its
    result along and the second attempt fails.
    """

    def __init__(self, client: Any, **options: Any) -> None:
        self._client = client
        self._options = {**options, "pure": False}  # an equal call is done again

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Hand a call to the cluster."""
        task = self._client.submit(fn, *args, **kwargs, **self._options)

        async def result() -> Any:
            return await task

        loop = self._client.loop.asyncio_loop
        future = asyncio.run_coroutine_threadsafe(result(), loop)
        future.add_done_callback(lambda done: done.cancelled() and task.cancel())
        return future


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[Executor]:
    """Yield an executor on the Dask cluster at an address, such as ``tcp://host:8786``.

    Raises MissingExtraError without distributed, OSError if no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("--dask", "distributed", "dask") from None
    with Client(address) as client:  # type: ignore[no-untyped-call] # it has no types
        yield DaskTasks(client)


class ProcessPool(Executor):
    """A pool of processes that is made anew when a process dies."""

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

    def end(*_: Any) -> None:
        global _must_end
        _must_end = True
        if _at_work.locked():
            raise KeyboardInterrupt  # what is half written is removed first
        os._exit(1)

    def end_with_parent() -> None:
        if parent := multiprocessing.parent_process():
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, daemon=True).start()


def _work(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        with _at_work:
            return fn(*args, **kwargs)
    finally:
        # Python drops an error that is raised in a finalizer: then the job is done, and
        # the process would wait for another one.
        if _must_end:
            os._exit(1)
