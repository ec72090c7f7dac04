"""The superbias (JWST-STScI-009226 §4.1.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.clip import clipped_mean, frame_statistics
from nrsdark_xr.products.parameters import BiasParameters


def combine_bias(
    bias_groups: NDArray[np.float32], *, parameters: BiasParameters | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Project the mean first two groups back to time 0.

    Parameters
    ----------
    bias_groups : ndarray of float32, shape (file, 2, ...)
        Groups 1 and 2, reference-pixel corrected with the bias level of group 1 kept, in DN.
    parameters : BiasParameters, optional

    Returns
    -------
    bias, err : ndarray of float32, shape (...)
        ``2 G1 - G2`` and ``sqrt((2 s1)^2 + s2^2)`` of the clipped means G and standard deviations
        s, in DN; NaN where a group has no survivor.
    """
    parameters = BiasParameters() if parameters is None else parameters
    groups = clipped_mean(bias_groups, parameters=parameters.clip)
    mean, std = groups.mean.astype(np.float64), groups.std.astype(np.float64)
    bias = 2 * mean[0] - mean[1]
    err = np.hypot(2 * std[0], std[1])
    return bias.astype(np.float32), err.astype(np.float32)


def flag_bias(
    err: NDArray[np.float32],
    science: NDArray[np.bool_],
    *,
    parameters: BiasParameters | None = None,
) -> NDArray[np.uint32]:
    """Flag pixels of uncertain bias.

    Parameters
    ----------
    err : ndarray of float32, shape (y, x)
        Error of the bias, in DN.
    science : ndarray of bool, same shape
        Pixels that the statistics run over.
    parameters : BiasParameters, optional

    Returns
    -------
    ndarray of uint32, same shape
        UNRELIABLE_BIAS where the error lies more than 5 sigma above its mean (clipped statistics),
        or where there is none.
    """
    parameters = BiasParameters() if parameters is None else parameters
    statistics = frame_statistics(err[science], parameters=parameters.clip)
    limit = statistics.mean + parameters.unreliable_sigma * statistics.std
    unreliable = ~np.isfinite(err) | (err > limit)
    return np.where(unreliable, np.uint32(DQ.UNRELIABLE_BIAS), np.uint32(0))
