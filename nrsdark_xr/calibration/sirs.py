"""Signal of the side reference pixels by optimal filtering (``refpix_algorithm: sirs``).

Simple Improved Reference Subtraction filters the mean of the left and that of the right reference
pixels of each row with one kernel each, and adds up the two. Each amplifier has kernels of its own,
fitted to darks such that what is left of the 1/f noise is least. Rules and rounding are those of
``jwst.refpix.optimized_convolution``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.errors import NrsdarkError

_SIGMA_PER_DEVIATION = 1.48
"""Standard deviation over median absolute deviation of normal noise, rounded as in jwst."""


def make_kernels(
    coefficients: NDArray[np.complexfloating], *, gaussmooth: float, halfwidth: int
) -> NDArray[np.floating]:
    """Turn the Fourier coefficients of a SIRSKERNEL reference into kernels.

    Parameters
    ----------
    coefficients : ndarray of complex, shape (side, amplifier, frequency)
        Of the left (gamma) and the right (zeta) reference pixels; see `References.sirskernel`.
    gaussmooth : float
        Standard deviation [rows] of the Gaussian that smooths the kernels.
    halfwidth : int
        Rows on each side of its centre that a kernel reaches.

    Returns
    -------
    ndarray of float, shape (side, amplifier, 2 * halfwidth + 1)

    Raises
    ------
    NrsdarkError
        If the reference has too few frequencies for kernels of this width.
    """
    half = coefficients.shape[-1] - 1  # of the rows of a whole kernel
    if halfwidth >= half:
        raise NrsdarkError(
            f"the sirskernel reference makes kernels of {2 * half} rows, too few for a halfwidth "
            f"of {halfwidth}",
            remedy="lower `halfwidth` of refpix, or give another sirskernel",
        )
    around_centre = slice(half - halfwidth, half + halfwidth + 1)
    distance = np.arange(-halfwidth, halfwidth + 1)
    window = np.exp(-(distance**2) / (2 * gaussmooth**2))
    window /= np.sum(window)
    return np.array(
        [
            [
                np.convolve(np.fft.fftshift(np.fft.irfft(one))[around_centre], window, mode="same")
                for one in side
            ]
            for side in coefficients
        ]
    )


def filter_side_pixels(
    samples: NDArray[np.floating], kernels: NDArray[np.floating], *, sigreject: float
) -> NDArray[np.float64]:
    """Signal of each detector row that the side reference pixels of a group tell.

    Samples further than `sigreject` standard deviations (from the median absolute deviation) from
    the median of their side are left out, and the kernels normalized for it; DQ plays no part. A
    row with nothing left within reach of a kernel is NaN, as in jwst.

    Parameters
    ----------
    samples : ndarray of float, shape (side, row, 4)
        Left and right side, the level of their amplifier subtracted [DN].
    kernels : ndarray of float, shape (side, amplifier, tap)
    sigreject : float

    Returns
    -------
    ndarray of float64, shape (amplifier, row)
        To subtract [DN].
    """
    signal = np.zeros((kernels.shape[1], samples.shape[1]))
    for values, side_kernels in zip(samples.astype(np.float64), kernels, strict=True):
        centre = np.median(values)
        distance = np.abs(values - centre)
        good = distance <= sigreject * (_SIGMA_PER_DEVIATION * np.median(distance))
        mean = np.sum(values * good, axis=1) / values.shape[1]
        share = np.sum(good, axis=1) / values.shape[1]
        for one, kernel in zip(signal, side_kernels, strict=True):
            filtered = np.convolve(mean, kernel, mode="same")
            with np.errstate(divide="ignore", invalid="ignore"):  # no good sample within reach
                norm = np.convolve(np.ones(share.shape), kernel, mode="same")
                norm /= np.convolve(share, kernel, mode="same")
                one += filtered * norm
    return signal
