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
