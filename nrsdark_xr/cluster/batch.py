"""Jobs of a batch system: a refused one is told of, one that ends is replaced."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

SECONDS_BETWEEN_LOOKS = 5.0
"""Pause between two looks at whether jobs have to be replaced."""


def telling_job(job_class: type) -> Any:
    """Derive jobs that keep in `refusal` why the batch system did not take them.

    What the submission of a job raises ends in the event loop of its cluster, where nobody sees
    more of it than a traceback.

    Parameters
    ----------
    job_class : type
        A job of dask-jobqueue, such as ``dask_jobqueue.slurm.SLURMJob``.

    Returns
    -------
    type
        To be given to the cluster as ``job_cls``.
    """
    from distributed.deploy.spec import ProcessInterface

    class TellingJob(job_class):
        refusal: str | None = None

        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError) as error:  # OSError: no such command
                self.refusal = _answer(error)
                await ProcessInterface.start(self)

    return TellingJob


def _answer(error: Exception) -> str:
    """Take what the command said from what dask-jobqueue makes of it, which ends with that."""
    lines = str(error).partition("stderr:")[2] or str(error)
    said = [line.rpartition("error: ")[2].strip() for line in lines.splitlines()]
    return ", ".join(line for line in said if line)


def refusal(cluster: Any) -> str | None:
    """Tell why the batch system refused a job, if it refused one."""
    return next((job.refusal for job in cluster.workers.values() if job.refusal), None)


def waiting_for(cluster: Any) -> str | None:
    """Tell what the jobs of a SLURM cluster wait for, in SLURM's words."""
    jobs = [str(job.job_id) for job in cluster.workers.values() if job.job_id]
    command = ["squeue", "--noheader", "--states=PENDING", "--format=%r", "--jobs", ",".join(jobs)]
    if not jobs or shutil.which(command[0]) is None:
        return None
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return ", ".join(sorted(set(said.split()))) or None


def jobs_wait(client: Client) -> bool:
    """Whether a client's workers are jobs that wait in a queue."""
    cluster = client.cluster
    return hasattr(cluster, "job_cls") and waiting_for(cluster) is not None


@contextmanager
def keep_jobs(cluster: Any, count: int) -> Iterator[None]:
    """Submit a job for each one that was killed, or whose time is over, while the block runs.

    dask-jobqueue forgets a job that has lost its workers for a while (Dask's setting
    ``distributed.deploy.lost-worker-timeout``, 15 s), but submits another one only when it is asked
    again.

    Parameters
    ----------
    cluster : dask_jobqueue.JobQueueCluster
    count : int
        Workers that there shall be.
    """
    from tornado.ioloop import PeriodicCallback

    def ask_again() -> None:
        for name, job in list(cluster.workers.items()):
            if job.refusal is not None:
                del cluster.workers[name]
        cluster.scale(count)

    keeper = PeriodicCallback(ask_again, SECONDS_BETWEEN_LOOKS * 1000)
    cluster.loop.add_callback(keeper.start)
    try:
        yield
    finally:
        cluster.loop.add_callback(keeper.stop)
