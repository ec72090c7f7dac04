"""Medians of many short columns at once, on the processor's vector units.

All columns go through one network of compare-exchanges (Batcher's merge exchange: Knuth, The Art of
Computer Programming 3, 5.2.2 M), of which only those are kept that the middle depends on: the same
steps for each column, without a branch.

Where the median is known about, one look does: if as many values lie below a guess as above it, the
median is next to it. If not, it is a few values further, or the column is sorted.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel

_BLOCK = 64
"""Columns that are sorted at once: 87 rows of them stay in the L1 cache."""
_AT_ONCE = 4
"""Rows that are held against a guess together, so that what is known of it is loaded less often."""
_STEPS = 3
"""Most steps from a guess to the median, one value each; further away, sorting is faster."""


@lru_cache(maxsize=8)
def median_network(n: int) -> NDArray[np.int64]:
    """Pairs of rows to put in order, one after the other, for the middle of `n` rows.

    Parameters
    ----------
    n : int
        At least 1.

    Returns
    -------
    ndarray of int, shape (pair, 2)
        Afterwards, rows n // 2 - 1 and n // 2 hold what they would if all were sorted.
    """
    needed = {max(n // 2 - 1, 0), n // 2}
    kept = []
    for low, high in reversed(_merge_exchange(n)):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    network = np.array(kept[::-1], np.int64).reshape(-1, 2)
    network.flags.writeable = False
    return network


def _merge_exchange(n: int) -> list[tuple[int, int]]:
    """Pairs that sort `n` rows; names as in Knuth's algorithm M."""
    pairs = []
    top = 1 << max((n - 1).bit_length() - 1, 0)
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return pairs


