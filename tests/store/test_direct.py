"""Chunks that are read without zarr, against what zarr reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore

from nrsdark_xr.store.codecs import compressor
from nrsdark_xr.store.direct import ChunkFiles
from nrsdark_xr.store.location import CompleteStore, Location, MissingChunkError

SHAPE, CHUNKS = (5, 150, 40), (3, 128, 16)
FIRST, NEXT = "values/c/1/0/0/0", "values/c/1/0/0/1"


def create(path: Path, dtype: str = "f4", **options: Any) -> zarr.Array[Any]:
    """Make an array of two rows, as those of the store are."""
    store = CompleteStore(LocalStore(path), Location.of(path, None))
    array = zarr.create_array(
        store,
        name="values",
        shape=(2, *SHAPE),
        chunks=(1, *CHUNKS),
        dtype=dtype,
        **({"compressors": [compressor(dtype)]} | options),
    )
    array[:] = np.random.default_rng(1).normal(0, 50, (2, *SHAPE)).astype(dtype)
    return array


def read(array: zarr.Array[Any], row: int, *part: slice) -> np.ndarray:
    files = ChunkFiles.of(array)
    assert files is not None
    out = np.empty([s.stop - s.start for s in part], array.dtype)
    files.read([row], part, out[np.newaxis])
    return out


@pytest.fixture(scope="module", params=["f4", "u1", "u2", "u4"])
def array(request, tmp_path_factory) -> zarr.Array[Any]:
    return create(tmp_path_factory.mktemp("array"), request.param)


def bounds(length: int) -> st.SearchStrategy[slice]:
    edge = st.integers(0, length)
    return st.tuples(edge, edge).map(lambda pair: slice(min(pair), max(pair)))


@settings(max_examples=50, deadline=None)
@given(row=st.integers(0, 1), part=st.tuples(*map(bounds, SHAPE)))
def test_any_part_is_that_of_zarr(array, row, part):
    np.testing.assert_array_equal(read(array, row, *part), array[(row, *part)])


def test_rows_come_in_the_order_asked(array):
    out = np.empty((3, *SHAPE), array.dtype)
    ChunkFiles.of(array).read([1, 0, 1], [slice(0, n) for n in SHAPE], out)
    np.testing.assert_array_equal(out, array[:][[1, 0, 1]])


def test_a_whole_chunk_is_that_of_zarr(array):
    chunk = tuple(slice(0, n) for n in CHUNKS)
    np.testing.assert_array_equal(read(array, 1, *chunk), array[(1, *chunk)])


def test_what_is_no_file_or_coded_otherwise_is_left_to_zarr(tmp_path):
    codec = zarr.codecs.ZstdCodec()
    assert ChunkFiles.of(create(tmp_path / "zstd", compressors=[codec])) is None
    order = zarr.codecs.BytesCodec(endian="big")
    assert ChunkFiles.of(create(tmp_path / "big", serializer=order)) is None
    elsewhere = create(tmp_path / "there").store
    elsewhere.location = Location.of("memory://there", None)
    assert ChunkFiles.of(zarr.open_array(elsewhere, path="values")) is None


def test_a_missing_chunk_is_named(tmp_path):
    array = create(tmp_path)
    (tmp_path / NEXT).unlink()
    with pytest.raises(MissingChunkError, match=NEXT):
        read(array, 1, *(slice(0, n) for n in SHAPE))


@pytest.mark.parametrize("size", [0, 10, 16, 1000])
def test_a_chunk_cut_short_is_not_completed_by_the_one_before(tmp_path, size):
    array = create(tmp_path)
    whole = (tmp_path / FIRST).read_bytes()
    assert len(whole) > size
    (tmp_path / NEXT).write_bytes(whole[:size])
    with pytest.raises(ValueError, match=f"{NEXT} has the wrong size"):
        read(array, 1, *(slice(0, n) for n in SHAPE))


def test_a_chunk_of_another_shape_is_damaged(tmp_path):
    array = create(tmp_path)
    other = array.metadata.codecs[1]
    zarr.create_array(tmp_path / "other", shape=(7,), dtype="f4", compressors=[other])[:] = 1
    (tmp_path / NEXT).write_bytes((tmp_path / "other/c/0").read_bytes())
    with pytest.raises(ValueError, match="has the wrong size"):
        read(array, 1, *(slice(0, n) for n in SHAPE))
