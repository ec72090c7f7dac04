"""How chunks are compressed, in the store and in ``NAME_average.zarr``."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike
from zarr.codecs import BloscCodec

LEVEL = 9
"""Of lz4 within blosc, where it means how far to look for repeats, and costs hardly any time."""


def compressor(dtype: DTypeLike) -> BloscCodec:
    """Choose the codec of an array by its type; lossless.

    lz4 writes and reads ramps twice as fast as zstd at level 1 and stores them as small, and flags
    ten times as fast (``benchmarks/codec.py``). In floats only some bits repeat from pixel to
    pixel, so these are sorted by bits; flags and counts by bytes.

    Parameters
    ----------
    dtype : dtype-like
        Of the array; anything that NumPy has no fixed size for is text.

    Returns
    -------
    zarr.codecs.BloscCodec
    """
    kind = np.dtype(dtype)
    if kind.kind not in "fiub":
        return BloscCodec(cname="lz4", clevel=LEVEL, shuffle="noshuffle", typesize=1)
    shuffle = "bitshuffle" if kind.kind == "f" else "shuffle"
    return BloscCodec(cname="lz4", clevel=LEVEL, shuffle=shuffle, typesize=kind.itemsize)
