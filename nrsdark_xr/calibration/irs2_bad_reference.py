"""Bad reference samples of IRS2: which they are, and what stands in for them.

Reference samples come in pairs, two reads of one reference pixel each. `flag_bad_rows` finds pairs
that stand out among the 64 of their output, as ``flag_bad_refpix`` of jwst does; the REFPIX
reference names others (``clobber_ref``). `replacements` says which rows stand in for bad ones
(``replace_refpix``). Rows are raw rows of the DMS frame; whatever a row holds, it is bad in all
groups and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._irs2_kernels import NO_ROW
from nrsdark_xr.detector import irs2
from nrsdark_xr.references.irs2 import Irs2Weights

PAIR = 2
"""Reads of one reference pixel."""
CLIP_ITERATIONS = 5
"""Most rounds of clipping, as astropy does by default."""
PERIOD = irs2.SCIENCE_RUN + irs2.REFERENCE_RUN
"""Rows from one visit to the next."""


@dataclass(frozen=True, slots=True)
class PairStatistics:
    """Statistics of each pair of reference rows over groups and columns, one integration.

    Attributes
    ----------
    difference, mean, std : ndarray of float64, shape (pair,)
        Mean absolute difference of the two reads; mean and standard deviation of both [DN]; in the
        order of `pair_rows`.
    """

    difference: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def pair_rows() -> NDArray[np.intp]:
    """First row of each of the 320 pairs of a frame, those of the reference output included."""
    reference = np.flatnonzero(np.tile(irs2.is_reference_sample(), irs2.OUTPUTS))
    return reference[::PAIR]


def flag_bad_rows(
    statistics: list[PairStatistics], bad: NDArray[np.bool_], *, n_sigma: float
) -> NDArray[np.bool_]:
    """Flag pairs that stand out among those of their output in any integration.

    Parameters
    ----------
    statistics : list of PairStatistics
        Of each integration.
    bad : ndarray of bool, shape (3200,)
        Rows known to be bad, which take no part.
    n_sigma : float
        Clipped standard deviations over the clipped mean from which a difference, mean or standard
        deviation stands out, and at which these are clipped.

    Returns
    -------
    ndarray of bool, shape (3200,)
        `bad` and the rows of the pairs found.
    """
    rows = pair_rows()
    known = bad[rows] | bad[rows + 1]
    flagged = bad.copy()
    for output in range(irs2.OUTPUTS):
        here = np.flatnonzero((rows // irs2.OUTPUT_ROWS == output) & ~known)
        for each in statistics:
            for values in (each.difference, each.mean, each.std):
                high = here[_stand_out(values[here], n_sigma)]
                flagged[rows[high]] = flagged[rows[high] + 1] = True
    return flagged


def replacements(
    bad: NDArray[np.bool_], weights: Irs2Weights | None, detector: str
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Tell which two rows stand in, by their mean, for each row of a frame.

    Parameters
    ----------
    bad : ndarray of bool, shape (3200,)
        From `flag_bad_rows`.
    weights : Irs2Weights or None
        Its table names further bad rows.
    detector : str

    Returns
    -------
    first, second : ndarray of int, shape (3200,)
        A good row itself twice. For a bad one the rows of the same read at the visits before and
        after, or the one of them that is good, else another pair of the same visit; `NO_ROW` where
        none is good: that counts as not read.
    """
    first = np.arange(irs2.IRS2_RAW_ROWS)
    second = first.copy()
    for row in np.flatnonzero(bad).tolist():
        first[row], second[row] = _stand_ins(row, bad)
    if weights is None:
        return first, second
    # jwst goes through the table in the detector frame, where rows of NRS2 count from the other end
    turn = slice(None) if detector == "NRS1" else slice(None, None, -1)
    last = irs2.IRS2_RAW_ROWS - 1
    known = bad[turn].copy()
    for output, odd_even, mask in zip(weights.output, weights.odd_even, weights.mask, strict=True):
        found = [row for row in _named_rows(output, odd_even, mask) if not known[row]]
        known[found] = True
        for column in found:
            one, two = _stand_ins(column, known)
            place = column if detector == "NRS1" else last - column
            first[place], second[place] = (
                source if detector == "NRS1" or source == NO_ROW else last - source
                for source in (one, two)
            )
    return first, second


def _stand_out(values: NDArray[np.float64], n_sigma: float) -> NDArray[np.bool_]:
    """Which values lie over the mean of what is left after clipping about the median.

    As ``astropy.stats.sigma_clipped_stats``, which jwst takes.
    """
    kept = values[np.isfinite(values)]
    for _ in range(CLIP_ITERATIONS):
        if kept.size == 0:
            return np.zeros(values.shape, bool)
        inside = np.abs(kept - np.median(kept)) <= n_sigma * kept.std()
        if inside.all():
            break
        kept = kept[inside]
    high: NDArray[np.bool_] = (values - kept.mean()) > n_sigma * kept.std()
    return high


def _stand_ins(row: int, bad: NDArray[np.bool_]) -> tuple[int, int]:
    """Rows whose mean replaces a bad one, or `NO_ROW`; `bad` is not asked beyond the output."""
    low = row // irs2.OUTPUT_ROWS * irs2.OUTPUT_ROWS
    high = low + irs2.OUTPUT_ROWS
    good = [
        place for place in (row - PERIOD, row + PERIOD) if low <= place < high and not bad[place]
    ]
    if not good:
        reference = irs2.is_reference_sample()
        good = [
            place
            for place in (row - PAIR, row + PAIR)
            if low <= place < high and reference[place - low] and not bad[place]
        ][:1]
    return (good[0], good[-1]) if good else (NO_ROW, NO_ROW)


def _named_rows(output: int, odd_even: int, mask: int) -> list[int]:
    """Detector columns that one row of the table of a REFPIX reference names."""
    pair = odd_even if output % 2 else 3 - odd_even  # even outputs are read the other way
    start = output * irs2.OUTPUT_ROWS + irs2.SCIENCE_RUN // 2 + PAIR * (pair - 1)
    visits = [visit for visit in range(irs2.VISITS) if int(mask) >> visit & 1]
    return [start + visit * PERIOD + read for visit in visits for read in range(PAIR)]
