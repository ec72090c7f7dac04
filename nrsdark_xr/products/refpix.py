"""Spectra of all IRS2 exposures together."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.products.blocks import map_kernel
from nrsdark_xr.products.labelled import accepted_files, described


def sum_cross_spectra(ds: xr.Dataset) -> xr.Dataset:
    """Add up what each exposure tells of the weights of the IRS2 correction.

    Parameters
    ----------
    ds : Dataset
        With `cross_spectra` (file, amplifier, cross_spectrum, frequency) and `bad_reference_rows`
        (file, y_raw).

    Returns
    -------
    Dataset
        `cross_spectra` (amplifier, cross_spectrum, frequency; DN^2) for
        `nrsdark_xr.products.irs2_weights.solve_weights`, and `bad_fraction` (y_raw): the share of
        exposures in which a row of reference samples stands out. Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or `file` is cut into several chunks.
    """
    files = accepted_files(ds, ["cross_spectra", "bad_reference_rows"])
    total = map_kernel(
        _sum,
        files["cross_spectra"].transpose("file", ...),
        outputs={"cross_spectra": np.float64},
        reduce=("file",),
    )
    share = files["bad_reference_rows"].mean("file", dtype=np.float64)
    return xr.Dataset(
        {
            "cross_spectra": described(
                total["cross_spectra"], "sums of products of spectra", "DN2"
            ),
            "bad_fraction": described(share, "exposures in which a reference row stands out", "1"),
        }
    )


def _sum(values: NDArray[np.float32]) -> tuple[NDArray[np.float64]]:
    return (values.sum(axis=0, dtype=np.float64),)
