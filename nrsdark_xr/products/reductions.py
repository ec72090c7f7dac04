"""Reductions over files: Dataset in, lazy Dataset out.

Each reads its inputs once: one task per block, one kernel call for all outputs. `file` must lie in
one chunk; the other dimensions may be cut in any way, which changes no bit of the result. What is
wanted of single periods besides is made from the same blocks, in the same pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.bias import combine_bias, flag_bias
from nrsdark_xr.products.blocks import Stacked, map_kernel
from nrsdark_xr.products.clip import Clipped, clipped_mean
from nrsdark_xr.products.labelled import (
    accepted_files,
    described,
    described_flags,
    inside_border,
    period_files,
    science_pixels,
    warn_if_few,
    whole_frame,
)
from nrsdark_xr.products.parameters import AverageParameters, BiasParameters, SynthesisParameters


def make_bias(
    ds: xr.Dataset,
    *,
    science: xr.DataArray | None = None,
    parameters: BiasParameters | None = None,
) -> xr.Dataset:
    """Make the superbias (JWST-STScI-009226 §4.1.1).

    Parameters
    ----------
    ds : Dataset
        With `bias_groups` (file, bias_group, y_raw, x), in DN.
    science : DataArray of bool, dims (y_raw, x), optional
        Pixels that statistics run over; by default from the coordinates `x` and `y_raw` (or `y`,
        where there are as many raw rows as rows), in detector pixels.
    parameters : BiasParameters, optional

    Returns
    -------
    Dataset
        `bias`, `bias_err` (DN) and `bias_dq`, dims (y_raw, x). Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or `file` is cut into several chunks.
    """
    parameters = BiasParameters() if parameters is None else parameters
    files = accepted_files(ds, ["bias_groups"])
    warn_if_few(files.sizes["file"], parameters.clip, "a superbias")
    groups = whole_frame(files["bias_groups"], "bias_group")
    made = map_kernel(
        combine_bias,
        groups.transpose("file", "bias_group", ...),
        outputs={"bias": np.float32, "bias_err": np.float32},
        reduce=("file", "bias_group"),
        kwargs={"parameters": parameters},
    )
    if science is None:
        science = _raw_science_pixels(ds)
    dq = xr.apply_ufunc(
        flag_bias,
        whole_frame(made["bias_err"], "y_raw", "x"),
        science.astype(bool).variable,
        kwargs={"parameters": parameters},
        input_core_dims=[["y_raw", "x"], ["y_raw", "x"]],
        output_core_dims=[["y_raw", "x"]],
        output_dtypes=[np.uint32],
        dask="parallelized",
    )
    return xr.Dataset(
        {
            "bias": described(made["bias"], "bias level at reset", "DN"),
            "bias_err": described(
                made["bias_err"], "standard deviation of the bias over exposures", "DN"
            ),
            "bias_dq": described_flags(dq, "data quality of the bias"),
        }
    )


def average_ramp(
    ds: xr.Dataset,
    *,
    periods: Mapping[str, xr.DataArray] | None = None,
    parameters: AverageParameters | None = None,
) -> xr.Dataset:
    """Average ramps over exposures, up to the first jump of each (JWST-STScI-009226 §4.1.3).

    Parameters
    ----------
    ds : Dataset
        With `ramp` (DN) and `groupdq` (file, group, y, x), and `good_groups` (file, y, x);
        coordinates `y` and `x` in detector pixels.
    periods : mapping of name to DataArray of bool, dims (file,), optional
        Which files belong to each period, such as ``{"late": ds.date_obs > day}``.
    parameters : AverageParameters, optional

    Returns
    -------
    Dataset
        `average`, `average_std` (DN, NaN where nothing survived), `average_count` (uint16:
        survivors) and `groupdq` (uint8: bits set in all exposures), dims (group, y, x); of periods
        `period_average`, `period_std` and `period_count`, dims (period, group, y, x). Lazy if `ds`
        is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, `file` is cut into several chunks, or a period is empty.
    """
    parameters = AverageParameters() if parameters is None else parameters
    files = accepted_files(ds, ["ramp", "groupdq", "good_groups"])
    warn_if_few(files.sizes["file"], parameters.clip, "an average ramp")
    subsets = period_files(ds, files, periods or {})
    made = map_kernel(
        _average_block,
        files["ramp"].transpose("file", "group", ...),
        files["groupdq"].transpose("file", "group", ...),
        files["good_groups"].transpose("file", ...),
        xr.Variable("group", np.arange(files.sizes["group"])),
        inside_border(files, "y").variable,
        inside_border(files, "x").variable,
        outputs={
            "average": np.float32,
            "average_std": np.float32,
            "average_count": np.uint16,
            "groupdq": np.uint8,
            **_stacked_outputs("period_average", "period_std", "period_count", subsets),
        },
        reduce=("file",),
        kwargs={
            "parameters": parameters,
            "n_groups": files.sizes["group"],
            "subsets": tuple(subsets.values()),
        },
    )
    averages = xr.Dataset(
        {
            "average": described(made["average"], "average dark ramp", "DN"),
            "average_std": described(
                made["average_std"], "standard deviation over exposures", "DN"
            ),
            "average_count": described(
                made["average_count"], "exposures that survived the clipping", "1"
            ),
            "groupdq": described_flags(made["groupdq"], "group data quality set in all exposures"),
        }
    )
    if not subsets:
        return averages
    return averages.assign(
        period_average=described(made["period_average"], "average ramp of the period", "DN"),
        period_std=described(made["period_std"], "its standard deviation over exposures", "DN"),
        period_count=described(made["period_count"], "exposures that survived the clipping", "1"),
    ).assign_coords(period=np.array(list(subsets), object))


def mean_rate(
    ds: xr.Dataset,
    *,
    periods: Mapping[str, xr.DataArray] | None = None,
    parameters: SynthesisParameters | None = None,
) -> xr.Dataset:
    """Average the dark rates over exposures (JWST-STScI-009226 §4.1.4).

    Parameters
    ----------
    ds : Dataset
        With `rate` (file, y, x), in DN/s, NaN where the rate's own DQ has DO_NOT_USE.
    periods : mapping of name to DataArray of bool, dims (file,), optional
        As for `average_ramp`.
    parameters : SynthesisParameters, optional

    Returns
    -------
    Dataset
        `rate`, `rate_unc` (clipped standard deviation over the square root of the count, DN/s; NaN
        where nothing survived) and `rate_count` (uint16), dims (y, x); of periods `period_rate`,
        `period_rate_unc` and `period_rate_count`, dims (period, y, x). Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, `file` is cut into several chunks, or a period is empty.
    """
    parameters = SynthesisParameters() if parameters is None else parameters
    files = accepted_files(ds, ["rate"])
    warn_if_few(files.sizes["file"], parameters.clip, "a mean rate")
    subsets = period_files(ds, files, periods or {})
    made = map_kernel(
        _mean_rate_block,
        files["rate"].transpose("file", ...),
        outputs={
            "rate": np.float32,
            "rate_unc": np.float32,
            "rate_count": np.uint16,
            **_stacked_outputs("period_rate", "period_rate_unc", "period_rate_count", subsets),
        },
        reduce=("file",),
        kwargs={"parameters": parameters, "subsets": tuple(subsets.values())},
    )
    rates = xr.Dataset(
        {
            "rate": described(made["rate"], "mean dark rate", "DN s-1"),
            "rate_unc": described(made["rate_unc"], "uncertainty of the mean dark rate", "DN s-1"),
            "rate_count": described(
                made["rate_count"], "exposures that survived the clipping", "1"
            ),
        }
    )
    if not subsets:
        return rates
    return rates.assign(
        period_rate=described(made["period_rate"], "mean dark rate of the period", "DN s-1"),
        period_rate_unc=described(made["period_rate_unc"], "uncertainty of that rate", "DN s-1"),
        period_rate_count=described(
            made["period_rate_count"], "exposures that survived the clipping", "1"
        ),
    ).assign_coords(period=np.array(list(subsets), object))


def common_flags(ds: xr.Dataset) -> xr.Dataset:
    """Find the pixel DQ bits that are set in all exposures (JWST-STScI-009226 §4.1.4).

    Parameters
    ----------
    ds : Dataset
        With `pixeldq` (file, y, x).

    Returns
    -------
    Dataset
        `common_dq` (uint32), dims (y, x). Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or `file` is cut into several chunks.
    """
    files = accepted_files(ds, ["pixeldq"])
    made = map_kernel(
        _common_bits,
        files["pixeldq"].transpose("file", ...),
        outputs={"common_dq": np.uint32},
        reduce=("file",),
    )
    return xr.Dataset(
        {"common_dq": described_flags(made["common_dq"], "pixel data quality set in all exposures")}
    )


def _raw_science_pixels(ds: xr.Dataset) -> xr.DataArray:
    if "y_raw" in ds.coords:
        return science_pixels(ds, "y_raw")
    if ds.sizes.get("y") == ds.sizes["y_raw"]:
        return science_pixels(ds).rename(y="y_raw")
    raise NrsdarkError(
        "raw rows have no detector coordinate, so reference pixels are unknown",
        remedy="pass `science`",
    )


def _stacked_outputs(
    mean: str, spread: str, count: str, subsets: Mapping[str, NDArray[np.intp]]
) -> dict[str, Stacked]:
    """List outputs for each subset of files, along ``period``; none where there is no subset."""
    types = {mean: np.float32, spread: np.float32, count: np.uint16}
    size = len(subsets)
    return {name: Stacked(dtype, "period", size) for name, dtype in types.items()} if size else {}


def _average_block(
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    good_groups: NDArray[np.uint16],
    group_index: NDArray[np.int64],
    science_rows: NDArray[np.bool_],
    science_columns: NDArray[np.bool_],
    parameters: AverageParameters,
    n_groups: int,
    subsets: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[Any], ...]:
    limits = good_groups
    if not parameters.cut_reference_pixels:
        # A ramp without a single good group is bad for another reason than a jump.
        cut = (science_rows[:, np.newaxis] & science_columns) | (good_groups == 0)
        limits = np.where(cut, good_groups, np.uint16(n_groups))

    def clip(files: NDArray[np.intp] | None = None) -> Clipped:
        return clipped_mean(
            ramp,
            good_groups=limits,
            first_group=int(group_index[0]),
            files=files,
            parameters=parameters.clip,
        )

    clipped = clip()
    flags = np.bitwise_and.reduce(groupdq, axis=0)
    periods = _stacked([(part.mean, part.std, part.count) for part in map(clip, subsets)])
    return clipped.mean, clipped.std, clipped.count, flags, *periods


def _mean_rate_block(
    rate: NDArray[np.float32],
    parameters: SynthesisParameters,
    subsets: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[Any], ...]:
    def clip(files: NDArray[np.intp] | None = None) -> tuple[NDArray[Any], ...]:
        clipped = clipped_mean(rate, files=files, parameters=parameters.clip)
        count = np.maximum(clipped.count, 1)  # where nothing survived, std is NaN already
        return clipped.mean, (clipped.std / np.sqrt(count)).astype(np.float32), clipped.count

    return *clip(), *_stacked([clip(files) for files in subsets])


def _stacked(parts: Sequence[tuple[NDArray[Any], ...]]) -> list[NDArray[Any]]:
    """Put outputs of a kind together, those of each subset one after the other."""
    return [np.stack(arrays) for arrays in zip(*parts, strict=True)]


def _common_bits(flags: NDArray[np.uint32]) -> tuple[NDArray[np.uint32]]:
    return (np.bitwise_and.reduce(flags, axis=0),)
