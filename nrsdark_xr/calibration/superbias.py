"""Subtract the superbias (``superbias``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def subtract_bias(data: NDArray[np.float32], bias: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the same bias from every group.

    Parameters
    ----------
    data : ndarray of float32, shape (group, ...)
        DN.
    bias : ndarray of float32, shape (...)
        DN; NaN counts as 0.

    Returns
    -------
    ndarray of float32, shape (group, ...)
    """
    return data - np.where(np.isnan(bias), np.float32(0), bias)
