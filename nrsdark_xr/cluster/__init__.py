"""How to get a Dask client: on this machine, at a scheduler's address, or as a YAML file says."""

from nrsdark_xr.cluster.connection import LOCAL, THREADS, Cluster, connect
from nrsdark_xr.cluster.file import ClusterFile

__all__ = ["LOCAL", "THREADS", "Cluster", "ClusterFile", "connect"]
