"""Many conversions on pools of processes and on a Dask cluster, with deaths."""

import asyncio
import json
import multiprocessing
import os
import pickle
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from recordings import simulated
from slow_recording import Deaf, Slow

from spikelab import convert_many, load
from spikelab.batch.conversion import Job
from spikelab.batch.executors import ProcessPool, dask_cluster, run_jobs

CONTEXT = multiprocessing.get_context("spawn")


class Killer:
    """Opened, it kills the process that opens it."""

    def __reduce__(self):
        """Call exit when the pickle is loaded."""
        return os._exit, (3,)


TRUSTED = {"trusted": True}


@pytest.fixture
def folder(tmp_path):
    """Recordings, of which one is broken and one kills its worker."""
    for i in range(12):
        simulated(seed=i).to_pickle(tmp_path / f"rat{i:02}.pkl")
    (tmp_path / "rat03.pkl").write_bytes(b"\x80 is no pickle")
    (tmp_path / "rat05.pkl").write_bytes(pickle.dumps(Killer()))
    return tmp_path


def check_conversion(folder, executor):
    """Of all recordings, ten are written whole, and two fail, each with its reason."""
    rows = convert_many(
        folder / "*.pkl",
        folder / "out/{stem}.nwb",
        source_options=TRUSTED,
        executor=executor,
    )
    assert [row.status for row in rows] == [
        "failed" if i in (3, 5) else "written" for i in range(12)
    ]
    assert rows[3].error.startswith("FormatError: ")
    assert rows[5].error.startswith("its worker was lost: ")
    for row in rows:
        if row.status == "written":
            assert load(row.target).N == row.n_units == 6
    assert not list(folder.rglob("*.spikelab-tmp"))


def test_a_recording_that_kills_its_worker_costs_itself_alone(folder):
    """The pool is made anew, and those that were lost with it are written."""
    with ProcessPool(2) as pool:
        check_conversion(folder, pool)


def test_the_command_line_says_what_failed(folder):
    """One line for each, exit status 1, and the second run tries only those."""
    command = [sys.executable, "-m", "spikelab", "convert", "rat*.pkl", "out/", "--to"]
    command += ["hdf5", "--jobs", "2", "--source-options", '{"trusted": true}']
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " error: " in line]
    assert len(errors) == 2
    assert any(line.startswith("spikelab: error: rat05.pkl: ") for line in errors)
    assert done.stdout.count("written  out/rat") == 10
    assert done.stdout.splitlines()[-1] == (
        "10 written, 0 kept, 2 failed; report: out/spikelab-conversions.jsonl"
    )
    again = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert again.stdout.count("kept     out/rat") == 10


def test_a_pool_of_the_user_that_breaks_loses_its_recordings(folder):
    """Their rows say so, and the next run writes them."""
    options = {"source_options": TRUSTED, "executor": None}
    (folder / "rat03.pkl").unlink()

    def run():
        return convert_many(folder / "*.pkl", folder / "out/{stem}.h5", **options)

    with ProcessPoolExecutor(1, mp_context=CONTEXT) as options["executor"]:
        rows = run()
    assert {row.status for row in rows} == {"written", "failed"}
    assert "BrokenProcessPool" in rows[4].error
    (folder / "rat05.pkl").unlink()
    options["executor"] = None
    assert {row.status for row in run()} == {"written", "kept"}


def test_an_error_is_raised_across_processes(folder):
    """As it is, if that is asked for; what is at work is still recorded."""
    with ProcessPool(2) as pool, pytest.raises(ValueError, match="is not a pickle"):
        convert_many(
            folder / "rat0[0-4].pkl",
            folder / "out/{stem}.h5",
            executor=pool,
            on_error="raise",
        )
    report = folder / "out" / "spikelab-conversions.jsonl"
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    written = {row["target"] for row in rows if row["status"] == "written"}
    assert written == {str(path) for path in (folder / "out").glob("*.h5")}


@pytest.fixture
def dask_address(tmp_path):
    """Address of a Dask scheduler with two workers, started again when they die.

    A nanny of distributed does not always start a worker that dies early again.
    """
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with distributed.LocalCluster(
        n_workers=0, dashboard_address="127.0.0.1:0"
    ) as cluster:
        worker = [sys.executable, "-m", "distributed.cli.dask_worker"]
        worker += [cluster.scheduler_address, "--no-nanny", "--no-dashboard"]
        worker += ["--nthreads", "1", "--local-directory", str(tmp_path / "dask")]
        loop = f"while :; do {shlex.join(worker)}; done"
        with (tmp_path / "workers.log").open("w") as log:
            shells = [
                subprocess.Popen(
                    ["sh", "-c", loop], stdout=log, stderr=log, start_new_session=True
                )
                for _ in range(2)
            ]
        try:
            yield cluster.scheduler_address
        finally:
            for shell in shells:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()


