from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr

from nrsdark_xr.cluster import connect
from nrsdark_xr.products.blocks import map_kernel
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.compute import compute_to_zarr, computing_here

CALLS: list[tuple[int, ...]] = []


def counted_kernel(values):
    CALLS.append(values.shape)
    return values.sum(axis=0), values.max(axis=0), values.min(axis=0)


@pytest.fixture(scope="module")
def client():
    with connect("threads", workers=2) as client:
        yield client


def test_one_kernel_call_makes_all_outputs_of_a_block(client, tmp_path):
    CALLS.clear()
    values = np.random.default_rng(0).normal(size=(3, 8, 10)).astype(np.float32)
    array = xr.DataArray(values, dims=("file", "y", "x")).chunk(file=-1, y=4, x=5)
    outputs = dict.fromkeys(("total", "largest", "smallest"), np.float32)
    lazy = xr.Dataset(map_kernel(counted_kernel, array, outputs=outputs, reduce=("file",)))
    said = io.StringIO()
    compute_to_zarr(
        lazy,
        str(tmp_path / "out.zarr"),
        client=client,
        progress=Progress(said),
        title="sums",
        n_bytes=values.nbytes,
    )
    assert CALLS == [(3, 4, 5)] * 4
    written = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    np.testing.assert_array_equal(written["total"], values.sum(axis=0))
    np.testing.assert_array_equal(written["largest"], values.max(axis=0))
    np.testing.assert_array_equal(written["smallest"], values.min(axis=0))
    assert "sums: 4/4 blocks" in said.getvalue()


def test_a_failing_block_is_an_error(client, tmp_path):
    def kernel(values):
        raise ValueError("broken block")

    array = xr.DataArray(np.zeros((2, 4), np.float32), dims=("file", "x")).chunk(file=-1, x=2)
    lazy = xr.Dataset(map_kernel(kernel, array, outputs={"total": np.float32}, reduce=("file",)))
    with pytest.raises(ValueError, match="broken block"):
        compute_to_zarr(
            lazy,
            str(tmp_path / "out.zarr"),
            client=client,
            progress=Progress(io.StringIO()),
            title="sums",
            n_bytes=1.0,
        )


def test_computing_here_does_not_use_the_cluster(client):
    import threading

    names = set()

    def note(block):
        names.add(threading.current_thread().name)
        return block

    lazy = xr.DataArray(np.arange(6.0), dims="x").chunk(x=2)
    said = io.StringIO()
    with computing_here(Progress(said), "cube", n_bytes=48):
        result = lazy.copy(data=lazy.data.map_blocks(note, meta=lazy.data._meta)).compute()
    np.testing.assert_array_equal(result, np.arange(6.0))
    assert not any("Dask-Default" in name for name in names)
    assert "cube: 1/1 file" in said.getvalue()
