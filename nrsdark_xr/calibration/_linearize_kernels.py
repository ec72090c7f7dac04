"""Compiled steps from group_scale to linearity: each raw sample is read and each ramp written once.

For exposures whose groups are single frames. Types follow jwst 3.0.0 to the bit: samples, bias and
polynomial are float32, the reference signal is subtracted in float64. The rules themselves are
written out, array by array, in `group_scale`, `saturation`, `superbias`, `refpix` and `linearity`.
What `saturation` looks for in the second group cannot be in single frames: one that is under the
threshold has not risen by more than was left to the threshold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel
from nrsdark_xr.detector import DQ

_SATURATED = np.uint8(DQ.SATURATED)
_DO_NOT_USE = np.uint8(DQ.DO_NOT_USE)
_FLOOR = np.uint8(DQ.AD_FLOOR | DQ.DO_NOT_USE)
_NOTHING = np.uint8(0)
_ZERO = np.float32(0)
_TILE = 512
"""Pixels of a row that are worked on together: all that they need stays in the L1 cache."""


class Pixels(NamedTuple):
    """What is known about the pixels of a band and its halo, each of shape (row, x).

    Attributes
    ----------
    unusable : ndarray of bool
        DO_NOT_USE in the mask.
    threshold : ndarray of float32
        Of saturation [DN].
    bias : ndarray of float32
        [DN], NaN where unknown.
    """

    unusable: NDArray[Any]
    threshold: NDArray[Any]
    bias: NDArray[Any]


class Signal(NamedTuple):
    """What the reference pixels tell to subtract.

    Attributes
    ----------
    levels : ndarray of float64, shape (group, row)
        Rows with the halo [DN].
    side : ndarray of float64, shape (group, part, x)
        [DN]; of length 0 in x if there is no such correction.
    parts : ndarray of int, shape (row,)
        Part of `side` that each row takes, with the halo.
    single_precision : ndarray of bool, shape (group,)
        Groups whose level is subtracted in float32 before the side signal.
    """

    levels: NDArray[Any]
    side: NDArray[Any]
    parts: NDArray[Any]
    single_precision: NDArray[Any]


@kernel
def linearize(
    raw: NDArray[Any],
    first_row: int,
    scale: np.float32,
    grow: int,
    pixels: Pixels,
    signal: Signal,
    coefficients: NDArray[Any],
    ramp: NDArray[Any],
    groupdq: NDArray[Any],
) -> None:
    """Fill `ramp` and `groupdq` of a band.

    Parameters
    ----------
    raw : ndarray of uint16, shape (group, row, x)
        The band with its halo.
    first_row : int
        Row of `raw` at which the band begins.
    scale : float32
        DN per raw unit.
    grow : int
        Layers of neighbours that saturate with a pixel; the halo has as many rows.
    pixels : Pixels
    signal : Signal
    coefficients : ndarray of float32, shape (coefficient, y, x)
        Of the band without halo.
    ramp : ndarray of float32, shape (group, y, x)
    groupdq : ndarray of uint8, shape (group, y, x)
    """
    n_groups, n_raw_rows, n_columns = raw.shape
    first = np.empty((n_raw_rows, n_columns), np.int32)
    lowest = np.empty(n_columns, np.int32)
    start = np.empty(n_columns, np.int32)
    subtracted = np.empty(n_columns, np.float32)
    plane = np.empty(_TILE, np.float32)
    scanned = 0
    for row in range(ramp.shape[1]):
        y = first_row + row
        while scanned < min(n_raw_rows, y + grow + 1):  # just ahead: still in the L2 cache below
            _first_saturated(raw, scanned, scale, pixels.threshold[scanned], first[scanned])
            scanned += 1
        _grow(first, y, grow, lowest, start)
        for x in range(n_columns):
            subtracted[x] = _ZERO if np.isnan(pixels.bias[y, x]) else pixels.bias[y, x]
        for begin in range(0, n_columns, _TILE):
            end = min(begin + _TILE, n_columns)
            part = plane[: end - begin]
            for g in range(n_groups):
                # Slices of whole rows: within them, loops from 0 on run on the vector units.
                samples = raw[g, y][begin:end]
                side = signal.side[g, signal.parts[y]][begin:end]
                result = ramp[g, row][begin:end]
                _flag(
                    samples,
                    scale,
                    g,
                    start[begin:end],
                    pixels.unusable[y][begin:end],
                    groupdq[g, row][begin:end],
                )
                _subtract(
                    samples,
                    scale,
                    subtracted[begin:end],
                    signal.levels[g, y],
                    side,
                    signal.single_precision[g],
                    part,
                )
                _evaluate(coefficients, row, begin, part, result)
                _keep_saturated(part, g, start[begin:end], result)


@kernel
def _first_saturated(
    raw: NDArray[Any], y: int, scale: np.float32, threshold: NDArray[Any], first: NDArray[Any]
) -> None:
    """First group of each pixel at or over the threshold; the number of groups if none."""
    n_groups, _, n_columns = raw.shape
    first[:] = n_groups
    for g in range(n_groups - 1, -1, -1):
        samples = raw[g, y]
        for x in range(n_columns):
            first[x] = g if np.float32(samples[x]) * scale >= threshold[x] else first[x]


@kernel
def _grow(
    first: NDArray[Any], y: int, grow: int, lowest: NDArray[Any], start: NDArray[Any]
) -> None:
    """Smallest of `first` within `grow` pixels of each pixel of row `y`."""
    n_rows, n_columns = first.shape
    lowest[:] = first[y]
    for near in range(max(0, y - grow), min(n_rows, y + grow + 1)):
        for x in range(n_columns):
            lowest[x] = min(lowest[x], first[near, x])
    start[:] = lowest
    for shift in range(1, grow + 1):
        for x in range(n_columns - shift):
            start[x] = min(start[x], lowest[x + shift])
        for x in range(shift, n_columns):
            start[x] = min(start[x], lowest[x - shift])


@kernel
def _flag(
    samples: NDArray[Any],
    scale: np.float32,
    group: int,
    start: NDArray[Any],
    unusable: NDArray[Any],
    flags: NDArray[Any],
) -> None:
    """Give one group of a tile its flags; pixels are saturated from group `start` on."""
    for x in range(samples.size):
        flag = _SATURATED if group >= start[x] else _NOTHING
        floor = _FLOOR if np.float32(samples[x]) * scale <= _ZERO else _NOTHING
        mask = _DO_NOT_USE if unusable[x] else _NOTHING
        flags[x] = flag | floor | mask


@kernel
def _subtract(
    samples: NDArray[Any],
    scale: np.float32,
    bias: NDArray[Any],
    level: float,
    side: NDArray[Any],
    single_precision: bool,
    plane: NDArray[Any],
) -> None:
    """Subtract bias and reference signal from one group of a tile."""
    if side.size == 0:
        for x in range(samples.size):
            value = np.float32(samples[x]) * scale - bias[x]
            plane[x] = np.float64(value) - level
    elif single_precision:
        for x in range(samples.size):
            value = np.float32(samples[x]) * scale - bias[x]
            plane[x] = np.float64(np.float32(np.float64(value) - level)) - side[x]
    else:
        for x in range(samples.size):
            value = np.float32(samples[x]) * scale - bias[x]
            plane[x] = np.float64(value) - level - side[x]


@kernel
def _evaluate(
    coefficients: NDArray[Any], row: int, begin: int, plane: NDArray[Any], result: NDArray[Any]
) -> None:
    """Polynomials of a tile by Horner's scheme."""
    end = begin + plane.size
    last = coefficients.shape[0] - 1
    coefficient = coefficients[last, row][begin:end]
    for x in range(plane.size):
        result[x] = coefficient[x] * plane[x]
    for k in range(last - 1, 0, -1):
        coefficient = coefficients[k, row][begin:end]
        for x in range(plane.size):
            result[x] = (result[x] + coefficient[x]) * plane[x]
    coefficient = coefficients[0, row][begin:end]
    for x in range(plane.size):
        result[x] += coefficient[x]


@kernel
def _keep_saturated(
    plane: NDArray[Any], group: int, start: NDArray[Any], result: NDArray[Any]
) -> None:
    """Undo the polynomial where a pixel is saturated."""
    for x in range(plane.size):
        result[x] = plane[x] if group >= start[x] else result[x]


@kernel
def any_usable(plane: NDArray[Any], unusable: NDArray[Any]) -> bool:
    """Whether a pixel outside `unusable` is not at the A/D floor."""
    samples, excluded = plane.reshape(-1), unusable.reshape(-1)
    i = 0
    while i < samples.size and (samples[i] == 0 or excluded[i]):
        i += 1
    return i < samples.size
