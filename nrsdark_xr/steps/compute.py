"""Compute lazy arrays block by block, with progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.futures import as_finished, result_of

if TYPE_CHECKING:
    import xarray as xr
    import zarr
    from distributed import Client

    from nrsdark_xr.store.location import Location


BLOCKS_PER_TASK = 8
"""Blocks that a worker makes one after the other, at most: in memory that is used again."""
TASKS_PER_THREAD = 8
"""Tasks that each thread gets where there are enough blocks, so that all of them end together."""


def compute_to_zarr(
    dataset: xr.Dataset,
    place: Location,
    *,
    client: Client,
    progress: Progress,
    title: str,
    n_bytes: float,
) -> None:
    """Write a lazy dataset, a few blocks of output per task, and show how far it is.

    The template is written first, then every block as a whole chunk, so that tasks never share one.

    Parameters
    ----------
    dataset : xarray.Dataset
        All variables have the same dimensions and Dask chunks; only after the first may some have
        dimensions before these, uncut.
    place : Location
        Of the Zarr group, which is made anew.
    client : distributed.Client
    progress : Progress
    title : str
        Name of the stage.
    n_bytes : float
        Bytes that the blocks read together.
    """
    from nrsdark_xr.store.codecs import compressor  # zarr is heavy to import

    names = list(dataset.data_vars)
    chunks = dataset[names[0]].data.chunksize
    encoding = {
        name: {
            "chunks": (*(1,) * (dataset[name].ndim - len(chunks)), *chunks),
            "compressors": (compressor(dataset[name].dtype),),
        }
        for name in names
    }
    dataset.to_zarr(
        place.zarr_store(), mode="w", compute=False, encoding=encoding, consolidated=False
    )

    blocks = list(block_tasks(dataset))
    share = n_bytes / len(blocks)
    size = blocks_per_task(len(blocks), sum(client.nthreads().values()))
    tasks = [blocks[start : start + size] for start in range(0, len(blocks), size)]
    futures = client.map(_write_blocks, tasks, place=place, pure=False)
    with progress.stage(
        title, total_bytes=n_bytes, total_items=len(blocks), item="blocks"
    ) as stage:
        for future in as_finished(client, futures):
            n_written = result_of(future, place.url)
            stage.advance(share * n_written, items=n_written)


def blocks_per_task(n_blocks: int, threads: int) -> int:
    """Choose how many blocks a task makes; a cluster that is still growing counts as it is."""
    return min(BLOCKS_PER_TASK, max(1, n_blocks // (TASKS_PER_THREAD * max(1, threads))))


@dataclass(frozen=True)
class BlockTask:
    """All that makes one block of every variable: reading, computing, taking apart.

    It is worked on by one worker without a stop; Dask by itself would not fuse what several
    variables share, and schedule half a dozen tasks for it.

    Attributes
    ----------
    graph : dict
        Dask graph.
    keys : dict of str to tuple
        Of the variables' blocks within it.
    region : tuple of slice
        What the block covers along the dimensions that all variables have.
    """

    graph: dict[Any, Any]
    keys: dict[str, tuple[Any, ...]]
    region: tuple[slice, ...]


def block_tasks(dataset: xr.Dataset) -> Iterator[BlockTask]:
    """Cut the graph of a lazy dataset, as `compute_to_zarr` takes it, into one for each block."""
    import dask
    from dask.optimization import cull

    # Optimized together: variable by variable, each would have a kernel call of its own.
    (fused,) = dask.optimize(dataset)
    graph = dict(fused.__dask_graph__())
    arrays = {str(name): fused[name].data for name in fused.data_vars}
    first = next(iter(arrays.values()))
    for index, region in _regions(first.chunks).items():
        keys = {
            name: (array.name, *(0,) * (array.ndim - first.ndim), *index)
            for name, array in arrays.items()
        }
        part, _ = cull(graph, list(keys.values()))
        yield BlockTask(dict(part), keys, region)


@contextmanager
def computing_here(progress: Progress, title: str, *, n_bytes: float) -> Iterator[None]:
    """Compute a Dask collection in threads of this process, and show progress by tasks.

    For what ends in a file of this machine, which workers elsewhere may not see.

    Parameters
    ----------
    progress : Progress
    title : str
        Name of the stage.
    n_bytes : float
        Bytes that are written together.
    """
    import dask
    from dask.callbacks import Callback

    with progress.stage(title, total_bytes=n_bytes, total_items=1, item="file") as stage:
        share = 0.0

        def begin(_graph: Any, state: Any) -> None:
            nonlocal share
            share = n_bytes / max(sum(len(state[part]) for part in ("ready", "waiting")), 1)

        def advance(_key: Any, _value: Any, _graph: Any, _state: Any, _worker: Any) -> None:
            stage.advance(share)

        with dask.config.set(scheduler="threads"), Callback(start_state=begin, posttask=advance):
            yield
        stage.advance(items=1)


def _regions(chunks: Sequence[Sequence[int]]) -> dict[tuple[int, ...], tuple[slice, ...]]:
    """Slices that each block covers, by its index."""
    axes = []
    for sizes in chunks:
        edges = np.cumsum([0, *sizes]).tolist()
        axes.append([slice(low, high) for low, high in pairwise(edges)])
    shape = tuple(len(axis) for axis in axes)
    return dict(zip(np.ndindex(shape), product(*axes), strict=True))


def _write_blocks(tasks: Sequence[BlockTask], place: Location) -> int:
    """Make some blocks one after the other; return how many."""
    import zarr

    from nrsdark_xr.store.location import writing
    from nrsdark_xr.store.workspace import reading_into_workspace

    with writing(place.url):
        store = place.zarr_store()
        arrays = {
            name: zarr.open_array(store, path=name, mode="r+", zarr_format=3)
            for name in tasks[0].keys
        }
    with reading_into_workspace() as workspace:
        for task in tasks:
            workspace.begin()
            _write_block(task, arrays, place)
    return len(tasks)


def _write_block(task: BlockTask, arrays: Mapping[str, zarr.Array[Any]], place: Location) -> None:
    """Make one block of each variable, and write them as whole chunks."""
    import dask

    from nrsdark_xr.store.chunks import write_whole_chunks
    from nrsdark_xr.store.location import writing

    values = dask.get(task.graph, list(task.keys.values()))
    corner = [part.start for part in task.region]
    with writing(place.url):
        for name, value in zip(task.keys, values, strict=True):
            first = [*(0,) * (value.ndim - len(corner)), *corner]
            write_whole_chunks(arrays[name], place, first, value)
