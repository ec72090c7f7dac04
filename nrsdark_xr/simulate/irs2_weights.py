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
class _OfStream:
    """Covariance of a stream of unit amplitude at evenly spaced distances in time.

    Attributes
    ----------
    mirrored : ndarray, shape (2 length - 1,)
        At distances 1 - length to length - 1.
    """

    mirrored: NDArray[np.float64]

    @classmethod
    def of_length(cls, length: int) -> _OfStream:
        """Covariance of a stream that is drawn in this length."""
        power = 2 * pink_scale(length).astype(np.float64) ** 2
        covariance = scipy.fft.irfft(power, length) / length
        return cls(np.concatenate([covariance[:0:-1], covariance]))

    def at(self, first: int, count: int, step: int = 1) -> Covariance:
        """Values at `count` distances, `step` apart."""
        start = self.mirrored.size // 2 + first
        return self.mirrored[start : start + count * step : step]

    @property
    def variance(self) -> float:
        """At distance 0."""
        return float(self.mirrored[self.mirrored.size // 2])


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
    # Two ticks are one column of a parity.
    by_ticks = _OfStream.of_length(STREAM_TICKS)
    by_columns = _OfStream.of_length(STREAM_TICKS // 2)
    rr_pink, rr_alternating, rr_white = _among_reference_samples(by_ticks, by_columns)
    nr_pink = _with_reference_samples(by_ticks, early=0)
    nr_alternating = _alternating_with_reference_samples(by_columns)
    or_pink = _with_reference_samples(by_ticks, early=-delay)
    no_pink = _between_outputs(by_ticks, early=delay)
    oo_pink = _between_outputs(by_ticks, early=0).real

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
        total = pink * by_ticks.variance + alternating * by_columns.variance
        rest[amplifier] = np.sqrt(total - explained / FRAME_TICKS**2)
    return Weights(alpha, beta, rest)


def _among_reference_samples(
    by_ticks: _OfStream, by_columns: _OfStream
) -> tuple[Spectrum, Spectrum, Spectrum]:
    """S_RR of pink, alternating and white noise of unit amplitude.

    All pairs of slots, sorted by where they are in the visit (slot), how many visits and how many
    lines they are apart. Of the 64 pairs of a visit many are the same distances apart.
    """
    pink, alternating, white = (np.zeros(2 * FRAME_TICKS) for _ in range(3))
    lines = np.arange(1 - DETECTOR_SIZE, DETECTOR_SIZE)
    reads = tuple(zip(SLOTS, SOURCES, strict=True))
    # Visits and lines have even lengths.
    offsets = Counter(
        (slot - other_slot, source - other_source, source // 2 - other_source // 2)
        for slot, source in reads
        for other_slot, other_source in reads
    )
    for (slots, sources, columns), number in offsets.items():
        sign = 1 if slots % 2 == 0 else -1
        for visits in range(1 - VISITS, VISITS):
            apart = visits * VISIT_TICKS + int(lines[0]) * LINE_TICKS
            pairs = number * (VISITS - abs(visits)) * (DETECTOR_SIZE - np.abs(lines))
            start = FRAME_TICKS + apart + slots
            place = slice(start, start + lines.size * LINE_TICKS, LINE_TICKS)
            pink[place] += pairs * by_ticks.at(apart + sources, lines.size, LINE_TICKS)
            alternating[place] += (
                sign * pairs * by_columns.at(apart // 2 + columns, lines.size, LINE_TICKS // 2)
            )
            white[place] += pairs * (visits * VISIT_TICKS + lines * LINE_TICKS + sources == 0)
    return _spectrum(_fold(pink)), _spectrum(_fold(alternating)), _spectrum(_fold(white))


def _with_reference_samples(by_ticks: _OfStream, *, early: int) -> Spectrum:
    """S_NR of pink noise of unit amplitude, N being `early` by some ticks."""
    pink = np.zeros(FRAME_TICKS)
    for slot, source in zip(SLOTS, SOURCES, strict=True):
        for first, overlap in _distances():
            pairs = overlap * VISITS / LINE_TICKS
            pink += pairs * by_ticks.at(first + slot - source + early, FRAME_TICKS)
    return _spectrum(pink)


def _alternating_with_reference_samples(by_columns: _OfStream) -> Spectrum:
    """S_NR of alternating noise of unit amplitude."""
    alternating = np.zeros(FRAME_TICKS)
    sign = np.where(np.arange(FRAME_TICKS) % 2 == 0, 1, -1)  # of even first distances
    for slot, source in zip(SLOTS, SOURCES, strict=True):
        for first, overlap in _distances():
            pairs = overlap * VISITS / LINE_TICKS
            column, second = divmod(first + slot, 2)
            each = by_columns.at(column - source // 2, FRAME_TICKS // 2 + 1)
            at_ticks = np.repeat(each, 2)[second : second + FRAME_TICKS]
            alternating += sign * pairs * at_ticks
    return _spectrum(alternating)


def _between_outputs(by_ticks: _OfStream, *, early: int) -> Spectrum:
    """Spectrum of pink noise of unit amplitude that one of two outputs sees earlier."""
    pink = np.zeros(FRAME_TICKS)
    for first, overlap in _distances():
        pink += overlap * by_ticks.at(first + early, FRAME_TICKS)
    return _spectrum(pink)


def _distances() -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Distances in time 0, 1, ... and those that a Fourier transform takes for the same.

    Yields
    ------
    first : int
        The first of them; one follows for each tick of a frame.
    overlap : ndarray of int, shape (ticks,)
        Pairs of ticks of a frame that are so far apart.
    """
    ticks = np.arange(FRAME_TICKS)
    yield 0, FRAME_TICKS - ticks
    yield -FRAME_TICKS, ticks


def _fold(covariance: Covariance) -> Covariance:
    """From distances -ticks, ... ticks - 1 to those modulo ticks."""
    return covariance[FRAME_TICKS:] + covariance[:FRAME_TICKS]


def _spectrum(covariance: Covariance) -> Spectrum:
    return scipy.fft.rfft(covariance)


def _whole(half: Spectrum) -> Spectrum:
    """Add the negative frequencies to the spectrum of a real stream of even length."""
    return np.concatenate([half, half[-2:0:-1].conj()])
