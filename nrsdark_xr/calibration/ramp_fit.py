"""Slopes of ramps, as ``jwst.ramp_fitting`` with OLS_C."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.parameters import RampFitParameters


class Rates(NamedTuple):
    """Slopes and what is known about them; all of shape (y, x).

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
    group_gap: int,
    n_frames: int,
    parameters: RampFitParameters,
) -> Rates:
    """Fit one integration."""
    from stcal.ramp_fitting import ramp_fit, ramp_fit_class
    from stdatamodels.jwst.datamodels import dqflags

    data = ramp_fit_class.RampData()
    data.set_arrays(
        np.array(ramp[np.newaxis], np.float32),
        np.array(groupdq[np.newaxis], np.uint8),
        np.array(pixeldq, np.uint32),
        np.zeros(pixeldq.shape, np.float32),
    )
    data.set_meta(
        name="NIRSPEC",
        frame_time=frame_time,
        group_time=group_time,
        groupgap=group_gap,
        nframes=n_frames,
        drop_frames1=0,
    )
    data.algorithm = parameters.algorithm
    data.set_dqflags(dqflags.pixel)
    data.start_row, data.num_rows = 0, ramp.shape[1]
    data.suppress_one_group_ramps = parameters.suppress_one_group and len(ramp) > 1
    image, _, _ = ramp_fit.ramp_fit_data(
        data,
        False,
        np.array(readnoise, np.float32),
        np.array(gain, np.float32),
        parameters.algorithm,
        "optimal",
        "1",
    )
    if image is None:
        raise NotImplementedError("every ramp is saturated in its first group")
    return Rates(
        image["slope"], image["err"], image["dq"], image["var_poisson"], image["var_rnoise"]
    )
