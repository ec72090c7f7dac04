"""Compiled fit of one ramp, segment by segment, a port of ``ols_slope_fitter`` of stcal 1.20."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_DO_NOT_USE = np.uint8(DQ.DO_NOT_USE)
_SATURATED = np.uint8(DQ.SATURATED)
_JUMP = np.uint8(DQ.JUMP_DET)
_PERSISTENCE = np.uint8(DQ.PERSISTENCE)
INVALID = np.uint8(DQ.DO_NOT_USE | DQ.SATURATED)
BREAKS = np.uint8(0xFF & ~DQ.PERSISTENCE)
"""A group with one of these bits is not good."""
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
def ramp_flags(flags: NDArray[Any]) -> np.uint32:
    """Collect the flags that a ramp gives its pixel before it is fitted."""
    n_saturated = 0
    n_invalid = 0
    seen = np.uint8(0)
    for g in range(flags.size):
        n_saturated += flags[g] & _SATURATED != 0
        n_invalid += flags[g] & INVALID != 0
        seen |= flags[g]
    result = np.uint32(seen & (_JUMP | _PERSISTENCE))
    if flags[0] & _SATURATED:
        result |= INVALID
    if n_invalid == flags.size:
        result |= _DO_NOT_USE
        if n_saturated == flags.size:
            result |= _SATURATED
    return result


@kernel
def weight_power(signal: float, gain: float, noise: float) -> float:
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
def unweighted_slope(total: float, total_by_group: float, n_groups: int) -> float:
    middle = (n_groups - 1) / 2.0
    spread = n_groups * (n_groups * n_groups - 1.0) / 12.0
    return (total_by_group - middle * total) / spread


@kernel
def inverse_variances(
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
def fit_segments(
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
        poisson, read, both = inverse_variances(length, pixel, time)
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
    while start < flags.size and flags[start] & BREAKS:
        start += 1
    stop = start
    while stop < flags.size and not flags[stop] & BREAKS:
        stop += 1
    if start < stop and start > 0 and flags[start - 1] & BREAKS == _JUMP:
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
        if not constants.suppress_one_group and is_only_first(flags):
            time = constants.one_group_time
        return data[start] / time, time
    if stop - start == 2:
        return (data[start + 1] - data[start]) / time, time
    return _weighted_slope(data, start, stop, pixel[0], pixel[1]) / time, time


@kernel
def is_only_first(flags: NDArray[Any]) -> bool:
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
    power = np.float32(weight_power(data[stop - 1] - data[start], gain, noise))
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
def combine(
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
