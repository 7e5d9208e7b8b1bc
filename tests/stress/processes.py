"""Work in child processes that may be killed, hang or run out of memory."""

import contextlib
import os
import random
import signal
import time


def forked(work):
    """Run `work` in a child process; return its id. It ends without cleaning up."""
    child = os.fork()
    if child:
        return child
    status = 1
    with contextlib.suppress(BaseException):
        work()
        status = 0
    os._exit(status)


def duration(work):
    """Return how long a child process needs for `work`, in seconds."""
    start = time.perf_counter()
    assert ended(forked(work)) == 0
    return time.perf_counter() - start


def killed(work, seconds):
    """Run `work` in a child, kill it after `seconds`; tell whether it was in time."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return ended(child) == -signal.SIGKILL


def ended(child):
    """Wait for a child process; return its exit status, or minus its signal."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def moments(seed, longest):
    """Yield random moments, with the early and the late ones as likely as the others."""
    rng = random.Random(seed)
    while True:
        yield rng.uniform(0, 1.1 * longest)
