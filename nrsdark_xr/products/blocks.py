"""Run a numpy kernel on blocks of labelled arrays: one task per block, however many outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray

Kernel = Callable[..., tuple[NDArray[Any], ...]]


class Stacked(NamedTuple):
    """An output with one more dimension than the others, in front.

    Attributes
    ----------
    dtype : dtype-like
    dim : str
    size : int
    """

    dtype: DTypeLike
    dim: str
    size: int


def map_kernel(
    kernel: Kernel,
    *arrays: xr.DataArray | xr.Variable,
    outputs: Mapping[str, DTypeLike | Stacked],
    reduce: tuple[str, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> dict[str, xr.DataArray]:
    """Apply `kernel` block by block.

    Where `xarray.apply_ufunc` moves core dimensions to the end and spends a task on every
    transposed input and output, this passes blocks as they are and calls the kernel once for all of
    its outputs.

    Parameters
    ----------
    kernel : callable
        Takes the blocks, in the order of `arrays` and each with its own dimensions, and `kwargs`;
        returns a tuple of arrays, each with the dimensions of the first array without `reduce`,
        and that of `Stacked` before these.
    *arrays : DataArray or Variable
        The dimensions of all are among those of the first. Blocks are aligned with those of the
        first.
    outputs : mapping of name to dtype or Stacked
        The first is not stacked.
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
    made = {
        name: output if isinstance(output, Stacked) else Stacked(output, "", 0)
        for name, output in outputs.items()
    }
    dims = tuple(dim for dim in first.dims if dim not in reduce)
    coords: dict[Any, Any] = {}
    if isinstance(first, xr.DataArray):
        coords = {
            name: coord for name, coord in first.coords.items() if set(coord.dims) <= set(dims)
        }
        coords = {name: coord for name, coord in coords.items() if coord.dims}
    if any(array.chunks for array in arrays):
        results = _lazy(kernel, arrays, dims, made, options)
    else:
        computed = kernel(*(array.values for array in arrays), **options)
        results = [
            np.asarray(result, output.dtype)
            for result, output in zip(computed, made.values(), strict=True)
        ]
    return {
        name: xr.DataArray(result, dims=(output.dim, *dims) if output.size else dims, coords=coords)
        for (name, output), result in zip(made.items(), results, strict=True)
    }


def _lazy(
    kernel: Kernel,
    arrays: tuple[xr.DataArray | xr.Variable, ...],
    dims: tuple[Any, ...],
    outputs: Mapping[str, Stacked],
    options: dict[str, Any],
) -> list[Any]:
    import dask.array as da

    layout: dict[Any, Any] = {}
    for array in arrays:  # the first that is lazy decides
        layout = {**array.chunksizes, **layout}
    arguments: list[Any] = []
    for array in arrays:
        chunks = {dim: layout[dim] for dim in array.dims if dim in layout}
        arguments += [array.chunk(chunks).data, array.dims]
    # Dask fuses reading into the kernel unless a dimension is contracted: keep it, of length 1.
    kept = arrays[0].dims
    reduced = [axis for axis, dim in enumerate(kept) if dim not in dims]
    # The blocks of this array are tuples, which never leave the task that takes them apart: arrays
    # of records would hold the outputs once more, and again when their fields are made contiguous.
    together = da.blockwise(
        _call,
        kept,
        *arguments,
        kernel=kernel,
        options=options,
        dtypes=tuple(np.dtype(output.dtype) for output in outputs.values()),
        adjust_chunks={kept[axis]: 1 for axis in reduced},
        dtype=object,
        meta=np.empty((0,) * len(kept), object),
        token=getattr(kernel, "__name__", "kernel").strip("_"),
    )
    # Not `map_blocks`, which copies blocks when it drops dimensions.
    return [
        da.blockwise(
            _take,
            (output.dim, *dims) if output.size else dims,
            together,
            kept,
            number=number,
            n_reduced=len(reduced),
            new_axes={output.dim: output.size} if output.size else {},
            dtype=output.dtype,
            meta=np.empty((0,) * (len(dims) + bool(output.size)), output.dtype),
        )
        for number, output in enumerate(outputs.values())
    ]


def _call(
    *blocks: NDArray[Any],
    kernel: Kernel,
    options: dict[str, Any],
    dtypes: tuple[np.dtype[Any], ...],
) -> tuple[NDArray[Any], ...]:
    """Call `kernel`; its outputs get the types that were declared."""
    results = kernel(*blocks, **options)
    return tuple(np.asarray(result, dtype) for result, dtype in zip(results, dtypes, strict=True))


def _take(together: Any, number: int, n_reduced: int) -> NDArray[Any]:
    """Take one output of a block, which lies in a list for each dimension that was reduced."""
    for _ in range(n_reduced):
        (together,) = together
    output: NDArray[Any] = together[number]
    return output
