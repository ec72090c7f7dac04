"""Charge in the pixels: how it gathers, and how a frame of it is digitised.

Kernels on images of the detector frame, compiled, one pass each.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel as compiled
from nrsdark_xr.simulate.pixels import ADC_MAXIMUM, RCPixels, Telegraph

_INVERSION_LIMIT = 10.0
"""Largest expectation that `_poisson` draws by inversion of a single-precision uniform."""


def poisson_tables(rate: NDArray[np.float32], seconds: float) -> NDArray[np.float32]:
    """Probability that a pixel gathers nothing in a frame.

    Parameters
    ----------
    rate : ndarray of float32
        Electrons per second; pixels that expect more than 10 electrons are left out (their
        probability is 1), see `bright_pixels`.
    seconds : float
        Length of the frame.
    """
    expected = rate * np.float32(seconds)
    return np.where(expected < _INVERSION_LIMIT, np.exp(-expected), np.float32(1))


def bright_pixels(rate: NDArray[np.float32], seconds: float) -> NDArray[np.int64]:
    """Flat indices of the pixels that `poisson_tables` leaves out."""
    return np.flatnonzero(rate * np.float32(seconds) >= _INVERSION_LIMIT)


@compiled
def gather(
    charge: NDArray[np.float32],
    deposit: NDArray[np.float32],
    nothing: NDArray[np.float32],
    uniform: NDArray[np.float32],
    drift: NDArray[np.float32],
    drift_step: np.float32,
    full_well: NDArray[np.float32],
    hit_group: NDArray[np.uint16],
    hit_charge: NDArray[np.float32],
    recorded: np.float32,
    group: int,
) -> None:
    """Add one frame's dark current, drift and particle hits to the charge, up to full well.

    Parameters
    ----------
    charge : ndarray of float32, shape (rows, columns)
        Electrons; changed in place.
    deposit : ndarray of float32, shape (rows, columns)
        Electrons from particles; set to 0 for the next frame.
    nothing : ndarray of float32, shape (rows, columns)
        Probability of no dark-current electron.
    uniform, drift : ndarray of float32, shape (rows, columns)
        Uniform and standard normal random numbers.
    drift_step : float
        Standard deviation of the drift within a frame, electrons.
    full_well : ndarray of float32, shape (rows, columns)
    hit_group : ndarray of uint16, shape (rows, columns)
        First group with a hit, 0 for none; changed in place.
    hit_charge : ndarray of float32, shape (rows, columns)
        Charge of the hits in that group, electrons; changed in place.
    recorded : float
        Smallest charge that counts as a hit.
    group : int
        Counted from 1.
    """
    rows, columns = charge.shape
    for row in range(rows):
        for column in range(columns):
            hit = deposit[row, column]
            well = full_well[row, column]
            if well > 0:
                added = hit + drift_step * drift[row, column]
                if uniform[row, column] >= nothing[row, column]:
                    added += _poisson(uniform[row, column], nothing[row, column])
                charge[row, column] = min(charge[row, column] + added, well)
                if hit >= recorded and hit_group[row, column] in (0, group):
                    hit_group[row, column] = group
                    hit_charge[row, column] += hit
            deposit[row, column] = 0


@compiled
def _poisson(uniform: float, nothing: float) -> int:
    """Poisson variate by inversion, given the probability of 0."""
    expected = -math.log(nothing)
    probability = float(nothing)
    cumulative = probability
    number = 0
    while uniform >= cumulative and probability > 1e-12:
        number += 1
        probability *= expected / number
        cumulative += probability
    return number


@compiled
def digitise(
    charge: NDArray[np.float32],
    offset: NDArray[np.float32],
    noise: NDArray[np.float32],
    place: NDArray[np.intp],
    kernel: NDArray[np.float32],
    full_well: NDArray[np.float32],
    gain: NDArray[np.float32],
    curvature: NDArray[np.float32],
    adc_sum: NDArray[np.uint32],
) -> None:
    """Read one frame: inter-pixel capacitance, gain, nonlinearity, bias and noise, 16 bits.

    Parameters
    ----------
    charge : ndarray of float32, shape (rows + 2, columns + 2)
        Electrons, in a border of one pixel without charge.
    offset : ndarray of float32, shape (rows, columns)
        DN.
    noise : ndarray of float32, shape (rows, samples)
        DN.
    place : ndarray of int, shape (columns,)
        Which sample of its row each column is: IRS2 has others in between.
    kernel : ndarray of float32, shape (3, 3)
    full_well, gain, curvature : ndarray of float32, shape (rows, columns)
        See `Pixels`.
    adc_sum : ndarray of uint32, shape (rows, samples)
        The values read are added to it.
    """
    rows, columns = offset.shape
    # Python's own numbers would turn all of it to double precision.
    zero, half = np.float32(0), np.float32(0.5)
    one, two, four = np.float32(1), np.float32(2), np.float32(4)
    top = np.float32(ADC_MAXIMUM)
    for row in range(rows):
        for column in range(columns):
            seen = zero
            for y in range(3):
                for x in range(3):
                    seen += kernel[y, x] * charge[row + y, column + x]
            linear = seen / gain[row, column] if full_well[row, column] > zero else zero
            # The root of linear = m + curvature m**2, written without cancellation.
            root = math.sqrt(one + four * curvature[row, column] * linear)
            sample = place[column]
            value = two * linear / (one + root) + offset[row, column] + noise[row, sample]
            adc_sum[row, sample] += np.uint32(min(max(value + half, zero), top))


@compiled
def digitise_references(
    offset: NDArray[np.float32],
    noise: NDArray[np.float32],
    place: NDArray[np.intp],
    adc_sum: NDArray[np.uint32],
) -> None:
    """Read the samples of one frame that have no charge.

    Parameters
    ----------
    offset : ndarray of float32, shape (rows, columns)
        DN.
    noise : ndarray of float32, shape (rows, samples)
        DN.
    place : ndarray of int, shape (columns,)
        Which sample of its row each column of `offset` is.
    adc_sum : ndarray of uint32, shape (rows, samples)
        The values read are added to it.
    """
    rows, columns = offset.shape
    zero, half, top = np.float32(0), np.float32(0.5), np.float32(ADC_MAXIMUM)
    for row in range(rows):
        for column in range(columns):
            value = offset[row, column] + noise[row, place[column]] + half
            adc_sum[row, place[column]] += np.uint32(min(max(value, zero), top))


def seen_by_neighbours(
    charge: NDArray[np.float32], kernel: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Spread charge, or a rate of charge, by inter-pixel capacitance, as `digitise` does.

    Parameters
    ----------
    charge : ndarray of float32, shape (rows, columns)
    kernel : ndarray of float32, shape (3, 3)

    Returns
    -------
    ndarray of float32, shape (rows, columns)
    """
    rows, columns = charge.shape
    padded = np.pad(charge, 1)
    seen = np.zeros_like(charge)
    for (y, x), share in np.ndenumerate(kernel):
        seen += share * padded[y : y + rows, x : x + columns]
    return seen