def test_a_dask_cluster_does_it_too(folder, dask_address):
    """Its workers are processes of their own, and one recording kills them."""
    with dask_cluster(dask_address) as executor:
        check_conversion(folder, executor)
    command = [sys.executable, "-m", "spikelab", "convert", "*.pkl", "out/"]
    command += ["--to", "nwb", "--dask", dask_address]
    command += ["--source-options", '{"trusted": true}']
    (folder / "rat05.pkl").unlink()
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 1
    assert "10 written, 0 kept, 1 failed" in done.stdout


@pytest.fixture
def slow(tmp_path):
    """Twenty recordings that take 0.2 s each to load."""
    for i in range(20):
        (tmp_path / f"{i:02}.pkl").write_bytes(pickle.dumps(Slow()))
    return tmp_path


def started(folder):
    """The command, at work on them; its workers find this module."""
    command = [sys.executable, "-m", "spikelab", "convert", "*.pkl", "out/", "--to"]
    command += ["pickle", "--jobs", "2", "--source-options", '{"trusted": true}']
    paths = [str(Path(__file__).parent), *filter(None, sys.path)]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so would their children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def rows_of(folder):
    """The whole rows of the report."""
    report = folder / "out" / "spikelab-conversions.jsonl"
    if not report.exists():
        return []
    lines = report.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for_rows(process, folder, count):
    """Wait until the report has some rows."""
    end = time.monotonic() + 60
    while len(rows_of(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("to_all", [True, False])
def test_ctrl_c_ends_in_good_order(to_all, slow):
    """What is at work is finished, and the report says what is there."""
    process = started(slow)
    wait_for_rows(process, slow, 3)
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "spikelab: error: interrupted"
    written = {row["target"] for row in rows_of(slow)}
    there = {f"out/{path.name}" for path in (slow / "out").glob("*.pkl")}
    assert written == there
    assert 3 <= len(there) < 20
    assert not list(slow.rglob("*.spikelab-tmp"))
    done = started(slow)
    out, _ = done.communicate(timeout=60)
    assert f"{20 - len(there)} written, {len(there)} kept" in out


def test_a_killed_driver_costs_no_work(slow):
    """Nothing is torn, its workers end, and what is written is not written again."""
    for _ in range(3):
        process = started(slow)
        wait_for_rows(process, slow, len(rows_of(slow)) + 2)
        time.sleep(random.random() / 5)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)  # its workers hold these pipes, too
        for path in (slow / "out").glob("*.pkl"):
            assert load(path).N == 1
    out, _ = started(slow).communicate(timeout=60)
    assert " 0 failed" in out
    targets = [row["target"] for row in rows_of(slow)]
    assert len(targets) == len(set(targets)) == 20
    assert not list(slow.rglob("*.spikelab-tmp"))


def test_workers_of_a_killed_driver_end_although_an_error_is_dropped(tmp_path):
    """A finalizer swallows the error that ends a job; no process may stay behind."""
    for i in range(20):
        (tmp_path / f"{i:02}.pkl").write_bytes(pickle.dumps(Deaf()))
    process = started(tmp_path)
    wait_for_rows(process, tmp_path, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)  # its workers hold these pipes, too
    assert not list(tmp_path.rglob("*.spikelab-tmp"))


def test_a_lost_result_of_a_dask_task_is_answered():
    """A worker takes it along, and the second attempt fails, when it is gathered."""
    distributed = pytest.importorskip("distributed")
    KilledWorker = distributed.scheduler.KilledWorker

    class Task:
        def __await__(self):
            raise KilledWorker("task", SimpleNamespace(address="tcp://lost:1"), 1)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    client = SimpleNamespace(
        submit=lambda *args, **options: Task(),
        loop=SimpleNamespace(asyncio_loop=loop),
    )
    rows = []
    run_jobs(
        [Job("a.pkl", "a.h5", "hdf5", {}, None)],
        distributed.cfexecutor.ClientExecutor(client, retries=1),
        lambda job, outcome: rows.append(outcome),
    )
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    ((row, error),) = rows
    assert row.error.startswith("its worker was lost: KilledWorker")
    assert isinstance(error, KilledWorker)
