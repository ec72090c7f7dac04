"""Noise of the readout electronics in IRS2, in the order in which the samples are read.

The streams of `noise` run through the samples of an output and through the ticks at which nothing
is read. The reference output sees the common stream, too, and the reference samples all streams of
their amplifier, those of even and odd columns included: this is what lets them correct the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from nrsdark_xr.compile import kernel as compiled
from nrsdark_xr.detector import DETECTOR_SIZE
from nrsdark_xr.detector.irs2 import (
    FRAME_PAUSE_TICKS,
    FRAME_TICKS,
    LINE_TICKS,
    OUTPUT_ROWS,
    OUTPUTS,
    REFERENCE_RUN,
    SCIENCE_RUN,
    is_reference_sample,
    sample_ticks,
)
from nrsdark_xr.simulate.noise import FloatImage, pink_scale
from nrsdark_xr.simulate.parameters import NoiseParameters

FRAME_PERIOD = FRAME_TICKS + FRAME_PAUSE_TICKS
"""Pixel times from one frame to the next."""
_FRAMES_PER_DRAW = 2
STREAM_TICKS = scipy.fft.next_fast_len(_FRAMES_PER_DRAW * FRAME_PERIOD, real=True)
"""Length of the streams as they are drawn: two frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """The noise of one frame in time; electrons.

    Attributes
    ----------
    pink : ndarray of float32, shape (5, ticks)
        What all samples of an output see; output 0 is the reference output.
    alternating : ndarray of float32, shape (4, ticks // 2)
        What the even columns of an amplifier see on top of it, and the odd ones with the
        opposite sign.
    pedestal : float
        Level of the whole frame.
    """

    pink: FloatImage
    alternating: FloatImage
    pedestal: float


@dataclass(frozen=True, slots=True)
class Amplitudes:
    """Standard deviations over twice a full frame of the streams of an amplifier; electrons.

    Attributes
    ----------
    common : float
        1/f noise of the reference output and, times their couplings, of the amplifiers.
    own : float
        1/f noise of one amplifier alone, the mean of its even and odd columns included.
    reference_output : float
        1/f noise of the reference output alone.
    alternating : float
        Half the difference between even and odd columns.
    """

    common: float
    own: float
    reference_output: float
    alternating: float


def amplitudes(parameters: NoiseParameters) -> Amplitudes:
    """Amplitudes of the streams.

    Independent streams for even and odd columns are the same as one stream for both and one with
    opposite signs, each with half the variance; the former adds to the amplifier's own.
    """
    alternating = parameters.alternating_column / np.sqrt(2)
    return Amplitudes(
        common=parameters.correlated_pink,
        own=float(np.hypot(parameters.uncorrelated_pink, alternating)),
        reference_output=parameters.uncorrelated_pink,
        alternating=float(alternating),
    )


def draw_streams(
    rng: np.random.Generator,
    parameters: NoiseParameters,
    *,
    coupling: NDArray[np.float64],
    delay: int,
) -> Iterator[Streams]:
    """Yield the noise of one frame after another, without end.

    Two frames are drawn at a time: their noise goes on through the pause between them, and the end
    of the second one fits the start of the first.

    Parameters
    ----------
    rng : Generator
    parameters : NoiseParameters
    coupling : ndarray, shape (5,)
        Share of the common noise that each output sees.
    delay : int
        Pixel times by which the reference output sees it later.
    """
    amplitude = amplitudes(parameters)
    scale = pink_scale(STREAM_TICKS)
    half_scale = pink_scale(STREAM_TICKS // 2)
    late = np.exp(-2j * np.pi * delay / STREAM_TICKS * np.arange(scale.size))
    late = late.astype(np.complex64)
    while True:
        common = _spectrum(rng, scale, amplitude.common)
        pink = np.empty((OUTPUTS, STREAM_TICKS), np.float32)
        for output in range(OUTPUTS):
            own = amplitude.own if output else amplitude.reference_output
            spectrum = _spectrum(rng, scale, own)
            spectrum += np.float32(coupling[output]) * (common if output else common * late)
            pink[output] = scipy.fft.irfft(spectrum, STREAM_TICKS, overwrite_x=True)
        alternating = np.empty((OUTPUTS - 1, STREAM_TICKS // 2), np.float32)
        for amplifier in range(OUTPUTS - 1):
            spectrum = _spectrum(rng, half_scale, amplitude.alternating)
            alternating[amplifier] = scipy.fft.irfft(spectrum, STREAM_TICKS // 2, overwrite_x=True)
        for frame in range(_FRAMES_PER_DRAW):
            start = frame * FRAME_PERIOD
            yield Streams(
                pink[:, start : start + FRAME_TICKS],
                alternating[:, start // 2 : (start + FRAME_TICKS) // 2],
                parameters.pedestal_drift * float(rng.standard_normal()),
            )


def _spectrum(
    rng: np.random.Generator, scale: FloatImage, amplitude: float
) -> NDArray[np.complex64]:
    spectrum = rng.standard_normal(2 * scale.size, dtype=np.float32).view(np.complex64)
    spectrum *= scale
    spectrum *= np.float32(amplitude)
    return spectrum


def column_parities() -> NDArray[np.int8]:
    """+1 for even and -1 for odd columns of the 640 samples of an output's line as read.

    Pixels are read in the order of their columns. On each visit a reference pixel of an odd column
    is read twice, then one of an even column (`jwst.refpix.irs2_subtract_reference` spreads the
    first pair over odd ticks and the second over even ones).
    """
    even = sample_ticks() % 2 == 0
    place = np.arange(OUTPUT_ROWS) % (SCIENCE_RUN + REFERENCE_RUN)
    second_pair = place >= SCIENCE_RUN // 2 + REFERENCE_RUN // 2
    even = np.where(is_reference_sample(), second_pair, even)
    return np.where(even, 1, -1).astype(np.int8)


def add_streams(noise: FloatImage, streams: Streams) -> None:
    """Add the noise of a frame to its samples.

    Parameters
    ----------
    noise : ndarray of float32, shape (2048, 3200)
        In the detector frame, electrons; changed in place.
    streams : Streams
    """
    _add_streams(
        noise,
        streams.pink,
        streams.alternating,
        np.float32(streams.pedestal),
        sample_ticks(),
        column_parities(),
    )


@compiled
def _add_streams(
    noise: NDArray[np.float32],
    pink: NDArray[np.float32],
    alternating: NDArray[np.float32],
    pedestal: np.float32,
    ticks: NDArray[np.intp],
    parity: NDArray[np.int8],
) -> None:
    samples = ticks.size
    for line in range(DETECTOR_SIZE):
        for output in range(OUTPUTS):
            for sample in range(samples):
                tick = line * LINE_TICKS + ticks[sample]
                value = pink[output, tick] + pedestal
                if output > 0:
                    value += np.float32(parity[sample]) * alternating[output - 1, tick // 2]
                backwards = output % 2 == 0
                place = samples - 1 - sample if backwards else sample
                noise[line, output * samples + place] += value
