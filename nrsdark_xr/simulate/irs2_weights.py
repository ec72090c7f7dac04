"""The weights with which reference samples and reference output correct the simulated noise best.

They are those of Wiener's filter: per frequency, the amplifier's stream N, its reference samples R
laid out in time as `jwst.refpix.irs2_subtract_reference` does, and the reference output O have

    N = beta R + alpha O + rest,   beta  = (S_NR S_OO - S_NO S_OR) / D,
                                   alpha = (S_NO S_RR - S_NR S_RO) / D,   D = S_RR S_OO - |S_OR|²,

where S_XY(f) is the mean of X(f) times the conjugate of Y(f), and the rest has the least variance.
The spectra follow exactly from the covariances of the streams and the ticks of the reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.detector.irs2 import (
    FRAME_TICKS,
    LINE_TICKS,
    OUTPUT_ROWS,
    OUTPUTS,
    VISIT_TICKS,
    VISITS,
)
from nrsdark_xr.simulate.irs2_noise import STREAM_TICKS, amplitudes
from nrsdark_xr.simulate.noise import pink_scale
from nrsdark_xr.simulate.parameters import SimulationParameters

Spectrum = NDArray[np.complex128]
Covariance = NDArray[np.float64]

SLOTS = (7, 8, 9, 10, 11, 12, 13, 14)
"""Ticks of a visit that jwst fills with its reference samples ..."""
SOURCES = (9, 11, 9, 11, 10, 12, 10, 12)
"""... and the ticks at which those were read."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights of the correction and what it leaves.

    Attributes
    ----------
    alpha, beta : ndarray of complex64, shape (4, ticks)
        By amplifier and frequency, for the reference output and the reference samples.
    rest : ndarray, shape (4,)
        Standard deviation of what is left of the streams, electrons.
    """

    alpha: NDArray[np.complex64]
    beta: NDArray[np.complex64]
    rest: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Covariances:
    """Covariances of streams of unit amplitude by distance in time."""

    pink: Covariance
    """By ticks."""
    alternating: Covariance
    """By two ticks."""

    def pinks(self, distance: NDArray[np.int64]) -> Covariance:
        return self.pink[np.abs(distance)]

    def alternatings(self, distance: NDArray[np.int64]) -> Covariance:
        return self.alternating[np.abs(distance)]


def optimal_weights(parameters: SimulationParameters, coupling: NDArray[np.float64]) -> Weights:
    """Weights that leave the least noise in the pixels of IRS2 frames.

    Parameters
    ----------
    parameters : SimulationParameters
    coupling : ndarray, shape (5,)
        See `ReferenceSamples`.
    """
    amplitude = amplitudes(parameters.noise)
    white = (parameters.noise.white * parameters.reference_pixels.noise_ratio) ** 2
    delay = parameters.irs2.reference_output_delay
    unit = _Covariances(_covariance(STREAM_TICKS), _covariance(STREAM_TICKS // 2))
    rr_pink, rr_alternating, rr_white = _among_reference_samples(unit)
    nr_pink, nr_alternating = _with_reference_samples(unit, early=0)
    or_pink, _ = _with_reference_samples(unit, early=-delay)
    no_pink = _between_outputs(unit, early=delay)
    oo_pink = _between_outputs(unit, early=0).real

    common, alternating = amplitude.common**2, amplitude.alternating**2
    # A gap is filled from its neighbours: with their pink noise, but with little white noise.
    oo = (common + amplitude.reference_output**2) * oo_pink
    oo += white * FRAME_TICKS * OUTPUT_ROWS / LINE_TICKS
    alpha = np.empty((OUTPUTS - 1, FRAME_TICKS), np.complex64)
    beta = np.empty_like(alpha)
    rest = np.empty(OUTPUTS - 1)
    for amplifier, share in enumerate(coupling[1:]):
        pink = share**2 * common + amplitude.own**2
        rr = pink * rr_pink + alternating * rr_alternating + white * rr_white
        nr = pink * nr_pink + alternating * nr_alternating
        cross, no = share * common * or_pink, share * common * no_pink
        determinant = rr * oo - np.abs(cross) ** 2
        half_beta = (nr * oo - no * cross) / determinant
        half_alpha = (no * rr - nr * cross.conj()) / determinant
        beta[amplifier], alpha[amplifier] = _whole(half_beta), _whole(half_alpha)
        explained = _whole(half_beta * nr.conj() + half_alpha * no.conj()).real.sum()
        total = pink * unit.pink[0] + alternating * unit.alternating[0]
        rest[amplifier] = np.sqrt(total - explained / FRAME_TICKS**2)
    return Weights(alpha, beta, rest)


def _covariance(length: int) -> Covariance:
    """Covariance of a drawn stream of unit amplitude by distance, shape (length,)."""
    power = 2 * pink_scale(length).astype(np.float64) ** 2
    return scipy.fft.irfft(power, length) / length


def _among_reference_samples(unit: _Covariances) -> tuple[Spectrum, Spectrum, Spectrum]:
    """S_RR of pink, alternating and white noise of unit amplitude.

    All pairs of slots, sorted by where they are in the visit (slot), how many visits and how many
    lines they are apart. Of the 64 pairs of a visit many are the same distances apart.
    """
    pink, alternating, white = (np.zeros(2 * FRAME_TICKS) for _ in range(3))
    lines = np.arange(1 - DETECTOR_SIZE, DETECTOR_SIZE)
    reads = tuple(zip(SLOTS, SOURCES, strict=True))
    # Two ticks are one column of a parity; visits and lines have even lengths.
    offsets = Counter(
        (slot - other_slot, source - other_source, source // 2 - other_source // 2)
        for slot, source in reads
        for other_slot, other_source in reads
    )
    for (slots, sources, columns), number in offsets.items():
        sign = 1 if slots % 2 == 0 else -1
        for visits in range(1 - VISITS, VISITS):
            apart = visits * VISIT_TICKS + lines * LINE_TICKS
            pairs = number * (VISITS - abs(visits)) * (DETECTOR_SIZE - np.abs(lines))
            place = FRAME_TICKS + apart + slots
            distance = apart + sources
            pink[place] += pairs * unit.pinks(distance)
            alternating[place] += sign * pairs * unit.alternatings(apart // 2 + columns)
            white[place] += pairs * (distance == 0)
    return _spectrum(_fold(pink)), _spectrum(_fold(alternating)), _spectrum(_fold(white))


def _with_reference_samples(unit: _Covariances, *, early: int) -> tuple[Spectrum, Spectrum]:
    """S_NR of pink and alternating noise of unit amplitude, N being `early` by some ticks."""
    pink, alternating = np.zeros(FRAME_TICKS), np.zeros(FRAME_TICKS)
    for slot, source in zip(SLOTS, SOURCES, strict=True):
        for distance, overlap in _distances():
            pairs = overlap * VISITS / LINE_TICKS
            sign = np.where(distance % 2 == 0, 1, -1)
            pink += pairs * unit.pinks(distance + slot - source + early)
            halves = (distance + slot) // 2 - source // 2
            alternating += sign * pairs * unit.alternatings(halves)
    return _spectrum(pink), _spectrum(alternating)


def _between_outputs(unit: _Covariances, *, early: int) -> Spectrum:
    """Spectrum of pink noise of unit amplitude that one of two outputs sees earlier."""
    pink = np.zeros(FRAME_TICKS)
    for distance, overlap in _distances():
        pink += overlap * unit.pinks(distance + early)
    return _spectrum(pink)


def _distances() -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Distances in time 0, 1, ... and those that a Fourier transform takes for the same.

    Yields
    ------
    distance : ndarray of int, shape (ticks,)
    overlap : ndarray of int, shape (ticks,)
        Pairs of ticks of a frame that are so far apart.
    """
    distance = np.arange(FRAME_TICKS)
    yield distance, FRAME_TICKS - distance
    yield distance - FRAME_TICKS, distance


def _fold(covariance: Covariance) -> Covariance:
    """From distances -ticks, ... ticks - 1 to those modulo ticks."""
    return covariance[FRAME_TICKS:] + covariance[:FRAME_TICKS]


def _spectrum(covariance: Covariance) -> Spectrum:
    return scipy.fft.rfft(covariance)


def _whole(half: Spectrum) -> Spectrum:
    """Add the negative frequencies to the spectrum of a real stream of even length."""
    return np.concatenate([half, half[-2:0:-1].conj()])
