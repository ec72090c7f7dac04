"""Saturation and the A/D floor of IRS2 exposures (``irs2_flag_saturation`` of jwst).

Reference samples never saturate: rules and growth are those of the 2048 science rows. They differ
from traditional readout where frames are averaged: a pixel that probably saturated within its
second group is SATURATED there, with its neighbours, and the group before saturation is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration.group_scale import group_scale, scale_groups
from nrsdark_xr.calibration.parameters import SaturationParameters
from nrsdark_xr.detector import irs2
from nrsdark_xr.exposures import Exposure
from nrsdark_xr.references import References

GROUPS_OF_RULE = 3
"""Groups that say whether a pixel saturated within its second."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where an integration is saturated.

    Attributes
    ----------
    start : ndarray of int32, shape (y, x)
        Group from which on a pixel is saturated; the number of groups if it never is.
    second : ndarray of bool, shape (y, x)
        Saturated in the second group as well.
    usable_groups : int
        Groups in which any sample is usable, that is forbidden neither by the mask nor by the A/D
        floor.
    """

    start: NDArray[np.int32]
    second: NDArray[np.bool_]
    usable_groups: int


class SaturationLook:
    """Looks for saturation strip by strip of raw rows, from several threads.

    Parameters
    ----------
    exposure : Exposure
    references : References
        With thresholds from `nrsdark_xr.calibration.saturation.usable_thresholds`.
    unusable : ndarray of bool, shape (y, x)
        Pixels that the mask forbids.
    parameters : SaturationParameters
    """

    def __init__(
        self,
        exposure: Exposure,
        references: References,
        unusable: NDArray[np.bool_],
        parameters: SaturationParameters,
    ) -> None:
        self._exposure, self._references, self._parameters = exposure, references, parameters
        self._unusable = unusable
        self._raw_rows = irs2.science_rows(exposure.detector)
        shape = (exposure.ysize, exposure.xsize)
        self._first = np.empty(shape, np.int32)
        self._second = np.zeros(shape, bool)
        self._usable = np.zeros(exposure.n_groups, bool)
        self._updating = Lock()
        self._looks_at_second = (
            parameters.use_readpatt
            and exposure.n_frames > 1
            and exposure.n_groups >= GROUPS_OF_RULE
        )

    def watch(self, strip: slice, samples: NDArray[np.uint16]) -> None:
        """Look at the groups (group, row, x) of some raw rows."""
        low, high = np.searchsorted(self._raw_rows, (strip.start, strip.stop))
        if low == high:
            return
        rows = slice(int(low), int(high))
        threshold = self._references.saturation[rows]
        within = self._raw_rows[rows] - strip.start
        scale = group_scale(
            n_frames=self._exposure.n_frames, frame_divisor=self._exposure.frame_divisor
        )
        _irs2_kernels.first_saturated(samples, within, scale, threshold, self._first[rows])
        usable = _irs2_kernels.usable_groups(samples, within, self._unusable[rows])
        with self._updating:
            self._usable |= usable
        if self._looks_at_second:
            bias = self._references.superbias
            self._second[rows] = _saturates_in_second(
                scale_groups(
                    samples[:GROUPS_OF_RULE, within],
                    n_frames=self._exposure.n_frames,
                    frame_divisor=self._exposure.frame_divisor,
                ),
                threshold,
                np.float32(0) if bias is None else bias[self._raw_rows[rows]],
                self._exposure.n_frames,
            )

    def result(self) -> Saturation:
        """Give the result, once all strips were looked at."""
        from scipy import ndimage  # not at the top: traditional readout does without

        width = 2 * self._parameters.n_pix_grow_sat + 1
        return Saturation(
            ndimage.minimum_filter(self._first, size=width, mode="nearest"),
            ndimage.maximum_filter(self._second, size=width, mode="nearest")
            if self._looks_at_second
            else self._second,
            int(self._usable.sum()),
        )


def _saturates_in_second(
    data: NDArray[np.float32],
    threshold: NDArray[np.float32],
    bias: NDArray[np.float32] | np.float32,
    n_frames: int,
) -> NDArray[np.bool_]:
    """Where a late jump in the second group (of three, in DN) is what saturates the third."""
    mean_first_frame = np.float64(0.5 * (n_frames + 1))
    expected = (data[0] - bias) / mean_first_frame * (GROUPS_OF_RULE * n_frames) + bias
    steep = (data[1] - data[0]) > (threshold - data[0]) / np.float32(n_frames)
    found: NDArray[np.bool_] = (expected < threshold) & steep & (data[2] >= threshold)
    return found
