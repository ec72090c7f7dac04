"""Connect to a cluster, or start one, for the length of a ``with`` block."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nrsdark_xr.cluster.batch import refusal, waiting_for
from nrsdark_xr.cluster.file import SUFFIXES, ClusterFile
from nrsdark_xr.cluster.providers import BATCH_SYSTEMS, LOCALHOST, provided
from nrsdark_xr.cluster.versions import check_versions, own_versions
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.progress import Progress

if TYPE_CHECKING:
    from distributed import Client

LOCAL, THREADS = "local", "threads"
REMOTE_SCHEMES = ("tcp://", "tls://", "ws://", "wss://")
"""How the address of a running scheduler begins."""
_CONNECT_TIMEOUT = "30s"
"""Time until a scheduler must answer: one that is being started takes 10 s on a busy machine."""
_WORKER_PRELOAD = "nrsdark_xr.cluster.worker"
SECONDS_BETWEEN_POLLS = 0.1
WAIT_FOR_WORKERS = 60.0
"""Seconds until the first worker of a running scheduler must be there, unless a file says more."""

WAIT_FOR_RESTART = "1 hour"
"""Time that a worker of this machine that died has until it is back.

After the 15 s that Dask gives it by itself, it would end the nanny that is starting it again, and
the run would have a worker less, or none; on a busy machine a start takes longer than that.
"""


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
    report : Path, optional
        Where Dask's performance report of the block goes: an HTML page with what each worker did
        when, transfers, memory and a profile. None is made if the cluster is never asked for.
    """

    def __init__(
        self,
        cluster: str,
        *,
        workers: int | None,
        progress: Progress,
        report: Path | None = None,
    ) -> None:
        check_name(cluster)
        if report is not None and not report.absolute().parent.is_dir():
            raise NrsdarkError(
                "the folder for the performance report is not there",
                file=report,
                remedy="make it, or give another path",
            )
        self._cluster = cluster
        self._workers = workers
        self._progress = progress
        self._report = report
        self._open = ExitStack()
        self._client: Client | None = None
        self._started = ""

    @property
    def client(self) -> Client:
        """The client."""
        if self._client is None:
            connection = connect(self._cluster, workers=self._workers)
            self._client = self._open.enter_context(connection)
            self._progress.say(f"Dask dashboard: {self._client.dashboard_link}")
            self._started = datetime.now(UTC).isoformat(timespec="seconds")
            if self._report is not None:
                self._open.enter_context(_performance_report(self._report))
        return self._client

    def description(self) -> dict[str, Any] | None:
        """Tell who works: for the records of a store.

        Returns
        -------
        dict or None
            ``started`` (UTC), ``cluster`` as it was named, ``workers`` and ``threads`` that there
            are now, ``versions`` of their software (the same as here: `check_versions`). None
            before the client was asked for.
        """
        if self._client is None:
            return None
        threads = self._client.nthreads()
        return {
            "started": self._started,
            "cluster": self._cluster,
            "workers": len(threads),
            "threads": sum(threads.values()),
            "versions": own_versions(),
        }

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
def _performance_report(path: Path) -> Iterator[None]:
    """Have Dask write its report of the block, as one page that needs no other."""
    from distributed import performance_report

    with performance_report(filename=str(path), mode="inline"):
        yield


@contextmanager
def connect(cluster: str = LOCAL, *, workers: int | None = None) -> Iterator[Client]:
    """Connect to a cluster, or start one on this machine, for the length of a ``with`` block.

    Scheduler, workers and dashboard of a cluster started here listen on localhost only. Within the
    block Dask computes there by default; afterwards, and when connecting fails, as it did before.

    Parameters
    ----------
    cluster : str
        "local": one process per core; "threads": all in this process; the address of a scheduler,
        ``tcp://host:port``; or a YAML file (`ClusterFile`).
    workers : int, optional
        Workers of a cluster that is started; by default what the file says, or one per core of this
        machine.

    Yields
    ------
    distributed.Client

    Raises
    ------
    NrsdarkError
        If `cluster` is none of these, its file is wrong, its provider is not installed, no
        scheduler or worker answers, or workers run other software than this process.
    """
    check_name(cluster)
    if cluster in (LOCAL, THREADS):
        opened: AbstractContextManager[Client] = _start(cluster, workers, {})
    elif cluster.startswith(REMOTE_SCHEMES):
        opened = _join({"address": cluster}, wait=WAIT_FOR_WORKERS)
    else:
        opened = _open_file(ClusterFile.load(cluster), workers=workers, source=cluster)
    with opened as client:
        yield client


