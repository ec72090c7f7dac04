"""Slopes of ramps, as ``jwst.ramp_fitting`` with OLS_C."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _ramp_fit_kernels
from nrsdark_xr.calibration._medians import median_network
from nrsdark_xr.calibration.parameters import RampFitParameters


class Rates(NamedTuple):
    """Slopes and what is known about them; all of shape ([integration,] y, x).

    Attributes
    ----------
    rate : ndarray of float32
        [DN/s]; NaN where nothing could be fitted.
    rate_err : ndarray of float32
        Its uncertainty [DN/s].
    dq : ndarray of uint32
        PIXELDQ and the flags that the groups gave it.
    var_poisson, var_rnoise : ndarray of float32
        Variances from photons and from read noise [(DN/s)^2].
    """

    rate: NDArray[np.float32]
    rate_err: NDArray[np.float32]
    dq: NDArray[np.uint32]
    var_poisson: NDArray[np.float32]
    var_rnoise: NDArray[np.float32]


def fit_ramps(
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    pixeldq: NDArray[np.uint32],
    *,
    gain: NDArray[np.float32],
    readnoise: NDArray[np.float32],
    frame_time: float,
    group_time: float,
    n_frames: int,
    parameters: RampFitParameters,
    first_row: int = 0,
    median_guess: NDArray[np.float32] | None = None,
) -> Rates:
    """Fit a slope to each ramp, segment by segment between jumps, and average the segments.

    Parameters
    ----------
    ramp : ndarray of float32, shape ([integration,] group, y, x)
        Linearized ramp [DN].
    groupdq : ndarray of uint8, shape of `ramp`
    pixeldq : ndarray of uint32, shape (y, x)
    gain : ndarray of float32, shape (y, x)
        [e-/DN].
    readnoise : ndarray of float32, shape (y, x)
        Read noise of the difference of two groups (CDS) [DN].
    frame_time, group_time : float
        Of one frame, and from one group to the next [s].
    n_frames : int
        Frames averaged into a group.
    parameters : RampFitParameters
    first_row : int, optional
        Row of `ramp` and `groupdq` at which the other arrays begin: what they have besides is left
        out.
    median_guess : ndarray of float32, shape (y, x), optional
        What the median difference of consecutive groups may be [DN], NaN where it is unknown, such
        as `nrsdark_xr.calibration.JumpResult.median_difference`. It saves time where it is about
        right, and changes no value.

    Returns
    -------
    Rates
        Without an integration axis in `ramp`: as jwst's product of the exposure (``_rate``). With
        one: as its product of the integrations (``_rateints``), where the Poisson noise is that
        of the median rate over all of them, and `Rates.rate_err` is combined segment by segment.

    Notes
    -----
    A port of OLS_C of stcal 1.20.0, with segments combined by their read noise alone (JP-4318,
    stcal#550): flags are equal, values agree to the rounding of float32. Left out: ZEROFRAME,
    the average dark current and the flag CHARGELOSS, none of which NIRSpec has at this step. An
    exposure that is saturated in the first group throughout, for which stcal returns nothing,
    gives NaN and the flags of its pixels.
    """
    shape = (ramp.shape[0] if ramp.ndim == 4 else 1, *ramp.shape[-3:])
    image = (shape[0], *pixeldq.shape)
    constants = _ramp_fit_kernels.Constants(
        group_time=float(np.float32(group_time)),
        one_group_time=(n_frames + 1.0) * float(np.float32(frame_time)) / 2.0,
        suppress_one_group=parameters.suppress_one_group and shape[1] > 1,
        over_exposure=ramp.ndim == 3,
    )
    gain = np.ascontiguousarray(gain, np.float32)
    noise = readnoise * (gain / np.sqrt(2.0 * n_frames))  # of one group, in electrons
    result = Rates(
        rate=np.empty(image, np.float32),
        rate_err=np.empty(image, np.float32),
        dq=np.empty(image, np.uint32),
        var_poisson=np.empty(image, np.float32),
        var_rnoise=np.empty(image, np.float32),
    )
    _ramp_fit_kernels.fit_ramps(
        np.ascontiguousarray(ramp, np.float32).reshape(shape),
        np.ascontiguousarray(groupdq, np.uint8).reshape(shape),
        np.ascontiguousarray(pixeldq, np.uint32),
        gain,
        noise.astype(np.float32),
        np.full(pixeldq.shape, np.nan) if median_guess is None else median_guess.astype(np.float64),
        first_row,
        median_network(max(shape[1] - 1, 1)),
        constants,
        *result,
    )
    return result if ramp.ndim == 4 else Rates(*(values[0] for values in result))
