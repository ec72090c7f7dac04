"""Wait for tasks on the cluster, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nrsdark_xr.cluster.batch import jobs_wait
from nrsdark_xr.errors import NrsdarkError

if TYPE_CHECKING:
    from distributed import Client, Future

SECONDS_BETWEEN_POLLS = 0.02
SECONDS_BETWEEN_LOOKS = 5.0
"""Pause between two looks at whether any worker is left."""
SECONDS_WITHOUT_WORKERS = 300.0
"""Time that a cluster may be without any worker: one that restarts is back by then.

Time in the queue of a batch system does not count.
"""


def died(place: object) -> NrsdarkError:
    """Make the error of a task whose workers died one after the other."""
    return NrsdarkError(
        "its worker died again and again, probably for want of memory",
        file=place,
        remedy="run fewer workers, or workers with more memory",
    )


def result_of(future: Future, place: object) -> Any:
    """Return what a future holds; `place` is the file or URL that it is about.

    Raises
    ------
    NrsdarkError
        If its workers died; whatever else the task raised is raised as it is.
    """
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise died(place) from error


def as_finished(client: Client, futures: Iterable[Future]) -> Iterator[Future]:
    """Yield futures as they finish, however they end.

    Raises
    ------
    NrsdarkError
        If the cluster has lost its scheduler, or all its workers and none comes back.
    """
    from distributed import as_completed

    finished = as_completed(list(futures))
    seen = looked = time.monotonic()
    while not finished.is_empty():
        batch = finished.next_batch(block=False)
        for future in batch:
            if future.cancelled():  # not by us, who no longer look then
                raise NrsdarkError(
                    "the scheduler is gone, and with it what its workers had not finished",
                    file=client.scheduler.address,
                    remedy="start it again, then run again: finished exposures stay",
                )
            yield future
        if batch:
            continue
        time.sleep(SECONDS_BETWEEN_POLLS)
        now = time.monotonic()
        if now - looked < SECONDS_BETWEEN_LOOKS:
            continue
        looked = now
        if client.nthreads() or jobs_wait(client):
            seen = now
        elif now - seen > SECONDS_WITHOUT_WORKERS:
            raise NrsdarkError(
                f"no worker has been left for {SECONDS_WITHOUT_WORKERS:.0f} s",
                file=client.scheduler.address,
                remedy="run again; with fewer workers, if they died for want of memory",
            )
