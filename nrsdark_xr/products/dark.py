"""The synthesized dark: Dataset in, lazy Dataset out (JWST-STScI-009226 §4.1.4)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.blocks import map_kernel
from nrsdark_xr.products.labelled import (
    described,
    described_flags,
    science_pixels,
    whole_frame,
)
from nrsdark_xr.products.parameters import SynthesisParameters
from nrsdark_xr.products.synthesis import DarkPixels, Evidence, judge_pixels, synthesize_groups

_FRAMES = {
    "rate": "mean_rate",
    "rate_unc": "mean_rate",
    "rc": "flag_rc",
    "telegraph": "flag_rtn",
    "bad_reference": "flag_bad_reference_pixels",
    "common_dq": "common_flags",
}
_CUBES = ("average", "average_std", "average_count", "groupdq")


def synthesize_dark(
    products: xr.Dataset,
    *,
    mask: xr.DataArray | NDArray[np.uint32],
    science: xr.DataArray | None = None,
    parameters: SynthesisParameters | None = None,
) -> xr.Dataset:
    """Synthesize the dark cube and the new mask.

    The pixels are judged in one task that holds whole frames; the cube follows block by block.

    Parameters
    ----------
    products : Dataset
        The outputs of `average_ramp`, `mean_rate`, `flag_rc`, `flag_rtn`,
        `flag_bad_reference_pixels` and `common_flags` together (``xr.merge``), with the coordinate
        `time` (group; s since reset).
    mask : DataArray or ndarray of uint32, shape (y, x)
        The bad-pixel mask that went in, with its HOT pixels.
    science : DataArray of bool, dims (y, x), optional
        Pixels that are not reference pixels; by default from the coordinates `y` and `x`.
    parameters : SynthesisParameters, optional

    Returns
    -------
    Dataset
        `dark`, `dark_err` (DN) and `groupdq` (group, y, x); `dq`, `mask`, `hot`, `new_hot`,
        `vanished_hot`, `take_average`, `rate` and `rate_unc` (y, x). Lazy if `products` is.

    Raises
    ------
    NrsdarkError
        If `products` lacks something.
    """
    parameters = SynthesisParameters() if parameters is None else parameters
    _check(products)
    frame = ["y", "x"]
    if science is None:
        science = science_pixels(products)
    inputs = {name: products[name] for name in _FRAMES}
    inputs["incomplete"] = (products["average_count"] == 0).any("group")
    inputs["mask"] = xr.DataArray(getattr(mask, "data", mask), dims=frame).astype(np.uint32)
    inputs["science"] = science.transpose(*frame)
    judged = xr.apply_ufunc(
        _judge_frame,
        *(whole_frame(inputs[field.name], *frame).variable for field in fields(Evidence)),
        kwargs={"parameters": parameters},
        input_core_dims=[frame] * len(inputs),
        output_core_dims=[frame] * len(_OUTPUTS),
        output_dtypes=list(_OUTPUTS.values()),
        dask="parallelized",
    )
    coords = {name: products.coords[name] for name in frame if name in products.coords}
    pixels = {
        name: xr.DataArray(variable, coords=coords)
        for name, variable in zip(_OUTPUTS, judged, strict=True)
    }
    dark, err = _cube(products, pixels)
    return xr.Dataset(
        {
            "dark": described(dark, "dark signal", "DN"),
            "dark_err": described(err, "error of the dark signal", "DN"),
            "groupdq": products["groupdq"],
            "dq": described_flags(pixels["dq"], "data quality of the dark"),
            "mask": described_flags(pixels["mask"], "bad-pixel mask"),
            "hot": described(pixels["hot"], "hot pixel"),
            "new_hot": described(pixels["new_hot"], "hot pixel that the input mask has not"),
            "vanished_hot": described(
                pixels["vanished_hot"], "hot pixel of the input mask that is no longer hot"
            ),
            "take_average": described(pixels["take_average"], "pixel that takes the average ramp"),
            "rate": products["rate"],
            "rate_unc": products["rate_unc"],
        }
    )


_OUTPUTS: dict[str, type[np.generic]] = {
    field.name: {
        "dq": np.uint32,
        "mask": np.uint32,
        "rate": np.float32,
        "rate_unc": np.float32,
    }.get(field.name, np.bool_)
    for field in fields(DarkPixels)
}


def _check(products: xr.Dataset) -> None:
    for name in (*_FRAMES, *_CUBES):
        if name not in products:
            source = _FRAMES.get(name, "average_ramp")
            raise NrsdarkError(f"the products have no {name}", remedy=f"merge those of {source}")
    if "time" not in products.coords:
        raise NrsdarkError(
            "the products have no coordinate time", remedy="assign the s since reset of each group"
        )


def _judge_frame(
    *arrays: NDArray[Any], parameters: SynthesisParameters
) -> tuple[NDArray[np.generic], ...]:
    pixels = judge_pixels(Evidence(*arrays), parameters)
    return tuple(getattr(pixels, field.name) for field in fields(pixels))


def _cube(
    products: xr.Dataset, pixels: dict[str, xr.DataArray]
) -> tuple[xr.DataArray, xr.DataArray]:
    dims = ("group", "y", "x")
    made = map_kernel(
        synthesize_groups,
        products["average"].transpose(*dims),
        products["average_std"].transpose(*dims),
        products.coords["time"].variable,
        pixels["rate"],
        pixels["rate_unc"],
        pixels["take_average"],
        outputs={"dark": np.float32, "dark_err": np.float32},
    )
    return made["dark"], made["dark_err"]
