"""Where a NIRSpec pixel is: frames, amplifiers, reference border.

Data come in the DMS (science) frame, in which the fast axis is y: an amplifier is a band of 512
rows. In the detector frame the fast axis is x, read from column 0 upwards, and the slow axis is y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DETECTORS = ("NRS1", "NRS2")
DETECTOR_SIZE = 2048
"""Pixels along each axis of an H2RG detector."""
REFERENCE_BORDER = 4
"""Width of the frame of reference pixels."""
AMPLIFIER_WIDTH = 512
"""Detector columns that one of the four outputs reads in full frame."""

_SCAN_AXES = {"NRS1": (2, 1), "NRS2": (-2, -1)}


def scan_axes(detector: str) -> tuple[int, int]:
    """FASTAXIS and SLOWAXIS of `detector`, "NRS1" or "NRS2"."""
    return _SCAN_AXES[detector]


def to_detector_frame(image: NDArray[Any], detector: str) -> NDArray[Any]:
    """Turn the last two axes from the DMS frame to the detector frame (a view).

    Parameters
    ----------
    image : ndarray, shape (..., y, x)
        In the DMS frame.
    detector : str
        "NRS1" (axes swapped) or "NRS2" (axes swapped, then both reversed).

    Returns
    -------
    ndarray, shape (..., x, y)
        A view of `image`: the fast axis is last and runs forward in time.
    """
    swapped = np.swapaxes(image, -1, -2)
    return swapped if detector == "NRS1" else swapped[..., ::-1, ::-1]


def from_detector_frame(image: NDArray[Any], detector: str) -> NDArray[Any]:
    """Turn the last two axes from the detector frame to the DMS frame (a view).

    The inverse of `to_detector_frame`.
    """
    unflipped = image if detector == "NRS1" else image[..., ::-1, ::-1]
    return np.swapaxes(unflipped, -1, -2)


def amplifier_rows(detector: str) -> tuple[slice, ...]:
    """Rows of the DMS frame that amplifiers A to D read in full frame, in this order."""
    starts = range(0, DETECTOR_SIZE, AMPLIFIER_WIDTH)
    bands = tuple(slice(start, start + AMPLIFIER_WIDTH) for start in starts)
    return bands if detector == "NRS1" else bands[::-1]


def reference_pixels(*, xstart: int, ystart: int, xsize: int, ysize: int) -> NDArray[np.bool_]:
    """Mark the reference pixels of a subarray: its share of the detector's 4-pixel border.

    Parameters
    ----------
    xstart, ystart : int
        1-based detector pixel of the first column and row (SUBSTRT1, SUBSTRT2).
    xsize, ysize : int
        Columns and rows (SUBSIZE1, SUBSIZE2).

    Returns
    -------
    ndarray of bool, shape (ysize, xsize)
    """
    y = np.arange(ystart - 1, ystart - 1 + ysize)
    x = np.arange(xstart - 1, xstart - 1 + xsize)
    last = DETECTOR_SIZE - REFERENCE_BORDER
    in_y = (y < REFERENCE_BORDER) | (y >= last)
    in_x = (x < REFERENCE_BORDER) | (x >= last)
    return in_y[:, np.newaxis] | in_x[np.newaxis, :]
