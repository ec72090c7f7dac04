"""IRS2 readout: where its 3200 raw rows come from, and when each sample was read.

An IRS2 frame has five outputs of 640 rows in the DMS frame: the reference output, then amplifiers A
to D. All five are read at once, line by line along x. In each line an output reads 8 pixels, jumps
out to 4 reference samples (two pixels, read twice each), jumps back for 16 pixels, and so on; it
ends with 8 pixels and a pause. Output 0, 2 and 4 are read in decreasing column of the detector
frame, 1 and 3 in increasing (`jwst.refpix.irs2_subtract_reference`; Rauscher et al. 2017,
doi:10.1088/1538-3873/aa83fd).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector.geometry import AMPLIFIER_WIDTH, DETECTOR_SIZE, to_detector_frame

SCIENCE_RUN = 16
"""Pixels between two visits to the reference samples (NRS_NORM)."""
REFERENCE_RUN = 4
"""Reference samples of one visit (NRS_REF)."""
OUTPUTS = 5
"""The reference output and amplifiers A to D."""
VISITS = AMPLIFIER_WIDTH // SCIENCE_RUN
"""Visits to the reference samples in one line of an output."""
OUTPUT_ROWS = AMPLIFIER_WIDTH + VISITS * REFERENCE_RUN
"""Raw rows of one output: 512 of pixels and 128 of reference samples."""
IRS2_RAW_ROWS = OUTPUTS * OUTPUT_ROWS
"""Raw rows of an IRS2 frame in the DMS frame."""
JUMP_TICKS = 1
"""Pixel times for a jump out to, or back from, the reference samples."""
LINE_PAUSE_TICKS = 8
"""Pixel times between two lines."""
VISIT_TICKS = SCIENCE_RUN + REFERENCE_RUN + 2 * JUMP_TICKS
"""Pixel times from one visit to the next."""
LINE_TICKS = VISITS * VISIT_TICKS + LINE_PAUSE_TICKS
"""Pixel times of one line."""
FRAME_TICKS = DETECTOR_SIZE * LINE_TICKS
"""Pixel times of the lines of a frame, without the pause at its end."""
FRAME_FREQUENCIES = FRAME_TICKS // 2 + 1
"""Frequencies of a frame in time, from 0 to that of Nyquist; samples being real, they tell all."""
FRAME_PAUSE_TICKS = 714
"""Pixel times between two frames."""


def output_rows(detector: str) -> tuple[slice, ...]:
    """Raw rows of the reference output and of amplifiers A to D, in this order."""
    starts = range(0, IRS2_RAW_ROWS, OUTPUT_ROWS)
    bands = tuple(slice(start, start + OUTPUT_ROWS) for start in starts)
    return bands if detector == "NRS1" else bands[::-1]


def reference_output_rows(detector: str) -> slice:
    """Raw rows of the reference output."""
    return output_rows(detector)[0]


def is_reference_sample() -> NDArray[np.bool_]:
    """Which of the 640 samples of an output's line are reference samples.

    The same read forward and backward: a line begins and ends with 8 pixels.
    """
    place = np.arange(OUTPUT_ROWS) % (SCIENCE_RUN + REFERENCE_RUN)
    lead = SCIENCE_RUN // 2
    return (place >= lead) & (place < lead + REFERENCE_RUN)


def science_rows(detector: str) -> NDArray[np.intp]:
    """Raw row of each of the 2048 rows that remain once reference samples are stripped."""
    return _rows_of_amplifiers(detector, reference=False)


def reference_rows(detector: str) -> NDArray[np.intp]:
    """Raw rows of the 512 reference samples interleaved in the amplifiers, increasing."""
    return _rows_of_amplifiers(detector, reference=True)


def _rows_of_amplifiers(detector: str, *, reference: bool) -> NDArray[np.intp]:
    chosen = np.tile(is_reference_sample() == reference, OUTPUTS)
    chosen[reference_output_rows(detector)] = False
    return np.flatnonzero(chosen)


def sample_ticks() -> NDArray[np.intp]:
    """Pixel time, since the line began, of each of the 640 samples of a line as they are read."""
    sample = np.arange(OUTPUT_ROWS)
    visit, place = np.divmod(sample, SCIENCE_RUN + REFERENCE_RUN)
    lead = SCIENCE_RUN // 2
    jumps = (place >= lead).astype(np.intp) + (place >= lead + REFERENCE_RUN)
    return visit * VISIT_TICKS + place + JUMP_TICKS * jumps


def in_reading_order(raw: NDArray[Any], detector: str) -> NDArray[Any]:
    """Raw frames with their samples in the order in which each output was read.

    Parameters
    ----------
    raw : ndarray, shape (..., 3200, x)
        In the DMS frame.
    detector : str
        "NRS1" or "NRS2".

    Returns
    -------
    ndarray, shape (..., 5, x, 640)
        A copy: output, line, sample. Sample i of line j was read `sample_ticks()[i]` pixel times
        after line j began, `j * LINE_TICKS` after the frame began.
    """
    lines = to_detector_frame(raw, detector)
    split = lines.reshape(*lines.shape[:-1], OUTPUTS, OUTPUT_ROWS)
    ordered = np.moveaxis(split, -2, -3).copy()
    ordered[..., ::2, :, :] = ordered[..., ::2, :, ::-1].copy()
    return ordered


def from_reading_order(ordered: NDArray[Any], detector: str) -> NDArray[Any]:
    """Raw frames (..., 3200, x) from samples in the order read (..., 5, x, 640), a copy.

    The inverse of `in_reading_order`.
    """
    split = ordered.copy()
    split[..., ::2, :, :] = ordered[..., ::2, :, ::-1]
    lines = np.moveaxis(split, -3, -2)
    lines = lines.reshape(*lines.shape[:-2], IRS2_RAW_ROWS)
    turned = lines if detector == "NRS1" else lines[..., ::-1, ::-1]
    return np.ascontiguousarray(np.swapaxes(turned, -1, -2))


def strip(image: NDArray[Any], detector: str) -> NDArray[Any]:
    """Take the rows of pixels out of raw frames.

    Parameters
    ----------
    image : ndarray, shape (..., 3200, x)
        Of any other number of rows, it has nothing to be stripped of.
    detector : str

    Returns
    -------
    ndarray, shape (..., 2048, x)
        A copy; or `image` itself if it has other rows than a raw frame.
    """
    return image if image.shape[-2] != IRS2_RAW_ROWS else image[..., science_rows(detector), :]


def put_back(image: NDArray[Any], frame: NDArray[Any], detector: str) -> NDArray[Any]:
    """Put rows of pixels into a raw frame; the inverse of `strip`.

    Parameters
    ----------
    image : ndarray, shape (..., y, x)
    frame : ndarray, shape (..., 3200, x), or shape of `image`
        Where the reference samples come from.
    detector : str

    Returns
    -------
    ndarray, shape of `frame`
        A copy of `frame` with the pixels of `image`; or `image` itself if `frame` has no reference
        samples.
    """
    if frame.shape[-2] != IRS2_RAW_ROWS:
        return image
    filled = frame.copy()
    filled[..., science_rows(detector), :] = image
    return filled
