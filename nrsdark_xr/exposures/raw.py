"""Raw pixels by byte range: never more of a file than was asked for, unless all of it is wanted."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.exposures.exposure import Exposure
from nrsdark_xr.exposures.fetch import LocalCopy, ended
from nrsdark_xr.storage import (
    StorageOptions,
    file_system,
    fsspec_options,
    is_remote,
    reading,
)

REQUEST_BYTES = 16 * 1024 * 1024
"""Most bytes of one remote request: large against the latency, small enough to run side by side."""
PIECE_BYTES = 256 * 1024
"""Bytes of a local file that are read and decoded in one go: they stay in the cache meanwhile."""
_SIGN_BIT = 0x8000
_BIG_ENDIAN_SIGN_BIT = 0x0080


class RawReader:
    """Reads bands of raw pixels of one exposure, from disk or any fsspec URL.

    A raw file is one uncompressed array of big-endian signed 16-bit integers with BZERO 32768, so
    any rows of any group are one range of bytes, and a flipped sign bit gives the unsigned counts.

    Reading is safe from several threads; pickling carries the exposure, but no open file
    and no copy.

    Parameters
    ----------
    exposure : Exposure
    storage_options : mapping, optional
        Options of the fsspec file system.

    Examples
    --------
    >>> with RawReader(exposure) as raw:  # doctest: +SKIP
    ...     band = raw.read(0, slice(0, 88), slice(0, 128))
    """

    def __init__(self, exposure: Exposure, storage_options: StorageOptions | None = None) -> None:
        self.exposure = exposure
        self.storage_options = fsspec_options(exposure.url, storage_options)
        self._descriptor: int | None = None
        self._copy: LocalCopy | None = None
        self._opening = Lock()

    def fetch(self, folder: str | Path) -> None:
        """Begin to copy all pixels into a temporary file, if they are remote.

        Reads come from there until `close`, and wait for what has not arrived yet. For those who
        read everything, more than once or in small pieces.

        Parameters
        ----------
        folder : str or Path
            On a disk of this machine with room for ``exposure.data_bytes``.

        Raises
        ------
        NrsdarkError
            If there is no room.
        """
        if is_remote(self.exposure.url) and self._copy is None:
            self._copy = LocalCopy(self.exposure, self.storage_options, folder)

    def read(
        self,
        integration: int,
        groups: slice,
        rows: slice,
        out: NDArray[np.uint16] | None = None,
    ) -> NDArray[np.uint16]:
        """Read whole rows of several groups.

        Parameters
        ----------
        integration : int
            From 0.
        groups, rows : slice
            From 0, with step 1; `rows` are raw rows.
        out : ndarray of uint16, shape (group, row, column), optional
            Memory to use again, C-contiguous; a new array unless given.

        Returns
        -------
        ndarray of uint16, shape (group, row, column)
            In DN, native byte order, C-contiguous and owned by the caller; `out`, if given.

        Raises
        ------
        IndexError
            If there is no such integration, or a step is not 1.
        ValueError
            If `out` has another shape or type, or is not contiguous.
        NrsdarkError
            If the file has changed, ends early, or cannot be read.
        """
        n_integrations, n_groups, n_rows, n_columns = self.exposure.raw_shape
        if not 0 <= integration < n_integrations:
            raise IndexError(f"integration {integration} of {n_integrations}")
        first_group, last_group = _bounds(groups, n_groups)
        first_row, last_row = _bounds(rows, n_rows)
        shape = (last_group - first_group, last_row - first_row, n_columns)
        pixels = np.empty(shape, dtype=np.uint16) if out is None else out
        if (pixels.shape, pixels.dtype) != (shape, np.uint16) or not pixels.flags.c_contiguous:
            raise ValueError(f"out is not a contiguous array of uint16 of shape {shape}")
        if pixels.size == 0:
            return pixels
        row_bytes = 2 * n_columns
        group_bytes = n_rows * row_bytes
        start = (integration * n_groups + first_group) * group_bytes + first_row * row_bytes
        if shape[1] == n_rows:  # groups follow each other without a gap
            starts, length = [start], pixels.nbytes
        else:
            starts = [start + group * group_bytes for group in range(shape[0])]
            length = shape[1] * row_bytes
        with reading(self.exposure.url):
            if self._copy is not None:
                self._read_copy(self._copy, starts, length, pixels.reshape(-1))
            elif is_remote(self.exposure.url):
                self._read_remote(starts, length, pixels.reshape(-1).view(np.uint8).data)
                _to_counts(pixels)
            else:
                begins = [self.exposure.data_offset + start for start in starts]
                self._read_file(self._open(), begins, length, pixels.reshape(-1))
        return pixels

    def _read_copy(
        self, copy: LocalCopy, starts: list[int], length: int, target: NDArray[np.uint16]
    ) -> None:
        for start in starts:
            copy.wait(start, start + length)
        self._read_file(copy.descriptor, starts, length, target)

    def _read_file(
        self, descriptor: int, starts: list[int], length: int, target: NDArray[np.uint16]
    ) -> None:
        pieces = range(0, length, PIECE_BYTES)
        for number, start in enumerate(starts):
            for first in pieces:
                last = min(first + PIECE_BYTES, length)
                begin = number * length
                piece = target[(begin + first) // 2 : (begin + last) // 2]
                self._fill(descriptor, piece.view(np.uint8).data, start + first)
                _to_counts(piece)

    def _fill(self, descriptor: int, target: memoryview, start: int) -> None:
        done = 0
        while done < len(target):  # the kernel may give less than was asked for
            got = os.preadv(descriptor, [target[done:]], start + done)
            if got == 0:
                raise ended(self.exposure.url, start + done)
            done += got

    def _read_remote(self, starts: list[int], length: int, target: memoryview) -> None:
        system, path = file_system(self.exposure.url, self.storage_options)
        pieces = math.ceil(length / REQUEST_BYTES)
        cuts = [min(piece * REQUEST_BYTES, length) for piece in range(pieces + 1)]
        offset = self.exposure.data_offset
        begins = [offset + start + cut for start in starts for cut in cuts[:-1]]
        ends = [offset + start + cut for start in starts for cut in cuts[1:]]
        blocks = system.cat_ranges([path] * len(begins), begins, ends, on_error="raise")
        position = 0
        for begin, end, block in zip(begins, ends, blocks, strict=True):
            if len(block) != end - begin:
                raise ended(self.exposure.url, begin + len(block))
            target[position : position + len(block)] = block
            position += len(block)

    def _open(self) -> int:
        with self._opening:
            if self._descriptor is None:
                self._descriptor = os.open(self.exposure.url, os.O_RDONLY | os.O_CLOEXEC)
            return self._descriptor

    def close(self) -> None:
        """Close the file, and give up a copy; the next `read` opens the file again."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> RawReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return RawReader, (self.exposure, self.storage_options)


def _bounds(wanted: slice, size: int) -> tuple[int, int]:
    start, stop, step = wanted.indices(size)
    if step != 1:
        raise IndexError(f"step {step}: only contiguous slices can be read")
    return start, max(start, stop)


def _to_counts(pixels: NDArray[np.uint16]) -> None:
    """Turn stored bytes, in place, into unsigned counts of native byte order."""
    if sys.byteorder == "little":
        pixels ^= np.uint16(_BIG_ENDIAN_SIGN_BIT)
        pixels.byteswap(inplace=True)
    else:
        pixels ^= np.uint16(_SIGN_BIT)
