"""Flag saturation and the A/D floor (``saturation``).

The rules are those of ``stcal.saturation.flag_saturated_pixels``, written so that a sample's flags
need only the pixels within `halo_rows` of it: a pixel once saturated stays so, hence the first
saturated group of each pixel says all, and growing by one pixel is a minimum filter over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.parameters import SaturationParameters
from nrsdark_xr.detector import DQ

ATOD_LIMIT = 65535.0
"""Largest sample of the 16-bit converter, DN."""

_SATURATED = np.uint8(DQ.SATURATED)
_DO_NOT_USE = np.uint8(DQ.DO_NOT_USE)
_FLOOR = np.uint8(DQ.AD_FLOOR | DQ.DO_NOT_USE)


def halo_rows(*, n_frames: int, parameters: SaturationParameters) -> int:
    """Rows on each side of a band that its saturation flags depend on.

    Parameters
    ----------
    n_frames : int
        Frames averaged into one group. Flags of averaged groups are grown twice.
    parameters : SaturationParameters
    """
    growths = 2 if n_frames > 1 and parameters.use_readpatt else 1
    return growths * parameters.n_pix_grow_sat


def usable_thresholds(
    threshold: NDArray[np.float32], dq: NDArray[np.uint32]
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Put the threshold of pixels without one beyond reach, and flag them.

    Parameters
    ----------
    threshold : ndarray of float32, shape (y, x)
        Saturation threshold, DN.
    dq : ndarray of uint32, shape (y, x)
        DQ of the saturation reference.

    Returns
    -------
    threshold : ndarray of float32, shape (y, x)
        `ATOD_LIMIT` + 1 where it was NaN or `dq` has NO_SAT_CHECK.
    dq : ndarray of uint32, shape (y, x)
        With NO_SAT_CHECK where the threshold was NaN.
    """
    flagged = np.where(np.isnan(threshold), dq | np.uint32(DQ.NO_SAT_CHECK), dq)
    unchecked = (flagged & np.uint32(DQ.NO_SAT_CHECK)) != 0
    return np.where(unchecked, np.float32(ATOD_LIMIT + 1), threshold), flagged


def flag_saturation(
    data: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    *,
    threshold: NDArray[np.float32],
    dq: NDArray[np.uint32],
    n_frames: int,
    bias: NDArray[np.float32] | None,
    parameters: SaturationParameters,
) -> NDArray[np.uint8]:
    """Flag saturated samples, their neighbours, and samples at the A/D floor.

    Parameters
    ----------
    data : ndarray of float32, shape (group, y, x)
        DN, bias not subtracted.
    groupdq : ndarray of uint8, shape (group, y, x)
    threshold : ndarray of float32, shape (y, x)
        From `usable_thresholds`.
    dq : ndarray of uint32, shape (y, x)
        From `usable_thresholds`.
    n_frames : int
        Frames averaged into one group.
    bias : ndarray of float32, shape (y, x), or None
        Superbias, DN; None counts as 0.
    parameters : SaturationParameters

    Returns
    -------
    ndarray of uint8, shape (group, y, x)
        `groupdq` with SATURATED from the first group at or over the threshold on, grown by
        ``n_pix_grow_sat``; AD_FLOOR and DO_NOT_USE in groups at or below 0; DO_NOT_USE in groups of
        averaged frames that probably saturated before their end.
    """
    from scipy import ndimage  # not at the top: single frames do without, and it takes 0.3 s

    flagged = groupdq | np.where(data <= 0, _FLOOR, np.uint8(0))
    width = 2 * parameters.n_pix_grow_sat + 1
    first = ndimage.minimum_filter(_first_saturated(data, threshold), size=width, mode="nearest")
    groups = np.arange(len(data), dtype=first.dtype)[:, np.newaxis, np.newaxis]
    flagged[groups >= first] |= _SATURATED
    if parameters.use_readpatt:
        hidden = np.zeros_like(flagged)
        if n_frames > 1:
            hidden = _partly_saturated(data, flagged, first, threshold, dq, n_frames, width)
        if len(data) > 2:
            hidden[1] |= _saturated_in_second(data, flagged, threshold, bias, n_frames)
        flagged |= hidden
    return flagged


def _first_saturated(
    data: NDArray[np.float32], threshold: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Index of each pixel's first group at or over the threshold; the number of groups if none."""
    first = np.full(threshold.shape, len(data), dtype=np.int32)
    for group in range(len(data) - 1, -1, -1):
        first[data[group] >= threshold] = group
    return first


def _partly_saturated(
    data: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    first: NDArray[np.int32],
    threshold: NDArray[np.float32],
    dq: NDArray[np.uint32],
    n_frames: int,
    width: int,
) -> NDArray[np.uint8]:
    """DO_NOT_USE in the group before saturation where averaging may have hidden its start."""
    from scipy import ndimage

    hidden = np.zeros_like(groupdq)
    unchecked = (dq & np.uint32(DQ.NO_SAT_CHECK)) != 0
    for group in range(len(data) - 1):
        last_frame = (group + 1) * n_frames
        dilution = (last_frame - 0.5 * (n_frames - 1)) / last_frame
        reachable = threshold * np.where(unchecked, 1.0, dilution)
        found = (
            (data[group] >= reachable)
            & ((groupdq[group] & (_SATURATED | _DO_NOT_USE)) == 0)
            & (first == group + 1)
        )
        if found.any():
            hidden[group, ndimage.maximum_filter(found, size=width, mode="nearest")] = _DO_NOT_USE
    return hidden


def _saturated_in_second(
    data: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    threshold: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    n_frames: int,
) -> NDArray[np.uint8]:
    """DO_NOT_USE where a jump late in the second group saturates the third."""
    level = np.float32(0) if bias is None else bias
    mean_first_frame = np.float64(0.5 * (n_frames + 1))
    expected = (data[0] - level) / mean_first_frame * (3 * n_frames) + level
    steep = (data[1] - data[0]) > (threshold - data[0]) / np.float32(n_frames)
    third = ((groupdq[2] & _SATURATED) != 0) & ((groupdq[1] & _SATURATED) == 0)
    return np.where((expected < threshold) & steep & third, _DO_NOT_USE, np.uint8(0))
