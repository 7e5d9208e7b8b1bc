"""What it costs to go to other packages and back: python -m bench.bridges."""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import neo
import numpy as np
import pynapple as nap
import quantities as pq
from spikeinterface.core import NumpySorting

from spikelab import SpikeData

FS_HZ, SECONDS, UNITS, SPIKES = 30_000, 3600, 1_000, 10_000
"""A recording on the sampling grid: spikes are those of each unit."""


def main() -> None:
    """Measure the best of three, beside each package's construction from arrays."""
    rng = np.random.default_rng(0)
    samples = np.sort(rng.integers(0, SECONDS * FS_HZ, (UNITS, SPIKES)), axis=1)
    sd = SpikeData(
        list(samples / FS_HZ * 1000.0),
        length=SECONDS * 1000.0,
        metadata={"fs_Hz": FS_HZ},
        neuron_attributes=[{"unit_id": i, "snr": 1.5} for i in range(UNITS)],
    )
    own: dict[str, Callable[[], Any]] = {
        "spikeinterface": lambda: NumpySorting.from_unit_dict(
            [dict(enumerate(samples))], FS_HZ
        ),
        "neo": lambda: _segment(samples),
        "pynapple": lambda: _group(samples),
    }
    print("package, there, back, its own construction, in s; spikes moved")
    for package, construct in own.items():
        there, obj = _best(getattr(sd, f"to_{package}"))
        back, again = _best(partial(getattr(SpikeData, f"from_{package}"), obj))
        alone, _ = _best(construct)
        pairs = zip(sd.train, again.train, strict=True)
        moved = sum(
            np.count_nonzero(np.rint(a * FS_HZ / 1e3) != np.rint(b * FS_HZ / 1e3))
            for a, b in pairs
        )
        print(f"{package}: {there:.2f}, {back:.2f}, {alone:.2f}; {moved}", flush=True)


def _best(call: Callable[[], Any]) -> tuple[float, Any]:
    seconds, result = float("inf"), None
    for _ in range(3):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
        seconds = min(seconds, time.perf_counter() - start)
    return seconds, result


def _segment(samples: np.ndarray[Any, Any]) -> Any:
    segment = neo.Segment()
    for times in samples / FS_HZ:
        train = neo.SpikeTrain(times * pq.s, t_stop=SECONDS * pq.s)
        segment.spiketrains.append(train)
    return segment


def _group(samples: np.ndarray[Any, Any]) -> Any:
    support = nap.IntervalSet(0, SECONDS)
    times = enumerate(samples / FS_HZ)
    members = {unit: nap.Ts(t, time_support=support) for unit, t in times}
    return nap.TsGroup(members, time_support=support, bypass_check=True)


if __name__ == "__main__":
    main()
