"""Who works, and how much memory there is for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from nrsdark_xr.cluster import LOCAL, THREADS, ClusterFile, connect
from nrsdark_xr.cluster.connection import REMOTE_SCHEMES, check_name
from nrsdark_xr.cluster.file import SUFFIXES
from nrsdark_xr.cluster.resources import (
    WorkerResources,
    running_resources,
    tightest,
    worker_resources,
)
from nrsdark_xr.plan.memory import StepMemory

TEMPORARY = "temporary-directory"
"""Dask's setting: where workers keep temporary files, unless their `local_directory` says so."""


@dataclass(frozen=True, slots=True)
class Workforce:
    """The workers of a run.

    Attributes
    ----------
    cluster : str
    workers : int or None
        None if they are elsewhere, so that their number is not known.
    processes : bool
        Whether workers are processes of their own.
    cores : int
        Of this machine.
    available : int
        Bytes of memory of this machine that are free for use.
    threads : int
        Threads of one worker; where workers differ, of those that are the tightest.
    worker_memory : int or None
        Bytes that are given to each of these; None where nothing tells.
    temporary : str or None
        Folder of this machine in which its workers keep temporary files; None if they are
        elsewhere.
    """

    cluster: str
    workers: int | None
    processes: bool
    cores: int
    available: int
    threads: int = 1
    worker_memory: int | None = None
    temporary: str | None = None

    @classmethod
    def of(cls, cluster: str, workers: int | None, *, need: Callable[[int], int]) -> Self:
        """Tell it from the options of a run; nothing is started.

        Parameters
        ----------
        cluster : str
            As `nrsdark_xr.cluster.connect` takes it.
        workers : int, optional
            As `nrsdark_xr.cluster.connect` takes it.
        need : callable
            Bytes that a worker of so many threads takes; if that is nothing, a running scheduler is
            not asked about its workers.

        Raises
        ------
        NrsdarkError
            If the cluster is not known, its file is wrong, or a scheduler that is asked has no
            worker or does not answer.
        """
        check_name(cluster)
        cores = own_cores()
        here = cluster in (LOCAL, THREADS)
        running = cluster.startswith(REMOTE_SCHEMES)
        each, temporary = WorkerResources(), None
        if cluster.endswith(SUFFIXES):
            file = ClusterFile.load(cluster)
            each = worker_resources(file, source=cluster)
            here, running = file.kind == "local", file.kind == "address"
            temporary = file.kwargs.get("local_directory")
            workers = workers or file.workers
        if running and need(each.threads):
            with connect(cluster) as client:
                each = tightest(running_resources(client), need)
        if cluster == THREADS:  # one worker, within this process
            each, workers = WorkerResources(threads=workers or cores), 1
        return cls(
            cluster=cluster,
            workers=(workers or cores) if here else None,
            processes=cluster != THREADS,
            cores=cores,
            available=available_memory(),
            threads=each.threads,
            worker_memory=each.memory,
            temporary=(temporary or _temporary_folder()) if here else None,
        )

    def tree(self, need: StepMemory) -> int:
        """Bytes that all processes of this machine take."""
        return need.tree(self.workers or 0, processes=self.processes)


def own_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _temporary_folder() -> str:
    """Find where Dask's workers of this machine keep temporary files."""
    import dask

    return dask.config.get(TEMPORARY, None) or tempfile.gettempdir()


def available_memory() -> int:
    """Bytes of memory that processes can still take, within the limit of a container."""
    import psutil
    from distributed.system import MEMORY_LIMIT

    return min(psutil.virtual_memory().available, MEMORY_LIMIT)
