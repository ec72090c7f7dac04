"""Start the data-quality arrays from the bad-pixel mask (``dq_init``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ


def init_dq(
    mask: NDArray[np.uint32], n_groups: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Make pixel and group data quality from the mask.

    Parameters
    ----------
    mask : ndarray of uint32, shape (y, x)
        Bad-pixel mask.
    n_groups : int
        Groups of the ramp.

    Returns
    -------
    pixeldq : ndarray of uint32, shape (y, x)
        A copy of `mask`.
    groupdq : ndarray of uint8, shape (group, y, x)
        DO_NOT_USE in every group of a pixel that has it in the mask.
    """
    unusable = (mask & np.uint32(DQ.DO_NOT_USE)).astype(np.uint8)
    return mask.copy(), np.repeat(unusable[np.newaxis], n_groups, axis=0)
