"""Chunks that are written without zarr, against those that zarr writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from nrsdark_xr.store.chunks import write_chunks
from nrsdark_xr.store.codecs import compressor
from nrsdark_xr.store.location import Location

SHAPE, CHUNKS = (5, 150, 40), (3, 128, 16)


def create(path: Path, dtype: str, **options: Any) -> zarr.Array[Any]:
    return zarr.create_array(
        path,
        name="values",
        shape=(2, *SHAPE),
        chunks=(1, *CHUNKS),
        dtype=dtype,
        fill_value=7,
        config={"write_empty_chunks": True},
        **options,
    )


def some(dtype: str) -> NDArray[Any]:
    values = np.random.default_rng(1).normal(0, 50, SHAPE).astype(dtype)
    values[:3, :128, :16] = 7  # a whole chunk of the fill value
    return values


def files(path: Path) -> dict[str, bytes]:
    found = (path / "values" / "c").rglob("*")
    return {str(file.relative_to(path)): file.read_bytes() for file in found if file.is_file()}


@pytest.mark.parametrize("dtype", ["f4", "u1", "u2", "u4"])
def test_the_files_are_those_of_zarr(tmp_path: Path, dtype: str) -> None:
    values = some(dtype)
    theirs = create(tmp_path / "theirs", dtype, compressors=[compressor(dtype)])
    ours = create(tmp_path / "ours", dtype, compressors=[compressor(dtype)])
    theirs[1] = values
    location = Location.of(tmp_path / "ours", None)
    write_chunks(ours, location, 1, (0, 128, 0), values[:, 128:])
    write_chunks(ours, location, 1, (0, 0, 0), values[:, :128])
    assert len(files(tmp_path / "ours")) == 12
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")


@pytest.mark.parametrize(
    "coded",
    [
        {"compressors": [zarr.codecs.ZstdCodec()]},
        {"compressors": [compressor("f4")], "serializer": zarr.codecs.BytesCodec(endian="big")},
    ],
    ids=["zstd", "big-endian"],
)
def test_what_is_coded_otherwise_is_left_to_zarr(tmp_path: Path, coded: dict[str, Any]) -> None:
    array = create(tmp_path, "f4", **coded)
    values = some("f4")
    write_chunks(array, Location.of(tmp_path, None), 0, (0, 0, 0), values)
    np.testing.assert_array_equal(array[0], values)
