"""How to get a Dask client: on this machine, or at the address of a running scheduler.

Dask also loads this module into the worker processes that are started here; see `dask_setup`.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress

if TYPE_CHECKING:
    from distributed import Client, Worker

LOCAL, THREADS = "local", "threads"
_REMOTE_SCHEMES = ("tcp://", "tls://", "ws://", "wss://")
_CONNECT_TIMEOUT = "10s"


class Cluster:
    """A cluster that is connected to, or started, when its client is first asked for.

    So a run that finds everything up to date starts none. To be used in a ``with`` block, at the
    end of which what was started ends.

    Parameters
    ----------
    cluster : str
        As `connect` takes it.
    workers : int, optional
        Workers of a cluster on this machine; one per core unless given.
    progress : Progress
        Where the address of the dashboard is said.
    """

    def __init__(self, cluster: str, *, workers: int | None, progress: Progress) -> None:
        self._cluster = cluster
        self._workers = workers
        self._progress = progress
        self._open = ExitStack()
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client."""
        if self._client is None:
            connection = connect(self._cluster, workers=self._workers)
            self._client = self._open.enter_context(connection)
            self._progress.say(f"Dask dashboard: {self._client.dashboard_link}")
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()


@contextmanager
def connect(cluster: str = LOCAL, *, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one on this machine, for the length of a ``with`` block.

    Scheduler, workers and dashboard of a cluster started here listen on localhost only.

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
    if cluster in (LOCAL, THREADS):
        with _start(cluster, workers or len(os.sched_getaffinity(0))) as client:
            yield client
    elif cluster.startswith(_REMOTE_SCHEMES):
        with _join(cluster) as client:
            yield client
    else:
        raise NrsdarkError(
            f"unknown cluster {cluster!r}",
            remedy=f"give {LOCAL!r}, {THREADS!r} or the address of a scheduler, tcp://host:port",
        )


@contextmanager
def _start(kind: str, n_workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    _quieten_distributed()
    processes = kind == LOCAL
    own_preload = [__name__] if processes else []
    # No memory limit: tasks are bounded, and a worker that is killed on suspicion helps nobody.
    with (
        LocalCluster(
            n_workers=n_workers if processes else 1,
            threads_per_worker=1 if processes else n_workers,
            processes=processes,
            protocol="tcp://",  # that of threads, inproc://, would listen on all interfaces
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            preload=[*dask.config.get("distributed.worker.preload"), *own_preload],
            memory_limit=0,
            silence_logs=logging.getLogger("distributed").level,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _join(address: str) -> Iterator[Client]:
    from distributed import Client

    _quieten_distributed()
    try:
        client = Client(address, timeout=_CONNECT_TIMEOUT)
    except OSError as error:
        raise NrsdarkError(
            "no scheduler answers", file=address, remedy="start one with `dask scheduler`"
        ) from error
    with client:
        yield client


def dask_setup(_worker: Worker) -> None:
    """Leave Ctrl-C to the client, which ends the workers; called by Dask in each of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _quieten_distributed() -> None:
    """Silence Dask unless our own debugging messages are wanted: what fails, we tell ourselves.

    Importing distributed sets the level of its loggers anew, so this comes after the import.
    """
    if not logging.getLogger("nrsdark_xr").isEnabledFor(logging.DEBUG):
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
