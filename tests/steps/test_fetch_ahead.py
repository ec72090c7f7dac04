"""A worker fetches the next exposure while it works on one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event
from types import SimpleNamespace

from distributed import Client, LocalCluster

from nrsdark_xr.exposures import RawReader
from nrsdark_xr.steps.tasks import COPIES, working_on
from nrsdark_xr.storage import StorageParameters

THREADS = 4
PATIENCE = 600
"""Seconds after which something is taken to hang."""


@dataclass
class Watched:
    """What the tasks do, which run in this process."""

    fetched: SimpleQueue[str] = field(default_factory=SimpleQueue)
    begun: SimpleQueue[str] = field(default_factory=SimpleQueue)
    go: Event = field(default_factory=Event)


WATCHED = Watched()


def calibrate(name: str) -> int:
    exposure = SimpleNamespace(url=f"memory://{name}", name=name)
    with working_on(exposure, StorageParameters(), whole=True) as (_, threads):
        WATCHED.begun.put(name)
        assert WATCHED.go.wait(PATIENCE)
        return threads


def test_the_next_exposure_is_fetched_meanwhile_and_no_other(monkeypatch) -> None:
    def fetch(reader: RawReader, _folder: str) -> None:
        WATCHED.fetched.put(reader.exposure.name)

    monkeypatch.setattr(RawReader, "fetch", fetch)
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=THREADS,
            processes=False,
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        futures = client.map(calibrate, list("abcd"))
        first, second = (WATCHED.fetched.get(timeout=PATIENCE) for _ in range(COPIES))
        assert WATCHED.begun.get(timeout=PATIENCE) == first
        (worker,) = cluster.workers.values()
        deadline = time.monotonic() + PATIENCE
        while worker.state.executing_count < THREADS:  # all have begun, to wait
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert WATCHED.fetched.empty()
        assert WATCHED.begun.empty()
        WATCHED.go.set()
        assert client.gather(futures) == [THREADS] * 4
        assert WATCHED.begun.get() == second
