"""The read noise of all exposures together."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.products.blocks import map_kernel
from nrsdark_xr.products.clip import clipped_mean
from nrsdark_xr.products.labelled import accepted_files, described, warn_if_few
from nrsdark_xr.products.parameters import SynthesisParameters


def mean_readnoise(ds: xr.Dataset, *, parameters: SynthesisParameters | None = None) -> xr.Dataset:
    """Combine the noise that each dark has of itself.

    Parameters
    ----------
    ds : Dataset
        With `cds_noise` (file, y, x), in DN, NaN where an exposure tells nothing.
    parameters : SynthesisParameters, optional
        Its `clip` is used.

    Returns
    -------
    Dataset
        `readnoise` (DN: root of the clipped mean of the variances, NaN where nothing survived) and
        `readnoise_count` (uint16), dims (y, x). Lazy if `ds` is.

    Raises
    ------
    NrsdarkError
        If `ds` lacks what is needed, or `file` is cut into several chunks.
    """
    parameters = SynthesisParameters() if parameters is None else parameters
    files = accepted_files(ds, ["cds_noise"])
    warn_if_few(files.sizes["file"], parameters.clip, "a read noise")
    made = map_kernel(
        _combine,
        files["cds_noise"].transpose("file", ...),
        outputs={"readnoise": np.float32, "readnoise_count": np.uint16},
        reduce=("file",),
        kwargs={"parameters": parameters},
    )
    return xr.Dataset(
        {
            "readnoise": described(
                made["readnoise"], "noise of the difference of two frames", "DN"
            ),
            "readnoise_count": described(
                made["readnoise_count"], "exposures that survived the clipping", "1"
            ),
        }
    )


def fill_readnoise(
    readnoise: NDArray[np.float32], reference: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Give every pixel a read noise: without one of its own, the median of its kind.

    jwst finds no jump and fits no slope where the read noise is NaN.

    Parameters
    ----------
    readnoise : ndarray of float32, shape (y, x)
        In DN; NaN where there is none.
    reference : ndarray of bool, same shape
        Reference pixels; they are filled with the median of reference pixels, or of all where none
        of them has a noise.

    Returns
    -------
    ndarray of float32, same shape

    Raises
    ------
    NrsdarkError
        If no pixel has one.
    """
    known = np.isfinite(readnoise)
    if not known.any():
        raise NrsdarkError(
            "no pixel has a read noise",
            remedy="give exposures of at least three groups, with groups before the first jump",
        )
    filled = readnoise.copy()
    for kind in (reference, ~reference):
        of_kind = known & kind if (known & kind).any() else known
        filled[kind & ~known] = np.median(readnoise[of_kind])
    return filled


def _combine(
    noise: NDArray[np.float32], parameters: SynthesisParameters
) -> tuple[NDArray[Any], ...]:
    clipped = clipped_mean(noise * noise, parameters=parameters.clip)
    return np.sqrt(clipped.mean), clipped.count
