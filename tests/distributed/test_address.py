"""Runs on a scheduler that somebody started, with workers started by hand."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.dask_commands import Scheduler, running_scheduler, running_worker
from tests.end_to_end.commands import outcome, spawn
from tests.projects import assert_same_products
from tests.small_darks import NAME, Stop
from tests.waiting import wait_for


@pytest.fixture
def scheduler(tmp_path) -> Iterator[Scheduler]:
    with running_scheduler(tmp_path) as started:
        yield started


def stopping_worker(scheduler: Scheduler, stop: Stop) -> AbstractContextManager[object]:
    """Start a worker that makes the stop."""
    return running_worker(scheduler.address, "--preload", str(stop.script))


def test_two_workers_of_which_one_is_killed(finished_set, darks, scheduler, stop_in):
    stop = stop_in("calibration")
    with stopping_worker(scheduler, stop), stopping_worker(scheduler, stop):
        running = spawn(darks, "--cluster", scheduler.address)
        wait_for(stop.reached, running)
        os.kill(stop.process, signal.SIGKILL)
        ended = outcome(running)
    assert ended.code == 0, ended.err
    assert_same_products(finished_set, darks, NAME)


BLIND = """
import sys

def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith({folder!r}):
        raise PermissionError(f"{{event}} {{arguments[0]}}")

sys.addaudithook(refuse)
"""


def test_the_scheduler_need_not_see_any_file(finished_set, darks, tmp_path):
    """In a container, say, of which only the workers have the disks."""
    blind = tmp_path / "blind.py"
    blind.write_text(BLIND.format(folder=str(darks.folder)))
    with (
        running_scheduler(tmp_path, "--preload", str(blind)) as scheduler,
        running_worker(scheduler.address),
    ):
        darks.run(cluster=scheduler.address)
    assert_same_products(finished_set, darks, NAME)


def test_a_scheduler_that_dies_is_told_and_nothing_is_lost(finished_set, darks, scheduler, stop_in):
    stop = stop_in("calibration")
    with stopping_worker(scheduler, stop):
        running = spawn(darks, "--cluster", scheduler.address)
        wait_for(stop.reached, running)
        scheduler.process.kill()
        line = outcome(running).refusal()
    assert scheduler.address in line
    assert ";" in line
    darks.run(until="synthesize")
    assert_same_products(finished_set, darks, NAME)
