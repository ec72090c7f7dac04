"""The clipping itself, compiled.

Samples are worked on in tiles: all files of a few hundred neighbouring pixels, sorted along the
file axis with a sorting network, so that each instruction serves several pixels. In most pixels
nothing is rejected and the first moments are the answer; the others are iterated on one by one.

Bounds are the same real numbers as in astropy, but summed in another order. Where a sample lies so
close to a bound that rounding could decide, `_astropy_bounds` repeats astropy's own operations in
their order.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel

MAX_FILES = np.iinfo(np.uint16).max
"""Files that can be counted in uint16."""
TILE = 512
"""Pixels per tile: of 40 files, a tile and its sorted copy take 160 KiB, within an L2 cache."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""Relative error per summand of a bound, with ample margin."""
MAD_TO_STD = 1.482602218505602
"""Standard deviation of a normal distribution in units of its median absolute deviation, as astropy
rounds it."""
LARGEST = np.finfo(np.float32).max
BAD = np.float32(np.inf)
"""Stands for a bad sample inside a tile: sorts last."""


@kernel
def _select(values: Any, n: int, k: int) -> float:
    """Wirth's selection of the k-th smallest of the first `n` values, which it permutes."""
    left = 0
    right = n - 1
    while left < right:
        pivot = values[k]
        i = left
        j = right
        while True:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
            if i > j:
                break
        if j < k:
            left = i
        if k < i:
            right = j
    return values[k]


