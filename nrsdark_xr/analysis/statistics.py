"""Numbers that describe a set of products, from plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ
from nrsdark_xr.products.clip import frame_statistics

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class ProductStatistics:
    """What `measure_products` measures.

    Attributes
    ----------
    n_inputs, n_good : int
        Exposures offered, and those that went into the products.
    snr : float
        Clipped median over science pixels of dark rate over its uncertainty.
    bias_level, bias_scatter : float
        Clipped mean and standard deviation of the superbias over science pixels [DN].
    median_dark_rate : float
        Clipped median of the dark rate over science pixels [DN/s].
    median_uncertainty : float
        Clipped median of the rate's uncertainty over science pixels [DN/s].
    fraction_negative : float
        Share of science pixels with a finite rate below 0.
    n_science, n_reference : int
        Science and reference pixels.
    n_hot, n_rc, n_telegraph, n_bad_refpix : int
        Flagged pixels: HOT in the mask, the others in the DQ of the dark.
    n_new_hot, n_vanished_hot : int or None
        HOT pixels of the mask that were not HOT in the input mask, and the reverse; None without
        an input mask.
    """

    n_inputs: int
    n_good: int
    snr: float
    bias_level: float
    bias_scatter: float
    median_dark_rate: float
    median_uncertainty: float
    fraction_negative: float
    n_science: int
    n_reference: int
    n_hot: int
    n_rc: int
    n_telegraph: int
    n_bad_refpix: int
    n_new_hot: int | None
    n_vanished_hot: int | None


def robust_sigma(values: NDArray[Any]) -> float:
    """Scatter of the finite values: 1.4826 times their median absolute deviation.

    NaN where there is no finite value.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(finite - np.median(finite))))


def signal_to_noise(
    rate: NDArray[Any], uncertainty: NDArray[Any], reference_pixels: NDArray[np.bool_]
) -> float:
    """Signal-to-noise ratio of a dark (JWST-STScI-009226 §4.2).

    Parameters
    ----------
    rate, uncertainty : ndarray, shape (y, x)
        Mean dark rate and its uncertainty [DN/s].
    reference_pixels : ndarray of bool, shape (y, x)
        Pixels to leave out.

    Returns
    -------
    float
        3-sigma clipped median of rate / uncertainty over the science pixels where it is finite.
    """
    science = ~reference_pixels & np.isfinite(rate) & (uncertainty > 0)
    ratio = rate[science].astype(np.float64) / uncertainty[science]
    return frame_statistics(ratio).median


def measure_products(
    *,
    bias: NDArray[Any],
    rate: NDArray[Any],
    uncertainty: NDArray[Any],
    dark_dq: NDArray[np.uint32],
    mask: NDArray[np.uint32],
    input_mask: NDArray[np.uint32] | None,
    reference_pixels: NDArray[np.bool_],
    n_inputs: int,
    n_good: int,
) -> ProductStatistics:
    """Measure what the report and the gates judge a set of products by.

    Parameters
    ----------
    bias : ndarray, shape (y, x)
        Superbias [DN]; of an IRS2 bias the rows of the science pixels.
    rate, uncertainty : ndarray, shape (y, x)
        Mean dark rate and its uncertainty [DN/s].
    dark_dq, mask : ndarray of uint32, shape (y, x)
        DQ of the new dark, and the new mask.
    input_mask : ndarray of uint32, shape (y, x), or None
        The mask that the calibration started from, with its HOT bits.
    reference_pixels : ndarray of bool, shape (y, x)
    n_inputs, n_good : int
        Exposures offered, and those that went in.
    """
    science = ~reference_pixels
    bias_statistics = frame_statistics(bias[science])
    rates = rate[science]
    finite = np.isfinite(rates)
    hot = (mask & DQ.HOT) != 0
    was_hot = None if input_mask is None else (input_mask & DQ.HOT) != 0
    return ProductStatistics(
        n_inputs=n_inputs,
        n_good=n_good,
        snr=signal_to_noise(rate, uncertainty, reference_pixels),
        bias_level=bias_statistics.mean,
        bias_scatter=bias_statistics.std,
        median_dark_rate=frame_statistics(rates).median,
        median_uncertainty=frame_statistics(uncertainty[science]).median,
        fraction_negative=float(np.mean(rates[finite] < 0)) if finite.any() else float("nan"),
        n_science=int(np.count_nonzero(science)),
        n_reference=int(np.count_nonzero(reference_pixels)),
        n_hot=int(np.count_nonzero(hot)),
        n_rc=_count(dark_dq, DQ.RC),
        n_telegraph=_count(dark_dq, DQ.TELEGRAPH),
        n_bad_refpix=_count(dark_dq, DQ.BAD_REF_PIXEL),
        n_new_hot=None if was_hot is None else int(np.count_nonzero(hot & ~was_hot)),
        n_vanished_hot=None if was_hot is None else int(np.count_nonzero(was_hot & ~hot)),
    )


def _count(dq: NDArray[np.uint32], flag: DQ) -> int:
    return int(np.count_nonzero(dq & np.uint32(flag)))
