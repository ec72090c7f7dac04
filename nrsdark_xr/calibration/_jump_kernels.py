"""Compiled two-point difference test, a tile of pixels at a time.

Types follow stcal 1.20 to the bit: ramp, gain and read noise are multiplied in float32, differences
are taken in float32 and used in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._medians import column_medians
from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_JUMP = np.uint8(DQ.JUMP_DET)
_BAD = np.uint8(DQ.DO_NOT_USE | DQ.SATURATED)
_TILE = 512
"""Pixels of a row that are worked on together: long reads, and the differences stay in cache."""
_BLOCK = 64
"""Pixels that are tested for any jump at once."""
_NAN = np.float32(np.nan)
_ROUNDING = 1.0 - 1e-12
"""A product of two float64 is off by less than this from the quotient that decides."""


@kernel
def clear_redundant_jumps(groupdq: NDArray[Any]) -> NDArray[Any]:
    """Copy `groupdq` without JUMP_DET where DO_NOT_USE or SATURATED is set."""
    cleared = np.empty_like(groupdq)
    source = groupdq.reshape(-1)
    target = cleared.reshape(-1)
    for i in range(source.size):
        flags = source[i]
        target[i] = flags & ~_JUMP if flags & _BAD else flags
    return cleared


@kernel
def find_jumps(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    has_jumps: bool,
    gain: NDArray[Any],
    readnoise: NDArray[Any],
    n_frames: int,
    thresholds: tuple[float, float, float],
    neighbours: tuple[float, float],
    single_pass: bool,
    network: NDArray[Any],
    cleared: NDArray[Any],
    negative_jumps: NDArray[Any],
    median_differences: NDArray[Any],
) -> None:
    """Set JUMP_DET in `cleared`, count in `negative_jumps`, and fill `median_differences`.

    Parameters
    ----------
    ramp, groupdq : ndarray, shape (integration, group, y, x)
    has_jumps : bool
        Whether `groupdq` may have JUMP_DET. If not, it may be `cleared` itself.
    gain, readnoise : ndarray of float32, shape (y, x)
    n_frames : int
    thresholds : (float, float, float)
        Sigma for more than three, three, and two usable differences.
    neighbours : (float, float)
        Smallest and largest jump, in sigma, that flags its neighbours; (inf, -inf) for none.
    single_pass : bool
        All jumps at once, else one after the other.
    network : ndarray of int
        `nrsdark_xr.calibration._medians.median_network` for all differences of a pixel.
    cleared : ndarray of uint8, shape (integration, group, y, x)
        `groupdq` after `clear_redundant_jumps`.
    negative_jumps : ndarray of uint16, shape (integration, y, x)
    median_differences : ndarray of float32, shape (y, x)
        Of all usable differences of a pixel [e-].
    """
    n_integrations, n_groups, n_rows, n_columns = ramp.shape
    n_differences = n_groups - 1
    total = n_integrations * n_differences
    differences = np.empty((total, _TILE), np.float32)
    found = np.zeros((total, _TILE), np.bool_)
    current = np.empty(_TILE, np.float32)
    previous = np.empty(_TILE, np.float32)
    tile_gain = np.empty(_TILE, np.float32)
    noise = np.empty(_TILE, np.float64)
    medians = np.empty(_TILE, np.float64)
    sigmas = np.empty(_TILE, np.float64)
    scratch = np.empty((3, total), np.float64)
    least = min(thresholds[0], neighbours[0])
    for y in range(n_rows):
        for start in range(0, n_columns, _TILE):
            size = min(_TILE, n_columns - start)
            for p in range(size):
                tile_gain[p] = gain[y, start + p]
                electrons = readnoise[y, start + p] * tile_gain[p]
                squared = electrons * electrons
                noise[p] = np.float64(squared) / n_frames
            for i in range(n_integrations):
                for g in range(n_groups):
                    _load(
                        ramp[i, g, y][start : start + size],
                        groupdq[i, g, y][start : start + size],
                        tile_gain,
                        current,
                    )
                    if g > 0:
                        _subtract(current, previous, size, differences[i * n_differences + g - 1])
                    current, previous = previous, current
            column_medians(differences, size, network, medians)
            for p in range(size):
                sigma = np.sqrt(np.abs(medians[p]) + noise[p])
                sigmas[p] = sigma if sigma != 0.0 else np.nan
                median_differences[y, start + p] = medians[p]
            if not single_pass:
                found[:] = False
                for p in range(size):
                    _one_by_one(differences[:, p], noise[p], thresholds, found[:, p], scratch)
            for i in range(n_integrations):
                for g in range(1, n_groups):
                    k = i * n_differences + g - 1
                    for first in range(0, size, _BLOCK):
                        last = min(first + _BLOCK, size)
                        if single_pass and not _any_above(
                            differences[k][first:last],
                            medians[first:last],
                            sigmas[first:last],
                            least,
                        ):
                            continue
                        _flag(
                            differences[k],
                            found[k],
                            single_pass,
                            first,
                            last,
                            medians,
                            sigmas,
                            thresholds[0],
                            neighbours,
                            groupdq[i, g],
                            has_jumps,
                            cleared[i, g],
                            negative_jumps[i],
                            y,
                            start,
                        )


@kernel
def _load(
    ramp: NDArray[Any],
    flags: NDArray[Any],
    gain: NDArray[Any],
    electrons: NDArray[Any],
) -> None:
    """Electrons of one group of a tile, NaN where it cannot be used."""
    for p in range(ramp.size):
        value = ramp[p] * gain[p]
        electrons[p] = _NAN if flags[p] & _BAD else value


@kernel
def _subtract(
    current: NDArray[Any], previous: NDArray[Any], size: int, difference: NDArray[Any]
) -> None:
    for p in range(size):
        difference[p] = current[p] - previous[p]


@kernel
def _any_above(
    difference: NDArray[Any],
    medians: NDArray[Any],
    sigmas: NDArray[Any],
    least: float,
) -> bool:
    """Whether a pixel of the block may differ from its median by more than `least` sigma."""
    limit = least * _ROUNDING
    n = 0
    for p in range(difference.size):
        n += np.abs(np.float64(difference[p]) - medians[p]) > limit * sigmas[p]
    return n > 0


@kernel
def _flag(
    difference: NDArray[Any],
    found: NDArray[Any],
    single_pass: bool,
    first: int,
    last: int,
    medians: NDArray[Any],
    sigmas: NDArray[Any],
    threshold: float,
    neighbours: tuple[float, float],
    groupdq: NDArray[Any],
    has_jumps: bool,
    cleared: NDArray[Any],
    negative_jumps: NDArray[Any],
    y: int,
    start: int,
) -> None:
    """Flag the jumps of one group of a block, and their neighbours."""
    n_rows, n_columns = cleared.shape
    lowest, highest = neighbours
    for p in range(first, last):
        x = start + p
        departure = np.float64(difference[p]) - medians[p]
        ratio = np.abs(departure) / sigmas[p]
        jump = ratio > threshold and np.isfinite(difference[p]) if single_pass else found[p]
        if jump:
            cleared[y, x] |= _JUMP
            if departure < 0.0:
                negative_jumps[y, x] += 1
        elif not (has_jumps and groupdq[y, x] & _JUMP):
            continue
        if ratio > lowest and ratio < highest:
            if y > 0:
                _flag_good(cleared, y - 1, x)
            if y < n_rows - 1:
                _flag_good(cleared, y + 1, x)
            if x > 0:
                _flag_good(cleared, y, x - 1)
            if x < n_columns - 1:
                _flag_good(cleared, y, x + 1)


@kernel
def _flag_good(groupdq: NDArray[Any], y: int, x: int) -> None:
    if not groupdq[y, x] & _BAD:
        groupdq[y, x] |= _JUMP


@kernel
def _one_by_one(
    differences: NDArray[Any],
    noise: float,
    thresholds: tuple[float, float, float],
    found: NDArray[Any],
    scratch: NDArray[Any],
) -> None:
    """Flag the largest jump of a pixel, leave it out, and look again until none is left.

    stcal tests absolute differences here; it keeps the departure from the median in float32, and
    from the second look on the median as well.
    """
    n = differences.size
    sizes, sorted_sizes, ratios = scratch[0], scratch[1], scratch[2]
    for k in range(n):
        sizes[k] = np.abs(np.float64(differences[k]))
    for look in range(n):
        usable = 0
        for k in range(n):
            usable += not np.isnan(sizes[k])
        if usable < 2:
            return
        median = _clipped_median(sizes, usable, sorted_sizes)
        if look > 0:
            median = np.float64(np.float32(median))
        sigma = np.sqrt(np.abs(median) + noise)
        if np.isnan(sigma) or sigma == 0.0:
            return
        largest = -1.0
        for k in range(n):
            ratios[k] = np.float64(np.abs(np.float32(sizes[k] - median))) / sigma
            if ratios[k] > largest:
                largest = ratios[k]
        threshold = thresholds[0] if usable >= 4 else thresholds[4 - usable]
        if not largest > threshold:
            return
        for k in range(n):
            if ratios[k] == largest:
                found[k] = True
                sizes[k] = np.nan


@kernel
def _clipped_median(sizes: NDArray[Any], usable: int, ordered: NDArray[Any]) -> float:
    """Median without the largest of four or more, median of three, smaller of two."""
    n = 0
    for k in range(sizes.size):
        value = sizes[k]
        if np.isnan(value):
            continue
        place = n
        while place > 0 and ordered[place - 1] > value:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = value
        n += 1
    if usable == 2:
        return ordered[0]
    if usable >= 4:
        largest = ordered[n - 1]
        while n > 0 and ordered[n - 1] == largest:
            n -= 1
        if n == 0:
            return np.nan
    middle = n // 2
    return ordered[middle] if n & 1 else (ordered[middle - 1] + ordered[middle]) / 2.0


@kernel
def good_groups(groupdq: NDArray[Any], count: NDArray[Any]) -> None:
    """Fill `count` with the number of groups before the first flagged one."""
    n_groups, n_rows, n_columns = groupdq.shape
    open_pixel = np.empty(n_columns, np.uint16)
    for y in range(n_rows):
        open_pixel[:] = 1
        total = count[y]
        total[:] = 0
        for g in range(n_groups):
            row = groupdq[g, y]
            for x in range(n_columns):
                open_pixel[x] &= np.uint16((row[x] & (_BAD | _JUMP)) == 0)
                total[x] += open_pixel[x]
