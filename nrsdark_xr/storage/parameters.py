"""How a run reaches object storage: what a user may write under `storage` in RUN.yaml.

There is no place for keys: they come from where all programs take them (the variables
``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, ``~/.aws``, the role of the machine), so that
no run file, product or store ever holds one.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from nrsdark_xr.parameters import Parameters

S3_PROTOCOLS = ("s3", "s3a")


class BucketParameters(Parameters):
    """How to reach the objects of a bucket; what is not given comes from the environment."""

    endpoint_url: str | None = Field(default=None, pattern=r"^https?://")
    """Address of the S3 server, if it is not the one of AWS or of ``AWS_ENDPOINT_URL``."""
    anonymous: bool | None = None
    """Whether to ask without keys, as public buckets allow."""
    region: str | None = None
    """Region of the bucket."""
    profile: str | None = None
    """Section of ``~/.aws/credentials`` from which keys are taken, on the workers, too."""


class StorageParameters(BucketParameters):
    """How to reach object storage: for all buckets, and differently for some."""

    buckets: dict[str, BucketParameters] = Field(default_factory=dict)
    """What differs for a bucket, by its name: a public one with the inputs, say."""
    backend: Literal["auto", "s3fs", "obstore"] = "auto"
    """Library that moves the chunks of the store: obstore where it is installed, or as told."""
    patience: float = Field(default=120.0, gt=0)
    """Seconds for which a request is repeated while a server does not answer."""

    def options(self, url: str) -> dict[str, Any]:
        """Give the options of the fsspec file system for `url`; none unless it is on S3."""
        protocol, separator, rest = url.partition("://")
        if not separator or protocol not in S3_PROTOCOLS:
            return {}
        own = self.buckets.get(rest.partition("/")[0], BucketParameters())
        given = self.model_dump() | own.model_dump(exclude_none=True)
        options = {
            "anon": given["anonymous"],
            "endpoint_url": given["endpoint_url"],
            "profile": given["profile"],
            "client_kwargs": given["region"] and {"region_name": given["region"]},
            "backend": self.backend,
            "patience": self.patience,
        }
        return {name: value for name, value in options.items() if value is not None}
