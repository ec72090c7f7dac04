"""RC, telegraph and bad reference pixels (JWST-STScI-009226 §4.1.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.clip import frame_statistics
from nrsdark_xr.products.parameters import BadReferenceParameters, RCParameters, RTNParameters

_RC_BITS = np.uint8(DQ.JUMP_DET | DQ.DO_NOT_USE | DQ.SATURATED)
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def has_neighbour(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any of a pixel's 8 neighbours is set.

    Parameters
    ----------
    pixels : ndarray of bool, shape (y, x)

    Returns
    -------
    ndarray of bool, shape (y, x)
    """
    return ndimage.binary_dilation(pixels, structure=_NEIGHBOURS)


def rc_candidates(
    first_group: NDArray[np.float32],
    next_groupdq: NDArray[np.uint8],
    science: NDArray[np.bool_],
    *,
    parameters: RCParameters | None = None,
) -> NDArray[np.bool_]:
    """Find the RC candidates of one ramp.

    Parameters
    ----------
    first_group : ndarray of float32, shape (y, x)
        Calibrated group 1 of the whole frame, in DN.
    next_groupdq : ndarray of uint8, shape (2, y, x)
        Group DQ of groups 2 and 3.
    science : ndarray of bool, shape (y, x)
        Pixels that are searched and that the statistics run over.
    parameters : RCParameters, optional

    Returns
    -------
    ndarray of bool, shape (y, x)
        Science pixels of which group 1 is above mean + 10 sigma (clipped), none of the 8 neighbours
        also is, and groups 2 and 3 are both flagged JUMP_DET, SATURATED or DO_NOT_USE.
    """
    parameters = RCParameters() if parameters is None else parameters
    statistics = frame_statistics(first_group[science], parameters=parameters.clip)
    bright = science & (first_group > statistics.mean + parameters.sigma * statistics.std)
    nonlinear = ((next_groupdq & _RC_BITS) != 0).all(axis=0)
    return bright & ~has_neighbour(bright) & nonlinear


def rtn_threshold(
    n_pixels: int, total: NDArray[np.int64], total_of_squares: NDArray[np.int64], sigma: float
) -> NDArray[np.float64]:
    """Negative jumps above which a pixel of a ramp is a telegraph candidate.

    Integer sums are exact, so the threshold does not depend on how a frame is cut up.

    Parameters
    ----------
    n_pixels : int
        Science pixels.
    total, total_of_squares : ndarray of int64, shape (file,)
        Sums of the negative jumps, and of their squares, over the science pixels of a ramp.
    sigma : float
        Standard deviations above the mean.

    Returns
    -------
    ndarray of float64, shape (file,)
        Plain mean plus `sigma` plain standard deviations.
    """
    mean = total / n_pixels
    std = np.sqrt((n_pixels * total_of_squares - total * total).astype(np.float64)) / n_pixels
    return mean + sigma * std


def rtn_cap(n_groups: int, parameters: RTNParameters) -> float:
    """Jumps per ramp above which ESA's CAP-008 code flags a pixel (JWST-STScI-009226 §4.1.3)."""
    return (1 - parameters.cap_confidence) * (n_groups - 1) * parameters.cap_factor


def count_above(jumps: NDArray[np.uint16], threshold: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Count the ramps in which a pixel has more jumps than the ramp's threshold.

    Parameters
    ----------
    jumps : ndarray of uint16, shape (file, ...)
    threshold : ndarray of float64, shape (file,)

    Returns
    -------
    ndarray of uint16, shape (...)
    """
    above = jumps > threshold.reshape(-1, *(1,) * (jumps.ndim - 1))
    return above.sum(axis=0, dtype=np.uint16)


def bad_reference_pixels(
    average: NDArray[np.float32],
    std: NDArray[np.float32],
    *,
    parameters: BadReferenceParameters | None = None,
) -> NDArray[np.bool_]:
    """Find bad reference pixels.

    Parameters
    ----------
    average, std : ndarray of float32, shape (group, pixel)
        Average ramp and its standard deviation, reference pixels only, in DN. Groups that are NaN
        are left out.
    parameters : BadReferenceParameters, optional

    Returns
    -------
    ndarray of bool, shape (pixel,)
        Where the mean over groups of either is more than 4 sigma from the median over
        reference pixels, or where there is none.
    """
    parameters = BadReferenceParameters() if parameters is None else parameters
    bad = np.zeros(average.shape[1], bool)
    for values in (average, std):
        usable = np.isfinite(values)
        total = np.where(usable, values, 0).sum(axis=0, dtype=np.float64)
        n_groups = usable.sum(axis=0)
        level = np.divide(total, n_groups, out=np.full(total.shape, np.nan), where=n_groups > 0)
        deviation = np.abs(level - np.median(level[n_groups > 0]))
        spread = frame_statistics(level, parameters=parameters.clip).std
        bad |= ~(deviation <= parameters.sigma * spread)
    return bad
