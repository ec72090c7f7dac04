"""Compiled parts of the IRS2 correction: what is done to each sample of a group.

Types follow jwst 3.0.0: samples, bias and line are float32, means float64. A frame lies as `irs2`
modules keep it: one row for each sample of a line in reading order, one column for each line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.calibration._linearize_kernels import (
    _DO_NOT_USE,
    _FLOOR,
    _NOTHING,
    _SATURATED,
    _TILE,
    _evaluate,
    _keep_saturated,
)
from nrsdark_xr.compile import kernel

_ZERO = np.float32(0)
_HALF = np.float32(0.5)
NO_ROW = -1
"""In `Rows.first` or `Rows.second`: no row to take a sample from."""


class Rows(NamedTuple):
    """Where the samples of a line come from, in reading order.

    Attributes
    ----------
    row : ndarray of int, shape (sample,)
        Raw row, counted from the first that is given.
    first, second : ndarray of int, shape (sample,)
        Raw rows whose mean stands for it: `row` twice where it is good, one row twice where only
        that can replace it, `NO_ROW` where nothing can.
    """

    row: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]


@kernel
def bias_of(bias: NDArray[Any]) -> NDArray[Any]:
    """Bias [DN] of shape (row, x) with 0 for NaN."""
    usable = np.empty(bias.shape, np.float32)
    for y in range(bias.shape[0]):
        for x in range(bias.shape[1]):
            usable[y, x] = _ZERO if np.isnan(bias[y, x]) else bias[y, x]
    return usable


@kernel
def mean_over_groups(
    raw: NDArray[Any],
    scale: np.float32,
    bias: NDArray[Any],
    levels: NDArray[Any],
    mean: NDArray[Any],
) -> None:
    """Fill `mean` (row, x), float64, of `raw` (group, row, x) less bias and levels (group, row)."""
    n_groups, n_rows, n_columns = raw.shape
    for y in range(n_rows):
        total = mean[y]
        total[:] = 0.0
        for g in range(n_groups):
            samples, low, level = raw[g, y], bias[y], levels[g, y]
            for x in range(n_columns):
                total[x] += np.float32(np.float32(samples[x]) * scale - low[x] - level)
        for x in range(n_columns):
            total[x] /= n_groups


@kernel
def pair_sums(
    raw: NDArray[Any], y: int, scale: np.float32, bias: NDArray[Any]
) -> tuple[float, float, float]:
    """Sum over groups and columns what two reads of a reference pixel are, in rows y and y + 1.

    Returns
    -------
    difference, total, square : float
        Sums of the absolute difference of the two, of both, and of their squares.
    """
    difference = total = square = 0.0
    for g in range(raw.shape[0]):
        one, two = raw[g, y], raw[g, y + 1]
        for x in range(raw.shape[2]):
            a = np.float32(np.float32(one[x]) * scale - bias[y, x])
            b = np.float32(np.float32(two[x]) * scale - bias[y + 1, x])
            difference += np.float64(abs(np.float32(b - a)))
            total += np.float64(a) + np.float64(b)
            square += np.float64(a) * np.float64(a) + np.float64(b) * np.float64(b)
    return difference, total, square


@kernel
def read_samples(
    raw: NDArray[Any],
    rows: Rows,
    scale: np.float32,
    bias: NDArray[Any],
    levels: NDArray[Any],
    mean: NDArray[Any],
    backwards: bool,
    samples: NDArray[Any],
) -> None:
    """Fill `samples` (sample, line) with one group less its mean, bad samples replaced.

    Parameters
    ----------
    raw : ndarray of uint16, shape (row, x)
    rows : Rows
    scale : float32
        DN per raw unit.
    bias : ndarray of float32, shape (row, x)
        Without NaN.
    levels : ndarray of float32, shape (row,)
        Subtracted besides.
    mean : ndarray of float64, shape (row, x)
        Over groups, after replacement.
    backwards : bool
        Whether lines run against x.
    samples : ndarray of float32, shape (sample, line)
    """
    n_samples, n_lines = samples.shape
    values = np.empty(n_lines, np.float32)
    for s in range(n_samples):
        a, b = rows.first[s], rows.second[s]
        if a == NO_ROW:
            values[:] = _ZERO
        elif a == b:
            one, low, level = raw[a], bias[a], levels[a]
            for x in range(n_lines):
                values[x] = np.float32(one[x]) * scale - low[x] - level
        else:
            one, two, low, high = raw[a], raw[b], bias[a], bias[b]
            level, other = levels[a], levels[b]
            for x in range(n_lines):
                left = np.float32(one[x]) * scale - low[x] - level
                right = np.float32(two[x]) * scale - high[x] - other
                values[x] = (left + right) * _HALF
        offset, result = mean[rows.row[s]], samples[s]
        if backwards:
            for x in range(n_lines):
                result[n_lines - 1 - x] = np.float32(np.float64(values[x]) - offset[x])
        else:
            for x in range(n_lines):
                result[x] = np.float32(np.float64(values[x]) - offset[x])


@kernel
def subtract_line(
    samples: NDArray[Any], times: NDArray[Any], intercept: np.float32, slope: np.float32
) -> None:
    """Subtract a straight line from all samples (sample, line) that are not 0, in place.

    `times` (sample, line) is float32.
    """
    for s in range(samples.shape[0]):
        values, time = samples[s], times[s]
        for x in range(values.size):
            line = intercept + time[x] * slope
            values[x] = values[x] - line if values[x] != _ZERO else _ZERO


@kernel
def fill_gaps(
    frame: NDArray[Any], filled: NDArray[Any], window: NDArray[Any], is_gap: NDArray[Any]
) -> None:
    """Copy `frame` (tick, line) to `filled`, its zeros replaced by means over their neighbours.

    Parameters
    ----------
    frame, filled : ndarray of float32, shape (tick, line)
    window : ndarray of float32, shape (2 reach + 1,)
        Weights of the ticks before and after; the frame goes on with its first line after its last.
    is_gap : ndarray of bool, shape (tick,)
        Ticks at which nothing was read in any line.
    """
    n_ticks, n_lines = frame.shape
    for tick in range(n_ticks):
        if is_gap[tick]:
            for line in range(n_lines):
                filled[tick, line] = _mean_around(frame, tick, line, window)
        else:
            values, result = frame[tick], filled[tick]
            result[:] = values
            for line in range(n_lines):
                if values[line] == _ZERO:
                    result[line] = _mean_around(frame, tick, line, window)


@kernel
def _mean_around(frame: NDArray[Any], tick: int, line: int, window: NDArray[Any]) -> np.float32:
    """Weighted mean of what is not 0 around a tick; 0 if there is nothing."""
    n_ticks, n_lines = frame.shape
    reach = window.size // 2
    total = weight = 0.0
    for i in range(window.size):
        t, x = tick + i - reach, line
        if t < 0:
            t, x = t + n_ticks, (n_lines if x == 0 else x) - 1
        elif t >= n_ticks:
            t, x = t - n_ticks, (0 if x == n_lines - 1 else x + 1)
        value = frame[t, x]
        if value != _ZERO:
            total += window[i] * value
            weight += window[i]
    return np.float32(np.float32(total) / np.float32(weight)) if weight > 0.0 else _ZERO


@kernel
def place(
    spectra: NDArray[Any], source: NDArray[Any], phases: NDArray[Any], frame: NDArray[Any]
) -> None:
    """Fill `frame` (tick, frequency) with the spectra of samples, each at its ticks, turned.

    Parameters
    ----------
    spectra : ndarray of complex64, shape (sample, frequency)
    source : ndarray of int, shape (tick,)
        Sample of each tick, or -1 for none.
    phases : ndarray of complex64, shape (tick, frequency)
    frame : ndarray of complex64, shape (tick, frequency)
    """
    for tick in range(frame.shape[0]):
        result = frame[tick]
        if source[tick] < 0:
            result[:] = 0
        else:
            values, phase = spectra[source[tick]], phases[tick]
            for k in range(result.size):
                result[k] = values[k] * phase[k]


@kernel
def take(
    frame: NDArray[Any], ticks: NDArray[Any], phases: NDArray[Any], spectra: NDArray[Any]
) -> None:
    """Undo `place` for some `ticks`: fill `spectra` (tick, frequency)."""
    for i in range(ticks.size):
        values, phase, result = frame[ticks[i]], phases[ticks[i]], spectra[i]
        for k in range(result.size):
            result[k] = values[k] * np.conj(phase[k])


@kernel
def weigh(
    frame: NDArray[Any], beta: NDArray[Any], alpha: NDArray[Any], reference: NDArray[Any]
) -> None:
    """Turn `frame` into ``beta * frame + alpha * reference``, in place; all are complex64."""
    for y in range(frame.shape[0]):
        values, b, a, other = frame[y], beta[y], alpha[y], reference[y]
        for k in range(values.size):
            values[k] = b[k] * values[k] + a[k] * other[k]


@kernel
def attenuate(frame: NDArray[Any], factor: NDArray[Any]) -> None:
    """Multiply `frame` (complex64) by `factor` (float32), in place."""
    for y in range(frame.shape[0]):
        values, f = frame[y], factor[y]
        for k in range(values.size):
            values[k] = values[k] * f[k]


@kernel
def restore(
    samples: NDArray[Any],
    correction: NDArray[Any],
    chosen: NDArray[Any],
    rows: NDArray[Any],
    mean: NDArray[Any],
    mean_rows: NDArray[Any],
    backwards: bool,
    image: NDArray[Any],
) -> None:
    """Fill rows of `image` with corrected samples, their mean over groups added back.

    Parameters
    ----------
    samples : ndarray of float32, shape (sample, line)
    correction : ndarray of float32, shape (chosen, line)
    chosen : ndarray of int
        Samples that were corrected.
    rows : ndarray of int
        Row of `image` of each of them.
    mean : ndarray of float64, shape (row, x)
    mean_rows : ndarray of int
        Row of `mean` of each of them, or `NO_ROW` where it stays subtracted.
    backwards : bool
        Whether lines run against x.
    image : ndarray of float32, shape (row, x)
    """
    n_lines = samples.shape[1]
    values = np.empty(n_lines, np.float32)
    for i in range(chosen.size):
        one, two, result = samples[chosen[i]], correction[i], image[rows[i]]
        for line in range(n_lines):
            values[line] = one[line] - two[line]
        if backwards:
            for x in range(n_lines):
                result[x] = values[n_lines - 1 - x]
        else:
            result[:] = values
        if mean_rows[i] != NO_ROW:
            offset = mean[mean_rows[i]]
            for x in range(n_lines):
                result[x] = np.float32(np.float64(result[x]) + offset[x])


@kernel
def first_saturated(
    raw: NDArray[Any],
    rows: NDArray[Any],
    scale: np.float32,
    threshold: NDArray[Any],
    first: NDArray[Any],
) -> None:
    """Fill `first` (row, x) with the first group at or over the threshold, or the number of groups.

    Parameters
    ----------
    raw : ndarray of uint16, shape (group, raw row, x)
    rows : ndarray of int, shape (row,)
        Raw row of each row.
    scale : float32
    threshold : ndarray of float32, shape (row, x)
    first : ndarray of int32, shape (row, x)
    """
    n_groups, _, n_columns = raw.shape
    for i in range(rows.size):
        result, limit = first[i], threshold[i]
        result[:] = n_groups
        for g in range(n_groups - 1, -1, -1):
            samples = raw[g, rows[i]]
            for x in range(n_columns):
                result[x] = g if np.float32(samples[x]) * scale >= limit[x] else result[x]


@kernel
def usable_groups(raw: NDArray[Any], rows: NDArray[Any], unusable: NDArray[Any]) -> NDArray[Any]:
    """Whether each group has a sample over the A/D floor outside `unusable` (row, x)."""
    n_groups, _, n_columns = raw.shape
    usable = np.zeros(n_groups, np.bool_)
    for g in range(n_groups):
        i = 0
        while i < rows.size * n_columns and not usable[g]:
            y, x = divmod(i, n_columns)
            usable[g] = raw[g, rows[y], x] > 0 and not unusable[y, x]
            i += 1
    return usable


@kernel
def linearize_corrected(
    corrected: NDArray[Any],
    floor: NDArray[Any],
    first_row: int,
    ramp_row: int,
    start: NDArray[Any],
    unusable: NDArray[Any],
    coefficients: NDArray[Any],
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
) -> None:
    """Fill `ramp` and `groupdq` of a band of single frames from corrected samples.

    Parameters
    ----------
    corrected : ndarray of float32, shape (group, row, x)
        [DN]
    floor : ndarray of uint8, shape (group, row, x / 8)
        Bits of samples at the A/D floor, the first in the highest bit.
    first_row : int
        Row of `corrected` and `floor` at which the band begins.
    ramp_row : int
        Row of `ramp` and `groupdq` at which it begins.
    start : ndarray of int32, shape (y, x)
        Group from which on a pixel is saturated.
    unusable : ndarray of bool, shape (y, x)
    coefficients : ndarray of float32, shape (coefficient, y, x)
    ramp : ndarray of float32, shape (group, y, x)
    groupdq : ndarray of uint8, shape (group, y, x)
    """
    n_groups, _, n_columns = ramp.shape
    mask = np.empty(n_columns, np.uint8)
    for row in range(start.shape[0]):
        for x in range(n_columns):
            mask[x] = _DO_NOT_USE if unusable[row, x] else _NOTHING
        for begin in range(0, n_columns, _TILE):
            end = min(begin + _TILE, n_columns)
            for g in range(n_groups):
                plane = corrected[g, first_row + row][begin:end]
                flags = groupdq[g, ramp_row + row][begin:end]
                result = ramp[g, ramp_row + row][begin:end]
                saturated = start[row][begin:end]
                forbidden = mask[begin:end]
                for x in range(flags.size):
                    flags[x] = forbidden[x] | (_SATURATED if g >= saturated[x] else _NOTHING)
                _flag_floor(floor[g, first_row + row][begin // 8 : (end + 7) // 8], flags)
                _evaluate(coefficients, row, begin, plane, result)
                _keep_saturated(plane, g, saturated, result)


@kernel
def _flag_floor(bits: NDArray[Any], flags: NDArray[Any]) -> None:
    """Flag samples whose bit is set; few are."""
    for byte in range(bits.size):
        if bits[byte] != 0:
            for bit in range(min(8, flags.size - 8 * byte)):
                if bits[byte] & (0x80 >> bit):
                    flags[8 * byte + bit] |= _FLOOR
