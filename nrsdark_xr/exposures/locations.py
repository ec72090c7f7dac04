"""Where files are: local paths and any URL that fsspec knows, looked at in one way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import split_protocol

from nrsdark_xr.errors import NrsdarkError

StorageOptions = Mapping[str, Any]
"""Options of the fsspec file system (credentials, endpoint …)."""

LOCAL_PROTOCOLS = ("file", "local")
_TRANSPORTS = ("botocore", "aiobotocore", "aiohttp", "s3fs")
"""Libraries whose errors about the network are no `OSError`."""


def is_remote(url: str) -> bool:
    """Whether `url` names anything but a file of this machine."""
    protocol, _ = split_protocol(url)
    return protocol is not None and protocol not in LOCAL_PROTOCOLS


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


def file_system(url: str, storage_options: StorageOptions | None = None) -> tuple[Any, str]:
    """Find the fsspec file system that holds `url`, and the path on it.

    Raises
    ------
    NrsdarkError
        If fsspec does not know the protocol, or lacks the library for it.
    """
    options = dict(storage_options or {}) if is_remote(url) else {}
    try:
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
    except FileNotFoundError as error:
        raise NrsdarkError("no such file", file=url, remedy="check the path") from error
    except PermissionError as error:
        raise NrsdarkError(
            "no permission to read it", file=url, remedy="check its permissions or your credentials"
        ) from error
    except IsADirectoryError as error:
        raise NrsdarkError("is a folder", file=url, remedy="name a file in it") from error
    except OSError as error:
        raise NrsdarkError(
            f"cannot be read ({_one_line(error)})",
            file=url,
            remedy="check the file, or fetch it again",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _TRANSPORTS:
            raise
        raise NrsdarkError(
            f"cannot be reached ({_one_line(error)})",
            file=url,
            remedy="check the endpoint, the network and your credentials, then run again",
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
