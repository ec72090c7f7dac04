from __future__ import annotations

import io

import numpy as np
import pytest
import xarray as xr

from nrsdark_xr.cluster import connect
from nrsdark_xr.products import average_ramp
from nrsdark_xr.products.blocks import Stacked, map_kernel
from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.compute import (
    block_tasks,
    blocks_per_task,
    compute_to_zarr,
    computing_here,
)
from nrsdark_xr.store import open_ramps
from nrsdark_xr.store.location import Location
from tests.store.helpers import make_exposure, make_store

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
        Location.of(tmp_path / "out.zarr", None),
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


def sum_and_ends(values):
    return values.sum(axis=0), np.stack([values[0], values[-1]])


def test_an_output_may_have_a_dimension_in_front(client, tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 8, 10)).astype(np.float32)
    array = xr.DataArray(values, dims=("file", "y", "x")).chunk(file=-1, y=4, x=5)
    outputs = {"total": np.float32, "ends": Stacked(np.float32, "end", 2)}
    lazy = xr.Dataset(map_kernel(sum_and_ends, array, outputs=outputs, reduce=("file",)))
    compute_to_zarr(
        lazy,
        Location.of(tmp_path / "out.zarr", None),
        client=client,
        progress=Progress(io.StringIO()),
        title="sums",
        n_bytes=values.nbytes,
    )
    written = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    np.testing.assert_array_equal(written["total"], values.sum(axis=0))
    np.testing.assert_array_equal(written["ends"], values[[0, -1]])
    assert written["ends"].encoding["chunks"] == (1, 4, 5)


@pytest.mark.parametrize("files", [2, 5])
def test_one_task_for_each_block_however_many_files(tmp_path, files):
    exposures = [
        make_exposure(f"jw_{i}", n_groups=40, ysize=256, xsize=512, raw_shape=(1, 40, 256, 512))
        for i in range(files)
    ]
    store, _ = make_store(tmp_path / "ramps.zarr", exposures)
    ramps = open_ramps(store.url)
    early = xr.DataArray(np.arange(files) < 1, dims="file")
    blocks = int(np.prod([len(ramps.chunksizes[dim]) for dim in ("group", "y", "x")]))
    assert blocks > 4
    for periods in ({}, {"early": early}):
        tasks = list(block_tasks(average_ramp(ramps, periods=periods)))
        assert len(tasks) == blocks
        kept = sum(len(task.graph) for task in tasks)
        assert kept == blocks * (4 + len(tasks[0].keys))  # kernel, three small arrays, fields


def test_a_failing_block_is_an_error(client, tmp_path):
    def kernel(values):
        raise ValueError("broken block")

    array = xr.DataArray(np.zeros((2, 4), np.float32), dims=("file", "x")).chunk(file=-1, x=2)
    lazy = xr.Dataset(map_kernel(kernel, array, outputs={"total": np.float32}, reduce=("file",)))
    with pytest.raises(ValueError, match="broken block"):
        compute_to_zarr(
            lazy,
            Location.of(tmp_path / "out.zarr", None),
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


@pytest.mark.parametrize(
    ("n_blocks", "threads", "expected"), [(512, 2, 8), (512, 30, 2), (4, 2, 1), (100, 0, 8)]
)
def testblocks_per_task(n_blocks, threads, expected):
    assert blocks_per_task(n_blocks, threads) == expected


def test_many_blocks_by_few_tasks_are_those_of_numpy(client, tmp_path):
    """Tasks of several blocks, which read them into the same memory; the last ones are smaller."""
    exposures = [
        make_exposure(f"jw_{i}", n_groups=3, ysize=150, xsize=700, raw_shape=(1, 3, 150, 700))
        for i in range(3)
    ]
    store, rows = make_store(tmp_path / "ramps.zarr", exposures)
    ramps = open_ramps(store.url, chunks={"group": 1, "y": 32, "x": 64})
    outputs = {"largest": np.float32, "smallest": np.float32}
    made = map_kernel(largest_and_smallest, ramps["ramp"], outputs=outputs, reduce=("file",))
    compute_to_zarr(
        xr.Dataset(made),
        Location.of(tmp_path / "out.zarr", None),
        client=client,
        progress=Progress(io.StringIO()),
        title="ends",
        n_bytes=1.0,
    )
    written = xr.open_zarr(tmp_path / "out.zarr", consolidated=False)
    ramp = np.stack([row["ramp"] for row in rows.values()])
    np.testing.assert_array_equal(written["largest"], ramp.max(axis=0))
    np.testing.assert_array_equal(written["smallest"], ramp.min(axis=0))


def largest_and_smallest(values):
    return values.max(axis=0), values.min(axis=0)
