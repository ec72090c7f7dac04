"""How well a detection agrees with the truth: completeness, purity and pulls, on plain arrays.

A detection is complete where it finds what is there, and pure where it finds nothing else. Both
depend on how strong the thing is, so each is given per bin of strength.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.detector import DQ

MAD_TO_STD = 1.482602218505602
"""Standard deviation of a normal distribution in terms of its median absolute deviation."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the pixels of one bin of strength meet a condition.

    Attributes
    ----------
    low, high : float
        Bounds of the bin; `low` belongs to it, `high` does not.
    n : int
        Pixels in the bin.
    n_met : int
        Those that meet the condition.
    """

    low: float
    high: float
    n: int
    n_met: int

    @property
    def fraction(self) -> float:
        """`n_met` over `n`; NaN for an empty bin."""
        return self.n_met / self.n if self.n else math.nan


@dataclass(frozen=True, slots=True)
class Pulls:
    """Robust statistics of (measured - true) / uncertainty.

    Attributes
    ----------
    n : int
        Values that are finite.
    median : float
        Near 0 if the measurement is unbiased.
    scatter : float
        Standard deviation that the median absolute deviation implies; near 1 if the uncertainty is
        that of a normal distribution.
    """

    n: int
    median: float
    scatter: float


def completeness(
    found: BoolArray, truth: BoolArray, strength: NDArray[Any], edges: Sequence[float]
) -> tuple[Share, ...]:
    """Share of what is there that was found, by its true strength.

    Parameters
    ----------
    found, truth : ndarray of bool, any one shape
        What was found, and what is there.
    strength : ndarray, same shape
        True strength.
    edges : sequence of float, length bins + 1
        Bounds of the bins, ascending; may be infinite. Strengths outside of them, and NaN, are left
        out.

    Returns
    -------
    tuple of Share, length bins

    Raises
    ------
    ValueError
        If shapes differ or `edges` do not ascend.
    """
    return _shares(found, truth, strength, edges)


def purity(
    found: BoolArray, truth: BoolArray, strength: NDArray[Any], edges: Sequence[float]
) -> tuple[Share, ...]:
    """Share of what was found that is there, by its measured strength.

    Parameters
    ----------
    found, truth : ndarray of bool, any one shape
        What was found, and what is there.
    strength : ndarray, same shape
        Measured strength.
    edges : sequence of float, length bins + 1
        As in `completeness`.

    Returns
    -------
    tuple of Share, length bins

    Raises
    ------
    ValueError
        If shapes differ or `edges` do not ascend.
    """
    return _shares(truth, found, strength, edges)


def attribute(pixels: BoolArray, kinds: Mapping[str, BoolArray], *, other: str) -> dict[str, int]:
    """Count pixels by what they are, such as those that were found wrongly.

    Parameters
    ----------
    pixels : ndarray of bool
    kinds : mapping of str to ndarray of bool, same shape
        A pixel of several kinds counts as the first one.
    other : str
        What the remaining pixels are called.

    Returns
    -------
    dict of str to int
        In the order of `kinds`, `other` last; the sum is the number of pixels.
    """
    remaining = pixels.copy()
    counts = {}
    for name, kind in kinds.items():
        counts[name] = int(np.count_nonzero(remaining & kind))
        remaining &= ~kind
    return {**counts, other: int(np.count_nonzero(remaining))}


def first_flagged(groupdq: NDArray[np.uint8], *, bits: DQ) -> NDArray[np.uint16]:
    """First group of each pixel that has one of some bits.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (group, ...)
    bits : DQ

    Returns
    -------
    ndarray of uint16, shape (...)
        Counted from 1; 0 for none.
    """
    flagged = (groupdq & np.uint8(bits)) != 0
    first = flagged.argmax(axis=0) + 1
    return np.where(flagged.any(axis=0), first, 0).astype(np.uint16)


def flagged_at(
    groupdq: NDArray[np.uint8], group: NDArray[np.integer[Any]], *, bits: DQ
) -> BoolArray:
    """Whether each pixel has one of some bits in a group of its own, such as that of its hit.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (group, ...)
    group : ndarray of int, shape (...)
        Counted from 1; 0 for none.
    bits : DQ

    Returns
    -------
    ndarray of bool, shape (...)
        False where `group` is 0.
    """
    index = np.maximum(group.astype(np.intp) - 1, 0)[np.newaxis]
    flags = np.take_along_axis(groupdq, index, axis=0)[0]
    return (group > 0) & ((flags & np.uint8(bits)) != 0)


def pulls(measured: NDArray[Any], true: NDArray[Any], uncertainty: NDArray[Any]) -> Pulls:
    """Compare measurements with the truth in terms of their uncertainties.

    Parameters
    ----------
    measured, true, uncertainty : ndarray, one shape
        In one unit. Where a pull is not finite, for want of a measurement or for an uncertainty of
        0, it is left out.

    Returns
    -------
    Pulls
        NaN statistics if nothing is left.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (measured.astype(np.float64) - true) / uncertainty
    values = values[np.isfinite(values)]
    if not values.size:
        return Pulls(0, math.nan, math.nan)
    median = float(np.median(values))
    return Pulls(values.size, median, MAD_TO_STD * float(np.median(np.abs(values - median))))


def _shares(
    condition: BoolArray, population: BoolArray, strength: NDArray[Any], edges: Sequence[float]
) -> tuple[Share, ...]:
    """Share of the population that meets the condition, per bin of strength."""
    if not condition.shape == population.shape == strength.shape:
        raise ValueError(f"shapes {condition.shape}, {population.shape}, {strength.shape} differ")
    if not all(low < high for low, high in pairwise(edges)):
        raise ValueError(f"edges {tuple(edges)} do not ascend")
    values, met = strength[population], condition[population]
    shares = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        n_met = int(np.count_nonzero(met & inside))
        shares.append(Share(low, high, int(np.count_nonzero(inside)), n_met))
    return tuple(shares)
