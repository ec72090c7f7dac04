"""Medians of many short columns at once, on the processor's vector units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel

_MAX_STEPS = 24
"""Trials before the columns that are left (infinities, many equal values) are sorted."""
_NEWTON = 2.5
"""Inverse of the normal density at its centre, in sigma."""


@kernel
def column_medians(
    values: NDArray[Any],
    size: int,
    scale: NDArray[Any],
    medians: NDArray[Any],
) -> None:
    """Medians of the columns of a tile, NaN left out; NaN where nothing is left.

    All columns at once: each step counts the values up to one trial value per column, so that the
    processor's vector units do the work; a column ends when its trial value parts the lower from
    the upper half.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n, tile)
    size : int
        Columns in use.
    scale : ndarray, shape (tile,)
        A guess at the scatter of each column: speed depends on it, the result does not.
    medians : ndarray of float64, shape (tile,)
        Filled with the medians, means of the two middle values where their number is even.
    """
    n_values = values.shape[0]
    floats = np.empty((6, size), values.dtype)
    low, high, trial = floats[0], floats[1], floats[2]
    top, bottom, above = floats[3], floats[4], floats[5]
    counts = np.empty((5, size), np.int32)
    usable, wanted, below = counts[0], counts[1], counts[2]
    below_low, below_high = counts[3], counts[4]
    for p in range(size):
        low[p] = np.inf
        high[p] = -np.inf
        usable[p] = 0
    for k in range(n_values):
        row = values[k]
        for p in range(size):
            value = row[p]
            usable[p] += value == value
            low[p] = value if value < low[p] else low[p]
            high[p] = value if value > high[p] else high[p]
    for p in range(size):
        wanted[p] = (usable[p] + 1) // 2
        below_low[p] = 0
        below_high[p] = usable[p]
        guess = _ninther(values, p)
        trial[p] = guess if guess == guess else low[p]
    for step in range(_MAX_STEPS):
        for p in range(size):
            below[p] = 0
        for k in range(n_values):
            row = values[k]
            for p in range(size):
                below[p] += row[p] <= trial[p]
        unfinished = 0
        for p in range(size):
            if below_high[p] == wanted[p]:
                trial[p] = high[p]
                continue
            if below[p] >= wanted[p]:
                high[p] = trial[p]
                below_high[p] = below[p]
            else:
                low[p] = trial[p]
                below_low[p] = below[p]
            if below_high[p] == wanted[p]:
                continue
            unfinished += 1
            trial[p] = _next_trial(
                step, low[p], high[p], below_low[p], below_high[p], wanted[p], usable[p], scale[p]
            )
        if unfinished == 0:
            break
    for p in range(size):
        top[p] = -np.inf
        bottom[p] = np.inf
        above[p] = np.inf
    for k in range(n_values):
        row = values[k]
        for p in range(size):
            value = row[p]
            top[p] = value if value <= high[p] and value > top[p] else top[p]
            above[p] = value if value > high[p] and value < above[p] else above[p]
            bottom[p] = value if value > low[p] and value < bottom[p] else bottom[p]
    for p in range(size):
        if usable[p] == 0:
            medians[p] = np.nan
        elif below_high[p] == wanted[p]:
            if usable[p] & 1:
                medians[p] = top[p]
            else:
                medians[p] = (np.float64(top[p]) + np.float64(above[p])) / 2.0
        elif top[p] == bottom[p]:  # equal values across the middle
            medians[p] = top[p]
        else:
            medians[p] = np.nanmedian(values[:, p].astype(np.float64))


@kernel
def _next_trial(
    step: int,
    low: float,
    high: float,
    below_low: int,
    below_high: int,
    wanted: int,
    usable: int,
    scale: float,
) -> float | np.float32:
    """Where to look next for the middle, between `low` (too low) and `high` (too high)."""
    if step == 0:
        # Newton's step with the density of normal noise at its centre.
        if below_low > 0:
            guess = low + scale * np.float32(_NEWTON * (wanted + 0.5 - below_low) / usable)
        else:
            guess = high + scale * np.float32(_NEWTON * (wanted - 0.5 - below_high) / usable)
        if guess > low and guess < high:
            return guess
    if step % 3 != 2 and below_low > 0:
        share = np.float32(wanted + 0.5 - below_low) / np.float32(below_high + 1 - below_low)
        guess = low + (high - low) * share
    else:
        guess = low + (high - low) * np.float32(0.5)
    return guess if guess > low and guess < high else low


@kernel
def _ninther(values: NDArray[Any], p: int) -> float:
    """Median of three medians of three values of column `p`."""
    step = max(values.shape[0] // 9, 1)
    last = values.shape[0] - 1
    a = _middle(values[0, p], values[min(step, last), p], values[min(2 * step, last), p])
    b = _middle(
        values[min(3 * step, last), p],
        values[min(4 * step, last), p],
        values[min(5 * step, last), p],
    )
    c = _middle(
        values[min(6 * step, last), p],
        values[min(7 * step, last), p],
        values[min(8 * step, last), p],
    )
    return _middle(a, b, c)


@kernel
def _middle(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))
