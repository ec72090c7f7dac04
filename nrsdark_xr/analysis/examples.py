"""Choose the pixels whose ramps the report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.flags import has_neighbour

PIXEL_KINDS = ("normal", "hot", "RC", "RTN", "IPC neighbour")
"""Kinds of pixel that the report shows, in this order."""


@dataclass(frozen=True, slots=True)
class ExamplePixel:
    """A pixel to show: array indices, or None for both where there is no such pixel."""

    kind: str
    y: int | None
    x: int | None


def example_pixels(
    *,
    rate: NDArray[Any],
    dq: NDArray[np.uint32],
    reference_pixels: NDArray[np.bool_],
    rc_count: NDArray[Any] | None = None,
    telegraph_count: NDArray[Any] | None = None,
) -> tuple[ExamplePixel, ...]:
    """One pixel of each kind, always the same for the same maps.

    Parameters
    ----------
    rate : ndarray, shape (y, x)
        Mean dark rate [DN/s].
    dq : ndarray of uint32, shape (y, x)
        DQ of the dark together with the new mask (HOT, RC, TELEGRAPH, DO_NOT_USE …).
    reference_pixels : ndarray of bool, shape (y, x)
    rc_count, telegraph_count : ndarray, shape (y, x), optional
        Ramps in which the pixel was found; the most frequent one is shown.

    Returns
    -------
    tuple of ExamplePixel
        In the order of `PIXEL_KINDS`. *normal*: unflagged, no flagged neighbour, rate closest to
        the median of such pixels. *hot*: rate closest to the median of the HOT pixels. *RC*, *RTN*:
        highest count. *IPC neighbour*: the brightest unflagged pixel among the four beside the
        brightest HOT pixel that has one. Ties go to the lowest y, then x.
    """
    science = ~reference_pixels
    finite = np.isfinite(rate) & science
    hot = ((dq & DQ.HOT) != 0) & science
    rc = ((dq & DQ.RC) != 0) & science
    rtn = ((dq & DQ.TELEGRAPH) != 0) & science & ~hot & ~rc
    flagged = (dq & ~np.uint32(DQ.REFERENCE_PIXEL)) != 0
    normal = finite & ~flagged & ~has_neighbour(flagged)
    finite_hot = hot & ~rc & finite
    chosen = (
        _closest_to_median(rate, normal),
        _closest_to_median(rate, finite_hot),
        _largest(rc_count, rc),
        _largest(telegraph_count, rtn),
        _beside_brightest(rate, finite_hot, finite & ~flagged),
    )
    return tuple(
        ExamplePixel(kind, *(place or (None, None)))
        for kind, place in zip(PIXEL_KINDS, chosen, strict=True)
    )


def _closest_to_median(rate: NDArray[Any], candidates: NDArray[np.bool_]) -> tuple[int, int] | None:
    places = np.argwhere(candidates)
    if not len(places):
        return None
    rates = rate[candidates].astype(np.float64)
    return _place(places[np.argmin(np.abs(rates - np.median(rates)))])


def _largest(count: NDArray[Any] | None, candidates: NDArray[np.bool_]) -> tuple[int, int] | None:
    places = np.argwhere(candidates)
    if not len(places):
        return None
    return _place(places[0 if count is None else np.argmax(count[candidates])])


def _beside_brightest(
    rate: NDArray[Any], hot: NDArray[np.bool_], candidates: NDArray[np.bool_]
) -> tuple[int, int] | None:
    """Find the brightest candidate beside the brightest hot pixel that has one beside it."""
    ny, nx = rate.shape
    places = np.argwhere(hot)
    for y, x in places[np.argsort(-rate[hot], kind="stable")]:
        beside = [(y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)]
        inside = [(j, i) for j, i in beside if 0 <= j < ny and 0 <= i < nx and candidates[j, i]]
        if inside:
            return _place(max(inside, key=lambda place: rate[place]))
    return None


def _place(indices: Any) -> tuple[int, int]:
    y, x = indices
    return int(y), int(x)
