"""Encoding chunks with Blosc into memory that is used again.

numcodecs makes each encoded chunk an object of its own, as large as the chunk itself. Workers of
Dask, which give freed memory back at once, make every one of them of fresh pages, whose first touch
takes nearly as long as the encoding. So the function of the Blosc that numcodecs brings is called
by itself: it is of the documented interface of c-blosc (``blosc.h``), needs no lock, and gives the
same bytes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numcodecs import Blosc, blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.codecs.blosc import BloscShuffle

from nrsdark_xr.store.workspace import empty

Encode = Callable[[NDArray[Any]], bytes | memoryview]
"""Encodes a C-contiguous chunk. What it gives holds until it encodes the next one."""

_SHUFFLES = {
    BloscShuffle.noshuffle: Blosc.NOSHUFFLE,
    BloscShuffle.shuffle: Blosc.SHUFFLE,
    BloscShuffle.bitshuffle: Blosc.BITSHUFFLE,
}
_COMPRESS_ARGUMENTS = (
    ctypes.c_int,  # clevel
    ctypes.c_int,  # doshuffle
    ctypes.c_size_t,  # typesize
    ctypes.c_size_t,  # nbytes
    ctypes.c_void_p,  # src
    ctypes.c_void_p,  # dest
    ctypes.c_size_t,  # destsize
    ctypes.c_char_p,  # compressor
    ctypes.c_size_t,  # blocksize
    ctypes.c_int,  # numinternalthreads
)


def encoder(codec: BloscCodec, n_bytes: int) -> Encode:
    """Give what encodes chunks of `n_bytes` as `codec` does, one after the other, in one thread.

    It works in memory of the thread's workspace, if it has one (`nrsdark_xr.store.workspace`).
    """
    shuffle = _SHUFFLES[codec.shuffle]
    compress = _compress_function()
    if compress is None:
        encode: Encode = Blosc(codec.cname.value, codec.clevel, shuffle, codec.blocksize).encode
        return encode
    memory = empty((n_bytes + blosc.MAX_OVERHEAD,), np.uint8)
    compressor = codec.cname.value.encode()

    def encode_into_memory(chunk: NDArray[Any]) -> memoryview:
        size = compress(
            codec.clevel,
            shuffle,
            chunk.itemsize,
            chunk.nbytes,
            chunk.ctypes.data,
            memory.ctypes.data,
            memory.nbytes,
            compressor,
            codec.blocksize,
            1,
        )
        if size <= 0:
            raise RuntimeError(f"Blosc could not encode a chunk: {size}")
        return memory[:size].data

    return encode_into_memory


@cache
def _compress_function() -> Callable[..., int] | None:
    """Find the function in numcodecs; None if it was built such that it cannot be called."""
    try:
        function = ctypes.CDLL(blosc.__file__).blosc_compress_ctx
    except (OSError, AttributeError):
        return None
    function.argtypes = _COMPRESS_ARGUMENTS
    function.restype = ctypes.c_int
    return function
