"""Levels of IRS2 groups, subtracted before the correction proper (``irs2_mean_subtraction``).

What is subtracted from the samples of an output in a group, pixels and interleaved reference
samples alike, is the mean over both ends of the frame of the clipped means of their first and last
four lines: one level for odd and one for even detector columns, as in traditional readout
(`nrsdark_xr.calibration.refpix`). The reference output is treated as an amplifier. Bad pairs are
found before, and replaced after it; rules and rounding are those of ``jwst.refpix``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration.group_scale import scale_groups
from nrsdark_xr.calibration.parameters import RefpixParameters
from nrsdark_xr.calibration.refpix import ReferencePixels, Section, measure
from nrsdark_xr.detector import DETECTOR_SIZE, DQ, REFERENCE_BORDER, irs2, to_detector_frame
from nrsdark_xr.exposures import Exposure

BORDER = np.r_[0:REFERENCE_BORDER, DETECTOR_SIZE - REFERENCE_BORDER : DETECTOR_SIZE]
"""Columns x of the lines at both ends of a frame."""


class BorderLook:
    """Keeps the border of one integration strip by strip of raw rows, from several threads."""

    def __init__(self, exposure: Exposure) -> None:
        self._exposure = exposure
        self._raw = np.empty((exposure.n_groups, irs2.IRS2_RAW_ROWS, len(BORDER)), np.uint16)

    def watch(self, strip: slice, samples: NDArray[np.uint16]) -> None:
        """Take in the samples (group, row, x) of some raw rows."""
        self._raw[:, strip] = samples[:, :, BORDER]

    def levels(
        self,
        bias: NDArray[np.float32],
        pixeldq: NDArray[np.uint32],
        parameters: RefpixParameters,
    ) -> NDArray[np.float32]:
        """Measure the level of each row, once all strips have been seen.

        Parameters
        ----------
        bias : ndarray of float32, shape (3200, x)
            Without NaN [DN].
        pixeldq : ndarray of uint32, shape (3200, x)
            Bad rows flagged; samples with DO_NOT_USE take no part.
        parameters : RefpixParameters

        Returns
        -------
        ndarray of float32, shape (group, 3200)
            [DN]; 0 where an output has no usable sample of one of the parities.
        """
        exposure = self._exposure
        samples = scale_groups(
            self._raw, n_frames=exposure.n_frames, frame_divisor=exposure.frame_divisor
        )
        samples -= bias[:, BORDER]
        usable = (pixeldq[:, BORDER] & np.uint32(DQ.DO_NOT_USE)) == 0
        pixels = _find_pixels(
            usable, exposure.detector, odd_even_columns=parameters.odd_even_columns
        )
        signal = measure(
            samples.reshape(len(samples), -1),
            pixels,
            single_precision=np.ones(len(samples), bool),
            parameters=parameters,
        )
        return signal.levels.astype(np.float32)


def column_parity() -> NDArray[np.intp]:
    """Parity of each of the 3200 detector columns: 0 for odd ones, the first among them.

    Of the four reference samples of a visit, the first two are odd, the others even.
    """
    columns = np.arange(irs2.IRS2_RAW_ROWS)
    reference = np.tile(irs2.is_reference_sample(), irs2.OUTPUTS)
    return np.where(reference, columns // 2 % 2, columns % 2)


def _find_pixels(
    usable: NDArray[np.bool_], detector: str, *, odd_even_columns: bool
) -> ReferencePixels:
    """Sections of a border (3200, 8), in the order of the detector frame, as jwst sums them."""
    indices = np.arange(usable.size).reshape(usable.shape)
    flat, usable_flat = (to_detector_frame(image, detector) for image in (indices, usable))
    parity = column_parity() if odd_even_columns else np.zeros(irs2.IRS2_RAW_ROWS, np.intp)
    ends = (slice(None, REFERENCE_BORDER), slice(REFERENCE_BORDER, None))
    outputs = []
    for start in range(0, irs2.IRS2_RAW_ROWS, irs2.OUTPUT_ROWS):
        columns = np.arange(start, start + irs2.OUTPUT_ROWS)
        sections = []
        for value in np.unique(parity):
            chosen = columns[parity[columns] == value]
            edges = tuple(flat[end, chosen][usable_flat[end, chosen]] for end in ends)
            sections.append(Section(edges, flat[0, chosen] // len(BORDER)))
        outputs.append(tuple(sections))
    return ReferencePixels(usable.shape, indices.ravel(), tuple(outputs), None)
