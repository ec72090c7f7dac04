"""Paths and URLs, looked at in one way, and the file systems that hold them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import split_protocol

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.storage.messages import explain
from nrsdark_xr.storage.parameters import S3_PROTOCOLS, StorageParameters

StorageOptions = Mapping[str, Any] | StorageParameters
"""How to reach a server: options of the fsspec file system, or the section of RUN.yaml."""

LOCAL_PROTOCOLS = ("file", "local")
_TRANSPORTS = ("botocore", "aiobotocore", "aiohttp", "s3fs", "obstore")
"""Libraries whose errors about the network are no `OSError`."""


def is_remote(url: str) -> bool:
    """Whether `url` names anything but a file of this machine."""
    protocol, _ = split_protocol(url)
    return protocol is not None and protocol not in LOCAL_PROTOCOLS


def is_s3(url: str) -> bool:
    """Whether `url` names an object of an S3 server."""
    return split_protocol(url)[0] in S3_PROTOCOLS


def local_path(url: str) -> Path:
    """Turn a path or ``file://`` URL into a path."""
    return Path(fsspec.filesystem("file")._strip_protocol(url))


def normalise(url: str, base: Path | None = None) -> str:
    """One spelling per file: an absolute path without dots if local, else the URL as it is.

    Parameters
    ----------
    url : str
        Path, ``file://`` URL or any other URL.
    base : Path, optional
        Folder from which relative paths count; the current one by default.
    """
    if is_remote(url):
        return url
    protocol, _ = split_protocol(url)
    path = Path(url).expanduser() if protocol is None else local_path(url)
    return os.path.abspath((base or Path()) / path)  # noqa: PTH100  (keeps symbolic links)


def file_name(url: str) -> str:
    """Take the last part of a path or URL."""
    return url.replace("\\", "/").rstrip("/").rpartition("/")[2]


def fsspec_options(url: str, storage_options: StorageOptions | None) -> dict[str, Any]:
    """Give the options for one URL: those of its bucket, as a plain dictionary."""
    if isinstance(storage_options, StorageParameters):
        return storage_options.options(url)
    return dict(storage_options or {})


def file_system(url: str, storage_options: StorageOptions | None = None) -> tuple[Any, str]:
    """Find the fsspec file system that holds `url`, and the path on it.

    On S3 it is one that outlives a restart of the server.

    Raises
    ------
    NrsdarkError
        If fsspec does not know the protocol, or lacks the library for it.
    """
    options = fsspec_options(url, storage_options) if is_remote(url) else {}
    try:
        if is_s3(url):
            from nrsdark_xr.storage.s3 import s3_file_system

            return s3_file_system(url, options)
        return fsspec.core.url_to_fs(url, **options)
    except (ImportError, ValueError) as error:
        raise NrsdarkError(
            f"this kind of URL cannot be opened ({error})",
            file=url,
            remedy="use a local path or s3://, or install the fsspec library for the protocol",
        ) from error


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turn the errors of disks and networks into one clear line about `url`.

    Raises
    ------
    NrsdarkError
        For a missing or unreadable file and for a failing connection. Errors of the program itself
        pass unchanged.
    """
    try:
        yield
    except NrsdarkError:
        raise
    except Exception as error:
        explanation = explain(error)
        if explanation is None and not _is_about_files(error):
            raise
        what, remedy = explanation or _describe(error)
        raise NrsdarkError(what, file=url, remedy=remedy) from error


def _is_about_files(error: Exception) -> bool:
    transport = type(error).__module__.partition(".")[0] in _TRANSPORTS
    return isinstance(error, OSError) or transport


def _describe(error: Exception) -> tuple[str, str]:
    """Tell what is wrong and what to do."""
    if isinstance(error, FileNotFoundError):
        return "no such file", "check the path"
    if isinstance(error, PermissionError):
        return "no permission to read it", "check its permissions or your credentials"
    if isinstance(error, IsADirectoryError):
        return "is a folder", "name a file in it"
    if isinstance(error, OSError):
        return f"cannot be read ({_one_line(error)})", "check the file, or fetch it again"
    return (
        f"cannot be reached ({_one_line(error)})",
        "check the endpoint, the network and your credentials, then run again",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
