"""What each worker of a cluster has, as far as its file or its scheduler tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nrsdark_xr.cluster.file import ClusterFile
from nrsdark_xr.errors import NrsdarkError

if TYPE_CHECKING:
    from distributed import Client

MIB = 2**20
NTHREADS = "--nthreads"


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """Threads and memory of one worker.

    Attributes
    ----------
    threads : int
    memory : int or None
        Bytes; None where nothing tells, or there is no limit.
    """

    threads: int = 1
    memory: int | None = None


def worker_resources(cluster: ClusterFile, *, source: str) -> WorkerResources:
    """Read threads and memory of a worker from the options of its provider.

    Parameters
    ----------
    cluster : ClusterFile
    source : str
        The file, to be named in messages.

    Raises
    ------
    NrsdarkError
        If a memory or a number of threads cannot be read.
    """
    options = cluster.kwargs
    try:
        match cluster.kind:
            case "local":
                memory = options.get("memory_limit")
                return _resources(options.get("threads_per_worker"), memory)
            case "slurm":
                processes = int(options.get("processes") or 1)
                job = _bytes(options.get("memory"))
                threads = max(1, int(options.get("cores") or 1) // processes)
                return WorkerResources(threads, None if job is None else job // processes)
            case "fargate":
                memory = options.get("worker_mem")
                mib = None if memory is None else int(memory) * MIB
                return WorkerResources(int(options.get("worker_nthreads") or 1), mib)
            case "coiled":
                threads = options.get("worker_options", {}).get("nthreads")
                return _resources(threads, options.get("worker_memory"))
            case "kubernetes":
                return _of_manifest(options.get("custom_cluster_spec", {}))
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise NrsdarkError(
            f"threads or memory of a worker cannot be read: {error}",
            file=source,
            remedy="correct its `kwargs`",
        ) from error
    return WorkerResources()


def running_resources(client: Client) -> set[WorkerResources]:
    """Ask a running scheduler what its workers have; equal ones count once.

    Parameters
    ----------
    client : distributed.Client
        Connected.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {
        WorkerResources(worker["nthreads"], worker["memory_limit"] or None) for worker in workers
    }


def tightest(workers: Iterable[WorkerResources], need: Callable[[int], int]) -> WorkerResources:
    """Choose the workers that have least memory for what they take: any may be handed a task.

    Parameters
    ----------
    workers : iterable of WorkerResources
    need : callable
        Bytes that a worker of so many threads takes.

    Returns
    -------
    WorkerResources
        Of those without a limit, the ones that take most; the default if there are none.
    """

    def pressure(each: WorkerResources) -> tuple[float, int]:
        needed = need(each.threads)
        return (0.0 if each.memory is None else needed / each.memory), needed

    return max(workers, key=pressure, default=WorkerResources())


def _resources(threads: Any, memory: Any) -> WorkerResources:
    return WorkerResources(int(threads or 1), _bytes(memory))


def _of_manifest(manifest: Mapping[str, Any]) -> WorkerResources:
    workers = manifest.get("spec", {}).get("worker", {}).get("spec", {}).get("containers", [])
    if not workers:
        return WorkerResources()
    arguments = [str(argument) for argument in workers[0].get("args", [])]
    threads = arguments[arguments.index(NTHREADS) + 1] if NTHREADS in arguments else 1
    memory = workers[0].get("resources", {}).get("limits", {}).get("memory")
    return _resources(threads, memory)


def _bytes(memory: Any) -> int | None:
    """Parse an amount such as ``4GB`` or ``4Gi``; "auto" and 0 mean that nothing is told."""
    from dask.utils import parse_bytes

    if memory in (None, 0, "0", "auto") or isinstance(memory, float):
        return None
    return int(parse_bytes(str(memory).replace(" ", "")))
