"""Contenders that take turns, each in a process that is watched from outside."""

import json
import os
import re
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs

WORKER = Path(__file__).with_name("worker.py")

PATIENCE_S = 6.0
"""A contender that has taken so long in all is not run again."""


class ActionError(Exception):
    """An action of a worker failed."""


class Worker:
    """A process that runs the actions of ``worker.py`` under a given Python."""

    def __init__(self, python: str) -> None:
        environment = dict(os.environ)
        if python != sys.executable:  # it must not find this package
            environment.pop("PYTHONPATH", None)
        self._process = subprocess.Popen(
            [python, "-W", "ignore", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, action: str, *arguments: Any) -> float:
        """Run an action; return how many seconds it took."""
        request = json.dumps({"action": action, "arguments": arguments})
        if self._process.stdin is None or self._process.stdout is None:
            raise ActionError("the worker has no pipes")
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ActionError(f"{action} ended its process ({self._process.wait()})")
        answer = json.loads(line)
        if answer["error"]:
            raise ActionError(f"{action} failed: {answer['error']}")
        return float(answer["seconds"])

    def run_watched(self, action: str, *arguments: Any) -> tuple[float, float]:
        """Run an action; return seconds, and by how many bytes memory grew at most.

        What is counted is memory of the process itself, not pages of files that
        it maps: the system takes those back when it needs to.
        """
        before = peak = self._memory()
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.001):
                peak = max(peak, self._memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            seconds = self.run(action, *arguments)
        finally:
            done.set()
            watcher.join()
        return seconds, peak - before

    def _memory(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status")
        try:
            found = re.search(r"RssAnon:\s+(\d+)", status.read_text(encoding="ascii"))
        except OSError:
            return 0
        return int(found[1]) * 1024 if found else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


@attrs.frozen
class Contender:
    """One way to do a job: the actions that prepare it, and the one that is timed."""

    worker: Worker
    action: str
    arguments: tuple[Any, ...] = ()


@attrs.frozen
class Measured:
    """What a contender took."""

    seconds: float
    runs: int
    extra_bytes: int

    def times(self, other: "Measured") -> float:
        """Return how many times as long as `other` this took."""
        return self.seconds / other.seconds


def compete(contenders: Mapping[str, Contender], rounds: int) -> dict[str, Measured]:
    """Let the contenders take turns; return the median of what each took.

    The first turn, which finds caches cold, measures memory; it counts only for a
    contender that has no patience left for another.
    """
    taken: dict[str, list[float]] = {}
    extra: dict[str, int] = {}
    for name, contender in contenders.items():
        seconds, peak = contender.worker.run_watched(
            contender.action, *contender.arguments
        )
        taken[name], extra[name] = [], int(peak)
        if seconds > PATIENCE_S:
            taken[name].append(seconds)
    for _ in range(rounds):
        for name, contender in contenders.items():
            if sum(taken[name]) < PATIENCE_S:
                taken[name].append(
                    contender.worker.run(contender.action, *contender.arguments)
                )
    return {
        name: Measured(statistics.median(runs), len(runs), extra[name])
        for name, runs in taken.items()
    }
