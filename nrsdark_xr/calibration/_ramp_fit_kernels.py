"""Compiled least-squares fit of ramps, a port of ``ols_slope_fitter`` of stcal 1.20.

A tile of pixels is read group by group into sums; pixels without any flag and of low signal need
no more. The others are fitted one by one, segment by segment, as stcal does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._medians import guided_medians
from nrsdark_xr.calibration._ramp_segments import (
    BREAKS,
    INVALID,
    Constants,
    combine,
    fit_segments,
    inverse_variances,
    is_only_first,
    ramp_flags,
    unweighted_slope,
    weight_power,
)
from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_DO_NOT_USE = np.uint8(DQ.DO_NOT_USE)
_SATURATED = np.uint8(DQ.SATURATED)
_JUMP = np.uint8(DQ.JUMP_DET)
_BAD_GAIN = np.uint32(DQ.DO_NOT_USE | DQ.NO_GAIN_VALUE)
_TILE = 512
"""Pixels of a row that are worked on together: long reads, and the differences stay in cache."""


@kernel
def fit_ramps(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    pixeldq: NDArray[Any],
    gain: NDArray[Any],
    noise: NDArray[Any],
    guesses: NDArray[Any],
    first_row: int,
    network: NDArray[Any],
    constants: Constants,
    rate: NDArray[Any],
    rate_err: NDArray[Any],
    dq: NDArray[Any],
    var_poisson: NDArray[Any],
    var_rnoise: NDArray[Any],
) -> None:
    """Fit all ramps; the last five arrays, of shape (integration, y, x), are filled.

    Parameters
    ----------
    ramp, groupdq : ndarray, shape (integration, group, row, x)
    pixeldq, gain, noise : ndarray, shape (y, x)
        `noise` is that of one group [e-].
    guesses : ndarray of float64, shape (y, x)
        Of the median difference of a ramp [DN]; NaN where there is none.
    first_row : int
        Row of `ramp` and `groupdq` that belongs to y = 0.
    network : ndarray of int
        `nrsdark_xr.calibration._medians.median_network` for the differences of a ramp.
    constants : Constants
    rate, rate_err, dq, var_poisson, var_rnoise : ndarray, shape (integration, y, x)
    """
    n_integrations, n_groups, _, n_columns = ramp.shape
    n_rows = pixeldq.shape[0]
    sums = np.empty((n_integrations, 2, _TILE))
    ends = np.empty((n_integrations, 2, _TILE))
    seen = np.empty((n_integrations, _TILE), np.uint8)
    good = np.empty((n_integrations, _TILE), np.int32)
    differences = np.empty((max(n_groups - 1, 1), _TILE))
    medians = np.empty(_TILE)
    median_rates = np.empty(_TILE)
    simple = np.empty(_TILE, np.bool_)
    others = np.empty(_TILE, np.int64)
    data = np.empty((_TILE, n_groups))
    flags = np.empty((_TILE, n_groups), np.uint8)
    for y in range(n_rows):
        row = first_row + y
        for start in range(0, n_columns, _TILE):
            size = min(_TILE, n_columns - start)
            end = start + size
            median_rates[:] = 0.0
            for i in range(n_integrations):
                _read_tile(
                    ramp[i],
                    groupdq[i],
                    (row, start, size),
                    sums[i],
                    ends[i],
                    seen[i],
                    good[i],
                    differences,
                )
                if n_groups > 1:
                    guided_medians(differences, size, guesses[y][start:end], network, medians)
                for p in range(size):
                    if seen[i, p] == 0 and n_groups > 1 and medians[p] == medians[p]:
                        median_rates[p] += medians[p] / constants.group_time
                    else:
                        median_rates[p] += _median_rate(
                            ramp[i, :, row, start + p],
                            groupdq[i, :, row, start + p],
                            medians[p],
                            good[i, p],
                            constants,
                        )
            for p in range(size):
                median_rates[p] /= np.float32(n_integrations)
            for i in range(n_integrations):
                pixels = pixeldq[y][start:end], gain[y][start:end], noise[y][start:end]
                results = (
                    rate[i, y][start:end],
                    rate_err[i, y][start:end],
                    dq[i, y][start:end],
                    var_poisson[i, y][start:end],
                    var_rnoise[i, y][start:end],
                )
                _fit_unflagged(
                    sums[i], ends[i], seen[i], median_rates, pixels, n_groups, constants, simple,
                    results,
                )  # fmt: skip
                n_others = 0
                for p in range(size):
                    if not simple[p] or n_groups < 3:
                        others[n_others] = p
                        n_others += 1
                tile = row, start, size
                _gather(ramp[i], groupdq[i], tile, others[:n_others], data, flags)
                _fit_one_by_one(
                    others[:n_others], data, flags, seen[i], good[i], median_rates, pixels,
                    constants, results,
                )  # fmt: skip


@kernel
def _gather(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    tile: tuple[int, int, int],
    pixels: NDArray[Any],
    data: NDArray[Any],
    flags: NDArray[Any],
) -> None:
    """Put ramps of some pixels of a tile, NaN where they are saturated, and their flags in rows.

    Group by group: groups of one pixel lie so far apart, and so evenly, that they drive each other
    out of the cache.
    """
    y, start, size = tile
    for g in range(ramp.shape[0]):
        values, group_flags = ramp[g, y][start : start + size], groupdq[g, y][start : start + size]
        for k in range(pixels.size):
            p = pixels[k]
            flags[k, g] = group_flags[p]
            data[k, g] = np.nan if group_flags[p] & _SATURATED else values[p]


@kernel
def _pixel_flags(flags: np.uint32, gain: np.float32) -> np.uint32:
    return np.uint32(flags) if gain > 0.0 else np.uint32(flags | _BAD_GAIN)


@kernel
def _fit_unflagged(
    sums: NDArray[Any],
    ends: NDArray[Any],
    seen: NDArray[Any],
    median_rates: NDArray[Any],
    pixels: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    n_groups: int,
    constants: Constants,
    simple: NDArray[Any],
    results: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
) -> None:
    """Fit all ramps of a tile as if they were without flags and of low signal.

    Fills `simple` with whether they are; the results hold for these.
    """
    pixeldq, gain, noise = pixels
    rate, rate_err, dq, var_poisson, var_rnoise = results
    for p in range(rate.size):
        pixel = np.float64(gain[p]), np.float64(noise[p]), median_rates[p]
        signal = ends[1, p] - ends[0, p]
        unweighted = weight_power(signal, pixel[0], pixel[1]) == 0.0
        simple[p] = (seen[p] == 0) & np.isfinite(sums[0, p]) & (pixel[1] > 0.0) & unweighted
        slope = unweighted_slope(sums[0, p], sums[1, p], n_groups) / constants.group_time
        inverse = inverse_variances(n_groups, pixel, constants.group_time)
        flags = _pixel_flags(pixeldq[p], gain[p])
        fit = slope * inverse[1], inverse[0], inverse[1], inverse[2]
        result = combine(fit, flags & INVALID != 0, constants.over_exposure)
        rate[p], rate_err[p] = result[0], result[1]
        var_poisson[p], var_rnoise[p] = result[2], result[3]
        dq[p] = flags


@kernel
def _fit_one_by_one(
    others: NDArray[Any],
    data: NDArray[Any],
    flags: NDArray[Any],
    seen: NDArray[Any],
    good: NDArray[Any],
    median_rates: NDArray[Any],
    pixels: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    constants: Constants,
    results: tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]],
) -> None:
    """Fit some ramps of a tile, which `_gather` has put into `data` and `flags`, by segments."""
    pixeldq, gain, noise = pixels
    rate, rate_err, dq, var_poisson, var_rnoise = results
    for k in range(others.size):
        p = others[k]
        pixel_flags = _pixel_flags(pixeldq[p], gain[p])
        pixel = np.float64(gain[p]), np.float64(noise[p]), median_rates[p]
        if constants.suppress_one_group and good[p] == 1:
            flags[k] |= _DO_NOT_USE
        pixel_flags |= ramp_flags(flags[k])
        fit = fit_segments(data[k], flags[k], pixel, constants)
        result = combine(fit, pixel_flags & INVALID != 0, constants.over_exposure)
        if seen[p] & _SATURATED:
            pixel_flags |= _SATURATED
        rate[p], rate_err[p] = result[0], result[1]
        var_poisson[p], var_rnoise[p] = result[2], result[3]
        dq[p] = pixel_flags


@kernel
def _read_tile(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    tile: tuple[int, int, int],
    sums: NDArray[Any],
    ends: NDArray[Any],
    seen: NDArray[Any],
    good: NDArray[Any],
    differences: NDArray[Any],
) -> None:
    """Read one tile (row, first column, size) of one integration once.

    Fills the sums of the data and of data times group, the first and last data, the flags seen
    anywhere, the number of good groups, and the first differences, NaN where they are of no use.
    """
    y, start, size = tile
    n_groups = ramp.shape[0]
    total, total_by_group = sums[0], sums[1]
    for p in range(size):
        total[p] = 0.0
        total_by_group[p] = 0.0
        seen[p] = 0
        good[p] = 0
    stop = start + size
    ends[0, :size] = ramp[0, y][start:stop]
    ends[1, :size] = ramp[n_groups - 1, y][start:stop]
    for g in range(n_groups):
        # Slices of whole rows: within them, loops from 0 on run on the vector units.
        values, flags = ramp[g, y][start:stop], groupdq[g, y][start:stop]
        for p in range(size):
            value = np.float64(values[p])
            total[p] += value
            total_by_group[p] += value * g
        for p in range(size):
            seen[p] |= flags[p]
            good[p] += flags[p] & BREAKS == 0
        if g > 0:
            before, flags_before = ramp[g - 1, y][start:stop], groupdq[g - 1, y][start:stop]
            row = differences[g - 1]
            for p in range(size):
                difference = np.float64(values[p]) - np.float64(before[p])
                unusable = (flags_before[p] & INVALID) | (flags[p] & (INVALID | _JUMP))
                row[p] = np.nan if unusable else difference


@kernel
def _median_rate(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    median: float,
    n_good: int,
    constants: Constants,
) -> float:
    """Median rate of one integration [DN/s], from the median of its usable differences."""
    if ramp.size == 1:
        return np.nan if groupdq[0] & _SATURATED else ramp[0] / constants.one_group_time
    if constants.suppress_one_group:
        if n_good == 1:
            return 0.0
    elif is_only_first(groupdq):
        return _zero_if_nan(ramp[0] / constants.one_group_time)
    if np.isnan(median):  # no usable difference: stcal takes the first group
        usable = not groupdq[0] & INVALID
        return _zero_if_nan(ramp[0] / constants.group_time) if usable else 0.0
    return median / constants.group_time


@kernel
def _zero_if_nan(value: float) -> float:
    return 0.0 if np.isnan(value) else value
