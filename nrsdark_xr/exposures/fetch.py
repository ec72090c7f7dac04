"""A copy of remote pixels on a disk of this machine, read while it is still arriving.

Calibration reads all pixels of an exposure two or three times, in strips and bands of all groups:
from object storage that would be thousands of small requests, each with its latency. So they are
fetched once, in the order of the file, by few large requests.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.storage import file_system, reading

FETCH_BYTES = 8 * 1024 * 1024
"""Bytes of one request: large against the latency, small enough for several in memory."""
FETCHES_AT_ONCE = 8
"""Requests under way in a process: a server gives more to several connections than to one."""
_FETCHERS = ThreadPoolExecutor(FETCHES_AT_ONCE, thread_name_prefix="fetch")
"""Shared by all copies of this process, so that one is complete before the next is begun."""


class LocalCopy:
    """The pixels of a remote exposure in a temporary file, which fills in the background.

    The file has no name: whatever ends the process, nothing is left of it.

    Parameters
    ----------
    exposure : Exposure
    options : mapping
        Of the fsspec file system.
    folder : str or Path
        On a disk with room for ``exposure.data_bytes``.

    Attributes
    ----------
    descriptor : int
        Of the file, which begins with the first pixel.

    Raises
    ------
    NrsdarkError
        If there is no room in `folder`.
    """

    def __init__(self, exposure: Exposure, options: Mapping[str, Any], folder: str | Path) -> None:
        self._exposure, self._options = exposure, dict(options)
        size = exposure.data_bytes
        try:
            with TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)
                self.descriptor = os.dup(file.fileno())
        except OSError as error:
            raise NrsdarkError(
                f"cannot hold a copy of a raw exposure, {size / 1e9:.1f} GB ({error.strerror})",
                file=str(folder),
                remedy="name a folder on a larger disk in DASK_TEMPORARY_DIRECTORY, or as "
                "local_directory of the workers",
            ) from error
        weakref.finalize(self, os.close, self.descriptor)  # once no request is under way any more
        self._pieces = [
            _FETCHERS.submit(self._fetch, start) for start in range(0, size, FETCH_BYTES)
        ]

    def wait(self, start: int, stop: int) -> None:
        """Wait until these bytes, counted from the first pixel, are there.

        Raises
        ------
        NrsdarkError
            If they could not be fetched.
        """
        for piece in self._pieces[start // FETCH_BYTES : -(-stop // FETCH_BYTES)]:
            piece.result()

    def abandon(self) -> None:
        """Fetch no more of it."""
        for piece in self._pieces:
            piece.cancel()

    def _fetch(self, start: int) -> None:
        url, first = self._exposure.url, self._exposure.data_offset + start
        length = min(FETCH_BYTES, self._exposure.data_bytes - start)
        with reading(url):
            system, path = file_system(url, self._options)
            block = memoryview(system.cat_file(path, start=first, end=first + length))
            if len(block) != length:
                raise ended(url, first + len(block))
            while len(block):
                written = os.pwrite(self.descriptor, block, start)
                start, block = start + written, block[written:]


def ended(url: str, position: int) -> NrsdarkError:
    """Make the error about a file that has fewer bytes than its header says."""
    return NrsdarkError(
        f"ends at byte {position}, before its pixels do: it has changed since it was listed",
        file=url,
        remedy="fetch the file again",
    )
