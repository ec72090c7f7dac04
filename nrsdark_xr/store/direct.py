"""Reading chunks of one row from a local disk, without the detour through zarr's event loop.

The thread that calls reads one file after the other into the same buffer, and decodes whole chunks
right where they belong: half of zarr's time. Arrays that lie elsewhere, or are coded otherwise than
by this package, are left to zarr.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Self

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec

from nrsdark_xr.store.location import CompleteStore, MissingChunkError
from nrsdark_xr.store.workspace import empty

_NATIVE = sys.byteorder == "little"
"""Chunks are decoded into arrays of this machine's byte order."""
_SIZES = struct.Struct("<4xI4xI")
"""Bytes decoded and encoded, in the header of a Blosc buffer (README_CHUNK_FORMAT of c-blosc)."""


@dataclass(frozen=True)
class ChunkFiles:
    """The chunks of an array that are files of this machine.

    Attributes
    ----------
    array : zarr.Array
        One row of ``file`` per chunk.
    folder : Path
        Of the array.
    """

    array: Any
    folder: Path

    @classmethod
    def of(cls, array: Any) -> Self | None:
        """Find those of an array of the store; None if it has none, or coded otherwise."""
        if not isinstance(array.store, CompleteStore) or array.store.location.local is None:
            return None
        match array.metadata.codecs:
            case (BytesCodec(), BloscCodec()) if is_little_endian(array) and _NATIVE:
                return cls(array, array.store.location.local / array.basename)
        return None

    def read(self, rows: Sequence[int], part: Sequence[slice], out: NDArray[Any]) -> None:
        """Read the same part of some rows.

        Parameters
        ----------
        rows : sequence of int
            Places along ``file``.
        part : sequence of slice
            What to read along the other dimensions: start and stop within them, no step.
        out : ndarray
            Where it goes: for each row what has the shape of `part`; of the type of the array.

        Raises
        ------
        MissingChunkError
            If a chunk is not there.
        ValueError, RuntimeError
            If one is damaged.
        """
        chunks = self.array.chunks[1:]
        n_bytes = int(np.prod(chunks)) * out.itemsize
        buffer = empty((n_bytes + blosc.MAX_OVERHEAD,), np.uint8).data
        aside: NDArray[Any] | None = None
        touched = (range(s.start // n, -(-s.stop // n)) for s, n in zip(part, chunks, strict=True))
        for (row, values), place in product(zip(rows, out, strict=True), product(*touched)):
            key = self.array.metadata.encode_chunk_key((row, *place))
            encoded = self._fetch(key, buffer, n_bytes)
            corner = [index * n for index, n in zip(place, chunks, strict=True)]
            common = [
                slice(max(s.start, at), min(s.stop, at + n))
                for s, at, n in zip(part, corner, chunks, strict=True)
            ]
            target = values[tuple(_shifted(c, s.start) for c, s in zip(common, part, strict=True))]
            if target.shape == chunks and target.flags.c_contiguous:
                blosc.decompress(encoded, target)
                continue
            aside = np.empty(chunks, out.dtype) if aside is None else aside
            blosc.decompress(encoded, aside)
            target[...] = aside[
                tuple(_shifted(c, at) for c, at in zip(common, corner, strict=True))
            ]

    def _fetch(self, key: str, buffer: memoryview, n_bytes: int) -> memoryview:
        """Read an encoded chunk of `n_bytes` when decoded, checked to be whole."""
        try:
            with (self.folder / key).open("rb") as file:
                size = file.readinto(buffer)
        except FileNotFoundError as error:
            raise MissingChunkError(f"{self.array.basename}/{key}") from error
        # Beyond what was read, the buffer holds another chunk: it must not be taken for this one.
        if size < blosc.MAX_OVERHEAD or _SIZES.unpack_from(buffer) != (n_bytes, size):
            raise ValueError(f"{self.array.basename}/{key} has the wrong size")
        return buffer[:size]


def is_little_endian(array: Any) -> bool:
    """Whether the first codec of an array stores bytes in this order, or single ones."""
    order = array.metadata.codecs[0].endian
    return order is None or order.value == "little"


def _shifted(part: slice, start: int) -> slice:
    return slice(part.start - start, part.stop - start)
