"""Chunks that are encoded in memory that is used again, against those that numcodecs encodes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numcodecs import Blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from nrsdark_xr.store import encode
from nrsdark_xr.store.codecs import compressor
from nrsdark_xr.store.encode import encoder
from nrsdark_xr.store.workspace import reading_into_workspace

SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


def in_a_thread(function: Callable[[], Any]) -> Any:
    """Run where Blosc works alone; in the main thread numcodecs has it start threads of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def some(seed: int, dtype: str, shape: tuple[int, ...] = (3, 40, 50)) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(60, 8, shape).astype(dtype)


@pytest.mark.parametrize("cname", ["lz4", "zstd", "blosclz"])
@pytest.mark.parametrize("shuffle", list(SHUFFLES))
@pytest.mark.parametrize("blocksize", [0, 4096])
@pytest.mark.parametrize("dtype", ["f4", "u1", "u2"])
def test_bytes_are_those_of_numcodecs(cname: Any, shuffle: Any, blocksize: int, dtype: str) -> None:
    codec = BloscCodec(cname=cname, clevel=5, shuffle=shuffle, blocksize=blocksize, typesize=1)
    theirs = Blosc(cname, 5, SHUFFLES[shuffle], blocksize)
    chunks = [some(1, dtype), np.zeros_like(some(1, dtype)), some(2, dtype)]
    ours = encoder(codec, chunks[0].nbytes)
    for chunk in chunks:
        assert bytes(ours(chunk)) == in_a_thread(lambda chunk=chunk: theirs.encode(chunk))


def test_random_bytes_fit() -> None:
    chunk = np.random.default_rng(3).integers(0, 256, 5000, np.uint8)
    encoded = encoder(compressor("u1"), chunk.nbytes)(chunk)
    assert len(encoded) > chunk.nbytes
    np.testing.assert_array_equal(np.frombuffer(Blosc().decode(bytes(encoded)), np.uint8), chunk)


def test_a_chunk_that_does_not_fit_is_refused() -> None:
    chunk = np.random.default_rng(3).integers(0, 256, 5000, np.uint8)
    with pytest.raises(RuntimeError, match="could not encode"):
        encoder(compressor("u1"), 1000)(chunk)


def test_numcodecs_encodes_where_its_blosc_cannot_be_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "_compress_function", lambda: None)
    chunk, codec = some(4, "f4"), compressor("f4")
    expected = Blosc(codec.cname.value, codec.clevel, Blosc.BITSHUFFLE).encode(chunk)
    assert encoder(codec, chunk.nbytes)(chunk) == expected


def test_the_function_is_found_in_numcodecs_as_it_is_installed() -> None:
    assert encode._compress_function() is not None


def test_it_encodes_in_the_memory_of_the_workspace() -> None:
    chunk = some(5, "f4")
    places = set()
    with reading_into_workspace() as workspace:
        for _ in range(3):
            workspace.begin()
            encoded = encoder(compressor("f4"), chunk.nbytes)(chunk)
            places.add(np.frombuffer(encoded, np.uint8).ctypes.data)
    assert len(places) == 1
