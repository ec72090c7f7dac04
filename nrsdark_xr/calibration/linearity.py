"""Correct the non-linear response by a polynomial per pixel (``linearity``).

The rules are those of ``stcal.linearity`` for the group-by-group correction. Inverse coefficients,
which stcal uses for groups of averaged frames where the reference file holds them, are not used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ


def usable_coefficients(
    coefficients: NDArray[np.float32], dq: NDArray[np.uint32]
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Replace unusable coefficients by those of the identity, and flag where.

    Parameters
    ----------
    coefficients : ndarray of float32, shape (coefficient, y, x)
        Constant term first.
    dq : ndarray of uint32, shape (y, x)
        DQ of the linearity reference.

    Returns
    -------
    coefficients : ndarray of float32, shape (coefficient, y, x)
        The identity where `dq` has NO_LIN_CORR, where a coefficient is NaN and where the linear one
        is 0.
    dq : ndarray of uint32, shape (y, x)
        With NO_LIN_CORR there.
    """
    unusable = np.isnan(coefficients).any(axis=0) | (coefficients[1] == 0)
    flagged = np.where(unusable, dq | np.uint32(DQ.NO_LIN_CORR), dq)
    identity = np.zeros((len(coefficients), 1, 1), dtype=np.float32)
    identity[1] = 1
    uncorrected = (flagged & np.uint32(DQ.NO_LIN_CORR)) != 0
    return np.where(uncorrected, identity, coefficients), flagged


def correct_linearity(
    data: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    *,
    coefficients: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Evaluate each pixel's polynomial at its samples.

    Parameters
    ----------
    data : ndarray of float32, shape (group, y, x)
        DN.
    groupdq : ndarray of uint8, shape (group, y, x)
        Samples flagged SATURATED stay as they are.
    coefficients : ndarray of float32, shape (coefficient, y, x)
        From `usable_coefficients`.

    Returns
    -------
    ndarray of float32, shape (group, y, x)
    """
    corrected = np.empty_like(data)
    for group, plane in enumerate(data):  # one plane at a time stays in the cache
        result = coefficients[-1] * plane
        for coefficient in coefficients[-2:0:-1]:
            result += coefficient
            result *= plane
        result += coefficients[0]
        saturated = (groupdq[group] & np.uint8(DQ.SATURATED)) != 0
        corrected[group] = np.where(saturated, plane, result)
    return corrected
