"""The reference output of IRS2 as a gapless signal (``fill_bad_regions`` of jwst).

The reference output is read at 640 of 712 ticks, at 128 of them while the others are at their
reference samples. What counts are the 512 others: the rest is filled, first by means over its
neighbours, then by a filter that passes slow signals and those that alternate from tick to tick.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration import _irs2_kernels
from nrsdark_xr.calibration.irs2_transform import (
    arrange,
    from_frequencies,
    to_frequencies,
)
from nrsdark_xr.detector import DETECTOR_SIZE, irs2

FILL_ITERATIONS = 3
"""Rounds of filtering (``n_iter_norm`` of jwst)."""
WINDOW_TICKS = 32
"""Period of the half sine with which neighbours are averaged (``replace_bad_pixels`` of jwst)."""
EDGE_FREQUENCIES = 110000 // irs2.VISIT_TICKS
"""Frequencies over which the filter falls from 1 to 0 (``elen`` of jwst)."""
PASSED_FREQUENCIES = (
    irs2.LINE_TICKS // irs2.VISIT_TICKS * DETECTOR_SIZE // 2 - EDGE_FREQUENCIES // 2
)
"""Frequencies, from 0, that it passes unchanged (``blen`` of jwst)."""


def fill_output(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill the gaps of the reference output.

    Parameters
    ----------
    samples : ndarray of float32, shape (640, line)
        In reading order; 0 where bad.

    Returns
    -------
    ndarray of float32, shape (712, line)
        At all ticks.
    """
    frame = np.zeros((irs2.LINE_TICKS, samples.shape[1]), np.float32)
    ticks = irs2.sample_ticks()
    frame[ticks] = samples
    unread = np.ones(irs2.LINE_TICKS, bool)
    unread[ticks] = False
    filled = np.empty_like(frame)
    _irs2_kernels.fill_gaps(frame, filled, _window(), unread)

    free = np.ones(irs2.LINE_TICKS, bool)
    free[ticks[~irs2.is_reference_sample()]] = False
    free_ticks = np.flatnonzero(free)
    every = np.arange(irs2.LINE_TICKS)
    for _ in range(FILL_ITERATIONS):
        spectrum = to_frequencies(filled, every)
        _irs2_kernels.attenuate(spectrum, _filter())
        filled[free_ticks] = from_frequencies(spectrum, free_ticks)
    return filled


@cache
def _window() -> NDArray[np.float32]:
    fractions = np.arange(1, WINDOW_TICKS, dtype=np.float32) / WINDOW_TICKS
    return np.sin(fractions * np.pi).astype(np.float32)


@cache
def _filter() -> NDArray[np.float32]:
    """Pass low frequencies and those near the Nyquist frequency; shape (712, 1025)."""
    half = irs2.FRAME_TICKS // 2
    falling = (np.cos(np.arange(EDGE_FREQUENCIES) * np.pi / EDGE_FREQUENCIES) + 1.0) / 2.0
    positive = np.zeros(half)
    positive[:PASSED_FREQUENCIES] = 1.0
    positive[PASSED_FREQUENCIES : PASSED_FREQUENCIES + EDGE_FREQUENCIES] = falling
    positive[half // 2 :] = positive[: half // 2][::-1]
    return arrange(np.concatenate((positive, np.roll(positive, -1)[::-1])))
