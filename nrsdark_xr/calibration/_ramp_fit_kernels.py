"""Compiled least-squares fit of ramps, a port of ``ols_slope_fitter`` of stcal 1.20.

A tile of pixels is read group by group into sums; pixels without any flag and of low signal need
no more. The others are fitted one by one, segment by segment, as stcal does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._medians import column_medians
from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_DO_NOT_USE = np.uint8(DQ.DO_NOT_USE)
_SATURATED = np.uint8(DQ.SATURATED)
_JUMP = np.uint8(DQ.JUMP_DET)
_PERSISTENCE = np.uint8(DQ.PERSISTENCE)
_INVALID = np.uint8(DQ.DO_NOT_USE | DQ.SATURATED)
_BREAKS = np.uint8(0xFF & ~DQ.PERSISTENCE)
"""A group with one of these bits is not good."""
_BAD_GAIN = np.uint32(DQ.DO_NOT_USE | DQ.NO_GAIN_VALUE)
_TILE = 512
"""Pixels of a row that are worked on together: long reads, and the differences stay in cache."""
_LARGE_VARIANCE = 1e6
"""stcal replaces variances from here on by zero."""


class Constants(NamedTuple):
    """Scalars of a fit.

    Attributes
    ----------
    group_time : float
        Between two groups [s].
    one_group_time : float
        From the reset to the mean of the first group [s].
    suppress_one_group : bool
        A ramp with one good group has no rate.
    over_exposure : bool
        Uncertainties as in jwst's product of the exposure, else as in that of its integrations.
    """

    group_time: float
    one_group_time: float
    suppress_one_group: bool
    over_exposure: bool


@kernel
def fit_ramps(
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
    pixeldq: NDArray[Any],
    gain: NDArray[Any],
    noise: NDArray[Any],
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
    data = np.empty(n_groups)
    flags = np.empty(n_groups, np.uint8)
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
                    column_medians(differences, size, network, medians)
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
                _fit_unflagged(
                    sums[i],
                    ends[i],
                    seen[i],
                    median_rates,
                    pixeldq[y][start:end],
                    gain[y][start:end],
                    noise[y][start:end],
                    n_groups,
                    constants,
                    simple,
                    rate[i, y][start:end],
                    rate_err[i, y][start:end],
                    dq[i, y][start:end],
                    var_poisson[i, y][start:end],
                    var_rnoise[i, y][start:end],
                )
                for p in range(size):
                    if simple[p] and n_groups > 2:
                        continue
                    x = start + p
                    pixel_flags = _pixel_flags(pixeldq[y, x], gain[y, x])
                    pixel = np.float64(gain[y, x]), np.float64(noise[y, x]), median_rates[p]
                    for g in range(n_groups):
                        flags[g] = groupdq[i, g, row, x]
                        data[g] = np.nan if flags[g] & _SATURATED else ramp[i, g, row, x]
                    if constants.suppress_one_group and good[i, p] == 1:
                        for g in range(n_groups):
                            flags[g] |= _DO_NOT_USE
                    pixel_flags |= _ramp_flags(flags)
                    fit = _fit_segments(data, flags, pixel, constants)
                    result = _combine(fit, pixel_flags & _INVALID != 0, constants.over_exposure)
                    if seen[i, p] & _SATURATED:
                        pixel_flags |= _SATURATED
                    rate[i, y, x], rate_err[i, y, x] = result[0], result[1]
                    var_poisson[i, y, x], var_rnoise[i, y, x] = result[2], result[3]
                    dq[i, y, x] = pixel_flags


@kernel
def _pixel_flags(flags: np.uint32, gain: np.float32) -> np.uint32:
    return np.uint32(flags) if gain > 0.0 else np.uint32(flags | _BAD_GAIN)


@kernel
def _fit_unflagged(
    sums: NDArray[Any],
    ends: NDArray[Any],
    seen: NDArray[Any],
    median_rates: NDArray[Any],
    pixeldq: NDArray[Any],
    gain: NDArray[Any],
    noise: NDArray[Any],
    n_groups: int,
    constants: Constants,
    simple: NDArray[Any],
    rate: NDArray[Any],
    rate_err: NDArray[Any],
    dq: NDArray[Any],
    var_poisson: NDArray[Any],
    var_rnoise: NDArray[Any],
) -> None:
    """Fit all ramps of a tile as if they were without flags and of low signal.

    Fills `simple` with whether they are; what else is filled holds for these.
    """
    for p in range(rate.size):
        pixel = np.float64(gain[p]), np.float64(noise[p]), median_rates[p]
        signal = ends[1, p] - ends[0, p]
        unweighted = _weight_power(signal, pixel[0], pixel[1]) == 0.0
        simple[p] = (seen[p] == 0) & np.isfinite(sums[0, p]) & (pixel[1] > 0.0) & unweighted
        slope = _unweighted_slope(sums[0, p], sums[1, p], n_groups) / constants.group_time
        inverse = _inverse_variances(n_groups, pixel, constants.group_time)
        flags = _pixel_flags(pixeldq[p], gain[p])
        fit = slope * inverse[1], inverse[0], inverse[1], inverse[2]
        result = _combine(fit, flags & _INVALID != 0, constants.over_exposure)
        rate[p], rate_err[p] = result[0], result[1]
        var_poisson[p], var_rnoise[p] = result[2], result[3]
        dq[p] = flags


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
            good[p] += flags[p] & _BREAKS == 0
        if g > 0:
            before, flags_before = ramp[g - 1, y][start:stop], groupdq[g - 1, y][start:stop]
            row = differences[g - 1]
            for p in range(size):
                difference = np.float64(values[p]) - np.float64(before[p])
                unusable = (flags_before[p] & _INVALID) | (flags[p] & (_INVALID | _JUMP))
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
    elif _is_only_first(groupdq):
        return _zero_if_nan(ramp[0] / constants.one_group_time)
    if np.isnan(median):  # no usable difference: stcal takes the first group
        usable = not groupdq[0] & _INVALID
        return _zero_if_nan(ramp[0] / constants.group_time) if usable else 0.0
    return median / constants.group_time


@kernel
def _zero_if_nan(value: float) -> float:
    return 0.0 if np.isnan(value) else value


@kernel
def _ramp_flags(flags: NDArray[Any]) -> np.uint32:
    """Collect the flags that a ramp gives its pixel before it is fitted."""
    n_saturated = 0
    n_invalid = 0
    seen = np.uint8(0)
    for g in range(flags.size):
        n_saturated += flags[g] & _SATURATED != 0
        n_invalid += flags[g] & _INVALID != 0
        seen |= flags[g]
    result = np.uint32(seen & (_JUMP | _PERSISTENCE))
    if flags[0] & _SATURATED:
        result |= _INVALID
    if n_invalid == flags.size:
        result |= _DO_NOT_USE
        if n_saturated == flags.size:
            result |= _SATURATED
    return result


@kernel
def _weight_power(signal: float, gain: float, noise: float) -> float:
    """Power of the weights for the signal-to-noise ratio of a segment (Fixsen et al. 2000)."""
    variance = noise * noise + signal * gain
    if variance <= 0.0 or gain == 0.0:
        return 0.0
    ratio = signal * gain / np.sqrt(variance)
    if ratio < 5.0:
        return 0.0
    if ratio < 10.0:
        return 0.4
    if ratio < 20.0:
        return 1.0
    if ratio < 50.0:
        return 3.0
    if ratio < 100.0:
        return 6.0
    return 10.0


@kernel
def _unweighted_slope(total: float, total_by_group: float, n_groups: int) -> float:
    middle = (n_groups - 1) / 2.0
    spread = n_groups * (n_groups * n_groups - 1.0) / 12.0
    return (total_by_group - middle * total) / spread


@kernel
def _inverse_variances(
    length: int, pixel: tuple[float, float, float], time: float
) -> tuple[float, float, float]:
    """Inverse Poisson, read-noise and total variance of the slope of a segment.

    A segment of one group counts as one of two that are `time` apart.
    """
    gain, noise, median_rate = pixel
    n = max(length, 2)
    poisson = (median_rate if median_rate > 0.0 else 0.0) / (time * gain * (n - 1.0))
    scaled = noise / time
    cube = np.float64(n) * n * n - n
    read = 12.0 * scaled * scaled / (cube * gain * gain)
    return (1.0 / poisson if poisson > 0.0 else 0.0), 1.0 / read, 1.0 / (poisson + read)


@kernel
def _fit_segments(
    data: NDArray[Any],
    flags: NDArray[Any],
    pixel: tuple[float, float, float],
    constants: Constants,
) -> tuple[float, float, float, float]:
    """Sum over segments: slopes by inverse read-noise variance, and the inverse variances.

    A segment is a run of good groups, with the jump before it as its first. Segments of one group
    do not count beside longer ones; among such alone the first does.
    """
    total = (0.0, 0.0, 0.0, 0.0)
    if flags[0] & _SATURATED:
        return total
    longest = _longest_segment(flags)
    begin = 0
    while begin < flags.size:
        start, stop = _next_segment(flags, begin)
        begin = stop + 1
        length = stop - start
        if length < 1 or length < min(longest, 2):
            continue
        slope, time = _fit_segment(data, flags, start, stop, pixel, constants)
        poisson, read, both = _inverse_variances(length, pixel, time)
        total = (
            total[0] + slope * read,
            total[1] + poisson,
            total[2] + read,
            total[3] + both,
        )
        if longest == 1:
            break
    return total


@kernel
def _next_segment(flags: NDArray[Any], begin: int) -> tuple[int, int]:
    """First segment of good groups at or after `begin`: start, and one past its end."""
    start = begin
    while start < flags.size and flags[start] & _BREAKS:
        start += 1
    stop = start
    while stop < flags.size and not flags[stop] & _BREAKS:
        stop += 1
    if start < stop and start > 0 and flags[start - 1] & _BREAKS == _JUMP:
        start -= 1
    return start, stop


@kernel
def _longest_segment(flags: NDArray[Any]) -> int:
    longest = 0
    begin = 0
    while begin < flags.size:
        start, stop = _next_segment(flags, begin)
        longest = max(longest, stop - start)
        begin = stop + 1
    return longest


@kernel
def _fit_segment(
    data: NDArray[Any],
    flags: NDArray[Any],
    start: int,
    stop: int,
    pixel: tuple[float, float, float],
    constants: Constants,
) -> tuple[float, float]:
    """Slope of one segment [DN/s], and the time that its variances go by."""
    time = constants.group_time
    if stop - start == 1:
        if not constants.suppress_one_group and _is_only_first(flags):
            time = constants.one_group_time
        return data[start] / time, time
    if stop - start == 2:
        return (data[start + 1] - data[start]) / time, time
    return _weighted_slope(data, start, stop, pixel[0], pixel[1]) / time, time


@kernel
def _is_only_first(flags: NDArray[Any]) -> bool:
    """Whether the first group alone is without any flag."""
    for g in range(1, flags.size):
        if flags[g] == 0:
            return False
    return flags[0] == 0


@kernel
def _weighted_slope(data: NDArray[Any], start: int, stop: int, gain: float, noise: float) -> float:
    """Slope per group by optimally weighted least squares.

    Weights are powers, in float32, of the distance from the middle of the segment.
    """
    power = np.float32(_weight_power(data[stop - 1] - data[start], gain, noise))
    middle = (stop - start - 1) / 2.0
    inverse_middle = 1.0 / middle
    inverse_noise = 1.0 / (noise * noise)
    sum_w = 0.0
    sum_x = 0.0
    sum_xx = 0.0
    sum_y = 0.0
    sum_xy = 0.0
    for g in range(start, stop):
        weight = inverse_noise
        if power != 0.0:
            distance = np.float32(np.abs((g - start - middle) * inverse_middle))
            weight *= np.float64(distance**power)
        value = 0.0 if np.isnan(data[g]) else data[g]
        by_group = g * weight
        sum_w += weight
        sum_x += by_group
        sum_xx += g * by_group
        sum_y += value * weight
        sum_xy += value * by_group
    return (sum_w * sum_xy - sum_x * sum_y) * (1.0 / (sum_w * sum_xx - sum_x * sum_x))


@kernel
def _combine(
    fit: tuple[float, float, float, float], invalid: bool, over_exposure: bool
) -> tuple[float, float, float, float]:
    """Rate, its uncertainty, and the Poisson and read-noise variances of a ramp."""
    slopes, poisson, read, both = fit
    if invalid:
        return np.nan, 0.0, 0.0, 0.0
    var_poisson = 1.0 / poisson if poisson > 0.0 else 0.0
    if var_poisson >= _LARGE_VARIANCE or var_poisson < 0.0:
        var_poisson = 0.0
    var_rnoise = 1.0 / read if read > 0.0 or not over_exposure else read
    if var_rnoise >= _LARGE_VARIANCE:
        var_rnoise = 0.0
    if over_exposure:
        return slopes * var_rnoise, np.sqrt(var_poisson + var_rnoise), var_poisson, var_rnoise
    variance = 1.0 / both
    error = 0.0 if variance > _LARGE_VARIANCE else np.sqrt(variance)
    return slopes * var_rnoise, error, var_poisson, var_rnoise
