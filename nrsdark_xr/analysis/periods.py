"""How the darks of single periods differ from those of all exposures together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.analysis.statistics import robust_sigma
from nrsdark_xr.products.clip import frame_statistics


@dataclass(frozen=True, slots=True)
class PeriodStatistics:
    """One period against the master, which is made of all good exposures.

    Attributes
    ----------
    name : str
    first, last : str
        Dates of its first and last exposure.
    n_good : int
        Exposures that went in.
    median_dark_rate : float
        Clipped median of the dark rate over science pixels [DN/s].
    median_difference, scatter : float
        Median and robust sigma over science pixels of its rate less that of the master [DN/s].
    n_hot : int
        Science pixels with a rate above that of hot pixels.
    n_new_hot, n_vanished_hot : int
        Those that are hot in this period but not in the master, and the reverse.
    """

    name: str
    first: str
    last: str
    n_good: int
    median_dark_rate: float
    median_difference: float
    scatter: float
    n_hot: int
    n_new_hot: int
    n_vanished_hot: int


@dataclass(frozen=True, slots=True)
class PeriodRate:
    """One period as the report shows it: numbers, and its mean dark rate (y, x) [DN/s]."""

    statistics: PeriodStatistics
    rate: NDArray[np.float32]


def compare_period(
    name: str,
    days: list[str],
    rate: NDArray[Any],
    *,
    master: NDArray[Any],
    reference_pixels: NDArray[np.bool_],
    hot_rate: float,
) -> PeriodStatistics:
    """Compare the mean dark rate of one period with that of all exposures.

    Parameters
    ----------
    name : str
    days : list of str
        Dates of its good exposures, in ISO format.
    rate, master : ndarray, shape (y, x)
        Mean dark rate of the period, and of all exposures [DN/s].
    reference_pixels : ndarray of bool, shape (y, x)
    hot_rate : float
        Rate above which a pixel is hot [DN/s]; the same rule for both.
    """
    science = ~reference_pixels
    difference = (rate - master)[science]
    hot, was_hot = (rate > hot_rate) & science, (master > hot_rate) & science
    return PeriodStatistics(
        name=name,
        first=min(days),
        last=max(days),
        n_good=len(days),
        median_dark_rate=frame_statistics(rate[science]).median,
        median_difference=frame_statistics(difference).median,
        scatter=robust_sigma(difference),
        n_hot=int(np.count_nonzero(hot)),
        n_new_hot=int(np.count_nonzero(hot & ~was_hot)),
        n_vanished_hot=int(np.count_nonzero(was_hot & ~hot)),
    )
