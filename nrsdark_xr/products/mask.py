"""The bad-pixel mask with this period's hot pixels (JWST-STScI-009226 §4.1.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.references import clear_hot


class HotChanges(NamedTuple):
    """How the hot pixels differ from those of the mask that went in; shape (y, x)."""

    new: NDArray[np.bool_]
    vanished: NDArray[np.bool_]


def update_mask(mask: NDArray[np.uint32], hot: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Replace the hot pixels of a mask.

    Parameters
    ----------
    mask : ndarray of uint32, shape (y, x)
        The mask that went in, with its HOT pixels.
    hot : ndarray of bool, shape (y, x)
        Pixels that are hot now.

    Returns
    -------
    ndarray of uint32, shape (y, x)
        HOT | DO_NOT_USE, and no TELEGRAPH, where hot. Elsewhere the mask without HOT, and without
        DO_NOT_USE where HOT was its only reason.
    """
    cooled = clear_hot(mask)
    return np.where(
        hot,
        (cooled & ~np.uint32(DQ.TELEGRAPH)) | np.uint32(DQ.HOT | DQ.DO_NOT_USE),
        cooled,
    )


def hot_changes(mask: NDArray[np.uint32], hot: NDArray[np.bool_]) -> HotChanges:
    """Compare hot pixels with those of the mask that went in (arguments as in `update_mask`)."""
    was_hot = (mask & np.uint32(DQ.HOT)) != 0
    return HotChanges(new=hot & ~was_hot, vanished=was_hot & ~hot)
