"""Where files lie, on a disk or on a server, and how to reach them in one way."""

from nrsdark_xr.storage.locations import (
    StorageOptions,
    file_name,
    file_system,
    fsspec_options,
    is_remote,
    local_path,
    normalise,
    reading,
)
from nrsdark_xr.storage.parameters import BucketParameters, StorageParameters

__all__ = [
    "BucketParameters",
    "StorageOptions",
    "StorageParameters",
    "file_name",
    "file_system",
    "fsspec_options",
    "is_remote",
    "local_path",
    "normalise",
    "reading",
]
