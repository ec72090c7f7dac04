"""Read noise of a correlated double sample, measured in a dark ramp itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _cds_noise_kernels
from nrsdark_xr.calibration.parameters import ReadnoiseParameters
from nrsdark_xr.calibration.rows import cut

ROWS_AT_ONCE = 8
"""Rows worked on together: arrays of so few need no fresh pages, those of a band would."""


def cds_noise(
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    *,
    gain: NDArray[np.float32],
    n_frames: int,
    group_gap: int,
    parameters: ReadnoiseParameters,
    first_row: int = 0,
) -> NDArray[np.float32]:
    """Measure the noise of the difference of two frames in each pixel of a dark.

    The differences d of consecutive groups are taken where neither group is SATURATED or
    DO_NOT_USE and no jump lies between them; those that jump detection has missed are clipped. The
    dark signal is their mean, and is subtracted with its Poisson noise: the jump and ramp_fit steps
    of jwst add the latter by themselves (jwst#6241).

    Parameters
    ----------
    ramp : ndarray of float32, shape (group, y, x)
        Linearized, reference-pixel corrected ramp [DN].
    groupdq : ndarray of uint8, shape of `ramp`
        With jumps flagged.
    gain : ndarray of float32, shape (rows, x)
        [e-/DN].
    n_frames, group_gap : int
        Frames averaged into a group, and dropped between two.
    parameters : ReadnoiseParameters
    first_row : int, optional
        Row of `ramp` and `groupdq` at which `gain` begins; rows besides are left out.

    Returns
    -------
    ndarray of float32, shape (rows, x)
        [DN]; NaN where there are too few differences, or their scatter is less than the Poisson
        noise. It is that of single frames, whatever `n_frames`, as READNOISE files have it: jwst
        divides by the square roots of 2 and of NFRAMES where it needs the noise of one group.

    Notes
    -----
    Consecutive differences share a group: of n of them in r unbroken runs, in reads of independent
    noise s, the squared departures from their mean have the expectation ``2 s**2 (n - r / n)``,
    since the sum over a run is that of its ends. That is what they are divided by; n - 1, as for
    independent samples, would make the noise of a ramp of 20 groups 2.6 % too large.

    A group averages F frames, F + G frames from one to the next: of the signal m of a difference,
    ``m (1 - (F**2 - 1) / (3 F (F + G)))`` is Poisson variance, in electrons.
    """
    ramp = np.ascontiguousarray(ramp, np.float32)
    groupdq = np.ascontiguousarray(groupdq, np.uint8)
    share = np.float32(1 - (n_frames**2 - 1) / (3 * n_frames * (n_frames + group_gap)))
    noise = np.empty(gain.shape, np.float32)
    for rows in cut(slice(0, len(gain)), ROWS_AT_ONCE):
        shape = noise[rows].shape
        means, variances = np.empty(shape, np.float32), np.empty(shape, np.float32)
        _cds_noise_kernels.difference_variance(
            ramp,
            groupdq,
            first_row + rows.start,
            parameters.rejection_threshold,
            parameters.maxiters,
            parameters.min_differences,
            means,
            variances,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            variances -= share * np.maximum(means, 0) / gain[rows]
            usable = (variances > 0) & (variances < np.inf)
            variances *= np.float32(n_frames)
            noise[rows] = np.sqrt(np.where(usable, variances, np.float32(np.nan)))
    return noise
