"""Samples of one output of an IRS2 group as signals in time: order, straight line, spectra.

What the correction subtracts and what its weights are made from are the same signals.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration.irs2_transform import NOT_READ, to_frequencies
from nrsdark_xr.detector import DETECTOR_SIZE, irs2

LINE_EDGE = 4
"""Lines at either end of a frame, all reference pixels, that the straight line is fitted to."""
REFERENCE_OUTPUT = 0
"""Number of the reference output; amplifiers A to D are 1 to 4."""
_TICKS_OF_VISIT = (0, 2, 0, 2, 1, 3, 1, 3)
"""Reference sample of a visit that stands at each of 8 ticks, from 2 before the first read: jwst
takes each read for the ticks around it that are nearest in parity."""


@cache
def reading_order(detector: str, output: int) -> NDArray[np.intp]:
    """Row of each sample of a line in the order read, counted from the first row of its output."""
    rows = np.arange(irs2.OUTPUT_ROWS)
    with_columns = output % 2 == 1
    return rows if with_columns == (detector == "NRS1") else rows[::-1].copy()


def science_samples() -> NDArray[np.intp]:
    """Which of the 640 samples of a line are pixels."""
    return np.flatnonzero(~irs2.is_reference_sample())


def subtract_line(samples: NDArray[np.float32]) -> None:
    """Subtract in place the straight line through the lines at both ends (``remove_slopes``).

    A sample that comes out as 0 counts as not read from then on, in jwst as here. So that these are
    the same ones, the line is the same to the last bit: in single precision, with sums in the same
    order.
    """
    times = _times()
    ends = np.r_[0:LINE_EDGE, DETECTOR_SIZE - LINE_EDGE : DETECTOR_SIZE]
    value = samples[:, ends].T
    known = value != 0
    intercept, slope = _straight_line(times[:, ends].T[known], value[known])
    _irs2_kernels.subtract_line(samples, times, intercept, slope)


def _straight_line(
    times: NDArray[np.float32], values: NDArray[np.float32]
) -> tuple[np.float32, np.float32]:
    """Intercept and slope by least squares, operation by operation as ``ols_line`` of jwst."""
    if values.size == 0:
        return np.float32(0), np.float32(0)
    number = np.float32(values.size)
    mean_time, mean_value = times.mean(), values.mean()
    slope = ((times * values).sum() - number * mean_time * mean_value) / (
        (times**2).sum() - number * mean_time**2
    )
    return mean_value - slope * mean_time, slope


def reference_spectrum(samples: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Transform the interleaved reference samples of an amplifier (640, line), spread in time."""
    return to_frequencies(samples[irs2.is_reference_sample()], _source_of_ticks())


def output_spectrum(filled: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Transform a reference output without gaps (712, line)."""
    return to_frequencies(filled, np.arange(irs2.LINE_TICKS))


@cache
def _times() -> NDArray[np.float32]:
    """Ticks of each sample since the middle of the frame (640, line)."""
    since_start = np.add.outer(irs2.sample_ticks(), np.arange(DETECTOR_SIZE) * irs2.LINE_TICKS)
    middle = np.float32((irs2.FRAME_TICKS - 1) / 2)
    return since_start.astype(np.float32) - middle


@cache
def _source_of_ticks() -> NDArray[np.intp]:
    """Find which reference sample, of the 128 of a line, stands for each tick (712,)."""
    source = np.full(irs2.LINE_TICKS, NOT_READ)
    first = irs2.sample_ticks()[irs2.is_reference_sample()][:: irs2.REFERENCE_RUN]
    for place, read in enumerate(_TICKS_OF_VISIT):
        ticks = first - irs2.REFERENCE_RUN // 2 + place
        source[ticks] = np.arange(irs2.VISITS) * irs2.REFERENCE_RUN + read
    return source
