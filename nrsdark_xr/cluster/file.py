"""What a user writes in a cluster's YAML file, validated."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.parameters import Parameters
from nrsdark_xr.yaml_files import first_complaint, read_yaml

SUFFIXES = (".yaml", ".yml")
"""By which the name of a file is told from the other ways to name a cluster."""
DASK_CLUSTER = "DaskCluster"
"""The kind of the Kubernetes operator's manifest, which is taken as it is."""

Kind = Literal["local", "address", "slurm", "kubernetes", "gateway", "fargate", "coiled"]


class AddressOptions(Parameters):
    """Where a running scheduler is, and the files that TLS needs."""

    address: str = Field(pattern=r"^(tcp|tls|ws|wss)://.+")
    """Such as ``tcp://10.0.0.5:8786``; ``tls://`` needs the three files."""
    tls_ca_file: str | None = None
    """Certificate of the authority that signed those of scheduler and workers."""
    tls_client_cert: str | None = None
    """Certificate to show to the scheduler."""
    tls_client_key: str | None = None
    """Its private key."""

    def anchored(self, folder: Path) -> Self:
        """Return the same with paths made absolute, relative ones counting from `folder`."""
        files = self.model_dump(exclude={"address"}, exclude_none=True)
        return self.model_copy(update={name: str(folder / path) for name, path in files.items()})


class ClusterFile(Parameters):
    """A cluster: of which kind, and what its provider shall be told."""

    kind: Kind
    """Who provides it."""
    kwargs: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the provider's class, as its own documentation names them."""
    workers: int | None = Field(default=None, ge=1)
    """Workers to ask for; the option ``--workers`` beats it."""
    wait: float = Field(default=600.0, gt=0)
    """Seconds to wait for the first worker: a batch queue or a cloud takes its time."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a cluster's file, or the manifest of a DaskCluster on Kubernetes.

        Raises
        ------
        NrsdarkError
            If it is missing, is no YAML mapping, or has an unknown key or a wrong value.
        """
        path = Path(path)
        content = read_yaml(path, example="the folder cluster/ has one for each kind")
        if content.get("kind") == DASK_CLUSTER:
            return cls._of_manifest(content)
        try:
            cluster = cls.model_validate(content)
        except ValidationError as error:
            raise NrsdarkError(first_complaint(cls, error), file=path) from error
        if cluster.kind != "address":
            return cluster
        try:
            address = AddressOptions.model_validate(cluster.kwargs)
        except ValidationError as error:
            complaint = f"in kwargs, {first_complaint(AddressOptions, error)}"
            raise NrsdarkError(complaint, file=path) from error
        options = address.anchored(path.resolve().parent).model_dump(exclude_none=True)
        return cluster.model_copy(update={"kwargs": options})

    @classmethod
    def _of_manifest(cls, manifest: dict[str, Any]) -> Self:
        namespace = manifest.get("metadata", {}).get("namespace")
        options = {"custom_cluster_spec": manifest, "namespace": namespace}
        return cls(kind="kubernetes", kwargs={k: v for k, v in options.items() if v is not None})
