"""Compute lazy arrays block by block, with progress."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.progress import Progress
from nrsdark_xr.steps.futures import as_finished, result_of

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

    from nrsdark_xr.store.location import Location


def compute_to_zarr(
    dataset: xr.Dataset,
    place: Location,
    *,
    client: Client,
    progress: Progress,
    title: str,
    n_bytes: float,
) -> None:
    """Write a lazy dataset, one task per block of output, and show how far it is.

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
    import dask

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

    # Optimized together: variable by variable, each would have a kernel call of its own.
    (fused,) = dask.optimize(dataset)
    blocks = [fused[name].data.to_delayed(optimize_graph=False) for name in names]
    regions = _regions(fused[names[0]].data.chunks)
    write = dask.delayed(_write_block, pure=False)
    tasks = [
        write(place, names, regions[index], *(block[..., *index].item() for block in blocks))
        for index in np.ndindex(blocks[0].shape)
    ]
    share = n_bytes / len(tasks)
    with progress.stage(title, total_bytes=n_bytes, total_items=len(tasks), item="blocks") as stage:
        for future in as_finished(client, client.compute(tasks, optimize_graph=False)):
            result_of(future, place.url)
            stage.advance(share, items=1)


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


def _write_block(
    place: Location, names: Sequence[Hashable], region: tuple[slice, ...], *values: NDArray[Any]
) -> None:
    import zarr

    from nrsdark_xr.store.location import writing

    with writing(place.url):
        store = place.zarr_store()
        for name, value in zip(names, values, strict=True):
            zarr.open_array(store, path=str(name), mode="r+", zarr_format=3)[..., *region] = value
