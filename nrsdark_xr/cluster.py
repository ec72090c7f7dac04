"""How to get a Dask client: on this machine, or at the address of a running scheduler."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nrsdark_xr.errors import NrsdarkError

if TYPE_CHECKING:
    from distributed import Client

LOCAL, THREADS = "local", "threads"
_REMOTE_SCHEMES = ("tcp://", "tls://", "ws://", "wss://")
_CONNECT_TIMEOUT = "10s"


@contextmanager
def connect(cluster: str = LOCAL, *, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one on this machine, for the length of a ``with`` block.

    Scheduler and dashboard of a cluster started here listen on localhost only.

    Parameters
    ----------
    cluster : str
        "local": one process per core; "threads": all in this process; or the address of a
        scheduler, ``tcp://host:port``.
    workers : int, optional
        Workers of a cluster started here; one per core unless given.

    Yields
    ------
    distributed.Client

    Raises
    ------
    NrsdarkError
        If `cluster` is none of these, or no scheduler answers.
    """
    from distributed import Client, LocalCluster

    n_workers = workers or len(os.sched_getaffinity(0))
    if cluster.startswith(_REMOTE_SCHEMES):
        try:
            client = Client(cluster, timeout=_CONNECT_TIMEOUT)
        except OSError as error:
            raise NrsdarkError(
                "no scheduler answers", file=cluster, remedy="start one with `dask scheduler`"
            ) from error
        with client:
            yield client
        return
    if cluster not in (LOCAL, THREADS):
        raise NrsdarkError(
            f"unknown cluster {cluster!r}",
            remedy=f"give {LOCAL!r}, {THREADS!r} or the address of a scheduler, tcp://host:port",
        )
    processes = cluster == LOCAL
    layout = {"n_workers": n_workers, "threads_per_worker": 1}
    if not processes:
        layout = {"n_workers": 1, "threads_per_worker": n_workers}
    # No memory limit: tasks are bounded, and a worker that is killed on suspicion helps nobody.
    with (
        LocalCluster(
            **layout,
            processes=processes,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
        ) as local,
        Client(local) as client,
    ):
        yield client