def check_name(cluster: str) -> None:
    """Refuse what `connect` does not know, before anything else is done."""
    here = cluster in (LOCAL, THREADS)
    if not (here or cluster.startswith(REMOTE_SCHEMES) or cluster.endswith(SUFFIXES)):
        raise NrsdarkError(
            f"unknown cluster {cluster!r}",
            remedy=f"give {LOCAL!r}, {THREADS!r}, the address of a scheduler (tcp://host:port), "
            "or a file such as those in cluster/",
        )


def _open_file(
    cluster: ClusterFile, *, workers: int | None, source: str
) -> AbstractContextManager[Client]:
    if cluster.kind == "address":
        return _join(cluster.kwargs, wait=cluster.wait)
    if cluster.kind == "local":
        return _start(LOCAL, workers or cluster.workers, cluster.kwargs)
    return _provide(cluster, workers=workers, source=source)


@contextmanager
def _start(kind: str, workers: int | None, options: Mapping[str, Any]) -> Iterator[Client]:
    """Start a cluster here; `options` of `distributed.LocalCluster` beat ours."""
    import dask
    from distributed import Client, LocalCluster

    _quieten_distributed()
    processes = kind == LOCAL
    n_workers = workers or len(os.sched_getaffinity(0))
    own_preload = [_WORKER_PRELOAD] if processes else []
    ours: dict[str, Any] = {
        "n_workers": n_workers if processes else 1,
        "threads_per_worker": 1 if processes else n_workers,
        "processes": processes,
        "protocol": "tcp://",  # that of threads, inproc://, would listen on all interfaces
        "host": LOCALHOST,
        "dashboard_address": f"{LOCALHOST}:0",
        "preload": [*dask.config.get("distributed.worker.preload"), *own_preload],
        # No limit: tasks are bounded, and a worker that is killed on suspicion helps nobody.
        "memory_limit": 0,
        "silence_logs": logging.getLogger("distributed").level,
    }
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": WAIT_FOR_RESTART}),
        LocalCluster(**{**ours, **options}) as cluster,
        Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):
        yield client


@contextmanager
def _join(options: Mapping[str, str], *, wait: float) -> Iterator[Client]:
    """Connect to a running scheduler whose workers are there, or come within `wait` seconds."""
    from distributed.security import Security

    _quieten_distributed()
    address, tls = options["address"], {k: v for k, v in options.items() if k != "address"}
    try:
        security = Security(require_encryption=True, **tls) if tls else None
        client = _client(address, timeout=_CONNECT_TIMEOUT, security=security)
    except (OSError, TypeError) as error:  # TypeError: tls:// without its files
        raise NrsdarkError(
            "no scheduler answers" if isinstance(error, OSError) else " ".join(str(error).split()),
            file=address,
            remedy="start one with `dask scheduler`, or check its address and the TLS files",
        ) from error
    with client, client.as_current():
        _check_workers(client, wait=wait, source=address)
        yield client


@contextmanager
def _provide(cluster: ClusterFile, *, workers: int | None, source: str) -> Iterator[Client]:
    """Have a provider start a cluster, and end it with the block."""
    _quieten_distributed()
    with (
        provided(cluster, workers=workers, source=source) as made,
        _client(made) as client,
        client.as_current(),
    ):
        batch = cluster.kind in BATCH_SYSTEMS
        _check_workers(client, wait=cluster.wait, source=source, batch=batch)
        yield client


def _client(scheduler: Any, **options: Any) -> Client:
    """Connect, without Dask's own table of versions that differ: we look at those that matter."""
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VersionMismatchWarning)
        return Client(scheduler, set_as_default=False, **options)


def _check_workers(client: Client, *, wait: float, source: str, batch: bool = False) -> None:
    """Wait for the first worker, unless a batch system refuses its job, and check its software."""
    deadline = time.monotonic() + wait
    while not client.nthreads():
        if batch and (reason := refusal(client.cluster)):
            raise NrsdarkError(
                f"the batch system refuses a job: {reason}",
                file=source,
                remedy="correct `kwargs` (queue, account, cores, memory, walltime)",
            )
        if time.monotonic() > deadline:
            queued = waiting_for(client.cluster) if batch else None
            raise NrsdarkError(
                f"the scheduler has got no worker within {wait:.0f} s"
                + (f", its jobs wait for: {queued}" if queued else ""),
                file=source,
                remedy="give more time (`wait`), or correct `kwargs`"
                if queued
                else "start some with `dask worker`, or see why the cluster gives none",
            )
        time.sleep(SECONDS_BETWEEN_POLLS)
    check_versions(client, source=source)


def _quieten_distributed() -> None:
    """Silence Dask unless our own debugging messages are wanted: what fails, we tell ourselves.

    Importing distributed sets the level of its loggers anew, so this comes after the import.
    """
    from distributed import client

    if not logging.getLogger("nrsdark_xr").isEnabledFor(logging.DEBUG):
        for name in ("distributed", client.__name__):  # Dask gives the second a level, too
            logging.getLogger(name).setLevel(logging.CRITICAL)