class TelegraphState:
    """Levels of telegraph pixels as time goes on.

    Parameters
    ----------
    pixels : Telegraph
    rng : Generator
        Draws the levels at the start, in equilibrium.
    """

    def __init__(self, pixels: Telegraph, rng: np.random.Generator) -> None:
        self._pixels = pixels
        self._share = pixels.dwell[1] / pixels.dwell.sum(axis=0)
        self._switching = (1 / pixels.dwell).sum(axis=0)
        self._is_high = rng.random(pixels.index.size) < self._share

    def advance(self, rng: np.random.Generator, seconds: float) -> None:
        """Let `seconds` pass."""
        memory = np.exp(-self._switching * seconds)
        high = self._share + (self._is_high - self._share) * memory
        self._is_high = rng.random(high.size) < high

    def levels(self) -> NDArray[np.float32]:
        """Present level of each pixel, electrons."""
        return np.where(self._is_high, self._pixels.amplitude, 0).astype(np.float32)

    def add(self, image: NDArray[np.float32]) -> None:
        """Add the present levels, in electrons, to an image (in place)."""
        image.flat[self._pixels.index] += np.where(self._is_high, self._pixels.amplitude, 0)


def rc_charge(pixels: RCPixels, start: float, end: float) -> NDArray[np.float64]:
    """Charge that RC pixels are expected to gather between two times since reset.

    Parameters
    ----------
    pixels : RCPixels
    start, end : float
        Seconds since reset.

    Returns
    -------
    ndarray, shape (n,)
        Electrons.
    """
    remaining = np.exp(-start / pixels.time) - np.exp(-end / pixels.time)
    return (pixels.amplitude * remaining).sum(axis=0)
