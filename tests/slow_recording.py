"""A recording that takes its time to load; a module of its own, so that workers find it."""

import time

from spikelab import SpikeData


class Slow:
    """Opened, it takes its time, and is a recording."""

    def __reduce__(self):
        """Sleep when the pickle is loaded."""
        return load_slowly, ()


def load_slowly():
    """Return a recording after 0.2 s."""
    time.sleep(0.2)
    return SpikeData([[1.0]], length=10.0)


class Deaf:
    """Opened, it takes its time, and drops the error that tells it to end."""

    def __reduce__(self):
        """Sleep in a finalizer when the pickle is loaded."""
        return load_in_finalizer, ()


def load_in_finalizer():
    """Return a recording after 0.2 s in which Python drops every error."""

    class Sleeper:
        def __del__(self):
            time.sleep(0.2)

    Sleeper()
    return SpikeData([[1.0]], length=10.0)
