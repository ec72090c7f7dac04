"""Where files are; see `nrsdark_xr.storage.locations`."""

from nrsdark_xr.storage.locations import (
    LOCAL_PROTOCOLS,
    StorageOptions,
    file_name,
    file_system,
    fsspec_options,
    is_remote,
    local_path,
    normalise,
    reading,
)

__all__ = [
    "LOCAL_PROTOCOLS",
    "StorageOptions",
    "file_name",
    "file_system",
    "fsspec_options",
    "is_remote",
    "local_path",
    "normalise",
    "reading",
]
