"""Sigma-clipped statistics over exposures and over pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.products._clip_kernels import MAD_TO_STD, MAX_FILES, clip_tiles
from nrsdark_xr.products.parameters import ClipParameters


@dataclass(frozen=True, slots=True)
class Clipped:
    """What survived the clipping, per sample position.

    Attributes
    ----------
    mean, std : ndarray of float32
        Mean and population standard deviation of the survivors; NaN where there is none.
    count : ndarray of uint16
        Survivors.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    count: NDArray[np.uint16]


class FrameStatistics(NamedTuple):
    """Statistics of the pixels of a frame that survived the clipping."""

    mean: float
    std: float
    median: float


def clipped_mean(
    values: NDArray[np.float32],
    *,
    good: NDArray[np.bool_] | None = None,
    good_groups: NDArray[np.uint16] | None = None,
    first_group: int = 0,
    files: NDArray[np.intp] | None = None,
    parameters: ClipParameters | None = None,
) -> Clipped:
    """Sigma-clipped mean and standard deviation over files (JWST-STScI-009226 §4.1.3).

    The survivors are those of ``astropy.stats.sigma_clip(values, axis=0)``, which computes its
    bounds in float64 whatever the input. Mean and standard deviation of the survivors are
    accumulated in float64 in the order of the files, each sample position for itself: how an array
    is cut into blocks changes no bit.

    Parameters
    ----------
    values : ndarray of float32, shape (file, ...)
        Samples; NaN and infinity are bad.
    good : ndarray of bool, same shape, optional
        Which samples take part.
    good_groups : ndarray of uint16, shape (file, ...) without the group axis, optional
        Group g (the second axis of `values`) takes part where ``g < good_groups``.
    first_group : int
        Index of the first group of `values`, which may be a block of a longer ramp.
    files : ndarray of int, shape (chosen,), optional
        Positions of the files that take part, in order; all by default. No sample is copied for it.
    parameters : ClipParameters, optional

    Returns
    -------
    Clipped
        `mean` and population `std`, float32, NaN where nothing survived; `count` of survivors,
        uint16.

    Raises
    ------
    ValueError
        If shapes do not match, or there are more files than the kernel can count.
    """
    parameters = ClipParameters() if parameters is None else parameters
    n_files = values.shape[0]
    shape = values.shape[1:]
    files = np.arange(n_files) if files is None else np.asarray(files, np.intp)
    if not 0 < files.size <= MAX_FILES:
        raise ValueError(f"between 1 and {MAX_FILES} files can be clipped, not {files.size}")
    if files.min() < 0 or files.max() >= n_files:
        raise ValueError(f"files {files.min()} to {files.max()} of {n_files} do not exist")
    if good_groups is None:
        stack = values.reshape(n_files, 1, -1)
        limits = np.ones((n_files, stack.shape[2]), np.uint16)
        first_group = 0
    else:
        if good_groups.shape != (n_files, *shape[1:]):
            raise ValueError(f"good_groups has shape {good_groups.shape}, ramps {values.shape}")
        stack = values.reshape(n_files, shape[0], -1)
        limits = np.ascontiguousarray(good_groups, np.uint16).reshape(n_files, -1)
    if good is None:
        good = np.empty((0, 0, 0), np.bool_)
    elif good.shape == values.shape:
        good = np.ascontiguousarray(good).reshape(stack.shape)
    else:
        raise ValueError(f"good has shape {good.shape}, values {values.shape}")
    mean, std, count = clip_tiles(
        np.ascontiguousarray(stack, np.float32),
        files,
        limits,
        good,
        first_group,
        _sorting_network(files.size),
        parameters.center == "median",
        parameters.spread == "mad_std",
        parameters.maxiters,
        parameters.sigma,
    )
    return Clipped(mean.reshape(shape), std.reshape(shape), count.reshape(shape))


def frame_statistics(
    values: NDArray[np.floating], *, parameters: ClipParameters | None = None
) -> FrameStatistics:
    """Sigma-clipped mean, standard deviation and median over pixels.

    Parameters
    ----------
    values : ndarray of float, any shape
        Values of a frame; those that are not finite are left out. The order of pixels does not
        matter.
    parameters : ClipParameters, optional

    Returns
    -------
    FrameStatistics
        In the unit of `values`; NaN if nothing survived.
    """
    parameters = ClipParameters() if parameters is None else parameters
    ordered = np.sort(values[np.isfinite(values)], axis=None).astype(np.float64)
    survivors = kept = ordered
    for _ in range(parameters.maxiters if ordered.size else 0):
        median = _median_of_ordered(survivors)
        center = median if parameters.center == "median" else survivors.mean()
        if parameters.spread == "std":
            spread = survivors.std()
        else:
            spread = np.median(np.abs(survivors - median)) * MAD_TO_STD
        bounds = center - parameters.sigma * spread, center + parameters.sigma * spread
        kept = _between(ordered, *bounds)  # as in astropy, the last bounds hold for all values
        remaining = _between(survivors, *bounds)
        if remaining.size in (survivors.size, 0):
            break
        survivors = remaining
    if kept.size == 0:
        return FrameStatistics(np.nan, np.nan, np.nan)
    return FrameStatistics(float(kept.mean()), float(kept.std()), _median_of_ordered(kept))


def _median_of_ordered(ordered: NDArray[np.float64]) -> float:
    last = ordered.size - 1
    return float(0.5 * (ordered[last // 2] + ordered[(last + 1) // 2]))


def _between(ordered: NDArray[np.float64], lower: float, upper: float) -> NDArray[np.float64]:
    first = np.searchsorted(ordered, lower, side="left")
    return ordered[first : np.searchsorted(ordered, upper, side="right")]


@lru_cache(maxsize=128)
def _sorting_network(n: int) -> NDArray[np.uint16]:
    """Give the comparators (low, high) of Batcher's odd-even merge sort of `n` values, in order."""
    pairs = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for start in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - start - k)):
                    low, high = i + start, i + start + k
                    if low // (2 * p) == high // (2 * p):
                        pairs.append((low, high))
            k //= 2
        p *= 2
    return np.array(pairs, np.uint16).reshape(-1, 2)
