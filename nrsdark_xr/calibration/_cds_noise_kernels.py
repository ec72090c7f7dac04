"""Scatter of the differences of consecutive groups, on the processor's vector units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_BAD = np.uint8(DQ.DO_NOT_USE | DQ.SATURATED)
_BAD_OR_JUMP = np.uint8(DQ.DO_NOT_USE | DQ.SATURATED | DQ.JUMP_DET)
_TILE = 256
"""Columns worked on at once: the differences of a tile of 200 groups fit into the second cache."""
_NAN = np.float32(np.nan)
_ZERO = np.float32(0.0)


@kernel
def difference_variance(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    first_row: int,
    threshold: float,
    maxiters: int,
    min_differences: int,
    means: NDArray[Any],
    variances: NDArray[Any],
) -> None:
    """Mean and variance of the good differences of each pixel; see `cds_noise`.

    Parameters
    ----------
    ramp : ndarray of float32, shape (group, y, x)
    groupdq : ndarray of uint8, shape of `ramp`
    first_row : int
        Row of `ramp` at which the maps begin.
    threshold : float
    maxiters, min_differences : int
    means, variances : ndarray of float32, shape (rows, x)
        Filled; NaN where there are too few differences.
    """
    n_groups, _, n_columns = ramp.shape
    differences = np.empty((max(n_groups - 1, 0), _TILE), np.float32)
    floats = np.empty((4, _TILE), np.float32)
    counts = np.empty((3, _TILE), np.int32)
    for y in range(means.shape[0]):
        for start in range(0, n_columns, _TILE):
            size = min(_TILE, n_columns - start)
            _subtract(ramp, groupdq, first_row + y, start, size, differences)
            _tile_variance(
                differences,
                size,
                threshold * threshold,
                maxiters,
                min_differences,
                floats,
                counts,
                means[y, start : start + size],
                variances[y, start : start + size],
            )


@kernel
def _subtract(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    y: int,
    start: int,
    size: int,
    differences: NDArray[Any],
) -> None:
    """Differences of a tile, NaN where one of the groups is bad or there is a jump between them."""
    end = start + size
    for g in range(1, ramp.shape[0]):
        _difference(
            ramp[g - 1, y, start:end],
            ramp[g, y, start:end],
            groupdq[g - 1, y, start:end],
            groupdq[g, y, start:end],
            differences[g - 1, :size],
        )


@kernel
def _difference(
    earlier: NDArray[Any],
    later: NDArray[Any],
    earlier_flags: NDArray[Any],
    later_flags: NDArray[Any],
    difference: NDArray[Any],
) -> None:
    for p in range(difference.size):
        bad = (earlier_flags[p] & _BAD) | (later_flags[p] & _BAD_OR_JUMP)
        value = later[p] - earlier[p]
        difference[p] = _NAN if bad else value


@kernel
def _tile_variance(
    differences: NDArray[Any],
    size: int,
    threshold: float,
    maxiters: int,
    min_differences: int,
    floats: NDArray[Any],
    counts: NDArray[Any],
    means: NDArray[Any],
    variances: NDArray[Any],
) -> None:
    """Clip and measure; `threshold` is the square of that in standard deviations."""
    total, squares, center, limit = floats[0], floats[1], floats[2], floats[3]
    number, runs, before = counts[0], counts[1], counts[2]
    _means(differences, size, total, number, center)
    for p in range(size):
        limit[p] = np.float32(np.inf)
    for _ in range(maxiters + 1):
        _moments(differences, size, center, limit, total, squares, number, runs, before)
        changed = 0
        for p in range(size):
            n = np.float32(number[p])
            means[p] = center[p] + total[p] / n
            freedom = n - np.float32(runs[p]) / n
            variance = (squares[p] - total[p] * total[p] / n) / freedom
            variances[p] = variance if number[p] >= min_differences else _NAN
            next_limit = np.float32(threshold) * variances[p]
            # All pixels of a tile end together: not before it makes no difference to any of them.
            moved = (means[p] != center[p]) | (next_limit != limit[p])
            changed += moved & (number[p] > 0)
            center[p] = means[p]
            limit[p] = next_limit
        if changed == 0:
            break


@kernel
def _means(
    differences: NDArray[Any],
    size: int,
    total: NDArray[Any],
    number: NDArray[Any],
    center: NDArray[Any],
) -> None:
    total[:size] = _ZERO
    number[:size] = 0
    for g in range(differences.shape[0]):
        row = differences[g]
        for p in range(size):
            value = row[p]
            good = value == value
            number[p] += good
            total[p] += value if good else _ZERO
    for p in range(size):
        center[p] = total[p] / np.float32(number[p])


@kernel
def _moments(
    differences: NDArray[Any],
    size: int,
    center: NDArray[Any],
    limit: NDArray[Any],
    total: NDArray[Any],
    squares: NDArray[Any],
    number: NDArray[Any],
    runs: NDArray[Any],
    before: NDArray[Any],
) -> None:
    """Sum over the differences whose squared departure from `center` is within `limit`."""
    for p in range(size):
        total[p] = _ZERO
        squares[p] = _ZERO
        number[p] = 0
        runs[p] = 0
        before[p] = 0
    for g in range(differences.shape[0]):
        row = differences[g]
        for p in range(size):
            departure = row[p] - center[p]
            square = departure * departure
            good = np.int32(square <= limit[p])  # false for NaN
            number[p] += good
            runs[p] += good & (1 - before[p])
            before[p] = good
            total[p] += departure if good else _ZERO
            squares[p] += square if good else _ZERO
