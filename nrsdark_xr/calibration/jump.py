"""Cosmic-ray jumps by the two-point difference, as ``jwst.jump`` without its large events."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _jump_kernels
from nrsdark_xr.calibration._medians import median_network
from nrsdark_xr.calibration.parameters import JumpParameters
from nrsdark_xr.detector import DQ


class JumpResult(NamedTuple):
    """What `find_jumps` found.

    Attributes
    ----------
    groupdq : ndarray of uint8, shape (..., group, y, x)
        The input's flags with JUMP_DET where a jump or the neighbour of a jump was found.
    negative_jumps : ndarray of uint16, shape (..., y, x)
        Groups in which the two-point test itself fired on a difference below the median of the
        pixel's usable differences. Flags from neighbours do not count.
    median_difference : ndarray of float32, shape (y, x)
        Median of the pixel's usable differences, of all integrations together [DN]; NaN where there
        is none, or the exposure has too few groups for the test.
    """

    groupdq: NDArray[np.uint8]
    negative_jumps: NDArray[np.uint16]
    median_difference: NDArray[np.float32]


def find_jumps(
    ramp: NDArray[np.float32],
    groupdq: NDArray[np.uint8],
    *,
    gain: NDArray[np.float32],
    readnoise: NDArray[np.float32],
    n_frames: int,
    parameters: JumpParameters,
    usable_groups: int | None = None,
    overwrite: bool = False,
) -> JumpResult:
    """Flag jumps where a first difference is far from the median of its pixel.

    Far is ``|d - median(d)| > threshold * sqrt(|median(d)| + readnoise**2 / n_frames)`` in
    electrons. With fewer than `JumpParameters.min_diffs_single_pass` usable differences, jumps are
    instead taken off one by one, largest first, by the same test on absolute differences with a
    clipped median; the sign of such a jump (`JumpResult.negative_jumps`) still is that of its
    departure from the plain median of the signed differences.

    Rows are independent of each other but for the flags that a jump gives its neighbours: cut a
    band with one more row on each side, and drop the flags of these rows.

    Parameters
    ----------
    ramp : ndarray of float32, shape ([integration,] group, y, x)
        Linearized ramp [DN]. Several integrations are tested together: they share the median.
    groupdq : ndarray of uint8, shape of `ramp`
    gain : ndarray of float32, shape (y, x)
        [e-/DN].
    readnoise : ndarray of float32, shape (y, x)
        Read noise of the difference of two groups (CDS) [DN].
    n_frames : int
        Frames averaged into a group.
    parameters : JumpParameters
    usable_groups : int, optional
        Groups of the whole frame (of the integration that has fewest) in which not every pixel is
        DO_NOT_USE: it decides for all bands alike between the two ways above. All groups, unless
        given.
    overwrite : bool
        Work in `groupdq` itself, which is C-contiguous and has no JUMP_DET yet, and return it.

    Returns
    -------
    JumpResult
        The arrays are new, unless `overwrite` says otherwise.

    Notes
    -----
    Equal to ``stcal.jump.jump.detect_jumps_data`` (1.20.0) bit for bit, but for its sigma clipping
    over 100 and more integrations and its flags after large jumps, which darks do not use.
    """
    n_integrations = ramp.shape[0] if ramp.ndim == 4 else 1
    shape = (n_integrations, *ramp.shape[-3:])
    flags = np.ascontiguousarray(groupdq).reshape(shape)
    cleared = flags if overwrite else _jump_kernels.clear_redundant_jumps(flags)
    negative_jumps = np.zeros((n_integrations, *shape[2:]), np.uint16)
    medians = np.full(shape[2:], np.nan, np.float32)
    usable = shape[1] if usable_groups is None else usable_groups
    if usable >= parameters.minimum_groups:
        _jump_kernels.find_jumps(
            _native(ramp, np.float32).reshape(shape),
            flags,
            not overwrite,
            _native(gain, np.float32),
            _native(readnoise, np.float32),
            n_frames,
            (
                parameters.rejection_threshold,
                parameters.four_group_rejection_threshold,
                parameters.three_group_rejection_threshold,
            ),
            (
                (parameters.min_jump_to_flag_neighbors, parameters.max_jump_to_flag_neighbors)
                if parameters.flag_4_neighbors
                else (np.inf, -np.inf)
            ),
            usable - 1 >= parameters.min_diffs_single_pass,
            median_network(n_integrations * (shape[1] - 1)),
            cleared,
            negative_jumps,
            medians,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            medians /= gain
    return JumpResult(
        cleared.reshape(groupdq.shape),
        negative_jumps.reshape(*ramp.shape[:-3], *ramp.shape[-2:]),
        medians,
    )


def flag_bad_gain(pixeldq: NDArray[np.uint32], gain: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Flag NO_GAIN_VALUE and DO_NOT_USE where the gain is not positive, as ``jwst.jump`` does.

    Parameters
    ----------
    pixeldq : ndarray of uint32, shape (y, x)
    gain : ndarray of float32, shape (y, x)
        [e-/DN].

    Returns
    -------
    ndarray of uint32, shape (y, x)
        A new array.
    """
    bad = (gain <= 0) | np.isnan(gain)
    return np.where(bad, pixeldq | np.uint32(DQ.NO_GAIN_VALUE | DQ.DO_NOT_USE), pixeldq)


def good_groups(groupdq: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count the groups before the first that is JUMP_DET, SATURATED or DO_NOT_USE.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (group, y, x)

    Returns
    -------
    ndarray of uint16, shape (y, x)
    """
    count = np.empty(groupdq.shape[1:], np.uint16)
    _jump_kernels.good_groups(np.ascontiguousarray(groupdq), count)
    return count


def _native(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype)
