"""Who makes a cluster of each kind; a provider is imported when it is asked for, not before."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

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


def make_cluster(cluster: ClusterFile, *, workers: int | None, source: str) -> Any:
    """Start a cluster, and ask for its workers.

    Parameters
    ----------
    cluster : ClusterFile
        Of a kind in `PROVIDERS`.
    workers : int, optional
        Workers to ask for; those of the file unless given.
    source : str
        The file, to be named in messages.

    Returns
    -------
    distributed.deploy.Cluster

    Raises
    ------
    NrsdarkError
        If the provider is not installed, or refuses.
    """
    provider = PROVIDERS[cluster.kind]
    try:
        make = getattr(import_module(provider.module), provider.name)
    except ImportError as error:
        raise NrsdarkError(
            f"clusters of kind {cluster.kind} need {provider.package} ({error})",
            file=source,
            remedy=f"pip install 'nrsdark_xr[{provider.extra}]'",
        ) from error
    try:
        made = make(**_listening_locally(cluster))
    except Exception as error:  # whatever a provider raises, the user learns who refused and why
        reason = " ".join(str(error).split())
        raise NrsdarkError(
            f"{provider.name} of {provider.package} refuses: {type(error).__name__}: {reason}",
            file=source,
            remedy="correct its `kwargs`",
        ) from error
    if wanted := workers or cluster.workers:
        made.scale(wanted)
    return made


def _listening_locally(cluster: ClusterFile) -> dict[str, Any]:
    """Keep a scheduler that runs in this process to this machine, unless the file says where.

    Others run elsewhere, where their provider decides who may reach them.
    """
    if cluster.kind != "slurm":
        return dict(cluster.kwargs)
    told = dict(cluster.kwargs.get("scheduler_options", {}))
    if not told.keys() & {"host", "interface"} and "interface" not in cluster.kwargs:
        told["host"] = LOCALHOST
    told.setdefault("dashboard_address", f"{LOCALHOST}:0")
    return {**cluster.kwargs, "scheduler_options": told}