@kernel
def column_medians(
    values: NDArray[Any], size: int, network: NDArray[Any], medians: NDArray[Any]
) -> None:
    """Medians of the columns of a tile, NaN left out; NaN where nothing is left.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n, tile)
    size : int
        Columns in use.
    network : ndarray of int
        `median_network` of n.
    medians : ndarray of float64, shape (tile,)
        Filled with the medians, means of the two middle values where their number is even.
    """
    n = values.shape[0]
    block = np.zeros(n * _BLOCK, values.dtype)
    unusable = np.empty(_BLOCK, np.int32)
    for start in range(0, size, _BLOCK):
        width = min(_BLOCK, size - start)
        unusable[:] = 0
        for k in range(n):
            row = block[k * _BLOCK : (k + 1) * _BLOCK]
            _copy_without_nan(values[k][start : start + width], row, unusable)
        _sort(block, network)
        lower, upper = block[max(n // 2 - 1, 0) * _BLOCK :], block[n // 2 * _BLOCK :]
        for p in range(width):
            usable = n - unusable[p]
            if usable == 0:
                medians[start + p] = np.nan
            elif usable % 2 == 0:
                medians[start + p] = (np.float64(lower[p]) + np.float64(upper[p])) / 2.0
            else:
                medians[start + p] = upper[p] if n % 2 else lower[p]


@kernel
def guided_medians(
    values: NDArray[Any],
    size: int,
    guesses: NDArray[Any],
    network: NDArray[Any],
    medians: NDArray[Any],
) -> None:
    """Medians as `column_medians` gives them, sooner where guesses are good.

    Parameters
    ----------
    values : ndarray of float64, shape (n, tile)
    size : int
        Columns in use.
    guesses : ndarray of float64, shape (tile,)
        Of no influence on the result; NaN where there is none.
    network : ndarray of int
        `median_network` of n.
    medians : ndarray of float64, shape (tile,)
        Filled.
    """
    below, above = np.empty(size), np.empty(size)
    balance = np.empty(size, np.int64)
    missed = np.empty(size, np.int64)
    n_missed = 0
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        block = below[start:end], above[start:end], balance[start:end]
        _hold_against(values, start, guesses[start:end], *block)
    for p in range(size):
        if _is_middle(guesses[p], balance[p]):
            medians[p] = _median(below[p], above[p], balance[p])
        else:
            missed[n_missed] = p
            n_missed += 1
    bounds = below, above, balance
    for start in range(0, n_missed, _BLOCK):
        columns = missed[start : min(start + _BLOCK, n_missed)]
        _search(values, columns, guesses, bounds, network, medians)


@kernel
def _hold_against(
    values: NDArray[Any],
    start: int,
    guess: NDArray[Any],
    below: NDArray[Any],
    above: NDArray[Any],
    balance: NDArray[Any],
) -> None:
    """Find the largest value that does not exceed a guess, and the smallest that does.

    The guesses are of the columns from `start` on.
    `balance` is how many more do not than do. NaN counts for neither.
    """
    below[:] = -np.inf
    above[:] = np.inf
    balance[:] = 0
    end = start + guess.size
    whole = values.shape[0] // _AT_ONCE * _AT_ONCE
    for k in range(0, whole, _AT_ONCE):
        # Rows of the whole first, then the columns: so numba knows that they are contiguous.
        rows = (
            values[k][start:end],
            values[k + 1][start:end],
            values[k + 2][start:end],
            values[k + 3][start:end],
        )
        _hold_rows_against(rows, guess, below, above, balance)
    for k in range(whole, values.shape[0]):
        _hold_rows_against((values[k][start:end],), guess, below, above, balance)


@kernel
def _hold_rows_against(
    rows: tuple[NDArray[Any], ...],
    guess: NDArray[Any],
    below: NDArray[Any],
    above: NDArray[Any],
    balance: NDArray[Any],
) -> None:
    for p in range(guess.size):
        limit, low, high, more = guess[p], below[p], above[p], balance[p]
        for row in rows:
            value = row[p]
            is_low, is_high = value <= limit, value > limit
            more += np.int64(is_low) - np.int64(is_high)
            lower = value if is_low else -np.inf
            higher = value if is_high else np.inf
            low = lower if lower > low else low
            high = higher if higher < high else high
        below[p], above[p], balance[p] = low, high, more


@kernel
def _is_middle(guess: float, balance: int) -> bool:
    """Whether the median is next to a guess."""
    return guess == guess and -1 <= balance <= 1


@kernel
def _median(below: float, above: float, balance: int) -> float:
    if balance == 0:
        return (below + above) / 2.0
    return below if balance > 0 else above


@kernel
def _search(
    values: NDArray[Any],
    columns: NDArray[Any],
    guess: NDArray[Any],
    bounds: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    network: NDArray[Any],
    medians: NDArray[Any],
) -> None:
    """Step from guesses to the medians of some columns; sort these if one is too far.

    `guess`, and `bounds` as `_hold_against` filled them, belong to all columns of the tile.
    """
    n, size = values.shape[0], columns.size
    some = np.empty((n, size))
    for k in range(n):
        for p in range(size):
            some[k, p] = values[k, columns[p]]
    guess = guess[columns]
    below, above, balance = bounds[0][columns], bounds[1][columns], bounds[2][columns]
    n_missed, n_far = size, 0
    for p in range(size):
        n_far += np.isnan(guess[p]) or np.abs(balance[p]) > 1 + 2 * _STEPS
    for _ in range(0 if n_far else _STEPS):
        for p in range(size):
            if not _is_middle(guess[p], balance[p]):
                guess[p] = np.nextafter(below[p], -np.inf) if balance[p] > 0 else above[p]
        _hold_against(some, 0, guess, below, above, balance)
        n_missed = 0
        for p in range(size):
            n_missed += not _is_middle(guess[p], balance[p])
        if n_missed == 0:
            break
    found = np.empty(size)
    if n_missed > 0:
        column_medians(some, size, network, found)
    for p in range(size):
        median = found[p] if n_missed > 0 else _median(below[p], above[p], balance[p])
        medians[columns[p]] = median


@kernel
def _copy_without_nan(values: NDArray[Any], row: NDArray[Any], unusable: NDArray[Any]) -> None:
    """Replace NaN by infinities of either sign in turn: the middle stays where it is."""
    for p in range(values.size):
        value = values[p]
        is_nan = value != value
        infinity = np.float32(-np.inf) if unusable[p] & 1 else np.float32(np.inf)
        row[p] = infinity if is_nan else value
        unusable[p] += is_nan


@kernel
def _sort(block: NDArray[Any], network: NDArray[Any]) -> None:
    """Put pairs of rows in order; indices without sign let the compiler use vectors."""
    for pair in range(network.shape[0]):
        low, high = np.uint64(network[pair, 0] * _BLOCK), np.uint64(network[pair, 1] * _BLOCK)
        for p in range(np.uint64(_BLOCK)):
            a, b = block[low + p], block[high + p]
            block[low + p] = a if a < b else b
            block[high + p] = b if a < b else a
