"""Who makes a cluster of each kind; a provider is imported when it is asked for, not before."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from nrsdark_xr.cluster.batch import keep_jobs, telling_job
from nrsdark_xr.cluster.file import ClusterFile
from nrsdark_xr.errors import NrsdarkError

LOCALHOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Provider:
    """A class of another package that makes clusters.

    Attributes
    ----------
    module, name : str
        Where the class is.
    package : str
        What to install for it.
    extra : str
        The optional dependency of nrsdark_xr that installs it.
    """

    module: str
    name: str
    package: str
    extra: str


PROVIDERS = {
    "slurm": Provider("dask_jobqueue", "SLURMCluster", "dask-jobqueue", "slurm"),
    "kubernetes": Provider(
        "dask_kubernetes.operator", "KubeCluster", "dask-kubernetes", "kubernetes"
    ),
    "gateway": Provider("dask_gateway", "GatewayCluster", "dask-gateway", "gateway"),
    "fargate": Provider("dask_cloudprovider.aws", "FargateCluster", "dask-cloudprovider", "aws"),
    "coiled": Provider("coiled", "Cluster", "coiled", "coiled"),
}
"""Provider of each kind that needs one."""
BATCH_SYSTEMS = {"slurm": ("dask_jobqueue.slurm", "SLURMJob")}
"""Module and class of the jobs of those kinds whose workers come as jobs."""


@contextmanager
def provided(cluster: ClusterFile, *, workers: int | None, source: str) -> Iterator[Any]:
    """Have a provider start a cluster, and end it with the block.

    Parameters
    ----------
    cluster : ClusterFile
        Of a kind in `PROVIDERS`.
    workers : int, optional
        Workers to ask for; those of the file unless given.
    source : str
        The file, to be named in messages.

    Yields
    ------
    distributed.deploy.Cluster

    Raises
    ------
    NrsdarkError
        If the provider is not installed, or refuses.
    """
    wanted = workers or cluster.workers
    with _make(cluster, source=source) as made:
        if wanted:
            made.scale(wanted)
        if wanted and cluster.kind in BATCH_SYSTEMS:
            with keep_jobs(made, wanted):
                yield made
        else:
            yield made


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Let Ctrl-C do what it did: dask-jobqueue, when imported, makes it end the process at once."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and signal.getsignal(signal.SIGINT) is not before:
            signal.signal(signal.SIGINT, before)


def _make(cluster: ClusterFile, *, source: str) -> Any:
    provider = PROVIDERS[cluster.kind]
    try:
        with _interrupts_kept():
            make = getattr(import_module(provider.module), provider.name)
    except ImportError as error:
        raise NrsdarkError(
            f"clusters of kind {cluster.kind} need {provider.package} ({error})",
            file=source,
            remedy=f"pip install 'nrsdark_xr[{provider.extra}]'",
        ) from error
    try:
        return make(**_options(cluster))
    except Exception as error:  # whatever a provider raises, the user learns who refused and why
        reason = " ".join(str(error).split())
        raise NrsdarkError(
            f"{provider.name} of {provider.package} refuses: {type(error).__name__}: {reason}",
            file=source,
            remedy="correct its `kwargs`",
        ) from error


def _options(cluster: ClusterFile) -> dict[str, Any]:
    """Add ours to the options of a file.

    A scheduler that runs in this process stays on this machine, unless the file says where. Others
    run elsewhere, where their provider decides who may reach them.
    """
    if cluster.kind not in BATCH_SYSTEMS:
        return dict(cluster.kwargs)
    told = dict(cluster.kwargs.get("scheduler_options", {}))
    if not told.keys() & {"host", "interface"} and "interface" not in cluster.kwargs:
        told["host"] = LOCALHOST
    told.setdefault("dashboard_address", f"{LOCALHOST}:0")
    module, name = BATCH_SYSTEMS[cluster.kind]
    ours = {
        "job_cls": telling_job(getattr(import_module(module), name)),
        "silence_logs": logging.getLogger("distributed").level,
    }
    return {**ours, **cluster.kwargs, "scheduler_options": told}