@kernel
def _median(values: Any, n: int) -> float:
    if n % 2 == 0:
        upper = _select(values, n, n // 2)
        return 0.5 * (upper + _select(values, n, n // 2 - 1))
    return _select(values, n, (n - 1) // 2)


@kernel
def _astropy_bounds(
    values: Any,
    n: int,
    deviations: Any,
    use_median: bool,
    use_mad: bool,
    maxiters: int,
    sigma: float,
) -> tuple[float, float]:
    """Bounds as astropy's ``compute_sigma_clipped_bounds`` finds them, operation by operation.

    `values` (the first `n`, in file order) and `deviations` are scratch.
    """
    lower = np.nan
    upper = np.nan
    for _ in range(maxiters):
        median = 0.0
        mean = 0.0
        if use_median or use_mad:
            median = _median(values, n)
        if not use_median or not use_mad:
            for i in range(n):
                mean += values[i]
            mean /= n
        center = median if use_median else mean
        spread = 0.0
        if use_mad:
            for i in range(n):
                deviations[i] = abs(values[i] - median)
            spread = _median(deviations, n) * MAD_TO_STD
        else:
            for i in range(n):
                spread += (values[i] - mean) * (values[i] - mean)
            spread = sqrt(spread / n)
        lower = center - sigma * spread
        upper = center + sigma * spread
        kept = 0
        for i in range(n):
            if lower <= values[i] <= upper:
                values[kept] = values[i]
                kept += 1
        if kept in (n, 0):
            break
        n = kept
    return lower, upper


@kernel
def _deviations(ordered: Any, first: int, last: int, center: float) -> tuple[float, float]:
    """Sum deviations from `center`, and their squares, over ``ordered[first:last]``.

    In four sums each, of which a processor adds several at once.
    """
    total_0 = total_1 = total_2 = total_3 = 0.0
    squares_0 = squares_1 = squares_2 = squares_3 = 0.0
    i = first
    while i + 4 <= last:
        d_0 = ordered[i] - center
        d_1 = ordered[i + 1] - center
        d_2 = ordered[i + 2] - center
        d_3 = ordered[i + 3] - center
        total_0 += d_0
        total_1 += d_1
        total_2 += d_2
        total_3 += d_3
        squares_0 += d_0 * d_0
        squares_1 += d_1 * d_1
        squares_2 += d_2 * d_2
        squares_3 += d_3 * d_3
        i += 4
    while i < last:
        d_0 = ordered[i] - center
        total_0 += d_0
        squares_0 += d_0 * d_0
        i += 1
    return total_0 + total_1 + total_2 + total_3, squares_0 + squares_1 + squares_2 + squares_3


@kernel
def _sorted_bounds(ordered: Any, n: int, maxiters: int, sigma: float) -> tuple[float, float, bool]:
    """Bounds about the median of `n` sorted values, and whether no sample is within rounding.

    The mean is at most one standard deviation from the median, so that little is lost by taking
    the variance from sums of deviations from the median.
    """
    first = 0
    last = n
    lower = 0.0
    upper = 0.0
    largest = max(abs(ordered[0]), abs(ordered[n - 1]))
    for _ in range(maxiters):
        size = last - first
        middle = first + size // 2
        median = ordered[middle]
        if size % 2 == 0:
            median = 0.5 * (median + ordered[middle - 1])
        total, squares = _deviations(ordered, first, last, median)
        spread = sqrt(max(squares / size - (total / size) * (total / size), 0.0))
        lower = median - sigma * spread
        upper = median + sigma * spread
        margin = ROUNDING * n * (largest + sigma * spread)
        below = 0  # samples below the lower bound, in all; the next ones are the closest to it
        while below < n and ordered[below] < lower:
            below += 1
        above = n
        while above > 0 and ordered[above - 1] > upper:
            above -= 1
        if (
            (below > 0 and lower - ordered[below - 1] <= margin)
            or (below < n and ordered[below] - lower <= margin)
            or (above > 0 and upper - ordered[above - 1] <= margin)
            or (above < n and ordered[above] - upper <= margin)
        ):
            return lower, upper, False
        new_first = min(max(first, below), last)
        new_last = max(min(last, above), new_first)
        if new_last - new_first in (size, 0):
            break
        first = new_first
        last = new_last
    return lower, upper, True


@kernel
def _load_tile(
    values: Any,
    files: Any,
    limits: Any,
    good: Any,
    group: int,
    group_index: int,
    start: int,
    width: int,
    tile: Any,
) -> None:
    """Fill `tile` (file, pixel) with the samples of one group, bad ones marked."""
    for f in range(files.size):
        file = files[f]
        for p in range(width):
            sample = values[file, group, start + p]
            usable = (abs(sample) <= LARGEST) & (limits[file, start + p] > group_index)
            tile[f, p] = sample if usable else BAD
        if good.size:
            for p in range(width):
                if not good[file, group, start + p]:
                    tile[f, p] = BAD


@kernel
def _moments(tile: Any, width: int, count: Any, mean: Any, std: Any) -> None:
    """Count, mean and standard deviation of the good samples of each pixel, in file order."""
    n_files = tile.shape[0]
    for p in range(width):
        count[p] = 0.0
        mean[p] = 0.0
        std[p] = 0.0
    for f in range(n_files):
        for p in range(width):
            usable = tile[f, p] != BAD
            count[p] += 1.0 if usable else 0.0
            mean[p] += np.float64(tile[f, p]) if usable else 0.0
    for p in range(width):
        mean[p] /= max(count[p], 1.0)
    for f in range(n_files):
        for p in range(width):
            deviation = np.float64(tile[f, p]) - mean[p] if tile[f, p] != BAD else 0.0
            std[p] += deviation * deviation
    for p in range(width):
        std[p] = sqrt(std[p] / max(count[p], 1.0))


@kernel
def _sort_tile(tile: Any, ordered: Any, network: Any, width: int) -> None:
    """Sort each pixel of `tile` along the files into `ordered`."""
    for f in range(tile.shape[0]):
        for p in range(width):
            ordered[f, p] = tile[f, p]
    for c in range(network.shape[0]):
        low = network[c, 0]
        high = network[c, 1]
        for p in range(width):
            a = ordered[low, p]
            b = ordered[high, p]
            swap = b < a
            ordered[low, p] = b if swap else a
            ordered[high, p] = a if swap else b


@kernel
def _keep_within(tile: Any, chosen: Any, n_chosen: int, lower: Any, upper: Any, kept: Any) -> None:
    """Copy the samples within bounds of `chosen` pixels side by side into `kept`."""
    for f in range(tile.shape[0]):
        for c in range(n_chosen):
            sample = tile[f, chosen[c]]
            kept[f, c] = sample if lower[c] <= sample <= upper[c] else BAD


@kernel
def _put(
    out_mean: Any,
    out_std: Any,
    out_count: Any,
    group: int,
    pixel: int,
    count: int,
    mean: float,
    std: float,
) -> None:
    """Write the result of one pixel."""
    out_count[group, pixel] = count
    out_mean[group, pixel] = mean if count else np.nan
    out_std[group, pixel] = std if count else np.nan


@kernel
def clip_tiles(
    values: NDArray[np.float32],
    files: NDArray[np.intp],
    limits: NDArray[np.uint16],
    good: NDArray[np.bool_],
    first_group: int,
    network: NDArray[np.uint16],
    use_median: bool,
    use_mad: bool,
    maxiters: int,
    sigma: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint16]]:
    """Clip every pixel of every group over files.

    Parameters
    ----------
    values : ndarray of float32, shape (file, group, pixel)
    files : ndarray of int, shape (chosen,)
        Which of the files take part, in order.
    limits : ndarray of uint16, shape (file, pixel)
        A sample is good while the index of its group is below.
    good : ndarray of bool, shape of `values`, or empty
        Further says which samples are good.
    first_group : int
        Index of the first group.
    network : ndarray of uint16, shape (comparator, 2)
        Sorts as many values as `files` are.
    use_median, use_mad : bool
        Center and spread.
    maxiters : int
    sigma : float

    Returns
    -------
    mean, std : ndarray of float32, shape (group, pixel)
    count : ndarray of uint16, shape (group, pixel)
    """
    _, n_groups, n_pixels = values.shape
    n_files = files.size
    out_mean = np.empty((n_groups, n_pixels), np.float32)
    out_std = np.empty((n_groups, n_pixels), np.float32)
    out_count = np.empty((n_groups, n_pixels), np.uint16)
    tile = np.empty((n_files, TILE), np.float32)
    ordered = np.empty((n_files, TILE), np.float32)
    column = np.empty(n_files, np.float64)
    deviations = np.empty(n_files, np.float64)
    count = np.empty(TILE, np.float64)
    mean = np.empty(TILE, np.float64)
    std = np.empty(TILE, np.float64)
    chosen = np.empty(TILE, np.intp)
    lower = np.empty(TILE, np.float64)
    upper = np.empty(TILE, np.float64)
    in_tiles = use_median and not use_mad
    for g in range(n_groups):
        for start in range(0, n_pixels, TILE):
            width = min(TILE, n_pixels - start)
            _load_tile(values, files, limits, good, g, first_group + g, start, width, tile)
            _moments(tile, width, count, mean, std)
            if in_tiles:
                _sort_tile(tile, ordered, network, width)
            n_chosen = 0
            for p in range(width):
                n = int(count[p])
                _put(out_mean, out_std, out_count, g, start + p, n, mean[p], std[p])
                if n == 0:
                    continue
                decided = False
                if in_tiles:
                    smallest = np.float64(ordered[0, p])
                    largest = np.float64(ordered[n - 1, p])
                    if smallest == largest:  # sums of equal float32 are exact: nothing is rejected
                        continue
                    median = np.float64(ordered[n // 2, p])
                    if n % 2 == 0:
                        median = 0.5 * (median + np.float64(ordered[n // 2 - 1, p]))
                    reach = sigma * std[p]
                    margin = ROUNDING * n * (max(abs(smallest), abs(largest)) + reach)
                    if median - smallest < reach - margin and largest - median < reach - margin:
                        continue
                    for f in range(n):
                        column[f] = ordered[f, p]
                    low, high, decided = _sorted_bounds(column, n, maxiters, sigma)
                if not decided:
                    n = 0
                    for f in range(n_files):
                        if tile[f, p] != BAD:
                            column[n] = tile[f, p]
                            n += 1
                    low, high = _astropy_bounds(
                        column, n, deviations, use_median, use_mad, maxiters, sigma
                    )
                chosen[n_chosen] = p
                lower[n_chosen] = low
                upper[n_chosen] = high
                n_chosen += 1
            _keep_within(tile, chosen, n_chosen, lower, upper, ordered)
            _moments(ordered, n_chosen, count, mean, std)
            for c in range(n_chosen):
                pixel = start + chosen[c]
                _put(out_mean, out_std, out_count, g, pixel, int(count[c]), mean[c], std[c])
    return out_mean, out_std, out_count
