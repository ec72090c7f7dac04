"""What is measured in the ramps of some pixels: rate, its error, and read noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.cds_noise import cds_noise
from nrsdark_xr.calibration.parameters import CalibrationParameters
from nrsdark_xr.calibration.ramp_fit import fit_ramps
from nrsdark_xr.detector import DQ
from nrsdark_xr.exposures import Exposure


class PixelRates(NamedTuple):
    """What `measure_rates` found; all of shape (y, x).

    Attributes
    ----------
    rate, rate_err : ndarray of float32
        [DN/s]; NaN where DO_NOT_USE.
    cds_noise : ndarray of float32
        [DN]; NaN where it cannot be told.
    """

    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    cds_noise: NDArray[np.float32]


def measure_rates(
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    pixeldq: NDArray[np.uint32],
    *,
    gain: NDArray[np.float32],
    readnoise: NDArray[np.float32],
    exposure: Exposure,
    parameters: CalibrationParameters,
    first_row: int = 0,
    median_guess: NDArray[np.float32] | None = None,
) -> PixelRates:
    """Fit the ramps of one integration and measure their noise, each pixel by itself.

    Parameters
    ----------
    ramp : ndarray of float32, shape (group, row, x)
        Linearized ramp [DN].
    groupdq : ndarray of uint8, shape of `ramp`
        With jumps flagged.
    pixeldq : ndarray of uint32, shape (y, x)
    gain : ndarray of float32, shape (y, x)
        [e-/DN].
    readnoise : ndarray of float32, shape (y, x)
        Read noise of the difference of two groups (CDS) [DN].
    exposure : Exposure
    parameters : CalibrationParameters
    first_row : int, optional
        Row of `ramp` and `groupdq` at which the other arrays begin: what they have besides is left
        out.
    median_guess : ndarray of float32, shape (y, x), optional
        As `nrsdark_xr.calibration.ramp_fit.fit_ramps` takes it.

    Returns
    -------
    PixelRates
    """
    fit = fit_ramps(
        ramp,
        groupdq,
        pixeldq,
        gain=gain,
        readnoise=readnoise,
        frame_time=exposure.frame_time,
        group_time=exposure.group_time,
        n_frames=exposure.n_frames,
        parameters=parameters.ramp_fit,
        first_row=first_row,
        median_guess=median_guess,
    )
    unusable = (fit.dq & np.uint32(DQ.DO_NOT_USE)) != 0
    fit.rate[unusable] = np.nan
    fit.rate_err[unusable] = np.nan
    noise = cds_noise(
        ramp,
        groupdq,
        gain=gain,
        n_frames=exposure.n_frames,
        group_gap=exposure.group_gap,
        parameters=parameters.readnoise,
        first_row=first_row,
    )
    return PixelRates(fit.rate, fit.rate_err, noise)
