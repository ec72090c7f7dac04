"""Run a numpy kernel on blocks of labelled arrays: one task per block, however many outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

Kernel = Callable[..., tuple[NDArray[Any], ...]]


def map_kernel(
    kernel: Kernel,
    *arrays: xr.DataArray | xr.Variable,
    outputs: Mapping[str, DTypeLike],
    reduce: tuple[str, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> dict[str, xr.DataArray]:
    """Apply `kernel` block by block.

    Where `xarray.apply_ufunc` moves core dimensions to the end and spends a task on every
    transposed input and output, this passes blocks as they are and packs the outputs of one call
    into one record array.

    Parameters
    ----------
    kernel : callable
        Takes the blocks, in the order of `arrays` and each with its own dimensions, and `kwargs`;
        returns a tuple of arrays, each with the dimensions of the first array without `reduce`.
    *arrays : DataArray or Variable
        The dimensions of all are among those of the first. Blocks are aligned with those of the
        first.
    outputs : mapping of name to dtype
    reduce : tuple of str
        Dimensions that the kernel reduces; they must lie in one chunk.
    kwargs : mapping, optional

    Returns
    -------
    dict of str to DataArray
        With the coordinates of the first array along the dimensions that are left. Lazy if any of
        `arrays` is lazy.
    """
    first = arrays[0]
    options = {} if kwargs is None else dict(kwargs)
    dims = tuple(dim for dim in first.dims if dim not in reduce)
    coords: dict[Any, Any] = {}
    if isinstance(first, xr.DataArray):
        coords = {
            name: coord for name, coord in first.coords.items() if set(coord.dims) <= set(dims)
        }
        coords = {name: coord for name, coord in coords.items() if coord.dims}
    if any(array.chunks for array in arrays):
        results = _lazy(kernel, arrays, dims, outputs, options)
    else:
        computed = kernel(*(array.values for array in arrays), **options)
        results = [
            np.asarray(result, dtype)
            for result, dtype in zip(computed, outputs.values(), strict=True)
        ]
    return {
        name: xr.DataArray(result, dims=dims, coords=coords)
        for name, result in zip(outputs, results, strict=True)
    }


def _lazy(
    kernel: Kernel,
    arrays: tuple[xr.DataArray | xr.Variable, ...],
    dims: tuple[Any, ...],
    outputs: Mapping[str, DTypeLike],
    options: dict[str, Any],
) -> list[Any]:
    import dask.array as da

    layout: dict[Any, Any] = {}
    for array in arrays:  # the first that is lazy decides
        layout = {**array.chunksizes, **layout}
    record = np.dtype([(name, np.dtype(dtype)) for name, dtype in outputs.items()])
    arguments: list[Any] = []
    for array in arrays:
        chunks = {dim: layout[dim] for dim in array.dims if dim in layout}
        arguments += [array.chunk(chunks).data, array.dims]
    # Dask fuses reading into the kernel unless a dimension is contracted: keep it, of length 1.
    kept = arrays[0].dims
    reduced = tuple(axis for axis, dim in enumerate(kept) if dim not in dims)
    packed = da.blockwise(
        _packed,
        kept,
        *arguments,
        kernel=kernel,
        options=options,
        record=record,
        reduced=reduced,
        adjust_chunks={kept[axis]: 1 for axis in reduced},
        dtype=record,
        meta=np.empty((0,) * len(kept), record),
        token=getattr(kernel, "__name__", "kernel").strip("_"),
    )
    return [
        da.map_blocks(
            _field,
            packed,
            name,
            reduced,
            drop_axis=list(reduced),
            dtype=record[name],
            meta=np.empty((0,) * len(dims), record[name]),
        )
        for name in outputs
    ]


def _packed(
    *blocks: NDArray[Any],
    kernel: Kernel,
    options: dict[str, Any],
    record: np.dtype[Any],
    reduced: tuple[int, ...],
) -> NDArray[Any]:
    """Call `kernel` and put its outputs into one array, with reduced dimensions of length 1."""
    results = kernel(*blocks, **options)
    packed = np.empty(results[0].shape, record)
    for name, result in zip(record.names or (), results, strict=True):
        packed[name] = result
    return np.expand_dims(packed, reduced)


def _field(packed: NDArray[Any], name: str, reduced: tuple[int, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(packed[name].squeeze(reduced))
