"""Writing whole chunks, on a local disk without the detour through zarr's event loop.

The thread that calls encodes and writes one chunk after the other, so that a caller's threads share
the work between them, and a chunk's buffer is used again for the next. The files are those that
zarr would write, byte for byte (a test compares them).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BytesCodec

from nrsdark_xr.store.direct import is_little_endian
from nrsdark_xr.store.encode import Encode, encoder
from nrsdark_xr.store.location import Location, write_atomically
from nrsdark_xr.store.workspace import empty


def write_chunks(
    array: Any, location: Location, row: int, first: Sequence[int], values: NDArray[Any]
) -> None:
    """Write a part of one row of a variable that is made of whole chunks.

    Parameters
    ----------
    array : zarr.Array
        One row of ``file`` per chunk.
    location : Location
        Of the store.
    row : int
        Place along ``file``.
    first : sequence of int
        Where `values` begin along the other dimensions: at a chunk's edge.
    values : ndarray
        Of the type of `array`; ends at chunks' edges or at those of `array`.
    """
    write_whole_chunks(array, location, (row, *first), values[np.newaxis])


def write_whole_chunks(
    array: Any, location: Location, first: Sequence[int], values: NDArray[Any]
) -> None:
    """Write a part of an array that is made of whole chunks.

    Parameters
    ----------
    array : zarr.Array
        Right under `location`.
    location : Location
        Of a Zarr group.
    first : sequence of int
        Where `values` begin: at a chunk's edge.
    values : ndarray
        Of the type of `array`; ends at chunks' edges or at those of `array`.
    """
    encode = _encoder(array)
    if location.local is None or encode is None:
        parts = (slice(at, at + n) for at, n in zip(first, values.shape, strict=True))
        array[tuple(parts)] = values
        return
    chunks = array.chunks
    folder = location.local / array.basename
    order = array.dtype.newbyteorder("<")
    chunk: NDArray[Any] | None = None
    steps = zip(values.shape, chunks, strict=True)
    for corner in product(*(range(0, length, step) for length, step in steps)):
        part = values[tuple(slice(at, at + n) for at, n in zip(corner, chunks, strict=True))]
        if part.shape != chunks or part.dtype != order or not part.flags.c_contiguous:
            chunk = empty(chunks, order) if chunk is None else chunk
            if part.shape != chunks:
                chunk[...] = array.fill_value
            chunk[tuple(slice(n) for n in part.shape)] = part
            part = chunk
        place = zip(first, corner, chunks, strict=True)
        key = array.metadata.encode_chunk_key(tuple((a + b) // n for a, b, n in place))
        write_atomically(folder / key, encode(part))


def _encoder(array: Any) -> Encode | None:
    """Tell how chunks become bytes; None if otherwise than this package has it."""
    match array.metadata.codecs:
        case (BytesCodec(), BloscCodec() as codec) if is_little_endian(array):
            return encoder(codec, prod(array.chunks) * array.dtype.itemsize)
    return None
