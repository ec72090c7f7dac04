"""What tasks report of their work, as the user is shown it, and how many work at a time."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import pytest
from distributed import Client, LocalCluster, get_worker
from hypothesis import given, settings
from hypothesis import strategies as st

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.tasks import Ledger, submit_evenly, whole_worker
from tests.waiting import PATIENCE, wait_for

ANNOUNCED = {"one": 100.0, "two": 50.0}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["one", "two", "unknown"]), st.integers(0, 130))))
def test_never_more_than_announced_and_all_of_it_in_the_end(
    reports: list[tuple[str, int]],
) -> None:
    progress = Progress(io.StringIO())
    with progress.stage("prepare", total_bytes=150, total_items=2) as stage:
        ledger = Ledger(stage, dict(ANNOUNCED))
        for name, n_bytes in reports:
            before = stage.done_bytes
            ledger.report((0.0, (name, n_bytes)))
            assert before <= stage.done_bytes <= min(before + n_bytes, 150)
        for name in ANNOUNCED:
            ledger.settle(name)
        assert stage.done_bytes == 150
        ledger.report((0.0, ("one", 10)))  # comes late, since events travel by themselves
        assert stage.done_bytes == 150


def test_reports_count_as_they_come() -> None:
    with Progress(io.StringIO()).stage("prepare", total_bytes=150, total_items=2) as stage:
        ledger = Ledger(stage, dict(ANNOUNCED))
        ledger.report((0.0, ("one", 30)))
        assert stage.done_bytes == 30
        ledger.report((0.0, ("two", 80)))  # 30 too many
        assert stage.done_bytes == 80


# One exposure at a time ------------------------------------------------------------------


@contextmanager
def workers(number: int, *, threads: int) -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=number,
            threads_per_worker=threads,
            processes=False,
            dashboard_address="127.0.0.1:0",
            protocol="tcp://",
            host="127.0.0.1",
            memory_limit=0,
        ) as cluster,
        Client(cluster, set_as_default=False) as connected,
    ):
        yield connected


@pytest.fixture
def client() -> Iterator[Client]:
    """Of one worker of three threads."""
    with workers(1, threads=3) as connected:
        yield connected


@dataclass
class Watched:
    """Tasks that have the worker to themselves, and those that had it."""

    now: int = 0
    most: int = 0
    names: list[int] = field(default_factory=list)
    go: Event = field(default_factory=Event)

    def work(self, name: int) -> int:
        with whole_worker() as threads:
            self.now += 1
            self.most = max(self.most, self.now)
            self.names.append(name)
            assert self.go.wait(PATIENCE)
            self.now -= 1
            return threads


WATCHED: dict[str, Watched] = {}
"""By test: tasks reach it from the worker, which is in this process."""


def work(test: str, name: int) -> int:
    return WATCHED[test].work(name)


def states(client: Client) -> list[str]:
    """Of the tasks that the worker knows."""
    (worker,) = client.cluster.workers.values()
    return sorted(task.state for task in list(worker.state.tasks.values()))


def test_a_worker_works_on_one_exposure_at_a_time_with_all_its_threads(client) -> None:
    watched = WATCHED["one"] = Watched()
    watched.go.set()
    assert client.gather(client.map(work, ["one"] * 7, range(7))) == [3] * 7
    assert watched.most == 1
    assert sorted(watched.names) == list(range(7))


def test_a_task_that_is_cancelled_while_it_waits_does_nothing(client) -> None:
    watched = WATCHED["cancelled"] = Watched()
    first = client.submit(work, "cancelled", 1)
    wait_for(lambda: watched.names == [1])
    second = client.submit(work, "cancelled", 2)
    wait_for(lambda: states(client) == ["executing", "executing"])
    second.cancel()
    wait_for(lambda: states(client) == ["cancelled", "executing"])
    watched.go.set()
    assert first.result() == 3
    third = client.submit(work, "cancelled", 3)
    assert third.result() == 3
    assert watched.names == [1, 3]


def test_a_task_that_fails_lets_the_next_one_work(client) -> None:
    watched = WATCHED["fails"] = Watched()
    assert client.submit(fail).exception() is not None
    watched.go.set()
    assert client.submit(work, "fails", 1).result(timeout=PATIENCE) == 3


def fail() -> None:
    with whole_worker():
        raise NrsdarkError("bad")


def worker_of(_exposure: int, _references: int) -> str:
    time.sleep(0.3)
    return get_worker().address


def test_workers_of_several_threads_get_equal_shares_of_exposures() -> None:
    """Though only one holds the references, and has threads for half of them."""
    with workers(3, threads=3) as client:
        references = client.submit(int)
        references.result()
        futures = submit_evenly(
            client, range(6), lambda exposure: client.submit(worker_of, exposure, references)
        )
        assert sorted(futures.values()) == list(range(6))
        shares = Counter(client.gather(list(futures)))
    assert sorted(shares.values()) == [2, 2, 2]
