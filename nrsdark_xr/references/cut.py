"""Where on the detector a reference lies, and the part of it that an exposure covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.errors import NrsdarkError
from nrsdark_xr.exposures import Exposure


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle of the detector in the DMS frame; corners are 1-based pixels."""

    xstart: int
    ystart: int
    xsize: int
    ysize: int

    @classmethod
    def of(cls, exposure: Exposure, *, raw: bool) -> Rectangle:
        """Take the subarray of `exposure`; if `raw`, with its rows as stored (3200 for IRS2)."""
        rows = exposure.raw_shape[2] if raw else exposure.ysize
        return cls(exposure.xstart, exposure.ystart, exposure.xsize, rows)

    def __str__(self) -> str:
        return f"{self.xsize} x {self.ysize} pixels at ({self.xstart}, {self.ystart})"


def reference_rectangle(header: Any, shape: tuple[int, ...], url: str) -> Rectangle:
    """Tell where a reference array lies.

    As in jwst's ``ref_matches_sci``, the size is that of the array itself, and a full-frame array
    needs no keywords.

    Parameters
    ----------
    header : mapping
        Primary header.
    shape : tuple of int
        Shape of the array, (…, y, x).
    url : str
        For messages.

    Raises
    ------
    NrsdarkError
        If the keywords of the corner are missing.
    """
    ysize, xsize = shape[-2:]
    xstart, ystart = header.get("SUBSTRT1"), header.get("SUBSTRT2")
    if xstart is None or ystart is None:
        if (ysize, xsize) != (DETECTOR_SIZE, DETECTOR_SIZE):
            raise NrsdarkError(
                f"does not say which {xsize} x {ysize} pixels it covers",
                file=url,
                remedy="it needs the keywords SUBSTRT1 and SUBSTRT2",
            )
        xstart = ystart = 1
    return Rectangle(xstart, ystart, xsize, ysize)


def cut(array: NDArray[Any], have: Rectangle, want: Rectangle, url: str) -> NDArray[Any]:
    """Cut the part of a reference that an exposure covers, as jwst's ``get_subarray_model`` does.

    Parameters
    ----------
    array : ndarray, shape (…, y, x)
    have, want : Rectangle
        Of the reference and of the exposure.
    url : str
        For messages.

    Returns
    -------
    ndarray, shape (…, want.ysize, want.xsize)
        `array` itself if it is all of it; else a copy, so that the whole can be freed.

    Raises
    ------
    NrsdarkError
        If the reference does not cover the exposure.
    """
    if have == want:
        return array
    if have.ysize > DETECTOR_SIZE:
        raise NrsdarkError(
            f"is an IRS2 reference: it has {have.ysize} rows, but the exposure needs {want}",
            file=url,
            remedy="give the reference of this readout",
        )
    x, y = want.xstart - have.xstart, want.ystart - have.ystart
    if x < 0 or y < 0 or x + want.xsize > have.xsize or y + want.ysize > have.ysize:
        raise NrsdarkError(
            f"covers {have}, but the exposure needs {want}",
            file=url,
            remedy="give the reference of this subarray, or a full-frame one",
        )
    return np.array(array[..., y : y + want.ysize, x : x + want.xsize], order="C")
