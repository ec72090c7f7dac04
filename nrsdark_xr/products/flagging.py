"""RC, telegraph and bad reference pixels: Dataset in, lazy Dataset out (§4.1.3)."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.blocks import map_kernel
from nrsdark_xr.products.flags import (
    bad_reference_pixels,
    count_above,
    rc_candidates,
    rtn_cap,
    rtn_threshold,
)
from nrsdark_xr.products.labelled import (
    accepted_files,
    accepted_rows,
    described,
    science_pixels,
    whole_frame,
)
from nrsdark_xr.products.parameters import BadReferenceParameters, RCParameters, RTNParameters

_GROUPS_FOR_RC = 3


def flag_rc(ds: xr.Dataset, *, parameters: RCParameters | None = None) -> xr.Dataset:
    """Find RC pixels.

    Frames are searched one file at a time: a worker holds one group of one file, not the stack.

    Parameters
    ----------
    ds : Dataset
        With `ramp` (DN) and `groupdq` (file, group, y, x), coordinates `y` and `x` in detector
        pixels.
    parameters : RCParameters, optional

    Returns
    -------
    Dataset
        `rc` (bool) and `rc_count` (uint16: ramps in which the pixel is a candidate), dims (y, x).
        Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or has fewer than 3 groups.
    """
    parameters = RCParameters() if parameters is None else parameters
    rows = accepted_rows(ds, ["ramp", "groupdq"])
    files = ds[["ramp", "groupdq"]]
    if files.sizes["group"] < _GROUPS_FOR_RC:
        raise NrsdarkError(
            f"RC pixels need {_GROUPS_FOR_RC} groups, not {files.sizes['group']}",
            remedy="average longer exposures; of these, `--until prepare` makes ramps and rates",
        )
    frame = ["y", "x"]
    science = whole_frame(_lazy_science_pixels(files), *frame).variable
    candidates = [
        xr.apply_ufunc(
            rc_candidates,
            _alone(files["ramp"], i, 0),
            _alone(files["groupdq"], i, slice(1, _GROUPS_FOR_RC)),
            science,
            kwargs={"parameters": parameters},
            input_core_dims=[frame, ["group", *frame], frame],
            output_core_dims=[frame],
            output_dtypes=[bool],
            dask="parallelized",
        )
        for i in rows
    ]
    variable = xr.Variable.concat(candidates, "file").sum("file", dtype=np.uint16)
    count = _on_pixels(variable, files)
    rc = count > parameters.min_fraction * rows.size
    return xr.Dataset(
        {
            "rc": described(rc, "RC pixel"),
            "rc_count": described(count, "ramps in which the pixel is an RC candidate", "1"),
        }
    )


def flag_rtn(ds: xr.Dataset, *, parameters: RTNParameters | None = None) -> xr.Dataset:
    """Find pixels with random telegraph noise.

    Parameters
    ----------
    ds : Dataset
        With `negative_jumps` (file, y, x) for the method ``report``, `groupdq` (file, group, y, x)
        for ``cap``; coordinates `y` and `x` in detector pixels.
    parameters : RTNParameters, optional

    Returns
    -------
    Dataset
        `telegraph` (bool) and `telegraph_count` (uint16: ramps with more jumps than the threshold),
        dims (y, x). Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or `file` is cut into several chunks.
    """
    parameters = RTNParameters() if parameters is None else parameters
    if parameters.method == "report":
        files = accepted_files(ds, ["negative_jumps"])
        science = _lazy_science_pixels(files)
        count = _count_above(
            files["negative_jumps"],
            _rtn_thresholds(files["negative_jumps"], science, parameters),
        )
        telegraph = count > parameters.max_ramps
    else:
        files = accepted_files(ds, ["groupdq"])
        science = _lazy_science_pixels(files)
        jumps = ((files["groupdq"] & np.uint8(DQ.JUMP_DET)) != 0).sum("group", dtype=np.uint16)
        cap = rtn_cap(files.sizes["group"], parameters)
        count = _count_above(jumps, xr.Variable("file", np.full(files.sizes["file"], cap)))
        telegraph = jumps.sum("file", dtype=np.int64) > cap * files.sizes["file"]
    return xr.Dataset(
        {
            "telegraph": described(telegraph & science, "pixel with random telegraph noise"),
            "telegraph_count": described(
                (count * science).astype(np.uint16), "ramps with more jumps than the threshold", "1"
            ),
        }
    )


def flag_bad_reference_pixels(
    average: xr.Dataset,
    reference_pixels: NDArray[np.bool_],
    *,
    parameters: BadReferenceParameters | None = None,
) -> xr.Dataset:
    """Find bad reference pixels.

    Parameters
    ----------
    average : Dataset
        With `average` and `average_std` (group, y, x), in DN. Only blocks with reference pixels are
        read.
    reference_pixels : ndarray of bool, shape (y, x)
    parameters : BadReferenceParameters, optional

    Returns
    -------
    Dataset
        `bad_reference` (bool), dims (y, x). Lazy if `average` is.
    """
    parameters = BadReferenceParameters() if parameters is None else parameters
    y, x = np.nonzero(reference_pixels)
    at = {"y": xr.Variable("pixel", y), "x": xr.Variable("pixel", x)}
    if y.size:
        selected = [
            whole_frame(average[name].isel(at), "group", "pixel").variable
            for name in ("average", "average_std")
        ]
        bad = xr.apply_ufunc(
            _bad_reference_frame,
            *selected,
            kwargs={"reference_pixels": np.asarray(reference_pixels), "parameters": parameters},
            input_core_dims=[["group", "pixel"], ["group", "pixel"]],
            output_core_dims=[["y", "x"]],
            output_dtypes=[bool],
            dask="parallelized",
            dask_gufunc_kwargs={"output_sizes": {"y": average.sizes["y"], "x": average.sizes["x"]}},
        )
    else:
        bad = xr.Variable(("y", "x"), np.zeros(reference_pixels.shape, bool))
    return xr.Dataset({"bad_reference": described(_on_pixels(bad, average), "bad reference pixel")})


def _alone(array: xr.DataArray, i: int, groups: int | slice) -> xr.Variable:
    """Take groups of one file as whole frames, in a graph of their own.

    Graphs that share a block of all files would read it whole and keep it until the last file is
    done. Optimized by itself, a selection (made in one go) reaches the store: only these groups are
    read.
    """
    import dask

    frames = array.isel(file=i, group=groups)
    if not frames.chunks:
        return frames.variable
    (data,) = dask.optimize(frames.chunk(dict.fromkeys(frames.dims, -1)).data)
    return frames.variable.copy(data=data)


def _lazy_science_pixels(files: xr.Dataset) -> xr.DataArray:
    """Cut as `files`: a map in memory would go into the graph once for each of its uses."""
    science = science_pixels(files)
    chunks = {dim: files.chunksizes[dim] for dim in science.dims if dim in files.chunksizes}
    return science.chunk(chunks) if chunks else science


def _rtn_thresholds(
    jumps: xr.DataArray, science: xr.DataArray, parameters: RTNParameters
) -> xr.DataArray:
    """Threshold per file, from exact integer sums over the science pixels."""
    counted = jumps.astype(np.int64) * science
    return xr.apply_ufunc(
        rtn_threshold,
        science.sum(),
        counted.sum(("y", "x")),
        (counted * counted).sum(("y", "x")),
        parameters.sigma,
        output_dtypes=[np.float64],
        dask="parallelized",
    )


def _count_above(jumps: xr.DataArray, threshold: xr.DataArray | xr.Variable) -> xr.DataArray:
    made = map_kernel(
        _count_above_block,
        jumps.transpose("file", ...),
        threshold,
        outputs={"count": np.uint16},
        reduce=("file",),
    )
    return made["count"]


def _count_above_block(
    jumps: NDArray[np.uint16], threshold: NDArray[np.float64]
) -> tuple[NDArray[np.uint16]]:
    return (count_above(jumps, threshold),)


def _bad_reference_frame(
    average: NDArray[np.float32],
    std: NDArray[np.float32],
    reference_pixels: NDArray[np.bool_],
    parameters: BadReferenceParameters,
) -> NDArray[np.bool_]:
    frame = np.zeros(reference_pixels.shape, bool)
    frame[reference_pixels] = bad_reference_pixels(average, std, parameters=parameters)
    return frame


def _on_pixels(variable: xr.Variable, like: xr.Dataset) -> xr.DataArray:
    """Put the pixel coordinates back."""
    coords = {name: like.coords[name] for name in ("y", "x") if name in like.coords}
    return xr.DataArray(variable, coords=coords)
