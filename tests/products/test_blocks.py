"""Kernels on blocks of labelled arrays."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

from nrsdark_xr.products.blocks import Stacked, map_kernel
from tests.products.ramps import raise_if_called


def scaled_sum_and_first(cube, frame, row, factor=1):
    assert cube.shape[1:] == frame.shape
    assert cube.shape[2:] == row.shape
    return factor * (cube.sum(0) + frame + row), cube[0]


@pytest.fixture
def arrays():
    cube = xr.DataArray(
        np.arange(60.0).reshape(3, 4, 5), dims=("file", "y", "x"), coords={"y": [9, 8, 7, 6]}
    )
    return cube, xr.DataArray(np.ones((4, 5)), dims=("y", "x")), xr.Variable("x", np.arange(5))


OPTIONS = {
    "outputs": {"total": np.float32, "first": np.int16},
    "reduce": ("file",),
    "kwargs": {"factor": 10},
}


@pytest.mark.parametrize("lazy", [0, 1])
@pytest.mark.parametrize("chunks", [{"y": 2, "x": 3}, {"y": 4, "x": 1}, {"y": (1, 3), "x": 5}])
def test_same_in_memory_and_in_blocks(arrays, chunks, lazy):
    cube, frame, row = arrays
    eager = map_kernel(scaled_sum_and_first, *arrays, **OPTIONS)
    np.testing.assert_array_equal(eager["total"], 10 * (cube.sum("file") + 1 + np.arange(5)))
    mixed = [cube, frame]
    mixed[lazy] = mixed[lazy].chunk(chunks)
    with dask.config.set(scheduler=raise_if_called):
        blocks = map_kernel(scaled_sum_and_first, *mixed, row, **OPTIONS)
    for name, dtype in OPTIONS["outputs"].items():
        assert blocks[name].dtype == eager[name].dtype == dtype
        assert blocks[name].dims == ("y", "x")
        assert blocks[name].y.values.tolist() == [9, 8, 7, 6]
        assert blocks[name].chunksizes["y"] == mixed[lazy].chunksizes["y"]
        np.testing.assert_array_equal(blocks[name], eager[name])


def sum_and_extremes(cube):
    return cube.sum(0), np.stack([cube.min(0), cube.max(0), cube[-1]])


@pytest.mark.parametrize("chunks", [{"y": 2, "x": 3}, {"y": (1, 3), "x": 5}])
def test_an_output_may_have_a_dimension_more(arrays, chunks):
    cube = arrays[0]
    outputs = {"total": np.float32, "kinds": Stacked(np.int16, "kind", 3)}
    options = {"outputs": outputs, "reduce": ("file",)}
    eager = map_kernel(sum_and_extremes, cube, **options)
    np.testing.assert_array_equal(eager["kinds"][1], cube.max("file"))
    with dask.config.set(scheduler=raise_if_called):
        blocks = map_kernel(sum_and_extremes, cube.chunk(file=-1, **chunks), **options)
    assert blocks["kinds"].dims == ("kind", "y", "x")
    assert blocks["kinds"].chunksizes["kind"] == (3,)
    assert blocks["kinds"].chunksizes["y"] == blocks["total"].chunksizes["y"]
    for name in outputs:
        assert blocks[name].dtype == eager[name].dtype
        xr.testing.assert_equal(blocks[name].compute(), eager[name])
