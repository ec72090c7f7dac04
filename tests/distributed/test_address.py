"""Runs on a scheduler that somebody started, with workers started by hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from tests.end_to_end.commands import outcome, spawn, wait_for
from tests.projects import assert_same_products
from tests.small_darks import NAME, Stop


@contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dask for the length of a block."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", "dask", *arguments], **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


@dataclass(frozen=True)
class Scheduler:
    """A scheduler on this machine."""

    process: subprocess.Popen[bytes]
    address: str

    def worker(self, stop: Stop) -> AbstractContextManager[object]:
        """Start a worker that makes the stop, without a nanny that would start it again."""
        here = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        return dask("worker", self.address, *here, "--preload", str(stop.script))


@pytest.fixture
def scheduler(tmp_path) -> Iterator[Scheduler]:
    file = tmp_path / "scheduler.json"
    here = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with dask("scheduler", *here, "--scheduler-file", str(file)) as process:
        deadline = time.monotonic() + 120
        while not file.exists() or not file.read_text().strip():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield Scheduler(process, json.loads(file.read_text())["address"])


def test_two_workers_of_which_one_is_killed(finished_set, darks, scheduler, stop_in):
    stop = stop_in("calibration")
    with scheduler.worker(stop), scheduler.worker(stop):
        running = spawn(darks, "--cluster", scheduler.address)
        wait_for(stop.reached, running)
        os.kill(stop.process, signal.SIGKILL)
        ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)


def test_a_scheduler_that_dies_is_told_and_nothing_is_lost(finished_set, darks, scheduler, stop_in):
    stop = stop_in("calibration")
    with scheduler.worker(stop):
        running = spawn(darks, "--cluster", scheduler.address)
        wait_for(stop.reached, running)
        scheduler.process.kill()
        line = outcome(running).refusal()
    assert scheduler.address in line
    assert ";" in line
    darks.run(until="synthesize")
    assert_same_products(finished_set, darks, NAME)
