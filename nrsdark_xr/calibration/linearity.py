"""Correct the non-linear response by a polynomial per pixel (``linearity``).

The rules are those of ``stcal.linearity``. A polynomial does not commute with the average of
frames: for groups of several frames, and where the reference file holds the inverse polynomial, the
frames of a group are predicted and corrected one by one.
"""

from __future__ import annotations

from typing import Any

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
        saturated = (groupdq[group] & np.uint8(DQ.SATURATED)) != 0
        corrected[group] = np.where(saturated, plane, _evaluate(coefficients, plane))
    return corrected


def correct_averaged_linearity(
    data: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    *,
    coefficients: NDArray[np.float32],
    inverse_coefficients: NDArray[np.float32],
    n_frames: int,
) -> NDArray[np.float32]:
    """Correct groups that are averages of frames.

    The frames of a group are taken from a straight line through the first and the last but one
    unsaturated group, made non-linear by the inverse polynomial, shifted to the average that was
    measured, corrected one by one, and averaged again.

    Parameters
    ----------
    data : ndarray of float32, shape (group, y, x)
        DN.
    groupdq : ndarray of uint8, shape (group, y, x)
        Samples flagged SATURATED stay as they are.
    coefficients, inverse_coefficients : ndarray of float32, shape (coefficient, y, x)
        From `usable_coefficients`.
    n_frames : int
        Frames averaged into one group.

    Returns
    -------
    ndarray of float32, shape (group, y, x)
    """
    saturated = (groupdq & np.uint8(DQ.SATURATED)) != 0
    # The last unsaturated group may be partly saturated; at least two groups make a line.
    last = np.maximum((~saturated).sum(axis=0) - 1, 2) - 1

    def linear(plane: NDArray[np.float32], unchanged: NDArray[np.bool_]) -> NDArray[np.float32]:
        return np.where(unchanged, plane, _evaluate(coefficients, plane))

    first_value = linear(data[0], saturated[0])
    pick = last[np.newaxis]
    last_value = linear(
        np.take_along_axis(data, pick, axis=0)[0], np.take_along_axis(saturated, pick, axis=0)[0]
    )
    frames = 1 + np.arange(len(data) * n_frames).reshape(len(data), n_frames)
    centres = frames.mean(axis=1)
    slope = (last_value - first_value) / (centres[last] - centres[0])

    corrected = np.empty_like(data)
    for group, plane in enumerate(data):
        since_first = (frames[group] - centres[0])[:, np.newaxis, np.newaxis]
        predicted = _evaluate(inverse_coefficients, first_value + slope * since_first)
        predicted += plane - predicted.mean(axis=0)
        average = np.stack([_evaluate(coefficients, frame) for frame in predicted]).mean(axis=0)
        corrected[group] = np.where(saturated[group], plane, average)
    return corrected


def _evaluate(coefficients: NDArray[np.float32], values: NDArray[np.floating]) -> NDArray[Any]:
    """Polynomial by Horner's scheme, in the precision of the operands."""
    result = coefficients[-1] * values
    for coefficient in coefficients[-2:0:-1]:
        result += coefficient
        result *= values
    result += coefficients[0]
    return result
