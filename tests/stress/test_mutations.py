"""Files of every format, damaged at random: the loaders answer with data or one error."""

import contextlib
import json
import os
import random
import resource
import select
import signal
import warnings
from pathlib import Path

import h5py
import pytest
from recordings import simulated, with_raw
from siblings import SIBLINGS
from stress.exports import EXPORTS, FACTOR
from stress.processes import ended

from spikelab import load
from spikelab.errors import SpikelabError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")

MUTANTS = 20 * FACTOR

MOST_SECONDS = 20
"""What takes longer hangs."""

MOST_BYTES = 2**30
"""More memory than this, on top of what Python has, is too much for a small file."""

RAW = {"raw_dataset": "raw", "raw_time_dataset": "raw_time"}


def samples():
    """Functions that write a file or folder into a folder, by name."""
    found = {
        name: lambda folder, e=export: e(simulated(n_units=4), folder / e.target)
        for name, export in EXPORTS.items()
    }
    found["ragged with raw data"] = lambda folder: with_raw().to_hdf5(
        folder / "a.h5", **RAW
    )
    for name, make in SIBLINGS.items():
        for method, target in (
            ("to_hdf5", "a.h5"),
            ("to_nwb", "a.nwb"),
            ("to_csv", "a.csv"),
            ("to_pickle", "a.pkl"),
        ):
            found[f"{method} of {name}"] = lambda folder, m=make, way=method, t=target: (
                getattr(m(), way)(folder / t)
            )
    return found


SAMPLES = samples()


def mutated(content, rng):
    """Return the bytes with something flipped, cut, swapped, wiped, doubled or put in."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        size = len(data)
        if size < 4:
            return bytes(data)
        at, length = rng.randrange(size), rng.randrange(1, min(size, 64))
        other = rng.randrange(size)
        match rng.choice(
            ("flip", "flip", "set", "cut", "swap", "wipe", "double", "insert")
        ):
            case "flip":
                data[at] ^= 1 << rng.randrange(8)
            case "set":
                data[at] = rng.choice((0, 1, 127, 128, 254, 255))
            case "cut":
                del data[at:]
            case "swap":
                piece, second = data[at : at + length], data[other : other + length]
                data[other : other + len(piece)] = piece
                data[at : at + len(second)] = second
            case "wipe":
                data[at : at + length] = rng.choice((b"\0", b"\xff")) * length
            case "double":
                data[at:at] = data[at : at + length]
            case "insert":
                data[at:at] = rng.randbytes(length)
    return bytes(data)


def outcome(target):
    """Load and return in a word what came of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load(target)
    except (SpikelabError, FileNotFoundError) as error:
        cause = error
        while cause is not None:
            if isinstance(cause, MemoryError):
                return f"asked for gigabytes: {error}"
            cause = cause.__cause__ or cause.__context__
        return "own error"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "data"


def try_mutants(files, target, seeds, answers):
    """In a child: damage one of the files for each seed, load, and answer."""
    # A folder is read whole, so the damaged file lies among the intact ones.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, -1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names = sorted(files)
    for seed in seeds:
        rng = random.Random(seed)
        path = Path(rng.choice(names))
        path.write_bytes(mutated(files[str(path)], rng))
        answer = json.dumps([seed, str(path), outcome(target)]) + "\n"
        os.write(answers, answer.encode()[-4000:])
        for other, content in files.items():
            if other == str(path):
                path.write_bytes(content)


def answered(files, target, seeds):
    """Yield ``seed, what came of it`` for each seed, whatever happens to the child."""
    seeds = list(seeds)
    while seeds:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                try_mutants(files, target, seeds, write)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb", buffering=0) as pipe:
            done, how = listened(pipe, child)
        yield from done
        seeds = seeds[len(done) :]
        if seeds:
            yield seeds.pop(0), how
        for path, content in files.items():
            Path(path).write_bytes(content)


def listened(pipe, child):
    """Collect the answers of a child until it ends or hangs."""
    received = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], MOST_SECONDS)
        if not ready:
            os.kill(child, signal.SIGKILL)
            how = "hang"
            break
        chunk = pipe.read(2**16)
        if not chunk:
            how = "crash"
            break
        received += chunk
    status = ended(child)
    answers = [json.loads(line) for line in received.splitlines()]
    return [(seed, what) for seed, _, what in answers], f"{how} ({status})"


@pytest.mark.parametrize("name", SAMPLES)
def test_mutants(name, tmp_path, count):
    """Data, or one error of spikelab's own: no crash, no hang, no gigabytes.

    A damaged pickle may ask for memory that is not there, as in all of Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        SAMPLES[name](tmp_path)
    (target,) = tmp_path.iterdir()
    files = {str(p): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    wrong = []
    for seed, what in answered(files, target, range(MUTANTS)):
        if what in ("data", "own error"):
            count[what] += 1
        elif "pickle" in name and what.startswith("asked for gigabytes"):
            count["asked for more memory than there is"] += 1
        elif what.startswith("crash") and h5py.version.hdf5_version == "1.14.2":
            count["crash inside HDF5 1.14.2"] += 1  # of h5py 3.10, as attributes open
        else:
            wrong.append((seed, what))
    assert wrong == []
