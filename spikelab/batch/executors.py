"""Running jobs on executors, also on those whose workers die."""

import contextlib
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
    answering, folder = _answering(executor), str(Path.cwd())
    at_work: dict[Future[Outcome], Job] = {}
    # A future that is done, or None for Ctrl-C.
    ended: queue.SimpleQueue[Future[Outcome] | None] = queue.SimpleQueue()

    def done(jobs: Iterable[Job], window: int) -> Iterator[tuple[Job, Future[Outcome]]]:
        waiting = iter(jobs)
        while True:
            while len(at_work) < window and (job := next(waiting, None)):
                future = _submitted(answering, job, folder)
                at_work[future] = job
                future.add_done_callback(ended.put)
            if not at_work:
                return
            if (future_done := ended.get()) is None:
                raise KeyboardInterrupt
            yield at_work.pop(future_done), future_done

    suspects: list[Job] = []
    with _interrupts(ended):
        try:
            for job, future in done(jobs, getattr(executor, "window", WINDOW)):
                if future.cancelled() or future.exception() is not None:
                    suspects.append(job)
                else:
                    record(job, future.result())
            for job, future in done(suspects, 1):
                record(job, _outcome(job, future))
        except BaseException:
            for future in list(at_work):
                future.cancel()
            for job, future in done((), 0):
                if not future.cancelled() and future.exception() is None:
                    with contextlib.suppress(Exception):  # the first error is raised
                        record(job, future.result())
            raise


def _submitted(executor: Executor, job: Job, folder: str) -> "Future[Outcome]":
    try:
        return executor.submit(convert_job, job, folder)
    except RuntimeError as error:  # it is broken, or was shut down
        refused: Future[Outcome] = Future()
        refused.set_exception(error)
        return refused


def _outcome(job: Job, future: "Future[Outcome]") -> Outcome:
    """Return what became of a job, also if nothing came back."""
    try:
        return future.result()
    except (Exception, SystemExit) as error:  # Dask, say, tried several workers
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
        client, options = (getattr(executor, n, None) for n in ("_client", "_kwargs"))
        if client is not None:
            return DaskTasks(client, **(options or {}))
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
        future: Future[Any] = Future()
        future.add_done_callback(lambda done: done.cancelled() and task.cancel())

        async def answer() -> None:
            result, failure = None, None
            try:
                result = await task
            except Exception as error:
                failure = error
            except BaseException as error:  # it was cancelled
                failure = RuntimeError(described(error))
            if future.set_running_or_notify_cancel():
                if failure is None:
                    future.set_result(result)
                else:
                    future.set_exception(failure)

        self._client.loop.add_callback(answer)
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
